/* SPDX-License-Identifier: MIT
 *
 * Addresses as people write them, and what is none.
 */
#include "address.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void what_people_write__is_host_and_port(void **state)
{
	(void)state;
	static const struct {
		const char *text, *host, *again;
		uint16_t port;
	} cases[] = {
		{"relay", "relay", "relay:2003", 2003},
		{"relay:2004", "relay", "relay:2004", 2004},
		{"graphite.example.net:65535", "graphite.example.net", "graphite.example.net:65535", 65535},
		{"10.0.0.5:1", "10.0.0.5", "10.0.0.5:1", 1},
		{"[::1]:2004", "::1", "[::1]:2004", 2004},
		{"[::1]", "::1", "[::1]:2003", 2003},
		{"::1", "::1", "[::1]:2003", 2003},
		{"fe80::1%eth0", "fe80::1%eth0", "[fe80::1%eth0]:2003", 2003},
		{"bücher.example:2", "bücher.example", "bücher.example:2", 2},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct address address;
		const char *error;
		char text[ADDRESS_TEXT_SIZE];
		assert_int_equal(address_parse(cases[i].text, 2003, &address, &error), 0);
		assert_string_equal(address.host, cases[i].host);
		assert_int_equal(address.port, cases[i].port);
		assert_string_equal(address_text(&address, text), cases[i].again);
	}
}

static void what_is_none__is_refused_with_a_sentence(void **state)
{
	(void)state;
	static const char *const cases[] = {
		"",      ":",     ":2003", "relay:",        "relay:0",      "relay:65536", "relay:99999999999",
		"r:20x", "r: 1",  "a b:1", "[::1",          "[::1]2003",    "[]:1",        "[::1]:",
		"a/b:1", "u@h:1", "a\n:1", "tcp://relay:1", "relay:1:2003 "};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct address address;
		const char *error = NULL;
		if (address_parse(cases[i], 2003, &address, &error) != -EINVAL)
			fail_msg("taken: `%s`", cases[i]);
		assert_non_null(error);
	}
}

static void a_host_of_any_length__is_bounded(void **state)
{
	(void)state;
	char text[1024];
	struct address address;
	const char *error;
	memset(text, 'a', sizeof(text));
	text[ADDRESS_HOST_MAX] = '\0';
	assert_int_equal(address_parse(text, 1, &address, &error), 0);
	assert_string_equal(address.host, text);
	text[ADDRESS_HOST_MAX] = 'a';
	text[ADDRESS_HOST_MAX + 1] = '\0';
	assert_int_equal(address_parse(text, 1, &address, &error), -EINVAL);
}

static void a_port__that_must_be_there__is_missed(void **state)
{
	(void)state;
	struct address address;
	const char *error;
	assert_int_equal(address_parse("relay", 0, &address, &error), -EINVAL);
	assert_string_equal(error, "the port is missing: host:port");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_people_write__is_host_and_port),
		cmocka_unit_test(what_is_none__is_refused_with_a_sentence),
		cmocka_unit_test(a_host_of_any_length__is_bounded),
		cmocka_unit_test(a_port__that_must_be_there__is_missed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
