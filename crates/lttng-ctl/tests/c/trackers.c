/*
 * Process attribute trackers: calls each in every way that matters and prints what comes back. The same binary
 * runs with the distribution's library and daemon and with ours; the outputs are compared.
 */
#include <inttypes.h>
#include <lttng/lttng.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHOW(call) printf("%s = %d\n", #call, (int) (call))

typedef struct lttng_process_attr_tracker_handle tracker_handle;

static void show(tracker_handle *tracker)
{
	const struct lttng_process_attr_values *values = NULL;
	enum lttng_tracking_policy policy = 77;
	unsigned int count = 0, i;
	const char *name;
	pid_t pid;
	uid_t uid;
	gid_t gid;

	SHOW(lttng_process_attr_tracker_handle_get_tracking_policy(tracker, &policy));
	SHOW(lttng_process_attr_tracker_handle_get_inclusion_set(tracker, &values));
	printf("policy %d values %d\n", (int) policy, values != NULL);
	SHOW(lttng_process_attr_values_get_count(values, &count));
	/* One value only is shown: upstream's order is that of a hash table. */
	printf("count %u\n", count);
	for (i = 0; i <= count && count < 2; i++) {
		pid = uid = gid = 0;
		name = NULL;
		SHOW(lttng_process_attr_values_get_type_at_index(values, i));
		SHOW(lttng_process_attr_values_get_pid_at_index(values, i, &pid));
		SHOW(lttng_process_attr_values_get_uid_at_index(values, i, &uid));
		SHOW(lttng_process_attr_values_get_gid_at_index(values, i, &gid));
		printf("  pid %d uid %d gid %d\n", (int) pid, (int) uid, (int) gid);
		SHOW(lttng_process_attr_values_get_user_name_at_index(values, i, &name));
		printf("  user %s\n", name ? name : "null");
		name = NULL;
		SHOW(lttng_process_attr_values_get_group_name_at_index(values, i, &name));
		printf("  group %s\n", name ? name : "null");
	}
}

static tracker_handle *open_tracker(enum lttng_domain_type domain, enum lttng_process_attr attribute)
{
	tracker_handle *tracker = NULL;

	printf("domain %d attribute %d\n", (int) domain, (int) attribute);
	SHOW(lttng_session_get_tracker_handle("tracked", domain, attribute, &tracker));
	printf("opened %d\n", tracker != NULL);
	return tracker;
}

static void process_ids(void)
{
	tracker_handle *tracker = open_tracker(LTTNG_DOMAIN_UST, LTTNG_PROCESS_ATTR_VIRTUAL_PROCESS_ID);

	show(tracker);
	SHOW(lttng_process_attr_virtual_process_id_tracker_handle_add_pid(tracker, 5));
	SHOW(lttng_process_attr_virtual_process_id_tracker_handle_remove_pid(tracker, 5));
	SHOW(lttng_process_attr_tracker_handle_set_tracking_policy(tracker,
			LTTNG_TRACKING_POLICY_INCLUDE_SET));
	show(tracker);
	SHOW(lttng_process_attr_virtual_process_id_tracker_handle_add_pid(tracker, 5));
	SHOW(lttng_process_attr_virtual_process_id_tracker_handle_add_pid(tracker, 5));
	show(tracker);
	SHOW(lttng_process_attr_virtual_process_id_tracker_handle_add_pid(tracker, 6));
	show(tracker);
	SHOW(lttng_process_attr_process_id_tracker_handle_add_pid(tracker, 7));
	SHOW(lttng_process_attr_virtual_user_id_tracker_handle_add_uid(tracker, 7));
	SHOW(lttng_process_attr_virtual_process_id_tracker_handle_remove_pid(tracker, 6));
	SHOW(lttng_process_attr_virtual_process_id_tracker_handle_remove_pid(tracker, 6));
	SHOW(lttng_process_attr_tracker_handle_set_tracking_policy(tracker,
			LTTNG_TRACKING_POLICY_EXCLUDE_ALL));
	show(tracker);
	SHOW(lttng_process_attr_virtual_process_id_tracker_handle_add_pid(tracker, 5));
	SHOW(lttng_process_attr_tracker_handle_set_tracking_policy(tracker,
			LTTNG_TRACKING_POLICY_INCLUDE_ALL));
	show(tracker);
	SHOW(lttng_process_attr_tracker_handle_get_tracking_policy(tracker, NULL));
	SHOW(lttng_process_attr_tracker_handle_get_tracking_policy(NULL, NULL));
	SHOW(lttng_process_attr_tracker_handle_set_tracking_policy(NULL, LTTNG_TRACKING_POLICY_INCLUDE_ALL));
	SHOW(lttng_process_attr_virtual_process_id_tracker_handle_add_pid(NULL, 5));
	lttng_process_attr_tracker_handle_destroy(tracker);
	lttng_process_attr_tracker_handle_destroy(NULL);
}

static void users_and_groups(void)
{
	tracker_handle *users = open_tracker(LTTNG_DOMAIN_UST, LTTNG_PROCESS_ATTR_VIRTUAL_USER_ID);
	tracker_handle *groups = open_tracker(LTTNG_DOMAIN_UST, LTTNG_PROCESS_ATTR_VIRTUAL_GROUP_ID);

	SHOW(lttng_process_attr_tracker_handle_set_tracking_policy(users,
			LTTNG_TRACKING_POLICY_INCLUDE_SET));
	SHOW(lttng_process_attr_virtual_user_id_tracker_handle_add_user_name(users, "root"));
	show(users);
	SHOW(lttng_process_attr_virtual_user_id_tracker_handle_add_user_name(users, "root"));
	SHOW(lttng_process_attr_virtual_user_id_tracker_handle_add_user_name(users, "nosuchuser"));
	SHOW(lttng_process_attr_virtual_user_id_tracker_handle_add_user_name(users, NULL));
	SHOW(lttng_process_attr_virtual_user_id_tracker_handle_remove_user_name(users, "root"));
	SHOW(lttng_process_attr_virtual_user_id_tracker_handle_remove_user_name(users, "root"));
	SHOW(lttng_process_attr_virtual_user_id_tracker_handle_add_uid(users, 9));
	show(users);
	SHOW(lttng_process_attr_virtual_user_id_tracker_handle_remove_uid(users, 9));
	SHOW(lttng_process_attr_user_id_tracker_handle_add_uid(users, 9));
	SHOW(lttng_process_attr_virtual_group_id_tracker_handle_add_gid(users, 9));
	SHOW(lttng_process_attr_tracker_handle_set_tracking_policy(groups,
			LTTNG_TRACKING_POLICY_INCLUDE_SET));
	SHOW(lttng_process_attr_virtual_group_id_tracker_handle_add_group_name(groups, "root"));
	show(groups);
	SHOW(lttng_process_attr_virtual_group_id_tracker_handle_add_group_name(groups, "nosuchgroup"));
	SHOW(lttng_process_attr_virtual_group_id_tracker_handle_remove_group_name(groups, "root"));
	SHOW(lttng_process_attr_virtual_group_id_tracker_handle_add_gid(groups, 8));
	show(groups);
	SHOW(lttng_process_attr_virtual_group_id_tracker_handle_remove_gid(groups, 8));
	lttng_process_attr_tracker_handle_destroy(users);
	lttng_process_attr_tracker_handle_destroy(groups);
}

static void old_calls(void)
{
	struct lttng_domain domain = { .type = LTTNG_DOMAIN_UST, .buf_type = LTTNG_BUFFER_PER_UID };
	struct lttng_handle *handle = lttng_create_handle("tracked", &domain);
	struct lttng_handle *nosuch = lttng_create_handle("nosuch", &domain);
	int enabled = 77;
	int32_t *pids = NULL;
	size_t count = 77;

	SHOW(lttng_list_tracker_pids(handle, &enabled, &pids, &count));
	printf("enabled %d pids %d\n", enabled, pids != NULL);
	SHOW(lttng_track_pid(handle, 11));
	SHOW(lttng_track_pid(handle, 11));
	count = 77;
	/* Upstream leaves it as it is when there is a set. */
	enabled = 1;
	SHOW(lttng_list_tracker_pids(handle, &enabled, &pids, &count));
	printf("enabled %d count %d first %d\n", enabled, (int) count, pids ? (int) pids[0] : -1);
	free(pids);
	SHOW(lttng_untrack_pid(handle, 11));
	SHOW(lttng_untrack_pid(handle, 11));
	SHOW(lttng_track_pid(handle, -1));
	SHOW(lttng_list_tracker_pids(handle, &enabled, &pids, &count));
	printf("enabled %d\n", enabled);
	SHOW(lttng_untrack_pid(handle, -1));
	count = 77;
	SHOW(lttng_list_tracker_pids(handle, &enabled, &pids, &count));
	printf("enabled %d count %d\n", enabled, (int) count);
	SHOW(lttng_track_pid(nosuch, 5));
	SHOW(lttng_track_pid(NULL, 5));
	SHOW(lttng_untrack_pid(nosuch, 5));
	lttng_destroy_handle(handle);
	lttng_destroy_handle(nosuch);
}

int main(void)
{
	tracker_handle *tracker = NULL;

	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	SHOW(lttng_create_session("tracked", NULL));
	SHOW(lttng_session_get_tracker_handle("nosuch", LTTNG_DOMAIN_UST,
			LTTNG_PROCESS_ATTR_VIRTUAL_PROCESS_ID, &tracker));
	SHOW(lttng_session_get_tracker_handle(NULL, LTTNG_DOMAIN_UST,
			LTTNG_PROCESS_ATTR_VIRTUAL_PROCESS_ID, &tracker));
	SHOW(lttng_session_get_tracker_handle("tracked", LTTNG_DOMAIN_UST,
			LTTNG_PROCESS_ATTR_VIRTUAL_PROCESS_ID, NULL));
	lttng_process_attr_tracker_handle_destroy(
			open_tracker(LTTNG_DOMAIN_UST, LTTNG_PROCESS_ATTR_PROCESS_ID));
	lttng_process_attr_tracker_handle_destroy(
			open_tracker(LTTNG_DOMAIN_UST, LTTNG_PROCESS_ATTR_USER_ID));
	lttng_process_attr_tracker_handle_destroy(
			open_tracker(LTTNG_DOMAIN_JUL, LTTNG_PROCESS_ATTR_VIRTUAL_PROCESS_ID));
	process_ids();
	users_and_groups();
	old_calls();
	SHOW(lttng_destroy_session("tracked"));
	printf("end\n");
	return 0;
}
