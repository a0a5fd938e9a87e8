/* SPDX-License-Identifier: MIT
 *
 * The platform's PostgreSQL: its tables `businesses` and `call_log`, made if they are not there, and the businesses of
 * the simulated calls in the first. Only what the platform's database knows is written: it has no row for some of them.
 */
#ifndef CALLSIM_DATABASE_H
#define CALLSIM_DATABASE_H

#include <stddef.h>
#include <stdint.h>

struct world;

/* All or nothing; rows of the same ids are replaced, others stay. Number of rows written, or negative with a sentence
 * in `error`: -EIO what the server or libpq said. */
int64_t database_write(const char *url, const struct world *world, char *error, size_t size);

#endif
