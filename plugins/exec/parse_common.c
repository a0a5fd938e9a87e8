/* SPDX-License-Identifier: MIT
 *
 * See parse.h: numbers, and how a stranger's text is quoted in a complaint.
 */
#include "parse.h"
#include "text.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { NUMBER_LENGTH_MAX = 400 };

const char *const bad_names[BAD_KINDS + 1] = {"syntax", "value",     "time",     "labels", "type",
					      "length", "collision", "too_many", NULL};

static bool is_not_finite(const char *text, double *ret_real)
{
	const char *word = text + (*text == '+' || *text == '-');
	if (strcasecmp(word, "nan") == 0)
		*ret_real = NAN;
	else if (strcasecmp(word, "inf") == 0 || strcasecmp(word, "infinity") == 0)
		*ret_real = *text == '-' ? -INFINITY : INFINITY;
	else
		return false;
	return true;
}

int parse_decimal(const char *text, struct number *ret_number)
{
	struct number number = {0};
	if (is_not_finite(text, &number.real)) {
		*ret_number = number;
		return 0;
	}
	size_t length = strspn(text, "0123456789+-.eE");
	if (length == 0 || text[length] || length > NUMBER_LENGTH_MAX)
		return -EINVAL;
	char *end;
	number.real = strtod(text, &end);
	if (*end)
		return -EINVAL;
	errno = 0;
	number.integer = strtoll(text, &end, 10);
	number.is_integer = !*end && errno == 0;
	*ret_number = number;
	return 0;
}

/* A counter that was written as 42.0 or 1e3 is whole all the same, and some outputs take only whole ones. */
static bool is_whole(double real)
{
	static const double exact_most = 9007199254740992.0;
	return fabs(real) <= exact_most && real == floor(real);
}

bool parse_set(struct point *point, enum cw_kind kind, const struct number *number)
{
	point->kind = kind;
	if (kind == CW_COUNTER && number->real < 0)
		return false;
	if (number->is_integer || (kind == CW_COUNTER && is_whole(number->real))) {
		point->number = CW_INTEGER;
		point->integer = number->is_integer ? number->integer : (int64_t)number->real;
	} else {
		point->number = CW_DOUBLE;
		point->real = number->real;
	}
	return true;
}

void parse_bad(const struct parse_sink *sink, enum bad kind, const char *format, ...)
{
	char sentence[BAD_TEXT_MAX];
	va_list args;
	va_start(args, format);
	vsnprintf(sentence, sizeof(sentence), format, args);
	va_end(args);
	sink->bad(sink->arg, kind, sentence);
}

const char *parse_quote(char buffer[QUOTED_MAX], const char *text)
{
	static const char more[] = "…";
	char masked[4 * QUOTED_MAX];
	size_t length = strnlen(text, 2 * QUOTED_MAX);
	text_mask_phones_in(masked, sizeof(masked), text, length);
	length = text_visible(buffer, QUOTED_MAX - sizeof(more), masked, strlen(masked));
	if (length + 8 > QUOTED_MAX - sizeof(more)) /* there was no room for one more character */
		memcpy(buffer + length, more, sizeof(more));
	return buffer;
}
