/* SPDX-License-Identifier: MIT
 *
 * See cursor.h. The plain form is a struct of fixed size: nothing in it has to be parsed, and every cursor has the same
 * length whatever it holds. base64url(nonce, sealed).
 */
#include "cursor.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

struct plain {
	uint8_t question[QUESTION_BYTES];
	uint64_t value; /* a number's bits */
	uint64_t key_hash;
	uint32_t key_length, row;
	uint8_t value_type, value_length;
	char value_text[ORDER_BYTES];
	char key[ORDER_BYTES];
	char instance[CURSOR_INSTANCE_BYTES];
};

enum {
	NONCE = crypto_secretbox_NONCEBYTES,
	SEALED = NONCE + crypto_secretbox_MACBYTES + sizeof(struct plain),
};
_Static_assert(sodium_base64_ENCODED_LEN(SEALED, sodium_base64_VARIANT_URLSAFE_NO_PADDING) <= CURSOR_BYTES,
	       "a cursor fits into cw_query_info");

static void hash_text(crypto_generichash_state *state, const char *text)
{
	if (text)
		crypto_generichash_update(state, (const unsigned char *)text, strlen(text) + 1);
	else
		crypto_generichash_update(state, (const unsigned char *)"\xff", 1);
}

void cursor_question(const struct cw_query_spec *spec, uint8_t ret_question[QUESTION_BYTES])
{
	crypto_generichash_state state;
	crypto_generichash_init(&state, NULL, 0, QUESTION_BYTES);
	hash_text(&state, spec->table);
	hash_text(&state, spec->key);
	hash_text(&state, spec->sort);
	for (uint32_t i = 0; i < spec->where_count; i++)
		hash_text(&state, spec->where[i]);
	crypto_generichash_final(&state, ret_question, QUESTION_BYTES);
}

static uint32_t at_most(uint32_t length, uint32_t most)
{
	return length < most ? length : most;
}

static void to_plain(const struct cursor *cursor, struct plain *plain)
{
	const struct position *position = &cursor->position;
	memset(plain, 0, sizeof(*plain));
	memcpy(plain->question, cursor->question, QUESTION_BYTES);
	plain->row = cursor->row;
	plain->value_type = (uint8_t)position->value.type;
	if (position->value.type == CW_CELL_TEXT) {
		plain->value_length = (uint8_t)at_most(position->value.length, ORDER_BYTES);
		memcpy(plain->value_text, position->value.text, plain->value_length);
	} else if (position->value.type != CW_CELL_NULL) {
		memcpy(&plain->value, &position->value.integer, sizeof(plain->value));
	}
	plain->key_length = position->key_length;
	plain->key_hash = position->key_hash;
	if (position->key)
		memcpy(plain->key, position->key, at_most(position->key_length, ORDER_BYTES));
	memcpy(plain->instance, position->instance,
	       at_most((uint32_t)strlen(position->instance), CURSOR_INSTANCE_BYTES));
}

void cursor_write(const struct tables *tables, const struct cursor *cursor, char *text)
{
	unsigned char sealed[SEALED];
	struct plain plain;
	to_plain(cursor, &plain);
	randombytes_buf(sealed, NONCE);
	crypto_secretbox_easy(sealed + NONCE, (const unsigned char *)&plain, sizeof(plain), sealed, tables->cursor_key);
	sodium_bin2base64(text, CURSOR_BYTES, sealed, sizeof(sealed), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

static void from_plain(const struct plain *plain, struct cursor *cursor)
{
	struct position *position = &cursor->position;
	memcpy(cursor->question, plain->question, QUESTION_BYTES);
	memcpy(cursor->value, plain->value_text, ORDER_BYTES);
	memcpy(cursor->key, plain->key, ORDER_BYTES);
	memcpy(cursor->instance, plain->instance, CURSOR_INSTANCE_BYTES);
	cursor->instance[CURSOR_INSTANCE_BYTES] = 0;
	cursor->row = plain->row;
	*position = (struct position){.instance = cursor->instance,
				      .key = cursor->key,
				      .key_length = plain->key_length,
				      .key_hash = plain->key_hash};
	position->value.type = plain->value_type;
	position->value.length = plain->value_length;
	if (plain->value_type == CW_CELL_TEXT)
		position->value.text = cursor->value;
	else
		memcpy(&position->value.integer, &plain->value, sizeof(plain->value));
}

int cursor_read(const struct tables *tables, const char *text, const uint8_t question[QUESTION_BYTES],
		struct cursor *ret_cursor)
{
	unsigned char sealed[SEALED];
	struct plain plain;
	size_t length = 0;
	if (sodium_base642bin(sealed, sizeof(sealed), text, strlen(text), /* ignore */ NULL, &length, /* end */ NULL,
			      sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 ||
	    length != sizeof(sealed) ||
	    crypto_secretbox_open_easy((unsigned char *)&plain, sealed + NONCE, sizeof(sealed) - NONCE, sealed,
				       tables->cursor_key) != 0 ||
	    memcmp(plain.question, question, QUESTION_BYTES) != 0)
		return -EINVAL;
	from_plain(&plain, ret_cursor);
	return 0;
}
