/* SPDX-License-Identifier: MIT
 *
 * See lookup.h. The lock guards two short lists, which are walked: there are a handful of lookups and of sources that
 * ask them. Mail is posted under the lock, so that a way that was closed, or a lookup that left, gets none; it is made
 * and freed outside.
 *
 * A way is freed when it is closed and no mail of it is under way. The ways of an instance that was abandoned stay in
 * the list, since its thread may come back to them; their box is shut, so nothing is posted to them.
 */
#include "lookup.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of asks under way. A lookup that was left behind keeps the asks it had begun to read, so each lookup a way
 * leads to has a count of its own. */
struct load {
	_Atomic uint32_t references;
	_Atomic size_t bytes;
};

struct cw_lookup {
	struct cw_lookup *next; /* under the registry's lock, as long as it is open */
	struct lookups *lookups;
	struct mailbox *box;
	void (*answered)(void *arg, const struct cw_answer *answers, uint32_t n);
	void *arg;

	/* the source's thread only */
	bool closed;
	struct load *load; /* of asks to the lookup … */
	uint64_t serial;   /* … with this number; 0: none yet */

	/* any thread */
	_Atomic uint32_t references;
	_Atomic size_t answered_bytes; /* under way */

	char name[];
};

/* A lookup that serves. */
struct server {
	struct server *next;
	uint64_t serial; /* no other has, or had, this number */
	struct mailbox *box;
	lookup_asked asked;
	char name[];
};

struct lookups {
	pthread_mutex_t lock; /* guards both lists, and the number */
	uint64_t last_serial;
	struct server *servers;
	struct cw_lookup *ways;
};

struct lookups *lookups_new(void)
{
	struct lookups *lookups = calloc(1, sizeof *lookups);
	if (lookups)
		pthread_mutex_init(&lookups->lock, /* attributes */ NULL);
	return lookups;
}

void lookups_free(struct lookups *lookups)
{
	if (!lookups)
		return;
	pthread_mutex_destroy(&lookups->lock);
	free(lookups);
}

static void load_unref(struct load *load)
{
	if (load && atomic_fetch_sub(&load->references, 1) == 1)
		free(load);
}

static void way_unref(struct cw_lookup *way)
{
	if (atomic_fetch_sub(&way->references, 1) > 1)
		return;
	mailbox_unref(way->box);
	load_unref(way->load);
	free(way);
}

/* Adds to what is under way, if there is room. */
static bool take_room(_Atomic size_t *bytes, size_t more, size_t most)
{
	if (atomic_fetch_add(bytes, more) + more <= most)
		return true;
	atomic_fetch_sub(bytes, more);
	return false;
}

/* ---- asks ---- */

struct ask {
	struct mail mail; /* first */
	struct load *load;
	lookup_asked asked;
	size_t bytes;
	uint32_t n;
	const char *keys[]; /* their texts follow */
};

static void ask_free(struct mail *mail)
{
	struct ask *ask = (struct ask *)mail;
	atomic_fetch_sub(&ask->load->bytes, ask->bytes);
	load_unref(ask->load);
	free(ask);
}

static void on_ask(struct mail *mail, void *owner)
{
	struct ask *ask = (struct ask *)mail;
	ask->asked(owner, ask->keys, ask->n);
	ask_free(mail);
}

static bool is_askable(const char *key)
{
	return key && strnlen(key, CW_LOOKUP_KEY_MAX + 1) <= CW_LOOKUP_KEY_MAX;
}

/* NULL: no memory, or no room on the way. */
static struct ask *ask_new(struct load *load, const char *const *keys, uint32_t n)
{
	size_t head = sizeof(struct ask) + n * sizeof *keys, bytes = head;
	for (uint32_t i = 0; i < n; i++)
		bytes += is_askable(keys[i]) ? strlen(keys[i]) + 1 : 0;
	if (!take_room(&load->bytes, bytes, LOOKUP_ASKED_MAX))
		return NULL;
	struct ask *ask = malloc(bytes);
	if (!ask) {
		atomic_fetch_sub(&load->bytes, bytes);
		return NULL;
	}
	*ask = (struct ask){.mail = {.deliver = on_ask, .drop = ask_free}, .load = load, .bytes = bytes};
	atomic_fetch_add(&load->references, 1);
	char *end = (char *)ask + head;
	for (uint32_t i = 0; i < n; i++)
		if (is_askable(keys[i])) {
			ask->keys[ask->n++] = end;
			end = stpcpy(end, keys[i]) + 1;
		}
	return ask;
}

/* Must hold the lock. */
static const struct server *find_server(const struct lookups *lookups, const char *name)
{
	for (const struct server *server = lookups->servers; server; server = server->next)
		if (strcmp(server->name, name) == 0)
			return server;
	return NULL;
}

/* A count for the lookup that serves now; NULL: there is none, or no memory. */
static struct load *load_of(struct cw_lookup *way)
{
	pthread_mutex_lock(&way->lookups->lock);
	const struct server *server = find_server(way->lookups, way->name);
	uint64_t serial = server ? server->serial : 0;
	pthread_mutex_unlock(&way->lookups->lock);
	if (serial == 0 || serial == way->serial)
		return serial ? way->load : NULL;
	struct load *load = malloc(sizeof *load);
	if (!load)
		return NULL;
	atomic_init(&load->references, 1);
	atomic_init(&load->bytes, 0);
	load_unref(way->load);
	way->load = load;
	way->serial = serial;
	return load;
}

static int post_ask(struct cw_lookup *way, struct ask *ask)
{
	struct lookups *lookups = way->lookups;
	int status = -EAGAIN;
	pthread_mutex_lock(&lookups->lock);
	const struct server *server = find_server(lookups, way->name);
	if (server) {
		ask->asked = server->asked;
		status = mailbox_post(server->box, &ask->mail);
	}
	pthread_mutex_unlock(&lookups->lock);
	return status;
}

int lookup_ask(struct cw_lookup *way, const char *const *keys, uint32_t n)
{
	if (n > CW_LOOKUP_KEYS_MAX)
		return -EINVAL;
	struct load *load = load_of(way);
	struct ask *ask = load ? ask_new(load, keys, n) : NULL;
	if (!ask)
		return -EAGAIN;
	bool is_empty = ask->n == 0;
	if (!is_empty && post_ask(way, ask) == 0)
		return 0;
	ask_free(&ask->mail);
	return is_empty ? 0 : -EAGAIN;
}

/* ---- answers ---- */

/* What was answered at once, for all who look there. */
struct answers {
	_Atomic uint32_t references;
	size_t bytes;
	uint32_t n;
	struct cw_answer items[]; /* their texts follow */
};

struct answer_mail {
	struct mail mail; /* first */
	struct cw_lookup *way;
	struct answers *answers;
};

static void answers_unref(struct answers *answers)
{
	if (answers && atomic_fetch_sub(&answers->references, 1) == 1)
		free(answers);
}

static void answer_free(struct mail *mail)
{
	struct answer_mail *answer = (struct answer_mail *)mail;
	atomic_fetch_sub(&answer->way->answered_bytes, answer->answers->bytes);
	answers_unref(answer->answers);
	way_unref(answer->way);
	free(answer);
}

static void on_answer(struct mail *mail, void *owner)
{
	(void)owner;
	struct answer_mail *answer = (struct answer_mail *)mail;
	if (!answer->way->closed)
		answer->way->answered(answer->way->arg, answer->answers->items, answer->answers->n);
	answer_free(mail);
}

/* A value that is too long is cut between two characters. */
static size_t value_length(const char *value)
{
	size_t length = strnlen(value, CW_LOOKUP_VALUE_MAX + 1);
	if (length <= CW_LOOKUP_VALUE_MAX)
		return length;
	for (length = CW_LOOKUP_VALUE_MAX; length && ((unsigned char)value[length] & 0xc0) == 0x80;)
		length--;
	return length;
}

static char *keep(char **end, const char *text, size_t length)
{
	char *copy = *end;
	memcpy(copy, text, length);
	copy[length] = '\0';
	*end += length + 1;
	return copy;
}

/* With one reference; NULL: no memory. */
static struct answers *answers_new(const struct cw_answer *from, uint32_t n)
{
	size_t head = sizeof(struct answers) + n * sizeof *from, bytes = head;
	for (uint32_t i = 0; i < n; i++)
		if (is_askable(from[i].key))
			bytes += strlen(from[i].key) + 1 + (from[i].value ? value_length(from[i].value) + 1 : 0);
	struct answers *answers = malloc(bytes);
	if (!answers)
		return NULL;
	*answers = (struct answers){.bytes = bytes};
	atomic_init(&answers->references, 1);
	char *end = (char *)answers + head;
	for (uint32_t i = 0; i < n; i++) {
		if (!is_askable(from[i].key))
			continue;
		struct cw_answer *answer = &answers->items[answers->n++];
		answer->key = keep(&end, from[i].key, strlen(from[i].key));
		answer->value = from[i].value ? keep(&end, from[i].value, value_length(from[i].value)) : NULL;
		answer->as_of = from[i].as_of;
	}
	return answers;
}

/* Must hold the lock. What does not go is left out: it will be asked for again. */
static void post_answers(struct cw_lookup *way, struct answers *answers)
{
	if (!take_room(&way->answered_bytes, answers->bytes, LOOKUP_ANSWERED_MAX))
		return;
	struct answer_mail *mail = malloc(sizeof *mail);
	if (!mail) {
		atomic_fetch_sub(&way->answered_bytes, answers->bytes);
		return;
	}
	*mail = (struct answer_mail){{.deliver = on_answer, .drop = answer_free}, way, answers};
	atomic_fetch_add(&way->references, 1);
	atomic_fetch_add(&answers->references, 1);
	if (mailbox_post(way->box, &mail->mail) < 0)
		answer_free(&mail->mail); /* not the last reference: the way is open, the answers are ours */
}

static bool is_looked_at(struct lookups *lookups, const char *name)
{
	bool found = false;
	pthread_mutex_lock(&lookups->lock);
	for (const struct cw_lookup *way = lookups->ways; way && !found; way = way->next)
		found = strcmp(way->name, name) == 0;
	pthread_mutex_unlock(&lookups->lock);
	return found;
}

static void answer_some(struct lookups *lookups, const char *name, const struct cw_answer *from, uint32_t n)
{
	struct answers *answers = answers_new(from, n);
	if (!answers)
		return;
	pthread_mutex_lock(&lookups->lock);
	for (struct cw_lookup *way = lookups->ways; way && answers->n; way = way->next)
		if (strcmp(way->name, name) == 0)
			post_answers(way, answers);
	pthread_mutex_unlock(&lookups->lock);
	answers_unref(answers);
}

void lookups_answer(struct lookups *lookups, const char *name, const struct cw_answer *answers, uint32_t n)
{
	if (!is_looked_at(lookups, name))
		return;
	for (uint32_t from = 0; from < n; from += CW_LOOKUP_KEYS_MAX)
		answer_some(lookups, name, answers + from,
			    n - from < CW_LOOKUP_KEYS_MAX ? n - from : CW_LOOKUP_KEYS_MAX);
}

/* ---- who serves ---- */

int lookups_serve(struct lookups *lookups, const char *name, struct mailbox *box, lookup_asked asked)
{
	struct server *server = malloc(sizeof *server + strlen(name) + 1);
	if (!server)
		return -ENOMEM;
	server->box = mailbox_ref(box);
	server->asked = asked;
	memcpy(server->name, name, strlen(name) + 1);
	pthread_mutex_lock(&lookups->lock);
	server->serial = ++lookups->last_serial;
	server->next = lookups->servers;
	lookups->servers = server;
	pthread_mutex_unlock(&lookups->lock);
	return 0;
}

void lookups_leave(struct lookups *lookups, const struct mailbox *box)
{
	struct server *gone = NULL;
	pthread_mutex_lock(&lookups->lock);
	for (struct server **link = &lookups->servers; *link && !gone;)
		if ((*link)->box == box) {
			gone = *link;
			*link = gone->next;
		} else {
			link = &(*link)->next;
		}
	pthread_mutex_unlock(&lookups->lock);
	if (!gone)
		return;
	mailbox_unref(gone->box);
	free(gone);
}

/* ---- ways ---- */

int lookup_open(struct lookups *lookups, const char *name, struct mailbox *box,
		void (*answered)(void *arg, const struct cw_answer *answers, uint32_t n), void *arg,
		struct cw_lookup **ret_way)
{
	struct cw_lookup *way = calloc(1, sizeof *way + strlen(name) + 1);
	if (!way)
		return -ENOMEM;
	way->lookups = lookups;
	way->box = mailbox_ref(box);
	way->answered = answered;
	way->arg = arg;
	atomic_init(&way->references, 1);
	memcpy(way->name, name, strlen(name));
	pthread_mutex_lock(&lookups->lock);
	way->next = lookups->ways;
	lookups->ways = way;
	pthread_mutex_unlock(&lookups->lock);
	*ret_way = way;
	return 0;
}

static void close_way(struct cw_lookup *way)
{
	way->closed = true; /* answers that wait in the box are not told any more */
	way_unref(way);
}

void lookup_close(struct cw_lookup *way)
{
	if (!way)
		return;
	struct lookups *lookups = way->lookups;
	pthread_mutex_lock(&lookups->lock);
	struct cw_lookup **link = &lookups->ways;
	while (*link && *link != way)
		link = &(*link)->next;
	if (*link)
		*link = way->next;
	pthread_mutex_unlock(&lookups->lock);
	close_way(way);
}

void lookups_close_ways(struct lookups *lookups, const struct mailbox *box)
{
	struct cw_lookup *closed = NULL;
	pthread_mutex_lock(&lookups->lock);
	for (struct cw_lookup **link = &lookups->ways; *link;)
		if ((*link)->box == box) {
			struct cw_lookup *way = *link;
			*link = way->next;
			way->next = closed;
			closed = way;
		} else {
			link = &(*link)->next;
		}
	pthread_mutex_unlock(&lookups->lock);
	while (closed) {
		struct cw_lookup *next = closed->next;
		close_way(closed);
		closed = next;
	}
}
