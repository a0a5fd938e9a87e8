/* SPDX-License-Identifier: MIT
 *
 * The body of a request for an action, from JSON to what the frontend asks for:
 *
 *     {"arguments":{"mode":"reset","rate":50},"keys":["a","b"],"where":["state=failed"],"all":true,
 *      "plan":"p…","dry_run":true}
 *
 * Every member may be left out, and the whole body too. An argument is a text, a number or true or false; what it means
 * is judged by the action's declaration. Pure: no state, no socket. Private to the plugin web.
 */
#ifndef CALLWATCH_WEB_ACTION_BODY_H
#define CALLWATCH_WEB_ACTION_BODY_H

#include "body.h"

#include "callwatch/frontend.h"

enum { ACTION_BODY_MAX = 64 * 1024, ACTION_NUMBER_SIZE = 32 };

struct action_body {
	struct cw_action_spec spec; /* borrows from what follows; who, what and by whom are the caller's to add */
	json_t *json;
	struct cw_argument *arguments;
	char (*numbers)[ACTION_NUMBER_SIZE]; /* of the arguments that are numbers */
	const char **keys, **where;
};

/* 0, or -EINVAL with a sentence that names the member, or -ENOMEM. Release it in every case. */
int action_body_read(struct action_body *body, const char *bytes, size_t length, char error[BODY_ERROR_MAX]);
void action_body_release(struct action_body *body);

#endif
