/* SPDX-License-Identifier: MIT
 *
 * Shared texts: the values of columns that repeat over rows (a business, a worker), each stored once and counted.
 * Private to the core's tables; not thread-safe, a part's lock guards its dictionary.
 */
#ifndef CALLWATCH_CORE_DICT_H
#define CALLWATCH_CORE_DICT_H

#include "index.h"

#include <stddef.h>

struct dict_entry;

struct dict {
	struct index index;
	struct dict_entry ***chunks; /* chunks of pointers: growing moves no entry */
	uint32_t chunks_count, chunks_room;
	uint32_t count, free; /* numbers ever used; first free one + 1 */
	const uint8_t *hash_key;
};

void dict_init(struct dict *dict, const uint8_t *hash_key);
void dict_release(struct dict *dict);
/* The text's number with one more reference, or -ENOMEM. length ≤ 65535. */
int64_t dict_add(struct dict *dict, const char *text, size_t length);
void dict_ref(struct dict *dict, uint32_t number);
void dict_unref(struct dict *dict, uint32_t number);
const char *dict_text(const struct dict *dict, uint32_t number, uint32_t *ret_length);
uint32_t dict_texts(const struct dict *dict); /* different texts in it */

#endif
