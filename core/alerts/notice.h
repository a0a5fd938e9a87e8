/* SPDX-License-Identifier: MIT
 *
 * A notice as the core holds it: struct cw_notice with all that it points at, in one block, immutable and counted; and
 * as the JSON that the journal keeps, from which it is made again after a crash, bit for bit. Private to core/alerts
 * and core/agent. What was written to the journal may be damaged: what is read is bounded and checked.
 *
 * Whatever a notice is made of, its JSON is never longer than NOTICE_JSON_MAX: texts are cut (with an ellipsis), lists
 * too, and alerts for which there is no room any more are counted in `left_out`.
 */
#ifndef CALLWATCH_CORE_NOTICE_H
#define CALLWATCH_CORE_NOTICE_H

#include "callwatch/notify.h"

enum {
	NOTICE_ID_MAX = 64,
	NOTICE_NAME_MAX = 128, /* of a rule, an instance, a label, a column, a person */
	NOTICE_TITLE_MAX = 256,
	NOTICE_COMMON_MAX = 512,
	NOTICE_VALUE_MAX = 1024, /* of a subject, a summary, a label, a link */
	NOTICE_FACT_MAX = 512,
	NOTICE_TEXT_MAX = 4096, /* of the description */
	NOTICE_LABELS_MAX = 32,
	NOTICE_FACTS_MAX = 48, /* of an alert */
	NOTICE_BREAKDOWN_MAX = 50,
	NOTICE_JSON_MAX = 1 << 20
};

struct notice {
	_Atomic int references;
	struct cw_notice said; /* receipt, progress, attempt, is_doubtful are empty: they belong to an attempt */
};

/* A deep copy, with one reference. Texts are made valid UTF-8, without control characters, and cut. NULL: no memory. */
struct notice *notice_new(const struct cw_notice *said);
/* The same for one of those who are told: its id is the notice's, `-` and a hash of the notifier's name and of what is
 * said, so that it is the same after a crash, and another's never. One reference; NULL: no memory. */
struct notice *notice_for(const struct notice *notice, const char *notifier);
struct notice *notice_ref(struct notice *notice);
void notice_unref(struct notice *notice); /* NULL is fine; any thread */

/* The caller frees it. NULL: no memory. */
char *notice_to_json(const struct notice *notice);
/* NULL: it cannot be. */
struct notice *notice_from_json(const char *json, size_t length);

#endif
