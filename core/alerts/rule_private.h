/* SPDX-License-Identifier: MIT
 *
 * Between ruleset.c, which makes all rules, and rule.c, which makes one. Private to these two.
 */
#ifndef CALLWATCH_CORE_RULE_PRIVATE_H
#define CALLWATCH_CORE_RULE_PRIVATE_H

#include "options.h"
#include "rule.h"
#include "vocabulary.h"

struct rule_making {
	const struct vocabulary *vocabulary;
	struct arena *arena; /* of the ruleset */
	struct problems *problems;
	const struct config *config;
	const struct cw_value *notify; /* checked; what rules take their defaults from */
};

/* Fills the rule from its checked options, which it borrows. What is wrong is in problems. */
void rule_make(const struct rule_making *making, const struct cw_value *options, struct rule *rule);
void rule_release(struct rule *rule); /* a zeroed one, or one that is half made, is fine */

/* The name of a rule that is configured, switched off ones included? Else the nearest in `hint`. */
bool rule_is_named(const struct rule_making *making, const char *name, char hint[NAME_HINT_SIZE]);
const struct place *rule_place(const struct cw_value *options, const char *key);
struct texts rule_texts(struct arena *arena, const struct cw_value *list);

#endif
