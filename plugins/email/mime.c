/* SPDX-License-Identifier: MIT
 *
 * See mime.h.
 */
#include "mime.h"

#include "text.h"

#include <string.h>
#include <time.h>

enum { MIME_LINE_MAX = 76, HEADER_TEXT_MAX = 1024, SHORT_MAX = 50 };

static const char hex[] = "0123456789ABCDEF";

/* ---- headers ---- */

/* In the Q form of an encoded word that may stand anywhere (RFC 2047, section 5, rule 3). */
static bool is_safe_in_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("!*+-/", c);
}

static size_t encode_character(char *out, const char *text, size_t n)
{
	size_t used = 0;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];
		if (c == ' ') {
			out[used++] = '_';
		} else if (c && is_safe_in_word((char)c)) {
			out[used++] = (char)c;
		} else {
			out[used++] = '=';
			out[used++] = hex[c >> 4];
			out[used++] = hex[c & 15];
		}
	}
	return used;
}

/* Lines of at most 76 characters, a word in each, a whole character in one word; the first line has `column` already.
 */
static void encoded_words(struct buffer *buffer, const char *text, size_t length, size_t column)
{
	static const char opening[] = "=?utf-8?q?";
	bool is_open = false;
	for (size_t i = 0, n; i < length; i += n) {
		char one[3 * 4];
		n = text_visible_character(text + i, length - i);
		n = n ? n : 1;
		size_t encoded = encode_character(one, text + i, n);
		if (is_open && column + encoded + 2 > MIME_LINE_MAX) {
			buffer_string(buffer, "?=\r\n ");
			column = 1;
			is_open = false;
		}
		if (!is_open) {
			buffer_string(buffer, opening);
			column += sizeof(opening) - 1;
			is_open = true;
		}
		buffer_bytes(buffer, one, encoded);
		column += encoded;
	}
	if (is_open)
		buffer_string(buffer, "?=");
}

/* Plain where that is certain to be read as it is: short, ASCII, nothing that looks like an encoded word. */
static bool is_plain(const char *text, size_t length, size_t room)
{
	if (length > room || strstr(text, "=?"))
		return false;
	for (size_t i = 0; i < length; i++)
		if (text[i] < ' ' || text[i] > '~')
			return false;
	return true;
}

void mime_header(struct buffer *buffer, const char *name, const char *text)
{
	char visible[HEADER_TEXT_MAX];
	size_t length = text_visible(visible, sizeof(visible), text, strlen(text)), column = strlen(name) + 2;
	buffer_print(buffer, "%s: ", name);
	if (is_plain(visible, length, MIME_LINE_MAX - column))
		buffer_bytes(buffer, visible, length);
	else
		encoded_words(buffer, visible, length, column);
	buffer_string(buffer, "\r\n");
}

void mime_address(struct buffer *buffer, const char *name, const char *address)
{
	if (!name[0]) {
		buffer_string(buffer, address);
	} else if (is_plain(name, strlen(name), SHORT_MAX)) {
		buffer_print(buffer, "\"%s\" <%s>", name, address); /* it has no quotes and backslashes */
	} else {
		encoded_words(buffer, name, strlen(name), /* column, about */ 10);
		buffer_print(buffer, "\r\n <%s>", address);
	}
}

void mime_date(struct buffer *buffer, int64_t wall)
{
	static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
					 "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	time_t seconds = (time_t)(wall / CW_SECOND);
	struct tm date;
	if (gmtime_r(&seconds, &date))
		buffer_print(buffer, "%s, %02d %s %04d %02d:%02d:%02d +0000", days[date.tm_wday], date.tm_mday,
			     months[date.tm_mon], date.tm_year + 1900, date.tm_hour, date.tm_min, date.tm_sec);
}

/* ---- bodies ---- */

/* Blanks at the end of a line would be lost on the way. */
static bool stays(char c, bool is_last_of_line)
{
	if (c == ' ' || c == '\t')
		return !is_last_of_line;
	return c > ' ' && c <= '~' && c != '=';
}

void mime_quoted(struct buffer *buffer, const char *text, size_t length)
{
	size_t column = 0;
	for (size_t i = 0; i < length; i++) {
		if (text[i] == '\n') {
			buffer_string(buffer, "\r\n");
			column = 0;
			continue;
		}
		bool is_last = i + 1 == length || text[i + 1] == '\n';
		bool is_plain = stays(text[i], is_last);
		size_t needs = is_plain ? 1 : 3;
		if (column + needs > (is_last ? MIME_LINE_MAX : MIME_LINE_MAX - 1)) {
			buffer_string(buffer, "=\r\n");
			column = 0;
		}
		unsigned char c = (unsigned char)text[i];
		if (is_plain)
			buffer_bytes(buffer, &text[i], 1);
		else
			buffer_print(buffer, "=%c%c", hex[c >> 4], hex[c & 15]);
		column += needs;
	}
	if (column)
		buffer_string(buffer, "\r\n");
}

void mime_html(struct buffer *buffer, const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		switch (text[i]) {
		case '&':
			buffer_string(buffer, "&amp;");
			break;
		case '<':
			buffer_string(buffer, "&lt;");
			break;
		case '>':
			buffer_string(buffer, "&gt;");
			break;
		case '"':
			buffer_string(buffer, "&quot;");
			break;
		case '\'':
			buffer_string(buffer, "&#39;");
			break;
		default:
			buffer_bytes(buffer, &text[i], 1);
		}
	}
}
