/* SPDX-License-Identifier: MIT
 *
 * Groups: alerts that are told together. One per rule, split by the rule's `group_by`. A group decides when something
 * is told (group_wait, group_interval, repeat_interval), what (a notice: title, breakdown, what the subjects have in
 * common, the most important of them), and what is not told (silenced, inhibited, acknowledged). Private to
 * core/alerts; on the thread `alerts`; it does no I/O, and takes the time it is given.
 *
 *     first alert ─ group_wait ─▶ notice 1 (FIRING) ─ changes? group_interval ─▶ notice n … ─▶ RESOLVED
 *                                     └── nothing changes ─ repeat_interval ─▶ REPEAT, unless all are acknowledged
 *
 * An *incident* is a life of the group: it begins with the first alert that is told and ends with the notice that all
 * have ended. What a notice has told is kept with each alert (told), in the same transaction of the journal as the
 * notice itself: so after a crash at any point what is still to be told follows from comparing the two.
 *
 * Ids come from (group, incident, sequence, notifier), and which alerts are told to fire or to have ended, of a
 * reminder also when, and nothing else, so that the same notice has the same id wherever it is made.
 *
 * Who hears: the route of the group's labels, without a notifier that the alert is about. Of a rule whose alerts are
 * about notifiers, each has a group of its own, so that the others hear of it.
 *
 * What is not muted and was never told fires the group; an alert that ended before it was told is not told at all. One
 * that was told and has ended is told as ended, even if it is muted by then; with `send_resolved: false` it is only
 * marked. One that fires again before its end was told just goes on.
 */
#ifndef CALLWATCH_CORE_GROUP_H
#define CALLWATCH_CORE_GROUP_H

#include "alert.h"
#include "notice.h"
#include "silence.h"

enum { GROUP_KEY_SIZE = 33, INCIDENT_ID_SIZE = 52 };

/* What its alerts are to a group. */
enum group_part {
	PART_NONE,  /* it has left */
	PART_MUTED, /* fires, silenced or inhibited, and was never told */
	PART_NEWS,  /* fires, and is to be told */
	PART_TOLD,  /* fires, and was told */
	PART_QUIET, /* the same, but nobody is to be reminded of it: acknowledged, muted by now, or blind */
	PART_ENDED, /* was told, has ended, and that is to be told */
	PART_GONE,  /* leaves in the next step */
	PARTS
};

struct group {
	struct group *next, *next_in_bucket;
	char key[GROUP_KEY_SIZE]; /* 32 hex digits of a hash of rule and group labels */
	char *rule_name;
	const struct rule *rule; /* NULL: removed, or not known */
	struct cw_tag *labels;   /* alertname, and what it is split by; owned */
	uint32_t labels_count;
	struct alert *alerts; /* that fire, or have ended and are still to be told so */

	/* kept by the journal */
	char incident[INCIDENT_ID_SIZE]; /* key, `-`, ms of its beginning in hex; "": none is under way */
	uint32_t sequence;               /* of its last notice */
	int64_t since;                   /* wall: its first alert */
	int64_t told_at;                 /* wall: of its last notice; 0: never */

	char *common; /* what the last notice said that the subjects share; NULL: nothing yet */

	/* alerting's */
	char notified[160];    /* column `notified` of table `alerts` */
	bool is_notified_anew; /* … which may be another by now */
	uint32_t written_in;   /* as an alert's */

	/* this room's */
	int64_t last_number;  /* of its last incident: the milliseconds in its id */
	int64_t due;          /* watched instant of the next notice; 0: none */
	int64_t told_watched; /* of the last one; known once knows_told */
	int64_t changed_at;   /* watched instant since when there is something to tell; 0: there is nothing */
	int64_t loud_since;   /* watched instant since when there is something to remind of; 0: there is nothing */
	bool knows_told, is_touched;
	struct alert *last;    /* of alerts; those that are gone are behind the others */
	uint32_t parts[PARTS]; /* how many alerts are what */
};

struct groups;

struct groups_options {
	struct tables *tables; /* for `common`, and how many rows there are */
	const char *hostname;
	/* A notice is to be told to these notifiers (n may be 0: nobody hears it). What it tells of each alert (`told`)
	 * is set already; the callee journals notice, group and alerts in one entry, and delivers. Borrows. */
	void (*tell)(void *arg, struct group *group, struct notice *notice, const char *const *notifiers, uint32_t n);
	/* alert->inhibited_by or silenced_by has changed. */
	void (*show)(void *arg, struct alert *alert);
	/* An alert that has ended, and of which nothing is to be told any more. */
	void (*settled)(void *arg, struct alert *alert);
	void *arg;
};

struct groups *groups_new(const struct groups_options *options, struct silences *silences);
void groups_free(struct groups *groups);
/* Another ruleset: rules are looked up anew by name. */
void groups_use(struct groups *groups, const struct ruleset *ruleset);
/* What the journal knew, before any alert of it is added. */
int groups_restore(struct groups *groups, const char *key, const char *rule, const char *incident, uint32_t sequence,
		   int64_t since, int64_t told_at);

/* An alert began to fire. */
void groups_add(struct groups *groups, struct alert *alert, int64_t watched);
/* It was found in the journal, firing or ended but not told so, and belonged to this group ("": to none yet). Before
 * the first step. */
void groups_add_known(struct groups *groups, struct alert *alert, const char *key, int64_t watched);
/* It leaves without a word, and settled() is not called: the caller is about to free it. */
void groups_remove(struct groups *groups, struct alert *alert);
/* It has ended, was acknowledged, became blind or sees again: what it means for its group is found out in the next
 * step. Silences say themselves that they have changed. */
void groups_touch(struct groups *groups, struct alert *alert, int64_t watched);
/* Finds out who is silenced and inhibited, and tells what is due. The watched instant at which it wants to be called
 * again at the latest; INT64_MAX: when something changes. At most one notice per group and step. To be called once for
 * all that has come meanwhile, not for each: it looks at every group. */
int64_t groups_step(struct groups *groups, int64_t watched, int64_t wall);
struct group *groups_first(struct groups *groups);
struct group *groups_find(struct groups *groups, const char *key); /* NULL: there is none */
/* A notice of kind TEST for a rule, told as its alerts would be, in a group of its own. 0; -ENOENT: nobody would hear
 * of it; -ENOMEM. */
int groups_try(struct groups *groups, const struct rule *rule, int64_t wall);

#endif
