/* SPDX-License-Identifier: MIT
 *
 * See selection.h. Who is a viewer gets to know no more by asking than by looking: a phone column is compared only with
 * a whole number or its last four digits and gives no order, and free text is searched as it is shown.
 */
#include "selection.h"

#include "problems.h"
#include "text.h"

#include <errno.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PHONE_DIGITS_MIN = 7 };

/* ---- columns ---- */

static int refuse(char error[CW_QUERY_ERROR_MAX], int code, const char *format, ...) CW_PRINTF(3, 4);
static int refuse(char error[CW_QUERY_ERROR_MAX], int code, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(error, CW_QUERY_ERROR_MAX, format, args);
	va_end(args);
	return code;
}

static int refuse_column(const struct selection *selection, const char *name, char error[CW_QUERY_ERROR_MAX])
{
	const char *names[COLUMNS_MAX];
	uint32_t n = 0;
	for (; n < selection->scope.columns_count && n < COLUMNS_MAX; n++)
		names[n] = selection->scope.columns[n].name;
	const char *near = nearest_name(name, names, n);
	return refuse(error, -EINVAL, "table %s has no column '%.60s'%s%.60s%s", selection->table->decl->name, name,
		      near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

/* The field of this column, added if it is not there yet; the arrays have room for every column. */
static int32_t add_field(struct selection *selection, const char *name)
{
	for (uint32_t i = 0; i < selection->fields_count; i++)
		/* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): a counted field has its name */
		if (strcmp(selection->fields[i].name, name) == 0)
			return (int32_t)i;
	int32_t column = scope_column(&selection->scope, name);
	if (column < 0)
		return -1;
	selection->fields[selection->fields_count] = selection->scope.columns[column];
	return (int32_t)selection->fields_count++;
}

static int add_shown(struct selection *selection, const struct cw_query_spec *spec, char error[CW_QUERY_ERROR_MAX])
{
	const struct scope *scope = &selection->scope;
	selection->fields = calloc(scope->columns_count, sizeof(*selection->fields));
	selection->masks = calloc(scope->columns_count, sizeof(*selection->masks));
	if (!selection->fields || !selection->masks)
		return refuse(error, -ENOMEM, "out of memory");
	add_field(selection, scope->columns[FIELD_INSTANCE].name);
	/* The key is the second column, except where a table is about instances: there it is the first itself. */
	if (!(scope->columns[FIELD_INSTANCE].flags & CW_COLUMN_KEY))
		selection->key_field = (uint32_t)add_field(selection, scope->columns[1].name);
	for (uint32_t i = 0; spec->columns && i < spec->columns_count; i++)
		if (add_field(selection, spec->columns[i]) < 0)
			return refuse_column(selection, spec->columns[i], error);
	for (uint32_t i = 0; !spec->columns && i < scope->columns_count; i++)
		if (!(scope->columns[i].flags & CW_COLUMN_WIDE))
			add_field(selection, scope->columns[i].name);
	selection->shown = selection->fields_count;
	return 0;
}

static void choose_masks(struct selection *selection, bool reveal)
{
	for (uint32_t i = 0; i < selection->fields_count; i++) {
		const struct cw_column *column = &selection->fields[i];
		if (reveal || column->type != CW_TEXT || i == FIELD_INSTANCE)
			selection->masks[i] = MASK_NONE;
		else if (column->flags & CW_COLUMN_PHONE)
			selection->masks[i] = MASK_PHONE;
		else
			selection->masks[i] = column->flags & CW_COLUMN_KEY ? MASK_NONE : MASK_FREE_TEXT;
	}
}

static int bind_sources(struct selection *selection)
{
	const struct scope *scope = &selection->scope;
	free(selection->sources);
	selection->sources = calloc((size_t)scope->parts_count * selection->fields_count + 1, sizeof(int16_t));
	if (!selection->sources)
		return -ENOMEM;
	for (uint32_t p = 0; p < scope->parts_count; p++) {
		int16_t *sources = &selection->sources[p * selection->fields_count];
		for (uint32_t i = 0; i < selection->fields_count; i++)
			sources[i] = (int16_t)scope_part_column(scope->parts[p], &selection->fields[i]);
		sources[selection->key_field] = (int16_t)scope->parts[p]->layout.key; /* whatever this part calls it */
	}
	return 0;
}

/* ---- conditions ---- */

/* Number of digits if the text is a phone number as people write it in a filter, else 0. */
static size_t count_digits(const char *text)
{
	if (*text == '+')
		text++;
	size_t n = strspn(text, "0123456789");
	return text[n] ? 0 : n;
}

/* Four digits are the end that a masked number shows, also for those who could ask otherwise. */
static int bind_phone(struct filter *filter, const char *column, bool viewer, char error[CW_QUERY_ERROR_MAX])
{
	const char *value = expr_value(filter->expr);
	size_t digits = value ? count_digits(value) : 0;
	if (expr_op(filter->expr) == EXPR_EQ && digits == 4 && *value != '+')
		memcpy(filter->last_four, value, sizeof(filter->last_four));
	else if (viewer && (expr_op(filter->expr) != EXPR_EQ || digits < PHONE_DIGITS_MIN))
		return refuse(error, -EINVAL,
			      "'%.60s' holds people's numbers: a viewer may only ask for a complete number "
			      "(%.60s=+14155550132) or its last four digits",
			      column, column);
	return 0;
}

static int bind_filter(struct selection *selection, struct filter *filter, const struct cw_query_spec *spec,
		       char error[CW_QUERY_ERROR_MAX])
{
	const char *name = expr_column(filter->expr);
	int32_t field = add_field(selection, name);
	if (field < 0)
		return refuse_column(selection, name, error);
	const struct cw_column *column = &selection->fields[field];
	filter->field = (uint32_t)field;
	if (column->flags & CW_COLUMN_PHONE && bind_phone(filter, name, spec->viewer, error) < 0)
		return -EINVAL;
	char why[EXPR_ERROR_MAX] = "";
	if (expr_bind(filter->expr, column, why) < 0)
		return refuse(error, -EINVAL, "%s", why);
	enum expr_op op = expr_op(filter->expr);
	filter->masked = spec->viewer && column->type == CW_TEXT && field != FIELD_INSTANCE &&
			 !(column->flags & (CW_COLUMN_KEY | CW_COLUMN_PHONE));
	filter->slow = filter->masked || op == EXPR_MATCH || op == EXPR_NOT_MATCH;
	selection->slow |= filter->slow;
	selection->timed |= column->type == CW_AGE || column->type == CW_UNTIL;
	return 0;
}

static int add_filters(struct selection *selection, const struct cw_query_spec *spec, char error[CW_QUERY_ERROR_MAX])
{
	selection->filters = calloc(spec->where_count + 1, sizeof(*selection->filters));
	if (!selection->filters)
		return refuse(error, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < spec->where_count; i++) {
		struct filter *filter = &selection->filters[selection->filters_count];
		char why[EXPR_ERROR_MAX] = "";
		if (expr_parse(spec->where[i], &filter->expr, why) < 0)
			return refuse(error, -EINVAL, "where '%.40s': %s", spec->where[i], why);
		selection->filters_count++;
		int status = bind_filter(selection, filter, spec, error);
		if (status < 0)
			return status;
	}
	return 0;
}

static int choose_sort(struct selection *selection, const struct cw_query_spec *spec, char error[CW_QUERY_ERROR_MAX])
{
	selection->sort = -1;
	const char *sort = spec->sort;
	if (!sort)
		return 0;
	if (!*sort)
		sort = selection->table->decl->sort ? selection->table->decl->sort
						    : selection->fields[selection->key_field].name;
	selection->descending = *sort == '-'; /* NOLINT(clang-analyzer-core.NullDereference): a column has a name */
	sort += *sort == '-';
	selection->sort = add_field(selection, sort);
	if (selection->sort < 0)
		return refuse_column(selection, sort, error);
	if (spec->viewer && selection->fields[selection->sort].flags & CW_COLUMN_PHONE)
		return refuse(error, -EINVAL, "'%.60s' holds people's numbers: a viewer may not sort by it", sort);
	return 0;
}

/* ---- life ---- */

static int refuse_table(struct tables *tables, const char *name, char error[CW_QUERY_ERROR_MAX])
{
	char known[160] = "";
	size_t length = 0;
	pthread_mutex_lock(&tables->lock);
	for (const struct table *table = tables->list; table && length < sizeof(known) - 1; table = table->next) {
		int more = snprintf(known + length, sizeof(known) - length, "%s%s", length ? ", " : "; there is ",
				    table->decl->name);
		length += more > 0 ? (size_t)more : 0;
	}
	pthread_mutex_unlock(&tables->lock);
	return refuse(error, -ENOENT, "no table '%.60s'%s", name, known);
}

int selection_init(struct selection *selection, struct tables *tables, const struct cw_query_spec *spec,
		   bool phones_full, char error[CW_QUERY_ERROR_MAX])
{
	*selection = (struct selection){.tables = tables, .table = tables_find(tables, spec->table)};
	if (!selection->table)
		return refuse_table(tables, spec->table, error);
	if (scope_init(&selection->scope, selection->table) < 0)
		return refuse(error, -ENOMEM, "out of memory");
	if (selection->scope.parts_count == 0)
		return refuse_table(tables, spec->table, error);
	if (spec->key && !(selection->key = strdup(spec->key)))
		return refuse(error, -ENOMEM, "out of memory");
	int status = add_shown(selection, spec, error);
	if (status == 0)
		status = add_filters(selection, spec, error);
	if (status == 0)
		status = choose_sort(selection, spec, error);
	if (status < 0)
		return status;
	choose_masks(selection, spec->reveal || phones_full);
	for (uint32_t i = 0; i < selection->filters_count; i++) /* where numbers are shown they may be searched */
		selection->filters[i].masked &= selection->masks[selection->filters[i].field] != MASK_NONE;
	return bind_sources(selection) < 0 ? refuse(error, -ENOMEM, "out of memory") : 0;
}

void selection_release(struct selection *selection)
{
	for (uint32_t i = 0; i < selection->filters_count; i++)
		expr_free(selection->filters[i].expr);
	free(selection->filters);
	free(selection->key);
	free(selection->sources);
	free(selection->masks);
	free(selection->fields);
	scope_release(&selection->scope);
	*selection = (struct selection){0};
}

int selection_refresh(struct selection *selection)
{
	struct scope scope;
	if (scope_init(&scope, selection->table) < 0)
		return -ENOMEM;
	scope_release(&selection->scope);
	selection->scope = scope;
	return bind_sources(selection);
}

/* ---- rows ---- */

static double seconds(int64_t from, int64_t to)
{
	return ((double)to - (double)from) / (double)CW_SECOND;
}

static void raw_cell(const struct selection *selection, uint32_t part, const struct row *row, uint32_t field,
		     struct cw_cell *ret_cell)
{
	const struct cw_part *from = selection->scope.parts[part];
	int16_t source = selection->sources[part * selection->fields_count + field];
	if (field == FIELD_INSTANCE && source < 0)
		*ret_cell = (struct cw_cell){
			.type = CW_CELL_TEXT, .length = (uint32_t)strlen(from->instance), .text = from->instance};
	else if (source < 0)
		*ret_cell = (struct cw_cell){0};
	else
		row_cell(&from->layout, &from->dict, row->bytes, (uint32_t)source, ret_cell);
}

void selection_cell(const struct selection *selection, uint32_t part, const struct row *row, uint32_t field,
		    int64_t now, struct cw_cell *ret_cell)
{
	raw_cell(selection, part, row, field, ret_cell);
	enum cw_column_type type = selection->fields[field].type;
	if (ret_cell->type != CW_CELL_INTEGER || (type != CW_AGE && type != CW_UNTIL))
		return;
	double value = type == CW_AGE ? seconds(ret_cell->integer, now) : seconds(now, ret_cell->integer);
	ret_cell->type = CW_CELL_REAL;
	ret_cell->real = type == CW_AGE && value < 0 ? 0 : value;
}

static bool holds(const struct filter *filter, const struct cw_cell *cell)
{
	if (!filter->last_four[0])
		return expr_matches(filter->expr, cell);
	return cell->type == CW_CELL_TEXT && cell->length >= 4 &&
	       memcmp(cell->text + cell->length - 4, filter->last_four, 4) == 0;
}

static bool has_key(const struct selection *selection, uint32_t part, const struct row *row)
{
	uint32_t length;
	const char *key = row_key_text(&selection->scope.parts[part]->layout, row->bytes, &length);
	return length == strlen(selection->key) && memcmp(key, selection->key, length) == 0;
}

bool selection_quick(const struct selection *selection, uint32_t part, const struct row *row, int64_t now)
{
	if (selection->key && !has_key(selection, part, row))
		return false;
	for (uint32_t i = 0; i < selection->filters_count; i++) {
		const struct filter *filter = &selection->filters[i];
		struct cw_cell cell;
		if (filter->slow)
			continue;
		selection_cell(selection, part, row, filter->field, now, &cell);
		if (!holds(filter, &cell))
			return false;
	}
	return true;
}

/* ---- order ---- */

void selection_position(const struct selection *selection, uint32_t part, const struct row *row,
			struct position *ret_position)
{
	const struct cw_part *from = selection->scope.parts[part];
	struct position *position = ret_position;
	*position = (struct position){.instance = from->instance};
	if (selection->sort >= 0)
		raw_cell(selection, part, row, (uint32_t)selection->sort, &position->value);
	if (position->value.type == CW_CELL_TEXT && position->value.length > ORDER_BYTES)
		position->value.length = ORDER_BYTES;
	position->key = row_key_text(&from->layout, row->bytes, &position->key_length);
	if (position->key_length > ORDER_BYTES)
		crypto_shorthash((unsigned char *)&position->key_hash, (const unsigned char *)position->key,
				 position->key_length, selection->tables->cursor_key);
}

static int compare_bytes(const char *a, uint32_t a_length, const char *b, uint32_t b_length)
{
	uint32_t common = a_length < b_length ? a_length : b_length;
	int order = common ? memcmp(a, b, common) : 0;
	return order ? order : (a_length > b_length) - (a_length < b_length);
}

static uint32_t ordered_bytes(uint32_t length)
{
	return length < ORDER_BYTES ? length : ORDER_BYTES;
}

static int compare_keys(const struct position *a, const struct position *b)
{
	int order = compare_bytes(a->key, ordered_bytes(a->key_length), b->key, ordered_bytes(b->key_length));
	if (order || a->key_length == b->key_length)
		return order ? order : (a->key_hash > b->key_hash) - (a->key_hash < b->key_hash);
	if (a->key_length <= ORDER_BYTES || b->key_length <= ORDER_BYTES)
		return a->key_length > b->key_length ? 1 : -1;
	return (a->key_hash > b->key_hash) - (a->key_hash < b->key_hash);
}

static int compare_values(const struct cw_cell *a, const struct cw_cell *b)
{
	if (a->type == CW_CELL_TEXT && b->type == CW_CELL_TEXT)
		return compare_bytes(a->text, a->length, b->text, b->length);
	if (a->type == CW_CELL_REAL && b->type == CW_CELL_REAL)
		return (a->real > b->real) - (a->real < b->real);
	return (a->integer > b->integer) - (a->integer < b->integer);
}

int selection_compare(const struct selection *selection, const struct position *a, const struct position *b)
{
	bool a_null = a->value.type == CW_CELL_NULL, b_null = b->value.type == CW_CELL_NULL;
	if (selection->sort >= 0 && a_null != b_null)
		return a_null ? 1 : -1;
	if (selection->sort >= 0 && !a_null) {
		int order = compare_values(&a->value, &b->value);
		/* An age is kept as the instant it began: the older, the earlier. */
		bool reverse = selection->descending != (selection->fields[selection->sort].type == CW_AGE);
		if (order)
			return reverse ? -order : order;
	}
	int order = strcmp(a->instance, b->instance);
	return order ? order : compare_keys(a, b);
}

/* ---- what leaves ---- */

/* Room for `bytes`; NULL: no memory. What was there before is lost. */
static char *scratch_room(struct scratch *scratch, size_t bytes)
{
	if (bytes <= scratch->room)
		return scratch->bytes;
	free(scratch->bytes);
	scratch->bytes = malloc(bytes);
	scratch->room = scratch->bytes ? bytes : 0;
	return scratch->bytes;
}

/* Masking makes one byte three at most. */
static size_t masked_room(enum mask mask, const struct cw_cell *cell)
{
	return mask == MASK_NONE || cell->type != CW_CELL_TEXT ? 0 : 3 * (size_t)cell->length + 1;
}

/* Returns the bytes of `room` used. */
static size_t mask_cell(enum mask mask, const struct cw_cell *cell, char *room, struct cw_cell *ret_shown)
{
	*ret_shown = *cell;
	size_t size = masked_room(mask, cell);
	if (size == 0 || (mask == MASK_FREE_TEXT && !memchr(cell->text, '+', cell->length)))
		return 0;
	size_t length = mask == MASK_PHONE ? text_mask_phone(room, size, cell->text, cell->length)
					   : text_mask_phones_in(room, size, cell->text, cell->length);
	ret_shown->text = room;
	ret_shown->length = (uint32_t)length;
	return size;
}

bool selection_slow(const struct selection *selection, const struct cw_cell *cells, struct scratch *scratch)
{
	for (uint32_t i = 0; selection->slow && i < selection->filters_count; i++) {
		const struct filter *filter = &selection->filters[i];
		if (!filter->slow)
			continue;
		struct cw_cell cell = cells[filter->field];
		enum mask mask = filter->masked ? selection->masks[filter->field] : MASK_NONE;
		size_t room = masked_room(mask, &cell);
		if (room > 0 && !scratch_room(scratch, room))
			return false;
		mask_cell(mask, &cells[filter->field], scratch->bytes, &cell);
		if (!holds(filter, &cell))
			return false;
	}
	return true;
}

int selection_mask(const struct selection *selection, const struct cw_cell *cells, struct cw_cell *shown,
		   struct scratch *scratch)
{
	size_t room = 0;
	for (uint32_t i = 0; i < selection->shown; i++)
		room += masked_room(selection->masks[i], &cells[i]);
	if (room > 0 && !scratch_room(scratch, room))
		return -ENOMEM;
	char *next = scratch->bytes;
	for (uint32_t i = 0; i < selection->shown; i++)
		next += mask_cell(selection->masks[i], &cells[i], next, &shown[i]);
	return 0;
}
