/* SPDX-License-Identifier: MIT
 *
 * A frontend's doctor: asks instances to examine themselves (examine.h), all at once, and passes on what they find in
 * order, one instance after the other. It never waits for a patient: one whose loop does not come round, which was
 * stopped or left behind, is given up within some 10 s with the words why, and its other rungs are not tried. Private
 * to the core.
 */
#ifndef CALLWATCH_CORE_DOCTOR_H
#define CALLWATCH_CORE_DOCTOR_H

#include "callwatch/frontend.h"

struct instance;

/* As frontend.h: doctor(). On the asking instance's thread, and so are result() and done(). */
int doctor_ask(struct instance *self, const char *name, void (*result)(void *arg, const struct cw_examined *examined),
	       void (*done)(void *arg), void *arg);
void doctor_beat(struct instance *self); /* each second: are the patients alive? */
void doctor_stop(struct instance *self); /* the asking instance stops: nobody is told anything any more */

#endif
