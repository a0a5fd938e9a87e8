/* SPDX-License-Identifier: MIT
 *
 * What a client shows to say who it is, and what is configured to hold it against. Pure. Private to the plugin web.
 *
 * A password is kept as argon2id, in the form of libsodium and others ($argon2id$v=19$m=…,t=…,p=1$salt$hash): it costs
 * time and memory to try one, because people choose them. A token is 256 random bits, kept as `sha256:` and 64
 * hexadecimal digits: nobody can try those.
 */
#ifndef CALLWATCH_WEB_CREDENTIALS_H
#define CALLWATCH_WEB_CREDENTIALS_H

#include "callwatch/types.h"

enum { CREDENTIAL_NAME_MAX = 64, CREDENTIAL_SECRET_MAX = 256, TOKEN_HASH_BYTES = 32 };

enum scheme {
	SCHEME_NONE, /* the header is not there */
	SCHEME_BASIC,
	SCHEME_BEARER,
	SCHEME_WRONG, /* another scheme, or malformed */
};

struct credentials {
	enum scheme scheme;
	char name[CREDENTIAL_NAME_MAX + 1];
	char secret[CREDENTIAL_SECRET_MAX + 1];
};

/* `authorization`: the header's value, NULL if there is none. Wipe what was read by credentials_wipe(). */
void credentials_read(struct credentials *credentials, const char *authorization);
void credentials_wipe(struct credentials *credentials);

/* NULL, or a sentence that says what is wrong. */
const char *user_name_check(const char *name);
const char *password_hash_check(const char *hash);
/* False: it is no `sha256:…`. */
bool token_hash_parse(uint8_t hash[TOKEN_HASH_BYTES], const char *text);
void token_hash(uint8_t hash[TOKEN_HASH_BYTES], const char *token);

#endif
