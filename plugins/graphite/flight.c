/* SPDX-License-Identifier: MIT
 *
 * See flight.h. One stretch of memory, moved to its front when half of it is past: each byte is moved about once.
 */
#include "flight.h"

#include "format_graphite.h"

#include <string.h>

_Static_assert((int)FLIGHT_CHUNK_MAX >= (int)FORMAT_GRAPHITE_LINE_MAX, "a line fits a chunk");

void flight_init(struct flight *flight, size_t history_limit)
{
	*flight = (struct flight){.history_limit = history_limit};
	buffer_init(&flight->buffer, /* head */ 0, 2 * (history_limit + FLIGHT_KERNEL_MAX + FLIGHT_SLICE));
}

void flight_release(struct flight *flight)
{
	buffer_release(&flight->buffer);
}

/* Where the line begins that the byte at `at` belongs to, or would. */
static size_t line_start(const struct flight *flight, size_t at)
{
	const char *text = buffer_text(&flight->buffer);
	const char *newline = at ? memrchr(text, '\n', at) : NULL;
	return newline ? (size_t)(newline - text) + 1 : 0;
}

static size_t history_start(const struct flight *flight)
{
	return flight->acked > flight->history_limit ? line_start(flight, flight->acked - flight->history_limit) : 0;
}

struct buffer *flight_out(struct flight *flight)
{
	struct buffer *buffer = &flight->buffer;
	size_t past = history_start(flight);
	if (past > buffer->length / 2 || buffer->length + FLIGHT_SLICE > buffer->ceiling) {
		memmove(buffer_text(buffer), buffer_text(buffer) + past, buffer->length - past);
		buffer->length -= past;
		flight->acked -= past;
		flight->written -= past;
	}
	return buffer->length + FLIGHT_SLICE <= buffer->ceiling ? buffer : NULL;
}

size_t flight_chunk(const struct flight *flight, const char **ret_bytes)
{
	size_t left = flight_unwritten(flight);
	if (!left)
		return 0;
	*ret_bytes = buffer_text(&flight->buffer) + flight->written;
	if (left <= FLIGHT_CHUNK_MAX)
		return left;
	const char *newline = memrchr(*ret_bytes, '\n', FLIGHT_CHUNK_MAX);
	return (size_t)(newline - *ret_bytes) + 1;
}

size_t flight_unwritten(const struct flight *flight)
{
	return flight->buffer.length - flight->written;
}

size_t flight_unacked(const struct flight *flight)
{
	return flight->written - flight->acked;
}

void flight_wrote(struct flight *flight, size_t bytes)
{
	flight->written += bytes;
}

void flight_set_unacked(struct flight *flight, size_t bytes)
{
	if (bytes < flight_unacked(flight))
		flight->acked = flight->written - bytes;
}

bool flight_is_settled(const struct flight *flight)
{
	return flight->acked == flight->buffer.length;
}

void flight_rewind(struct flight *flight, bool history)
{
	flight->written = history ? history_start(flight) : line_start(flight, flight->acked);
	flight->acked = flight->written;
}
