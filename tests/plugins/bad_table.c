/* SPDX-License-Identifier: MIT
 *
 * bad-table: its descriptor has a table without a key.
 */
#include <callwatch/plugin.h>

static const struct cw_column columns[] = {{.name = "value", .type = CW_INT, .help = "A number"}};
static const struct cw_table_decl tables[] = {
	{.name = "things", .help = "Things", .columns = CW_ARRAY(columns)},
};

static int bad_start(struct cw_instance *self, const struct cw_host *host, const struct cw_value *values,
		     void **ret_state)
{
	(void)self, (void)host, (void)values, (void)ret_state;
	return 0;
}

CW_EXPORT const struct cw_plugin cw_plugin = {
	CW_PLUGIN_ABI,     .name = "bad-table",        .summary = "A table without a key, for tests",
	.role = CW_SOURCE, .tables = CW_ARRAY(tables), .start = bad_start,
};
