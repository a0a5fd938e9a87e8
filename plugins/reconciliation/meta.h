/* SPDX-License-Identifier: MIT
 *
 * What Celery's result backend holds under `celery-task-meta-<id>`: JSON, if result_serializer is json. Pure functions
 * on untrusted bytes. Anything else (a pickle above all, which is a program) is named and never interpreted.
 */
#ifndef RECONCILIATION_META_H
#define RECONCILIATION_META_H

#include "report.h"

enum { META_BYTES_MAX = 4 << 20, META_TASK_MAX = 200 };

struct meta {
	struct report report;
	bool is_over;             /* Celery will not change it any more */
	bool has_counts;          /* the result has missing_count and queued_count */
	bool is_traced;           /* it failed, and the traceback passes through the task's own function */
	char task[META_TASK_MAX]; /* its name, where Celery says it (result_extended); "" if not */
};

/* Always gives something: what cannot be read is a report with status LOST and the reason. `task`: the name of the task
 * that is looked for, as Celery knows it. */
void meta_read(const char *bytes, size_t length, const char *task, bool phones_full, struct meta *ret_meta);
/* The same for one that is larger than META_BYTES_MAX, and was not fetched. */
void meta_too_large(size_t length, struct meta *ret_meta);

#endif
