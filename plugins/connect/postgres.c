/* SPDX-License-Identifier: MIT
 *
 * See connect/postgres.h. A connection is one struct postgres, which lives from open to close, and under it one struct
 * link for each address it tries: libpq's connection and a poll handle on its descriptor.
 *
 *   waiting (a pause) → resolving → connecting (3 s for each address) → setting up the session → up → …
 *
 * While libpq connects it may close its descriptor and open another one, of the same number perhaps; so before each of
 * its steps the handle is closed, and after it a new one is made. From then on the descriptor stays.
 *
 * One timer serves the pause, the deadline of connecting and the deadline of the query. Before a server is called
 * silent its descriptor is looked at once more: after our own process slept, the answer may long be there.
 */
#include "connect/postgres.h"
#include "backoff.h"

#include <errno.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { ADDRESSES_MAX = 8, PLACE_MAX = POSTGRES_HOST_MAX + 10, WORDS_MAX = 20 };

enum stage { WAITING, RESOLVING, CONNECTING, SETTING_UP, UP };

/* A poll handle; its memory goes when libuv lets go of it, which may be after the link has. */
struct watcher {
	uv_poll_t poll;
	struct postgres *owner; /* NULL: only closing */
};

struct postgres {
	struct cw_instance *self;
	const struct cw_host *host;
	struct postgres_settings settings;
	struct postgres_callbacks callbacks;
	void *arg;
	struct postgres_address address;

	enum stage stage;
	uint32_t at; /* the host that is tried */
	struct cw_resolve *resolve;
	struct sockaddr_storage addresses[ADDRESSES_MAX]; /* of that host */
	uint32_t addresses_count, addresses_tried;
	PGconn *connection;
	struct watcher *watcher;
	int watched; /* events */

	bool querying; /* a query is under way, ours (setting up) or the caller's */
	struct postgres_query query;
	bool failed; /* and why: */
	char reason[POSTGRES_ERROR_MAX], sqlstate[6];
	char last_words[POSTGRES_ERROR_MAX]; /* of a server that ends the connection; "": none */

	struct backoff backoff;
	uv_timer_t timer;
	bool closed;
	char user[128], place[PLACE_MAX];
};

static void begin(struct postgres *postgres);
static void connect_next(struct postgres *postgres);

/* ---- the end of things ---- */

/* The last handle: never under a callback of ours. */
static void on_timer_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void on_watcher_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void drop_watcher(struct postgres *postgres)
{
	struct watcher *watcher = postgres->watcher;
	postgres->watcher = NULL;
	postgres->watched = 0;
	if (!watcher)
		return;
	watcher->owner = NULL;
	uv_close((uv_handle_t *)&watcher->poll, on_watcher_closed);
}

/* The handle goes before the descriptor does. */
static void cut(struct postgres *postgres)
{
	drop_watcher(postgres);
	if (postgres->connection)
		PQfinish(postgres->connection);
	postgres->connection = NULL;
}

static void on_timer(uv_timer_t *timer);

static void set_timer(struct postgres *postgres, int64_t after)
{
	uint64_t ms = after <= 0 ? 0 : (uint64_t)((after + CW_MILLISECOND - 1) / CW_MILLISECOND);
	uv_update_time(postgres->timer.loop);
	uv_timer_start(&postgres->timer, on_timer, ms, /* repeat */ 0);
}

/* A caller's query learns that its connection is gone before anybody learns why. */
static void drop_query(struct postgres *postgres, const char *reason)
{
	bool tell = postgres->querying && postgres->query.done;
	struct postgres_query query = postgres->query;
	postgres->querying = false;
	postgres->query = (struct postgres_query){0};
	if (tell && !postgres->closed)
		query.done(query.arg, &(struct postgres_outcome){.ok = false, .reason = reason});
}

static void fail(struct postgres *postgres, enum postgres_failure failure, const char *reason)
{
	char kept[POSTGRES_ERROR_MAX];
	snprintf(kept, sizeof(kept), "%s", reason); /* it may be libpq's, or a query's */
	postgres->stage = WAITING;
	cut(postgres);
	drop_query(postgres, kept);
	if (postgres->closed)
		return;
	bool for_long =
		failure == POSTGRES_DENIED || failure == POSTGRES_TLS; /* no account is to be locked out by us */
	int64_t pause = for_long ? 30 * CW_SECOND : backoff_next(&postgres->backoff);
	set_timer(postgres, pause);
	postgres->callbacks.down(postgres->arg, failure, kept, postgres->host->now() + pause);
}

static void CW_PRINTF(3, 4) failf(struct postgres *postgres, enum postgres_failure failure, const char *format, ...)
{
	char reason[POSTGRES_ERROR_MAX];
	va_list list;
	va_start(list, format);
	vsnprintf(reason, sizeof(reason), format, list);
	va_end(list);
	fail(postgres, failure, reason);
}

/* Another address, another host, or the end of this try. */
static void try_next(struct postgres *postgres, enum postgres_failure failure, const char *reason)
{
	bool others_may_do = failure != POSTGRES_DENIED && failure != POSTGRES_TLS;
	cut(postgres);
	if (others_may_do && postgres->addresses_tried < postgres->addresses_count) {
		connect_next(postgres);
	} else if (others_may_do && postgres->at + 1 < postgres->address.count) {
		postgres->at++;
		begin(postgres);
	} else {
		fail(postgres, failure, reason);
	}
}

static void fail_to_connect(struct postgres *postgres)
{
	char reason[POSTGRES_ERROR_MAX];
	enum postgres_failure failure =
		postgres_explain_connect(PQerrorMessage(postgres->connection), postgres->place,
					 PQconnectionNeedsPassword(postgres->connection), reason);
	try_next(postgres, failure, reason);
}

/* ---- the descriptor ---- */

static void on_ready(uv_poll_t *poll, int status, int events);

static int watch(struct postgres *postgres, int events)
{
	int status = 0;
	if (!postgres->watcher) {
		struct watcher *watcher = calloc(1, sizeof(*watcher));
		if (!watcher)
			return -ENOMEM;
		status = uv_poll_init(postgres->timer.loop, &watcher->poll, PQsocket(postgres->connection));
		if (status < 0) {
			free(watcher);
			return status;
		}
		watcher->poll.data = watcher;
		watcher->owner = postgres;
		postgres->watcher = watcher;
	}
	if (postgres->watched != events)
		status = uv_poll_start(&postgres->watcher->poll, events, on_ready);
	postgres->watched = events;
	return status;
}

static void watch_or_fail(struct postgres *postgres, int events)
{
	int status = watch(postgres, events);
	if (status < 0)
		failf(postgres, POSTGRES_UNREACHABLE, "cannot watch its socket: %s", uv_strerror(status));
}

/* ---- queries ---- */

static void lost(struct postgres *postgres)
{
	char reason[POSTGRES_ERROR_MAX];
	postgres_explain_connect(PQerrorMessage(postgres->connection), postgres->place, /* needs_password */ false,
				 reason);
	fail(postgres, POSTGRES_UNREACHABLE, postgres->last_words[0] ? postgres->last_words : reason);
}

/* A server that ends the connection says why, as an error or, if nothing was asked of it, as a notice. */
static void note_last_words(struct postgres *postgres, const PGresult *result)
{
	const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
	if (severity && (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0))
		postgres_explain_query(result, postgres->last_words);
}

/* Without this libpq would print notices. */
static void on_notice(void *arg, const PGresult *result)
{
	note_last_words(arg, result);
}

/* What the server is still to be sent goes as it takes it. */
static void flush(struct postgres *postgres)
{
	int rest = PQflush(postgres->connection);
	if (rest < 0)
		lost(postgres);
	else
		watch_or_fail(postgres, UV_READABLE | (rest ? UV_WRITABLE : 0));
}

static void on_query_done(struct postgres *postgres)
{
	struct postgres_query query = postgres->query;
	struct postgres_outcome outcome = {.ok = !postgres->failed, .reason = postgres->reason};
	memcpy(outcome.sqlstate, postgres->sqlstate, sizeof(outcome.sqlstate));
	postgres->querying = false;
	postgres->query = (struct postgres_query){0};
	uv_timer_stop(&postgres->timer);
	query.done(query.arg, &outcome);
}

static void note_error(struct postgres *postgres, const PGresult *result)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	note_last_words(postgres, result);
	if (postgres->failed)
		return;
	postgres->failed = true;
	postgres_explain_query(result, postgres->reason);
	snprintf(postgres->sqlstate, sizeof(postgres->sqlstate), "%s", state ? state : "");
}

static void take(struct postgres *postgres, const PGresult *result)
{
	switch (PQresultStatus(result)) {
	case PGRES_SINGLE_TUPLE:
		if (postgres->query.row)
			postgres->query.row(postgres->query.arg, result);
		break;
	case PGRES_TUPLES_OK:
	case PGRES_COMMAND_OK:
		break;
	default:
		note_error(postgres, result);
	}
}

/* All that has come; an end of the results is the end of the query. */
static void take_results(struct postgres *postgres)
{
	while (postgres->querying && !PQisBusy(postgres->connection)) {
		PGresult *result = PQgetResult(postgres->connection);
		if (!result && PQstatus(postgres->connection) == CONNECTION_BAD)
			break;
		if (result)
			take(postgres, result);
		else
			on_query_done(postgres);
		PQclear(result);
		if (!postgres->connection)
			break; /* cut by a callback */
	}
}

static void read_some(struct postgres *postgres)
{
	bool is_fine = PQconsumeInput(postgres->connection) == 1;
	if (!postgres->querying)
		PQisBusy(postgres->connection); /* makes it look at what the server says unasked */
	take_results(postgres);                 /* the last words of a server that goes are a result too */
	if (!postgres->connection)
		return;
	if (!is_fine || PQstatus(postgres->connection) == CONNECTION_BAD)
		lost(postgres);
	else
		flush(postgres);
}

/* The server's own timeout first, so that the connection can be used again. */
static int64_t deadline(const struct postgres *postgres)
{
	return postgres->settings.statement_timeout + POSTGRES_GRACE_S * CW_SECOND;
}

static int send_query(struct postgres *postgres, const struct postgres_query *query)
{
	PGconn *connection = postgres->connection;
	postgres->query = (struct postgres_query){.row = query->row, .done = query->done, .arg = query->arg};
	postgres->querying = true;
	postgres->failed = false;
	postgres->reason[0] = postgres->sqlstate[0] = '\0';
	int sent = PQsendQueryParams(connection, query->sql, (int)query->count, /* types */ NULL, query->values,
				     /* lengths */ NULL, /* formats */ NULL, /* text */ 0);
	if (!sent) {
		postgres->querying = false;
		return PQstatus(connection) == CONNECTION_BAD ? -ENOTCONN : -ENOMEM;
	}
	PQsetSingleRowMode(connection);
	set_timer(postgres, deadline(postgres));
	watch(postgres, UV_READABLE | UV_WRITABLE); /* flushed from the loop; if that cannot be, the deadline tells */
	return 0;
}

/* ---- setting up the session ---- */

static void on_set_up(void *arg, const struct postgres_outcome *outcome)
{
	struct postgres *postgres = arg;
	if (!outcome->ok) {
		if (outcome->sqlstate[0]) /* else the connection was lost, and fails by itself */
			failf(postgres, POSTGRES_DENIED, "cannot set up its session: %s", outcome->reason);
		return;
	}
	postgres->stage = UP;
	backoff_reset(&postgres->backoff);
	postgres->callbacks.up(postgres->arg);
}

/* One statement, since a query with parameters is no list of them. A database in SQL_ASCII holds bytes of which nobody
 * knows what they are: only to who claims to know no better it hands them out. */
static void set_up(struct postgres *postgres)
{
	static const char sql[] = "SELECT set_config('statement_timeout', $1, false), "
				  "set_config('default_transaction_read_only', 'on', false), "
				  "set_config('client_encoding', $2, false)";
	char ms[24];
	const char *encoding = PQparameterStatus(postgres->connection, "server_encoding");
	bool is_unknown = encoding && strcmp(encoding, "SQL_ASCII") == 0;
	const char *const values[] = {ms, is_unknown ? "SQL_ASCII" : "UTF8"};
	snprintf(ms, sizeof(ms), "%lld", (long long)(postgres->settings.statement_timeout / CW_MILLISECOND));
	struct postgres_query query = {.sql = sql, .count = 2, .values = values, .done = on_set_up, .arg = postgres};
	postgres->stage = SETTING_UP;
	snprintf(postgres->user, sizeof(postgres->user), "%s", PQuser(postgres->connection));
	if (PQsetnonblocking(postgres->connection, 1) < 0 || send_query(postgres, &query) < 0)
		fail(postgres, POSTGRES_UNREACHABLE, "out of memory");
}

/* ---- connecting ---- */

static void step(struct postgres *postgres)
{
	drop_watcher(postgres); /* before libpq may close the descriptor */
	switch (PQconnectPoll(postgres->connection)) {
	case PGRES_POLLING_READING:
		watch_or_fail(postgres, UV_READABLE);
		break;
	case PGRES_POLLING_WRITING:
		watch_or_fail(postgres, UV_WRITABLE);
		break;
	case PGRES_POLLING_OK:
		set_up(postgres);
		break;
	default:
		fail_to_connect(postgres);
	}
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
	struct postgres *postgres = ((struct watcher *)poll->data)->owner;
	(void)events;
	(void)status; /* an error is libpq's to find, and to explain */
	if (!postgres)
		return;
	if (postgres->stage == CONNECTING)
		step(postgres);
	else if (postgres->stage == SETTING_UP || postgres->stage == UP)
		read_some(postgres);
}

struct words {
	const char *keys[WORDS_MAX], *values[WORDS_MAX];
	uint32_t count;
};

static void add_word(struct words *words, const char *key, const char *value)
{
	if (!value || words->count + 1 >= WORDS_MAX)
		return;
	words->keys[words->count] = key;
	words->values[words->count++] = value;
}

static void start(struct postgres *postgres, const char *numeric, const char *port)
{
	const struct postgres_settings *settings = &postgres->settings;
	struct words words = {.count = 0};
	/* What the URL says wins over what stands before it, and not over what stands after it. */
	add_word(&words, "fallback_application_name", "callwatch");
	add_word(&words, "gssencmode", "disable"); /* it asks a key server, and waits */
	add_word(&words, "keepalives_idle", "5");
	add_word(&words, "keepalives_interval", "2");
	add_word(&words, "keepalives_count", "3");
	add_word(&words, "tcp_user_timeout", "10000");
	add_word(&words, "dbname", settings->url);
	add_word(&words, "user", settings->username);
	add_word(&words, "password", settings->password);
	add_word(&words, "client_encoding", "UTF8");
	add_word(&words, "host", postgres->address.hosts[postgres->at].host);
	add_word(&words, "hostaddr", numeric);
	add_word(&words, "port", port);
	postgres->stage = CONNECTING;
	postgres->connection = PQconnectStartParams(words.keys, words.values, /* expand_dbname */ 1);
	if (!postgres->connection) {
		fail(postgres, POSTGRES_UNREACHABLE, "out of memory");
		return;
	}
	postgres->last_words[0] = '\0';
	PQsetErrorVerbosity(postgres->connection, PQERRORS_VERBOSE);
	PQsetNoticeReceiver(postgres->connection, on_notice, postgres);
	set_timer(postgres, POSTGRES_CONNECT_S * CW_SECOND);
	if (PQstatus(postgres->connection) == CONNECTION_BAD)
		fail_to_connect(postgres);
	else
		watch_or_fail(postgres, UV_WRITABLE);
}

static void connect_next(struct postgres *postgres)
{
	char numeric[NI_MAXHOST], port[8];
	const struct sockaddr *to = (const struct sockaddr *)&postgres->addresses[postgres->addresses_tried++];
	socklen_t length = to->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
	snprintf(port, sizeof(port), "%u", postgres->address.hosts[postgres->at].port);
	if (getnameinfo(to, length, numeric, sizeof(numeric), /* service */ NULL, 0, NI_NUMERICHOST) != 0)
		try_next(postgres, POSTGRES_UNREACHABLE, "an address of an unknown kind");
	else
		start(postgres, numeric, port);
}

static void on_resolved(void *arg, int status, const struct sockaddr_storage *addresses, uint32_t n)
{
	struct postgres *postgres = arg;
	char reason[POSTGRES_ERROR_MAX];
	postgres->resolve = NULL;
	postgres->addresses_count = n < ADDRESSES_MAX ? n : ADDRESSES_MAX;
	postgres->addresses_tried = 0;
	if (status == 0 && n > 0) {
		memcpy(postgres->addresses, addresses, postgres->addresses_count * sizeof(*addresses));
		connect_next(postgres);
		return;
	}
	postgres->addresses_count = 0;
	snprintf(reason, sizeof(reason), "%s (%.128s): mend %s",
		 status == -ENOENT      ? "no such host name"
		 : status == -ETIMEDOUT ? "the name server does not answer"
					: "the host name cannot be looked up",
		 postgres->address.hosts[postgres->at].look_up,
		 status == -ENOENT ? "the url, or what the name server says" : "the name server, /etc/resolv.conf");
	try_next(postgres, POSTGRES_NO_NAME, reason);
}

static void name_place(struct postgres *postgres)
{
	const char *host = postgres->address.hosts[postgres->at].host;
	if (!host[0])
		host = postgres->address.hosts[postgres->at].look_up;
	if (postgres->address.hosts[postgres->at].is_unix)
		snprintf(postgres->place, PLACE_MAX, "%s", host[0] ? host : "local socket");
	else
		snprintf(postgres->place, PLACE_MAX, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host,
			 postgres->address.hosts[postgres->at].port);
}

/* One host. */
static void begin(struct postgres *postgres)
{
	char port[8];
	uint16_t number = postgres->address.hosts[postgres->at].port;
	postgres->addresses_count = postgres->addresses_tried = 0;
	name_place(postgres);
	if (postgres->address.hosts[postgres->at].is_unix) {
		snprintf(port, sizeof(port), "%u", number);
		start(postgres, /* numeric */ NULL, port);
		return;
	}
	postgres->stage = RESOLVING;
	if (postgres->host->resolve(postgres->self, postgres->address.hosts[postgres->at].look_up, number, on_resolved,
				    postgres, &postgres->resolve) < 0)
		try_next(postgres, POSTGRES_NO_NAME, "the host name cannot be looked up");
}

/* ---- deadlines ---- */

static void check_deadline(struct postgres *postgres)
{
	read_some(postgres);
	if (postgres->querying && postgres->connection)
		failf(postgres, POSTGRES_UNREACHABLE,
		      "no answer within %.1f s (%.128s): see that it is not frozen, and no firewall drops packets",
		      (double)deadline(postgres) / (double)CW_SECOND, postgres->place);
}

static void on_timer(uv_timer_t *timer)
{
	struct postgres *postgres = timer->data;
	char reason[POSTGRES_ERROR_MAX];
	if (postgres->stage == WAITING) {
		postgres->at = 0;
		begin(postgres);
	} else if (postgres->stage == CONNECTING) {
		snprintf(reason, sizeof(reason),
			 "no answer within %d s (%.128s): see that the host is up, no firewall drops packets, and it "
			 "is not "
			 "frozen",
			 POSTGRES_CONNECT_S, postgres->place);
		try_next(postgres, POSTGRES_UNREACHABLE, reason);
	} else if (postgres->querying) {
		check_deadline(postgres);
	}
}

/* ---- the face ---- */

int postgres_open(struct cw_instance *self, const struct cw_host *host, const struct postgres_settings *settings,
		  const struct postgres_callbacks *callbacks, void *arg, struct postgres **ret_postgres)
{
	char error[POSTGRES_ERROR_MAX];
	struct postgres *postgres = calloc(1, sizeof(*postgres));
	if (!postgres)
		return -ENOMEM;
	*postgres = (struct postgres){
		.self = self,
		.host = host,
		.settings = *settings,
		.callbacks = *callbacks,
		.arg = arg,
		.backoff = {.longest = 8 * CW_SECOND, .random = (uint64_t)host->now() ^ (uintptr_t)postgres}};
	if (postgres_address_parse(settings->url, &postgres->address, error) < 0) {
		free(postgres);
		return -EINVAL;
	}
	uv_timer_init(host->loop(self), &postgres->timer);
	postgres->timer.data = postgres;
	name_place(postgres);
	set_timer(postgres, 0); /* from the loop, so that no callback comes before open returns */
	*ret_postgres = postgres;
	return 0;
}

void postgres_close(struct postgres *postgres)
{
	if (!postgres || postgres->closed)
		return;
	postgres->closed = true;
	postgres->stage = WAITING;
	cut(postgres);
	drop_query(postgres, "");
	if (postgres->resolve)
		postgres->host->resolve_cancel(postgres->resolve);
	postgres->resolve = NULL;
	uv_close((uv_handle_t *)&postgres->timer, on_timer_closed);
}

bool postgres_is_up(const struct postgres *postgres)
{
	return postgres && postgres->stage == UP;
}

bool postgres_is_free(const struct postgres *postgres)
{
	return postgres_is_up(postgres) && !postgres->querying;
}

int postgres_send(struct postgres *postgres, const struct postgres_query *query)
{
	if (!postgres_is_up(postgres))
		return -ENOTCONN;
	return postgres->querying ? -EBUSY : send_query(postgres, query);
}

void postgres_try_now(struct postgres *postgres)
{
	if (postgres->stage == WAITING && !postgres->closed)
		set_timer(postgres, 0);
}

const char *postgres_user(const struct postgres *postgres)
{
	return postgres->user;
}

const char *postgres_place(struct postgres *postgres)
{
	return postgres->place;
}
