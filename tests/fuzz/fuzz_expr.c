/* SPDX-License-Identifier: MIT
 *
 * An expression from a stranger, bound to every type of column and held against hostile cells: no crash, no time
 * without end. The first line is the expression, the rest the text it looks at.
 */
#include "expr.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const choices[] = {"healthy", "warning", "stale", NULL};

static void try_column(const char *text, enum cw_column_type type, const char *unit, const struct cw_cell *cells)
{
	struct cw_column column = {.name = "c", .type = type, .unit = unit, .choices = choices};
	char error[EXPR_ERROR_MAX];
	struct expr *expr;
	if (expr_parse(text, &expr, error) != 0)
		return;
	if (expr_bind(expr, &column, error) == 0)
		for (int i = 0; i < 4; i++)
			expr_matches(expr, &cells[i]);
	expr_free(expr);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const units[] = {"seconds", "bytes", "ratio", NULL};
	const uint8_t *end = memchr(data, '\n', size);
	size_t length = end ? (size_t)(end - data) : size;
	char *text = strndup((const char *)data, length);
	const char *rest = (const char *)data + length;
	struct cw_cell cells[4] = {
		{.type = CW_CELL_NULL},
		{.type = CW_CELL_TEXT, .length = (uint32_t)(size - length), .text = size ? rest : ""},
		{.type = CW_CELL_INTEGER, .integer = (int64_t)size},
		{.type = CW_CELL_REAL, .real = NAN}};
	for (int type = CW_TEXT; type <= CW_SINCE; type++)
		try_column(text, (enum cw_column_type)type, units[type % 4], cells);
	try_column(text, CW_INT, "seconds", cells);
	free(text);
	return 0;
}
