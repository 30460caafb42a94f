/*
 * The calls of the network session proposal, one for each command line. Prints what the call returned.
 *
 *	network setters
 *	network stream SESSION ENABLE FAMILY ADDRESS CONTROL_PORT DATA_PORT
 *	network option SESSION addr|ctrl|data VALUE
 *	network url SESSION URL
 *	network path SESSION
 *	network refused SESSION
 *	network metadata SESSION
 *	network statedump SESSION
 */
#include "check.h"
#include <limits.h>
#include <lttng/lttng.h>
#include <string.h>

#define INVALID (-LTTNG_ERR_INVALID)

/* A setter that refuses must leave the struct as it was. */
#define REFUSED(net, call) \
	do { \
		struct lttng_network before_ = *(net); \
		EXPECT(call, INVALID); \
		EXPECT(memcmp(&before_, net, sizeof(before_)), 0); \
	} while (0)

static void setters(void)
{
	struct lttng_network net;
	char long_name[200];
	int i;

	EXPECT(sizeof(net), 168);
	EXPECT(offsetof(struct lttng_network, control_port), 4);
	EXPECT(offsetof(struct lttng_network, data_port), 6);
	EXPECT(offsetof(struct lttng_network, padding), 8);
	EXPECT(offsetof(struct lttng_network, address), 40);
	memset(&net, 0, sizeof(net));
	EXPECT(lttng_attr_setnetwork(&net, 1), 0);
	EXPECT(net.enable, 1);
	EXPECT(lttng_attr_setctrlport(&net, 65535), 0);
	EXPECT(net.control_port, 65535);
	EXPECT(lttng_attr_setdataport(&net, 1), 0);
	EXPECT(net.data_port, 1);
	EXPECT(lttng_attr_setaddress(&net, "192.168.0.1"), 0);
	EXPECT(strcmp(net.address.ipv4, "192.168.0.1"), 0);
	EXPECT(lttng_attr_setaddress6(&net, "fd00::1:2"), 0);
	EXPECT(strcmp(net.address.ipv6, "fd00::1:2"), 0);
	EXPECT(lttng_attr_sethostname(&net, "collector.example"), 0);
	EXPECT(strcmp(net.address.hostname, "collector.example"), 0);
	for (i = 0; i < (int) sizeof(net.padding); i++)
		EXPECT(net.padding[i], 0);

	REFUSED(&net, lttng_attr_setnetwork(&net, 2));
	REFUSED(&net, lttng_attr_setnetwork(&net, -1));
	REFUSED(&net, lttng_attr_setctrlport(&net, 0));
	REFUSED(&net, lttng_attr_setctrlport(&net, 70000));
	REFUSED(&net, lttng_attr_setctrlport(&net, -1));
	REFUSED(&net, lttng_attr_setdataport(&net, 0));
	REFUSED(&net, lttng_attr_setdataport(&net, 65536));
	REFUSED(&net, lttng_attr_setdataport(&net, INT_MIN));
	REFUSED(&net, lttng_attr_setaddress(&net, NULL));
	REFUSED(&net, lttng_attr_setaddress(&net, "fd00::1"));
	REFUSED(&net, lttng_attr_setaddress(&net, "collector"));
	REFUSED(&net, lttng_attr_setaddress(&net, "1.2.3.4.5"));
	REFUSED(&net, lttng_attr_setaddress(&net, "1.2.3.256"));
	REFUSED(&net, lttng_attr_setaddress6(&net, NULL));
	REFUSED(&net, lttng_attr_setaddress6(&net, "10.0.0.1"));
	REFUSED(&net, lttng_attr_setaddress6(&net, "[fd00::1]"));
	REFUSED(&net, lttng_attr_setaddress6(&net, "fd00::1::2"));
	REFUSED(&net, lttng_attr_sethostname(&net, NULL));
	REFUSED(&net, lttng_attr_sethostname(&net, "two words"));
	REFUSED(&net, lttng_attr_sethostname(&net, "a/b"));
	memset(long_name, 'a', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = 0;
	REFUSED(&net, lttng_attr_sethostname(&net, long_name));
	/* None of the three is an address. */
	EXPECT(lttng_attr_setaddress(&net, ""), 0);
	EXPECT(net.address.hostname[0], 0);
	EXPECT(lttng_attr_setaddress6(&net, ""), 0);
	EXPECT(lttng_attr_sethostname(&net, ""), 0);

	EXPECT(lttng_attr_setnetwork(NULL, 1), INVALID);
	EXPECT(lttng_attr_setctrlport(NULL, 1), INVALID);
	EXPECT(lttng_attr_setdataport(NULL, 1), INVALID);
	EXPECT(lttng_attr_setaddress(NULL, "10.0.0.1"), INVALID);
	EXPECT(lttng_attr_setaddress6(NULL, "::1"), INVALID);
	EXPECT(lttng_attr_sethostname(NULL, "a"), INVALID);
}

static int stream(const char *session, char **words)
{
	struct lttng_handle *handle = lttng_create_handle(session, NULL);
	struct lttng_network net;
	int ret;

	memset(&net, 0, sizeof(net));
	EXPECT(lttng_attr_setnetwork(&net, atoi(words[0])), 0);
	if (!strcmp(words[1], "ipv4"))
		EXPECT(lttng_attr_setaddress(&net, words[2]), 0);
	else if (!strcmp(words[1], "ipv6"))
		EXPECT(lttng_attr_setaddress6(&net, words[2]), 0);
	else
		EXPECT(lttng_attr_sethostname(&net, words[2]), 0);
	if (atoi(words[3]))
		EXPECT(lttng_attr_setctrlport(&net, atoi(words[3])), 0);
	if (atoi(words[4]))
		EXPECT(lttng_attr_setdataport(&net, atoi(words[4])), 0);
	ret = lttng_streaming_session(handle, &net);
	lttng_destroy_handle(handle);
	return ret;
}

static int option(const char *session, const char *name, const char *value)
{
	int port = atoi(value);
	uint16_t short_port = port;

	if (!strcmp(name, "addr"))
		return lttng_session_setopt(session, LTTNG_OPT_NETADDR, value, strlen(value) + 1);
	/* Each of the two lengths once. */
	if (!strcmp(name, "ctrl"))
		return lttng_session_setopt(session, LTTNG_OPT_NETCTRLPORT, &port, sizeof(port));
	return lttng_session_setopt(session, LTTNG_OPT_NETDATAPORT, &short_port, sizeof(short_port));
}

static int url(const char *session, const char *url)
{
	struct lttng_handle *handle = lttng_create_handle(session, NULL);
	int ret = lttng_set_consumer_url(handle, url, NULL);

	lttng_destroy_handle(handle);
	return ret;
}

static int path(const char *session)
{
	struct lttng_session *sessions;
	int i, count = lttng_list_sessions(&sessions);

	for (i = 0; i < count; i++) {
		if (!strcmp(sessions[i].name, session))
			printf("%s\n", sessions[i].path);
	}
	if (count > 0)
		free(sessions);
	return count < 0 ? count : 0;
}

static void refused_options(const char *session)
{
	int port = 6000, zero = 0, big = 70000, negative = -5;
	uint16_t short_zero = 0;
	long long wide = 6000;
	char text[300];

	memset(text, 'a', sizeof(text));
	EXPECT(lttng_session_setopt(NULL, LTTNG_OPT_NETDATAPORT, &port, sizeof(port)), INVALID);
	EXPECT(lttng_session_setopt("", LTTNG_OPT_NETDATAPORT, &port, sizeof(port)), INVALID);
	EXPECT(lttng_session_setopt("nosuch", LTTNG_OPT_NETDATAPORT, &port, sizeof(port)),
	       -LTTNG_ERR_SESS_NOT_FOUND);
	EXPECT(lttng_session_setopt("nosuch", LTTNG_OPT_NETADDR, "10.0.0.1", 8),
	       -LTTNG_ERR_SESS_NOT_FOUND);
	EXPECT(lttng_session_setopt(session, 0, &port, sizeof(port)), INVALID);
	EXPECT(lttng_session_setopt(session, 4, &port, sizeof(port)), INVALID);
	EXPECT(lttng_session_setopt(session, -1, &port, sizeof(port)), INVALID);
	EXPECT(lttng_session_setopt(session, LTTNG_OPT_NETDATAPORT, NULL, sizeof(port)), INVALID);
	EXPECT(lttng_session_setopt(session, LTTNG_OPT_NETDATAPORT, &zero, sizeof(zero)), INVALID);
	EXPECT(lttng_session_setopt(session, LTTNG_OPT_NETDATAPORT, &big, sizeof(big)), INVALID);
	EXPECT(lttng_session_setopt(session, LTTNG_OPT_NETCTRLPORT, &negative, sizeof(negative)), INVALID);
	EXPECT(lttng_session_setopt(session, LTTNG_OPT_NETCTRLPORT, &short_zero, sizeof(short_zero)),
	       INVALID);
	EXPECT(lttng_session_setopt(session, LTTNG_OPT_NETCTRLPORT, &wide, sizeof(wide)), INVALID);
	EXPECT(lttng_session_setopt(session, LTTNG_OPT_NETCTRLPORT, &port, 0), INVALID);
	EXPECT(lttng_session_setopt(session, LTTNG_OPT_NETCTRLPORT, &port, 1), INVALID);
	EXPECT(lttng_session_setopt(session, LTTNG_OPT_NETCTRLPORT, &port, 3), INVALID);
	/* Control and data must differ: 5343 is the data port already. */
	port = 5343;
	EXPECT(lttng_session_setopt(session, LTTNG_OPT_NETCTRLPORT, &port, sizeof(port)), INVALID);
	EXPECT(lttng_session_setopt(session, LTTNG_OPT_NETADDR, NULL, 4), INVALID);
	EXPECT(lttng_session_setopt(session, LTTNG_OPT_NETADDR, "x", 0), INVALID);
	EXPECT(lttng_session_setopt(session, LTTNG_OPT_NETADDR, "a b", 3), INVALID);
	EXPECT(lttng_session_setopt(session, LTTNG_OPT_NETADDR, "a\0b", 3), INVALID);
	EXPECT(lttng_session_setopt(session, LTTNG_OPT_NETADDR, "a\0", 3), INVALID);
	EXPECT(lttng_session_setopt(session, LTTNG_OPT_NETADDR, "[::1]", 5), INVALID);
	EXPECT(lttng_session_setopt(session, LTTNG_OPT_NETADDR, "10.0.0.256", 10), INVALID);
	EXPECT(lttng_session_setopt(session, LTTNG_OPT_NETADDR, "\xff\xfe", 2), INVALID);
	EXPECT(lttng_session_setopt(session, LTTNG_OPT_NETADDR, text, sizeof(text)), INVALID);
	EXPECT(lttng_session_setopt(session, LTTNG_OPT_NETADDR, text, (size_t) -1), INVALID);
}

static void refused_structs(const char *session)
{
	struct lttng_handle *handle = lttng_create_handle(session, NULL);
	struct lttng_handle *unknown = lttng_create_handle("nosuch", NULL);
	struct lttng_handle *nameless = lttng_create_handle(NULL, NULL);
	struct lttng_network good = { .enable = 1, .address.ipv4 = "10.0.0.1" }, bad;

	EXPECT(lttng_streaming_session(NULL, &good), INVALID);
	EXPECT(lttng_streaming_session(handle, NULL), INVALID);
	EXPECT(lttng_streaming_session(nameless, &good), INVALID);
	EXPECT(lttng_streaming_session(unknown, &good), -LTTNG_ERR_SESS_NOT_FOUND);
	bad = good;
	bad.enable = 7;
	EXPECT(lttng_streaming_session(handle, &bad), INVALID);
	bad = good;
	bad.control_port = bad.data_port = 6000;
	EXPECT(lttng_streaming_session(handle, &bad), INVALID);
	bad = good;
	bad.control_port = 5343;
	EXPECT(lttng_streaming_session(handle, &bad), INVALID);
	bad = good;
	memset(&bad.address, 0, sizeof(bad.address));
	EXPECT(lttng_streaming_session(handle, &bad), INVALID);
	memset(&bad.address, 'a', sizeof(bad.address));
	EXPECT(lttng_streaming_session(handle, &bad), INVALID);
	strcpy(bad.address.hostname, "no host");
	EXPECT(lttng_streaming_session(handle, &bad), INVALID);
	EXPECT(lttng_set_consumer_url(handle, NULL, NULL), INVALID);
	EXPECT(lttng_set_consumer_url(handle, "relative", NULL), INVALID);
	EXPECT(lttng_set_consumer_url(handle, "tcp://127.0.0.1", NULL), INVALID);
	EXPECT(lttng_set_consumer_url(handle, NULL, "tcp://127.0.0.1"), INVALID);
	EXPECT(lttng_set_consumer_url(handle, "net://127.0.0.1:0", NULL), INVALID);
	EXPECT(lttng_set_consumer_url(unknown, "net://127.0.0.1", NULL), -LTTNG_ERR_SESS_NOT_FOUND);
	lttng_destroy_handle(nameless);
	lttng_destroy_handle(unknown);
	lttng_destroy_handle(handle);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	int ret = 0;

	if (!strcmp(what, "setters"))
		setters();
	else if (!strcmp(what, "stream") && argc == 8)
		ret = stream(argv[2], argv + 3);
	else if (!strcmp(what, "option") && argc == 5)
		ret = option(argv[2], argv[3], argv[4]);
	else if (!strcmp(what, "url") && argc == 4)
		ret = url(argv[2], argv[3]);
	else if (!strcmp(what, "path") && argc == 3)
		ret = path(argv[2]);
	else if (!strcmp(what, "metadata") && argc == 3)
		ret = lttng_regenerate_metadata(argv[2]);
	else if (!strcmp(what, "statedump") && argc == 3)
		ret = lttng_regenerate_statedump(argv[2]);
	else if (!strcmp(what, "refused") && argc == 3) {
		refused_options(argv[2]);
		refused_structs(argv[2]);
	} else
		return 2;
	printf("%d\n", ret);
	return 0;
}
