/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Snapshots: writing what the buffers of a snapshot session hold, and where to. */
#ifndef LTTNG_SNAPSHOT_H
#define LTTNG_SNAPSHOT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct lttng_snapshot_output;
struct lttng_snapshot_output_list;

/* Nothing is set in it. */
struct lttng_snapshot_output *lttng_snapshot_output_create(void);

/* Of an output from the call above. NULL does nothing. */
void lttng_snapshot_output_destroy(struct lttng_snapshot_output *output);

/* 0 before the output belongs to a session. */
uint32_t lttng_snapshot_output_get_id(const struct lttng_snapshot_output *output);

/* Most bytes of one snapshot. 0 is no limit; so is UINT64_MAX, of an output where no size was set. */
uint64_t lttng_snapshot_output_get_maxsize(const struct lttng_snapshot_output *output);

/* The strings belong to the output; they are empty where nothing is set. */
const char *lttng_snapshot_output_get_name(const struct lttng_snapshot_output *output);
/* A path, or the URL for all or for control. */
const char *lttng_snapshot_output_get_ctrl_url(const struct lttng_snapshot_output *output);
const char *lttng_snapshot_output_get_data_url(const struct lttng_snapshot_output *output);

/* All of these return 0 or a negative error code. */

/* Names an output of a session, for lttng_snapshot_del_output(). Not 0. */
int lttng_snapshot_output_set_id(uint32_t id, struct lttng_snapshot_output *output);
int lttng_snapshot_output_set_size(uint64_t size, struct lttng_snapshot_output *output);
/* An empty name is chosen by the daemon: "snapshot-ID". */
int lttng_snapshot_output_set_name(const char *name, struct lttng_snapshot_output *output);
/* An absolute path or a file:// URL. */
int lttng_snapshot_output_set_local_path(const char *path, struct lttng_snapshot_output *output);
/* One net:// URL. */
int lttng_snapshot_output_set_network_url(const char *url, struct lttng_snapshot_output *output);
/* Two URLs with the same host. */
int lttng_snapshot_output_set_network_urls(const char *ctrl_url, const char *data_url,
		struct lttng_snapshot_output *output);
/* Single URLs, which are checked only when the output is used. */
int lttng_snapshot_output_set_ctrl_url(const char *url, struct lttng_snapshot_output *output);
int lttng_snapshot_output_set_data_url(const char *url, struct lttng_snapshot_output *output);

/* Makes it the output of the session, which has at most one. Its id is told in the object. */
int lttng_snapshot_add_output(const char *session_name, struct lttng_snapshot_output *output);

/* Takes back the output with this id, or with this name if no id is set. */
int lttng_snapshot_del_output(const char *session_name, struct lttng_snapshot_output *output);

int lttng_snapshot_list_output(const char *session_name,
		struct lttng_snapshot_output_list **list);

/* NULL behind the last one. The output belongs to the list. */
struct lttng_snapshot_output *lttng_snapshot_output_list_get_next(
		struct lttng_snapshot_output_list *list);

/* With the outputs in it. NULL does nothing. */
void lttng_snapshot_output_list_destroy(struct lttng_snapshot_output_list *list);

/*
 * Writes what the buffers hold to the session's output, or as output (NULL: nothing) says otherwise. Returns when it
 * is written, whatever wait is.
 */
int lttng_snapshot_record(const char *session_name, struct lttng_snapshot_output *output,
		int wait);

#ifdef __cplusplus
}
#endif

#endif /* LTTNG_SNAPSHOT_H */
