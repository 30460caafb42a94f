/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Rotations: archiving the current trace chunk of a session while it goes on, at once or by a schedule. */
#ifndef LTTNG_ROTATION_H
#define LTTNG_ROTATION_H

#include <lttng/location.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum lttng_rotation_state {
	/* The archive could not be made. */
	LTTNG_ROTATION_STATE_ERROR = -1,
	LTTNG_ROTATION_STATE_NO_ROTATION = 0,
	LTTNG_ROTATION_STATE_ONGOING = 1,
	LTTNG_ROTATION_STATE_COMPLETED = 2,
	/* A later rotation was made since: the daemon does not know any more where this archive is. */
	LTTNG_ROTATION_STATE_EXPIRED = 3,
};

enum lttng_rotation_status {
	LTTNG_ROTATION_STATUS_OK = 0,
	/* Not set, or not there yet. */
	LTTNG_ROTATION_STATUS_UNAVAILABLE = 1,
	/* The daemon refused, or did not answer. */
	LTTNG_ROTATION_STATUS_ERROR = -1,
	/* A wrong argument; also the answer for a schedule that is to be removed and is not set. */
	LTTNG_ROTATION_STATUS_INVALID = -2,
	LTTNG_ROTATION_STATUS_SCHEDULE_ALREADY_SET = -3,
	LTTNG_ROTATION_STATUS_SCHEDULE_NOT_SET = -3,
};

enum lttng_rotation_schedule_type {
	LTTNG_ROTATION_SCHEDULE_TYPE_UNKNOWN = -1,
	LTTNG_ROTATION_SCHEDULE_TYPE_SIZE_THRESHOLD = 0,
	LTTNG_ROTATION_SCHEDULE_TYPE_PERIODIC = 1,
};

/* Reserved: NULL. */
struct lttng_rotation_immediate_descriptor;
struct lttng_rotation_handle;
struct lttng_rotation_schedule;
struct lttng_rotation_schedules;

/*
 * Begins to archive the current trace chunk of a session, and gives a handle that tells how far it is (NULL: no
 * handle is wanted). Returns 0 or a negative error code.
 */
int lttng_rotate_session(const char *session_name,
		struct lttng_rotation_immediate_descriptor *descriptor,
		struct lttng_rotation_handle **rotation_handle);

/* Asks the daemon. */
enum lttng_rotation_status lttng_rotation_handle_get_state(
		struct lttng_rotation_handle *rotation_handle,
		enum lttng_rotation_state *rotation_state);

/* UNAVAILABLE before the rotation is completed. The location belongs to the handle. */
enum lttng_rotation_status lttng_rotation_handle_get_archive_location(
		struct lttng_rotation_handle *rotation_handle,
		const struct lttng_trace_archive_location **location);

/* The rotation goes on. NULL does nothing. */
void lttng_rotation_handle_destroy(struct lttng_rotation_handle *rotation_handle);

/* UNKNOWN for NULL. */
enum lttng_rotation_schedule_type lttng_rotation_schedule_get_type(
		const struct lttng_rotation_schedule *schedule);

/* By the size of the trace chunk, in bytes, not 0. A new schedule has no size. */
struct lttng_rotation_schedule *lttng_rotation_schedule_size_threshold_create(void);
enum lttng_rotation_status lttng_rotation_schedule_size_threshold_get_threshold(
		const struct lttng_rotation_schedule *schedule, uint64_t *size_threshold_bytes);
enum lttng_rotation_status lttng_rotation_schedule_size_threshold_set_threshold(
		struct lttng_rotation_schedule *schedule, uint64_t size_threshold_bytes);

/* By time, in microseconds, not 0. A new schedule has no period. */
struct lttng_rotation_schedule *lttng_rotation_schedule_periodic_create(void);
enum lttng_rotation_status lttng_rotation_schedule_periodic_get_period(
		const struct lttng_rotation_schedule *schedule, uint64_t *period_us);
enum lttng_rotation_status lttng_rotation_schedule_periodic_set_period(
		struct lttng_rotation_schedule *schedule, uint64_t period_us);

/* Of a schedule from one of the two _create calls. NULL does nothing. */
void lttng_rotation_schedule_destroy(struct lttng_rotation_schedule *schedule);

/* A session has at most one schedule of each type. */
enum lttng_rotation_status lttng_session_add_rotation_schedule(const char *session_name,
		const struct lttng_rotation_schedule *schedule);

/* Removes the session's schedule of this type; its value does not matter, but must be set. */
enum lttng_rotation_status lttng_session_remove_rotation_schedule(const char *session_name,
		const struct lttng_rotation_schedule *schedule);

/* Returns LTTNG_OK, which is positive, or a negative error code. */
int lttng_session_list_rotation_schedules(const char *session_name,
		struct lttng_rotation_schedules **schedules);

enum lttng_rotation_status lttng_rotation_schedules_get_count(
		const struct lttng_rotation_schedules *schedules, unsigned int *count);

/* NULL behind the last one. The schedule belongs to the list. */
const struct lttng_rotation_schedule *lttng_rotation_schedules_get_at_index(
		const struct lttng_rotation_schedules *schedules, unsigned int index);

/* With the schedules in it. NULL does nothing. */
void lttng_rotation_schedules_destroy(struct lttng_rotation_schedules *schedules);

#ifdef __cplusplus
}
#endif

#endif /* LTTNG_ROTATION_H */
