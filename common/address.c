/* SPDX-License-Identifier: MIT
 *
 * See address.h.
 */
#include "address.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int parse_port(const char *text, uint16_t *ret_port)
{
	uint32_t port = 0;
	size_t digits = strspn(text, "0123456789");
	if (digits == 0 || digits > 5 || text[digits])
		return -EINVAL;
	for (size_t i = 0; i < digits; i++)
		port = port * 10 + (uint32_t)(text[i] - '0');
	if (port == 0 || port > UINT16_MAX)
		return -EINVAL;
	*ret_port = (uint16_t)port;
	return 0;
}

/* What can be no name and no address; the rest is the resolver's to judge. */
static bool is_host(const char *host, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)host[i] <= ' ' || host[i] == 0x7f || strchr("/[]@", host[i]))
			return false;
	return length > 0 && length <= ADDRESS_HOST_MAX;
}

int address_parse(const char *text, uint16_t port, struct address *ret_address, const char **ret_error)
{
	const char *host = text, *end = text + strlen(text), *after = end;
	const char *colon = strchr(text, ':');
	if (text[0] == '[') {
		const char *bracket = strchr(text, ']');
		*ret_error = "a ] is missing after the IPv6 address";
		if (!bracket)
			return -EINVAL;
		host++;
		end = bracket;
		after = bracket + 1;
	} else if (colon && !strchr(colon + 1, ':')) { /* more than one colon: an IPv6 address alone */
		end = after = colon;
	}
	size_t length = (size_t)(end - host);
	*ret_error = "it is no host:port, such as relay:2003, 10.0.0.5:2003 or [2001:db8::1]:2003";
	if (!is_host(host, length) || (*after && *after != ':'))
		return -EINVAL;
	*ret_error = *after ? "the port must be a number from 1 to 65535" : "the port is missing: host:port";
	if (*after ? parse_port(after + 1, &port) < 0 : port == 0)
		return -EINVAL;
	memcpy(ret_address->host, host, length);
	ret_address->host[length] = '\0';
	ret_address->port = port;
	return 0;
}

const char *address_text(const struct address *address, char buffer[ADDRESS_TEXT_SIZE])
{
	snprintf(buffer, ADDRESS_TEXT_SIZE, strchr(address->host, ':') ? "[%s]:%u" : "%s:%u", address->host,
		 address->port);
	return buffer;
}
