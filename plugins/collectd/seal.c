/* SPDX-License-Identifier: MIT
 *
 * See seal.h.
 */
#include "seal.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { PART_SIGN = 0x0200, PART_ENCRYPT = 0x0210, HEADER = 4, MAC = 32, IV = 16, SHA1 = 20, KEY = 32 };

struct seal {
	enum security security;
	const char *user;
	size_t user_length;
	EVP_MAC *mac;
	EVP_MAC_CTX *mac_context; /* with the key */
	EVP_CIPHER_CTX *cipher;   /* with the key */
	EVP_MD *sha1;
};

static int prepare_sign(struct seal *seal, const char *password)
{
	char digest[] = "SHA256";
	const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, /* size */ 0),
				     OSSL_PARAM_construct_end()};
	seal->mac = EVP_MAC_fetch(/* library context */ NULL, "HMAC", /* properties */ NULL);
	seal->mac_context = seal->mac ? EVP_MAC_CTX_new(seal->mac) : NULL;
	if (!seal->mac_context)
		return -ENOTSUP;
	return EVP_MAC_init(seal->mac_context, (const unsigned char *)password, strlen(password), params) ? 0
													  : -ENOTSUP;
}

static int prepare_encrypt(struct seal *seal, const char *password)
{
	unsigned char key[KEY];
	seal->sha1 = EVP_MD_fetch(/* library context */ NULL, "SHA1", /* properties */ NULL);
	seal->cipher = EVP_CIPHER_CTX_new();
	bool ready = seal->sha1 && seal->cipher &&
		     EVP_Digest(password, strlen(password), key, /* size */ NULL, EVP_sha256(), /* engine */ NULL) &&
		     EVP_EncryptInit_ex(seal->cipher, EVP_aes_256_ofb(), /* engine */ NULL, key, /* iv */ NULL);
	OPENSSL_cleanse(key, sizeof(key));
	return ready ? 0 : -ENOTSUP;
}

int seal_new(enum security security, const char *user, const char *password, struct seal **ret_seal)
{
	size_t user_length = user ? strlen(user) : 0;
	if (security != SECURITY_NONE && (!user_length || user_length > SEAL_USER_MAX || !password || !*password))
		return -EINVAL;
	struct seal *seal = calloc(1, sizeof(*seal));
	if (!seal)
		return -ENOMEM;
	*seal = (struct seal){.security = security, .user = user, .user_length = user_length};
	int status = 0;
	if (security == SECURITY_SIGN)
		status = prepare_sign(seal, password);
	else if (security == SECURITY_ENCRYPT)
		status = prepare_encrypt(seal, password);
	if (status < 0)
		seal_free(seal);
	else
		*ret_seal = seal;
	return status;
}

void seal_free(struct seal *seal)
{
	if (!seal)
		return;
	EVP_MAC_CTX_free(seal->mac_context);
	EVP_MAC_free(seal->mac);
	EVP_CIPHER_CTX_free(seal->cipher);
	EVP_MD_free(seal->sha1);
	free(seal);
}

size_t seal_head(const struct seal *seal)
{
	if (seal->security == SECURITY_SIGN)
		return HEADER + MAC + seal->user_length;
	if (seal->security == SECURITY_ENCRYPT)
		return HEADER + 2 + seal->user_length + IV + SHA1;
	return 0;
}

static unsigned char *put_u16(unsigned char *to, size_t number)
{
	to[0] = (unsigned char)(number >> 8);
	to[1] = (unsigned char)number;
	return to + 2;
}

/* The user stands in front of the payload, so both are signed in one go. */
static int sign(const struct seal *seal, unsigned char *packet, size_t length)
{
	unsigned char *mac = put_u16(put_u16(packet, PART_SIGN), seal_head(seal)), *user = mac + MAC;
	size_t mac_length = 0;
	memcpy(user, seal->user, seal->user_length);
	bool done = EVP_MAC_init(seal->mac_context, /* the same key */ NULL, 0, /* params */ NULL) &&
		    EVP_MAC_update(seal->mac_context, user, (size_t)(packet + length - user)) &&
		    EVP_MAC_final(seal->mac_context, mac, &mac_length, MAC);
	return done && mac_length == MAC ? 0 : -EIO;
}

static int encrypt(const struct seal *seal, unsigned char *packet, size_t length)
{
	unsigned char *user = put_u16(put_u16(put_u16(packet, PART_ENCRYPT), length), seal->user_length);
	unsigned char *iv = user + seal->user_length, *sum = iv + IV, *payload = sum + SHA1, *end = packet + length;
	int written = 0;
	memcpy(user, seal->user, seal->user_length);
	bool done = RAND_bytes(iv, IV) == 1 &&
		    EVP_Digest(payload, (size_t)(end - payload), sum, /* size */ NULL, seal->sha1, /* engine */ NULL) &&
		    EVP_EncryptInit_ex(seal->cipher, /* the same cipher and key */ NULL, NULL, NULL, iv) &&
		    EVP_EncryptUpdate(seal->cipher, sum, &written, sum, (int)(end - sum));
	return done && written == end - sum ? 0 : -EIO;
}

int seal_packet(struct seal *seal, unsigned char *packet, size_t length)
{
	if (seal->security == SECURITY_SIGN)
		return sign(seal, packet, length);
	if (seal->security == SECURITY_ENCRYPT)
		return encrypt(seal, packet, length);
	return 0;
}
