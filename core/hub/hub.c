/* SPDX-License-Identifier: MIT
 *
 * See hub.h. An actor with three mailboxes on one loop: orders (few, never turned away), batches and events (bounded).
 * Before a batch is looked at or the agent's own samples are made, the orders are taken, so an instance that was added
 * before its first batch was posted is known when the batch arrives.
 *
 * The books. All numbers count samples. For each source s and each output o that was there from the start, whenever
 * the hub looks (and so in every run of its own samples):
 *
 *     produced(s)   = routed(s) + dropped(s, hub_full)
 *     Σs routed(s)  = accepted(o) + filtered_out(o)
 *     accepted(o) + restored(o) = sent(o) + queued(o) + in its spool(o) + dropped(o, queue_full) + dropped(o, stopped)
 *                     + dropped(o, spool_full) + dropped(o, spool_corrupt)
 *                     + dropped(o, what the output itself cannot send: collision, invalid, refused)
 *
 * restored(o) is what an earlier process left in the output's spool. An output that is restarted goes on with the books
 * it had.
 *
 * The agent's own samples are a source (instance `agent`) in this. What a source could not make a sample of (invalid:
 * not finite; collision: a series twice at one time) was never produced, and is counted by the source under the same
 * words.
 */
#include "hub_private.h"

#include "clock.h"
#include "log.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { BATCHES_MAX = 16384, TRANSITIONS_MAX = 65536 };

static char *copy(const char *text)
{
	return text ? strdup(text) : NULL;
}

/* ---- what is posted ---- */

struct batch_mail {
	struct mail mail;
	struct hub *hub;
	const struct cw_batch *batch;
};

struct event_mail {
	struct mail mail;
	struct event event; /* texts owned */
};

struct order {
	struct mail mail;
	void (*carry_out)(struct hub *hub, struct order *order);
	char *name, *text; /* text: plugin or reason */
	enum cw_role role;
	struct instance_stats *stats;
	struct outqueue *queue;
	enum cw_state state;
	int64_t wall, next_try;
	bool ok;
};

static struct lost *lost_new(const char *name)
{
	struct lost *lost = calloc(1, sizeof(*lost));
	if (lost && !(lost->name = copy(name))) {
		free(lost);
		return NULL;
	}
	return lost;
}

static void count_lost(struct hub *hub, const char *name, uint64_t samples)
{
	pthread_mutex_lock(&hub->lost_lock);
	struct lost *lost = hub->lost;
	while (lost && strcmp(lost->name, name) != 0)
		lost = lost->next;
	if (!lost && (lost = lost_new(name))) {
		lost->next = hub->lost;
		hub->lost = lost;
	}
	if (lost)
		lost->samples += samples;
	pthread_mutex_unlock(&hub->lost_lock);
}

static void drop_batch(struct mail *mail)
{
	struct batch_mail *letter = (struct batch_mail *)mail;
	count_lost(letter->hub, letter->batch->instance, letter->batch->samples.count);
	batch_unref(letter->batch);
	free(letter);
}

static void deliver_batch(struct mail *mail, void *owner)
{
	struct batch_mail *letter = (struct batch_mail *)mail;
	struct hub *hub = owner;
	mailbox_drain(hub->orders);
	struct hub_instance *source = hub_find(hub, letter->batch->instance);
	if (source)
		source->routed += letter->batch->samples.count;
	hub_route(hub, letter->batch);
	batch_unref(letter->batch);
	free(letter);
}

void hub_post_batch(struct hub *hub, const struct cw_batch *batch)
{
	struct batch_mail *letter = batch ? malloc(sizeof(*letter)) : NULL;
	if (!letter) {
		if (batch)
			count_lost(hub, batch->instance, batch->samples.count);
		batch_unref(batch);
		return;
	}
	*letter = (struct batch_mail){{.deliver = deliver_batch, .drop = drop_batch}, hub, batch};
	if (mailbox_post(hub->batches, &letter->mail) < 0)
		drop_batch(&letter->mail);
}

static void drop_event(struct mail *mail)
{
	struct event_mail *letter = (struct event_mail *)mail;
	const struct event *event = &letter->event;
	const char *texts[] = {event->kind, event->subject, event->from, event->to, event->by, event->text};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		free((char *)(uintptr_t)texts[i]);
	free(letter);
}

static void deliver_event(struct mail *mail, void *owner)
{
	hub_keep_event(owner, &((struct event_mail *)mail)->event);
	drop_event(mail);
}

static void post_event(struct hub *hub, const struct event *event)
{
	struct event_mail *letter = calloc(1, sizeof(*letter));
	int status = -ENOMEM;
	if (letter) {
		letter->mail = (struct mail){.deliver = deliver_event, .drop = drop_event};
		letter->event = (struct event){.kind = copy(event->kind),
					       .subject = copy(event->subject),
					       .from = copy(event->from),
					       .to = copy(event->to),
					       .by = copy(event->by),
					       .text = copy(event->text),
					       .wall = event->wall};
		status = mailbox_post(hub->events, &letter->mail);
	}
	if (status < 0) {
		atomic_fetch_add_explicit(&hub->events_dropped, 1, memory_order_relaxed);
		if (letter)
			drop_event(&letter->mail);
	}
}

void hub_event(struct hub *hub, const char *kind, const char *subject, const char *from, const char *to, const char *by,
	       const char *text)
{
	post_event(hub, &(struct event){kind, subject, from, to, by, text, clock_wall()});
}

/* Runs on the thread that wrote the row. */
static void on_transition(void *arg, const struct transition *transition)
{
	struct hub *hub = arg;
	history_transition(hub->history, transition);
	alerting_hint(hub->alerting, transition);
	if (!hub_is_event(transition))
		return;
	char subject[1024];
	snprintf(subject, sizeof(subject), "%s/%s", transition->table, transition->key);
	post_event(hub, &(struct event){.kind = "transition",
					.subject = subject,
					.from = transition->from,
					.to = transition->to,
					.by = transition->instance,
					.text = transition->why,
					.wall = transition->wall});
}

struct instance_stats *instance_stats_new(void)
{
	struct instance_stats *stats = calloc(1, sizeof(*stats));
	if (stats)
		atomic_init(&stats->references, 1);
	return stats;
}

void instance_stats_unref(struct instance_stats *stats)
{
	if (stats && atomic_fetch_sub_explicit(&stats->references, 1, memory_order_acq_rel) == 1)
		free(stats);
}

static void order_release(const struct order *order)
{
	instance_stats_unref(order->stats);
	outqueue_unref(order->queue);
	free(order->name);
	free(order->text);
}

static void drop_order(struct mail *mail)
{
	order_release((struct order *)mail);
	free(mail);
}

static void deliver_order(struct mail *mail, void *owner)
{
	struct order *order = (struct order *)mail;
	order->carry_out(owner, order);
	drop_order(mail);
}

/* Takes over what the template owns; `name`, NULL if the order is about no instance, is copied. Without memory the
 * order is lost, what it owns is not. */
static void post_order(struct hub *hub, const char *name, const struct order *template)
{
	struct order *order = malloc(sizeof(*order));
	char *own_name = copy(name);
	if (!order || (name && !own_name)) {
		free(own_name);
		free(order);
		order_release(template);
		return;
	}
	*order = *template;
	order->name = own_name;
	order->mail = (struct mail){.deliver = deliver_order, .drop = drop_order};
	order->wall = clock_wall();
	if (mailbox_post(hub->orders, &order->mail) < 0)
		drop_order(&order->mail);
}

/* ---- instances ---- */

struct hub_instance *hub_find(struct hub *hub, const char *name)
{
	for (struct hub_instance *instance = hub->instances; instance; instance = instance->next)
		if (strcmp(instance->name, name) == 0)
			return instance;
	return NULL;
}

static uint64_t lost_of(struct hub *hub, const char *name)
{
	pthread_mutex_lock(&hub->lost_lock);
	struct lost *lost = hub->lost;
	while (lost && strcmp(lost->name, name) != 0)
		lost = lost->next;
	uint64_t samples = lost ? lost->samples : 0;
	pthread_mutex_unlock(&hub->lost_lock);
	return samples;
}

static uint64_t load(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

struct counters hub_counters(struct hub *hub, const struct hub_instance *instance)
{
	struct counters sum = instance->before;
	sum.routed = instance->routed;
	sum.hub_full = lost_of(hub, instance->name);
	const struct instance_stats *stats = instance->stats;
	if (stats) {
		sum.reads += load(&stats->reads);
		sum.errors += load(&stats->errors);
		sum.overruns += load(&stats->overruns);
		sum.malformed += load(&stats->malformed);
		sum.invalid += load(&stats->samples_invalid);
		sum.collided += load(&stats->samples_collided);
	}
	if (instance->queue)
		outqueue_counts(instance->queue, &sum.queue);
	return sum;
}

static void leave(struct hub *hub, struct hub_instance *instance)
{
	instance->before = hub_counters(hub, instance);
	instance->before.queue = (struct outqueue_counts){0};
	instance_stats_unref(instance->stats);
	outqueue_unref(instance->queue);
	instance->stats = NULL;
	instance->queue = NULL;
	instance->present = false;
	batch_builder_free(instance->builder); /* it may never come back */
	instance->builder = NULL;
}

static void add_instance(struct hub *hub, struct order *order)
{
	struct hub_instance *instance = hub_find(hub, order->name);
	if (!instance) {
		instance = calloc(1, sizeof(*instance));
		if (!instance)
			return;
		instance->name = order->name;
		order->name = NULL;
		instance->next = hub->instances;
		instance->row = -1;
		hub->instances = instance;
	} else if (instance->present) {
		leave(hub, instance);
	}
	free(instance->plugin);
	free(instance->reason);
	instance->plugin = order->text;
	instance->role = order->role;
	instance->stats = order->stats;
	instance->queue = order->queue;
	instance->present = true;
	instance->state = CW_STARTING;
	instance->reason = NULL;
	instance->since = order->wall;
	instance->next_try = 0;
	order->text = NULL;
	order->stats = NULL;
	order->queue = NULL;
	hub_show_instance(hub, instance);
	alerting_instance(hub->alerting, instance->name, instance->role, CW_STARTING, /* is_gone */ false);
}

static void set_state(struct hub *hub, struct order *order)
{
	struct hub_instance *instance = hub_find(hub, order->name);
	if (!instance || !instance->present)
		return;
	if (instance->state != order->state) {
		hub_keep_event(hub, &(struct event){.kind = "source",
						    .subject = instance->name,
						    .from = hub_state_names[instance->state],
						    .to = hub_state_names[order->state],
						    .text = order->text,
						    .wall = order->wall});
		instance->since = order->wall;
	}
	free(instance->reason);
	instance->state = order->state;
	instance->reason = order->text;
	instance->next_try = order->next_try;
	order->text = NULL;
	hub_show_instance(hub, instance);
	alerting_instance(hub->alerting, instance->name, instance->role, instance->state, /* is_gone */ false);
}

static void remove_instance(struct hub *hub, struct order *order)
{
	struct hub_instance *instance = hub_find(hub, order->name);
	if (!instance || !instance->present)
		return;
	hub_hide_instance(hub, instance);
	alerting_instance(hub->alerting, instance->name, instance->role, CW_DOWN, /* is_gone */ true);
	leave(hub, instance);
}

static void set_reload_outcome(struct hub *hub, struct order *order)
{
	hub->reload_ok = order->ok;
}

void hub_add_instance(struct hub *hub, const char *name, const char *plugin, enum cw_role role,
		      struct instance_stats *stats, struct outqueue *queue)
{
	if (stats)
		atomic_fetch_add_explicit(&stats->references, 1, memory_order_relaxed);
	post_order(hub, name,
		   &(struct order){.carry_out = add_instance,
				   .text = copy(plugin),
				   .role = role,
				   .stats = stats,
				   .queue = queue ? outqueue_ref(queue) : NULL});
}

void hub_set_state(struct hub *hub, const char *name, enum cw_state state, const char *reason, int64_t next_try_wall)
{
	post_order(hub, name,
		   &(struct order){
			   .carry_out = set_state, .text = copy(reason), .state = state, .next_try = next_try_wall});
}

void hub_remove_instance(struct hub *hub, const char *name)
{
	post_order(hub, name, &(struct order){.carry_out = remove_instance});
}

void hub_reload_outcome(struct hub *hub, bool ok)
{
	post_order(hub, NULL, &(struct order){.carry_out = set_reload_outcome, .ok = ok});
}

/* ---- the actor ---- */

void hub_route(struct hub *hub, const struct cw_batch *batch)
{
	for (struct hub_instance *instance = hub->instances; instance; instance = instance->next)
		if (instance->queue)
			outqueue_push(instance->queue, batch);
	alerting_samples(hub->alerting, batch);
}

static void on_tick(uv_timer_t *timer)
{
	struct hub *hub = timer->data;
	mailbox_drain(hub->orders);
	int64_t wall = clock_wall(), number = wall / hub->options.interval;
	for (struct hub_instance *instance = hub->instances; instance; instance = instance->next)
		if (instance->present)
			hub_show_counters(hub, instance);
	hub_tables_confirm(hub, wall);
	if (number != hub->last_sampled)
		self_metrics_route(hub, wall);
	hub->last_sampled = number;
}

static void on_stop(uv_async_t *async)
{
	struct hub *hub = async->data;
	mailbox_drain(hub->orders);
	mailbox_drain(hub->batches);
	mailbox_drain(hub->events);
	mailbox_close(hub->orders);
	mailbox_close(hub->batches);
	mailbox_close(hub->events);
	uv_close((uv_handle_t *)&hub->tick, NULL);
	uv_close((uv_handle_t *)&hub->stop, NULL);
}

static void *run(void *arg)
{
	struct hub *hub = arg;
	pthread_setname_np(pthread_self(), "hub");
	uv_run(&hub->loop, UV_RUN_DEFAULT);
	return NULL;
}

static int set_up_loop(struct hub *hub)
{
	int status = uv_loop_init(&hub->loop);
	if (status < 0)
		return status;
	uint64_t period = 1000, interval = (uint64_t)(hub->options.interval / CW_MILLISECOND);
	if (interval < period)
		period = interval ? interval : 1;
	uv_timer_init(&hub->loop, &hub->tick);
	hub->tick.data = hub->stop.data = hub;
	hub->last_sampled = clock_wall() / hub->options.interval;
	if ((status = uv_async_init(&hub->loop, &hub->stop, on_stop)) < 0 ||
	    (status = uv_timer_start(&hub->tick, on_tick, period, period)) < 0 ||
	    (status = mailbox_attach(hub->orders, &hub->loop, hub)) < 0 ||
	    (status = mailbox_attach(hub->batches, &hub->loop, hub)) < 0)
		return status;
	return mailbox_attach(hub->events, &hub->loop, hub);
}

/* A failure here is the end of the agent: what the loop already has stays as it is. */
int hub_start(struct hub *hub)
{
	int status = set_up_loop(hub);
	if (status == 0)
		status = -pthread_create(&hub->thread, /* attributes */ NULL, run, hub);
	hub->started = status == 0;
	return status;
}

void hub_stop(struct hub *hub)
{
	if (!hub->started)
		return;
	uv_async_send(&hub->stop);
	pthread_join(hub->thread, NULL);
	hub->started = false;
	if (uv_loop_close(&hub->loop) < 0)
		log_line(/* agent */ NULL, CW_ERROR, "the hub's loop has something left (a fault in callwatch)");
}

static int copy_options(struct hub *hub, const struct hub_options *options)
{
	hub->options = *options;
	hub->options.hostname = copy(options->hostname);
	hub->options.version = copy(options->version);
	hub->tags = calloc(options->tags_count + 1, sizeof(*hub->tags));
	if (!hub->options.hostname || !hub->options.version || !hub->tags)
		return -ENOMEM;
	for (uint32_t i = 0; i < options->tags_count; i++)
		hub->tags[i] = (struct cw_tag){copy(options->tags[i].name), copy(options->tags[i].value)};
	hub->options.tags = hub->tags;
	if (hub->options.interval <= 0)
		hub->options.interval = 10 * CW_SECOND;
	return 0;
}

struct hub *hub_new(const struct hub_options *options)
{
	struct hub *hub = calloc(1, sizeof(*hub));
	if (!hub)
		return NULL;
	pthread_mutex_init(&hub->lost_lock, /* attributes */ NULL);
	hub->reload_ok = true;
	hub->orders = mailbox_new(SIZE_MAX);
	hub->batches = mailbox_new(BATCHES_MAX);
	hub->events = mailbox_new(TRANSITIONS_MAX);
	hub->tables = tables_new(on_transition, hub);
	if (copy_options(hub, options) < 0 || !hub->orders || !hub->batches || !hub->events || !hub->tables ||
	    hub_tables_open(hub) < 0) {
		hub_free(hub);
		return NULL;
	}
	return hub;
}

void hub_use_history(struct hub *hub, struct history *history)
{
	hub->history = history;
	if (history)
		tables_keep_rows(hub->tables);
}

struct tables *hub_tables(struct hub *hub)
{
	return hub->tables;
}

void hub_set_alerting(struct hub *hub, struct alerting *alerting)
{
	hub->alerting = alerting;
}

static void free_instances(struct hub *hub)
{
	while (hub->instances) {
		struct hub_instance *instance = hub->instances;
		hub->instances = instance->next;
		instance_stats_unref(instance->stats);
		outqueue_unref(instance->queue);
		batch_builder_free(instance->builder);
		free(instance->name);
		free(instance->plugin);
		free(instance->reason);
		free(instance);
	}
}

void hub_free(struct hub *hub)
{
	if (!hub)
		return;
	hub_stop(hub);
	mailbox_unref(hub->orders);
	mailbox_unref(hub->batches);
	mailbox_unref(hub->events);
	free_instances(hub);
	while (hub->lost) {
		struct lost *next = hub->lost->next;
		free(hub->lost->name);
		free(hub->lost);
		hub->lost = next;
	}
	batch_builder_free(hub->builder);
	tables_free(hub->tables);
	for (uint32_t i = 0; hub->tags && i < hub->options.tags_count; i++) {
		free((char *)(uintptr_t)hub->tags[i].name);
		free((char *)(uintptr_t)hub->tags[i].value);
	}
	free(hub->tags);
	free((char *)(uintptr_t)hub->options.hostname);
	free((char *)(uintptr_t)hub->options.version);
	pthread_mutex_destroy(&hub->lost_lock);
	free(hub);
}
