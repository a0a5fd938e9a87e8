/* SPDX-License-Identifier: MIT
 *
 * Is the way to people there? Tried at the start, then every `check_every`, and after trouble with pauses up to 30 s:
 * connected, greeted, TLS, logged in, and no mail. So a password that has expired is known before the night it matters.
 * `callwatch doctor` climbs the same rungs, each by a try of its own.
 */
#include "email.h"
#include "text.h"

#include <string.h>

static const int64_t try_timeout = 20 * CW_SECOND, examine_timeout = 4500 * CW_MILLISECOND,
		     ends_soon = 14 * 86400 * CW_SECOND;

const struct cw_check email_checks[CHECKS] = {
	[CHECK_NAME] = {"name", "The smarthost's name leads to an address that can be connected to"},
	[CHECK_GREETING] = {"greeting", "A mail server greets us there"},
	[CHECK_TLS] = {"tls", "It offers TLS and proves who it is"},
	[CHECK_LOGIN] = {"login", "It lets us in: the user and the password"},
};

static void on_timer(uv_timer_t *timer)
{
	email_try(timer->data);
}

static void set_timer(struct email *email, int64_t pause)
{
	if (pause)
		uv_timer_start(&email->timer, on_timer, (uint64_t)(pause / CW_MILLISECOND), /* repeat */ 0);
	else
		uv_timer_stop(&email->timer);
}

void email_way(struct email *email, const struct smtp_result *result)
{
	bool is_broken = result->end >= SMTP_BUSY;
	if (!is_broken) {
		backoff_reset(&email->backoff);
		set_timer(email, email->check_every);
		return;
	}
	int64_t pause = result->end == SMTP_DENIED ? 30 * CW_SECOND : backoff_next(&email->backoff);
	set_timer(email, pause);
	email->host->state(email->self, result->end == SMTP_BUSY ? CW_DEGRADED : CW_DOWN, email->host->now() + pause,
			   "%s", result->reason);
}

static void on_tried(void *arg, const struct smtp_result *result)
{
	struct email *email = arg;
	email->is_trying = false;
	email_way(email, result);
	if (result->end == SMTP_TAKEN && !email->is_refused)
		email->host->state(email->self, CW_UP, /* next_try */ 0, "%s", "");
}

void email_try(struct email *email)
{
	struct smtp_mail nothing = {.timeout = try_timeout};
	if (email->is_trying || email->sending.is_under_way) /* which shows it, too */
		return;
	email->is_trying = smtp_send(email->smtp, &nothing, on_tried, email) == 0;
	if (!email->is_trying)
		set_timer(email, backoff_next(&email->backoff));
}

/* ---- callwatch doctor ---- */

static void say_certificate(struct email *email, int64_t ends)
{
	char end[TEXT_TIME_SIZE];
	text_time(end, ends);
	if (!ends)
		email->host->examined(email->self, CW_CHECK_OK, "certificate and name are right");
	else if (ends - email->host->wall() < ends_soon)
		email->host->examined(email->self, CW_CHECK_WARNING,
				      "certificate and name are right, but it ends on %.10s: renew it", end);
	else
		email->host->examined(email->self, CW_CHECK_OK, "certificate and name are right, until %.10s", end);
}

static void say_fine(struct email *email, enum check check, const struct smtp_result *result)
{
	bool talks_tls = email->server.require_tls || email->server.implicit_tls;
	if (check == CHECK_NAME)
		email->host->examined(email->self, CW_CHECK_OK, "connected");
	else if (check == CHECK_GREETING)
		email->host->examined(email->self, CW_CHECK_OK, "it greets");
	else if (check == CHECK_TLS && !talks_tls)
		email->host->examined(email->self, CW_CHECK_WARNING, "require_tls is false: mails go in the clear");
	else if (check == CHECK_TLS)
		say_certificate(email, result->certificate_ends);
	else
		email->host->examined(email->self, CW_CHECK_OK, "%s in %s",
				      email->server.username ? "logged in" : "no login is configured; answered",
				      text_ns(result->took).text);
}

/* A step behind the rung is a rung that held. */
static void on_examined(void *arg, const struct smtp_result *result)
{
	static const enum smtp_step needed[] = {[CHECK_NAME] = SMTP_STEP_CONNECTED,
						[CHECK_GREETING] = SMTP_STEP_GREETED,
						[CHECK_TLS] = SMTP_STEP_SECURED,
						[CHECK_LOGIN] = SMTP_STEP_LET_IN};
	struct email *email = arg;
	enum check check = (enum check)email->examining;
	email->examining = -1;
	if (result->end == SMTP_TAKEN || result->step >= needed[check])
		say_fine(email, check, result);
	else
		email->host->examined(email->self, CW_CHECK_FAILED, "%s", result->reason);
}

void email_examine(void *state, uint32_t check)
{
	struct email *email = state;
	struct smtp_mail nothing = {.timeout = examine_timeout};
	email->examining = (int)check;
	if (smtp_send(email->smtp, &nothing, on_examined, email) < 0) {
		email->examining = -1;
		email->host->examined(email->self, CW_CHECK_FAILED, "out of memory");
	}
}
