/* SPDX-License-Identifier: MIT
 *
 * Names of businesses by one SELECT each, in a loop of libpq with nothing around it: `floor_names URL COUNT`. Prints the
 * seconds it took for COUNT businesses in random order, each asked for as a program would that does not prepare its
 * statements.
 */
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const char ids[] = "SELECT id FROM businesses ORDER BY random() LIMIT $1";
static const char name[] = "SELECT business_name, primary_business_phone_number FROM businesses WHERE id = $1";

static PGresult *ask(PGconn *connection, const char *sql, const char *value)
{
	PGresult *result = PQexecParams(connection, sql, 1, NULL, &value, NULL, NULL, 0);
	if (PQresultStatus(result) != PGRES_TUPLES_OK) {
		fprintf(stderr, "%s", PQerrorMessage(connection));
		exit(1);
	}
	return result;
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	PGconn *connection = PQconnectdb(argc == 3 ? argv[1] : "");
	PGresult *list = ask(connection, ids, argc == 3 ? argv[2] : "0");
	double began = now();
	for (int i = 0; i < PQntuples(list); i++)
		PQclear(ask(connection, name, PQgetvalue(list, i, 0)));
	printf("%.6f\n", now() - began);
	PQclear(list);
	PQfinish(connection);
	return 0;
}
