/* SPDX-License-Identifier: MIT
 *
 * What a mail says: the subject, and the same content as text and as HTML. Pure functions.
 */
#ifndef CALLWATCH_EMAIL_LETTER_BODY_H
#define CALLWATCH_EMAIL_LETTER_BODY_H

#include "buffer.h"
#include "callwatch/notify.h"

/* `[WARNING] call-stale: 37 of 849 calls silent`, or of a digest `[CRITICAL] 12 notices: 9 firing, 3 resolved`. */
void letter_subject(char *subject, size_t size, const struct cw_notice *const *notices, uint32_t n);
void letter_text(struct buffer *buffer, const struct cw_notice *const *notices, uint32_t n);
void letter_html(struct buffer *buffer, const struct cw_notice *const *notices, uint32_t n);

#endif
