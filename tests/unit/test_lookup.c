/* SPDX-License-Identifier: MIT
 *
 * Ways to lookups: who is reached, by whom, and what an end that is absent, gone or does not read costs the other. Both
 * ends are on one thread here, each with its loop; instances on threads of their own are in test_instance.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lookup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

/* An actor: a loop, a mailbox, and what came. */
struct actor {
	uv_loop_t loop;
	struct mailbox *box;
	uint32_t asks, keys, answers;
	char last_key[512], last_value[CW_LOOKUP_VALUE_MAX + 512];
	bool last_is_absent;
};

struct world {
	struct lookups *lookups;
	struct actor server, one, two;
};

static void actor_open(struct actor *actor)
{
	uv_loop_init(&actor->loop);
	actor->box = mailbox_new(4096);
	mailbox_attach(actor->box, &actor->loop, actor);
}

static void actor_close(struct actor *actor)
{
	mailbox_close(actor->box);
	uv_run(&actor->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&actor->loop), 0);
	mailbox_unref(actor->box);
}

static void turn(struct actor *actor)
{
	uv_run(&actor->loop, UV_RUN_NOWAIT);
}

static int make_world(void **state)
{
	struct world *world = calloc(1, sizeof *world);
	world->lookups = lookups_new();
	actor_open(&world->server);
	actor_open(&world->one);
	actor_open(&world->two);
	*state = world;
	return 0;
}

static int end_world(void **state)
{
	struct world *world = *state;
	lookups_leave(world->lookups, world->server.box);
	lookups_close_ways(world->lookups, world->one.box);
	lookups_close_ways(world->lookups, world->two.box);
	actor_close(&world->server);
	actor_close(&world->one);
	actor_close(&world->two);
	lookups_free(world->lookups);
	free(world);
	return 0;
}

static void on_asked(void *owner, const char *const *keys, uint32_t n)
{
	struct actor *actor = owner;
	actor->asks++;
	actor->keys += n;
	snprintf(actor->last_key, sizeof actor->last_key, "%s", keys[n - 1]);
}

static void on_answered(void *arg, const struct cw_answer *answers, uint32_t n)
{
	struct actor *actor = arg;
	const struct cw_answer *last = &answers[n - 1];
	actor->answers += n;
	snprintf(actor->last_key, sizeof actor->last_key, "%s", last->key);
	actor->last_is_absent = !last->value;
	snprintf(actor->last_value, sizeof actor->last_value, "%s", last->value ? last->value : "");
}

static struct cw_lookup *open_way(struct world *world, struct actor *actor, const char *name)
{
	struct cw_lookup *way = NULL;
	assert_int_equal(lookup_open(world->lookups, name, actor->box, on_answered, actor, &way), 0);
	return way;
}

static int ask(struct cw_lookup *way, const char *key)
{
	return lookup_ask(way, &key, 1);
}

static void answer(struct world *world, const char *name, const char *key, const char *value)
{
	lookups_answer(world->lookups, name, &(struct cw_answer){.key = key, .value = value, .as_of = 7}, 1);
}

static void serve(struct world *world, const char *name)
{
	assert_int_equal(lookups_serve(world->lookups, name, world->server.box, on_asked), 0);
}

/* ---- the tests ---- */

static void ask__reaches_the_lookup_of_that_name_whenever_it_comes(void **state)
{
	struct world *world = *state;
	struct cw_lookup *way = open_way(world, &world->one, "names");
	assert_int_equal(ask(way, "a"), -EAGAIN);
	serve(world, "others");
	assert_int_equal(ask(way, "a"), -EAGAIN);
	lookups_leave(world->lookups, world->server.box);
	serve(world, "names");
	assert_int_equal(ask(way, "a"), 0);
	turn(&world->server);
	assert_int_equal(world->server.asks, 1);
	assert_string_equal(world->server.last_key, "a");
	lookups_leave(world->lookups, world->server.box);
	assert_int_equal(ask(way, "b"), -EAGAIN);
	serve(world, "names"); /* back after a reload: the way is the same */
	assert_int_equal(ask(way, "b"), 0);
	turn(&world->server);
	assert_string_equal(world->server.last_key, "b");
}

static void answer__goes_to_all_who_look_there_and_nobody_else(void **state)
{
	struct world *world = *state;
	open_way(world, &world->one, "names");
	struct cw_lookup *other = open_way(world, &world->two, "others");
	answer(world, "names", "k", "v");
	turn(&world->one);
	turn(&world->two);
	assert_int_equal(world->one.answers, 1);
	assert_string_equal(world->one.last_value, "v");
	assert_int_equal(world->two.answers, 0);
	lookup_close(other);
	open_way(world, &world->two, "names");
	answer(world, "names", "k", NULL);
	turn(&world->one);
	turn(&world->two);
	assert_int_equal(world->one.answers, 2);
	assert_int_equal(world->two.answers, 1);
	assert_true(world->two.last_is_absent);
}

static void closed_way__hears_nothing_not_even_what_waits(void **state)
{
	struct world *world = *state;
	struct cw_lookup *way = open_way(world, &world->one, "names");
	answer(world, "names", "k", "v");
	lookup_close(way);
	answer(world, "names", "k", "v");
	turn(&world->one);
	assert_int_equal(world->one.answers, 0);
	lookup_close(NULL);
}

static void ways_left_open__are_closed_with_their_instance(void **state)
{
	struct world *world = *state;
	open_way(world, &world->one, "names");
	open_way(world, &world->one, "others");
	struct cw_lookup *stays = open_way(world, &world->two, "names");
	lookups_close_ways(world->lookups, world->one.box);
	answer(world, "names", "k", "v");
	turn(&world->one);
	turn(&world->two);
	assert_int_equal(world->one.answers, 0);
	assert_int_equal(world->two.answers, 1);
	lookup_close(stays);
}

/* An instance that was abandoned: its box is shut, its thread may still come back to the way. */
static void way_of_a_shut_box__costs_nothing_and_stays_valid(void **state)
{
	struct world *world = *state;
	struct cw_lookup *way = open_way(world, &world->one, "names");
	answer(world, "names", "k", "v");
	mailbox_abandon(world->one.box);
	answer(world, "names", "k", "v");
	serve(world, "names");
	assert_int_equal(ask(way, "k"), 0);
	turn(&world->server);
	lookup_close(way);
}

static void lookup_that_does_not_read__refuses_more_until_it_does(void **state)
{
	struct world *world = *state;
	char texts[CW_LOOKUP_KEYS_MAX][40];
	const char *keys[CW_LOOKUP_KEYS_MAX];
	for (size_t i = 0; i < CW_LOOKUP_KEYS_MAX; i++) {
		snprintf(texts[i], sizeof texts[i], "%036zu", i);
		keys[i] = texts[i];
	}
	serve(world, "names");
	struct cw_lookup *way = open_way(world, &world->one, "names");
	uint32_t taken = 0;
	while (lookup_ask(way, keys, CW_LOOKUP_KEYS_MAX) == 0 && taken < 1000)
		taken++;
	assert_in_range(taken, 10, LOOKUP_ASKED_MAX / CW_LOOKUP_KEYS_MAX / 36);
	struct cw_lookup *other = open_way(world, &world->two, "names");
	assert_int_equal(lookup_ask(other, keys, 1), 0); /* who asks little is not refused for it */
	turn(&world->server);
	assert_int_equal(world->server.keys, taken * CW_LOOKUP_KEYS_MAX + 1);
	assert_int_equal(lookup_ask(way, keys, CW_LOOKUP_KEYS_MAX), 0);
	assert_int_equal(lookup_ask(way, keys, CW_LOOKUP_KEYS_MAX + 1), -EINVAL);
}

/* It was left behind in the middle of reading what it had been asked. */
static void lookup_that_never_reads__costs_its_successor_nothing(void **state)
{
	struct world *world = *state;
	static char key[CW_LOOKUP_KEY_MAX + 1];
	const char *keys[CW_LOOKUP_KEYS_MAX];
	memset(key, 'k', CW_LOOKUP_KEY_MAX);
	for (size_t i = 0; i < CW_LOOKUP_KEYS_MAX; i++)
		keys[i] = key;
	struct cw_lookup *way = open_way(world, &world->one, "names");
	serve(world, "names");
	while (lookup_ask(way, keys, CW_LOOKUP_KEYS_MAX) == 0)
		;
	lookups_leave(world->lookups, world->server.box);
	assert_int_equal(lookups_serve(world->lookups, "names", world->two.box, on_asked), 0);
	assert_int_equal(lookup_ask(way, keys, CW_LOOKUP_KEYS_MAX), 0);
	turn(&world->two);
	assert_int_equal(world->two.keys, CW_LOOKUP_KEYS_MAX);
	lookups_leave(world->lookups, world->two.box);
}

static void source_that_does_not_read__misses_answers_and_others_do_not(void **state)
{
	struct world *world = *state;
	enum { TIMES = 200 };
	static struct cw_answer answers[10 * CW_LOOKUP_KEYS_MAX];
	for (size_t i = 0; i < sizeof answers / sizeof *answers; i++)
		answers[i] = (struct cw_answer){.key = "a key of some length", .value = "and a value of some length"};
	open_way(world, &world->one, "names");
	open_way(world, &world->two, "names");
	for (int i = 0; i < TIMES; i++) {
		lookups_answer(world->lookups, "names", answers, sizeof answers / sizeof *answers);
		turn(&world->two);
	}
	turn(&world->one);
	assert_int_equal(world->two.answers, TIMES * sizeof answers / sizeof *answers);
	assert_in_range(world->one.answers, CW_LOOKUP_KEYS_MAX, LOOKUP_ANSWERED_MAX / sizeof *answers);
	answer(world, "names", "k", "v");
	turn(&world->one);
	assert_string_equal(world->one.last_key, "k"); /* it has caught up */
}

static void texts_that_are_too_long__are_left_out_or_cut(void **state)
{
	struct world *world = *state;
	char key[CW_LOOKUP_KEY_MAX + 2], value[CW_LOOKUP_VALUE_MAX + 100];
	memset(key, 'k', sizeof key);
	memset(value, 'v', sizeof value);
	key[CW_LOOKUP_KEY_MAX + 1] = value[sizeof value - 1] = '\0';
	memcpy(value + CW_LOOKUP_VALUE_MAX - 1, "ä", 2);
	serve(world, "names");
	struct cw_lookup *way = open_way(world, &world->one, "names");
	assert_int_equal(lookup_ask(way, (const char *const[]){key, "short"}, 2), 0);
	assert_int_equal(ask(way, key), 0);
	turn(&world->server);
	assert_int_equal(world->server.keys, 1);
	answer(world, "names", key + 1, value);
	turn(&world->one);
	assert_string_equal(world->one.last_key, key + 1);
	assert_int_equal(strlen(world->one.last_value), CW_LOOKUP_VALUE_MAX - 1);
	answer(world, "names", key, "of nobody who could ask");
	turn(&world->one);
	assert_int_equal(world->one.answers, 1);
}

/* Two lookups of one name: the first was left behind by a reload. */
static void of_two_who_serve_a_name__the_latest_is_asked(void **state)
{
	struct world *world = *state;
	serve(world, "names");
	assert_int_equal(lookups_serve(world->lookups, "names", world->two.box, on_asked), 0);
	struct cw_lookup *way = open_way(world, &world->one, "names");
	assert_int_equal(ask(way, "k"), 0);
	turn(&world->server);
	turn(&world->two);
	assert_int_equal(world->server.asks, 0);
	assert_int_equal(world->two.asks, 1);
	lookups_leave(world->lookups, world->two.box);
	lookups_leave(world->lookups, world->one.box); /* who never served */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_world, end_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(ask__reaches_the_lookup_of_that_name_whenever_it_comes),
		TEST(answer__goes_to_all_who_look_there_and_nobody_else),
		TEST(closed_way__hears_nothing_not_even_what_waits),
		TEST(ways_left_open__are_closed_with_their_instance),
		TEST(way_of_a_shut_box__costs_nothing_and_stays_valid),
		TEST(lookup_that_does_not_read__refuses_more_until_it_does),
		TEST(lookup_that_never_reads__costs_its_successor_nothing),
		TEST(source_that_does_not_read__misses_answers_and_others_do_not),
		TEST(texts_that_are_too_long__are_left_out_or_cut),
		TEST(of_two_who_serve_a_name__the_latest_is_asked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
