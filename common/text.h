/* SPDX-License-Identifier: MIT
 *
 * Text that strangers wrote, made fit to be shown; pure functions for both sides of the contract. A small static
 * library that the core, the client and each plugin link for themselves, so that no plugin needs a symbol of the core.
 *
 * Every function that fills a buffer returns the length written (without NUL), always terminates, cuts at a character's
 * border, and never writes beyond `size` (≥ 1).
 */
#ifndef CALLWATCH_COMMON_TEXT_H
#define CALLWATCH_COMMON_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Valid UTF-8 for machines (JSON, CSV, labels): each byte that is not part of a valid sequence becomes U+FFFD; NUL
 * stays out of C strings as U+2400. */
size_t text_utf8(char *buffer, size_t size, const char *text, size_t length);
bool text_is_utf8(const char *text, size_t length);
/* For people's eyes (terminal, log, message): as text_utf8, and control characters, escape sequences and bidirectional
 * controls become visible: \x1b, \n, \u202e. */
size_t text_visible(char *buffer, size_t size, const char *text, size_t length);
/* Bytes of the first character if text_visible() leaves it as it is; 0: it does not, or there is none. */
size_t text_visible_character(const char *text, size_t length);
/* The first `most` bytes of a text or what is whole of them, for a longer sentence: a `%.60s` would cut inside a
 * character. To be printed at once: text_start(name, 60).text. */
enum { TEXT_START_MAX = 300 };
struct text_start {
	char text[TEXT_START_MAX + 1];
};
static inline struct text_start text_start(const char *text, size_t most)
{
	struct text_start start = {.text = ""};
	text_utf8(start.text, (most < TEXT_START_MAX ? most : TEXT_START_MAX) + 1, text, strlen(text));
	return start;
}
/* A quoted JSON string, control characters escaped, invalid bytes as U+FFFD. Cut texts still end with a quote. */
size_t text_json(char *buffer, size_t size, const char *text, size_t length);
/* Room text_json() may need for `length` bytes, with quotes and NUL. */
static inline size_t text_json_room(size_t length)
{
	return 6 * length + 3;
}

/* A person's number as everybody may see it: +14155550132 → +1••••••0132. All but the first two and last four
 * characters become U+2022; short ones wholly. The one place that knows how a number is masked. */
size_t text_mask_phone(char *buffer, size_t size, const char *phone, size_t length);
/* Masks every number in international form (+ and 7 to 15 digits, also in groups: +1 (415) 555-0132) inside a longer
 * text, such as an error message or raw JSON. */
size_t text_mask_phones_in(char *buffer, size_t size, const char *text, size_t length);

/* Wall time ↔ RFC 3339, UTC: 2026-11-22T13:30:45.123Z. An int64 of nanoseconds holds the years 1678 to 2261. */
enum { TEXT_TIME_SIZE = 32 };
size_t text_time(char buffer[TEXT_TIME_SIZE], int64_t wall_ns);
/* Tolerant reader of ISO 8601 as the platform writes it: T or space, fraction, Z, ±hh:mm, ±hhmm or nothing (UTC). 0, or
 * -EINVAL, -ERANGE
 * (well formed, but a year outside 1678 to 2261). *ret_assumed_utc may be NULL. */
int text_parse_time(const char *text, size_t length, int64_t *ret_wall_ns, bool *ret_assumed_utc);
/* Unix seconds with a fraction, "1761480000.123", exact to the nanosecond. -EINVAL, -ERANGE. */
int text_parse_unix(const char *text, size_t length, int64_t *ret_wall_ns);
/* 4h 12m, 12m 03s, 42s, 350ms: for people. */
enum { TEXT_DURATION_SIZE = 32 };
size_t text_duration(char buffer[TEXT_DURATION_SIZE], double seconds);
/* The same of nanoseconds, as a value to be printed at once: text_ns(age).text; less than nothing is 0s. */
struct text_ns {
	char text[TEXT_DURATION_SIZE];
};
static inline struct text_ns text_ns(int64_t ns)
{
	struct text_ns words = {.text = ""};
	text_duration(words.text, ns > 0 ? (double)ns / 1e9 : 0);
	return words;
}
/* Shortest decimal that reads back as the same double, of 15 digits or more as printf("%.15g") rounds them. */
enum { TEXT_NUMBER_SIZE = 32 };
size_t text_number(char buffer[TEXT_NUMBER_SIZE], double value);
size_t text_integer(char buffer[TEXT_NUMBER_SIZE], int64_t value);

#endif
