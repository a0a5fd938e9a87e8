/* SPDX-License-Identifier: MIT
 *
 * URLs and Retry-After, read by libcurl's own parsers. What is said about a bad URL never repeats it.
 */
#include "connect/http.h"
#include "connect/tls.h"

#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int wrong(char error[HTTP_REASON_MAX], const char *sentence)
{
	snprintf(error, HTTP_REASON_MAX, "%s", sentence);
	return -EINVAL;
}

static bool is_printable_ascii(const char *text)
{
	for (; *text; text++)
		if (*text <= ' ' || *text > '~')
			return false;
	return true;
}

/* Without the brackets of an IPv6 address. */
static int take_host(const char *host, struct http_address *address, char error[HTTP_REASON_MAX])
{
	size_t length = strlen(host);
	if (length >= 2 && host[0] == '[') {
		host++;
		length -= 2;
	}
	if (length == 0 || length > ADDRESS_HOST_MAX)
		return wrong(error, "the address has no host, or one that is too long: http://host:8000");
	memcpy(address->at.host, host, length);
	address->at.host[length] = '\0';
	return 0;
}

static int take_parts(CURLU *parts, struct http_address *address, char error[HTTP_REASON_MAX])
{
	char *scheme = NULL, *host = NULL, *port = NULL, *fragment = NULL;
	int status = -EINVAL;
	if (curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
	    (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0))
		wrong(error, "an address begins with http:// or https://");
	else if (curl_url_get(parts, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
		 curl_url_get(parts, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK)
		wrong(error, "the address cannot be read; its form is http://host:8000 or https://host");
	else if (curl_url_get(parts, CURLUPART_FRAGMENT, &fragment, 0) == CURLUE_OK)
		wrong(error, "an address of a server has no #fragment");
	else if (strtoul(port, NULL, 10) == 0)
		wrong(error, "the port must be a number from 1 to 65535");
	else
		status = take_host(host, address, error);
	if (status == 0) {
		address->at.port = (uint16_t)strtoul(port, NULL, 10);
		address->is_tls = strcmp(scheme, "https") == 0;
	}
	curl_free(scheme);
	curl_free(host);
	curl_free(port);
	curl_free(fragment);
	return status;
}

int http_address_parse(const char *url, struct http_address *ret_address, char error[HTTP_REASON_MAX])
{
	struct http_address address = {.is_tls = false};
	CURLU *parts;
	if (!strstr(url, "://"))
		return wrong(error, "an address begins with http:// or https://");
	if (!is_printable_ascii(url))
		return wrong(error, "an address has no spaces and only ASCII (write a name as xn--…, the rest as %xx)");
	if (!(parts = curl_url()))
		return wrong(error, "out of memory");
	CURLUcode code = curl_url_set(parts, CURLUPART_URL, url, CURLU_DISALLOW_USER | CURLU_NON_SUPPORT_SCHEME);
	int status = code == CURLUE_OK ? take_parts(parts, &address, error)
		     : code == CURLUE_USER_NOT_ALLOWED
			     ? wrong(error, "an address must not hold a user or a password, it is shown in many places")
			     : wrong(error, "the address cannot be read; its form is http://host:8000 or https://host");
	curl_url_cleanup(parts);
	if (status == 0)
		*ret_address = address;
	return status;
}

void http_check_options(const struct cw_value *options, const char *url_key, struct cw_problems *problems)
{
	const struct cw_value *url = cw_get(options, url_key);
	struct http_address address = {.is_tls = false};
	char error[HTTP_REASON_MAX];
	if (!url || !url->known || !url->string)
		return;
	if (http_address_parse(url->string, &address, error) < 0)
		problems->error(problems, url, "%s", error);
	else
		tls_check_options(options, address.is_tls, problems);
}

/* ---- Retry-After ---- */

/* -1: these are no digits. */
static int64_t seconds_of(const char *digits)
{
	int64_t seconds = 0;
	for (; isdigit((unsigned char)*digits); digits++)
		if (seconds <= HTTP_RETRY_AFTER_MAX_S)
			seconds = seconds * 10 + (*digits - '0');
	return *digits ? -1 : seconds;
}

int64_t http_retry_after(const char *value, size_t length, int64_t wall)
{
	char text[64];
	while (length && (value[0] == ' ' || value[0] == '\t')) {
		value++;
		length--;
	}
	while (length && strchr(" \t\r\n", value[length - 1]))
		length--;
	if (length == 0 || length >= sizeof(text) || memchr(value, '\0', length))
		return 0;
	memcpy(text, value, length);
	text[length] = '\0';
	int64_t seconds = seconds_of(text);
	if (seconds < 0 && isalpha((unsigned char)text[0])) { /* a date begins with the name of a day */
		time_t then = curl_getdate(text, /* unused */ NULL);
		seconds = then > wall / CW_SECOND ? (int64_t)then - wall / CW_SECOND : 0;
	}
	if (seconds <= 0)
		return 0;
	return (seconds < HTTP_RETRY_AFTER_MAX_S ? seconds : HTTP_RETRY_AFTER_MAX_S) * CW_SECOND;
}
