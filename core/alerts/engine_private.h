/* SPDX-License-Identifier: MIT
 *
 * The inside of the engine, shared by engine.c (rules, rows, the whole), life.c (the life of an alert), sight.c (who
 * can see), series.c (samples), store.c (which alerts there are) and alert_words.c (what is said of them). Nobody else
 * includes it.
 *
 * A source's clock (sight_clock()) is watched time that stands still while the source cannot see. All that waits for
 * something about a source is measured on it; so blindness needs no case of its own anywhere.
 */
#ifndef CALLWATCH_CORE_ENGINE_PRIVATE_H
#define CALLWATCH_CORE_ENGINE_PRIVATE_H

#include "engine.h"

enum { STORE_HASH_KEY_BYTES = 16 };

/* ---- store.c ---- */

struct store {
	struct alert *first; /* the newest first */
	struct alert **buckets;
	uint32_t buckets_count, count, open_count;
	uint8_t hash_key[STORE_HASH_KEY_BYTES];
};

void store_init(struct store *store);
void store_release(struct store *store);                               /* frees all alerts */
struct alert *store_find(const struct store *store, const char *key);  /* of those that are open */
struct alert *store_lives(const struct store *store, const char *key); /* the first of this key; NULL: none */
struct alert *store_next_life(const struct alert *alert);
/* Takes it over, open or not. 0 or -ENOMEM. */
int store_add(struct store *store, struct alert *alert, bool is_open);
void store_close(struct store *store, struct alert *alert);  /* it has ended: not found any more, but listed */
void store_remove(struct store *store, struct alert *alert); /* and frees it */

/* ---- sight.c ---- */

struct sight {
	struct sight *next;
	char *instance;
	char *table;      /* NULL: the instance itself */
	struct sight *of; /* of a table: its instance's */
	bool says;        /* what was said of it */
	bool sees;        /* and of its instance */
	int64_t clock;    /* ns that it could see, up to … */
	int64_t at;       /* … this watched instant */
	uint32_t spells;  /* how often it went blind */
};

/* Made if it is not there; NULL: no memory. */
struct sight *sight_of(struct engine *engine, const char *instance, const char *table);
const struct sight *sight_find(const struct engine *engine, const char *instance, const char *table);
int64_t sight_clock(const struct sight *sight, struct moment now);
/* Those of an instance; nobody may point at them any more. */
void sights_forget(struct engine *engine, const char *instance);
void sights_release(struct engine *engine);

/* ---- series.c ---- */

struct series_room; /* all that is known about samples */

struct series_room *series_new(void);
void series_free(struct series_room *room); /* NULL is fine */
/* The engine's ruleset has changed. 0 or -ENOMEM. */
int series_use(struct engine *engine);
void series_instance_gone(struct engine *engine, const char *instance);
/* Absence, and series that have gone. The watched instant of the next look. */
int64_t series_tick(struct engine *engine, struct moment now);

/* ---- life.c ---- */

/* What is seen: `reason` if it does not hold. `is_fresh`: what it is about was looked at just now. The alert may be
 * freed by it. */
void life_see(struct engine *engine, struct alert *alert, bool holds, const char *reason, struct moment now);
/* Time has passed, a guard or its sight has changed. The same. */
void life_judge(struct engine *engine, struct alert *alert, bool is_fresh, struct moment now);
/* It ends now, whoever sees what. The same. */
void life_end(struct engine *engine, struct alert *alert, const char *reason, struct moment now);
/* On its source's clock, how long until it wants to be judged again; INT64_MAX: not by time alone. */
int64_t life_wait(const struct alert *alert, struct moment now);

/* ---- alert_words.c ---- */

/* Summary, description and facts of the alert from a row. Without memory they stay as they were. */
void words_of_row(struct alert *alert, const struct cw_column *columns, const struct cw_cell *cells, uint32_t count);
/* … from a sample's labels. */
void words_of_sample(struct alert *alert, const struct cw_metric *metric, const char *const *labels);

/* ---- engine.c ---- */

struct engine {
	struct engine_options options;
	const struct ruleset *ruleset; /* NULL: none yet */
	struct store store;
	struct sight *sights;
	struct series_room *series;
	struct moment last;
	uint32_t gaps; /* times in which nobody watched */
	_Atomic uint64_t left_out;
	uint64_t pass;
	bool is_looking;
};

/* Opens one for this rule, pending; NULL: no memory, or too many are open. */
struct alert *engine_open(struct engine *engine, const struct rule *rule, struct sight *sight, const char *subject,
			  const char *source, struct moment now);
/* Sets the time; every call from outside begins with it. */
void engine_at(struct engine *engine, struct moment now);

#endif
