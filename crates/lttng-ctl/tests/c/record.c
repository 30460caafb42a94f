/*
 * Records with upstream's calls: `record begin DIRECTORY` sets everything up and starts, `record end` stops,
 * looks at everything and destroys.
 */
#include "check.h"
#include <lttng/lttng.h>
#include <string.h>
#include <unistd.h>

static const char *const session = "recorded";

static void add(struct lttng_handle *handle, enum lttng_event_context_type type)
{
	struct lttng_event_context context;

	memset(&context, 0, sizeof(context));
	context.ctx = type;
	EXPECT(lttng_add_context(handle, &context, NULL, "chan"), 0);
}

static void begin(struct lttng_domain *domain, struct lttng_handle *handle, const char *directory)
{
	struct lttng_channel *channel = lttng_channel_create(domain);
	struct lttng_event *event = lttng_event_create();
	char *excluded[] = { "emitter:b*", "emitter:level_*" };

	EXPECT(lttng_session_daemon_alive(), 1);
	EXPECT(lttng_create_session(session, directory), 0);
	strcpy(channel->name, "chan");
	channel->attr.overwrite = 0;
	channel->attr.subbuf_size = 65536;
	channel->attr.num_subbuf = 8;
	channel->attr.switch_timer_interval = 50000;
	EXPECT(lttng_channel_set_blocking_timeout(channel, -1), 0);
	EXPECT(lttng_enable_channel(handle, channel), 0);
	event->type = LTTNG_EVENT_TRACEPOINT;
	event->loglevel_type = LTTNG_EVENT_LOGLEVEL_ALL;
	event->loglevel = -1;
	strcpy(event->name, "emitter:*");
	EXPECT(lttng_enable_event_with_exclusions(handle, event, "chan", "thread == 1", 2, excluded), 0);
	add(handle, LTTNG_EVENT_CONTEXT_VPID);
	add(handle, LTTNG_EVENT_CONTEXT_PROCNAME);
	EXPECT(lttng_start_tracing(session), 0);
	lttng_event_destroy(event);
	lttng_channel_destroy(channel);
}

static void look_at_session(void)
{
	struct lttng_session *sessions = NULL;
	struct lttng_domain *domains = NULL;
	uint64_t created = 0;

	EXPECT(lttng_list_sessions(&sessions), 1);
	EXPECT(strcmp(sessions[0].name, session), 0);
	EXPECT(sessions[0].enabled, 0);
	EXPECT(sessions[0].path[0], '/');
	EXPECT(lttng_session_get_creation_time(&sessions[0], &created), LTTNG_OK);
	EXPECT(created > 1700000000, 1);
	EXPECT(lttng_list_domains(session, &domains), 1);
	EXPECT(domains[0].type, LTTNG_DOMAIN_UST);
	EXPECT(domains[0].buf_type, LTTNG_BUFFER_PER_UID);
	free(domains);
	free(sessions);
}

static void look_at_channel(struct lttng_handle *handle)
{
	struct lttng_channel *channels = NULL;
	struct lttng_event *events = NULL;
	const char *text = NULL;
	uint64_t number = 1;
	int64_t timeout = 0;

	EXPECT(lttng_list_channels(handle, &channels), 1);
	EXPECT(strcmp(channels[0].name, "chan"), 0);
	EXPECT(channels[0].enabled, 1);
	EXPECT(channels[0].attr.subbuf_size, 65536);
	EXPECT(channels[0].attr.num_subbuf, 8);
	EXPECT(channels[0].attr.switch_timer_interval, 50000);
	EXPECT(lttng_channel_get_discarded_event_count(&channels[0], &number), 0);
	EXPECT(number, 0);
	EXPECT(lttng_channel_get_blocking_timeout(&channels[0], &timeout), 0);
	EXPECT(timeout, -1);
	EXPECT(lttng_list_events(handle, "chan", &events), 1);
	EXPECT(strcmp(events[0].name, "emitter:*"), 0);
	EXPECT(events[0].enabled, 1);
	EXPECT(events[0].filter, 1);
	EXPECT(events[0].exclusion, 1);
	EXPECT(lttng_event_get_filter_expression(&events[0], &text), 0);
	EXPECT(strcmp(text, "thread == 1"), 0);
	EXPECT(lttng_event_get_exclusion_name_count(&events[0]), 2);
	EXPECT(lttng_event_get_exclusion_name(&events[0], 0, &text), 0);
	EXPECT(strcmp(text, "emitter:b*"), 0);
	EXPECT(lttng_event_get_exclusion_name(&events[0], 1, &text), 0);
	EXPECT(strcmp(text, "emitter:level_*"), 0);
	EXPECT(lttng_event_get_exclusion_name(&events[0], 2, &text), -LTTNG_ERR_INVALID);
	EXPECT(lttng_disable_event_ext(handle, &events[0], "chan", NULL), 0);
	free(events);
	EXPECT(lttng_list_events(handle, "chan", &events), 1);
	EXPECT(events[0].enabled, 0);
	free(events);
	free(channels);
	EXPECT(lttng_list_events(handle, "nosuch", &events), -LTTNG_ERR_UST_CHAN_NOT_FOUND);
}

static void end(struct lttng_handle *handle)
{
	struct lttng_destruction_handle *destruction = NULL;
	enum lttng_error_code result = LTTNG_ERR_UNK;

	EXPECT(lttng_stop_tracing_no_wait(session), 0);
	while (lttng_data_pending(session) == 1)
		usleep(1000);
	EXPECT(lttng_data_pending(session), 0);
	look_at_session();
	look_at_channel(handle);
	EXPECT(lttng_destroy_session_ext(session, &destruction), LTTNG_OK);
	EXPECT(lttng_destruction_handle_wait_for_completion(destruction, -1),
	       LTTNG_DESTRUCTION_HANDLE_STATUS_COMPLETED);
	EXPECT(lttng_destruction_handle_get_result(destruction, &result),
	       LTTNG_DESTRUCTION_HANDLE_STATUS_OK);
	EXPECT(result, LTTNG_OK);
	lttng_destruction_handle_destroy(destruction);
	EXPECT(lttng_destroy_session(session), -LTTNG_ERR_SESS_NOT_FOUND);
}

int main(int argc, char **argv)
{
	struct lttng_domain domain;
	struct lttng_handle *handle;

	memset(&domain, 0, sizeof(domain));
	domain.type = LTTNG_DOMAIN_UST;
	domain.buf_type = LTTNG_BUFFER_PER_UID;
	handle = lttng_create_handle(session, &domain);
	if (argc > 2)
		begin(&domain, handle, argv[2]);
	else
		end(handle);
	lttng_destroy_handle(handle);
	return 0;
}
