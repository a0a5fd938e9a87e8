/* SPDX-License-Identifier: MIT
 *
 * What a simulated call consists of: pure functions of (seed, number of the call), so that the same seed gives the same
 * calls again, call by call, whatever order they are written in. Only times depend on the clock.
 */
#ifndef CALLSIM_CONTENT_H
#define CALLSIM_CONTENT_H

#include <stddef.h>
#include <stdint.h>

struct world {
	uint64_t seed;
	uint32_t businesses;
	uint32_t workers;
};

enum { SID_SIZE = 35, UUID_SIZE = 37, PHONE_SIZE = 20, TIME_SIZE = 80 };

struct content {
	char sid[SID_SIZE];
	char business_id[UUID_SIZE];
	char from[PHONE_SIZE];
	char to[PHONE_SIZE];
	char start_time[TIME_SIZE];
	char call_log_id[UUID_SIZE]; /* "": the field is absent */
};

/* A well mixed number for (seed, purpose, number). */
uint64_t content_random(const struct world *world, uint64_t purpose, uint64_t number);
void content_sid(const struct world *world, uint64_t number, char sid[SID_SIZE]);
uint32_t content_business(const struct world *world, uint64_t number);
void content_uuid(const struct world *world, uint64_t purpose, uint64_t number, char uuid[UUID_SIZE]);
/* start_us: Unix time in microseconds. It is written in one of the forms that Python programs write. */
void content_make(const struct world *world, uint64_t number, int64_t start_us, struct content *ret);
/* A heartbeat's value: Unix seconds with a fraction of three digits. */
void content_unix(char text[TIME_SIZE], int64_t us);
void content_iso(char text[TIME_SIZE], int64_t us, unsigned form);

#endif
