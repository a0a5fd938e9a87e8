/* SPDX-License-Identifier: MIT
 *
 * See text.h. One decoder of UTF-8 and one writer that never goes past its buffer; every function here is a walk over
 * the characters of the text that decides what each of them becomes. A character is written whole or not at all, and
 * after the first that does not fit nothing more is written, so a cut text is a prefix.
 */
#include "text.h"

#include <string.h>

struct writer {
	char *buffer;
	size_t size, used; /* used < size: one byte is always left for the NUL */
	size_t reserve;    /* bytes kept free for what must still come, such as the closing quote */
	bool full;
};

/* One step of a walk: a valid character, or one byte that is none (`length` 1, `valid` false). */
struct character {
	const char *bytes;
	size_t length;
	uint32_t code;
	bool valid;
};

static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */
static const char null_sign[] = "\xe2\x90\x80";   /* U+2400 */
static const char bullet[] = "\xe2\x80\xa2";      /* U+2022 */

static struct writer writer_to(char *buffer, size_t size, size_t reserve)
{
	return (struct writer){.buffer = buffer, .size = size, .reserve = reserve};
}

static void put(struct writer *out, const char *bytes, size_t length)
{
	if (out->full || length >= out->size - out->used || length + out->reserve >= out->size - out->used) {
		out->full = true;
		return;
	}
	memcpy(out->buffer + out->used, bytes, length);
	out->used += length;
}

static void put_string(struct writer *out, const char *text)
{
	put(out, text, strlen(text));
}

static size_t finish(struct writer *out)
{
	out->buffer[out->used] = '\0';
	return out->used;
}

/* How many bytes a character with this first byte has, 0 if none begins so; the bits it holds of the code. */
static size_t sequence_length(unsigned char first, uint32_t *ret_bits)
{
	if (first < 0x80)
		return *ret_bits = first, 1;
	if (first >= 0xc2 && first <= 0xdf)
		return *ret_bits = first & 0x1f, 2;
	if (first >= 0xe0 && first <= 0xef)
		return *ret_bits = first & 0x0f, 3;
	if (first >= 0xf0 && first <= 0xf4)
		return *ret_bits = first & 0x07, 4;
	return 0;
}

/* Overlong forms, surrogates and codes beyond U+10FFFF are no characters (RFC 3629). */
static struct character character_at(const char *text, size_t length)
{
	struct character c = {.bytes = text, .length = 1};
	uint32_t code;
	size_t n = sequence_length((unsigned char)text[0], &code);
	if (n == 0 || n > length)
		return c;
	for (size_t i = 1; i < n; i++) {
		if (((unsigned char)text[i] & 0xc0) != 0x80)
			return c;
		code = code << 6 | ((unsigned char)text[i] & 0x3f);
	}
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	if (code < least[n] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return c;
	return (struct character){.bytes = text, .length = n, .code = code, .valid = true};
}

static void put_clean(struct writer *out, const struct character *c)
{
	if (!c->valid)
		put_string(out, replacement);
	else if (c->code == 0)
		put_string(out, null_sign);
	else
		put(out, c->bytes, c->length);
}

size_t text_utf8(char *buffer, size_t size, const char *text, size_t length)
{
	struct writer out = writer_to(buffer, size, 0);
	for (size_t i = 0; i < length && !out.full;) {
		struct character c = character_at(text + i, length - i);
		put_clean(&out, &c);
		i += c.length;
	}
	return finish(&out);
}

bool text_is_utf8(const char *text, size_t length)
{
	for (size_t i = 0; i < length;) {
		struct character c = character_at(text + i, length - i);
		if (!c.valid)
			return false;
		i += c.length;
	}
	return true;
}

/* What would act on a terminal or reorder what is read, instead of being seen. Joiners stay: emoji and some scripts
 * need them. */
static bool acts_unseen(uint32_t code)
{
	return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0xad || code == 0x61c || code == 0x200b ||
	       code == 0x200e || code == 0x200f || (code >= 0x2028 && code <= 0x202e) ||
	       (code >= 0x2060 && code <= 0x206f) || code == 0xfeff || (code >= 0xfff9 && code <= 0xfffb) ||
	       (code >= 0xe0000 && code <= 0xe007f);
}

/* \n, \x1b, \u202e, \U000e0041: as C and Python write them, so `digits` are 2, 4 or 8. */
static void put_escaped(struct writer *out, uint32_t code)
{
	static const char hex[] = "0123456789abcdef";
	char text[10] = "\\";
	size_t digits = code < 0x80 ? 2 : code < 0x10000 ? 4 : 8;
	if (code == '\n' || code == '\r' || code == '\t') {
		text[1] = code == '\n' ? 'n' : code == '\r' ? 'r' : 't';
		put(out, text, 2);
		return;
	}
	text[1] = digits == 2 ? 'x' : digits == 4 ? 'u' : 'U';
	for (size_t i = 0; i < digits; i++)
		text[2 + i] = hex[code >> (4 * (digits - 1 - i)) & 0xf];
	put(out, text, 2 + digits);
}

size_t text_visible(char *buffer, size_t size, const char *text, size_t length)
{
	struct writer out = writer_to(buffer, size, 0);
	for (size_t i = 0; i < length && !out.full;) {
		struct character c = character_at(text + i, length - i);
		if (c.valid && acts_unseen(c.code))
			put_escaped(&out, c.code);
		else
			put_clean(&out, &c);
		i += c.length;
	}
	return finish(&out);
}

size_t text_visible_character(const char *text, size_t length)
{
	struct character c = length ? character_at(text, length) : (struct character){.valid = false};
	return c.valid && !acts_unseen(c.code) ? c.length : 0;
}

/* NUL as U+2400 like everywhere: many JSON readers refuse \u0000. */
static void put_json(struct writer *out, const struct character *c)
{
	static const char letters[] = "btnvfr"; /* from 0x08; JSON has no \v */
	char text[7] = "\\u00";
	if (!c->valid || c->code == 0 || (c->code >= 0x20 && c->code != '"' && c->code != '\\' && c->code != 0x7f)) {
		put_clean(out, c);
	} else if (c->code == '"' || c->code == '\\') {
		put(out, (char[]){'\\', (char)c->code}, 2);
	} else if (c->code >= 8 && c->code <= 13 && c->code != 11) {
		put(out, (char[]){'\\', letters[c->code - 8]}, 2);
	} else {
		text[4] = "0123456789abcdef"[c->code >> 4];
		text[5] = "0123456789abcdef"[c->code & 0xf];
		put(out, text, 6);
	}
}

size_t text_json(char *buffer, size_t size, const char *text, size_t length)
{
	struct writer out = writer_to(buffer, size, 1);
	put(&out, "\"", 1);
	if (out.used == 0) /* no room for two quotes */
		return finish(&out);
	for (size_t i = 0; i < length && !out.full;) {
		struct character c = character_at(text + i, length - i);
		put_json(&out, &c);
		i += c.length;
	}
	out.full = false;
	out.reserve = 0;
	put(&out, "\"", 1);
	return finish(&out);
}

/* At least three characters of a number must be hidden for the mask to be one. */
enum { MASK_HEAD = 2, MASK_TAIL = 4, MASK_LEAST = MASK_HEAD + MASK_TAIL + 3 };

static size_t count_characters(const char *text, size_t length)
{
	size_t count = 0;
	for (size_t i = 0; i < length; count++)
		i += character_at(text + i, length - i).length;
	return count;
}

static void put_masked(struct writer *out, const char *phone, size_t length)
{
	size_t count = count_characters(phone, length);
	size_t position = 0;
	for (size_t i = 0; i < length && !out->full; position++) {
		struct character c = character_at(phone + i, length - i);
		bool shown = count >= MASK_LEAST && (position < MASK_HEAD || position >= count - MASK_TAIL);
		if (shown)
			put_clean(out, &c);
		else
			put_string(out, bullet);
		i += c.length;
	}
}

size_t text_mask_phone(char *buffer, size_t size, const char *phone, size_t length)
{
	struct writer out = writer_to(buffer, size, 0);
	put_masked(&out, phone, length);
	return finish(&out);
}

enum { PHONE_LEAST = 7, PHONE_MOST = 15, PHONE_GAP_MAX = 3 };

static size_t count_digits(const char *text, size_t length)
{
	size_t digits = 0;
	while (digits < length && text[digits] >= '0' && text[digits] <= '9')
		digits++;
	return digits;
}

/* What people put between the groups of a number: `) `, ` - `. 0: something else stands here. */
static size_t gap_length(const char *text, size_t length)
{
	size_t gap = 0;
	while (gap < length && text[gap] && strchr(" -./()", text[gap]))
		gap++;
	return gap <= PHONE_GAP_MAX ? gap : 0;
}

/* Length of a number that begins here, 0 if none does. A run of more than 15 digits is no number, but may hold one.
 * Groups are taken for one number as long as it could be one: rather too much is hidden than too little. No country's
 * code begins with 0, but the offsets of many times do. */
static size_t phone_length(const char *text, size_t length)
{
	if (length == 0 || text[0] != '+')
		return 0;
	size_t digits = count_digits(text + 1, length - 1), end = 1 + digits;
	if (digits == 0 || digits >= PHONE_LEAST || text[1] == '0')
		return digits >= PHONE_LEAST ? end : 0;
	for (size_t gap; (gap = gap_length(text + end, length - end)) > 0;) {
		size_t group = count_digits(text + end + gap, length - end - gap);
		if (group == 0 || digits + group > PHONE_MOST)
			break;
		digits += group;
		end += gap + group;
	}
	return digits >= PHONE_LEAST ? end : 0;
}

size_t text_mask_phones_in(char *buffer, size_t size, const char *text, size_t length)
{
	struct writer out = writer_to(buffer, size, 0);
	for (size_t i = 0; i < length && !out.full;) {
		size_t phone = phone_length(text + i, length - i);
		struct character c = character_at(text + i, length - i);
		if (phone)
			put_masked(&out, text + i, phone);
		else
			put_clean(&out, &c);
		i += phone ? phone : c.length;
	}
	return finish(&out);
}
