/* SPDX-License-Identifier: MIT
 *
 * See content.h. The mixer is splitmix64: each number is a hash of its place, there is no state to carry along.
 */
#include "content.h"

#include <stdio.h>
#include <time.h>

enum {
	FOR_SID = 1,
	FOR_SID_LOW,
	FOR_BUSINESS,
	FOR_BUSINESS_ID,
	FOR_NUMBER,
	FOR_FROM,
	FOR_LOG,
	FOR_FORM,
	FOR_KIND,
	FOR_PHONE,
	FOR_NAME
};

static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

uint64_t content_random(const struct world *world, uint64_t purpose, uint64_t number)
{
	return mix(mix(mix(world->seed) ^ purpose) ^ number);
}

void content_sid(const struct world *world, uint64_t number, char sid[SID_SIZE])
{
	snprintf(sid, SID_SIZE, "CA%016llx%016llx", (unsigned long long)content_random(world, FOR_SID, number),
		 (unsigned long long)content_random(world, FOR_SID_LOW, number));
}

/* Few businesses have most of the calls: the smaller of three draws. */
uint32_t content_business(const struct world *world, uint64_t number)
{
	uint64_t random = content_random(world, FOR_BUSINESS, number);
	uint32_t smallest = UINT32_MAX;
	for (unsigned i = 0; i < 3; i++) {
		uint32_t draw = (uint32_t)((random >> (20 * i)) & 0xfffff) % world->businesses;
		smallest = draw < smallest ? draw : smallest;
	}
	return smallest;
}

void content_uuid(const struct world *world, uint64_t purpose, uint64_t number, char uuid[UUID_SIZE])
{
	uint64_t high = content_random(world, 2 * purpose + 1000, number);
	uint64_t low = content_random(world, 2 * purpose + 1001, number);
	snprintf(uuid, UUID_SIZE, "%08x-%04x-4%03x-%04x-%012llx", (unsigned)(high >> 32),
		 (unsigned)(high >> 16) & 0xffff, (unsigned)high & 0xfff, (unsigned)(0x8000 | ((low >> 48) & 0x3fff)),
		 (unsigned long long)low & 0xffffffffffffu);
}

static void phone(char text[PHONE_SIZE], uint64_t random)
{
	static const char *const countries[] = {"+1", "+1", "+1", "+44", "+49", "+61"};
	snprintf(text, PHONE_SIZE, "%s%010llu", countries[random % 6],
		 (unsigned long long)(2000000000u + (random >> 8) % 7999999999u));
}

void content_unix(char text[TIME_SIZE], int64_t us)
{
	snprintf(text, TIME_SIZE, "%lld.%03lld", (long long)(us / 1000000), (long long)(us % 1000000 / 1000));
}

void content_iso(char text[TIME_SIZE], int64_t us, unsigned form)
{
	time_t seconds = (time_t)(us / 1000000);
	struct tm tm;
	gmtime_r(&seconds, &tm);
	const char *suffix = form % 3 == 0 ? "" : form % 3 == 1 ? "Z" : "+00:00";
	snprintf(text, TIME_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d.%06d%s", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
		 tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(us % 1000000), suffix);
}

void content_make(const struct world *world, uint64_t number, int64_t start_us, struct content *ret)
{
	uint32_t business = content_business(world, number);
	content_sid(world, number, ret->sid);
	content_uuid(world, FOR_BUSINESS_ID, business, ret->business_id);
	phone(ret->from, content_random(world, FOR_FROM, number));
	phone(ret->to, content_random(world, FOR_NUMBER, business));
	content_iso(ret->start_time, start_us, (unsigned)(content_random(world, FOR_FORM, number) % 3));
	ret->call_log_id[0] = '\0';
	if (content_random(world, FOR_LOG, number) % 10 != 0) {
		content_uuid(world, FOR_LOG, number, ret->call_log_id);
	}
}

static void ordinary_name(struct business *business, uint32_t number, uint64_t random)
{
	static const char *const first[] = {"Harbor", "Summit",  "O'Neill",  "Lakeside", "Müller", "Golden Gate",
					    "Núñez",  "Pioneer", "Blue Oak", "Северная", "Maple",  "北海"};
	static const struct {
		const char *name, *industry;
	} second[] = {{"Dental", "healthcare"},
		      {"Plumbing & Heating", "home services"},
		      {"Law", "legal"},
		      {"Auto Repair", "automotive"},
		      {"Realty", "real estate"},
		      {"Bakery", "food"},
		      {"Veterinary", "healthcare"},
		      {"Insurance", NULL}};
	unsigned trade = (unsigned)(random >> 8) % 8;
	snprintf(business->name, NAME_SIZE, "%s %s %u", first[random % 12], second[trade].name, number);
	business->industry = second[trade].industry;
}

bool content_business_row(const struct world *world, uint32_t number, struct business *ret)
{
	enum { NO_ROW, NO_NAME, NO_NAME_TOO, EMPTY_NAME, NOTHING, ODD_NAME, KINDS = 20 };
	uint64_t kind = (number + content_random(world, FOR_KIND, 0) % KINDS) % KINDS;
	*ret = (struct business){.has_name = kind != NO_NAME && kind != NO_NAME_TOO && kind != NOTHING,
				 .has_phone = kind != NOTHING};
	content_uuid(world, FOR_BUSINESS_ID, number, ret->id);
	phone(ret->phone, content_random(world, FOR_PHONE, number));
	phone(ret->twilio_phone, content_random(world, FOR_NUMBER, number));
	ordinary_name(ret, number, content_random(world, FOR_NAME, number));
	if (kind == EMPTY_NAME)
		ret->name[0] = '\0';
	else if (kind == ODD_NAME)
		snprintf(ret->name, NAME_SIZE, "\"%u\" <b>Tab\tle</b> & Söhne \\ %%s {{x}}, l.\n2", number);
	return kind != NO_ROW;
}
