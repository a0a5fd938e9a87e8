/* SPDX-License-Identifier: MIT
 *
 * Who has a mail already, who will never get it, and who may have it: what is handed to the core between two attempts,
 * as JSON, so that a retry, also after a restart, goes only to the others and says to the last only that it may be
 * there already.
 *
 *     {"has": ["a@example.net"], "refused": ["b@example.net"], "doubtful": [], "attempt": 1}
 *
 * `attempt` is the one that wrote it: if it is not the last one, nobody knows what became of what was open. 0: the
 * notices of a digest had not all the same.
 */
#ifndef CALLWATCH_EMAIL_PROGRESS_H
#define CALLWATCH_EMAIL_PROGRESS_H

#include "recipient.h"

#include <stddef.h>
#include <stdint.h>

enum { RECIPIENTS_MAX = 50, RECIPIENTS_BYTES_MAX = 3500 }; /* so that all of them fit into CW_NOTICE_KEPT_MAX */

enum fate { FATE_OPEN = 0, FATE_HAS = 1, FATE_REFUSED = 2, FATE_LATER = 3, FATE_DOUBTFUL = 4 };

/* Sets HAS, REFUSED and DOUBTFUL from what is known; the others stay. What cannot be read says nothing. NULL is fine.
 * The attempt that wrote it; 0: not known. */
uint32_t progress_read(const char *json, const struct recipient *to, uint32_t n, enum fate *fates);
void progress_write(char *json, size_t size, const struct recipient *to, uint32_t n, const enum fate *fates,
		    uint32_t attempt);

#endif
