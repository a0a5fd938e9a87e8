/* SPDX-License-Identifier: MIT
 *
 * See text.h: numbers and durations as text.
 */
#include "text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whole numbers up to 2^53 are written out: 1000000000000000 rather than 1e+15. */
size_t text_number(char buffer[TEXT_NUMBER_SIZE], double value)
{
	static const double exact_most = 9007199254740992.0;
	int length = 0;
	if (fabs(value) <= exact_most && value == floor(value) && !(value == 0 && signbit(value)))
		return (size_t)snprintf(buffer, TEXT_NUMBER_SIZE, "%lld", (long long)value);
	for (int digits = 15; digits <= 17; digits++) {
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
