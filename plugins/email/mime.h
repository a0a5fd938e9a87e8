/* SPDX-License-Identifier: MIT
 *
 * The forms that a mail is made of: headers with any text in them (RFC 2047), quoted-printable (RFC 2045), dates (RFC
 * 5322), and text inside HTML. Pure functions that append to a buffer. Written here and not left to libcurl's MIME
 * functions, so that a mail is the same bytes at each try, can be tested without a server, and is known to have been
 * handed over wholly or not.
 */
#ifndef CALLWATCH_EMAIL_MIME_H
#define CALLWATCH_EMAIL_MIME_H

#include "buffer.h"

/* `Name: text` CRLF, folded. Whatever is in the text, it stays in this header: control characters are made visible. */
void mime_header(struct buffer *buffer, const char *name, const char *text);
/* `Name <address>` as part of a header. */
void mime_address(struct buffer *buffer, const char *name, const char *address);
/* `Mon, 30 Nov 2026 02:09:51 +0000`. */
void mime_date(struct buffer *buffer, int64_t wall);
/* Lines of text, ended by \n, as a body of at most 76 characters a line, ended by CRLF. */
void mime_quoted(struct buffer *buffer, const char *text, size_t length);
/* Text as it may stand anywhere in HTML, also in an attribute with quotes. */
void mime_html(struct buffer *buffer, const char *text, size_t length);

#endif
