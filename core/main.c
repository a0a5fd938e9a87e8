/* SPDX-License-Identifier: MIT
 *
 * callwatchd: the process around the agent. What a library must not touch is here: argv, signals, exit codes, standard
 * descriptors, the service manager.
 *
 * Signals are blocked before anything else and read from a descriptor by the main thread, so that a HUP in the first
 * millisecond is a reload and not the end; the agent runs on a second thread. If that has not ended in time after a
 * stop was asked for, the process ends without it.
 */
#include "agent.h"
#include "clock.h"
#include "instance.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

enum { EXIT_FINE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_CONFIG = 78 };
enum { PATHS_MAX = 64, DESCRIPTORS_WANTED = 65536, STARTING_POLL_MS = 20 };

static const int64_t stop_ns = CW_SECOND * 9 / 2; /* of the 5 s a stop may take; then the log may need a moment */

struct arguments {
	const char *paths[PATHS_MAX + 1];
	size_t paths_count;
	bool test, secrets, once, verbose, quiet;
	const char *format;
	enum log_format log_format;
};

struct process {
	struct agent *agent;
	int signals, ended; /* descriptors: signalfd, eventfd of the agent's thread */
	int status;
	int64_t stop_asked; /* instant, 0: not */
	bool ready_said;
	int64_t watchdog_ns, fed; /* 0: none wanted; awake */
};

static const char help_text[] =
	"Usage: callwatchd [OPTION]...\n"
	"Watches calls, tells what it sees. Runs in the foreground until it gets SIGTERM.\n"
	"\n"
	"  -c, --config PATH     a file, or a directory of *.yaml; may be repeated. Default:\n"
	"                        /usr/lib/callwatch/conf.d, then /etc/callwatch/conf.d\n"
	"  -t, --test            check the configuration, print every error as\n"
	"                        file:line:column: message, and end\n"
	"      --secrets         with -t: also read the files that hold secrets\n"
	"      --once            each source reads once, completely; print the samples, and end.\n"
	"                        Counters are left out. Exit 0 only if every source was up\n"
	"      --format FORMAT   with --once: text (default), json, putval, graphite; with -t: text, json\n"
	"  -v, --verbose         log debug lines too\n"
	"  -q, --quiet           log warnings and errors only\n"
	"      --log-format F    text (default), logfmt, json\n"
	"  -f                    stay in the foreground (it always does)\n"
	"      --version         print the version and end\n"
	"  -h, --help            print this and end\n"
	"\n"
	"Signals: HUP reload, USR1 flush outputs, USR2 log the state of every instance, TERM and INT stop.\n"
	"Exit: 0 fine, 1 failed while running, 2 wrong usage, 78 wrong configuration.\n"
	"Next: callwatch status, callwatch plugins, man callwatchd.\n";

/* ---- arguments ---- */

static int usage(const char *what, const char *value)
{
	fprintf(stderr, "callwatchd: %s%s%s\nTry: callwatchd --help\n", what, value ? ": " : "", value ? value : "");
	return EXIT_USAGE;
}

/* Index of name in the NULL-terminated list, or -1. */
static int choose(const char *name, const char *const *names)
{
	for (int i = 0; names[i]; i++)
		if (strcmp(names[i], name) == 0)
			return i;
	return -1;
}

static int check_format(const struct arguments *arguments)
{
	static const char *const of_once[] = {"text", "json", "putval", "graphite", NULL};
	static const char *const of_test[] = {"text", "json", NULL};
	if (arguments->secrets && !arguments->test)
		return usage("--secrets goes with -t", NULL);
	if (arguments->once && arguments->test)
		return usage("-t and --once exclude each other", NULL);
	if (!arguments->format)
		return -1;
	if (!arguments->once && !arguments->test)
		return usage("--format goes with --once or -t", NULL);
	if (choose(arguments->format, arguments->once ? of_once : of_test) < 0)
		return usage(arguments->once ? "--format is text, json, putval or graphite"
					     : "--format is text or json",
			     arguments->format);
	return -1;
}

enum { OPTION_SECRETS = 256, OPTION_ONCE, OPTION_FORMAT, OPTION_LOG_FORMAT, OPTION_VERSION };

static int take_option(struct arguments *arguments, int option)
{
	static const char *const log_formats[] = {"text", "logfmt", "json", NULL};
	int log_format;
	switch (option) {
	case 'c':
		if (arguments->paths_count == PATHS_MAX)
			return usage("too many -c", NULL);
		arguments->paths[arguments->paths_count++] = optarg;
		return -1;
	case 't':
		arguments->test = true;
		return -1;
	case 'v':
		arguments->verbose = true;
		return -1;
	case 'q':
		arguments->quiet = true;
		return -1;
	case 'f':
		return -1;
	case OPTION_SECRETS:
		arguments->secrets = true;
		return -1;
	case OPTION_ONCE:
		arguments->once = true;
		return -1;
	case OPTION_FORMAT:
		arguments->format = optarg;
		return -1;
	case OPTION_LOG_FORMAT:
		log_format = choose(optarg, log_formats);
		if (log_format < 0)
			return usage("--log-format is text, logfmt or json", optarg);
		arguments->log_format = (enum log_format)log_format;
		return -1;
	case OPTION_VERSION:
		printf("callwatchd %s (plugin ABI %d.%d)\n", CALLWATCH_VERSION, CW_ABI_MAJOR, CW_ABI_MINOR);
		return EXIT_FINE;
	case 'h':
		fputs(help_text, stdout);
		return EXIT_FINE;
	default: /* getopt has said what is wrong */
		fputs("Try: callwatchd --help\n", stderr);
		return EXIT_USAGE;
	}
}

/* -1: go on; else the exit code. */
static int parse_arguments(int argc, char **argv, struct arguments *arguments)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"test", no_argument, NULL, 't'},
		{"secrets", no_argument, NULL, OPTION_SECRETS},
		{"once", no_argument, NULL, OPTION_ONCE},
		{"format", required_argument, NULL, OPTION_FORMAT},
		{"verbose", no_argument, NULL, 'v'},
		{"quiet", no_argument, NULL, 'q'},
		{"log-format", required_argument, NULL, OPTION_LOG_FORMAT},
		{"version", no_argument, NULL, OPTION_VERSION},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int option;
	while ((option = getopt_long(argc, argv, "c:tvqfh", options, NULL)) != -1) {
		int status = take_option(arguments, option);
		if (status >= 0)
			return status;
	}
	if (optind < argc)
		return usage("unexpected argument", argv[optind]);
	return check_format(arguments);
}

static const char *const *paths_of(const struct arguments *arguments)
{
	return arguments->paths_count ? arguments->paths : NULL;
}

/* ---- -t ---- */

static int test_configuration(const struct arguments *arguments)
{
	struct problems problems;
	problems_init(&problems);
	bool json = arguments->format && strcmp(arguments->format, "json") == 0;
	struct config *config = config_load(paths_of(arguments), &problems);
	struct plan *plan = config ? plan_make(config, arguments->secrets ? 0 : PLAN_NO_SECRETS, &problems) : NULL;
	problems_print(&problems, json ? stdout : stderr, json);
	if (plan && !json)
		printf("configuration ok: %zu instance%s\n", plan->count, plan->count == 1 ? "" : "s");
	int status = plan ? EXIT_FINE : EXIT_CONFIG;
	plan_unref(plan);
	problems_release(&problems);
	return status;
}

/* ---- the process ---- */

/* Else the first file opened would become standard output, and rows would be written into it. */
static void keep_standard_descriptors(void)
{
	int fd;
	do
		fd = open("/dev/null", O_RDWR); /* not O_CLOEXEC: these three are for children too */
	while (fd >= 0 && fd <= 2);
	if (fd > 2)
		close(fd);
}

static void raise_descriptor_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= DESCRIPTORS_WANTED)
		return;
	limit.rlim_cur = limit.rlim_max < DESCRIPTORS_WANTED ? limit.rlim_max : DESCRIPTORS_WANTED;
	setrlimit(RLIMIT_NOFILE, &limit); /* what is left is said by the agent */
}

static void block_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
	sigaddset(set, SIGUSR1);
	sigaddset(set, SIGUSR2);
	pthread_sigmask(SIG_BLOCK, set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static void on_reloaded(void *arg, bool ok, const char *text)
{
	(void)arg;
	(void)text;
	sd_notifyf(0, "READY=1\nSTATUS=%s", ok ? "running" : "running; the last reload was refused");
}

static void reload(struct process *process)
{
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld\nSTATUS=reloading", (long long)(clock_awake() / 1000));
	agent_reload(process->agent, "SIGHUP", on_reloaded, NULL);
}

static void stop(struct process *process, int number)
{
	if (process->stop_asked)
		return;
	process->stop_asked = clock_now();
	log_line(NULL, CW_INFO, "%s: stopping", number == SIGINT ? "SIGINT" : "SIGTERM");
	sd_notify(0, "STOPPING=1\nSTATUS=stopping");
	agent_stop(process->agent);
}

static void take_signal(struct process *process)
{
	struct signalfd_siginfo info;
	if (read(process->signals, &info, sizeof info) != (ssize_t)sizeof info)
		return;
	switch (info.ssi_signo) {
	case SIGHUP:
		reload(process);
		break;
	case SIGUSR1:
		agent_flush(process->agent);
		break;
	case SIGUSR2:
		agent_log_states(process->agent);
		break;
	default:
		stop(process, (int)info.ssi_signo);
	}
}

static void *run_agent(void *arg)
{
	struct process *process = arg;
	process->status = agent_run(process->agent);
	uint64_t one = 1;
	if (write(process->ended, &one, sizeof one) < 0)
		_exit(process->status);
	return NULL;
}

/* How long the main thread may sleep: until the next thing that it does by itself. */
static int poll_timeout(const struct process *process)
{
	if (process->stop_asked) {
		int64_t left = process->stop_asked + stop_ns - clock_now();
		return left > 0 ? (int)(left / CW_MILLISECOND) + 1 : 0;
	}
	if (!process->ready_said)
		return STARTING_POLL_MS;
	return process->watchdog_ns ? (int)(process->watchdog_ns / 2 / CW_MILLISECOND) : -1;
}

static void tell_service_manager(struct process *process)
{
	bool alive = agent_alive(process->agent);
	if (alive && !process->ready_said && !process->stop_asked) {
		sd_notify(0, "READY=1\nSTATUS=running");
		process->ready_said = true;
	}
	if (alive && process->watchdog_ns && clock_awake() - process->fed >= process->watchdog_ns / 4) {
		process->fed = clock_awake();
		sd_notify(0, "WATCHDOG=1");
	}
}

/* Until the agent's thread has ended: true. False: it has not, in the time a stop may take. */
static bool wait_for_end(struct process *process)
{
	for (;;) {
		struct pollfd fds[] = {{.fd = process->signals, .events = POLLIN},
				       {.fd = process->ended, .events = POLLIN}};
		poll(fds, 2, poll_timeout(process));
		if (fds[1].revents)
			return true;
		if (fds[0].revents)
			take_signal(process);
		if (process->stop_asked && clock_now() - process->stop_asked >= stop_ns)
			return false;
		tell_service_manager(process);
	}
}

static int cannot_start(int error)
{
	log_line(NULL, CW_ERROR, "callwatchd cannot start: %s", strerror(error));
	return EXIT_FAILED;
}

static int run(struct process *process, const sigset_t *signals)
{
	uint64_t watchdog_us = 0;
	pthread_t thread;
	process->signals = signalfd(-1, signals, SFD_CLOEXEC);
	process->ended = eventfd(0, EFD_CLOEXEC);
	if (process->signals < 0 || process->ended < 0)
		return cannot_start(errno);
	int error = pthread_create(&thread, NULL, run_agent, process);
	if (error)
		return cannot_start(error);
	if (sd_watchdog_enabled(0, &watchdog_us) > 0)
		process->watchdog_ns = (int64_t)watchdog_us * 1000;
	if (!wait_for_end(process)) {
		log_line(NULL, CW_ERROR, "the agent did not end in time: ending without it");
		log_close();
		_exit(EXIT_FAILED);
	}
	pthread_join(thread, NULL);
	close(process->signals);
	close(process->ended);
	return process->status;
}

static int run_process(const struct arguments *arguments, const sigset_t *signals)
{
	char overlay[128];
	struct problems problems;
	struct process process = {.status = EXIT_FAILED};
	snprintf(overlay, sizeof overlay, "plugins: [{ plugin: stdout, name: stdout-once, format: %s }]\n",
		 arguments->format ? arguments->format : "text");
	struct agent_options options = {.config_paths = paths_of(arguments),
					.once = arguments->once,
					.overlay = arguments->once ? overlay : NULL};
	problems_init(&problems);
	int rc = agent_new(&options, &problems, &process.agent);
	problems_print(&problems, stderr, /* json */ false);
	problems_release(&problems);
	if (rc < 0)
		return rc == -EINVAL ? EXIT_CONFIG : EXIT_FAILED;
	int status = run(&process, signals);
	log_line(NULL, CW_INFO, "ended");
	agent_free(process.agent);
	return status;
}

/* What a large query took goes back to the system when it ends. Otherwise glibc learns from the first such block to
 * keep those of its size on the heap, which stays as high as it ever was. */
static void give_memory_back(void)
{
	(void)mallopt(M_MMAP_THRESHOLD, 128 * 1024);
}

int main(int argc, char **argv)
{
	sigset_t signals;
	give_memory_back();
	struct arguments arguments = {.log_format = LOG_TEXT};
	block_signals(&signals);
	keep_standard_descriptors();
	int status = parse_arguments(argc, argv, &arguments);
	if (status >= 0)
		return status;
	bool quiet = arguments.quiet || (arguments.once && !arguments.verbose);
	log_open(arguments.log_format, arguments.verbose ? CW_DEBUG : quiet ? CW_WARNING : CW_INFO);
	if (arguments.test) {
		pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
		return test_configuration(&arguments);
	}
	raise_descriptor_limit();
	status = run_process(&arguments, &signals);
	log_close();
	fflush(stdout);
	if (instance_abandoned_count() > 0)
		_exit(status); /* exit() would run handlers under threads that were left behind */
	return status;
}
