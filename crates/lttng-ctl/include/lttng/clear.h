/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Clearing: removing what a session recorded since its last rotation. */
#ifndef LTTNG_CLEAR_H
#define LTTNG_CLEAR_H

#include <lttng/clear-handle.h>
#include <lttng/lttng-error.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Begins to clear a session, and gives a handle that tells when it is done and how it went. Without handle (NULL),
 * returns when it is done. Returns LTTNG_OK or a positive error code.
 */
enum lttng_error_code lttng_clear_session(const char *session_name,
		struct lttng_clear_handle **handle);

#ifdef __cplusplus
}
#endif

#endif /* LTTNG_CLEAR_H */
