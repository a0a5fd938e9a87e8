/* SPDX-License-Identifier: MIT
 *
 * See vocabulary.h. Lists, walked from the front: there are some tens of words, and each is asked for once per rule.
 */
#include "vocabulary.h"

#include "core_tables.h"
#include "hub.h"
#include "plan.h"

#include <string.h>

static const struct cw_column instance_column = {.name = "instance", .type = CW_TEXT, .help = "Whose row it is"};

/* ---- gathering ---- */

static const struct plan_instance *planned(const struct plan *plan, const char *name)
{
	for (size_t i = 0; i < plan->count; i++)
		if (strcmp(plan->instances[i].name, name) == 0)
			return &plan->instances[i];
	return NULL;
}

/* Not every entry is an instance of the plan (--once leaves some out), so the plugins are looked up once more. */
static void gather_plugins(struct vocabulary *vocabulary)
{
	const struct config *config = vocabulary->plan->config;
	char error[LOADER_ERROR_MAX];
	vocabulary->plugins = arena_alloc(vocabulary->arena, (config->count + 1) * sizeof(struct known_plugin));
	for (size_t i = 0; i < config->count; i++) {
		const struct config_entry *entry = &config->entries[i];
		const struct plugin *plugin = strchr(entry->plugin, '/') ? NULL : loader_find(entry->plugin, error);
		vocabulary->plugins[vocabulary->plugins_count++] =
			(struct known_plugin){entry->name, entry->plugin, plugin};
	}
}

static void gather_tables(struct vocabulary *vocabulary)
{
	uint32_t room = 0;
	while (core_table_at(room))
		room++;
	for (uint32_t i = 0; i < vocabulary->plugins_count; i++)
		if (vocabulary->plugins[i].plugin)
			room += vocabulary->plugins[i].plugin->decl.tables.count;
	vocabulary->tables = arena_alloc(vocabulary->arena, room * sizeof(struct known_table));
	for (uint32_t i = 0; core_table_at(i); i++)
		vocabulary->tables[vocabulary->tables_count++] =
			(struct known_table){core_table_at(i)->name, core_table_at(i)->decl};
	for (uint32_t i = 0; i < vocabulary->plugins_count; i++) {
		const struct plugin *plugin = vocabulary->plugins[i].plugin;
		for (uint32_t t = 0; plugin && t < plugin->decl.tables.count; t++) {
			const struct cw_table_decl *decl = cw_at(&plugin->decl.tables, t);
			vocabulary->tables[vocabulary->tables_count++] = (struct known_table){decl->name, decl};
		}
	}
}

/* The keys of an option that names columns: called with extras NULL to count them. */
static uint32_t extras_of(const struct plan *plan, const struct known_plugin *known, struct known_extra *extras)
{
	const struct plan_instance *instance = known->plugin ? planned(plan, known->instance) : NULL;
	const struct cw_array *options = instance ? &known->plugin->decl.options : NULL;
	uint32_t count = 0;
	for (uint32_t i = 0; options && i < options->count; i++) {
		const struct cw_option *option = cw_at(options, i);
		const struct cw_value *map = cw_get(instance->options, option->key);
		if (!(option->flags & CW_OPTION_COLUMNS) || !map)
			continue;
		const struct cw_table_decl *table = cw_at(&known->plugin->decl.tables, 0);
		for (uint32_t k = 0; k < map->count; k++, count++)
			if (extras)
				extras[count] = (struct known_extra){
					table->name,
					{.name = map->children[k].key, .type = CW_TEXT, .help = option->help}};
	}
	return count;
}

static void gather_extras(struct vocabulary *vocabulary)
{
	uint32_t room = 0;
	for (uint32_t i = 0; i < vocabulary->plugins_count; i++)
		room += extras_of(vocabulary->plan, &vocabulary->plugins[i], NULL);
	vocabulary->extras = arena_alloc(vocabulary->arena, (room + 1) * sizeof(struct known_extra));
	for (uint32_t i = 0; i < vocabulary->plugins_count; i++)
		vocabulary->extras_count += extras_of(vocabulary->plan, &vocabulary->plugins[i],
						      vocabulary->extras + vocabulary->extras_count);
}

static void gather_metrics(struct vocabulary *vocabulary)
{
	uint32_t room = hub_metrics.count;
	for (uint32_t i = 0; i < vocabulary->plugins_count; i++)
		if (vocabulary->plugins[i].plugin)
			room += vocabulary->plugins[i].plugin->decl.metrics.count;
	vocabulary->metrics = arena_alloc(vocabulary->arena, room * sizeof(struct cw_metric *));
	for (uint32_t i = 0; i < hub_metrics.count; i++)
		vocabulary->metrics[vocabulary->metrics_count++] = cw_at(&hub_metrics, i);
	for (uint32_t i = 0; i < vocabulary->plugins_count; i++) {
		const struct plugin *plugin = vocabulary->plugins[i].plugin;
		for (uint32_t m = 0; plugin && m < plugin->decl.metrics.count; m++)
			vocabulary->metrics[vocabulary->metrics_count++] = cw_at(&plugin->decl.metrics, m);
	}
}

void vocabulary_make(struct vocabulary *vocabulary, const struct plan *plan, bool is_whole, struct arena *arena)
{
	*vocabulary = (struct vocabulary){.plan = plan, .arena = arena, .is_whole = is_whole};
	gather_plugins(vocabulary);
	gather_tables(vocabulary);
	gather_extras(vocabulary);
	gather_metrics(vocabulary);
}

/* ---- looking ---- */

bool vocabulary_has_plugin(const struct vocabulary *vocabulary, const char *plugin)
{
	for (uint32_t i = 0; i < vocabulary->plugins_count; i++)
		if (strcmp(vocabulary->plugins[i].name, plugin) == 0)
			return true;
	return false;
}

bool vocabulary_has_table(const struct vocabulary *vocabulary, const char *table, bool *ret_is_known)
{
	*ret_is_known = false;
	for (uint32_t i = 0; i < vocabulary->tables_count; i++)
		if (strcmp(vocabulary->tables[i].name, table) == 0) {
			*ret_is_known = true;
			if (vocabulary->tables[i].decl)
				return true;
		}
	return false;
}

const struct cw_column *vocabulary_column(const struct vocabulary *vocabulary, const char *table, const char *column)
{
	for (uint32_t i = 0; i < vocabulary->tables_count; i++) {
		const struct cw_table_decl *decl = vocabulary->tables[i].decl;
		for (uint32_t c = 0; decl && strcmp(decl->name, table) == 0 && c < decl->columns.count; c++) {
			const struct cw_column *found = cw_at(&decl->columns, c);
			if (strcmp(found->name, column) == 0)
				return found;
		}
	}
	for (uint32_t i = 0; i < vocabulary->extras_count; i++)
		if (strcmp(vocabulary->extras[i].table, table) == 0 &&
		    strcmp(vocabulary->extras[i].column.name, column) == 0)
			return &vocabulary->extras[i].column;
	return strcmp(column, instance_column.name) == 0 ? &instance_column : NULL;
}

const struct cw_metric *vocabulary_metric(const struct vocabulary *vocabulary, const char *metric)
{
	for (uint32_t i = 0; i < vocabulary->metrics_count; i++)
		if (strcmp(vocabulary->metrics[i]->name, metric) == 0)
			return vocabulary->metrics[i];
	return NULL;
}

const char vocabulary_no_role[] = "?";

static bool tells(const struct known_plugin *known)
{
	return known->plugin && known->plugin->decl.role == CW_NOTIFIER && known->plugin->decl.notify;
}

bool vocabulary_tells(const struct vocabulary *vocabulary, const char *instance, const char **ret_role)
{
	*ret_role = NULL;
	for (uint32_t i = 0; i < vocabulary->plugins_count; i++) {
		const struct known_plugin *known = &vocabulary->plugins[i];
		if (strcmp(known->instance, instance) != 0)
			continue;
		*ret_role = known->plugin ? role_names[known->plugin->decl.role] : vocabulary_no_role;
		return tells(known);
	}
	return false;
}

/* ---- hints ---- */

struct names {
	const char **list;
	size_t count;
};

static struct names names_new(const struct vocabulary *vocabulary, size_t room)
{
	return (struct names){.list = arena_alloc(vocabulary->arena, (room + 1) * sizeof(char *))};
}

static void names_add(struct names *names, const char *name)
{
	for (size_t i = 0; i < names->count; i++)
		if (strcmp(names->list[i], name) == 0)
			return;
	names->list[names->count++] = name;
}

char *vocabulary_hint_table(const struct vocabulary *vocabulary, const char *name, char buffer[NAME_HINT_SIZE])
{
	struct names names = names_new(vocabulary, vocabulary->tables_count);
	for (uint32_t i = 0; i < vocabulary->tables_count; i++)
		if (vocabulary->tables[i].decl)
			names_add(&names, vocabulary->tables[i].name);
	return name_hint(buffer, name, names.list, names.count);
}

char *vocabulary_hint_column(const struct vocabulary *vocabulary, const char *table, const char *name,
			     char buffer[NAME_HINT_SIZE])
{
	size_t room = vocabulary->extras_count + 1;
	for (uint32_t i = 0; i < vocabulary->tables_count; i++)
		room += vocabulary->tables[i].decl ? vocabulary->tables[i].decl->columns.count : 0;
	struct names names = names_new(vocabulary, room);
	for (uint32_t i = 0; i < vocabulary->tables_count; i++) {
		const struct cw_table_decl *decl = vocabulary->tables[i].decl;
		for (uint32_t c = 0; decl && strcmp(decl->name, table) == 0 && c < decl->columns.count; c++)
			names_add(&names, ((const struct cw_column *)cw_at(&decl->columns, c))->name);
	}
	for (uint32_t i = 0; i < vocabulary->extras_count; i++)
		if (strcmp(vocabulary->extras[i].table, table) == 0)
			names_add(&names, vocabulary->extras[i].column.name);
	names_add(&names, instance_column.name);
	return name_hint(buffer, name, names.list, names.count);
}

char *vocabulary_hint_metric(const struct vocabulary *vocabulary, const char *name, char buffer[NAME_HINT_SIZE])
{
	struct names names = names_new(vocabulary, vocabulary->metrics_count);
	for (uint32_t i = 0; i < vocabulary->metrics_count; i++)
		names_add(&names, vocabulary->metrics[i]->name);
	const char *nearest = nearest_name(name, names.list, names.count); /* all of them would be a wall of names */
	return name_hint(buffer, name, &nearest, nearest ? 1 : 0);
}

char *vocabulary_hint_notifier(const struct vocabulary *vocabulary, const char *name, char buffer[NAME_HINT_SIZE])
{
	struct names names = names_new(vocabulary, vocabulary->plugins_count);
	for (uint32_t i = 0; i < vocabulary->plugins_count; i++)
		if (tells(&vocabulary->plugins[i]))
			names_add(&names, vocabulary->plugins[i].instance);
	return name_hint(buffer, name, names.list, names.count);
}

/* ---- labels as columns ---- */

bool metric_label_column(const struct cw_metric *metric, const char *name, struct cw_column *ret_column)
{
	*ret_column = (struct cw_column){.name = name, .type = CW_TEXT};
	for (uint32_t i = 0; i < cw_label_count(metric); i++) {
		const struct cw_label *label = &metric->labels[i];
		if (strcmp(label->name, name) != 0)
			continue;
		if (label->values)
			*ret_column = (struct cw_column){.name = name, .type = CW_CHOICE, .choices = label->values};
		return true;
	}
	return strcmp(name, "instance") == 0 || strcmp(name, "host") == 0;
}
