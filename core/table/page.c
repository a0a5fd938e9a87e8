/* SPDX-License-Identifier: MIT
 *
 * See page.h. While rows are added the texts' buffer may move, so until the first look a text's pointer is kept as its
 * offset.
 */
#include "page.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int page_init(struct page *page, const struct selection *selection)
{
	*page = (struct page){.selection = selection};
	page->cells = calloc((size_t)PAGE_ROWS * selection->fields_count, sizeof(*page->cells));
	return page->cells ? 0 : -ENOMEM;
}

void page_release(struct page *page)
{
	free(page->cells);
	free(page->texts);
	*page = (struct page){0};
}

void page_clear(struct page *page)
{
	page->count = page->next = 0;
	page->texts_used = 0;
	page->sealed = false;
}

bool page_is_full(const struct page *page)
{
	return page->count == PAGE_ROWS || page->texts_used >= PAGE_BYTES;
}

static int keep_text(struct page *page, struct cw_cell *cell)
{
	if (page->texts_used + cell->length > page->texts_room) {
		size_t room = 2 * page->texts_room + cell->length + 4096;
		char *texts = realloc(page->texts, room);
		if (!texts)
			return -ENOMEM;
		page->texts = texts;
		page->texts_room = room;
	}
	if (cell->length > 0)
		memcpy(page->texts + page->texts_used, cell->text, cell->length);
	cell->integer = (int64_t)page->texts_used;
	page->texts_used += cell->length;
	return 0;
}

int page_add(struct page *page, uint32_t part, uint32_t number, const struct row *row, int64_t now, const void *tag)
{
	const struct selection *selection = page->selection;
	struct cw_cell *cells = page->cells + (size_t)page->count * selection->fields_count;
	for (uint32_t i = 0; i < selection->fields_count; i++) {
		selection_cell(selection, part, row, i, now, &cells[i]);
		if (cells[i].type == CW_CELL_TEXT && keep_text(page, &cells[i]) < 0)
			return -ENOMEM;
	}
	uint32_t incarnation = part_entry(selection->scope.parts[part], number)->incarnation;
	page->rows[page->count++] =
		(struct page_row){.part = part, .row = number, .incarnation = incarnation, .tag = tag};
	return 0;
}

static void seal(struct page *page)
{
	uint32_t n = page->count * page->selection->fields_count;
	for (uint32_t i = 0; i < n; i++)
		if (page->cells[i].type == CW_CELL_TEXT)
			page->cells[i].text = (page->texts ? page->texts : "") + page->cells[i].integer;
	page->sealed = true;
}

const struct cw_cell *page_cells(struct page *page, uint32_t i)
{
	if (!page->sealed)
		seal(page);
	return page->cells + (size_t)i * page->selection->fields_count;
}
