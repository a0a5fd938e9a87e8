/* SPDX-License-Identifier: MIT
 *
 * slackprint: stands where Slack's incoming webhooks would, and prints what it is sent as a person would read it there.
 * For quickstart, so that somebody without a Slack sees what theirs would get. It answers as Slack does (`200 ok`),
 * checks nothing (the tests have a receiver that does), and takes one request after the other.
 *
 *     slackprint [PORT]      on 127.0.0.1; without a port it takes a free one. The first line says which.
 */
#include <arpa/inet.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { REQUEST_MAX = 256 * 1024, WAIT_S = 5 };

/* Slack's own escapes, back to what is seen on the screen. */
static void print_text(const char *text)
{
	static const struct {
		const char *escape, *shown;
	} escapes[] = {{"&lt;", "<"}, {"&gt;", ">"}, {"&amp;", "&"}};
	for (const char *c = text; *c;) {
		size_t i = 0;
		while (i < 3 && strncmp(c, escapes[i].escape, strlen(escapes[i].escape)) != 0)
			i++;
		if (i < 3) {
			fputs(escapes[i].shown, stdout);
			c += strlen(escapes[i].escape);
			continue;
		}
		putchar(*c);
		if (*c++ == '\n')
			fputs("    ┃ ", stdout);
	}
}

static void print_line(const char *before, const char *text)
{
	if (!text || !*text)
		return;
	printf("    ┃ %s", before);
	print_text(text);
	putchar('\n');
}

static const char *text_of(const json_t *object)
{
	const json_t *text = json_object_get(object, "text");
	return json_is_object(text) ? json_string_value(json_object_get(text, "text")) : json_string_value(text);
}

static void print_each(const json_t *list, const char *before)
{
	size_t i;
	const json_t *element;
	json_array_foreach(list, i, element)
	{
		const char *url = json_string_value(json_object_get(element, "url"));
		print_line(before, text_of(element));
		if (url)
			print_line("  → ", url);
	}
}

static void print_blocks(const json_t *blocks)
{
	size_t i;
	const json_t *block;
	json_array_foreach(blocks, i, block)
	{
		print_line("", text_of(block));
		print_each(json_object_get(block, "fields"), "  · ");
		print_each(json_object_get(block, "elements"), "  ");
	}
}

static void print_message(const json_t *message)
{
	size_t i;
	const json_t *attachment;
	puts("\n    ┏━ Slack");
	if (!json_object_get(message, "blocks"))
		print_line("", text_of(message));
	print_blocks(json_object_get(message, "blocks"));
	json_array_foreach(json_object_get(message, "attachments"), i, attachment)
	{
		if (!json_object_get(attachment, "blocks"))
			print_line("", text_of(attachment));
		print_blocks(json_object_get(attachment, "blocks"));
	}
	puts("    ┗━");
	fflush(stdout);
}

/* Where the body begins, once it is there as a whole; NULL: not yet. */
static const char *whole_body(const char *request, size_t length)
{
	const char *end = strstr(request, "\r\n\r\n"), *field = strcasestr(request, "\r\ncontent-length:");
	if (!end || !field || field > end)
		return NULL;
	size_t wanted = strtoul(field + strlen("\r\ncontent-length:"), NULL, 10);
	return length - (size_t)(end + 4 - request) >= wanted ? end + 4 : NULL;
}

static void answer(int fd)
{
	static char request[REQUEST_MAX + 1];
	static const char yes[] = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nok";
	const char *body = NULL;
	size_t length = 0;
	ssize_t n;
	while (!body && length < REQUEST_MAX && (n = read(fd, request + length, REQUEST_MAX - length)) > 0) {
		length += (size_t)n;
		request[length] = '\0';
		if (strcasestr(request, "expect: 100-continue") && !strstr(request, "\r\n\r\n{"))
			(void)!write(fd, "HTTP/1.1 100 Continue\r\n\r\n", 25);
		body = whole_body(request, length);
	}
	json_t *message = body ? json_loads(body, /* flags */ 0, /* error */ NULL) : NULL;
	if (message)
		print_message(message);
	json_decref(message);
	if (body)
		(void)!write(fd, yes, sizeof yes - 1);
}

int main(int argc, char **argv)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof at;
	const struct timeval wait = {.tv_sec = WAIT_S};
	at.sin_port = htons((uint16_t)(argc > 1 ? atoi(argv[1]) : 0));
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) < 0 ||
	    bind(listener, (struct sockaddr *)&at, size) < 0 || listen(listener, 16) < 0 ||
	    getsockname(listener, (struct sockaddr *)&at, &size) < 0) {
		perror("slackprint");
		return 1;
	}
	printf("listening on 127.0.0.1:%d\n", ntohs(at.sin_port));
	fflush(stdout);
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		if (fd < 0)
			continue;
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
		answer(fd);
		close(fd);
	}
}
