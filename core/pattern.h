/* SPDX-License-Identifier: MIT
 *
 * Regular expressions from strangers, searched in texts from strangers: time and memory are bounded whatever both are.
 * Private to the core.
 *
 * The syntax is that of POSIX extended expressions: `.` `[a-z]` `[^…]` `[[:digit:]]` `( )` `|` `* + ?` `{n,m}` `^` `$`,
 * with `\d \w \s` and their capitals beside it, and `\` before punctuation. No back references, no collating elements.
 * A character is a Unicode code point; a byte that is not UTF-8 counts as one U+FFFD.
 *
 * Why not regcomp(): glibc's matcher keeps every state it has ever been in, so `.*[0-7].{20}$` over 256 KiB of hex took
 * it 130 s and 620 MB (2026-11, Debian 12), nested `+` takes forever to compile, and regexec() allocates and locks.
 * Here a pattern is a program of at most PATTERN_PROGRAM_MAX steps, run for all its alternatives at once (Thompson
 * 1968): a text of n characters costs at most n × that, no allocation, no lock.
 */
#ifndef CALLWATCH_CORE_PATTERN_H
#define CALLWATCH_CORE_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

enum {
	PATTERN_LENGTH_MAX = 256,  /* bytes of the expression */
	PATTERN_PROGRAM_MAX = 512, /* its steps, repetitions unrolled */
	PATTERN_TEXT_MAX = 4096    /* bytes of a text that are looked at; `$` does not match at such a cut */
};

struct pattern;

/* 0, or -EINVAL with a sentence that names the character; -ENOMEM. */
int pattern_compile(const char *text, struct pattern **ret_pattern, char *error, size_t error_size);
void pattern_free(struct pattern *pattern); /* NULL is fine */
/* Found anywhere in the text? Any thread. */
bool pattern_matches(const struct pattern *pattern, const char *text, size_t length);

#endif
