/* SPDX-License-Identifier: MIT
 *
 * The types of collectd 5.12's own types.db that have a single value, by kind. Those with several values are left out:
 * collectd takes such a PUTVAL with one number for granted and fills up the rest with anything. A unit test holds these
 * lists against types.db itself, where collectd is installed.
 */
#include "format_collectd.h"

#include <stdlib.h>
#include <string.h>

/* A name a line would be four pages. */
/* clang-format off */
static const char *const gauges[] = {
	"apache_connections", "apache_idle_workers", "apache_scoreboard", "arc_l2_size", "arc_ratio", "ath_nodes",
	"backends", "bad_peb_count", "bitrate", "blocked_clients", "bool", "bucket", "buffer", "bytes", "cache_ratio",
	"cache_size", "capacity", "ceph_bytes", "ceph_latency", "changes_since_last_save", "charge", "clock_last_meas",
	"clock_last_update", "clock_mode", "clock_reachability", "clock_skew_ppm", "clock_state", "clock_stratum",
	"compression_ratio", "conntrack", "controller", "count", "cpu_affinity", "cpufreq", "current",
	"current_connections", "current_sessions", "delay", "delay_rate", "df_complex", "df_inodes",
	"dilution_of_precision", "disk_allocation", "disk_capacity", "disk_error", "disk_physical", "dns_qtype_cached",
	"duration", "email_check", "email_count", "email_size", "energy", "energy_wh", "entropy", "fanspeed",
	"file_handles", "file_size", "files", "flow", "freepages", "frequency", "frequency_error", "frequency_offset",
	"gauge", "health", "humidity", "ib_cap_mask", "ib_lid", "ib_lid_mask_count", "ib_phys_state", "ib_rate",
	"ib_sm_lid", "ib_sm_sl", "ib_state", "ipc", "latency", "links", "max_ec", "md_disks", "media",
	"memcached_connections", "memcached_items", "memory", "memory_lua", "multimeter", "mysql_bpool_bytes",
	"mysql_bpool_pages", "nginx_connections", "node_rssi", "node_tx_rate", "nvme_avail_spare",
	"nvme_avail_spare_thresh", "nvme_crc_error_count", "nvme_critical_comp_time", "nvme_critical_warning",
	"nvme_ctrl_busy_time", "nvme_data_units_read", "nvme_data_units_written",
	"nvme_end_to_end_error_detection_count", "nvme_endu_grp_crit_warn_sumry", "nvme_erase_fail_count",
	"nvme_host_bytes_written", "nvme_host_commands_read", "nvme_host_commands_written", "nvme_media_errors",
	"nvme_nand_bytes_written", "nvme_num_err_log_entries", "nvme_percent_used", "nvme_pll_lock_loss_count",
	"nvme_power_cycles", "nvme_power_on_hours", "nvme_program_fail_count", "nvme_retry_buffer_overflow_count",
	"nvme_temp_sensor", "nvme_temperature", "nvme_thermal_mgmt_temp1_total_time",
	"nvme_thermal_mgmt_temp1_transition_count", "nvme_thermal_mgmt_temp2_total_time",
	"nvme_thermal_mgmt_temp2_transition_count", "nvme_thermal_throttle_status", "nvme_timed_workload_host_reads",
	"nvme_timed_workload_media_wear", "nvme_timed_workload_timer", "nvme_unsafe_shutdowns",
	"nvme_warning_temp_time", "nvme_wear_leveling", "objects", "operations_per_second", "pending_operations",
	"percent", "percent_bytes", "percent_inodes", "pf_states", "pg_db_size", "pg_n_tup_g", "pg_numbackends", "ping",
	"ping_droprate", "ping_stddev", "players", "pools", "power", "pressure", "ps_code", "ps_data", "ps_rss",
	"ps_stacksize", "ps_state", "ps_vm", "pstates_enabled", "pubsub", "queue_length", "records", "requests",
	"response_code", "response_time", "root_delay", "root_dispersion", "route_etx", "route_metric", "routes",
	"satellites", "segments", "signal_noise", "signal_power", "signal_quality", "slurm_cycle_last",
	"slurm_job_state", "slurm_last_cycle_depth", "slurm_node_state", "smart_badsectors", "smart_powercycles",
	"smart_poweron", "smart_temperature", "snr", "spam_check", "spam_score", "spl", "swap", "sysevent",
	"tcp_connections", "tdp", "temperature", "threads", "time_dispersion", "time_offset", "time_offset_ntp",
	"time_offset_rms", "time_ref", "timeleft", "timestamp", "turbo_enabled", "uncore_ratio", "uptime", "users",
	"vcl", "vcpu", "vf_link_info", "vmpage_number", "volatile_changes", "voltage", "vs_memory", "vs_processes",
	"vs_threads",
};
static const char *const derives[] = {
	"apache_bytes", "apache_requests", "ath_stat", "cache_eviction", "cache_operation", "cache_result", "ceph_rate",
	"commands", "connections", "contextswitch", "cookies", "cpu", "derive", "disk_ops_complex", "dns_answer",
	"dns_notify", "dns_opcode", "dns_qtype", "dns_query", "dns_question", "dns_rcode", "dns_reject", "dns_request",
	"dns_resolver", "dns_response", "dns_transfer", "dns_update", "dns_zops", "drbd_resource", "errors",
	"evicted_keys", "expired_keys", "filter_result", "fork_rate", "fscache_stat", "hash_collisions",
	"http_request_methods", "http_requests", "http_response_codes", "ib_errors", "ib_link_error_recovery",
	"ib_xmit_wait", "if_collisions", "if_multicast", "if_rx_dropped", "if_rx_errors", "if_rx_nohandler",
	"if_rx_octets", "if_rx_packets", "if_tx_dropped", "if_tx_errors", "if_tx_octets", "if_tx_packets",
	"invocations", "ipt_bytes", "ipt_packets", "irq", "job_stats", "memcached_command", "memcached_ops",
	"memory_bandwidth", "memory_throttle_count", "mutex_operations", "mysql_bpool_counters", "mysql_commands",
	"mysql_handler", "mysql_innodb_data", "mysql_innodb_dblwr", "mysql_innodb_log", "mysql_innodb_pages",
	"mysql_innodb_row_lock", "mysql_innodb_rows", "mysql_locks", "mysql_log_position", "mysql_select",
	"mysql_slow_queries", "mysql_sort", "mysql_sort_merge_passes", "mysql_sort_rows", "nfs_procedure",
	"nginx_requests", "node_stat", "operations", "packets", "perf", "pf_counters", "pf_limits", "pf_source",
	"pf_state", "pg_blks", "pg_n_tup_c", "pg_scan", "pg_xact", "protocol_counter", "redis_command_cputime",
	"slurm_backfilled_jobs", "slurm_cycle_depth", "slurm_cycle_duration", "slurm_cycles", "slurm_job_stats",
	"slurm_queue_length", "swap_io", "total_bytes", "total_connections", "total_events", "total_objects",
	"total_operations", "total_requests", "total_sessions", "total_threads", "total_time_in_ms", "total_values",
	"transitions", "vf_broadcast", "vf_multicast", "virt_cpu_total", "virt_vcpu", "vmpage_action",
};
static const char *const counters[] = {"counter", "dpdk_telemetry"};
static const char *const absolutes[] = {"absolute"};
/* clang-format on */

static int compare(const void *name, const void *entry)
{
	return strcmp(name, *(const char *const *)entry);
}

bool collectd_type_find(const char *type, enum collectd_kind *ret_kind)
{
	static const struct {
		const char *const *names; /* sorted */
		size_t count;
		enum collectd_kind kind;
	} lists[] = {
		{gauges, sizeof(gauges) / sizeof(gauges[0]), COLLECTD_GAUGE},
		{derives, sizeof(derives) / sizeof(derives[0]), COLLECTD_DERIVE},
		{counters, sizeof(counters) / sizeof(counters[0]), COLLECTD_COUNTER},
		{absolutes, sizeof(absolutes) / sizeof(absolutes[0]), COLLECTD_ABSOLUTE},
	};
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		if (bsearch(type, lists[i].names, lists[i].count, sizeof(lists[i].names[0]), compare)) {
			*ret_kind = lists[i].kind;
			return true;
		}
	return false;
}
