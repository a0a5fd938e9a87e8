/* SPDX-License-Identifier: MIT
 *
 * Notices become one mail, and each recipient gets it by a job of their own: what a server says is about one of them.
 *
 *     recipient by recipient ─┬─ taken: has it, for ever
 *                             ├─ 5xx: refused, for ever
 *                             ├─ 4xx: later, with the next attempt
 *                             └─ the way is broken, or the server is busy: the rest is left for the next attempt
 *
 * Who may have a notice already, since no word came, is told so in the mail; the others are not.
 * Each attempt begins with another recipient, so that one with whom the way breaks keeps it from nobody behind.
 * In the end: someone is still to get it → try again (doubtful, if a mail may have arrived); nobody is, and somebody
 * has it → delivered, with those who were refused named; all were refused → refused. What is wrong with the way (no
 * connection, no TLS, a login that is refused) is never final: the mail waits until somebody mends it.
 */
#include "email.h"

#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const int64_t job_timeout = 75 * CW_SECOND, attempt_time = 40 * CW_SECOND;
_Static_assert(CW_NOTICE_DIGEST_MAX <= 64, "doubts has a bit for each notice");
static const int64_t busy_pause = 30 * CW_SECOND; /* after 421 */

static void next(struct email *email);

void sending_release(struct sending *sending)
{
	buffer_release(&sending->mail);
}

static uint32_t count(const struct email *email, enum fate fate)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < email->form.to_count; i++)
		n += email->sending.fates[i] == fate;
	return n;
}

/* ---- the end ---- */

static enum cw_delivery outcome(const struct email *email)
{
	if (count(email, FATE_DOUBTFUL))
		return CW_DOUBTFUL;
	if (count(email, FATE_OPEN) || count(email, FATE_LATER))
		return CW_TRY_AGAIN;
	return count(email, FATE_HAS) ? CW_DELIVERED : CW_REFUSED;
}

static void say_state(struct email *email, enum cw_delivery end)
{
	const struct sending *sending = &email->sending;
	uint32_t has = count(email, FATE_HAS), all = email->form.to_count;
	email->is_refused = sending->trouble == SMTP_TAKEN && has < all;
	if (sending->trouble != SMTP_TAKEN) {
		return; /* the way's, see email_way() */
	}
	if (!email->is_refused)
		email->host->state(email->self, CW_UP, /* next_try */ 0, "%s", "");
	else if (end == CW_REFUSED)
		email->host->state(email->self, CW_DOWN, /* next_try */ 0, "every recipient is refused, first %s",
				   sending->reason);
	else
		email->host->state(email->self, CW_DEGRADED, /* next_try */ 0,
				   "%u of %u recipients have the last mail, first trouble: %s", has, all,
				   sending->reason);
}

/* An old doubt stays until there is a word. */
static void write_progress(const struct email *email, char progress[CW_NOTICE_KEPT_MAX])
{
	const struct sending *sending = &email->sending;
	enum fate fates[RECIPIENTS_MAX];
	uint32_t attempt = sending->notices[0]->attempt;
	for (uint32_t i = 1; i < sending->count; i++)
		attempt = sending->notices[i]->attempt == attempt ? attempt : 0;
	for (uint32_t i = 0; i < email->form.to_count; i++) {
		bool is_open = sending->fates[i] == FATE_OPEN || sending->fates[i] == FATE_LATER;
		fates[i] = is_open && sending->doubts[i] ? FATE_DOUBTFUL : sending->fates[i];
	}
	progress_write(progress, CW_NOTICE_KEPT_MAX, email->to, email->form.to_count, fates, attempt);
}

static void settle(struct email *email)
{
	struct sending *sending = &email->sending;
	char progress[CW_NOTICE_KEPT_MAX];
	enum cw_delivery end = outcome(email);
	uint32_t has = count(email, FATE_HAS), all = email->form.to_count;
	struct cw_delivered delivered = {.size = sizeof(delivered), .outcome = end};
	write_progress(email, progress);
	if (end == CW_TRY_AGAIN || end == CW_DOUBTFUL)
		delivered.progress = progress;
	delivered.is_partial = end == CW_TRY_AGAIN && has > 0 && sending->trouble == SMTP_TAKEN;
	if (sending->trouble == SMTP_BUSY)
		delivered.not_before = email->host->now() + busy_pause;
	sending->is_under_way = false;
	smtp_rest(email->smtp);
	buffer_release(&sending->mail);
	say_state(email, end);
	if (end != CW_DELIVERED)
		email->host->count_error(email->self, 1);
	if (has == all)
		email->host->notified(email->self, &delivered, /* reason */ NULL);
	else if (all == 1 || sending->trouble != SMTP_TAKEN)
		email->host->notified(email->self, &delivered, "%s", sending->reason);
	else
		email->host->notified(email->self, &delivered, "%u of %u recipients have it; %s", has, all,
				      sending->reason);
}

/* ---- one after the other ---- */

static void note_reason(struct email *email, const struct smtp_result *result, bool about_recipient)
{
	struct sending *sending = &email->sending;
	if (about_recipient && sending->reason[0])
		return;
	int used = about_recipient
			   ? snprintf(sending->reason, sizeof(sending->reason), "%s: ", email->to[sending->at].address)
			   : 0;
	text_utf8(sending->reason + used, sizeof(sending->reason) - (size_t)used, result->reason,
		  strlen(result->reason));
}

static void on_sent(void *arg, const struct smtp_result *result)
{
	struct email *email = arg;
	struct sending *sending = &email->sending;
	enum fate *fate = &sending->fates[sending->at];
	switch (result->end) {
	case SMTP_TAKEN:
		*fate = FATE_HAS;
		break;
	case SMTP_REFUSED:
	case SMTP_LATER:
		*fate = result->end == SMTP_REFUSED ? FATE_REFUSED : FATE_LATER;
		note_reason(email, result, /* about_recipient */ true);
		break;
	default:
		*fate = result->end == SMTP_DOUBTFUL ? FATE_DOUBTFUL : FATE_OPEN;
		sending->trouble = result->end;
		note_reason(email, result, /* about_recipient */ false);
	}
	email_way(email, result);
	next(email);
}

/* False: everybody has had their turn. */
static bool find_next(struct email *email)
{
	struct sending *sending = &email->sending;
	for (; sending->turn < email->form.to_count; sending->turn++) {
		sending->at = (sending->first + sending->turn) % email->form.to_count;
		if (sending->fates[sending->at] == FATE_OPEN)
			return true;
	}
	return false;
}

static bool is_last(const struct email *email)
{
	return count(email, FATE_OPEN) == 1;
}

/* It says of each notice whether this recipient may have it already. */
static bool write_mail(struct email *email)
{
	struct sending *sending = &email->sending;
	uint64_t doubts = sending->doubts[sending->at];
	struct cw_notice copies[CW_NOTICE_DIGEST_MAX];
	const struct cw_notice *notices[CW_NOTICE_DIGEST_MAX];
	if (sending->mail.length && sending->marked == doubts)
		return true;
	for (uint32_t i = 0; i < sending->count; i++) {
		copies[i] = *sending->notices[i];
		copies[i].is_doubtful = doubts >> i & 1;
		notices[i] = &copies[i];
	}
	buffer_cut(&sending->mail, 0);
	letter_write(&sending->mail, &email->form, notices, sending->count);
	sending->marked = doubts;
	return !sending->mail.failed;
}

static int send_one(struct email *email)
{
	const struct sending *sending = &email->sending;
	if (!write_mail(email))
		return -ENOMEM;
	struct smtp_mail mail = {.to = email->to[sending->at].address,
				 .bytes = buffer_text(&sending->mail),
				 .length = sending->mail.length,
				 .timeout = job_timeout,
				 .is_last = is_last(email)};
	return smtp_send(email->smtp, &mail, on_sent, email);
}

static void break_off(struct email *email, enum smtp_end trouble, const char *reason)
{
	email->sending.trouble = trouble;
	snprintf(email->sending.reason, sizeof(email->sending.reason), "%s", reason);
	settle(email);
}

static void next(struct email *email)
{
	struct sending *sending = &email->sending;
	if (sending->trouble != SMTP_TAKEN || !find_next(email))
		settle(email);
	else if (email->host->now() > sending->deadline)
		break_off(email, SMTP_BUSY, "the server is so slow that not all recipients had their turn");
	else if (send_one(email) < 0)
		break_off(email, SMTP_BROKEN, "out of memory");
}

/* Who has it already is kept all the same. */
void sending_abandon(struct email *email)
{
	if (!email->sending.is_under_way)
		return;
	bool in_doubt = smtp_is_in_doubt(email->smtp);
	if (in_doubt)
		email->sending.fates[email->sending.at] = FATE_DOUBTFUL;
	break_off(email, in_doubt ? SMTP_DOUBTFUL : SMTP_BROKEN, "stopped before everybody had it");
}

/* ---- the beginning ---- */

/* Who is still to get it, and of which notices it is not known whether they have it: of those whom the last attempt
 * was in doubt about, or, if it had no word at all (a crash), of all. A notice of a digest may have been tried with
 * others than now: who has one of them only gets them all. */
static void recall(struct email *email)
{
	struct sending *sending = &email->sending;
	for (uint32_t i = 0; i < sending->count; i++) {
		const struct cw_notice *notice = sending->notices[i];
		enum fate known[RECIPIENTS_MAX] = {FATE_OPEN};
		uint32_t attempt = progress_read(notice->progress, email->to, email->form.to_count, known);
		bool is_last = attempt && attempt + 1 == notice->attempt;
		for (uint32_t k = 0; k < email->form.to_count; k++) {
			bool in_doubt = known[k] == FATE_DOUBTFUL || (known[k] == FATE_OPEN && !is_last);
			known[k] = known[k] == FATE_DOUBTFUL ? FATE_OPEN : known[k];
			if (notice->is_doubtful && in_doubt)
				sending->doubts[k] |= (uint64_t)1 << i;
			sending->fates[k] = i == 0 || sending->fates[k] == known[k] ? known[k] : FATE_OPEN;
		}
	}
}

int sending_notify(void *state, const struct cw_notice *const *notices, uint32_t n)
{
	struct email *email = state;
	struct sending *sending = &email->sending;
	if (n == 0 || n > CW_NOTICE_DIGEST_MAX)
		return -EINVAL;
	*sending = (struct sending){.deadline = email->host->now() + attempt_time,
				    .first = notices[0]->attempt ? notices[0]->attempt - 1 : 0,
				    .count = n};
	memcpy(sending->notices, notices, n * sizeof(*notices));
	recall(email);
	if (!find_next(email)) { /* those who had not got it have been taken out of `to` */
		if (count(email, FATE_HAS) > 0)
			return 0;
		struct cw_delivered refused = {.size = sizeof(refused), .outcome = CW_REFUSED};
		email->host->notified(email->self, &refused, "every recipient has refused it");
		return CW_LATER;
	}
	buffer_init(&sending->mail, /* head */ 0, LETTER_BYTES_MAX);
	int status = send_one(email);
	if (status < 0) {
		buffer_release(&sending->mail);
		return status;
	}
	sending->is_under_way = true;
	return CW_LATER;
}
