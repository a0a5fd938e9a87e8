/* SPDX-License-Identifier: MIT
 *
 * herald-digests: as herald, and it can tell of up to 20 notices at once.
 */
#define HERALD_NAME       "herald-digests"
#define HERALD_DIGEST_MAX 20
#include "herald.c" /* NOLINT(bugprone-suspicious-include): the same plugin, under another name */
