/* SPDX-License-Identifier: MIT
 *
 * What a person may have done to dead letters: retry, drop, restore. Each message is moved by one script, which finds
 * it by its name, puts it where it goes and takes it away, all at once; it leaves a *receipt* in a hash of the task's
 * own, so that the same script, sent once more after a connection was cut, tells what came of it and does nothing
 * twice.
 */
#ifndef DLQ_ACTIONS_H
#define DLQ_ACTIONS_H

#include "dlq.h"

enum { ACTIONS = 3 };
extern const struct cw_action dlq_actions[ACTIONS];

struct task;

void actions_act(void *state, struct cw_task *task, const struct cw_request *request);
void actions_cancel(void *state, struct cw_task *task);
/* Why messages cannot go there (`mode`: index of the choice, `to` may be NULL); NULL: they can. */
const char *actions_wrong_target(const struct settings *settings, int64_t mode, const char *to);
void actions_stop(struct dlq *dlq);
/* A message came that was not there before: does one come back that was retried? */
void actions_arrived(struct dlq *dlq, const struct letter *letter);

#endif
