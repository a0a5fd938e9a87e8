/* SPDX-License-Identifier: MIT
 *
 * What PostgreSQL and libpq say, as sentences on which a person can act. libpq tells why a connection failed only in
 * words; with PQERRORS_VERBOSE they hold the SQLSTATE (`FATAL:  28P01: …`), which decides, since the words may be in
 * any language. What the system said is recognised by strerror(), which speaks the same language.
 *
 * An error of class 22 or 23 quotes data, so its words are not passed on; others name tables, columns and roles.
 */
#include "connect/postgres.h"
#include "text.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* One line of a stranger's text, fit to be shown. */
static void tidy(char *buffer, size_t size, const char *text)
{
	char masked[POSTGRES_ERROR_MAX];
	size_t length = strcspn(text, "\n");
	length = text_mask_phones_in(masked, sizeof(masked), text, length);
	text_visible(buffer, size, masked, length);
}

/* Where `:  SQLSTATE: ` ends; NULL: there is none. */
static const char *find_state(const char *message, char state[6])
{
	for (const char *at = strstr(message, ":  "); at; at = strstr(at + 1, ":  ")) {
		uint32_t n = 0;
		while (n < 5 && (isupper((unsigned char)at[3 + n]) || isdigit((unsigned char)at[3 + n])))
			n++;
		if (n != 5 || strncmp(at + 8, ": ", 2) != 0)
			continue;
		memcpy(state, at + 3, 5);
		state[5] = '\0';
		return at + 10;
	}
	return NULL;
}

static bool is_class(const char *state, const char *class)
{
	return strncmp(state, class, 2) == 0;
}

/* ---- connections ---- */

static const struct {
	const char *state;
	enum postgres_failure failure;
	const char *hint; /* after PostgreSQL's own words; NULL: they say enough */
} refusals[] = {
	{"28P01", POSTGRES_DENIED, "the password is wrong"},
	{"28000", POSTGRES_DENIED, "look at pg_hba.conf and at the role"},
	{"3D000", POSTGRES_DENIED, "write the database that has the table into the url"},
	{"42501", POSTGRES_DENIED, "GRANT CONNECT ON DATABASE … TO the role"},
	{"53300", POSTGRES_BUSY, "raise max_connections, or reserve one for callwatch"},
	{"57P03", POSTGRES_BUSY, NULL},
};

static enum postgres_failure explain_refusal(const char *state, const char *words, char reason[POSTGRES_ERROR_MAX])
{
	char text[160];
	tidy(text, sizeof(text), words);
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		if (strcmp(state, refusals[i].state) == 0) {
			const char *hint = refusals[i].hint;
			snprintf(reason, POSTGRES_ERROR_MAX, "%s (%s)%s%s", text, state, hint ? ": " : "",
				 hint ? hint : "");
			return refusals[i].failure;
		}
	snprintf(reason, POSTGRES_ERROR_MAX, "%s (%s)", text, state);
	return is_class(state, "28") ? POSTGRES_DENIED : POSTGRES_UNREACHABLE;
}

/* `connection to server at "…", port … failed: ` says nothing that the place does not. */
static const char *without_preamble(const char *message)
{
	const char *end = strstr(message, "failed: ");
	return end && memchr(message, '\n', (size_t)(end - message)) == NULL ? end + strlen("failed: ") : message;
}

static bool speaks_of_tls(const char *message)
{
	return strcasestr(message, "ssl") || strcasestr(message, "certificate");
}

static enum postgres_failure explain_tls(const char *message, char reason[POSTGRES_ERROR_MAX])
{
	char text[190];
	bool lacks_root = strstr(message, "root") && strcasestr(message, "certificate");
	tidy(text, sizeof(text), message);
	snprintf(reason, POSTGRES_ERROR_MAX, "TLS: %s%s", text, lacks_root ? ": say sslrootcert=FILE in the url" : "");
	return POSTGRES_TLS;
}

/* False: the system has nothing to do with it. */
static bool explain_system(const char *message, const char *place, char reason[POSTGRES_ERROR_MAX])
{
	static const struct {
		int error;
		const char *words, *hint;
	} system[] = {
		{ECONNREFUSED, "connection refused", "see that it runs and listens there (listen_addresses, port)"},
		{ENOENT, "no such socket", "see that it runs, with this folder in unix_socket_directories"},
		{EACCES, "no permission to open the socket", "let callwatchd's user in (unix_socket_permissions)"},
		{ETIMEDOUT, "connection timed out", "see that the host is up and no firewall drops packets"},
		{ENETUNREACH, "network is unreachable", "look at this machine's routes"},
		{EHOSTUNREACH, "no route to the host", "see that the host is up and no firewall refuses"},
		{ECONNRESET, "connection reset", "its log says why"},
	};
	for (size_t i = 0; i < sizeof(system) / sizeof(system[0]); i++)
		if (strstr(message, strerror(system[i].error))) {
			snprintf(reason, POSTGRES_ERROR_MAX, "%s (%.128s): %s", system[i].words, place, system[i].hint);
			return true;
		}
	return false;
}

enum postgres_failure postgres_explain_connect(const char *message, const char *place, bool needs_password,
					       char reason[POSTGRES_ERROR_MAX])
{
	char state[6], text[160];
	const char *words = find_state(message, state);
	if (needs_password) {
		snprintf(reason, POSTGRES_ERROR_MAX, "password required: set password_file");
		return POSTGRES_DENIED;
	}
	if (words)
		return explain_refusal(state, words, reason);
	message = without_preamble(message);
	if (speaks_of_tls(message))
		return explain_tls(message, reason);
	if (explain_system(message, place, reason))
		return POSTGRES_UNREACHABLE;
	tidy(text, sizeof(text), message);
	snprintf(reason, POSTGRES_ERROR_MAX, "%s (%s)", text[0] ? text : "connection failed", place);
	return POSTGRES_UNREACHABLE;
}

/* ---- queries ---- */

void postgres_explain_query(const PGresult *result, char reason[POSTGRES_ERROR_MAX])
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *words = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	char text[190];
	state = state ? state : "";
	if (is_class(state, "22") || is_class(state, "23"))
		snprintf(text, sizeof(text), "a value that it cannot take");
	else if (strcmp(state, "57014") == 0)
		snprintf(text, sizeof(text), "cancelled: it took longer than statement_timeout");
	else
		tidy(text, sizeof(text), words && *words ? words : "it failed without a word");
	snprintf(reason, POSTGRES_ERROR_MAX, *state ? "%s (%s)" : "%s%s", text, state);
}
