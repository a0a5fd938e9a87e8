/* SPDX-License-Identifier: MIT
 *
 * The simulated voice platform: the calls in progress, their workers, and what each event writes to Redis.
 *
 * A call beats exactly every `beat`: beating calls hang in a wheel of 10 ms slots, so a million of them cost no search.
 * Calls live in slots of one array; `active` lists the slots in use without holes, so that a random one is found at
 * once.
 */
#ifndef CALLSIM_PLATFORM_H
#define CALLSIM_PLATFORM_H

#include "content.h"
#include "link.h"

enum beat_style { BEAT_MIXED = 0, BEAT_BARE = 1, BEAT_JSON = 2 };

struct platform_options {
	int64_t beat_us;                                         /* between two heartbeats of a call */
	unsigned warning_percent, stale_percent, silent_percent; /* of the calls loaded first: old or no heartbeat */
	unsigned crash_percent;                                  /* of the ends */
	unsigned lose_percent;                                   /* of the heartbeats: neither written nor published */
	int64_t crash_keep_us; /* a crashed call's keys are removed after that; 0: never */
	enum beat_style style;
};

enum call_state {
	CALL_FREE = 0,
	CALL_BEATING,
	CALL_MUTE,   /* alive, but its heartbeats stopped (command `stale`); `resume` brings them back */
	CALL_CRASHED /* its worker is dead: the hash stays, nothing more comes */
};

struct call {
	uint64_t number;
	int64_t start_us;
	int64_t crashed_us;     /* monotonic */
	int32_t next, previous; /* in its slot of the wheel; -1: none */
	uint32_t slot;          /* of the wheel */
	uint32_t at;            /* place in active[] */
	uint16_t worker;
	uint8_t state;
};

struct platform {
	struct world world;
	struct platform_options options;
	struct link *link;
	struct call *calls;
	uint32_t capacity, used; /* calls[0 … used) have been in use */
	uint32_t *active, count; /* slots in use */
	uint32_t *unused, unused_count;
	int32_t *wheel;
	uint32_t wheel_size, hand;
	int64_t hand_us; /* monotonic time the hand has reached */
	uint64_t next_number, random;
	bool *dead_workers;
	bool paused;
	uint64_t started, ended, crashed, beats; /* ever */
	uint32_t states[4];
};

int platform_init(struct platform *platform, const struct world *world, const struct platform_options *options,
		  struct link *link, uint32_t capacity);
void platform_release(struct platform *platform);

void platform_load(struct platform *platform, uint32_t n); /* calls that are in progress already */
void platform_start(struct platform *platform, uint32_t n);
void platform_end(struct platform *platform, uint32_t n);
void platform_beat(struct platform *platform); /* all beats due by now */
/* What people may ask for; each gives the number of calls it met. */
uint32_t platform_crash(struct platform *platform, uint32_t n);
uint32_t platform_kill_worker(struct platform *platform, uint32_t worker);
uint32_t platform_mute(struct platform *platform, uint32_t n);
uint32_t platform_resume(
	struct platform *platform); /* mute calls beat again; dead workers clean up and take calls again */
uint32_t platform_flush(struct platform *platform);             /* FLUSHDB; the calls are gone for the platform too */
uint32_t platform_rewrite(struct platform *platform);           /* writes all keys again, after Redis has lost them */
uint64_t platform_flood(struct platform *platform, uint64_t n); /* publishes n heartbeats as fast as possible */

#endif
