/* SPDX-License-Identifier: MIT
 *
 * Shapes: the columns of rows in the row log, kept once for each way that a table has looked, so that what was can be
 * read also when the plugin that declared it has changed or gone. Ages and remaining times are logged as the wall time
 * that they count from or to.
 */
#include "clock.h"
#include "history_private.h"
#include "row.h"
#include "text.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { DIGEST_BYTES = 16 };

/* ---- cells ---- */

static size_t masked_room(const struct cw_cell *cell)
{
	return cell->type == CW_CELL_TEXT ? 3 * (size_t)cell->length + 1 : 0;
}

/* Numbers are masked as everybody sees them; the key is not, for it is what the row is known by. */
static size_t mask(const struct cw_column *column, struct cw_cell *cell, char *room)
{
	size_t size = masked_room(cell);
	if (column->type != CW_TEXT || column->flags & CW_COLUMN_KEY || size == 0)
		return 0;
	if (!(column->flags & CW_COLUMN_PHONE) && (cell->length == 0 || !memchr(cell->text, '+', cell->length)))
		return 0;
	cell->length =
		(uint32_t)(column->flags & CW_COLUMN_PHONE ? text_mask_phone(room, size, cell->text, cell->length)
							   : text_mask_phones_in(room, size, cell->text, cell->length));
	cell->text = room;
	return size;
}

int shape_cells(const struct row_copy *copy, bool phones_full, struct cw_cell *cells, char **ret_room)
{
	uint32_t count;
	const struct cw_column *columns = row_copy_columns(copy, &count);
	size_t room = 0;
	int64_t to_wall = clock_wall() - clock_now();
	memcpy(cells, row_copy_cells(copy), count * sizeof *cells);
	for (uint32_t i = 0; i < count; i++)
		room += masked_room(&cells[i]);
	char *end = *ret_room = malloc(room + 1);
	if (!end)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++) {
		bool is_instant = columns[i].type == CW_AGE || columns[i].type == CW_UNTIL;
		if (is_instant && cells[i].type == CW_CELL_INTEGER)
			cells[i].integer += to_wall;
		if (!phones_full)
			end += mask(&columns[i], &cells[i], end);
	}
	return 0;
}

/* An instant as a wall time is not quite the same at two moments. */
static bool is_same(const struct cw_column *column, const struct cw_cell *a, const struct cw_cell *b)
{
	static const int64_t near = 50 * CW_MILLISECOND;
	bool is_instant = column->type == CW_AGE || column->type == CW_UNTIL;
	if (a->type != b->type)
		return false;
	if (a->type == CW_CELL_TEXT)
		return a->length == b->length && (a->length == 0 || memcmp(a->text, b->text, a->length) == 0);
	return a->type == CW_CELL_NULL || a->integer == b->integer ||
	       (is_instant && a->integer - b->integer < near && b->integer - a->integer < near);
}

void cells_merge(const struct cw_column *columns, struct cw_cell *cells, const struct cw_cell *later, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		if (cells[i].type == CW_CELL_NULL)
			cells[i] = later[i];
		else if (later[i].type != CW_CELL_NULL && !is_same(&columns[i], &cells[i], &later[i]))
			cells[i] = (struct cw_cell){0};
	}
}

/* ---- written ---- */

static void digest_text(crypto_generichash_state *state, const char *text)
{
	const unsigned char known = text != NULL;
	crypto_generichash_update(state, &known, 1);
	if (text)
		crypto_generichash_update(state, (const unsigned char *)text, strlen(text) + 1);
}

static void digest_of(const struct cw_table_decl *decl, const struct cw_column *columns, uint32_t count,
		      unsigned char digest[DIGEST_BYTES])
{
	crypto_generichash_state state;
	crypto_generichash_init(&state, /* key */ NULL, 0, DIGEST_BYTES);
	digest_text(&state, decl->name);
	digest_text(&state, decl->help);
	digest_text(&state, decl->sort);
	for (uint32_t i = 0; i < count; i++) {
		const struct cw_column *column = &columns[i];
		uint32_t numbers[] = {(uint32_t)column->type, column->flags};
		digest_text(&state, column->name);
		crypto_generichash_update(&state, (const unsigned char *)numbers, sizeof numbers);
		digest_text(&state, column->unit);
		digest_text(&state, column->help);
		digest_text(&state, column->of);
		for (uint32_t k = 0; column->choices && column->choices[k]; k++)
			digest_text(&state, column->choices[k]);
	}
	crypto_generichash_final(&state, digest, DIGEST_BYTES);
}

static int run(sqlite3_stmt *statement)
{
	int code = sqlite3_step(statement);
	sqlite3_reset(statement);
	return code == SQLITE_DONE ? SQLITE_OK : code;
}

static void bind_text(sqlite3_stmt *statement, int at, const char *text)
{
	sqlite3_bind_text(statement, at, text, -1, SQLITE_STATIC);
}

/* One word a line. */
static void bind_choices(sqlite3_stmt *statement, int at, const struct cw_column *column)
{
	size_t room = 1;
	for (uint32_t k = 0; column->choices && column->choices[k]; k++)
		room += strlen(column->choices[k]) + 1;
	char *text = column->choices ? malloc(room) : NULL, *end = text;
	for (uint32_t k = 0; text && column->choices[k]; k++) {
		end = stpcpy(end, column->choices[k]);
		*end++ = '\n';
	}
	if (text)
		*end = '\0';
	sqlite3_bind_text(statement, at, text, -1, free);
}

static int add_column(struct history *history, int64_t shape, uint32_t number, const struct cw_column *column)
{
	sqlite3_stmt *statement = history->statements[ADD_COLUMN];
	sqlite3_bind_int64(statement, 1, shape);
	sqlite3_bind_int64(statement, 2, number);
	bind_text(statement, 3, column->name);
	sqlite3_bind_int(statement, 4, (int)column->type);
	sqlite3_bind_int64(statement, 5, column->flags);
	bind_text(statement, 6, column->unit);
	bind_text(statement, 7, column->help);
	bind_text(statement, 8, column->of);
	bind_choices(statement, 9, column);
	return run(statement);
}

static int64_t add_shape(struct history *history, const struct row_copy *copy, const unsigned char *digest)
{
	uint32_t count;
	const struct cw_column *columns = row_copy_columns(copy, &count);
	const struct cw_table_decl *decl = row_copy_decl(copy);
	sqlite3_stmt *statement = history->statements[ADD_SHAPE];
	bind_text(statement, 1, decl->name);
	bind_text(statement, 2, decl->help);
	bind_text(statement, 3, decl->sort);
	sqlite3_bind_blob(statement, 4, digest, DIGEST_BYTES, SQLITE_STATIC);
	int code = run(statement);
	int64_t id = sqlite3_last_insert_rowid(sqlite3_db_handle(statement));
	for (uint32_t i = 0; i < count && code == SQLITE_OK; i++)
		code = add_column(history, id, i, &columns[i]);
	return code == SQLITE_OK ? id : -code;
}

static int64_t find_or_add(struct history *history, const struct row_copy *copy)
{
	unsigned char digest[DIGEST_BYTES];
	uint32_t count;
	const struct cw_column *columns = row_copy_columns(copy, &count);
	digest_of(row_copy_decl(copy), columns, count, digest);
	sqlite3_stmt *statement = history->statements[FIND_SHAPE];
	sqlite3_bind_blob(statement, 1, digest, DIGEST_BYTES, SQLITE_STATIC);
	int code = sqlite3_step(statement);
	int64_t id = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
	sqlite3_reset(statement);
	if (code == SQLITE_ROW)
		return id;
	return code == SQLITE_DONE ? add_shape(history, copy, digest) : -code;
}

static void remember(struct history *history, const struct cw_column *columns, int64_t id)
{
	if (history->shapes_count == history->shapes_room) {
		uint32_t room = history->shapes_room ? 2 * history->shapes_room : 16;
		struct known_shape *shapes = realloc(history->shapes, room * sizeof *shapes);
		if (!shapes)
			return;
		history->shapes = shapes;
		history->shapes_room = room;
	}
	history->shapes[history->shapes_count++] = (struct known_shape){columns, id};
}

int64_t shape_of(struct history *history, const struct row_copy *copy)
{
	uint32_t count;
	const struct cw_column *columns = row_copy_columns(copy, &count);
	for (uint32_t i = 0; i < history->shapes_count; i++)
		if (history->shapes[i].columns == columns)
			return history->shapes[i].id;
	int64_t id = find_or_add(history, copy);
	if (id > 0)
		remember(history, columns, id);
	return id;
}

/* What was added may have been rolled back. */
void shapes_forget(struct history *history)
{
	free(history->shapes);
	history->shapes = NULL;
	history->shapes_count = history->shapes_room = 0;
}

/* ---- read ---- */

static char *text_at(sqlite3_stmt *statement, int column)
{
	const unsigned char *text = sqlite3_column_text(statement, column);
	return text ? strdup((const char *)text) : NULL;
}

/* In place: the words stay in one block, which the first of them begins. */
static const char *const *split_choices(char *text)
{
	size_t count = 0;
	for (const char *c = text; c && *c; c++)
		count += *c == '\n';
	const char **choices = text && count > 0 ? calloc(count + 1, sizeof *choices) : NULL;
	for (size_t i = 0; choices && i < count; i++) {
		choices[i] = text;
		text = strchr(text, '\n');
		*text++ = '\0';
	}
	return choices;
}

static bool read_column(sqlite3_stmt *statement, struct cw_column *column)
{
	char *choices = text_at(statement, 6);
	*column = (struct cw_column){.name = text_at(statement, 0),
				     .type = (enum cw_column_type)sqlite3_column_int(statement, 1),
				     .flags = (uint32_t)sqlite3_column_int64(statement, 2),
				     .unit = text_at(statement, 3),
				     .help = text_at(statement, 4),
				     .of = text_at(statement, 5),
				     .choices = split_choices(choices)};
	if (!column->choices)
		free(choices);
	/* since when a state holds was logged with the row, and is not the core's to keep any more */
	if (column->type == CW_SINCE)
		column->type = CW_TIME;
	column->flags &= ~(uint32_t)CW_COLUMN_REPEATS;
	bool is_known = column->type >= CW_TEXT && column->type <= CW_SINCE;
	return column->name && is_known && (column->type == CW_CHOICE) == (column->choices != NULL);
}

static int read_columns(struct sqlite3 *db, struct shape *shape)
{
	sqlite3_stmt *statement = NULL;
	uint32_t count = 0;
	int code = sqlite3_prepare_v2(db,
				      "SELECT name, type, flags, unit, help, of, choices FROM shape_column WHERE "
				      "shape = ? ORDER BY number LIMIT 256",
				      -1, &statement, NULL);
	shape->columns = calloc(COLUMNS_MAX, sizeof *shape->columns);
	bool fine = code == SQLITE_OK && shape->columns;
	sqlite3_bind_int64(statement, 1, shape->id);
	while (fine && (code = sqlite3_step(statement)) == SQLITE_ROW)
		fine = read_column(statement, &shape->columns[count++]);
	sqlite3_finalize(statement);
	shape->decl.columns =
		(struct cw_array){.items = shape->columns, .count = count, .stride = sizeof *shape->columns};
	return fine && code == SQLITE_DONE && count > 0 ? 0 : -EIO;
}

static struct shape *add_to(struct shapes *shapes)
{
	struct shape *list = realloc(shapes->list, (shapes->count + 1) * sizeof *list);
	if (!list)
		return NULL;
	shapes->list = list;
	list[shapes->count] = (struct shape){0};
	return &list[shapes->count++];
}

int shapes_read(struct sqlite3 *db, const char *table, struct shapes *ret_shapes)
{
	sqlite3_stmt *statement = NULL;
	int rc = 0,
	    code = sqlite3_prepare_v2(db, "SELECT id, name, help, sort FROM shape WHERE name = ? ORDER BY id DESC", -1,
				      &statement, NULL);
	*ret_shapes = (struct shapes){0};
	if (code != SQLITE_OK)
		return -EIO;
	bind_text(statement, 1, table);
	while (rc == 0 && (code = sqlite3_step(statement)) == SQLITE_ROW) {
		struct shape *shape = add_to(ret_shapes);
		if (!shape) {
			rc = -ENOMEM;
			break;
		}
		shape->id = sqlite3_column_int64(statement, 0);
		shape->decl.name = text_at(statement, 1);
		shape->decl.help = text_at(statement, 2);
		shape->decl.sort = text_at(statement, 3);
		rc = shape->decl.name ? read_columns(db, shape) : -ENOMEM;
	}
	sqlite3_finalize(statement);
	return rc < 0 || code == SQLITE_DONE ? rc : -EIO;
}

const struct shape *shapes_find(const struct shapes *shapes, int64_t id)
{
	for (uint32_t i = 0; i < shapes->count; i++)
		if (shapes->list[i].id == id)
			return &shapes->list[i];
	return NULL;
}

static void column_release(const struct cw_column *column)
{
	if (column->choices)
		free((char *)column->choices[0]);
	free((void *)column->choices);
	free((char *)column->name);
	free((char *)column->unit);
	free((char *)column->help);
	free((char *)column->of);
}

void shapes_release(struct shapes *shapes)
{
	for (uint32_t i = 0; i < shapes->count; i++) {
		struct shape *shape = &shapes->list[i];
		for (uint32_t k = 0; k < shape->decl.columns.count; k++)
			column_release(&shape->columns[k]);
		free(shape->columns);
		free((char *)shape->decl.name);
		free((char *)shape->decl.help);
		free((char *)shape->decl.sort);
	}
	free(shapes->list);
	*shapes = (struct shapes){0};
}
