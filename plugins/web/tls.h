/* SPDX-License-Identifier: MIT
 *
 * TLS for listeners: certificate and key as PEM, from the options `tls_cert` and `tls_key`, usually by their files.
 * Their content is part of what a reload compares, so a renewed certificate is taken by `callwatch reload`. Private to
 * the plugin web.
 */
#ifndef CALLWATCH_WEB_TLS_H
#define CALLWATCH_WEB_TLS_H

#include "callwatch/plugin.h"

struct ssl_ctx_st;

bool tls_is_configured(const struct cw_value *values); /* though its files may not be read */
void tls_check(const struct cw_value *values, struct cw_problems *problems);
/* TLS 1.2 or later, ciphers with forward secrecy, no renegotiation, no session that outlives its connection; the
 * certificate with its chain, and the key. -EINVAL: they are not what tls_check() lets pass. */
int tls_configure(struct ssl_ctx_st *context, const struct cw_value *values);
/* Wall time at which the certificate ends; INT64_MAX: there is none. */
int64_t tls_expiry(const struct cw_value *values);
/* What a person has to know of that: a warning from 14 days before on, a failure once it has ended. */
enum { TLS_SENTENCE_MAX = 192 };
enum cw_verdict tls_explain_expiry(int64_t ends, int64_t wall, char sentence[TLS_SENTENCE_MAX]);

#endif
