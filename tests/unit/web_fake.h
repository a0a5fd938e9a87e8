/* SPDX-License-Identifier: MIT
 *
 * A host for tests of the plugin web: the plugin as it is, on a loop in a thread of its own, over a table of made-up
 * calls. For this test only.
 */
#ifndef CALLWATCH_TEST_WEB_FAKE_H
#define CALLWATCH_TEST_WEB_FAKE_H

#include "callwatch/frontend.h"

struct fake {
	/* set before fake_start() */
	uint64_t rows;       /* of table calls */
	uint32_t text_bytes; /* of its column note */
	uint32_t max_connections;
	const char *listen[4]; /* items, NULL-terminated */
	const char *options;   /* all options but max_connections instead, as YAML */
	bool ready;
	const char *reload_text;
	int reload_answer;       /* 1 ok, 0 refused, -1 never */
	_Atomic int break_after; /* rows after which a query breaks; 0: never */
	_Atomic int log_waits;   /* looks at a log that find nothing, and ready() is not called */
	int alerts_answer;       /* what silence(), expire(), ack() and try_rule() answer */
	int alerts_rc;           /* … and return: not 0, and they answer nothing */

	/* to look at */
	_Atomic int open_queries, open_views, state, reloads, looks; /* looks: view_next() was called */
	_Atomic uint64_t rows_made, errors, turns;                   /* turns of the loop */
	_Atomic uint64_t dropped[3];                                 /* samples, by enum cw_drop */
	char where[16][256], sort[64], key[256], cursor[64];
	uint32_t where_count;
	bool reveal, viewer;
	uint64_t limit;
	char reason[256], log[4096]; /* by fake_said() */
	int64_t clock_ahead;         /* ns, added to now() */
	char asked[512];             /* of silence(), expire(), ack() and try_rule(): in words */
	_Atomic uint64_t asked_count;

	void *private;
};

void fake_start(struct fake *fake); /* returns when the plugin has started */
void fake_stop(struct fake *fake);  /* stops, runs the loop out, asserts that nothing is left */
void fake_write(struct fake *fake, const struct cw_batch *batch);
void fake_change(struct fake *fake, uint32_t rows);  /* rows of the live view change */
bool fake_said(struct fake *fake, const char *text); /* in the state's reason, or the log */
void fake_turn_clock(struct fake *fake, int64_t ahead);

#endif
