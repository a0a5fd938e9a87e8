/* SPDX-License-Identifier: MIT
 *
 * The rungs of `callwatch doctor`: has the host an address, does a server answer there, does it let us in, does the
 * query work. The first is tried afresh; the next two are what the connection says, which for this is made to try again
 * at once if it waits; the last is the query itself, for no keys.
 */
#include "lookup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const int64_t try_again_after = 5 * CW_SECOND; /* who was refused: no account is to be locked out by us */

/* Which right is missing only the words say; in any language of PostgreSQL's they name a schema as `schema…`. */
static void hint_right(const struct lookup *lookup, const char *reason, char hint[POSTGRES_ERROR_MAX])
{
	bool is_schema = strcasestr(reason, "schema"), is_default = strcmp(lookup->sql, default_sql) == 0;
	const char *what = is_schema    ? "USAGE ON SCHEMA …"
			   : is_default ? "SELECT (id, business_name, primary_business_phone_number) ON businesses"
					: "SELECT";
	snprintf(hint, POSTGRES_ERROR_MAX, ": GRANT %s TO %.64s", what, postgres_user(lookup->postgres));
}

void checks_explain(const struct lookup *lookup, const struct postgres_outcome *outcome, char text[POSTGRES_ERROR_MAX])
{
	char hint[POSTGRES_ERROR_MAX] = "";
	const char *state = outcome->sqlstate;
	if (strcmp(state, "42501") == 0)
		hint_right(lookup, outcome->reason, hint);
	else if (strcmp(state, "42703") == 0 || strcmp(state, "42P01") == 0)
		snprintf(hint, sizeof(hint), ": write as `sql` what the database has");
	else if (strcmp(state, "57014") == 0)
		snprintf(hint, sizeof(hint), ": is the table locked, or without an index?");
	snprintf(text, POSTGRES_ERROR_MAX, "%.150s%s", outcome->reason, hint);
}

static void say(struct lookup *lookup, enum cw_verdict verdict, const char *text)
{
	lookup->examining = CHECKS;
	lookup->host->examined(lookup->self, verdict, "%s", text);
}

/* ---- name ---- */

static void on_resolved(void *arg, int status, const struct sockaddr_storage *addresses, uint32_t n)
{
	struct lookup *lookup = arg;
	char text[POSTGRES_ERROR_MAX];
	(void)addresses;
	lookup->resolve = NULL;
	if (status == 0)
		snprintf(text, sizeof(text), "%u address%s", n, n == 1 ? "" : "es");
	else
		snprintf(text, sizeof(text), "%s: mend the name in the url, or the name server",
			 status == -ENOENT ? "there is no such host name" : "the host name cannot be looked up");
	say(lookup, status == 0 ? CW_CHECK_OK : CW_CHECK_FAILED, text);
}

static void checks_name(struct lookup *lookup)
{
	struct postgres_address address;
	char error[POSTGRES_ERROR_MAX];
	if (postgres_address_parse(lookup->url, &address, error) < 0)
		say(lookup, CW_CHECK_FAILED, error);
	else if (address.hosts[0].is_unix)
		say(lookup, CW_CHECK_OK, "a UNIX socket, which needs no name");
	else if (lookup->resolve || lookup->host->resolve(lookup->self, address.hosts[0].look_up, address.hosts[0].port,
							  on_resolved, lookup, &lookup->resolve) < 0)
		say(lookup, CW_CHECK_FAILED, "the host name cannot be looked up now");
}

/* ---- tcp, auth ---- */

static void say_reached(struct lookup *lookup)
{
	char text[POSTGRES_ERROR_MAX];
	if (postgres_is_up(lookup->postgres)) {
		snprintf(text, sizeof(text), "connected (%.200s)", postgres_place(lookup->postgres));
		say(lookup, CW_CHECK_OK, text);
	} else if (lookup->failure == POSTGRES_NO_NAME) {
		say(lookup, CW_CHECK_SKIPPED, "there is no address to connect to");
	} else if (lookup->failure == POSTGRES_UNREACHABLE) {
		say(lookup, CW_CHECK_FAILED, lookup->reason);
	} else {
		say(lookup, CW_CHECK_OK, "a server answers");
	}
}

static void say_let_in(struct lookup *lookup)
{
	char text[POSTGRES_ERROR_MAX];
	if (postgres_is_up(lookup->postgres)) {
		snprintf(text, sizeof(text), "signed in as %.64s", postgres_user(lookup->postgres));
		say(lookup, CW_CHECK_OK, text);
	} else if (lookup->failure == POSTGRES_NO_NAME || lookup->failure == POSTGRES_UNREACHABLE) {
		say(lookup, CW_CHECK_SKIPPED, "not connected");
	} else {
		say(lookup, CW_CHECK_FAILED, lookup->reason);
	}
}

void checks_connected(struct lookup *lookup)
{
	if (lookup->examining == CHECK_TCP)
		say_reached(lookup);
	else if (lookup->examining == CHECK_AUTH)
		say_let_in(lookup);
}

/* Does the connection wait, and may it try again for us? Then what it finds is the verdict. */
static bool tries_again(struct lookup *lookup)
{
	bool was_refused = lookup->failure == POSTGRES_DENIED || lookup->failure == POSTGRES_TLS;
	int64_t now = lookup->host->now();
	if (!lookup->reason[0])
		return !postgres_is_up(lookup->postgres); /* at its first try */
	if (was_refused && now - lookup->last_try < try_again_after)
		return false;
	postgres_try_now(lookup->postgres);
	return true;
}

/* ---- query ---- */

void checks_queried(struct lookup *lookup, const struct postgres_outcome *outcome)
{
	char text[POSTGRES_ERROR_MAX];
	if (lookup->examining != CHECK_QUERY)
		return;
	if (outcome->ok)
		snprintf(text, sizeof(text), "answered within %.0f ms; %u names known", lookup->query_seconds * 1000,
			 lookup->names.counts[NAME_KNOWN]);
	else
		checks_explain(lookup, outcome, text);
	say(lookup, outcome->ok ? CW_CHECK_OK : CW_CHECK_FAILED, text);
}

void lookup_examine(void *state, uint32_t check)
{
	struct lookup *lookup = state;
	lookup->examining = (enum check)check;
	if (check == CHECK_NAME)
		checks_name(lookup);
	else if (check == CHECK_QUERY && !postgres_is_up(lookup->postgres))
		say(lookup, CW_CHECK_SKIPPED, "not signed in");
	else if (check == CHECK_QUERY)
		batch_probe(lookup); /* else with the end of the query under way */
	else if (postgres_is_up(lookup->postgres) || !tries_again(lookup))
		checks_connected(lookup);
}

void checks_stop(struct lookup *lookup)
{
	if (lookup->resolve)
		lookup->host->resolve_cancel(lookup->resolve);
	lookup->resolve = NULL;
	lookup->examining = CHECKS;
}
