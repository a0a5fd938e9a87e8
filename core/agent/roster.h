/* SPDX-License-Identifier: MIT
 *
 * The instances that run, for other threads than the agent's: one instance that has something to say to another (a
 * doctor to a patient) finds it here. Who is in the roster is not freed while it is looked at. Private to the core.
 */
#ifndef CALLWATCH_CORE_ROSTER_H
#define CALLWATCH_CORE_ROSTER_H

struct instance;
struct roster;

struct roster *roster_new(void); /* NULL: no memory */
void roster_free(struct roster *roster);
/* By instance_start() and instance_join(); a NULL roster is fine. */
void roster_add(struct roster *roster, struct instance *instance);
void roster_remove(struct roster *roster, struct instance *instance);
/* Any thread. seen() runs under the roster's lock, in the order in which they started: it looks, copies and posts, and
 * does nothing that waits. NULL: nobody. */
void roster_each(struct roster *roster, void (*seen)(void *arg, struct instance *instance), void *arg);

#endif
