/* SPDX-License-Identifier: MIT
 *
 * See ip.h.
 */
#include "ip.h"

#include "address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

enum { V6_CLIENT_BYTES = 8 };

static uint32_t size_of(const struct ip *address)
{
	return address->is_v6 ? 16 : 4;
}

static void unmap(struct ip *address)
{
	static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
	if (!address->is_v6 || memcmp(address->bytes, mapped, sizeof mapped) != 0)
		return;
	struct ip v4 = {.is_v6 = false};
	memcpy(v4.bytes, address->bytes + sizeof mapped, 4);
	*address = v4;
}

bool ip_parse(struct ip *address, const char *text, size_t length)
{
	char copy[IP_TEXT_MAX];
	if (length == 0 || length >= sizeof copy || memchr(text, '\0', length))
		return false;
	memcpy(copy, text, length);
	copy[length] = '\0';
	struct ip parsed = {.is_v6 = strchr(copy, ':') != NULL};
	if (inet_pton(parsed.is_v6 ? AF_INET6 : AF_INET, copy, parsed.bytes) != 1)
		return false;
	unmap(&parsed);
	*address = parsed;
	return true;
}

void ip_print(const struct ip *address, char text[IP_TEXT_MAX])
{
	if (!inet_ntop(address->is_v6 ? AF_INET6 : AF_INET, address->bytes, text, IP_TEXT_MAX))
		text[0] = '\0';
}

bool ip_equal(const struct ip *a, const struct ip *b)
{
	return a->is_v6 == b->is_v6 && memcmp(a->bytes, b->bytes, size_of(a)) == 0;
}

struct ip ip_client(const struct ip *address)
{
	struct ip client = *address;
	if (client.is_v6)
		memset(client.bytes + V6_CLIENT_BYTES, 0, sizeof client.bytes - V6_CLIENT_BYTES);
	return client;
}

bool ip_is_loopback(const struct ip *address)
{
	static const struct ip v6 = {.is_v6 = true, .bytes = {[15] = 1}};
	return address->is_v6 ? ip_equal(address, &v6) : address->bytes[0] == 127;
}

bool ip_is_any(const struct ip *address)
{
	static const uint8_t zeros[16];
	return memcmp(address->bytes, zeros, size_of(address)) == 0;
}

/* The number of 1 to `most_digits` digits without a leading zero; -1: it is none. */
static int32_t parse_number(const char *text, size_t length, size_t most_digits)
{
	int32_t value = 0;
	if (length == 0 || length > most_digits || (length > 1 && text[0] == '0'))
		return -1;
	for (size_t i = 0; i < length; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -1;
		value = value * 10 + (text[i] - '0');
	}
	return value;
}

bool port_parse(uint16_t *port, const char *text, size_t length)
{
	int32_t value = parse_number(text, length, /* most_digits: */ 5);
	if (value < 1 || value > UINT16_MAX)
		return false;
	*port = (uint16_t)value;
	return true;
}

bool endpoint_parse(struct endpoint *endpoint, const char *text)
{
	struct address address;
	const char *error;
	if (address_parse(text, /* port: */ 0, &address, &error))
		return false;
	endpoint->port = address.port;
	/* brackets are for IPv6, and IPv6 is in brackets */
	return (strchr(address.host, ':') != NULL) == (*text == '[') &&
	       ip_parse(&endpoint->ip, address.host, strlen(address.host));
}

size_t endpoint_to_socket(const struct endpoint *endpoint, struct sockaddr_storage *ret_address)
{
	memset(ret_address, 0, sizeof *ret_address);
	if (endpoint->ip.is_v6) {
		struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret_address;
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(endpoint->port);
		memcpy(&v6->sin6_addr, endpoint->ip.bytes, 16);
		return sizeof *v6;
	}
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret_address;
	v4->sin_family = AF_INET;
	v4->sin_port = htons(endpoint->port);
	memcpy(&v4->sin_addr, endpoint->ip.bytes, 4);
	return sizeof *v4;
}

bool endpoint_from_socket(struct endpoint *endpoint, const struct sockaddr *address)
{
	*endpoint = (struct endpoint){0};
	if (address->sa_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
		endpoint->ip.is_v6 = true;
		memcpy(endpoint->ip.bytes, &v6->sin6_addr, 16);
		endpoint->port = ntohs(v6->sin6_port);
		unmap(&endpoint->ip);
		return true;
	}
	if (address->sa_family != AF_INET)
		return false;
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
	memcpy(endpoint->ip.bytes, &v4->sin_addr, 4);
	endpoint->port = ntohs(v4->sin_port);
	return true;
}

/* Are the bits of a and b equal, from `from` up to `to`? */
static bool same_bits(const struct ip *a, const struct ip *b, uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++)
		if (((a->bytes[i / 8] ^ b->bytes[i / 8]) >> (7 - i % 8)) & 1)
			return false;
	return true;
}

bool network_parse(struct network *network, const char *text)
{
	const char *slash = strchr(text, '/');
	size_t length = slash ? (size_t)(slash - text) : strlen(text);
	if (!ip_parse(&network->ip, text, length))
		return false;
	uint32_t most = size_of(&network->ip) * 8;
	int32_t bits = slash ? parse_number(slash + 1, strlen(slash + 1), /* most_digits: */ 3) : (int32_t)most;
	if (bits < 0 || (uint32_t)bits > most)
		return false;
	static const struct ip zeros;
	network->bits = (uint32_t)bits;
	return same_bits(&network->ip, &zeros, network->bits, most);
}

bool network_has(const struct network *network, const struct ip *address)
{
	return network->ip.is_v6 == address->is_v6 && same_bits(&network->ip, address, /* from: */ 0, network->bits);
}
