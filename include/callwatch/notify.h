/* SPDX-License-Identifier: MIT
 *
 * Notifiers: plugins that tell people, or a system that tells people, what fires. Since contract 1.3.
 *
 * The core decides what is told to whom and when (rules, groups, silences, routes), writes it to the journal, and only
 * then gives it to notify(). A *notice* says how a group of alerts stands at a moment: it is complete in itself and is
 * never changed; a retry, even after a crash, is the same notice with the same id. The core keeps it until the notifier
 * says what became of it; so a notifier needs no memory of its own but what it hands back:
 *
 *     progress  of this notice, between attempts (which recipients have it)
 *     receipt   of this incident, between notices (the message that Slack made of it, to be edited)
 *
 * One notice, or one digest, is in flight per notifier at a time. Those of one group come in order; those of others
 * may pass while one waits for its next try. The core retries from 1 s to 5 min, with jitter, for a day; then the
 * notice is a dead letter, which is an event, a metric, and an alert on the other notifiers.
 *
 * All texts are valid UTF-8, bounded, without control characters but `\n` in `description`; phone numbers are masked
 * unless the agent says `phones: full`. They may still hold anything that a stranger can write: escape them for the
 * receiver. No secret is in them.
 */
#ifndef CALLWATCH_NOTIFY_H
#define CALLWATCH_NOTIFY_H

#include "metric.h"
#include "plugin.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
	CW_NOTICE_ALERTS_MAX = 100, /* that a notice holds; more are counted in `left_out` */
	CW_NOTICE_DIGEST_MAX = 50,  /* notices in one digest */
	CW_NOTICE_KEPT_MAX = 4096   /* bytes of `progress` and of `receipt` */
};

enum cw_notice_kind {
	CW_NOTICE_FIRING = 0,   /* something fires that did not when last told, or some has ended and some has not */
	CW_NOTICE_RESOLVED = 1, /* all of the incident has ended */
	CW_NOTICE_REPEAT = 2,   /* nothing has changed, and somebody should still look */
	CW_NOTICE_TEST = 3      /* somebody tries the way */
};

enum cw_severity { CW_SEVERITY_INFO = 0, CW_SEVERITY_WARNING = 1, CW_SEVERITY_CRITICAL = 2 };

/* A column of the subject's row when it fired, as people read it: `37 s`, `healthy`, `+1••••••0132`. */
struct cw_fact {
	const char *name, *text;
};

/* One subject for which a rule holds, or has ceased to. */
struct cw_alert {
	const char *fingerprint; /* 16 hex digits, of rule, instance and subject: the same for ever */
	const char *instance, *subject;
	bool is_firing;
	const char *summary;
	const char *reason;         /* why it ended: `recovered`, `gone`, `rule removed`; NULL while it fires */
	int64_t starts_at, ends_at; /* wall times; ends_at 0: it fires */
	double value;               /* of a sample rule; NaN: none, or not known */
	const char *url;            /* of the subject; NULL: no external_url */
	struct cw_array labels;     /* of struct cw_tag: alertname, severity, instance, subject, the rule's own */
	struct cw_array facts;      /* of struct cw_fact */
	const char *acked_by;       /* NULL: nobody has acknowledged it */
};

struct cw_notice {
	uint32_t size;
	const char *id;       /* of this notice: an idempotency key, [0-9a-f-], at most 64 bytes */
	const char *group;    /* of its group: the same over incidents, at most 64 bytes of the same */
	const char *incident; /* of this life of the group, from its first alert until all have ended */
	uint32_t sequence;    /* of the notices of an incident, from 1 */
	enum cw_notice_kind kind;
	enum cw_severity severity;
	const char *rule;
	const char *title;       /* one line: `call-stale: 37 of 849 calls silent since 02:09:51` */
	const char *description; /* what it means and what to do; "" if the rule says nothing */
	const char *common;      /* what the subjects share and others do not: `worker=ai-7: 37 of 37`; "" if nothing */
	struct cw_array breakdown; /* of struct cw_fact: `worker ai-7`: `37`; by the rule's summarize_by, largest first
				    */
	struct cw_array labels; /* of struct cw_tag: alertname, severity, what the group is split by, the rule's own */
	struct cw_array group_labels; /* of struct cw_tag: alertname, what the group is split by */
	uint32_t firing, resolved;    /* how many alerts of the group fire; have ended since the last notice */
	struct cw_array alerts;       /* of struct cw_alert: those, the most important first */
	uint32_t left_out;            /* how many of them `alerts` has no room for */
	int64_t since;                /* wall time: the incident's first alert */
	int64_t at;                   /* wall time: when this was so */
	const char *url;              /* the page with these subjects; NULL: no external_url */
	const char *command;          /* what to type to see them: `callwatch alerts --where …` */
	const char *host;             /* the agent's hostname, for people; it is in no id */
	const char *receipt;          /* what the last delivered notice of this incident left; NULL: nothing */

	/* of this attempt */
	const char *progress; /* what the last attempt left; NULL: nothing */
	uint32_t attempt;     /* from 1 */
	bool is_doubtful;     /* an earlier attempt may have arrived: say so where it can be said */
};

/* What became of the notices that notify() was given. */
enum cw_delivery {
	CW_DELIVERED = 0, /* the receiver has said yes */
	CW_TRY_AGAIN = 1, /* it has not arrived, or not everywhere (`progress`) */
	CW_DOUBTFUL = 2,  /* it may have arrived: tried again, and marked so */
	CW_REFUSED = 3    /* it will never be taken: a dead letter now */
};

struct cw_delivered {
	uint32_t size;
	enum cw_delivery outcome;
	int64_t not_before;   /* instant before which nothing may be sent by this notifier at all (Retry-After); 0: the
				 core's own pauses are enough */
	const char *progress; /* kept for the next attempt; NULL: nothing */
	const char *receipt;  /* DELIVERED: kept for the incident's next notice; NULL: what there is stays */
	bool is_partial; /* TRY_AGAIN: some have it, and who has not may as well hear of it by a later notice of the
			    incident, which tells all of it: that one does not wait for this one, and takes its place */
};

/* The action `test`, which every notifier declares: `.actions = CW_ARRAY(actions)` with this row among them. The core
 * carries it out itself: a notice of kind TEST goes the way of all others, and the task ends when it is settled. So
 * act() never hears of it, and may be NULL. A notifier without notify() carries it out in act(). */
#define CW_NOTIFIER_TEST                                                                                               \
	{                                                                                                              \
		.name = "test", .help = "Sends a test notice and waits until the receiver has it"                      \
	}

#ifdef __cplusplus
}
#endif
#endif
