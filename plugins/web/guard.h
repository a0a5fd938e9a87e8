/* SPDX-License-Identifier: MIT
 *
 * What a request says of where it comes from: Host, Origin, Sec-Fetch-Site, X-Forwarded-For; and whether that may be.
 * Private to the plugin web.
 *
 * The threat is a page of somebody else in a browser that can reach us. It may have its own name resolve to our address
 * (DNS rebinding): then Host has that name, so only names and addresses that are ours are answered. Or it may send
 * requests to our own name: then Origin, or Sec-Fetch-Site, says that it is another's, and it changes nothing.
 *
 * Headers of a proxy count only if the connection comes from an address of `trusted_proxies`.
 */
#ifndef CALLWATCH_WEB_GUARD_H
#define CALLWATCH_WEB_GUARD_H

#include "ip.h"

#include "callwatch/option.h"

enum { HOST_NAME_MAX_LENGTH = 253 };

/* A name or address with its port; 0: none is said. */
struct host_port {
	char name[HOST_NAME_MAX_LENGTH + 1]; /* lower case; an IPv6 address without brackets */
	uint16_t port;
};

struct guard {
	struct host_port *listed; /* `allowed_hosts`; port 0: any */
	uint32_t listed_count;
	struct host_port *own; /* names and addresses that are ours, without port */
	uint32_t own_count;
	struct network *proxies;
	uint32_t proxies_count;
};

/* Where this request was sent to, as it says itself. */
struct site {
	const char *host;
	bool https;
	bool any_scheme; /* a proxy did not say how it was asked */
};

bool host_parse(struct host_port *host, const char *text); /* `name[:port]`, `[::1][:port]` */

/* From the options `allowed_hosts`, `trusted_proxies`; `hostname` and the endpoints are ours. -ENOMEM. */
int guard_init(struct guard *guard, const struct cw_value *values, const char *hostname,
	       const struct endpoint *endpoints, uint32_t endpoints_count);
void guard_release(struct guard *guard);
void guard_check(const struct cw_value *values, struct cw_problems *problems); /* the two options */

/* May a request that came in at `local` say this Host? */
bool guard_allows_host(const struct guard *guard, const struct site *site, const struct endpoint *local);
/* Is Origin that of the site itself? */
bool guard_is_same_origin(const char *origin, const struct site *site);
bool guard_is_proxy(const struct guard *guard, const struct ip *address);
/* Who asks a trusted proxy: the last in X-Forwarded-For that is none itself. */
void guard_find_client(const struct guard *guard, const char *forwarded_for, struct ip *address);

#endif
