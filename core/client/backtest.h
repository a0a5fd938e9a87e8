/* SPDX-License-Identifier: MIT
 *
 * `callwatch rules test [NAME] --since T | --file F`: when each rule would have fired, by what callwatchd remembers or
 * what somebody recorded. The rules are those of the configuration here, so that one can be tried before it is in
 * force.
 */
#ifndef CALLWATCH_CLIENT_BACKTEST_H
#define CALLWATCH_CLIENT_BACKTEST_H

#include "arguments.h"

/* `rule` NULL: all. The exit code. */
int backtest(const struct arguments *arguments, const char *rule);

#endif
