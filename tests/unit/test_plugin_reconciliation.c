/* SPDX-License-Identifier: MIT
 *
 * Plugin reconciliation run by a core that is none, where nothing answers: what it says then, what it refuses, and that
 * it goes without leaving anything. With real servers: tests/system/test_reconciliation_*.py.
 */
#include "plugin_host.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool is_down(struct cw_instance *self, const void *arg)
{
	(void)arg;
	return self->state == CW_DOWN;
}

static void options__that_cannot_work__are_refused(void **state)
{
	(void)state;
	static const struct {
		const char *settings[4], *says;
	} cases[] = {
		{{NULL}, "needs url"},
		{{"url=redis://host", NULL}, "begins with http:// or https://"},
		{{"url=http://user:pass@host", NULL}, "must not hold a user or a password"},
		{{"url=http://host", "status_path=status", NULL}, "status_path begins with /"},
		{{"url=http://host", "trigger_path=/a b", NULL}, "trigger_path begins with /"},
		{{"url=http://host", "api_key=a\nb", NULL}, "one line"},
		{{"url=http://host", "task=x", NULL}, "task is of no use in mode http"},
		{{"mode=celery", "url=http://host", NULL}, "begins with redis://"},
		{{"mode=celery", "task=", NULL}, "task must have"},
		{{"mode=celery", "api_key=x", NULL}, "api_key is of no use in mode celery"},
		{{"url=https://host", "tls_cert=x", NULL}, "go together"},
		{{"url=http://host", "tls_ca=x", NULL}, "does not ask for TLS"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char problems[2000];
		plugin_host_check(&cw_plugin, cases[i].settings, problems, sizeof(problems));
		if (!strstr(problems, cases[i].says))
			fail_msg("case %zu: %s", i, problems);
	}
	char problems[2000];
	plugin_host_check(&cw_plugin, (const char *const[]){"url=http://host", NULL}, problems, sizeof(problems));
	assert_string_equal(problems, "");
	plugin_host_check(&cw_plugin, (const char *const[]){"mode=celery", NULL}, problems, sizeof(problems));
	assert_string_equal(problems, "");
}

static void where_nothing_listens__it_is_down_without_gauges(const char *const *settings)
{
	struct cw_instance self;
	assert_int_equal(plugin_host_start(&self, &cw_plugin, /* once */ false, settings), 0);
	assert_true(plugin_host_read(&self) < 0);
	assert_true(plugin_host_wait(&self, is_down, NULL, 10000));
	assert_non_null(strstr(self.reason, "connection refused (127.0.0.1:1)"));
	assert_int_equal(plugin_host_read(&self), 0);
	assert_int_equal(self.samples_count, 3); /* the counter's three */
	assert_true(plugin_host_sample(&self, "reconciliation_runs_total", "lost") == 0);
	plugin_host_stop(&self);
}

static void backend_that_is_not_there__is_down_without_gauges(void **state)
{
	(void)state;
	where_nothing_listens__it_is_down_without_gauges(
		(const char *const[]){"url=http://127.0.0.1:1", "expected_every=1s", NULL});
}

static void redis_that_is_not_there__is_down_without_gauges(void **state)
{
	(void)state;
	where_nothing_listens__it_is_down_without_gauges(
		(const char *const[]){"mode=celery", "url=redis://127.0.0.1:1", "expected_every=1s", NULL});
}

static void run__that_cannot_be_sent__ends_as_an_error_and_leaves_no_row(void **state)
{
	(void)state;
	static const char *const settings[2][4] = {{"url=http://127.0.0.1:1", "cool_down=1h", NULL},
						   {"mode=celery", "url=redis://127.0.0.1:1", "cool_down=1h", NULL}};
	for (size_t i = 0; i < 2; i++) {
		struct cw_instance self;
		assert_int_equal(plugin_host_start(&self, &cw_plugin, /* once */ false, settings[i]), 0);
		for (int again = 0; again < 2; again++) { /* what was not sent needs no cool-down */
			struct cw_task *task = plugin_host_act(&self, "run", NULL, NULL, 0);
			assert_true(plugin_host_task_ends(task, 10000));
			assert_int_equal(task->state, CW_TASK_ERROR);
			assert_null(strstr(task->reason, "cool_down"));
		}
		assert_int_equal(plugin_host_rows(&self, "runs"), 0);
		plugin_host_stop(&self);
	}
}

static void stop__while_a_request_is_under_way__ends_the_task_as_lost(void **state)
{
	(void)state;
	struct cw_instance self;
	assert_int_equal(plugin_host_start(&self, &cw_plugin, /* once */ false,
					   (const char *const[]){"url=http://unreachable-then-local:1", NULL}),
			 0);
	struct cw_task *task = plugin_host_act(&self, "run", NULL, NULL, 0);
	assert_false(task->has_ended);
	self.plugin->stop(self.plugin_state);
	assert_true(task->has_ended);
	assert_int_equal(task->state, CW_TASK_LOST);
	plugin_host_stop(&self); /* to stop again does no harm */
}

static void cancel__while_a_request_is_under_way__waits_for_what_comes_of_it(void **state)
{
	(void)state;
	struct cw_instance self;
	assert_int_equal(plugin_host_start(&self, &cw_plugin, /* once */ false,
					   (const char *const[]){"url=http://unreachable-then-local:1", NULL}),
			 0);
	struct cw_task *task = plugin_host_act(&self, "run", NULL, NULL, 0);
	struct cw_task other = {.state = CW_TASK_RUNNING};
	assert_non_null(self.plugin->cancel);
	self.plugin->cancel(self.plugin_state, &other);
	self.plugin->cancel(self.plugin_state, task);
	assert_false(task->has_ended); /* nobody knows yet whether there is a run */
	assert_true(plugin_host_task_ends(task, 20000));
	assert_int_equal(task->state, CW_TASK_ERROR); /* there is none */
	self.plugin->cancel(self.plugin_state, task);
	assert_int_equal(plugin_host_rows(&self, "runs"), 0);
	plugin_host_stop(&self);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options__that_cannot_work__are_refused),
		cmocka_unit_test(backend_that_is_not_there__is_down_without_gauges),
		cmocka_unit_test(redis_that_is_not_there__is_down_without_gauges),
		cmocka_unit_test(run__that_cannot_be_sent__ends_as_an_error_and_leaves_no_row),
		cmocka_unit_test(stop__while_a_request_is_under_way__ends_the_task_as_lost),
		cmocka_unit_test(cancel__while_a_request_is_under_way__waits_for_what_comes_of_it),
	};
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
