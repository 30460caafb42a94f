/*
 * Calls the library in every way that matters and prints what comes back, one line per call. The same
 * binary runs with the distribution's library and daemon and with ours; the outputs are compared.
 *
 * Arguments: a directory for traces. An application with the provider `demo` must be running.
 */
#include <inttypes.h>
#include <lttng/lttng.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SHOW(call) printf("%s = %d\n", #call, (int) (call))
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static char directory[1024];

static void show_attr(const char *what, const struct lttng_channel_attr *attr)
{
	printf("%s: overwrite %d subbuf %" PRIu64 " x %" PRIu64
	       " switch %u read %u output %d tracefile %" PRIu64 " x %" PRIu64 " live %u\n",
	       what, attr->overwrite, attr->subbuf_size, attr->num_subbuf,
	       attr->switch_timer_interval, attr->read_timer_interval, (int) attr->output,
	       attr->tracefile_size, attr->tracefile_count, attr->live_timer_interval);
}

static void show_channel(struct lttng_channel *channel)
{
	uint64_t discarded = 99, lost = 99, monitor = 99;
	int64_t blocking = 99;
	int a = lttng_channel_get_discarded_event_count(channel, &discarded);
	int b = lttng_channel_get_lost_packet_count(channel, &lost);
	int c = lttng_channel_get_monitor_timer_interval(channel, &monitor);
	int d = lttng_channel_get_blocking_timeout(channel, &blocking);

	printf("channel %s enabled %u\n", channel->name, channel->enabled);
	show_attr("  attributes", &channel->attr);
	printf("  discarded %d %" PRIu64 " lost %d %" PRIu64 " monitor %d %" PRIu64
	       " blocking %d %" PRId64 "\n", a, discarded, b, lost, c, monitor, d, blocking);
}

static void show_event(struct lttng_event *event)
{
	const char *filter = "unset", *name;
	int got = lttng_event_get_filter_expression(event, &filter);
	int count = lttng_event_get_exclusion_name_count(event);
	int i;

	printf("event type %d name %s loglevel %d %d enabled %d pid %d filter %d exclusion %d flags %d\n",
	       (int) event->type, event->name, (int) event->loglevel_type, event->loglevel,
	       event->enabled, (int) event->pid, event->filter, event->exclusion, (int) event->flags);
	printf("  filter %d %s exclusions %d", got, filter ? filter : "(null)", count);
	for (i = 0; i <= count; i++) {
		name = "unset";
		got = lttng_event_get_exclusion_name(event, i, &name);
		printf(" [%d %s]", got, name);
	}
	printf(" probe %d\n", lttng_event_get_userspace_probe_location(event) != NULL);
}

static int by_name(const void *a, const void *b)
{
	const struct lttng_event *left = a, *right = b;
	int order = strcmp(left->name, right->name);

	return order ? order : left->filter - right->filter;
}

static int by_field(const void *a, const void *b)
{
	const struct lttng_event_field *left = a, *right = b;
	int order = strcmp(left->event.name, right->event.name);

	return order ? order : strcmp(left->field_name, right->field_name);
}

static void show_events(struct lttng_handle *handle, const char *channel)
{
	struct lttng_event *events = NULL;
	int i, count = lttng_list_events(handle, channel, &events);

	printf("events of %s: %d\n", channel, count);
	if (count > 0)
		qsort(events, count, sizeof(*events), by_name);
	for (i = 0; i < count; i++)
		show_event(&events[i]);
	free(events);
}

static void show_sessions(const char *moment)
{
	struct lttng_session *sessions = (void *) 1;
	int i, count = lttng_list_sessions(&sessions);

	printf("sessions %s: %d %s\n", moment, count, sessions ? "array" : "null");
	for (i = 0; i < count; i++) {
		uint64_t created = 0;
		int got = lttng_session_get_creation_time(&sessions[i], &created);
		printf("  %s enabled %u snapshot %u live %u path '%s' created %d %d\n", sessions[i].name,
		       sessions[i].enabled, sessions[i].snapshot_mode, sessions[i].live_timer_interval,
		       sessions[i].path, got, created > 1000000000u);
	}
	if (count > 0)
		free(sessions);
}

static void defaults(void)
{
	static const enum lttng_domain_type types[] = {
		LTTNG_DOMAIN_UST, LTTNG_DOMAIN_KERNEL, LTTNG_DOMAIN_JUL, LTTNG_DOMAIN_NONE,
	};
	struct lttng_channel_attr attr;
	struct lttng_domain domain;
	struct lttng_channel *channel;
	unsigned int i, buffers;

	for (i = 0; i < COUNT(types); i++) {
		for (buffers = 0; buffers < 3; buffers++) {
			memset(&domain, 0, sizeof(domain));
			domain.type = types[i];
			domain.buf_type = buffers;
			memset(&attr, 0, sizeof(attr));
			printf("domain %d buffers %u ", (int) types[i], buffers);
			lttng_channel_set_default_attr(&domain, &attr);
			show_attr("defaults", &attr);
			channel = lttng_channel_create(&domain);
			printf("  created %d\n", channel != NULL);
			if (channel)
				show_channel(channel);
			lttng_channel_destroy(channel);
		}
	}
	SHOW(lttng_channel_create(NULL) != NULL);
	memset(&attr, 0, sizeof(attr));
	lttng_channel_set_default_attr(NULL, &attr);
	show_attr("no domain", &attr);
	SHOW(lttng_channel_get_monitor_timer_interval(NULL, NULL));
	SHOW(lttng_channel_set_monitor_timer_interval(NULL, 1));
	SHOW(lttng_channel_set_blocking_timeout(NULL, 1));
	memset(&domain, 0, sizeof(domain));
	domain.type = LTTNG_DOMAIN_UST;
	domain.buf_type = LTTNG_BUFFER_PER_UID;
	channel = lttng_channel_create(&domain);
	SHOW(lttng_channel_set_blocking_timeout(channel, -1));
	SHOW(lttng_channel_set_blocking_timeout(channel, -2));
	SHOW(lttng_channel_set_blocking_timeout(channel, 4294967297ll));
	SHOW(lttng_channel_set_monitor_timer_interval(channel, 5000));
	SHOW(lttng_channel_get_blocking_timeout(channel, NULL));
	show_channel(channel);
	lttng_channel_destroy(channel);
	SHOW(lttng_event_get_exclusion_name_count(NULL));
	SHOW(lttng_event_get_filter_expression(NULL, NULL));
	{
		struct lttng_event *event = lttng_event_create();
		show_event(event);
		lttng_event_destroy(event);
	}
	lttng_event_destroy(NULL);
	lttng_destroy_handle(NULL);
	{
		struct lttng_handle *handle = lttng_create_handle(NULL, NULL);
		printf("handle '%s' %d\n", handle->session_name, (int) handle->domain.type);
		lttng_destroy_handle(handle);
	}
}

static void errors(void)
{
	int code;

	for (code = 3; code > -260; code--) {
		const char *text = lttng_strerror(code);
		printf("strerror %d %s\n", code, text ? text : "(null)");
	}
}

static void descriptors(void)
{
	struct lttng_session_descriptor *made;
	const char *name = "unset";
	char path[1100];

	SHOW(lttng_session_descriptor_create("x") != NULL);
	SHOW(lttng_session_descriptor_create("") != NULL);
	SHOW(lttng_session_descriptor_local_create("x", "relative") != NULL);
	SHOW(lttng_session_descriptor_local_create("x", "file:///tmp/a") != NULL);
	SHOW(lttng_session_descriptor_local_create("x", "net://localhost") != NULL);
	SHOW(lttng_session_descriptor_network_create("x", NULL, NULL) != NULL);
	SHOW(lttng_session_descriptor_network_create("x", "net://127.0.0.1", NULL) != NULL);
	SHOW(lttng_session_descriptor_network_create("x", "tcp://127.0.0.1", NULL) != NULL);
	SHOW(lttng_session_descriptor_network_create("x", NULL, "tcp://127.0.0.1") != NULL);
	SHOW(lttng_session_descriptor_network_create("x", "tcp://127.0.0.1", "tcp://127.0.0.1") != NULL);
	SHOW(lttng_session_descriptor_network_create("x", "/tmp", NULL) != NULL);
	SHOW(lttng_session_descriptor_live_create("x", 0) != NULL);
	SHOW(lttng_session_descriptor_live_create("x", 1000000) != NULL);
	SHOW(lttng_session_descriptor_live_network_create("x", "net://127.0.0.1", NULL, 1000000) != NULL);
	SHOW(lttng_session_descriptor_live_network_create("x", NULL, NULL, 0) != NULL);
	SHOW(lttng_session_descriptor_snapshot_create(NULL) != NULL);
	SHOW(lttng_session_descriptor_snapshot_local_create("x", "/tmp/a") != NULL);
	SHOW(lttng_session_descriptor_snapshot_network_create("x", "net://127.0.0.1", NULL) != NULL);
	SHOW(lttng_session_descriptor_get_session_name(NULL, &name));
	lttng_session_descriptor_destroy(NULL);
	SHOW(lttng_create_session_ext(NULL));

	snprintf(path, sizeof(path), "%s/described", directory);
	made = lttng_session_descriptor_local_create(NULL, path);
	SHOW(lttng_session_descriptor_get_session_name(made, NULL));
	SHOW(lttng_session_descriptor_get_session_name(made, &name));
	printf("name %s\n", name);
	SHOW(lttng_create_session_ext(made));
	SHOW(lttng_session_descriptor_get_session_name(made, &name));
	printf("automatic %d\n", strncmp(name, "auto-", 5) == 0);
	SHOW(lttng_create_session_ext(made));
	SHOW(lttng_destroy_session(name));
	lttng_session_descriptor_destroy(made);
	made = lttng_session_descriptor_create("plain");
	SHOW(lttng_create_session_ext(made));
	SHOW(lttng_create_session_ext(made));
	show_sessions("with a described one");
	SHOW(lttng_destroy_session("plain"));
	lttng_session_descriptor_destroy(made);
	made = lttng_session_descriptor_network_create("remote", "tcp://127.0.0.1:7100", "tcp://127.0.0.1:7200");
	SHOW(lttng_create_session_ext(made));
	show_sessions("with a remote one");
	SHOW(lttng_destroy_session("remote"));
	lttng_session_descriptor_destroy(made);
}

static void bad_sessions(void)
{
	struct lttng_handle *handle;
	struct lttng_domain *domains = (void *) 1;
	struct lttng_domain ust = { .type = LTTNG_DOMAIN_UST, .buf_type = LTTNG_BUFFER_PER_UID };
	char long_name[300];

	memset(long_name, 'x', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = 0;
	SHOW(lttng_create_session(NULL, NULL));
	SHOW(lttng_create_session("", NULL));
	SHOW(lttng_create_session("a/b", NULL));
	SHOW(lttng_create_session("x", ""));
	SHOW(lttng_create_session("x", "relative/path"));
	SHOW(lttng_create_session("x", "tcp://127.0.0.1"));
	SHOW(lttng_create_session("x", "file://relative"));
	SHOW(lttng_create_session("x", "net://127.0.0.1:99999"));
	SHOW(lttng_create_session("x", "net://"));
	SHOW(lttng_create_session("x", "net://no-such-host.invalid"));
	SHOW(lttng_create_session_live("x", NULL, 0));
	SHOW(lttng_create_session_live("x", "/tmp", 1000000));
	SHOW(lttng_create_session_live(NULL, NULL, 1000000));
	SHOW(lttng_create_session_snapshot(NULL, NULL));
	show_sessions("when nothing worked");
	SHOW(lttng_start_tracing(NULL));
	SHOW(lttng_start_tracing("nosuch"));
	SHOW(lttng_start_tracing(long_name));
	SHOW(lttng_stop_tracing(NULL));
	SHOW(lttng_stop_tracing("nosuch"));
	SHOW(lttng_stop_tracing_no_wait("nosuch"));
	SHOW(lttng_destroy_session(NULL));
	SHOW(lttng_destroy_session("nosuch"));
	SHOW(lttng_data_pending(NULL));
	SHOW(lttng_data_pending("nosuch"));
	SHOW(lttng_list_domains(NULL, &domains));
	SHOW(lttng_list_domains("nosuch", &domains));
	SHOW(lttng_set_session_shm_path(NULL, "/tmp"));
	SHOW(lttng_set_session_shm_path("nosuch", "/tmp"));
	SHOW(lttng_regenerate_metadata("nosuch"));
	SHOW(lttng_regenerate_statedump("nosuch"));
	SHOW(lttng_calibrate(NULL, NULL));
	handle = lttng_create_handle("nosuch", &ust);
	SHOW(lttng_enable_event(handle, NULL, NULL));
	SHOW(lttng_enable_channel(handle, NULL));
	SHOW(lttng_disable_channel(handle, NULL));
	SHOW(lttng_disable_channel(handle, "c"));
	SHOW(lttng_disable_event(NULL, "e", "c"));
	SHOW(lttng_add_context(handle, NULL, NULL, NULL));
	SHOW(lttng_set_consumer_url(handle, NULL, NULL));
	SHOW(lttng_set_consumer_url(NULL, "net://127.0.0.1", NULL));
	SHOW(lttng_session_get_creation_time(NULL, NULL));
	{
		struct lttng_channel *channels = NULL;
		struct lttng_event *events = NULL;
		SHOW(lttng_list_channels(handle, &channels));
		SHOW(lttng_list_channels(NULL, &channels));
		SHOW(lttng_list_events(handle, "c", &events));
		SHOW(lttng_list_events(handle, NULL, &events));
		SHOW(lttng_list_events(NULL, "c", &events));
	}
	lttng_destroy_handle(handle);
}

static void channels(struct lttng_handle *handle, struct lttng_domain *domain)
{
	struct lttng_channel *channel = lttng_channel_create(domain), *list = NULL;
	struct lttng_channel plain = { .name = "plain" };
	int i, count;

	strcpy(channel->name, "first");
	channel->attr.subbuf_size = 65536;
	channel->attr.num_subbuf = 8;
	channel->attr.switch_timer_interval = 100000;
	channel->attr.tracefile_size = 1048576;
	channel->attr.tracefile_count = 3;
	SHOW(lttng_channel_set_blocking_timeout(channel, 1000));
	SHOW(lttng_channel_set_monitor_timer_interval(channel, 2000000));
	SHOW(lttng_enable_channel(handle, channel));
	SHOW(lttng_enable_channel(handle, channel));
	SHOW(lttng_disable_channel(handle, "first"));
	SHOW(lttng_disable_channel(handle, "first"));
	SHOW(lttng_enable_channel(handle, channel));
	SHOW(lttng_disable_channel(handle, "nosuch"));
	strcpy(channel->name, "odd");
	channel->attr.subbuf_size = 5000;
	SHOW(lttng_enable_channel(handle, channel));
	channel->attr.subbuf_size = 0;
	SHOW(lttng_enable_channel(handle, channel));
	channel->attr.subbuf_size = 65536;
	channel->attr.num_subbuf = 3;
	SHOW(lttng_enable_channel(handle, channel));
	channel->attr.num_subbuf = 0;
	SHOW(lttng_enable_channel(handle, channel));
	lttng_channel_destroy(channel);
	lttng_channel_set_default_attr(domain, &plain.attr);
	plain.attr.overwrite = 1;
	SHOW(lttng_enable_channel(handle, &plain));
	strcpy(plain.name, "bad/name");
	SHOW(lttng_enable_channel(handle, &plain));
	count = lttng_list_channels(handle, &list);
	printf("channels %d\n", count);
	for (i = count; i > 0; i--) {
		int j;
		for (j = 0; j < count; j++) {
			if (!strcmp(list[j].name, i == 2 ? "first" : "plain"))
				show_channel(&list[j]);
		}
	}
	free(list);
}

static void events(struct lttng_handle *handle)
{
	struct lttng_event event, *made = lttng_event_create();
	struct lttng_event_context context;
	char *excluded[] = { "demo:x*", "demo:yy" };
	char *twice[] = { "demo:x*", "demo:x*" };

	show_events(handle, "first");
	memset(&event, 0, sizeof(event));
	event.loglevel = -1;
	strcpy(event.name, "demo:one");
	SHOW(lttng_enable_event(handle, &event, "first"));
	SHOW(lttng_enable_event(handle, &event, "first"));
	SHOW(lttng_enable_event(handle, &event, "nosuch"));
	SHOW(lttng_enable_event(handle, &event, NULL));
	SHOW(lttng_enable_event_with_filter(handle, &event, "first", "n > 3"));
	SHOW(lttng_enable_event_with_filter(handle, &event, "first", "n >"));
	SHOW(lttng_enable_event_with_filter(handle, &event, "first", ""));
	SHOW(lttng_enable_event_with_filter(handle, &event, "first", NULL));
	strcpy(event.name, "demo:*");
	event.loglevel_type = LTTNG_EVENT_LOGLEVEL_RANGE;
	event.loglevel = LTTNG_LOGLEVEL_INFO;
	SHOW(lttng_enable_event_with_exclusions(handle, &event, "nosuch", "thread == 1", 2, excluded));
	SHOW(lttng_enable_event_with_exclusions(handle, &event, "nosuch", NULL, 2, twice));
	event.loglevel_type = LTTNG_EVENT_LOGLEVEL_SINGLE;
	event.loglevel = LTTNG_LOGLEVEL_ERR;
	SHOW(lttng_enable_event(handle, &event, "first"));
	memset(&event, 0, sizeof(event));
	event.loglevel = -1;
	event.name[0] = 0;
	SHOW(lttng_enable_event(handle, &event, "plain"));
	printf("name now '%s'\n", event.name);
	strcpy(made->name, "made:event");
	made->type = LTTNG_EVENT_TRACEPOINT;
	made->loglevel = -1;
	SHOW(lttng_enable_event(handle, made, "plain"));
	lttng_event_destroy(made);
	show_events(handle, "first");
	show_events(handle, "plain");
	SHOW(lttng_disable_event(handle, "made:event", "plain"));
	SHOW(lttng_disable_event(handle, "made:event", "plain"));
	SHOW(lttng_disable_event(handle, "nosuch", "plain"));
	SHOW(lttng_disable_event(handle, NULL, "plain"));
	SHOW(lttng_disable_event_ext(handle, NULL, "first", NULL));
	show_events(handle, "first");
	show_events(handle, "plain");

	memset(&context, 0, sizeof(context));
	context.ctx = LTTNG_EVENT_CONTEXT_VPID;
	SHOW(lttng_add_context(handle, &context, NULL, "first"));
	SHOW(lttng_add_context(handle, &context, NULL, "first"));
	context.ctx = LTTNG_EVENT_CONTEXT_PROCNAME;
	SHOW(lttng_add_context(handle, &context, NULL, NULL));
	context.ctx = LTTNG_EVENT_CONTEXT_IP;
	SHOW(lttng_add_context(handle, &context, NULL, "nosuch"));
	context.ctx = LTTNG_EVENT_CONTEXT_TID;
	SHOW(lttng_add_context(handle, &context, NULL, "first"));
	context.ctx = LTTNG_EVENT_CONTEXT_APP_CONTEXT;
	context.u.app_ctx.provider_name = "myprovider";
	context.u.app_ctx.ctx_name = "mytype";
	SHOW(lttng_add_context(handle, &context, NULL, "first"));
}

static void tracepoints(struct lttng_handle *handle)
{
	struct lttng_event *list = NULL;
	struct lttng_event_field *fields = NULL;
	int i, count = lttng_list_tracepoints(handle, &list);

	printf("tracepoints %d\n", count > 0);
	if (count > 0)
		qsort(list, count, sizeof(*list), by_name);
	for (i = 0; i < count; i++) {
		if (strncmp(list[i].name, "emitter:", 8))
			continue;
		printf("  %s type %d loglevel %d %d enabled %d pid %d filter %d flags %d\n", list[i].name,
		       (int) list[i].type, (int) list[i].loglevel_type, list[i].loglevel, list[i].enabled,
		       list[i].pid > 0, list[i].filter, (int) list[i].flags);
	}
	free(list);
	count = lttng_list_tracepoint_fields(handle, &fields);
	printf("fields %d\n", count > 0);
	if (count > 0)
		qsort(fields, count, sizeof(*fields), by_field);
	for (i = 0; i < count; i++) {
		if (strncmp(fields[i].event.name, "emitter:", 8))
			continue;
		printf("  %s %s type %d nowrite %d loglevel %d pid %d enabled %d\n", fields[i].event.name,
		       fields[i].field_name, (int) fields[i].type, fields[i].nowrite,
		       fields[i].event.loglevel, fields[i].event.pid > 0, fields[i].event.enabled);
	}
	free(fields);
	SHOW(lttng_list_tracepoints(NULL, &list));
	SHOW(lttng_list_tracepoint_fields(NULL, &fields));
}

static void life(void)
{
	struct lttng_domain domain = { .type = LTTNG_DOMAIN_UST, .buf_type = LTTNG_BUFFER_PER_UID };
	struct lttng_domain *domains = (void *) 1;
	struct lttng_handle *handle = lttng_create_handle("life", &domain);
	struct lttng_destruction_handle *destruction = NULL;
	const struct lttng_trace_archive_location *location = (void *) 1;
	enum lttng_error_code code = 1;
	enum lttng_rotation_state state = 77;
	int count;

	SHOW(lttng_create_session("life", directory));
	SHOW(lttng_create_session("life", directory));
	SHOW(lttng_create_session("none", NULL));
	SHOW(lttng_destroy_session("none"));
	SHOW(lttng_start_tracing("life"));
	SHOW(lttng_list_domains("life", &domains));
	SHOW(lttng_stop_tracing("life"));
	show_sessions("before");
	channels(handle, &domain);
	events(handle);
	tracepoints(handle);
	domains = NULL;
	count = lttng_list_domains("life", &domains);
	printf("domains %d", count);
	if (count > 0)
		printf(" type %d buffers %d", (int) domains->type, (int) domains->buf_type);
	printf("\n");
	free(domains);
	SHOW(lttng_start_tracing("life"));
	SHOW(lttng_start_tracing("life"));
	show_sessions("during");
	SHOW(lttng_stop_tracing_no_wait("life"));
	while (lttng_data_pending("life") == 1)
		usleep(1000);
	SHOW(lttng_data_pending("life"));
	SHOW(lttng_stop_tracing("life"));
	show_sessions("after");
	SHOW(lttng_destroy_session_ext(NULL, NULL));
	SHOW(lttng_destroy_session_ext("life", &destruction));
	SHOW(lttng_destruction_handle_wait_for_completion(NULL, -1));
	SHOW(lttng_destruction_handle_wait_for_completion(destruction, -1));
	SHOW(lttng_destruction_handle_wait_for_completion(destruction, 0));
	SHOW(lttng_destruction_handle_get_result(destruction, &code));
	printf("result %d\n", (int) code);
	SHOW(lttng_destruction_handle_get_rotation_state(destruction, &state));
	printf("rotation %d\n", (int) state);
	SHOW(lttng_destruction_handle_get_archive_location(destruction, &location));
	printf("location %s\n", location ? "there" : "null");
	lttng_destruction_handle_destroy(destruction);
	lttng_destruction_handle_destroy(NULL);
	SHOW(lttng_destroy_session_ext("nosuch", &destruction));
	SHOW(lttng_destruction_handle_wait_for_completion(destruction, -1));
	SHOW(lttng_destruction_handle_get_result(destruction, &code));
	printf("result %d\n", (int) code);
	lttng_destruction_handle_destroy(destruction);
	lttng_destroy_handle(handle);
	show_sessions("at the end");
}

int main(int argc, char **argv)
{
	snprintf(directory, sizeof(directory), "%s", argc > 1 ? argv[1] : "/tmp/behaviour");
	setvbuf(stdout, NULL, _IOLBF, 0);
	/* The stock daemon hangs up on some bad requests before they are sent whole. */
	signal(SIGPIPE, SIG_IGN);
	defaults();
	errors();
	SHOW(lttng_set_tracing_group(NULL));
	SHOW(lttng_set_tracing_group("tracing"));
	SHOW(lttng_session_daemon_alive());
	show_sessions("at first");
	if (argc > 2)
		return 0;
	bad_sessions();
	descriptors();
	life();
	return 0;
}
