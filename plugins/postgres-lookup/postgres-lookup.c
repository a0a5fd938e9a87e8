/* SPDX-License-Identifier: MIT
 *
 * Lookup postgres-lookup: names of businesses, from the platform's PostgreSQL. This file has what the plugin says of
 * itself (at the end), its options, its life, what is asked of it, and the one place that decides its state. lookup.h
 * has the rest.
 */
#include "lookup.h"
#include "text.h"

#include <errno.h>
#include <sodium/crypto_generichash.h>
#include <sodium/randombytes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAVE_MS = 60000, FIRST_WAIT_MS = 4000, SPREAD = 8 };

enum metric { METRIC_NAMES, METRIC_WAITING, METRIC_QUERIES, METRIC_QUERY_SECONDS };

const char default_sql[] =
	"SELECT id, coalesce(nullif(business_name, ''), nullif(primary_business_phone_number, ''), 'Unknown Business') "
	"FROM businesses WHERE id = ANY($1::uuid[])";

/* ---- the state ---- */

/* With a time, not an age: a state that is said anew each second is no state. */
static const char *known(const struct lookup *lookup, char buffer[96])
{
	char time[TEXT_TIME_SIZE];
	uint32_t count = lookup->names.counts[NAME_KNOWN];
	text_time(time, lookup->newest);
	if (count == 0)
		snprintf(buffer, 96, "no names known");
	else
		snprintf(buffer, 96, "%u names known, the newest of %.19sZ", count, time);
	return buffer;
}

void lookup_say(struct lookup *lookup)
{
	const struct cw_host *host = lookup->host;
	char names[96];
	if (!postgres_is_up(lookup->postgres)) {
		if (lookup->reason[0])
			host->state(lookup->self, CW_DOWN, lookup->next_try, "%s; %s", lookup->reason,
				    known(lookup, names));
	} else if (lookup->refused[0]) {
		host->state(lookup->self, lookup->is_hopeless ? CW_DOWN : CW_DEGRADED, lookup->not_before, "%s; %s",
			    lookup->refused, known(lookup, names));
	} else {
		host->state(lookup->self, CW_UP, /* next_try */ 0, "looking up names");
	}
}

/* The first reading waits until it is known whether there is a server. */
static void first_done(struct lookup *lookup, int status)
{
	if (lookup->first_waits)
		lookup->host->read_done(lookup->self, status);
	lookup->first_waits = false;
}

static void on_first_wait(uv_timer_t *timer)
{
	first_done(timer->data, -ETIMEDOUT);
}

static void on_up(void *arg)
{
	struct lookup *lookup = arg;
	lookup->reason[0] = '\0';
	lookup->connected_once = true;
	lookup->not_before = 0;
	uv_timer_stop(&lookup->timer);
	lookup_say(lookup);
	checks_connected(lookup);
	first_done(lookup, 0);
	batch_soon(lookup);
}

static void on_down(void *arg, enum postgres_failure failure, const char *reason, int64_t next_try)
{
	struct lookup *lookup = arg;
	snprintf(lookup->reason, sizeof(lookup->reason), "%s", reason);
	lookup->failure = failure;
	lookup->next_try = next_try;
	lookup->last_try = lookup->host->now();
	lookup->refused[0] = '\0';
	lookup->host->count_error(lookup->self, 1);
	uv_timer_stop(&lookup->timer);
	lookup_say(lookup);
	checks_connected(lookup);
	if (lookup->examining == CHECK_QUERY)
		checks_queried(lookup, &(struct postgres_outcome){.reason = reason});
	first_done(lookup, -ENOTCONN);
}

/* ---- what is asked ---- */

/* The form in which the server writes a UUID; false: it is none. */
static bool take_uuid(const char *key, char uuid[UUID_LENGTH + 1])
{
	static const char form[UUID_LENGTH + 1] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
	static const char digits[256] = {
		['0'] = '0', ['1'] = '1', ['2'] = '2', ['3'] = '3', ['4'] = '4', ['5'] = '5', ['6'] = '6', ['7'] = '7',
		['8'] = '8', ['9'] = '9', ['a'] = 'a', ['b'] = 'b', ['c'] = 'c', ['d'] = 'd', ['e'] = 'e', ['f'] = 'f',
		['A'] = 'a', ['B'] = 'b', ['C'] = 'c', ['D'] = 'd', ['E'] = 'e', ['F'] = 'f'};
	for (uint32_t i = 0; i < UUID_LENGTH; i++) {
		uuid[i] = form[i] == 'x' ? digits[(unsigned char)key[i]] : key[i];
		if (uuid[i] == '\0' || (form[i] != 'x' && key[i] != '-'))
			return false; /* also where it ends too early */
	}
	uuid[UUID_LENGTH] = '\0';
	return key[UUID_LENGTH] == '\0';
}

/* Names that came together do not grow old together: an eighth of their time is drawn from their key. */
static bool is_fresh(const struct lookup *lookup, const struct name *name, int64_t now)
{
	int64_t ttl = name->state == NAME_KNOWN ? lookup->ttl : lookup->negative_ttl;
	ttl -= ttl / SPREAD * (int64_t)(name->hash >> 56) / 256;
	return name->state != NAME_UNKNOWN && now - name->checked < ttl;
}

/* What is known is told at once, in the asker's own spelling. An old name is better than none; that there was none,
 * once, is no answer. */
static bool look_up_one(struct lookup *lookup, const char *key, int64_t now, struct cw_answer *ret_answer)
{
	char uuid[UUID_LENGTH + 1];
	const char *sought = key;
	*ret_answer = (struct cw_answer){.key = key, .as_of = lookup->host->wall()};
	size_t length = strnlen(key, KEY_MAX + 1);
	if (length == 0 || length > KEY_MAX ||
	    !(lookup->ids_are_uuids ? take_uuid(key, uuid) : text_is_utf8(key, length)))
		return true; /* nobody is called that */
	if (lookup->ids_are_uuids)
		sought = uuid;
	struct name *name = names_ask(&lookup->names, sought, length);
	if (!name)
		return false;
	bool fresh = is_fresh(lookup, name, now);
	if (!fresh)
		names_queue(&lookup->names, name);
	ret_answer->value = name->value;
	ret_answer->as_of = name->as_of;
	return name->state == NAME_KNOWN || (name->state == NAME_ABSENT && fresh);
}

static void look_up(void *state, const char *const *keys, uint32_t n)
{
	struct lookup *lookup = state;
	struct cw_answer answers[CW_LOOKUP_KEYS_MAX];
	uint32_t count = 0;
	int64_t now = lookup->host->now();
	for (uint32_t i = 0; i < n && i < CW_LOOKUP_KEYS_MAX; i++)
		count += look_up_one(lookup, keys[i], now, &answers[count]);
	if (count)
		lookup->host->answer(lookup->self, answers, count);
	batch_soon(lookup);
}

/* ---- the file ---- */

static void make_made_for(struct lookup *lookup)
{
	crypto_generichash_state hash;
	const uint8_t flags[2] = {lookup->ids_are_uuids, lookup->info->phones_full};
	crypto_generichash_init(&hash, /* key */ NULL, 0, FILE_FOR_BYTES);
	crypto_generichash_update(&hash, (const uint8_t *)lookup->url, strlen(lookup->url) + 1);
	crypto_generichash_update(&hash, (const uint8_t *)lookup->sql, strlen(lookup->sql) + 1);
	crypto_generichash_update(&hash, flags, sizeof(flags));
	crypto_generichash_final(&hash, lookup->made_for, FILE_FOR_BYTES);
}

static int make_names(struct lookup *lookup, uint32_t limit)
{
	uint8_t key[NAMES_HASH_KEY_BYTES];
	randombytes_buf(key, sizeof(key));
	return names_init(&lookup->names, limit, key);
}

static int read_file(struct lookup *lookup)
{
	const struct cw_host *host = lookup->host;
	uint32_t limit = lookup->names.limit;
	int64_t count = lookup->info->state_dir ? file_read(lookup->info->state_dir, lookup->made_for, &lookup->names,
							    host->now(), host->wall())
						: -ENOENT;
	for (const struct name *name = lookup->names.oldest; count > 0 && name; name = name->newer)
		if (name->as_of > lookup->newest)
			lookup->newest = name->as_of;
	if (count > 0)
		host->log(lookup->self, CW_INFO, "%u names are known from before", lookup->names.counts[NAME_KNOWN]);
	if (count >= 0 || count == -ENOENT)
		return 0;
	names_release(&lookup->names);
	if (count != -ESTALE) /* that is a change of the options */
		host->log(lookup->self, CW_WARNING, "%s/names is left aside, names are asked for anew: %s",
			  lookup->info->state_dir, count == -EBADMSG ? "it is damaged" : strerror((int)-count));
	return make_names(lookup, limit);
}

static void write_file(struct lookup *lookup)
{
	if (!lookup->is_changed || !lookup->info->state_dir)
		return;
	int status = file_write(lookup->info->state_dir, lookup->made_for, &lookup->names);
	if (status < 0)
		lookup->host->log(lookup->self, CW_WARNING, "%s/names cannot be written, names are not kept: %s",
				  lookup->info->state_dir, strerror(-status));
	lookup->is_changed = status < 0;
}

static void on_save(uv_timer_t *timer)
{
	write_file(timer->data);
}

/* ---- options ---- */

static void check(const struct cw_value *options, struct cw_problems *problems)
{
	const struct cw_value *sql = cw_get(options, "sql");
	postgres_check_options(options, problems);
	if (sql && sql->known && sql->string && !strstr(sql->string, "$1"))
		problems->error(problems, sql, "sql must take the ids: $1 is an array of them, as in `id = ANY($1)`");
}

static void take_options(struct lookup *lookup, const struct cw_value *options)
{
	lookup->url = cw_get_string(options, "url");
	lookup->sql = cw_get_string(options, "sql");
	lookup->ids_are_uuids = cw_get_integer(options, "ids", 0) == 0;
	lookup->ttl = cw_get_integer(options, "ttl", 3600 * CW_SECOND);
	lookup->negative_ttl = cw_get_integer(options, "negative_ttl", 60 * CW_SECOND);
	lookup->statement_timeout = cw_get_integer(options, "statement_timeout", 2 * CW_SECOND);
	lookup->batch = (uint32_t)cw_get_integer(options, "batch", 50000);
}

/* ---- life ---- */

static void release(void *state)
{
	struct lookup *lookup = state;
	batch_release(lookup);
	names_release(&lookup->names);
	free(lookup);
}

static int open_connection(struct lookup *lookup, const struct cw_value *options)
{
	static const struct postgres_callbacks callbacks = {.up = on_up, .down = on_down};
	struct postgres_settings settings = {
		.url = lookup->url,
		.username = cw_get_string(options, "username"),
		.password = cw_get_string(options, "password"),
		.statement_timeout = lookup->statement_timeout,
	};
	return postgres_open(lookup->self, lookup->host, &settings, &callbacks, lookup, &lookup->postgres);
}

static int start(struct cw_instance *self, const struct cw_host *host, const struct cw_value *options, void **ret_state)
{
	struct lookup *lookup = calloc(1, sizeof(*lookup));
	if (!lookup)
		return -ENOMEM;
	lookup->self = self;
	lookup->host = host;
	lookup->info = host->info(self);
	lookup->examining = CHECKS;
	take_options(lookup, options);
	make_made_for(lookup);
	int status = make_names(lookup, (uint32_t)cw_get_integer(options, "cache_size", 200000));
	if (status == 0)
		status = read_file(lookup);
	if (status == 0)
		status = batch_init(lookup);
	if (status == 0)
		status = open_connection(lookup, options);
	if (status < 0) {
		release(lookup);
		return status;
	}
	uv_timer_init(host->loop(self), &lookup->timer);
	uv_timer_init(host->loop(self), &lookup->save);
	lookup->timer.data = lookup->save.data = lookup;
	uv_timer_start(&lookup->save, on_save, SAVE_MS, SAVE_MS);
	if (!lookup->info->once) /* nothing is asked for before, so the timer is free */
		uv_timer_start(&lookup->timer, on_first_wait, FIRST_WAIT_MS, /* repeat */ 0);
	*ret_state = lookup;
	return 0;
}

static void stop(void *state)
{
	struct lookup *lookup = state;
	checks_stop(lookup);
	postgres_close(lookup->postgres);
	uv_close((uv_handle_t *)&lookup->timer, NULL);
	uv_close((uv_handle_t *)&lookup->save, NULL);
	write_file(lookup);
}

/* ---- the readings ---- */

static const char *const state_values[] = {"known", "absent", NULL}, *const outcome_values[] = {"ok", "failed", NULL};

static const struct cw_metric metrics[] = {
	[METRIC_NAMES] = {.name = "lookup_names",
			  .unit = "names",
			  .help = "Names that are remembered, and ids remembered to have none",
			  .labels = {{"state", state_values}}},
	[METRIC_WAITING] = {.name = "lookup_waiting", .unit = "names", .help = "Ids that wait to be asked for"},
	[METRIC_QUERIES] = {.name = "lookup_queries_total",
			    .kind = CW_COUNTER,
			    .unit = "queries",
			    .help = "Queries sent, by how they ended",
			    .labels = {{"outcome", outcome_values}}},
	[METRIC_QUERY_SECONDS] = {.name = "lookup_query_seconds",
				  .unit = "seconds",
				  .help = "How long the last query took",
				  .collectd_type = "duration"},
};

static int lookup_read(void *state)
{
	struct lookup *lookup = state;
	const struct cw_host *host = lookup->host;
	host->gauge(lookup->self, METRIC_NAMES, &state_values[0], lookup->names.counts[NAME_KNOWN]);
	host->gauge(lookup->self, METRIC_NAMES, &state_values[1], lookup->names.counts[NAME_ABSENT]);
	host->gauge(lookup->self, METRIC_WAITING, NULL, lookup->names.queued + lookup->asked_count);
	for (uint32_t i = 0; i < OUTCOMES; i++)
		host->counter(lookup->self, METRIC_QUERIES, &outcome_values[i], lookup->queries[i]);
	if (lookup->queries[0] + lookup->queries[1] && postgres_is_up(lookup->postgres))
		host->gauge(lookup->self, METRIC_QUERY_SECONDS, NULL, lookup->query_seconds);
	if (lookup->connected_once || lookup->reason[0])
		return 0;
	lookup->first_waits = true;
	return CW_LATER;
}

/* ---- what the plugin is ---- */

static const char *const ids_choices[] = {"uuid", "text", NULL};

static const struct cw_option options[] = {
	POSTGRES_CONNECTION_OPTIONS,
	{.key = "sql",
	 .type = CW_OPTION_STRING,
	 .fallback = default_sql,
	 .help = "Gives id and name, a row for each of the ids in the array $1 that there is"},
	{.key = "ids",
	 .type = CW_OPTION_CHOICE,
	 .fallback = "uuid",
	 .choices = ids_choices,
	 .flags = CW_OPTION_ADVANCED,
	 .help = "What an id must look like to be asked for; any other has no name"},
	{.key = "ttl",
	 .type = CW_OPTION_DURATION,
	 .fallback = "1h",
	 .min = 1e9,
	 .max = 30 * 86400e9,
	 .help = "How long a name is believed before it is asked for again"},
	{.key = "negative_ttl",
	 .type = CW_OPTION_DURATION,
	 .fallback = "1m",
	 .min = 1e9,
	 .max = 30 * 86400e9,
	 .help = "The same for an id that has none"},
	{.key = "batch",
	 .type = CW_OPTION_INT,
	 .fallback = "50000",
	 .min = 1,
	 .max = 100000,
	 .flags = CW_OPTION_ADVANCED,
	 .help = "How many ids one query asks for at most; it begins with 1000, and asks for more while answers come "
		 "soon"},
	{.key = "statement_timeout",
	 .type = CW_OPTION_DURATION,
	 .fallback = "2s",
	 .min = 100e6,
	 .max = 60e9,
	 .help = "When the server is to give up a query"},
	{.key = "cache_size",
	 .type = CW_OPTION_INT,
	 .fallback = "200000",
	 .min = 1000,
	 .max = 5e6,
	 .flags = CW_OPTION_ADVANCED,
	 .help = "How many ids are remembered, about 200 bytes each; who was not asked for longest goes"},
};

static const struct cw_need needs[] = {
	{.what = "PostgreSQL role",
	 .line = "GRANT SELECT (id, business_name, primary_business_phone_number) ON businesses TO callwatch"},
};

static const struct cw_check checks[] = {
	[CHECK_NAME] = {.name = "name", .help = "The server's host name has an address"},
	[CHECK_TCP] = {.name = "tcp", .help = "A server answers there"},
	[CHECK_AUTH] = {.name = "auth", .help = "It lets callwatch in: TLS, role, password, database"},
	[CHECK_QUERY] = {.name = "query", .help = "The query works, and in time"},
};
_Static_assert(sizeof(checks) / sizeof(checks[0]) == CHECKS, "every check has its index");

CW_EXPORT const struct cw_plugin cw_plugin = {
	CW_PLUGIN_ABI,
	.name = "postgres-lookup",
	.summary = "Names of businesses from the platform's PostgreSQL, asked for in batches and remembered",
	.role = CW_LOOKUP,
	.options = CW_ARRAY(options),
	.metrics = CW_ARRAY(metrics),
	.needs = CW_ARRAY(needs),
	.checks = CW_ARRAY(checks),
	.check = check,
	.start = start,
	.read = lookup_read,
	.stop = stop,
	.release = release,
	.look_up = look_up,
	.examine = lookup_examine,
};
