/* SPDX-License-Identifier: MIT
 *
 * The text that errors of one kind have in common: what varies from one to the next (ids, numbers, times, addresses,
 * quoted values) is replaced by a word for it. Pure; the text may be anything.
 *
 * The result names a group and is a key that is shown to everybody unmasked, so no digit of the error ever gets into
 * it, except an error code of up to 5 digits behind `HTTP`, `status`, `code`, `errno`, `error` or `SQLSTATE`: that is
 * what tells two kinds apart.
 */
#ifndef DLQ_NORMALISE_H
#define DLQ_NORMALISE_H

#include <stddef.h>

enum { GROUP_MAX = 160, NORMALISE_BYTES_MAX = 1024 /* of the error; the rest is not looked at */ };

/* Always terminates and gives valid UTF-8 without control characters; "" only for an error without any word. */
size_t normalise(const char *error, size_t length, char group[GROUP_MAX]);

#endif
