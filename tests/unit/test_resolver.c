/* SPDX-License-Identifier: MIT
 *
 * The resolver with a look-up of ours: answers come through the mailbox, names that hang cost their asker the deadline
 * and nobody else anything, what was found is kept, and cancelled means silent.
 */
#include "clock.h"
#include "resolver.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

static _Atomic int lookups;
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER; /* held: look-ups of hang* hang */

static int fake_lookup(const char *host, struct sockaddr_storage *addresses, uint32_t max, uint32_t *ret_n)
{
	(void)max;
	atomic_fetch_add(&lookups, 1);
	if (strncmp(host, "hang", 4) == 0) {
		pthread_mutex_lock(&gate);
		pthread_mutex_unlock(&gate);
	}
	if (strcmp(host, "nowhere") == 0)
		return -ENOENT;
	struct sockaddr_in address = {.sin_family = AF_INET};
	inet_pton(AF_INET, "192.0.2.7", &address.sin_addr);
	memcpy(&addresses[0], &address, sizeof(address));
	*ret_n = 1;
	return 0;
}

struct asker {
	uv_loop_t loop;
	struct mailbox *box;
	struct resolver *resolver;
	int answers, found, late, status, port;
	uint32_t n;
	char address[64];
};

static void answered(void *arg, int status, const struct sockaddr_storage *addresses, uint32_t n)
{
	struct asker *asker = arg;
	asker->answers++;
	asker->found += status == 0;
	asker->late += status == -ETIMEDOUT;
	asker->status = status;
	asker->n = n;
	if (n && addresses->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)addresses;
		asker->port = ntohs(in->sin_port);
		inet_ntop(AF_INET, &in->sin_addr, asker->address, sizeof(asker->address));
	} else if (n) {
		const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)addresses;
		asker->port = ntohs(in->sin6_port);
		inet_ntop(AF_INET6, &in->sin6_addr, asker->address, sizeof(asker->address));
	}
}

static int set_up_with(void **state, int64_t deadline)
{
	struct asker *asker = calloc(1, sizeof(*asker));
	uv_loop_init(&asker->loop);
	asker->box = mailbox_new(100);
	mailbox_attach(asker->box, &asker->loop, asker);
	asker->resolver = resolver_new_with(fake_lookup, deadline);
	atomic_store(&lookups, 0);
	*state = asker;
	return 0;
}

/* So long that none is late by a busy machine. */
static int set_up(void **state)
{
	return set_up_with(state, 100 * CW_SECOND);
}

static int set_up_impatient(void **state)
{
	return set_up_with(state, 300 * CW_MILLISECOND);
}

static int tear_down(void **state)
{
	struct asker *asker = *state;
	mailbox_close(asker->box);
	uv_run(&asker->loop, UV_RUN_DEFAULT);
	mailbox_unref(asker->box);
	resolver_free(asker->resolver);
	int status = uv_loop_close(&asker->loop);
	free(asker);
	return status;
}

static struct cw_resolve *ask(struct asker *asker, const char *host)
{
	struct cw_resolve *resolve = NULL;
	assert_int_equal(resolver_ask(asker->resolver, asker->box, host, 6379, answered, asker, &resolve), 0);
	return resolve;
}

static void run_until(struct asker *asker, int answers)
{
	while (asker->answers < answers)
		uv_run(&asker->loop, UV_RUN_ONCE); /* ctest's time-out ends a test that hangs */
	assert_int_equal(asker->answers, answers);
}

static void a_name__is_answered_later_with_its_port_and_then_from_the_cache(void **state)
{
	struct asker *asker = *state;
	ask(asker, "redis-1");
	assert_int_equal(asker->answers, 0);
	run_until(asker, 1);
	assert_int_equal(asker->status, 0);
	assert_int_equal(asker->port, 6379);
	assert_string_equal(asker->address, "192.0.2.7");
	ask(asker, "redis-1");
	assert_int_equal(asker->answers, 1); /* never from within */
	run_until(asker, 2);
	assert_int_equal(lookups, 1);
}

static void an_address__needs_no_look_up(void **state)
{
	struct asker *asker = *state;
	ask(asker, "127.0.0.1");
	assert_int_equal(asker->answers, 0);
	run_until(asker, 1);
	assert_string_equal(asker->address, "127.0.0.1");
	ask(asker, "::1");
	run_until(asker, 2);
	assert_string_equal(asker->address, "::1");
	assert_int_equal(asker->port, 6379);
	assert_int_equal(lookups, 0);
}

static void a_name_that_is_not__is_no_such_name(void **state)
{
	struct asker *asker = *state;
	ask(asker, "nowhere");
	run_until(asker, 1);
	assert_int_equal(asker->status, -ENOENT);
	assert_int_equal(asker->n, 0);
	struct cw_resolve *resolve;
	assert_int_equal(resolver_ask(asker->resolver, asker->box, "", 1, answered, asker, &resolve), -EINVAL);
	char endless[400];
	memset(endless, 'a', sizeof(endless));
	endless[399] = 0;
	assert_int_equal(resolver_ask(asker->resolver, asker->box, endless, 1, answered, asker, &resolve), -EINVAL);
}

static void ask_until_found(struct asker *asker, const char *host)
{
	do {
		ask(asker, host);
		run_until(asker, asker->answers + 1);
	} while (asker->status != 0);
}

static void names_that_hang__are_answered_in_time_and_kept_when_they_come(void **state)
{
	struct asker *asker = *state;
	pthread_mutex_lock(&gate);
	ask(asker, "hang-1");
	ask(asker, "hang-2");
	ask(asker, "fine-but-both-threads-hang");
	ask(asker, "10.0.0.1");
	run_until(asker, 4);
	assert_int_equal(asker->late, 3);
	assert_int_equal(asker->found, 1); /* the address */
	pthread_mutex_unlock(&gate);
	ask_until_found(asker, "hang-2");
	ask_until_found(asker, "fine-but-both-threads-hang");
	ask_until_found(asker, "hang-1"); /* the late answer is kept for the next who asks */
	int before = lookups;
	ask(asker, "hang-1");
	run_until(asker, asker->answers + 1);
	assert_int_equal(asker->status, 0);
	assert_int_equal(lookups, before);
}

static void cancel__at_any_moment__means_no_callback(void **state)
{
	struct asker *asker = *state;
	pthread_mutex_lock(&gate);
	resolver_cancel(ask(asker, "hang-1"));
	resolver_cancel(ask(asker, "10.0.0.1")); /* its answer is in the mailbox already */
	ask(asker, "10.0.0.2");
	run_until(asker, 1); /* the one that was not cancelled */
	assert_string_equal(asker->address, "10.0.0.2");
	asker->answers = 0;
	pthread_mutex_unlock(&gate);
	for (int i = 0; i < 200; i++) {
		struct cw_resolve *resolve = ask(asker, i % 2 ? "redis-1" : "nowhere");
		if (i % 3)
			uv_run(&asker->loop, UV_RUN_NOWAIT);
		if (asker->answers == 0)
			resolver_cancel(resolve);
		else
			asker->answers = 0; /* it was quicker */
	}
	ask(asker, "10.0.0.2");
	run_until(asker, 1);
	assert_string_equal(asker->address, "10.0.0.2");
	resolver_cancel(NULL);
}

static void free__while_a_look_up_hangs__does_not_wait(void **state)
{
	struct asker *asker = *state;
	pthread_mutex_lock(&gate);
	ask(asker, "hang-1");
	while (lookups == 0)
		sched_yield();
	resolver_free(asker->resolver);
	asker->resolver = NULL;
	pthread_mutex_unlock(&gate);
}

static void cancel__after_the_mailbox_was_abandoned__is_safe(void **state)
{
	struct asker *asker = *state;
	struct cw_resolve *resolve = ask(asker, "10.0.0.1"), *left = ask(asker, "10.0.0.2");
	mailbox_abandon(asker->box);
	resolver_cancel(resolve);
	(void)left; /* the resolver frees it */
	assert_int_equal(asker->answers, 0);
}

static void the_real_look_up__finds_localhost(void **state)
{
	struct asker *asker = *state;
	resolver_free(asker->resolver);
	asker->resolver = resolver_new();
	ask_until_found(asker, "localhost");
	assert_int_equal(asker->port, 6379);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_name__is_answered_later_with_its_port_and_then_from_the_cache, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(an_address__needs_no_look_up, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_name_that_is_not__is_no_such_name, set_up, tear_down),
		cmocka_unit_test_setup_teardown(names_that_hang__are_answered_in_time_and_kept_when_they_come,
						set_up_impatient, tear_down),
		cmocka_unit_test_setup_teardown(cancel__at_any_moment__means_no_callback, set_up, tear_down),
		cmocka_unit_test_setup_teardown(free__while_a_look_up_hangs__does_not_wait, set_up, tear_down),
		cmocka_unit_test_setup_teardown(cancel__after_the_mailbox_was_abandoned__is_safe, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_real_look_up__finds_localhost, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
