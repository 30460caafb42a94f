/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Process attribute trackers: which processes a domain of a session records. */
#ifndef LTTNG_TRACKER_H
#define LTTNG_TRACKER_H

#include <lttng/constant.h>
#include <lttng/domain.h>
#include <lttng/lttng-error.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct lttng_handle;

/* The user space domain has the virtual ones only: as the process itself sees them. */
enum lttng_process_attr {
	LTTNG_PROCESS_ATTR_PROCESS_ID = 0,
	LTTNG_PROCESS_ATTR_VIRTUAL_PROCESS_ID = 1,
	LTTNG_PROCESS_ATTR_USER_ID = 2,
	LTTNG_PROCESS_ATTR_VIRTUAL_USER_ID = 3,
	LTTNG_PROCESS_ATTR_GROUP_ID = 4,
	LTTNG_PROCESS_ATTR_VIRTUAL_GROUP_ID = 5,
};

enum lttng_tracking_policy {
	/* Of a new session. */
	LTTNG_TRACKING_POLICY_INCLUDE_ALL = 0,
	LTTNG_TRACKING_POLICY_EXCLUDE_ALL = 1,
	/* Only the processes with a value of the inclusion set. */
	LTTNG_TRACKING_POLICY_INCLUDE_SET = 2,
};

enum lttng_process_attr_value_type {
	LTTNG_PROCESS_ATTR_VALUE_TYPE_INVALID = -1,
	LTTNG_PROCESS_ATTR_VALUE_TYPE_PID = 0,
	LTTNG_PROCESS_ATTR_VALUE_TYPE_UID = 1,
	LTTNG_PROCESS_ATTR_VALUE_TYPE_USER_NAME = 2,
	LTTNG_PROCESS_ATTR_VALUE_TYPE_GID = 3,
	LTTNG_PROCESS_ATTR_VALUE_TYPE_GROUP_NAME = 4,
};

enum lttng_process_attr_tracker_handle_status {
	LTTNG_PROCESS_ATTR_TRACKER_HANDLE_STATUS_GROUP_NOT_FOUND = -7,
	LTTNG_PROCESS_ATTR_TRACKER_HANDLE_STATUS_USER_NOT_FOUND = -6,
	/* There is no inclusion set: its policy is to be set before. */
	LTTNG_PROCESS_ATTR_TRACKER_HANDLE_STATUS_INVALID_TRACKING_POLICY = -5,
	LTTNG_PROCESS_ATTR_TRACKER_HANDLE_STATUS_SESSION_DOES_NOT_EXIST = -4,
	LTTNG_PROCESS_ATTR_TRACKER_HANDLE_STATUS_ERROR = -3,
	LTTNG_PROCESS_ATTR_TRACKER_HANDLE_STATUS_COMMUNICATION_ERROR = -2,
	LTTNG_PROCESS_ATTR_TRACKER_HANDLE_STATUS_INVALID = -1,
	LTTNG_PROCESS_ATTR_TRACKER_HANDLE_STATUS_OK = 0,
	/* To be added, and there already. */
	LTTNG_PROCESS_ATTR_TRACKER_HANDLE_STATUS_EXISTS = 1,
	/* To be removed, and not there. */
	LTTNG_PROCESS_ATTR_TRACKER_HANDLE_STATUS_MISSING = 2,
};

enum lttng_process_attr_values_status {
	LTTNG_PROCESS_ATTR_VALUES_STATUS_INVALID_TYPE = -2,
	LTTNG_PROCESS_ATTR_VALUES_STATUS_INVALID = -1,
	LTTNG_PROCESS_ATTR_VALUES_STATUS_OK = 0,
};

struct lttng_process_attr_tracker_handle;
struct lttng_process_attr_values;

/* Returns LTTNG_OK or a positive error code. */
enum lttng_error_code lttng_session_get_tracker_handle(const char *session_name,
		enum lttng_domain_type domain, enum lttng_process_attr process_attr,
		struct lttng_process_attr_tracker_handle **out_tracker_handle);

/* With the inclusion set that it gave. NULL does nothing. */
void lttng_process_attr_tracker_handle_destroy(
		struct lttng_process_attr_tracker_handle *tracker_handle);

enum lttng_process_attr_tracker_handle_status
lttng_process_attr_tracker_handle_get_tracking_policy(
		const struct lttng_process_attr_tracker_handle *tracker_handle,
		enum lttng_tracking_policy *policy);

/* An inclusion set begins empty. */
enum lttng_process_attr_tracker_handle_status
lttng_process_attr_tracker_handle_set_tracking_policy(
		const struct lttng_process_attr_tracker_handle *tracker_handle,
		enum lttng_tracking_policy policy);

/* Values are added to inclusion sets and removed from them, each by the calls for its kind of attribute. */

enum lttng_process_attr_tracker_handle_status
lttng_process_attr_process_id_tracker_handle_add_pid(
		const struct lttng_process_attr_tracker_handle *tracker, pid_t pid);

enum lttng_process_attr_tracker_handle_status
lttng_process_attr_process_id_tracker_handle_remove_pid(
		const struct lttng_process_attr_tracker_handle *tracker, pid_t pid);

enum lttng_process_attr_tracker_handle_status
lttng_process_attr_virtual_process_id_tracker_handle_add_pid(
		const struct lttng_process_attr_tracker_handle *tracker, pid_t pid);

enum lttng_process_attr_tracker_handle_status
lttng_process_attr_virtual_process_id_tracker_handle_remove_pid(
		const struct lttng_process_attr_tracker_handle *tracker, pid_t pid);

enum lttng_process_attr_tracker_handle_status
lttng_process_attr_user_id_tracker_handle_add_uid(
		const struct lttng_process_attr_tracker_handle *tracker, uid_t uid);

enum lttng_process_attr_tracker_handle_status
lttng_process_attr_user_id_tracker_handle_remove_uid(
		const struct lttng_process_attr_tracker_handle *tracker, uid_t uid);

enum lttng_process_attr_tracker_handle_status
lttng_process_attr_user_id_tracker_handle_add_user_name(
		const struct lttng_process_attr_tracker_handle *tracker, const char *user_name);

enum lttng_process_attr_tracker_handle_status
lttng_process_attr_user_id_tracker_handle_remove_user_name(
		const struct lttng_process_attr_tracker_handle *tracker, const char *user_name);

enum lttng_process_attr_tracker_handle_status
lttng_process_attr_virtual_user_id_tracker_handle_add_uid(
		const struct lttng_process_attr_tracker_handle *tracker, uid_t uid);

enum lttng_process_attr_tracker_handle_status
lttng_process_attr_virtual_user_id_tracker_handle_remove_uid(
		const struct lttng_process_attr_tracker_handle *tracker, uid_t uid);

enum lttng_process_attr_tracker_handle_status
lttng_process_attr_virtual_user_id_tracker_handle_add_user_name(
		const struct lttng_process_attr_tracker_handle *tracker, const char *user_name);

enum lttng_process_attr_tracker_handle_status
lttng_process_attr_virtual_user_id_tracker_handle_remove_user_name(
		const struct lttng_process_attr_tracker_handle *tracker, const char *user_name);

enum lttng_process_attr_tracker_handle_status
lttng_process_attr_group_id_tracker_handle_add_gid(
		const struct lttng_process_attr_tracker_handle *tracker, gid_t gid);

enum lttng_process_attr_tracker_handle_status
lttng_process_attr_group_id_tracker_handle_remove_gid(
		const struct lttng_process_attr_tracker_handle *tracker, gid_t gid);

enum lttng_process_attr_tracker_handle_status
lttng_process_attr_group_id_tracker_handle_add_group_name(
		const struct lttng_process_attr_tracker_handle *tracker, const char *group_name);

enum lttng_process_attr_tracker_handle_status
lttng_process_attr_group_id_tracker_handle_remove_group_name(
		const struct lttng_process_attr_tracker_handle *tracker, const char *group_name);

enum lttng_process_attr_tracker_handle_status
lttng_process_attr_virtual_group_id_tracker_handle_add_gid(
		const struct lttng_process_attr_tracker_handle *tracker, gid_t gid);

enum lttng_process_attr_tracker_handle_status
lttng_process_attr_virtual_group_id_tracker_handle_remove_gid(
		const struct lttng_process_attr_tracker_handle *tracker, gid_t gid);

enum lttng_process_attr_tracker_handle_status
lttng_process_attr_virtual_group_id_tracker_handle_add_group_name(
		const struct lttng_process_attr_tracker_handle *tracker, const char *group_name);

enum lttng_process_attr_tracker_handle_status
lttng_process_attr_virtual_group_id_tracker_handle_remove_group_name(
		const struct lttng_process_attr_tracker_handle *tracker, const char *group_name);

/* The values belong to the handle until this is called again. */
enum lttng_process_attr_tracker_handle_status
lttng_process_attr_tracker_handle_get_inclusion_set(
		struct lttng_process_attr_tracker_handle *tracker_handle,
		const struct lttng_process_attr_values **values);

enum lttng_process_attr_values_status lttng_process_attr_values_get_count(
		const struct lttng_process_attr_values *values, unsigned int *count);

/* INVALID behind the last one. */
enum lttng_process_attr_value_type lttng_process_attr_values_get_type_at_index(
		const struct lttng_process_attr_values *values, unsigned int index);

/* INVALID_TYPE for a value of another type. Names belong to the values. */
enum lttng_process_attr_values_status lttng_process_attr_values_get_pid_at_index(
		const struct lttng_process_attr_values *values, unsigned int index,
		pid_t *pid);
enum lttng_process_attr_values_status lttng_process_attr_values_get_uid_at_index(
		const struct lttng_process_attr_values *values, unsigned int index,
		uid_t *uid);
enum lttng_process_attr_values_status lttng_process_attr_values_get_user_name_at_index(
		const struct lttng_process_attr_values *values, unsigned int index,
		const char **user_name);
enum lttng_process_attr_values_status lttng_process_attr_values_get_gid_at_index(
		const struct lttng_process_attr_values *values, unsigned int index,
		gid_t *gid);
enum lttng_process_attr_values_status lttng_process_attr_values_get_group_name_at_index(
		const struct lttng_process_attr_values *values, unsigned int index,
		const char **group_name);

/*
 * The older calls, for the process ids of the handle's domain (virtual ones in user space). -1 is all processes.
 * They return 0 or a negative error code. The array is to be freed; with *enabled 0, all processes are recorded,
 * and array and number are left as they are.
 */
int lttng_track_pid(struct lttng_handle *handle, int pid);
int lttng_untrack_pid(struct lttng_handle *handle, int pid);
int lttng_list_tracker_pids(struct lttng_handle *handle, int *enabled, int32_t **pids,
		size_t *nr_pids);

#ifdef __cplusplus
}
#endif

#endif /* LTTNG_TRACKER_H */
