/* SPDX-License-Identifier: MIT
 *
 * See text.h: numbers and durations as text.
 *
 * Outputs write a number for each sample, so the common ones do not go through printf and back through strtod, which
 * takes more than a microsecond when all 17 digits are needed. From 0.0001 to 1e15 a double times a power of ten fits
 * an integer of 128 bits, and there "is this decimal nearer to the double than to its neighbours?" is one exact
 * comparison. What is smaller, larger or not a number still goes the long way; the result is the same (the unit test
 * holds one against the other).
 */
#include "text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIGITS_MAX = 20, PRECISION_MAX = 17 };

/* The digits of a number, without NUL, so that they end before `end`; how many. */
static size_t put_digits(char *end, uint64_t number)
{
	static const char pairs[] = "00010203040506070809101112131415161718192021222324"
				    "25262728293031323334353637383940414243444546474849"
				    "50515253545556575859606162636465666768697071727374"
				    "75767778798081828384858687888990919293949596979899";
	char *at = end;
	for (; number >= 100; number /= 100) {
		at -= 2;
		memcpy(at, pairs + number % 100 * 2, 2);
	}
	if (number >= 10) {
		at -= 2;
		memcpy(at, pairs + number * 2, 2);
	} else {
		*--at = (char)('0' + number);
	}
	return (size_t)(end - at);
}

size_t text_integer(char buffer[TEXT_NUMBER_SIZE], int64_t value)
{
	char digits[DIGITS_MAX], *to = buffer;
	size_t n = put_digits(digits + DIGITS_MAX, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
	if (value < 0)
		*to++ = '-';
	memcpy(to, digits + DIGITS_MAX - n, n);
	to[n] = 0;
	return (size_t)(to - buffer) + n;
}

/* number / 10^places, without the zeros that end it; number > 0, places > 0. */
static size_t put_decimal(char *to, uint64_t number, size_t places)
{
	char digits[DIGITS_MAX], *start = to;
	size_t n = put_digits(digits + DIGITS_MAX, number);
	const char *from = digits + DIGITS_MAX - n;
	size_t whole = n > places ? n - places : 0, zeros = places > n ? places - n : 0;
	while (n > whole + 1 && from[n - 1] == '0')
		n--;
	if (whole)
		memcpy(to, from, whole);
	else
		*to = '0';
	to += whole ? whole : 1;
	*to++ = '.';
	memset(to, '0', zeros);
	memcpy(to + zeros, from + whole, n - whole);
	to[zeros + n - whole] = 0;
	return (size_t)(to - start) + zeros + n - whole;
}

/* A positive double that is no whole number, between 0.0001 and 1e15. It is
 *
 *     mantissa · 2^exponent = scaled / 2^shift / 10^places,  scaled = 2 · mantissa · 5^places
 *
 * with `places` such that 17 digits stand before the point once it is multiplied by 10^places. A decimal reads back as
 * this double if it is less than half way to the next one, and that is 5^places in units of `scaled`. Two cases need no
 * thought: half way itself has more than 17 digits here, and powers of two, from which the next double below is nearer,
 * are exact in fewer. */
struct scaled {
	unsigned __int128 scaled;
	uint64_t half_gap;
	unsigned shift;
	size_t places;
};

static struct scaled scale(double value)
{
	static const double tens[] = {1e-3, 1e-2, 1e-1, 1e0, 1e1,  1e2,  1e3,  1e4,  1e5,
				      1e6,  1e7,  1e8,  1e9, 1e10, 1e11, 1e12, 1e13, 1e14};
	static const uint64_t fives[] = {
		1,          5,           25,           125,          625,           3125,           15625,
		78125,      390625,      1953125,      9765625,      48828125,      244140625,      1220703125,
		6103515625, 30517578125, 152587890625, 762939453125, 3814697265625, 19073486328125, 95367431640625};
	uint64_t bits;
	memcpy(&bits, &value, sizeof(bits));
	uint64_t mantissa = (bits & ((1ull << 52) - 1)) | 1ull << 52;
	int exponent = (int)(bits >> 52) - 1075;
	size_t power = 0; /* of ten, of the first digit, plus 4 */
	while (power < sizeof(tens) / sizeof(tens[0]) && value >= tens[power])
		power++;
	size_t places = PRECISION_MAX - 1 + 4 - power;
	return (struct scaled){.scaled = (unsigned __int128)(2 * mantissa) * fives[places],
			       .half_gap = fives[places],
			       .shift = (unsigned)(1 - exponent - (int)places),
			       .places = places};
}

/* The decimal with `dropped` digits fewer than 17, rounded half to even as printf does; false: it reads back as another
 * double. */
static bool round_to(const struct scaled *from, unsigned dropped, uint64_t *ret_number)
{
	static const uint64_t units[] = {1, 10, 100};
	uint64_t unit = units[dropped], whole = (uint64_t)(from->scaled >> from->shift);
	uint64_t one = unit << from->shift, fraction = (uint64_t)from->scaled & ((1ull << from->shift) - 1);
	uint64_t number = whole / unit, rest = (whole % unit << from->shift) | fraction;
	bool up = rest * 2 > one || (rest * 2 == one && number % 2 == 1);
	*ret_number = number + up;
	return (up ? one - rest : rest) < from->half_gap;
}

static size_t put_shortest(char *to, double value)
{
	struct scaled scaled = scale(value);
	uint64_t number = 0;
	unsigned dropped = 2;
	while (!round_to(&scaled, dropped, &number) && dropped > 0)
		dropped--;
	return put_decimal(to, number, scaled.places - dropped);
}

/* Whole numbers up to 2^53 are written out: 1000000000000000 rather than 1e+15. */
size_t text_number(char buffer[TEXT_NUMBER_SIZE], double value)
{
	static const double exact_most = 9007199254740992.0, least = 1e-4, most = 1e15;
	double size = fabs(value);
	if (size <= exact_most && value == floor(value) && !(value == 0 && signbit(value)))
		return text_integer(buffer, (int64_t)value);
	if (size >= least && size < most) {
		buffer[0] = '-';
		return value < 0 ? 1 + put_shortest(buffer + 1, size) : put_shortest(buffer, size);
	}
	int length = 0;
	for (int digits = 15; digits <= PRECISION_MAX; digits++) {
		length = snprintf(buffer, TEXT_NUMBER_SIZE, "%.*g", digits, value);
		if (strtod(buffer, NULL) == value)
			break;
	}
	char *comma = strchr(buffer, ','); /* a program that set a locale writes its comma */
	if (comma)
		*comma = '.';
	return (size_t)length;
}

/* Two neighbouring units, the second with two digits; cut, not rounded: a call of 59.9 s is not yet a minute old. */
size_t text_duration(char buffer[TEXT_DURATION_SIZE], double seconds)
{
	static const double most = 1e12;
	if (isnan(seconds))
		return (size_t)snprintf(buffer, TEXT_DURATION_SIZE, "-");
	const char *sign = seconds < 0 ? "-" : "";
	double size = fmin(fabs(seconds), most);
	long long whole = (long long)size, milliseconds = (long long)(size * 1000 + 1e-6);
	int length;
	if (milliseconds < 1)
		length = snprintf(buffer, TEXT_DURATION_SIZE, "0s");
	else if (milliseconds < 1000)
		length = snprintf(buffer, TEXT_DURATION_SIZE, "%s%lldms", sign, milliseconds);
	else if (whole < 60)
		length = snprintf(buffer, TEXT_DURATION_SIZE, "%s%llds", sign, milliseconds / 1000);
	else if (whole < 3600)
		length = snprintf(buffer, TEXT_DURATION_SIZE, "%s%lldm %02llds", sign, whole / 60, whole % 60);
	else if (whole < 86400)
		length = snprintf(buffer, TEXT_DURATION_SIZE, "%s%lldh %02lldm", sign, whole / 3600, whole / 60 % 60);
	else
		length =
			snprintf(buffer, TEXT_DURATION_SIZE, "%s%lldd %02lldh", sign, whole / 86400, whole / 3600 % 24);
	return (size_t)length;
}
