/* SPDX-License-Identifier: MIT
 *
 * See database.h. The rows go by COPY into a temporary table and from there into `businesses`, all in one transaction:
 * COPY alone cannot replace rows, and one statement per row would take minutes for 200,000. A lock lets several
 * callsims take turns.
 */
#include "database.h"

#include "content.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <libpq-fe.h>

/* A value at most doubles in COPY's text format. */
enum { LINE_SIZE = 2 * (UUID_SIZE + 2 * PHONE_SIZE + 2 * NAME_SIZE), BUFFER_SIZE = 64 * 1024 };

static const char *const before[] = {
	"SET client_min_messages TO warning",
	"SET client_encoding TO 'UTF8'",
	"BEGIN",
	"SELECT pg_advisory_xact_lock(hashtext('callsim'))",
	"CREATE TABLE IF NOT EXISTS businesses (id uuid PRIMARY KEY, business_name text, "
	"primary_business_phone_number text, twilio_phone_number text, industry text)",
	"CREATE TABLE IF NOT EXISTS call_log (id uuid PRIMARY KEY, business_id uuid, caller_phone_number text, "
	"to_phone_number text, call_status text, call_start_time timestamptz, call_duration_seconds int)",
	"CREATE TEMPORARY TABLE written ON COMMIT DROP AS SELECT id, business_name, primary_business_phone_number, "
	"twilio_phone_number, industry FROM businesses WHERE false",
	NULL};

static const char *const after[] = {
	"INSERT INTO businesses (id, business_name, primary_business_phone_number, twilio_phone_number, industry) "
	"SELECT * FROM written ON CONFLICT (id) DO UPDATE SET business_name = excluded.business_name, "
	"primary_business_phone_number = excluded.primary_business_phone_number, "
	"twilio_phone_number = excluded.twilio_phone_number, industry = excluded.industry",
	"COMMIT", NULL};

static int run(PGconn *connection, const char *sql, ExecStatusType expected)
{
	PGresult *result = PQexec(connection, sql);
	bool right = PQresultStatus(result) == expected;
	PQclear(result);
	return right ? 0 : -EIO;
}

static int run_all(PGconn *connection, const char *const *list)
{
	for (; *list; list++) {
		bool rows = strncmp(*list, "SELECT", 6) == 0;
		if (run(connection, *list, rows ? PGRES_TUPLES_OK : PGRES_COMMAND_OK) < 0)
			return -EIO;
	}
	return 0;
}

static char *append_byte(char *to, char byte)
{
	const char *const special = "\\\t\n\r", *const written = "\\tnr";
	const char *found = strchr(special, byte);
	if (found)
		*to++ = '\\';
	*to++ = found ? written[found - special] : byte;
	return to;
}

/* A value in COPY's text format, NULL is \N; and what ends it. */
static char *append(char *to, const char *value, char end)
{
	if (!value) {
		*to++ = '\\';
		*to++ = 'N';
	}
	for (; value && *value; value++)
		to = append_byte(to, *value);
	*to++ = end;
	return to;
}

static size_t copy_line(const struct business *business, char line[LINE_SIZE])
{
	char *to = append(line, business->id, '\t');
	to = append(to, business->has_name ? business->name : NULL, '\t');
	to = append(to, business->has_phone ? business->phone : NULL, '\t');
	to = append(to, business->twilio_phone, '\t');
	to = append(to, business->industry, '\n');
	return (size_t)(to - line);
}

static int64_t send_lines(PGconn *connection, const struct world *world)
{
	char buffer[BUFFER_SIZE];
	size_t used = 0;
	int64_t count = 0;
	for (uint32_t i = 0; i < world->businesses; i++) {
		struct business business;
		if (!content_business_row(world, i, &business))
			continue;
		used += copy_line(&business, buffer + used);
		count++;
		if (used + LINE_SIZE > sizeof buffer) {
			if (PQputCopyData(connection, buffer, (int)used) != 1)
				return -EIO;
			used = 0;
		}
	}
	return used && PQputCopyData(connection, buffer, (int)used) != 1 ? -EIO : count;
}

static int64_t copy_businesses(PGconn *connection, const struct world *world)
{
	if (run(connection, "COPY written FROM STDIN", PGRES_COPY_IN) < 0)
		return -EIO;
	int64_t count = send_lines(connection, world);
	if (count < 0 || PQputCopyEnd(connection, NULL) != 1)
		return -EIO;
	PGresult *result;
	while ((result = PQgetResult(connection))) {
		if (PQresultStatus(result) != PGRES_COMMAND_OK)
			count = -EIO;
		PQclear(result);
	}
	return count;
}

int64_t database_write(const char *url, const struct world *world, char *error, size_t size)
{
	/* What the URL says comes last and wins. */
	const char *const words[] = {"connect_timeout", "application_name", "dbname", NULL};
	const char *const values[] = {"10", "callsim", url, NULL};
	PGconn *connection = PQconnectdbParams(words, values, /* expand dbname */ 1);
	int64_t count = -EIO;
	if (PQstatus(connection) == CONNECTION_OK && run_all(connection, before) == 0)
		count = copy_businesses(connection, world);
	if (count >= 0 && run_all(connection, after) < 0)
		count = -EIO;
	if (count < 0) {
		const char *why = PQerrorMessage(connection);
		snprintf(error, size, "%.*s", (int)strcspn(why, "\n"), why);
	}
	PQfinish(connection);
	return count;
}
