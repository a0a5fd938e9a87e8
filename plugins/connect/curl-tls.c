/* SPDX-License-Identifier: MIT
 *
 * See connect/curl-tls.h. libcurl's own words are used only where ours do not reach.
 */
#include "connect/curl-tls.h"

#include "connect/tls.h"

#include <openssl/asn1.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* ---- what is agreed ---- */

static void note_end(struct curl_tls *tls, const X509 *certificate)
{
	struct tm end;
	if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) == 1) {
		time_t seconds = timegm(&end);
		if (seconds > 0 && seconds < INT64_MAX / CW_SECOND)
			tls->certificate_ends = (int64_t)seconds * CW_SECOND;
	}
}

/* OpenSSL's judgement stands; what it was about is kept for people. Called for each certificate of the chain. */
static int on_verified(int is_fine, X509_STORE_CTX *store)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct curl_tls *tls = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	const X509 *certificate = X509_STORE_CTX_get_current_cert(store);
	if (!is_fine && !tls->verdict) {
		tls->verdict = X509_STORE_CTX_get_error(store);
		tls_why_refused(certificate, tls->verdict, tls->cert_reason);
	}
	if (certificate && X509_STORE_CTX_get_error_depth(store) == 0)
		note_end(tls, certificate);
	return is_fine;
}

/* No renegotiation: a connection outlives the transfer that made it. */
static CURLcode on_ssl_context(CURL *easy, void *context, void *arg)
{
	struct curl_tls *tls = arg;
	(void)easy;
	tls->is_shaking_hands = true;
	SSL_CTX_set_app_data((SSL_CTX *)context, tls);
	SSL_CTX_set_options((SSL_CTX *)context, SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_verify((SSL_CTX *)context, SSL_VERIFY_PEER, on_verified);
	return CURLE_OK;
}

static CURLcode set_blob(CURL *easy, CURLoption option, const char *text)
{
	struct curl_blob blob = {.data = (void *)(uintptr_t)text, .len = strlen(text), .flags = CURL_BLOB_NOCOPY};
	return curl_easy_setopt(easy, option, &blob);
}

CURLcode curl_tls_set(struct curl_tls *tls, CURL *easy, const struct cw_value *options)
{
	const char *ca = cw_get_string(options, "tls_ca"), *certificate = cw_get_string(options, "tls_cert"),
		   *key = cw_get_string(options, "tls_key");
	CURLcode code = curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, on_ssl_context);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, tls);
	if (code == CURLE_OK && ca)
		code = set_blob(easy, CURLOPT_CAINFO_BLOB, ca);
	if (code == CURLE_OK && certificate)
		code = set_blob(easy, CURLOPT_SSLCERT_BLOB, certificate);
	if (code == CURLE_OK && key)
		code = set_blob(easy, CURLOPT_SSLKEY_BLOB, key);
	return code;
}

/* ---- in words ---- */

static const struct {
	const char *said, *words;
} tls_words[] = {
	{"wrong version number", "the server does not speak TLS on this port: mend the address"},
	{"packet length too long", "the server does not speak TLS on this port: mend the address"},
	{"http request", "the server does not speak TLS on this port: mend the address"},
	{"unsupported protocol", "the server speaks only a TLS older than 1.2: it must be brought up to date"},
	{"protocol version", "the server speaks only a TLS older than 1.2: it must be brought up to date"},
	{"certificate required", "the server wants a certificate of ours: set tls_cert_file and tls_key_file"},
	{"handshake failure", "the server refused the TLS handshake: does it want a certificate of ours? set "
			      "tls_cert_file and tls_key_file"},
};

static void explain_handshake(const char *why, const char *where, char *reason, size_t size)
{
	for (size_t i = 0; i < sizeof(tls_words) / sizeof(tls_words[0]); i++)
		if (strstr(why, tls_words[i].said)) {
			snprintf(reason, size, "%s (%s)", tls_words[i].words, where);
			return;
		}
	if (strstr(why, "SSL_ERROR_SYSCALL") || strstr(why, "eset by peer"))
		snprintf(reason, size, "closed by the server in the TLS handshake (%s): does this port speak TLS?",
			 where);
	else
		snprintf(reason, size, "TLS failed (%s): %.120s", where, why);
}

static void explain_certificate(const struct curl_tls *tls, const char *where, char *reason, size_t size)
{
	if (tls->verdict)
		snprintf(reason, size, "%s (%s)", tls->cert_reason, where);
	else /* of the chain nothing is wrong: libcurl compares the name afterwards */
		snprintf(reason, size,
			 "the server's certificate is for another name (%s): set tls_server_name, or mend the address",
			 where);
}

bool curl_tls_explain(const struct curl_tls *tls, CURLcode code, const char *why, const char *where, char *reason,
		      size_t size)
{
	switch (code) {
	case CURLE_PEER_FAILED_VERIFICATION:
		explain_certificate(tls, where, reason, size);
		return true;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_CACERT_BADFILE:
		explain_handshake(why, where, reason, size);
		return true;
	default:
		if (!strstr(why, "certificate required"))
			return false;
		explain_handshake(why, where, reason, size); /* with TLS 1.3 it is said after the handshake */
		return true;
	}
}
