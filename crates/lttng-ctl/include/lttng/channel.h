/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Channels: sets of ring buffers with common settings. */
#ifndef LTTNG_CHANNEL_H
#define LTTNG_CHANNEL_H

#include <lttng/domain.h>
#include <lttng/event.h>

#ifdef __cplusplus
extern "C" {
#endif

struct lttng_handle;

#define LTTNG_CHANNEL_ATTR_PADDING1 (LTTNG_SYMBOL_NAME_LEN + 12)

struct lttng_channel_attr {
	/* 1: new events replace old ones, 0: they are discarded, -1: the session's default (discard). */
	int overwrite;
	/* Bytes, a power of two of at least one page. */
	uint64_t subbuf_size;
	/* A power of two; at least 2 to overwrite. */
	uint64_t num_subbuf;
	/* Microseconds; 0: off. */
	unsigned int switch_timer_interval;
	/* Microseconds; 0: off. */
	unsigned int read_timer_interval;
	enum lttng_event_output output;
	/* Bytes; 0: no limit. */
	uint64_t tracefile_size;
	/* 0: no limit. Needs a size. */
	uint64_t tracefile_count;
	/* Only in answers. */
	unsigned int live_timer_interval;
	uint32_t align_to_64;
	/* Made by lttng_channel_create(); NULL in a struct of your own. */
	union {
		uint64_t padding;
		void *ptr;
	} extended;
	char padding[LTTNG_CHANNEL_ATTR_PADDING1];
};

#define LTTNG_CHANNEL_PADDING1 16

struct lttng_channel {
	char name[LTTNG_SYMBOL_NAME_LEN];
	/* Only in answers. */
	uint32_t enabled;
	struct lttng_channel_attr attr;
	char padding[LTTNG_CHANNEL_PADDING1];
};

/* A channel with the defaults of the domain. NULL for domains that have no channels of their own. */
struct lttng_channel *lttng_channel_create(struct lttng_domain *domain);

/* Only what lttng_channel_create() made. NULL does nothing. */
void lttng_channel_destroy(struct lttng_channel *channel);

/* Fills in the defaults of the domain. */
void lttng_channel_set_default_attr(struct lttng_domain *domain, struct lttng_channel_attr *attr);

/* Creates the channel, or enables it again. Returns 0 or a negative error code, as all below. */
int lttng_enable_channel(struct lttng_handle *handle, struct lttng_channel *chan);
int lttng_disable_channel(struct lttng_handle *handle, const char *name);

/* Puts an array of the handle's channels into *channels; free() it. Returns their number. */
int lttng_list_channels(struct lttng_handle *handle, struct lttng_channel **channels);

/* Counters of a listed channel. */
int lttng_channel_get_discarded_event_count(struct lttng_channel *chan, uint64_t *discarded_events);
int lttng_channel_get_lost_packet_count(struct lttng_channel *chan, uint64_t *lost_packets);

/* Microseconds; 0: off. */
int lttng_channel_get_monitor_timer_interval(struct lttng_channel *chan,
		uint64_t *monitor_timer_interval);
int lttng_channel_set_monitor_timer_interval(struct lttng_channel *chan,
		uint64_t monitor_timer_interval);

/* Microseconds that an application may wait for room; 0: never, -1: for ever. */
int lttng_channel_get_blocking_timeout(struct lttng_channel *chan, int64_t *blocking_timeout);
int lttng_channel_set_blocking_timeout(struct lttng_channel *chan, int64_t blocking_timeout);

#ifdef __cplusplus
}
#endif

#endif /* LTTNG_CHANNEL_H */
