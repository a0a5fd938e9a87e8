/* SPDX-License-Identifier: MIT
 *
 * The client's side of TLS over bytes that somebody else carries: what came from the peer is fed in and read out plain,
 * what is written plain is taken out sealed. No socket, no loop, no waiting: the connection that uses it keeps its own
 * life, deadlines and limits. For plugins (static library connect-tls, OpenSSL); one thread.
 *
 * TLS 1.2 or later, no renegotiation. The peer's certificate is always verified, and its name too; there is no switch
 * to leave that out.
 */
#ifndef CALLWATCH_CONNECT_TLS_H
#define CALLWATCH_CONNECT_TLS_H

#include "callwatch/option.h"

#include <sys/types.h>

/* Options of every plugin that speaks TLS with a client of its own. In files: tls_ca_file and so on. */
#define TLS_CONNECTION_OPTIONS                                                                                         \
	{.key = "tls_ca",                                                                                              \
	 .type = CW_OPTION_STRING,                                                                                     \
	 .flags = CW_OPTION_CONNECTION | CW_OPTION_ADVANCED,                                                           \
	 .help = "PEM of the authorities to trust, by tls_ca_file; without it, those the system trusts"},              \
		{.key = "tls_cert",                                                                                    \
		 .type = CW_OPTION_STRING,                                                                             \
		 .flags = CW_OPTION_CONNECTION | CW_OPTION_ADVANCED,                                                   \
		 .help = "PEM of our own certificate and its chain, by tls_cert_file, for a server that asks for it"}, \
		{.key = "tls_key",                                                                                     \
		 .type = CW_OPTION_STRING,                                                                             \
		 .flags = CW_OPTION_CONNECTION | CW_OPTION_SECRET | CW_OPTION_ADVANCED,                                \
		 .help = "PEM of its private key, by tls_key_file"},                                                   \
	{                                                                                                              \
		.key = "tls_server_name", .type = CW_OPTION_STRING,                                                    \
		.flags = CW_OPTION_CONNECTION | CW_OPTION_ADVANCED,                                                    \
		.help = "The name in the server's certificate, if it is not the host of the address"                   \
	}

enum { TLS_ERROR_MAX = 200 };

/* What to trust and who we are: one for all connections of an instance. */
struct tls_client;
/* From the options above. 0, or -EINVAL with a sentence that holds nothing secret and the option it is about, or
 * -ENOMEM. Nothing of `options` is kept. */
int tls_client_new(const struct cw_value *options, struct tls_client **ret_client, const struct cw_value **ret_value,
		   char error[TLS_ERROR_MAX]);
void tls_client_free(struct tls_client *client); /* NULL is fine; sessions made with it may live on */
/* For a plugin's check(): are the options well formed? `used`: does the address ask for TLS? */
void tls_check_options(const struct cw_value *options, bool used, struct cw_problems *problems);

/* A session: one connection. */
struct tls;
/* `host` is the name or address we connect to; the certificate must be for it, or for tls_server_name. NULL: no memory.
 */
struct tls *tls_new(const struct tls_client *client, const char *host);
void tls_free(struct tls *tls); /* NULL is fine */

/* 0: done; CW_LATER: it goes on when more came in; -EPROTO: it failed, tls_why() says how. */
int tls_handshake(struct tls *tls);
/* Bytes from the peer; all of them are taken. 0 or -ENOMEM. */
int tls_feed(struct tls *tls, const char *bytes, size_t length);
/* What they said, as far as it is whole: bytes in the buffer; 0: no more for now; -EPIPE: the peer has ended the
 * session; -EPROTO. */
ssize_t tls_read(struct tls *tls, char *buffer, size_t size);
/* Seals; 0, -EPROTO or -ENOMEM. */
int tls_write(struct tls *tls, const char *bytes, size_t length);
/* Sealed bytes that wait to be sent (the handshake makes some by itself), and takes up to `size` of them. */
size_t tls_waiting(const struct tls *tls);
size_t tls_take(struct tls *tls, char *buffer, size_t size);
/* Why it failed, in words a person can act on; `ended`: the connection was closed under it. */
void tls_why(const struct tls *tls, bool ended, char reason[TLS_ERROR_MAX]);
/* The same about a server's certificate (NULL: none is known) on which OpenSSL's verdict was not X509_V_OK; for who
 * does not use a session of ours. */
struct x509_st;
void tls_why_refused(const struct x509_st *certificate, long verdict, char reason[TLS_ERROR_MAX]);

#endif
