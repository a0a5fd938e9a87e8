/* SPDX-License-Identifier: MIT
 *
 * See template.h. A template is a run of pieces, each some text and what stands behind it: a name with its filters, or
 * nothing. Names with `or` between them are a run of pieces without text. Parsed once; rendering walks the pieces and
 * keeps no state, so any thread may.
 */
#include "template.h"

#include "callwatch/types.h"
#include "text.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { FILTERS_MAX = 4, OTHERS_MAX = 2, NAME_MAX_LENGTH = 63, VALUE_TEXT_MAX = 64 };
_Static_assert((int)VALUE_TEXT_MAX >= (int)TEXT_DURATION_SIZE, "a duration fits");

enum filter { FILTER_DURATION, FILTER_NUMBER, FILTER_PERCENT, FILTER_BYTES, FILTER_TIME, FILTER_UPPER, FILTERS };

static const char *const filter_names[FILTERS] = {
	[FILTER_DURATION] = "duration", [FILTER_NUMBER] = "number", [FILTER_PERCENT] = "percent",
	[FILTER_BYTES] = "bytes",       [FILTER_TIME] = "time",     [FILTER_UPPER] = "upper",
};

struct piece {
	const char *text; /* in `copy` */
	size_t length;
	const char *name; /* in `copy`; NULL: the end */
	bool has_other;   /* `or`: the next piece, if this one is not known */
	enum filter filters[FILTERS_MAX];
	uint32_t filters_count;
};

struct template
{
	char *copy; /* names in it end with NUL */
	uint32_t count;
	struct piece pieces[];
};

/* ---- parsing ---- */

struct parser {
	char *start, *at;
	char *error;
};

static int fail(struct parser *parser, const char *format, ...) CW_PRINTF(2, 3);
static int fail(struct parser *parser, const char *format, ...)
{
	char sentence[TEMPLATE_ERROR_MAX];
	va_list args;
	va_start(args, format);
	int length = vsnprintf(sentence, sizeof sentence, format, args);
	va_end(args);
	if (length > 0 && (size_t)length < sizeof sentence)
		snprintf(sentence + length, sizeof sentence - (size_t)length, " at character %zu",
			 (size_t)(parser->at - parser->start) + 1);
	text_visible(parser->error, TEMPLATE_ERROR_MAX, sentence, strlen(sentence));
	return -EINVAL;
}

static void skip_blanks(struct parser *parser)
{
	parser->at += strspn(parser->at, " \t\n");
}

static size_t word_length(const char *text)
{
	return strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
}

/* Ends the word with NUL. It moves by one for that, to where a brace or a blank was: what is behind it is still needed.
 */
static char *take_word(struct parser *parser, size_t length)
{
	char *word = parser->at;
	memmove(word - 1, word, length);
	word[length - 1] = '\0';
	parser->at += length;
	return word - 1;
}

static int parse_filter(struct parser *parser, struct piece *piece)
{
	skip_blanks(parser);
	size_t length = word_length(parser->at);
	if (piece->filters_count == FILTERS_MAX)
		return fail(parser, "more than %d filters", FILTERS_MAX);
	for (int i = 0; i < FILTERS; i++)
		if (strlen(filter_names[i]) == length && memcmp(filter_names[i], parser->at, length) == 0) {
			piece->filters[piece->filters_count++] = (enum filter)i;
			parser->at += length;
			return 0;
		}
	return fail(parser, "no filter `%.*s` (duration, number, percent, bytes, time, upper)",
		    (int)(length < 40 ? length : 40), parser->at);
}

static int parse_name(struct parser *parser, struct piece *piece, const char *behind)
{
	skip_blanks(parser);
	size_t length = word_length(parser->at);
	if (length == 0 || length > NAME_MAX_LENGTH)
		return fail(parser, "a name is missing behind `%s`", behind);
	piece->name = take_word(parser, length);
	skip_blanks(parser);
	return 0;
}

static int parse_filters(struct parser *parser, struct piece *piece)
{
	while (*parser->at == '|') {
		parser->at++;
		if (parse_filter(parser, piece) < 0)
			return -EINVAL;
		skip_blanks(parser);
	}
	if (strncmp(parser->at, "}}", 2) != 0)
		return fail(parser, "`}}` or `|` is missing");
	parser->at += 2;
	return 0;
}

static bool is_or(const char *text)
{
	return word_length(text) == 2 && memcmp(text, "or", 2) == 0;
}

/* Behind `{{`, for the last piece. The names with `or` between them all have the filters behind them. */
static int parse_place(struct parser *parser, struct template *template)
{
	struct piece *first = &template->pieces[template->count - 1], *last = first;
	if (parse_name(parser, first, "{{") < 0)
		return -EINVAL;
	while (is_or(parser->at)) {
		if (last - first == OTHERS_MAX)
			return fail(parser, "more than %d times `or`", OTHERS_MAX);
		parser->at += 2;
		last->has_other = true;
		last = &template->pieces[template->count++];
		last->text = parser->at;
		if (parse_name(parser, last, "or") < 0)
			return -EINVAL;
	}
	if (parse_filters(parser, last) < 0)
		return -EINVAL;
	for (struct piece *piece = first; piece < last; piece++) {
		memcpy(piece->filters, last->filters, sizeof last->filters);
		piece->filters_count = last->filters_count;
	}
	return 0;
}

static int parse_pieces(struct parser *parser, struct template *template)
{
	for (;;) {
		struct piece *piece = &template->pieces[template->count++];
		char *place = strstr(parser->at, "{{");
		piece->text = parser->at;
		piece->length = place ? (size_t)(place - parser->at) : strlen(parser->at);
		if (!place)
			return 0;
		parser->at = place + 2;
		if (parse_place(parser, template) < 0)
			return -EINVAL;
	}
}

static struct template *template_new(const char *text)
{
	size_t count = 1;
	for (const char *at = strstr(text, "{{"); at; at = strstr(at + 2, "{{"))
		count += 1 + OTHERS_MAX;
	struct template *template = calloc(1, sizeof *template + count * sizeof(struct piece));
	if (template && !(template->copy = strdup(text))) {
		free(template);
		return NULL;
	}
	return template;
}

int template_parse(const char *text, struct template **ret_template, char error[TEMPLATE_ERROR_MAX])
{
	bool is_short = strlen(text) < TEMPLATE_TEXT_MAX;
	struct template *template = is_short ? template_new(text) : NULL;
	if (!template) {
		snprintf(error, TEMPLATE_ERROR_MAX, "%s", is_short ? "out of memory" : "longer than 4095 bytes");
		return -EINVAL;
	}
	struct parser parser = {.start = template->copy, .at = template->copy, .error = error};
	if (parse_pieces(&parser, template) < 0) {
		template_free(template);
		return -EINVAL;
	}
	*ret_template = template;
	return 0;
}

void template_free(struct template *template)
{
	if (!template)
		return;
	free(template->copy);
	free(template);
}

static const struct piece *place_at(const struct template *template, uint32_t i)
{
	return i < template->count && template->pieces[i].name ? &template->pieces[i] : NULL;
}

const char *template_name(const struct template *template, uint32_t i)
{
	const struct piece *place = place_at(template, i);
	return place ? place->name : NULL;
}

const char *template_filter(const struct template *template, uint32_t i)
{
	const struct piece *place = place_at(template, i);
	return place && place->filters_count ? filter_names[place->filters[0]] : NULL;
}

/* ---- numbers as people read them ---- */

/* 12,345.6: at most `decimals` behind the point, none that are zero. */
static void say_decimal(char text[VALUE_TEXT_MAX], double value, int decimals)
{
	bool is_huge = fabs(value) > 1e15;
	snprintf(text, VALUE_TEXT_MAX, is_huge ? "%.*g" : "%.*f", decimals, value);
	char *end = text + strlen(text);
	if (!is_huge && strchr(text, '.')) {
		while (end[-1] == '0')
			*--end = '\0';
		if (end[-1] == '.')
			*--end = '\0';
	}
	if (strcmp(text, "-0") == 0)
		snprintf(text, VALUE_TEXT_MAX, "0");
}

static void group_thousands(char text[VALUE_TEXT_MAX])
{
	char *digits = text + (*text == '-');
	size_t whole = strspn(digits, "0123456789");
	for (size_t at = whole; at > 3 && strlen(text) + 1 < VALUE_TEXT_MAX;) {
		at -= 3;
		memmove(digits + at + 1, digits + at, strlen(digits + at) + 1);
		digits[at] = ',';
	}
}

/* Three digits are enough below one, two decimals above. */
static void say_number(char text[VALUE_TEXT_MAX], double value)
{
	double size = fabs(value);
	if (size > 1e15 || size < 1)
		snprintf(text, VALUE_TEXT_MAX, "%.3g", value);
	else {
		say_decimal(text, value, 2);
		group_thousands(text);
	}
}

static void say_percent(char text[VALUE_TEXT_MAX], double ratio)
{
	double percent = 100 * ratio;
	if (fabs(percent) < 1)
		snprintf(text, VALUE_TEXT_MAX, "%.2g%%", percent);
	else {
		say_decimal(text, percent, 1);
		strncat(text, "%", VALUE_TEXT_MAX - strlen(text) - 1);
	}
}

static void say_bytes(char text[VALUE_TEXT_MAX], double bytes)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	size_t unit = 0;
	for (; fabs(bytes) >= 1024 && unit + 1 < sizeof units / sizeof *units; unit++)
		bytes /= 1024;
	say_decimal(text, bytes, 1);
	size_t length = strlen(text);
	snprintf(text + length, VALUE_TEXT_MAX - length, " %s", units[unit]);
}

/* 2026-11-22 13:30:45 +0100 */
static void say_time(char text[VALUE_TEXT_MAX], double seconds)
{
	bool is_time = fabs(seconds) < 1e13; /* the year 300,000: and it fits a time_t */
	struct tm parts;
	time_t time = is_time ? (time_t)seconds : 0;
	if (!is_time || !localtime_r(&time, &parts) || !strftime(text, VALUE_TEXT_MAX, "%Y-%m-%d %H:%M:%S %z", &parts))
		snprintf(text, VALUE_TEXT_MAX, "?");
}

static void say_plain(char text[VALUE_TEXT_MAX], double value)
{
	if (value == floor(value) && fabs(value) < 1e15)
		snprintf(text, VALUE_TEXT_MAX, "%.0f", value);
	else
		snprintf(text, VALUE_TEXT_MAX, "%.6g", value);
}

static void filter_number(char text[VALUE_TEXT_MAX], enum filter filter, double number)
{
	switch (filter) {
	case FILTER_DURATION:
		text_duration(text, number);
		break;
	case FILTER_NUMBER:
		say_number(text, number);
		break;
	case FILTER_PERCENT:
		say_percent(text, number);
		break;
	case FILTER_BYTES:
		say_bytes(text, number);
		break;
	case FILTER_TIME:
		say_time(text, number);
		break;
	default:
		say_plain(text, number);
	}
}

/* ---- rendering ---- */

struct writer {
	char *buffer;
	size_t size, length;
	bool is_cut;
	bool is_json; /* values are escaped */
};

/* Back to a place where a character ends, with room for the ellipsis. */
static void cut(struct writer *writer)
{
	static const char ellipsis[] = "…";
	size_t room = writer->size - 1;
	if (writer->length + sizeof ellipsis - 1 > room)
		writer->length = room < sizeof ellipsis - 1 ? 0 : room - (sizeof ellipsis - 1);
	while (writer->length > 0 && ((unsigned char)writer->buffer[writer->length] & 0xc0) == 0x80)
		writer->length--;
	if (room >= sizeof ellipsis - 1) {
		memcpy(writer->buffer + writer->length, ellipsis, sizeof ellipsis - 1);
		writer->length += sizeof ellipsis - 1;
	}
	writer->is_cut = true;
}

static void write_text(struct writer *writer, const char *text, size_t length, bool is_upper)
{
	size_t room = writer->size - 1 - writer->length;
	size_t taken = length < room ? length : room;
	if (writer->is_cut)
		return;
	for (size_t i = 0; i < taken; i++) {
		char c = text[i];
		writer->buffer[writer->length + i] = is_upper && c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
	}
	writer->length += taken;
	if (taken < length) {
		writer->buffer[writer->length] = text[taken]; /* tells cut() whether it is the middle of a character */
		cut(writer);
	}
}

static size_t to_upper(char buffer[TEMPLATE_TEXT_MAX], const char *text, size_t length)
{
	size_t n = length < TEMPLATE_TEXT_MAX ? length : TEMPLATE_TEXT_MAX;
	for (size_t i = 0; i < n; i++)
		buffer[i] = text[i] >= 'a' && text[i] <= 'z' ? (char)(text[i] - 'a' + 'A') : text[i];
	return n;
}

/* Without the quotes that text_json() puts around it; those are the template's. */
static void write_json(struct writer *writer, const char *text, size_t length, bool is_upper)
{
	char upper[TEMPLATE_TEXT_MAX], json[6 * TEMPLATE_TEXT_MAX + 3];
	if (is_upper) {
		length = to_upper(upper, text, length);
		text = upper;
	}
	size_t n = text_json(json, sizeof json, text, length < TEMPLATE_TEXT_MAX ? length : TEMPLATE_TEXT_MAX);
	write_text(writer, json + 1, n - 2, /* is_upper */ false);
}

static void write_value(struct writer *writer, const char *text, bool is_upper)
{
	if (writer->is_json)
		write_json(writer, text, strlen(text), is_upper);
	else
		write_text(writer, text, strlen(text), is_upper);
}

static bool is_known(const struct piece *piece, template_look look, void *arg)
{
	struct template_value value = {.text = NULL};
	return look(arg, piece->name, &value) && (value.text ? *value.text != '\0' : isfinite(value.number));
}

static void write_place(struct writer *writer, const struct piece *place, template_look look, void *arg)
{
	struct template_value value = {.text = NULL};
	char text[VALUE_TEXT_MAX] = "?";
	bool is_upper = false;
	int filter = -1;
	for (uint32_t i = 0; i < place->filters_count; i++)
		if (place->filters[i] == FILTER_UPPER)
			is_upper = true;
		else if (filter < 0) /* a number is a text after the first; more change nothing */
			filter = (int)place->filters[i];
	bool has_value = look(arg, place->name, &value);
	if (has_value && value.text) {
		write_value(writer, value.text, is_upper);
		return;
	}
	if (has_value && isfinite(value.number))
		filter_number(text,
			      filter >= 0     ? (enum filter)filter
			      : value.is_time ? FILTER_TIME
					      : FILTERS,
			      value.number);
	write_text(writer, text, strlen(text), is_upper);
}

static void render(struct writer *writer, const struct template *template, template_look look, void *arg)
{
	for (uint32_t i = 0; i < template->count && !writer->is_cut; i++) {
		const struct piece *piece = &template->pieces[i];
		write_text(writer, piece->text, piece->length, /* is_upper */ false);
		while (piece->has_other && !is_known(piece, look, arg))
			piece = &template->pieces[++i];
		if (piece->name)
			write_place(writer, piece, look, arg);
		while (template->pieces[i].has_other) /* those that are not needed any more */
			i++;
	}
	writer->buffer[writer->length] = '\0';
}

size_t template_render(const struct template *template, template_look look, void *arg, char *buffer, size_t size)
{
	struct writer writer = {.buffer = buffer, .size = size};
	render(&writer, template, look, arg);
	return writer.length;
}

size_t template_render_json(const struct template *template, template_look look, void *arg, char *buffer, size_t size)
{
	struct writer writer = {.buffer = buffer, .size = size, .is_json = true};
	render(&writer, template, look, arg);
	if (writer.is_cut)
		buffer[writer.length = 0] = '\0';
	return writer.length;
}
