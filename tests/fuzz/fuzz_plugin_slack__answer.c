/* SPDX-License-Identifier: MIT
 *
 * What Slack answers, as a webhook and as a method: the first byte is the status. Never out of bounds; whatever is said
 * about it is one line of plain words without the secret, and what is kept can be sent back.
 */
#include "answer.h"

#include <stdlib.h>
#include <string.h>

static const int statuses[] = {200, 204, 400, 401, 403, 404, 408, 410, 413, 429, 500, 502, 503, 504, 302, 999};

static void check(const struct answer *answer)
{
	if (answer->kind > ANSWER_REFUSED || (answer->kind == ANSWER_TAKEN) != !answer->reason[0])
		abort();
	if ((answer->kind == ANSWER_WAIT) != (answer->wait > 0) || answer->wait > HTTP_RETRY_AFTER_MAX_S * CW_SECOND)
		abort();
	if (strstr(answer->reason, "an4ry") || strpbrk(answer->reason, "\r\n\x1b"))
		abort();
	if (answer->ts[0] && (!answer_is_ts(answer->ts) || !answer_is_channel(answer->channel)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	char *body = malloc(size);
	memcpy(body, data + 1, size - 1);
	body[size - 1] = '\0'; /* as http.c ends it */
	struct http_answer http = {.end = HTTP_ANSWERED,
				   .step = HTTP_STEP_ANSWERED,
				   .status = statuses[data[0] % (sizeof(statuses) / sizeof(statuses[0]))],
				   .body = body,
				   .length = size - 1};
	for (int is_api = 0; is_api < 2; is_api++) {
		struct answer answer;
		answer_read(&http, is_api, "https://hooks.slack.com/services/T0/B0/Can4ry", &answer);
		check(&answer);
	}
	free(body);
	return 0;
}
