/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The state of rotations. The calls that rotate are not there yet. */
#ifndef LTTNG_ROTATION_H
#define LTTNG_ROTATION_H

struct lttng_trace_archive_location;

enum lttng_rotation_state {
	LTTNG_ROTATION_STATE_ERROR = -1,
	LTTNG_ROTATION_STATE_NO_ROTATION = 0,
	LTTNG_ROTATION_STATE_ONGOING = 1,
	LTTNG_ROTATION_STATE_COMPLETED = 2,
	LTTNG_ROTATION_STATE_EXPIRED = 3,
};

#endif /* LTTNG_ROTATION_H */
