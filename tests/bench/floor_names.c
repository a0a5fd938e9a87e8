/* SPDX-License-Identifier: MIT
 *
 * Names of businesses with libpq and nothing around it: `floor_names URL COUNT BATCH`. Prints the seconds it took for
 * COUNT businesses in random order: BATCH 1, one SELECT each, as a program asks that does not prepare its statements;
 * else so many in a query.
 */
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { UUID = 36 };

static const char ids[] = "SELECT id FROM businesses ORDER BY random() LIMIT $1";
static const char one[] = "SELECT business_name, primary_business_phone_number FROM businesses WHERE id = $1";
static const char many[] = "SELECT id, business_name, primary_business_phone_number FROM businesses WHERE id = ANY($1)";

static PGresult *ask(PGconn *connection, const char *sql, const char *value)
{
	PGresult *result = PQexecParams(connection, sql, 1, NULL, &value, NULL, NULL, 0);
	if (PQresultStatus(result) != PGRES_TUPLES_OK) {
		fprintf(stderr, "%s", PQerrorMessage(connection));
		exit(1);
	}
	return result;
}

/* Rows `from` to `to` of the list as an array: {a,b}. */
static void write_array(char *array, const PGresult *list, int from, int to)
{
	for (int i = from; i < to; i++) {
		*array++ = i == from ? '{' : ',';
		memcpy(array, PQgetvalue(list, i, 0), UUID);
		array += UUID;
	}
	memcpy(array, "}", 2);
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	if (argc != 4) {
		fprintf(stderr, "floor_names URL COUNT BATCH\n");
		return 2;
	}
	int batch = atoi(argv[3]);
	PGconn *connection = PQconnectdb(argv[1]);
	PGresult *list = ask(connection, ids, argv[2]);
	char *array = malloc((size_t)batch * (UUID + 1) + 2);
	double began = now();
	for (int i = 0, n = PQntuples(list); i < n; i += batch) {
		write_array(array, list, i, i + batch < n ? i + batch : n);
		PQclear(batch == 1 ? ask(connection, one, PQgetvalue(list, i, 0)) : ask(connection, many, array));
	}
	printf("%.6f\n", now() - began);
	free(array);
	PQclear(list);
	PQfinish(connection);
	return 0;
}
