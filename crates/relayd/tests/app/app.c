/*
 * Usage: app BURST TEXT
 *
 * For each byte on standard input: trace BURST events, numbered on, then write one byte to standard
 * output. Ends with its input.
 */
#include <stdlib.h>
#include <unistd.h>

#define LTTNG_UST_TRACEPOINT_DEFINE
#define LTTNG_UST_TRACEPOINT_CREATE_PROBES
#include "tp.h"

int main(int argc, char **argv)
{
	unsigned long count = 0, burst;
	char byte;

	if (argc != 3)
		return 2;
	burst = strtoul(argv[1], NULL, 10);
	if (write(1, "r", 1) != 1)
		return 1;
	while (read(0, &byte, 1) == 1) {
		unsigned long end = count + burst;

		for (; count < end; count++)
			lttng_ust_tracepoint(relayd_test, tick, count, argv[2]);
		if (write(1, "d", 1) != 1)
			return 1;
	}
	return 0;
}
