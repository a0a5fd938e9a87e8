/* SPDX-License-Identifier: MIT
 *
 * What a webhook is sent: the JSON that Alertmanager sends to its webhooks (version "4"), so that receivers made for it
 * work unchanged, or a template of the user's. Pure functions; a retry is byte for byte the same.
 */
#ifndef WEBHOOK_BODY_H
#define WEBHOOK_BODY_H

#include "buffer.h"
#include "callwatch/notify.h"
#include "template.h"

enum { BODY_MAX = 4 << 20, BODY_TEMPLATE_MAX = 256 << 10 };

/* `receiver`: the instance's name. */
void body_alertmanager(struct buffer *out, const struct cw_notice *notice, const char *receiver);
/* Of a template whose names body_is_name() knows. */
void body_template(struct buffer *out, const struct template *template, const struct cw_notice *notice,
		   const char *receiver);
bool body_is_name(const char *name);
/* All of them, parted by commas, for people. */
const char *body_names(char *buffer, size_t size);

#endif
