/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Places in programs, as objects: for events of the kernel domain whose type is LTTNG_EVENT_USERSPACE_PROBE. */
#ifndef LTTNG_USERSPACE_PROBE_H
#define LTTNG_USERSPACE_PROBE_H

#ifdef __cplusplus
extern "C" {
#endif

/* How a place is looked for. */
struct lttng_userspace_probe_location_lookup_method;

enum lttng_userspace_probe_location_lookup_method_type {
	LTTNG_USERSPACE_PROBE_LOCATION_LOOKUP_METHOD_TYPE_UNKNOWN = -1,
	LTTNG_USERSPACE_PROBE_LOCATION_LOOKUP_METHOD_TYPE_FUNCTION_DEFAULT = 0,
	LTTNG_USERSPACE_PROBE_LOCATION_LOOKUP_METHOD_TYPE_FUNCTION_ELF = 1,
	LTTNG_USERSPACE_PROBE_LOCATION_LOOKUP_METHOD_TYPE_TRACEPOINT_SDT = 2,
};

/* In the symbol tables; in the notes that sys/sdt.h leaves. */
struct lttng_userspace_probe_location_lookup_method *
lttng_userspace_probe_location_lookup_method_function_elf_create(void);
struct lttng_userspace_probe_location_lookup_method *
lttng_userspace_probe_location_lookup_method_tracepoint_sdt_create(void);
void lttng_userspace_probe_location_lookup_method_destroy(
		struct lttng_userspace_probe_location_lookup_method *lookup_method);
enum lttng_userspace_probe_location_lookup_method_type
lttng_userspace_probe_location_lookup_method_get_type(
		const struct lttng_userspace_probe_location_lookup_method *lookup_method);

struct lttng_userspace_probe_location;

enum lttng_userspace_probe_location_status {
	LTTNG_USERSPACE_PROBE_LOCATION_STATUS_OK = 0,
	LTTNG_USERSPACE_PROBE_LOCATION_STATUS_INVALID = -1,
};

enum lttng_userspace_probe_location_type {
	LTTNG_USERSPACE_PROBE_LOCATION_TYPE_UNKNOWN = -1,
	LTTNG_USERSPACE_PROBE_LOCATION_TYPE_FUNCTION = 0,
	LTTNG_USERSPACE_PROBE_LOCATION_TYPE_TRACEPOINT = 1,
};

enum lttng_userspace_probe_location_function_instrumentation_type {
	LTTNG_USERSPACE_PROBE_LOCATION_FUNCTION_INSTRUMENTATION_TYPE_UNKNOWN = -1,
	LTTNG_USERSPACE_PROBE_LOCATION_FUNCTION_INSTRUMENTATION_TYPE_ENTRY = 0,
};

/*
 * The start of a function, and all places of a probe that the author of the program put in. The file is opened:
 * NULL if that fails, or if an argument does not fit. The place takes the method over, unless this returns NULL.
 */
struct lttng_userspace_probe_location *lttng_userspace_probe_location_function_create(
		const char *binary_path, const char *function_name,
		struct lttng_userspace_probe_location_lookup_method *lookup_method);
struct lttng_userspace_probe_location *lttng_userspace_probe_location_tracepoint_create(
		const char *binary_path, const char *provider_name, const char *probe_name,
		struct lttng_userspace_probe_location_lookup_method *lookup_method);

/* Not for a place that was given to an event, or comes from one. */
void lttng_userspace_probe_location_destroy(struct lttng_userspace_probe_location *location);

enum lttng_userspace_probe_location_type lttng_userspace_probe_location_get_type(
		const struct lttng_userspace_probe_location *location);
const struct lttng_userspace_probe_location_lookup_method *
lttng_userspace_probe_location_get_lookup_method(
		const struct lttng_userspace_probe_location *location);

/*
 * What is given back belongs to the place. What a place of the other type does not have is NULL, -1 or "invalid".
 * A place of a listed event has no open file (-1).
 */
const char *lttng_userspace_probe_location_function_get_binary_path(
		const struct lttng_userspace_probe_location *location);
const char *lttng_userspace_probe_location_function_get_function_name(
		const struct lttng_userspace_probe_location *location);
int lttng_userspace_probe_location_function_get_binary_fd(
		const struct lttng_userspace_probe_location *location);
enum lttng_userspace_probe_location_function_instrumentation_type
lttng_userspace_probe_location_function_get_instrumentation_type(
		const struct lttng_userspace_probe_location *location);
enum lttng_userspace_probe_location_status
lttng_userspace_probe_location_function_set_instrumentation_type(
		const struct lttng_userspace_probe_location *location,
		enum lttng_userspace_probe_location_function_instrumentation_type
				instrumentation_type);
const char *lttng_userspace_probe_location_tracepoint_get_binary_path(
		const struct lttng_userspace_probe_location *location);
const char *lttng_userspace_probe_location_tracepoint_get_provider_name(
		const struct lttng_userspace_probe_location *location);
const char *lttng_userspace_probe_location_tracepoint_get_probe_name(
		const struct lttng_userspace_probe_location *location);
int lttng_userspace_probe_location_tracepoint_get_binary_fd(
		const struct lttng_userspace_probe_location *location);

#ifdef __cplusplus
}
#endif

#endif /* LTTNG_USERSPACE_PROBE_H */
