/*
 * A small traced application: a cafe with one waiter. `hello [ORDERS]` (default 1000) emits one
 * `hello:order` for each, and `hello:spilled` for each hundredth.
 *
 * Nothing in it knows lttng-rs: it is linked with the distribution's liblttng-ust.
 */
#include <stdio.h>
#include <stdlib.h>

#define LTTNG_UST_TRACEPOINT_CREATE_PROBES
#define LTTNG_UST_TRACEPOINT_DEFINE
#include "hello_provider.h"

int main(int argc, char **argv)
{
	static const char *const guests[] = { "Ada", "Grace", "Linus", "Barbara" };
	static const double prices[] = { 2.5, 2.25, 1.0 };
	unsigned long orders = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000;

	for (uint32_t number = 1; number <= orders; number++) {
		int drink = number % 3;

		lttng_ust_tracepoint(hello, order, number, guests[number % 4], drink, prices[drink]);
		if (number % 100 == 0)
			lttng_ust_tracepoint(hello, spilled, number);
	}
	printf("hello: served %lu orders\n", orders);
	return 0;
}
