/* SPDX-License-Identifier: MIT
 *
 * A part's columns: those declared by the plugin, then those that its options added, which are copied with all their
 * texts because the options go with the next reload. And whether a new life of the instance brings the same ones.
 */
#include "part.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static char *copy_text(const char *text, bool *failed)
{
	char *copy = text ? strdup(text) : NULL;
	*failed |= text && !copy;
	return copy;
}

static const char *const *copy_choices(const char *const *choices, bool *failed)
{
	uint32_t n = 0;
	while (choices && choices[n])
		n++;
	if (n == 0)
		return NULL;
	const char **copy = calloc(n + 1, sizeof(*copy));
	for (uint32_t i = 0; copy && i < n; i++)
		copy[i] = copy_text(choices[i], failed);
	*failed |= !copy;
	return (const char *const *)copy;
}

/* Reads an element of an array that may come from an older plugin, with fewer fields. */
static struct cw_column column_at(const struct cw_array *array, uint32_t i)
{
	struct cw_column column = {0};
	memcpy(&column, cw_at(array, i), array->stride < sizeof(column) ? array->stride : sizeof(column));
	return column;
}

static uint32_t count_of(const struct cw_array *array)
{
	return array ? array->count : 0;
}

static int add_extra(struct cw_part *part, struct cw_column column)
{
	if (!column.name)
		return -EINVAL;
	for (uint32_t k = 0; k < part->columns_count; k++)
		if (strcmp(part->columns[k].name, column.name) == 0)
			return -EEXIST;
	column.name = strdup(column.name);
	if (!column.name)
		return -ENOMEM;
	bool failed = false;
	column.unit = copy_text(column.unit, &failed);
	column.help = copy_text(column.help, &failed);
	column.of = copy_text(column.of, &failed);
	column.choices = copy_choices(column.choices, &failed);
	part->columns[part->columns_count++] = column;
	return failed ? -ENOMEM : 0;
}

int part_copy_columns(struct cw_part *part, const struct cw_table_decl *decl, const struct cw_array *extra)
{
	uint32_t declared = decl->columns.count, more = count_of(extra);
	if (declared > COLUMNS_MAX || more > COLUMNS_MAX || declared + more > COLUMNS_MAX)
		return -EINVAL;
	part->columns = calloc(declared + more + 1, sizeof(*part->columns));
	if (!part->columns)
		return -ENOMEM;
	for (uint32_t i = 0; i < declared; i++)
		part->columns[i] = column_at(&decl->columns, i);
	part->columns_count = part->declared_count = declared;
	int status = 0;
	for (uint32_t i = 0; i < more && status == 0; i++)
		status = add_extra(part, column_at(extra, i));
	return status;
}

void part_free_columns(struct cw_part *part)
{
	for (uint32_t i = part->declared_count; part->columns && i < part->columns_count; i++) {
		struct cw_column *column = &part->columns[i];
		free((char *)column->name);
		free((char *)column->unit);
		free((char *)column->help);
		free((char *)column->of);
		for (uint32_t k = 0; column->choices && column->choices[k]; k++)
			free((char *)column->choices[k]);
		free((void *)column->choices);
	}
	free(part->columns);
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_column(const struct cw_column *a, const struct cw_column *b)
{
	if (!same_text(a->name, b->name) || a->type != b->type || a->flags != b->flags || !same_text(a->of, b->of) ||
	    !same_text(a->unit, b->unit) || !same_text(a->help, b->help))
		return false;
	for (uint32_t i = 0; a->choices && b->choices; i++) {
		if (!same_text(a->choices[i], b->choices[i]))
			return false;
		if (!a->choices[i])
			return true;
	}
	return !a->choices == !b->choices;
}

bool part_has_columns(const struct cw_part *part, const struct cw_table_decl *decl, const struct cw_array *extra)
{
	uint32_t declared = decl->columns.count;
	if (part->declared_count != declared || part->columns_count != declared + count_of(extra))
		return false;
	for (uint32_t i = 0; i < part->columns_count; i++) {
		struct cw_column column = i < declared ? column_at(&decl->columns, i) : column_at(extra, i - declared);
		if (!same_column(&part->columns[i], &column))
			return false;
	}
	return true;
}
