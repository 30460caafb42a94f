/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Endpoints of the session daemon: names to pass on, nothing to look into. */
#ifndef LTTNG_ENDPOINT_H
#define LTTNG_ENDPOINT_H

#ifdef __cplusplus
extern "C" {
#endif

struct lttng_endpoint;

extern struct lttng_endpoint *lttng_session_daemon_notification_endpoint;
extern struct lttng_endpoint *lttng_session_daemon_command_endpoint;

#ifdef __cplusplus
}
#endif

#endif /* LTTNG_ENDPOINT_H */
