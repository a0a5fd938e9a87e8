/* SPDX-License-Identifier: MIT
 *
 * What a program says on stderr: logged line by line, a few of them in each reading, and the last one kept for the
 * reason of a state. Made fit to be shown; people's numbers are masked, and so is what the option `environment` has,
 * for scripts print their command lines.
 */
#ifndef EXEC_COMPLAINTS_H
#define EXEC_COMPLAINTS_H

#include "callwatch/plugin.h"

enum { COMPLAINT_SIZE = 512, COMPLAINT_LAST_SIZE = 121 };

struct complaints {
	struct cw_instance *self;
	const struct cw_host *host;
	const struct cw_info *info;
	const struct cw_value *secrets; /* a map: its values are not shown; NULL: none */
	uint32_t logged, more;          /* since complaints_begin() */
	char last[COMPLAINT_LAST_SIZE]; /* "" if there was none */
};

void complaints_begin(struct complaints *complaints); /* of a new reading: says how many lines were not logged */
void complaints_line(struct complaints *complaints, const char *line, size_t length);

#endif
