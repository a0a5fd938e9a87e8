/* SPDX-License-Identifier: MIT
 *
 * SMTP of notifier email against a mail server that says nothing to QUIT: nobody waits for it. What else a server may
 * do is tested in tests/system/test_email.py.
 */
#include "clock.h"
#include "email.h"
#include "plugin_host.h"
#include "smtp_private.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static const struct {
	const char *word, *answer;
} answers[] = {
	{"EHLO", "250 mail.test\r\n"}, {"MAIL", "250 fine\r\n"}, {"RCPT", "250 fine\r\n"},
	{"DATA", "354 go on\r\n"},     {".\r", "250 taken\r\n"},
};

static void talk(FILE *client)
{
	char line[1024];
	fputs("220 mail.test\r\n", client);
	while (fgets(line, sizeof(line), client))
		for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
			if (strncmp(line, answers[i].word, strlen(answers[i].word)) == 0)
				fputs(answers[i].answer, client);
}

/* One after the other, until its socket is shut. */
static void *serve(void *arg)
{
	int client;
	while ((client = accept(*(const int *)arg, NULL, NULL)) >= 0) {
		FILE *stream = fdopen(client, "r+");
		setvbuf(stream, NULL, _IONBF, 0);
		talk(stream);
		fclose(stream);
	}
	return NULL;
}

static int listen_somewhere(char smarthost[64])
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(address);
	int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listening, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listening, 8), 0);
	assert_int_equal(getsockname(listening, (struct sockaddr *)&address, &length), 0);
	snprintf(smarthost, 64, "smarthost=127.0.0.1:%u", ntohs(address.sin_port));
	return listening;
}

static void on_done(void *arg, const struct smtp_result *result)
{
	*(int *)arg = (int)result->end;
}

static bool has_ended(struct cw_instance *self, const void *arg)
{
	(void)self;
	return *(const int *)arg >= 0;
}

static bool is_up(struct cw_instance *self, const void *arg)
{
	(void)arg;
	return self->state == CW_UP;
}

static void a_connection_that_is_kept__is_not_waited_for_at_the_end(void **state)
{
	static const char mail[] = "Subject: x\r\n\r\nx\r\n";
	(void)state;
	struct cw_instance self;
	pthread_t server;
	char smarthost[64];
	int end = -1, listening = listen_somewhere(smarthost);
	const char *const settings[] = {smarthost, "from=a@example.net", "to=b@example.net", "require_tls=false", NULL};
	assert_int_equal(pthread_create(&server, NULL, serve, &listening), 0);
	assert_int_equal(plugin_host_start(&self, &cw_plugin, false, settings), 0);
	assert_true(plugin_host_wait(&self, is_up, NULL, 20000));
	struct email *email = self.plugin_state;
	struct smtp_mail first = {
		.to = "b@example.net", .bytes = mail, .length = sizeof(mail) - 1, .timeout = 20 * CW_SECOND};
	assert_int_equal(smtp_send(email->smtp, &first, on_done, &end), 0);
	assert_true(plugin_host_wait(&self, has_ended, &end, 20000));
	assert_int_equal(end, SMTP_TAKEN);
	int64_t began = clock_now();
	plugin_host_stop(&self);
	assert_true(clock_now() - began < 30 * CW_SECOND); /* libcurl would wait for a minute */
	shutdown(listening, SHUT_RDWR);
	pthread_join(server, NULL);
	close(listening);
}

static void what_a_server_says_at_length__is_cut_between_characters(void **state)
{
	(void)state;
	for (size_t shift = 0; shift < 4; shift++) {
		struct smtp_job job = {.is_let_in = true, .word = "RCPT"};
		const struct smtp_server server = {.at = {.host = "mail.test", .port = 25}};
		char line[500] = "550 xxxx";
		for (size_t i = 4 + shift; i + 4 < sizeof(line); i += 4)
			memcpy(line + i, "\xf0\x9f\x93\x9e", 5);
		smtp_hear(&job, line, strlen(line));
		smtp_explain(&job, &server, CURLE_SEND_ERROR);
		assert_int_equal(job.result.end, SMTP_REFUSED);
		assert_non_null(strstr(job.result.reason, "\xf0\x9f\x93\x9e ("));
		assert_null(strstr(job.result.reason, "\xef\xbf\xbd"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_server_says_at_length__is_cut_between_characters),
		cmocka_unit_test(a_connection_that_is_kept__is_not_waited_for_at_the_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
