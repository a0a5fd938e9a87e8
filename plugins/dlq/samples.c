/* SPDX-License-Identifier: MIT
 *
 * The readings. One begins a look and gives its samples when that has been answered, so that the depth is of this very
 * moment; the first waits for the first pass. Gauges are given only while the queue is seen; counters always.
 */
#include "dlq.h"

#include <errno.h>
#include <math.h>

enum metric {
	DEPTH,
	MESSAGES,
	GROUPS,
	ARRIVALS,
	DEPARTURES,
	OLDEST_AGE,
	OVERDUE_AGE_MAX,
	PASS_DURATION,
	ROUND_TRIP,
	COMMANDS
};
_Static_assert(COMMANDS + 1 == METRICS, "every metric has its index");

static const char *const state_values[] = {"waiting", "overdue", "failed", "unreadable", NULL};

const struct cw_metric dlq_metrics[METRICS] = {
	[DEPTH] = {.name = "dlq_depth",
		   .unit = "messages",
		   .help = "Messages in the queue, those beyond the window too",
		   .collectd_type = "queue_length"},
	[MESSAGES] = {.name = "dlq_messages",
		      .unit = "messages",
		      .help = "Messages in the window, by state, copies counted",
		      .labels = {{"state", state_values}}},
	[GROUPS] = {.name = "dlq_groups", .unit = "groups", .help = "Kinds of errors in the window"},
	[ARRIVALS] = {.name = "dlq_arrivals_total",
		      .kind = CW_COUNTER,
		      .unit = "messages",
		      .help = "Messages that came; arrivals less departures is the change of the depth"},
	[DEPARTURES] = {.name = "dlq_departures_total",
			.kind = CW_COUNTER,
			.unit = "messages",
			.help = "Messages that went, whoever took them"},
	[OLDEST_AGE] = {.name = "dlq_oldest_age_seconds",
			.unit = "seconds",
			.help = "Since the message of the window that was seen first was seen",
			.collectd_type = "duration"},
	[OVERDUE_AGE_MAX] = {.name = "dlq_overdue_age_max_seconds",
			     .unit = "seconds",
			     .help = "Since the next_retry_at that is longest past of an overdue message; 0: none is",
			     .collectd_type = "duration"},
	[PASS_DURATION] = {.name = "dlq_pass_age_seconds",
			   .unit = "seconds",
			   .help = "Since the last complete reading of the window began",
			   .collectd_type = "duration"},
	[ROUND_TRIP] = {.name = "dlq_round_trip_seconds",
			.unit = "seconds",
			.help = "Redis' last answer to TIME",
			.collectd_type = "duration"},
	[COMMANDS] = {.name = "dlq_commands_total",
		      .kind = CW_COUNTER,
		      .unit = "commands",
		      .help = "Commands sent to Redis"},
};

static double seconds(int64_t ns)
{
	return (double)ns / (double)CW_SECOND;
}

static void gauge(struct dlq *dlq, enum metric metric, const char *label, double value)
{
	dlq->host->gauge(dlq->self, metric, label ? (const char *const[]){label} : NULL, value);
}

static void counter(struct dlq *dlq, enum metric metric, uint64_t value)
{
	dlq->host->counter(dlq->self, metric, /* labels */ NULL, value);
}

/* A walk over all letters at each reading, as the tick does. */
static void give_letters(struct dlq *dlq)
{
	uint64_t counts[LETTER_STATES] = {0};
	int64_t oldest = INT64_MAX, due = INT64_MAX;
	for (uint32_t row = 0; row < dlq->letters.used; row++) {
		const struct letter *letter = &dlq->letters.items[row];
		if (!letter->is_known)
			continue;
		counts[letter->state] += letter->copies;
		if (letter->first_seen < oldest)
			oldest = letter->first_seen;
		if (letter->state == OVERDUE && letter->due < due)
			due = letter->due;
	}
	for (int i = 0; i < LETTER_STATES; i++)
		gauge(dlq, MESSAGES, state_values[i], (double)counts[i]);
	if (oldest != INT64_MAX)
		gauge(dlq, OLDEST_AGE, NULL, fmax(0, seconds(dlq->host->wall() - oldest)));
	gauge(dlq, OVERDUE_AGE_MAX, NULL, due == INT64_MAX ? 0 : fmax(0, seconds(dlq_wall(dlq) - due)));
	gauge(dlq, GROUPS, NULL, dlq->groups.count);
}

static void give_coverage(struct dlq *dlq)
{
	const struct look *look = &dlq->look;
	uint64_t rows = dlq->letters.known;
	struct cw_coverage coverage = {.from = dlq->pass.last_began_wall,
				       .to = dlq->pass.last_end_wall,
				       .complete = dlq->pass.ever && dlq_holds_all(dlq),
				       .ratio = dlq->pass.ever ? 1 : (double)NAN};
	if (dlq->pass.ever && !dlq_holds_all(dlq) && look->depth > 0 && rows < look->depth)
		coverage.ratio = (double)rows / (double)look->depth;
	dlq->host->coverage(dlq->part, &coverage);
	dlq->host->coverage(dlq->groups_part, &coverage);
}

void samples_give(struct dlq *dlq)
{
	bool sees = redis_is_up(dlq->commands) && dlq->look.has_depth && !dlq->refused[0] && !dlq->pass.is_first;
	if (dlq->pass.ever) {
		groups_show(&dlq->groups, dlq->host, dlq->groups_part, dlq->host->wall());
		give_coverage(dlq);
	}
	if (sees) {
		gauge(dlq, DEPTH, NULL, (double)dlq->look.depth);
		give_letters(dlq);
		gauge(dlq, PASS_DURATION, NULL, seconds(dlq->host->now() - dlq->pass.last_began));
		gauge(dlq, ROUND_TRIP, NULL, seconds(dlq->round_trip));
	}
	counter(dlq, ARRIVALS, dlq->arrivals);
	counter(dlq, DEPARTURES, dlq->departures);
	counter(dlq, COMMANDS,
		dlq->commands_before + redis_commands_sent(dlq->commands) + redis_commands_sent(dlq->channel) +
			checks_commands(dlq->checks));
}

int samples_read(void *state)
{
	struct dlq *dlq = state;
	if (!redis_is_up(dlq->commands) && dlq->reason[0]) {
		samples_give(dlq);
		return -ENOTCONN;
	}
	dlq->read_waits = true;
	dlq->read_ticks = 0;
	look_begin(dlq);
	return CW_LATER;
}
