/*
 * Records the kernel with upstream's calls: `kernel begin DIRECTORY PROGRAM` sets everything up and starts,
 * `kernel end PROGRAM` stops, looks at everything and destroys. PROGRAM has a function `step`.
 */
#include "check.h"
#include <lttng/lttng.h>
#include <string.h>
#include <unistd.h>

static const char *const session = "kernel";

static int has(const struct lttng_event *events, int count, const char *name)
{
	for (int i = 0; i < count; i++)
		if (strcmp(events[i].name, name) == 0)
			return 1;
	return 0;
}

static void what_there_is(struct lttng_handle *handle)
{
	struct lttng_event *events = NULL;
	struct lttng_event_field *fields = NULL;
	int count, found = 0;

	count = lttng_list_tracepoints(handle, &events);
	EXPECT(count > 100, 1);
	EXPECT(has(events, count, "sched_switch"), 1);
	EXPECT(has(events, count, "getppid"), 0);
	EXPECT(events[0].type, LTTNG_EVENT_TRACEPOINT);
	free(events);
	count = lttng_list_syscalls(&events);
	EXPECT(count > 100, 1);
	EXPECT(has(events, count, "getppid"), 1);
	EXPECT(events[0].type, LTTNG_EVENT_SYSCALL);
	free(events);
	count = lttng_list_tracepoint_fields(handle, &fields);
	for (int i = 0; i < count; i++)
		if (strcmp(fields[i].event.name, "sched_switch") == 0
				&& strcmp(fields[i].field_name, "next_tid") == 0) {
			EXPECT(fields[i].type, LTTNG_EVENT_FIELD_INTEGER);
			found++;
		}
	EXPECT(found, 1);
	free(fields);
}

static int has_kprobes(void)
{
	return access("/sys/kernel/tracing/kprobe_events", F_OK) == 0;
}

static int enable(struct lttng_handle *handle, enum lttng_event_type type, const char *name,
		const char *filter)
{
	struct lttng_event event;

	memset(&event, 0, sizeof(event));
	event.type = type;
	event.loglevel = -1;
	strcpy(event.name, name);
	return lttng_enable_event_with_filter(handle, &event, "chan", filter);
}

static int enable_probe(struct lttng_handle *handle, const char *program, const char *function)
{
	struct lttng_event *event = lttng_event_create();
	int result;

	event->type = LTTNG_EVENT_USERSPACE_PROBE;
	event->loglevel = -1;
	strcpy(event->name, "stepped");
	EXPECT(lttng_enable_event(handle, event, "chan"), -LTTNG_ERR_PROBE_LOCATION_INVAL);
	EXPECT(lttng_event_set_userspace_probe_location(event,
			lttng_userspace_probe_location_function_create(program, function,
			lttng_userspace_probe_location_lookup_method_function_elf_create())), 0);
	result = lttng_enable_event(handle, event, "chan");
	lttng_event_destroy(event);
	return result;
}

static int enable_in_kernel(struct lttng_handle *handle, enum lttng_event_type type)
{
	struct lttng_event event;

	memset(&event, 0, sizeof(event));
	event.type = type;
	strcpy(event.name, "in_kernel");
	EXPECT(lttng_enable_event(handle, &event, "chan"), -LTTNG_ERR_INVALID);
	if (type == LTTNG_EVENT_FUNCTION_ENTRY)
		strcpy(event.attr.ftrace.symbol_name, "kernel_clone");
	else
		strcpy(event.attr.probe.symbol_name, "kernel_clone");
	return lttng_enable_event(handle, &event, "chan");
}

static void begin(struct lttng_domain *domain, struct lttng_handle *handle, const char *directory,
		const char *program)
{
	struct lttng_channel *channel = lttng_channel_create(domain);
	int in_kernel = has_kprobes() ? 0 : -LTTNG_ERR_KERN_EVENT_ENOSYS;

	EXPECT(lttng_create_session(session, directory), 0);
	what_there_is(handle);
	strcpy(channel->name, "chan");
	channel->attr.subbuf_size = 1 << 20;
	channel->attr.num_subbuf = 8;
	channel->attr.overwrite = 0;
	EXPECT(lttng_enable_channel(handle, channel), 0);
	EXPECT(lttng_enable_channel(handle, channel), -LTTNG_ERR_KERN_CHAN_EXIST);
	EXPECT(lttng_disable_channel(handle, "chan"), 0);
	EXPECT(lttng_enable_channel(handle, channel), 0);
	EXPECT(lttng_disable_channel(handle, "other"), -LTTNG_ERR_KERN_CHAN_NOT_FOUND);
	lttng_channel_destroy(channel);

	EXPECT(enable(handle, LTTNG_EVENT_TRACEPOINT, "sched_switch", "next_tid > 0"), 0);
	EXPECT(enable(handle, LTTNG_EVENT_TRACEPOINT, "sched_switch", "next_tid > 0"),
	       -LTTNG_ERR_KERN_EVENT_EXIST);
	EXPECT(enable(handle, LTTNG_EVENT_TRACEPOINT, "no_such_event", NULL),
	       -LTTNG_ERR_KERN_ENABLE_FAIL);
	EXPECT(enable(handle, LTTNG_EVENT_TRACEPOINT, "sched_switch", "nothing == 1"),
	       -LTTNG_ERR_FILTER_INVAL);
	EXPECT(enable(handle, LTTNG_EVENT_SYSCALL, "getppid", NULL), 0);
	EXPECT(enable(handle, LTTNG_EVENT_SYSCALL, "getpid", NULL), 0);
	EXPECT(enable(handle, LTTNG_EVENT_NOOP, "x", NULL), -LTTNG_ERR_INVALID);
	EXPECT(enable_probe(handle, program, "step"), 0);
	EXPECT(enable_probe(handle, program, "no_such_function"), -LTTNG_ERR_PROBE_LOCATION_INVAL);
	EXPECT(enable_in_kernel(handle, LTTNG_EVENT_PROBE), in_kernel);
	EXPECT(enable_in_kernel(handle, LTTNG_EVENT_FUNCTION), in_kernel);
	EXPECT(enable_in_kernel(handle, LTTNG_EVENT_FUNCTION_ENTRY),
	       in_kernel ? in_kernel : -LTTNG_ERR_KERN_EVENT_EXIST);
	EXPECT(lttng_start_tracing(session), 0);
	/* From now on not. */
	EXPECT(lttng_disable_event(handle, "getpid", "chan"), 0);
	EXPECT(lttng_disable_event(handle, "getpid_", "chan"), -LTTNG_ERR_KERN_DISABLE_FAIL);
}

static void look_at_events(struct lttng_handle *handle, const char *program)
{
	struct lttng_event *events = NULL;
	const struct lttng_userspace_probe_location *place;
	const char *filter = NULL;

	EXPECT(lttng_list_events(handle, "other", &events), -LTTNG_ERR_KERN_CHAN_NOT_FOUND);
	EXPECT(lttng_list_events(handle, "chan", &events), has_kprobes() ? 6 : 4);
	EXPECT(strcmp(events[0].name, "sched_switch"), 0);
	EXPECT(events[0].type, LTTNG_EVENT_TRACEPOINT);
	EXPECT(lttng_event_get_filter_expression(&events[0], &filter), 0);
	EXPECT(strcmp(filter, "next_tid > 0"), 0);
	EXPECT(lttng_event_get_userspace_probe_location(&events[0]) == NULL, 1);
	EXPECT(events[1].type, LTTNG_EVENT_SYSCALL);
	EXPECT(events[1].enabled, 1);
	EXPECT(strcmp(events[2].name, "getpid"), 0);
	EXPECT(events[2].enabled, 0);
	EXPECT(events[3].type, LTTNG_EVENT_USERSPACE_PROBE);
	place = lttng_event_get_userspace_probe_location(&events[3]);
	EXPECT(lttng_userspace_probe_location_get_type(place),
	       LTTNG_USERSPACE_PROBE_LOCATION_TYPE_FUNCTION);
	EXPECT(lttng_userspace_probe_location_lookup_method_get_type(
		       lttng_userspace_probe_location_get_lookup_method(place)),
	       LTTNG_USERSPACE_PROBE_LOCATION_LOOKUP_METHOD_TYPE_FUNCTION_ELF);
	EXPECT(strcmp(lttng_userspace_probe_location_function_get_function_name(place), "step"), 0);
	EXPECT(strcmp(lttng_userspace_probe_location_function_get_binary_path(place), program), 0);
	EXPECT(lttng_userspace_probe_location_function_get_binary_fd(place), -1);
	if (has_kprobes()) {
		EXPECT(events[4].type, LTTNG_EVENT_PROBE);
		EXPECT(strcmp(events[4].attr.probe.symbol_name, "kernel_clone"), 0);
		EXPECT(events[4].attr.probe.offset, 0);
		EXPECT(events[4].attr.probe.addr, 0);
		EXPECT(events[5].type, LTTNG_EVENT_FUNCTION);
		EXPECT(strcmp(events[5].attr.probe.symbol_name, "kernel_clone"), 0);
	}
	free(events);
}

static void end(struct lttng_handle *handle, const char *program)
{
	struct lttng_channel *channels = NULL;
	struct lttng_domain *domains = NULL;

	EXPECT(lttng_stop_tracing(session), 0);
	EXPECT(lttng_list_domains(session, &domains), 1);
	EXPECT(domains[0].type, LTTNG_DOMAIN_KERNEL);
	EXPECT(domains[0].buf_type, LTTNG_BUFFER_GLOBAL);
	free(domains);
	EXPECT(lttng_list_channels(handle, &channels), 1);
	EXPECT(strcmp(channels[0].name, "chan"), 0);
	EXPECT(channels[0].enabled, 1);
	EXPECT(channels[0].attr.subbuf_size, 1 << 20);
	EXPECT(channels[0].attr.num_subbuf, 8);
	EXPECT(channels[0].attr.overwrite, 0);
	free(channels);
	look_at_events(handle, program);
	EXPECT(lttng_destroy_session(session), 0);
}

int main(int argc, char **argv)
{
	struct lttng_domain domain;
	struct lttng_handle *handle;

	memset(&domain, 0, sizeof(domain));
	domain.type = LTTNG_DOMAIN_KERNEL;
	domain.buf_type = LTTNG_BUFFER_GLOBAL;
	handle = lttng_create_handle(session, &domain);
	if (argc == 4 && strcmp(argv[1], "begin") == 0)
		begin(&domain, handle, argv[2], argv[3]);
	else if (argc == 3 && strcmp(argv[1], "end") == 0)
		end(handle, argv[2]);
	else
		return 2;
	lttng_destroy_handle(handle);
	return 0;
}
