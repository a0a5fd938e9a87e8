/* SPDX-License-Identifier: MIT
 *
 * What somebody else says about a run, in one form for both of them: Celery's result backend (meta.h) and the
 * platform's status endpoint (status.h). Private to the plugin.
 */
#ifndef RECONCILIATION_REPORT_H
#define RECONCILIATION_REPORT_H

#include "callwatch/types.h"

#include <jansson.h>

enum run_status { RUN_QUEUED, RUN_RUNNING, RUN_SUCCESS, RUN_ERROR, RUN_LOST, RUN_STATUSES };
extern const char *const run_status_names[RUN_STATUSES + 1];
static inline bool run_is_over(enum run_status status)
{
	return status == RUN_SUCCESS || status == RUN_ERROR;
}

enum { RUN_ERROR_MAX = 320 };

struct report {
	enum run_status status;    /* LOST: there is an answer, but it cannot be read; `error` says why */
	int64_t missing, queued;   /* -1: not said */
	int64_t finished_at;       /* wall time; 0: not said */
	char error[RUN_ERROR_MAX]; /* "": none */
};

/* A count of a JSON object: an integer of at least 0; else -1. */
int64_t report_count(const json_t *object, const char *name);
/* Copies a text of strangers, as far as it fits, with *** for each `secret` in it (NULL: there is none). It is looked
 * for before anything is cut, so no part of one is left at the end. */
void report_redact(const char *secret, const char *text, size_t length, char *buffer, size_t size);
/* A text of strangers as the report's error: without the secret, bounded, and with phone numbers masked unless
 * `phones_full`. */
void report_say(struct report *report, const char *secret, const char *text, size_t length, bool phones_full);

#endif
