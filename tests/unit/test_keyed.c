/* SPDX-License-Identifier: MIT
 *
 * What is remembered by a keyed hash: found again, bounded, swept; and hashes that are chained.
 */
#include "keyed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static bool is_odd(void *arg, void *value)
{
	(void)arg;
	return *(uint64_t *)value % 2 == 1;
}

static struct keyed_hash hash_of(uint64_t number)
{
	static const unsigned char secret[KEYED_SECRET_SIZE] = "a secret";
	return keyed_hash(secret, &number, sizeof(number));
}

static void table__finds_what_was_put_and_takes_no_more_than_its_limit(void **state)
{
	(void)state;
	enum { LIMIT = 5000 };
	struct keyed keyed;
	bool is_new;
	keyed_init(&keyed, sizeof(uint64_t), LIMIT);
	for (uint64_t i = 0; i < LIMIT; i++) {
		uint64_t *value = keyed_put(&keyed, hash_of(i), &is_new);
		assert_true(is_new);
		assert_int_equal(*value, 0);
		*value = i;
	}
	assert_null(keyed_put(&keyed, hash_of(LIMIT), &is_new));
	for (uint64_t i = 0; i < LIMIT; i++) {
		assert_int_equal(*(uint64_t *)keyed_put(&keyed, hash_of(i), &is_new), i);
		assert_false(is_new);
	}
	keyed_sweep(&keyed, is_odd, NULL);
	assert_int_equal(keyed.count, LIMIT / 2);
	for (uint64_t i = 0; i < LIMIT; i++) {
		uint64_t *value = keyed_put(&keyed, hash_of(i), &is_new);
		assert_int_equal(is_new, i % 2);
		assert_int_equal(*value, i % 2 ? 0 : i);
	}
	keyed_release(&keyed);
}

static void values__taken_out_in_any_order__leave_the_others_found(void **state)
{
	(void)state;
	enum { COUNT = 3000 };
	struct keyed keyed;
	bool is_new;
	keyed_init(&keyed, sizeof(uint64_t), COUNT);
	assert_null(keyed_find(&keyed, hash_of(1)));
	keyed_remove(&keyed, hash_of(1));
	for (uint64_t i = 0; i < COUNT; i++)
		*(uint64_t *)keyed_put(&keyed, hash_of(i), &is_new) = i;
	for (uint64_t i = 0; i < COUNT; i++) /* 7 and COUNT share no divisor: each once */
		if (i % 3) {
			keyed_remove(&keyed, hash_of(i * 7 % COUNT));
			keyed_remove(&keyed, hash_of(i * 7 % COUNT));
		}
	assert_int_equal(keyed.count, COUNT / 3);
	for (uint64_t i = 0; i < COUNT; i++) {
		uint64_t *value = keyed_find(&keyed, hash_of(i * 7 % COUNT));
		assert_int_equal(value != NULL, i % 3 == 0);
		if (value)
			assert_int_equal(*value, i * 7 % COUNT);
	}
	keyed_release(&keyed);
}

static void hash__of_another_secret__is_another(void **state)
{
	(void)state;
	static const unsigned char other[KEYED_SECRET_SIZE] = "another";
	uint64_t number = 7;
	struct keyed_hash one = hash_of(number), two = keyed_hash(other, &number, sizeof(number));
	assert_memory_not_equal(&one, &two, sizeof(one));
}

/* Where one text ends and the next begins makes a difference. */
static void hash__of_a_chain__knows_its_links(void **state)
{
	(void)state;
	static const unsigned char secret[KEYED_SECRET_SIZE] = "a secret";
	static const char *const texts[][2] = {{"ab", "c"}, {"a", "bc"}, {"abc", ""}, {"", "abc"}, {"c", "ab"}};
	enum { CHAINS = sizeof texts / sizeof *texts };
	struct keyed_hash hashes[CHAINS];
	for (int i = 0; i < CHAINS; i++) {
		hashes[i] = (struct keyed_hash){{0}};
		for (int j = 0; j < 2; j++)
			hashes[i] = keyed_hash_on(secret, hashes[i], texts[i][j], strlen(texts[i][j]));
		for (int j = 0; j <= i; j++)
			assert_int_equal(keyed_same(hashes[i], hashes[j]), i == j);
	}
}

static void secret__is_another_each_time(void **state)
{
	(void)state;
	unsigned char one[KEYED_SECRET_SIZE] = {0}, other[KEYED_SECRET_SIZE] = {0};
	keyed_secret(one);
	keyed_secret(other);
	assert_memory_not_equal(one, other, sizeof one);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table__finds_what_was_put_and_takes_no_more_than_its_limit),
		cmocka_unit_test(values__taken_out_in_any_order__leave_the_others_found),
		cmocka_unit_test(hash__of_another_secret__is_another),
		cmocka_unit_test(hash__of_a_chain__knows_its_links),
		cmocka_unit_test(secret__is_another_each_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
