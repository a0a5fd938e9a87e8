/* SPDX-License-Identifier: MIT
 *
 * The agent's own samples. Those about an instance go out under its name, those about the agent under `agent`; they
 * take the same way as all others: router, queues, outputs.
 *
 * All numbers of one run are taken before the first of its samples is routed, so that the equation at the top of hub.c
 * holds in what is published.
 */
#include "hub_private.h"

#include "clock.h"
#include "loader.h"
#include "log.h"

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
	/* of an instance */
	UP,
	READ_SECONDS,
	ERRORS,
	PRODUCED,
	SENT,
	DROPPED,
	QUEUE_LENGTH,
	SPOOLED,
	RESTORED,
	SPOOL_SAMPLES,
	SPOOL_BYTES,
	SPOOL_LIMIT,
	SPOOL_AGE,
	LOOP_LAG,
	/* of the agent; PRODUCED too */
	OF_AGENT,
	RELOAD_OK = OF_AGENT,
	BUILD_INFO,
	RESIDENT,
	CPU_SECONDS,
	OPEN_FDS,
	LOG_DROPPED,
	EVENTS_DROPPED,
	ALERTS,
	ALERTS_DROPPED,
	NOTIFICATIONS,
	NOTIFICATION_DELAY,
	NOTIFICATIONS_WAITING,
	METRICS
};

static const char *const drop_reasons[] = {"queue_full", "stopped",    "hub_full",      "invalid", "collision",
					   "refused",    "spool_full", "spool_corrupt", NULL};

static const char *const severities[] = {"info", "warning", "critical", NULL};
static const char *const alert_states[] = {"pending", "firing", "unknown", "resolved", NULL};
static const char *const notification_outcomes[] = {"sent", "retried", "lost", NULL};

static const struct cw_metric metrics[METRICS] = {
	[UP] = {.name = "instance_up",
		.kind = CW_GAUGE,
		.unit = "",
		.help = "1 if the instance works, degraded or not",
		.labels = {{"role", role_names}}},
	[READ_SECONDS] = {.name = "instance_read_seconds",
			  .kind = CW_GAUGE,
			  .unit = "seconds",
			  .help = "How long the last reading took",
			  .collectd_type = "duration"},
	[ERRORS] = {.name = "instance_errors_total",
		    .kind = CW_COUNTER,
		    .unit = "",
		    .help = "Operations of the instance that failed"},
	[PRODUCED] = {.name = "samples_produced_total",
		      .kind = CW_COUNTER,
		      .unit = "samples",
		      .help = "Samples that the instance gave"},
	[SENT] = {.name = "samples_sent_total",
		  .kind = CW_COUNTER,
		  .unit = "samples",
		  .help = "Samples that the output has sent"},
	[DROPPED] = {.name = "samples_dropped_total",
		     .kind = CW_COUNTER,
		     .unit = "samples",
		     .help = "Samples that were lost",
		     .labels = {{"reason", drop_reasons}}},
	[QUEUE_LENGTH] = {.name = "output_queue_length",
			  .kind = CW_GAUGE,
			  .unit = "samples",
			  .help = "Samples that wait for the output",
			  .collectd_type = "queue_length"},
	[SPOOLED] = {.name = "samples_spooled_total",
		     .kind = CW_COUNTER,
		     .unit = "samples",
		     .help = "Samples that went to the output's spool"},
	[RESTORED] = {.name = "samples_restored_total",
		      .kind = CW_COUNTER,
		      .unit = "samples",
		      .help = "Samples of an earlier process that were found in the output's spool"},
	[SPOOL_SAMPLES] = {.name = "spool_samples",
			   .kind = CW_GAUGE,
			   .unit = "samples",
			   .help = "Samples that wait on disk for the output",
			   .collectd_type = "queue_length"},
	[SPOOL_BYTES] = {.name = "spool_bytes",
			 .kind = CW_GAUGE,
			 .unit = "bytes",
			 .help = "Size of the output's spool",
			 .collectd_type = "bytes"},
	[SPOOL_LIMIT] = {.name = "spool_limit_bytes",
			 .kind = CW_GAUGE,
			 .unit = "bytes",
			 .help = "Size from which on the spool drops its oldest samples",
			 .collectd_type = "bytes"},
	[SPOOL_AGE] = {.name = "spool_oldest_age_seconds",
		       .kind = CW_GAUGE,
		       .unit = "seconds",
		       .help = "Age of the oldest sample in the spool",
		       .collectd_type = "duration"},
	[RELOAD_OK] = {.name = "config_last_reload_successful",
		       .kind = CW_GAUGE,
		       .unit = "",
		       .help = "1 if the configuration that was last read is the one in force"},
	[LOOP_LAG] = {.name = "loop_lag_seconds",
		      .kind = CW_GAUGE,
		      .unit = "seconds",
		      .help = "Longest that the instance's loop was late since the last sample",
		      .collectd_type = "duration"},
	[BUILD_INFO] = {.name = "build_info",
			.kind = CW_GAUGE,
			.unit = "",
			.help = "Always 1; the label says what runs",
			.labels = {{"version", NULL}}},
	[RESIDENT] = {.name = "process_resident_memory_bytes",
		      .kind = CW_GAUGE,
		      .unit = "bytes",
		      .help = "Resident memory",
		      .collectd_type = "bytes"},
	[CPU_SECONDS] = {.name = "process_cpu_seconds_total",
			 .kind = CW_COUNTER,
			 .unit = "seconds",
			 .help = "CPU time, user and system",
			 .collectd_type = "gauge"}, /* derive would cut it to whole seconds */
	[OPEN_FDS] = {.name = "process_open_fds", .kind = CW_GAUGE, .unit = "", .help = "Open file descriptors"},
	[LOG_DROPPED] = {.name = "log_lines_dropped_total",
			 .kind = CW_COUNTER,
			 .unit = "lines",
			 .help = "Log lines that stderr did not take"},
	[EVENTS_DROPPED] = {.name = "events_dropped_total",
			    .kind = CW_COUNTER,
			    .unit = "events",
			    .help = "Events that came faster than they could be kept"},
	[ALERTS] = {.name = "alerts",
		    .kind = CW_GAUGE,
		    .unit = "",
		    .help = "Alerts that there are",
		    .labels = {{"severity", severities}, {"state", alert_states}}},
	[ALERTS_DROPPED] = {.name = "alerts_dropped_total",
			    .kind = CW_COUNTER,
			    .unit = "",
			    .help = "How often an alert could not begin because 50,000 were open"},
	[NOTIFICATIONS] = {.name = "notifications_total",
			   .kind = CW_COUNTER,
			   .unit = "",
			   .help = "Notices that arrived, tries that failed, and notices that were given up",
			   .labels = {{"outcome", notification_outcomes}}},
	[NOTIFICATION_DELAY] = {.name = "notification_delay_seconds",
				.kind = CW_GAUGE,
				.unit = "seconds",
				.help = "How long the last notice that arrived had been on its way",
				.collectd_type = "duration"},
	[NOTIFICATIONS_WAITING] = {.name = "notifications_waiting",
				   .kind = CW_GAUGE,
				   .unit = "",
				   .help = "Notices on their way",
				   .collectd_type = "queue_length"},
};

const struct cw_array hub_metrics = CW_ARRAY(metrics);

bool hub_says_metric(const char *name)
{
	for (int i = 0; i < OF_AGENT; i++)
		if (strcmp(metrics[i].name, name) == 0)
			return true;
	return false;
}

/* One run under way: where samples go, and their time. */
struct run {
	struct batch_builder *builder;
	int64_t wall;
};

static void gauge(const struct run *run, int metric, const char *label, double value)
{
	batch_add(run->builder, &metrics[metric], &label, run->wall, CW_DOUBLE, value, /* integer */ 0, NULL);
}

static void whole(const struct run *run, int metric, const char *label, uint64_t value)
{
	batch_add(run->builder, &metrics[metric], &label, run->wall, CW_INTEGER, /* real */ 0, (int64_t)value, NULL);
}

static uint64_t open_fds(void)
{
	uint64_t n = 0;
	DIR *folder = opendir("/proc/self/fd");
	while (folder && readdir(folder)) /* cppcheck-suppress readdirCalled; one thread, its own stream */
		n++;
	if (!folder)
		return 0;
	closedir(folder);
	return n - 3; /* `.`, `..` and the folder itself */
}

/* 0: not known. */
static uint64_t resident_bytes(void)
{
	unsigned long long size, resident = 0;
	FILE *file = fopen("/proc/self/statm", "re");
	if (!file)
		return 0;
	if (fscanf(file, "%llu %llu", &size, &resident) != 2)
		resident = 0;
	fclose(file);
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static double seconds(struct timeval time)
{
	return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static void sample_process(const struct run *run)
{
	uint64_t resident = resident_bytes(), fds = open_fds();
	if (resident)
		whole(run, RESIDENT, /* label */ NULL, resident);
	if (fds)
		whole(run, OPEN_FDS, /* label */ NULL, fds);
	struct rusage usage;
	if (getrusage(RUSAGE_SELF, &usage) == 0)
		gauge(run, CPU_SECONDS, /* label */ NULL, seconds(usage.ru_utime) + seconds(usage.ru_stime));
}

static void sample_alerts(struct hub *hub, const struct run *run)
{
	struct alerting_counts counts = {.notice_delay_seconds = (double)NAN};
	if (!hub->alerting)
		return;
	alerting_counts(hub->alerting, &counts);
	for (size_t i = 0; severities[i]; i++)
		for (size_t k = 0; alert_states[k]; k++) {
			const char *const labels[] = {severities[i], alert_states[k]};
			batch_add(run->builder, &metrics[ALERTS], labels, run->wall, CW_DOUBLE,
				  (double)counts.alerts[i][k], 0, NULL);
		}
	whole(run, ALERTS_DROPPED, /* label */ NULL, counts.alerts_dropped);
	whole(run, NOTIFICATIONS, "sent", counts.notices_sent);
	whole(run, NOTIFICATIONS, "retried", counts.notices_retried);
	whole(run, NOTIFICATIONS, "lost", counts.notices_dead);
	whole(run, NOTIFICATIONS_WAITING, /* label */ NULL, counts.notices_waiting);
	if (isfinite(counts.notice_delay_seconds))
		gauge(run, NOTIFICATION_DELAY, /* label */ NULL, counts.notice_delay_seconds);
}

static void sample_agent(struct hub *hub, const struct run *run)
{
	whole(run, RELOAD_OK, /* label */ NULL, hub->reload_ok);
	gauge(run, BUILD_INFO, hub->options.version, 1);
	whole(run, LOG_DROPPED, /* label */ NULL, log_lost());
	whole(run, EVENTS_DROPPED, /* label */ NULL,
	      atomic_load_explicit(&hub->events_dropped, memory_order_relaxed) + history_dropped(hub->history));
	whole(run, PRODUCED, /* label */ NULL, hub->self_routed);
	sample_alerts(hub, run);
	sample_process(run);
}

static void sample_spool(const struct run *run, const struct spool_counts *spool)
{
	whole(run, SPOOLED, /* label */ NULL, spool->taken);
	whole(run, RESTORED, /* label */ NULL, spool->restored);
	whole(run, SPOOL_SAMPLES, /* label */ NULL, spool->held);
	whole(run, SPOOL_BYTES, /* label */ NULL, spool->bytes);
	whole(run, SPOOL_LIMIT, /* label */ NULL, spool->limit);
	whole(run, DROPPED, "spool_full", spool->dropped_full);
	whole(run, DROPPED, "spool_corrupt", spool->dropped_corrupt);
	if (spool->oldest)
		gauge(run, SPOOL_AGE, /* label */ NULL,
		      run->wall > spool->oldest ? (double)(run->wall - spool->oldest) / (double)CW_SECOND : 0);
}

static void sample_queue(const struct run *run, const struct outqueue_counts *queue)
{
	whole(run, SENT, /* label */ NULL, queue->sent);
	whole(run, QUEUE_LENGTH, /* label */ NULL, queue->queued);
	whole(run, DROPPED, "queue_full", queue->dropped_full);
	whole(run, DROPPED, "stopped", queue->dropped_stop);
	whole(run, DROPPED, "refused", queue->dropped_by_output[CW_DROP_REFUSED]);
}

static void sample_source(const struct run *run, const struct counters *counters)
{
	whole(run, PRODUCED, /* label */ NULL, counters->routed + counters->hub_full);
	whole(run, DROPPED, "hub_full", counters->hub_full);
}

/* What a source could not make a sample of, or an output not send. */
static void sample_unsayable(const struct run *run, const struct counters *counters)
{
	const uint64_t *by_output = counters->queue.dropped_by_output;
	whole(run, DROPPED, "invalid", counters->invalid + by_output[CW_DROP_INVALID]);
	whole(run, DROPPED, "collision", counters->collided + by_output[CW_DROP_COLLISION]);
}

static void sample_instance(struct hub *hub, struct hub_instance *instance, const struct run *run)
{
	struct counters counters = hub_counters(hub, instance);
	bool up = instance->state == CW_UP || instance->state == CW_DEGRADED;
	whole(run, UP, role_names[instance->role], up);
	whole(run, ERRORS, /* label */ NULL, counters.errors);
	bool is_source = instance->role == CW_SOURCE || counters.routed;
	if (instance->queue)
		sample_queue(run, &counters.queue);
	if (counters.queue.spool.limit || counters.queue.spool.held)
		sample_spool(run, &counters.queue.spool);
	if (is_source)
		sample_source(run, &counters);
	if (instance->queue || is_source)
		sample_unsayable(run, &counters);
	struct instance_stats *stats = instance->stats;
	if (!stats)
		return;
	if (atomic_load_explicit(&stats->reads, memory_order_relaxed))
		gauge(run, READ_SECONDS, /* label */ NULL,
		      (double)atomic_load_explicit(&stats->read_ns, memory_order_relaxed) / 1e9);
	gauge(run, LOOP_LAG, /* label */ NULL,
	      (double)atomic_exchange_explicit(&stats->loop_lag, 0, memory_order_relaxed) / 1e9);
}

/* The builder is made on first use; NULL: no memory. */
static struct batch_builder *builder_for(struct hub *hub, struct batch_builder **builder, const char *name)
{
	if (!*builder)
		*builder = batch_builder_new(hub->options.hostname, name, hub->options.interval, hub->options.tags,
					     hub->options.tags_count);
	return *builder;
}

static void route(struct hub *hub, struct batch_builder *builder)
{
	const struct cw_batch *batch = builder ? batch_take(builder) : NULL;
	if (!batch)
		return;
	hub->self_routed += batch->samples.count;
	hub_route(hub, batch);
	batch_unref(batch);
}

void self_metrics_route(struct hub *hub, int64_t wall)
{
	struct run run = {builder_for(hub, &hub->builder, "agent"), wall};
	if (run.builder)
		sample_agent(hub, &run);
	for (struct hub_instance *instance = hub->instances; instance; instance = instance->next) {
		run.builder = instance->present ? builder_for(hub, &instance->builder, instance->name) : NULL;
		if (run.builder)
			sample_instance(hub, instance, &run);
	}
	route(hub, hub->builder);
	for (struct hub_instance *instance = hub->instances; instance; instance = instance->next)
		route(hub, instance->builder);
}
