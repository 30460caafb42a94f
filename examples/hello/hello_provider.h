/* Two tracepoints of a small shop: orders come in, and now and then one fails. */
#undef LTTNG_UST_TRACEPOINT_PROVIDER
#define LTTNG_UST_TRACEPOINT_PROVIDER hello

#undef LTTNG_UST_TRACEPOINT_INCLUDE
#define LTTNG_UST_TRACEPOINT_INCLUDE "./hello_provider.h"

#if !defined(HELLO_PROVIDER_H) || defined(LTTNG_UST_TRACEPOINT_HEADER_MULTI_READ)
#define HELLO_PROVIDER_H

#include <stdint.h>

#include <lttng/tracepoint.h>

LTTNG_UST_TRACEPOINT_ENUM(hello, drink,
	LTTNG_UST_TP_ENUM_VALUES(
		lttng_ust_field_enum_auto("coffee")
		lttng_ust_field_enum_auto("tea")
		lttng_ust_field_enum_auto("water")
	)
)

LTTNG_UST_TRACEPOINT_EVENT(hello, order,
	LTTNG_UST_TP_ARGS(uint32_t, number, const char *, guest, int, drink, double, price),
	LTTNG_UST_TP_FIELDS(
		lttng_ust_field_integer(uint32_t, number, number)
		lttng_ust_field_string(guest, guest)
		lttng_ust_field_enum(hello, drink, int, drink, drink)
		lttng_ust_field_float(double, price, price)
	)
)

LTTNG_UST_TRACEPOINT_EVENT(hello, spilled,
	LTTNG_UST_TP_ARGS(uint32_t, number),
	LTTNG_UST_TP_FIELDS(
		lttng_ust_field_integer(uint32_t, number, number)
	)
)
LTTNG_UST_TRACEPOINT_LOGLEVEL(hello, spilled, LTTNG_UST_TRACEPOINT_LOGLEVEL_WARNING)

#endif

#include <lttng/tracepoint-event.h>
