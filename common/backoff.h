/* SPDX-License-Identifier: MIT
 *
 * Pauses between tries: 2 s, doubled, at most 30 s, each drawn at random from its upper half so that many do not come
 * back together; reset by success. For both sides of the contract.
 */
#ifndef CALLWATCH_COMMON_BACKOFF_H
#define CALLWATCH_COMMON_BACKOFF_H

#include <stdint.h>

struct backoff {
	uint32_t failures;
	int64_t longest; /* ns, at least 2 s; 0: 30 s. What must be seen back within 10 s says 8 s */
	uint64_t random; /* state; seed with anything */
};

int64_t backoff_next(struct backoff *backoff); /* ns until the next try */
double backoff_share(struct backoff *backoff); /* from 0 to 1, at random; no failure: for other pauses to be spread */
static inline void backoff_reset(struct backoff *backoff)
{
	backoff->failures = 0;
}

#endif
