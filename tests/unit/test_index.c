/* SPDX-License-Identifier: MIT
 *
 * The index and the dictionary under it all: held against plain arrays while they grow and shrink, with hashes that
 * collide on purpose.
 */
#include "dict.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { NUMBERS = 5000 };

static uint64_t random_state = 1;
static uint32_t below(uint32_t n)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(random_state >> 33) % n;
}

/* Seven numbers share each hash, and hashes of the same home follow each other. */
static uint32_t hash_of(uint32_t number)
{
	return number / 7 * (number % 3 ? 1 : 0x10000);
}

static bool is_number(void *arg, uint32_t number)
{
	return *(uint32_t *)arg == number;
}

static void compare(const struct index *index, const bool *exists)
{
	for (uint32_t i = 0; i < NUMBERS; i++) {
		int64_t found = index_find(index, hash_of(i), is_number, &i);
		assert_int_equal(found, exists[i] ? (int64_t)i : -1);
	}
}

static void index__equals_a_set_while_it_grows_and_shrinks(void **state)
{
	(void)state;
	static bool exists[NUMBERS];
	struct index index = {0};
	uint32_t largest = 0;
	for (uint32_t round = 0; round < 60; round++) {
		uint32_t adding = round / 10 % 2 ? 5 : 95; /* percent */
		for (uint32_t n = 0; n < 1500; n++) {
			uint32_t i = below(NUMBERS);
			if (!exists[i] && below(100) < adding) {
				assert_int_equal(index_add(&index, hash_of(i), i), 0);
				exists[i] = true;
			} else if (exists[i] && below(100) >= adding) {
				index_remove(&index, hash_of(i), i);
				exists[i] = false;
			}
		}
		compare(&index, exists);
		largest = index.now.mask > largest ? index.now.mask : largest;
	}
	for (uint32_t i = 0; i < NUMBERS; i++)
		if (exists[i])
			index_remove(&index, hash_of(i), i);
	assert_int_equal(index.now.used + index.before.used, 0);
	assert_true(index.now.mask < largest); /* memory comes back */
	index_release(&index);
}

static void dict__keeps_each_text_once_as_long_as_it_is_used(void **state)
{
	(void)state;
	static const uint8_t key[16] = {1};
	struct dict dict;
	dict_init(&dict, key);
	int64_t a = dict_add(&dict, "acme", 4), b = dict_add(&dict, "acm", 3), empty = dict_add(&dict, "", 0);
	assert_true(a >= 0 && b >= 0 && empty >= 0 && a != b && b != empty);
	assert_int_equal(dict_add(&dict, "acme", 4), a);
	assert_int_equal(dict_texts(&dict), 3);
	dict_unref(&dict, (uint32_t)a);
	uint32_t length;
	assert_memory_equal(dict_text(&dict, (uint32_t)a, &length), "acme", 4);
	assert_int_equal(length, 4);
	dict_unref(&dict, (uint32_t)a);
	assert_int_equal(dict_texts(&dict), 2);
	assert_int_equal(dict_add(&dict, "new", 3), a); /* the number is used again */
	dict_release(&dict);
}

static void dict__many_texts_come_and_go(void **state)
{
	(void)state;
	static const uint8_t key[16] = {2};
	static int64_t numbers[NUMBERS];
	struct dict dict;
	dict_init(&dict, key);
	for (int round = 0; round < 3; round++) {
		char text[16];
		for (int i = 0; i < NUMBERS; i++) {
			numbers[i] = dict_add(&dict, text, (size_t)snprintf(text, sizeof(text), "%d", i * 7 + round));
			assert_true(numbers[i] >= 0);
		}
		assert_int_equal(dict_texts(&dict), NUMBERS);
		for (int i = 0; i < NUMBERS; i++) {
			uint32_t length;
			int expected = snprintf(text, sizeof(text), "%d", i * 7 + round);
			const char *kept = dict_text(&dict, (uint32_t)numbers[i], &length);
			assert_int_equal(length, expected);
			assert_memory_equal(kept, text, length);
			dict_unref(&dict, (uint32_t)numbers[i]);
		}
		assert_int_equal(dict_texts(&dict), 0);
	}
	assert_true(dict.count <= NUMBERS);
	dict_release(&dict);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(index__equals_a_set_while_it_grows_and_shrinks),
		cmocka_unit_test(dict__keeps_each_text_once_as_long_as_it_is_used),
		cmocka_unit_test(dict__many_texts_come_and_go),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
