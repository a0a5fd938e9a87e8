/* SPDX-License-Identifier: MIT
 *
 * The inside of the plugin exec. Read in this order:
 *
 *   exec.c        what the plugin says of itself (at the end), its options, its life, its checks for doctor
 *   runs.c        when the program is started and ended, what a reading is, how the instance's state is said
 *   program.c     a program on the loop: lines, end, grace; child.c: fork and exec; lines.c: bytes as lines
 *   intake.c      lines to samples: parse.h (a file for each format, types.c for collectd's types), catalogue.c (which
 *                 metrics and series there are), naming.c (what may be called how)
 *   complaints.c  what it says on stderr
 *
 * Everything runs on the instance's thread.
 */
#ifndef EXEC_EXEC_H
#define EXEC_EXEC_H

#include "complaints.h"
#include "intake.h"
#include "program.h"

#include "callwatch/plugin.h"

enum { EXEC_RUNS, EXEC_RUN_SECONDS, EXEC_SERIES, EXEC_MALFORMED, EXEC_METRICS };

enum result { RUN_OK, RUN_FAILED, RUN_TIMEOUT, RUN_CUT, RESULTS };
extern const char *const result_names[RESULTS + 1];

struct settings {
	const struct cw_value *command, *environment; /* a list, a map */
	char **argv;
	const char *user;
	bool long_running;
	uint64_t max_output;
	int64_t max_silence; /* ns, 0: for ever */
};

/* Why a program was ended by us. */
enum cause { CAUSE_NONE, CAUSE_TIMEOUT, CAUSE_CUT, CAUSE_SILENT, CAUSE_CLOSED, CAUSE_DONE, CAUSE_STOP };

struct exec {
	struct cw_instance *self;
	const struct cw_host *host;
	const struct cw_info *info;
	struct settings settings;
	struct intake intake;
	struct complaints complaints;
	uv_timer_t timer; /* of the reading under way; of the stop */

	struct program *program; /* NULL: none runs */
	enum cause cause;        /* why it is being ended */
	bool has_value;          /* it has given one since its start */
	bool is_full;            /* it is held back until the next reading */
	bool is_reading;         /* read_done() is owed */
	bool is_stopping;
	int64_t read_at, deadline, started; /* instants */
	int64_t judged, silent_from;        /* of one that runs for ever: when it was last looked after, since when it
					       might have printed something */

	uint64_t runs[RESULTS];
	struct {
		bool is_known;
		enum result result;
		char text[256];   /* `exit status 2: …`; "" if all was well */
		int64_t at;       /* instant */
		int64_t duration; /* ns; negative: it could not be started */
		uint64_t values, bad_lines;
		char first_bad[BAD_TEXT_MAX + 32];
	} last; /* run that ended, or interval of one that goes on */
};

int runs_read(struct exec *exec);
void runs_stop(struct exec *exec); /* closes the timer, at last */

#endif
