/* SPDX-License-Identifier: MIT
 *
 * What is said in Slack: notices as the JSON that its webhooks and its methods chat.postMessage and chat.update take.
 * Pure functions; every message is within Slack's limits, whatever the notice holds.
 *
 *     ▲ WARNING call-stale: 37 of 849 calls silent since 02:09:51      the header, in `blocks`
 *     ┃ what it means and what to do                                   the rest, in an attachment, for its colour
 *     ┃ worker ai-7: 37        business Acme: 12                       fields
 *     ┃ worker=ai-7: 37 of 37; 12 businesses
 *     ┃ • +1••••••0132 (Acme) silent for 2m 37s              [Open]    the ten most important subjects
 *     ┃ and 27 more
 *     ┃ [Show them]                                                    or the command to type
 *     ┃ since 2026-12-01 02:09:51 +0100 · web-1 · id 6f1c-3-9a
 *
 * All texts are of type plain_text, so that nothing in them is markup, and escaped as well (words.h); that neither
 * names nor links are looked for in them is said besides.
 */
#ifndef SLACK_MESSAGE_H
#define SLACK_MESSAGE_H

#include "buffer.h"
#include "callwatch/notify.h"

enum {
	MESSAGE_SUBJECTS = 10,
	MESSAGE_BLOCKS_CHARACTERS = 10000, /* of all blocks as JSON: Slack refuses from some 11,300 on, undocumented */
	MESSAGE_TEXT_CHARACTERS = 3000,    /* of the top-level text; what is longer than 4,000 cannot be edited */
	MESSAGE_BYTES_MAX = 128 * 1024     /* of the whole, in a buffer */
};

/* Where it goes. All NULL: the incoming webhook knows. */
struct message_place {
	const char *channel;
	const char *ts;     /* the message that is changed; NULL: a new one */
	const char *thread; /* ts of the message in whose thread it goes; NULL: into the channel */
	bool is_broadcast;  /* from the thread also into the channel */
};

/* How the incident stands. `doubtful`: it may be there already, which is said. */
void message_notice(struct buffer *out, const struct message_place *place, const struct cw_notice *notice,
		    bool doubtful);
/* For the thread: what is known of each subject. */
void message_details(struct buffer *out, const struct message_place *place, const struct cw_notice *notice,
		     bool doubtful);
/* For the thread: what has changed. */
void message_change(struct buffer *out, const struct message_place *place, const struct cw_notice *notice,
		    bool doubtful);
/* Of many that have waited, the last of each incident. */
void message_digest(struct buffer *out, const struct message_place *place, const struct cw_notice *const *notices,
		    uint32_t n, bool doubtful);
/* The same as text alone, for when the blocks were refused. */
void message_plain(struct buffer *out, const struct message_place *place, const struct cw_notice *const *notices,
		   uint32_t n, bool doubtful);
/* Is this the last of its incident among them? */
bool message_is_last(const struct cw_notice *const *notices, uint32_t n, uint32_t index);

#endif
