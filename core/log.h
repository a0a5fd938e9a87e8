/* SPDX-License-Identifier: MIT
 *
 * The logger: one event is one line on stderr, as text, logfmt or JSON, with journald's <N> prefix where stderr is the
 * journal. Never blocks (a full or closed stderr costs the line, which is counted), never prints an unescaped control
 * character, folds repeats ("repeated 57 times"). Any thread. Private to the core.
 */
#ifndef CALLWATCH_CORE_LOG_H
#define CALLWATCH_CORE_LOG_H

#include "callwatch/plugin.h"

#include <stdarg.h>

enum log_format { LOG_TEXT, LOG_LOGFMT, LOG_JSON };

void log_open(enum log_format format, enum cw_level least);
void log_close(void); /* says what is still folded */
/* `who` is the instance's name or NULL for the agent. */
void log_line(const char *who, enum cw_level level, const char *format, ...) CW_PRINTF(3, 4);
void log_vline(const char *who, enum cw_level level, const char *format, va_list args) CW_PRINTF(3, 0);
/* The same, but never folded: for what a reader takes the last line of for the truth. */
void log_change(const char *who, enum cw_level level, const char *format, ...) CW_PRINTF(3, 4);
uint64_t log_lost(void); /* lines that could not be written */

#endif
