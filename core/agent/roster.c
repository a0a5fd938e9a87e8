/* SPDX-License-Identifier: MIT
 *
 * See roster.h. A list through the instances themselves, so that to be in it costs nothing and cannot fail. Order of
 * locks: the roster's, then one instance's or one mailbox's.
 */
#include "roster.h"

#include "instance_private.h"

#include <stdlib.h>

struct roster {
	pthread_mutex_t lock;
	struct instance *first;
};

struct roster *roster_new(void)
{
	struct roster *roster = calloc(1, sizeof *roster);
	if (roster)
		pthread_mutex_init(&roster->lock, /* attributes */ NULL);
	return roster;
}

void roster_free(struct roster *roster)
{
	if (!roster)
		return;
	pthread_mutex_destroy(&roster->lock);
	free(roster);
}

/* Must hold the lock. The link that points to the instance, or the last one. */
static struct instance **find(struct roster *roster, const struct instance *instance)
{
	struct instance **link = &roster->first;
	while (*link && *link != instance)
		link = &(*link)->next_in_roster;
	return link;
}

void roster_add(struct roster *roster, struct instance *instance)
{
	if (!roster)
		return;
	pthread_mutex_lock(&roster->lock);
	instance->next_in_roster = NULL;
	*find(roster, /* the end */ NULL) = instance;
	pthread_mutex_unlock(&roster->lock);
}

void roster_remove(struct roster *roster, struct instance *instance)
{
	if (!roster)
		return;
	pthread_mutex_lock(&roster->lock);
	struct instance **link = find(roster, instance);
	if (*link)
		*link = instance->next_in_roster;
	pthread_mutex_unlock(&roster->lock);
}

void roster_each(struct roster *roster, void (*seen)(void *arg, struct instance *instance), void *arg)
{
	if (!roster)
		return;
	pthread_mutex_lock(&roster->lock);
	for (struct instance *instance = roster->first; instance; instance = instance->next_in_roster)
		seen(arg, instance);
	pthread_mutex_unlock(&roster->lock);
}
