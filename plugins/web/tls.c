/* SPDX-License-Identifier: MIT
 *
 * See tls.h. Whether a certificate has expired is no matter of the configuration: the agent starts with it, and says so
 * (listen.c).
 */
#include "tls.h"

#include "connect/tls-pem.h"
#include "text.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>

enum { NOTICE_DAYS = 14 };

static const char ciphers[] = "ECDHE+AESGCM:ECDHE+CHACHA20"; /* of TLS 1.2; those of 1.3 are all right */

/* A credential is copied by systemd, once: a reload would read the old one again. */
static const char remedy[] =
	"renew it, then `callwatch reload`; if it is a credential of the service, `systemctl restart callwatch`";

static bool is_set(const struct cw_value *values, const char *key)
{
	const struct cw_value *value = cw_get(values, key);
	return value && value->is_set;
}

bool tls_is_configured(const struct cw_value *values)
{
	return is_set(values, "tls_cert") || is_set(values, "tls_key");
}

/* What is wrong with certificate and key, and which of them; NULL: nothing. */
static const char *use_identity(SSL_CTX *context, const struct cw_value *values, const char **ret_key)
{
	const char *certificate = cw_get_string(values, "tls_cert"), *key = cw_get_string(values, "tls_key");
	*ret_key = "tls_cert";
	if (!certificate || tls_pem_present(context, certificate) <= 0)
		return "tls_cert holds no certificate in PEM that can be used";
	*ret_key = "tls_key";
	if (!key || !tls_pem_use_key(context, key))
		return "tls_key holds no private key in PEM that can be used (without a password, and of tls_cert)";
	return NULL;
}

void tls_check(const struct cw_value *values, struct cw_problems *problems)
{
	const char *key = is_set(values, "tls_cert") ? "tls_cert" : "tls_key";
	if (is_set(values, "tls_cert") != is_set(values, "tls_key")) {
		problems->error(problems, cw_get(values, key), "tls_cert and tls_key go together");
		return;
	}
	/* not known: their files are not read now */
	if (!cw_get_string(values, "tls_cert") || !cw_get_string(values, "tls_key"))
		return;
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	const char *wrong = context ? use_identity(context, values, &key) : NULL;
	if (wrong)
		problems->error(problems, cw_get(values, key), "%s", wrong);
	SSL_CTX_free(context);
	ERR_clear_error();
}

int tls_configure(SSL_CTX *context, const struct cw_value *values)
{
	const char *key;
	SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
	SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION |
					     SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(context, 0);
	SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
	bool right = SSL_CTX_set_cipher_list(context, ciphers) == 1 && !use_identity(context, values, &key);
	ERR_clear_error();
	return right ? 0 : -EINVAL;
}

int64_t tls_expiry(const struct cw_value *values)
{
	const char *certificate = cw_get_string(values, "tls_cert");
	int64_t end;
	if (!certificate)
		return INT64_MAX; /* before OpenSSL is touched: that alone makes 1.3 MiB of it resident */
	bool found = tls_pem_expiry(certificate, &end) && end < INT64_MAX / CW_SECOND;
	ERR_clear_error();
	return found ? end * CW_SECOND : INT64_MAX;
}

enum cw_verdict tls_explain_expiry(int64_t ends, int64_t wall, char sentence[TLS_SENTENCE_MAX])
{
	char date[TEXT_TIME_SIZE];
	int64_t days = (ends - wall) / (86400 * CW_SECOND);
	text_time(date, ends);
	date[sizeof "2027-01-31" - 1] = '\0';
	if (ends <= wall)
		snprintf(sentence, TLS_SENTENCE_MAX, "the TLS certificate expired on %s: %s", date, remedy);
	else if (days < NOTICE_DAYS)
		snprintf(sentence, TLS_SENTENCE_MAX, "the TLS certificate expires on %s, in %d days: %s", date,
			 (int)days, remedy);
	else
		snprintf(sentence, TLS_SENTENCE_MAX, "the TLS certificate is valid until %s", date);
	return ends <= wall ? CW_CHECK_FAILED : days < NOTICE_DAYS ? CW_CHECK_WARNING : CW_CHECK_OK;
}
