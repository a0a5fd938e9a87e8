/* SPDX-License-Identifier: MIT
 *
 * See letter.h. What is said is decided once, in letter_body.c, as a run of pieces; here are the headers and the frame
 * of the two parts.
 */
#include "letter.h"

#include "letter_body.h"
#include "mime.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { SUBJECT_MAX = 300, BOUNDARY_SIZE = 96 };

/* ---- headers ---- */

static bool is_header_name(const char *name)
{
	for (const char *c = name; *c; c++)
		if (*c <= ' ' || *c > '~' || *c == ':')
			return false;
	return name[0] && strlen(name) <= 60;
}

const char *letter_header_wrong(const char *name, const char *text)
{
	static const char *const ours[] = {"From",
					   "To",
					   "Cc",
					   "Bcc",
					   "Subject",
					   "Date",
					   "Message-ID",
					   "References",
					   "In-Reply-To",
					   "Auto-Submitted",
					   "Content-Type",
					   "MIME-Version",
					   "Content-Transfer-Encoding"};
	if (!is_header_name(name))
		return "a header's name has up to 60 letters, digits and dashes";
	if (strpbrk(text, "\r\n"))
		return "a header is one line";
	if (strlen(text) > 500)
		return "a header has at most 500 bytes here";
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (strcasecmp(name, ours[i]) == 0)
			return "this header is made by callwatch";
	return NULL;
}

static void write_id(struct buffer *buffer, const char *name, const struct letter_form *form, const char *id)
{
	buffer_print(buffer, "%s: <%s@%s>\r\n", name, id, recipient_domain(&form->from));
}

/* A letter goes on in the thread of its incident; a digest of several belongs to none. */
static void write_ids(struct buffer *buffer, const struct letter_form *form, const struct cw_notice *const *notices,
		      uint32_t n)
{
	char id[160];
	const char *incident = notices[0]->incident;
	for (uint32_t i = 1; i < n; i++)
		incident = incident && strcmp(incident, notices[i]->incident) == 0 ? incident : NULL;
	if (n == 1)
		snprintf(id, sizeof(id), "%s", notices[0]->id);
	else
		snprintf(id, sizeof(id), "%s.%s", notices[0]->id, notices[n - 1]->id);
	write_id(buffer, "Message-ID", form, id);
	if (!incident)
		return;
	snprintf(id, sizeof(id), "incident.%s", incident);
	write_id(buffer, "In-Reply-To", form, id);
	write_id(buffer, "References", form, id);
}

static void write_addresses(struct buffer *buffer, const struct letter_form *form)
{
	buffer_string(buffer, "From: ");
	mime_address(buffer, form->from.name[0] ? form->from.name : "callwatch", form->from.address);
	buffer_string(buffer, "\r\nTo: ");
	for (uint32_t i = 0; i < form->to_count; i++) {
		buffer_string(buffer, i ? ",\r\n " : "");
		mime_address(buffer, form->to[i].name, form->to[i].address);
	}
	buffer_string(buffer, "\r\n");
}

static void write_headers(struct buffer *buffer, const struct letter_form *form, const struct cw_notice *const *notices,
			  uint32_t n, const char *boundary)
{
	char subject[SUBJECT_MAX];
	letter_subject(subject, sizeof(subject), notices, n);
	write_addresses(buffer, form);
	mime_header(buffer, "Subject", subject);
	buffer_string(buffer, "Date: ");
	mime_date(buffer, notices[n - 1]->at);
	buffer_string(buffer, "\r\n");
	write_ids(buffer, form, notices, n);
	buffer_string(buffer, "Auto-Submitted: auto-generated\r\nX-Auto-Response-Suppress: All\r\n");
	for (uint32_t i = 0; form->headers && i < form->headers->count; i++)
		mime_header(buffer, form->headers->children[i].key, form->headers->children[i].string);
	buffer_print(buffer, "MIME-Version: 1.0\r\nContent-Type: multipart/alternative;\r\n boundary=\"%s\"\r\n\r\n",
		     boundary);
}

/* ---- the whole ---- */

static void write_part(struct buffer *buffer, const char *boundary, const char *type, const struct buffer *text)
{
	buffer_print(buffer,
		     "--%s\r\nContent-Type: %s; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n",
		     boundary, type);
	if (text->failed)
		buffer->failed = true;
	else
		mime_quoted(buffer, buffer_text(text), text->length);
}

void letter_write(struct buffer *buffer, const struct letter_form *form, const struct cw_notice *const *notices,
		  uint32_t n)
{
	char boundary[BOUNDARY_SIZE];
	struct buffer text, html;
	buffer_init(&text, /* head */ 0, LETTER_BYTES_MAX);
	buffer_init(&html, /* head */ 0, LETTER_BYTES_MAX);
	/* A line of a part never begins with `--=`: an equals sign is always encoded there. */
	snprintf(boundary, sizeof(boundary), "=_%.64s", notices[0]->id);
	letter_text(&text, notices, n);
	letter_html(&html, notices, n);
	write_headers(buffer, form, notices, n, boundary);
	write_part(buffer, boundary, "text/plain", &text);
	write_part(buffer, boundary, "text/html", &html);
	buffer_print(buffer, "--%s--\r\n", boundary);
	buffer_release(&text);
	buffer_release(&html);
}
