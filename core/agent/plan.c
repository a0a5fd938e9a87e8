/* SPDX-License-Identifier: MIT
 *
 * See plan.h. Each configured entry goes through the same steps: its name, its plugin (loader), its connection, its
 * options against two tables (the plugin's and the core's), what the core's table cannot say, references to other
 * instances, and last the plugin's own check(). A step that fails is noted and the next entry follows: one run shows
 * every error. The rules come when all entries have, because they may speak of each.
 *
 * The two tables here are where the core's own keys are declared; nothing else in the core knows their defaults.
 */
#include "plan.h"

#include "expr.h"
#include "options.h"
#include "outqueue.h"
#include "rule.h"

#include <errno.h>
#include <limits.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char plan_overlay[] = "--once";

/* ---- the core's own options ---- */

static const char *const phones_choices[] = {"masked", "full", NULL};
static const char *const start_error_choices[] = {"retry", "ignore", "fail", NULL};

static const struct cw_option agent_options[] = {
	{.key = "hostname",
	 .type = CW_OPTION_STRING,
	 .help = "the name samples carry as their host; default: the machine's"},
	{.key = "interval",
	 .type = CW_OPTION_DURATION,
	 .fallback = "5s",
	 .min = 10e6,
	 .max = 86400e9,
	 .help = "how often sources read, unless they say otherwise"},
	{.key = "state_dir",
	 .type = CW_OPTION_STRING,
	 .help = "folder for what outlives a restart; without it nothing is kept"},
	{.key = "plugin_dir", .type = CW_OPTION_LIST, .help = "folders in which plugins are looked for, in order"},
	{.key = "labels",
	 .type = CW_OPTION_MAP,
	 .help = "names with values that every sample carries as tags, never in a path"},
	{.key = "external_url", .type = CW_OPTION_STRING, .help = "address of the page, for links in messages"},
	{.key = "phones",
	 .type = CW_OPTION_CHOICE,
	 .fallback = "masked",
	 .choices = phones_choices,
	 .help = "whether persons' numbers are shown in full"},
};

/* The last three are for outputs only. */
static const struct cw_option common_options[] = {
	{.key = "plugin", .type = CW_OPTION_STRING, .flags = CW_OPTION_REQUIRED, .help = "which plugin this is"},
	{.key = "name", .type = CW_OPTION_STRING, .help = "name of the instance; default: the plugin's"},
	{.key = "enabled", .type = CW_OPTION_BOOL, .fallback = "true", .help = "false switches the instance off"},
	{.key = "override",
	 .type = CW_OPTION_BOOL,
	 .fallback = "false",
	 .help = "true merges this entry into an earlier one of the same name"},
	{.key = "connection",
	 .type = CW_OPTION_STRING,
	 .help = "entry of `connections:` whose keys count as if written here"},
	{.key = "interval",
	 .type = CW_OPTION_DURATION,
	 .min = 10e6,
	 .max = 86400e9,
	 .help = "how often it reads; default: the agent's, outputs 10s, notifiers 1m"},
	{.key = "jitter",
	 .type = CW_OPTION_DURATION,
	 .fallback = "0s",
	 .min = 0,
	 .max = 86400e9,
	 .help = "spreads the instances' readings over this time; each keeps its place"},
	{.key = "timeout",
	 .type = CW_OPTION_DURATION,
	 .min = 1e6,
	 .max = 86400e9,
	 .help = "how long a reading may take; default: the interval"},
	{.key = "on_start_error",
	 .type = CW_OPTION_CHOICE,
	 .fallback = "retry",
	 .choices = start_error_choices,
	 .help = "what to do when it cannot start: try again, go on without it, or end the agent"},
	{.key = "labels", .type = CW_OPTION_MAP, .help = "more labels, for this instance's samples"},
	{.key = "host",
	 .type = CW_OPTION_STRING,
	 .help = "what is watched, so that a failover does not move series; default: the agent's hostname"},
	{.key = "isolate",
	 .type = CW_OPTION_BOOL,
	 .fallback = "false",
	 .flags = CW_OPTION_ADVANCED,
	 .help = "runs the plugin in a process of its own (not available in this version)"},
	{.key = "queue",
	 .type = CW_OPTION_INT,
	 .fallback = "100000",
	 .min = 1,
	 .max = 1e8,
	 .help = "how many samples may wait for this output before the oldest are dropped"},
	{.key = "metrics", .type = CW_OPTION_WHERE, .help = "expressions that say which samples it is given"},
	{.key = "spool",
	 .type = CW_OPTION_SIZE,
	 .min = SPOOL_LIMIT_MIN,
	 .max = 1099511627776.0, /* 1TiB */
	 .help = "how much may wait on disk, in `state_dir`, when the output does not take it; default: nothing"},
};

enum { FOR_OUTPUTS = 3 };

const struct cw_array plan_agent_options = CW_ARRAY(agent_options);
const struct cw_array plan_output_options = CW_ARRAY(common_options);
const struct cw_array plan_common_options = {
	common_options, sizeof common_options / sizeof *common_options - FOR_OUTPUTS, sizeof *common_options};

/* ---- one entry ---- */

struct making {
	struct plan *plan;
	struct config *config;
	unsigned flags;
	struct problems *problems;
};

static const struct place *place_of(const struct config_entry *entry, const char *key)
{
	const struct node *node = node_get(entry->node, key);
	return node ? &node->place : &entry->node->place;
}

/* That it is a name at all has been seen by config.c. */
static void check_name(struct making *making, const struct config_entry *entry)
{
	if (strcmp(entry->name, "agent") == 0)
		problem_add(making->problems, PROBLEM_ERROR, place_of(entry, "name"),
			    "the name `agent` is reserved for the agent itself");
	if (strcmp(entry->name, "spool") == 0)
		problem_add(making->problems, PROBLEM_ERROR, place_of(entry, "name"),
			    "the name `spool` is reserved: in `state_dir` it is the folder of the outputs' spools");
}

static const struct plugin *find_plugin(struct making *making, const struct config_entry *entry)
{
	char error[LOADER_ERROR_MAX];
	if (strchr(entry->plugin, '/')) {
		problem_add(making->problems, PROBLEM_ERROR, place_of(entry, "plugin"),
			    "`%s` is a path: name the plugin and put its folder into `agent: plugin_dir:`",
			    entry->plugin);
		return NULL;
	}
	const struct plugin *plugin = loader_find(entry->plugin, error);
	if (plugin)
		return plugin;
	const char *nearest = loader_nearest(entry->plugin);
	if (nearest && strcmp(nearest, entry->plugin) != 0)
		problem_add(making->problems, PROBLEM_ERROR, place_of(entry, "plugin"), "%s; did you mean `%s`?", error,
			    nearest);
	else
		problem_add(making->problems, PROBLEM_ERROR, place_of(entry, "plugin"), "%s", error);
	return NULL;
}

/* Reports a name that refers to nothing, with the nearest that exists. */
static void unknown_reference(struct making *making, const struct place *place, const char *what, const char *name,
			      const char *const *candidates, size_t count)
{
	const char *nearest = nearest_name(name, candidates, count);
	problem_add(making->problems, PROBLEM_ERROR, place, "there is no %s `%s`%s%s%s", what, name,
		    nearest ? "; did you mean `" : "", nearest ? nearest : "", nearest ? "`?" : "");
}

static int find_connection(struct making *making, const struct config_entry *entry, const struct node **ret_connection)
{
	const struct node *node = node_get(entry->node, "connection");
	*ret_connection = NULL;
	if (!node || node->kind != NODE_SCALAR) /* another kind is the option table's to refuse */
		return 0;
	const struct node *all = making->config->connections;
	*ret_connection = node_get(all, node->text);
	if (*ret_connection)
		return 0;
	const char **names = calloc(all->count + 1, sizeof *names);
	for (uint32_t i = 0; names && i < all->count; i++)
		names[i] = all->children[i]->key;
	unknown_reference(making, &node->place, "connection", node->text, names, names ? all->count : 0);
	free(names);
	return -ENOENT;
}

static const struct place *value_place(const struct cw_value *value, const struct place *otherwise)
{
	return value && value->place ? value->place : otherwise;
}

static void check_metrics(struct making *making, const struct config_entry *entry, const struct cw_value *metrics)
{
	char error[EXPR_ERROR_MAX];
	uint32_t index = 0;
	if (metrics && outqueue_check(metrics, &index, error, sizeof error) < 0)
		problem_add(making->problems, PROBLEM_ERROR,
			    value_place(&metrics->children[index], &entry->node->place), "metrics: %s", error);
}

/* What an option table cannot say about the core's own keys. */
static void check_common(struct making *making, const struct config_entry *entry, const struct cw_value *common)
{
	const struct place *whole = &entry->node->place;
	const struct cw_value *isolate = cw_get(common, "isolate"), *spool = cw_get(common, "spool");
	const char *state_dir = cw_get_string(making->plan->agent, "state_dir");
	if (isolate && isolate->boolean)
		problem_add(making->problems, PROBLEM_ERROR, value_place(isolate, whole),
			    "`isolate: true` is not available in this version; leave it out");
	if (spool && spool->known && !state_dir)
		problem_add(
			making->problems, PROBLEM_WARNING, value_place(spool, whole),
			"`spool` needs `agent: state_dir:`, a folder for what outlives a restart; without it nothing "
			"is spooled");
	int64_t interval =
		cw_get_integer(common, "interval", cw_get_integer(making->plan->agent, "interval", 5 * CW_SECOND));
	if (cw_get_integer(common, "jitter", 0) >= interval)
		problem_add(making->problems, PROBLEM_ERROR, value_place(cw_get(common, "jitter"), whole),
			    "`jitter` must be shorter than the interval");
	const char *host = cw_get_string(common, "host");
	if (host && !*host)
		problem_add(making->problems, PROBLEM_ERROR, value_place(cw_get(common, "host"), whole),
			    "`host` is empty");
	check_metrics(making, entry, cw_get(common, "metrics"));
}

static const struct config_entry *find_entry(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->count; i++)
		if (strcmp(config->entries[i].name, name) == 0)
			return &config->entries[i];
	return NULL;
}

/* May this instance be named where only some roles may? One whose plugin cannot be found is reported in its place. */
static bool has_role(const struct config_entry *entry, const char *const *roles, const struct plugin **ret_plugin)
{
	char error[LOADER_ERROR_MAX];
	*ret_plugin = roles && !strchr(entry->plugin, '/') ? loader_find(entry->plugin, error) : NULL;
	for (uint32_t i = 0; *ret_plugin && roles[i]; i++)
		if (strcmp(roles[i], role_names[(*ret_plugin)->decl.role]) == 0)
			return true;
	return !*ret_plugin;
}

static void check_reference(struct making *making, const struct config_entry *entry, const struct cw_option *option,
			    const struct cw_value *value)
{
	const struct config *config = making->config;
	const struct plugin *plugin;
	const struct config_entry *named = find_entry(config, value->string);
	if (named && has_role(named, option->choices, &plugin))
		return;
	const struct place *place = value_place(value, &entry->node->place);
	if (named) {
		problem_add(making->problems, PROBLEM_ERROR, place,
			    "%s: `%s` has the role %s (plugin %s), and a %s is needed", option->key, named->name,
			    role_names[plugin->decl.role], plugin->decl.name, option->choices[0]);
		return;
	}
	const char **names = calloc(config->count + 1, sizeof *names);
	size_t count = 0;
	for (size_t i = 0; names && i < config->count; i++)
		if (has_role(&config->entries[i], option->choices, &plugin))
			names[count++] = config->entries[i].name;
	unknown_reference(making, place, "instance", value->string, names, count);
	free(names);
}

/* `group` has a child for each of the options, in their order. */
static void check_references(struct making *making, const struct config_entry *entry, const struct cw_array *options,
			     const struct cw_value *group)
{
	for (uint32_t i = 0; i < options->count && i < group->count; i++) {
		const struct cw_option *option = cw_at(options, i);
		const struct cw_value *value = &group->children[i];
		if (option->type == CW_OPTION_INSTANCE && value->known && value->string)
			check_reference(making, entry, option, value);
		else if (option->type == CW_OPTION_GROUP)
			check_references(making, entry, &option->fields, value);
		for (uint32_t item = 0; option->type == CW_OPTION_ITEMS && item < value->count; item++)
			check_references(making, entry, &option->fields, &value->children[item]);
	}
}

/* struct cw_problems as the plugin sees it, and where its words go. */
struct plugin_problems {
	struct cw_problems face; /* first */
	struct making *making;
	const struct config_entry *entry;
};

static void add_plugin_problem(struct cw_problems *face, enum severity severity, const struct cw_value *value,
			       const char *format, va_list args) CW_PRINTF(4, 0);
static void add_plugin_problem(struct cw_problems *face, enum severity severity, const struct cw_value *value,
			       const char *format, va_list args)
{
	struct plugin_problems *self = (struct plugin_problems *)face;
	char message[512];
	vsnprintf(message, sizeof message, format, args);
	problem_add(self->making->problems, severity, value_place(value, &self->entry->node->place), "%s", message);
}

static void plugin_error(struct cw_problems *face, const struct cw_value *value, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	add_plugin_problem(face, PROBLEM_ERROR, value, format, args);
	va_end(args);
}

static void plugin_warning(struct cw_problems *face, const struct cw_value *value, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	add_plugin_problem(face, PROBLEM_WARNING, value, format, args);
	va_end(args);
}

static void ask_plugin(struct making *making, const struct config_entry *entry, const struct plugin *plugin,
		       const struct cw_value *options)
{
	struct plugin_problems problems = {{plugin_error, plugin_warning}, making, entry};
	if (plugin->decl.check)
		plugin->decl.check(options, &problems.face);
}

static const char *const inherited[] = {"interval", "labels", "phones", NULL};

bool plan_is_inherited(const char *key)
{
	for (size_t i = 0; inherited[i]; i++)
		if (strcmp(inherited[i], key) == 0)
			return true;
	return false;
}

/* Of all that would make it another instance: what was written for it, and what it takes from the agent's options. */
static void fingerprint(struct making *making, struct plan_instance *instance)
{
	crypto_generichash_state state;
	const struct cw_value *agent = making->plan->agent;
	const struct plugin *plugin = instance->plugin;
	uint8_t hash[16];
	crypto_generichash_init(&state, NULL, 0, sizeof instance->fingerprint);
	crypto_generichash_update(&state, (const uint8_t *)plugin->path, strlen(plugin->path) + 1);
	crypto_generichash_update(&state, (const uint8_t *)instance->name, strlen(instance->name) + 1);
	options_fingerprint(instance->options, hash);
	crypto_generichash_update(&state, hash, sizeof hash);
	for (size_t i = 0; inherited[i]; i++) {
		memset(hash, 0, sizeof hash);
		if (cw_get(agent, inherited[i]))
			options_fingerprint(cw_get(agent, inherited[i]), hash);
		crypto_generichash_update(&state, hash, sizeof hash);
	}
	crypto_generichash_final(&state, instance->fingerprint, sizeof instance->fingerprint);
}

/* --once runs what reads, and the one output that was laid over. */
static bool is_wanted(const struct making *making, const struct config_entry *entry, const struct plugin *plugin)
{
	if (!(making->flags & PLAN_ONCE) || role_is_source(plugin->decl.role))
		return true;
	return entry->node->place.file && strcmp(entry->node->place.file, plan_overlay) == 0;
}

static void add_instance(struct making *making, const struct config_entry *entry, const struct plugin *plugin,
			 struct cw_value *values)
{
	struct plan *plan = making->plan;
	struct plan_instance *instance = &plan->instances[plan->count++];
	*instance = (struct plan_instance){.name = entry->name,
					   .plugin = plugin,
					   .options = values,
					   .common = values,
					   .place = entry->node->place};
	if (!(making->flags & PLAN_NO_SECRETS))
		fingerprint(making, instance);
}

static void make_instance(struct making *making, const struct config_entry *entry)
{
	check_name(making, entry);
	const struct plugin *plugin = find_plugin(making, entry);
	const struct node *connection;
	if (!plugin || find_connection(making, entry, &connection) < 0)
		return;
	char subject[128];
	snprintf(subject, sizeof subject, "plugin %s", plugin->decl.name);
	struct options_context context = {
		.tables = {&plugin->decl.options,
			   role_is_output(plugin->decl.role) ? &plan_output_options : &plan_common_options},
		.subject = subject,
		.connection = connection,
		.read_files = !(making->flags & PLAN_NO_SECRETS),
		.problems = making->problems,
	};
	struct cw_value *values = options_check(&context, entry->node);
	if (!values)
		return;
	check_common(making, entry, values);
	check_references(making, entry, &plugin->decl.options, values);
	ask_plugin(making, entry, plugin, values);
	if (is_wanted(making, entry, plugin))
		add_instance(making, entry, plugin, values);
	else
		options_free(values);
}

/* ---- the agent's part ---- */

static void check_hostname(struct making *making)
{
	const struct cw_value *value = cw_get(making->plan->agent, "hostname");
	const char *hostname = value && value->known ? value->string : NULL;
	bool fine = !hostname || strlen(hostname) <= 253;
	for (const char *c = hostname; fine && c && *c; c++)
		fine = (unsigned char)*c > ' ' && *c != 0x7f && *c != '/';
	if (!fine)
		problem_add(making->problems, PROBLEM_ERROR, value_place(value, &making->config->agent->place),
			    "`%s` cannot be a host's name: at most 253 characters, no space, no `/`", hostname);
}

static void check_state_dir(struct making *making)
{
	const struct cw_value *value = cw_get(making->plan->agent, "state_dir");
	if (value && value->known && value->string && value->string[0] != '/')
		problem_add(making->problems, PROBLEM_ERROR, value_place(value, &making->config->agent->place),
			    "`state_dir` must be an absolute path");
}

static void make_agent(struct making *making)
{
	struct options_context context = {
		.tables = {&plan_agent_options, NULL},
		.subject = "agent",
		.read_files = !(making->flags & PLAN_NO_SECRETS),
		.problems = making->problems,
	};
	making->plan->agent = options_check(&context, making->config->agent);
	if (!making->plan->agent)
		return;
	check_hostname(making);
	check_state_dir(making);
}

void plan_use_directories(const struct plan *plan)
{
	const struct cw_value *list = plan ? cw_get(plan->agent, "plugin_dir") : NULL;
	const char **directories = list && list->count ? calloc(list->count + 1, sizeof *directories) : NULL;
	for (uint32_t i = 0; directories && i < list->count; i++)
		directories[i] = list->children[i].string;
	loader_set_directories(directories);
	free(directories);
}

struct plan *plan_make(struct config *config, unsigned flags, struct problems *problems)
{
	struct plan *plan = sodium_init() < 0 ? NULL : calloc(1, sizeof *plan); /* initialises once */
	struct making making = {plan, config, flags, problems};
	if (plan)
		plan->instances = calloc(config->count + 1, sizeof *plan->instances);
	if (!plan || !plan->instances) {
		free(plan);
		config_free(config);
		problem_add(problems, PROBLEM_ERROR, NULL, "out of memory");
		return NULL;
	}
	plan->references = 1;
	plan->config = config;
	make_agent(&making);
	plan_use_directories(plan);
	for (size_t i = 0; i < config->count; i++)
		make_instance(&making, &config->entries[i]);
	if (!(flags & PLAN_ONCE))
		plan->ruleset = ruleset_make(plan, problems);
	if (problems->errors == 0)
		return plan;
	plan_unref(plan);
	return NULL;
}

struct plan *plan_ref(struct plan *plan)
{
	plan->references++;
	return plan;
}

void plan_unref(struct plan *plan)
{
	if (!plan || --plan->references > 0)
		return;
	ruleset_free(plan->ruleset);
	for (size_t i = 0; i < plan->count; i++)
		options_free((struct cw_value *)plan->instances[i].options);
	options_free(plan->agent);
	config_free(plan->config);
	free(plan->instances);
	free(plan);
}
