/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Tracing domains: which tracer, with which buffers. */
#ifndef LTTNG_DOMAIN_H
#define LTTNG_DOMAIN_H

#include <lttng/constant.h>

#ifdef __cplusplus
extern "C" {
#endif

enum lttng_domain_type {
	/* The whole session. */
	LTTNG_DOMAIN_NONE = 0,
	LTTNG_DOMAIN_KERNEL = 1,
	/* Applications linked with liblttng-ust. */
	LTTNG_DOMAIN_UST = 2,
	/* The following are refused with LTTNG_ERR_UNSUPPORTED_DOMAIN. */
	LTTNG_DOMAIN_JUL = 3,
	LTTNG_DOMAIN_LOG4J = 4,
	LTTNG_DOMAIN_PYTHON = 5,
};

enum lttng_buffer_type {
	/* Each process has its own. Note that this is what a zeroed domain says. */
	LTTNG_BUFFER_PER_PID = 0,
	/* The processes of a user share them. */
	LTTNG_BUFFER_PER_UID = 1,
	/* The kernel's. */
	LTTNG_BUFFER_GLOBAL = 2,
};

#define LTTNG_DOMAIN_PADDING1 12
#define LTTNG_DOMAIN_PADDING2 (LTTNG_SYMBOL_NAME_LEN + 32)

struct lttng_domain {
	enum lttng_domain_type type;
	enum lttng_buffer_type buf_type;
	char padding[LTTNG_DOMAIN_PADDING1];
	/* Reserved. */
	union {
		pid_t pid;
		char exec_name[LTTNG_NAME_MAX];
		char padding[LTTNG_DOMAIN_PADDING2];
	} attr;
};

/*
 * Puts an array of the domains in which the session has channels into *domains; free() it.
 * Returns their number or a negative error code.
 */
int lttng_list_domains(const char *session_name, struct lttng_domain **domains);

#ifdef __cplusplus
}
#endif

#endif /* LTTNG_DOMAIN_H */
