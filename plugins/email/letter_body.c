/* SPDX-License-Identifier: MIT
 *
 * See letter_body.h. The content is written once, as a run of pieces (a headline, a paragraph, an alert, a fact …) to a
 * `pen`; a pen for text and a pen for HTML give each piece its form. Every text passes visible() first, so a stranger's
 * control characters are seen, not obeyed, and it is cut; the pen for HTML escapes it.
 */
#include "letter_body.h"

#include "letter.h"
#include "mime.h"
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { TEXT_MAX = 400, DESCRIPTION_MAX = 4096, FACT_MAX = 160, WHOLE_MAX = 8192 };

static const char *const severities[] = {"INFO", "WARNING", "CRITICAL"};

struct pen {
	struct buffer *buffer;
	void (*headline)(struct pen *pen, const struct cw_notice *notice, const char *text);
	void (*paragraph)(struct pen *pen, const char *text);
	void (*list)(struct pen *pen, const char *title); /* NULL: its end */
	void (*item)(struct pen *pen, const char *subject, const char *text, const char *url);
	void (*fact)(struct pen *pen, const char *name, const char *text);
	void (*link)(struct pen *pen, const char *label, const char *target, bool is_url);
};

/* ---- words ---- */

/* Cut with an ellipsis. The result stands in `buffer`. */
static const char *visible_part(char *buffer, size_t size, const char *text, size_t length)
{
	static const char ellipsis[] = "…";
	char whole[WHOLE_MAX];
	length = text_visible(whole, sizeof(whole), text, length);
	if (length < size) {
		memcpy(buffer, whole, length + 1);
		return buffer;
	}
	length = text_visible(buffer, size - sizeof(ellipsis) + 1, whole, length);
	memcpy(buffer + length, ellipsis, sizeof(ellipsis));
	return buffer;
}

static const char *visible(char *buffer, size_t size, const char *text)
{
	return visible_part(buffer, size, text, strlen(text));
}

static const char *state_word(const struct cw_notice *notice)
{
	if (notice->kind == CW_NOTICE_TEST)
		return "TEST";
	if (notice->kind == CW_NOTICE_RESOLVED)
		return "RESOLVED";
	return severities[notice->severity <= CW_SEVERITY_CRITICAL ? notice->severity : CW_SEVERITY_CRITICAL];
}

/* As people here read it: local time with its offset. */
static const char *local_time(int64_t wall, char buffer[48])
{
	time_t seconds = (time_t)(wall / CW_SECOND);
	struct tm date;
	buffer[0] = '\0';
	if (localtime_r(&seconds, &date))
		strftime(buffer, 48, "%Y-%m-%d %H:%M:%S %z", &date);
	return buffer;
}

void letter_subject(char *subject, size_t size, const struct cw_notice *const *notices, uint32_t n)
{
	char title[TEXT_MAX];
	const struct cw_notice *worst = notices[0];
	uint32_t resolved = 0;
	for (uint32_t i = 0; i < n; i++) {
		resolved += notices[i]->kind == CW_NOTICE_RESOLVED;
		if (worst->kind == CW_NOTICE_RESOLVED ||
		    (notices[i]->kind != CW_NOTICE_RESOLVED && notices[i]->severity > worst->severity))
			worst = notices[i];
	}
	if (n == 1)
		snprintf(subject, size, "[%s] %s", state_word(worst), visible(title, 256, worst->title));
	else
		snprintf(subject, size, "[%s] %u notices from callwatch: %u firing, %u resolved", state_word(worst), n,
			 n - resolved, resolved);
}

/* ---- content ---- */

static void say(struct pen *pen, const char *format, ...) CW_PRINTF(2, 3);
static void say(struct pen *pen, const char *format, ...)
{
	char text[2 * TEXT_MAX];
	va_list list;
	va_start(list, format);
	vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	pen->paragraph(pen, text);
}

static void say_standing(struct pen *pen, const struct cw_notice *notice)
{
	char since[48], at[48], host[TEXT_MAX];
	local_time(notice->since, since);
	local_time(notice->at, at);
	visible(host, 256, notice->host);
	if (notice->kind == CW_NOTICE_TEST)
		say(pen, "A test, of %s, from callwatch on %s.", at, host);
	else if (notice->kind == CW_NOTICE_RESOLVED)
		say(pen, "It has ended, as of %s. It began at %s. From callwatch on %s.", at, since, host);
	else
		say(pen, "%s, as of %s, since %s: %u firing, %u ended since the last notice. From callwatch on %s.",
		    notice->kind == CW_NOTICE_REPEAT ? "Still so" : "It fires", at, since, notice->firing,
		    notice->resolved, host);
}

/* Its lines are paragraphs. */
static void say_description(struct pen *pen, const char *description)
{
	char shown[TEXT_MAX];
	for (const char *at = description, *end; *at && at - description < DESCRIPTION_MAX; at = *end ? end + 1 : end) {
		end = strchrnul(at, '\n');
		if (end > at)
			pen->paragraph(pen, visible_part(shown, sizeof(shown), at, (size_t)(end - at)));
	}
}

static void say_alert(struct pen *pen, const struct cw_alert *alert, bool with_facts)
{
	char subject[FACT_MAX], summary[TEXT_MAX], text[2 * TEXT_MAX], acked[FACT_MAX], name[FACT_MAX], value[FACT_MAX];
	visible(subject, sizeof(subject), alert->subject);
	visible(summary, sizeof(summary), alert->summary);
	int used = snprintf(text, sizeof(text), "%s", summary);
	if (!alert->is_firing)
		used += snprintf(text + used, sizeof(text) - (size_t)used, " (%s)",
				 alert->reason ? visible(value, sizeof(value), alert->reason) : "ended");
	if (alert->acked_by)
		snprintf(text + used, sizeof(text) - (size_t)used, " (acknowledged by %s)",
			 visible(acked, sizeof(acked), alert->acked_by));
	pen->item(pen, subject, text, alert->url);
	for (uint32_t i = 0; with_facts && i < alert->facts.count && i < LETTER_FACTS_MAX; i++) {
		const struct cw_fact *fact = cw_at(&alert->facts, i);
		pen->fact(pen, visible(name, sizeof(name), fact->name), visible(value, sizeof(value), fact->text));
	}
}

static void say_alerts(struct pen *pen, const struct cw_notice *notice, bool firing, uint32_t detailed)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < notice->alerts.count; i++) {
		const struct cw_alert *alert = cw_at(&notice->alerts, i);
		if (alert->is_firing != firing)
			continue;
		if (n++ == 0)
			pen->list(pen, firing ? "Firing" : "Ended");
		say_alert(pen, alert, n <= detailed);
	}
	if (n)
		pen->list(pen, /* title */ NULL);
}

static void say_breakdown(struct pen *pen, const struct cw_notice *notice)
{
	char name[FACT_MAX], value[FACT_MAX];
	if (notice->breakdown.count == 0)
		return;
	pen->list(pen, "Where");
	for (uint32_t i = 0; i < notice->breakdown.count && i < LETTER_ALERTS_MAX; i++) {
		const struct cw_fact *fact = cw_at(&notice->breakdown, i);
		pen->item(pen, visible(name, sizeof(name), fact->name), visible(value, sizeof(value), fact->text),
			  /* url */ NULL);
	}
	pen->list(pen, /* title */ NULL);
}

/* As many as there is room for; none is begun that has no room. */
static void say_labels(struct pen *pen, const struct cw_notice *notice)
{
	char text[2 * TEXT_MAX] = "", name[FACT_MAX], value[FACT_MAX];
	static const char others[] = ", …";
	size_t used = 0;
	for (uint32_t i = 0; i < notice->labels.count; i++) {
		const struct cw_tag *tag = cw_at(&notice->labels, i);
		size_t room = sizeof(text) - sizeof(others) - used;
		int more = snprintf(text + used, room, "%s%s=%s", used ? ", " : "",
				    visible(name, sizeof(name), tag->name), visible(value, sizeof(value), tag->value));
		if (more < 0 || (size_t)more >= room) {
			memcpy(text + used, others, sizeof(others));
			break;
		}
		used += (size_t)more;
	}
	if (text[0])
		pen->paragraph(pen, text);
}

static void say_notice(struct pen *pen, const struct cw_notice *notice, uint32_t detailed)
{
	char title[TEXT_MAX], common[2 * TEXT_MAX];
	pen->headline(pen, notice, visible(title, sizeof(title), notice->title));
	say_standing(pen, notice);
	if (notice->common[0])
		pen->paragraph(pen, visible(common, sizeof(common), notice->common));
	say_description(pen, notice->description);
	say_breakdown(pen, notice);
	say_alerts(pen, notice, /* firing */ true, detailed);
	say_alerts(pen, notice, /* firing */ false, detailed);
	if (notice->left_out)
		say(pen, "… and %u more that this mail has no room for.", notice->left_out);
	if (notice->url)
		pen->link(pen, "See them", notice->url, /* is_url */ true);
	if (notice->command)
		pen->link(pen, "Or type", notice->command, /* is_url */ false);
	say_labels(pen, notice);
	if (notice->is_doubtful)
		say(pen, "This mail may have reached you before, with the same Message-ID: the mail server did not say "
			 "whether it took it.");
}

static void say_all(struct pen *pen, const struct cw_notice *const *notices, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		say_notice(pen, notices[i], n == 1 ? LETTER_ALERTS_MAX : LETTER_ALERTS_IN_DIGEST);
}

/* ---- as text ---- */

static void text_headline(struct pen *pen, const struct cw_notice *notice, const char *text)
{
	if (pen->buffer->length)
		buffer_string(pen->buffer, "\n----------------------------------------\n\n");
	buffer_print(pen->buffer, "%s: %s\n\n", state_word(notice), text);
}

static void text_paragraph(struct pen *pen, const char *text)
{
	buffer_print(pen->buffer, "%s\n\n", text);
}

static void text_list(struct pen *pen, const char *title)
{
	if (title)
		buffer_print(pen->buffer, "%s:\n", title);
	else
		buffer_string(pen->buffer, "\n");
}

static void text_item(struct pen *pen, const char *subject, const char *text, const char *url)
{
	char shown[2 * TEXT_MAX];
	buffer_print(pen->buffer, "  * %s: %s\n", subject, text);
	if (url)
		buffer_print(pen->buffer, "      %s\n", visible(shown, sizeof(shown), url));
}

static void text_fact(struct pen *pen, const char *name, const char *text)
{
	buffer_print(pen->buffer, "      %s: %s\n", name, text);
}

static void text_link(struct pen *pen, const char *label, const char *target, bool is_url)
{
	char shown[2048];
	(void)is_url;
	buffer_print(pen->buffer, "%s: %s\n\n", label, visible(shown, sizeof(shown), target));
}

void letter_text(struct buffer *buffer, const struct cw_notice *const *notices, uint32_t n)
{
	struct pen pen = {.buffer = buffer,
			  .headline = text_headline,
			  .paragraph = text_paragraph,
			  .list = text_list,
			  .item = text_item,
			  .fact = text_fact,
			  .link = text_link};
	say_all(&pen, notices, n);
}

/* ---- as HTML ---- */

static void html(struct pen *pen, const char *text)
{
	mime_html(pen->buffer, text, strlen(text));
}

static const char *colour(const struct cw_notice *notice)
{
	static const char *const of_severity[] = {"#1d4ed8", "#b45309", "#b91c1c"};
	if (notice->kind == CW_NOTICE_RESOLVED)
		return "#15803d";
	if (notice->kind == CW_NOTICE_TEST)
		return "#475569";
	return of_severity[notice->severity <= CW_SEVERITY_CRITICAL ? notice->severity : CW_SEVERITY_CRITICAL];
}

static void html_headline(struct pen *pen, const struct cw_notice *notice, const char *text)
{
	buffer_print(
		pen->buffer,
		"<h2 style=\"font-size:18px;border-left:6px solid %s;padding-left:10px\"><span style=\"color:%s\">%s"
		"</span> ",
		colour(notice), colour(notice), state_word(notice));
	html(pen, text);
	buffer_string(pen->buffer, "</h2>\n");
}

static void html_paragraph(struct pen *pen, const char *text)
{
	buffer_string(pen->buffer, "<p>");
	html(pen, text);
	buffer_string(pen->buffer, "</p>\n");
}

static void html_list(struct pen *pen, const char *title)
{
	if (title)
		buffer_print(pen->buffer, "<h3 style=\"font-size:15px\">%s</h3>\n<ul>\n", title);
	else
		buffer_string(pen->buffer, "</ul>\n");
}

/* Only what a browser opens as a page may be a link. */
static bool is_page(const char *url)
{
	return strncmp(url, "https://", 8) == 0 || strncmp(url, "http://", 7) == 0;
}

static void html_anchor(struct pen *pen, const char *url, const char *text)
{
	char target[2048];
	bool is_link = url && is_page(url) && strlen(url) < sizeof(target) - 8;
	if (is_link) {
		buffer_string(pen->buffer, "<a href=\"");
		html(pen, visible(target, sizeof(target), url));
		buffer_string(pen->buffer, "\">");
	}
	html(pen, text);
	buffer_string(pen->buffer, is_link ? "</a>" : "");
}

static void html_item(struct pen *pen, const char *subject, const char *text, const char *url)
{
	buffer_string(pen->buffer, "<li><b>");
	html_anchor(pen, url, subject);
	buffer_string(pen->buffer, "</b>: ");
	html(pen, text);
	buffer_string(pen->buffer, "</li>\n");
}

static void html_fact(struct pen *pen, const char *name, const char *text)
{
	buffer_string(pen->buffer, "<li style=\"list-style:none;color:#475569\">");
	html(pen, name);
	buffer_string(pen->buffer, ": ");
	html(pen, text);
	buffer_string(pen->buffer, "</li>\n");
}

static void html_link(struct pen *pen, const char *label, const char *target, bool is_url)
{
	char shown[2048];
	buffer_print(pen->buffer, "<p>%s: ", label);
	buffer_string(pen->buffer, is_url ? "" : "<code>");
	visible(shown, sizeof(shown), target);
	html_anchor(pen, is_url ? target : NULL, shown);
	buffer_string(pen->buffer, is_url ? "</p>\n" : "</code></p>\n");
}

void letter_html(struct buffer *buffer, const struct cw_notice *const *notices, uint32_t n)
{
	struct pen pen = {.buffer = buffer,
			  .headline = html_headline,
			  .paragraph = html_paragraph,
			  .list = html_list,
			  .item = html_item,
			  .fact = html_fact,
			  .link = html_link};
	buffer_string(buffer, "<!DOCTYPE html>\n<html><body style=\"font-family:sans-serif;font-size:14px\">\n");
	say_all(&pen, notices, n);
	buffer_string(buffer, "</body></html>\n");
}
