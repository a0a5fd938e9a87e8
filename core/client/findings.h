/* SPDX-License-Identifier: MIT
 *
 * What `callwatch doctor` found: rungs, shown one by one as they come, and in the end which was the first broken one of
 * each instance. As a table for people or as one JSON document.
 */
#ifndef CALLWATCH_CLIENT_FINDINGS_H
#define CALLWATCH_CLIENT_FINDINGS_H

#include "screen.h"

#include <jansson.h>

struct finding {
	const char *instance, *plugin, *check, *text;
	const char *verdict; /* ok, warning, failed, skipped; anything else counts as failed */
};

struct findings {
	struct screen screen;
	bool as_json;
	json_t *instances; /* [{"instance":…,"plugin":…,"checks":[{"check":…,"verdict":…,"text":…}]}] */
	size_t ok, warnings, failed, skipped;
	bool waiting_shown; /* a line that is to be overwritten */
};

void findings_init(struct findings *findings, bool as_json);
void findings_release(struct findings *findings);
/* Of one instance all, before those of the next. Shows it. */
void findings_add(struct findings *findings, const struct finding *finding);
/* That something is waited for, on a terminal. */
void findings_waiting(struct findings *findings, double seconds);
/* The last words: per instance the first broken rung and what was said of it. True: nothing is broken. */
bool findings_conclude(struct findings *findings);

#endif
