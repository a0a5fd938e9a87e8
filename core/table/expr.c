/* SPDX-License-Identifier: MIT
 *
 * See expr.h. Three steps: the text is cut into column, operator and value (expr_parse); the value is fitted to the
 * column's type (expr_bind), where a choice becomes the set of choices that match, whatever the operator; a cell is
 * held against it (expr_matches), which only compares.
 */
#include "expr.h"

#include "pattern.h"
#include "problems.h"
#include "scalars.h"
#include "text.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WINDOW = 4096, CHOICES_MAX = 64 };

/* What the value became, and so how a cell is compared. */
enum bound { BOUND_NOT, BOUND_NULL, BOUND_TEXT, BOUND_NUMBER, BOUND_TIME, BOUND_CHOICES };

struct expr {
	char *column;
	char *value; /* NULL for null */
	enum expr_op op;
	enum bound bound;
	size_t length;           /* of the value */
	char *folded;            /* CONTAINS: the value in lower case */
	struct pattern *pattern; /* MATCH, NOT_MATCH on text */
	bool whole;              /* the number is `integer` exactly */
	int64_t integer;         /* NUMBER; TIME: milliseconds */
	double number;
	uint64_t choices; /* bit i: choice i matches */
};

static int fail(char *error, const char *format, ...) CW_PRINTF(2, 3);

/* Values of strangers end up in these sentences: they are made visible and cut. */
static int fail(char *error, const char *format, ...)
{
	char sentence[2 * EXPR_ERROR_MAX];
	va_list args;
	va_start(args, format);
	vsnprintf(sentence, sizeof(sentence), format, args);
	va_end(args);
	text_visible(error, EXPR_ERROR_MAX, sentence, strlen(sentence));
	return -EINVAL;
}

/* --- parsing --- */

struct parser {
	const char *text, *at;
	char *error;
};

static size_t position(const struct parser *parser)
{
	return (size_t)(parser->at - parser->text) + 1;
}

static void skip_blanks(struct parser *parser)
{
	parser->at += strspn(parser->at, " \t");
}

static int parse_column(struct parser *parser, struct expr *expr)
{
	skip_blanks(parser);
	size_t length = 0;
	while (isalnum((unsigned char)parser->at[length]) || parser->at[length] == '_')
		length++;
	if (length == 0 || isdigit((unsigned char)parser->at[0]))
		return fail(parser->error, "the name of a column is missing at character %zu", position(parser));
	expr->column = strndup(parser->at, length);
	parser->at += length;
	return expr->column ? 0 : -ENOMEM;
}

static int parse_operator(struct parser *parser, struct expr *expr)
{
	static const struct {
		const char *text;
		enum expr_op op;
	} operators[] = {
		{"=~", EXPR_MATCH}, {"!~", EXPR_NOT_MATCH}, {"!=", EXPR_NE}, {">=", EXPR_GE},      {"<=", EXPR_LE},
		{"=", EXPR_EQ},     {">", EXPR_GT},         {"<", EXPR_LT},  {"~", EXPR_CONTAINS},
	};
	skip_blanks(parser);
	if (strncmp(parser->at, "==", 2) == 0)
		return fail(parser->error, "`==` at character %zu: equal is written `=`", position(parser));
	for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++) {
		size_t length = strlen(operators[i].text);
		if (strncmp(parser->at, operators[i].text, length) == 0) {
			expr->op = operators[i].op;
			parser->at += length;
			return 0;
		}
	}
	return fail(parser->error, "one of = != ~ =~ !~ > >= < <= is missing at character %zu", position(parser));
}

/* `"…"` to the end of the text; a backslash takes the next character as it is. */
static int parse_quoted(struct parser *parser, char *out)
{
	parser->at++;
	while (*parser->at && *parser->at != '"') {
		parser->at += parser->at[0] == '\\' && parser->at[1] ? 1 : 0;
		*out++ = *parser->at++;
	}
	*out = '\0';
	if (*parser->at != '"')
		return fail(parser->error, "the closing quote is missing at character %zu", position(parser));
	parser->at++;
	skip_blanks(parser);
	if (*parser->at)
		return fail(parser->error, "something follows the closing quote at character %zu", position(parser));
	return 0;
}

static int parse_value(struct parser *parser, struct expr *expr)
{
	skip_blanks(parser);
	size_t length = strlen(parser->at);
	while (length > 0 && (parser->at[length - 1] == ' ' || parser->at[length - 1] == '\t'))
		length--;
	if (length == 0)
		return fail(parser->error,
			    "a value is missing at character %zu; the empty text is \"\", not known is null",
			    position(parser));
	if (length == 4 && strncmp(parser->at, "null", 4) == 0 && (expr->op == EXPR_EQ || expr->op == EXPR_NE))
		return 0;
	bool quoted = *parser->at == '"'; /* then blanks at the end may stand inside the quotes */
	expr->value = quoted ? strdup(parser->at) : strndup(parser->at, length);
	if (!expr->value)
		return -ENOMEM;
	int status = quoted ? parse_quoted(parser, expr->value) : 0;
	expr->length = strlen(expr->value);
	return status;
}

int expr_parse(const char *text, struct expr **ret_expr, char error[EXPR_ERROR_MAX])
{
	struct parser parser = {.text = text, .at = text, .error = error};
	if (strlen(text) > EXPR_LENGTH_MAX)
		return fail(error, "an expression of %zu bytes, at most %d are allowed", strlen(text), EXPR_LENGTH_MAX);
	struct expr *expr = calloc(1, sizeof(*expr));
	int status = expr ? parse_column(&parser, expr) : -ENOMEM;
	if (status == 0)
		status = parse_operator(&parser, expr);
	if (status == 0)
		status = parse_value(&parser, expr);
	if (status) {
		if (status == -ENOMEM)
			fail(error, "out of memory");
		expr_free(expr);
		return status;
	}
	*ret_expr = expr;
	return 0;
}

void expr_free(struct expr *expr)
{
	if (!expr)
		return;
	pattern_free(expr->pattern);
	free(expr->folded);
	free(expr->column);
	free(expr->value);
	free(expr);
}

const char *expr_column(const struct expr *expr)
{
	return expr->column;
}

enum expr_op expr_op(const struct expr *expr)
{
	return expr->op;
}

const char *expr_value(const struct expr *expr)
{
	return expr->value;
}

/* --- lower case --- */

/* Folds the two bytes of a Latin letter (U+00C0 to U+017F) in place; both forms have two bytes. */
static void fold_latin(unsigned char *pair)
{
	uint32_t c = (pair[0] & 0x1Fu) << 6 | (pair[1] & 0x3Fu), lower = c;
	if (c >= 0xC0 && c <= 0xDE && c != 0xD7)
		lower = c + 0x20;
	else if (c == 0x178)
		lower = 0xFF;
	else if ((c >= 0x100 && c <= 0x137 && c != 0x130 && c != 0x131) || (c >= 0x14A && c <= 0x177))
		lower = c | 1u;
	else if ((c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17E))
		lower = c + (c & 1u);
	pair[0] = (unsigned char)(0xC0 | lower >> 6);
	pair[1] = (unsigned char)(0x80 | (lower & 0x3Fu));
}

static void fold(unsigned char *out, const char *text, size_t length)
{
	memcpy(out, text, length);
	for (size_t i = 0; i < length; i++) {
		if (out[i] >= 'A' && out[i] <= 'Z') {
			out[i] = (unsigned char)(out[i] + 32);
		} else if (out[i] >= 0xC3 && out[i] <= 0xC5 && i + 1 < length && (out[i + 1] & 0xC0) == 0x80) {
			fold_latin(&out[i]);
			i++;
		}
	}
}

/* Folds the text window by window. Windows overlap by the length of what is sought, so that a window that begins inside
 * a letter misses nothing: what begins with that letter was whole in the window before. */
static bool contains(const struct expr *expr, const char *text, size_t length)
{
	unsigned char window[WINDOW];
	size_t start = 0;
	while (expr->folded && length - start >= expr->length) {
		size_t n = length - start < WINDOW ? length - start : WINDOW;
		fold(window, text + start, n);
		if (memmem(window, n, expr->folded, expr->length))
			return true;
		if (start + n == length)
			return false;
		start += n - expr->length;
	}
	return false;
}

/* --- binding --- */

static bool is_order(enum expr_op op)
{
	return op == EXPR_GT || op == EXPR_GE || op == EXPR_LT || op == EXPR_LE;
}

static bool is_search(enum expr_op op)
{
	return op == EXPR_CONTAINS || op == EXPR_MATCH || op == EXPR_NOT_MATCH;
}

static int bind_search(struct expr *expr, char *error)
{
	if (expr->op == EXPR_CONTAINS) {
		expr->folded = malloc(expr->length + 1);
		if (!expr->folded)
			return fail(error, "out of memory");
		fold((unsigned char *)expr->folded, expr->value, expr->length);
		return 0;
	}
	char reason[EXPR_ERROR_MAX - 60];
	int status = pattern_compile(expr->value, &expr->pattern, reason, sizeof(reason));
	return status == -ENOMEM ? fail(error, "out of memory")
	       : status          ? fail(error, "%s: %s", expr->column, reason)
				 : 0;
}

static int bind_text(struct expr *expr, char *error)
{
	expr->bound = BOUND_TEXT;
	if (is_order(expr->op))
		return fail(error, "%s is text, which has no order: use = != ~ =~ !~", expr->column);
	return is_search(expr->op) ? bind_search(expr, error) : 0;
}

static bool unit_is(const struct cw_column *column, const char *a, const char *b)
{
	return column->unit && (strcmp(column->unit, a) == 0 || strcmp(column->unit, b) == 0);
}

/* `4h` in seconds; a sign is fine, because what is due in the future can be overdue. */
static int duration_number(struct expr *expr)
{
	const char *text = expr->value;
	bool negative = *text == '-';
	int64_t ns;
	int status = parse_duration(text + (negative ? 1 : 0), &ns);
	if (status)
		return status;
	ns = negative ? -ns : ns;
	expr->whole = ns % CW_SECOND == 0;
	expr->integer = ns / CW_SECOND;
	expr->number = (double)ns / (double)CW_SECOND;
	return 0;
}

static int with_unit(struct expr *expr, const struct cw_column *column, const char **ret_allowed)
{
	*ret_allowed = "a number";
	if (column->type == CW_AGE || column->type == CW_UNTIL || unit_is(column, "seconds", "s")) {
		*ret_allowed = "a duration (`4h`) or seconds";
		return duration_number(expr);
	}
	if (unit_is(column, "bytes", "B")) {
		*ret_allowed = "a size (`64KiB`) or bytes";
		expr->whole = true;
		int status = parse_size(expr->value, &expr->integer);
		expr->number = (double)expr->integer;
		return status;
	}
	if (unit_is(column, "ratio", "percent") && strchr(expr->value, '%')) {
		expr->whole = false;
		return parse_ratio(expr->value, &expr->number);
	}
	if (unit_is(column, "ratio", "percent"))
		*ret_allowed = "a ratio (`5%` or `0.05`)";
	return -EINVAL;
}

static int bind_number(struct expr *expr, const struct cw_column *column, char *error)
{
	const char *allowed;
	expr->bound = BOUND_NUMBER;
	if (is_search(expr->op))
		return fail(error, "%s is a number: use = != > >= < <=", expr->column);
	if (parse_integer(expr->value, &expr->integer) == 0) {
		expr->whole = true;
		expr->number = (double)expr->integer;
		return 0;
	}
	expr->whole = false;
	if (parse_number(expr->value, &expr->number) == 0 || with_unit(expr, column, &allowed) == 0)
		return 0;
	return fail(error, "%s: `%.60s` is not %s", expr->column, expr->value, allowed);
}

int expr_number(const struct cw_column *column, const char *text, double *ret_number, char error[EXPR_ERROR_MAX])
{
	struct expr expr = {.column = (char *)(uintptr_t)column->name, .value = (char *)(uintptr_t)text, .op = EXPR_EQ};
	int status = bind_number(&expr, column, error);
	if (status == 0)
		*ret_number = expr.number;
	return status;
}

static int bind_bool(struct expr *expr, char *error)
{
	expr->bound = BOUND_NUMBER;
	expr->whole = true;
	expr->integer = strcmp(expr->value, "true") == 0;
	expr->number = (double)expr->integer;
	if (is_order(expr->op) || is_search(expr->op))
		return fail(error, "%s is true or false: use = or !=", expr->column);
	if (!expr->integer && strcmp(expr->value, "false") != 0)
		return fail(error, "%s: `%.60s` is neither true nor false", expr->column, expr->value);
	return 0;
}

static int64_t milliseconds(int64_t ns)
{
	return ns / CW_MILLISECOND - (ns % CW_MILLISECOND < 0 ? 1 : 0);
}

static int bind_time(struct expr *expr, char *error)
{
	int64_t wall;
	expr->bound = BOUND_TIME;
	if (is_search(expr->op))
		return fail(error, "%s is a time: use = != > >= < <=", expr->column);
	if (text_parse_time(expr->value, expr->length, &wall, NULL) != 0)
		return fail(error, "%s: `%.60s` is not a time such as 2026-11-22T13:30:00Z", expr->column, expr->value);
	expr->integer = milliseconds(wall);
	return 0;
}

static bool choice_matches(const struct expr *expr, const char *choice)
{
	switch (expr->op) {
	case EXPR_CONTAINS:
		return contains(expr, choice, strlen(choice));
	case EXPR_MATCH:
	case EXPR_NOT_MATCH:
		return pattern_matches(expr->pattern, choice, strlen(choice)) == (expr->op == EXPR_MATCH);
	default:
		return (strcmp(choice, expr->value) == 0) == (expr->op == EXPR_EQ);
	}
}

static int bind_choice(struct expr *expr, const struct cw_column *column, char *error)
{
	bool is_one = false;
	uint32_t count = 0;
	expr->bound = BOUND_CHOICES;
	if (is_order(expr->op))
		return fail(error, "%s is a choice, which has no order: use = != ~ =~ !~", expr->column);
	if (is_search(expr->op) && bind_search(expr, error) != 0)
		return -EINVAL;
	while (column->choices && column->choices[count] && count < CHOICES_MAX) {
		expr->choices |= (uint64_t)choice_matches(expr, column->choices[count]) << count;
		is_one = is_one || strcmp(column->choices[count], expr->value) == 0;
		count++;
	}
	if (is_search(expr->op) || is_one)
		return 0;
	char known[EXPR_ERROR_MAX] = "";
	size_t used = 0;
	for (uint32_t i = 0; i < count && used < sizeof(known); i++)
		used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s", i ? ", " : "", column->choices[i]);
	const char *nearest = nearest_name(expr->value, column->choices, count);
	return fail(error, "%s: `%.40s` is not one of %s%s%s%s", expr->column, expr->value, known,
		    nearest ? "; did you mean `" : "", nearest ? nearest : "", nearest ? "`?" : "");
}

static void unbind(struct expr *expr)
{
	pattern_free(expr->pattern);
	free(expr->folded);
	expr->pattern = NULL;
	expr->folded = NULL;
	expr->choices = 0;
	expr->bound = BOUND_NOT;
}

int expr_bind(struct expr *expr, const struct cw_column *column, char error[EXPR_ERROR_MAX])
{
	int status = -EINVAL;
	unbind(expr);
	if (!expr->value) {
		expr->bound = BOUND_NULL;
		return 0;
	}
	switch (column->type) {
	case CW_TEXT:
		status = bind_text(expr, error);
		break;
	case CW_INT:
	case CW_REAL:
	case CW_AGE:
	case CW_UNTIL:
		status = bind_number(expr, column, error);
		break;
	case CW_BOOL:
		status = bind_bool(expr, error);
		break;
	case CW_CHOICE:
		status = bind_choice(expr, column, error);
		break;
	case CW_TIME:
	case CW_SINCE:
		status = bind_time(expr, error);
		break;
	}
	if (status)
		unbind(expr);
	return status;
}

/* --- matching --- */

static bool holds(enum expr_op op, int order)
{
	switch (op) {
	case EXPR_EQ:
		return order == 0;
	case EXPR_NE:
		return order != 0;
	case EXPR_GT:
		return order > 0;
	case EXPR_GE:
		return order >= 0;
	case EXPR_LT:
		return order < 0;
	case EXPR_LE:
		return order <= 0;
	default:
		return false;
	}
}

static int order_integers(int64_t a, int64_t b)
{
	return (a > b) - (a < b);
}

static bool number_matches(const struct expr *expr, const struct cw_cell *cell)
{
	if (cell->type == CW_CELL_INTEGER && expr->whole)
		return holds(expr->op, order_integers(cell->integer, expr->integer));
	double value = cell->type == CW_CELL_INTEGER ? (double)cell->integer : cell->real;
	return holds(expr->op, (value > expr->number) - (value < expr->number));
}

static bool text_matches(const struct expr *expr, const struct cw_cell *cell)
{
	switch (expr->op) {
	case EXPR_CONTAINS:
		return contains(expr, cell->text, cell->length);
	case EXPR_MATCH:
	case EXPR_NOT_MATCH:
		return pattern_matches(expr->pattern, cell->text, cell->length) == (expr->op == EXPR_MATCH);
	default:
		return (cell->length == expr->length && memcmp(cell->text, expr->value, expr->length) == 0) ==
		       (expr->op == EXPR_EQ);
	}
}

static bool is_known(const struct cw_cell *cell)
{
	return cell->type != CW_CELL_NULL && !(cell->type == CW_CELL_REAL && isnan(cell->real));
}

bool expr_matches(const struct expr *expr, const struct cw_cell *cell)
{
	if (expr->bound == BOUND_NULL)
		return is_known(cell) == (expr->op == EXPR_NE);
	if (!is_known(cell))
		return expr->op == EXPR_NE || expr->op == EXPR_NOT_MATCH;
	switch (expr->bound) {
	case BOUND_TEXT:
		return cell->type == CW_CELL_TEXT && text_matches(expr, cell);
	case BOUND_NUMBER:
		return cell->type != CW_CELL_TEXT && number_matches(expr, cell);
	case BOUND_TIME:
		return cell->type == CW_CELL_INTEGER &&
		       holds(expr->op, order_integers(milliseconds(cell->integer), expr->integer));
	case BOUND_CHOICES:
		return cell->type == CW_CELL_INTEGER && cell->integer >= 0 && cell->integer < CHOICES_MAX &&
		       (expr->choices >> cell->integer & 1) != 0;
	default:
		return false; /* not bound: the caller's mistake matches nothing */
	}
}
