/* SPDX-License-Identifier: MIT
 *
 * See words.h.
 */
#include "words.h"

#include "clock.h"
#include "instance_private.h"
#include "text.h"

#include <stdio.h>
#include <string.h>

static const int64_t fresh_drop_ns = 60 * CW_SECOND;    /* a drop is trouble now … */
static const int64_t recent_drop_ns = 3600 * CW_SECOND; /* … or worth a word */

static int64_t load(const _Atomic int64_t *value)
{
	return atomic_load_explicit(value, memory_order_relaxed);
}

static unsigned long long count_of(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

/* Of its own thread this is no question: it speaks. */
static bool is_stuck(struct instance *self, char why[INSTANCE_REASON_MAX])
{
	return instance_speaking != self && instance_is_silent(self, why);
}

enum cw_verdict words_of_state(struct instance *self, char text[WORDS_MAX])
{
	static const enum cw_verdict verdicts[] = {CW_CHECK_WARNING, CW_CHECK_OK, CW_CHECK_WARNING, CW_CHECK_FAILED};
	char next_try[64] = "", reason[INSTANCE_REASON_MAX];
	if (is_stuck(self, reason)) {
		snprintf(text, WORDS_MAX, "stuck: %s", reason);
		return CW_CHECK_FAILED;
	}
	pthread_mutex_lock(&self->lock);
	int64_t wall = clock_wall();
	enum cw_state state = instance_shown(self, reason);
	if (self->next_try > wall)
		snprintf(next_try, sizeof next_try, "; next try in %s", text_ns(self->next_try - wall).text);
	snprintf(text, WORDS_MAX, "%s for %s%s%s%s", hub_state_names[state], text_ns(wall - self->state_since).text,
		 *reason ? ": " : "", reason, next_try);
	pthread_mutex_unlock(&self->lock);
	return verdicts[state];
}

enum cw_verdict words_of_readings(struct instance *self, char text[WORDS_MAX])
{
	int64_t last_ok = load(&self->stats->last_ok), interval = self->info.interval;
	int64_t age = clock_wall() - last_ok;
	if (last_ok == 0) {
		snprintf(text, WORDS_MAX, "no reading has succeeded yet, one is due every %s", text_ns(interval).text);
		return CW_CHECK_WARNING;
	}
	if (age > 3 * interval + self->info.timeout) {
		snprintf(text, WORDS_MAX, "the last good reading was %s ago, though one is due every %s",
			 text_ns(age).text, text_ns(interval).text);
		return CW_CHECK_FAILED;
	}
	snprintf(text, WORDS_MAX, "the last good reading was %s ago and took %s; one is due every %s",
		 text_ns(age).text, text_ns(load(&self->stats->read_ns)).text, text_ns(interval).text);
	return CW_CHECK_OK;
}

/* "; 12 dropped (12 queue_full), the last 3s ago", by the reasons of samples_dropped_total. */
static void say_dropped(const struct outqueue_counts *counts, int64_t last_drop, char *text, size_t size)
{
	const struct {
		const char *reason;
		unsigned long long count;
	} drops[] = {
		{"queue_full", counts->dropped_full},
		{"stopped", counts->dropped_stop},
		{"spool_full", counts->spool.dropped_full},
		{"spool_corrupt", counts->spool.dropped_corrupt},
		{"collision", counts->dropped_by_output[CW_DROP_COLLISION]},
		{"invalid", counts->dropped_by_output[CW_DROP_INVALID]},
		{"refused", counts->dropped_by_output[CW_DROP_REFUSED]},
	};
	char reasons[160] = "";
	for (size_t i = 0; i < sizeof drops / sizeof *drops; i++)
		if (drops[i].count)
			snprintf(reasons + strlen(reasons), sizeof reasons - strlen(reasons), "%s%llu %s",
				 *reasons ? ", " : "", drops[i].count, drops[i].reason);
	snprintf(text, size, "; %llu dropped (%s), the last %s ago", (unsigned long long)outqueue_dropped(counts),
		 reasons, text_ns(clock_wall() - last_drop).text);
}

enum cw_verdict words_of_queue(struct instance *self, char text[WORDS_MAX])
{
	struct outqueue_counts counts = {0};
	char sent[64] = "nothing has been sent yet", dropped[256] = "; nothing dropped", spooled[64] = "";
	int64_t last_ok = load(&self->stats->last_ok), last_drop = load(&self->stats->last_drop);
	int64_t since_drop = clock_wall() - last_drop;
	outqueue_counts(self->queue, &counts);
	bool waits = counts.queued + counts.spool.held > 0;
	bool overflows =
		last_drop && since_drop < fresh_drop_ns && waits && counts.dropped_full + counts.spool.dropped_full > 0;
	bool worth_a_word = (last_drop && since_drop < recent_drop_ns) || (!last_ok && counts.accepted > 0);
	if (last_ok)
		snprintf(sent, sizeof sent, "last sent %s ago", text_ns(clock_wall() - last_ok).text);
	if (last_drop)
		say_dropped(&counts, last_drop, dropped, sizeof dropped);
	if (counts.spool.held)
		snprintf(spooled, sizeof spooled, " and %llu more on disk", (unsigned long long)counts.spool.held);
	snprintf(text, WORDS_MAX, "%s; %llu samples wait%s%s%s", sent, (unsigned long long)counts.queued, spooled,
		 dropped,
		 overflows ? ": the receiver takes less than is sent to it; mend it, or choose fewer with `metrics:`"
			   : "");
	return overflows ? CW_CHECK_FAILED : worth_a_word ? CW_CHECK_WARNING : CW_CHECK_OK;
}

void words_of_counts(struct instance *self, char text[WORDS_MAX])
{
	const struct instance_stats *stats = self->stats;
	if (self->decl->read && role_is_source(self->decl->role))
		snprintf(text, WORDS_MAX, "%llu errors, %llu readings, %llu overruns, %llu malformed",
			 count_of(&stats->errors), count_of(&stats->reads), count_of(&stats->overruns),
			 count_of(&stats->malformed));
	else
		snprintf(text, WORDS_MAX, "%llu errors", count_of(&stats->errors));
}
