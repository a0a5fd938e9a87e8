/* SPDX-License-Identifier: MIT
 *
 * What frontends call to ask about what was: see struct cw_frontend. Private to the core.
 */
#ifndef CALLWATCH_CORE_LOGS_H
#define CALLWATCH_CORE_LOGS_H

#include "callwatch/frontend.h"

int logs_open(struct cw_instance *instance, const struct cw_log_spec *spec, void (*ready)(void *arg), void *arg,
	      struct cw_log **ret_log);
void logs_close(struct cw_log *log); /* NULL is fine */
void logs_note(struct cw_instance *instance, const char *text, const char *by);

#endif
