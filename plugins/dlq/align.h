/* SPDX-License-Identifier: MIT
 *
 * Where a page goes on behind the one before, though the queue has moved in between. Pure.
 */
#ifndef DLQ_ALIGN_H
#define DLQ_ALIGN_H

#include "queue.h"

#include <stdint.h>

/* `before`: names of the last messages of the page before, in order, n ≥ 1; `page`: names of the page after, which was
 * asked for so that `page[0]` would be `before[0]` if nothing moved. The index of the first message of `page` that lies
 * behind the last of `before` which is still there; -1: none of them is, something may have been passed over. */
int32_t align(const unsigned char (*before)[ID_BYTES], uint32_t n, const unsigned char (*page)[ID_BYTES],
	      uint32_t count);

#endif
