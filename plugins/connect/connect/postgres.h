/* SPDX-License-Identifier: MIT
 *
 * One connection to a PostgreSQL on an instance's loop: it connects, signs in, runs one query at a time, keeps watch
 * over deadlines, and comes back by itself after a pause. For plugins (static library connect-postgres); everything
 * runs on the instance's thread.
 *
 * libpq does the talking, without ever blocking the loop: names are resolved by the host and handed over as addresses,
 * each address has its deadline, and a query that is not answered in time ends with its connection (libpq 15 cannot
 * cancel without blocking; the server ends the statement by `statement_timeout`). What libpq's URL can say it may say
 * (several hosts, sslmode, sslrootcert, target_session_attrs …), only a password may not stand there.
 *
 * A session is read-only, and gives text in UTF-8, except of a database in SQL_ASCII, which gives its bytes.
 * libpq takes memory for what the server announces, so a query must bound its rows and their lengths itself.
 */
#ifndef CALLWATCH_CONNECT_POSTGRES_H
#define CALLWATCH_CONNECT_POSTGRES_H

#include "callwatch/plugin.h"

#include <libpq-fe.h>

/* Options of every plugin that speaks to a PostgreSQL; first in its table. */
#define POSTGRES_CONNECTION_OPTIONS                                                                                    \
	{.key = "url",                                                                                                 \
	 .type = CW_OPTION_STRING,                                                                                     \
	 .flags = CW_OPTION_CONNECTION | CW_OPTION_REQUIRED,                                                           \
	 .help = "Where the PostgreSQL is: postgresql://[user@]host[:port]/database[?sslmode=verify-full&…]"},         \
		{.key = "username",                                                                                    \
		 .type = CW_OPTION_STRING,                                                                             \
		 .flags = CW_OPTION_CONNECTION,                                                                        \
		 .help = "Its role; without one, the address's or the system user's name"},                            \
	{                                                                                                              \
		.key = "password", .type = CW_OPTION_STRING, .flags = CW_OPTION_CONNECTION | CW_OPTION_SECRET,         \
		.help = "The role's password; better in a file: password_file"                                         \
	}

enum {
	POSTGRES_ERROR_MAX = 256,
	POSTGRES_HOSTS_MAX = 8,
	POSTGRES_HOST_MAX = 256,
	POSTGRES_CONNECT_S = 3, /* for each address: until signed in */
	POSTGRES_GRACE_S = 3    /* for a query, beyond the server's own statement_timeout */
};

/* What is tried, in order. */
struct postgres_address {
	struct {
		char host[POSTGRES_HOST_MAX];    /* name, address or folder of a socket; "" libpq's own folder */
		char look_up[POSTGRES_HOST_MAX]; /* what is resolved: hostaddr, else the host */
		uint16_t port;
		bool is_unix;
	} hosts[POSTGRES_HOSTS_MAX];
	uint32_t count;
};

/* 0, or -EINVAL and a sentence for people in `error` (it never repeats the URL, which may hold a password). */
int postgres_address_parse(const char *url, struct postgres_address *ret_address, char error[POSTGRES_ERROR_MAX]);
/* For a plugin's check(): url, username and password as they are in its options. */
void postgres_check_options(const struct cw_value *options, struct cw_problems *problems);

/* How far it came; what a person needs is the reason, this is for what to do next. */
enum postgres_failure {
	POSTGRES_NO_NAME = 0,     /* the host's name cannot be looked up */
	POSTGRES_UNREACHABLE = 1, /* refused, timed out, closed by the server */
	POSTGRES_BUSY = 2,        /* it is there but takes nobody: starting up, too many connections */
	POSTGRES_TLS = 3,         /* not the encryption that was asked for, or not the right server */
	POSTGRES_DENIED = 4       /* password, role, database; tried again only every 30 s */
};

struct postgres;

struct postgres_settings {
	const char *url, *username, *password; /* borrowed until close; the last two may be NULL */
	int64_t statement_timeout;             /* ns; the server's, for each statement */
};

struct postgres_callbacks {
	void (*up)(void *arg); /* signed in, and a query may be sent */
	/* The connection failed or could not be made; it is tried again at the instant `next_try`. A query under way
	 * has been told before. Called for each failed try. */
	void (*down)(void *arg, enum postgres_failure failure, const char *reason, int64_t next_try);
};

/* How a query ended. */
struct postgres_outcome {
	bool ok;
	char sqlstate[6];   /* "" if the connection was lost */
	const char *reason; /* if not ok: a sentence, without values */
};

struct postgres_query {
	const char *sql; /* one statement */
	uint32_t count;  /* of parameters, as text; their types follow from the statement */
	const char *const *values;
	/* Each row as it comes, borrowed. Must not close the connection. */
	void (*row)(void *arg, const PGresult *row);
	/* Once; from here a next query may be sent. */
	void (*done)(void *arg, const struct postgres_outcome *outcome);
	void *arg;
};

/* Begins to connect, from the loop. -ENOMEM; -EINVAL: the URL is none. */
int postgres_open(struct cw_instance *self, const struct cw_host *host, const struct postgres_settings *settings,
		  const struct postgres_callbacks *callbacks, void *arg, struct postgres **ret_postgres);
/* No callback afterwards. Memory goes when the loop has closed the handles. */
void postgres_close(struct postgres *postgres); /* NULL is fine */

bool postgres_is_up(const struct postgres *postgres);
bool postgres_is_free(const struct postgres *postgres); /* up, and no query under way */
/* 0; -ENOTCONN not up, -EBUSY a query is under way, -ENOMEM. No callback from within. What it is given is copied. */
int postgres_send(struct postgres *postgres, const struct postgres_query *query);
/* If it waits for its next try: now. */
void postgres_try_now(struct postgres *postgres);
/* As people name it: the role that is used, and where. Valid until the next callback. */
const char *postgres_user(const struct postgres *postgres);
const char *postgres_place(struct postgres *postgres);

/* A sentence about a failed query: what is wrong, with the name of the column or table, and the SQLSTATE. */
void postgres_explain_query(const PGresult *result, char reason[POSTGRES_ERROR_MAX]);
/* The same about a connection that failed, from libpq's words with PQERRORS_VERBOSE. `place`: where to. */
enum postgres_failure postgres_explain_connect(const char *message, const char *place, bool needs_password,
					       char reason[POSTGRES_ERROR_MAX]);

#endif
