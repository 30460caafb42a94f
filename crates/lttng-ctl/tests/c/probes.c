/*
 * Places of probes, and the kernel domain where there is no kernel tracer: calls each in every way that matters
 * and prints what comes back. The same binary runs with the distribution's library and daemon and with ours; the
 * outputs are compared.
 */
#include <inttypes.h>
#include <lttng/lttng.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHOW(call) printf("%s = %d\n", #call, (int) (call))
/* What the daemon answers. */
#define ANSWER(call)                                                                                    \
	do {                                                                                            \
		int answer, tries = 0;                                                                  \
		do {                                                                                    \
			answer = (int) (call);                                                          \
		} while (unheard(answer) && ++tries < 10000);                                           \
		printf("%s = %d\n", #call, answer);                                                     \
	} while (0)
#define TEXT(call) printf("%s = %s\n", #call, text(call))
#define THERE(call) printf("%s: %s\n", #call, (call) ? "there" : "NULL")

typedef struct lttng_userspace_probe_location location;
typedef struct lttng_userspace_probe_location_lookup_method method;

static const char *text(const char *given)
{
	return given ? given : "NULL";
}

/*
 * Upstream's daemon refuses a domain that it has not after the first half of a request and closes the connection;
 * upstream's library may be sending the second half then, and does not read the answer.
 */
static int unheard(int answer)
{
	return answer == -LTTNG_ERR_FATAL;
}

static void kernel_places(void)
{
	struct lttng_kernel_probe_location *place;
	uint64_t number = 7;
	char name[300];

	memset(name, 'a', sizeof(name));
	name[255] = '\0';
	place = lttng_kernel_probe_location_symbol_create(name, 1);
	THERE(place);
	lttng_kernel_probe_location_destroy(place);
	name[255] = 'a';
	name[256] = '\0';
	THERE(lttng_kernel_probe_location_symbol_create(name, 1));
	THERE(lttng_kernel_probe_location_symbol_create(NULL, 1));
	SHOW(lttng_kernel_probe_location_get_type(NULL));
	lttng_kernel_probe_location_destroy(NULL);

	place = lttng_kernel_probe_location_symbol_create("schedule", 16);
	SHOW(lttng_kernel_probe_location_get_type(place));
	TEXT(lttng_kernel_probe_location_symbol_get_name(place));
	SHOW(lttng_kernel_probe_location_symbol_get_offset(place, &number));
	printf("%" PRIu64 "\n", number);
	SHOW(lttng_kernel_probe_location_address_get_address(place, &number));
	printf("%" PRIu64 "\n", number);
	lttng_kernel_probe_location_destroy(place);

	place = lttng_kernel_probe_location_address_create(UINT64_MAX);
	SHOW(lttng_kernel_probe_location_get_type(place));
	TEXT(lttng_kernel_probe_location_symbol_get_name(place));
	SHOW(lttng_kernel_probe_location_symbol_get_offset(place, &number));
	SHOW(lttng_kernel_probe_location_address_get_address(place, &number));
	printf("%" PRIu64 "\n", number);
	lttng_kernel_probe_location_destroy(place);
}

static void show(const location *place)
{
	/* Upstream's ends the program without a place. */
	const method *how = place ? lttng_userspace_probe_location_get_lookup_method(place) : NULL;

	SHOW(lttng_userspace_probe_location_get_type(place));
	THERE(how);
	SHOW(lttng_userspace_probe_location_lookup_method_get_type(how));
	TEXT(lttng_userspace_probe_location_function_get_binary_path(place));
	TEXT(lttng_userspace_probe_location_function_get_function_name(place));
	SHOW(lttng_userspace_probe_location_function_get_binary_fd(place) >= 0);
	SHOW(lttng_userspace_probe_location_function_get_instrumentation_type(place));
	SHOW(lttng_userspace_probe_location_function_set_instrumentation_type(place,
			LTTNG_USERSPACE_PROBE_LOCATION_FUNCTION_INSTRUMENTATION_TYPE_ENTRY));
	SHOW(lttng_userspace_probe_location_function_set_instrumentation_type(place,
			LTTNG_USERSPACE_PROBE_LOCATION_FUNCTION_INSTRUMENTATION_TYPE_UNKNOWN));
	TEXT(lttng_userspace_probe_location_tracepoint_get_binary_path(place));
	TEXT(lttng_userspace_probe_location_tracepoint_get_probe_name(place));
	TEXT(lttng_userspace_probe_location_tracepoint_get_provider_name(place));
	SHOW(lttng_userspace_probe_location_tracepoint_get_binary_fd(place) >= 0);
}

static void userspace_places(void)
{
	method *elf = lttng_userspace_probe_location_lookup_method_function_elf_create();
	method *sdt = lttng_userspace_probe_location_lookup_method_tracepoint_sdt_create();
	location *place;

	SHOW(lttng_userspace_probe_location_lookup_method_get_type(elf));
	SHOW(lttng_userspace_probe_location_lookup_method_get_type(sdt));
	lttng_userspace_probe_location_lookup_method_destroy(NULL);
	THERE(lttng_userspace_probe_location_function_create(NULL, "main", elf));
	THERE(lttng_userspace_probe_location_function_create("/bin/sh", NULL, elf));
	THERE(lttng_userspace_probe_location_function_create("/bin/sh", "main", NULL));
	THERE(lttng_userspace_probe_location_function_create("/bin/sh", "main", sdt));
	THERE(lttng_userspace_probe_location_function_create("/no/such/file", "main", elf));
	THERE(lttng_userspace_probe_location_tracepoint_create("/bin/sh", "p", "n", elf));
	THERE(lttng_userspace_probe_location_tracepoint_create("/bin/sh", NULL, "n", sdt));
	THERE(lttng_userspace_probe_location_tracepoint_create("/bin/sh", "p", NULL, sdt));
	THERE(lttng_userspace_probe_location_tracepoint_create("/no/such/file", "p", "n", sdt));
	place = lttng_userspace_probe_location_function_create("/bin/../bin/sh", "main", elf);
	show(place);
	lttng_userspace_probe_location_destroy(place);
	place = lttng_userspace_probe_location_tracepoint_create("/bin/sh", "provider", "name", sdt);
	show(place);
	lttng_userspace_probe_location_destroy(place);
	show(NULL);
	lttng_userspace_probe_location_destroy(NULL);
}

static void events(void)
{
	struct lttng_event *event = lttng_event_create();
	location *place;

	THERE(lttng_event_get_userspace_probe_location(event));
	SHOW(lttng_event_set_userspace_probe_location(event, NULL));
	place = lttng_userspace_probe_location_function_create("/bin/sh", "main",
			lttng_userspace_probe_location_lookup_method_function_elf_create());
	SHOW(lttng_event_set_userspace_probe_location(NULL, place));
	SHOW(lttng_event_set_userspace_probe_location(event, place));
	SHOW(lttng_event_get_userspace_probe_location(event) == place);
	place = lttng_userspace_probe_location_tracepoint_create("/bin/sh", "provider", "name",
			lttng_userspace_probe_location_lookup_method_tracepoint_sdt_create());
	SHOW(lttng_event_set_userspace_probe_location(event, place));
	show(lttng_event_get_userspace_probe_location(event));
	lttng_event_destroy(event);
}

/* What needs a kernel tracer says that there is none. */
static void without_a_tracer(const char *directory)
{
	struct lttng_domain domain;
	struct lttng_handle *handle;
	struct lttng_channel *channel;
	struct lttng_event *event = lttng_event_create(), *listed = NULL;

	memset(&domain, 0, sizeof(domain));
	domain.type = LTTNG_DOMAIN_KERNEL;
	domain.buf_type = LTTNG_BUFFER_GLOBAL;
	SHOW(lttng_create_session("kernel", directory));
	handle = lttng_create_handle("kernel", &domain);
	channel = lttng_channel_create(&domain);
	printf("overwrite %d subbuf %" PRIu64 " x %" PRIu64 " switch %u read %u output %d\n",
	       channel->attr.overwrite, channel->attr.subbuf_size, channel->attr.num_subbuf,
	       channel->attr.switch_timer_interval, channel->attr.read_timer_interval,
	       (int) channel->attr.output);
	strcpy(channel->name, "channel");
	ANSWER(lttng_enable_channel(handle, channel));
	ANSWER(lttng_disable_channel(handle, "channel"));
	ANSWER(lttng_list_tracepoints(handle, &listed));
	ANSWER(lttng_list_syscalls(&listed));
	strcpy(event->name, "an_event");
	event->type = LTTNG_EVENT_TRACEPOINT;
	event->loglevel = -1;
	ANSWER(lttng_enable_event(handle, event, "channel"));
	event->type = LTTNG_EVENT_SYSCALL;
	ANSWER(lttng_enable_event(handle, event, NULL));
	event->type = LTTNG_EVENT_PROBE;
	strcpy(event->attr.probe.symbol_name, "schedule");
	ANSWER(lttng_enable_event(handle, event, NULL));
	event->type = LTTNG_EVENT_FUNCTION;
	ANSWER(lttng_enable_event(handle, event, NULL));
	lttng_destroy_handle(handle);
	lttng_channel_destroy(channel);
	lttng_event_destroy(event);
	SHOW(lttng_destroy_session("kernel"));
}

int main(int argc, char **argv)
{
	(void) argc;
	signal(SIGPIPE, SIG_IGN);
	kernel_places();
	userspace_places();
	events();
	without_a_tracer(argv[1]);
	printf("end\n");
	return 0;
}
