/* SPDX-License-Identifier: MIT
 *
 * Regular expressions from strangers, searched in texts from strangers: time and memory are bounded whatever both are.
 * Private to the core.
 *
 * The syntax is PCRE2's without back references. A byte that is not UTF-8 counts as U+FFFD.
 *
 * Why not regcomp(): glibc's matcher keeps every state it has ever been in, so `.*[0-7].{20}$` over 256 KiB of hex took
 * it 130 s and 620 MB (2026-11, Debian 12), and nested `+` takes forever to compile. PCRE2's pcre2_dfa_match() walks
 * the text once for each place where a match may begin and does not backtrack; its workspace, its steps and the text
 * are limited here, and an expression that needs more does not match.
 */
#ifndef CALLWATCH_CORE_PATTERN_H
#define CALLWATCH_CORE_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

enum {
	PATTERN_LENGTH_MAX = 256, /* bytes of the expression */
	PATTERN_TEXT_MAX = 512    /* bytes of a text that are looked at; `$` does not match at such a cut */
};

struct pattern;

/* 0, or -EINVAL with a sentence that names the character; -ENOMEM. */
int pattern_compile(const char *text, struct pattern **ret_pattern, char *error, size_t error_size);
void pattern_free(struct pattern *pattern); /* NULL is fine */
/* Found anywhere in the text? Any thread. */
bool pattern_matches(const struct pattern *pattern, const char *text, size_t length);

#endif
