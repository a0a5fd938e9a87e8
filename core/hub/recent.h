/* SPDX-License-Identifier: MIT
 *
 * Which samples with a time of their own an instance has given lately. A batch finds two samples of one series at one
 * time only within itself; a script that prints the same old time at each reading makes them in two batches, and both
 * would land on one path. So the last times of each series are remembered here.
 *
 * Not "only forward": after the wall clock was stepped back a series goes on at earlier times, and that is no
 * collision. Bounded: of a series the last RECENT_TIMES times, of an instance RECENT_SERIES series; one more, and all
 * is forgotten and remembered anew, which lets at most one repetition of each pass. Private to the core; one thread.
 */
#ifndef CALLWATCH_CORE_RECENT_H
#define CALLWATCH_CORE_RECENT_H

#include "callwatch/metric.h"

enum { RECENT_TIMES = 4, RECENT_SERIES = 65536 };

struct recent;
struct recent_series; /* valid until the next recent_of() */

struct recent *recent_new(void);         /* NULL: no memory */
void recent_free(struct recent *recent); /* NULL is fine */
/* The series of these labels, made if it is new. NULL: a label is missing, or no memory. */
struct recent_series *recent_of(struct recent *recent, const struct cw_metric *metric, const char *const *labels);
bool recent_has(const struct recent_series *series, int64_t time);
void recent_add(struct recent_series *series, int64_t time);

#endif
