/* SPDX-License-Identifier: MIT
 *
 * postgresql:// addresses, read by libpq's own parser, and the hosts that are in them. What libpq says about a bad one
 * is not passed on: it repeats parts of what was written, and that may hold a password.
 */
#include "connect/postgres.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PORT = 5432 };

static int wrong(char error[POSTGRES_ERROR_MAX], const char *sentence)
{
	snprintf(error, POSTGRES_ERROR_MAX, "%s", sentence);
	return -EINVAL;
}

static const char *option_of(const PQconninfoOption *options, const char *keyword)
{
	for (; options && options->keyword; options++)
		if (strcmp(options->keyword, keyword) == 0)
			return options->val && options->val[0] ? options->val : NULL;
	return NULL;
}

/* Item `index` of a list with commas, copied; "" if there are fewer. -EINVAL: it does not fit. */
static int item_of(const char *list, uint32_t index, char *buffer, size_t size)
{
	for (uint32_t i = 0; list && i < index; i++) {
		list = strchr(list, ',');
		list = list ? list + 1 : NULL;
	}
	size_t length = list ? strcspn(list, ",") : 0;
	if (length >= size)
		return -EINVAL;
	memcpy(buffer, list ? list : "", length);
	buffer[length] = '\0';
	return 0;
}

static uint32_t count_items(const char *list)
{
	uint32_t count = 1;
	for (; list && *list; list++)
		count += *list == ',';
	return count;
}

/* One port for all hosts, or one for each. */
static int port_of(const char *ports, uint32_t index, uint16_t *ret_port)
{
	char text[16], *end;
	*ret_port = PORT;
	if (!ports)
		return 0;
	if (item_of(ports, count_items(ports) == 1 ? 0 : index, text, sizeof(text)) < 0)
		return -EINVAL;
	unsigned long port = strtoul(text, &end, 10);
	if (text[0] && (*end || port == 0 || port > 65535))
		return -EINVAL;
	*ret_port = text[0] ? (uint16_t)port : PORT;
	return 0;
}

static int take_hosts(const char *hosts, const char *addresses, const char *ports, struct postgres_address *address,
		      char error[POSTGRES_ERROR_MAX])
{
	address->count = count_items(addresses ? addresses : hosts);
	if (address->count > POSTGRES_HOSTS_MAX)
		return wrong(error, "the address names more than 8 hosts");
	if (hosts && addresses && count_items(hosts) != address->count)
		return wrong(error, "host and hostaddr name different numbers of hosts");
	if (ports && count_items(ports) != 1 && count_items(ports) != address->count)
		return wrong(error, "there must be one port for all hosts, or one for each");
	for (uint32_t i = 0; i < address->count; i++) {
		char *host = address->hosts[i].host, *look_up = address->hosts[i].look_up;
		if (item_of(hosts, i, host, POSTGRES_HOST_MAX) < 0 ||
		    item_of(addresses, i, look_up, POSTGRES_HOST_MAX) < 0)
			return wrong(error, "the address has a host that is too long");
		if (port_of(ports, i, &address->hosts[i].port) < 0)
			return wrong(error, "the port must be a number from 1 to 65535");
		if ((addresses && !look_up[0]) || (address->count > 1 && !look_up[0] && !host[0]))
			return wrong(error, "one of the hosts is empty");
		address->hosts[i].is_unix = !look_up[0] && (!host[0] || host[0] == '/' || host[0] == '@');
		if (!look_up[0])
			memcpy(look_up, host, strlen(host) + 1);
	}
	return 0;
}

/* Without a host in the URL, that of the environment (PGHOST, PGSERVICE …), else libpq's socket. */
static int take_default_hosts(const char *ports, struct postgres_address *address, char error[POSTGRES_ERROR_MAX])
{
	PQconninfoOption *defaults = PQconndefaults();
	int status = take_hosts(option_of(defaults, "host"), option_of(defaults, "hostaddr"),
				ports ? ports : option_of(defaults, "port"), address, error);
	PQconninfoFree(defaults);
	return status;
}

int postgres_address_parse(const char *url, struct postgres_address *ret_address, char error[POSTGRES_ERROR_MAX])
{
	struct postgres_address address = {.count = 0};
	if (strncmp(url, "postgresql://", 13) != 0 && strncmp(url, "postgres://", 11) != 0)
		return wrong(error, "an address begins with postgresql://");
	PQconninfoOption *options = PQconninfoParse(url, /* errmsg */ NULL);
	if (!options)
		return wrong(error,
			     "the address cannot be read; its form is "
			     "postgresql://user@host:5432/database?sslmode=verify-full (write special characters "
			     "as %40, and names of parameters as libpq has them)");
	int status;
	const char *hosts = option_of(options, "host"), *addresses = option_of(options, "hostaddr");
	const char *ports = option_of(options, "port");
	if (option_of(options, "password") || option_of(options, "sslpassword"))
		status = wrong(error, "an address must not hold a password, it is shown in many places: put the "
				      "password into a file and say password_file: FILE (or password: ${VARIABLE})");
	else if (option_of(options, "service"))
		status = wrong(error, "service= is not looked up here: write the host and the database");
	else if (hosts || addresses)
		status = take_hosts(hosts, addresses, ports, &address, error);
	else
		status = take_default_hosts(ports, &address, error);
	PQconninfoFree(options);
	if (status == 0)
		*ret_address = address;
	return status;
}

/* Does the URL name a role, and another one? */
static bool names_other_user(const char *url, const char *username)
{
	PQconninfoOption *options = PQconninfoParse(url, /* errmsg */ NULL);
	const char *user = option_of(options, "user");
	bool other = user && username && strcmp(user, username) != 0;
	PQconninfoFree(options);
	return other;
}

void postgres_check_options(const struct cw_value *options, struct cw_problems *problems)
{
	const struct cw_value *url = cw_get(options, "url");
	struct postgres_address address;
	char error[POSTGRES_ERROR_MAX];
	if (!url || !url->known || !url->string)
		return;
	if (postgres_address_parse(url->string, &address, error) < 0)
		problems->error(problems, url, "%s", error);
	else if (names_other_user(url->string, cw_get_string(options, "username")))
		problems->error(problems, cw_get(options, "username"),
				"the address names another user; say it in one place");
}
