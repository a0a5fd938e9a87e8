/* SPDX-License-Identifier: MIT
 *
 * See resolver.h. Questions about one name share a job; two lookers take jobs and may hang in getaddrinfo() as long as
 * it likes; a keeper answers the questions whose time is over. So a question costs its asker at most the deadline,
 * whatever the lookers do, and what they find late goes into the cache.
 *
 * The threads start with the first question that is not an address, are detached and hold a reference each: free()
 * does not wait, and who hangs longest frees the memory.
 *
 * A question lives until its asker was called or cancels. Whose mailbox was closed under it goes back to the waiting
 * ones, where cancel or free finds it: a thread that was abandoned may still hold it.
 */
#include "resolver.h"

#include "clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LOOKERS = 2, ADDRESSES_MAX = 16, HOST_MAX = 253, CACHE_MAX = 256 };

/* Short, for a name is how a failover is followed, and that must be seen within 10 s. */
static const int64_t keep_found = 5 * CW_SECOND, keep_failed = 5 * CW_SECOND;
static const int64_t retry_full_box = 100 * CW_MILLISECOND;

struct answer {
	int status;
	uint32_t n;
	struct sockaddr_storage addresses[ADDRESSES_MAX];
};

/* A question. Guarded by the resolver's lock until its mail is posted, then the drainer's. */
struct cw_resolve {
	struct mail mail;
	struct resolver *resolver;
	struct mailbox *box;
	uint16_t port;
	cw_resolved done;
	void *arg;
	bool posted, cancelled;
	struct cw_resolve *next; /* in resolver->waiting */
	const struct job *job;   /* NULL: it has its answer, and waits for room in the box */
	int64_t deadline;        /* clock_awake(); then the next try to post */
	struct answer answer;
};

/* A name being looked up, or that was: then it is the cache's entry. */
struct job {
	struct job *next;
	enum { QUEUED, RUNNING, KNOWN } state;
	int64_t expires; /* KNOWN: instant */
	struct answer answer;
	char host[HOST_MAX + 1];
};

struct resolver {
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t work, time;
	int references; /* the owner's, the threads', the questions' */
	bool closing;
	int threads; /* started so far: first the keeper, then the lookers */
	resolver_lookup lookup;
	int64_t deadline;
	struct job *jobs;
	uint32_t jobs_count;
	struct cw_resolve *waiting;
};

static int error_of(int eai)
{
	switch (eai) {
	case EAI_NONAME:
	case EAI_NODATA:
	case EAI_ADDRFAMILY:
		return -ENOENT;
	case EAI_MEMORY:
		return -ENOMEM;
	default:
		return -EAGAIN;
	}
}

static int look_up(const char *host, int flags, struct sockaddr_storage *addresses, uint32_t max, uint32_t *ret_n)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags}, *found = NULL;
	int eai = getaddrinfo(host, /* service */ NULL, &hints, &found);
	if (eai)
		return error_of(eai);
	uint32_t n = 0;
	for (const struct addrinfo *one = found; one && n < max; one = one->ai_next)
		if (one->ai_addrlen <= sizeof(*addresses))
			memcpy(&addresses[n++], one->ai_addr, one->ai_addrlen);
	freeaddrinfo(found);
	*ret_n = n;
	return n ? 0 : -ENOENT;
}

static int look_up_name(const char *host, struct sockaddr_storage *addresses, uint32_t max, uint32_t *ret_n)
{
	return look_up(host, AI_ADDRCONFIG, addresses, max, ret_n);
}

/* Must hold the lock; lets go of it, for good if this was the last reference. */
static void unref_unlock(struct resolver *resolver)
{
	bool last = --resolver->references == 0;
	pthread_mutex_unlock(&resolver->lock);
	if (!last)
		return;
	while (resolver->jobs) {
		struct job *next = resolver->jobs->next;
		free(resolver->jobs);
		resolver->jobs = next;
	}
	pthread_cond_destroy(&resolver->work);
	pthread_cond_destroy(&resolver->time);
	pthread_mutex_destroy(&resolver->lock);
	free(resolver);
}

/* ---- questions ---- */

static void free_question(struct cw_resolve *question)
{
	mailbox_unref(question->box);
	pthread_mutex_lock(&question->resolver->lock);
	unref_unlock(question->resolver);
	free(question);
}

static void set_ports(struct answer *answer, uint16_t port)
{
	for (uint32_t i = 0; i < answer->n; i++) {
		if (answer->addresses[i].ss_family == AF_INET6)
			((struct sockaddr_in6 *)&answer->addresses[i])->sin6_port = htons(port);
		else
			((struct sockaddr_in *)&answer->addresses[i])->sin_port = htons(port);
	}
}

static void deliver(struct mail *mail, void *owner)
{
	(void)owner;
	struct cw_resolve *question = (struct cw_resolve *)mail;
	set_ports(&question->answer, question->port);
	if (!question->cancelled)
		question->done(question->arg, question->answer.status, question->answer.addresses, question->answer.n);
	free_question(question);
}

/* Must hold the lock. */
static void wait_until(struct cw_resolve *question, int64_t deadline)
{
	question->posted = false;
	question->job = NULL;
	question->deadline = deadline;
	question->next = question->resolver->waiting;
	question->resolver->waiting = question;
}

static void drop(struct mail *mail)
{
	struct cw_resolve *question = (struct cw_resolve *)mail;
	pthread_mutex_lock(&question->resolver->lock);
	bool closing = question->resolver->closing;
	if (!closing)
		wait_until(question, INT64_MAX);
	pthread_mutex_unlock(&question->resolver->lock);
	if (closing)
		free_question(question);
}

/* Must hold the lock. Takes it out of the waiting. */
static void forget_question(struct cw_resolve *question)
{
	struct cw_resolve **link = &question->resolver->waiting;
	while (*link && *link != question)
		link = &(*link)->next;
	if (*link)
		*link = question->next;
}

/* Must hold the lock. The question is not among the waiting ones, and returns there if its mail is not taken. */
static void post(struct cw_resolve *question)
{
	question->posted = true;
	int status = mailbox_post(question->box, &question->mail);
	if (status == -ENOBUFS)
		wait_until(question, clock_awake() + retry_full_box);
	else if (status < 0)
		wait_until(question, INT64_MAX);
}

/* Must hold the lock. Answers the first question that `is_due`; false: there is none. */
static bool answer_one(struct resolver *resolver, bool (*is_due)(const struct cw_resolve *question, const void *arg),
		       const void *arg, const struct answer *answer)
{
	struct cw_resolve **link = &resolver->waiting;
	while (*link && !is_due(*link, arg))
		link = &(*link)->next;
	struct cw_resolve *question = *link;
	if (!question)
		return false;
	*link = question->next;
	if (question->job)
		question->answer = *answer;
	post(question);
	return true;
}

static bool asks_for(const struct cw_resolve *question, const void *job)
{
	return question->job == job;
}

static bool is_late(const struct cw_resolve *question, const void *now)
{
	return question->deadline <= *(const int64_t *)now;
}

/* ---- jobs and their cache ---- */

/* Must hold the lock. */
static struct job *find_job(struct resolver *resolver, const char *host)
{
	for (struct job *job = resolver->jobs; job; job = job->next)
		if (strcmp(job->host, host) == 0)
			return job;
	return NULL;
}

/* Must hold the lock. What has expired goes; a full cache loses what expires first. Nobody waits for a KNOWN job. */
static void make_room(struct resolver *resolver)
{
	int64_t now = clock_now();
	struct job **first = NULL;
	for (struct job **link = &resolver->jobs; *link;) {
		struct job *job = *link;
		if (job->state == KNOWN && job->expires <= now) {
			*link = job->next;
			free(job);
			resolver->jobs_count--;
			first = NULL; /* may have pointed into what is gone: choose among the rest */
			continue;
		}
		if (job->state == KNOWN && (!first || job->expires < (*first)->expires))
			first = link;
		link = &job->next;
	}
	if (resolver->jobs_count >= CACHE_MAX && first) {
		struct job *job = *first;
		*first = job->next;
		free(job);
		resolver->jobs_count--;
	}
}

/* Must hold the lock. The job for a name: fresh in the cache, under way, or queued now. NULL: no memory. */
static struct job *want_job(struct resolver *resolver, const char *host)
{
	struct job *job = find_job(resolver, host);
	if (!job) {
		make_room(resolver);
		job = calloc(1, sizeof(*job));
		if (!job)
			return NULL;
		memcpy(job->host, host, strlen(host) + 1); /* its length was checked by resolver_ask() */
		job->next = resolver->jobs;
		resolver->jobs = job;
		resolver->jobs_count++;
		pthread_cond_signal(&resolver->work);
	} else if (job->state == KNOWN && job->expires <= clock_now()) {
		job->state = QUEUED;
		pthread_cond_signal(&resolver->work);
	}
	return job;
}

/* Must hold the lock. The job that was queued first stands last. */
static struct job *next_job(struct resolver *resolver)
{
	struct job *oldest = NULL;
	for (struct job *job = resolver->jobs; job; job = job->next)
		if (job->state == QUEUED)
			oldest = job;
	return oldest;
}

/* Must hold the lock; lets go of it meanwhile. */
static void run_job(struct resolver *resolver, struct job *job)
{
	struct answer answer = {0};
	char host[HOST_MAX + 1];
	memcpy(host, job->host, sizeof(host));
	job->state = RUNNING;
	pthread_mutex_unlock(&resolver->lock);
	answer.status = resolver->lookup(host, answer.addresses, ADDRESSES_MAX, &answer.n);
	pthread_mutex_lock(&resolver->lock);
	if (answer.status < 0)
		answer.n = 0;
	job->answer = answer;
	job->state = KNOWN;
	job->expires = clock_now() + (answer.status == 0 ? keep_found : keep_failed);
	while (answer_one(resolver, asks_for, job, &answer))
		;
}

static void *look(void *arg)
{
	struct resolver *resolver = arg;
	pthread_mutex_lock(&resolver->lock);
	while (!resolver->closing) {
		struct job *job = next_job(resolver);
		if (job)
			run_job(resolver, job);
		else
			pthread_cond_wait(&resolver->work, &resolver->lock);
	}
	unref_unlock(resolver);
	return NULL;
}

/* Must hold the lock; lets go of it meanwhile. */
static void wait_for_deadline(struct resolver *resolver)
{
	int64_t next = INT64_MAX;
	for (const struct cw_resolve *question = resolver->waiting; question; question = question->next)
		if (question->deadline < next)
			next = question->deadline;
	if (next == INT64_MAX) {
		pthread_cond_wait(&resolver->time, &resolver->lock);
		return;
	}
	struct timespec until = {.tv_sec = next / CW_SECOND, .tv_nsec = next % CW_SECOND};
	pthread_cond_timedwait(&resolver->time, &resolver->lock, &until);
}

static void *keep_time(void *arg)
{
	struct resolver *resolver = arg;
	static const struct answer late = {.status = -ETIMEDOUT};
	pthread_mutex_lock(&resolver->lock);
	while (!resolver->closing) {
		int64_t now = clock_awake();
		while (answer_one(resolver, is_late, &now, &late))
			;
		wait_for_deadline(resolver);
	}
	unref_unlock(resolver);
	return NULL;
}

/* ---- the face ---- */

/* Must hold the lock. */
static int start_thread(struct resolver *resolver, void *(*run)(void *arg))
{
	pthread_t thread;
	int status = -pthread_create(&thread, /* attributes */ NULL, run, resolver);
	if (status < 0)
		return status;
	resolver->references++;
	pthread_detach(thread);
	return 0;
}

/* Must hold the lock. Those that run already stay, if not all could be started the last time. */
static int start_threads(struct resolver *resolver)
{
	int status = 0;
	for (; resolver->threads < 1 + LOOKERS && status == 0; resolver->threads += status == 0)
		status = start_thread(resolver, resolver->threads ? look : keep_time);
	return status;
}

struct resolver *resolver_new_with(resolver_lookup lookup, int64_t deadline)
{
	struct resolver *resolver = calloc(1, sizeof(*resolver));
	if (!resolver)
		return NULL;
	resolver->references = 1;
	resolver->lookup = lookup;
	resolver->deadline = deadline;
	pthread_mutex_init(&resolver->lock, /* attributes */ NULL);
	pthread_cond_init(&resolver->work, /* attributes */ NULL);
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&resolver->time, &attributes);
	pthread_condattr_destroy(&attributes);
	return resolver;
}

struct resolver *resolver_new(void)
{
	return resolver_new_with(look_up_name, 3 * CW_SECOND);
}

void resolver_free(struct resolver *resolver)
{
	if (!resolver)
		return;
	pthread_mutex_lock(&resolver->lock);
	resolver->closing = true;
	pthread_cond_broadcast(&resolver->work);
	pthread_cond_broadcast(&resolver->time);
	while (resolver->waiting) {
		struct cw_resolve *question = resolver->waiting;
		resolver->waiting = question->next;
		mailbox_unref(question->box);
		free(question);
		resolver->references--;
	}
	unref_unlock(resolver);
}

/* Must hold the lock. What is known is posted at once, else the question waits. */
static int ask(struct resolver *resolver, struct cw_resolve *question, const char *host)
{
	question->answer.status =
		look_up(host, AI_NUMERICHOST, question->answer.addresses, ADDRESSES_MAX, &question->answer.n);
	if (question->answer.status == 0) {
		post(question);
		return 0;
	}
	int status = start_threads(resolver);
	if (status < 0)
		return status;
	struct job *job = want_job(resolver, host);
	if (!job)
		return -ENOMEM;
	if (job->state == KNOWN) {
		question->answer = job->answer;
		post(question);
		return 0;
	}
	question->job = job;
	question->next = resolver->waiting;
	resolver->waiting = question;
	pthread_cond_signal(&resolver->time);
	return 0;
}

int resolver_ask(struct resolver *resolver, struct mailbox *box, const char *host, uint16_t port, cw_resolved done,
		 void *arg, struct cw_resolve **ret_resolve)
{
	size_t length = strlen(host);
	if (!length || length > HOST_MAX)
		return -EINVAL;
	struct cw_resolve *question = calloc(1, sizeof(*question));
	if (!question)
		return -ENOMEM;
	*question = (struct cw_resolve){.mail = {.deliver = deliver, .drop = drop},
					.resolver = resolver,
					.box = mailbox_ref(box),
					.port = port,
					.done = done,
					.arg = arg,
					.deadline = clock_awake() + resolver->deadline};
	pthread_mutex_lock(&resolver->lock);
	resolver->references++;
	*ret_resolve = question;
	int status = ask(resolver, question, host);
	if (status < 0) {
		resolver->references--;
		mailbox_unref(question->box);
		free(question);
	}
	pthread_mutex_unlock(&resolver->lock);
	return status;
}

void resolver_cancel(struct cw_resolve *question)
{
	if (!question)
		return;
	pthread_mutex_lock(&question->resolver->lock);
	bool posted = question->posted;
	if (posted)
		question->cancelled = true; /* its mail is in our own box: deliver() frees it */
	else
		forget_question(question);
	pthread_mutex_unlock(&question->resolver->lock);
	if (!posted)
		free_question(question);
}
