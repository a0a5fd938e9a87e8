/* SPDX-License-Identifier: MIT
 *
 * See log_fold.h. 64 lines are searched one by one: logging is rare, and a hash would not pay.
 */
#include "log_fold.h"

#include <stdlib.h>
#include <string.h>

static const int64_t window = 60 * CW_SECOND;

void folded_release(struct folded *line)
{
	free(line->who);
	free(line->message);
	*line = (struct folded){0};
}

static bool is_same(const struct folded *line, const char *who, enum cw_level level, const char *message)
{
	return line->message && line->level == level && strcmp(line->message, message) == 0 &&
	       strcmp(line->who ? line->who : "", who ? who : "") == 0;
}

/* A free place, made so if need be: what was there goes to *ret_early. */
static struct folded *make_place(struct log_fold *fold, struct folded *ret_early)
{
	struct folded *oldest = &fold->lines[0];
	for (int i = 0; i < LOG_FOLD_LINES; i++) {
		struct folded *line = &fold->lines[i];
		if (!line->message)
			return line;
		if (line->until < oldest->until)
			oldest = line;
	}
	*ret_early = *oldest;
	*oldest = (struct folded){0};
	return oldest;
}

bool log_fold_seen(struct log_fold *fold, const char *who, enum cw_level level, const char *message, int64_t now,
		   struct folded *ret_early)
{
	*ret_early = (struct folded){0};
	for (int i = 0; i < LOG_FOLD_LINES; i++) {
		struct folded *line = &fold->lines[i];
		if (!is_same(line, who, level, message))
			continue;
		if (now < line->until) {
			line->repeats++;
			return true;
		}
		*ret_early = *line; /* over, but nobody has asked yet */
		*line = (struct folded){0};
	}
	struct folded *line = make_place(fold, ret_early);
	*line = (struct folded){
		.who = who ? strdup(who) : NULL, .level = level, .message = strdup(message), .until = now + window};
	return false;
}

bool log_fold_ended(struct log_fold *fold, int64_t now, struct folded *ret_burst)
{
	for (int i = 0; i < LOG_FOLD_LINES; i++) {
		struct folded *line = &fold->lines[i];
		if (!line->message || now < line->until)
			continue;
		if (line->repeats) {
			*ret_burst = *line;
			*line = (struct folded){0};
			return true;
		}
		folded_release(line);
	}
	return false;
}

int64_t log_fold_next(const struct log_fold *fold)
{
	int64_t next = INT64_MAX;
	for (int i = 0; i < LOG_FOLD_LINES; i++)
		if (fold->lines[i].message && fold->lines[i].until < next)
			next = fold->lines[i].until;
	return next;
}
