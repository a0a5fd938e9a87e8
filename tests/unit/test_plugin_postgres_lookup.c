/* SPDX-License-Identifier: MIT
 *
 * The parts of postgres-lookup and of connect-postgres that need no server: the store of names, the file, addresses,
 * what errors are turned into, and what is asked and answered while there is no server. With one:
 * tests/system/test_lookup.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "connect/postgres.h"
#include "file.h"
#include "names.h"
#include "plugin_host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const uint8_t hash_key[NAMES_HASH_KEY_BYTES] = "sixteen bytes..";
static const uint8_t ours[FILE_FOR_BYTES] = "these options..", others[FILE_FOR_BYTES] = "other options..";

/* ---- the store ---- */

static struct name *ask(struct names *names, const char *key)
{
	return names_ask(names, key, strlen(key));
}

static const struct name *find(const struct names *names, const char *key)
{
	return names_find(names, key, strlen(key));
}

static void know(struct names *names, const char *key, const char *value, int64_t as_of)
{
	assert_int_equal(names_set(names, ask(names, key), NAME_KNOWN, value, strlen(value), as_of, as_of), 0);
}

static void store__remembers_what_it_was_told(void **state)
{
	(void)state;
	struct names names;
	assert_int_equal(names_init(&names, 1000, hash_key), 0);
	assert_null(find(&names, "a"));
	know(&names, "a", "Anna's", 7);
	assert_string_equal(find(&names, "a")->value, "Anna's");
	know(&names, "a", "Bert's", 8);
	assert_string_equal(find(&names, "a")->value, "Bert's");
	names_set(&names, ask(&names, "a"), NAME_ABSENT, NULL, 0, 9, 9);
	assert_null(find(&names, "a")->value);
	assert_int_equal(names.counts[NAME_KNOWN], 0);
	assert_int_equal(names.counts[NAME_ABSENT], 1);
	assert_int_equal(names.count, 1);
	names_release(&names);
	names_release(&names);
}

static void full_store__forgets_who_was_not_asked_for_longest(void **state)
{
	(void)state;
	struct names names;
	enum { LIMIT = 3000 };
	char key[16];
	names_init(&names, LIMIT, hash_key);
	for (int i = 0; i < LIMIT; i++) {
		snprintf(key, sizeof key, "%d", i);
		know(&names, key, key, i);
	}
	ask(&names, "0");
	know(&names, "new", "new", 1);
	assert_int_equal(names.count, LIMIT);
	assert_non_null(find(&names, "0"));
	assert_null(find(&names, "1"));
	assert_non_null(find(&names, "2"));
	assert_int_equal(names.counts[NAME_KNOWN], LIMIT);
	names_release(&names);
}

static void store_full_of_those_who_wait__takes_nobody(void **state)
{
	(void)state;
	struct names names;
	char key[16];
	names_init(&names, 10, hash_key);
	for (int i = 0; i < 10; i++) {
		snprintf(key, sizeof key, "%d", i);
		names_queue(&names, ask(&names, key));
	}
	assert_null(ask(&names, "another"));
	struct name *first = names_take(&names);
	assert_string_equal(first->key, "0");
	assert_null(ask(&names, "another")); /* taken, but not answered */
	first->waits = false;
	assert_non_null(ask(&names, "another"));
	assert_null(find(&names, "0"));
	names_release(&names);
}

static void queue__is_in_order_and_holds_each_once(void **state)
{
	(void)state;
	struct names names;
	names_init(&names, 10, hash_key);
	struct name *a = ask(&names, "a"), *b = ask(&names, "b"), *c = ask(&names, "c");
	names_queue(&names, a);
	names_queue(&names, b);
	names_queue(&names, a);
	assert_int_equal(names.queued, 2);
	assert_ptr_equal(names_take(&names), a);
	names_queue(&names, c);
	names_queue_first(&names, a);
	assert_ptr_equal(names_take(&names), a);
	assert_ptr_equal(names_take(&names), b);
	assert_ptr_equal(names_take(&names), c);
	assert_null(names_take(&names));
	names_queue_first(&names, a);
	b->waits = false;
	names_queue(&names, b);
	assert_ptr_equal(names_take(&names), a);
	assert_ptr_equal(names_take(&names), b);
	names_release(&names);
}

/* ---- the file ---- */

static int64_t parse(const uint8_t *bytes, size_t length, struct names *names)
{
	names_init(names, 100, hash_key);
	return file_parse(bytes, length, ours, names, /* now */ 1000, /* wall */ 5000);
}

static uint8_t *make(size_t *ret_length)
{
	struct names names;
	names_init(&names, 100, hash_key);
	know(&names, "a", "Anna's", 4400);
	know(&names, "b", "", 6000);
	names_set(&names, ask(&names, "c"), NAME_ABSENT, NULL, 0, 1, 1);
	ask(&names, "d");
	know(&names, "a", "Anna's", 4500);
	uint8_t *bytes = file_make(ours, &names, ret_length);
	names_release(&names);
	return bytes;
}

static void file__gives_back_names_with_their_age(void **state)
{
	(void)state;
	struct names names;
	size_t length;
	uint8_t *bytes = make(&length);
	assert_int_equal(parse(bytes, length, &names), 2);
	assert_string_equal(find(&names, "a")->value, "Anna's");
	assert_int_equal(find(&names, "a")->as_of, 4500);
	assert_int_equal(find(&names, "a")->checked, 500);
	assert_int_equal(find(&names, "b")->checked, 1000); /* of the future: the clock went back */
	assert_null(find(&names, "c"));
	assert_string_equal(names.newest->key, "a"); /* asked for last */
	names_release(&names);
	free(bytes);
}

static void file_with_any_byte_changed__is_not_believed(void **state)
{
	(void)state;
	struct names names;
	size_t length;
	uint8_t *bytes = make(&length);
	for (size_t i = 0; i < length; i++) {
		bytes[i] ^= 0x20;
		assert_int_equal(parse(bytes, length, &names), -EBADMSG);
		bytes[i] ^= 0x20;
		names_release(&names);
	}
	for (size_t cut = 0; cut < length; cut++) {
		assert_int_equal(parse(bytes, cut, &names), -EBADMSG);
		names_release(&names);
	}
	free(bytes);
}

static void make_folder(char path[32])
{
	snprintf(path, 32, "/tmp/cw-names-XXXXXX");
	assert_non_null(mkdtemp(path));
}

static int64_t read_folder(const char *folder, const uint8_t *made_for)
{
	struct names names;
	names_init(&names, 100, hash_key);
	int64_t count = file_read(folder, made_for, &names, 1, 1);
	names_release(&names);
	return count;
}

static void remove_folder(const char *folder)
{
	char path[64];
	static const char *const files[] = {"names", "names.new", "elsewhere"};
	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof path, "%s/%s", folder, files[i]);
		unlink(path);
		rmdir(path);
	}
	rmdir(folder);
}

static void file__is_private_and_replaced_as_a_whole(void **state)
{
	(void)state;
	struct names names;
	struct stat st;
	char folder[32], inner[48], path[64];
	make_folder(folder);
	snprintf(inner, sizeof inner, "%s/names", folder);
	names_init(&names, 100, hash_key);
	know(&names, "a", "Anna's", 1);
	assert_int_equal(read_folder(inner, ours), -ENOENT);
	assert_int_equal(file_write(inner, ours, &names), 0); /* makes the folder */
	assert_int_equal(read_folder(inner, ours), 1);
	assert_int_equal(read_folder(inner, others), -ESTALE);
	snprintf(path, sizeof path, "%s/names", inner);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(stat(inner, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	know(&names, "b", "Bert's", 1);
	assert_int_equal(file_write(inner, ours, &names), 0);
	assert_int_equal(read_folder(inner, ours), 2);
	names_release(&names);
	remove_folder(inner);
	remove_folder(folder);
}

/* Somebody who may write into the folder: nothing is written through a link, and none is read. */
static void links__are_not_followed(void **state)
{
	(void)state;
	struct names names;
	struct stat st;
	char folder[32], path[64], target[64];
	make_folder(folder);
	snprintf(target, sizeof target, "%s/elsewhere", folder);
	close(open(target, O_CREAT | O_WRONLY, 0600));
	names_init(&names, 100, hash_key);
	know(&names, "a", "Anna's", 1);
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof path, "%s/%s", folder, i ? "names.new" : "names");
		assert_int_equal(symlink(target, path), 0);
		if (i == 0)
			assert_int_equal(read_folder(folder, ours), -ELOOP);
		assert_int_equal(file_write(folder, ours, &names), 0);
		assert_int_equal(stat(target, &st), 0);
		assert_int_equal(st.st_size, 0);
		assert_int_equal(read_folder(folder, ours), 1);
	}
	names_release(&names);
	remove_folder(folder);
}

static void file_that_cannot_be_written__leaves_what_was(void **state)
{
	(void)state;
	struct names names;
	char folder[32], path[64];
	make_folder(folder);
	names_init(&names, 100, hash_key);
	know(&names, "a", "Anna's", 1);
	assert_int_equal(file_write(folder, ours, &names), 0);
	snprintf(path, sizeof path, "%s/names.new", folder);
	assert_int_equal(mkdir(path, 0700), 0); /* root may write where it may not, but not into a folder */
	assert_int_equal(file_write(folder, ours, &names), -EEXIST);
	assert_int_equal(read_folder(folder, ours), 1);
	assert_int_equal(file_write("/dev/null/x", ours, &names), -ENOTDIR);
	names_release(&names);
	remove_folder(folder);
}

/* ---- addresses ---- */

static void addresses__are_read_as_libpq_means_them(void **state)
{
	(void)state;
	static const struct {
		const char *url, *host, *look_up;
		uint16_t port;
		bool is_unix;
		uint32_t count;
	} cases[] = {
		{"postgresql://pg/app", "pg", "pg", 5432, false, 1},
		{"postgres://me@pg:6000/app?sslmode=verify-full", "pg", "pg", 6000, false, 1},
		{"postgresql://[::1]:6000/app", "::1", "::1", 6000, false, 1},
		{"postgresql:///app?host=/run/postgresql&user=me", "/run/postgresql", "/run/postgresql", 5432, true, 1},
		{"postgresql://%2Frun%2Fpg/app", "/run/pg", "/run/pg", 5432, true, 1},
		{"postgresql:///app", "", "", 5432, true, 1},
		{"postgresql://a:1,b:2/app?target_session_attrs=read-write", "a", "a", 1, false, 2},
		{"postgresql://pg/app?hostaddr=10.0.0.5", "pg", "10.0.0.5", 5432, false, 1},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct postgres_address address;
		char error[POSTGRES_ERROR_MAX];
		if (postgres_address_parse(cases[i].url, &address, error) < 0)
			fail_msg("%s: %s", cases[i].url, error);
		assert_string_equal(address.hosts[0].host, cases[i].host);
		assert_string_equal(address.hosts[0].look_up, cases[i].look_up);
		assert_int_equal(address.hosts[0].port, cases[i].port);
		assert_int_equal(address.hosts[0].is_unix, cases[i].is_unix);
		assert_int_equal(address.count, cases[i].count);
	}
}

static void bad_options__are_refused_without_repeating_them(void **state)
{
	(void)state;
	static const struct {
		const char *settings[4], *said;
	} cases[] = {
		{{"url=postgresql://me:hunter2@pg/app"}, "must not hold a password"},
		{{"url=postgresql://pg/app?password=hunter2"}, "must not hold a password"},
		{{"url=postgresql://pg/app?sslpassword=hunter2"}, "must not hold a password"},
		{{"url=postgresql://me:hunt%er2@pg/app"}, "cannot be read"},
		{{"url=postgresql://pg/app?hunter2"}, "cannot be read"},
		{{"url=redis://pg/hunter2"}, "begins with postgresql://"},
		{{"url=postgresql://pg:66000/app"}, "port must be"},
		{{"url=postgresql:///app?service=hunter2"}, "service="},
		{{"url=postgresql://a,b,c,d,e,f,g,h,i/app"}, "more than 8 hosts"},
		{{"url=postgresql://a:1,b:2,c:3/app?port=7,8"}, "one for each"},
		{{"url=postgresql://a,,c/app"}, "one of the hosts is empty"},
		{{"url=postgresql://a,b/app?hostaddr=1.1.1.1"}, "different numbers"},
		{{"url=postgresql://me@pg/app", "username=you"}, "names another user"},
		{{"url=postgresql://pg/app", "sql=SELECT 1, 2"}, "$1"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char said[1024];
		plugin_host_check(&cw_plugin, cases[i].settings, said, sizeof said);
		if (!strstr(said, cases[i].said) || strstr(said, "hunter2") || strstr(said, "hunt%"))
			fail_msg("%s → %s", cases[i].settings[0], said);
	}
	char said[1024];
	plugin_host_check(&cw_plugin, (const char *const[]){"url=postgresql://me@pg/app", "username=me", NULL}, said,
			  sizeof said);
	assert_string_equal(said, "");
}

/* ---- reasons ---- */

static void failed_connections__are_explained(void **state)
{
	(void)state;
	static const struct {
		const char *message, *reason;
		enum postgres_failure failure;
	} cases[] = {
		{"connection to server at \"127.0.0.1\", port 1 failed: Connection refused\n\tIs the server running on "
		 "that "
		 "host and accepting TCP/IP connections?\n",
		 "connection refused (pg:5432): see that it runs and listens there (listen_addresses, port)",
		 POSTGRES_UNREACHABLE},
		{"connection to server on socket \"/x/ssl/.s.PGSQL.5432\" failed: No such file or directory\n\tIs…",
		 "no such socket (pg:5432): see that it runs, with this folder in unix_socket_directories",
		 POSTGRES_UNREACHABLE},
		{"connection to server at \"127.0.0.1\", port 1 failed: FATAL:  28P01: password authentication failed "
		 "for "
		 "user \"me\"\nLOCATION:  auth_failed, auth.c:326\n",
		 "password authentication failed for user \"me\" (28P01): the password is wrong", POSTGRES_DENIED},
		{"failed: FATAL:  3D000: database \"ap\" does not exist\n",
		 "database \"ap\" does not exist (3D000): write the database that has the table into the url",
		 POSTGRES_DENIED},
		{"failed: FATAL:  53300: sorry, too many clients already\n",
		 "sorry, too many clients already (53300): raise max_connections, or reserve one for callwatch",
		 POSTGRES_BUSY},
		{"failed: FATAL:  57P03: the database system is starting up\n",
		 "the database system is starting up (57P03)", POSTGRES_BUSY},
		{"failed: FATAL:  28ABC: something of this kind\n", "something of this kind (28ABC)", POSTGRES_DENIED},
		{"failed: FATAL:  XX000: broken\n", "broken (XX000)", POSTGRES_UNREACHABLE},
		{"connection to server at \"10.0.0.1\", port 5432 failed: server certificate for \"other\" does not "
		 "match host "
		 "name \"pg\"\n",
		 "TLS: server certificate for \"other\" does not match host name \"pg\"", POSTGRES_TLS},
		{"connection to server at \"10.0.0.1\", port 5432 failed: root certificate file "
		 "\"/root/.postgresql/root.crt\" "
		 "does not exist\nEither provide the file or change sslmode to disable server certificate "
		 "verification.\n",
		 "TLS: root certificate file \"/root/.postgresql/root.crt\" does not exist: say sslrootcert=FILE in "
		 "the url",
		 POSTGRES_TLS},
		{"server closed the connection unexpectedly\n\tThis probably means\n",
		 "server closed the connection unexpectedly (pg:5432)", POSTGRES_UNREACHABLE},
		{"", "connection failed (pg:5432)", POSTGRES_UNREACHABLE},
		{"failed: FATAL:  28000: role \"+14155550132\" does not exist\n",
		 "role \"+1••••••0132\" does not exist (28000): look at pg_hba.conf and at the role", POSTGRES_DENIED},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char reason[POSTGRES_ERROR_MAX];
		assert_int_equal(postgres_explain_connect(cases[i].message, "pg:5432", false, reason),
				 cases[i].failure);
		assert_string_equal(reason, cases[i].reason);
	}
	char reason[POSTGRES_ERROR_MAX];
	assert_int_equal(postgres_explain_connect("fe_sendauth: no password supplied\n", "pg:5432", true, reason),
			 POSTGRES_DENIED);
	assert_string_equal(reason, "password required: set password_file");
}

/* ---- without a server ---- */

static bool is_down(struct cw_instance *self, const void *arg)
{
	(void)arg;
	return self->state == CW_DOWN;
}

#define UUID "0a1b2c3d-0000-4000-8000-00000000000a"

static void no_server__old_names_are_told_and_the_rest_waits(void **state)
{
	(void)state;
	char folder[32], url[64];
	struct names names;
	static struct cw_instance host;
	make_folder(folder);
	snprintf(url, sizeof url, "url=postgresql:///x?host=%s", folder);
	assert_int_equal(plugin_host_start(&host, &cw_plugin, false, (const char *const[]){url, NULL}), 0);
	assert_int_equal(plugin_host_read(&host), -ENOTCONN);
	assert_true(plugin_host_wait(&host, is_down, NULL, 20000));
	assert_non_null(strstr(host.reason, "no such socket"));
	assert_non_null(strstr(host.reason, "no names known"));
	const char *keys[] = {UUID, "no uuid", "0a1b2c3d-0000-4000-8000-00000000000", UUID "0", "\xff", ""};
	plugin_host_ask(&host, keys, 6);
	assert_null(plugin_host_answered(&host, UUID, NULL));
	for (size_t i = 1; i < 6; i++) /* what cannot be an id needs no server */
		assert_string_equal(plugin_host_answered(&host, keys[i], NULL), "(absent)");
	assert_int_equal(plugin_host_read(&host), 0);
	assert_int_equal((int)plugin_host_sample(&host, "lookup_waiting", NULL), 1);
	plugin_host_stop(&host);
	(void)names;
	remove_folder(folder);
}

static void doctor__names_the_first_broken_rung(void **state)
{
	(void)state;
	static struct cw_instance host;
	assert_int_equal(plugin_host_start(&host, &cw_plugin, false,
					   (const char *const[]){"url=postgresql://nowhere.invalid/x", NULL}),
			 0);
	assert_int_equal(plugin_host_examine(&host, "name"), CW_CHECK_FAILED);
	assert_non_null(strstr(host.verdict_text, "no such host name"));
	assert_int_equal(plugin_host_examine(&host, "tcp"), CW_CHECK_SKIPPED);
	assert_int_equal(plugin_host_examine(&host, "auth"), CW_CHECK_SKIPPED);
	assert_int_equal(plugin_host_examine(&host, "query"), CW_CHECK_SKIPPED);
	plugin_host_stop(&host);
	char folder[32], url[64];
	make_folder(folder);
	snprintf(url, sizeof url, "url=postgresql:///x?host=%s", folder);
	assert_int_equal(plugin_host_start(&host, &cw_plugin, false, (const char *const[]){url, NULL}), 0);
	assert_int_equal(plugin_host_examine(&host, "tcp"), CW_CHECK_FAILED); /* waits for the first try */
	assert_non_null(strstr(host.verdict_text, "no such socket"));
	assert_int_equal(plugin_host_examine(&host, "name"), CW_CHECK_OK);
	assert_int_equal(plugin_host_examine(&host, "tcp"), CW_CHECK_FAILED); /* tries again */
	plugin_host_stop(&host);
	remove_folder(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(store__remembers_what_it_was_told),
		cmocka_unit_test(full_store__forgets_who_was_not_asked_for_longest),
		cmocka_unit_test(store_full_of_those_who_wait__takes_nobody),
		cmocka_unit_test(queue__is_in_order_and_holds_each_once),
		cmocka_unit_test(file__gives_back_names_with_their_age),
		cmocka_unit_test(file_with_any_byte_changed__is_not_believed),
		cmocka_unit_test(file__is_private_and_replaced_as_a_whole),
		cmocka_unit_test(links__are_not_followed),
		cmocka_unit_test(file_that_cannot_be_written__leaves_what_was),
		cmocka_unit_test(addresses__are_read_as_libpq_means_them),
		cmocka_unit_test(bad_options__are_refused_without_repeating_them),
		cmocka_unit_test(failed_connections__are_explained),
		cmocka_unit_test(no_server__old_names_are_told_and_the_rest_waits),
		cmocka_unit_test(doctor__names_the_first_broken_rung),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
