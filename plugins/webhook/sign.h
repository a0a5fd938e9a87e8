/* SPDX-License-Identifier: MIT
 *
 * Headers by which a receiver knows that a request is ours, when it was made, and whether it had it before. They are
 * those of Standard Webhooks (standardwebhooks.com), for which there are libraries in most languages:
 *
 *     webhook-id: ID                    of the notice; the same for every try. Also as Idempotency-Key
 *     webhook-timestamp: SECONDS        since 1970, of this try: refuse what is more than five minutes off (replay)
 *     webhook-signature: v1,BASE64      of HMAC-SHA256(secret, ID "." SECONDS "." BODY), the bytes of the body as sent
 *
 * A secret that begins with `whsec_` is base64 after that, as Standard Webhooks writes it; any other is its own bytes.
 */
#ifndef WEBHOOK_SIGN_H
#define WEBHOOK_SIGN_H

#include <stddef.h>
#include <stdint.h>

enum { SIGN_KEY_MAX = 4096, SIGN_TEXT_SIZE = 64 };

struct sign_key {
	size_t length; /* 0: there is none */
	unsigned char bytes[SIGN_KEY_MAX];
};

/* 0, or -EINVAL: it is empty, too long, or no base64 after whsec_. */
int sign_key_read(const char *secret, struct sign_key *ret_key);
void sign_key_wipe(struct sign_key *key);
/* `v1,…` */
void sign(const struct sign_key *key, const char *id, int64_t seconds, const char *body, size_t length,
	  char text[SIGN_TEXT_SIZE]);

#endif
