/* Tracepoints of the emitter: every kind of field that lttng/tracepoint.h can describe. */
#undef LTTNG_UST_TRACEPOINT_PROVIDER
#define LTTNG_UST_TRACEPOINT_PROVIDER emitter

#undef LTTNG_UST_TRACEPOINT_INCLUDE
#define LTTNG_UST_TRACEPOINT_INCLUDE "./emitter_provider.h"

#if !defined(EMITTER_PROVIDER_H) || defined(LTTNG_UST_TRACEPOINT_HEADER_MULTI_READ)
#define EMITTER_PROVIDER_H

#include <arpa/inet.h>
#include <stdint.h>

#include <lttng/tracepoint.h>

#include "values.h"

#define WHO \
	lttng_ust_field_integer(uint32_t, thread, v->thread) \
	lttng_ust_field_integer(uint64_t, n, v->n)

LTTNG_UST_TRACEPOINT_EVENT(emitter, integers,
	LTTNG_UST_TP_ARGS(const struct values *, v),
	LTTNG_UST_TP_FIELDS(
		WHO
		lttng_ust_field_integer(int8_t, i8, v->i8)
		lttng_ust_field_integer(uint8_t, u8, v->u8)
		lttng_ust_field_integer(int16_t, i16, v->i16)
		lttng_ust_field_integer(uint16_t, u16, v->u16)
		lttng_ust_field_integer(int32_t, i32, v->i32)
		lttng_ust_field_integer(uint32_t, u32, v->u32)
		lttng_ust_field_integer(int64_t, i64, v->i64)
		lttng_ust_field_integer(uint64_t, u64, v->u64)
		lttng_ust_field_integer(char, character, v->i8)
		lttng_ust_field_integer(long, native, v->i64)
		lttng_ust_field_integer_hex(int8_t, i8_hex, v->i8)
		lttng_ust_field_integer_hex(uint8_t, u8_hex, v->u8)
		lttng_ust_field_integer_hex(int16_t, i16_hex, v->i16)
		lttng_ust_field_integer_hex(uint32_t, u32_hex, v->u32)
		lttng_ust_field_integer_hex(int64_t, i64_hex, v->i64)
		lttng_ust_field_integer_hex(uint64_t, u64_hex, v->u64)
		lttng_ust_field_integer_network(int16_t, i16_net, (int16_t) htons(v->i16))
		lttng_ust_field_integer_network(uint16_t, u16_net, htons(v->u16))
		lttng_ust_field_integer_network(uint32_t, u32_net, htonl(v->u32))
		lttng_ust_field_integer_network(int64_t, i64_net, (int64_t) __builtin_bswap64(v->i64))
		lttng_ust_field_integer_network_hex(uint16_t, u16_net_hex, htons(v->u16))
		lttng_ust_field_integer_network_hex(uint32_t, u32_net_hex, htonl(v->u32))
	)
)

LTTNG_UST_TRACEPOINT_EVENT(emitter, reals,
	LTTNG_UST_TP_ARGS(const struct values *, v),
	LTTNG_UST_TP_FIELDS(
		WHO
		lttng_ust_field_float(float, f32, v->f32)
		lttng_ust_field_float(double, f64, v->f64)
	)
)

LTTNG_UST_TRACEPOINT_EVENT(emitter, texts,
	LTTNG_UST_TP_ARGS(const struct values *, v),
	LTTNG_UST_TP_FIELDS(
		WHO
		lttng_ust_field_string(string, v->string)
		lttng_ust_field_array_text(char, array_text, v->text, TEXT_LENGTH)
		lttng_ust_field_sequence_text(char, sequence_text, v->chars, uint8_t, v->text_count)
	)
)

LTTNG_UST_TRACEPOINT_EVENT(emitter, arrays,
	LTTNG_UST_TP_ARGS(const struct values *, v),
	LTTNG_UST_TP_FIELDS(
		WHO
		lttng_ust_field_array(uint8_t, bytes, v->bytes, 3)
		lttng_ust_field_array(int32_t, words, v->words, 2)
		lttng_ust_field_array_hex(uint8_t, bytes_hex, v->bytes, 3)
		lttng_ust_field_array_hex(uint64_t, longs_hex, v->longs, 2)
		lttng_ust_field_array_network(int16_t, shorts_net, v->shorts, 2)
		lttng_ust_field_array_network_hex(uint64_t, longs_net_hex, v->longs, 1)
	)
)

LTTNG_UST_TRACEPOINT_EVENT(emitter, sequences,
	LTTNG_UST_TP_ARGS(const struct values *, v),
	LTTNG_UST_TP_FIELDS(
		WHO
		lttng_ust_field_sequence(uint8_t, bytes, v->bytes, uint8_t, v->byte_count)
		lttng_ust_field_sequence(int32_t, words, v->words, uint32_t, v->word_count)
		lttng_ust_field_sequence_hex(uint64_t, longs_hex, v->longs, uint8_t, v->byte_count)
		lttng_ust_field_sequence_network(int16_t, shorts_net, v->shorts, uint32_t, v->word_count)
		lttng_ust_field_sequence_network_hex(uint64_t, longs_net_hex, v->longs, uint32_t, v->word_count)
	)
)

LTTNG_UST_TRACEPOINT_ENUM(emitter, color,
	LTTNG_UST_TP_ENUM_VALUES(
		lttng_ust_field_enum_value("black", -3)
		lttng_ust_field_enum_auto("red")
		lttng_ust_field_enum_range("green", 0, 2)
		lttng_ust_field_enum_auto("blue")
		lttng_ust_field_enum_value("with space", 5)
	)
)

LTTNG_UST_TRACEPOINT_ENUM(emitter, level,
	LTTNG_UST_TP_ENUM_VALUES(
		lttng_ust_field_enum_auto("none")
		lttng_ust_field_enum_auto("low")
		lttng_ust_field_enum_range("high", 2, 4)
	)
)

LTTNG_UST_TRACEPOINT_EVENT(emitter, enums,
	LTTNG_UST_TP_ARGS(const struct values *, v),
	LTTNG_UST_TP_FIELDS(
		WHO
		lttng_ust_field_enum(emitter, color, int8_t, color, v->color)
		lttng_ust_field_enum(emitter, level, uint32_t, level, v->level)
	)
)

/* Fields that only filters may see: none of them is in the trace. */
LTTNG_UST_TRACEPOINT_EVENT(emitter, hidden,
	LTTNG_UST_TP_ARGS(const struct values *, v),
	LTTNG_UST_TP_FIELDS(
		WHO
		lttng_ust_field_integer_nowrite(int32_t, h_int, v->i32)
		lttng_ust_field_float_nowrite(double, h_float, v->f64)
		lttng_ust_field_string_nowrite(h_string, v->string)
		lttng_ust_field_array_nowrite(uint8_t, h_array, v->bytes, 2)
		lttng_ust_field_array_text_nowrite(char, h_text, v->text, 4)
		lttng_ust_field_sequence_nowrite(uint8_t, h_sequence, v->bytes, uint8_t, v->byte_count)
		lttng_ust_field_sequence_text_nowrite(char, h_sequence_text, v->chars, uint8_t, v->text_count)
		lttng_ust_field_enum_nowrite(emitter, color, int8_t, h_color, v->color)
		lttng_ust_field_integer(uint8_t, seen, v->u8)
	)
)

LTTNG_UST_TRACEPOINT_EVENT(emitter, bare,
	LTTNG_UST_TP_ARGS(int, unused),
	LTTNG_UST_TP_FIELDS(
		lttng_ust_field_unused(unused)
	)
)

/* 16 bytes of payload: the smallest event of the measurements. */
LTTNG_UST_TRACEPOINT_EVENT(emitter, small,
	LTTNG_UST_TP_ARGS(uint64_t, thread, uint64_t, n),
	LTTNG_UST_TP_FIELDS(
		lttng_ust_field_integer(uint64_t, thread, thread)
		lttng_ust_field_integer(uint64_t, n, n)
	)
)

/* 18 bytes and as many as asked for. */
LTTNG_UST_TRACEPOINT_EVENT(emitter, blob,
	LTTNG_UST_TP_ARGS(uint64_t, thread, uint64_t, n, const char *, bytes, uint16_t, length),
	LTTNG_UST_TP_FIELDS(
		lttng_ust_field_integer(uint64_t, thread, thread)
		lttng_ust_field_integer(uint64_t, n, n)
		lttng_ust_field_sequence_text(char, bytes, bytes, uint16_t, length)
	)
)

LTTNG_UST_TRACEPOINT_EVENT_CLASS(emitter, level_class,
	LTTNG_UST_TP_ARGS(uint64_t, thread, uint64_t, n),
	LTTNG_UST_TP_FIELDS(
		lttng_ust_field_integer(uint64_t, thread, thread)
		lttng_ust_field_integer(uint64_t, n, n)
	)
)

LTTNG_UST_TRACEPOINT_EVENT_INSTANCE(emitter, level_class, emitter, level_crit,
	LTTNG_UST_TP_ARGS(uint64_t, thread, uint64_t, n))
LTTNG_UST_TRACEPOINT_LOGLEVEL(emitter, level_crit, LTTNG_UST_TRACEPOINT_LOGLEVEL_CRIT)
LTTNG_UST_TRACEPOINT_EVENT_INSTANCE(emitter, level_class, emitter, level_warning,
	LTTNG_UST_TP_ARGS(uint64_t, thread, uint64_t, n))
LTTNG_UST_TRACEPOINT_LOGLEVEL(emitter, level_warning, LTTNG_UST_TRACEPOINT_LOGLEVEL_WARNING)
LTTNG_UST_TRACEPOINT_EVENT_INSTANCE(emitter, level_class, emitter, level_info,
	LTTNG_UST_TP_ARGS(uint64_t, thread, uint64_t, n))
LTTNG_UST_TRACEPOINT_LOGLEVEL(emitter, level_info, LTTNG_UST_TRACEPOINT_LOGLEVEL_INFO)
LTTNG_UST_TRACEPOINT_EVENT_INSTANCE(emitter, level_class, emitter, level_debug,
	LTTNG_UST_TP_ARGS(uint64_t, thread, uint64_t, n))
LTTNG_UST_TRACEPOINT_LOGLEVEL(emitter, level_debug, LTTNG_UST_TRACEPOINT_LOGLEVEL_DEBUG)

#endif

#include <lttng/tracepoint-event.h>
