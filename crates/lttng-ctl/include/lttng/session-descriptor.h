/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Session descriptors: what a session shall be, for lttng_create_session_ext(). */
#ifndef LTTNG_SESSION_DESCRIPTOR_H
#define LTTNG_SESSION_DESCRIPTOR_H

#include <lttng/constant.h>

#ifdef __cplusplus
extern "C" {
#endif

struct lttng_session_descriptor;

enum lttng_session_descriptor_status {
	LTTNG_SESSION_DESCRIPTOR_STATUS_INVALID = -1,
	LTTNG_SESSION_DESCRIPTOR_STATUS_OK = 0,
	/* No name yet: the daemon will choose one. */
	LTTNG_SESSION_DESCRIPTOR_STATUS_UNSET = 1,
};

/*
 * All of these return NULL if an argument is wrong. A NULL or empty name is chosen by the daemon.
 */

/* Without output. */
struct lttng_session_descriptor *lttng_session_descriptor_create(const char *name);

/* Into a directory, given by its absolute path; NULL is the default below the home directory. */
struct lttng_session_descriptor *lttng_session_descriptor_local_create(const char *name,
		const char *path);

/*
 * To a relay daemon. Either one net:// URL and NULL, or two tcp:// URLs with the same host. Two NULLs are a
 * relay daemon on this machine.
 */
struct lttng_session_descriptor *lttng_session_descriptor_network_create(const char *name,
		const char *control_url, const char *data_url);

/* Snapshot sessions: the output is that of their snapshots. */
struct lttng_session_descriptor *lttng_session_descriptor_snapshot_create(const char *name);
struct lttng_session_descriptor *lttng_session_descriptor_snapshot_local_create(const char *name,
		const char *path);
struct lttng_session_descriptor *lttng_session_descriptor_snapshot_network_create(const char *name,
		const char *control_url, const char *data_url);

/* Live sessions. Without URLs through a relay daemon on this machine. The interval is at most 2^32 - 1. */
struct lttng_session_descriptor *lttng_session_descriptor_live_create(const char *name,
		unsigned long long live_timer_interval_us);
struct lttng_session_descriptor *lttng_session_descriptor_live_network_create(const char *name,
		const char *control_url, const char *data_url,
		unsigned long long live_timer_interval_us);

/* The name belongs to the descriptor. After the creation it is the one that the daemon chose. */
enum lttng_session_descriptor_status lttng_session_descriptor_get_session_name(
		const struct lttng_session_descriptor *descriptor, const char **name);

/* NULL does nothing. */
void lttng_session_descriptor_destroy(struct lttng_session_descriptor *descriptor);

#ifdef __cplusplus
}
#endif

#endif /* LTTNG_SESSION_DESCRIPTOR_H */
