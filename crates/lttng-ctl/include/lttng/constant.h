/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Sizes and helpers that the other headers use. */
#ifndef LTTNG_CONSTANT_H
#define LTTNG_CONSTANT_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Bytes of a symbol (channel, event, field), with its NUL. */
#define LTTNG_SYMBOL_NAME_LEN 256
/* Bytes of a session name, with its NUL. */
#define LTTNG_NAME_MAX 255
/* Bytes of a path, with its NUL. */
#define LTTNG_PATH_MAX 4096
#define LTTNG_HOST_NAME_MAX 256

#define LTTNG_MAX_PID INT32_MAX
#define LTTNG_MAX_PID_STR "2147483647"

#ifndef LTTNG_DEPRECATED
#if defined(__GNUC__)
#define LTTNG_DEPRECATED(message) __attribute__((deprecated(message)))
#else
#define LTTNG_DEPRECATED(message)
#endif
#endif

#endif /* LTTNG_CONSTANT_H */
