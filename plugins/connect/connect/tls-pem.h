/* SPDX-License-Identifier: MIT
 *
 * Certificates and keys as PEM in memory, put into an OpenSSL context; for either side of TLS. OpenSSL itself reads
 * chains from files only. For plugins (static library connect-tls). Each leaves OpenSSL's queue of errors to the
 * caller.
 */
#ifndef CALLWATCH_CONNECT_TLS_PEM_H
#define CALLWATCH_CONNECT_TLS_PEM_H

#include <stdbool.h>
#include <stdint.h>

struct ssl_ctx_st;

/* How many there were, or -1: one was refused, or cannot be read to its end. */
int tls_pem_trust(struct ssl_ctx_st *context, const char *pem);
int tls_pem_present(struct ssl_ctx_st *context, const char *pem); /* the first is our own, the others are its chain */
/* False: none that can be used without a password and belongs to our certificate. */
bool tls_pem_use_key(struct ssl_ctx_st *context, const char *pem);
/* When the first certificate ends, in seconds since 1970. False: there is none. */
bool tls_pem_expiry(const char *pem, int64_t *ret_unix);

#endif
