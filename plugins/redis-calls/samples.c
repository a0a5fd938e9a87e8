/* SPDX-License-Identifier: MIT
 *
 * The readings: what is known is turned into samples. Nothing is asked here, so a reading never waits and never fails
 * half-way. Gauges about calls are given only when every call has been seen since the connection was made; counters
 * always. What is not known is no sample: the share of stale calls among none is not 0.
 */
#include "businesses.h"
#include "text.h"
#include "watch.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum metric {
	CALLS_ACTIVE,
	CALLS_STARTED,
	CALLS_ENDED,
	STALE_RATIO,
	UNHEALTHY_RATIO,
	SHORT_RATIO,
	ENDED_RECENTLY,
	CAPACITY_RATIO,
	DURATION,
	DURATION_MAX,
	HEARTBEAT_AGE_MAX,
	BUSINESS_CALLS,
	HEARTBEATS,
	HEARTBEAT_DELAY,
	ROUND_TRIP,
	CLOCK_SKEW,
	COMMANDS,
	SWEEP_DURATION,
	SWEEP_AGE,
	SWEEP_COVERAGE,
	MALFORMED_TOTAL,
	CHANNEL_UP_METRIC,
	CHANNEL_MESSAGES
};
_Static_assert(CHANNEL_MESSAGES + 1 == METRICS, "every metric has its index");

static const char *const health_values[] = {"healthy", "warning", "stale", NULL};
static const char *const via_values[] = {"pubsub", "key", NULL};
static const double duration_bounds[] = {10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400};
static const double delay_bounds[] = {0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60};
enum { DURATION_BOUNDS = 10, DELAY_BOUNDS = 10 };

const struct cw_metric watch_metrics[METRICS] = {
	[CALLS_ACTIVE] = {.name = "calls_active",
			  .unit = "calls",
			  .help = "Calls in progress, by health",
			  .labels = {{"health", health_values}}},
	[CALLS_STARTED] = {.name = "calls_started_total",
			   .kind = CW_COUNTER,
			   .unit = "calls",
			   .help = "Calls seen to start; those found by the first sweep are not counted"},
	[CALLS_ENDED] = {.name = "calls_ended_total",
			 .kind = CW_COUNTER,
			 .unit = "calls",
			 .help = "Calls seen to end, by the health they had; those of a flushed Redis are not counted",
			 .labels = {{"last_health", health_values}}},
	[STALE_RATIO] = {.name = "calls_stale_ratio", .unit = "ratio", .help = "Stale calls among all calls"},
	[UNHEALTHY_RATIO] = {.name = "calls_unhealthy_ratio",
			     .unit = "ratio",
			     .help = "Calls in warning or stale among all calls"},
	[SHORT_RATIO] = {.name = "calls_short_ratio",
			 .unit = "ratio",
			 .help = "Of the calls ended in the last 5 minutes, how many lasted less than short_after"},
	[ENDED_RECENTLY] = {.name = "calls_ended_recently",
			    .unit = "calls",
			    .help = "Calls ended in the last 5 minutes: of how many calls_short_ratio is a share"},
	[CAPACITY_RATIO] = {.name = "calls_capacity_used_ratio",
			    .unit = "ratio",
			    .help = "Calls in progress as a share of the option capacity"},
	[DURATION] = {.name = "call_duration_seconds",
		      .kind = CW_HISTOGRAM,
		      .unit = "seconds",
		      .help = "How long ended calls lasted",
		      .bounds = duration_bounds,
		      .bounds_count = DURATION_BOUNDS},
	[DURATION_MAX] = {.name = "call_duration_max_seconds",
			  .unit = "seconds",
			  .help = "Age of the longest call in progress",
			  .collectd_type = "duration"},
	[HEARTBEAT_AGE_MAX] = {.name = "call_heartbeat_age_max_seconds",
			       .unit = "seconds",
			       .help = "Age of the oldest last heartbeat of a call in progress",
			       .collectd_type = "duration"},
	[BUSINESS_CALLS] = {.name = "business_calls_active",
			    .unit = "calls",
			    .help = "Calls in progress of the businesses with most; the rest is _other",
			    .labels = {{"business", NULL}}},
	[HEARTBEATS] =
		{.name = "heartbeats_total",
		 .kind = CW_COUNTER,
		 .unit = "heartbeats",
		 .help = "Signs of life of known calls, by how they came: by pub/sub, or as a key that had advanced",
		 .labels = {{"via", via_values}}},
	[HEARTBEAT_DELAY] = {.name = "heartbeat_delay_seconds",
			     .kind = CW_HISTOGRAM,
			     .unit = "seconds",
			     .help = "From the time in a heartbeat's message to its receipt",
			     .bounds = delay_bounds,
			     .bounds_count = DELAY_BOUNDS},
	[ROUND_TRIP] = {.name = "redis_round_trip_seconds",
			.unit = "seconds",
			.help = "Redis' last answer to a single command",
			.collectd_type = "duration"},
	[CLOCK_SKEW] = {.name = "redis_clock_skew_seconds", .unit = "seconds", .help = "Redis' clock minus ours"},
	[COMMANDS] = {.name = "redis_commands_total",
		      .kind = CW_COUNTER,
		      .unit = "commands",
		      .help = "Commands sent to Redis"},
	[SWEEP_DURATION] = {.name = "sweep_duration_seconds",
			    .unit = "seconds",
			    .help = "How long the last complete sweep took",
			    .collectd_type = "duration"},
	[SWEEP_AGE] = {.name = "sweep_age_seconds",
		       .unit = "seconds",
		       .help = "Since the last complete sweep began: no row is confirmed longer ago",
		       .collectd_type = "duration"},
	[SWEEP_COVERAGE] = {.name = "sweep_coverage_ratio",
			    .unit = "ratio",
			    .help = "Calls confirmed within sweep.max_age among all"},
	[MALFORMED_TOTAL] =
		{.name = "malformed_total",
		 .kind = CW_COUNTER,
		 .unit = "",
		 .help = "Things read that were not as they should be, by kind; once for each call and kind",
		 .labels = {{"kind", malformed_names}}},
	[CHANNEL_UP_METRIC] =
		{.name = "channel_up",
		 .unit = "",
		 .help = "1 if the channel is subscribed, its connection answers, and it is not silent while "
			 "calls beat",
		 .labels = {{"channel", NULL}}},
	[CHANNEL_MESSAGES] = {.name = "channel_messages_total",
			      .kind = CW_COUNTER,
			      .unit = "messages",
			      .help = "Messages received on the channel",
			      .labels = {{"channel", NULL}}},
};

static double seconds(int64_t ns)
{
	return (double)ns / (double)CW_SECOND;
}

/* ---- what is counted as it happens ---- */

void histogram_add(struct histogram *histogram, const double *bounds, uint32_t n, double value)
{
	uint32_t i = 0;
	while (i < n && value > bounds[i])
		i++;
	histogram->buckets[i]++;
	histogram->count++;
	histogram->sum += value;
}

void samples_delay(struct watch *watch, int64_t delay)
{
	histogram_add(&watch->delays, delay_bounds, DELAY_BOUNDS, delay > 0 ? seconds(delay) : 0);
}

/* The last 5 minutes are 10 bins of 30 s. */
static int64_t bin_of(int64_t now)
{
	return now / (30 * CW_SECOND);
}

void samples_ended(struct watch *watch, const struct call *call)
{
	int64_t now = watch->host->now(), bin = bin_of(now);
	if (!(call->flags & CALL_STARTED))
		return;
	int64_t duration = now - watch->origin - (int64_t)call->start_s * CW_SECOND;
	if (duration < 0)
		duration = 0;
	histogram_add(&watch->durations, duration_bounds, DURATION_BOUNDS, seconds(duration));
	uint32_t i = (uint32_t)(bin % ENDED_BINS);
	if (watch->recent_ends[i].bin != bin) {
		watch->recent_ends[i].bin = bin;
		watch->recent_ends[i].ended = watch->recent_ends[i].brief = 0;
	}
	watch->recent_ends[i].ended++;
	watch->recent_ends[i].brief += duration < watch->settings.short_after;
}

static int compare_int64(const void *a, const void *b)
{
	int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
	return (left > right) - (left < right);
}

int64_t samples_slow(const struct watch *watch)
{
	int64_t sorted[ROUND_TRIPS];
	uint32_t n = watch->round_trips_count < ROUND_TRIPS ? watch->round_trips_count : ROUND_TRIPS;
	if (n == 0)
		return 0;
	memcpy(sorted, watch->round_trips, n * sizeof(sorted[0]));
	qsort(sorted, n, sizeof(sorted[0]), compare_int64);
	return sorted[(n - 1) * 95 / 100];
}

/* ---- the reading ---- */

static void gauge(struct watch *watch, enum metric metric, double value)
{
	watch->host->gauge(watch->self, metric, /* labels */ NULL, value);
}

static void give_shares(struct watch *watch)
{
	uint64_t counts[HEALTHS] = {0}, total = 0;
	watch->host->choice_counts(watch->calls_part, COLUMN_HEALTH, counts, HEALTHS);
	for (int i = 0; i < HEALTHS; i++) {
		watch->host->gauge(watch->self, CALLS_ACTIVE, (const char *const[]){health_values[i]},
				   (double)counts[i]);
		total += counts[i];
	}
	if (total) {
		gauge(watch, STALE_RATIO, (double)counts[STALE] / (double)total);
		gauge(watch, UNHEALTHY_RATIO, (double)(total - counts[HEALTHY]) / (double)total);
	}
	if (watch->settings.capacity)
		gauge(watch, CAPACITY_RATIO, (double)total / watch->settings.capacity);
}

/* A walk over all entries: of a million calls 40 MB are read in each interval, cheaper than to keep an order. */
static void give_oldest(struct watch *watch)
{
	int64_t now = watch->host->now(), oldest_beat = INT64_MAX, oldest_start = INT64_MAX;
	for (uint32_t i = 0; i < watch->calls.used; i++) {
		const struct call *call = &watch->calls.items[i];
		if ((call->flags & (CALL_KNOWN | CALL_BEAT)) == (CALL_KNOWN | CALL_BEAT) && call->alive < oldest_beat)
			oldest_beat = call->alive;
		if ((call->flags & (CALL_KNOWN | CALL_STARTED)) == (CALL_KNOWN | CALL_STARTED) &&
		    call->start_s < oldest_start)
			oldest_start = call->start_s;
	}
	if (oldest_beat != INT64_MAX)
		gauge(watch, HEARTBEAT_AGE_MAX, seconds(now - oldest_beat));
	if (oldest_start != INT64_MAX)
		gauge(watch, DURATION_MAX, fmax(0, seconds(now - watch->origin) - (double)oldest_start));
}

static void give_short_ratio(struct watch *watch)
{
	uint64_t ended = 0, brief = 0;
	int64_t bin = bin_of(watch->host->now());
	for (int i = 0; i < ENDED_BINS; i++)
		if (bin - watch->recent_ends[i].bin < ENDED_BINS) {
			ended += watch->recent_ends[i].ended;
			brief += watch->recent_ends[i].brief;
		}
	gauge(watch, ENDED_RECENTLY, (double)ended);
	if (ended)
		gauge(watch, SHORT_RATIO, (double)brief / (double)ended);
}

static void give_business(void *arg, const char *name, uint64_t calls)
{
	struct watch *watch = arg;
	char label[3 * FIELD_MAX + 1];
	if (name)
		text_utf8(label, sizeof(label), name, strlen(name));
	watch->host->gauge(watch->self, BUSINESS_CALLS, (const char *const[]){name ? label : "_other"}, (double)calls);
}

double samples_coverage(const struct watch *watch)
{
	const struct sweep *sweep = &watch->sweep;
	if (!sweep->ever)
		return NAN;
	if (watch->host->now() - sweep->last_began <= watch->settings.max_age)
		return 1;
	uint64_t known = watch->host->row_count(watch->calls_part);
	if (!sweep->running || known == 0)
		return 0;
	return sweep->found < known ? (double)sweep->found / (double)known : 1;
}

static void give_gauges(struct watch *watch)
{
	give_shares(watch);
	give_oldest(watch);
	give_short_ratio(watch);
	if (watch->settings.breakdown)
		businesses_top(watch->calls.businesses, watch->settings.top, watch->calls.known, give_business, watch);
	gauge(watch, SWEEP_DURATION, seconds(watch->sweep.last_duration));
	gauge(watch, SWEEP_AGE, seconds(watch->host->now() - watch->sweep.last_began));
	gauge(watch, SWEEP_COVERAGE, samples_coverage(watch));
	if (watch->round_trips_count) {
		gauge(watch, ROUND_TRIP, seconds(watch->round_trips[(watch->round_trips_count - 1) % ROUND_TRIPS]));
		gauge(watch, CLOCK_SKEW, seconds(watch->skew));
	}
}

static void counter(struct watch *watch, enum metric metric, const char *label, uint64_t value)
{
	watch->host->counter(watch->self, metric, label ? (const char *const[]){label} : NULL, value);
}

static void give_histogram(struct watch *watch, enum metric metric, const struct histogram *histogram)
{
	struct cw_histogram value = {.buckets = histogram->buckets, .count = histogram->count, .sum = histogram->sum};
	watch->host->histogram(watch->self, metric, /* labels */ NULL, &value);
}

static void give_counters(struct watch *watch)
{
	counter(watch, CALLS_STARTED, NULL, watch->started);
	for (int i = 0; i < HEALTHS; i++)
		counter(watch, CALLS_ENDED, health_values[i], watch->ended[i]);
	give_histogram(watch, DURATION, &watch->durations);
	for (int i = 0; i < VIAS; i++)
		counter(watch, HEARTBEATS, via_values[i], watch->beats[i]);
	give_histogram(watch, HEARTBEAT_DELAY, &watch->delays);
	counter(watch, COMMANDS, NULL,
		watch->commands_before + redis_commands_sent(watch->commands) + redis_commands_sent(watch->channels) +
			redis_commands_sent(watch->keyspace) + checks_commands(watch->checks));
	for (int i = 0; i < MALFORMED_KINDS; i++)
		counter(watch, MALFORMED_TOTAL, malformed_names[i], watch->malformed[i]);
	for (int i = 0; i < CHANNELS; i++)
		counter(watch, CHANNEL_MESSAGES, watch->settings.channels[i], watch->channel[i].messages);
}

static void give_channels(struct watch *watch)
{
	if (watch->info->once)
		return; /* nothing was listened to */
	for (int i = 0; i < CHANNELS; i++)
		watch->host->gauge(watch->self, CHANNEL_UP_METRIC, (const char *const[]){watch->settings.channels[i]},
				   watch->channel[i].state == CHANNEL_UP);
}

static void give(struct watch *watch)
{
	struct cw_coverage coverage = {.from = watch->sweep.last_began_wall,
				       .to = watch->sweep.confirmed_wall,
				       .complete = watch->sweep.ever,
				       .ratio = samples_coverage(watch)};
	watch->host->coverage(watch->calls_part, &coverage);
	if (!watch->info->once)
		events_show(watch);
	if (!watch->blind)
		give_gauges(watch);
	give_channels(watch);
	give_counters(watch);
}

/* The first reading waits for the first sweep: nothing was there to be read before. */
int watch_read(void *state)
{
	struct watch *watch = state;
	if (!watch->sweep.ever && !watch->first_failed) {
		watch->first_waits = true;
		return CW_LATER;
	}
	give(watch);
	return watch->blind && !redis_is_up(watch->commands) ? -ENOTCONN : 0;
}

void watch_first_done(struct watch *watch, int status)
{
	watch->first_failed = watch->first_failed || status < 0;
	if (!watch->first_waits)
		return;
	watch->first_waits = false;
	give(watch);
	watch->host->read_done(watch->self, status < 0 ? -ENOTCONN : 0);
}
