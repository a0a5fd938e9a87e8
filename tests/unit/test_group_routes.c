/* SPDX-License-Identifier: MIT
 *
 * Groups with rules and routes as a configuration says them, and the vendor's rules: who hears of what.
 */
#include "rules_fixture.h"

#include "group.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NOTIFIERS                                                                                                      \
	"  - { plugin: herald, name: slack, path: /dev/null }\n"                                                       \
	"  - { plugin: herald, name: email, path: /dev/null }\n"                                                       \
	"  - { plugin: herald, name: pager, path: /dev/null }\n"

static const char *const configuration =
	"rules:\n"
	"  - { name: by-team, table: calls, where: [health_status=stale], group_by: [worker], labels: { team: night } "
	"}\n"
	"  - { name: grave, table: calls, where: [health_status=stale], severity: critical, group_wait: 1s }\n"
	"  - { name: broken, table: instances, where: [role=notifier], severity: critical, group_wait: 1s }\n"
	"notify:\n"
	"  default: [slack]\n"
	"  group_wait: 2s\n"
	"  routes:\n"
	"    - { where: [worker=ai-7], to: [] }\n"
	"    - { where: [team=night, worker=null], to: [email] }\n"
	"    - { where: [team=night], to: [pager] }\n"
	"    - { where: [severity=critical], to: [slack, email] }\n";

static char heard[8][128];
static int heard_count;

static void tell(void *arg, struct group *group, struct notice *notice, const char *const *notifiers, uint32_t n)
{
	(void)arg, (void)group;
	char *line = heard[heard_count++];
	strcpy(line, notice->said.title);
	for (uint32_t i = 0; i < n; i++)
		strcat(strcat(line, i ? " " : " > "), notifiers[i]);
}

static void show(void *arg, struct alert *alert)
{
	(void)arg, (void)alert;
}

static struct alert *fire(struct groups *groups, const struct ruleset *ruleset, const char *rule, const char *source,
			  const char *subject, const char *worker)
{
	struct alert *alert = alert_new(rule, source, subject, source);
	struct cw_fact fact = {"worker", worker};
	alert_set_words(alert, subject, NULL, &fact, worker ? 1 : 0);
	alert->rule = ruleset_find(ruleset, rule);
	assert_non_null(alert->rule);
	alert->severity = alert->rule->severity;
	alert_begin(alert, 1);
	alert->firing_since = 1;
	alert->state = ALERT_FIRING;
	groups_add(groups, alert, CW_SECOND);
	return alert;
}

static void routes__of_a_configuration__are_the_ways_of_groups(void **state)
{
	(void)state;
	struct problems problems;
	struct plan *plan = rules_plan(RULES_PLUGINS NOTIFIERS, configuration, &problems);
	for (size_t i = 0; !plan && i < problems.count; i++)
		print_error("%s\n", problems.list[i].message);
	assert_non_null(plan);
	struct groups_options options = {.hostname = "box", .tell = tell, .show = show, .settled = show};
	struct silences *silences = silences_new();
	struct groups *groups = groups_new(&options, silences);
	groups_use(groups, plan->ruleset);
	struct alert *alerts[] = {
		fire(groups, plan->ruleset, "by-team", "calls", "CA1", "ai-7"),
		fire(groups, plan->ruleset, "by-team", "calls", "CA2", "ai-8"),
		fire(groups, plan->ruleset, "by-team", "calls", "CA4", NULL),
		fire(groups, plan->ruleset, "grave", "calls", "CA3", "ai-7"),
		fire(groups, plan->ruleset, "broken", "slack", "slack", NULL),
		fire(groups, plan->ruleset, "broken", "email", "email", NULL),
		fire(groups, plan->ruleset, "broken", "pager", "pager", NULL),
	};
	assert_true(groups_step(groups, CW_SECOND, 1) == 2 * CW_SECOND); /* a rule's own wait, */
	groups_step(groups, 2 * CW_SECOND, 2);
	assert_int_equal(heard_count, 4);
	assert_true(groups_step(groups, 2 * CW_SECOND, 2) == 3 * CW_SECOND); /* and that of all */
	groups_step(groups, 3 * CW_SECOND, 3);
	static const char *const expected[] = {
		"grave: CA3 > slack email",    "broken: slack > email", "broken: email > slack",
		"broken: pager > slack email", "by-team: CA1",          "by-team: CA2 > pager",
		"by-team: CA4 > email",
	};
	assert_int_equal(heard_count, 7);
	for (int i = 0; i < 7; i++)
		assert_string_equal(heard[i], expected[i]);
	groups_free(groups);
	silences_free(silences);
	for (size_t i = 0; i < sizeof alerts / sizeof alerts[0]; i++)
		alert_free(alerts[i]);
	plan_unref(plan);
	problems_release(&problems);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(routes__of_a_configuration__are_the_ways_of_groups),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
