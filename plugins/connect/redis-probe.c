/* SPDX-License-Identifier: MIT
 *
 * See connect/redis-probe.h. One connection is made for all rungs, and how far it came is noted with the time: a rung
 * that it has passed is answered at once, one that is still ahead when it comes by.
 */
#include "connect/redis-probe.h"

#include "text.h"

#include <stdio.h>
#include <string.h>

static const int64_t give_up_after = 4 * CW_SECOND; /* before the core does, with better words */
static const int64_t idle_after = 10 * CW_SECOND;

/* The step that a check is about. */
static const enum redis_step steps[] = {
	[REDIS_CHECK_NAME] = REDIS_STEP_RESOLVED,
	[REDIS_CHECK_TCP] = REDIS_STEP_CONNECTED,
	[REDIS_CHECK_TLS] = REDIS_STEP_SECURED,
	[REDIS_CHECK_AUTH] = REDIS_STEP_SIGNED_IN,
};

static const char *duration(char buffer[TEXT_DURATION_SIZE], int64_t ns)
{
	text_duration(buffer, ns > 0 ? (double)ns / (double)CW_SECOND : 0);
	return buffer;
}

/* ---- what is said ---- */

static void say_name(struct redis_probe *probe, const char *took)
{
	char addresses[160];
	const char *name = probe->address->host;
	redis_addresses_text(probe->redis, addresses, sizeof(addresses));
	if (probe->address->is_unix)
		probe->host->examined(probe->self, CW_CHECK_OK, "no name to look up: it is a UNIX socket");
	else if (strcmp(name, addresses) == 0)
		probe->host->examined(probe->self, CW_CHECK_OK, "no name to look up: it is an address");
	else
		probe->host->examined(probe->self, CW_CHECK_OK, "%s is %s, looked up in %s", name, addresses, took);
}

static void say_connected(struct redis_probe *probe, const char *took)
{
	char peer[80];
	redis_peer_text(probe->redis, peer, sizeof(peer));
	if (probe->address->is_unix)
		probe->host->examined(probe->self, CW_CHECK_OK, "connected to %s in %s", probe->address->host, took);
	else
		probe->host->examined(probe->self, CW_CHECK_OK, "connected to %s port %u in %s", peer,
				      probe->address->port, took);
}

static void say_secured(struct redis_probe *probe, const char *took)
{
	if (probe->address->is_tls)
		probe->host->examined(probe->self, CW_CHECK_OK, "certificate and name are right, agreed on in %s",
				      took);
	else
		probe->host->examined(probe->self, CW_CHECK_OK, "not used: the address does not ask for it");
}

static void say_signed_in(struct redis_probe *probe, const char *took)
{
	const char *user = probe->username           ? probe->username
			   : probe->address->user[0] ? probe->address->user
						     : "default";
	probe->host->examined(probe->self, CW_CHECK_OK, "user %s%s, database %u, answered in %s", user,
			      probe->password ? "" : " without a password", probe->address->database, took);
}

static void answer(struct redis_probe *probe)
{
	static void (*const says[])(struct redis_probe * probe, const char *took) = {
		[REDIS_CHECK_NAME] = say_name,
		[REDIS_CHECK_TCP] = say_connected,
		[REDIS_CHECK_TLS] = say_secured,
		[REDIS_CHECK_AUTH] = say_signed_in,
	};
	char took[TEXT_DURATION_SIZE];
	int check = probe->check;
	if (check < 0)
		return;
	if (probe->reached >= steps[check]) {
		probe->check = -1;
		says[check](probe, duration(took, probe->at[steps[check]] - probe->at[steps[check] - 1]));
	} else if (!probe->redis) {
		probe->check = -1;
		probe->host->examined(probe->self, CW_CHECK_FAILED, "%s", probe->broken);
	}
}

/* ---- the connection ---- */

static void reach(void *arg, enum redis_step step)
{
	struct redis_probe *probe = arg;
	probe->reached = step;
	probe->at[step] = probe->host->now();
	answer(probe);
}

static void on_up(void *arg)
{
	reach(arg, REDIS_STEP_SIGNED_IN);
}

/* Once is enough: no account is to be locked out by the doctor either. */
static void on_down(void *arg, enum redis_failure failure, const char *reason, int64_t next_try)
{
	struct redis_probe *probe = arg;
	(void)failure;
	(void)next_try;
	snprintf(probe->broken, sizeof(probe->broken), "%s", reason);
	redis_probe_close(probe);
	answer(probe);
}

static void begin(struct redis_probe *probe)
{
	static const struct redis_callbacks callbacks = {.up = on_up, .down = on_down, .reached = reach};
	redis_probe_close(probe);
	probe->reached = REDIS_STEP_BEGUN;
	probe->at[REDIS_STEP_BEGUN] = probe->host->now();
	probe->broken[0] = '\0';
	if (redis_open(probe->self, probe->host, probe->address, probe->username, probe->password, &callbacks, probe,
		       &probe->redis) < 0)
		snprintf(probe->broken, sizeof(probe->broken), "out of memory");
}

/* ---- the face ---- */

void redis_probe_init(struct redis_probe *probe, struct cw_instance *self, const struct cw_host *host,
		      const struct redis_address *address, const char *username, const char *password)
{
	*probe = (struct redis_probe){.self = self,
				      .host = host,
				      .address = address,
				      .username = username,
				      .password = password,
				      .check = -1};
}

void redis_probe_examine(struct redis_probe *probe, uint32_t check)
{
	if (check == REDIS_CHECK_NAME)
		begin(probe);
	probe->check = (int)check;
	probe->used = probe->host->now();
	answer(probe);
}

struct redis *redis_probe_connection(struct redis_probe *probe)
{
	probe->used = probe->host->now();
	if (redis_is_up(probe->redis))
		return probe->redis;
	probe->host->examined(probe->self, CW_CHECK_FAILED, "%s",
			      probe->broken[0] ? probe->broken : "the connection went down; ask again");
	return NULL;
}

void redis_probe_tick(struct redis_probe *probe)
{
	static const char *const waits[] = {"the name server", "the host: is it up, or does a firewall drop packets?",
					    "the TLS handshake", "Redis: it is frozen or busy with a slow command"};
	int64_t waited = probe->host->now() - probe->used;
	char took[TEXT_DURATION_SIZE];
	if (probe->redis && probe->check >= 0 && waited >= give_up_after) {
		snprintf(probe->broken, sizeof(probe->broken), "no answer within %s from %s", duration(took, waited),
			 waits[probe->check]);
		redis_probe_close(probe);
		answer(probe);
	} else if (probe->redis && waited >= idle_after) {
		redis_probe_close(probe);
	}
}

void redis_probe_close(struct redis_probe *probe)
{
	probe->commands += redis_commands_sent(probe->redis);
	redis_close(probe->redis);
	probe->redis = NULL;
}
