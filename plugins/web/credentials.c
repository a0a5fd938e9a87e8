/* SPDX-License-Identifier: MIT
 *
 * See credentials.h.
 */
#include "credentials.h"

#include "text.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* What one password may cost us to try. */
enum { MEMORY_MAX_KIB = 256 * 1024, PASSES_MAX = 16 };

/* What follows the scheme; NULL: it is another one. */
static const char *after_scheme(const char *authorization, const char *scheme)
{
	size_t length = strlen(scheme);
	if (strncasecmp(authorization, scheme, length) != 0 || authorization[length] != ' ')
		return NULL;
	return authorization + length + strspn(authorization + length, " ");
}

/* `name:password` in base64 (RFC 7617). */
static bool read_basic(struct credentials *credentials, const char *text)
{
	char pair[CREDENTIAL_NAME_MAX + CREDENTIAL_SECRET_MAX + 2];
	size_t length;
	const char *end;
	bool right = false;
	if (sodium_base642bin((unsigned char *)pair, sizeof pair - 1, text, strlen(text), /* ignore: */ NULL, &length,
			      &end, sodium_base64_VARIANT_ORIGINAL) == 0 &&
	    *end == '\0' && !memchr(pair, '\0', length)) {
		pair[length] = '\0';
		char *colon = strchr(pair, ':');
		size_t name_length = colon ? (size_t)(colon - pair) : sizeof pair;
		right = name_length <= CREDENTIAL_NAME_MAX && length - name_length - 1 <= CREDENTIAL_SECRET_MAX;
		if (right) {
			memcpy(credentials->name, pair, name_length);
			credentials->name[name_length] = '\0';
			memcpy(credentials->secret, colon + 1, length - name_length);
		}
	}
	sodium_memzero(pair, sizeof pair);
	return right;
}

static bool read_bearer(struct credentials *credentials, const char *text)
{
	size_t length = strlen(text);
	if (length == 0 || length > CREDENTIAL_SECRET_MAX || text[strcspn(text, " \t,")])
		return false;
	memcpy(credentials->secret, text, length + 1);
	return true;
}

void credentials_read(struct credentials *credentials, const char *authorization)
{
	memset(credentials, 0, sizeof *credentials); /* to the last byte: it is hashed as a whole */
	credentials->scheme = SCHEME_NONE;
	if (!authorization)
		return;
	const char *basic = after_scheme(authorization, "Basic"), *bearer = after_scheme(authorization, "Bearer");
	if (basic && read_basic(credentials, basic))
		credentials->scheme = SCHEME_BASIC;
	else if (bearer && read_bearer(credentials, bearer))
		credentials->scheme = SCHEME_BEARER;
	else
		credentials->scheme = SCHEME_WRONG;
}

void credentials_wipe(struct credentials *credentials)
{
	sodium_memzero(credentials, sizeof *credentials);
}

const char *user_name_check(const char *name)
{
	size_t length = strlen(name);
	if (length == 0 || length > CREDENTIAL_NAME_MAX || strchr(name, ':'))
		return "a name has 1 to 64 bytes and no colon";
	for (size_t i = 0, n; i < length; i += n)
		if ((n = text_visible_character(name + i, length - i)) == 0)
			return "a name has no control characters";
	return NULL;
}

const char *password_hash_check(const char *hash)
{
	unsigned memory = 0, passes = 0;
	if (strncmp(hash, crypto_pwhash_argon2id_STRPREFIX, strlen(crypto_pwhash_argon2id_STRPREFIX)) != 0 ||
	    crypto_pwhash_argon2id_str_needs_rehash(hash, crypto_pwhash_argon2id_OPSLIMIT_MIN,
						    crypto_pwhash_argon2id_MEMLIMIT_MIN) < 0)
		return "not an argon2id hash: `callwatch passwd` makes one";
	if (sscanf(hash, "$argon2id$v=19$m=%u,t=%u,", &memory, &passes) != 2 || memory > MEMORY_MAX_KIB ||
	    passes > PASSES_MAX)
		return "the hash asks for more than 256 MiB or 16 passes: `callwatch passwd` makes one that does not";
	return NULL;
}

bool token_hash_parse(uint8_t hash[TOKEN_HASH_BYTES], const char *text)
{
	static const char prefix[] = "sha256:";
	size_t length, start = sizeof prefix - 1;
	const char *end;
	return strncmp(text, prefix, start) == 0 && strlen(text + start) == 2 * TOKEN_HASH_BYTES &&
	       sodium_hex2bin(hash, TOKEN_HASH_BYTES, text + start, 2 * TOKEN_HASH_BYTES, /* ignore: */ NULL, &length,
			      &end) == 0 &&
	       length == TOKEN_HASH_BYTES;
}

void token_hash(uint8_t hash[TOKEN_HASH_BYTES], const char *token)
{
	_Static_assert(TOKEN_HASH_BYTES == crypto_hash_sha256_BYTES, "a token's hash is SHA-256");
	crypto_hash_sha256(hash, (const unsigned char *)token, strlen(token));
}
