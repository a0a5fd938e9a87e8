/* SPDX-License-Identifier: MIT
 *
 * Output `collectd`: samples into a collectd that runs already, by its UNIX socket (`socket`) or its network protocol
 * (`network`). See collectd.h for where things are. This file is what the plugin says about itself, and hands each
 * callback to the way that was configured.
 */
#include "collectd.h"
#include "connect/collectd-socket.h"
#include "seal.h"

#include "address.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct output {
	const struct way *way;
	void *state; /* the way's */
};

static bool is_given(const struct cw_value *options, const char *key)
{
	const struct cw_value *value = cw_get(options, key);
	return value && value->is_set;
}

/* ---- the options ---- */

static void check_secrets(const struct cw_value *network, struct cw_problems *problems)
{
	const char *user = cw_get_string(network, "username");
	const struct cw_value *security = cw_get(network, "security");
	bool has_both = is_given(network, "username") && is_given(network, "password");
	if (cw_get_integer(network, "security", SECURITY_NONE) == SECURITY_NONE) {
		if (is_given(network, "username") || is_given(network, "password"))
			problems->warning(problems, security,
					  "security: with `none` username and password are not "
					  "used; say `sign` or `encrypt`");
	} else if (!has_both) {
		problems->error(
			problems, security,
			"security: `%s` needs a username and a password (better in a file: password_file), as in "
			"collectd's AuthFile",
			security->string);
	}
	if (user && (!*user || strlen(user) > SEAL_USER_MAX || strpbrk(user, ": \n")))
		problems->error(problems, cw_get(network, "username"),
				"username: 1 to %d bytes, without colon or blank, as in collectd's AuthFile",
				SEAL_USER_MAX);
	const struct cw_value *password = cw_get(network, "password");
	if (password && password->known && !password->string[0])
		problems->error(problems, password, "password: it is empty");
}

static void check_network(const struct cw_value *network, struct cw_problems *problems)
{
	const char *text = cw_get_string(network, "address"), *error;
	struct address address;
	if (text && address_parse(text, NETWORK_PORT, &address, &error) < 0)
		problems->error(problems, cw_get(network, "address"), "address: %s", error);
	check_secrets(network, problems);
}

static void output_check(const struct cw_value *options, struct cw_problems *problems)
{
	bool has_socket = is_given(options, "socket"), has_network = is_given(options, "network");
	if (has_socket == has_network)
		problems->error(problems, has_socket ? cw_get(options, "network") : NULL,
				"%s: write one of them: socket: /run/collectd-unixsock, or network: { address: "
				"\"HOST:25826\" }",
				has_socket ? "`socket` and `network` are two ways to a collectd"
					   : "neither `socket` nor `network` is given");
	if (has_socket)
		collectd_socket_check(cw_get(options, "socket"), problems);
	if (has_network)
		check_network(cw_get(options, "network"), problems);
}

/* ---- the plugin ---- */

static int output_start(struct cw_instance *self, const struct cw_host *host, const struct cw_value *options,
			void **ret_state)
{
	struct output *output = calloc(1, sizeof(*output));
	if (!output)
		return -ENOMEM;
	*ret_state = output;
	output->way = is_given(options, "socket") ? &unixsock_way : &network_way;
	return output->way->start(self, host, options, &output->state);
}

static int output_write(void *state, const struct cw_batch *batch)
{
	const struct output *output = state;
	return output->way->write(output->state, batch);
}

static void output_examine(void *state, uint32_t check)
{
	const struct output *output = state;
	output->way->examine(output->state, check);
}

static void output_stop(void *state)
{
	const struct output *output = state;
	output->way->stop(output->state);
}

static void output_release(void *state)
{
	struct output *output = state;
	if (!output)
		return;
	output->way->release(output->state);
	free(output);
}

static const char *const security_names[] = {"none", "sign", "encrypt", NULL};

static const struct cw_option network_options[] = {
	{.key = "address",
	 .type = CW_OPTION_STRING,
	 .flags = CW_OPTION_REQUIRED,
	 .help = "Where collectd's network plugin listens: host, host:port or [IPv6 address]:port; port 25826 if none "
		 "is "
		 "given"},
	{.key = "security",
	 .type = CW_OPTION_CHOICE,
	 .fallback = "none",
	 .help = "Whether packets are signed (HMAC-SHA256) or encrypted (AES-256); collectd's SecurityLevel",
	 .choices = security_names},
	{.key = "username", .type = CW_OPTION_STRING, .help = "The user, as in collectd's AuthFile"},
	{.key = "password",
	 .type = CW_OPTION_STRING,
	 .flags = CW_OPTION_SECRET,
	 .help = "The user's password; better in a file: password_file"},
	{.key = "rate",
	 .type = CW_OPTION_INT,
	 .fallback = "4000",
	 .flags = CW_OPTION_ADVANCED,
	 .help = "Packets a second at most, of some 35 samples each; a collectd takes about 6000, and what is too much "
		 "is "
		 "lost unseen",
	 .min = 1,
	 .max = 1000000},
};

static const struct cw_option options[] = {
	{.key = "socket",
	 .type = CW_OPTION_STRING,
	 .help = "The socket of collectd's unixsock plugin; this or network"},
	{.key = "network",
	 .type = CW_OPTION_GROUP,
	 .help = "collectd's network plugin, on this or another machine; this or socket",
	 .fields = CW_ARRAY(network_options)},
};

static const struct cw_check checks[CHECKS] = {
	[CHECK_FOUND] = {.name = "found", .help = "The socket is there, or the host's name has an address"},
	[CHECK_CONNECT] = {.name = "connect", .help = "The socket takes connections, or nobody refuses our packets"},
	[CHECK_ANSWERS] = {.name = "answers", .help = "collectd answers, and refuses nothing (socket only)"},
};

static const struct cw_need needs[] = {
	{.what = "collectd.conf, for socket", .line = "LoadPlugin unixsock"},
	{.what = "and in <Plugin unixsock>", .line = "SocketGroup \"callwatch\""},
	{.what = "and in <Plugin unixsock>", .line = "SocketPerms \"0660\""},
};

const struct cw_plugin cw_plugin = {
	CW_PLUGIN_ABI,
	.name = "collectd",
	.summary = "Sends samples to collectd, through its UNIX socket or over the network",
	.role = CW_OUTPUT,
	.options = CW_ARRAY(options),
	.needs = CW_ARRAY(needs),
	.check = output_check,
	.start = output_start,
	.write = output_write,
	.stop = output_stop,
	.release = output_release,
	.checks = CW_ARRAY(checks),
	.examine = output_examine,
};
