/*
 * Health of the daemons: the objects, their threads, and what daemons answer. The same binary runs with the
 * distribution's library and daemons and with ours; the outputs are compared.
 */
#include <lttng/health.h>
#include <stdio.h>

#define SHOW(call) printf("%s = %d\n", #call, (int) (call))

static void show(const char *of, struct lttng_health *health)
{
	int threads, at;

	printf("%s: %s\n", of, health ? "there" : "NULL");
	if (!health)
		return;
	threads = lttng_health_get_nr_threads(health);
	printf("%d threads\n", threads);
	for (at = -1; at <= threads; at++) {
		const struct lttng_health_thread *thread = lttng_health_get_thread(health, (unsigned int) at);

		printf("%d: %s, %s\n", at, thread ? "there" : "NULL",
		       thread ? lttng_health_thread_name(thread) : "");
		SHOW(lttng_health_thread_state(thread));
	}
	SHOW(lttng_health_state(health));
	SHOW(lttng_health_query(health));
	SHOW(lttng_health_state(health));
	for (at = 0; at < threads; at++)
		printf("%d: %d\n", at, lttng_health_thread_state(lttng_health_get_thread(health, (unsigned int) at)));
	lttng_health_destroy(health);
}

/* The path of a relay daemon's socket. */
int main(int argc, char **argv)
{
	(void) argc;
	show("session daemon", lttng_health_create_sessiond());
	show("32", lttng_health_create_consumerd(LTTNG_HEALTH_CONSUMERD_UST_32));
	show("64", lttng_health_create_consumerd(LTTNG_HEALTH_CONSUMERD_UST_64));
	show("kernel", lttng_health_create_consumerd(LTTNG_HEALTH_CONSUMERD_KERNEL));
	show("no such", lttng_health_create_consumerd(NR_LTTNG_HEALTH_CONSUMERD));
	show("relay daemon", lttng_health_create_relayd(argv[1]));
	show("no relay daemon", lttng_health_create_relayd("/run/no/such/socket"));
	SHOW(lttng_health_get_nr_threads(NULL));
	printf("%s\n", lttng_health_get_thread(NULL, 0) ? "there" : "NULL");
	SHOW(lttng_health_state(NULL));
	SHOW(lttng_health_query(NULL));
	printf("%s\n", lttng_health_thread_name(NULL) ? "there" : "NULL");
	SHOW(lttng_health_thread_state(NULL));
	lttng_health_destroy(NULL);
	return 0;
}
