/* SPDX-License-Identifier: MIT
 *
 * Messages of the heartbeat channel: never out of bounds, never an invalid call_sid, and where the fast reader of JSON
 * understands one, jansson reads the same.
 */
#include "parse.h"

#include <stdlib.h>
#include <string.h>

static void same(const struct beat *flat, const struct beat *full)
{
	if (flat->sid.length != full->sid.length || memcmp(flat->sid.text, full->sid.text, flat->sid.length) != 0)
		abort();
	if (flat->has_time != full->has_time)
		abort();
	int64_t apart = flat->has_time ? flat->time - full->time : 0;
	if (apart > 1000000 || apart < -1000000) /* a double of 15 digits is exact to far less than a millisecond */
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct beat beat, flat, full;
	char *message = malloc(size + 1); /* so that reading one byte too far is seen */
	memcpy(message, data, size);
	if (parse_beat(message, size, &beat) == 0 && parse_sid(beat.sid.text, beat.sid.length) != 0)
		abort();
	if (size <= MESSAGE_MAX && parse_beat_flat(message, size, &flat) == 0) {
		if (parse_beat_json(message, size, &full) != 0)
			abort();
		same(&flat, &full);
	}
	free(message);
	return 0;
}
