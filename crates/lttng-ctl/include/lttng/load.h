/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Loading: making sessions again that were saved to files. */
#ifndef LTTNG_LOAD_H
#define LTTNG_LOAD_H

#ifdef __cplusplus
extern "C" {
#endif

struct lttng_load_session_attr;

/* All sessions of the files in the user's and in the system's directory. */
struct lttng_load_session_attr *lttng_load_session_attr_create(void);
/* NULL does nothing. */
void lttng_load_session_attr_destroy(struct lttng_load_session_attr *attr);

/* The strings belong to the attributes; NULL where nothing is set. */
const char *lttng_load_session_attr_get_session_name(struct lttng_load_session_attr *attr);
const char *lttng_load_session_attr_get_input_url(struct lttng_load_session_attr *attr);
const char *lttng_load_session_attr_get_override_url(struct lttng_load_session_attr *attr);
const char *lttng_load_session_attr_get_override_ctrl_url(struct lttng_load_session_attr *attr);
const char *lttng_load_session_attr_get_override_data_url(struct lttng_load_session_attr *attr);
const char *lttng_load_session_attr_get_override_session_name(struct lttng_load_session_attr *attr);
/* 0, 1 or a negative error code. */
int lttng_load_session_attr_get_overwrite(struct lttng_load_session_attr *attr);

/* All of these return 0 or a negative error code. */

/* Without one (NULL), all sessions are loaded. */
int lttng_load_session_attr_set_session_name(struct lttng_load_session_attr *attr,
		const char *session_name);
/* A file or a directory: an absolute path or a file:// URL; NULL takes it back. */
int lttng_load_session_attr_set_input_url(struct lttng_load_session_attr *attr, const char *url);
/* Whether a session of the same name is destroyed first. */
int lttng_load_session_attr_set_overwrite(struct lttng_load_session_attr *attr, int overwrite);
/* Where the trace goes instead: one URL for all, or one for control and one for data. */
int lttng_load_session_attr_set_override_url(struct lttng_load_session_attr *attr, const char *url);
int lttng_load_session_attr_set_override_ctrl_url(struct lttng_load_session_attr *attr,
		const char *url);
int lttng_load_session_attr_set_override_data_url(struct lttng_load_session_attr *attr,
		const char *url);
/* Another name for the one session that is loaded. */
int lttng_load_session_attr_set_override_session_name(struct lttng_load_session_attr *attr,
		const char *session_name);

/* Makes the sessions again, and starts those that were started. A session that cannot be made as a whole is not made. */
int lttng_load_session(struct lttng_load_session_attr *attr);

#ifdef __cplusplus
}
#endif

#endif /* LTTNG_LOAD_H */
