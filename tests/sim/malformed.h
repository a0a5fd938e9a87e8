/* SPDX-License-Identifier: MIT
 *
 * Data that no careful platform writes but that one day is there: each kind once per round, `n` in all.
 */
#ifndef CALLSIM_MALFORMED_H
#define CALLSIM_MALFORMED_H

#include "content.h"
#include "link.h"

#include <stdio.h>

/* `huge`: also a 512 MB string and a hash with a million fields. `record` (may be NULL) gets a line `kind<TAB>sid in
 * hex` for each. Returns how many were written. */
uint32_t malformed_write(struct link *link, const struct world *world, uint32_t n, bool huge, FILE *record);

#endif
