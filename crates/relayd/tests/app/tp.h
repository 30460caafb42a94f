#undef LTTNG_UST_TRACEPOINT_PROVIDER
#define LTTNG_UST_TRACEPOINT_PROVIDER relayd_test

#undef LTTNG_UST_TRACEPOINT_INCLUDE
#define LTTNG_UST_TRACEPOINT_INCLUDE "./tp.h"

#if !defined(TP_H) || defined(LTTNG_UST_TRACEPOINT_HEADER_MULTI_READ)
#define TP_H

#include <lttng/tracepoint.h>

LTTNG_UST_TRACEPOINT_EVENT(
    relayd_test, tick,
    LTTNG_UST_TP_ARGS(unsigned long, count, const char *, text),
    LTTNG_UST_TP_FIELDS(
        lttng_ust_field_integer(unsigned long, count, count)
        lttng_ust_field_string(text, text)
    )
)

#endif

#include <lttng/tracepoint-event.h>
