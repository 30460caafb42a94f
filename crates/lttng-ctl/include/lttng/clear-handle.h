/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What became of a session that is being cleared. */
#ifndef LTTNG_CLEAR_HANDLE_H
#define LTTNG_CLEAR_HANDLE_H

#include <lttng/lttng-error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct lttng_clear_handle;

enum lttng_clear_handle_status {
	LTTNG_CLEAR_HANDLE_STATUS_ERROR = -2,
	/* A wrong argument, or asked before the completion. */
	LTTNG_CLEAR_HANDLE_STATUS_INVALID = -1,
	LTTNG_CLEAR_HANDLE_STATUS_OK = 0,
	LTTNG_CLEAR_HANDLE_STATUS_COMPLETED = 1,
	LTTNG_CLEAR_HANDLE_STATUS_TIMEOUT = 2,
};

/* Waits for COMPLETED; -1 milliseconds is for ever. */
enum lttng_clear_handle_status lttng_clear_handle_wait_for_completion(
		struct lttng_clear_handle *handle, int timeout_ms);

/* LTTNG_OK, or why the session could not be cleared. */
enum lttng_clear_handle_status lttng_clear_handle_get_result(
		const struct lttng_clear_handle *handle, enum lttng_error_code *result);

/* The clearing goes on. NULL does nothing. */
void lttng_clear_handle_destroy(struct lttng_clear_handle *handle);

#ifdef __cplusplus
}
#endif

#endif /* LTTNG_CLEAR_HANDLE_H */
