/* SPDX-License-Identifier: MIT
 *
 * The rungs of `callwatch doctor` for redis-calls. Private to the plugin.
 */
#ifndef REDIS_CALLS_CHECKS_H
#define REDIS_CALLS_CHECKS_H

#include "callwatch/plugin.h"

struct checks;
struct watch;

enum { CHECKS = 12 };
extern const struct cw_check watch_checks[CHECKS];

struct checks *checks_new(struct watch *watch); /* NULL: no memory */
void checks_free(struct checks *checks);        /* NULL is fine, as below */
void checks_examine(struct checks *checks, uint32_t check);
void checks_tick(struct checks *checks); /* each second */
void checks_stop(struct checks *checks); /* closes what is open on the loop */
uint64_t checks_commands(const struct checks *checks);

#endif
