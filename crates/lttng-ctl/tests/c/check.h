/* A check that tells what was called and what came back. */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <stdlib.h>

#define EXPECT(call, expected) \
	do { \
		long long got_ = (long long) (call), expected_ = (expected); \
		if (got_ != expected_) { \
			fprintf(stderr, "%s:%d: %s = %lld, expected %lld\n", __FILE__, __LINE__, \
				#call, got_, expected_); \
			exit(1); \
		} \
	} while (0)

#endif
