/*
 * Saving and loading: calls each in every way that matters and prints what comes back. The same binary runs with the
 * distribution's library and daemon and with ours; the outputs are compared. Left out is what makes upstream's library
 * free memory twice: a name to override another, a bad URL to do so, and any second one for the same object.
 */
#include <lttng/lttng.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SHOW(call) printf("%s = %d\n", #call, (int) (call))

static const char *root;

/* Paths differ from run to run. */
static void show_text(const char *what, const char *text)
{
	const char *at = text ? strstr(text, root) : NULL;

	if (at)
		printf("%s %.*sROOT%s\n", what, (int) (at - text), text, at + strlen(root));
	else
		printf("%s %s\n", what, text ? text : "null");
}

static void show_save(struct lttng_save_session_attr *attr)
{
	show_text("  name", lttng_save_session_attr_get_session_name(attr));
	show_text("  url", lttng_save_session_attr_get_output_url(attr));
	printf("  overwrite %d omit name %d output %d\n", lttng_save_session_attr_get_overwrite(attr),
		lttng_save_session_attr_get_omit_name(attr), lttng_save_session_attr_get_omit_output(attr));
}

static void show_load(struct lttng_load_session_attr *attr)
{
	show_text("  name", lttng_load_session_attr_get_session_name(attr));
	show_text("  url", lttng_load_session_attr_get_input_url(attr));
	show_text("  override", lttng_load_session_attr_get_override_url(attr));
	show_text("  control", lttng_load_session_attr_get_override_ctrl_url(attr));
	show_text("  data", lttng_load_session_attr_get_override_data_url(attr));
	show_text("  override name", lttng_load_session_attr_get_override_session_name(attr));
	printf("  overwrite %d\n", lttng_load_session_attr_get_overwrite(attr));
}

static void show_sessions(void)
{
	struct lttng_session *sessions = NULL;
	int count = lttng_list_sessions(&sessions);

	printf("sessions: %d\n", count);
	for (int i = 0; i < count; i++) {
		printf("  %s enabled %d ", sessions[i].name, (int) sessions[i].enabled);
		show_text("to", sessions[i].path);
	}
}

static char long_name[400];

static void attributes(const char *url)
{
	struct lttng_save_session_attr *save = lttng_save_session_attr_create();
	struct lttng_load_session_attr *load = lttng_load_session_attr_create();

	memset(long_name, 'n', sizeof(long_name) - 1);
	show_save(save);
	show_save(NULL);
	SHOW(lttng_save_session_attr_set_session_name(save, "kept"));
	show_save(save);
	SHOW(lttng_save_session_attr_set_session_name(save, long_name));
	SHOW(lttng_save_session_attr_set_session_name(NULL, "x"));
	SHOW(lttng_save_session_attr_set_session_name(save, NULL));
	SHOW(lttng_save_session_attr_set_output_url(save, url));
	show_save(save);
	SHOW(lttng_save_session_attr_set_output_url(save, "relative"));
	SHOW(lttng_save_session_attr_set_output_url(save, "net://127.0.0.1"));
	SHOW(lttng_save_session_attr_set_output_url(save, "/plain"));
	show_save(save);
	SHOW(lttng_save_session_attr_set_output_url(NULL, url));
	SHOW(lttng_save_session_attr_set_output_url(save, NULL));
	SHOW(lttng_save_session_attr_set_overwrite(save, 7));
	SHOW(lttng_save_session_attr_set_overwrite(NULL, 1));
	SHOW(lttng_save_session_attr_set_omit_name(NULL, 1));
	SHOW(lttng_save_session_attr_set_omit_output(NULL, 1));
	SHOW(lttng_save_session_attr_set_omit_name(save, 0));
	SHOW(lttng_save_session_attr_set_omit_output(save, 0));
	show_save(save);
	SHOW(lttng_save_session(NULL));
	lttng_save_session_attr_destroy(save);
	lttng_save_session_attr_destroy(NULL);

	show_load(load);
	show_load(NULL);
	SHOW(lttng_load_session_attr_set_session_name(load, "kept"));
	SHOW(lttng_load_session_attr_set_session_name(load, long_name));
	SHOW(lttng_load_session_attr_set_session_name(NULL, "x"));
	SHOW(lttng_load_session_attr_set_input_url(load, url));
	show_load(load);
	SHOW(lttng_load_session_attr_set_session_name(load, NULL));
	SHOW(lttng_load_session_attr_set_input_url(load, "relative"));
	SHOW(lttng_load_session_attr_set_input_url(load, "net://127.0.0.1"));
	SHOW(lttng_load_session_attr_set_input_url(NULL, url));
	SHOW(lttng_load_session_attr_set_input_url(load, NULL));
	show_load(load);
	SHOW(lttng_load_session_attr_set_overwrite(load, 3));
	SHOW(lttng_load_session_attr_set_overwrite(NULL, 1));
	SHOW(lttng_load_session_attr_set_override_session_name(NULL, "other"));
	SHOW(lttng_load_session_attr_set_override_url(load, url));
	show_load(load);
	SHOW(lttng_load_session_attr_set_override_url(NULL, url));
	lttng_load_session_attr_destroy(load);
	load = lttng_load_session_attr_create();
	SHOW(lttng_load_session_attr_set_override_url(load, "net://127.0.0.1"));
	show_load(load);
	lttng_load_session_attr_destroy(load);
	load = lttng_load_session_attr_create();
	SHOW(lttng_load_session_attr_set_override_ctrl_url(load, "tcp://127.0.0.1"));
	show_load(load);
	SHOW(lttng_load_session_attr_set_override_data_url(load, "tcp://127.0.0.1:7000"));
	show_load(load);
	SHOW(lttng_load_session_attr_set_override_ctrl_url(NULL, "tcp://127.0.0.1"));
	SHOW(lttng_load_session_attr_set_override_data_url(NULL, "tcp://127.0.0.1"));
	SHOW(lttng_load_session(NULL));
	lttng_load_session_attr_destroy(load);
	lttng_load_session_attr_destroy(NULL);
}

static void create(const char *name, const char *url)
{
	struct lttng_domain domain = { .type = LTTNG_DOMAIN_UST, .buf_type = LTTNG_BUFFER_PER_UID };
	struct lttng_handle *handle;
	struct lttng_event event = { .type = LTTNG_EVENT_TRACEPOINT, .loglevel_type = LTTNG_EVENT_LOGLEVEL_ALL };

	strcpy(event.name, "a:b");
	SHOW(lttng_create_session(name, url));
	handle = lttng_create_handle(name, &domain);
	SHOW(lttng_enable_event(handle, &event, NULL));
	lttng_destroy_handle(handle);
}

static void there_and_back(const char *url)
{
	struct lttng_save_session_attr *save = lttng_save_session_attr_create();
	struct lttng_load_session_attr *load = lttng_load_session_attr_create();
	char trace[4096], other[4096], directory[4096];
	struct lttng_session *sessions = NULL;

	snprintf(trace, sizeof(trace), "file://%s/trace", root);
	snprintf(other, sizeof(other), "file://%s/other", root);
	snprintf(directory, sizeof(directory), "%s/saved/kept.lttng", root);
	create("kept", trace);
	SHOW(lttng_save_session_attr_set_output_url(save, url));
	SHOW(lttng_save_session_attr_set_session_name(save, "nobody"));
	SHOW(lttng_save_session(save));
	SHOW(lttng_save_session_attr_set_session_name(save, "kept"));
	SHOW(lttng_save_session(save));
	SHOW(access(directory, R_OK));
	SHOW(lttng_save_session(save));
	SHOW(lttng_save_session_attr_set_overwrite(save, 1));
	SHOW(lttng_save_session(save));
	SHOW(lttng_save_session_attr_set_session_name(save, NULL));
	SHOW(lttng_save_session(save));

	SHOW(lttng_load_session_attr_set_input_url(load, url));
	SHOW(lttng_load_session(load));
	SHOW(lttng_destroy_session("kept"));
	SHOW(lttng_load_session(load));
	show_sessions();
	SHOW(lttng_load_session_attr_set_overwrite(load, 1));
	SHOW(lttng_load_session(load));
	SHOW(lttng_load_session_attr_set_session_name(load, "nobody"));
	SHOW(lttng_load_session(load));
	SHOW(lttng_load_session_attr_set_session_name(load, "kept"));
	SHOW(lttng_load_session_attr_set_override_url(load, other));
	SHOW(lttng_load_session(load));
	/* Upstream's path has one slash more. */
	SHOW(lttng_list_sessions(&sessions));
	SHOW(strncmp(sessions[0].path, other + strlen("file://"), strlen(other) - strlen("file:///")));
	SHOW(lttng_load_session_attr_set_input_url(load, "file:///nowhere"));
	SHOW(lttng_load_session(load));
	SHOW(lttng_destroy_session("kept"));
	SHOW(unlink(directory));
	lttng_save_session_attr_destroy(save);
	lttng_load_session_attr_destroy(load);
}

int main(int argc, char **argv)
{
	char url[4096];

	(void) argc;
	setvbuf(stdout, NULL, _IOLBF, 0);
	root = argv[1];
	snprintf(url, sizeof(url), "file://%s/saved", root);
	attributes(url);
	there_and_back(url);
	printf("end\n");
	return 0;
}
