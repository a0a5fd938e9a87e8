/* SPDX-License-Identifier: MIT
 *
 * Any bytes as a time: what is accepted is written and read back as the same millisecond.
 */
#include "text.h"

#include <stdlib.h>
#include <string.h>

static void check_round_trip(int64_t wall)
{
	char text[TEXT_TIME_SIZE];
	int64_t back;
	size_t n = text_time(text, wall);
	if (n >= sizeof text)
		abort();
	int rc = text_parse_time(text, n, &back, NULL);
	int64_t floored = wall - ((wall % 1000000) + 1000000) % 1000000;
	if (rc == 0 && back != floored)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size ? size : 1); /* exactly: one byte too many is seen */
	int64_t wall;
	double number;
	char buffer[TEXT_NUMBER_SIZE];
	if (size)
		memcpy(text, data, size);
	if (text_parse_time(text, size, &wall, NULL) == 0)
		check_round_trip(wall);
	if (text_parse_unix(text, size, &wall) == 0)
		check_round_trip(wall);
	if (size >= sizeof number) {
		memcpy(&number, data, sizeof number);
		text_number(buffer, number);
		text_duration(buffer, number);
		memcpy(&wall, data, sizeof wall);
		text_time(buffer, wall);
	}
	free(text);
	return 0;
}
