/* SPDX-License-Identifier: MIT
 *
 * The metrics of one instance by index: those of its plugin's descriptor, then those it declared while it runs.
 * Bounded; forgotten at the instance's end, though metric.h keeps what samples on their way still point to. Private to
 * the core; the instance's own thread.
 */
#ifndef CALLWATCH_CORE_DECLARED_H
#define CALLWATCH_CORE_DECLARED_H

#include "callwatch/metric.h"

enum { DECLARED_MAX = 4096 };

struct declared {
	const struct cw_metric **metrics; /* in the order they came */
	uint32_t *by_name;                /* indexes of `metrics` */
	uint32_t count, room;
};

/* Index counted from the first of `own`, the descriptor's metrics; errors as told at declare() in callwatch/plugin.h.
 */
int64_t declared_add(struct declared *declared, const struct cw_array *own, const struct cw_metric *metric);
/* NULL: there is no such index. */
const struct cw_metric *declared_at(const struct declared *declared, const struct cw_array *own, uint32_t index);
void declared_release(struct declared *declared); /* and it is as at the beginning */

#endif
