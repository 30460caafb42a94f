/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What became of a session that is being destroyed. */
#ifndef LTTNG_DESTRUCTION_HANDLE_H
#define LTTNG_DESTRUCTION_HANDLE_H

#include <lttng/lttng-error.h>
#include <lttng/rotation.h>

#ifdef __cplusplus
extern "C" {
#endif

struct lttng_destruction_handle;

enum lttng_destruction_handle_status {
	LTTNG_DESTRUCTION_HANDLE_STATUS_ERROR = -2,
	/* A wrong argument, or asked before the completion. */
	LTTNG_DESTRUCTION_HANDLE_STATUS_INVALID = -1,
	LTTNG_DESTRUCTION_HANDLE_STATUS_OK = 0,
	LTTNG_DESTRUCTION_HANDLE_STATUS_COMPLETED = 1,
	LTTNG_DESTRUCTION_HANDLE_STATUS_TIMEOUT = 2,
};

/* Waits for COMPLETED; -1 milliseconds is for ever. */
enum lttng_destruction_handle_status lttng_destruction_handle_wait_for_completion(
		struct lttng_destruction_handle *handle, int timeout_ms);

/* LTTNG_OK, or why the session could not be destroyed. */
enum lttng_destruction_handle_status lttng_destruction_handle_get_result(
		const struct lttng_destruction_handle *handle, enum lttng_error_code *result);

/* LTTNG_ROTATION_STATE_NO_ROTATION for a session that was not rotated. */
enum lttng_destruction_handle_status lttng_destruction_handle_get_rotation_state(
		const struct lttng_destruction_handle *handle,
		enum lttng_rotation_state *rotation_state);

/* Of the last trace chunk. INVALID for a session that was not rotated. The location belongs to the handle. */
enum lttng_destruction_handle_status lttng_destruction_handle_get_archive_location(
		const struct lttng_destruction_handle *handle,
		const struct lttng_trace_archive_location **location);

/* The destruction goes on. NULL does nothing. */
void lttng_destruction_handle_destroy(struct lttng_destruction_handle *handle);

#ifdef __cplusplus
}
#endif

#endif /* LTTNG_DESTRUCTION_HANDLE_H */
