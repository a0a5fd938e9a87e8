/* SPDX-License-Identifier: MIT
 *
 * callsim: writes to Redis what the voice platform writes, as README.md beside this file says. This file: the options,
 * the commands on stdin, and the loop of 10 ms turns in which calls start, beat and end.
 */
#include "database.h"
#include "malformed.h"
#include "platform.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TURN_MS = 10, CALLS_MAX = 1000000 };

struct settings {
	const char *url, *postgres, *record;
	struct world world;
	struct platform_options platform;
	uint32_t calls, malformed;
	double rate;
	int64_t lasts_us;
	uint64_t flood;
	bool load_only, huge, quiet;
};

struct callsim {
	struct settings settings;
	struct link link;
	struct platform platform;
	FILE *record;
	char line[256]; /* of stdin, not yet complete */
	size_t line_length;
	bool stop, stdin_open;
	double owed; /* starts and ends that are due, with their fraction */
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
	(void)number;
	interrupted = 1;
}

/* --- options ----------------------------------------------------------------------------------------------------- */

static void usage(FILE *out)
{
	fputs("callsim --redis URL [options]: writes what a voice platform writes to Redis\n"
	      "  --redis URL        redis://[:password@]host[:port][/db] or unix:///path[?db=N]\n"
	      "  --postgres URL     first write the businesses to that database, postgresql://... (needs libpq at "
	      "build time)\n"
	      "  --calls N          calls in progress, up to 1000000 (100)\n"
	      "  --rate R           calls that start, and calls that end, per second (0)\n"
	      "  --beat D           between two heartbeats of a call (10s)\n"
	      "  --beat-style S     mixed, bare or json (mixed)\n"
	      "  --businesses N, --workers N   (20, 8)\n"
	      "  --seed S           the same seed gives the same calls (1)\n"
	      "  --for D            stop after that time\n"
	      "  --load-only        write the calls and exit\n"
	      "  --warning P, --stale P, --no-heartbeat P   percent of the calls written first\n"
	      "  --crash P          percent of the ends that are crashes: the hash stays (0)\n"
	      "  --crash-keep D     remove crashed calls after that time (never)\n"
	      "  --lose P           percent of the heartbeats that are never sent (0)\n"
	      "  --malformed N      also write N odd things, every kind in turn\n"
	      "  --huge             among them 512 MB strings and a hash with a million fields\n"
	      "  --record FILE      list of the odd things: kind, tab, sid in hex\n"
	      "  --beat-flood N     publish N heartbeats as fast as possible, then go on\n"
	      "  --quiet            no status line\n"
	      "Commands on stdin: start N, end N, crash N, stale N, kill-worker ai-N, pause, resume, flush, rewrite,\n"
	      "malformed N, beat-flood N, rate R, status, quit. Each is answered by one line on stdout.\n",
	      out);
}

static int parse_number(const char *text, double least, double most, double *ret)
{
	char *end;
	double value = strtod(text, &end);
	if (end == text || *end || !(value >= least) || !(value <= most)) {
		return -EINVAL;
	}
	*ret = value;
	return 0;
}

static int parse_duration(const char *text, int64_t *ret_us)
{
	static const struct {
		const char *unit;
		double us;
	} units[] = {{"ms", 1e3}, {"s", 1e6}, {"m", 60e6}, {"h", 3600e6}};
	char *end;
	double value = strtod(text, &end);
	for (unsigned i = 0; end != text && value >= 0 && value < 1e9 && i < sizeof units / sizeof *units; i++) {
		if (!strcmp(end, units[i].unit)) {
			*ret_us = (int64_t)(value * units[i].us);
			return 0;
		}
	}
	return -EINVAL;
}

enum {
	OPT_REDIS = 256,
	OPT_POSTGRES,
	OPT_CALLS,
	OPT_RATE,
	OPT_BEAT,
	OPT_STYLE,
	OPT_BUSINESSES,
	OPT_WORKERS,
	OPT_SEED,
	OPT_FOR,
	OPT_LOAD_ONLY,
	OPT_WARNING,
	OPT_STALE,
	OPT_SILENT,
	OPT_CRASH,
	OPT_CRASH_KEEP,
	OPT_LOSE,
	OPT_MALFORMED,
	OPT_HUGE,
	OPT_RECORD,
	OPT_FLOOD,
	OPT_QUIET,
	OPT_HELP
};

static const struct option long_options[] = {
	{"redis", required_argument, NULL, OPT_REDIS},
	{"postgres", required_argument, NULL, OPT_POSTGRES},
	{"calls", required_argument, NULL, OPT_CALLS},
	{"rate", required_argument, NULL, OPT_RATE},
	{"beat", required_argument, NULL, OPT_BEAT},
	{"beat-style", required_argument, NULL, OPT_STYLE},
	{"businesses", required_argument, NULL, OPT_BUSINESSES},
	{"workers", required_argument, NULL, OPT_WORKERS},
	{"seed", required_argument, NULL, OPT_SEED},
	{"for", required_argument, NULL, OPT_FOR},
	{"load-only", no_argument, NULL, OPT_LOAD_ONLY},
	{"warning", required_argument, NULL, OPT_WARNING},
	{"stale", required_argument, NULL, OPT_STALE},
	{"no-heartbeat", required_argument, NULL, OPT_SILENT},
	{"crash", required_argument, NULL, OPT_CRASH},
	{"crash-keep", required_argument, NULL, OPT_CRASH_KEEP},
	{"lose", required_argument, NULL, OPT_LOSE},
	{"malformed", required_argument, NULL, OPT_MALFORMED},
	{"huge", no_argument, NULL, OPT_HUGE},
	{"record", required_argument, NULL, OPT_RECORD},
	{"beat-flood", required_argument, NULL, OPT_FLOOD},
	{"quiet", no_argument, NULL, OPT_QUIET},
	{"help", no_argument, NULL, OPT_HELP},
	{0},
};

static int parse_count(const char *text, double least, double most, uint32_t *ret)
{
	double value;
	int rc = parse_number(text, least, most, &value);
	if (rc == 0) {
		*ret = (uint32_t)value;
	}
	return rc;
}

static int parse_style(const char *text, enum beat_style *ret)
{
	static const char *const names[] = {"mixed", "bare", "json"};
	for (unsigned i = 0; i < 3; i++) {
		if (!strcmp(text, names[i])) {
			*ret = (enum beat_style)i;
			return 0;
		}
	}
	return -EINVAL;
}

static int parse_one(struct settings *settings, int option, const char *value)
{
	struct platform_options *platform = &settings->platform;
	double number = 0;
	int rc = 0;
	switch (option) {
	case OPT_REDIS:
		settings->url = value;
		return 0;
	case OPT_POSTGRES:
		settings->postgres = value;
		return 0;
	case OPT_CALLS:
		return parse_count(value, 0, CALLS_MAX, &settings->calls);
	case OPT_RATE:
		return parse_number(value, 0, 100000, &settings->rate);
	case OPT_BEAT:
		return parse_duration(value, &platform->beat_us) || platform->beat_us < 10000 ? -EINVAL : 0;
	case OPT_STYLE:
		return parse_style(value, &platform->style);
	case OPT_BUSINESSES:
		return parse_count(value, 1, 1000000, &settings->world.businesses);
	case OPT_WORKERS:
		return parse_count(value, 1, 60000, &settings->world.workers);
	case OPT_SEED:
		rc = parse_number(value, 0, 9e15, &number);
		settings->world.seed = (uint64_t)number;
		return rc;
	case OPT_FOR:
		return parse_duration(value, &settings->lasts_us);
	case OPT_LOAD_ONLY:
		settings->load_only = true;
		return 0;
	case OPT_WARNING:
		return parse_count(value, 0, 100, &platform->warning_percent);
	case OPT_STALE:
		return parse_count(value, 0, 100, &platform->stale_percent);
	case OPT_SILENT:
		return parse_count(value, 0, 100, &platform->silent_percent);
	case OPT_CRASH:
		return parse_count(value, 0, 100, &platform->crash_percent);
	case OPT_CRASH_KEEP:
		return parse_duration(value, &platform->crash_keep_us);
	case OPT_LOSE:
		return parse_count(value, 0, 100, &platform->lose_percent);
	case OPT_MALFORMED:
		return parse_count(value, 0, CALLS_MAX, &settings->malformed);
	case OPT_HUGE:
		settings->huge = true;
		return 0;
	case OPT_RECORD:
		settings->record = value;
		return 0;
	case OPT_FLOOD:
		rc = parse_number(value, 0, 1e12, &number);
		settings->flood = (uint64_t)number;
		return rc;
	case OPT_QUIET:
		settings->quiet = true;
		return 0;
	default:
		return -ENOENT;
	}
}

static void parse_options(struct settings *settings, int argc, char **argv)
{
	*settings = (struct settings){
		.calls = 100, .world = {.seed = 1, .businesses = 20, .workers = 8}, .platform = {.beat_us = 10000000}};
	int option, index = 0;
	while ((option = getopt_long(argc, argv, "h", long_options, &index)) != -1) {
		if (option == OPT_HELP || option == 'h') {
			usage(stdout);
			exit(0);
		}
		int rc = parse_one(settings, option, optarg);
		if (rc == -EINVAL) {
			fprintf(stderr, "callsim: --%s %s: not a value it takes\n", long_options[index].name, optarg);
		}
		if (rc < 0) {
			exit(2);
		}
	}
	if (!settings->url || optind < argc) {
		usage(stderr);
		exit(2);
	}
}

/* --- commands on stdin ------------------------------------------------------------------------------------------- */

static void print_status(struct callsim *sim, FILE *out)
{
	const struct platform *platform = &sim->platform;
	fprintf(out,
		"{\"calls\": %u, \"beating\": %u, \"mute\": %u, \"crashed\": %u, \"started\": %llu, \"ended\": %llu, "
		"\"beats\": %llu, \"commands\": %llu, \"refused\": %llu, \"lost\": %llu, \"connected\": %s}\n",
		platform->count, platform->states[CALL_BEATING], platform->states[CALL_MUTE],
		platform->states[CALL_CRASHED], (unsigned long long)platform->started,
		(unsigned long long)platform->ended, (unsigned long long)platform->beats,
		(unsigned long long)sim->link.sent, (unsigned long long)sim->link.refused,
		(unsigned long long)sim->link.lost, sim->link.context ? "true" : "false");
}

static unsigned long long do_command(struct callsim *sim, const char *word, const char *argument)
{
	struct platform *platform = &sim->platform;
	double number = 1;
	uint32_t n = argument && parse_number(argument, 0, CALLS_MAX, &number) == 0 ? (uint32_t)number : 1;
	if (!strcmp(word, "start")) {
		platform_start(platform, n);
	} else if (!strcmp(word, "end")) {
		platform_end(platform, n);
	} else if (!strcmp(word, "crash")) {
		n = platform_crash(platform, n);
	} else if (!strcmp(word, "stale")) {
		n = platform_mute(platform, n);
	} else if (!strcmp(word, "kill-worker")) {
		n = platform_kill_worker(
			platform,
			argument ? (uint32_t)strtoul(argument + strcspn(argument, "0123456789"), NULL, 10) : 0);
	} else if (!strcmp(word, "pause")) {
		platform->paused = true;
		n = platform->count;
	} else if (!strcmp(word, "resume")) {
		n = platform_resume(platform);
	} else if (!strcmp(word, "flush")) {
		n = platform_flush(platform);
	} else if (!strcmp(word, "rewrite")) {
		n = platform_rewrite(platform);
	} else if (!strcmp(word, "malformed")) {
		n = malformed_write(&sim->link, &platform->world, n, sim->settings.huge, sim->record);
	} else if (!strcmp(word, "beat-flood")) {
		return platform_flood(platform, argument ? strtoull(argument, NULL, 10) : 1);
	} else if (!strcmp(word, "rate")) {
		sim->settings.rate = argument ? number : sim->settings.rate;
	} else if (!strcmp(word, "quit")) {
		sim->stop = true;
	} else {
		return ~0ull;
	}
	return n;
}

static void on_line(struct callsim *sim, char *line)
{
	char *rest = NULL, *word = strtok_r(line, " \t\r", &rest), *argument = strtok_r(NULL, " \t\r", &rest);
	if (!word) {
		return;
	}
	if (!strcmp(word, "status")) {
		print_status(sim, stdout);
	} else {
		unsigned long long n = do_command(sim, word, argument);
		link_flush(&sim->link);
		if (n == ~0ull) {
			printf("error: unknown command %s\n", word);
		} else {
			printf("ok %s %llu\n", word, n);
		}
	}
	fflush(stdout);
}

static void read_commands(struct callsim *sim)
{
	ssize_t n = read(STDIN_FILENO, sim->line + sim->line_length, sizeof sim->line - 1 - sim->line_length);
	if (n <= 0) {
		sim->stdin_open = n < 0 && (errno == EINTR || errno == EAGAIN);
		return;
	}
	sim->line_length += (size_t)n;
	char *end, *from = sim->line;
	while ((end = memchr(from, '\n', sim->line_length - (size_t)(from - sim->line)))) {
		*end = '\0';
		on_line(sim, from);
		from = end + 1;
	}
	sim->line_length -= (size_t)(from - sim->line);
	memmove(sim->line, from, sim->line_length);
	if (sim->line_length == sizeof sim->line - 1) {
		sim->line_length = 0; /* no such long command */
	}
}

/* --- the loop ---------------------------------------------------------------------------------------------------- */

static void show_status(struct callsim *sim)
{
	const struct platform *platform = &sim->platform;
	fprintf(stderr, "\r\033[Kcallsim: %u calls, %u beating, %u silent, %llu started, %llu ended, %llu beats%s%s",
		platform->count, platform->states[CALL_BEATING],
		platform->states[CALL_MUTE] + platform->states[CALL_CRASHED], (unsigned long long)platform->started,
		(unsigned long long)platform->ended, (unsigned long long)platform->beats,
		sim->link.context ? "" : "; Redis is away: ", sim->link.context ? "" : sim->link.error);
}

static void turn(struct callsim *sim, double seconds)
{
	if (!link_ready(&sim->link)) {
		return;
	}
	platform_beat(&sim->platform);
	if (!sim->platform.paused) {
		/* After a long stop do not make up for it at once. */
		sim->owed += sim->settings.rate * (seconds < 1 ? seconds : 1);
		uint32_t due = (uint32_t)sim->owed;
		sim->owed -= due;
		platform_start(&sim->platform, due);
		uint32_t alive = sim->platform.states[CALL_BEATING], target = sim->settings.calls;
		platform_end(&sim->platform, alive > target ? alive - target < 2 * due ? alive - target : 2 * due : 0);
	}
	link_flush(&sim->link);
}

static void loop(struct callsim *sim)
{
	int64_t began = monotonic_us(), last = began, shown = 0;
	bool terminal = isatty(STDERR_FILENO) && !sim->settings.quiet;
	sim->stdin_open = true;
	while (!sim->stop && !interrupted) {
		struct pollfd fd = {.fd = sim->stdin_open ? STDIN_FILENO : -1, .events = POLLIN};
		if (poll(&fd, 1, TURN_MS) > 0) {
			read_commands(sim);
		}
		int64_t now = monotonic_us();
		turn(sim, (double)(now - last) / 1e6);
		last = now;
		if (terminal && now - shown >= 1000000) {
			show_status(sim);
			shown = now;
		}
		sim->stop = sim->stop || (sim->settings.lasts_us && now - began >= sim->settings.lasts_us);
	}
	if (terminal) {
		fputc('\n', stderr);
	}
}

static int write_businesses(const struct settings *settings)
{
	char error[512];
	int64_t count = database_write(settings->postgres, &settings->world, error, sizeof error);
	if (count < 0) {
		fprintf(stderr, "callsim: --postgres: %s\n", error);
		return -1;
	}
	printf("wrote %lld of %u businesses\n", (long long)count, settings->world.businesses);
	return 0;
}

static int run(struct callsim *sim)
{
	struct settings *settings = &sim->settings;
	if (settings->postgres && write_businesses(settings) < 0) {
		return 1;
	}
	if (link_open(&sim->link, settings->url) < 0) {
		fprintf(stderr, "callsim: %s: %s\n", settings->url, sim->link.error);
		return 1;
	}
	if (platform_init(&sim->platform, &settings->world, &settings->platform, &sim->link, 2 * CALLS_MAX) < 0) {
		fputs("callsim: out of memory\n", stderr);
		return 1;
	}
	platform_load(&sim->platform, settings->calls);
	if (settings->malformed) {
		malformed_write(&sim->link, &settings->world, settings->malformed, settings->huge, sim->record);
	}
	printf("loaded %u calls, %u odd things\n", sim->platform.count, settings->malformed);
	fflush(stdout);
	if (settings->flood) {
		platform_flood(&sim->platform, settings->flood);
	}
	if (!settings->load_only) {
		loop(sim);
		link_flush(&sim->link);
		print_status(sim, stdout);
	}
	bool all = sim->link.refused == 0 && sim->link.lost == 0;
	if (settings->load_only && !all) {
		fprintf(stderr, "callsim: not all was written: %s\n", sim->link.error);
	}
	return settings->load_only && !all ? 1 : 0;
}

int main(int argc, char **argv)
{
	static struct callsim sim;
	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	parse_options(&sim.settings, argc, argv);
	if (sim.settings.record && !(sim.record = fopen(sim.settings.record, "we"))) {
		perror(sim.settings.record);
		return 1;
	}
	int rc = run(&sim);
	platform_release(&sim.platform);
	link_close(&sim.link);
	if (sim.record) {
		fclose(sim.record);
	}
	return rc;
}
