/*
 * No daemon, and every kind of wrong argument: each call says what is wrong, none crashes. The arguments are
 * checked first, so that a wrong one is told apart from a missing daemon.
 */
#include "check.h"
#include <lttng/lttng.h>
#include <string.h>
#include <unistd.h>

#define NONE (-LTTNG_ERR_NO_SESSIOND)
#define INVALID (-LTTNG_ERR_INVALID)

static void nulls(void)
{
	struct lttng_domain domain = { .type = LTTNG_DOMAIN_UST, .buf_type = LTTNG_BUFFER_PER_UID };
	struct lttng_handle *handle = lttng_create_handle("s", &domain);
	struct lttng_event *event = lttng_event_create();
	struct lttng_event_context context = { .ctx = LTTNG_EVENT_CONTEXT_APP_CONTEXT };
	char *null_name[] = { NULL };

	EXPECT(lttng_create_session(NULL, NULL), INVALID);
	EXPECT(lttng_create_session("\xff", NULL), INVALID);
	EXPECT(lttng_start_tracing(NULL), INVALID);
	EXPECT(lttng_stop_tracing(""), INVALID);
	EXPECT(lttng_list_sessions(NULL), INVALID);
	EXPECT(lttng_list_domains("s", NULL), INVALID);
	EXPECT(lttng_list_channels(handle, NULL), INVALID);
	EXPECT(lttng_list_events(handle, "c", NULL), INVALID);
	EXPECT(lttng_list_tracepoints(handle, NULL), INVALID);
	EXPECT(lttng_list_tracepoint_fields(handle, NULL), INVALID);
	EXPECT(lttng_set_session_shm_path("s", NULL), INVALID);
	EXPECT(lttng_enable_event(NULL, event, "c"), INVALID);
	EXPECT(lttng_enable_event_with_exclusions(handle, event, "c", NULL, -1, null_name), INVALID);
	EXPECT(lttng_enable_event_with_exclusions(handle, event, "c", NULL, 1, NULL), INVALID);
	EXPECT(lttng_enable_event_with_exclusions(handle, event, "c", NULL, 1, null_name), INVALID);
	EXPECT(lttng_enable_event_with_filter(handle, event, "c", "a ="), -LTTNG_ERR_FILTER_INVAL);
	EXPECT(lttng_add_context(handle, &context, NULL, NULL), INVALID);
	context.ctx = 4711;
	EXPECT(lttng_add_context(handle, &context, NULL, NULL), -LTTNG_ERR_UST_CONTEXT_INVAL);
	EXPECT(lttng_disable_event_ext(handle, event, "c", "a == 1"), -LTTNG_ERR_NOT_SUPPORTED);
	EXPECT(lttng_event_get_exclusion_name(event, 0, NULL), INVALID);
	EXPECT(lttng_event_get_filter_expression(event, NULL), INVALID);
	EXPECT(lttng_session_get_creation_time(NULL, NULL), LTTNG_ERR_INVALID);
	EXPECT(lttng_create_session_ext(NULL), LTTNG_ERR_INVALID);
	EXPECT(lttng_destroy_session_ext(NULL, NULL), LTTNG_ERR_INVALID);
	EXPECT(lttng_destruction_handle_wait_for_completion(NULL, 0),
	       LTTNG_DESTRUCTION_HANDLE_STATUS_INVALID);
	/* A name that fills its array without an end. */
	memset(handle->session_name, 'x', sizeof(handle->session_name));
	EXPECT(lttng_enable_event(handle, event, "c"), INVALID);
	strcpy(handle->session_name, "s");
	/* Any number may be in an enumeration. */
	event->type = 4711;
	EXPECT(lttng_enable_event(handle, event, "c"), INVALID);
	event->type = LTTNG_EVENT_TRACEPOINT;
	event->loglevel_type = 4711;
	EXPECT(lttng_enable_event(handle, event, "c"), INVALID);
	handle->domain.type = 4711;
	EXPECT(lttng_enable_event(handle, event, "c"), -LTTNG_ERR_UNSUPPORTED_DOMAIN);
	handle->domain.type = LTTNG_DOMAIN_UST;
	handle->domain.buf_type = 4711;
	EXPECT(lttng_enable_event(handle, event, "c"), -LTTNG_ERR_BUFFER_NOT_SUPPORTED);
	lttng_event_destroy(event);
	lttng_destroy_handle(handle);
}

static void no_daemon(void)
{
	struct lttng_domain domain = { .type = LTTNG_DOMAIN_UST, .buf_type = LTTNG_BUFFER_PER_UID };
	struct lttng_handle *handle = lttng_create_handle("s", &domain);
	struct lttng_session *sessions = (void *) 1;
	struct lttng_destruction_handle *destruction = NULL;
	struct lttng_channel *channel = lttng_channel_create(&domain);
	struct lttng_network net = { .enable = 1, .address.ipv4 = "10.0.0.1" };
	int port = 7;

	EXPECT(lttng_session_daemon_alive(), 0);
	EXPECT(lttng_create_session("s", NULL), NONE);
	EXPECT(lttng_list_sessions(&sessions), NONE);
	EXPECT(sessions == NULL, 1);
	EXPECT(lttng_start_tracing("s"), NONE);
	EXPECT(lttng_data_pending("s"), NONE);
	EXPECT(lttng_enable_channel(handle, channel), NONE);
	EXPECT(lttng_destroy_session_ext("s", &destruction), LTTNG_ERR_NO_SESSIOND);
	EXPECT(destruction == NULL, 1);
	EXPECT(lttng_streaming_session(handle, &net), NONE);
	EXPECT(lttng_session_setopt("s", LTTNG_OPT_NETDATAPORT, &port, sizeof(port)), NONE);
	lttng_channel_destroy(channel);
	lttng_destroy_handle(handle);
}

static void snapshots(void)
{
	struct lttng_snapshot_output *output = lttng_snapshot_output_create();
	struct lttng_snapshot_output_list *list = NULL;

	EXPECT(lttng_create_session_snapshot("s", "relative"), INVALID);
	EXPECT(lttng_create_session_snapshot("s", NULL), NONE);
	EXPECT(lttng_snapshot_add_output("s", NULL), INVALID);
	EXPECT(lttng_snapshot_add_output("s", output), INVALID);
	EXPECT(lttng_snapshot_output_set_local_path("/tmp", output), 0);
	EXPECT(lttng_snapshot_add_output(NULL, output), INVALID);
	EXPECT(lttng_snapshot_add_output("s", output), NONE);
	EXPECT(lttng_snapshot_del_output("s", output), NONE);
	EXPECT(lttng_snapshot_list_output("s", NULL), INVALID);
	EXPECT(lttng_snapshot_list_output("s", &list), NONE);
	EXPECT(lttng_snapshot_output_list_get_next(NULL) == NULL, 1);
	lttng_snapshot_output_list_destroy(list);
	/* What is wrong with single URLs is found when they are used. */
	EXPECT(lttng_snapshot_output_set_data_url("tcp://10.0.0.1", output), 0);
	EXPECT(lttng_snapshot_record("s", output, 0), INVALID);
	EXPECT(lttng_snapshot_record("s", NULL, 0), NONE);
	EXPECT(lttng_snapshot_output_get_id(NULL), 0);
	EXPECT(lttng_snapshot_output_get_name(NULL) == NULL, 1);
	lttng_snapshot_output_destroy(output);
}

static void rotations(void)
{
	struct lttng_rotation_schedule *period = lttng_rotation_schedule_periodic_create();
	struct lttng_rotation_schedules *list = NULL;
	struct lttng_rotation_handle *rotation = NULL;
	struct lttng_clear_handle *clear = NULL;
	enum lttng_error_code code;

	EXPECT(lttng_rotate_session("s", NULL, &rotation), NONE);
	EXPECT(rotation == NULL, 1);
	EXPECT(lttng_rotate_session("s", NULL, NULL), NONE);
	EXPECT(lttng_session_add_rotation_schedule("s", period), LTTNG_ROTATION_STATUS_INVALID);
	EXPECT(lttng_rotation_schedule_periodic_set_period(period, 1), LTTNG_ROTATION_STATUS_OK);
	EXPECT(lttng_rotation_schedule_periodic_get_period(period, NULL),
	       LTTNG_ROTATION_STATUS_INVALID);
	EXPECT(lttng_session_add_rotation_schedule("s", period), LTTNG_ROTATION_STATUS_ERROR);
	EXPECT(lttng_session_list_rotation_schedules("s", NULL), INVALID);
	EXPECT(lttng_session_list_rotation_schedules("s", &list), NONE);
	EXPECT(lttng_rotation_schedules_get_at_index(NULL, 0) == NULL, 1);
	lttng_rotation_schedules_destroy(list);
	lttng_rotation_schedule_destroy(period);
	EXPECT(lttng_clear_session(NULL, &clear), LTTNG_ERR_INVALID);
	EXPECT(lttng_clear_session("s", &clear), LTTNG_ERR_NO_SESSIOND);
	EXPECT(clear == NULL, 1);
	EXPECT(lttng_clear_session("s", NULL), LTTNG_ERR_NO_SESSIOND);
	EXPECT(lttng_clear_handle_wait_for_completion(NULL, 0), LTTNG_CLEAR_HANDLE_STATUS_INVALID);
	EXPECT(lttng_clear_handle_get_result(NULL, &code), LTTNG_CLEAR_HANDLE_STATUS_INVALID);
	lttng_clear_handle_destroy(NULL);
}

static void live_and_trackers(void)
{
	struct lttng_session_descriptor *live = lttng_session_descriptor_live_create("l", 1000);
	struct lttng_process_attr_tracker_handle *tracker = NULL;

	EXPECT(lttng_create_session_live("l", NULL, 1000), NONE);
	EXPECT(lttng_create_session_live("l", NULL, 0), INVALID);
	EXPECT(live != NULL, 1);
	EXPECT(lttng_create_session_ext(live), LTTNG_ERR_NO_SESSIOND);
	lttng_session_descriptor_destroy(live);
	EXPECT(lttng_session_descriptor_live_create("l", 1ull << 32) == NULL, 1);
	EXPECT(lttng_session_get_tracker_handle("s", LTTNG_DOMAIN_UST,
			LTTNG_PROCESS_ATTR_VIRTUAL_PROCESS_ID, &tracker), LTTNG_ERR_NO_SESSIOND);
	EXPECT(lttng_session_get_tracker_handle("s", LTTNG_DOMAIN_UST, 4711, &tracker),
	       LTTNG_ERR_INVALID);
	EXPECT(lttng_session_get_tracker_handle("s", LTTNG_DOMAIN_KERNEL, -1, &tracker),
	       LTTNG_ERR_INVALID);
	EXPECT(tracker == NULL, 1);
}

int main(void)
{
	/* A user without home directory has no daemon. */
	if (getuid() == 0)
		EXPECT(setgid(65534) || setuid(65534), 0);
	nulls();
	no_daemon();
	snapshots();
	rotations();
	live_and_trackers();
	return 0;
}
