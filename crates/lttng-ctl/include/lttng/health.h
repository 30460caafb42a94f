/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Health: does a daemon answer, and do its threads make progress. */
#ifndef LTTNG_HEALTH_H
#define LTTNG_HEALTH_H

#ifdef __cplusplus
extern "C" {
#endif

/* A daemon and what is known of it, and one of its threads. */
struct lttng_health;
struct lttng_health_thread;

enum lttng_health_consumerd {
	LTTNG_HEALTH_CONSUMERD_UST_32,
	LTTNG_HEALTH_CONSUMERD_UST_64,
	LTTNG_HEALTH_CONSUMERD_KERNEL,
	NR_LTTNG_HEALTH_CONSUMERD,
};

/* Objects for the session daemon, a consumer daemon, and the relay daemon with this socket; NULL on failure. */
struct lttng_health *lttng_health_create_sessiond(void);
struct lttng_health *lttng_health_create_consumerd(enum lttng_health_consumerd consumerd);
struct lttng_health *lttng_health_create_relayd(const char *path);
void lttng_health_destroy(struct lttng_health *health);

/* Asks the daemon. 0 if it has answered, else negative. */
int lttng_health_query(struct lttng_health *health);

/* 0: all is well. -1: it is not, or the daemon was not asked or has not answered. */
int lttng_health_state(const struct lttng_health *health);

/* The threads, numbered from 0; they belong to the object. */
int lttng_health_get_nr_threads(const struct lttng_health *health);
const struct lttng_health_thread *lttng_health_get_thread(const struct lttng_health *health,
		unsigned int nth_thread);

/* 0: it is well, as far as is known. -1: it is not. */
int lttng_health_thread_state(const struct lttng_health_thread *thread);
/* For humans; belongs to the library. NULL for a thread without name. */
const char *lttng_health_thread_name(const struct lttng_health_thread *thread);

#ifdef __cplusplus
}
#endif

#endif /* LTTNG_HEALTH_H */
