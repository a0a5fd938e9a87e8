/* SPDX-License-Identifier: MIT
 *
 * See naming.h.
 */
#include "naming.h"

#include "text.h"

#include <stdio.h>
#include <string.h>

enum { HASHED_AT = 54 };

static char small(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (char)(c - 'A' + 'a');
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ? c : '_';
}

/* FNV-1a, 32 bits: tells a few thousand long names apart; if it does not, the catalogue sees it. */
static unsigned hash_of(const char *text)
{
	unsigned hash = 2166136261U;
	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 16777619U;
	return hash;
}

void naming_metric(char name[NAMING_NAME_SIZE], const char *raw)
{
	size_t length = 0;
	char first = small(*raw);
	const char *at = raw;
	if (first < 'a' || first > 'z') {
		name[length++] = 'm';
		if (first != '_')
			name[length++] = '_';
	}
	while (*at && length < NAMING_NAME_SIZE - 1)
		name[length++] = small(*at++);
	name[length] = '\0';
	if (*at)
		snprintf(name + HASHED_AT, NAMING_NAME_SIZE - HASHED_AT, "_%08x", hash_of(raw));
}

void naming_label(char name[NAMING_NAME_SIZE], const char *raw)
{
	naming_metric(name, raw);
	if (strcmp(name, "instance") == 0)
		snprintf(name, NAMING_NAME_SIZE, "exported_instance");
	else if (strcmp(name, "plugin_instance") == 0)
		snprintf(name, NAMING_NAME_SIZE, "exported_plugin_instance");
}

int naming_value(char value[NAMING_VALUE_SIZE], const char *raw)
{
	size_t used = 0, rest = strlen(raw);
	while (rest > 0) {
		size_t length = text_visible_character(raw, rest), room = NAMING_VALUE_SIZE - used;
		if (length ? length >= room : room <= 4)
			return -1;
		if (length)
			memcpy(value + used, raw, length);
		else
			snprintf(value + used, room, "\\x%02x", (unsigned)(unsigned char)*raw);
		used += length ? length : 4;
		raw += length ? length : 1;
		rest -= length ? length : 1;
	}
	value[used] = '\0';
	return 0;
}
