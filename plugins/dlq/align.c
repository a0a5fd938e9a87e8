/* SPDX-License-Identifier: MIT
 *
 * See align.h. The last message of the page before is looked for where it should be, then ever further from there, for
 * equal messages may stand at several places and the nearest is the likeliest; if it is gone, the one before it, and so
 * on. Where nothing moved that is one comparison.
 */
#include "align.h"

#include <string.h>

/* The index nearest to `expected` with this name, or -1. */
static int32_t find_near(const unsigned char *id, const unsigned char (*page)[ID_BYTES], uint32_t count,
			 uint32_t expected)
{
	for (uint32_t d = 0; d < count || d <= expected; d++) {
		if (d <= expected && expected - d < count && memcmp(page[expected - d], id, ID_BYTES) == 0)
			return (int32_t)(expected - d);
		if (expected + d < count && memcmp(page[expected + d], id, ID_BYTES) == 0)
			return (int32_t)(expected + d);
	}
	return -1;
}

int32_t align(const unsigned char (*before)[ID_BYTES], uint32_t n, const unsigned char (*page)[ID_BYTES],
	      uint32_t count)
{
	for (uint32_t i = n; i-- > 0;) {
		int32_t found = find_near(before[i], page, count, i);
		if (found >= 0)
			return found + 1;
	}
	return -1;
}
