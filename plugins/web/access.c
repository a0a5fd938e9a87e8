/* SPDX-License-Identifier: MIT
 *
 * See access.h. Passwords that were right and secrets that were wrong are kept as keyed hashes under a key of this
 * instance's life: what is in memory helps nobody elsewhere.
 */
#include "access.h"

#include "text.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	DIGEST_BYTES = 32,
	KNOWN_MAX = 64,
	CULPRITS_MAX = 256,
	TRIALS_MAX = 16,
	TRIALS_OF_ONE_MAX = 8, /* a browser asks with up to six connections at once */
	FAILURES_FREE = 10,
	DELAY_DOUBLINGS = 6,
};

static const int64_t known_for = 300 * CW_SECOND, remembered_for = 600 * CW_SECOND, delay_most = 60 * CW_SECOND;

struct user {
	const char *name, *password_hash;
	enum role role;
};

struct token {
	const char *name;
	uint8_t hash[TOKEN_HASH_BYTES];
	enum role role;
	int64_t expires; /* wall time; INT64_MAX: never */
};

/* A user's password that was right. */
struct known {
	uint8_t digest[DIGEST_BYTES];
	uint32_t user;
	int64_t until; /* instant */
};

/* Who was wrong. */
struct culprit {
	struct ip ip;
	uint32_t failures; /* 0: free */
	int64_t last;      /* instant */
	uint8_t digest[DIGEST_BYTES];
};

/* A password to be tried. */
struct trial {
	struct trial *next;
	uv_work_t work;
	struct web *web;
	struct exchange *exchange; /* NULL: gone */
	struct ip client;
	uint32_t user; /* users_count: there is none of this name */
	uint8_t digest[DIGEST_BYTES];
	char password[CREDENTIAL_SECRET_MAX + 1];
	bool is_right;
};

struct access {
	struct user *users;
	struct token *tokens;
	uint32_t users_count, tokens_count;
	uint8_t key[crypto_generichash_KEYBYTES];
	struct known known[KNOWN_MAX];
	struct culprit culprits[CULPRITS_MAX];
	struct trial *trials, **trials_end; /* the first is under way */
	uint32_t trials_count;
	bool stopped;
};

/* -- what is configured ------------------------------------------------------------------------------------------- */

bool access_is_configured(const struct cw_value *values)
{
	const struct cw_value *users = cw_get(values, "users"), *tokens = cw_get(values, "tokens");
	return (users && users->count) || (tokens && tokens->count);
}

static void check_names(const struct cw_value *items, const char *what, struct cw_problems *problems)
{
	for (uint32_t i = 0; items && i < items->count; i++) {
		const struct cw_value *place = cw_get(&items->children[i], "name");
		const char *name = cw_get_string(&items->children[i], "name");
		const char *wrong = name ? user_name_check(name) : NULL;
		if (wrong)
			problems->error(problems, place, "%s: %s", what, wrong);
		for (uint32_t j = 0; name && j < i; j++) {
			const char *other = cw_get_string(&items->children[j], "name");
			if (other && strcmp(name, other) == 0)
				problems->error(problems, place, "%s: there are two called %s", what, name);
		}
	}
}

/* A date is the day's begin in UTC. */
static bool parse_expiry(const char *text, int64_t *ret_wall)
{
	return text_parse_time(text, strlen(text), ret_wall, /* ret_assumed_utc: */ NULL) == 0;
}

static void check_token(const struct cw_value *item, struct cw_problems *problems)
{
	uint8_t hash[TOKEN_HASH_BYTES];
	int64_t expires;
	const char *text = cw_get_string(item, "token_hash"), *expiry = cw_get_string(item, "expires");
	if (text && !token_hash_parse(hash, text))
		problems->error(
			problems, cw_get(item, "token_hash"),
			"token_hash: expected sha256: and 64 hexadecimal digits; `callwatch token add` makes one");
	if (expiry && !parse_expiry(expiry, &expires))
		problems->error(problems, cw_get(item, "expires"),
				"expires: expected a date or a time, such as 2027-01-31 or 2027-01-31T12:00:00Z");
}

void access_check(const struct cw_value *values, struct cw_problems *problems)
{
	const struct cw_value *users = cw_get(values, "users"), *tokens = cw_get(values, "tokens");
	check_names(users, "users", problems);
	check_names(tokens, "tokens", problems);
	for (uint32_t i = 0; users && i < users->count; i++) {
		const char *hash = cw_get_string(&users->children[i], "password_hash");
		const char *wrong = hash ? password_hash_check(hash) : NULL;
		if (wrong)
			problems->error(problems, cw_get(&users->children[i], "password_hash"), "password_hash: %s",
					wrong);
	}
	for (uint32_t i = 0; tokens && i < tokens->count; i++)
		check_token(&tokens->children[i], problems);
}

static enum role read_role(const struct cw_value *item)
{
	const char *role = cw_get_string(item, "role");
	return role && strcmp(role, "operator") == 0 ? ROLE_OPERATOR : ROLE_VIEWER;
}

static int read_users(struct access *access, const struct cw_value *items)
{
	uint32_t count = items ? items->count : 0;
	access->users = calloc(count ? count : 1, sizeof *access->users);
	if (!access->users)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++)
		access->users[access->users_count++] =
			(struct user){.name = cw_get_string(&items->children[i], "name"),
				      .password_hash = cw_get_string(&items->children[i], "password_hash"),
				      .role = read_role(&items->children[i])};
	return 0;
}

static int read_tokens(struct access *access, const struct cw_value *items)
{
	uint32_t count = items ? items->count : 0;
	access->tokens = calloc(count ? count : 1, sizeof *access->tokens);
	if (!access->tokens)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++) {
		const struct cw_value *item = &items->children[i];
		const char *expiry = cw_get_string(item, "expires");
		struct token *token = &access->tokens[access->tokens_count++];
		*token = (struct token){
			.name = cw_get_string(item, "name"), .role = read_role(item), .expires = INT64_MAX};
		token_hash_parse(token->hash, cw_get_string(item, "token_hash"));
		if (expiry)
			parse_expiry(expiry, &token->expires);
	}
	return 0;
}

int access_start(struct web *web, const struct cw_value *values)
{
	struct access *access = web->access = calloc(1, sizeof *access);
	if (!access || sodium_init() < 0)
		return -ENOMEM;
	access->trials_end = &access->trials;
	crypto_generichash_keygen(access->key);
	int rc = read_users(access, cw_get(values, "users"));
	return rc ? rc : read_tokens(access, cw_get(values, "tokens"));
}

/* -- what is remembered ------------------------------------------------------------------------------------------- */

static void digest_of(const struct access *access, const struct credentials *credentials, uint8_t digest[DIGEST_BYTES])
{
	crypto_generichash(digest, DIGEST_BYTES, (const unsigned char *)credentials, sizeof *credentials, access->key,
			   sizeof access->key);
}

static const struct known *find_known(const struct access *access, const uint8_t digest[DIGEST_BYTES], int64_t now)
{
	for (size_t i = 0; i < KNOWN_MAX; i++)
		if (access->known[i].until > now && memcmp(access->known[i].digest, digest, DIGEST_BYTES) == 0)
			return &access->known[i];
	return NULL;
}

/* In place of the one that would be forgotten first. */
static void remember(struct access *access, const struct trial *trial, int64_t now)
{
	struct known *place = &access->known[0];
	for (size_t i = 1; i < KNOWN_MAX; i++)
		if (access->known[i].until < place->until)
			place = &access->known[i];
	*place = (struct known){.user = trial->user, .until = now + known_for};
	memcpy(place->digest, trial->digest, DIGEST_BYTES);
}

static struct culprit *find_culprit(struct access *access, const struct ip *client, int64_t now)
{
	for (size_t i = 0; i < CULPRITS_MAX; i++) {
		struct culprit *culprit = &access->culprits[i];
		if (culprit->failures && now - culprit->last < remembered_for && ip_equal(&culprit->ip, client))
			return culprit;
	}
	return NULL;
}

/* In place of one that is free, or was wrong the longest ago. */
static struct culprit *add_culprit(struct access *access, const struct ip *client)
{
	struct culprit *place = &access->culprits[0];
	for (size_t i = 0; i < CULPRITS_MAX && place->failures; i++)
		if (access->culprits[i].failures == 0 || access->culprits[i].last < place->last)
			place = &access->culprits[i];
	*place = (struct culprit){.ip = *client};
	return place;
}

/* 0: need not wait. */
static int64_t wait_of(const struct culprit *culprit, int64_t now)
{
	if (!culprit || culprit->failures < FAILURES_FREE)
		return 0;
	uint32_t doublings = culprit->failures - FAILURES_FREE;
	int64_t delay = doublings < DELAY_DOUBLINGS ? CW_SECOND << doublings : delay_most;
	return culprit->last + delay > now ? culprit->last + delay - now : 0;
}

static void note_failure(struct web *web, const struct ip *client, const uint8_t digest[DIGEST_BYTES])
{
	char text[IP_TEXT_MAX];
	int64_t now = web->host->now();
	struct culprit *culprit = find_culprit(web->access, client, now);
	if (!culprit)
		culprit = add_culprit(web->access, client);
	culprit->last = now;
	memcpy(culprit->digest, digest, DIGEST_BYTES);
	web->host->count_error(web->self, 1);
	if (++culprit->failures != FAILURES_FREE)
		return;
	ip_print(client, text);
	web->host->log(
		web->self, CW_WARNING,
		"%d wrong passwords, tokens or keys came from %s: it must wait 1 s before the next, longer each time",
		FAILURES_FREE, text);
}

static void forgive(struct access *access, const struct ip *client, int64_t now)
{
	struct culprit *culprit = find_culprit(access, client, now);
	if (culprit)
		culprit->failures = 0;
}

/* -- verdicts ----------------------------------------------------------------------------------------------------- */

static void grant(struct exchange *exchange, enum role role, const char *what, const char *name)
{
	char from[IP_TEXT_MAX];
	ip_print(&exchange->client, from);
	exchange->role = role;
	snprintf(exchange->by, sizeof exchange->by, "%s%s from %s", what, name, from);
}

static void deny(struct exchange *exchange)
{
	exchange->denial = "the user, the password or the token is wrong";
}

static void make_wait(struct exchange *exchange, int64_t wait)
{
	exchange->retry_after = (uint32_t)(wait / CW_SECOND + 1);
	exchange_problem(exchange, 429, "too many wrong passwords, tokens or keys came from this address; wait");
}

static void grant_user(struct exchange *exchange, uint32_t user)
{
	const struct user *found = &exchange->web->access->users[user];
	grant(exchange, found->role, /* what: */ "", found->name);
}

/* All are looked at, whichever it is. */
static const struct token *find_token(const struct access *access, const char *secret)
{
	uint8_t hash[TOKEN_HASH_BYTES];
	const struct token *found = NULL;
	token_hash(hash, secret);
	for (uint32_t i = 0; i < access->tokens_count; i++)
		if (sodium_memcmp(access->tokens[i].hash, hash, sizeof hash) == 0)
			found = &access->tokens[i];
	return found;
}

/* False: it is none of ours. */
static bool take_token(struct exchange *exchange, const struct credentials *credentials)
{
	const struct web *web = exchange->web;
	const struct token *token = find_token(web->access, credentials->secret);
	if (!token)
		return false;
	if (token->expires <= web->host->wall())
		exchange->denial = "the token has expired";
	else
		grant(exchange, token->role, "token ", token->name);
	return true;
}

/* -- trials ------------------------------------------------------------------------------------------------------- */

/* On a thread of libuv's pool. A name that nobody has costs as much time as one that somebody has: the first user's
 * password is tried, and is not right for it whatever it is. */
static void try_password(uv_work_t *work)
{
	struct trial *trial = work->data;
	const struct access *access = trial->web->access;
	bool is_user = trial->user < access->users_count;
	const char *hash = access->users[is_user ? trial->user : 0].password_hash;
	bool right = crypto_pwhash_str_verify(hash, trial->password, strlen(trial->password)) == 0;
	trial->is_right = right && is_user;
	sodium_memzero(trial->password, sizeof trial->password);
}

static void next_trial(struct web *web);

static void trial_free(struct access *access, struct trial *trial)
{
	access->trials = trial->next;
	if (!access->trials)
		access->trials_end = &access->trials;
	access->trials_count--;
	sodium_memzero(trial, sizeof *trial);
	free(trial);
}

/* The exchange goes on as if it had not waited. */
static void conclude(const struct trial *trial, bool is_right)
{
	struct exchange *exchange = trial->exchange;
	if (!exchange)
		return;
	exchange->work = NULL;
	exchange->drop = NULL;
	exchange->pull = NULL;
	exchange->hold = false;
	if (is_right)
		grant_user(exchange, trial->user);
	else
		deny(exchange);
	route_enter(exchange);
	exchange_wake(exchange);
}

static void on_tried(uv_work_t *work, int status)
{
	struct trial *trial = work->data;
	struct web *web = trial->web;
	int64_t now = web->host->now();
	bool is_right = status == 0 && trial->is_right;
	if (is_right) {
		remember(web->access, trial, now);
		forgive(web->access, &trial->client, now);
	} else if (status == 0) {
		note_failure(web, &trial->client, trial->digest);
	}
	conclude(trial, is_right);
	trial_free(web->access, trial);
	next_trial(web);
}

/* The first of the queue, unless nobody waits for it any more, or the one before has answered it. */
static void next_trial(struct web *web)
{
	struct access *access = web->access;
	while (access->trials && !access->stopped) {
		struct trial *trial = access->trials;
		int64_t now = web->host->now();
		const struct culprit *culprit = find_culprit(access, &trial->client, now);
		bool is_known = find_known(access, trial->digest, now) != NULL;
		bool is_wrong = culprit && memcmp(culprit->digest, trial->digest, DIGEST_BYTES) == 0;
		if (trial->exchange && !is_known && !is_wrong &&
		    uv_queue_work(web->host->loop(web->self), &trial->work, try_password, on_tried) == 0)
			return;
		conclude(trial, is_known);
		trial_free(access, trial);
	}
}

static enum pull wait_for_verdict(struct exchange *exchange)
{
	(void)exchange;
	return PULL_WAIT;
}

static void no_longer_waited_for(struct exchange *exchange)
{
	struct trial *trial = exchange->work;
	trial->exchange = NULL;
}

static uint32_t find_user(const struct access *access, const char *name)
{
	for (uint32_t i = 0; i < access->users_count; i++)
		if (strcmp(access->users[i].name, name) == 0)
			return i;
	return access->users_count;
}

static uint32_t trials_of(const struct access *access, const struct ip *client)
{
	uint32_t n = 0;
	for (const struct trial *trial = access->trials; trial; trial = trial->next)
		n += ip_equal(&trial->client, client);
	return n;
}

/* False: it is answered, there is too much to do. */
static bool begin_trial(struct exchange *exchange, const struct credentials *credentials, const struct ip *client,
			const uint8_t digest[DIGEST_BYTES])
{
	struct web *web = exchange->web;
	struct access *access = web->access;
	bool busy = access->trials_count >= TRIALS_MAX || trials_of(access, client) >= TRIALS_OF_ONE_MAX;
	struct trial *trial = busy ? NULL : calloc(1, sizeof *trial);
	if (!trial) {
		exchange->retry_after = 1;
		exchange_problem(exchange, 503, "too many passwords are to be looked at; again in a moment");
		return false;
	}
	trial->work.data = trial;
	trial->web = web;
	trial->exchange = exchange;
	trial->client = *client;
	trial->user = find_user(access, credentials->name);
	memcpy(trial->digest, digest, DIGEST_BYTES);
	memcpy(trial->password, credentials->secret, sizeof trial->password);
	exchange->hold = true;
	exchange->work = trial;
	exchange->drop = no_longer_waited_for;
	exchange->pull = wait_for_verdict;
	*access->trials_end = trial;
	access->trials_end = &trial->next;
	if (access->trials_count++ == 0)
		next_trial(web);
	return true;
}

/* -- asking ------------------------------------------------------------------------------------------------------- */

/* What has to be tried, or is wrong for sure. */
static enum access_verdict judge_unknown(struct exchange *exchange, const struct credentials *credentials,
					 const uint8_t digest[DIGEST_BYTES])
{
	struct web *web = exchange->web;
	struct ip client = ip_client(&exchange->client);
	int64_t now = web->host->now();
	const struct culprit *culprit = find_culprit(web->access, &client, now);
	if (culprit && memcmp(culprit->digest, digest, DIGEST_BYTES) == 0) {
		deny(exchange);
		return ACCESS_KNOWN;
	}
	int64_t wait = wait_of(culprit, now);
	if (wait) {
		make_wait(exchange, wait);
		return ACCESS_ANSWERED;
	}
	if (credentials->scheme == SCHEME_BASIC && web->access->users_count)
		return begin_trial(exchange, credentials, &client, digest) ? ACCESS_LATER : ACCESS_ANSWERED;
	note_failure(web, &client, digest);
	deny(exchange);
	return ACCESS_KNOWN;
}

enum access_verdict access_ask(struct exchange *exchange, const struct credentials *credentials)
{
	uint8_t digest[DIGEST_BYTES];
	struct web *web = exchange->web;
	if (credentials->scheme == SCHEME_NONE)
		return ACCESS_KNOWN;
	if (credentials->scheme == SCHEME_BEARER && take_token(exchange, credentials))
		return ACCESS_KNOWN;
	digest_of(web->access, credentials, digest);
	const struct known *known = find_known(web->access, digest, web->host->now());
	if (known) {
		grant_user(exchange, known->user);
		return ACCESS_KNOWN;
	}
	return judge_unknown(exchange, credentials, digest);
}

bool access_must_wait(struct exchange *exchange)
{
	const struct web *web = exchange->web;
	struct ip client = ip_client(&exchange->client);
	int64_t now = web->host->now();
	int64_t wait = exchange->peer->door->is_tcp ? wait_of(find_culprit(web->access, &client, now), now) : 0;
	if (wait)
		make_wait(exchange, wait);
	return wait > 0;
}

void access_note_wrong_key(struct exchange *exchange)
{
	uint8_t digest[DIGEST_BYTES];
	struct web *web = exchange->web;
	const char *key = exchange->api_key;
	struct ip client = ip_client(&exchange->client);
	if (!key || !exchange->peer->door->is_tcp)
		return;
	crypto_generichash(digest, sizeof digest, (const unsigned char *)key, strlen(key), web->access->key,
			   sizeof web->access->key);
	const struct culprit *culprit = find_culprit(web->access, &client, web->host->now());
	if (!culprit || memcmp(culprit->digest, digest, sizeof digest) != 0)
		note_failure(web, &client, digest);
}

const char *access_challenge(const struct web *web)
{
	return web->access->users_count ? "Basic realm=\"callwatch\", charset=\"UTF-8\", Bearer realm=\"callwatch\""
					: "Bearer realm=\"callwatch\"";
}

void access_stop(struct web *web)
{
	struct access *access = web->access;
	if (!access)
		return;
	access->stopped = true;
	for (struct trial *trial = access->trials; trial; trial = trial->next)
		trial->exchange = NULL;
}

void access_release(struct web *web)
{
	struct access *access = web->access;
	if (!access)
		return;
	while (access->trials)
		trial_free(access, access->trials);
	free(access->users);
	free(access->tokens);
	sodium_memzero(access, sizeof *access);
	free(access);
	web->access = NULL;
}
