/* SPDX-License-Identifier: MIT
 *
 * See buffer.h. Doubles as it grows, so that a long answer is not copied for each row.
 */
#include "buffer.h"

#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 4096 };

void buffer_init(struct buffer *buffer, size_t head, size_t ceiling)
{
	*buffer = (struct buffer){.head = head, .ceiling = ceiling};
}

void buffer_release(struct buffer *buffer)
{
	free(buffer->block);
	buffer->block = NULL;
	buffer->length = buffer->room = 0;
}

void buffer_cut(struct buffer *buffer, size_t length)
{
	if (length < buffer->length)
		buffer->length = length;
	buffer->failed = false;
}

static bool grow(struct buffer *buffer, size_t needed)
{
	size_t room = buffer->room ? buffer->room : FIRST_ROOM;
	while (room < needed)
		room *= 2;
	char *block = realloc(buffer->block, buffer->head + room);
	if (!block)
		return false;
	buffer->block = block;
	buffer->room = room;
	return true;
}

char *buffer_reserve(struct buffer *buffer, size_t more)
{
	if (buffer->failed)
		return NULL;
	if (more > buffer->ceiling - buffer->length ||
	    (buffer->length + more > buffer->room && !grow(buffer, buffer->length + more))) {
		buffer->failed = true;
		return NULL;
	}
	return buffer_text(buffer) + buffer->length;
}

void buffer_bytes(struct buffer *buffer, const char *bytes, size_t length)
{
	char *to = buffer_reserve(buffer, length);
	if (!to || length == 0)
		return;
	memcpy(to, bytes, length);
	buffer->length += length;
}

void buffer_string(struct buffer *buffer, const char *text)
{
	buffer_bytes(buffer, text, strlen(text));
}

void buffer_print(struct buffer *buffer, const char *format, ...)
{
	va_list args, again;
	va_start(args, format);
	va_copy(again, args);
	int length = vsnprintf(NULL, 0, format, args);
	char *to = length < 0 ? NULL : buffer_reserve(buffer, (size_t)length + 1);
	if (to) {
		vsnprintf(to, (size_t)length + 1, format, again);
		buffer->length += (size_t)length;
	}
	va_end(again);
	va_end(args);
}

void buffer_json(struct buffer *buffer, const char *text, size_t length)
{
	if (length > buffer->ceiling) {
		buffer->failed = true;
		return;
	}
	char *to = buffer_reserve(buffer, text_json_room(length));
	if (to)
		buffer->length += text_json(to, text_json_room(length), text, length);
}
