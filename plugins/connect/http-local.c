/* SPDX-License-Identifier: MIT
 *
 * Where a guarded request may not go: back into this machine, to what is on its link only (which the metadata services
 * of clouds are), or to many. Judged by the address that is about to be connected to, whatever name led there, and that
 * very address is then used; so a name that answers otherwise the next time gains nothing.
 *
 * Private networks (10.0.0.0/8 and the like) are not refused: that is where receivers stand. This machine's own
 * addresses there are.
 */
#include "http-private.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <string.h>

static bool is_local_v4(uint32_t address)
{
	static const struct {
		uint32_t prefix, mask;
	} ranges[] = {
		{0x00000000, 0xff000000}, /* 0.0.0.0/8: Linux takes it for itself */
		{0x7f000000, 0xff000000}, /* 127.0.0.0/8 */
		{0xa9fe0000, 0xffff0000}, /* 169.254.0.0/16: the link, and most metadata services */
		{0x646464c8, 0xffffffff}, /* 100.100.100.200: one more of these */
		{0xe0000000, 0xe0000000}, /* 224.0.0.0 and above: to many, or reserved */
	};
	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
		if ((address & ranges[i].mask) == ranges[i].prefix)
			return true;
	return false;
}

/* An IPv4 address in the clothes of an IPv6 one: ::ffff:a.b.c.d, ::a.b.c.d, 64:ff9b::a.b.c.d. */
static bool holds_v4(const struct in6_addr *address)
{
	static const unsigned char nat64[12] = {0x00, 0x64, 0xff, 0x9b};
	return IN6_IS_ADDR_V4MAPPED(address) || IN6_IS_ADDR_V4COMPAT(address) ||
	       memcmp(address->s6_addr, nat64, sizeof(nat64)) == 0;
}

static uint32_t last_four(const struct in6_addr *address)
{
	const unsigned char *bytes = address->s6_addr;
	return (uint32_t)bytes[12] << 24 | (uint32_t)bytes[13] << 16 | (uint32_t)bytes[14] << 8 | bytes[15];
}

static bool is_local_v6(const struct in6_addr *address)
{
	static const unsigned char metadata[16] = {0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02, [15] = 0x54};
	return IN6_IS_ADDR_UNSPECIFIED(address) || IN6_IS_ADDR_LOOPBACK(address) || IN6_IS_ADDR_LINKLOCAL(address) ||
	       IN6_IS_ADDR_SITELOCAL(address) || IN6_IS_ADDR_MULTICAST(address) ||
	       memcmp(address->s6_addr, metadata, sizeof(metadata)) == 0 ||
	       (holds_v4(address) && is_local_v4(last_four(address)));
}

/* The same host, whatever the port; an IPv4 address may be mapped on either side. */
static bool is_same_host(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	struct in6_addr hosts[2];
	const struct sockaddr_storage *both[] = {a, b};
	for (int i = 0; i < 2; i++) {
		memset(&hosts[i], 0, sizeof(hosts[i]));
		if (both[i]->ss_family == AF_INET6) {
			hosts[i] = ((const struct sockaddr_in6 *)both[i])->sin6_addr;
		} else if (both[i]->ss_family == AF_INET) {
			memset(hosts[i].s6_addr + 10, 0xff, 2);
			memcpy(hosts[i].s6_addr + 12, &((const struct sockaddr_in *)both[i])->sin_addr, 4);
		} else {
			return false;
		}
	}
	return memcmp(&hosts[0], &hosts[1], sizeof(hosts[0])) == 0;
}

/* Has one of our interfaces this address? If they cannot be listed: no. */
static bool is_our_own(const struct sockaddr_storage *address)
{
	struct ifaddrs *all;
	bool found = false;
	if (getifaddrs(&all) < 0)
		return false;
	for (const struct ifaddrs *one = all; one && !found; one = one->ifa_next) {
		struct sockaddr_storage own = {.ss_family = AF_UNSPEC};
		if (!one->ifa_addr || (one->ifa_addr->sa_family != AF_INET && one->ifa_addr->sa_family != AF_INET6))
			continue;
		memcpy(&own, one->ifa_addr,
		       one->ifa_addr->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
		found = is_same_host(&own, address);
	}
	freeifaddrs(all);
	return found;
}

bool http_is_local(const struct sockaddr_storage *address)
{
	if (address->ss_family == AF_INET && is_local_v4(ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr)))
		return true;
	if (address->ss_family == AF_INET6 && is_local_v6(&((const struct sockaddr_in6 *)address)->sin6_addr))
		return true;
	return is_our_own(address);
}

/* ---- what is listed ---- */

static bool read_address(const char *host, struct sockaddr_storage *ret_address)
{
	struct sockaddr_storage address = {.ss_family = AF_INET};
	if (inet_pton(AF_INET, host, &((struct sockaddr_in *)&address)->sin_addr) != 1) {
		address.ss_family = AF_INET6;
		if (inet_pton(AF_INET6, host, &((struct sockaddr_in6 *)&address)->sin6_addr) != 1)
			return false;
	}
	*ret_address = address;
	return true;
}

/* An entry without a port is for every port. */
static bool is_listed(const struct cw_value *list, const struct sockaddr_storage *address, uint16_t port)
{
	const char *error;
	for (uint32_t i = 0; list && list->known && i < list->count; i++) {
		struct address entry;
		struct sockaddr_storage listed;
		if (address_parse(list->children[i].string, port, &entry, &error) == 0 && entry.port == port &&
		    read_address(entry.host, &listed) && is_same_host(&listed, address))
			return true;
	}
	return false;
}

bool http_may_connect(const struct cw_value *options, const struct sockaddr_storage *address, uint16_t port)
{
	return !http_is_local(address) || is_listed(cw_get(options, "allow_local"), address, port);
}

void http_check_guarded(const struct cw_value *options, const char *url_key, struct cw_problems *problems)
{
	const struct cw_value *url = cw_get(options, url_key), *list = cw_get(options, "allow_local");
	struct http_address to;
	struct sockaddr_storage address;
	char unused[HTTP_REASON_MAX];
	const char *error;
	for (uint32_t i = 0; list && list->known && i < list->count; i++) {
		struct address entry;
		if (address_parse(list->children[i].string, /* any */ 1, &entry, &error) < 0 ||
		    !read_address(entry.host, &address))
			problems->error(
				problems, &list->children[i],
				"allow_local holds addresses, with or without a port: 127.0.0.1, 10.0.0.5:9000, "
				"[::1]:9000");
	}
	if (!url || !url->known || !url->string || http_address_parse(url->string, &to, unused) < 0)
		return;
	if (read_address(to.at.host, &address) && !http_may_connect(options, &address, to.at.port))
		problems->error(problems, url,
				"%s leads to this machine itself or what is on its link only; if that is meant, set "
				"allow_local: [\"%s\"]",
				url_key, to.at.host);
}
