/* SPDX-License-Identifier: MIT
 *
 * A mapping held against an option table: values, refusals with their place, connections, files, fingerprints, tables
 * that are wrong themselves.
 */
#include "options.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const char *const modes[] = {"reset", "push", "publish", NULL};

static const struct cw_option sweep[] = {
	{.key = "budget", .type = CW_OPTION_RATIO, .fallback = "5%", .max = 1, .help = "h"},
	{.key = "max_age", .type = CW_OPTION_DURATION, .fallback = "60s", .help = "h"},
};

static const struct cw_option listener[] = {
	{.key = "address", .type = CW_OPTION_STRING, .flags = CW_OPTION_REQUIRED, .help = "h"},
	{.key = "only", .type = CW_OPTION_CHOICE, .choices = modes, .help = "h"},
};

static const struct cw_option options[] = {
	{.key = "url",
	 .type = CW_OPTION_STRING,
	 .flags = CW_OPTION_REQUIRED | CW_OPTION_CONNECTION,
	 .help = "Where to"},
	{.key = "password", .type = CW_OPTION_STRING, .flags = CW_OPTION_SECRET | CW_OPTION_CONNECTION, .help = "h"},
	{.key = "pin", .type = CW_OPTION_INT, .flags = CW_OPTION_SECRET, .min = 1, .max = 9999, .help = "h"},
	{.key = "on", .type = CW_OPTION_BOOL, .help = "h"},
	{.key = "port", .type = CW_OPTION_INT, .fallback = "6379", .min = 1, .max = 65535, .help = "h"},
	{.key = "factor", .type = CW_OPTION_NUMBER, .min = 0.5, .max = HUGE_VAL, .help = "h"},
	{.key = "stale_after", .type = CW_OPTION_DURATION, .min = 1e9, .max = 3600e9, .help = "h"},
	{.key = "spool_size", .type = CW_OPTION_SIZE, .min = 1024, .max = 1048576, .help = "h"},
	{.key = "mode", .type = CW_OPTION_CHOICE, .choices = modes, .fallback = "push", .help = "h"},
	{.key = "to", .type = CW_OPTION_LIST, .fallback = "[a, b]", .help = "h"},
	{.key = "extra_fields", .type = CW_OPTION_MAP, .help = "h"},
	{.key = "sweep", .type = CW_OPTION_GROUP, .fields = CW_ARRAY(sweep), .help = "h"},
	{.key = "listen", .type = CW_OPTION_ITEMS, .fields = CW_ARRAY(listener), .fallback = "[unix:/x]", .help = "h"},
	{.key = "where", .type = CW_OPTION_WHERE, .help = "h"},
	{.key = "lookup", .type = CW_OPTION_INSTANCE, .help = "h"},
	{.key = "tls_file", .type = CW_OPTION_STRING, .help = "h"},
};

static const struct cw_array table = CW_ARRAY(options);

struct checked {
	struct problems problems;
	struct yaml *yaml, *connection;
	struct cw_value *values;
};

static struct checked check_at(const char *file, const char *text, const char *connection, bool read_files)
{
	struct checked checked = {.values = NULL};
	problems_init(&checked.problems);
	checked.yaml = yaml_read_text(text, strlen(text), file, &checked.problems);
	if (connection)
		checked.connection = yaml_read_text(connection, strlen(connection), "c.yaml", &checked.problems);
	assert_int_equal(checked.problems.count, 0);
	const struct options_context context = {.tables = {&table, NULL},
						.subject = "plugin x",
						.connection = connection ? yaml_root(checked.connection) : NULL,
						.read_files = read_files,
						.problems = &checked.problems};
	checked.values = options_check(&context, yaml_root(checked.yaml));
	return checked;
}

static struct checked check(const char *text)
{
	return check_at("a.yaml", text, NULL, true);
}

static void done(struct checked *checked)
{
	options_free(checked->values);
	yaml_free(checked->yaml);
	yaml_free(checked->connection);
	problems_release(&checked->problems);
}

static void values__are_typed_and_complete(void **state)
{
	(void)state;
	struct checked checked =
		check("url: redis://h\non: true\nfactor: 1.5\nstale_after: 120s\nspool_size: 64KiB\n"
		      "extra_fields: {worker: worker_id}\nsweep: {max_age: 30s}\n"
		      "listen: [\"unix:/a\", {address: b, only: push}]\nwhere: [metric=x]\nlookup: b\n");
	const struct cw_value *v = checked.values;
	assert_non_null(v);
	assert_string_equal(cw_get_string(v, "url"), "redis://h");
	assert_true(cw_get_bool(v, "on"));
	assert_int_equal(cw_get_integer(v, "port", 0), 6379);
	assert_true(cw_get(v, "port")->known);
	assert_false(cw_get(v, "port")->is_set);
	assert_true(cw_get_number(v, "factor", 0) == 1.5);
	assert_int_equal(cw_get_integer(v, "stale_after", 0), 120 * CW_SECOND);
	assert_int_equal(cw_get_integer(v, "spool_size", 0), 65536);
	assert_int_equal(cw_get_integer(v, "mode", 0), 1);
	assert_string_equal(cw_get_string(v, "mode"), "push");
	assert_int_equal(cw_get(v, "to")->count, 2);
	assert_string_equal(cw_get(v, "to")->children[1].string, "b");
	assert_string_equal(cw_get_string(cw_get(v, "extra_fields"), "worker"), "worker_id");
	assert_true(cw_get_number(cw_get(v, "sweep"), "budget", 0) == 0.05);
	assert_int_equal(cw_get_integer(cw_get(v, "sweep"), "max_age", 0), 30 * CW_SECOND);
	assert_string_equal(cw_get_string(&cw_get(v, "listen")->children[0], "address"), "unix:/a");
	assert_int_equal(cw_get_integer(&cw_get(v, "listen")->children[1], "only", -1), 1);
	assert_false(cw_get(v, "password")->known);
	assert_null(cw_get_string(v, "password"));
	const struct place *place = cw_get(v, "on")->place;
	assert_int_equal(place->line, 2);
	assert_int_equal(place->column, 5);
	done(&checked);
}

static void group__not_written__has_its_defaults(void **state)
{
	(void)state;
	struct checked checked = check("url: x\n");
	const struct cw_value *group = cw_get(checked.values, "sweep"), *items = cw_get(checked.values, "listen");
	assert_false(group->known);
	assert_true(cw_get_number(group, "budget", 0) == 0.05);
	assert_string_equal(cw_get_string(&items->children[0], "address"), "unix:/x");
	assert_string_equal(((const struct place *)items->children[0].children[0].place)->file, "a.yaml");
	assert_false(items->is_set);
	done(&checked);
}

static const struct {
	const char *text;
	uint32_t line, column;
	const char *sentence;
} refused[] = {
	{"on: true\n", 1, 1, "plugin x: `url` is required (Where to); it may also come from"},
	{"url: x\nstale_aftr: 5s\n", 2, 1, "plugin x: unknown option `stale_aftr`; did you mean `stale_after`?"},
	{"url: x\ncolour: 5s\n", 2, 1, "unknown option `colour`; known: url, password"},
	{"url: x\nsweep: {budgt: 5%}\n", 2, 9, "unknown option `budgt`; did you mean `budget`?"},
	{"url: [x]\n", 1, 6, "url: expected a text, found a list"},
	{"url:\n", 1, 5, "url: expected a text, found nothing (the empty text is \"\")"},
	{"url: x\non: yes\n", 2, 5, "on: expected true or false, found `yes`"},
	{"url: x\nport: 6379.5\n", 2, 7, "port: expected a whole number, found `6379.5`"},
	{"url: x\nport: 99999\n", 2, 7, "port: `99999` is out of range, allowed is 1 to 65535"},
	{"url: x\nport: 99999999999999999999\n", 2, 7, "port: expected a whole number"},
	{"url: x\nfactor: 0.1\n", 2, 9, "factor: `0.1` is out of range, allowed is at least 0.5"},
	{"url: x\nstale_after: 5\n", 2, 14,
	 "stale_after: expected a duration such as 250ms, 10s, 5m, 4h or 1d, found `5`"},
	{"url: x\nstale_after: 5ms\n", 2, 14, "stale_after: `5ms` is out of range, allowed is 1s to 1h"},
	{"url: x\nspool_size: 5GiB\n", 2, 13, "allowed is 1KiB to 1MiB"},
	{"url: x\nsweep: {budget: 500%}\n", 2, 17, "allowed is 0% to 100%"},
	{"url: x\nmode: pusch\n", 2, 7,
	 "mode: expected one of reset, push, publish, found `pusch`; did you mean `push`?"},
	{"url: x\nto: a\n", 2, 5, "to: expected a list of texts, found `a`"},
	{"url: x\nto: [[a]]\n", 2, 6, "to: expected a text, found a list"},
	{"url: x\nextra_fields: [a]\n", 2, 15, "extra_fields: expected a map of texts, found a list"},
	{"url: x\nsweep: 5%\n", 2, 8, "sweep: expected a map, found `5%`"},
	{"url: x\nlisten: [{only: push}]\n", 2, 10, "`address` is required"},
	{"url: x\nlisten: [[x]]\n", 2, 10, "listen: expected a map, found a list"},
	{"url: x\nwhere: [a==b]\n", 2, 9, "where: `==` at character 2"},
	{"url: x\ntls_file: y\npassword: a\npassword_file: y\n", 4, 1,
	 "`password_file` and `password` (line 3) are the same option"},
	{"url: x\nto_file: y\n", 2, 10, "takes more than one value"},
	{"url: x\npassword: [hunter2]\n", 2, 11, "password: expected a text, found a list"},
	{"url: x\npin: hunter2\n", 2, 6, "pin: expected a whole number, found something else (a secret, not shown)"},
	{"url: x\npin: 31337\n", 2, 6, "pin: the value is out of range, allowed is 1 to 9999"},
	{"- a\n", 1, 1, "plugin x: expected a map, found a list"},
};

static void what_is_refused__has_place_found_and_allowed(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct checked checked = check(refused[i].text);
		assert_null(checked.values);
		if (checked.problems.count != 1)
			fail_msg("%s: %zu problems", refused[i].text, checked.problems.count);
		const struct problem *p = &checked.problems.list[0];
		if (p->line != refused[i].line || p->column != refused[i].column ||
		    !strstr(p->message, refused[i].sentence) || strstr(p->message, "hunter2") ||
		    strstr(p->message, "31337"))
			fail_msg("case %zu: %u:%u: %s", i, p->line, p->column, p->message);
		done(&checked);
	}
}

static void several_errors__are_all_told(void **state)
{
	(void)state;
	struct checked checked = check("on: 1\nport: x\nfoo: 1\n");
	assert_int_equal(checked.problems.errors, 4);
	done(&checked);
}

static void connection__gives_what_the_instance_does_not_say(void **state)
{
	(void)state;
	struct checked checked = check_at("a.yaml", "url: mine\n", "url: theirs\npassword: p\n", true);
	assert_string_equal(cw_get_string(checked.values, "url"), "mine");
	assert_string_equal(cw_get_string(checked.values, "password"), "p");
	done(&checked);
	checked = check_at("a.yaml", "on: true\n", "url: theirs\n", true);
	assert_string_equal(cw_get_string(checked.values, "url"), "theirs");
	done(&checked);
	checked = check_at("a.yaml", "url: x\n", "urll: theirs\nport: 5\n", true);
	assert_int_equal(checked.problems.errors, 2);
	assert_string_equal(checked.problems.list[0].file, "c.yaml");
	assert_string_equal(checked.problems.list[0].message, "plugin x: unknown option `urll`; did you mean `url`?");
	assert_string_equal(checked.problems.list[1].message,
			    "plugin x: `port` cannot come from a connection, write it at the plugin");
	done(&checked);
}

/* --- files --- */

struct folder {
	char path[64], config[96], secret[96];
};

static int make_folder(void **state)
{
	struct folder *folder = calloc(1, sizeof(*folder));
	char path[] = "/tmp/test_options.XXXXXX";
	if (!mkdtemp(path))
		return -1;
	memcpy(folder->path, path, sizeof(path));
	snprintf(folder->config, sizeof(folder->config), "%s/a.yaml", path);
	snprintf(folder->secret, sizeof(folder->secret), "%s/s", path);
	*state = folder;
	return 0;
}

static int remove_folder(void **state)
{
	struct folder *folder = *state;
	unsetenv("CREDENTIALS_DIRECTORY");
	unlink(folder->secret);
	rmdir(folder->secret);
	rmdir(folder->path);
	free(folder);
	return 0;
}

static void write_secret(const struct folder *folder, const void *bytes, size_t length, mode_t mode)
{
	FILE *out = fopen(folder->secret, "w");
	assert_int_equal(fwrite(bytes, 1, length, out), length);
	fclose(out);
	assert_int_equal(chmod(folder->secret, mode), 0);
}

static void expect_password(const struct folder *folder, const char *password, const char *sentence)
{
	struct checked checked = check_at(folder->config, "url: x\npassword_file: s\n", NULL, true);
	if (password) {
		if (!checked.values)
			fail_msg("%s", checked.problems.list[0].message);
		assert_string_equal(cw_get_string(checked.values, "password"), password);
	} else {
		assert_null(checked.values);
		const struct problem *p = &checked.problems.list[0];
		if (p->line != 2 || p->column != 16 || !strstr(p->message, sentence) || strstr(p->message, "hunter2"))
			fail_msg("%u:%u: %s", p->line, p->column, p->message);
	}
	done(&checked);
}

static void file__beside_the_configuration__is_read(void **state)
{
	const struct folder *folder = *state;
	write_secret(folder, "hunter2\n", 8, 0600);
	expect_password(folder, "hunter2", NULL);
	write_secret(folder, "hunter2\n\n", 9, 0400);
	expect_password(folder, "hunter2\n", NULL);
	write_secret(folder, "hunter2", 7, 0400);
	struct checked checked = check_at(folder->config, "password_file: s\n", "url: x\n", true);
	assert_string_equal(cw_get_string(checked.values, "password"), "hunter2");
	done(&checked);
}

static void file__that_is_not_safe__is_refused(void **state)
{
	const struct folder *folder = *state;
	static char large[70000];
	memset(large, 'x', sizeof(large));
	expect_password(folder, NULL, "cannot be read: No such file");
	write_secret(folder, "hunter2\n", 8, 0644);
	expect_password(folder, NULL, "mode 0644, refused");
	write_secret(folder, "hunter2\n", 8, 0640);
	expect_password(folder, NULL, "mode 0640, refused");
	write_secret(folder, "hunter2\n", 8, 0602);
	expect_password(folder, NULL, "mode 0602, refused");
	write_secret(folder, "\n", 1, 0600);
	expect_password(folder, NULL, "empty");
	write_secret(folder, "", 0, 0600);
	expect_password(folder, NULL, "empty");
	write_secret(folder, "hunter2\0x", 9, 0600);
	expect_password(folder, NULL, "NUL");
	write_secret(folder, "hunter2\xff", 8, 0600);
	expect_password(folder, NULL, "UTF-8");
	write_secret(folder, large, sizeof(large), 0600);
	expect_password(folder, NULL, "too large");
	unlink(folder->secret);
	mkfifo(folder->secret, 0600);
	expect_password(folder, NULL, "not a regular file");
	unlink(folder->secret);
	mkdir(folder->secret, 0700);
	expect_password(folder, NULL, "not a regular file");
}

static void file__of_no_secret__may_be_read_by_all_but_written_by_us_only(void **state)
{
	const struct folder *folder = *state;
	write_secret(folder, "x\n", 2, 0644);
	struct checked checked = check_at(folder->config, "url_file: s\n", NULL, true);
	assert_non_null(checked.values);
	assert_string_equal(cw_get_string(checked.values, "url"), "x");
	done(&checked);
	write_secret(folder, "x\n", 2, 0664);
	checked = check_at(folder->config, "url_file: s\n", NULL, true);
	assert_null(checked.values);
	done(&checked);
}

static void file__in_the_credentials_directory__comes_first(void **state)
{
	const struct folder *folder = *state;
	setenv("CREDENTIALS_DIRECTORY", folder->path, 1);
	write_secret(folder, "hunter2", 7, 0440);
	struct checked checked = check_at("/nonexistent/a.yaml", "url: x\npassword_file: s\n", NULL, true);
	assert_non_null(checked.values);
	assert_string_equal(cw_get_string(checked.values, "password"), "hunter2");
	done(&checked);
	write_secret(folder, "hunter2", 7, 0444);
	expect_password(folder, NULL, "mode 0444, refused");
}

static void file__not_to_be_read__is_set_but_not_known(void **state)
{
	const struct folder *folder = *state;
	struct checked checked = check_at(folder->config, "url_file: nowhere\n", NULL, false);
	assert_non_null(checked.values);
	assert_true(cw_get(checked.values, "url")->is_set);
	assert_false(cw_get(checked.values, "url")->known);
	done(&checked);
}

static void file__with_a_number__is_checked_and_not_shown(void **state)
{
	const struct folder *folder = *state;
	write_secret(folder, "4242\n", 5, 0600);
	struct checked checked = check_at(folder->config, "url: x\nport_file: s\ntls_file: s\n", NULL, true);
	assert_int_equal(cw_get_integer(checked.values, "port", 0), 4242);
	assert_string_equal(cw_get_string(checked.values, "tls_file"), "s");
	done(&checked);
	write_secret(folder, "999999\n", 7, 0600);
	checked = check_at(folder->config, "url: x\nport_file: s\n", NULL, true);
	assert_null(checked.values);
	assert_null(strstr(checked.problems.list[0].message, "999999"));
	done(&checked);
}

/* --- fingerprints --- */

static void fingerprint_of(const char *text, uint8_t hash[16])
{
	struct checked checked = check(text);
	assert_non_null(checked.values);
	options_fingerprint(checked.values, hash);
	done(&checked);
}

static void fingerprint__changes_with_values_only(void **state)
{
	(void)state;
	static const char *const others[] = {"url: y\n",
					     "url: x\non: false\n",
					     "url: x\non: true\n",
					     "url: x\nto: [ab]\n",
					     "url: x\nto: [a]\n",
					     "url: x\nto: []\n",
					     "url: x\nfactor: 1\n",
					     "url: x\nsweep: {max_age: 61s}\n",
					     "url: x\npassword: \"\"\n"};
	uint8_t base[16], same[16], other[16], before[16] = {0};
	fingerprint_of("url: x\n", base);
	fingerprint_of("# moved\n\nport: 6379\nurl: \"x\"\nsweep: {budget: 0.05}\nto: [a, b]\n", same);
	/* `sweep` was not known and is now: its defaults are the same, but a plugin can tell. */
	assert_memory_not_equal(base, same, 16);
	fingerprint_of("# moved\n\nport: 6379\nurl: \"x\"\nto: [a, b]\n", same);
	assert_memory_equal(base, same, 16);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		fingerprint_of(others[i], other);
		assert_memory_not_equal(base, other, 16);
		assert_memory_not_equal(before, other, 16);
		memcpy(before, other, 16);
	}
}

/* --- tables --- */

static void tables__that_are_wrong__are_found(void **state)
{
	(void)state;
	static const struct {
		struct cw_option option;
		const char *sentence;
	} wrong[] = {
		{{.key = NULL, .help = "h"}, "begins with a letter"},
		{{.key = "Bad", .help = "h"}, "begins with a letter"},
		{{.key = "a-b", .help = "h"}, "begins with a letter"},
		{{.key = "a"}, "no help"},
		{{.key = "interval", .help = "h"}, "the core has an option"},
		{{.key = "a", .help = "h", .type = (enum cw_option_type)99}, "not known here"},
		{{.key = "a", .help = "h", .flags = 1 << 9}, "not known here"},
		{{.key = "a", .help = "h", .type = CW_OPTION_INT, .min = 2, .max = 1}, "range is empty"},
		{{.key = "a", .help = "h", .max = 1}, "only a number"},
		{{.key = "a", .help = "h", .type = CW_OPTION_CHOICE}, "choices"},
		{{.key = "a", .help = "h", .choices = modes}, "choices"},
		{{.key = "a", .help = "h", .type = CW_OPTION_GROUP}, "fields"},
		{{.key = "a", .help = "h", .type = CW_OPTION_LIST, .flags = CW_OPTION_COLUMNS}, "only a map"},
		{{.key = "a", .help = "h", .fields = CW_ARRAY(sweep)}, "fields"},
		{{.key = "a", .help = "h", .flags = CW_OPTION_REQUIRED, .fallback = "x"}, "required and has a default"},
		{{.key = "a", .help = "h", .type = CW_OPTION_DURATION, .fallback = "5"},
		 "its default is wrong: a: expected"},
		{{.key = "a", .help = "h", .type = CW_OPTION_INT, .fallback = "5", .max = 4}, "out of range"},
		{{.key = "a", .help = "h", .type = CW_OPTION_LIST, .fallback = "[a"}, "its default is wrong"},
		{{.key = "a", .help = "h", .type = CW_OPTION_CHOICE, .choices = modes, .fallback = "x"},
		 "one of reset"},
	};
	char error[OPTIONS_ERROR_MAX];
	if (options_check_table(&table, true, error) != 0)
		fail_msg("%s", error);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		const struct cw_array one = {&wrong[i].option, 1, sizeof(struct cw_option)};
		error[0] = '\0';
		if (options_check_table(&one, true, error) == 0 || !strstr(error, wrong[i].sentence))
			fail_msg("case %zu: %s", i, error);
	}
	const struct cw_option twice[] = {{.key = "a", .help = "h"}, {.key = "a", .help = "h"}};
	const struct cw_array both = CW_ARRAY(twice);
	assert_int_not_equal(options_check_table(&both, true, error), 0);
	assert_non_null(strstr(error, "twice"));
	struct cw_option loop = {.key = "a", .help = "h", .type = CW_OPTION_GROUP};
	loop.fields = (struct cw_array){&loop, 1, sizeof(loop)};
	assert_int_not_equal(options_check_table(&loop.fields, true, error), 0);
}

static void sample__loads(void **state)
{
	(void)state;
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	options_print_sample(&table, out);
	fclose(out);
	assert_non_null(strstr(text, "    ## Where to\n    url: TEXT\n"));
	assert_non_null(strstr(text, "    # port: 6379\n"));
	struct checked checked = check(text);
	assert_non_null(checked.values);
	done(&checked);
	free(text);
	out = open_memstream(&text, &size);
	options_print(&table, out);
	fclose(out);
	assert_non_null(
		strstr(text, "url                  text           Where to; required; may come from a connection\n"));
	assert_non_null(strstr(text, "; 1s to 1h"));
	free(text);
}

static void sample__quotes_what_yaml_would_take_for_something_else(void **state)
{
	(void)state;
	static const struct cw_option texts[] = {
		{.key = "braces", .fallback = "{prefix}.{host}", .help = "h"},
		{.key = "colon", .fallback = "call_ctx: x", .help = "h"},
		{.key = "url", .fallback = "redis://host:6379/0", .help = "h"},
		{.key = "list", .type = CW_OPTION_LIST, .fallback = "[a]", .help = "h"},
	};
	const struct cw_array of_texts = CW_ARRAY(texts);
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	options_print_sample(&of_texts, out);
	fclose(out);
	assert_non_null(strstr(text, "# braces: \"{prefix}.{host}\"\n"));
	assert_non_null(strstr(text, "# colon: \"call_ctx: x\"\n"));
	assert_non_null(strstr(text, "# url: redis://host:6379/0\n"));
	assert_non_null(strstr(text, "# list: [a]\n"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values__are_typed_and_complete),
		cmocka_unit_test(group__not_written__has_its_defaults),
		cmocka_unit_test(what_is_refused__has_place_found_and_allowed),
		cmocka_unit_test(several_errors__are_all_told),
		cmocka_unit_test(connection__gives_what_the_instance_does_not_say),
		cmocka_unit_test_setup_teardown(file__beside_the_configuration__is_read, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(file__that_is_not_safe__is_refused, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(file__of_no_secret__may_be_read_by_all_but_written_by_us_only,
						make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(file__in_the_credentials_directory__comes_first, make_folder,
						remove_folder),
		cmocka_unit_test_setup_teardown(file__not_to_be_read__is_set_but_not_known, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(file__with_a_number__is_checked_and_not_shown, make_folder,
						remove_folder),
		cmocka_unit_test(fingerprint__changes_with_values_only),
		cmocka_unit_test(tables__that_are_wrong__are_found),
		cmocka_unit_test(sample__loads),
		cmocka_unit_test(sample__quotes_what_yaml_would_take_for_something_else),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
