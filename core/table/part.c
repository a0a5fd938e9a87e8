/* SPDX-License-Identifier: MIT
 *
 * The rows of one instance in one table: put, touch, remove, full generations, and what follows from a change (counts
 * per choice, transitions, stamps for readers). See part.h for how they are kept and locked.
 *
 * Every writer runs in three steps: change under the lock; let go; then tell (transitions, waiting views). What is told
 * is copied while the lock is held, because the row may be gone a moment later.
 */
#include "part.h"

#include "clock.h"

#include <errno.h>
#include <math.h>
#include <sched.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	MISSING_BATCH = 256,
	YIELDS = 20,
	PAUSES_MAX = 2000 /* about 0.2 s: a writer that is not let run for so long waits for the machine, not for us */
};

/* ---- locking ---- */

static void write_lock(struct cw_part *part)
{
	if (pthread_mutex_trylock(&part->lock) == 0)
		return;
	atomic_fetch_add(&part->waiting, 1);
	pthread_mutex_lock(&part->lock);
	atomic_fetch_sub(&part->waiting, 1);
	atomic_fetch_add(&part->admitted, 1);
}

static void unlock(struct cw_part *part)
{
	pthread_mutex_unlock(&part->lock);
}

void part_scan_lock(struct cw_part *part)
{
	pthread_mutex_lock(&part->lock);
}

bool part_scan_pause(struct cw_part *part, int64_t slice_end)
{
	return atomic_load_explicit(&part->waiting, memory_order_relaxed) > 0 || clock_awake() >= slice_end;
}

/* glibc's mutexes are not fair: without this the scanner would take the lock again before a waiter woke up. It lets in
 * as many writers as were waiting, not all that will ever wait, so that it is not starved either. */
void part_scan_unlock(struct cw_part *part)
{
	unsigned waiting = atomic_load(&part->waiting), before = atomic_load(&part->admitted);
	unlock(part);
	for (int i = 0; i < PAUSES_MAX && atomic_load(&part->admitted) - before < waiting; i++)
		if (i < YIELDS)
			sched_yield();
		else /* a busy machine has not scheduled the writer yet: taking the lock now would starve it */
			nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
}

/* ---- life ---- */

static int find_watched(struct cw_part *part)
{
	for (uint32_t i = 0; i < part->columns_count; i++) {
		if (!(part->columns[i].flags & CW_COLUMN_WATCHED))
			continue;
		if (part->columns[i].type != CW_CHOICE || part->watched_count == WATCHED_MAX)
			return -EINVAL;
		struct watched *watched = &part->watched[part->watched_count++];
		watched->column = i;
		watched->counts = calloc(part->layout.cells[i].choices + 1u, sizeof(*watched->counts));
		if (!watched->counts)
			return -ENOMEM;
	}
	return 0;
}

static int init(struct cw_part *part, const struct cw_table_decl *decl, const struct cw_array *extra)
{
	int status = part_copy_columns(part, decl, extra);
	if (status == 0)
		status = layout_init(&part->layout, part->columns, part->columns_count);
	if (status == 0)
		status = find_watched(part);
	if (status < 0)
		return status;
	part->cells = calloc(part->columns_count, sizeof(*part->cells));
	part->bytes = malloc(part->layout.bytes_max);
	return part->cells && part->bytes && part->instance ? 0 : -ENOMEM;
}

struct cw_part *part_new(struct table *table, const char *instance, const struct cw_table_decl *decl,
			 const struct cw_array *extra, int *ret_status)
{
	struct cw_part *part = calloc(1, sizeof(*part));
	if (!part) {
		*ret_status = -ENOMEM;
		return NULL;
	}
	part->table = table;
	part->instance = strdup(instance);
	part->coverage.ratio = (double)NAN;
	pthread_mutex_init(&part->lock, NULL);
	crypto_shorthash_keygen(part->hash_key);
	dict_init(&part->dict, part->hash_key);
	int status = init(part, decl, extra);
	if (status < 0) {
		part_free(part);
		*ret_status = status;
		return NULL;
	}
	return part;
}

static void free_chunks(struct chunk **chunks, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		free(chunks[i]);
	free(chunks);
}

void part_free(struct cw_part *part)
{
	if (!part)
		return;
	for (uint32_t i = 0; i < part->entries; i++)
		free(entry_row(part_entry(part, i)));
	free_chunks(part->chunks, part->chunks_count);
	index_release(&part->index);
	dict_release(&part->dict);
	for (uint32_t i = 0; i < part->watched_count; i++)
		free(part->watched[i].counts);
	layout_release(&part->layout);
	part_free_columns(part);
	free(part->cells);
	free(part->bytes);
	free(part->instance);
	pthread_mutex_destroy(&part->lock);
	free(part);
}

/* ---- finding ---- */

struct wanted {
	const struct cw_part *part;
	const char *key;
	size_t length;
};

static bool is_wanted(void *arg, uint32_t number)
{
	const struct wanted *wanted = arg;
	const struct row *row = entry_row(part_entry(wanted->part, number));
	uint32_t length;
	const char *key = row_key_text(&wanted->part->layout, row->bytes, &length);
	return length == wanted->length && memcmp(key, wanted->key, length) == 0;
}

static uint32_t hash_key(const struct cw_part *part, const char *key, size_t length)
{
	uint64_t hash;
	crypto_shorthash((unsigned char *)&hash, (const unsigned char *)key, length, part->hash_key);
	return (uint32_t)hash;
}

static int64_t find(const struct cw_part *part, uint32_t hash, const char *key, size_t length)
{
	struct wanted wanted = {.part = part, .key = key, .length = length};
	return index_find(&part->index, hash, is_wanted, &wanted);
}

int64_t part_find(const struct cw_part *part, const char *key, size_t length)
{
	if (length == 0 || length > TEXT_BYTES_MAX)
		return -1;
	return find(part, hash_key(part, key, length), key, length);
}

int64_t row_find(struct cw_part *part, const char *key, size_t length)
{
	if (length == 0 || length > TEXT_BYTES_MAX)
		return -ENOENT;
	uint32_t hash = hash_key(part, key, length);
	write_lock(part);
	int64_t number = find(part, hash, key, length);
	unlock(part);
	return number >= 0 ? number : -ENOENT;
}

/* The lock is held. */
static struct row *row_at(const struct cw_part *part, uint32_t number)
{
	return number < part->entries ? entry_row(part_entry(part, number)) : NULL;
}

int64_t row_key(struct cw_part *part, uint32_t number, char *buffer, size_t size)
{
	int64_t result = -ENOENT;
	write_lock(part);
	const struct row *row = row_at(part, number);
	if (row) {
		uint32_t length;
		const char *key = row_key_text(&part->layout, row->bytes, &length);
		size_t copied = size == 0 ? 0 : length < size ? length : size - 1;
		memcpy(buffer, key, copied);
		if (size > 0)
			buffer[copied] = 0;
		result = length;
	}
	unlock(part);
	return result;
}

/* ---- changes and what follows from them ---- */

/* What is told after the lock was let go. */
struct news {
	const char *why;
	int64_t wall; /* 0: not asked yet */
	bool changed;
	struct row_copy *was, *is; /* owned; NULL: not wanted */
	uint32_t count;
	struct {
		const struct cw_column *column;
		const char *from, *to;
	} changes[WATCHED_MAX];
	char key[TEXT_BYTES_MAX + 1];
};

static void news_init(struct news *news, const char *why)
{
	news->why = why;
	news->wall = 0;
	news->changed = false;
	news->was = news->is = NULL;
	news->count = 0;
}

/* Whether what becomes of a row is to be kept by somebody. */
static bool keeps(const struct cw_part *part)
{
	return part->watched_count > 0 && atomic_load_explicit(&part->table->tables->keeps_rows, memory_order_relaxed);
}

static int64_t news_wall(struct news *news)
{
	if (news->wall == 0)
		news->wall = clock_wall();
	return news->wall;
}

/* Lets go of the lock and tells. */
static void tell(struct cw_part *part, const struct news *news)
{
	unlock(part);
	const struct tables *tables = part->table->tables;
	for (uint32_t i = 0; i < news->count && tables->on_transition; i++) {
		struct transition transition = {.table = part->table->decl->name,
						.instance = part->instance,
						.key = news->key,
						.column = news->changes[i].column->name,
						.choices = news->changes[i].column->choices,
						.from = news->changes[i].from,
						.to = news->changes[i].to,
						.why = news->why,
						.wall = news->wall,
						.is_first = i == 0,
						.was = news->was,
						.is = news->is};
		tables->on_transition(tables->arg, &transition);
	}
	row_copy_unref(news->was);
	row_copy_unref(news->is);
	if (news->changed && atomic_load_explicit(&part->wake, memory_order_relaxed) &&
	    atomic_exchange(&part->wake, false))
		views_wake(part->table);
}

static void stamp(struct cw_part *part, uint32_t number, struct news *news)
{
	struct chunk *chunk = part->chunks[number / CHUNK_ROWS];
	part->sequence++;
	chunk->entries[number % CHUNK_ROWS].changed = (uint32_t)part->sequence;
	chunk->stamps[number % CHUNK_ROWS / GROUP_ROWS] = part->sequence;
	news->changed = true;
}

/* Index of the choice, or -1 when it is not known. */
static int32_t choice_of(const struct cw_part *part, const struct row *row, uint32_t column)
{
	struct cw_cell cell;
	row_cell(&part->layout, &part->dict, row->bytes, column, &cell);
	return cell.type == CW_CELL_INTEGER ? (int32_t)cell.integer : -1;
}

static int32_t choice_in(const struct cw_part *part, const struct cw_cell *cell, uint32_t column)
{
	struct cw_cell fit = row_fit(&part->layout, column, cell);
	return fit.type == CW_CELL_INTEGER ? (int32_t)fit.integer : -1;
}

enum { NO_ROW = -2 }; /* beside the choices and -1 */

static const char *choice_name(const struct cw_part *part, uint32_t column, int32_t choice)
{
	if (choice == NO_ROW)
		return NULL;
	return choice < 0 ? "" : part->columns[column].choices[choice];
}

/* A watched column went from one choice to another: count it, and remember to tell. */
static void note_choice(struct cw_part *part, struct news *news, const struct watched *watched, int32_t from,
			int32_t to)
{
	if (from >= 0)
		watched->counts[from]--;
	if (to >= 0)
		watched->counts[to]++;
	if (from == to)
		return;
	news_wall(news);
	news->changes[news->count].column = &part->columns[watched->column];
	news->changes[news->count].from = choice_name(part, watched->column, from);
	news->changes[news->count].to = choice_name(part, watched->column, to);
	news->count++;
}

static void note_key(struct news *news, const char *key, size_t length)
{
	if (news->count == 0)
		return;
	memcpy(news->key, key, length);
	news->key[length] = 0;
}

static int32_t find_column(const struct cw_part *part, const char *name)
{
	for (uint32_t i = 0; name && i < part->columns_count; i++)
		if (strcmp(part->columns[i].name, name) == 0)
			return (int32_t)i;
	return -1;
}

/* Fills the SINCE cells among part->cells: kept while the column they tell about stays the same. */
static void fill_since(struct cw_part *part, const struct row *old, struct news *news)
{
	for (uint32_t i = 0; i < part->columns_count; i++) {
		if (part->columns[i].type != CW_SINCE)
			continue;
		struct cw_cell *cell = &part->cells[i];
		*cell = (struct cw_cell){0};
		int32_t of = find_column(part, part->columns[i].of);
		if (of < 0 || part->columns[of].type != CW_CHOICE)
			continue;
		int32_t before = old ? choice_of(part, old, (uint32_t)of) : -1;
		int32_t now = choice_in(part, &part->cells[of], (uint32_t)of);
		if (before != now)
			*cell = (struct cw_cell){.type = CW_CELL_INTEGER, .integer = news_wall(news)};
		else if (old)
			row_cell(&part->layout, &part->dict, old->bytes, i, cell);
	}
}

/* ---- entries ---- */

static int add_chunk(struct cw_part *part)
{
	if (part->chunks_count == part->chunks_room) {
		uint32_t room = part->chunks_room ? 2 * part->chunks_room : 4;
		struct chunk **chunks = realloc(part->chunks, room * sizeof(struct chunk *));
		if (!chunks)
			return -ENOMEM;
		part->chunks = chunks;
		part->chunks_room = room;
	}
	struct chunk *chunk = malloc(sizeof(*chunk));
	if (!chunk)
		return -ENOMEM;
	memset(chunk->stamps, 0, sizeof(chunk->stamps));
	part->chunks[part->chunks_count++] = chunk;
	return 0;
}

/* A free row number, or negative. The entry is taken only by take_entry(). */
static int64_t free_entry(struct cw_part *part)
{
	if (part->free)
		return part->free - 1;
	if (part->entries >= INT32_MAX)
		return -ENOSPC;
	if (part->entries == part->chunks_count * CHUNK_ROWS && add_chunk(part) < 0)
		return -ENOMEM;
	return part->entries;
}

static void take_entry(struct cw_part *part, uint32_t number, struct row *row)
{
	struct entry *entry = part_entry(part, number);
	if (number == part->entries) {
		part->entries++;
		entry->incarnation = part->incarnation;
	} else {
		part->free = (uint32_t)(entry->row >> 1);
	}
	if (++entry->incarnation > part->incarnations)
		part->incarnations = entry->incarnation;
	entry->row = (uintptr_t)row;
	part->rows++;
}

static void release_entry(struct cw_part *part, uint32_t number)
{
	struct entry *entry = part_entry(part, number);
	free(entry_row(entry));
	entry->row = (uintptr_t)part->free << 1 | 1;
	part->free = number + 1;
	part->rows--;
}

/* ---- put ---- */

/* part->bytes holds the new row of `size` bytes with its references to shared texts; they become the row's. */
static int64_t add_row(struct cw_part *part, uint32_t hash, size_t size, struct news *news)
{
	int64_t number = free_entry(part);
	struct row *row = number < 0 ? NULL : malloc(sizeof(*row) + size);
	if (!row || index_add(&part->index, hash, (uint32_t)number) < 0) {
		free(row);
		return number < 0 ? number : -ENOMEM;
	}
	row->mark = 0;
	memcpy(row->bytes, part->bytes, size);
	take_entry(part, (uint32_t)number, row);
	for (uint32_t i = 0; i < part->watched_count; i++)
		note_choice(part, news, &part->watched[i], NO_ROW, choice_of(part, row, part->watched[i].column));
	if (keeps(part))
		news->is = row_copy_new(part, row);
	stamp(part, (uint32_t)number, news);
	return number;
}

static void note_replaced(struct cw_part *part, const struct row *old, struct news *news)
{
	for (uint32_t i = 0; i < part->watched_count; i++) {
		uint32_t column = part->watched[i].column;
		note_choice(part, news, &part->watched[i], choice_of(part, old, column),
			    choice_in(part, &part->cells[column], column));
	}
}

/* Like add_row() for a row that exists. Equal bytes are no change. */
static int replace_row(struct cw_part *part, uint32_t number, size_t size, struct news *news)
{
	struct row *row = row_at(part, number);
	size_t old_size = row_size(&part->layout, row->bytes);
	/* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): the row was found under this lock */
	if (size == old_size && memcmp(row->bytes, part->bytes, size) == 0) {
		row_unpack(&part->layout, &part->dict, part->bytes);
		return 0;
	}
	struct row *new = row;
	if (size != old_size && !(new = malloc(sizeof(*new) + size)))
		return -ENOMEM;
	note_replaced(part, row, news);
	bool kept = news->count > 0 && keeps(part);
	if (kept && !news->was)
		news->was = row_copy_new(part, row);
	row_unpack(&part->layout, &part->dict, row->bytes);
	memcpy(new->bytes, part->bytes, size);
	if (new != row) {
		new->mark = row->mark;
		free(row);
		part_entry(part, number)->row = (uintptr_t) new;
	}
	if (kept)
		news->is = row_copy_new(part, new);
	stamp(part, number, news);
	return 0;
}

/* part->cells holds the row to be, except for SINCE. The lock is held. */
static int64_t put(struct cw_part *part, int64_t number, uint32_t hash, struct news *news)
{
	fill_since(part, number >= 0 ? row_at(part, (uint32_t)number) : NULL, news);
	int64_t size = row_pack(&part->layout, &part->dict, part->cells, part->bytes);
	if (size < 0)
		return size;
	int64_t result = number;
	if (number < 0)
		result = add_row(part, hash, (size_t)size, news);
	else if (replace_row(part, (uint32_t)number, (size_t)size, news) < 0)
		result = -ENOMEM;
	if (result < 0)
		row_unpack(&part->layout, &part->dict, part->bytes);
	return result;
}

int64_t row_put(struct cw_part *part, const struct cw_cell *cells)
{
	const struct cw_cell *key = &cells[part->layout.key];
	if (key->type != CW_CELL_TEXT || key->length == 0 || key->length > TEXT_BYTES_MAX)
		return -EINVAL;
	uint32_t hash = hash_key(part, key->text, key->length);
	struct news news;
	news_init(&news, NULL);
	write_lock(part);
	int64_t number = -EPIPE;
	if (!part->closed) {
		memcpy(part->cells, cells, part->columns_count * sizeof(*cells));
		number = put(part, find(part, hash, key->text, key->length), hash, &news);
		if (number >= 0 && part->full)
			row_at(part, (uint32_t)number)->mark = part->generation;
		note_key(&news, key->text, key->length);
	}
	tell(part, &news);
	return number;
}

/* ---- touch ---- */

static bool may_touch(const struct cw_part *part, uint32_t column)
{
	return column < part->columns_count && column != part->layout.key && part->columns[column].type != CW_SINCE;
}

static bool is_same_cell(const struct cw_cell *a, const struct cw_cell *b)
{
	if (a->type != b->type || a->type == CW_CELL_NULL)
		return a->type == b->type;
	if (a->type == CW_CELL_TEXT)
		return a->length == b->length && memcmp(a->text, b->text, a->length) == 0;
	return a->integer == b->integer;
}

/* Columns whose change has consequences, or does not fit in place: the whole row is put anew. */
static int touch_by_put(struct cw_part *part, uint32_t number, const struct cw_change *changes, uint32_t n,
			struct news *news)
{
	const struct row *row = row_at(part, number);
	for (uint32_t i = 0; i < part->columns_count; i++)
		row_cell(&part->layout, &part->dict, row->bytes, i, &part->cells[i]);
	for (uint32_t i = 0; i < n; i++)
		if (may_touch(part, changes[i].column))
			part->cells[changes[i].column] = changes[i].cell;
	uint32_t length;
	const char *text = row_key_text(&part->layout, row->bytes, &length);
	char key[TEXT_BYTES_MAX];
	memcpy(key, text, length);
	int64_t status = put(part, number, /* hash, of new rows only */ 0, news);
	note_key(news, key, length);
	return status < 0 ? (int)status : 0;
}

/* Number of the leading changes that were made in place. */
static uint32_t touch_in_place(struct cw_part *part, struct row *row, const struct cw_change *changes, uint32_t n,
			       bool *ret_changed)
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t column = changes[i].column;
		if (!may_touch(part, column))
			continue;
		struct cw_cell old, fit = row_fit(&part->layout, column, &changes[i].cell);
		row_cell(&part->layout, &part->dict, row->bytes, column, &old);
		if (is_same_cell(&old, &fit))
			continue;
		if (part->columns[column].flags & CW_COLUMN_WATCHED ||
		    row_set(&part->layout, &part->dict, row->bytes, column, &fit) != 0)
			return i;
		*ret_changed = true;
	}
	return n;
}

/* The row as it is before any of these is made in place, if one of them is of a watched column. */
static void keep_before(struct cw_part *part, const struct row *row, const struct cw_change *changes, uint32_t n,
			struct news *news)
{
	for (uint32_t i = 0; i < n && !news->was; i++) {
		uint32_t column = changes[i].column;
		if (!may_touch(part, column) || !(part->columns[column].flags & CW_COLUMN_WATCHED))
			continue;
		if (choice_of(part, row, column) != choice_in(part, &changes[i].cell, column))
			news->was = row_copy_new(part, row);
	}
}

int row_touch(struct cw_part *part, uint32_t number, const struct cw_change *changes, uint32_t n)
{
	struct news news;
	news_init(&news, NULL);
	write_lock(part);
	int status = -ENOENT;
	struct row *row = row_at(part, number);
	if (row) {
		bool changed = false;
		if (keeps(part))
			keep_before(part, row, changes, n, &news);
		uint32_t done = touch_in_place(part, row, changes, n, &changed);
		status = done < n ? touch_by_put(part, number, changes + done, n - done, &news) : 0;
		if (changed && !news.changed)
			stamp(part, number, &news);
	}
	tell(part, &news);
	return status;
}

/* ---- remove, full generations ---- */

/* The lock is held. */
static void remove_row(struct cw_part *part, uint32_t number, struct news *news)
{
	struct row *row = row_at(part, number);
	uint32_t length;
	const char *key = row_key_text(&part->layout, row->bytes, &length);
	for (uint32_t i = 0; i < part->watched_count; i++)
		note_choice(part, news, &part->watched[i], choice_of(part, row, part->watched[i].column), NO_ROW);
	if (keeps(part))
		news->was = row_copy_new(part, row);
	note_key(news, key, length);
	index_remove(&part->index, hash_key(part, key, length), number);
	row_unpack(&part->layout, &part->dict, row->bytes);
	release_entry(part, number);
	stamp(part, number, news);
}

int row_remove(struct cw_part *part, uint32_t number, const char *why)
{
	struct news news;
	news_init(&news, why);
	write_lock(part);
	int status = row_at(part, number) ? 0 : -ENOENT;
	if (status == 0)
		remove_row(part, number, &news);
	tell(part, &news);
	return status;
}

void row_mark(struct cw_part *part, uint32_t number)
{
	write_lock(part);
	struct row *row = row_at(part, number);
	if (row && part->full)
		row->mark = part->generation;
	unlock(part);
}

void full_begin(struct cw_part *part)
{
	write_lock(part);
	part->full = true;
	if (++part->generation == 0)
		part->generation = 1; /* 0 is what no generation has seen */
	unlock(part);
}

void full_abort(struct cw_part *part)
{
	write_lock(part);
	part->full = false;
	unlock(part);
}

struct noted {
	uint32_t number, incarnation;
};

static bool is_missing(const struct cw_part *part, uint32_t number)
{
	const struct row *row = row_at(part, number);
	return row && row->mark != part->generation;
}

/* Notes rows from *next on that were not seen, for one slice. Whatever was put since begin is marked, so that a row
 * without the mark was there at begin. */
static uint32_t note_missing(struct cw_part *part, uint32_t *next, struct noted *noted)
{
	uint32_t n = 0;
	part_scan_lock(part);
	int64_t slice_end = clock_awake() + SLICE_NS;
	while (*next < part->entries && n < MISSING_BATCH) {
		if (part->full && is_missing(part, *next))
			noted[n++] = (struct noted){*next, part_entry(part, *next)->incarnation};
		if (++*next % SLICE_ROWS == 0 && part_scan_pause(part, slice_end))
			break;
	}
	part_scan_unlock(part);
	return n;
}

/* Still the same row, and still not seen? Another thread, or missing() for another row, may have changed that. */
static bool is_still_missing(struct cw_part *part, const struct noted *noted)
{
	write_lock(part);
	bool missing =
		is_missing(part, noted->number) && part_entry(part, noted->number)->incarnation == noted->incarnation;
	unlock(part);
	return missing;
}

void full_end(struct cw_part *part, void (*missing)(void *arg, uint32_t row), void *arg)
{
	struct noted noted[MISSING_BATCH];
	write_lock(part);
	bool full = part->full;
	uint32_t end = part->entries; /* later numbers are of rows put since */
	unlock(part);
	for (uint32_t next = 0; full && next < end;) {
		uint32_t n = note_missing(part, &next, noted);
		for (uint32_t i = 0; i < n; i++) {
			if (!is_still_missing(part, &noted[i]))
				continue;
			if (missing)
				missing(arg, noted[i].number);
			else
				row_remove(part, noted[i].number, "gone");
		}
	}
	full_abort(part);
}

/* All that was there for rows, unless somebody has opened the part again meanwhile. Freed without the lock, for it may
 * be much. */
static void give_back(struct cw_part *part)
{
	write_lock(part);
	if (!part->closed || part->rows > 0) {
		unlock(part);
		return;
	}
	struct chunk **chunks = part->chunks;
	uint32_t count = part->chunks_count;
	struct index index = part->index;
	struct dict dict = part->dict;
	uint8_t *bytes = part->bytes;
	part->chunks = NULL;
	part->chunks_count = part->chunks_room = part->entries = part->free = 0;
	part->incarnation = part->incarnations;
	part->index = (struct index){0};
	dict_init(&part->dict, part->hash_key);
	part->bytes = NULL;
	unlock(part);
	free_chunks(chunks, count);
	index_release(&index);
	dict_release(&dict);
	free(bytes);
}

void part_close(struct cw_part *part, const char *why)
{
	write_lock(part);
	part->closed = true;
	part->full = false;
	part->coverage = (struct cw_coverage){.ratio = (double)NAN};
	uint32_t end = part->entries;
	unlock(part);
	for (uint32_t i = 0; i < end; i++)
		row_remove(part, i, why);
	give_back(part);
}

int part_reopen(struct cw_part *part, bool *ret_was_closed)
{
	int status = 0;
	write_lock(part);
	if (!part->bytes && !(part->bytes = malloc(part->layout.bytes_max)))
		status = -ENOMEM;
	*ret_was_closed = part->closed && status == 0;
	part->closed = part->closed && status < 0;
	unlock(part);
	return status;
}

bool part_is_closed(struct cw_part *part)
{
	write_lock(part);
	bool closed = part->closed;
	unlock(part);
	return closed;
}

/* ---- what it amounts to ---- */

void part_coverage(struct cw_part *part, const struct cw_coverage *coverage)
{
	write_lock(part);
	if (!part->closed)
		part->coverage = *coverage;
	unlock(part);
}

void part_look(struct cw_part *part, struct cw_coverage *ret_coverage, uint64_t *ret_rows)
{
	write_lock(part);
	*ret_coverage = part->coverage;
	*ret_rows = part->rows;
	unlock(part);
}

uint64_t part_rows(struct cw_part *part)
{
	write_lock(part);
	uint64_t rows = part->rows;
	unlock(part);
	return rows;
}

void part_choice_counts(struct cw_part *part, uint32_t column, uint64_t *counts, uint32_t n)
{
	memset(counts, 0, n * sizeof(*counts));
	write_lock(part);
	for (uint32_t i = 0; i < part->watched_count; i++)
		for (uint32_t k = 0; part->watched[i].column == column && k < n; k++)
			counts[k] = k < part->layout.cells[column].choices ? part->watched[i].counts[k] : 0;
	unlock(part);
}
