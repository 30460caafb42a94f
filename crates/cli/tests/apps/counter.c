/*
 * A traced program: emits numbers from FROM on, up to TO (not included) or until it is told to end, and prints the number
 * after the last one.
 *
 *   counter FROM [TO]
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <lttng/tracef.h>

static volatile sig_atomic_t ended;

static void end(int number)
{
	(void) number;
	ended = 1;
}

int main(int argc, char **argv)
{
	const struct timespec pause = { 0, 1000000 };
	long number = argc > 1 ? atol(argv[1]) : 0;
	long to = argc > 2 ? atol(argv[2]) : -1;

	signal(SIGTERM, end);
	for (; number != to && !ended; number++) {
		lttng_ust_tracef("%ld", number);
		/* Some ten thousand a second: the traces are compared number by number. */
		if (number % 20 == 0)
			nanosleep(&pause, NULL);
	}
	printf("%ld\n", number);
	return 0;
}
