/* SPDX-License-Identifier: MIT
 *
 * Signing and encrypting packets for collectd's network plugin. The ciphers are OpenSSL's; what is here is the frame:
 *
 *     sign     0x0200, length of this part, HMAC-SHA256(password; user ‖ payload), user, payload
 *     encrypt  0x0210, length of all, length of user, user, IV, AES-256-OFB(SHA-256(password), IV; SHA-1(payload) ‖
 * payload)
 *
 * OFB with a repeated IV gives both texts away: each packet has a fresh random one. SHA-1 is the protocol's choice.
 */
#ifndef CALLWATCH_COLLECTD_SEAL_H
#define CALLWATCH_COLLECTD_SEAL_H

#include <stddef.h>

enum security { SECURITY_NONE = 0, SECURITY_SIGN = 1, SECURITY_ENCRYPT = 2 };
enum { SEAL_USER_MAX = 127, SEAL_HEAD_MAX = 200 };

struct seal;

/* `user` is borrowed until free, of the password only a key is kept; both may be NULL with SECURITY_NONE. -EINVAL: no
 * user or password, or too long a user; -ENOMEM; -ENOTSUP: this OpenSSL has not the ciphers. */
int seal_new(enum security security, const char *user, const char *password, struct seal **ret_seal);
void seal_free(struct seal *seal); /* NULL is fine */
/* Bytes to leave free in front of the payload. */
size_t seal_head(const struct seal *seal);
/* Makes of head and payload, `length` bytes, what goes out. 0 or -EIO. */
int seal_packet(struct seal *seal, unsigned char *packet, size_t length);

#endif
