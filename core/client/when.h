/* SPDX-License-Identifier: MIT
 *
 * A time as people write it on a command line: for --since, --until, --at; and --from.
 */
#ifndef CALLWATCH_CLIENT_WHEN_H
#define CALLWATCH_CLIENT_WHEN_H

#include "answer.h"

/* Sentence for what is not understood: `--since takes …`. */
#define WHEN_FORMS                                                                                                     \
	"how long ago (7d, 90m), a time of today or yesterday (02:10), or a date (2026-11-30, 2026-11-30T02:10:00Z)"

/* `7d`: so long ago; `02:10`, `02:10:30`: when it last was so late; `2026-11-30`, `2026-11-30 02:10[:30]`: then;
 * without a zone as the manner says, local or UTC. 0, or -EINVAL. */
int when_parse(const char *text, const struct manner *manner, int64_t *ret_wall);

#define WHEN_AHEAD_FORMS                                                                                               \
	"in how long (2h, 90m), a time of today or tomorrow (22:00), or a date (2026-11-30, 2026-11-30T22:00:00Z)"

/* The same of what is to come: `2h`: in so long; `22:00`: when it next is so late. */
int when_parse_ahead(const char *text, const struct manner *manner, int64_t *ret_wall);

#endif
