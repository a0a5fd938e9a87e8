/* SPDX-License-Identifier: MIT
 *
 * What a head says of where it comes from, where it goes to and who asks: lines Host, Origin, X-Forwarded-For, Accept,
 * Authorization. Whatever they say, only our names are ours, an origin that is the site's own is made of its Host, no
 * client is found behind who is no proxy, and what is no well-formed name or secret is empty.
 */
#include "credentials.h"
#include "exposition.h"
#include "guard.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { LINES = 5 };

static struct guard guard;
static struct endpoint local;

static void prepare(void)
{
	static const struct cw_value host = {.type = CW_OPTION_STRING, .known = true, .string = "listed.example.net"};
	static const struct cw_value proxy = {.type = CW_OPTION_STRING, .known = true, .string = "10.0.0.0/8"};
	static const struct cw_value options[] = {
		{.key = "allowed_hosts", .type = CW_OPTION_LIST, .known = true, .children = &host, .count = 1},
		{.key = "trusted_proxies", .type = CW_OPTION_LIST, .known = true, .children = &proxy, .count = 1},
	};
	static const struct cw_value values = {.type = CW_OPTION_GROUP, .children = options, .count = 2};
	if (guard.own_count)
		return;
	if (!endpoint_parse(&local, "127.0.0.1:8470") || guard_init(&guard, &values, "agent", &local, 1))
		abort();
}

/* An allowed Host, in whatever case, is one of few. */
static void check_host(const char *host)
{
	static const char *const names[] = {"localhost",      "127.0.0.1",      "agent",
					    "localhost:8470", "127.0.0.1:8470", "agent:8470"};
	static const char listed[] = "listed.example.net";
	if (!guard_allows_host(&guard, &(struct site){.host = host}, &local) || *host == '[')
		return;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (strcasecmp(host, names[i]) == 0)
			return;
	if (strncasecmp(host, listed, sizeof listed - 1) != 0 || !strchr(":", host[sizeof listed - 1]))
		abort();
}

static void check_origin(const char *origin, const char *host)
{
	static const char scheme[] = "http://";
	struct host_port from, to;
	if (!guard_is_same_origin(origin, &(struct site){.host = host}))
		return;
	if (strncmp(origin, scheme, sizeof scheme - 1) != 0 || !host_parse(&from, origin + sizeof scheme - 1) ||
	    !host_parse(&to, host) || strcmp(from.name, to.name) != 0)
		abort();
}

static void check_client(const char *forwarded_for)
{
	struct ip stranger, proxy, before;
	ip_parse(&stranger, "192.0.2.1", 9);
	ip_parse(&proxy, "10.0.0.1", 8);
	before = stranger;
	guard_find_client(&guard, forwarded_for, &stranger);
	if (!ip_equal(&stranger, &before))
		abort();
	guard_find_client(&guard, forwarded_for, &proxy);
}

static void check_credentials(const char *authorization)
{
	uint8_t hash[TOKEN_HASH_BYTES];
	struct credentials credentials;
	credentials_read(&credentials, authorization);
	bool is_right = credentials.scheme == SCHEME_BASIC || credentials.scheme == SCHEME_BEARER;
	if (strlen(credentials.name) > CREDENTIAL_NAME_MAX || strlen(credentials.secret) > CREDENTIAL_SECRET_MAX ||
	    (!is_right && (*credentials.name || *credentials.secret)))
		abort();
	user_name_check(authorization);
	password_hash_check(authorization);
	token_hash_parse(hash, authorization);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *lines[LINES] = {"", "", "", "", ""};
	if (size > 4096)
		return 0;
	prepare();
	char *text = malloc(size + 1), *rest = text;
	memcpy(text, data, size);
	text[size] = '\0';
	for (int i = 0; i < LINES && rest; i++)
		lines[i] = strsep(&rest, "\n");
	check_host(lines[0]);
	check_origin(lines[1], lines[0]);
	check_client(lines[2]);
	exposition_wanted(lines[3]);
	check_credentials(lines[4]);
	free(text);
	return 0;
}
