/* SPDX-License-Identifier: MIT
 *
 * What is different about an instance in another plan, and about the rules, in words: for `callwatch config diff`.
 * Private to the core.
 *
 * Of a secret, and of what comes from a file, only that it changed is said.
 */
#ifndef CALLWATCH_CORE_PLAN_DIFF_H
#define CALLWATCH_CORE_PLAN_DIFF_H

#include "buffer.h"
#include "plan.h"

/* An instance as one of the plans has it. */
struct planned {
	const struct plan *plan;
	const struct plan_instance *instance;
};

/* `warning_after: 60s → 90s; password: *** → *** (the content of password_file changed)`: all that makes it another
 * instance. Nothing is appended if that is nothing. */
void plan_diff(struct planned before, struct planned after, struct buffer *out);
/* A line for each rule that another plan adds, changes or takes away, and one for what it says of `notify`. */
void plan_diff_rules(const struct plan *before, const struct plan *after, struct buffer *out);

#endif
