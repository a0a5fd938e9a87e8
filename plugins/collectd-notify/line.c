/* SPDX-License-Identifier: MIT
 *
 * See line.h. Host and rule are escaped as in an identifier (format_collectd.h), so a notification stands beside the
 * values of the same host.
 */
#include "line.h"

#include "format_collectd.h"
#include "text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { AGAIN_MAX = 16, ID_MAX = 64 };

static const char *severity(const struct cw_notice *notice)
{
	if (notice->kind == CW_NOTICE_RESOLVED || notice->kind == CW_NOTICE_TEST)
		return "okay";
	return notice->severity == CW_SEVERITY_CRITICAL  ? "failure"
	       : notice->severity == CW_SEVERITY_WARNING ? "warning"
							 : "okay";
}

/* Within quotes collectd takes `\` for the beginning of an escape. */
static void quoted(struct buffer *buffer, const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (text[i] == '"' || text[i] == '\\')
			buffer_string(buffer, "\\");
		buffer_bytes(buffer, &text[i], 1);
	}
}

/* `title (resolved) [id]`, the title cut. The escapes do not count for collectd's limit, but for the line's. */
static void message(struct buffer *buffer, const struct cw_notice *notice)
{
	char title[MESSAGE_MAX + 1], tail[ID_MAX + AGAIN_MAX + 32];
	const char *word = notice->kind == CW_NOTICE_RESOLVED ? " (resolved)"
			   : notice->kind == CW_NOTICE_TEST   ? " (test)"
			   : notice->kind == CW_NOTICE_REPEAT ? " (still)"
							      : "";
	int n = snprintf(tail, sizeof(tail), "%s [%.64s%s]", word, notice->id, notice->is_doubtful ? ", again" : "");
	size_t length = text_visible(title, sizeof(title) - (size_t)n, notice->title, strlen(notice->title));
	quoted(buffer, title, length);
	quoted(buffer, tail, (size_t)n);
}

void line_write(struct buffer *buffer, const struct cw_notice *notice)
{
	struct cw_batch names = {.host = notice->host, .instance = notice->rule};
	struct collectd_source source;
	collectd_source_init(&source, &names);
	buffer_print(buffer, "PUTNOTIF severity=%s time=%" PRId64 ".%03" PRId64, severity(notice),
		     notice->at / CW_SECOND, notice->at % CW_SECOND / CW_MILLISECOND);
	buffer_print(buffer, " host=\"%s\" plugin=\"callwatch\" plugin_instance=\"%s\" type=\"alert\" message=\"",
		     source.host.text, source.instance.text);
	message(buffer, notice);
	buffer_string(buffer, "\"\n");
}
