/*
 * What one event of the emitter carries. Every value is a function of (thread, n), so that a reader
 * of the trace can be told exactly what to expect.
 */
#ifndef EMITTER_VALUES_H
#define EMITTER_VALUES_H

#include <stdint.h>

#define SEQUENCE_MAX 16
#define TEXT_LENGTH 12

struct values {
	uint32_t thread;
	uint64_t n;
	int8_t i8;
	uint8_t u8;
	int16_t i16;
	uint16_t u16;
	int32_t i32;
	uint32_t u32;
	int64_t i64;
	uint64_t u64;
	float f32;
	double f64;
	char string[48];
	char text[TEXT_LENGTH];
	char chars[SEQUENCE_MAX];
	uint8_t bytes[SEQUENCE_MAX];
	int16_t shorts[SEQUENCE_MAX];
	int32_t words[SEQUENCE_MAX];
	uint64_t longs[SEQUENCE_MAX];
	/* Lengths of the sequences: 0..SEQUENCE_MAX, of the text 1..SEQUENCE_MAX. */
	uint8_t byte_count;
	uint8_t text_count;
	uint32_t word_count;
	int8_t color;
	uint32_t level;
};

#endif
