/* SPDX-License-Identifier: MIT
 *
 * plugins/web: users and tokens. What a header shows and what is configured, as tables; and the plugin as a whole over
 * TCP: trying passwords beside the loop, and making those wait who are wrong too often.
 */
#include "credentials.h"
#include "web_fake.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* -- pure --------------------------------------------------------------------------------------------------------- */

static void header__shows_a_name_with_a_password_or_a_token(void **state)
{
	static const struct {
		const char *header;
		enum scheme scheme;
		const char *name, *secret;
	} cases[] = {
		{NULL, SCHEME_NONE, "", ""},
		{"Basic YWRhOnB3", SCHEME_BASIC, "ada", "pw"},
		{"basic  YWRhOnB3", SCHEME_BASIC, "ada", "pw"},
		{"Basic YWRhOmE6Yg==", SCHEME_BASIC, "ada", "a:b"},
		{"Basic Og==", SCHEME_BASIC, "", ""},
		{"Bearer abc.def-_", SCHEME_BEARER, "", "abc.def-_"},
		{"BEARER x", SCHEME_BEARER, "", "x"},
		{"", SCHEME_WRONG, "", ""},
		{"Basic", SCHEME_WRONG, "", ""},
		{"Basic ", SCHEME_WRONG, "", ""},
		{"Basic YWRh", SCHEME_WRONG, "", ""},       /* no colon */
		{"Basic YWRhOmE6Yg", SCHEME_WRONG, "", ""}, /* not padded */
		{"Basic YWRhOnB3 x", SCHEME_WRONG, "", ""},
		{"Basic YWRhOgBw", SCHEME_WRONG, "", ""}, /* a NUL in it */
		{"Basic \xff\xfe", SCHEME_WRONG, "", ""},
		{"Bearer", SCHEME_WRONG, "", ""},
		{"Bearer a b", SCHEME_WRONG, "", ""},
		{"Bearer a,Bearer b", SCHEME_WRONG, "", ""},
		{"Digest username=\"ada\"", SCHEME_WRONG, "", ""},
		{"Basically YWRhOnB3", SCHEME_WRONG, "", ""},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct credentials credentials;
		credentials_read(&credentials, cases[i].header);
		if (credentials.scheme != cases[i].scheme || strcmp(credentials.name, cases[i].name) != 0 ||
		    strcmp(credentials.secret, cases[i].secret) != 0)
			fail_msg("%s: %d %s %s", cases[i].header, credentials.scheme, credentials.name,
				 credentials.secret);
	}
}

static void header__that_is_too_long__is_wrong(void **state)
{
	char pair[CREDENTIAL_NAME_MAX + CREDENTIAL_SECRET_MAX + 8], header[1024] = "Basic ";
	struct credentials credentials;
	(void)state;
	for (int name = CREDENTIAL_NAME_MAX; name <= CREDENTIAL_NAME_MAX + 1; name++) {
		for (int secret = CREDENTIAL_SECRET_MAX; secret <= CREDENTIAL_SECRET_MAX + 1; secret++) {
			memset(pair, 'x', sizeof pair);
			pair[name] = ':';
			sodium_bin2base64(header + 6, sizeof header - 6, (unsigned char *)pair,
					  (size_t)(name + 1 + secret), sodium_base64_VARIANT_ORIGINAL);
			credentials_read(&credentials, header);
			bool fits = name == CREDENTIAL_NAME_MAX && secret == CREDENTIAL_SECRET_MAX;
			assert_int_equal(credentials.scheme, fits ? SCHEME_BASIC : SCHEME_WRONG);
			assert_int_equal(strlen(credentials.secret), fits ? CREDENTIAL_SECRET_MAX : 0);
		}
	}
	memset(header, 'x', sizeof header);
	memcpy(header, "Bearer ", 7);
	header[7 + CREDENTIAL_SECRET_MAX] = '\0';
	credentials_read(&credentials, header);
	assert_int_equal(credentials.scheme, SCHEME_BEARER);
	header[7 + CREDENTIAL_SECRET_MAX] = 'x';
	header[8 + CREDENTIAL_SECRET_MAX] = '\0';
	credentials_read(&credentials, header);
	assert_int_equal(credentials.scheme, SCHEME_WRONG);
}

static void hashes__are_checked(void **state)
{
	static const char right[] = "$argon2id$v=19$m=19456,t=2,p=1$HnkrWbuVMepC1Zmsqy1NjQ$"
				    "MV20DB8G34KISS8UeyftUmbCgWMWHkO2VSnQy4xv/ZI";
	static const char dear[] = "$argon2id$v=19$m=1048576,t=2,p=1$HnkrWbuVMepC1Zmsqy1NjQ$"
				   "MV20DB8G34KISS8UeyftUmbCgWMWHkO2VSnQy4xv/ZI";
	static const char slow[] = "$argon2id$v=19$m=19456,t=17,p=1$HnkrWbuVMepC1Zmsqy1NjQ$"
				   "MV20DB8G34KISS8UeyftUmbCgWMWHkO2VSnQy4xv/ZI";
	uint8_t hash[TOKEN_HASH_BYTES], again[TOKEN_HASH_BYTES];
	(void)state;
	assert_null(password_hash_check(right));
	assert_non_null(strstr(password_hash_check(dear), "256 MiB"));
	assert_non_null(strstr(password_hash_check(slow), "16 passes"));
	assert_non_null(password_hash_check("$argon2i$v=19$m=19456,t=2,p=1$HnkrWbuVMepC1Zmsqy1NjQ$MV20DB8G34KI"));
	assert_non_null(password_hash_check("$2y$10$abcdefghijklmnopqrstuv"));
	assert_non_null(password_hash_check("$argon2id$"));
	assert_non_null(password_hash_check("secret"));
	assert_non_null(password_hash_check(""));
	assert_true(token_hash_parse(hash, "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
	token_hash(again, "abc");
	assert_memory_equal(hash, again, sizeof hash);
	assert_false(token_hash_parse(hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
	assert_false(token_hash_parse(hash, "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015a"));
	assert_false(token_hash_parse(hash, "sha256:xa7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
	assert_false(token_hash_parse(hash, ""));
	assert_null(user_name_check("ada"));
	assert_null(user_name_check("J\xc3\xb6rg M."));
	assert_non_null(user_name_check(""));
	assert_non_null(user_name_check("a:b"));
	assert_non_null(user_name_check("a\nb"));
	assert_non_null(user_name_check("\xff"));
}

/* -- the plugin --------------------------------------------------------------------------------------------------- */

struct scene {
	struct fake fake;
	char options[2048];
	uint16_t port;
	char answer[8192];
};

static uint16_t free_port(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t size = sizeof address;
	int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(descriptor, (struct sockaddr *)&address, size), 0);
	assert_int_equal(getsockname(descriptor, (struct sockaddr *)&address, &size), 0);
	close(descriptor);
	return ntohs(address.sin_port);
}

/* Ada is an operator whose password is `secret`, which costs so much to try; `abc` is the token of a viewer. */
static int begin(void **state, unsigned long long passes, size_t bytes)
{
	struct scene *scene = calloc(1, sizeof *scene);
	char hash[crypto_pwhash_STRBYTES];
	assert_true(sodium_init() >= 0);
	assert_int_equal(crypto_pwhash_argon2id_str(hash, "secret", 6, passes, bytes), 0);
	scene->port = free_port();
	snprintf(scene->options, sizeof scene->options,
		 "listen: [\"127.0.0.1:%u\"]\nusers:\n  - { name: ada, role: operator, password_hash: \"%s\" }\n"
		 "tokens:\n  - { name: ci, token_hash: "
		 "\"sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\" }\n",
		 scene->port, hash);
	scene->fake.options = scene->options;
	scene->fake.ready = true;
	fake_start(&scene->fake);
	*state = scene;
	return 0;
}

static int setup(void **state)
{
	return begin(state, crypto_pwhash_argon2id_OPSLIMIT_MIN, 64 * 1024);
}

static int setup_slow(void **state)
{
	return begin(state, /* passes: */ 16, 32 * 1024 * 1024);
}

static int teardown(void **state)
{
	struct scene *scene = *state;
	if (scene->fake.private)
		fake_stop(&scene->fake);
	free(scene);
	return 0;
}

static int dial(const struct scene *scene)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_port = htons(scene->port)};
	struct timeval deadline = {.tv_sec = 20};
	int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline);
	assert_int_equal(connect(descriptor, (struct sockaddr *)&address, sizeof address), 0);
	return descriptor;
}

static void send_request(int descriptor, const char *target, const char *authorization)
{
	char request[1024];
	int length = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\n%s%s\r\n\r\n", target,
			      authorization ? "Authorization: " : "Y: y", authorization ? authorization : "");
	assert_int_equal(send(descriptor, request, (size_t)length, MSG_NOSIGNAL), length);
}

static int read_status(struct scene *scene, int descriptor)
{
	size_t used = 0;
	int status = 0;
	for (ssize_t n; (n = recv(descriptor, scene->answer + used, sizeof scene->answer - 1 - used, 0)) > 0;)
		used += (size_t)n;
	scene->answer[used] = '\0';
	close(descriptor);
	sscanf(scene->answer, "HTTP/1.%*d %d", &status);
	return status;
}

static int ask(struct scene *scene, const char *target, const char *authorization)
{
	int descriptor = dial(scene);
	send_request(descriptor, target, authorization);
	return read_status(scene, descriptor);
}

static int ask_as(struct scene *scene, const char *name_and_password)
{
	char header[512] = "Basic ";
	sodium_bin2base64(header + 6, sizeof header - 6, (const unsigned char *)name_and_password,
			  strlen(name_and_password), sodium_base64_VARIANT_ORIGINAL);
	return ask(scene, "/api/v1/status", header);
}

static void who_is_known__gets_in(void **state)
{
	struct scene *scene = *state;
	assert_int_equal(ask(scene, "/api/v1/status", NULL), 401);
	assert_non_null(
		strstr(scene->answer, "\r\nwww-authenticate: Basic realm=\"callwatch\", charset=\"UTF-8\", Bearer "));
	assert_int_equal(ask(scene, "/nothing", NULL), 401);
	assert_int_equal(ask(scene, "/-/healthy", NULL), 200);
	assert_int_equal(ask(scene, "/-/healthy", "Bearer wrong"), 200); /* nobody is asked */
	assert_int_equal(ask_as(scene, "ada:secret"), 200);
	assert_int_equal(ask_as(scene, "ada:secret"), 200); /* known by now */
	assert_int_equal(ask_as(scene, "ada:Secret"), 401);
	assert_int_equal(ask_as(scene, "Ada:secret"), 401);
	assert_int_equal(ask_as(scene, "nobody:secret"), 401);
	assert_int_equal(ask_as(scene, ":"), 401);
	assert_int_equal(ask(scene, "/api/v1/status", "Bearer abc"), 200);
	assert_int_equal(ask(scene, "/nothing", "Bearer abc"), 404);
	assert_int_equal(ask(scene, "/api/v1/status", "Bearer abd"), 401);
	assert_int_equal(ask(scene, "/api/v1/status", "Bearer secret"), 401);
	assert_int_equal(ask(scene, "/api/v1/tables/calls?reveal=true", "Bearer abc"), 403);
}

static void ten_wrong_guesses__make_wait__but_not_who_is_right(void **state)
{
	struct scene *scene = *state;
	char pair[32];
	assert_int_equal(ask_as(scene, "ada:secret"), 200);
	for (int i = 0; i < 10; i++) {
		snprintf(pair, sizeof pair, "ada:guess-%d", i);
		assert_int_equal(ask_as(scene, pair), 401);
		assert_int_equal(ask_as(scene, pair), 401); /* said again: no guess */
	}
	assert_true(fake_said(&scene->fake, "10 wrong passwords, tokens or keys came from 127.0.0.1"));
	assert_int_equal(scene->fake.errors, 10);
	assert_int_equal(ask_as(scene, "ada:another"), 429);
	assert_non_null(strstr(scene->answer, "\r\nretry-after: 1\r\n"));
	assert_int_equal(ask(scene, "/api/v1/status", "Bearer another"), 429);
	assert_int_equal(ask_as(scene, "ada:secret"), 200); /* known */
	assert_int_equal(ask(scene, "/api/v1/status", "Bearer abc"), 200);
	fake_turn_clock(&scene->fake, 2 * CW_SECOND);
	assert_int_equal(ask_as(scene, "ada:more"), 401);
	assert_int_equal(ask_as(scene, "ada:yet more"), 429);
	assert_non_null(strstr(scene->answer, "\r\nretry-after: 2\r\n"));
	fake_turn_clock(&scene->fake, 700 * CW_SECOND); /* the guesses are forgotten, and that she is known */
	assert_int_equal(ask_as(scene, "ada:even more"), 401);
	assert_int_equal(ask_as(scene, "ada:secret"), 200);
}

static void guess(struct scene *scene, int first, int count, int status)
{
	char pair[32];
	for (int i = first; i < first + count; i++) {
		snprintf(pair, sizeof pair, "ada:guess-%d", i);
		assert_int_equal(ask_as(scene, pair), status);
	}
}

static void password_that_was_right__is_known_for_five_minutes(void **state)
{
	struct scene *scene = *state;
	assert_int_equal(ask_as(scene, "ada:secret"), 200);
	fake_turn_clock(&scene->fake, 250 * CW_SECOND);
	guess(scene, 0, 10, 401);
	assert_int_equal(ask_as(scene, "ada:secret"), 200);
	fake_turn_clock(&scene->fake, 310 * CW_SECOND);
	guess(scene, 10, 1, 401); /* the wait was over, and is 2 s now */
	assert_int_equal(ask_as(scene, "ada:secret"), 429);
}

static void who_is_right__begins_to_count_anew(void **state)
{
	struct scene *scene = *state;
	guess(scene, 0, 9, 401);
	assert_int_equal(ask_as(scene, "ada:secret"), 200);
	guess(scene, 9, 10, 401);
	guess(scene, 19, 1, 429);
}

/* Of sixteen places one client gets eight: others may come too. */
static void one_client__does_not_take_all_places(void **state)
{
	struct scene *scene = *state;
	int waiting[8];
	char header[128] = "Basic ", pair[32];
	for (int i = 0; i < 8; i++) {
		int length = snprintf(pair, sizeof pair, "ada:%d", i);
		sodium_bin2base64(header + 6, sizeof header - 6, (unsigned char *)pair, (size_t)length,
				  sodium_base64_VARIANT_ORIGINAL);
		waiting[i] = dial(scene);
		send_request(waiting[i], "/api/v1/status", header);
	}
	assert_int_equal(ask(scene, "/-/healthy", NULL), 200); /* those before it have arrived */
	assert_int_equal(ask_as(scene, "ada:more"), 503);
	assert_non_null(strstr(scene->answer, "\r\nretry-after: 1\r\n"));
	assert_int_equal(ask(scene, "/api/v1/status", "Bearer abc"), 200);
	for (int i = 0; i < 8; i++)
		close(waiting[i]);
}

/* As many as may wait at a time; others are answered meanwhile, and who leaves harms nobody. */
static void passwords__are_tried_beside_the_loop(void **state)
{
	struct scene *scene = *state;
	int waiting[12], statuses[600] = {0};
	char header[128] = "Basic ", pair[32];
	for (int i = 0; i < 12; i++) {
		int length = snprintf(pair, sizeof pair, "nobody:%d", i);
		sodium_bin2base64(header + 6, sizeof header - 6, (unsigned char *)pair, (size_t)length,
				  sodium_base64_VARIANT_ORIGINAL);
		waiting[i] = dial(scene);
		send_request(waiting[i], "/api/v1/status", header);
	}
	assert_int_equal(ask(scene, "/-/healthy", NULL), 200);
	close(waiting[0]);
	close(waiting[1]);
	for (int i = 2; i < 12; i++)
		statuses[read_status(scene, waiting[i])]++;
	assert_int_equal(statuses[401] + statuses[429] + statuses[503], 10);
	assert_int_equal(ask(scene, "/api/v1/status", "Bearer abc"), 200);
}

static void stop__while_passwords_are_tried__leaves_nothing(void **state)
{
	struct scene *scene = *state;
	int waiting[6];
	for (int i = 0; i < 6; i++) {
		waiting[i] = dial(scene);
		send_request(waiting[i], "/api/v1/status", "Basic bm9ib2R5OnB3"); /* nobody:pw */
	}
	ask(scene, "/-/healthy", NULL); /* those before it have arrived */
	fake_stop(&scene->fake);
	for (int i = 0; i < 6; i++)
		close(waiting[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(header__shows_a_name_with_a_password_or_a_token),
		cmocka_unit_test(header__that_is_too_long__is_wrong),
		cmocka_unit_test(hashes__are_checked),
		cmocka_unit_test_setup_teardown(who_is_known__gets_in, setup, teardown),
		cmocka_unit_test_setup_teardown(ten_wrong_guesses__make_wait__but_not_who_is_right, setup, teardown),
		cmocka_unit_test_setup_teardown(password_that_was_right__is_known_for_five_minutes, setup, teardown),
		cmocka_unit_test_setup_teardown(who_is_right__begins_to_count_anew, setup, teardown),
		cmocka_unit_test_setup_teardown(one_client__does_not_take_all_places, setup_slow, teardown),
		cmocka_unit_test_setup_teardown(passwords__are_tried_beside_the_loop, setup, teardown),
		cmocka_unit_test_setup_teardown(stop__while_passwords_are_tried__leaves_nothing, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
