/* SPDX-License-Identifier: MIT
 *
 * See platform.h.
 */
#include "platform.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TICK_US = 10000, KEY_SIZE = 64, MESSAGE_SIZE = 160 };

/* --- Redis ------------------------------------------------------------------------------------------------------- */

static void write_context(struct platform *platform, const struct call *call)
{
	struct content content;
	content_make(&platform->world, call->number, call->start_us, &content);
	char key[KEY_SIZE], worker[16];
	snprintf(key, sizeof key, "call_ctx:%s", content.sid);
	snprintf(worker, sizeof worker, "ai-%u", call->worker);
	const char *argv[] = {"HSET",
			      key,
			      "business_id",
			      content.business_id,
			      "from_phone_number",
			      content.from,
			      "to_phone_number",
			      content.to,
			      "start_time",
			      content.start_time,
			      "worker_id",
			      worker,
			      "call_log_id",
			      content.call_log_id};
	link_command(platform->link, content.call_log_id[0] ? 14 : 12, argv, NULL);
}

static void write_heartbeat(struct platform *platform, const char *sid, int64_t us)
{
	char key[KEY_SIZE], value[TIME_SIZE];
	snprintf(key, sizeof key, "call_heartbeat:%s", sid);
	content_unix(value, us);
	link_command(platform->link, 3, (const char *[]){"SET", key, value}, NULL);
}

/* A bare sid, or JSON without, with a Unix, or with an ISO 8601 timestamp. */
static void publish_heartbeat(struct platform *platform, const char *sid, int64_t us)
{
	char message[MESSAGE_SIZE], stamp[TIME_SIZE];
	unsigned form = (unsigned)(platform->beats % 6);
	if (platform->options.style == BEAT_BARE || (platform->options.style == BEAT_MIXED && form < 3)) {
		snprintf(message, sizeof message, "%s", sid);
	} else if (form == 3) {
		snprintf(message, sizeof message, "{\"call_sid\": \"%s\"}", sid);
	} else if (form == 4) {
		content_iso(stamp, us, (unsigned)(platform->beats / 6 % 3));
		snprintf(message, sizeof message, "{\"call_sid\": \"%s\", \"timestamp\": \"%s\"}", sid, stamp);
	} else {
		content_unix(stamp, us);
		snprintf(message, sizeof message, "{\"call_sid\": \"%s\", \"timestamp\": %s}", sid, stamp);
	}
	link_command(platform->link, 3, (const char *[]){"PUBLISH", "call_heartbeat", message}, NULL);
}

static void beat(struct platform *platform, const struct call *call)
{
	char sid[SID_SIZE];
	int64_t now = now_us();
	content_sid(&platform->world, call->number, sid);
	write_heartbeat(platform, sid, now);
	publish_heartbeat(platform, sid, now);
	platform->beats++;
}

static void delete_keys(struct platform *platform, const struct call *call, bool with_log)
{
	char sid[SID_SIZE], context[KEY_SIZE], heartbeat[KEY_SIZE], message[MESSAGE_SIZE];
	content_sid(&platform->world, call->number, sid);
	snprintf(context, sizeof context, "call_ctx:%s", sid);
	snprintf(heartbeat, sizeof heartbeat, "call_heartbeat:%s", sid);
	link_command(platform->link, 2, (const char *[]){"DEL", context}, NULL);
	link_command(platform->link, 2, (const char *[]){"DEL", heartbeat}, NULL);
	if (with_log) {
		snprintf(message, sizeof message, "{\"call_sid\": \"%s\", \"action\": \"end_call\"}", sid);
		link_command(platform->link, 3, (const char *[]){"PUBLISH", "call_logs", message}, NULL);
	}
}

/* --- the calls --------------------------------------------------------------------------------------------------- */

static uint64_t draw(struct platform *platform)
{
	return content_random(&platform->world, 0xd12a, platform->random++);
}

static bool percent(struct platform *platform, unsigned share)
{
	return share && draw(platform) % 100 < share;
}

int platform_init(struct platform *platform, const struct world *world, const struct platform_options *options,
		  struct link *link, uint32_t capacity)
{
	uint32_t wheel_size = (uint32_t)(options->beat_us / TICK_US);
	*platform = (struct platform){.world = *world,
				      .options = *options,
				      .link = link,
				      .capacity = capacity,
				      .wheel_size = wheel_size ? wheel_size : 1,
				      .hand_us = monotonic_us()};
	platform->calls = calloc(capacity, sizeof *platform->calls);
	platform->active = calloc(capacity, sizeof *platform->active);
	platform->unused = calloc(capacity, sizeof *platform->unused);
	platform->wheel = malloc(platform->wheel_size * sizeof *platform->wheel);
	platform->dead_workers = calloc(world->workers, sizeof *platform->dead_workers);
	if (!platform->calls || !platform->active || !platform->unused || !platform->wheel || !platform->dead_workers) {
		platform_release(platform);
		return -ENOMEM;
	}
	memset(platform->wheel, -1, platform->wheel_size * sizeof *platform->wheel);
	return 0;
}

void platform_release(struct platform *platform)
{
	free(platform->calls);
	free(platform->active);
	free(platform->unused);
	free(platform->wheel);
	free(platform->dead_workers);
	*platform = (struct platform){0};
}

static void set_state(struct platform *platform, struct call *call, enum call_state state)
{
	platform->states[call->state]--;
	call->state = (uint8_t)state;
	platform->states[state]++;
}

static void wheel_add(struct platform *platform, struct call *call, uint32_t slot)
{
	int32_t index = (int32_t)(call - platform->calls);
	call->slot = slot;
	call->previous = -1;
	call->next = platform->wheel[slot];
	if (call->next >= 0) {
		platform->calls[call->next].previous = index;
	}
	platform->wheel[slot] = index;
}

static void wheel_remove(struct platform *platform, struct call *call)
{
	if (call->next >= 0) {
		platform->calls[call->next].previous = call->previous;
	}
	if (call->previous >= 0) {
		platform->calls[call->previous].next = call->next;
	} else {
		platform->wheel[call->slot] = call->next;
	}
}

/* A worker that lives; if all are dead, any. */
static uint16_t pick_worker(struct platform *platform, uint64_t number)
{
	uint32_t workers = platform->world.workers;
	uint32_t first = (uint32_t)(content_random(&platform->world, 0xa1, number) % workers);
	for (uint32_t i = 0; i < workers; i++) {
		if (!platform->dead_workers[(first + i) % workers]) {
			return (uint16_t)((first + i) % workers);
		}
	}
	return (uint16_t)first;
}

/* NULL if there is no room. The call hangs nowhere yet. */
static struct call *add(struct platform *platform, int64_t start_us)
{
	uint32_t index;
	if (platform->unused_count) {
		index = platform->unused[--platform->unused_count];
	} else if (platform->used < platform->capacity) {
		index = platform->used++;
	} else {
		return NULL;
	}
	struct call *call = &platform->calls[index];
	uint64_t number = platform->next_number++;
	*call = (struct call){.number = number,
			      .start_us = start_us,
			      .next = -1,
			      .previous = -1,
			      .at = platform->count,
			      .worker = pick_worker(platform, number)};
	platform->active[platform->count++] = index;
	platform->states[CALL_FREE]++; /* set_state() takes it back */
	return call;
}

static void remove_call(struct platform *platform, struct call *call)
{
	if (call->state == CALL_BEATING) {
		wheel_remove(platform, call);
	}
	set_state(platform, call, CALL_FREE);
	platform->states[CALL_FREE] = 0;
	uint32_t last = platform->active[--platform->count];
	platform->active[call->at] = last;
	platform->calls[last].at = call->at;
	platform->unused[platform->unused_count++] = (uint32_t)(call - platform->calls);
}

static void go_beating(struct platform *platform, struct call *call, uint32_t slot)
{
	set_state(platform, call, CALL_BEATING);
	wheel_add(platform, call, slot);
}

static void go_silent(struct platform *platform, struct call *call, enum call_state state)
{
	if (call->state == CALL_BEATING) {
		wheel_remove(platform, call);
	}
	call->crashed_us = monotonic_us();
	set_state(platform, call, state);
}

/* Age of the last heartbeat of a call that was there before: fresh ones beat on, the others are crashed already. */
static void load_one(struct platform *platform)
{
	struct call *call = add(platform, 0);
	if (!call) {
		return;
	}
	const struct platform_options *options = &platform->options;
	uint64_t random = content_random(&platform->world, 0x10ad, call->number);
	int64_t age = (int64_t)(random >> 32) % options->beat_us;
	unsigned lot = (unsigned)(random % 100), warning = options->warning_percent;
	unsigned stale = warning + options->stale_percent, silent = stale + options->silent_percent;
	enum call_state state = lot < silent ? CALL_CRASHED : CALL_BEATING;
	if (lot < warning) {
		age = 65000000 + (int64_t)(random >> 32) % 40000000;
	} else if (lot < stale) {
		age = 130000000 + (int64_t)(random >> 32) % 3600000000;
	}
	call->start_us = now_us() - age - (int64_t)((random >> 20) % 1800000000);
	write_context(platform, call);
	if (lot < stale || lot >= silent) {
		char sid[SID_SIZE];
		content_sid(&platform->world, call->number, sid);
		write_heartbeat(platform, sid, now_us() - age);
	}
	if (state == CALL_BEATING) {
		go_beating(platform, call, (uint32_t)(random >> 32) % platform->wheel_size);
	} else {
		go_silent(platform, call, state);
	}
}

void platform_load(struct platform *platform, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		load_one(platform);
	}
	link_flush(platform->link);
}

void platform_start(struct platform *platform, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct call *call = add(platform, now_us());
		if (!call) {
			return;
		}
		write_context(platform, call);
		beat(platform, call);
		go_beating(platform, call, (platform->hand + platform->wheel_size - 1) % platform->wheel_size);
		platform->started++;
	}
}

/* Some call that still beats, or NULL after some tries. */
static struct call *pick(struct platform *platform)
{
	for (int tries = 0; tries < 50 && platform->count; tries++) {
		struct call *call = &platform->calls[platform->active[draw(platform) % platform->count]];
		if (call->state == CALL_BEATING) {
			return call;
		}
	}
	return NULL;
}

void platform_end(struct platform *platform, uint32_t n)
{
	struct call *call;
	for (uint32_t i = 0; i < n && (call = pick(platform)); i++) {
		if (percent(platform, platform->options.crash_percent)) {
			go_silent(platform, call, CALL_CRASHED);
			platform->crashed++;
			continue;
		}
		delete_keys(platform, call, call->number % 2 == 0);
		remove_call(platform, call);
		platform->ended++;
	}
}

/* --- time -------------------------------------------------------------------------------------------------------- */

static void beat_slot(struct platform *platform, uint32_t slot)
{
	for (int32_t i = platform->wheel[slot]; i >= 0; i = platform->calls[i].next) {
		if (!percent(platform, platform->options.lose_percent)) {
			beat(platform, &platform->calls[i]);
		}
	}
}

static void clean(struct platform *platform, struct call *call)
{
	delete_keys(platform, call, false);
	remove_call(platform, call);
}

static void clean_crashed(struct platform *platform)
{
	int64_t keep = platform->options.crash_keep_us, now = monotonic_us();
	for (uint32_t i = platform->count; keep && i-- > 0;) {
		struct call *call = &platform->calls[platform->active[i]];
		if (call->state == CALL_CRASHED && now - call->crashed_us > keep) {
			clean(platform, call);
		}
	}
}

void platform_beat(struct platform *platform)
{
	int64_t now = monotonic_us();
	if (platform->paused) {
		platform->hand_us = now;
		return;
	}
	/* After a long stop one round of beats is enough. */
	int64_t round = (int64_t)platform->wheel_size * TICK_US;
	if (now - platform->hand_us > round) {
		platform->hand_us = now - round;
	}
	while (platform->hand_us + TICK_US <= now) {
		beat_slot(platform, platform->hand);
		platform->hand = (platform->hand + 1) % platform->wheel_size;
		platform->hand_us += TICK_US;
		if (platform->hand == 0) {
			clean_crashed(platform);
		}
	}
}

/* --- what people ask for ----------------------------------------------------------------------------------------- */

uint32_t platform_crash(struct platform *platform, uint32_t n)
{
	struct call *call;
	uint32_t done = 0;
	for (; done < n && (call = pick(platform)); done++) {
		go_silent(platform, call, CALL_CRASHED);
		platform->crashed++;
	}
	return done;
}

uint32_t platform_mute(struct platform *platform, uint32_t n)
{
	struct call *call;
	uint32_t done = 0;
	for (; done < n && (call = pick(platform)); done++) {
		go_silent(platform, call, CALL_MUTE);
	}
	return done;
}

uint32_t platform_kill_worker(struct platform *platform, uint32_t worker)
{
	uint32_t done = 0;
	if (worker >= platform->world.workers) {
		return 0;
	}
	platform->dead_workers[worker] = true;
	for (uint32_t i = 0; i < platform->count; i++) {
		struct call *call = &platform->calls[platform->active[i]];
		if (call->worker == worker && call->state != CALL_CRASHED) {
			go_silent(platform, call, CALL_CRASHED);
			platform->crashed++;
			done++;
		}
	}
	return done;
}

uint32_t platform_resume(struct platform *platform)
{
	uint32_t done = 0;
	platform->paused = false;
	for (uint32_t i = platform->count; i-- > 0;) {
		struct call *call = &platform->calls[platform->active[i]];
		if (call->state == CALL_MUTE) {
			beat(platform, call);
			go_beating(platform, call, (uint32_t)(draw(platform) % platform->wheel_size));
			done++;
		} else if (call->state == CALL_CRASHED && platform->dead_workers[call->worker]) {
			clean(platform, call);
			done++;
		}
	}
	memset(platform->dead_workers, 0, platform->world.workers * sizeof *platform->dead_workers);
	return done;
}

uint32_t platform_flush(struct platform *platform)
{
	uint32_t done = platform->count;
	while (platform->count) {
		remove_call(platform, &platform->calls[platform->active[platform->count - 1]]);
	}
	link_command(platform->link, 1, (const char *[]){"FLUSHDB"}, NULL);
	link_flush(platform->link);
	return done;
}

uint32_t platform_rewrite(struct platform *platform)
{
	for (uint32_t i = 0; i < platform->count; i++) {
		const struct call *call = &platform->calls[platform->active[i]];
		write_context(platform, call);
		if (call->state == CALL_BEATING) {
			beat(platform, call);
		}
	}
	link_flush(platform->link);
	return platform->count;
}

uint64_t platform_flood(struct platform *platform, uint64_t n)
{
	char sid[SID_SIZE];
	for (uint64_t i = 0; i < n && platform->count; i++) {
		const struct call *call = &platform->calls[platform->active[i % platform->count]];
		content_sid(&platform->world, call->number, sid);
		link_command(platform->link, 3, (const char *[]){"PUBLISH", "call_heartbeat", sid}, NULL);
	}
	link_flush(platform->link);
	return platform->count ? n : 0;
}
