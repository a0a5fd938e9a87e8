/* SPDX-License-Identifier: MIT
 *
 * Where something is in the network, as people write it into a configuration: `host`, `host:port`, `10.0.0.5:2003`,
 * `[2001:db8::1]:2003`, `2001:db8::1`. For both sides of the contract.
 */
#ifndef CALLWATCH_COMMON_ADDRESS_H
#define CALLWATCH_COMMON_ADDRESS_H

#include <stdint.h>

enum { ADDRESS_HOST_MAX = 253 }; /* the longest name of DNS */

struct address {
	char host[ADDRESS_HOST_MAX + 1]; /* name or address, without brackets */
	uint16_t port;
};

/* `port` where the text has none; 0: it must have one. 0, or -EINVAL and *ret_error says what is wrong, a constant
 * without a trailing period. Whether there is such a host is not asked. */
int address_parse(const char *text, uint16_t port, struct address *ret_address, const char **ret_error);

/* As people write it: host:port, [host]:port if the host has colons. */
enum { ADDRESS_TEXT_SIZE = ADDRESS_HOST_MAX + 10 };
const char *address_text(const struct address *address, char buffer[ADDRESS_TEXT_SIZE]);

#endif
