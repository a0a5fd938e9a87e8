/* SPDX-License-Identifier: MIT
 *
 * See recipient.h. Quoted local parts (`"a b"@host`), comments and groups of RFC 5322 are refused, and so is what needs
 * SMTPUTF8: nobody's mailbox for alerts is called so, and each is a way to get a second recipient past a reader.
 */
#include "recipient.h"

#include "text.h"

#include <errno.h>
#include <string.h>

static int wrong(const char **ret_error, const char *sentence)
{
	*ret_error = sentence;
	return -EINVAL;
}

static bool is_local_character(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("!#$%&'*+-/=?^_`{|}~.", c));
}

static bool is_domain_character(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
}

static bool all(const char *text, size_t length, bool (*is_fine)(char c))
{
	for (size_t i = 0; i < length; i++)
		if (!is_fine(text[i]))
			return false;
	return length > 0 && text[0] != '.' && text[length - 1] != '.';
}

static int take_address(const char *text, size_t length, struct recipient *recipient, const char **ret_error)
{
	const char *at = memchr(text, '@', length);
	if (length > RECIPIENT_ADDRESS_MAX)
		return wrong(ret_error, "a mail address has at most 254 bytes");
	if (!at)
		return wrong(ret_error, "a mail address has the form name@host, or Somebody <name@host>");
	size_t local = (size_t)(at - text);
	if (!all(text, local, is_local_character) || !all(at + 1, length - local - 1, is_domain_character))
		return wrong(ret_error,
			     "a mail address has the form name@host, in ASCII and without blanks or quotes (a "
			     "host of other letters as xn--…)");
	memcpy(recipient->address, text, length);
	recipient->address[length] = '\0';
	return 0;
}

static int take_name(const char *text, size_t length, struct recipient *recipient, const char **ret_error)
{
	while (length && text[length - 1] == ' ')
		length--;
	if (length >= 2 && text[0] == '"' && text[length - 1] == '"') {
		text++;
		length -= 2;
	}
	if (length > RECIPIENT_NAME_MAX)
		return wrong(ret_error, "the name before an address has at most 200 bytes");
	for (size_t i = 0, n; i < length; i += n)
		if (!(n = text_visible_character(text + i, length - i)) || strchr("<>\"\\", text[i]))
			return wrong(ret_error, "the name before an address has letters and no quotes, brackets, "
						"backslashes or control characters");
	memcpy(recipient->name, text, length);
	recipient->name[length] = '\0';
	return 0;
}

int recipient_parse(const char *text, struct recipient *ret_recipient, const char **ret_error)
{
	struct recipient recipient = {.name = ""};
	size_t length = strlen(text);
	const char *open = strchr(text, '<');
	int status;
	if (!open) {
		status = take_address(text, length, &recipient, ret_error);
	} else {
		if (text[length - 1] != '>')
			return wrong(ret_error, "a mail address has the form name@host, or Somebody <name@host>");
		status = take_name(text, (size_t)(open - text), &recipient, ret_error);
		if (status == 0)
			status = take_address(open + 1, (size_t)(text + length - 1 - open - 1), &recipient, ret_error);
	}
	if (status == 0)
		*ret_recipient = recipient;
	return status;
}

const char *recipient_domain(const struct recipient *recipient)
{
	const char *at = strrchr(recipient->address, '@');
	return at ? at + 1 : "";
}
