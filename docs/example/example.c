/* example: how much room filesystems have left. A whole source, built outside callwatch's tree:
 * gcc -shared -fPIC -o example.so example.c */
#include <callwatch/plugin.h>
#include <stdlib.h>
#include <sys/statvfs.h>

static const struct cw_option options[] = {
	{ .key = "paths", .type = CW_OPTION_LIST, .fallback = "[/]", .help = "Which filesystems to watch" },
	{ .key = "low", .type = CW_OPTION_RATIO, .fallback = "10%", .min = 0, .max = 1, .help = "Less than this is low" },
};

enum { FREE };
static const struct cw_metric metrics[] = {
	[FREE] = { .name = "filesystem_free_ratio", .kind = CW_GAUGE, .unit = "ratio", .help = "Part that is free",
		   .labels = { { .name = "path" } } },
};

enum { PATH, STATE, SINCE, FREE_RATIO, COLUMNS };
static const char *const states[] = { "fine", "low", NULL };
static const struct cw_column columns[] = {
	[PATH] = { .name = "path", .type = CW_TEXT, .flags = CW_COLUMN_KEY, .help = "Where it is mounted" },
	[STATE] = { .name = "state", .type = CW_CHOICE, .flags = CW_COLUMN_WATCHED, .choices = states, .help = "Room" },
	[SINCE] = { .name = "state_since", .type = CW_SINCE, .of = "state", .help = "When the state changed" },
	[FREE_RATIO] = { .name = "free_ratio", .type = CW_REAL, .unit = "ratio", .help = "Part that is free" },
};
static const struct cw_table_decl tables[] = {
	{ .name = "filesystems", .help = "The filesystems watched", .columns = CW_ARRAY(columns), .sort = "free_ratio" },
};

struct example { /* all state is here, none at file scope: there may be two instances */
	struct cw_instance *self;
	const struct cw_host *host;
	const struct cw_value *options;
	struct cw_part *part;
};

static int example_start(struct cw_instance *self, const struct cw_host *host, const struct cw_value *values, void **ret)
{
	struct example *example = calloc(1, sizeof *example);
	if (!example)
		return -12; /* ENOMEM */
	*example = (struct example){ .self = self, .host = host, .options = values };
	*ret = example; /* given even if what follows fails: release() frees it */
	return host->table_open(self, 0, NULL, &example->part);
}

static int example_read(void *state)
{
	struct example *example = state;
	const struct cw_value *paths = cw_get(example->options, "paths");
	double low = cw_get_number(example->options, "low", 0);
	example->host->full_begin(example->part);
	for (uint32_t i = 0; i < paths->count; i++) {
		const char *path = paths->children[i].string;
		struct statvfs status;
		if (statvfs(path, &status) != 0 || status.f_blocks == 0) {
			example->host->count_error(example->self, 1); /* not known is not 0: no sample, no row */
			continue;
		}
		double ratio = (double)status.f_bavail / (double)status.f_blocks;
		example->host->gauge(example->self, FREE, &path, ratio);
		struct cw_cell cells[COLUMNS] = {
			[PATH] = { .type = CW_CELL_TEXT, .length = (uint32_t)strlen(path), .text = path },
			[STATE] = { .type = CW_CELL_INTEGER, .integer = ratio < low },
			[FREE_RATIO] = { .type = CW_CELL_REAL, .real = ratio },
		};
		example->host->row_put(example->part, cells);
	}
	example->host->full_end(example->part, NULL, NULL); /* rows that were not put are removed */
	int64_t now = example->host->wall();
	example->host->coverage(example->part, &(struct cw_coverage){ .from = now, .to = now, .complete = true, .ratio = 1 });
	return 0;
}

CW_EXPORT const struct cw_plugin cw_plugin = {
	CW_PLUGIN_ABI, .name = "example", .summary = "How much room filesystems have left", .role = CW_SOURCE,
	.options = CW_ARRAY(options), .tables = CW_ARRAY(tables), .metrics = CW_ARRAY(metrics),
	.start = example_start, .read = example_read, .release = free,
};
