/* SPDX-License-Identifier: MIT
 *
 * See scalars.h. A number with a unit is read in two steps: the digits (checked by hand, because strtod() would take
 * `0x1p3`, `inf` and leading blanks), then the unit, found in a table. Whole parts are multiplied as integers, so that
 * nothing is lost in a double; only the fraction goes through one.
 */
#include "scalars.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct unit {
	const char *name;
	int64_t factor;
};

/* Largest first: the order in which the way back tries them. */
static const struct unit duration_units[] = {
	{"d", INT64_C(86400000000000)}, {"h", INT64_C(3600000000000)}, {"m", INT64_C(60000000000)},
	{"s", INT64_C(1000000000)},     {"ms", INT64_C(1000000)},      {"us", INT64_C(1000)},
};

static const struct unit size_units[] = {
	{"TiB", INT64_C(1) << 40},
	{"GiB", INT64_C(1) << 30},
	{"MiB", INT64_C(1) << 20},
	{"KiB", INT64_C(1) << 10},
	{"TB", 1000000000000},
	{"GB", 1000000000},
	{"MB", 1000000},
	{"kB", 1000},
	{"KB", 1000},
	{"B", 1},
};

enum { FACTORS_OF_TWO = 4 }; /* the first of size_units, those size_text() uses */

#define LENGTH(a) (sizeof(a) / sizeof((a)[0]))

int parse_integer(const char *text, int64_t *ret)
{
	const char *digits = *text == '-' || *text == '+' ? text + 1 : text;
	if (!*digits || digits[strspn(digits, "0123456789")])
		return -EINVAL;
	errno = 0;
	int64_t value = strtoll(text, NULL, 10);
	if (errno == ERANGE)
		return -ERANGE;
	*ret = value;
	return 0;
}

/* Length of `12`, `12.5` or `12.5e-3` at the start of text, 0 if there is none. */
static size_t number_length(const char *text, bool with_sign_and_exponent)
{
	size_t sign = with_sign_and_exponent && (*text == '-' || *text == '+') ? 1 : 0;
	size_t whole = strspn(text + sign, "0123456789"), n = sign + whole;
	size_t fraction = text[n] == '.' ? strspn(text + n + 1, "0123456789") : 0;
	if (!whole || (text[n] == '.' && !fraction))
		return 0;
	n += fraction ? fraction + 1 : 0;
	if (with_sign_and_exponent && (text[n] == 'e' || text[n] == 'E')) {
		size_t e = n + 1 + (text[n + 1] == '-' || text[n + 1] == '+' ? 1 : 0);
		size_t digits = strspn(text + e, "0123456789");
		n = digits ? e + digits : n;
	}
	return n;
}

int parse_number(const char *text, double *ret)
{
	size_t length = number_length(text, true);
	if (!length || text[length])
		return -EINVAL;
	double value = strtod(text, NULL);
	if (!isfinite(value))
		return -ERANGE;
	*ret = value;
	return 0;
}

static const struct unit *unit_find(const struct unit *units, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(units[i].name, name) == 0)
			return &units[i];
	return NULL;
}

/* `length` bytes of digits times the factor, rounded to a whole number. */
static int scale(const char *text, size_t length, int64_t factor, int64_t *ret)
{
	errno = 0;
	int64_t whole = strtoll(text, NULL, 10), product;
	if (errno == ERANGE || __builtin_mul_overflow(whole, factor, &product))
		return -ERANGE;
	const char *dot = memchr(text, '.', length);
	double fraction = dot ? strtod(dot, NULL) : 0;
	if (__builtin_add_overflow(product, (int64_t)llround(fraction * (double)factor), &product))
		return -ERANGE;
	*ret = product;
	return 0;
}

static int parse_with_unit(const char *text, const struct unit *units, size_t count, int64_t *ret)
{
	size_t length = number_length(text, false);
	const struct unit *unit = length ? unit_find(units, count, text + length) : NULL;
	return unit ? scale(text, length, unit->factor, ret) : -EINVAL;
}

int parse_duration(const char *text, int64_t *ret_ns)
{
	if (strcmp(text, "0") == 0) {
		*ret_ns = 0;
		return 0;
	}
	return parse_with_unit(text, duration_units, LENGTH(duration_units), ret_ns);
}

int parse_size(const char *text, int64_t *ret_bytes)
{
	if (isdigit((unsigned char)*text) && !text[strspn(text, "0123456789")])
		return parse_integer(text, ret_bytes);
	return parse_with_unit(text, size_units, LENGTH(size_units), ret_bytes);
}

int parse_ratio(const char *text, double *ret_ratio)
{
	size_t length = strlen(text);
	char number[64];
	if (length < 2 || text[length - 1] != '%')
		return parse_number(text, ret_ratio);
	if (length > sizeof(number))
		return -EINVAL;
	memcpy(number, text, length - 1);
	number[length - 1] = '\0';
	double percent;
	int status = parse_number(number, &percent);
	if (status == 0)
		*ret_ratio = percent / 100;
	return status;
}

static char *with_unit(char *buffer, int64_t value, const struct unit *units, size_t count, const char *rest)
{
	size_t i = 0;
	while (i < count && (value == 0 || value % units[i].factor != 0))
		i++;
	const struct unit *unit = i < count ? &units[i] : NULL;
	snprintf(buffer, SCALAR_TEXT_SIZE, "%" PRId64 "%s", unit ? value / unit->factor : value,
		 unit ? unit->name : rest);
	return buffer;
}

char *duration_text(char buffer[SCALAR_TEXT_SIZE], int64_t ns)
{
	return with_unit(buffer, ns, duration_units, LENGTH(duration_units), ns ? "ns" : "");
}

char *size_text(char buffer[SCALAR_TEXT_SIZE], int64_t bytes)
{
	return with_unit(buffer, bytes, size_units, FACTORS_OF_TWO, "");
}
