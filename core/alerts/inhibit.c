/* SPDX-License-Identifier: MIT
 *
 * See group_private.h and group.h. A list, because it is short: as many as there are rules that fire, times sources.
 */
#include "group_private.h"

#include <stdlib.h>
#include <string.h>

static struct inhibitor *find(const struct inhibitors *inhibitors, const char *rule, const char *source)
{
	struct inhibitor *one = inhibitors->list;
	while (one && (strcmp(one->rule, rule) != 0 || strcmp(one->source, source) != 0))
		one = one->next;
	return one;
}

static void inhibitor_free(struct inhibitor *one)
{
	free(one->rule);
	free(one->source);
	free(one);
}

/* NULL: no memory. */
static struct inhibitor *add(struct inhibitors *inhibitors, const char *rule, const char *source)
{
	struct inhibitor *one = calloc(1, sizeof *one);
	if (!one)
		return NULL;
	one->rule = strdup(rule);
	one->source = strdup(source);
	if (!one->rule || !one->source) {
		inhibitor_free(one);
		return NULL;
	}
	one->next = inhibitors->list;
	inhibitors->list = one;
	return one;
}

static void drop(struct inhibitors *inhibitors, struct inhibitor *gone)
{
	for (struct inhibitor **at = &inhibitors->list; *at; at = &(*at)->next)
		if (*at == gone) {
			*at = gone->next;
			inhibitor_free(gone);
			return;
		}
}

/* Without memory nobody is kept quiet: to hear too much is the lesser evil. */
void inhibitors_count(struct inhibitors *inhibitors, const char *rule, const char *source, int by)
{
	struct inhibitor *one = find(inhibitors, rule, source);
	if (!one && by > 0)
		one = add(inhibitors, rule, source);
	if (!one)
		return;
	bool was = one->alerts > 0;
	one->alerts = by < 0 && !was ? 0 : one->alerts + (uint32_t)by;
	inhibitors->is_changed = inhibitors->is_changed || was != (one->alerts > 0);
	if (one->alerts == 0)
		drop(inhibitors, one);
}

/* `agent` is about everything: what the hub itself measures. */
static bool is_about(const char *source, const char *alerts_source)
{
	return strcmp(source, alerts_source) == 0 || strcmp(source, "agent") == 0;
}

const char *inhibitors_find(const struct inhibitors *inhibitors, const struct rule *rule, const char *source)
{
	for (uint32_t i = 0; rule && i < rule->inhibited_by.count; i++)
		for (const struct inhibitor *one = inhibitors->list; one; one = one->next)
			if (strcmp(one->rule, rule->inhibited_by.items[i]) == 0 && is_about(one->source, source))
				return rule->inhibited_by.items[i];
	return NULL;
}

void inhibitors_release(struct inhibitors *inhibitors)
{
	for (struct inhibitor *one = inhibitors->list, *next; one; one = next) {
		next = one->next;
		inhibitor_free(one);
	}
	*inhibitors = (struct inhibitors){0};
}
