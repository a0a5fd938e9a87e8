/* SPDX-License-Identifier: MIT
 *
 * See plugin_host.h. The reader of options here knows only what tests need; the real one has its own tests.
 */
#include "plugin_host.h"

#include "batch.h"
#include "clock.h"
#include "table.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- options ---- */

static double unit_of(const char *unit)
{
	static const struct {
		const char *name;
		double factor;
	} units[] = {{"", 1},     {"%", 0.01},   {"ms", 1e6},      {"s", 1e9},
		     {"m", 60e9}, {"h", 3600e9}, {"KiB", 1 << 10}, {"MiB", 1 << 20}};
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (strcmp(unit, units[i].name) == 0)
			return units[i].factor;
	abort();
}

static void set_value(struct cw_value *value, const struct cw_option *option, const char *text)
{
	char *unit;
	value->known = true;
	switch (option->type) {
	case CW_OPTION_BOOL:
		value->boolean = strcmp(text, "true") == 0;
		break;
	case CW_OPTION_INT:
	case CW_OPTION_NUMBER:
	case CW_OPTION_DURATION:
	case CW_OPTION_SIZE:
	case CW_OPTION_RATIO:
		value->number = strtod(text, &unit);
		value->number *= unit_of(unit);
		value->integer = (int64_t)value->number;
		break;
	default:
		value->string = text;
		for (int64_t i = 0; option->choices && option->choices[i]; i++)
			if (strcmp(option->choices[i], text) == 0)
				value->integer = i;
	}
}

static struct cw_value *make_values(const struct cw_array *options)
{
	struct cw_value *values = calloc(options->count + 1, sizeof(*values));
	for (uint32_t i = 0; i < options->count; i++) {
		const struct cw_option *option = cw_at(options, i);
		values[i].key = option->key;
		values[i].type = option->type;
		if (option->fallback)
			set_value(&values[i], option, option->fallback);
		if (option->type == CW_OPTION_GROUP) {
			values[i].known = true;
			values[i].children = make_values(&option->fields);
			values[i].count = option->fields.count;
		}
	}
	return values;
}

/* The texts live in `settings`, cut into key and value in a copy that leaks into the tree's first free slot. */
static void apply(struct cw_value *values, const struct cw_array *options, char *setting)
{
	char *equals = strchr(setting, '='), *dot = memchr(setting, '.', (size_t)(equals - setting));
	*equals = '\0';
	if (dot)
		*dot = '\0';
	for (uint32_t i = 0; i < options->count; i++) {
		const struct cw_option *option = cw_at(options, i);
		if (strcmp(option->key, setting) != 0)
			continue;
		values[i].is_set = true;
		if (option->type == CW_OPTION_GROUP) {
			dot[0] = '=';
			*equals = '=';
			char *inner = dot + 1;
			apply((struct cw_value *)(uintptr_t)values[i].children, &option->fields, inner);
		} else if (option->type == CW_OPTION_MAP || option->type == CW_OPTION_LIST) {
			struct cw_value *children = realloc((void *)(uintptr_t)values[i].children,
							    (values[i].count + 1) * sizeof(*children));
			children[values[i].count] =
				(struct cw_value){.known = true, .is_set = true, .string = equals + 1};
			if (option->type == CW_OPTION_MAP)
				children[values[i].count].key = dot + 1;
			values[i].known = true;
			values[i].children = children;
			values[i].count++;
		} else {
			set_value(&values[i], option, equals + 1);
		}
		return;
	}
	fprintf(stderr, "no option %s\n", setting);
	abort();
}

struct option_tree {
	struct cw_value root;
	struct cw_value *values;
	const struct cw_array *options;
	char *texts[32];
	uint32_t texts_count;
};

static void tree_make(struct option_tree *tree, const struct cw_array *options, const char *const *settings)
{
	*tree = (struct option_tree){.options = options};
	tree->values = make_values(options);
	for (; settings && *settings; settings++) {
		char *text = strdup(*settings);
		tree->texts[tree->texts_count++] = text;
		apply(tree->values, options, text);
	}
	tree->root = (struct cw_value){
		.type = CW_OPTION_GROUP, .known = true, .children = tree->values, .count = options->count};
}

static void tree_free(struct option_tree *tree)
{
	for (uint32_t i = 0; i < tree->options->count; i++)
		free((void *)(uintptr_t)tree->values[i].children);
	free(tree->values);
	for (uint32_t i = 0; i < tree->texts_count; i++)
		free(tree->texts[i]);
}

/* ---- the host ---- */

static struct uv_loop_s *host_loop(struct cw_instance *self)
{
	return &self->loop;
}

static const struct cw_info *host_info(struct cw_instance *self)
{
	return &self->info;
}

static CW_PRINTF(3, 4) void host_log(struct cw_instance *self, enum cw_level level, const char *format, ...)
{
	size_t used = strlen(self->log);
	va_list list;
	va_start(list, format);
	int n = vsnprintf(self->log + used, sizeof(self->log) - used - 1, format, list);
	va_end(list);
	if (n > 0 && used + (size_t)n < sizeof(self->log) - 2)
		strcat(self->log, "\n");
	if (getenv("PLUGIN_HOST_VERBOSE"))
		fprintf(stderr, "log %d: %s", level, self->log + used);
}

static CW_PRINTF(4, 5) void host_state(struct cw_instance *self, enum cw_state state, int64_t next_try,
				       const char *reason, ...)
{
	char text[sizeof(self->reason)];
	(void)next_try;
	va_list list;
	va_start(list, reason);
	vsnprintf(text, sizeof(text), reason, list);
	va_end(list);
	if (state == self->state && strcmp(text, self->reason) == 0)
		return;
	self->state = state;
	memcpy(self->reason, text, sizeof(text));
	self->state_changes++;
	if (getenv("PLUGIN_HOST_VERBOSE"))
		fprintf(stderr, "state %d: %s\n", state, text);
}

static void host_count_error(struct cw_instance *self, uint64_t n)
{
	self->errors += n;
}

static void host_count_malformed(struct cw_instance *self, uint64_t n)
{
	self->malformed += n;
}

/* Every value a double: what a test compares. */
static double value_of(const struct cw_sample *sample)
{
	return sample->number == CW_DOUBLE    ? sample->real
	       : sample->number == CW_INTEGER ? (double)sample->integer
					      : (double)sample->histogram->count;
}

static void write_series(char *to, size_t size, const struct cw_metric *metric, const char *const *labels)
{
	uint32_t n = cw_label_count(metric);
	int used = snprintf(to, size, "%s%s", metric->name, n ? "{" : "");
	for (uint32_t i = 0; i < n && used < (int)size; i++)
		used += snprintf(to + used, size - (size_t)used, "%s=%s%s", metric->labels[i].name, labels[i],
				 i + 1 < n ? "," : "}");
}

static int64_t host_declare(struct cw_instance *self, const struct cw_metric *metric)
{
	return declared_add(&self->declared, &self->plugin->metrics, metric);
}

static void host_sample(struct cw_instance *self, uint32_t metric, const struct cw_sample *given)
{
	const struct cw_metric *known = declared_at(&self->declared, &self->plugin->metrics, metric);
	if (!known || self->samples_count == PLUGIN_HOST_SAMPLES)
		return;
	struct plugin_host_sample *sample = &self->samples[self->samples_count++];
	*sample = (struct plugin_host_sample){.metric = metric, .value = value_of(given), .time = given->time};
	if (cw_label_count(known))
		snprintf(sample->label, sizeof(sample->label), "%s", given->labels[0]);
	write_series(sample->series, sizeof(sample->series), known, given->labels);
}

static void host_gauge(struct cw_instance *self, uint32_t metric, const char *const *labels, double value)
{
	host_sample(self, metric, &(struct cw_sample){.labels = labels, .number = CW_DOUBLE, .real = value});
}

static void host_counter(struct cw_instance *self, uint32_t metric, const char *const *labels, uint64_t value)
{
	host_gauge(self, metric, labels, (double)value);
}

static void host_histogram(struct cw_instance *self, uint32_t metric, const char *const *labels,
			   const struct cw_histogram *value)
{
	host_gauge(self, metric, labels, (double)value->count);
}

static CW_PRINTF(3, 4) void host_examined(struct cw_instance *self, enum cw_verdict verdict, const char *text, ...)
{
	va_list list;
	va_start(list, text);
	vsnprintf(self->verdict_text, sizeof(self->verdict_text), text, list);
	va_end(list);
	self->verdict = verdict;
	self->examined = true;
}

static void host_read_done(struct cw_instance *self, int status)
{
	self->read_is_done = true;
	self->read_status = status;
}

static void host_write_done(struct cw_instance *self, int status)
{
	self->write_is_done = true;
	self->write_status = status;
}

static void host_dropped(struct cw_instance *self, enum cw_drop reason, uint64_t n)
{
	self->dropped[reason] += n;
}

static int host_table_open(struct cw_instance *self, uint32_t table, const struct cw_array *extra,
			   struct cw_part **ret_part)
{
	return table_open(self->tables, self->info.name, cw_at(&self->plugin->tables, table), extra, ret_part);
}

struct cw_resolve {
	uv_timer_t timer;
	cw_resolved done;
	void *arg;
	struct sockaddr_storage addresses[2];
	uint32_t n;
	int status;
};

static void free_handle(uv_handle_t *handle)
{
	free(handle->data);
}

static void on_resolve(uv_timer_t *timer)
{
	struct cw_resolve *resolve = timer->data;
	resolve->done(resolve->arg, resolve->status, resolve->addresses, resolve->n);
	uv_close((uv_handle_t *)timer, free_handle);
}

static int host_resolve(struct cw_instance *self, const char *host, uint16_t port, cw_resolved done, void *arg,
			struct cw_resolve **ret_resolve)
{
	struct cw_resolve *resolve = calloc(1, sizeof(*resolve));
	bool unreachable = strcmp(host, "unreachable-then-local") == 0,
	     refused = strcmp(host, "refused-then-local") == 0;
	const char *own = self->resolves_to ? self->resolves_to : host;
	const char *const texts[] = {unreachable ? "255.255.255.255" : refused ? "127.0.0.9" : own, "127.0.0.1"};
	for (; resolve->n < (unreachable || refused ? 2 : 1); resolve->n++) {
		struct sockaddr_in *address = (struct sockaddr_in *)&resolve->addresses[resolve->n];
		address->sin_family = AF_INET;
		address->sin_port = htons(port);
		if (inet_pton(AF_INET, texts[resolve->n], &address->sin_addr) != 1)
			break;
	}
	resolve->done = done;
	resolve->arg = arg;
	resolve->status = resolve->n ? 0 : -ENOENT;
	uv_timer_init(&self->loop, &resolve->timer);
	resolve->timer.data = resolve;
	uv_timer_start(&resolve->timer, on_resolve, 0, 0);
	*ret_resolve = resolve;
	return 0;
}

static void host_resolve_cancel(struct cw_resolve *resolve)
{
	uv_close((uv_handle_t *)&resolve->timer, free_handle);
}

/* ---- lookups ---- */

struct cw_lookup {
	struct cw_instance *instance;
	void (*answered)(void *arg, const struct cw_answer *answers, uint32_t n);
	void *arg;
};

static int host_lookup_open(struct cw_instance *self, const char *instance,
			    void (*answered)(void *arg, const struct cw_answer *answers, uint32_t n), void *arg,
			    struct cw_lookup **ret_lookup)
{
	(void)instance;
	struct cw_lookup *way = malloc(sizeof(*way));
	*way = (struct cw_lookup){self, answered, arg};
	self->way = *ret_lookup = way;
	return 0;
}

static int host_lookup_ask(struct cw_lookup *way, const char *const *keys, uint32_t n)
{
	struct cw_instance *self = way->instance;
	if (n > CW_LOOKUP_KEYS_MAX)
		return -EINVAL;
	self->refused += self->lookup_is_away;
	if (self->lookup_is_away)
		return -EAGAIN;
	self->asks++;
	self->asked = realloc(self->asked, (self->asked_count + n) * sizeof(*self->asked));
	for (uint32_t i = 0; i < n; i++)
		self->asked[self->asked_count++] = strdup(keys[i]);
	return 0;
}

static void host_lookup_close(struct cw_lookup *way)
{
	if (way && way->instance->way == way)
		way->instance->way = NULL;
	free(way);
}

static void host_answer(struct cw_instance *self, const struct cw_answer *answers, uint32_t n)
{
	self->answers = realloc(self->answers, (self->answers_count + n) * sizeof(*self->answers));
	for (uint32_t i = 0; i < n; i++)
		self->answers[self->answers_count++] = (struct plugin_host_answer){
			strdup(answers[i].key), answers[i].value ? strdup(answers[i].value) : NULL, answers[i].as_of};
}

void plugin_host_answer(struct cw_instance *self, const char *key, const char *value)
{
	struct cw_answer answer = {.key = key, .value = value, .as_of = clock_wall()};
	if (self->way)
		self->way->answered(self->way->arg, &answer, 1);
}

uint32_t plugin_host_times_asked(const struct cw_instance *self, const char *key)
{
	uint32_t times = 0;
	for (uint32_t i = 0; i < self->asked_count; i++)
		times += strcmp(self->asked[i], key) == 0;
	return times;
}

void plugin_host_ask(struct cw_instance *self, const char *const *keys, uint32_t n)
{
	self->plugin->look_up(self->plugin_state, keys, n);
}

const char *plugin_host_answered(const struct cw_instance *self, const char *key, int64_t *ret_as_of)
{
	for (uint32_t i = self->answers_count; i-- > 0;)
		if (strcmp(self->answers[i].key, key) == 0) {
			if (ret_as_of)
				*ret_as_of = self->answers[i].as_of;
			return self->answers[i].value ? self->answers[i].value : "(absent)";
		}
	return NULL;
}

void plugin_host_forget(struct cw_instance *self)
{
	for (uint32_t i = 0; i < self->asked_count; i++)
		free(self->asked[i]);
	for (uint32_t i = 0; i < self->answers_count; i++) {
		free(self->answers[i].key);
		free(self->answers[i].value);
	}
	free(self->asked);
	free(self->answers);
	self->asked = NULL;
	self->answers = NULL;
	self->asked_count = self->answers_count = self->asks = 0;
}

/* ---- checks ---- */

static bool is_examined(struct cw_instance *self, const void *arg)
{
	(void)arg;
	return self->examined;
}

int plugin_host_examine(struct cw_instance *self, const char *name)
{
	for (uint32_t i = 0; i < self->plugin->checks.count; i++) {
		const struct cw_check *check = cw_at(&self->plugin->checks, i);
		if (strcmp(check->name, name) != 0)
			continue;
		self->examined = false;
		self->plugin->examine(self->plugin_state, i);
		return plugin_host_wait(self, is_examined, NULL, 20000) ? (int)self->verdict : -1;
	}
	return -1;
}

/* ---- actions ---- */

static CW_PRINTF(5, 6) void host_task_progress(struct cw_task *task, uint64_t done, uint64_t failed, uint64_t total,
					       const char *text, ...)
{
	va_list list;
	task->done = done;
	task->failed = failed;
	task->total = total;
	va_start(list, text);
	if (text)
		vsnprintf(task->text, sizeof(task->text), text, list);
	va_end(list);
}

static CW_PRINTF(4, 5) void host_task_item(struct cw_task *task, const char *key, enum cw_outcome outcome,
					   const char *text, ...)
{
	(void)key;
	(void)text;
	task->items[outcome]++;
}

static CW_PRINTF(3, 4) void host_task_end(struct cw_task *task, enum cw_task_state state, const char *reason, ...)
{
	va_list list;
	if (task->has_ended) {
		fprintf(stderr, "the plugin ended a task twice\n");
		abort();
	}
	task->has_ended = true;
	task->state = state;
	va_start(list, reason);
	if (reason)
		vsnprintf(task->reason, sizeof(task->reason), reason, list);
	va_end(list);
}

static CW_PRINTF(3, 4) void host_event(struct cw_instance *self, const char *subject, const char *text, ...)
{
	int used = snprintf(self->last_event, sizeof(self->last_event), "%s: ", subject);
	va_list list;
	va_start(list, text);
	vsnprintf(self->last_event + used, sizeof(self->last_event) - (size_t)used, text, list);
	va_end(list);
}

static const struct cw_action *find_action(const struct cw_plugin *plugin, const char *name, uint32_t *ret_index)
{
	for (*ret_index = 0; *ret_index < plugin->actions.count; ++*ret_index) {
		const struct cw_action *action = cw_at(&plugin->actions, *ret_index);
		if (strcmp(action->name, name) == 0)
			return action;
	}
	fprintf(stderr, "no action %s\n", name);
	abort();
}

struct cw_task *plugin_host_act(struct cw_instance *self, const char *name, const char *const *arguments,
				const char *const *keys, uint32_t n)
{
	uint32_t index;
	const struct cw_action *action = find_action(self->plugin, name, &index);
	struct cw_task *task = calloc(1, sizeof(*task));
	task->arguments = calloc(1, sizeof(*task->arguments));
	tree_make(task->arguments, &action->arguments, arguments);
	task->instance = self;
	task->request = (struct cw_request){.size = sizeof(struct cw_request),
					    .action = index,
					    .arguments = &task->arguments->root,
					    .id = "task-1",
					    .by = "tester",
					    .keys = keys,
					    .keys_count = n};
	task->next = self->tasks;
	self->tasks = task;
	self->plugin->act(self->plugin_state, task, &task->request);
	return task;
}

static bool task_has_ended(struct cw_instance *self, const void *arg)
{
	(void)self;
	return ((const struct cw_task *)arg)->has_ended;
}

bool plugin_host_task_ends(struct cw_task *task, uint32_t deadline_ms)
{
	return plugin_host_wait(task->instance, task_has_ended, task, deadline_ms);
}

static void free_tasks(struct cw_instance *self)
{
	while (self->tasks) {
		struct cw_task *task = self->tasks;
		self->tasks = task->next;
		tree_free(task->arguments);
		free(task->arguments);
		free(task);
	}
}

/* ---- notifiers ---- */

static const char *keep_text(char *buffer, size_t size, const char *text)
{
	if (!text)
		return NULL;
	if (strlen(text) >= size) {
		fprintf(stderr, "the plugin hands back too much: %zu bytes\n", strlen(text));
		abort();
	}
	strcpy(buffer, text);
	return buffer;
}

static CW_PRINTF(3, 4) void host_notified(struct cw_instance *self, const struct cw_delivered *delivered,
					  const char *reason, ...)
{
	va_list list;
	if (self->is_notified) {
		fprintf(stderr, "the plugin settled the notices twice\n");
		abort();
	}
	self->is_notified = true;
	self->delivered = *delivered;
	self->delivered.progress =
		keep_text(self->delivered_progress, sizeof(self->delivered_progress), delivered->progress);
	self->delivered.receipt =
		keep_text(self->delivered_receipt, sizeof(self->delivered_receipt), delivered->receipt);
	self->delivered_reason[0] = '\0';
	va_start(list, reason);
	if (reason)
		vsnprintf(self->delivered_reason, sizeof(self->delivered_reason), reason, list);
	va_end(list);
	if (getenv("PLUGIN_HOST_VERBOSE"))
		fprintf(stderr, "notified %d: %s\n", delivered->outcome, self->delivered_reason);
}

static bool is_notified(struct cw_instance *self, const void *arg)
{
	(void)arg;
	return self->is_notified;
}

int plugin_host_notify(struct cw_instance *self, const struct cw_notice *const *notices, uint32_t n)
{
	self->is_notified = false;
	int status = self->plugin->notify(self->plugin_state, notices, n);
	if (status == CW_LATER)
		status = plugin_host_wait(self, is_notified, NULL, 30000) ? (int)self->delivered.outcome : -ETIMEDOUT;
	return status;
}

/* ---- queries ---- */

static int host_query_open(struct cw_instance *self, const struct cw_query_spec *spec, struct cw_query **ret_query,
			   char error[CW_QUERY_ERROR_MAX])
{
	return query_open(self->tables, spec, self->info.phones_full, ret_query, error);
}

static const struct cw_reader reader = {.size = sizeof(reader),
					.query_open = host_query_open,
					.query_columns = query_columns,
					.query_step = query_step,
					.query_info = query_info,
					.query_close = query_close};

static const struct cw_host host = {.abi_major = CW_ABI_MAJOR,
				    .abi_minor = CW_ABI_MINOR,
				    .size = sizeof(host),
				    .loop = host_loop,
				    .info = host_info,
				    .now = clock_now,
				    .wall = clock_wall,
				    .log = host_log,
				    .state = host_state,
				    .count_error = host_count_error,
				    .count_malformed = host_count_malformed,
				    .gauge = host_gauge,
				    .counter = host_counter,
				    .histogram = host_histogram,
				    .read_done = host_read_done,
				    .write_done = host_write_done,
				    .batch_ref = batch_ref,
				    .batch_unref = batch_unref,
				    .dropped = host_dropped,
				    .table_open = host_table_open,
				    .row_find = row_find,
				    .row_key = row_key,
				    .row_put = row_put,
				    .row_touch = row_touch,
				    .row_mark = row_mark,
				    .row_remove = row_remove,
				    .full_begin = full_begin,
				    .full_end = full_end,
				    .full_abort = full_abort,
				    .coverage = part_coverage,
				    .row_count = part_rows,
				    .choice_counts = part_choice_counts,
				    .resolve = host_resolve,
				    .resolve_cancel = host_resolve_cancel,
				    .declare = host_declare,
				    .sample = host_sample,
				    .lookup_open = host_lookup_open,
				    .lookup_ask = host_lookup_ask,
				    .lookup_close = host_lookup_close,
				    .answer = host_answer,
				    .examined = host_examined,
				    .task_progress = host_task_progress,
				    .task_item = host_task_item,
				    .task_end = host_task_end,
				    .event = host_event,
				    .reader = &reader,
				    .notified = host_notified};

/* ---- life ---- */

static void on_transition(void *arg, const struct transition *transition)
{
	struct cw_instance *self = arg;
	(void)transition;
	self->transitions++;
}

int plugin_host_start(struct cw_instance *self, const struct cw_plugin *plugin, bool once, const char *const *settings)
{
	*self = (struct cw_instance){.plugin = plugin,
				     .info = {.size = sizeof(struct cw_info),
					      .name = "test",
					      .host = "testhost",
					      .version = "0",
					      .interval = 5 * CW_SECOND,
					      .timeout = 5 * CW_SECOND,
					      .once = once}};
	struct option_tree *tree = calloc(1, sizeof(*tree));
	tree_make(tree, &plugin->options, settings);
	self->options = &tree->root;
	self->tables = tables_new(on_transition, self);
	uv_loop_init(&self->loop);
	return plugin->start(self, &host, self->options, &self->plugin_state);
}

void plugin_host_stop(struct cw_instance *self)
{
	struct option_tree *tree = (struct option_tree *)self->options;
	self->plugin->stop(self->plugin_state);
	uv_run(&self->loop, UV_RUN_DEFAULT);
	if (uv_loop_close(&self->loop) != 0) {
		fprintf(stderr, "the plugin left handles on the loop\n");
		abort();
	}
	self->plugin->release(self->plugin_state);
	declared_release(&self->declared);
	if (self->way) {
		fprintf(stderr, "the plugin left its way to a lookup open\n");
		abort();
	}
	plugin_host_forget(self);
	free_tasks(self);
	tables_free(self->tables);
	tree_free(tree);
	free(tree);
}

static void on_deadline(uv_timer_t *timer)
{
	(void)timer; /* only wakes the loop */
}

bool plugin_host_wait(struct cw_instance *self, bool (*done)(struct cw_instance *self, const void *arg),
		      const void *arg, uint32_t deadline_ms)
{
	uv_timer_t wake;
	uint64_t end = uv_hrtime() + (uint64_t)deadline_ms * 1000000;
	bool is_done;
	uv_timer_init(&self->loop, &wake);
	uv_timer_start(&wake, on_deadline, 5, 5);
	while (!(is_done = done(self, arg)) && uv_hrtime() < end)
		uv_run(&self->loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&wake, NULL);
	uv_run(&self->loop, UV_RUN_NOWAIT);
	return is_done;
}

static bool read_is_done(struct cw_instance *self, const void *arg)
{
	(void)arg;
	return self->read_is_done;
}

int plugin_host_read(struct cw_instance *self)
{
	self->samples_count = 0;
	self->read_is_done = false;
	int status = self->plugin->read(self->plugin_state);
	if (status == CW_LATER)
		status = plugin_host_wait(self, read_is_done, NULL, 20000) ? self->read_status : -ETIMEDOUT;
	return status;
}

int plugin_host_write(struct cw_instance *self, const struct cw_batch *batch)
{
	self->write_is_done = false;
	memset(self->dropped, 0, sizeof(self->dropped));
	return self->plugin->write(self->plugin_state, batch);
}

double plugin_host_sample(const struct cw_instance *self, const char *metric, const char *label)
{
	for (uint32_t i = 0; i < self->samples_count; i++) {
		const struct cw_metric *decl =
			declared_at(&self->declared, &self->plugin->metrics, self->samples[i].metric);
		if (strcmp(decl->name, metric) == 0 && (!label || strcmp(label, self->samples[i].label) == 0))
			return self->samples[i].value;
	}
	return NAN;
}

const struct plugin_host_sample *plugin_host_series(const struct cw_instance *self, const char *series)
{
	for (uint32_t i = self->samples_count; i > 0; i--)
		if (strcmp(self->samples[i - 1].series, series) == 0)
			return &self->samples[i - 1];
	return NULL;
}

/* ---- looking at tables ---- */

struct look {
	const struct cw_column *column;
	char text[512];
	uint64_t rows;
};

static int on_row(void *arg, const struct cw_cell *cells, uint32_t count)
{
	struct look *look = arg;
	look->rows++;
	cells += count - 1; /* instance and key come first */
	if (cells[0].type == CW_CELL_NULL)
		strcpy(look->text, "null");
	else if (cells[0].type == CW_CELL_TEXT)
		snprintf(look->text, sizeof(look->text), "%.*s", (int)cells[0].length, cells[0].text);
	else if (cells[0].type == CW_CELL_REAL)
		snprintf(look->text, sizeof(look->text), "%.3f", cells[0].real);
	else if (look->column->type == CW_CHOICE)
		snprintf(look->text, sizeof(look->text), "%s", look->column->choices[cells[0].integer]);
	else
		snprintf(look->text, sizeof(look->text), "%lld", (long long)cells[0].integer);
	return 0;
}

static uint64_t look(struct cw_instance *self, const char *table, const char *key, const char *column,
		     struct look *look)
{
	char error[CW_QUERY_ERROR_MAX];
	struct cw_query *query;
	struct cw_query_spec spec = {
		.table = table, .key = key, .columns = &column, .columns_count = 1, .reveal = true};
	uint32_t n = 0;
	if (query_open(self->tables, &spec, /* phones_full */ true, &query, error) < 0) {
		fprintf(stderr, "%s\n", error);
		abort();
	}
	const struct cw_column *columns = query_columns(query, &n);
	look->column = &columns[n - 1];
	while (query_step(query, CW_SECOND, on_row, look) == CW_LATER)
		;
	query_close(query);
	return look->rows;
}

const char *plugin_host_cell(struct cw_instance *self, const char *table, const char *key, const char *column)
{
	static struct look found;
	found = (struct look){0};
	return look(self, table, key, column, &found) ? found.text : NULL;
}

uint64_t plugin_host_rows(struct cw_instance *self, const char *table)
{
	struct look found = {0};
	return look(self, table, NULL, "instance", &found);
}

/* ---- check() ---- */

struct collected {
	struct cw_problems problems;
	char *buffer;
	size_t size;
};

static CW_PRINTF(3, 4) void collect(struct cw_problems *problems, const struct cw_value *value, const char *format, ...)
{
	struct collected *collected = (struct collected *)problems;
	size_t used = strlen(collected->buffer);
	(void)value;
	va_list list;
	va_start(list, format);
	vsnprintf(collected->buffer + used, collected->size - used - 1, format, list);
	va_end(list);
	strcat(collected->buffer, "\n");
}

void plugin_host_check(const struct cw_plugin *plugin, const char *const *settings, char *buffer, size_t size)
{
	struct option_tree tree;
	struct collected collected = {.problems = {collect, collect}, .buffer = buffer, .size = size};
	buffer[0] = '\0';
	tree_make(&tree, &plugin->options, settings);
	plugin->check(&tree.root, &collected.problems);
	tree_free(&tree);
}
