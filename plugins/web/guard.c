/* SPDX-License-Identifier: MIT
 *
 * See guard.h.
 */
#include "guard.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PORT_HTTP = 80, PORT_HTTPS = 443 };

/* -- names -------------------------------------------------------------------------------------------------------- */

static bool is_name_character(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
	       c == '_';
}

/* Into lower case. False: empty, too long, or not of the characters that a name is made of. */
static bool copy_name(struct host_port *host, const char *text, size_t length)
{
	if (length == 0 || length > HOST_NAME_MAX_LENGTH)
		return false;
	for (size_t i = 0; i < length; i++) {
		if (!is_name_character(text[i]))
			return false;
		host->name[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] - 'A' + 'a') : text[i];
	}
	host->name[length] = '\0';
	return true;
}

/* An IPv6 address can be written in many ways: the one that ip_print() chooses is compared. */
static bool copy_v6(struct host_port *host, const char *text, size_t length)
{
	struct ip address;
	if (!ip_parse(&address, text, length) || !memchr(text, ':', length))
		return false;
	ip_print(&address, host->name);
	return true;
}

bool host_parse(struct host_port *host, const char *text)
{
	const char *end = *text == '[' ? strchr(text, ']') : text + strcspn(text, ":");
	if (!end)
		return false;
	*host = (struct host_port){.port = 0};
	bool right = *text == '[' ? copy_v6(host, text + 1, (size_t)(end - text - 1))
				  : copy_name(host, text, (size_t)(end - text));
	const char *rest = end + (*text == '[');
	return right && (*rest == '\0' || (*rest == ':' && port_parse(&host->port, rest + 1, strlen(rest + 1))));
}

static uint16_t port_of(const struct host_port *host, bool https)
{
	return host->port ? host->port : https ? PORT_HTTPS : PORT_HTTP;
}

/* -- what is ours ------------------------------------------------------------------------------------------------- */

static int read_listed(struct guard *guard, const struct cw_value *items)
{
	uint32_t count = items ? items->count : 0;
	guard->listed = calloc(count ? count : 1, sizeof *guard->listed);
	for (uint32_t i = 0; guard->listed && i < count; i++)
		if (host_parse(&guard->listed[guard->listed_count], items->children[i].string))
			guard->listed_count++;
	return guard->listed ? 0 : -ENOMEM;
}

static int read_proxies(struct guard *guard, const struct cw_value *items)
{
	uint32_t count = items ? items->count : 0;
	guard->proxies = calloc(count ? count : 1, sizeof *guard->proxies);
	for (uint32_t i = 0; guard->proxies && i < count; i++)
		if (network_parse(&guard->proxies[guard->proxies_count], items->children[i].string))
			guard->proxies_count++;
	return guard->proxies ? 0 : -ENOMEM;
}

static int name_own(struct guard *guard, const char *hostname, const struct endpoint *endpoints, uint32_t count)
{
	static const char *const always[] = {"localhost", "127.0.0.1", "[::1]"};
	enum { ALWAYS = sizeof always / sizeof always[0] };
	guard->own = calloc(ALWAYS + 1 + count, sizeof *guard->own);
	if (!guard->own)
		return -ENOMEM;
	for (int i = 0; i < ALWAYS; i++)
		guard->own_count += host_parse(&guard->own[guard->own_count], always[i]);
	if (host_parse(&guard->own[guard->own_count], hostname) && guard->own[guard->own_count].port == 0)
		guard->own_count++;
	for (uint32_t i = 0; i < count; i++)
		if (!ip_is_any(&endpoints[i].ip))
			ip_print(&endpoints[i].ip, guard->own[guard->own_count++].name);
	return 0;
}

int guard_init(struct guard *guard, const struct cw_value *values, const char *hostname,
	       const struct endpoint *endpoints, uint32_t endpoints_count)
{
	int rc = read_listed(guard, cw_get(values, "allowed_hosts"));
	if (rc == 0)
		rc = read_proxies(guard, cw_get(values, "trusted_proxies"));
	return rc ? rc : name_own(guard, hostname, endpoints, endpoints_count);
}

void guard_release(struct guard *guard)
{
	free(guard->listed);
	free(guard->own);
	free(guard->proxies);
	*guard = (struct guard){0};
}

void guard_check(const struct cw_value *values, struct cw_problems *problems)
{
	const struct cw_value *hosts = cw_get(values, "allowed_hosts"), *proxies = cw_get(values, "trusted_proxies");
	struct host_port host;
	struct network network;
	for (uint32_t i = 0; hosts && i < hosts->count; i++)
		if (!host_parse(&host, hosts->children[i].string))
			problems->error(problems, &hosts->children[i],
					"allowed_hosts: a name or an address, with a port or without, as browsers "
					"send it: callwatch.example.net, 10.0.0.5:8470, [::1]");
	for (uint32_t i = 0; proxies && i < proxies->count; i++)
		if (!network_parse(&network, proxies->children[i].string))
			problems->error(problems, &proxies->children[i],
					"trusted_proxies: an address or a network: 10.0.0.5, 10.1.0.0/16, fd00::/8");
}

/* -- Host --------------------------------------------------------------------------------------------------------- */

static bool is_listed(const struct guard *guard, const struct host_port *host, bool https)
{
	for (uint32_t i = 0; i < guard->listed_count; i++) {
		const struct host_port *listed = &guard->listed[i];
		if (strcmp(listed->name, host->name) == 0 &&
		    (listed->port == 0 || listed->port == port_of(host, https)))
			return true;
	}
	return false;
}

static bool is_own(const struct guard *guard, const struct host_port *host, const struct endpoint *local)
{
	char local_name[IP_TEXT_MAX];
	if (host->port != 0 && host->port != local->port)
		return false;
	for (uint32_t i = 0; i < guard->own_count; i++)
		if (strcmp(guard->own[i].name, host->name) == 0)
			return true;
	/* An address is no name that could be made to mean us: whoever says the one he came to, is right. */
	ip_print(&local->ip, local_name);
	return strcmp(local_name, host->name) == 0;
}

bool guard_allows_host(const struct guard *guard, const struct site *site, const struct endpoint *local)
{
	struct host_port host;
	return site->host && host_parse(&host, site->host) &&
	       (is_listed(guard, &host, site->https) || is_own(guard, &host, local));
}

/* -- Origin ------------------------------------------------------------------------------------------------------- */

static bool is_origin_of(const char *origin, const char *scheme, bool https, const struct host_port *host)
{
	struct host_port from;
	size_t length = strlen(scheme);
	return strncmp(origin, scheme, length) == 0 && host_parse(&from, origin + length) &&
	       strcmp(from.name, host->name) == 0 && port_of(&from, https) == port_of(host, https);
}

bool guard_is_same_origin(const char *origin, const struct site *site)
{
	struct host_port host;
	if (!site->host || !host_parse(&host, site->host))
		return false;
	return ((site->https || site->any_scheme) && is_origin_of(origin, "https://", /* https: */ true, &host)) ||
	       ((!site->https || site->any_scheme) && is_origin_of(origin, "http://", /* https: */ false, &host));
}

/* -- proxies ------------------------------------------------------------------------------------------------------ */

bool guard_is_proxy(const struct guard *guard, const struct ip *address)
{
	for (uint32_t i = 0; i < guard->proxies_count; i++)
		if (network_has(&guard->proxies[i], address))
			return true;
	return false;
}

/* An element of X-Forwarded-For; some proxies add the port. */
static bool parse_forwarded(struct ip *address, const char *text, size_t length)
{
	struct endpoint endpoint;
	char copy[IP_TEXT_MAX + 8];
	while (length && (*text == ' ' || *text == '\t')) {
		text++;
		length--;
	}
	while (length && (text[length - 1] == ' ' || text[length - 1] == '\t'))
		length--;
	if (length >= sizeof copy)
		return false;
	if (ip_parse(address, text, length))
		return true;
	memcpy(copy, text, length);
	copy[length] = '\0';
	if (!endpoint_parse(&endpoint, copy))
		return false;
	*address = endpoint.ip;
	return true;
}

/* Each proxy adds at the end whom it was asked by: what stands before the first that is not ours, anybody may have
 * written. */
void guard_find_client(const struct guard *guard, const char *forwarded_for, struct ip *address)
{
	const char *end = forwarded_for + strlen(forwarded_for);
	while (guard_is_proxy(guard, address) && end > forwarded_for) {
		const char *start = end;
		while (start > forwarded_for && start[-1] != ',')
			start--;
		if (!parse_forwarded(address, start, (size_t)(end - start)))
			return;
		end = start > forwarded_for ? start - 1 : start;
	}
}
