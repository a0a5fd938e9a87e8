/* SPDX-License-Identifier: MIT
 *
 * Notifier webhook: what its files share, and the order in which to read them.
 *
 *   webhook.c  what the plugin says of itself, its options, its life
 *   deliver.c  one notice, from notify() to host->notified(): one request, and what its answer means
 *   body.h     what is sent; sign.h the headers that prove who sent it
 *   checks.c   the rungs of `callwatch doctor`
 */
#ifndef WEBHOOK_WEBHOOK_H
#define WEBHOOK_WEBHOOK_H

#include "body.h"
#include "connect/http-rungs.h"
#include "sign.h"

enum { WEBHOOK_CHECKS = HTTP_RUNGS + 1, WEBHOOK_HEADERS_MAX = 16, WEBHOOK_REASON_MAX = HTTP_REASON_MAX + 80 };

struct checks;

struct webhook {
	struct cw_instance *self;
	const struct cw_host *host;
	const struct cw_value *options;
	const char *url;
	struct template *body; /* NULL: Alertmanager's */
	struct sign_key key;
	char *headers[WEBHOOK_HEADERS_MAX]; /* of the user's; NULL-terminated */
	int64_t request_timeout;            /* ns */
	struct http *http;
	struct http_transfer *transfer; /* of the notice under way; NULL: none is */
	struct checks *checks;
	struct http_last last;
};

/* deliver.c */
int webhook_notify(void *state, const struct cw_notice *const *notices, uint32_t n);
void webhook_abandon(struct webhook *webhook); /* the notice under way, since we stop */

/* checks.c */
extern const struct cw_check webhook_checks[WEBHOOK_CHECKS];
int checks_open(struct webhook *webhook);
void checks_free(struct checks *checks); /* NULL is fine */
void webhook_examine(void *state, uint32_t check);

#endif
