/* SPDX-License-Identifier: MIT
 *
 * See offered.h. Several instances may answer for one path, each with a key of its own: the key tells which is meant.
 */
#include "offered.h"

#include "instance_private.h"
#include "roster.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

bool offered_is_allowed(const struct instance *instance, const struct cw_action *action)
{
	const struct cw_value *value = action->allowed_by ? cw_get(instance->what->options, action->allowed_by) : NULL;
	return !action->allowed_by || (value && value->known && value->boolean);
}

/* ---- actions ---- */

struct listing {
	void (*seen)(void *arg, const struct cw_action_info *info);
	void *arg;
};

static void list_actions(void *arg, struct instance *instance)
{
	const struct listing *listing = arg;
	const struct cw_plugin *decl = instance->decl;
	for (uint32_t i = 0; i < decl->actions.count; i++) {
		struct cw_action_info info = {
			.instance = instance_name(instance),
			.plugin = decl->name,
			.action = cw_at(&decl->actions, i),
			.can_cancel = decl->cancel != NULL,
		};
		info.allowed = offered_is_allowed(instance, info.action);
		listing->seen(listing->arg, &info);
	}
}

void offered_actions(struct roster *roster, void (*seen)(void *arg, const struct cw_action_info *info), void *arg)
{
	struct listing listing = {seen, arg};
	roster_each(roster, list_actions, &listing);
}

/* ---- endpoints ---- */

struct search {
	const char *method, *path, *key;
	struct cw_endpoint_found *found;
	int status;
};

/* In a time that depends on the length of what was said only. */
static bool is_same_key(const char *said, const char *wanted)
{
	unsigned char hashes[2][32];
	crypto_generichash(hashes[0], sizeof hashes[0], (const unsigned char *)said, strlen(said), NULL, 0);
	crypto_generichash(hashes[1], sizeof hashes[1], (const unsigned char *)wanted, strlen(wanted), NULL, 0);
	return sodium_memcmp(hashes[0], hashes[1], sizeof hashes[0]) == 0;
}

static int judge(const struct search *search, const struct cw_endpoint *endpoint, const struct instance *instance)
{
	const char *wanted = cw_get_string(instance->what->options, endpoint->key_option);
	if (strcmp(endpoint->path, search->path) != 0 || !wanted || !*wanted)
		return -ENOENT;
	if (!search->key || !is_same_key(search->key, wanted))
		return -EACCES;
	return strcmp(endpoint->method, search->method) == 0 ? 0 : -ENOTSUP;
}

static void try_endpoint(struct search *search, const struct cw_endpoint *endpoint, const struct instance *instance)
{
	int status = judge(search, endpoint, instance);
	bool is_nearer = status == 0 || (status == -ENOTSUP && search->status != 0) ||
			 (status == -EACCES && search->status == -ENOENT);
	if (search->status == 0 || !is_nearer)
		return;
	search->status = status;
	search->found->endpoint = endpoint;
	snprintf(search->found->instance, sizeof search->found->instance, "%s", instance->name);
}

static void search_instance(void *arg, struct instance *instance)
{
	const struct cw_array *endpoints = &instance->decl->endpoints;
	for (uint32_t i = 0; i < endpoints->count; i++)
		try_endpoint(arg, cw_at(endpoints, i), instance);
}

int offered_endpoint(struct roster *roster, const char *method, const char *path, const char *key,
		     struct cw_endpoint_found *ret_found)
{
	struct search search = {method, path, key, ret_found, -ENOENT};
	roster_each(roster, search_instance, &search);
	return search.status;
}
