/* SPDX-License-Identifier: MIT
 *
 * A sample as a line for people: 2026-11-22T13:30:45Z calls  calls_active{health="healthy"}  812
 */
#ifndef CALLWATCH_FORMAT_TEXT_H
#define CALLWATCH_FORMAT_TEXT_H

#include "format.h"

int format_text(struct buffer *out, const struct cw_batch *batch, const struct cw_sample *sample);

#endif
