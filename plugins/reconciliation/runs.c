/* SPDX-License-Identifier: MIT
 *
 * See runs.h. The list is short and changes seldom, so it is an array that is searched from the front.
 *
 *   callwatch runs 1 <hash of the JSON, 32 hex digits>\n
 *   {"watching_since": …, "runs": [{…}, …]}\n
 *
 * Times are nanoseconds since 1970. The hash tells a torn or rotten file from a whole one; what is inside is read as
 * strangers' bytes all the same.
 */
#include "runs.h"

#include "text.h"

#include <errno.h>
#include <sodium/crypto_generichash.h>
#include <sodium/utils.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HASH_BYTES = 16, HASH_HEX = 2 * HASH_BYTES };

const char *const run_origin_names[RUN_ORIGINS + 1] = {"requested", "observed", NULL};
static const char head[] = "callwatch runs 1 ";
enum { HEAD_BYTES = sizeof(head) - 1 + HASH_HEX + 1 };

/* ---- the list ---- */

int runs_init(struct runs *runs, uint32_t keep)
{
	*runs = (struct runs){.items = calloc(keep, sizeof(*runs->items)), .keep = keep};
	return runs->items ? 0 : -ENOMEM;
}

void runs_release(struct runs *runs)
{
	free(runs->items);
	*runs = (struct runs){.items = NULL};
}

void runs_remove(struct runs *runs, struct run *run)
{
	size_t behind = (size_t)(runs->items + runs->count - (run + 1));
	memmove(run, run + 1, behind * sizeof(*run));
	runs->count--;
}

/* The oldest that nobody waits for, else the oldest. */
static struct run *dispensable(struct runs *runs)
{
	for (uint32_t i = runs->count; i-- > 0;)
		if (runs->items[i].status > RUN_RUNNING)
			return &runs->items[i];
	return &runs->items[runs->count - 1];
}

bool runs_add(struct runs *runs, const struct run *run, struct run *ret_dropped)
{
	bool is_full = runs->count == runs->keep;
	struct run copy = *run;
	if (is_full) {
		struct run *drop = dispensable(runs);
		if (ret_dropped)
			*ret_dropped = *drop;
		runs_remove(runs, drop);
	}
	memmove(runs->items + 1, runs->items, runs->count * sizeof(*runs->items));
	runs->items[0] = copy;
	runs->count++;
	return is_full;
}

struct run *runs_touch(struct runs *runs, struct run *run)
{
	struct run copy = *run;
	memmove(runs->items + 1, runs->items, (size_t)(run - runs->items) * sizeof(*run));
	runs->items[0] = copy;
	return runs->items;
}

struct run *runs_find(struct runs *runs, const char *id)
{
	for (uint32_t i = 0; i < runs->count; i++)
		if (strcmp(runs->items[i].id, id) == 0)
			return &runs->items[i];
	return NULL;
}

struct run *runs_find_task(struct runs *runs, const char *task_id)
{
	for (uint32_t i = 0; i < runs->count; i++)
		if (strcmp(runs->items[i].task_id, task_id) == 0)
			return &runs->items[i];
	return NULL;
}

struct run *runs_find_report(struct runs *runs, int64_t reported_at)
{
	for (uint32_t i = 0; i < runs->count; i++)
		if (runs->items[i].reported_at == reported_at)
			return &runs->items[i];
	return NULL;
}

struct run *runs_under_way(struct runs *runs)
{
	for (uint32_t i = 0; i < runs->count; i++)
		if (runs->items[i].origin == RUN_REQUESTED && runs->items[i].status <= RUN_RUNNING)
			return &runs->items[i];
	return NULL;
}

const struct run *runs_last_over(const struct runs *runs)
{
	const struct run *last = NULL;
	for (uint32_t i = 0; i < runs->count; i++)
		if (run_is_over(runs->items[i].status) && (!last || runs->items[i].finished_at > last->finished_at))
			last = &runs->items[i];
	return last;
}

/* ---- to disk ---- */

static void hash_of(const char *bytes, size_t length, char hex[HASH_HEX + 1])
{
	unsigned char hash[HASH_BYTES];
	crypto_generichash(hash, sizeof(hash), (const unsigned char *)bytes, length, /* key */ NULL, 0);
	sodium_bin2hex(hex, HASH_HEX + 1, hash, sizeof(hash));
}

static json_t *pack(const struct run *run)
{
	return json_pack("{ss ss ss ss ss sI sI sI sI sI sI sI ss}", "id", run->id, "task_id", run->task_id, "by",
			 run->by, "origin", run_origin_names[run->origin], "status", run_status_names[run->status],
			 "requested_at", (json_int_t)run->requested_at, "started_at", (json_int_t)run->started_at,
			 "finished_at", (json_int_t)run->finished_at, "updated_at", (json_int_t)run->updated_at,
			 "reported_at", (json_int_t)run->reported_at, "missing", (json_int_t)run->missing, "queued",
			 (json_int_t)run->queued, "error", run->error);
}

static char *print(const struct runs *runs)
{
	json_t *list = json_array(), *root = NULL;
	char *text = NULL;
	for (uint32_t i = 0; list && i < runs->count; i++) {
		json_t *one = pack(&runs->items[i]);
		if (!one || json_array_append_new(list, one) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	if (list && (root = json_pack("{sI so}", "watching_since", (json_int_t)runs->watching_since, "runs", list)))
		text = json_dumps(root, JSON_COMPACT);
	json_decref(root); /* with the list */
	return text;
}

char *runs_write(const struct runs *runs, size_t *ret_length)
{
	char *json = print(runs), hex[HASH_HEX + 1], *bytes = NULL;
	size_t length = json ? strlen(json) : 0;
	if (json && (bytes = malloc(HEAD_BYTES + length + 2))) {
		hash_of(json, length, hex);
		*ret_length = (size_t)snprintf(bytes, HEAD_BYTES + length + 2, "%s%s\n%s\n", head, hex, json);
	}
	free(json);
	return bytes;
}

/* ---- from disk ---- */

static bool take_text(const json_t *object, const char *name, char *buffer, size_t size)
{
	const char *text = json_string_value(json_object_get(object, name));
	if (!text || strlen(text) >= size)
		return false;
	memcpy(buffer, text, strlen(text) + 1);
	return true;
}

static bool take_word(const json_t *object, const char *name, const char *const *words, int *ret_index)
{
	const char *text = json_string_value(json_object_get(object, name));
	for (*ret_index = 0; text && words[*ret_index]; ++*ret_index)
		if (strcmp(words[*ret_index], text) == 0)
			return true;
	return false;
}

static bool take_number(const json_t *object, const char *name, int64_t least, int64_t *ret_number)
{
	const json_t *value = json_object_get(object, name);
	*ret_number = json_integer_value(value);
	return json_is_integer(value) && *ret_number >= least;
}

static bool unpack(const json_t *object, struct run *ret_run)
{
	struct run run = {.id = ""};
	int origin = 0, status = 0;
	bool ok = take_text(object, "id", run.id, sizeof(run.id)) &&
		  take_text(object, "task_id", run.task_id, sizeof(run.task_id)) &&
		  take_text(object, "by", run.by, sizeof(run.by)) &&
		  take_text(object, "error", run.error, sizeof(run.error)) &&
		  take_word(object, "origin", run_origin_names, &origin) &&
		  take_word(object, "status", run_status_names, &status) &&
		  take_number(object, "requested_at", 0, &run.requested_at) &&
		  take_number(object, "started_at", 0, &run.started_at) &&
		  take_number(object, "finished_at", 0, &run.finished_at) &&
		  take_number(object, "updated_at", 0, &run.updated_at) &&
		  take_number(object, "reported_at", 0, &run.reported_at) &&
		  take_number(object, "missing", -1, &run.missing) && take_number(object, "queued", -1, &run.queued);
	run.origin = (enum run_origin)origin;
	run.status = (enum run_status)status;
	*ret_run = run;
	return ok && run.id[0];
}

/* From the oldest on, so that the latest ends up in front and stays if there are more than we keep. */
static int take_all(struct runs *runs, const json_t *root, int64_t now, int64_t wall)
{
	struct runs taken = {.items = NULL};
	const json_t *list = json_object_get(root, "runs");
	if (!json_is_array(list) || !take_number(root, "watching_since", 0, &taken.watching_since))
		return -EBADMSG;
	if (runs_init(&taken, runs->keep) < 0)
		return -ENOMEM;
	take_number(root, "watching_since", 0, &taken.watching_since);
	for (size_t i = json_array_size(list); i-- > 0;) {
		struct run run;
		if (!unpack(json_array_get(list, i), &run) || runs_find(&taken, run.id)) {
			runs_release(&taken);
			return -EBADMSG;
		}
		run.heard = run.updated_at < wall ? now - (wall - run.updated_at) : now;
		runs_add(&taken, &run, /* ret_dropped */ NULL);
	}
	runs_release(runs);
	*runs = taken;
	return 0;
}

int runs_read(struct runs *runs, const char *bytes, size_t length, int64_t now, int64_t wall)
{
	char hex[HASH_HEX + 1];
	if (length < HEAD_BYTES + 1 || memcmp(bytes, head, sizeof(head) - 1) != 0 || bytes[HEAD_BYTES - 1] != '\n' ||
	    bytes[length - 1] != '\n')
		return -EBADMSG;
	const char *json = bytes + HEAD_BYTES;
	size_t json_length = length - HEAD_BYTES - 1;
	hash_of(json, json_length, hex);
	if (memcmp(hex, bytes + sizeof(head) - 1, HASH_HEX) != 0)
		return -EBADMSG;
	json_t *root = json_loadb(json, json_length, JSON_REJECT_DUPLICATES, /* error */ NULL);
	int status = root ? take_all(runs, root, now, wall) : -EBADMSG;
	json_decref(root);
	return status;
}
