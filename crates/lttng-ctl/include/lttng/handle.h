/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Handles: a session's name and a domain, what most calls work on. */
#ifndef LTTNG_HANDLE_H
#define LTTNG_HANDLE_H

#include <lttng/domain.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LTTNG_HANDLE_PADDING1 16

struct lttng_handle {
	char session_name[LTTNG_NAME_MAX];
	struct lttng_domain domain;
	char padding[LTTNG_HANDLE_PADDING1];
};

/*
 * Asks no daemon: the session need not exist yet. A NULL name is the empty one, a NULL domain is
 * LTTNG_DOMAIN_NONE. The domain is copied. NULL without memory.
 */
struct lttng_handle *lttng_create_handle(const char *session_name, struct lttng_domain *domain);

/* NULL does nothing. */
void lttng_destroy_handle(struct lttng_handle *handle);

#ifdef __cplusplus
}
#endif

#endif /* LTTNG_HANDLE_H */
