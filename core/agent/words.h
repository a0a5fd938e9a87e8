/* SPDX-License-Identifier: MIT
 *
 * How an instance is, in words: for the log (USR2) and for its examination. Any thread, as long as the instance is
 * kept. Private to the core.
 */
#ifndef CALLWATCH_CORE_WORDS_H
#define CALLWATCH_CORE_WORDS_H

#include "callwatch/plugin.h"

struct instance;

enum { WORDS_MAX = 512 };

/* `down for 31s: connection refused (…); next try in 4s`, and how that is to be judged. */
enum cw_verdict words_of_state(struct instance *instance, char text[WORDS_MAX]);
/* Of one that reads: when and how long the last good reading was. Judged by when the next was due. */
enum cw_verdict words_of_readings(struct instance *instance, char text[WORDS_MAX]);
/* Of one that has a queue: when it last sent, what waits, what was dropped and why. Judged by fresh drops. */
enum cw_verdict words_of_queue(struct instance *instance, char text[WORDS_MAX]);
/* `3 errors, 2180 readings, 0 overruns, 0 malformed`, the last three of one that reads */
void words_of_counts(struct instance *instance, char text[WORDS_MAX]);

#endif
