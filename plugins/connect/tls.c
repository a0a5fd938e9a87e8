/* SPDX-License-Identifier: MIT
 *
 * See connect/tls.h. OpenSSL on two memory BIOs, one for each direction. OpenSSL keeps its errors in a queue of the
 * thread: it is emptied before each call, so that what is found after a failure belongs to it.
 */
#include "connect/tls.h"

#include "connect/tls-pem.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tls_client {
	SSL_CTX *context;
	char *server_name; /* NULL: the host's */
};

struct tls {
	SSL *ssl;
	BIO *in, *out;        /* the session's */
	unsigned long failed; /* OpenSSL's code of the first failure, 0: none or not said */
};

/* ---- what to trust, who we are ---- */

static int wrong(char error[TLS_ERROR_MAX], const struct cw_value **ret_value, const struct cw_value *value,
		 const char *sentence)
{
	snprintf(error, TLS_ERROR_MAX, "%s", sentence);
	*ret_value = value;
	return -EINVAL;
}

static int read_options(struct tls_client *client, const struct cw_value *options, const struct cw_value **ret_value,
			char error[TLS_ERROR_MAX])
{
	const char *ca = cw_get_string(options, "tls_ca"), *certificate = cw_get_string(options, "tls_cert"),
		   *key = cw_get_string(options, "tls_key"), *name = cw_get_string(options, "tls_server_name");
	SSL_CTX *context = client->context;
	if (ca && tls_pem_trust(context, ca) <= 0)
		return wrong(error, ret_value, cw_get(options, "tls_ca"), "tls_ca holds no certificate in PEM");
	if (certificate && tls_pem_present(context, certificate) <= 0)
		return wrong(error, ret_value, cw_get(options, "tls_cert"), "tls_cert holds no certificate in PEM");
	if (key && !tls_pem_use_key(context, key))
		return wrong(
			error, ret_value, cw_get(options, "tls_key"),
			"tls_key holds no private key in PEM that can be used (without a password, and of tls_cert)");
	if (!ca && SSL_CTX_set_default_verify_paths(context) != 1)
		return -ENOMEM;
	if (name && !(client->server_name = strdup(name)))
		return -ENOMEM;
	return 0;
}

int tls_client_new(const struct cw_value *options, struct tls_client **ret_client, const struct cw_value **ret_value,
		   char error[TLS_ERROR_MAX])
{
	struct tls_client *client = calloc(1, sizeof(*client));
	int status = -ENOMEM;
	snprintf(error, TLS_ERROR_MAX, "out of memory");
	*ret_value = NULL;
	ERR_clear_error();
	if (client && (client->context = SSL_CTX_new(TLS_client_method()))) {
		SSL_CTX_set_min_proto_version(client->context, TLS1_2_VERSION);
		SSL_CTX_set_options(client->context, SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
		SSL_CTX_set_session_cache_mode(client->context, SSL_SESS_CACHE_OFF);
		SSL_CTX_set_mode(client->context, SSL_MODE_RELEASE_BUFFERS);
		SSL_CTX_set_verify(client->context, SSL_VERIFY_PEER, /* callback */ NULL);
		status = read_options(client, options, ret_value, error);
	}
	ERR_clear_error();
	if (status < 0) {
		tls_client_free(client);
		return status;
	}
	*ret_client = client;
	return 0;
}

void tls_client_free(struct tls_client *client)
{
	if (!client)
		return;
	SSL_CTX_free(client->context);
	free(client->server_name);
	free(client);
}

static bool is_set(const struct cw_value *options, const char *key)
{
	const struct cw_value *value = cw_get(options, key);
	return value && value->is_set;
}

void tls_check_options(const struct cw_value *options, bool used, struct cw_problems *problems)
{
	static const char *const keys[] = {"tls_ca", "tls_cert", "tls_key", "tls_server_name"};
	for (size_t i = 0; i < sizeof keys / sizeof *keys && !used; i++)
		if (is_set(options, keys[i]))
			problems->warning(problems, cw_get(options, keys[i]),
					  "%s is set, but the address does not ask for TLS", keys[i]);
	if (is_set(options, "tls_cert") != is_set(options, "tls_key"))
		problems->error(problems, cw_get(options, is_set(options, "tls_cert") ? "tls_cert" : "tls_key"),
				"tls_cert and tls_key go together");
	struct tls_client *client = NULL;
	const struct cw_value *value = NULL;
	char error[TLS_ERROR_MAX];
	if (used && tls_client_new(options, &client, &value, error) < 0 && value)
		problems->error(problems, value, "%s", error);
	tls_client_free(client);
}

/* ---- a session ---- */

/* An address is no server name (RFC 6066, section 3), and stands in another field of a certificate. */
static bool expect(SSL *ssl, const char *name)
{
	X509_VERIFY_PARAM *expected = SSL_get0_param(ssl);
	if (X509_VERIFY_PARAM_set1_ip_asc(expected, name) == 1)
		return true;
	ERR_clear_error();
	X509_VERIFY_PARAM_set_hostflags(expected, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return X509_VERIFY_PARAM_set1_host(expected, name, 0) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

struct tls *tls_new(const struct tls_client *client, const char *host)
{
	struct tls *tls = calloc(1, sizeof(*tls));
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
	SSL *ssl = tls && in && out ? SSL_new(client->context) : NULL;
	if (!ssl || !expect(ssl, client->server_name ? client->server_name : host)) {
		SSL_free(ssl);
		BIO_free(in);
		BIO_free(out);
		free(tls);
		return NULL;
	}
	BIO_set_mem_eof_return(in, -1); /* empty is not the end */
	SSL_set_bio(ssl, in, out);
	SSL_set_connect_state(ssl);
	*tls = (struct tls){.ssl = ssl, .in = in, .out = out};
	return tls;
}

void tls_free(struct tls *tls)
{
	if (!tls)
		return;
	SSL_free(tls->ssl); /* with both BIOs */
	free(tls);
}

/* What a call that did not succeed means. */
static int outcome(struct tls *tls, int result)
{
	switch (SSL_get_error(tls->ssl, result)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return CW_LATER;
	case SSL_ERROR_ZERO_RETURN:
		return -EPIPE;
	default:
		if (!tls->failed)
			tls->failed = ERR_peek_last_error();
		ERR_clear_error();
		return -EPROTO;
	}
}

int tls_handshake(struct tls *tls)
{
	ERR_clear_error();
	int result = SSL_do_handshake(tls->ssl);
	int status = result == 1 ? 0 : outcome(tls, result);
	return status == -EPIPE ? -EPROTO : status;
}

int tls_feed(struct tls *tls, const char *bytes, size_t length)
{
	for (size_t fed = 0; fed < length;) {
		size_t rest = length - fed;
		int n = BIO_write(tls->in, bytes + fed, rest > INT_MAX ? INT_MAX : (int)rest);
		if (n <= 0)
			return -ENOMEM;
		fed += (size_t)n;
	}
	return 0;
}

ssize_t tls_read(struct tls *tls, char *buffer, size_t size)
{
	size_t length = 0;
	ERR_clear_error();
	int result = SSL_read_ex(tls->ssl, buffer, size, &length);
	if (result == 1)
		return (ssize_t)length;
	int status = outcome(tls, result);
	return status == CW_LATER ? 0 : status;
}

/* Into memory nothing is written in part. */
int tls_write(struct tls *tls, const char *bytes, size_t length)
{
	size_t written = 0;
	ERR_clear_error();
	if (length == 0)
		return 0;
	int result = SSL_write_ex(tls->ssl, bytes, length, &written);
	int status = result == 1 ? 0 : outcome(tls, result);
	return status == 0 && written == length ? 0 : -EPROTO;
}

size_t tls_waiting(const struct tls *tls)
{
	return BIO_ctrl_pending(tls->out);
}

size_t tls_take(struct tls *tls, char *buffer, size_t size)
{
	int n = BIO_read(tls->out, buffer, size > INT_MAX ? INT_MAX : (int)size);
	return n > 0 ? (size_t)n : 0;
}

/* ---- why ---- */

static void print_end(const X509 *certificate, char text[64])
{
	BIO *out = BIO_new(BIO_s_mem());
	text[0] = '\0';
	int n = out && certificate && ASN1_TIME_print(out, X509_get0_notAfter(certificate)) == 1
			? BIO_read(out, text, 63)
			: 0;
	text[n > 0 ? n : 0] = '\0';
	BIO_free(out);
}

void tls_why_refused(const X509 *certificate, long verdict, char reason[TLS_ERROR_MAX])
{
	char end[64];
	switch (verdict) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
		print_end(certificate, end);
		snprintf(reason, TLS_ERROR_MAX, "the server's certificate has expired (%s): renew it", end);
		break;
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		snprintf(reason, TLS_ERROR_MAX,
			 "the server's certificate is for another name: set tls_server_name, or mend the address");
		break;
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		snprintf(reason, TLS_ERROR_MAX,
			 "the server's certificate is of no authority we trust (%s): set tls_ca_file",
			 X509_verify_cert_error_string(verdict));
		break;
	default:
		snprintf(reason, TLS_ERROR_MAX, "the server's certificate is refused: %s",
			 X509_verify_cert_error_string(verdict));
	}
}

void tls_why(const struct tls *tls, bool ended, char reason[TLS_ERROR_MAX])
{
	long verdict = SSL_get_verify_result(tls->ssl);
	const char *said = tls->failed ? ERR_reason_error_string(tls->failed) : NULL;
	int code = ERR_GET_REASON(tls->failed);
	if (verdict != X509_V_OK)
		tls_why_refused(SSL_get0_peer_certificate(tls->ssl), verdict, reason);
	else if (code == SSL_R_WRONG_VERSION_NUMBER || code == SSL_R_PACKET_LENGTH_TOO_LONG)
		snprintf(reason, TLS_ERROR_MAX, "the server does not speak TLS on this port: mend the address");
	else if (code == SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED || code == SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE)
		snprintf(reason, TLS_ERROR_MAX,
			 "the server refused the TLS handshake (%s): does it want a certificate of ours? set "
			 "tls_cert_file and tls_key_file",
			 said ? said : "handshake failure");
	else if (said)
		snprintf(reason, TLS_ERROR_MAX, "TLS failed: %s", said);
	else
		snprintf(reason, TLS_ERROR_MAX, "%s in the TLS handshake: does this port speak TLS?",
			 ended ? "closed by the server" : "failed");
}
