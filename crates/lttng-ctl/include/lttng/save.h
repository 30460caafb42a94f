/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Saving: writing how sessions are set up to files, from which they can be loaded. */
#ifndef LTTNG_SAVE_H
#define LTTNG_SAVE_H

#ifdef __cplusplus
extern "C" {
#endif

struct lttng_save_session_attr;

/* All sessions, in the user's directory, over nothing that is there. */
struct lttng_save_session_attr *lttng_save_session_attr_create(void);
/* NULL does nothing. */
void lttng_save_session_attr_destroy(struct lttng_save_session_attr *output);

/* The strings belong to the attributes; NULL where nothing is set. The numbers are 0, 1 or a negative error code. */
const char *lttng_save_session_attr_get_session_name(struct lttng_save_session_attr *attr);
const char *lttng_save_session_attr_get_output_url(struct lttng_save_session_attr *attr);
int lttng_save_session_attr_get_overwrite(struct lttng_save_session_attr *attr);
int lttng_save_session_attr_get_omit_name(struct lttng_save_session_attr *attr);
int lttng_save_session_attr_get_omit_output(struct lttng_save_session_attr *attr);

/* All of these return 0 or a negative error code. NULL takes a string back. */

/* Without one, all sessions are saved. */
int lttng_save_session_attr_set_session_name(struct lttng_save_session_attr *attr,
		const char *session_name);
/* The directory: an absolute path or a file:// URL. */
int lttng_save_session_attr_set_output_url(struct lttng_save_session_attr *attr, const char *url);
int lttng_save_session_attr_set_overwrite(struct lttng_save_session_attr *attr, int overwrite);
/* Only 0 is supported: name and output are always in the file. */
int lttng_save_session_attr_set_omit_name(struct lttng_save_session_attr *attr, int omit_name);
int lttng_save_session_attr_set_omit_output(struct lttng_save_session_attr *attr, int omit_output);

/* Writes DIRECTORY/NAME.lttng, or a file for each session. */
int lttng_save_session(struct lttng_save_session_attr *attr);

#ifdef __cplusplus
}
#endif

#endif /* LTTNG_SAVE_H */
