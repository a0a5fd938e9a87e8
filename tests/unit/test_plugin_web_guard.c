/* SPDX-License-Identifier: MIT
 *
 * plugins/web: which Host and which Origin a request may say, and for whom a proxy asks.
 */
#include "guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* A text, or a list of texts, as an option's value. */
#define TEXT(t)                                                                                                        \
	{                                                                                                              \
		.type = CW_OPTION_STRING, .known = true, .string = (t)                                                 \
	}

static const struct cw_value hosts[] = {TEXT("Callwatch.example.net"), TEXT("proxy.example.net:443"), TEXT("[fd00::5]"),
					TEXT("10.9.9.9:9000")};
static const struct cw_value proxies[] = {TEXT("10.1.0.0/16"), TEXT("::1")};
static const struct cw_value options[] = {
	{.key = "allowed_hosts", .type = CW_OPTION_LIST, .known = true, .children = hosts, .count = 4},
	{.key = "trusted_proxies", .type = CW_OPTION_LIST, .known = true, .children = proxies, .count = 2},
};
static const struct cw_value values = {.type = CW_OPTION_GROUP, .known = true, .children = options, .count = 2};

static int setup(void **state)
{
	static struct guard guard;
	struct endpoint endpoints[2];
	endpoint_parse(&endpoints[0], "0.0.0.0:8470");
	endpoint_parse(&endpoints[1], "10.0.0.5:8470");
	assert_int_equal(guard_init(&guard, &values, "Agent-1", endpoints, 2), 0);
	*state = &guard;
	return 0;
}

static int teardown(void **state)
{
	guard_release(*state);
	return 0;
}

static void host__must_be_ours(void **state)
{
	static const struct {
		const char *host;
		bool allowed;
	} cases[] = {
		{"127.0.0.1:8470", true},
		{"127.0.0.1", true},
		{"localhost:8470", true},
		{"LocalHost:8470", true},
		{"localhost", true},
		{"[::1]:8470", true},
		{"[::1]", true},
		{"[0:0:0:0:0:0:0:1]:8470", true},
		{"10.0.0.5:8470", true},    /* listened on */
		{"192.168.7.7:8470", true}, /* where it came to */
		{"agent-1:8470", true},     /* the hostname */
		{"AGENT-1", true},
		{"callwatch.example.net", true}, /* listed without a port: any */
		{"callwatch.example.net:1", true},
		{"CALLWATCH.example.net:65535", true},
		{"proxy.example.net:443", true},
		{"[FD00::5]:7", true},
		{"10.9.9.9:9000", true},
		{"proxy.example.net", false}, /* in clear that is port 80 */
		{"proxy.example.net:8470", false},
		{"10.9.9.9:8470", false},
		{"evil.com", false},
		{"evil.com:8470", false},
		{"127.0.0.1.evil.com:8470", false},
		{"localhost.evil.com:8470", false},
		{"evil.com#localhost:8470", false},
		{"localhost@evil.com:8470", false},
		{"localhost:1", false},
		{"localhost:08470", false},
		{"localhost:", false},
		{"localhost:8470:8470", false},
		{"localhost:8470.evil.com", false},
		{"localhost.:8470", false},
		{" localhost:8470", false},
		{"localhost:8470,evil.com", false},
		{"localhost:8470 evil.com", false},
		{"localhost/:8470", false},
		{"127.0.0.2:8470", false},
		{"127.1:8470", false},
		{"2130706433:8470", false},
		{"0x7f000001:8470", false},
		{"0.0.0.0:8470", false},
		{"[::]:8470", false},
		{"::1", false},
		{"[::1", false},
		{"[::1]8470", false},
		{"[127.0.0.1]:8470", false},
		{"[::ffff:127.0.0.1]:8470", true}, /* that is 127.0.0.1 */
		{"[::1%lo]:8470", false},
		{"10.0.0.6:8470", false},
		{"agent-2:8470", false},
		{"agent-1.evil.com", false},
		{"callwatch.example.net.", false},
		{"xcallwatch.example.net", false},
		{"l\xc3\xb6"
		 "calhost:8470",
		 false},
		{"", false},
		{NULL, false},
	};
	struct endpoint local;
	endpoint_parse(&local, "192.168.7.7:8470");
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct site site = {.host = cases[i].host};
		if (guard_allows_host(*state, &site, &local) != cases[i].allowed)
			fail_msg("%s", cases[i].host);
	}
	char longest[1000];
	memset(longest, 'a', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	assert_false(guard_allows_host(*state, &(struct site){.host = longest}, &local));
	assert_true(guard_allows_host(*state, &(struct site){.host = "proxy.example.net", .https = true}, &local));
}

static void origin__must_be_the_sites_own(void **state)
{
	static const struct {
		const char *origin, *host;
		bool http, https; /* allowed if the site is in clear, with TLS */
	} cases[] = {
		{"http://127.0.0.1:8470", "127.0.0.1:8470", true, false},
		{"https://127.0.0.1:8470", "127.0.0.1:8470", false, true},
		{"http://[::1]:8470", "[::1]:8470", true, false},
		{"https://a.example.net", "A.example.net", false, true},
		{"https://a.example.net", "a.example.net:443", false, true},
		{"http://a.example.net:80", "a.example.net", true, false},
		{"http://a.example.net", "a.example.net:8470", false, false},
		{"http://127.0.0.1", "127.0.0.1:8470", false, false},
		{"http://127.0.0.1:8471", "127.0.0.1:8470", false, false},
		{"http://localhost:8470", "127.0.0.1:8470", false, false},
		{"null", "127.0.0.1:8470", false, false},
		{"", "127.0.0.1:8470", false, false},
		{"http://", "127.0.0.1:8470", false, false},
		{"127.0.0.1:8470", "127.0.0.1:8470", false, false},
		{"//127.0.0.1:8470", "127.0.0.1:8470", false, false},
		{"HTTP://127.0.0.1:8470", "127.0.0.1:8470", false, false},
		{"http://127.0.0.1:8470/", "127.0.0.1:8470", false, false},
		{"http://127.0.0.1:8470.evil.com", "127.0.0.1:8470", false, false},
		{"http://127.0.0.1:8470@evil.com", "127.0.0.1:8470", false, false},
		{"http://evil.com#127.0.0.1:8470", "127.0.0.1:8470", false, false},
		{"http://127.0.0.1:8470 http://evil.com", "127.0.0.1:8470", false, false},
		{"http://evil.com http://127.0.0.1:8470", "127.0.0.1:8470", false, false},
		{"http://x127.0.0.1:8470", "127.0.0.1:8470", false, false},
		{"file://127.0.0.1:8470", "127.0.0.1:8470", false, false},
		{"chrome-extension://abc", "127.0.0.1:8470", false, false},
		{"http://a", NULL, false, false},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct site site = {.host = cases[i].host};
		if (guard_is_same_origin(cases[i].origin, &site) != cases[i].http)
			fail_msg("%s", cases[i].origin);
		site.https = true;
		if (guard_is_same_origin(cases[i].origin, &site) != cases[i].https)
			fail_msg("https: %s", cases[i].origin);
		site = (struct site){.host = cases[i].host, .any_scheme = true};
		if (guard_is_same_origin(cases[i].origin, &site) != (cases[i].http || cases[i].https))
			fail_msg("any scheme: %s", cases[i].origin);
	}
}

static void client__is_the_last_that_no_proxy_of_ours_is(void **state)
{
	static const struct {
		const char *peer, *header, *client;
	} cases[] = {
		{"10.1.0.1", "203.0.113.9", "203.0.113.9"},
		{"10.1.0.1", "203.0.113.9, 10.1.0.2", "203.0.113.9"},
		{"10.1.0.1", "1.1.1.1, 203.0.113.9, 10.1.0.2", "203.0.113.9"}, /* what comes before anybody may say */
		{"10.1.0.1", "1.1.1.1 ,\t203.0.113.9:4711 ", "203.0.113.9"},
		{"10.1.0.1", "[2001:db8::1]:4711", "2001:db8::1"},
		{"::1", "2001:db8::1", "2001:db8::1"},
		{"10.1.0.1", "10.1.0.2", "10.1.0.2"},
		{"10.1.0.1", "", "10.1.0.1"},
		{"10.1.0.1", "unknown", "10.1.0.1"},
		{"10.1.0.1", "1.1.1.1, junk, 10.1.0.2", "10.1.0.2"},
		{"10.1.0.1", ",,,", "10.1.0.1"},
		{"10.2.0.1", "203.0.113.9", "10.2.0.1"}, /* not trusted */
		{"127.0.0.1", "10.1.0.2", "127.0.0.1"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct ip ip;
		char text[IP_TEXT_MAX];
		assert_true(ip_parse(&ip, cases[i].peer, strlen(cases[i].peer)));
		guard_find_client(*state, cases[i].header, &ip);
		ip_print(&ip, text);
		if (strcmp(text, cases[i].client) != 0)
			fail_msg("%s for %s: %s", cases[i].peer, cases[i].header, text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(host__must_be_ours, setup, teardown),
		cmocka_unit_test_setup_teardown(origin__must_be_the_sites_own, setup, teardown),
		cmocka_unit_test_setup_teardown(client__is_the_last_that_no_proxy_of_ours_is, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
