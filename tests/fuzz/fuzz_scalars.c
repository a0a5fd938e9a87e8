/* SPDX-License-Identifier: MIT
 *
 * Numbers with units from a stranger; what a parser takes must read back the same after it was written.
 */
#include "scalars.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size), buffer[SCALAR_TEXT_SIZE];
	int64_t value, again;
	double number;
	if (parse_duration(text, &value) == 0) {
		if (value < 0)
			abort();
		if (value % 1000 == 0 && (parse_duration(duration_text(buffer, value), &again) != 0 || again != value))
			abort();
	}
	if (parse_size(text, &value) == 0 && (parse_size(size_text(buffer, value), &again) != 0 || again != value))
		abort();
	parse_integer(text, &value);
	parse_number(text, &number);
	parse_ratio(text, &number);
	free(text);
	return 0;
}
