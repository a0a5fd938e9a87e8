/* SPDX-License-Identifier: MIT
 *
 * See parcel.h.
 */
#include "parcel.h"

#include "clock.h"
#include "notice.h"
#include "text.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* ---- what is in it ---- */

/* One attempt at a notice, as the plugin sees it; the texts are its own. */
struct attempt {
	struct cw_notice said; /* first */
	char *id, *receipt, *progress;
};

static void attempt_free(struct attempt *attempt)
{
	if (!attempt)
		return;
	free(attempt->id);
	free(attempt->receipt);
	free(attempt->progress);
	free(attempt);
}

/* False: no memory. */
static bool copy(const char *text, char **ret_copy)
{
	*ret_copy = text ? strdup(text) : NULL;
	return *ret_copy || !text;
}

static struct attempt *attempt_new(const struct parcel_item *item)
{
	struct attempt *attempt = calloc(1, sizeof *attempt);
	if (!attempt)
		return NULL;
	attempt->said = item->notice->said;
	if (!copy(item->id, &attempt->id) || !copy(item->receipt, &attempt->receipt) ||
	    !copy(item->progress, &attempt->progress)) {
		attempt_free(attempt);
		return NULL;
	}
	attempt->said.id = attempt->id;
	attempt->said.receipt = attempt->receipt;
	attempt->said.progress = attempt->progress;
	attempt->said.attempt = item->attempt;
	attempt->said.is_doubtful = item->is_doubtful;
	return attempt;
}

/* ---- the parcel ---- */

static void on_dropped(struct mail *mail)
{
	parcel_unref((struct parcel *)mail);
}

static bool fill(struct parcel *parcel, const struct parcel_item *items, uint32_t count)
{
	parcel->notices = calloc(count, sizeof(struct cw_notice *));
	parcel->kept = calloc(count, sizeof *parcel->kept);
	if (!parcel->notices || !parcel->kept)
		return false;
	for (; parcel->count < count; parcel->count++) {
		struct attempt *attempt = attempt_new(&items[parcel->count]);
		if (!attempt)
			return false;
		parcel->notices[parcel->count] = &attempt->said;
		parcel->kept[parcel->count] = notice_ref(items[parcel->count].notice);
	}
	return true;
}

struct parcel *parcel_new(const struct parcel_item *items, uint32_t count, struct mailbox *sender,
			  void (*deliver)(struct mail *mail, void *owner), void *arg)
{
	struct parcel *parcel = calloc(1, sizeof *parcel);
	if (!parcel)
		return NULL;
	atomic_init(&parcel->references, 1);
	parcel->mail = (struct mail){.deliver = deliver, .drop = on_dropped};
	parcel->sender = mailbox_ref(sender);
	parcel->arg = arg;
	pthread_mutex_init(&parcel->lock, /* attributes */ NULL);
	if (fill(parcel, items, count))
		return parcel;
	parcel_unref(parcel);
	return NULL;
}

struct parcel *parcel_ref(struct parcel *parcel)
{
	atomic_fetch_add(&parcel->references, 1);
	return parcel;
}

void parcel_unref(struct parcel *parcel)
{
	if (!parcel || atomic_fetch_sub(&parcel->references, 1) > 1)
		return;
	for (uint32_t i = 0; i < parcel->count; i++) {
		attempt_free((struct attempt *)parcel->notices[i]);
		notice_unref(parcel->kept[i]);
	}
	free(parcel->notices);
	free(parcel->kept);
	mailbox_unref(parcel->sender);
	mailbox_unref(parcel->receiver);
	pthread_mutex_destroy(&parcel->lock);
	free(parcel->outcome.progress);
	free(parcel->outcome.receipt);
	free(parcel);
}

/* ---- what became of it ---- */

/* What cannot be kept whole is not kept: half of it would be something else. */
static char *keep(const char *text)
{
	size_t length = text ? strnlen(text, CW_NOTICE_KEPT_MAX + 1) : 0;
	return length > 0 && length <= CW_NOTICE_KEPT_MAX && text_is_utf8(text, length) ? strdup(text) : NULL;
}

static void note(struct parcel_outcome *outcome, const struct cw_delivered *delivered, const char *reason)
{
	bool is_known = (unsigned)delivered->outcome <= CW_REFUSED;
	outcome->outcome = is_known ? delivered->outcome : CW_DOUBTFUL;
	int64_t latest = clock_now() + PARCEL_WAIT_MAX;
	outcome->not_before = delivered->not_before < latest ? delivered->not_before : latest;
	outcome->is_partial = delivered->is_partial && outcome->outcome == CW_TRY_AGAIN;
	outcome->progress = keep(delivered->progress);
	outcome->receipt = keep(delivered->receipt);
	if (reason)
		text_visible(outcome->reason, sizeof outcome->reason, reason, strlen(reason));
}

bool parcel_settle(struct parcel *parcel, const struct cw_delivered *delivered, const char *reason)
{
	pthread_mutex_lock(&parcel->lock);
	bool first = !parcel->is_settled;
	if (first)
		note(&parcel->outcome, delivered, reason);
	parcel->is_settled = true;
	pthread_mutex_unlock(&parcel->lock);
	if (!first)
		return false;
	parcel_ref(parcel);
	if (mailbox_post(parcel->sender, &parcel->mail) < 0)
		parcel_unref(parcel);
	return true;
}

bool parcel_is_settled(struct parcel *parcel)
{
	pthread_mutex_lock(&parcel->lock);
	bool is_settled = parcel->is_settled;
	pthread_mutex_unlock(&parcel->lock);
	return is_settled;
}
