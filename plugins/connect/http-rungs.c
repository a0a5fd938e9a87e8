/* SPDX-License-Identifier: MIT
 *
 * See connect/http-rungs.h.
 */
#include "connect/http-rungs.h"

#include "text.h"

#include <stdio.h>
#include <string.h>

static const int64_t ends_soon = 14 * 86400 * CW_SECOND;

void http_rungs_take(struct http_rungs *rungs, const char *url, const struct http_answer *answer)
{
	*rungs = (struct http_rungs){.is_tls = strncmp(url, "https:", 6) == 0,
				     .end = answer->end,
				     .step = answer->step,
				     .certificate_ends = answer->certificate_ends};
	snprintf(rungs->reason, sizeof(rungs->reason), "%s", answer->end == HTTP_ANSWERED ? "" : answer->reason);
}

static void say_certificate(const struct http_rungs *rungs, struct cw_instance *self, const struct cw_host *host)
{
	int64_t left = rungs->certificate_ends - host->wall();
	char end[TEXT_TIME_SIZE];
	text_time(end, rungs->certificate_ends);
	if (!rungs->is_tls)
		host->examined(self, CW_CHECK_OK, "not used: the address does not ask for it");
	else if (!rungs->certificate_ends)
		host->examined(self, CW_CHECK_OK, "certificate and name are right");
	else if (left < ends_soon)
		host->examined(self, CW_CHECK_WARNING,
			       "certificate and name are right, but it ends on %.10s, in %s: renew it", end,
			       text_ns(left).text);
	else
		host->examined(self, CW_CHECK_OK, "certificate and name are right, until %.10s", end);
}

void http_rungs_say(const struct http_rungs *rungs, struct cw_instance *self, const struct cw_host *host, uint32_t rung)
{
	bool has_address = rungs->end != HTTP_NO_NAME && rungs->end != HTTP_FORBIDDEN;
	bool holds = rung == HTTP_RUNG_NAME  ? has_address
		     : rung == HTTP_RUNG_TCP ? rungs->step >= HTTP_STEP_CONNECTED
					     : rungs->end != HTTP_TLS;
	if (!holds)
		host->examined(self, CW_CHECK_FAILED, "%s", rungs->reason);
	else if (rung == HTTP_RUNG_TLS)
		say_certificate(rungs, self, host);
	else
		host->examined(self, CW_CHECK_OK,
			       rung == HTTP_RUNG_NAME ? "the name is known, or an address" : "connected");
}

void http_last_set(struct http_last *last, const struct cw_host *host, bool went_well, const char *reason)
{
	last->at = host->wall();
	last->went_well = went_well;
	snprintf(last->reason, sizeof(last->reason), "%s", reason);
}

void http_last_say(const struct http_last *last, struct cw_instance *self, const struct cw_host *host)
{
	struct text_ns ago = text_ns(host->wall() - last->at);
	if (!last->at)
		host->examined(self, CW_CHECK_WARNING, "none was sent yet: try with callwatch trigger %s test --wait",
			       host->info(self)->name);
	else if (last->went_well)
		host->examined(self, CW_CHECK_OK, "the last was taken %s ago%s%s", ago.text,
			       last->reason[0] ? "; " : "", last->reason);
	else
		host->examined(self, CW_CHECK_FAILED, "the last was not, %s ago: %s", ago.text, last->reason);
}
