/* SPDX-License-Identifier: MIT
 *
 * See backoff.h. The random numbers spread load, nothing more: xorshift64 (Marsaglia 2003) is enough.
 */
#include "backoff.h"

static const int64_t first_pause = 2000000000, longest_pause = 30000000000;

static uint64_t next_random(struct backoff *backoff)
{
	uint64_t x = backoff->random ? backoff->random : 88172645463325252u;
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	backoff->random = x;
	return x;
}

int64_t backoff_next(struct backoff *backoff)
{
	int64_t longest = backoff->longest ? backoff->longest : longest_pause;
	int64_t pause = first_pause;
	for (uint32_t i = 0; i < backoff->failures && pause < longest; i++)
		pause *= 2;
	if (pause > longest)
		pause = longest;
	if (backoff->failures < UINT32_MAX)
		backoff->failures++;
	return pause / 2 + (int64_t)(next_random(backoff) % (uint64_t)(pause / 2 + 1));
}

double backoff_share(struct backoff *backoff)
{
	return (double)(next_random(backoff) >> 11) / (double)(UINT64_MAX >> 11);
}
