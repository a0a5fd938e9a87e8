/* SPDX-License-Identifier: MIT
 *
 * The ears of alerting: what other threads say, and how little of it is passed on. A transition of a table that no rule
 * looks at costs a hash of its name and one atomic look; a sample that nobody wants, a look into a memory by the
 * metric's address. Nothing is allocated for either.
 *
 * The bits of tables may say yes for a table that nobody wants (then the thread `alerts` throws the hint away), never
 * wrongly no. Hints and batches are bounded: what finds no room is made good by a pass, or by the next sample.
 */
#include "alerting_private.h"

#include "batch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { HINT_BYTES_MAX = 8192 };

static uint64_t table_bit(const char *table)
{
	uint32_t hash = 2166136261u;
	for (; *table; table++)
		hash = (hash ^ (unsigned char)*table) * 16777619u;
	return (uint64_t)1 << (hash >> 26);
}

/* ---- hints ---- */

struct hint_mail {
	struct mail mail;
	size_t instance, key; /* where they begin in `texts`; the table is first */
	char texts[];
};

static void drop_mail(struct mail *mail)
{
	free(mail);
}

static void on_hint(struct mail *mail, void *owner)
{
	struct alerting *alerting = owner;
	const struct hint_mail *hint = (const struct hint_mail *)mail;
	rows_hint(alerting->rows, hint->texts, hint->texts + hint->instance, hint->texts + hint->key);
	alerting_turn(alerting);
	free(mail);
}

static struct hint_mail *hint_new(const struct transition *transition)
{
	size_t table = strlen(transition->table) + 1, instance = strlen(transition->instance) + 1,
	       key = strlen(transition->key) + 1;
	struct hint_mail *hint = malloc(sizeof *hint + table + instance + key);
	if (!hint)
		return NULL;
	hint->mail = (struct mail){.deliver = on_hint, .drop = drop_mail};
	hint->instance = table;
	hint->key = table + instance;
	memcpy(hint->texts, transition->table, table);
	memcpy(hint->texts + hint->instance, transition->instance, instance);
	memcpy(hint->texts + hint->key, transition->key, key);
	return hint;
}

void alerting_hint(struct alerting *alerting, const struct transition *transition)
{
	if (!alerting)
		return;
	struct listening *listening = &alerting->listening;
	uint64_t bit = table_bit(transition->table);
	if (!(atomic_load_explicit(&listening->tables, memory_order_relaxed) & bit) ||
	    atomic_load_explicit(&listening->is_deaf, memory_order_relaxed))
		return;
	struct hint_mail *hint = hint_new(transition);
	if (hint && mailbox_post(alerting->hints, &hint->mail) == 0)
		return;
	free(hint);
	atomic_fetch_or_explicit(&listening->lost, bit, memory_order_relaxed);
}

void listening_make_good(struct alerting *alerting)
{
	uint64_t lost = atomic_exchange_explicit(&alerting->listening.lost, 0, memory_order_relaxed);
	uint32_t count = lost && alerting->ruleset ? ruleset_count(alerting->ruleset) : 0;
	for (uint32_t i = 0; i < count; i++) {
		const struct rule *rule = ruleset_at(alerting->ruleset, i);
		if (rule->kind == RULE_ROWS && (table_bit(rule->table) & lost))
			rows_pass_soon(alerting->rows, rule->table);
	}
}

/* ---- samples ---- */

struct batch_mail {
	struct mail mail;
	const struct cw_batch *batch; /* a reference */
};

static void drop_batch(struct mail *mail)
{
	batch_unref(((struct batch_mail *)mail)->batch);
	free(mail);
}

static void on_batch(struct mail *mail, void *owner)
{
	struct alerting *alerting = owner;
	const struct cw_batch *batch = ((struct batch_mail *)mail)->batch;
	struct moment now = alerting_now(alerting);
	for (uint32_t i = 0; alerting->is_read && i < batch->samples.count; i++)
		engine_sample(alerting->engine, batch->host, batch->instance, cw_at(&batch->samples, i), now);
	alerting_turn(alerting);
	drop_batch(mail);
}

static bool is_named(struct listening *listening, const char *metric)
{
	bool found = false;
	pthread_mutex_lock(&listening->lock);
	for (char **name = listening->names; name && *name && !found; name++)
		found = strcmp(*name, metric) == 0;
	pthread_mutex_unlock(&listening->lock);
	return found;
}

/* On the hub's thread, whose the memory is. */
static bool is_wanted(struct listening *listening, const struct cw_metric *metric)
{
	size_t place = ((uintptr_t)metric >> 4 ^ (uintptr_t)metric >> 14) % MEMO_METRICS;
	struct memo *memo = &listening->memo[place];
	if (memo->metric != metric) {
		memo->metric = metric;
		memo->is_wanted = metric->kind != CW_HISTOGRAM && is_named(listening, metric->name);
	}
	return memo->is_wanted;
}

static bool wants(struct listening *listening, const struct cw_batch *batch)
{
	uint32_t version = atomic_load_explicit(&listening->version, memory_order_acquire);
	if (listening->memo_version != version) {
		memset(listening->memo, 0, sizeof listening->memo);
		listening->memo_version = version;
	}
	for (uint32_t i = 0; i < batch->samples.count; i++)
		if (is_wanted(listening, ((const struct cw_sample *)cw_at(&batch->samples, i))->metric))
			return true;
	return false;
}

void alerting_samples(struct alerting *alerting, const struct cw_batch *batch)
{
	if (!alerting || atomic_load_explicit(&alerting->listening.is_deaf, memory_order_relaxed) ||
	    !wants(&alerting->listening, batch))
		return;
	struct batch_mail *letter = malloc(sizeof *letter);
	if (letter) {
		*letter = (struct batch_mail){{.deliver = on_batch, .drop = drop_batch}, batch_ref(batch)};
		if (mailbox_post(alerting->samples, &letter->mail) == 0)
			return;
		drop_batch(&letter->mail);
	}
	atomic_fetch_add_explicit(&alerting->listening.samples_lost, 1, memory_order_relaxed);
}

/* ---- what is listened for ---- */

static void free_names(char **names)
{
	for (char **name = names; name && *name; name++)
		free(*name);
	free(names);
}

/* Twice is no harm. NULL: no memory. */
static char **collect_names(const struct ruleset *ruleset)
{
	uint32_t rules = ruleset ? ruleset_count(ruleset) : 0, count = 0, n = 0;
	for (uint32_t i = 0; i < rules; i++)
		count += 1 + ruleset_at(ruleset, i)->guards_count;
	char **names = calloc(count + 1, sizeof(char *));
	for (uint32_t i = 0; names && i < rules; i++) {
		const struct rule *rule = ruleset_at(ruleset, i);
		if (rule->sleeps)
			continue;
		if (rule->kind == RULE_SAMPLES && (names[n] = strdup(rule->selector.metric)))
			n++;
		for (uint32_t k = 0; k < rule->guards_count; k++)
			if ((names[n] = strdup(rule->guards[k].selector.metric)))
				n++;
	}
	return names;
}

int listening_use(struct alerting *alerting, const struct ruleset *ruleset)
{
	struct listening *listening = &alerting->listening;
	uint64_t tables = 0;
	for (uint32_t i = 0; ruleset && i < ruleset_count(ruleset); i++) {
		const struct rule *rule = ruleset_at(ruleset, i);
		if (rule->kind == RULE_ROWS && !rule->sleeps)
			tables |= table_bit(rule->table);
	}
	char **names = collect_names(ruleset);
	if (!names)
		return -ENOMEM;
	pthread_mutex_lock(&listening->lock);
	char **before = listening->names;
	listening->names = names;
	pthread_mutex_unlock(&listening->lock);
	free_names(before);
	atomic_store_explicit(&listening->tables, tables, memory_order_relaxed);
	atomic_fetch_add_explicit(&listening->version, 1, memory_order_release);
	return 0;
}

void listening_release(struct alerting *alerting)
{
	free_names(alerting->listening.names);
	pthread_mutex_destroy(&alerting->listening.lock);
}
