/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Recording sessions: creating, listing and destroying them. */
#ifndef LTTNG_SESSION_H
#define LTTNG_SESSION_H

#include <lttng/constant.h>
#include <lttng/lttng-error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct lttng_handle;
struct lttng_session_descriptor;
struct lttng_destruction_handle;

#define LTTNG_SESSION_PADDING1 8

struct lttng_session {
	char name[LTTNG_NAME_MAX];
	/* A directory, "tcp4://ADDRESS:CONTROL_PORT/ [data: DATA_PORT]", or empty without output. */
	char path[LTTNG_PATH_MAX];
	/* 1 while tracing. */
	uint32_t enabled;
	uint32_t snapshot_mode;
	/* Microseconds; 0: no live session. */
	uint32_t live_timer_interval;
	char alignment_padding[4];
	/* For lttng_session_get_creation_time(). */
	union {
		char padding[LTTNG_SESSION_PADDING1];
		void *ptr;
	} extended;
};

/*
 * Creates an inactive session. The URL is an absolute path, file://PATH, or net[4|6]://HOST[:CONTROL_PORT[:DATA_PORT]];
 * with NULL the session has no output. Returns 0 or a negative error code.
 */
int lttng_create_session(const char *name, const char *url);

/* Creates what a descriptor says. Returns LTTNG_OK or a positive error code. */
enum lttng_error_code lttng_create_session_ext(struct lttng_session_descriptor *session_descriptor);

/*
 * Creates a snapshot session: see snapshot.h. The URL becomes its first snapshot output; with NULL it has none.
 */
int lttng_create_session_snapshot(const char *name, const char *snapshot_url);

/*
 * Creates a live session, which can be read while it records. Its data reach the relay daemon of the URL (NULL: one on
 * this machine) at least every timer_interval microseconds, not 0.
 */
int lttng_create_session_live(const char *name, const char *url, unsigned int timer_interval);

/* Stops the session if needed, waits until all its data is where it belongs, and forgets it. */
int lttng_destroy_session(const char *name);

/* The same without waiting. */
int lttng_destroy_session_no_wait(const char *name);

/*
 * The same with a handle that tells when it is done and how it went: see destruction-handle.h. Without
 * handle (NULL), returns the daemon's answer. Returns LTTNG_OK or a positive error code.
 */
enum lttng_error_code lttng_destroy_session_ext(const char *session_name,
		struct lttng_destruction_handle **handle);

/* Puts an array of sessions, newest first, into *sessions; free() it. NULL for none. Returns their number. */
int lttng_list_sessions(struct lttng_session **sessions);

/* Seconds since the Unix epoch, for an element of such a list. Returns LTTNG_OK or a positive code. */
enum lttng_error_code lttng_session_get_creation_time(const struct lttng_session *session,
		uint64_t *creation_time);

/* Refused with LTTNG_ERR_NOT_SUPPORTED: the buffers are memory without a path. */
int lttng_set_session_shm_path(const char *session_name, const char *shm_path);

#ifdef __cplusplus
}
#endif

#endif /* LTTNG_SESSION_H */
