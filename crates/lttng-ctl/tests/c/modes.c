/*
 * Rotation, snapshots, clearing and live sessions: calls each in every way that matters and prints what comes back.
 * The same binary runs with the distribution's library and daemon and with ours; the outputs are compared.
 *
 * Arguments: a directory for traces, and the URL of a relay daemon whose data port follows its control port.
 */
#include <inttypes.h>
#include <lttng/lttng.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SHOW(call) printf("%s = %d\n", #call, (int) (call))

static char directory[1024];
/* Of the relay daemon. */
static const char *url;

/* Times and the names of directories differ between runs: only the shape of a path is shown. */
static void show_path(const char *what, const char *path)
{
	const char *archives = path ? strstr(path, "/archives/") : NULL;
	const char *id = path ? strrchr(path, '-') : NULL;

	printf("  %s %s%s%s\n", what, path ? "there" : "null", archives ? " archives" : "",
	       archives && id ? id : "");
}

static void show_location(const struct lttng_trace_archive_location *location)
{
	enum lttng_trace_archive_location_relay_protocol_type protocol = 77;
	const char *path = NULL, *host = NULL, *relative = NULL;
	uint16_t control = 0, data = 0;

	printf("  type %d\n", (int) lttng_trace_archive_location_get_type(location));
	SHOW(lttng_trace_archive_location_local_get_absolute_path(location, &path));
	show_path("absolute path", path);
	SHOW(lttng_trace_archive_location_relay_get_host(location, &host));
	SHOW(lttng_trace_archive_location_relay_get_relative_path(location, &relative));
	SHOW(lttng_trace_archive_location_relay_get_control_port(location, &control));
	SHOW(lttng_trace_archive_location_relay_get_data_port(location, &data));
	SHOW(lttng_trace_archive_location_relay_get_protocol_type(location, &protocol));
	printf("  host %s ports %d protocol %d\n", host ? host : "null", control && data == control + 1,
	       (int) protocol);
	show_path("relative path", relative);
}

static struct lttng_handle *session(const char *name)
{
	struct lttng_domain domain = { .type = LTTNG_DOMAIN_UST, .buf_type = LTTNG_BUFFER_PER_UID };
	struct lttng_handle *handle = lttng_create_handle(name, &domain);
	struct lttng_event event = { .name = "emitter:*", .loglevel = -1 };

	SHOW(lttng_enable_event(handle, &event, NULL));
	return handle;
}

static void show_rotation(const char *name, int first_at_relay)
{
	struct lttng_rotation_handle *handle = NULL;
	const struct lttng_trace_archive_location *location = NULL;
	enum lttng_rotation_state state = 77;

	SHOW(lttng_rotate_session(name, NULL, &handle));
	if (!handle)
		return;
	do {
		if (lttng_rotation_handle_get_state(handle, &state))
			break;
		usleep(1000);
	} while (state == LTTNG_ROTATION_STATE_ONGOING);
	printf("state %d\n", (int) state);
	SHOW(lttng_rotation_handle_get_archive_location(handle, &location));
	/* Upstream's first location at a relay daemon lacks the archive's directory. */
	if (location && !first_at_relay)
		show_location(location);
	SHOW(lttng_rotation_handle_get_state(handle, NULL));
	SHOW(lttng_rotation_handle_get_archive_location(handle, NULL));
	lttng_rotation_handle_destroy(handle);
}

static void schedules(const char *name)
{
	struct lttng_rotation_schedule *size = lttng_rotation_schedule_size_threshold_create();
	struct lttng_rotation_schedule *period = lttng_rotation_schedule_periodic_create();
	const struct lttng_rotation_schedule *listed;
	struct lttng_rotation_schedules *list = NULL;
	uint64_t value = 77;
	unsigned int count = 77, i;

	printf("schedules made %d %d\n", size != NULL, period != NULL);
	SHOW(lttng_rotation_schedule_get_type(size));
	SHOW(lttng_rotation_schedule_get_type(period));
	SHOW(lttng_rotation_schedule_get_type(NULL));
	SHOW(lttng_rotation_schedule_periodic_get_period(period, &value));
	SHOW(lttng_rotation_schedule_periodic_get_period(size, &value));
	SHOW(lttng_rotation_schedule_periodic_set_period(period, 0));
	SHOW(lttng_rotation_schedule_periodic_set_period(period, UINT64_MAX));
	SHOW(lttng_session_add_rotation_schedule(name, period));
	SHOW(lttng_rotation_schedule_periodic_set_period(period, 100000000));
	SHOW(lttng_rotation_schedule_periodic_set_period(size, 5));
	SHOW(lttng_rotation_schedule_periodic_get_period(period, &value));
	printf("period %" PRIu64 "\n", value);
	SHOW(lttng_rotation_schedule_size_threshold_get_threshold(size, &value));
	SHOW(lttng_rotation_schedule_size_threshold_set_threshold(size, 0));
	SHOW(lttng_rotation_schedule_size_threshold_set_threshold(period, 5));
	SHOW(lttng_rotation_schedule_size_threshold_set_threshold(size, 1 << 30));
	SHOW(lttng_rotation_schedule_size_threshold_get_threshold(size, &value));
	printf("threshold %" PRIu64 "\n", value);
	SHOW(lttng_session_list_rotation_schedules(name, &list));
	SHOW(lttng_rotation_schedules_get_count(list, &count));
	printf("count %u\n", count);
	lttng_rotation_schedules_destroy(list);
	SHOW(lttng_session_remove_rotation_schedule(name, period));
	SHOW(lttng_session_add_rotation_schedule(name, period));
	SHOW(lttng_session_add_rotation_schedule(name, period));
	SHOW(lttng_session_add_rotation_schedule(name, size));
	SHOW(lttng_session_add_rotation_schedule("nosuch", size));
	SHOW(lttng_session_add_rotation_schedule(NULL, size));
	SHOW(lttng_session_add_rotation_schedule(name, NULL));
	SHOW(lttng_session_list_rotation_schedules("nosuch", &list));
	SHOW(lttng_session_list_rotation_schedules(NULL, &list));
	SHOW(lttng_session_list_rotation_schedules(name, &list));
	SHOW(lttng_rotation_schedules_get_count(list, &count));
	for (i = 0; i <= count; i++) {
		listed = lttng_rotation_schedules_get_at_index(list, i);
		printf("schedule %d type %d\n", listed != NULL,
		       (int) lttng_rotation_schedule_get_type(listed));
		value = 0;
		if (listed && !lttng_rotation_schedule_periodic_get_period(listed, &value))
			printf("  period %" PRIu64 "\n", value);
		if (listed && !lttng_rotation_schedule_size_threshold_get_threshold(listed, &value))
			printf("  threshold %" PRIu64 "\n", value);
	}
	lttng_rotation_schedules_destroy(list);
	SHOW(lttng_rotation_schedules_get_count(NULL, &count));
	SHOW(lttng_session_remove_rotation_schedule(name, size));
	SHOW(lttng_session_remove_rotation_schedule(name, size));
	SHOW(lttng_session_remove_rotation_schedule(name, period));
	SHOW(lttng_session_remove_rotation_schedule("nosuch", period));
	lttng_rotation_schedule_destroy(size);
	lttng_rotation_schedule_destroy(period);
	lttng_rotation_schedule_destroy(NULL);
	lttng_rotation_schedules_destroy(NULL);
}

static void rotations(void)
{
	struct lttng_rotation_handle *none = (void *) 1, *handle = NULL;
	struct lttng_destruction_handle *destruction = NULL;
	const struct lttng_trace_archive_location *location = NULL;
	enum lttng_rotation_state state = 77;
	char path[2048];

	printf("--- rotations\n");
	SHOW(lttng_rotate_session(NULL, NULL, &none));
	SHOW(lttng_rotate_session("nosuch", NULL, &handle));
	SHOW(lttng_rotation_handle_get_state(NULL, &state));
	SHOW(lttng_rotation_handle_get_archive_location(NULL, &location));
	lttng_rotation_handle_destroy(NULL);
	snprintf(path, sizeof(path), "%s/rotated", directory);
	SHOW(lttng_create_session("rotated", path));
	SHOW(lttng_rotate_session("rotated", NULL, &handle));
	lttng_destroy_handle(session("rotated"));
	SHOW(lttng_start_tracing("rotated"));
	show_rotation("rotated", 0);
	show_rotation("rotated", 0);
	schedules("rotated");
	SHOW(lttng_stop_tracing("rotated"));
	show_rotation("rotated", 0);
	show_rotation("rotated", 0);
	SHOW(lttng_start_tracing("rotated"));
	SHOW(lttng_destroy_session_ext("rotated", &destruction));
	SHOW(lttng_destruction_handle_wait_for_completion(destruction, -1));
	SHOW(lttng_destruction_handle_get_rotation_state(destruction, &state));
	printf("state %d\n", (int) state);
	SHOW(lttng_destruction_handle_get_archive_location(destruction, &location));
	show_location(location);
	lttng_destruction_handle_destroy(destruction);
	SHOW(lttng_trace_archive_location_get_type(NULL));
	SHOW(lttng_create_session("remote", url));
	lttng_destroy_handle(session("remote"));
	SHOW(lttng_start_tracing("remote"));
	show_rotation("remote", 1);
	show_rotation("remote", 0);
	SHOW(lttng_destroy_session("remote"));
	SHOW(lttng_create_session("without", NULL));
	lttng_destroy_handle(session("without"));
	SHOW(lttng_start_tracing("without"));
	SHOW(lttng_rotate_session("without", NULL, &handle));
	SHOW(lttng_destroy_session("without"));
}

static void show_output(const struct lttng_snapshot_output *output)
{
	printf("output %u name '%s' control '%s' data '%s' size %" PRIu64 "\n",
	       lttng_snapshot_output_get_id(output), lttng_snapshot_output_get_name(output),
	       lttng_snapshot_output_get_ctrl_url(output), lttng_snapshot_output_get_data_url(output),
	       lttng_snapshot_output_get_maxsize(output));
}

static void show_outputs(const char *name)
{
	struct lttng_snapshot_output_list *list = NULL;
	struct lttng_snapshot_output *output;

	SHOW(lttng_snapshot_list_output(name, &list));
	if (!list)
		return;
	while ((output = lttng_snapshot_output_list_get_next(list)))
		show_output(output);
	SHOW(lttng_snapshot_output_list_get_next(list) != NULL);
	lttng_snapshot_output_list_destroy(list);
}

static void outputs(void)
{
	struct lttng_snapshot_output *output = lttng_snapshot_output_create();
	char long_name[600];

	memset(long_name, 'x', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = 0;
	show_output(output);
	SHOW(lttng_snapshot_output_set_id(0, output));
	SHOW(lttng_snapshot_output_set_id(7, output));
	SHOW(lttng_snapshot_output_set_id(7, NULL));
	SHOW(lttng_snapshot_output_set_size(1000, output));
	SHOW(lttng_snapshot_output_set_size(0, output));
	SHOW(lttng_snapshot_output_set_size(1, NULL));
	SHOW(lttng_snapshot_output_set_name("name", output));
	SHOW(lttng_snapshot_output_set_name(NULL, output));
	SHOW(lttng_snapshot_output_set_name("", output));
	SHOW(lttng_snapshot_output_set_name(long_name, output));
	show_output(output);
	SHOW(lttng_snapshot_output_set_local_path("/tmp/x", output));
	show_output(output);
	SHOW(lttng_snapshot_output_set_local_path("relative", output));
	SHOW(lttng_snapshot_output_set_local_path("file:///tmp/y", output));
	SHOW(lttng_snapshot_output_set_local_path("net://127.0.0.1", output));
	SHOW(lttng_snapshot_output_set_local_path(NULL, output));
	show_output(output);
	SHOW(lttng_snapshot_output_set_network_url("net://127.0.0.1", output));
	show_output(output);
	SHOW(lttng_snapshot_output_set_network_url("tcp://127.0.0.1", output));
	SHOW(lttng_snapshot_output_set_network_url("/tmp/x", output));
	SHOW(lttng_snapshot_output_set_network_url(NULL, output));
	SHOW(lttng_snapshot_output_set_network_urls("tcp://127.0.0.1", "tcp://127.0.0.1", output));
	show_output(output);
	SHOW(lttng_snapshot_output_set_network_urls("tcp://127.0.0.1", NULL, output));
	SHOW(lttng_snapshot_output_set_network_urls("tcp://127.0.0.1", "tcp://127.0.0.2", output));
	SHOW(lttng_snapshot_output_set_network_urls("net://127.0.0.1", "net://127.0.0.1", output));
	show_output(output);
	SHOW(lttng_snapshot_output_set_ctrl_url("tcp://127.0.0.1:7", output));
	SHOW(lttng_snapshot_output_set_data_url("tcp://127.0.0.1:8", output));
	SHOW(lttng_snapshot_output_set_ctrl_url("foo", output));
	SHOW(lttng_snapshot_output_set_ctrl_url("/tmp/z", output));
	SHOW(lttng_snapshot_output_set_data_url(NULL, output));
	show_output(output);
	lttng_snapshot_output_destroy(output);
	lttng_snapshot_output_destroy(NULL);
}

static void snapshots(void)
{
	struct lttng_snapshot_output *output = lttng_snapshot_output_create();
	struct lttng_snapshot_output *other = lttng_snapshot_output_create();
	struct lttng_rotation_handle *handle = NULL;
	char path[2048], second[2048];

	printf("--- snapshots\n");
	outputs();
	snprintf(path, sizeof(path), "%s/snapshots", directory);
	snprintf(second, sizeof(second), "%s/more", directory);
	SHOW(lttng_create_session_snapshot("bad", "foo://x"));
	SHOW(lttng_create_session_snapshot("bad", "tcp://x"));
	SHOW(lttng_create_session_snapshot(NULL, NULL));
	SHOW(lttng_create_session_snapshot("empty", NULL));
	show_outputs("empty");
	SHOW(lttng_create_session_snapshot("net", "net://127.0.0.1/sub"));
	show_outputs("net");
	SHOW(lttng_destroy_session("net"));
	show_outputs("nosuch");
	SHOW(lttng_snapshot_list_output(NULL, NULL));
	SHOW(lttng_snapshot_record("empty", NULL, 0));
	lttng_destroy_handle(session("empty"));
	SHOW(lttng_start_tracing("empty"));
	SHOW(lttng_snapshot_record("empty", NULL, 0));
	SHOW(lttng_snapshot_add_output("empty", output));
	SHOW(lttng_snapshot_output_set_local_path(path, output));
	SHOW(lttng_snapshot_add_output("empty", output));
	printf("id %u name '%s'\n", lttng_snapshot_output_get_id(output),
	       lttng_snapshot_output_get_name(output));
	SHOW(lttng_snapshot_add_output("empty", output));
	SHOW(lttng_snapshot_add_output("nosuch", output));
	SHOW(lttng_snapshot_add_output(NULL, output));
	SHOW(lttng_snapshot_add_output("empty", NULL));
	SHOW(lttng_snapshot_record("empty", NULL, 0));
	SHOW(lttng_snapshot_record("empty", NULL, 1));
	SHOW(lttng_snapshot_output_set_local_path(second, other));
	SHOW(lttng_snapshot_output_set_name("mine", other));
	SHOW(lttng_snapshot_record("empty", other, 0));
	SHOW(lttng_snapshot_record("nosuch", NULL, 0));
	SHOW(lttng_snapshot_record(NULL, NULL, 0));
	SHOW(lttng_snapshot_del_output("empty", other));
	SHOW(lttng_snapshot_del_output("nosuch", output));
	SHOW(lttng_snapshot_del_output("empty", NULL));
	SHOW(lttng_snapshot_del_output("empty", output));
	SHOW(lttng_snapshot_del_output("empty", output));
	show_outputs("empty");
	SHOW(lttng_snapshot_output_set_size(1 << 20, other));
	SHOW(lttng_snapshot_add_output("empty", other));
	show_outputs("empty");
	SHOW(lttng_snapshot_output_set_id(0, other));
	SHOW(lttng_rotate_session("empty", NULL, &handle));
	SHOW(lttng_destroy_session("empty"));
	SHOW(lttng_create_session("regular", "/tmp/regular"));
	show_outputs("regular");
	SHOW(lttng_snapshot_record("regular", NULL, 0));
	SHOW(lttng_snapshot_add_output("regular", output));
	SHOW(lttng_destroy_session("regular"));
	/* A session without output has snapshots too. */
	SHOW(lttng_create_session("bare", NULL));
	show_outputs("bare");
	SHOW(lttng_snapshot_record("bare", NULL, 0));
	SHOW(lttng_snapshot_add_output("bare", output));
	SHOW(lttng_destroy_session("bare"));
	lttng_snapshot_output_destroy(output);
	lttng_snapshot_output_destroy(other);
}

static void show_clear(const char *name)
{
	struct lttng_clear_handle *handle = NULL;
	enum lttng_error_code code = 1;

	SHOW(lttng_clear_session(name, &handle));
	if (!handle)
		return;
	SHOW(lttng_clear_handle_wait_for_completion(handle, -1));
	SHOW(lttng_clear_handle_wait_for_completion(handle, 0));
	SHOW(lttng_clear_handle_get_result(handle, &code));
	printf("result %d\n", (int) code);
	lttng_clear_handle_destroy(handle);
}

static void clearing(void)
{
	struct lttng_rotation_handle *handle = NULL;
	char path[2048];

	printf("--- clearing\n");
	show_clear("nosuch");
	lttng_clear_handle_destroy(NULL);
	snprintf(path, sizeof(path), "%s/cleared", directory);
	SHOW(lttng_create_session("cleared", path));
	show_clear("cleared");
	lttng_destroy_handle(session("cleared"));
	SHOW(lttng_start_tracing("cleared"));
	show_clear("cleared");
	SHOW(lttng_clear_session("cleared", NULL));
	SHOW(lttng_stop_tracing("cleared"));
	show_clear("cleared");
	SHOW(lttng_rotate_session("cleared", NULL, &handle));
	SHOW(lttng_destroy_session("cleared"));
}

static void show_sessions(void)
{
	struct lttng_session *list = NULL;
	int i, count = lttng_list_sessions(&list);

	for (i = 0; i < count; i++)
		printf("session %s enabled %u snapshot %u live %u path '%.16s'\n", list[i].name,
		       list[i].enabled, list[i].snapshot_mode, list[i].live_timer_interval,
		       list[i].path);
	free(list);
}

static void create_described(const char *what, struct lttng_session_descriptor *descriptor)
{
	const char *name = NULL;

	printf("%s made %d\n", what, descriptor != NULL);
	if (!descriptor)
		return;
	SHOW(lttng_create_session_ext(descriptor));
	SHOW(lttng_create_session_ext(descriptor));
	SHOW(lttng_session_descriptor_get_session_name(descriptor, &name));
	show_sessions();
	if (name) {
		show_outputs(name);
		lttng_destroy_session(name);
	}
	lttng_session_descriptor_destroy(descriptor);
}

static void live(void)
{
	struct lttng_rotation_handle *handle = NULL;
	struct lttng_domain domain = { .type = LTTNG_DOMAIN_UST, .buf_type = LTTNG_BUFFER_PER_UID };
	struct lttng_handle *target = lttng_create_handle("live", &domain);
	struct lttng_channel *channels = NULL;
	int count;

	printf("--- live\n");
	SHOW(lttng_create_session_live("live", "/tmp/x", 1000));
	SHOW(lttng_create_session_live("live", "net://127.0.0.1", 0));
	SHOW(lttng_create_session_live(NULL, "net://127.0.0.1", 1000));
	SHOW(lttng_create_session_live("live", url, 500000));
	SHOW(lttng_create_session_live("live", url, 500000));
	show_sessions();
	lttng_destroy_handle(session("live"));
	count = lttng_list_channels(target, &channels);
	printf("channels %d live %u switch %u\n", count,
	       count > 0 ? channels->attr.live_timer_interval : 0,
	       count > 0 ? channels->attr.switch_timer_interval : 0);
	free(channels);
	SHOW(lttng_start_tracing("live"));
	SHOW(lttng_rotate_session("live", NULL, &handle));
	SHOW(lttng_snapshot_record("live", NULL, 0));
	SHOW(lttng_destroy_session("live"));
	/* Upstream forgets the relay daemon of a live session without URL. */
	lttng_session_descriptor_destroy(lttng_session_descriptor_live_create("l", 1000000));
	create_described("live network", lttng_session_descriptor_live_network_create("l",
			"net://127.0.0.1/a", NULL, 1000000));
	create_described("live never", lttng_session_descriptor_live_create("l", 0));
	create_described("snapshot", lttng_session_descriptor_snapshot_create("l"));
	create_described("snapshot local",
			lttng_session_descriptor_snapshot_local_create("l", "/tmp/l"));
	create_described("snapshot network", lttng_session_descriptor_snapshot_network_create("l",
			"tcp://127.0.0.1", "tcp://127.0.0.1"));
	lttng_destroy_handle(target);
}

int main(int argc, char **argv)
{
	snprintf(directory, sizeof(directory), "%s", argc > 1 ? argv[1] : "/tmp/modes");
	url = argc > 2 ? argv[2] : "net://127.0.0.1";
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	rotations();
	snapshots();
	clearing();
	live();
	printf("end\n");
	return 0;
}
