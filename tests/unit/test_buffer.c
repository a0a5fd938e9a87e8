/* SPDX-License-Identifier: MIT
 *
 * The buffer that grows: its ceiling, its head, and that a failure stays until it is cut.
 */
#include "buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void assert_text(const struct buffer *buffer, const char *expected)
{
	assert_int_equal(buffer->length, strlen(expected));
	assert_memory_equal(buffer_text(buffer), expected, buffer->length);
}

static void append__beyond_the_ceiling__appends_nothing_from_then_on(void **state)
{
	(void)state;
	struct buffer out;
	buffer_init(&out, /* head */ 0, /* ceiling */ 10);
	buffer_string(&out, "0123456");
	buffer_string(&out, "0123");
	assert_true(out.failed);
	buffer_string(&out, "7");
	buffer_print(&out, "%d", 7);
	assert_text(&out, "0123456");
	buffer_cut(&out, out.length);
	buffer_bytes(&out, "789", 3);
	assert_false(out.failed);
	assert_text(&out, "0123456789");
	buffer_cut(&out, 1);
	assert_text(&out, "0");
	buffer_release(&out);
	assert_int_equal(out.length, 0);
}

static void growth__keeps_text_and_head(void **state)
{
	(void)state;
	struct buffer out;
	buffer_init(&out, /* head */ 4, /* ceiling */ 1 << 20);
	buffer_string(&out, "x");
	memcpy(out.block, "HEAD", 4);
	for (int i = 0; i < 100000; i++)
		buffer_print(&out, "%d", i % 10);
	assert_int_equal(out.length, 100001);
	assert_memory_equal(out.block, "HEADx0123456789", 15);
	assert_int_equal(buffer_text(&out)[100000], '9');
	buffer_release(&out);
}

static void json__is_quoted_and_of_any_bytes(void **state)
{
	(void)state;
	struct buffer out;
	buffer_init(&out, /* head */ 0, /* ceiling */ 100);
	buffer_json(&out, "a\"b\n\xff", 5);
	assert_text(&out, "\"a\\\"b\\n\xef\xbf\xbd\"");
	buffer_json(&out, "0123456789012345678901234567890", 31);
	assert_true(out.failed); /* a text may take six times its length */
	buffer_release(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(append__beyond_the_ceiling__appends_nothing_from_then_on),
		cmocka_unit_test(growth__keeps_text_and_head),
		cmocka_unit_test(json__is_quoted_and_of_any_bytes),
	};
	return cmocka_run_group_tests(tests, /* setup */ NULL, /* teardown */ NULL);
}
