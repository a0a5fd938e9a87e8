/* SPDX-License-Identifier: MIT
 *
 * The rungs of `callwatch doctor`: is every address open, is there room for more who ask, does the
 * certificate last.
 */
#include "checks.h"

#include "listen_private.h"
#include "tls.h"

#include <stdio.h>
#include <string.h>

enum { ADDRESSES_MAX = 256 };

static void say_listeners(struct web *web)
{
	char open[ADDRESSES_MAX] = "";
	for (uint32_t i = 0; i < web->listeners_count; i++) {
		const struct listener *listener = &web->listeners[i];
		size_t used = strlen(open);
		if (listener->descriptor < 0) {
			web->host->examined(web->self, CW_CHECK_FAILED, "%s", listener->reason);
			return;
		}
		if (listener->path && !unix_is_in_place(listener)) {
			web->host->examined(
				web->self, CW_CHECK_FAILED,
				"the socket %s was removed or replaced by another program, so nobody comes in by "
				"it: find out who did that, and restart callwatchd",
				listener->path);
			return;
		}
		snprintf(open + used, sizeof open - used, "%s%s", used ? ", " : "", listener->address);
	}
	web->host->examined(web->self, CW_CHECK_OK, "open: %s", open);
}

static void say_connections(struct web *web)
{
	bool crowded = web->connections_count > web->connections_max / 4 * 3;
	web->host->examined(web->self, crowded ? CW_CHECK_WARNING : CW_CHECK_OK, "%u of %u are in use%s",
			    web->connections_count, web->connections_max,
			    crowded ? ": more are soon refused with 503, raise `max_connections`" : "");
}

static void say_certificate(struct web *web)
{
	char sentence[TLS_SENTENCE_MAX];
	if (web->certificate_ends == INT64_MAX) {
		web->host->examined(web->self, CW_CHECK_SKIPPED, "no TLS is spoken");
		return;
	}
	enum cw_verdict verdict = tls_explain_expiry(web->certificate_ends, web->host->wall(), sentence);
	web->host->examined(web->self, verdict, "%s", sentence);
}

const struct cw_check web_checks[WEB_CHECKS] = {
	{"listeners", "Every address of `listen` is open, every UNIX socket in its place"},
	{"connections", "There is room for more connections"},
	{"certificate", "The TLS certificate is valid for the next two weeks"},
};

void web_examine(void *state, uint32_t check)
{
	static void (*const says[WEB_CHECKS])(struct web * web) = {say_listeners, say_connections, say_certificate};
	says[check](state);
}
