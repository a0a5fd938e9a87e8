/* SPDX-License-Identifier: MIT
 *
 * The mailbox: order, bounds, both ways to close, and that each mail is delivered or dropped exactly once whatever
 * races. Run it under tsan and asan too.
 */
#include "mailbox.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <uv.h>

#include <cmocka.h>

struct actor {
	uv_loop_t loop;
	struct mailbox *box;
	int seen, last, close_at; /* close_at: mail number that makes deliver() close the box */
};

struct note {
	struct mail mail;
	int number;
};

static _Atomic int delivered, dropped;

static void deliver(struct mail *mail, void *owner)
{
	struct note *note = (struct note *)mail;
	struct actor *actor = owner;
	atomic_fetch_add(&delivered, 1);
	actor->seen++;
	actor->last = note->number;
	if (note->number == actor->close_at)
		mailbox_close(actor->box);
	free(note);
}

static void drop(struct mail *mail)
{
	atomic_fetch_add(&dropped, 1);
	free(mail);
}

static int post(struct mailbox *box, int number)
{
	struct note *note = calloc(1, sizeof(*note));
	*note = (struct note){.mail = {.deliver = deliver, .drop = drop}, .number = number};
	int status = mailbox_post(box, &note->mail);
	if (status < 0)
		free(note);
	return status;
}

static void set_up(struct actor *actor, size_t limit)
{
	*actor = (struct actor){.close_at = -1};
	atomic_store(&delivered, 0);
	atomic_store(&dropped, 0);
	assert_int_equal(uv_loop_init(&actor->loop), 0);
	actor->box = mailbox_new(limit);
}

static void tear_down(struct actor *actor)
{
	uv_run(&actor->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&actor->loop), 0);
	mailbox_unref(actor->box);
}

static void mail__posted_before_attach__is_delivered_in_order(void **state)
{
	(void)state;
	struct actor actor;
	set_up(&actor, 10);
	actor.close_at = 4;
	for (int i = 0; i < 5; i++)
		assert_int_equal(post(actor.box, i), 0);
	assert_int_equal(mailbox_length(actor.box), 5);
	mailbox_attach(actor.box, &actor.loop, &actor);
	tear_down(&actor);
	assert_int_equal(actor.seen, 5);
	assert_int_equal(actor.last, 4);
}

static void post__to_a_full_box__leaves_the_mail_with_the_caller(void **state)
{
	(void)state;
	struct actor actor;
	set_up(&actor, 2);
	assert_int_equal(post(actor.box, 0), 0);
	assert_int_equal(post(actor.box, 1), 0);
	assert_int_equal(post(actor.box, 2), -ENOBUFS);
	tear_down(&actor); /* never attached: the last reference drops what is left */
	assert_int_equal(dropped, 2);
}

static void close__in_the_middle_of_a_drain__drops_the_rest(void **state)
{
	(void)state;
	struct actor actor;
	set_up(&actor, 10);
	actor.close_at = 1;
	for (int i = 0; i < 5; i++)
		post(actor.box, i);
	mailbox_attach(actor.box, &actor.loop, &actor);
	tear_down(&actor);
	assert_int_equal(delivered, 2);
	assert_int_equal(dropped, 3);
}

static void post__after_abandon__is_refused_and_close_still_ends_the_loop(void **state)
{
	(void)state;
	struct actor actor;
	set_up(&actor, 10);
	mailbox_attach(actor.box, &actor.loop, &actor);
	post(actor.box, 0);
	mailbox_abandon(actor.box);
	assert_int_equal(dropped, 1);
	assert_int_equal(post(actor.box, 1), -EPIPE);
	mailbox_close(actor.box);
	assert_int_equal(post(actor.box, 1), -EPIPE);
	tear_down(&actor);
	assert_int_equal(delivered, 0);
}

static void drain__by_hand__delivers_at_once(void **state)
{
	(void)state;
	struct actor actor;
	set_up(&actor, 10);
	mailbox_attach(actor.box, &actor.loop, &actor);
	post(actor.box, 7);
	mailbox_drain(actor.box);
	assert_int_equal(actor.last, 7);
	mailbox_close(actor.box);
	tear_down(&actor);
}

enum { POSTERS = 8, EACH = 2000 };

struct poster {
	pthread_t thread;
	struct mailbox *box;
	int accepted;
};

static void *post_many(void *arg)
{
	struct poster *poster = arg;
	for (int i = 0; i < EACH; i++)
		poster->accepted += post(poster->box, i) == 0;
	mailbox_unref(poster->box);
	return NULL;
}

static void *run_loop(void *arg)
{
	struct actor *actor = arg;
	uv_run(&actor->loop, UV_RUN_DEFAULT);
	return NULL;
}

/* The drainer closes from within deliver() while eight post; with `abandon` another thread shuts the door first. */
static void race(bool abandon)
{
	struct actor actor;
	set_up(&actor, 64);
	actor.close_at = EACH / 2;
	mailbox_attach(actor.box, &actor.loop, &actor);
	struct poster posters[POSTERS];
	for (int i = 0; i < POSTERS; i++) {
		posters[i] = (struct poster){.box = mailbox_ref(actor.box)};
		pthread_create(&posters[i].thread, NULL, post_many, &posters[i]);
	}
	pthread_t drainer;
	if (!abandon) {
		/* the box may be too full for number EACH / 2 to get in: then the end of the race closes it */
		pthread_create(&drainer, NULL, run_loop, &actor);
	} else {
		actor.close_at = -1;
		mailbox_abandon(actor.box);
	}
	int accepted = 0;
	for (int i = 0; i < POSTERS; i++) {
		pthread_join(posters[i].thread, NULL);
		accepted += posters[i].accepted;
	}
	if (abandon) {
		mailbox_close(actor.box);
	} else {
		int status;
		while ((status = post(actor.box, EACH / 2)) == -ENOBUFS)
			;
		accepted += status == 0;
		pthread_join(drainer, NULL);
	}
	tear_down(&actor);
	assert_int_equal(accepted, delivered + dropped);
}

static void many_posters__and_a_close__lose_and_double_nothing(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++)
		race(/* abandon */ false);
}

static void many_posters__and_an_abandon__lose_and_double_nothing(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++)
		race(/* abandon */ true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mail__posted_before_attach__is_delivered_in_order),
		cmocka_unit_test(post__to_a_full_box__leaves_the_mail_with_the_caller),
		cmocka_unit_test(close__in_the_middle_of_a_drain__drops_the_rest),
		cmocka_unit_test(post__after_abandon__is_refused_and_close_still_ends_the_loop),
		cmocka_unit_test(drain__by_hand__delivers_at_once),
		cmocka_unit_test(many_posters__and_a_close__lose_and_double_nothing),
		cmocka_unit_test(many_posters__and_an_abandon__lose_and_double_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
