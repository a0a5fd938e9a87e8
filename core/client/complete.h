/* SPDX-License-Identifier: MIT
 *
 * What may stand next on the command line, for the shell: `callwatch __complete WORD…`, the last word being the one
 * that is typed. A candidate a line; `:files` asks the shell for names of files. No command of the help, since only
 * scripts of shells use it (packaging/completion).
 */
#ifndef CALLWATCH_CLIENT_COMPLETE_H
#define CALLWATCH_CLIENT_COMPLETE_H

#define COMPLETE_WORD "__complete"

int complete(int count, char **words); /* the exit code */

#endif
