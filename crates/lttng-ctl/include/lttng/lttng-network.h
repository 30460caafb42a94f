/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The network attributes of a recording session: where on the network its trace goes.
 *
 * These calls were proposed in 2012 for LTTng 2 ("Session Daemon Network Session") and are not in
 * upstream's library. There are two forms. With a struct, all attributes at once:
 *
 *	struct lttng_network net;
 *
 *	memset(&net, 0, sizeof(net));
 *	lttng_attr_setnetwork(&net, 1);
 *	lttng_attr_sethostname(&net, "collector");
 *	ret = lttng_streaming_session(handle, &net);
 *
 * With options, one attribute at a time; the others stay:
 *
 *	int port = 6343;
 *
 *	ret = lttng_session_setopt("my-session", LTTNG_OPT_NETDATAPORT, &port, sizeof(port));
 *	ret = lttng_session_setopt("my-session", LTTNG_OPT_NETADDR, "10.0.0.1", strlen("10.0.0.1"));
 *
 * The attributes may be set at any time. A session without channels connects to the relay daemon when it first
 * needs to. Once it has channels, the call that makes it stream connects by itself: if that fails, the call fails
 * and nothing changes. While the session is tracing, the trace then goes on in the new place, at the next packet of
 * each stream.
 *
 * All calls return 0 or a negative error code for lttng_strerror(). A call that fails changes nothing:
 *
 *	-LTTNG_ERR_INVALID             a value is wrong (NULL, a port, an address, a length, an option)
 *	-LTTNG_ERR_SESS_NOT_FOUND      no session of that name
 *	-LTTNG_ERR_NO_SESSIOND         no session daemon answers
 *	-LTTNG_ERR_RELAYD_CONNECT_FAIL the relay daemon cannot be reached
 *	-LTTNG_ERR_RELAYD_VERSION_FAIL what answers there is no relay daemon of a known version
 *
 * What the proposal leaves open is decided here:
 *
 * - The ports are 16 bits in host byte order, the addresses text that ends with NUL; so the struct has 168 bytes.
 * - The members of the union are the same text: whichever is read or written, the text tells what it is.
 * - A host name has at most 127 bytes, to fit the padding.
 * - A port of 0 in a struct is the default (control 5342, data 5343). To *set* a port to 0 is refused.
 * - The two ports must differ.
 * - The attributes are those of the session: the domain of a handle means nothing.
 */
#ifndef LTTNG_NETWORK_H
#define LTTNG_NETWORK_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct lttng_handle;

#define LTTNG_NETWORK_PADDING1_LEN 32
#define LTTNG_NETWORK_PADDING2_LEN 128

struct lttng_network {
	/* 1: stream to the address. 0: collect locally; the other attributes are remembered. */
	int enable;
	uint16_t control_port;
	uint16_t data_port;
	char padding[LTTNG_NETWORK_PADDING1_LEN];
	union {
		char ipv4[INET_ADDRSTRLEN];
		char ipv6[INET6_ADDRSTRLEN];
		char hostname[LTTNG_NETWORK_PADDING2_LEN];
		char padding[LTTNG_NETWORK_PADDING2_LEN];
	} address;
};

/*
 * The setters fill in a struct, which must have been zeroed before; no daemon is asked. A wrong value is refused
 * and the struct stays as it was.
 */

/* Streaming on (1) or off (0). */
int lttng_attr_setnetwork(struct lttng_network *net, int enable);

/* 1 to 65535. */
int lttng_attr_setdataport(struct lttng_network *net, int data_port);
int lttng_attr_setctrlport(struct lttng_network *net, int control_port);

/* The remote address, one of the three: an IPv4 or IPv6 literal or a host name. "" is none. */
int lttng_attr_setaddress(struct lttng_network *net, const char *ipv4);
int lttng_attr_setaddress6(struct lttng_network *net, const char *ipv6);
int lttng_attr_sethostname(struct lttng_network *net, const char *hostname);

/*
 * Gives the handle's session all attributes in the struct. To enable streaming without an address is refused; to
 * stop streaming, disable it.
 */
int lttng_streaming_session(struct lttng_handle *handle, const struct lttng_network *net);

/*
 * Options of lttng_session_setopt(). The values are stable.
 */

/*
 * Text: an IPv4 or IPv6 literal or a host name, optlen bytes with or without the NUL at its end. It also turns
 * streaming on. The empty text ("" with optlen 1) turns it off: the trace is collected locally.
 */
#define LTTNG_OPT_NETADDR 1
/* An int or a uint16_t, by optlen; 1 to 65535. While streaming is off, it is remembered. */
#define LTTNG_OPT_NETDATAPORT 2
#define LTTNG_OPT_NETCTRLPORT 3

/*
 * Sets one attribute of a session, as setsockopt() does of a socket. Each call takes effect by itself: for ports other
 * than the defaults, set them before the address, or set all at once with lttng_streaming_session().
 */
int lttng_session_setopt(const char *session_name, int optname, const void *optval, size_t optlen);

#ifdef __cplusplus
}
#endif

#endif /* LTTNG_NETWORK_H */
