/* SPDX-License-Identifier: MIT
 *
 * herald: a notifier that appends each notice it is given to the file `path`, as a line of JSON, and then does what the
 * file `script` says: its first line, which is taken away unless it is the last. Without a script all goes well.
 *
 *     ok                the receiver says yes, at once (what is told is in the file)
 *     later MS          the same, MS later
 *     again             it has not arrived: nothing is in the file
 *     hold MS           the same, and nothing may be sent for MS
 *     half              some have it: `progress` says who, and it is in the file
 *     doubtful          it is in the file, and nobody knows
 *     refused           it will never be taken
 *     hang              it is in the file, and no word is ever said
 *     block             notify() does not come back
 *     early             the word comes from within notify()
 *     twice             the word comes twice
 *     fail              notify() fails
 *     crash             it is in the file, and the process dies before the answer
 *     crash_before      the process dies before it is in the file
 *     large             what is to be kept is larger than may be
 */
#include <callwatch/notify.h>
#include <callwatch/plugin.h>

#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#ifndef HERALD_NAME
#define HERALD_NAME       "herald"
#define HERALD_DIGEST_MAX 0
#endif

static const struct cw_option options[] = {
	{.key = "path", .type = CW_OPTION_STRING, .flags = CW_OPTION_REQUIRED, .help = "File that is appended to"},
	{.key = "script", .type = CW_OPTION_STRING, .help = "File that says what becomes of each notice"},
};

static const struct cw_action actions[] = {CW_NOTIFIER_TEST};

enum { LINE_SIZE = 64 * 1024, SCRIPT_SIZE = 4096 };

struct herald {
	struct cw_instance *self;
	const struct cw_host *host;
	const char *path, *script; /* the core's */
	uv_timer_t timer;
	char receipt[128];
	char large[2 * CW_NOTICE_KEPT_MAX];
};

/* ---- what it is told ---- */

static void add(char *line, const char *key, const char *text)
{
	size_t length = strlen(line), room = LINE_SIZE - length;
	int used = snprintf(line + length, room, "%s\"%s\": ", length > 1 ? ", " : "", key);
	if (used < 0 || (size_t)used >= room)
		return;
	if (text)
		text_json(line + length + used, room - (size_t)used, text, strlen(text));
	else
		snprintf(line + length + used, room - (size_t)used, "null");
}

static void add_number(char *line, const char *key, long long number)
{
	size_t length = strlen(line);
	snprintf(line + length, LINE_SIZE - length, "%s\"%s\": %lld", length > 1 ? ", " : "", key, number);
}

static void add_alerts(char *line, const struct cw_array *alerts)
{
	size_t length = strlen(line);
	snprintf(line + length, LINE_SIZE - length, ", \"alerts\": [");
	for (uint32_t i = 0; i < alerts->count && length < LINE_SIZE - 1024; i++) {
		const struct cw_alert *alert = cw_at(alerts, i);
		char subject[512];
		length = strlen(line);
		text_json(subject, sizeof subject, alert->subject, strlen(alert->subject));
		snprintf(line + length, LINE_SIZE - length, "%s[%s, %s]", i ? ", " : "", subject,
			 alert->is_firing ? "true" : "false");
	}
	length = strlen(line);
	snprintf(line + length, LINE_SIZE - length, "]");
}

static void append(const struct herald *herald, const struct cw_notice *notice, uint32_t index, uint32_t n)
{
	static const char *const kinds[] = {"firing", "resolved", "repeat", "test"};
	char *line = calloc(1, LINE_SIZE + 2);
	int fd = line ? open(herald->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
	if (fd >= 0) {
		line[0] = '{';
		add(line, "id", notice->id);
		add(line, "group", notice->group);
		add(line, "incident", notice->incident);
		add_number(line, "sequence", notice->sequence);
		add(line, "kind", kinds[notice->kind % 4]);
		add(line, "rule", notice->rule);
		add(line, "title", notice->title);
		add(line, "receipt", notice->receipt);
		add(line, "progress", notice->progress);
		add_number(line, "attempt", notice->attempt);
		add_number(line, "doubtful", notice->is_doubtful);
		add_number(line, "firing", notice->firing);
		add_number(line, "resolved", notice->resolved);
		add_number(line, "index", index);
		add_number(line, "of", n);
		add_number(line, "now_ms", herald->host->now() / CW_MILLISECOND);
		add_alerts(line, &notice->alerts);
		size_t length = strlen(line);
		memcpy(line + length, "}\n", 2); /* there is room */
		if (write(fd, line, length + 2) < 0)
			herald->host->log(herald->self, CW_ERROR, "cannot write: %s", strerror(errno));
		close(fd);
	}
	free(line);
}

/* ---- what becomes of it ---- */

static void say(struct herald *herald, enum cw_delivery outcome, int64_t not_before, const char *progress,
		const char *receipt, const char *reason)
{
	struct cw_delivered delivered = {sizeof delivered, outcome, not_before, progress, receipt, false};
	herald->host->notified(herald->self, &delivered, reason ? "%s" : NULL, reason);
}

/* The next word of the script, and its number. */
static void next_word(const struct herald *herald, char word[32], long *ret_number)
{
	char script[SCRIPT_SIZE] = "";
	memcpy(word, "ok", sizeof "ok");
	*ret_number = 0;
	int fd = herald->script ? open(herald->script, O_RDWR | O_CLOEXEC) : -1;
	if (fd < 0)
		return;
	ssize_t length = pread(fd, script, sizeof script - 1, 0);
	char *rest = length > 0 ? strchr(script, '\n') : NULL;
	if (sscanf(script, "%31s %ld", word, ret_number) >= 1 && rest && rest[1]) {
		if (pwrite(fd, rest + 1, strlen(rest + 1), 0) < 0 || ftruncate(fd, (off_t)strlen(rest + 1)) < 0)
			herald->host->log(herald->self, CW_ERROR, "cannot change the script: %s", strerror(errno));
	}
	close(fd);
}

static void on_timer(uv_timer_t *timer)
{
	struct herald *herald = timer->data;
	say(herald, CW_DELIVERED, 0, NULL, herald->receipt, NULL);
}

static int decide(struct herald *herald, const char *word, long number)
{
	int64_t until = herald->host->now() + number * CW_MILLISECOND;
	if (strcmp(word, "ok") == 0)
		uv_timer_start(&herald->timer, on_timer, 0, 0);
	else if (strcmp(word, "later") == 0)
		uv_timer_start(&herald->timer, on_timer, (uint64_t)number, 0);
	else if (strcmp(word, "again") == 0)
		say(herald, CW_TRY_AGAIN, 0, NULL, NULL, "503 Service Unavailable");
	else if (strcmp(word, "hold") == 0)
		say(herald, CW_TRY_AGAIN, until, NULL, NULL, "429 Too Many Requests");
	else if (strcmp(word, "half") == 0)
		say(herald, CW_TRY_AGAIN, 0, "ada", NULL, "bob was not there");
	else if (strcmp(word, "doubtful") == 0)
		say(herald, CW_DOUBTFUL, 0, NULL, NULL, "cut before the answer");
	else if (strcmp(word, "refused") == 0)
		say(herald, CW_REFUSED, 0, NULL, NULL, "404 no_such_channel");
	else if (strcmp(word, "large") == 0)
		say(herald, CW_DELIVERED, 0, NULL, herald->large, NULL);
	else if (strcmp(word, "early") == 0 || strcmp(word, "twice") == 0)
		say(herald, CW_DELIVERED, 0, NULL, herald->receipt, NULL);
	else if (strcmp(word, "fail") == 0)
		return -EIO;
	if (strcmp(word, "twice") == 0)
		say(herald, CW_DELIVERED, 0, NULL, herald->receipt, NULL);
	return CW_LATER;
}

static bool arrives(const char *word)
{
	static const char *const not [] = {"again", "hold", "refused", "fail", "crash_before", NULL};
	for (int i = 0; not [i]; i++)
		if (strcmp(not [i], word) == 0)
			return false;
	return true;
}

static int herald_notify(void *state, const struct cw_notice *const *notices, uint32_t n)
{
	struct herald *herald = state;
	char word[32];
	long number;
	next_word(herald, word, &number);
	for (uint32_t i = 0; arrives(word) && i < n; i++)
		append(herald, notices[i], i, n);
	if (strncmp(word, "crash", 5) == 0)
		kill(getpid(), SIGKILL);
	while (strcmp(word, "block") == 0)
		pause();
	snprintf(herald->receipt, sizeof herald->receipt, "message %u", notices[0]->sequence);
	return decide(herald, word, number);
}

/* ---- the plugin ---- */

static int herald_start(struct cw_instance *self, const struct cw_host *host, const struct cw_value *values,
			void **ret_state)
{
	struct herald *herald = calloc(1, sizeof *herald);
	if (!herald)
		return -ENOMEM;
	*herald = (struct herald){.self = self,
				  .host = host,
				  .path = cw_get_string(values, "path"),
				  .script = cw_get_string(values, "script")};
	memset(herald->large, 'x', sizeof herald->large - 1);
	uv_timer_init(host->loop(self), &herald->timer);
	herald->timer.data = herald;
	*ret_state = herald;
	return 0;
}

static void herald_stop(void *state)
{
	uv_close((uv_handle_t *)&((struct herald *)state)->timer, NULL);
}

CW_EXPORT const struct cw_plugin cw_plugin = {
	CW_PLUGIN_ABI,
	.name = HERALD_NAME,
	.summary = "A notifier that writes into a file, for tests",
	.role = CW_NOTIFIER,
	.options = CW_ARRAY(options),
	.actions = CW_ARRAY(actions),
	.start = herald_start,
	.notify = herald_notify,
	.digest_max = HERALD_DIGEST_MAX,
	.stop = herald_stop,
	.release = free,
};
