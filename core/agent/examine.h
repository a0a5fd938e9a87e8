/* SPDX-License-Identifier: MIT
 *
 * An instance is examined, rung by rung, on its own thread: first what the core knows of it (does its loop come round,
 * what does it say of itself, its readings, its queue), then the checks that its plugin declares. This is the patient's
 * side; who asks, and notices if the patient does not answer at all, is doctor.h. Private to the core.
 *
 * Each check of a plugin has 5 s (to the second: the instance's beat looks). Those after a failed one are not tried.
 * The core's own verdicts on state, readings and queue are symptoms and stop nothing: the rungs below them are climbed
 * to find the cause.
 *
 * One examination of an instance at a time. Who asks while one is under way is told what it has found so far, and hears
 * the rest with the others. One that cannot be finished, because the instance stops, ends with a word about each rung.
 */
#ifndef CALLWATCH_CORE_EXAMINE_H
#define CALLWATCH_CORE_EXAMINE_H

#include "callwatch/plugin.h"
#include "mailbox.h"
#include "words.h"

enum { EXAMINE_TEXT_MAX = WORDS_MAX };

struct instance;

struct finding {
	uint32_t rung;
	enum cw_verdict verdict;
	char text[EXAMINE_TEXT_MAX];
};

/* Who wants to hear. Posted as mail, and told on the examined instance's thread, or, where it takes no mail any more,
 * on the one that found that out. */
struct listener {
	struct mail mail; /* first */
	struct listener *next;
	/* Each finding once, in order, borrowed; then NULL, with which the listener is its owner's again. */
	void (*heard)(struct listener *listener, const struct finding *finding);
};

/* The rungs of a plugin's instances; 0 is the lowest. */
uint32_t examine_rungs(const struct cw_plugin *decl);
struct cw_check examine_rung(const struct cw_plugin *decl, uint32_t rung);

/* Under the roster's lock, so that the instance stays. Takes the listener; it may be told to end at once. */
void examine_ask(struct instance *self, struct listener *listener);

/* All below: the instance's own thread. */
void examine_told(struct instance *self, enum cw_verdict verdict, const char *text); /* by its plugin */
void examine_beat(struct instance *self);                                            /* each second */
void examine_stop(struct instance *self); /* its plugin is about to be stopped */

#endif
