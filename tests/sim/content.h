/* SPDX-License-Identifier: MIT
 *
 * What a simulated call consists of: pure functions of (seed, number of the call), so that the same seed gives the same
 * calls again, call by call, whatever order they are written in. Only times depend on the clock.
 */
#ifndef CALLSIM_CONTENT_H
#define CALLSIM_CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct world {
	uint64_t seed;
	uint32_t businesses;
	uint32_t workers;
};

enum { SID_SIZE = 35, UUID_SIZE = 37, PHONE_SIZE = 20, TIME_SIZE = 80, NAME_SIZE = 80 };

struct content {
	char sid[SID_SIZE];
	char business_id[UUID_SIZE];
	char from[PHONE_SIZE];
	char to[PHONE_SIZE];
	char start_time[TIME_SIZE];
	char call_log_id[UUID_SIZE]; /* "": the field is absent */
};

/* What the platform's database knows of a business. */
struct business {
	char id[UUID_SIZE];
	bool has_name, has_phone; /* else NULL there; a name may also be empty */
	char name[NAME_SIZE];
	char phone[PHONE_SIZE];
	char twilio_phone[PHONE_SIZE]; /* the number its calls come to */
	const char *industry;          /* NULL: not known */
};

/* A well mixed number for (seed, purpose, number). */
uint64_t content_random(const struct world *world, uint64_t purpose, uint64_t number);
void content_sid(const struct world *world, uint64_t number, char sid[SID_SIZE]);
/* Which business has that call: 0 to world->businesses - 1. */
uint32_t content_business(const struct world *world, uint64_t number);
/* The row of a business; false if there is none. Any 20 businesses in a row are of every kind: complete, without a name
 * (NULL or empty), with neither name nor phone, with a name full of what needs care, without a row. */
bool content_business_row(const struct world *world, uint32_t business, struct business *ret);
void content_uuid(const struct world *world, uint64_t purpose, uint64_t number, char uuid[UUID_SIZE]);
/* start_us: Unix time in microseconds. It is written in one of the forms that Python programs write. */
void content_make(const struct world *world, uint64_t number, int64_t start_us, struct content *ret);
/* A heartbeat's value: Unix seconds with a fraction of three digits. */
void content_unix(char text[TIME_SIZE], int64_t us);
void content_iso(char text[TIME_SIZE], int64_t us, unsigned form);

#endif
