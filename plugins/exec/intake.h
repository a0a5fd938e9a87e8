/* SPDX-License-Identifier: MIT
 *
 * From a program's lines to samples: the parser of the format, the catalogue, host->sample(). It counts what it had to
 * leave out, and remembers the first of it since intake_begin(), with the line it was in.
 */
#ifndef EXEC_INTAKE_H
#define EXEC_INTAKE_H

#include "catalogue.h"
#include "parse.h"
#include "types.h"

#include "callwatch/plugin.h"

enum format { FORMAT_PUTVAL, FORMAT_PROMETHEUS, FORMAT_GRAPHITE, FORMAT_NDJSON };

struct intake {
	struct cw_instance *self;
	const struct cw_host *host;
	const struct cw_info *info;
	enum format format;
	struct types *types;
	struct exposition *exposition;
	struct catalogue *catalogue;
	bool is_said[REMARKS], is_interval_said;
	int64_t told_interval; /* how often its values come, as they say; 0: they do not */

	uint64_t malformed[BAD_KINDS]; /* since the start */

	/* since intake_begin() */
	uint64_t lines, values, bad_lines;
	bool is_line_bad;
	char first_bad[BAD_TEXT_MAX + 32]; /* "line 3: …" */
};

/* `max_series`, and the files of types: paths as children of a list, NULL if none. 0 or -ENOMEM; then
 * intake_release(). */
int intake_init(struct intake *intake, struct cw_instance *self, const struct cw_host *host, enum format format,
		uint32_t max_series, const struct cw_value *types_db, uint32_t first_index);
void intake_release(struct intake *intake);
void intake_begin(struct intake *intake); /* a new run, or a new interval of one that goes on */
/* A line of stdout, as lines.h gives it. */
void intake_line(struct intake *intake, char *line, size_t length, bool is_cut);
/* What waits for more lines is told. */
void intake_end(struct intake *intake);
void intake_drop(struct intake *intake); /* or thrown away: the program was broken off */

#endif
