/* SPDX-License-Identifier: MIT
 *
 * See pattern.h. struct pattern is PCRE2's compiled code by another name, so that only this file knows the library.
 */
#include "pattern.h"

#include "text.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum {
	PROGRAM_BYTES_MAX = 8192, /* of compiled code: keeps `(a{100}){100}` out */
	WORKSPACE_INTS = 2048,    /* states that may be alive at once, times 3 */
	STEPS_MAX = 100000        /* calls of PCRE2's inner matcher */
};

static uint32_t property(const pcre2_code *code, uint32_t what)
{
	uint32_t value = 0;
	pcre2_pattern_info(code, what, &value);
	return value;
}

static const char *too_much(const pcre2_code *code)
{
	size_t bytes = 0;
	pcre2_pattern_info(code, PCRE2_INFO_SIZE, &bytes);
	if (bytes > PROGRAM_BYTES_MAX)
		return "its repetitions make it too large";
	return property(code, PCRE2_INFO_BACKREFMAX) ? "back references are not supported" : NULL;
}

int pattern_compile(const char *text, struct pattern **ret_pattern, char *error, size_t error_size)
{
	if (strlen(text) > PATTERN_LENGTH_MAX) {
		snprintf(error, error_size, "longer than %d bytes", PATTERN_LENGTH_MAX);
		return -EINVAL;
	}
	int code_of_error;
	size_t at;
	uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_DOLLAR_ENDONLY | PCRE2_DOTALL | PCRE2_NEVER_BACKSLASH_C;
	pcre2_code *code = pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED, options, &code_of_error, &at,
					 NULL /* context */);
	if (!code) {
		char reason[160];
		pcre2_get_error_message(code_of_error, (PCRE2_UCHAR *)reason, sizeof(reason));
		snprintf(error, error_size, "%s at character %zu", reason, at + 1);
		return -EINVAL;
	}
	const char *why = too_much(code);
	if (why) {
		snprintf(error, error_size, "%s", why);
		pcre2_code_free(code);
		return -EINVAL;
	}
	*ret_pattern = (struct pattern *)code;
	return 0;
}

void pattern_free(struct pattern *pattern)
{
	pcre2_code_free((pcre2_code *)pattern);
}

static bool search(const pcre2_code *code, const char *text, size_t length, uint32_t options)
{
	int workspace[WORKSPACE_INTS];
	pcre2_match_context *limits = pcre2_match_context_create(NULL);
	pcre2_match_data *data = pcre2_match_data_create(1, NULL);
	bool found = false;
	if (limits && data) {
		pcre2_set_match_limit(limits, STEPS_MAX);
		found = pcre2_dfa_match(code, (PCRE2_SPTR)text, length, 0 /* start */,
					options | PCRE2_DFA_SHORTEST | PCRE2_NO_UTF_CHECK, data, limits, workspace,
					WORKSPACE_INTS) >= 0;
	}
	pcre2_match_data_free(data);
	pcre2_match_context_free(limits);
	return found;
}

bool pattern_matches(const struct pattern *pattern, const char *text, size_t length)
{
	const pcre2_code *code = (const pcre2_code *)pattern;
	uint32_t options = length > PATTERN_TEXT_MAX ? PCRE2_NOTEOL : 0;
	size_t looked_at = length > PATTERN_TEXT_MAX ? PATTERN_TEXT_MAX : length;
	if (text_is_utf8(text, looked_at))
		return search(code, text, looked_at, options);
	char clean[3 * PATTERN_TEXT_MAX + 1]; /* U+FFFD is three bytes */
	return search(code, clean, text_utf8(clean, sizeof(clean), text, looked_at), options);
}
