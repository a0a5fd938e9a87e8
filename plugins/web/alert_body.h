/* SPDX-License-Identifier: MIT
 *
 * The bodies of what people do about alerts, from JSON to what the frontend asks for:
 *
 *     a silence           {"matchers":["alertname=call-stale","worker=ai-7"],"duration_seconds":7200,
 *                          "comment":"deploy","every":"Sun 02:00-04:00","timezone":"Europe/Berlin","dry_run":true}
 *     an acknowledgement  {"alert":"call-stale","subject":"CA123","note":"looking at it"}
 *
 * A silence ends at `ends_at`, or `duration_seconds` after its beginning: that is `starts_at`, or now by the agent's
 * clock and not the asker's. `"all":true` instead of matchers mutes everything. What matchers and windows mean is
 * judged by the core. Pure: no state, no socket. Private to the plugin web.
 */
#ifndef CALLWATCH_WEB_ALERT_BODY_H
#define CALLWATCH_WEB_ALERT_BODY_H

#include "body.h"

#include "callwatch/frontend.h"

enum { ALERT_TEXT_MAX = 1000, MATCHERS_MAX = 64 };

struct silence_body {
	struct cw_silence_spec spec; /* borrows from what follows; by whom is the caller's to add */
	json_t *json;
	const char **matchers;
	int64_t duration; /* ns; 0: not said */
};

struct ack_body {
	struct cw_ack_spec spec;
	json_t *json;
};

/* 0, or -EINVAL with a sentence that names the member, or -ENOMEM. Release it in every case. `wall`: now. */
int silence_body_read(struct silence_body *body, const char *bytes, size_t length, int64_t wall,
		      char error[BODY_ERROR_MAX]);
void silence_body_release(struct silence_body *body);
int ack_body_read(struct ack_body *body, const char *bytes, size_t length, char error[BODY_ERROR_MAX]);
void ack_body_release(struct ack_body *body);

#endif
