/* The shared object with the `late` provider; the emitter calls `late_tick` after dlopen(). */
#define LTTNG_UST_TRACEPOINT_CREATE_PROBES
#define LTTNG_UST_TRACEPOINT_DEFINE
#include "late_provider.h"

void late_tick(uint64_t n)
{
	lttng_ust_tracepoint(late, tick, n);
}
