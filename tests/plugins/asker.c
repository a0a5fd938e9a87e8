/* SPDX-License-Identifier: MIT
 *
 * asker: a source that asks a lookup for all the keys in a file, one a line, and shows in table `asked` what it was
 * told. Each reading asks on, until the lookup takes no more; at the end of the file it begins anew, for those without
 * an answer after a second, with `again` for all. `asker_seconds` is how long it took from the first question to the
 * last answer.
 */
#include <callwatch/plugin.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ANSWERED, REFUSED, SECONDS };

static const char *const answers_values[] = {"named", "unnamed", NULL};

static const struct cw_metric metrics[] = {
	[ANSWERED] = {.name = "asker_answers",
		      .unit = "keys",
		      .help = "Keys that were answered",
		      .labels = {{"answer", answers_values}}},
	[REFUSED] = {.name = "asker_refused_total",
		     .kind = CW_COUNTER,
		     .unit = "asks",
		     .help = "Asks that were refused"},
	[SECONDS] = {.name = "asker_seconds", .unit = "seconds", .help = "From the first question to the last answer"},
};

enum { KEY, NAME, AS_OF, ANSWERS, COLUMNS };

static const struct cw_column columns[] = {
	[KEY] = {.name = "key", .flags = CW_COLUMN_KEY, .help = "What was asked for"},
	[NAME] = {.name = "name", .help = "What was answered"},
	[AS_OF] = {.name = "as_of", .type = CW_TIME, .help = "When the server said so"},
	[ANSWERS] = {.name = "answers", .type = CW_INT, .help = "How often it was answered"},
};

static const struct cw_table_decl tables[] = {
	{.name = "asked", .help = "What was asked for", .columns = CW_ARRAY(columns), .sort = "key"},
};

static const char *const lookups[] = {"lookup", NULL};

static const struct cw_option options[] = {
	{.key = "from",
	 .type = CW_OPTION_INSTANCE,
	 .flags = CW_OPTION_REQUIRED,
	 .choices = lookups,
	 .help = "Name of the lookup"},
	{.key = "keys", .type = CW_OPTION_STRING, .flags = CW_OPTION_REQUIRED, .help = "File of the keys, one a line"},
	{.key = "again", .type = CW_OPTION_BOOL, .help = "Each reading asks for all again"},
	{.key = "rows", .type = CW_OPTION_BOOL, .fallback = "true", .help = "Whether there is a table"},
};

struct key {
	char *text;
	int64_t row, answers;
	bool is_named;
};

struct asker {
	struct cw_instance *self;
	const struct cw_host *host;
	struct cw_part *part;
	struct cw_lookup *lookup;
	struct key *keys; /* sorted */
	uint32_t count, unanswered, named;
	uint32_t next; /* to be asked for */
	uint64_t refused;
	bool again, rows;
	int64_t began, ended, round; /* instants; of the last question about the first key */
};

static int compare(const void *left, const void *right)
{
	return strcmp(((const struct key *)left)->text, ((const struct key *)right)->text);
}

static int read_keys(struct asker *asker, const char *path)
{
	FILE *file = fopen(path, "r");
	char line[512];
	if (!file)
		return -2; /* ENOENT */
	while (fgets(line, sizeof line, file)) {
		line[strcspn(line, "\n")] = '\0';
		if (asker->count % 1024 == 0)
			asker->keys = realloc(asker->keys, (asker->count + 1024) * sizeof *asker->keys);
		asker->keys[asker->count++] = (struct key){.text = strdup(line), .row = -1};
	}
	fclose(file);
	qsort(asker->keys, asker->count, sizeof *asker->keys, compare);
	asker->unanswered = asker->count;
	return 0;
}

static void show(struct asker *asker, struct key *key, const struct cw_answer *answer)
{
	struct cw_cell cells[COLUMNS] = {
		[KEY] = {.type = CW_CELL_TEXT, .text = key->text, .length = (uint32_t)strlen(key->text)},
		[AS_OF] = {.type = CW_CELL_INTEGER, .integer = answer->as_of},
		[ANSWERS] = {.type = CW_CELL_INTEGER, .integer = key->answers},
	};
	if (answer->value)
		cells[NAME] = (struct cw_cell){
			.type = CW_CELL_TEXT, .text = answer->value, .length = (uint32_t)strlen(answer->value)};
	if (asker->rows)
		key->row = asker->host->row_put(asker->part, cells);
}

static void on_answers(void *arg, const struct cw_answer *answers, uint32_t n)
{
	struct asker *asker = arg;
	for (uint32_t i = 0; i < n; i++) {
		const struct key sought = {.text = (char *)answers[i].key};
		struct key *key = bsearch(&sought, asker->keys, asker->count, sizeof *asker->keys, compare);
		if (!key)
			continue;
		asker->unanswered -= key->answers == 0;
		asker->named += (uint32_t)(answers[i].value != NULL) - (uint32_t)key->is_named;
		key->is_named = answers[i].value != NULL;
		key->answers++;
		show(asker, key, &answers[i]);
	}
	if (asker->unanswered == 0 && asker->ended == 0)
		asker->ended = asker->host->now();
}

static int asker_start(struct cw_instance *self, const struct cw_host *host, const struct cw_value *values,
		       void **ret_state)
{
	struct asker *asker = calloc(1, sizeof *asker);
	if (!asker)
		return -12; /* ENOMEM */
	*asker = (struct asker){.self = self, .host = host};
	*ret_state = asker;
	asker->again = cw_get_bool(values, "again");
	asker->rows = cw_get_bool(values, "rows");
	int rc = read_keys(asker, cw_get_string(values, "keys"));
	if (rc == 0)
		rc = host->table_open(self, 0, NULL, &asker->part);
	if (rc == 0)
		rc = host->lookup_open(self, cw_get_string(values, "from"), on_answers, asker, &asker->lookup);
	return rc;
}

static void ask(struct asker *asker)
{
	const char *keys[CW_LOOKUP_KEYS_MAX];
	while (asker->next < asker->count) {
		uint32_t n = 0, i = asker->next;
		for (; i < asker->count && n < CW_LOOKUP_KEYS_MAX; i++)
			if (asker->keys[i].answers == 0 || asker->again)
				keys[n++] = asker->keys[i].text;
		if (n && asker->host->lookup_ask(asker->lookup, keys, n) < 0) {
			asker->refused++;
			return;
		}
		asker->next = i;
	}
}

static int asker_read(void *state)
{
	struct asker *asker = state;
	const struct cw_host *host = asker->host;
	if (asker->began == 0)
		asker->began = host->now();
	if (asker->next == asker->count && (asker->again || host->now() - asker->round > CW_SECOND))
		asker->next = 0;
	if (asker->next == 0)
		asker->round = host->now();
	if (asker->unanswered || asker->again)
		ask(asker);
	host->gauge(asker->self, ANSWERED, &answers_values[0], asker->named);
	host->gauge(asker->self, ANSWERED, &answers_values[1], asker->count - asker->unanswered - asker->named);
	host->counter(asker->self, REFUSED, NULL, asker->refused);
	if (asker->ended)
		host->gauge(asker->self, SECONDS, NULL, (double)(asker->ended - asker->began) / 1e9);
	return 0;
}

static void asker_stop(void *state)
{
	struct asker *asker = state;
	asker->host->lookup_close(asker->lookup);
	asker->lookup = NULL;
}

static void asker_release(void *state)
{
	struct asker *asker = state;
	for (uint32_t i = 0; i < asker->count; i++)
		free(asker->keys[i].text);
	free(asker->keys);
	free(asker);
}

CW_EXPORT const struct cw_plugin cw_plugin = {
	CW_PLUGIN_ABI,
	.name = "asker",
	.summary = "A source that asks a lookup for names, for tests",
	.role = CW_SOURCE,
	.options = CW_ARRAY(options),
	.tables = CW_ARRAY(tables),
	.metrics = CW_ARRAY(metrics),
	.start = asker_start,
	.read = asker_read,
	.stop = asker_stop,
	.release = asker_release,
};
