/* SPDX-License-Identifier: MIT
 *
 * Who has a mail already and who will never get it: what is handed to the core between two attempts, as JSON, so that a
 * retry, also after a restart, goes only to the others.
 *
 *     {"has": ["a@example.net"], "refused": ["b@example.net"]}
 */
#ifndef CALLWATCH_EMAIL_PROGRESS_H
#define CALLWATCH_EMAIL_PROGRESS_H

#include "recipient.h"

#include <stddef.h>
#include <stdint.h>

enum { RECIPIENTS_MAX = 50, RECIPIENTS_BYTES_MAX = 3500 }; /* so that all of them fit into CW_NOTICE_KEPT_MAX */

enum fate { FATE_OPEN = 0, FATE_HAS = 1, FATE_REFUSED = 2, FATE_LATER = 3, FATE_DOUBTFUL = 4 };

/* Sets HAS and REFUSED from what is known; the others stay. What cannot be read says nothing. NULL is fine. */
void progress_read(const char *json, const struct recipient *to, uint32_t n, enum fate *fates);
void progress_write(char *json, size_t size, const struct recipient *to, uint32_t n, const enum fate *fates);

#endif
