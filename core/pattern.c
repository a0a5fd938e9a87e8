/* SPDX-License-Identifier: MIT
 *
 * See pattern.h. The compiler is a recursive descent that writes steps as it reads: a part's steps stand in one run,
 * and jumps are relative, so that a repetition may put a step before the run, or copy it. The matcher keeps the set of
 * steps that wait for the next character; a set holds each step once, which is the bound.
 */
#include "pattern.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SETS_MAX = 128, RANGES_MAX = 512, DEPTH_MAX = 32, REPEAT_MAX = 255 };

enum step_op { STEP_CHAR, STEP_ANY, STEP_SET, STEP_BEGIN, STEP_END, STEP_SPLIT, STEP_JUMP, STEP_FOUND };

struct step {
	uint8_t op;
	int16_t next, other; /* SPLIT: both, JUMP: next; relative to this step */
	uint32_t value;      /* CHAR: code point; SET: index */
};

struct range {
	uint32_t first, last;
};

struct set {
	uint16_t ranges, count;
	bool negated;
};

struct pattern {
	uint32_t length;
	bool skips; /* a match begins with a byte of `starts` */
	bool starts[256];
	struct step steps[PATTERN_PROGRAM_MAX];
	struct set sets[SETS_MAX];
	struct range ranges[RANGES_MAX];
	uint32_t sets_count, ranges_count;
};

/* --- characters --- */

/* The code point at *at, which moves behind it; what is not UTF-8 is U+FFFD, byte by byte. */
static uint32_t next_char(const unsigned char **at, const unsigned char *end)
{
	const unsigned char *p = *at;
	uint32_t c = *p;
	size_t more = c < 0x80                ? 0
		      : c >= 0xC2 && c < 0xE0 ? 1
		      : c >= 0xE0 && c < 0xF0 ? 2
		      : c >= 0xF0 && c < 0xF5 ? 3
					      : 9;
	*at = p + 1;
	if (more == 0)
		return c;
	if (more > (size_t)(end - p - 1))
		return 0xFFFD;
	c &= 0x3Fu >> more;
	for (size_t i = 1; i <= more; i++) {
		if ((p[i] & 0xC0) != 0x80)
			return 0xFFFD;
		c = c << 6 | (p[i] & 0x3Fu);
	}
	*at = p + 1 + more;
	return c;
}

static bool set_holds(const struct pattern *pattern, const struct set *set, uint32_t c)
{
	const struct range *range = &pattern->ranges[set->ranges];
	for (uint32_t i = 0; i < set->count; i++)
		if (c >= range[i].first && c <= range[i].last)
			return !set->negated;
	return set->negated;
}

/* --- compiling --- */

struct compiler {
	struct pattern *pattern;
	const unsigned char *text, *at, *end;
	char *error;
	size_t error_size;
	int depth;
};

static int fail(struct compiler *compiler, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int fail(struct compiler *compiler, const char *format, ...)
{
	char reason[120];
	va_list args;
	va_start(args, format);
	vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
	snprintf(compiler->error, compiler->error_size, "%s at character %zu of the regular expression", reason,
		 (size_t)(compiler->at - compiler->text) + 1);
	return -EINVAL;
}

static int too_large(struct compiler *compiler)
{
	return fail(compiler, "more than %d steps when the repetitions are written out", PATTERN_PROGRAM_MAX);
}

/* Makes room for a step at index `where`, before what was written since. */
static int insert(struct compiler *compiler, uint32_t where, struct step step)
{
	struct pattern *pattern = compiler->pattern;
	if (pattern->length >= PATTERN_PROGRAM_MAX)
		return too_large(compiler);
	memmove(&pattern->steps[where + 1], &pattern->steps[where], (pattern->length - where) * sizeof(struct step));
	pattern->steps[where] = step;
	pattern->length++;
	return 0;
}

static int append(struct compiler *compiler, struct step step)
{
	return insert(compiler, compiler->pattern->length, step);
}

static int set_begin(struct compiler *compiler, bool negated, struct set **ret_set)
{
	struct pattern *pattern = compiler->pattern;
	if (pattern->sets_count >= SETS_MAX)
		return fail(compiler, "more than %d sets of characters", SETS_MAX);
	*ret_set = &pattern->sets[pattern->sets_count];
	**ret_set = (struct set){.ranges = (uint16_t)pattern->ranges_count, .negated = negated};
	return append(compiler, (struct step){.op = STEP_SET, .value = pattern->sets_count++});
}

static int set_add(struct compiler *compiler, struct set *set, uint32_t first, uint32_t last)
{
	struct pattern *pattern = compiler->pattern;
	if (pattern->ranges_count >= RANGES_MAX)
		return fail(compiler, "more than %d ranges of characters", RANGES_MAX);
	pattern->ranges[pattern->ranges_count++] = (struct range){first, last};
	set->count++;
	return 0;
}

struct class
{
	const char *name, *ranges; /* pairs: first, last */
};

static const struct class classes[] = {
	{"digit", "09"},       {"alpha", "AZaz"},    {"alnum", "09AZaz"}, {"upper", "AZ"},
	{"lower", "az"},       {"xdigit", "09AFaf"}, {"blank", "  \t\t"}, {"space", "  \t\r"},
	{"punct", "!/:@[`{~"}, {"print", " ~"},      {"graph", "!~"},     {"cntrl", "\x01\x1f\x7f\x7f"},
	{"word", "09AZaz__"},
};

static int set_add_class(struct compiler *compiler, struct set *set, const char *name, size_t length)
{
	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
		if (strncmp(classes[i].name, name, length) != 0 || classes[i].name[length])
			continue;
		int status = 0;
		for (const char *r = classes[i].ranges; *r && status == 0; r += 2)
			status = set_add(compiler, set, (unsigned char)r[0], (unsigned char)r[1]);
		return status;
	}
	return fail(compiler, "an unknown class of characters");
}

/* `[:digit:]` inside a bracket; at its `[`. */
static int bracket_class(struct compiler *compiler, struct set *set)
{
	const char *name = (const char *)compiler->at + 2;
	const char *close = strstr(name, ":]");
	if (compiler->at[1] != ':' || !close)
		return fail(compiler, "only [:class:] may stand in brackets");
	int status = set_add_class(compiler, set, name, (size_t)(close - name));
	if (status == 0)
		compiler->at = (const unsigned char *)close + 2;
	return status;
}

static int bracket_range(struct compiler *compiler, struct set *set)
{
	uint32_t first = next_char(&compiler->at, compiler->end), last = first;
	if (compiler->at[0] == '-' && compiler->at[1] && compiler->at[1] != ']') {
		compiler->at++;
		last = next_char(&compiler->at, compiler->end);
	}
	if (last < first)
		return fail(compiler, "a range that runs backwards");
	return set_add(compiler, set, first, last);
}

/* `[…]`; at the character behind the `[`. As in POSIX, `]` first is itself and `\` is an ordinary character. */
static int bracket(struct compiler *compiler)
{
	bool negated = *compiler->at == '^';
	compiler->at += negated ? 1 : 0;
	struct set *set;
	int status = set_begin(compiler, negated, &set);
	for (bool first = true; status == 0 && (first || *compiler->at != ']'); first = false) {
		if (!*compiler->at)
			return fail(compiler, "a `[` without its `]`");
		if (compiler->at[0] == '[' && strchr(":.=", compiler->at[1]) && compiler->at[1])
			status = bracket_class(compiler, set);
		else
			status = bracket_range(compiler, set);
	}
	compiler->at += status == 0 ? 1 : 0;
	return status;
}

static int escape(struct compiler *compiler)
{
	static const char letters[] = "dwsDWS";
	static const char *const names[] = {"digit", "word", "space"};
	unsigned char c = *compiler->at;
	const char *letter = c ? strchr(letters, c) : NULL;
	if (letter) {
		size_t i = (size_t)(letter - letters);
		struct set *set;
		int status = set_begin(compiler, i >= 3, &set);
		compiler->at++;
		return status ? status : set_add_class(compiler, set, names[i % 3], strlen(names[i % 3]));
	}
	if (c >= '0' && c <= '9')
		return fail(compiler, "back references are not allowed: `\\%c`", c);
	if (c <= ' ' || c >= 0x7F || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'))
		return fail(compiler, "`\\` stands only before punctuation and d, w, s");
	compiler->at++;
	return append(compiler, (struct step){.op = STEP_CHAR, .value = c});
}

static int alternatives(struct compiler *compiler);

static int group(struct compiler *compiler)
{
	if (compiler->depth >= DEPTH_MAX)
		return fail(compiler, "groups nest deeper than %d", DEPTH_MAX);
	compiler->depth++;
	int status = alternatives(compiler);
	compiler->depth--;
	if (status == 0 && *compiler->at != ')')
		return fail(compiler, "a `(` without its `)`");
	compiler->at += status == 0 ? 1 : 0;
	return status;
}

static int atom(struct compiler *compiler)
{
	const unsigned char *here = compiler->at;
	switch (*compiler->at++) {
	case '(':
		return group(compiler);
	case '[':
		return bracket(compiler);
	case '\\':
		return escape(compiler);
	case '.':
		return append(compiler, (struct step){.op = STEP_ANY});
	case '^':
		return append(compiler, (struct step){.op = STEP_BEGIN});
	case '$':
		return append(compiler, (struct step){.op = STEP_END});
	case '*':
	case '+':
	case '?':
	case '{':
		compiler->at = here;
		return fail(compiler, "nothing before `%c` to repeat", *here);
	default:
		compiler->at = here;
		return append(compiler,
			      (struct step){.op = STEP_CHAR, .value = next_char(&compiler->at, compiler->end)});
	}
}

/* Another copy of the run of `length` steps at `from`, at the end. */
static int copy(struct compiler *compiler, uint32_t from, uint32_t length)
{
	struct pattern *pattern = compiler->pattern;
	if (pattern->length + length > PATTERN_PROGRAM_MAX)
		return too_large(compiler);
	memcpy(&pattern->steps[pattern->length], &pattern->steps[from], length * sizeof(struct step));
	pattern->length += length;
	return 0;
}

static int make_optional(struct compiler *compiler, uint32_t from)
{
	int16_t behind = (int16_t)(compiler->pattern->length - from + 1);
	return insert(compiler, from, (struct step){.op = STEP_SPLIT, .next = 1, .other = behind});
}

static int make_loop(struct compiler *compiler, uint32_t from)
{
	int16_t back = (int16_t) - (int)(compiler->pattern->length - from);
	return append(compiler, (struct step){.op = STEP_SPLIT, .next = back, .other = 1});
}

/* The run from `from` on, `least` to `most` times; most < 0: any number. */
static int repeat(struct compiler *compiler, uint32_t from, int least, int most)
{
	struct pattern *pattern = compiler->pattern;
	uint32_t length = pattern->length - from;
	int status = 0;
	if (most == 0)
		pattern->length = from;
	/* The copies first, while the run is as it was: those that must be there, then those that may. */
	for (int i = 1; i < least && status == 0; i++)
		status = copy(compiler, from, length);
	for (int i = least > 1 ? least : 1; i < most && status == 0; i++) {
		uint32_t start = pattern->length;
		status = copy(compiler, from, length);
		if (status == 0)
			status = make_optional(compiler, start);
	}
	if (status == 0 && most < 0)
		status = make_loop(compiler, pattern->length - length);
	if (status == 0 && least == 0 && most != 0)
		status = make_optional(compiler, from); /* jumps are relative: what is optional is all copies */
	return status;
}

static int count(struct compiler *compiler, int *ret)
{
	int value = 0;
	const unsigned char *first = compiler->at;
	while (*compiler->at >= '0' && *compiler->at <= '9' && value <= REPEAT_MAX)
		value = value * 10 + (*compiler->at++ - '0');
	if (compiler->at == first)
		return fail(compiler, "a number is missing in `{n,m}`");
	if (value > REPEAT_MAX)
		return fail(compiler, "more than %d repetitions", REPEAT_MAX);
	*ret = value;
	return 0;
}

/* `{n}`, `{n,}` or `{n,m}`; behind the `{`. */
static int bounds(struct compiler *compiler, int *ret_least, int *ret_most)
{
	int status = count(compiler, ret_least);
	*ret_most = *ret_least;
	if (status == 0 && *compiler->at == ',') {
		compiler->at++;
		*ret_most = -1;
		if (*compiler->at != '}')
			status = count(compiler, ret_most);
	}
	if (status)
		return status;
	if (*compiler->at != '}')
		return fail(compiler, "a `{` without its `}`");
	if (*ret_most >= 0 && *ret_most < *ret_least)
		return fail(compiler, "a repetition from more to less");
	compiler->at++;
	return 0;
}

static int repetitions(struct compiler *compiler, uint32_t from)
{
	int status = 0;
	while (status == 0 && *compiler->at && strchr("*+?{", *compiler->at)) {
		unsigned char c = *compiler->at++;
		int least = c == '+' ? 1 : 0, most = c == '?' ? 1 : -1;
		if (c == '{')
			status = bounds(compiler, &least, &most);
		if (status == 0)
			status = repeat(compiler, from, least, most);
	}
	return status;
}

static int sequence(struct compiler *compiler)
{
	int status = 0;
	while (status == 0 && *compiler->at && *compiler->at != '|' && *compiler->at != ')') {
		uint32_t from = compiler->pattern->length;
		status = atom(compiler);
		if (status == 0)
			status = repetitions(compiler, from);
	}
	return status;
}

/* a|b|c becomes SPLIT a JUMP(end) SPLIT b JUMP(end) c: each alternative is bracketed once the next is known to be. */
static int alternatives(struct compiler *compiler)
{
	struct pattern *pattern = compiler->pattern;
	uint32_t from = pattern->length;
	int status = sequence(compiler);
	while (status == 0 && *compiler->at == '|') {
		compiler->at++;
		int16_t left = (int16_t)(pattern->length - from);
		status = insert(compiler, from,
				(struct step){.op = STEP_SPLIT, .next = 1, .other = (int16_t)(left + 2)});
		uint32_t jump = pattern->length;
		if (status == 0)
			status = append(compiler, (struct step){.op = STEP_JUMP});
		if (status == 0)
			status = sequence(compiler);
		if (status == 0)
			pattern->steps[jump].next = (int16_t)(pattern->length - jump);
	}
	return status;
}

/* --- matching --- */

/* Steps that wait for a character. A step is in it if its mark is the set's generation. */
struct steps {
	uint32_t count;
	uint16_t list[PATTERN_PROGRAM_MAX];
};

struct matcher {
	const struct pattern *pattern;
	bool at_begin, at_end;
	uint32_t generation;
	uint32_t marks[PATTERN_PROGRAM_MAX];
	uint16_t stack[PATTERN_PROGRAM_MAX + 2];
};

static uint32_t push(struct matcher *matcher, uint32_t depth, uint32_t step)
{
	if (matcher->marks[step] == matcher->generation)
		return depth;
	matcher->marks[step] = matcher->generation;
	matcher->stack[depth] = (uint16_t)step;
	return depth + 1;
}

/* Adds `step` and all that is reached from it without a character. True: the end of the program is among them. */
static bool reach(struct matcher *matcher, struct steps *set, uint32_t step)
{
	uint32_t depth = push(matcher, 0, step);
	while (depth > 0) {
		uint32_t here = matcher->stack[--depth];
		const struct step *s = &matcher->pattern->steps[here];
		switch ((enum step_op)s->op) {
		case STEP_FOUND:
			return true;
		case STEP_SPLIT:
			depth = push(matcher, depth, (uint32_t)((int)here + s->other));
			depth = push(matcher, depth, (uint32_t)((int)here + s->next));
			break;
		case STEP_JUMP:
			depth = push(matcher, depth, (uint32_t)((int)here + s->next));
			break;
		case STEP_BEGIN:
			depth = matcher->at_begin ? push(matcher, depth, here + 1) : depth;
			break;
		case STEP_END:
			depth = matcher->at_end ? push(matcher, depth, here + 1) : depth;
			break;
		case STEP_CHAR:
		case STEP_ANY:
		case STEP_SET:
			set->list[set->count++] = (uint16_t)here;
			break;
		}
	}
	return false;
}

static bool accepts(const struct pattern *pattern, const struct step *step, uint32_t c)
{
	if (step->op == STEP_ANY)
		return true;
	if (step->op == STEP_CHAR)
		return c == step->value;
	return set_holds(pattern, &pattern->sets[step->value], c);
}

bool pattern_matches(const struct pattern *pattern, const char *text, size_t length)
{
	const unsigned char *at = (const unsigned char *)text;
	const unsigned char *begin = at, *end = at + (length < PATTERN_TEXT_MAX ? length : PATTERN_TEXT_MAX);
	struct matcher matcher = {.pattern = pattern};
	struct steps sets[2], *now = &sets[0], *then = &sets[1];
	now->count = 0;
	for (;;) {
		while (pattern->skips && now->count == 0 && at < end && !pattern->starts[*at])
			at++;
		/* The steps in `now` were reached under this generation, so that a start adds only what is new. */
		matcher.at_begin = at == begin;
		matcher.at_end = at == end && length <= PATTERN_TEXT_MAX;
		if (now->count == 0)
			matcher.generation++;
		if (reach(&matcher, now, 0))
			return true;
		if (at == end)
			return false;
		uint32_t c = next_char(&at, end);
		matcher.at_begin = false;
		matcher.at_end = at == end && length <= PATTERN_TEXT_MAX;
		matcher.generation++;
		then->count = 0;
		for (uint32_t i = 0; i < now->count; i++)
			if (accepts(pattern, &pattern->steps[now->list[i]], c) &&
			    reach(&matcher, then, now->list[i] + 1u))
				return true;
		struct steps *swap = now;
		now = then;
		then = swap;
	}
}

/* --- putting it together --- */

/* Which bytes can begin a match, so that the matcher can run over the others; none if it may match without one. */
static void find_starts(struct pattern *pattern)
{
	struct matcher matcher = {.pattern = pattern, .at_begin = true, .at_end = true, .generation = 1};
	struct steps first = {.count = 0};
	pattern->skips = !reach(&matcher, &first, 0);
	for (uint32_t b = 0; b < 0x80; b++)
		for (uint32_t i = 0; i < first.count && !pattern->starts[b]; i++)
			pattern->starts[b] = accepts(pattern, &pattern->steps[first.list[i]], b);
	for (uint32_t b = 0x80; b < 0x100; b++)
		pattern->starts[b] = true;
}

int pattern_compile(const char *text, struct pattern **ret_pattern, char *error, size_t error_size)
{
	size_t length = strlen(text);
	if (length > PATTERN_LENGTH_MAX) {
		snprintf(error, error_size, "a regular expression of %zu bytes, at most %d are allowed", length,
			 PATTERN_LENGTH_MAX);
		return -EINVAL;
	}
	struct pattern *pattern = calloc(1, sizeof(*pattern));
	if (!pattern)
		return -ENOMEM;
	const unsigned char *bytes = (const unsigned char *)text;
	struct compiler compiler = {.pattern = pattern,
				    .text = bytes,
				    .at = bytes,
				    .end = bytes + length,
				    .error = error,
				    .error_size = error_size};
	int status = alternatives(&compiler);
	if (status == 0 && *compiler.at)
		status = fail(&compiler, "a `)` without its `(`");
	if (status == 0)
		status = append(&compiler, (struct step){.op = STEP_FOUND});
	if (status) {
		pattern_free(pattern);
		return status;
	}
	find_starts(pattern);
	*ret_pattern = pattern;
	return 0;
}

void pattern_free(struct pattern *pattern)
{
	free(pattern);
}
