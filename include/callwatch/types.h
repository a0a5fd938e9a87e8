/* SPDX-License-Identifier: MIT
 *
 * What every part of the contract shares: result codes, arrays with a stride, the two kinds of time.
 *
 * Public: a plugin may include this. The contract holds no function that has to be linked: whatever is not data or
 * `static inline` is reached through `struct cw_host` (plugin.h).
 *
 * Time. An *instant* is nanoseconds on the agent's own clock (CLOCK_BOOTTIME): it never jumps, and ages and deadlines
 * are made of it. A *wall time* is nanoseconds since 1970 UTC: it is shown to people and sent to other programs. Both
 * come from the host, so that tests can turn the clock.
 */
#ifndef CALLWATCH_TYPES_H
#define CALLWATCH_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Result codes: 0 is success, a negative errno (-ENOENT, -EINVAL, -ENOMEM …) a failure, as in libuv. One positive code:
 */
enum { CW_LATER = 1 }; /* begun; the outcome is told later by the call the contract names */

/* An array whose element may grow in a later minor version: element i stands at items + i * stride. */
struct cw_array {
	const void *items;
	uint32_t count;
	uint32_t stride; /* bytes from one element to the next, as the writer of the array was compiled */
};

#define CW_ARRAY(a)                                                                                                    \
	{                                                                                                              \
		(a), (uint32_t)(sizeof(a) / sizeof((a)[0])), (uint32_t)sizeof((a)[0])                                  \
	}

/* Borrowed pointer to element i < count. Reads of fields beyond `stride` are the reader's to avoid. */
static inline const void *cw_at(const struct cw_array *array, uint32_t i)
{
	return (const char *)array->items + (size_t)i * array->stride;
}

#define CW_SECOND      ((int64_t)1000000000)
#define CW_MILLISECOND ((int64_t)1000000)

#if defined(__GNUC__)
#define CW_PRINTF(position, first) __attribute__((format(printf, position, first)))
#else
#define CW_PRINTF(position, first)
#endif

#ifdef __cplusplus
}
#endif
#endif
