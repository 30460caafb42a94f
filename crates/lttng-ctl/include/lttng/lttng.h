/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The whole of liblttng-ctl. See docs/c-api.md for what each call does and what is not there. */
#ifndef LTTNG_H
#define LTTNG_H

#include <lttng/channel.h>
#include <lttng/clear-handle.h>
#include <lttng/clear.h>
#include <lttng/constant.h>
#include <lttng/destruction-handle.h>
#include <lttng/domain.h>
#include <lttng/endpoint.h>
#include <lttng/event.h>
#include <lttng/handle.h>
#include <lttng/kernel-probe.h>
#include <lttng/load.h>
#include <lttng/location.h>
#include <lttng/lttng-error.h>
#include <lttng/lttng-network.h>
#include <lttng/rotation.h>
#include <lttng/save.h>
#include <lttng/session-descriptor.h>
#include <lttng/session.h>
#include <lttng/snapshot.h>
#include <lttng/tracker.h>
#include <lttng/userspace-probe.h>

#ifdef __cplusplus
extern "C" {
#endif

/* 1 if a session daemon answers this user, else 0. */
int lttng_session_daemon_alive(void);

/*
 * Names the group whose members use root's daemon, for this process ("tracing" at first). Returns 0 or a
 * negative error code, as all below.
 */
int lttng_set_tracing_group(const char *name);

int lttng_start_tracing(const char *session_name);

/* Returns when all data is where it belongs. */
int lttng_stop_tracing(const char *session_name);

/* Returns at once; see lttng_data_pending(). */
int lttng_stop_tracing_no_wait(const char *session_name);

/* 1 while data of a stopped session is on its way, 0 when all is there. */
int lttng_data_pending(const char *session_name);

/*
 * Sets where the trace of the handle's session goes, as a whole; also while tracing. A path or one net:// URL in
 * control_url with a NULL data_url, or two tcp:// URLs with the same host.
 */
int lttng_set_consumer_url(struct lttng_handle *handle, const char *control_url,
		const char *data_url);

/* Writes the metadata again, with a new clock offset. */
int lttng_regenerate_metadata(const char *session_name);
LTTNG_DEPRECATED("use lttng_regenerate_metadata")
int lttng_metadata_regenerate(const char *session_name);

/* Records the state of the applications again. */
int lttng_regenerate_statedump(const char *session_name);

enum lttng_calibrate_type {
	LTTNG_CALIBRATE_FUNCTION = 0,
};

#define LTTNG_CALIBRATE_PADDING1 16

struct lttng_calibrate {
	enum lttng_calibrate_type type;
	char padding[LTTNG_CALIBRATE_PADDING1];
};

/* Obsolete: always -LTTNG_ERR_UND. */
int lttng_calibrate(struct lttng_handle *handle, struct lttng_calibrate *calibrate);

#ifdef __cplusplus
}
#endif

#endif /* LTTNG_H */
