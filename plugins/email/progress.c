/* SPDX-License-Identifier: MIT
 *
 * See progress.h.
 */
#include "progress.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static void mark(const json_t *addresses, const struct recipient *to, uint32_t n, enum fate *fates, enum fate fate)
{
	size_t i;
	json_t *address;
	json_array_foreach(addresses, i, address) for (uint32_t k = 0; json_is_string(address) && k < n;
						       k++) if (strcasecmp(json_string_value(address), to[k].address) ==
								0) fates[k] = fate;
}

uint32_t progress_read(const char *json, const struct recipient *to, uint32_t n, enum fate *fates)
{
	json_t *root = json ? json_loads(json, 0, /* error */ NULL) : NULL;
	mark(json_object_get(root, "has"), to, n, fates, FATE_HAS);
	mark(json_object_get(root, "refused"), to, n, fates, FATE_REFUSED);
	mark(json_object_get(root, "doubtful"), to, n, fates, FATE_DOUBTFUL);
	json_int_t attempt = json_integer_value(json_object_get(root, "attempt"));
	json_decref(root);
	return attempt > 0 && attempt < UINT32_MAX ? (uint32_t)attempt : 0;
}

static size_t list(char *json, size_t size, size_t used, const struct recipient *to, uint32_t n, const enum fate *fates,
		   enum fate fate)
{
	uint32_t written = 0;
	for (uint32_t i = 0; i < n; i++)
		if (fates[i] == fate && used < size) /* an address has no quotes and backslashes */
			used += (size_t)snprintf(json + used, size - used, "%s\"%s\"", written++ ? "," : "",
						 to[i].address);
	return used;
}

void progress_write(char *json, size_t size, const struct recipient *to, uint32_t n, const enum fate *fates,
		    uint32_t attempt)
{
	size_t used = (size_t)snprintf(json, size, "{\"has\":[");
	used = list(json, size, used, to, n, fates, FATE_HAS);
	used += used < size ? (size_t)snprintf(json + used, size - used, "],\"refused\":[") : 0;
	used = list(json, size, used, to, n, fates, FATE_REFUSED);
	used += used < size ? (size_t)snprintf(json + used, size - used, "],\"doubtful\":[") : 0;
	used = list(json, size, used, to, n, fates, FATE_DOUBTFUL);
	if (used < size)
		snprintf(json + used, size - used, "],\"attempt\":%u}", attempt);
}
