/* SPDX-License-Identifier: MIT
 *
 * The TLS of a transfer that libcurl makes, whatever it speaks (static library connect-curl): our options handed over,
 * and what became of it in words. TLS 1.2 or later, no renegotiation; the server's certificate and name are always
 * verified.
 */
#ifndef CALLWATCH_CONNECT_CURL_TLS_H
#define CALLWATCH_CONNECT_CURL_TLS_H

#include "callwatch/option.h"

#include <curl/curl.h>

/* What was seen in the handshake. Zeroed is the beginning; stays where it is until the transfer has ended. */
struct curl_tls {
	bool is_shaking_hands;    /* it is connected, and TLS began */
	long verdict;             /* of OpenSSL on the certificate, 0: fine or none was seen */
	char cert_reason[200];    /* in words */
	int64_t certificate_ends; /* wall time; 0: not known */
};

/* tls_ca, tls_cert, tls_key of `options` (connect/tls.h) are borrowed until the transfer has ended. */
CURLcode curl_tls_set(struct curl_tls *tls, CURL *easy, const struct cw_value *options);

/* Was it TLS that made a transfer fail? Then `reason` says how, and what to do. `why` is what libcurl left in its
 * CURLOPT_ERRORBUFFER, `where` the server's address. */
bool curl_tls_explain(const struct curl_tls *tls, CURLcode code, const char *why, const char *where, char *reason,
		      size_t size);

#endif
