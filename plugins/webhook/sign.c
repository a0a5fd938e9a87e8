/* SPDX-License-Identifier: MIT
 *
 * See sign.h.
 */
#include "sign.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

static const char prefix[] = "whsec_";

int sign_key_read(const char *secret, struct sign_key *ret_key)
{
	struct sign_key key = {.length = strlen(secret)};
	int status = 0;
	if (strncmp(secret, prefix, sizeof(prefix) - 1) == 0) {
		const char *text = secret + sizeof(prefix) - 1;
		status = sodium_base642bin(key.bytes, sizeof(key.bytes), text, strlen(text), /* ignore */ NULL,
					   &key.length, /* end */ NULL, sodium_base64_VARIANT_ORIGINAL);
	} else if (key.length <= sizeof(key.bytes)) {
		memcpy(key.bytes, secret, key.length);
	}
	if (status == 0 && key.length > 0 && key.length <= sizeof(key.bytes))
		*ret_key = key;
	else
		status = -EINVAL;
	sign_key_wipe(&key);
	return status;
}

void sign_key_wipe(struct sign_key *key)
{
	sodium_memzero(key, sizeof(*key));
}

void sign(const struct sign_key *key, const char *id, int64_t seconds, const char *body, size_t length,
	  char text[SIGN_TEXT_SIZE])
{
	crypto_auth_hmacsha256_state state;
	unsigned char mac[crypto_auth_hmacsha256_BYTES];
	char before[160];
	int n = snprintf(before, sizeof(before), "%.64s.%lld.", id, (long long)seconds);
	crypto_auth_hmacsha256_init(&state, key->bytes, key->length);
	crypto_auth_hmacsha256_update(&state, (const unsigned char *)before, (unsigned long long)n);
	crypto_auth_hmacsha256_update(&state, (const unsigned char *)body, length);
	crypto_auth_hmacsha256_final(&state, mac);
	memcpy(text, "v1,", 3);
	sodium_bin2base64(text + 3, SIGN_TEXT_SIZE - 3, mac, sizeof(mac), sodium_base64_VARIANT_ORIGINAL);
	sodium_memzero(&state, sizeof(state));
}
