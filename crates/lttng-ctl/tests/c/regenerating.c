/*
 * Regenerating metadata and state dumps: prints what comes back. The same binary runs with the distribution's library
 * and daemon and with ours; the outputs are compared.
 *
 * Arguments: a directory for traces, and the URL of a relay daemon.
 */
#include <lttng/lttng.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define SHOW(call) printf("%s = %d\n", #call, (int) (call))

static char directory[1024];

static struct lttng_handle *session(const char *name)
{
	struct lttng_domain domain = { .type = LTTNG_DOMAIN_UST, .buf_type = LTTNG_BUFFER_PER_UID };
	struct lttng_handle *handle = lttng_create_handle(name, &domain);
	struct lttng_event event = { .name = "emitter:*", .loglevel = -1 };

	SHOW(lttng_enable_event(handle, &event, NULL));
	return handle;
}

static void regenerating(void)
{
	struct lttng_domain domain = { .type = LTTNG_DOMAIN_UST, .buf_type = LTTNG_BUFFER_PER_PID };
	struct lttng_handle *handle = lttng_create_handle("pids", &domain);
	struct lttng_event event = { .name = "emitter:*", .loglevel = -1 };
	struct lttng_channel *channel = lttng_channel_create(&domain);
	char path[2048];

	SHOW(lttng_regenerate_metadata("nosuch"));
	SHOW(lttng_regenerate_statedump("nosuch"));
	snprintf(path, sizeof(path), "%s/regenerated", directory);
	SHOW(lttng_create_session("regenerated", path));
	lttng_destroy_handle(session("regenerated"));
	SHOW(lttng_regenerate_metadata("regenerated"));
	SHOW(lttng_regenerate_statedump("regenerated"));
	SHOW(lttng_start_tracing("regenerated"));
	SHOW(lttng_regenerate_metadata("regenerated"));
	SHOW(lttng_regenerate_statedump("regenerated"));
	SHOW(lttng_destroy_session("regenerated"));
	SHOW(lttng_create_session("pids", path));
	strcpy(channel->name, "c");
	SHOW(lttng_enable_channel(handle, channel));
	SHOW(lttng_enable_event(handle, &event, "c"));
	SHOW(lttng_start_tracing("pids"));
	SHOW(lttng_regenerate_metadata("pids"));
	SHOW(lttng_regenerate_statedump("pids"));
	SHOW(lttng_destroy_session("pids"));
	lttng_channel_destroy(channel);
	lttng_destroy_handle(handle);
}

static void live(const char *url)
{
	SHOW(lttng_create_session_live("live", url, 500000));
	lttng_destroy_handle(session("live"));
	SHOW(lttng_start_tracing("live"));
	SHOW(lttng_regenerate_metadata("live"));
	SHOW(lttng_destroy_session("live"));
}

int main(int argc, char **argv)
{
	snprintf(directory, sizeof(directory), "%s", argc > 1 ? argv[1] : "/tmp/regenerating");
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	regenerating();
	live(argc > 2 ? argv[2] : "net://127.0.0.1");
	printf("end\n");
	return 0;
}
