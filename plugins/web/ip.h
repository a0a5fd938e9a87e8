/* SPDX-License-Identifier: MIT
 *
 * Addresses of IPv4 and IPv6, and networks of them, as they are written in the configuration and in headers. Pure.
 * Private to the plugin web.
 *
 * Numbers only: a name would have to be looked up, and what it says may change while we listen. An IPv4 address that is
 * written as IPv6 (::ffff:10.0.0.1) is the IPv4 address.
 */
#ifndef CALLWATCH_WEB_IP_H
#define CALLWATCH_WEB_IP_H

#include "callwatch/types.h"

struct sockaddr;
struct sockaddr_storage;

struct ip {
	bool is_v6;
	uint8_t bytes[16]; /* the first 4 of IPv4 */
};

struct endpoint {
	struct ip ip;
	uint16_t port;
};

struct network {
	struct ip ip;
	uint32_t bits; /* that count */
};

enum { IP_TEXT_MAX = 48 };

bool ip_parse(struct ip *address, const char *text, size_t length); /* without brackets */
void ip_print(const struct ip *address, char text[IP_TEXT_MAX]);
bool ip_equal(const struct ip *a, const struct ip *b);
/* What belongs to one client, as far as is known: the address, or the network of 64 bits that one is given in IPv6. */
struct ip ip_client(const struct ip *address);
bool ip_is_loopback(const struct ip *address);
bool ip_is_any(const struct ip *address); /* 0.0.0.0, :: */
/* 1 to 5 digits, 1 to 65535. */
bool port_parse(uint16_t *port, const char *text, size_t length);

/* `127.0.0.1:8470`, `[::1]:8470`. */
bool endpoint_parse(struct endpoint *endpoint, const char *text);
size_t endpoint_to_socket(const struct endpoint *endpoint, struct sockaddr_storage *ret_address); /* its size */
bool endpoint_from_socket(struct endpoint *endpoint, const struct sockaddr *address); /* false: another family */

/* `10.0.0.0/8`, or an address. Bits beyond the network's must be 0: else it is a slip. */
bool network_parse(struct network *network, const char *text);
bool network_has(const struct network *network, const struct ip *address);

#endif
