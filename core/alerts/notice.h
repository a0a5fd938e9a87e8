/* SPDX-License-Identifier: MIT
 *
 * A notice as the core holds it: struct cw_notice with all that it points at, in one block, immutable and counted; and
 * as the JSON that the journal keeps, from which it is made again after a crash, bit for bit. Private to core/alerts
 * and core/agent. What was written to the journal may be damaged: what is read is bounded and checked.
 */
#ifndef CALLWATCH_CORE_NOTICE_H
#define CALLWATCH_CORE_NOTICE_H

#include "callwatch/notify.h"

enum { NOTICE_TEXT_MAX = 4096, NOTICE_TITLE_MAX = 256, NOTICE_JSON_MAX = 1 << 20 };

struct notice {
	_Atomic int references;
	struct cw_notice said; /* receipt, progress, attempt, is_doubtful are empty: they belong to an attempt */
	void *memory;
};

/* A deep copy, with one reference. Texts are made valid UTF-8, without control characters, and cut. NULL: no memory. */
struct notice *notice_new(const struct cw_notice *said);
struct notice *notice_ref(struct notice *notice);
void notice_unref(struct notice *notice); /* NULL is fine; any thread */

/* The caller frees it. NULL: no memory. */
char *notice_to_json(const struct notice *notice);
/* NULL: it cannot be. */
struct notice *notice_from_json(const char *json, size_t length);

#endif
