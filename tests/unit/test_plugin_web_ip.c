/* SPDX-License-Identifier: MIT
 *
 * plugins/web: addresses and networks as people and proxies write them.
 */
#include "ip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

static void endpoint__is_an_address_with_a_port(void **state)
{
	static const struct {
		const char *text, *ip; /* NULL: refused */
		uint16_t port;
	} cases[] = {
		{"127.0.0.1:8470", "127.0.0.1", 8470},
		{"[::1]:8470", "::1", 8470},
		{"0.0.0.0:1", "0.0.0.0", 1},
		{"[::]:65535", "::", 65535},
		{"[::ffff:10.0.0.1]:80", "10.0.0.1", 80},
		{"127.0.0.1", NULL, 0},
		{"127.0.0.1:", NULL, 0},
		{"127.0.0.1:0", NULL, 0},
		{"127.0.0.1:65536", NULL, 0},
		{"127.0.0.1:+80", NULL, 0},
		{"127.0.0.1:80 ", NULL, 0},
		{"127.1:80", NULL, 0},
		{"0x7f.0.0.1:80", NULL, 0},
		{"localhost:80", NULL, 0},
		{":80", NULL, 0},
		{"::1:80", NULL, 0},
		{"[127.0.0.1]:80", NULL, 0},
		{"[::1]80", NULL, 0},
		{"[::1:80", NULL, 0},
		{"[]:80", NULL, 0},
		{"", NULL, 0},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct endpoint endpoint, back;
		struct sockaddr_storage address;
		char text[IP_TEXT_MAX];
		if (endpoint_parse(&endpoint, cases[i].text) != (cases[i].ip != NULL))
			fail_msg("%s", cases[i].text);
		if (!cases[i].ip)
			continue;
		ip_print(&endpoint.ip, text);
		assert_string_equal(text, cases[i].ip);
		assert_int_equal(endpoint.port, cases[i].port);
		endpoint_to_socket(&endpoint, &address);
		assert_true(endpoint_from_socket(&back, (struct sockaddr *)&address));
		assert_true(ip_equal(&back.ip, &endpoint.ip));
		assert_int_equal(back.port, endpoint.port);
	}
	assert_false(endpoint_from_socket(&(struct endpoint){0}, &(struct sockaddr){.sa_family = AF_UNIX}));
}

static void loopback__is_known(void **state)
{
	static const struct {
		const char *text;
		bool loopback, any;
	} cases[] = {
		{"127.0.0.1", true, false},        {"127.255.0.9", true, false}, {"::1", true, false},
		{"::ffff:127.0.0.1", true, false}, {"0.0.0.0", false, true},     {"::", false, true},
		{"128.0.0.1", false, false},       {"10.0.0.1", false, false},   {"::2", false, false},
		{"fe80::1", false, false},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct ip ip;
		assert_true(ip_parse(&ip, cases[i].text, strlen(cases[i].text)));
		assert_int_equal(ip_is_loopback(&ip), cases[i].loopback);
		assert_int_equal(ip_is_any(&ip), cases[i].any);
	}
}

static void client__is_an_address_or_a_network_of_64_bits(void **state)
{
	static const struct {
		const char *a, *b;
		bool same;
	} cases[] = {
		{"10.0.0.1", "10.0.0.1", true},        {"10.0.0.1", "10.0.0.2", false},
		{"::ffff:10.0.0.1", "10.0.0.1", true}, {"fd00:1::1", "fd00:1::ffff:2", true},
		{"fd00:1::1", "fd00:1:0:1::1", false}, {"::1", "0.0.0.1", false},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct ip a, b;
		assert_true(ip_parse(&a, cases[i].a, strlen(cases[i].a)));
		assert_true(ip_parse(&b, cases[i].b, strlen(cases[i].b)));
		a = ip_client(&a);
		b = ip_client(&b);
		assert_int_equal(ip_equal(&a, &b), cases[i].same);
	}
}

static void network__has_what_begins_like_it(void **state)
{
	static const struct {
		const char *network, *in, *out; /* in NULL: refused */
	} cases[] = {
		{"10.0.0.0/8", "10.255.1.2", "11.0.0.0"},
		{"10.1.2.3", "10.1.2.3", "10.1.2.2"},
		{"10.1.2.3/32", "10.1.2.3", "10.1.2.2"},
		{"192.168.4.0/22", "192.168.7.255", "192.168.8.0"},
		{"0.0.0.0/0", "1.2.3.4", "::1"},
		{"fd00::/8", "fdff::1", "fe00::1"},
		{"::1", "::1", "::2"},
		{"::/0", "fd00::1", "1.2.3.4"},
		{"10.0.0.1/8", NULL, NULL},
		{"10.0.0.0/33", NULL, NULL},
		{"10.0.0.0/", NULL, NULL},
		{"10.0.0.0/08", NULL, NULL},
		{"10.0.0.0/-1", NULL, NULL},
		{"10.0.0/8", NULL, NULL},
		{"fd00::/129", NULL, NULL},
		{"proxy", NULL, NULL},
		{"", NULL, NULL},
		{"/8", NULL, NULL},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct network network;
		struct ip ip;
		if (network_parse(&network, cases[i].network) != (cases[i].in != NULL))
			fail_msg("%s", cases[i].network);
		if (!cases[i].in)
			continue;
		assert_true(ip_parse(&ip, cases[i].in, strlen(cases[i].in)));
		assert_true(network_has(&network, &ip));
		assert_true(ip_parse(&ip, cases[i].out, strlen(cases[i].out)));
		assert_false(network_has(&network, &ip));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(endpoint__is_an_address_with_a_port),
		cmocka_unit_test(loopback__is_known),
		cmocka_unit_test(client__is_an_address_or_a_network_of_64_bits),
		cmocka_unit_test(network__has_what_begins_like_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
