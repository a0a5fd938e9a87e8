/* SPDX-License-Identifier: MIT
 *
 * Numbers with units, as people write them: `250ms`, `64KiB`, `5%`, and back. Used by options and by the expression
 * grammar, so that `4h` means the same everywhere. Private to the core.
 *
 * Every parser takes the whole text, returns 0, -EINVAL (not of this form) or -ERANGE (too large to hold), and leaves
 * *ret untouched on failure. Decimal only: no hexadecimal, no octal, no `1_000`, no blanks. Numbers are read by the C
 * library, so LC_NUMERIC must stay "C" (no program of ours sets it).
 */
#ifndef CALLWATCH_CORE_SCALARS_H
#define CALLWATCH_CORE_SCALARS_H

#include <stddef.h>
#include <stdint.h>

int parse_integer(const char *text, int64_t *ret);
int parse_number(const char *text, double *ret); /* finite; `-1.5e3` */
/* `us ms s m h d`, a fraction is fine (`1.5h`), a bare number is not, except 0. Never negative. */
int parse_duration(const char *text, int64_t *ret_ns);
/* `B kB KB MB GB TB KiB MiB GiB TiB`, a fraction is fine (`1.5GiB`); a bare number is bytes and whole. */
int parse_size(const char *text, int64_t *ret_bytes);
int parse_ratio(const char *text, double *ret_ratio); /* `5%` or `0.05` */

/* Back to text in the largest unit that keeps the value exact: 90000000000 → `90s`. Returns `buffer`. */
enum { SCALAR_TEXT_SIZE = 40 };
char *duration_text(char buffer[SCALAR_TEXT_SIZE], int64_t ns);
char *size_text(char buffer[SCALAR_TEXT_SIZE], int64_t bytes);

#endif
