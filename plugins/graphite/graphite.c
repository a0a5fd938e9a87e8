/* SPDX-License-Identifier: MIT
 *
 * Output `graphite`: samples to one Graphite receiver (carbon, a relay), over TCP or UDP. Options: address, protocol,
 * prefix, template, tags, counters, resend, rate, reconnect_every. Several receivers are several instances, each with a
 * queue and a spool of its own.
 *
 *     write(): a batch ──▶ lines.h, when there is room ──▶ relay.h (flight.h) ──▶ the receiver
 *                                                             │ has all of it
 *     write_done() ◀──────────────────────────────────────────┘
 *
 * A batch is kept until it is with the receiver, over as many connections as that takes, and counts as sent only then;
 * meanwhile what comes waits in the instance's queue, where it is bounded and counted. It is turned into lines only
 * once, so that rates are right however often a connection breaks.
 */
#include "callwatch/plugin.h"

#include "lines.h"
#include "relay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PORT = 2003, FILL_BYTES = 60 * 1024, CHECK_NAME = 0, CHECK_CONNECTION = 1, CHECK_TAKEN = 2 };

struct output {
	struct cw_instance *self;
	const struct cw_host *host;
	struct relay_settings settings;
	struct relay *relay;
	struct lines lines;
	const struct cw_batch *batch; /* on its way, referenced; NULL: none */
	uint32_t next;                /* its first sample that is not a line yet */
	bool has_begun;               /* its names are made */

	struct cw_resolve *resolve; /* of a check under way; NULL: none */
};

/* ---- options ---- */

/* 0, or -EINVAL, a sentence, and the option it is about. */
static int parse_form(const struct cw_value *options, struct graphite_form *ret_form, const struct cw_value **ret_value,
		      char error[FORMAT_GRAPHITE_ERROR_MAX])
{
	const char *prefix = cw_get_string(options, "prefix"), *template = cw_get_string(options, "template");
	*ret_value = cw_get(options, "prefix");
	if (graphite_check_prefix(prefix, error) < 0)
		return -EINVAL;
	*ret_value = cw_get(options, "template");
	if (!cw_get_bool(options, "tags"))
		return graphite_form_path(ret_form, prefix, template, error);
	graphite_form_tags(ret_form, prefix);
	return 0;
}

static void check_names(const struct cw_value *options, struct cw_problems *problems)
{
	struct graphite_form form;
	const struct cw_value *value, *template = cw_get(options, "template");
	char error[FORMAT_GRAPHITE_ERROR_MAX];
	if (parse_form(options, &form, &value, error) < 0)
		problems->error(problems, value, "%s: %s", value->key, error);
	else if (form.tagged && template->is_set)
		problems->error(problems, template, "template: with `tags: true` names are not made of a path");
	else if (!form.tagged && !graphite_form_has(&form, GRAPHITE_INSTANCE))
		problems->warning(problems, template,
				  "template: without {instance} two instances that have the same metric share a path");
}

static void check_protocol(const struct cw_value *options, struct cw_problems *problems, bool udp)
{
	const struct cw_value *rate = cw_get(options, "rate"), *every = cw_get(options, "reconnect_every");
	if (!udp && rate->is_set)
		problems->warning(problems, rate, "rate: is for `protocol: udp`; TCP keeps the receiver's pace");
	if (udp && every->is_set)
		problems->warning(problems, every, "reconnect_every: there is no connection with `protocol: udp`");
}

static void output_check(const struct cw_value *options, struct cw_problems *problems)
{
	const struct cw_value *place = cw_get(options, "address");
	struct address address;
	const char *error;
	if (place->known && address_parse(place->string, PORT, &address, &error) < 0)
		problems->error(problems, place, "address: %s", error);
	check_names(options, problems);
	check_protocol(options, problems, cw_get_integer(options, "protocol", 0) == 1);
}

static void read_settings(const struct cw_value *options, struct relay_settings *settings)
{
	const char *error; /* check() has seen that there is none */
	address_parse(cw_get_string(options, "address"), PORT, &settings->address, &error);
	settings->udp = cw_get_integer(options, "protocol", 0) == 1;
	settings->rate = cw_get_integer(options, "rate", 0);
	settings->reconnect_every = cw_get_integer(options, "reconnect_every", 0);
	settings->history = (size_t)cw_get_integer(options, "resend", 0);
}

/* ---- a batch ---- */

static void drop(struct output *output, enum lines_outcome outcome)
{
	output->host->dropped(output->self, outcome == LINES_COLLISION ? CW_DROP_COLLISION : CW_DROP_INVALID, 1);
}

/* Lines of the batch's next samples. Without memory even for one line its sample is dropped, so that the others come
 * to their turn. */
static void on_fill(void *arg, struct buffer *out)
{
	struct output *output = arg;
	const struct cw_array *samples = &output->batch->samples;
	size_t start = out->length;
	if (!output->has_begun && lines_begin(&output->lines, output->batch) < 0) {
		output->host->dropped(output->self, CW_DROP_INVALID, samples->count);
		output->next = samples->count;
	}
	output->has_begun = true;
	while (output->next < samples->count && out->length - start < FILL_BYTES) {
		enum lines_outcome outcome = lines_add(&output->lines, out, cw_at(samples, output->next));
		if (outcome == LINES_NO_ROOM && out->length > start)
			break;
		if (outcome != LINES_ADDED)
			drop(output, outcome);
		output->next++;
	}
}

static void on_settled(void *arg)
{
	struct output *output = arg;
	const struct cw_batch *batch = output->batch;
	output->batch = NULL;
	output->host->batch_unref(batch);
	output->host->write_done(output->self, 0);
}

static int output_write(void *state, const struct cw_batch *batch)
{
	struct output *output = state;
	output->batch = output->host->batch_ref(batch);
	output->next = 0;
	output->has_begun = false;
	relay_push(output->relay);
	return CW_LATER;
}

/* ---- callwatch doctor ---- */

static void on_name(void *arg, int status, const struct sockaddr_storage *addresses, uint32_t n)
{
	struct output *output = arg;
	(void)addresses;
	output->resolve = NULL;
	if (status == 0)
		output->host->examined(output->self, CW_CHECK_OK, "%s has %u address%s", output->settings.address.host,
				       n, n == 1 ? "" : "es");
	else
		output->host->examined(output->self, CW_CHECK_FAILED, "%s: %s; mend `address`, or the name server",
				       output->settings.address.host,
				       status == -ENOENT ? "no such host name" : "the name server does not answer");
}

/* Of a check that nobody waits for any more. */
static void forget_name(struct output *output)
{
	if (output->resolve)
		output->host->resolve_cancel(output->resolve);
	output->resolve = NULL;
}

static void examine_name(struct output *output)
{
	const struct address *address = &output->settings.address;
	forget_name(output);
	if (output->host->resolve(output->self, address->host, address->port, on_name, output, &output->resolve) == 0)
		return;
	output->resolve = NULL;
	output->host->examined(output->self, CW_CHECK_FAILED, "%s cannot be looked up", address->host);
}

static double seconds_since(const struct output *output, int64_t instant)
{
	return (double)(output->host->now() - instant) / (double)CW_SECOND;
}

static void examine_connection(struct output *output)
{
	struct relay_view view;
	relay_look(output->relay, &view);
	if (!view.connected)
		output->host->examined(output->self, CW_CHECK_FAILED, "%s",
				       *view.reason ? view.reason
						    : "not connected yet: start the receiver, or mend `address`");
	else if (output->settings.udp)
		output->host->examined(output->self, CW_CHECK_OK, "%s does not object to datagrams", view.peer);
	else
		output->host->examined(output->self, CW_CHECK_OK, "connected to %s for %.0f s", view.peer,
				       seconds_since(output, view.since));
}

static void examine_taken(struct output *output)
{
	struct relay_view view;
	relay_look(output->relay, &view);
	double waiting = (double)view.waiting / (double)CW_SECOND;
	if (waiting >= 5)
		output->host->examined(output->self, CW_CHECK_FAILED,
				       "data waits and none was taken for %.0f s: does the receiver hang?", waiting);
	else if (view.taken)
		output->host->examined(output->self, CW_CHECK_OK, "data was last taken %.0f s ago",
				       seconds_since(output, view.taken));
	else
		output->host->examined(output->self, CW_CHECK_WARNING, "no data was sent yet");
}

static void output_examine(void *state, uint32_t check)
{
	static void (*const examine[])(struct output * output) = {
		[CHECK_NAME] = examine_name, [CHECK_CONNECTION] = examine_connection, [CHECK_TAKEN] = examine_taken};
	examine[check](state);
}

/* ---- the plugin ---- */

static int output_start(struct cw_instance *self, const struct cw_host *host, const struct cw_value *options,
			void **ret_state)
{
	static const struct relay_callbacks callbacks = {.fill = on_fill, .settled = on_settled};
	struct output *output = calloc(1, sizeof(*output));
	if (!output)
		return -ENOMEM;
	*ret_state = output;
	output->self = self;
	output->host = host;
	read_settings(options, &output->settings);
	struct graphite_form form;
	const struct cw_value *value;
	char error[FORMAT_GRAPHITE_ERROR_MAX];
	parse_form(options, &form, &value, error); /* check() has seen that it can */
	lines_init(&output->lines, &form, cw_get_integer(options, "counters", 0) == 1);
	host->state(self, CW_STARTING, /* next_try */ 0, "%s", "");
	return relay_open(self, host, &output->settings, &callbacks, output, &output->relay);
}

static void output_stop(void *state)
{
	struct output *output = state;
	relay_close(output->relay);
	forget_name(output);
}

static void output_release(void *state)
{
	struct output *output = state;
	if (!output)
		return;
	output->host->batch_unref(output->batch);
	lines_release(&output->lines);
	free(output);
}

static const char *const protocols[] = {"tcp", "udp", NULL};
static const char *const counters[] = {"raw", "rate", NULL};

static const struct cw_option options[] = {
	{.key = "address",
	 .type = CW_OPTION_STRING,
	 .flags = CW_OPTION_REQUIRED,
	 .help = "Where the receiver is: host or host:port; port 2003 if it has none"},
	{.key = "protocol",
	 .type = CW_OPTION_CHOICE,
	 .fallback = "tcp",
	 .choices = protocols,
	 .help = "tcp, where what is lost with a connection is sent again, or udp, where nobody knows"},
	{.key = "prefix",
	 .type = CW_OPTION_STRING,
	 .fallback = format_graphite_prefix,
	 .help = "The first part of every name; may have dots, or be empty"},
	{.key = "template",
	 .type = CW_OPTION_STRING,
	 .fallback = format_graphite_template,
	 .help = "What a path is made of: words, {prefix}, {host}, {instance}, {metric} and {labels}, between dots"},
	{.key = "tags",
	 .type = CW_OPTION_BOOL,
	 .fallback = "false",
	 .help = "Tagged names, metric;host=…;plugin_instance=…;label=…, with the agent's labels, in place of paths"},
	{.key = "counters",
	 .type = CW_OPTION_CHOICE,
	 .fallback = "raw",
	 .choices = counters,
	 .help = "Counters as they are, or as their growth per second since the sample before"},
	{.key = "resend",
	 .type = CW_OPTION_SIZE,
	 .fallback = "256KiB",
	 .max = 16 << 20,
	 .help = "How much of what was sent last is sent again when a connection is lost, for the receiver may not "
		 "have "
		 "read it"},
	{.key = "rate",
	 .type = CW_OPTION_INT,
	 .flags = CW_OPTION_ADVANCED,
	 .fallback = "1000",
	 .min = 10,
	 .max = 1000000,
	 .help = "UDP: how many datagrams a second at most, of some 20 lines each"},
	{.key = "reconnect_every",
	 .type = CW_OPTION_DURATION,
	 .flags = CW_OPTION_ADVANCED,
	 .min = 1e9,
	 .max = 7 * 86400e9,
	 .help = "TCP: a new connection after this time, to be spread anew by a load balancer; without it, never"},
};

static const struct cw_check checks[] = {
	[CHECK_NAME] = {"name", "The host in `address` has an address"},
	[CHECK_CONNECTION] = {"connection", "There is a connection to the receiver (UDP: nobody refuses)"},
	[CHECK_TAKEN] = {"taken", "The receiver takes what is sent"},
};

const struct cw_plugin cw_plugin = {
	CW_PLUGIN_ABI,
	.name = "graphite",
	.summary = "Sends samples to a Graphite receiver, over TCP or UDP",
	.role = CW_OUTPUT,
	.options = CW_ARRAY(options),
	.check = output_check,
	.start = output_start,
	.write = output_write,
	.stop = output_stop,
	.release = output_release,
	.checks = CW_ARRAY(checks),
	.examine = output_examine,
};
