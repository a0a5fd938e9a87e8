/* SPDX-License-Identifier: MIT
 *
 * See connect/tls-pem.h.
 */
#include "connect/tls-pem.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <time.h>

static X509 *next_certificate(BIO *pem)
{
	return PEM_read_bio_X509(pem, /* into */ NULL, /* password */ NULL, NULL);
}

/* Nothing begins here any more; else there is one that cannot be read: half of a file that is being written, perhaps.
 */
static bool was_the_end(void)
{
	return ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
}

/* Calls take() with each certificate of a PEM text, until it fails. How many there were, or -1: one was refused, or
 * cannot be read. */
static int each_certificate(const char *text, bool (*take)(SSL_CTX *context, X509 *certificate, int at),
			    SSL_CTX *context)
{
	BIO *pem = BIO_new_mem_buf(text, -1);
	int count = 0;
	ERR_clear_error();
	for (X509 *certificate; pem && count >= 0 && (certificate = next_certificate(pem));) {
		count = take(context, certificate, count) ? count + 1 : -1;
		X509_free(certificate);
	}
	BIO_free(pem);
	return count < 0 || was_the_end() ? count : -1;
}

static bool trust(SSL_CTX *context, X509 *certificate, int at)
{
	(void)at;
	return X509_STORE_add_cert(SSL_CTX_get_cert_store(context), certificate) == 1;
}

static bool present(SSL_CTX *context, X509 *certificate, int at)
{
	return (at == 0 ? SSL_CTX_use_certificate(context, certificate)
			: (int)SSL_CTX_add1_chain_cert(context, certificate)) == 1;
}

int tls_pem_trust(SSL_CTX *context, const char *pem)
{
	return each_certificate(pem, trust, context);
}

int tls_pem_present(SSL_CTX *context, const char *pem)
{
	return each_certificate(pem, present, context);
}

bool tls_pem_use_key(SSL_CTX *context, const char *text)
{
	static char no_password[] = ""; /* else OpenSSL asks on the terminal */
	BIO *pem = BIO_new_mem_buf(text, -1);
	EVP_PKEY *key = pem ? PEM_read_bio_PrivateKey(pem, /* into */ NULL, /* callback */ NULL, no_password) : NULL;
	bool used = key && SSL_CTX_use_PrivateKey(context, key) == 1;
	EVP_PKEY_free(key);
	BIO_free(pem);
	return used;
}

bool tls_pem_expiry(const char *text, int64_t *ret_unix)
{
	BIO *pem = BIO_new_mem_buf(text, -1);
	X509 *certificate = pem ? next_certificate(pem) : NULL;
	struct tm end;
	bool found = certificate && ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) == 1;
	if (found)
		*ret_unix = (int64_t)timegm(&end);
	X509_free(certificate);
	BIO_free(pem);
	return found;
}
