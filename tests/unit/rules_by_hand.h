/* SPDX-License-Identifier: MIT
 *
 * Rules by hand, for tests of what judges them: a ruleset is a list of what the test says, so that nothing of the
 * configuration is needed, nor of its errors.
 */
#ifndef CALLWATCH_TESTS_RULES_BY_HAND_H
#define CALLWATCH_TESTS_RULES_BY_HAND_H

#include "rule.h"

#include <string.h>

enum { RULES_MAX = 8 };

struct ruleset {
	const struct rule *rules[RULES_MAX];
	uint32_t count;
};

const char *const severity_names[] = {"info", "warning", "critical", NULL};

uint32_t ruleset_count(const struct ruleset *ruleset)
{
	return ruleset->count;
}

const struct rule *ruleset_at(const struct ruleset *ruleset, uint32_t i)
{
	return ruleset->rules[i];
}

const struct rule *ruleset_find(const struct ruleset *ruleset, const char *name)
{
	for (uint32_t i = 0; i < ruleset->count; i++)
		if (strcmp(ruleset->rules[i]->name, name) == 0)
			return ruleset->rules[i];
	return NULL;
}

bool ruleset_has_metric(const struct ruleset *ruleset, const char *metric)
{
	(void)ruleset;
	return strcmp(metric, "unwatched") != 0;
}

bool selector_matches(const struct selector *selector, const char *instance, const struct cw_sample *sample)
{
	if (strcmp(selector->metric, sample->metric->name) != 0)
		return false;
	for (uint32_t i = 0; i < selector->labels_count; i++) {
		const struct cw_tag *label = &selector->labels[i];
		const char *value = strcmp(label->name, "instance") == 0 ? instance : sample->labels[0];
		if (strcmp(label->value, value) != 0)
			return false;
	}
	return true;
}

bool rule_takes(const struct rule *rule, const char *host, const char *instance, const struct cw_sample *sample)
{
	(void)host;
	return selector_matches(&rule->selector, instance, sample);
}

#endif
