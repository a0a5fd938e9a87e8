/* SPDX-License-Identifier: MIT
 *
 * See message.h.
 */
#include "message.h"

#include "buffer.h"

#include <sodium/randombytes.h>
#include <sodium/utils.h>
#include <stdio.h>
#include <string.h>

void message_new_id(char id[MESSAGE_ID_SIZE])
{
	unsigned char b[16];
	randombytes_buf(b, sizeof(b));
	b[6] = (unsigned char)((b[6] & 0x0f) | 0x40); /* RFC 9562, section 5.4 */
	b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
	snprintf(id, MESSAGE_ID_SIZE, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
		 b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

static void put(struct buffer *out, const char *before, const char *value)
{
	buffer_string(out, before);
	buffer_json(out, value, strlen(value));
}

static void put_headers(struct buffer *out, const struct message *message)
{
	put(out, "\"headers\":{\"lang\":\"py\",\"task\":", message->task);
	put(out, ",\"id\":", message->id);
	put(out, ",\"root_id\":", message->id);
	put(out, ",\"origin\":", message->origin);
	buffer_string(out, ",\"parent_id\":null,\"group\":null,\"group_index\":null,\"shadow\":null,\"eta\":null,"
			   "\"expires\":null,\"retries\":0,\"timelimit\":[null,null],\"argsrepr\":\"()\","
			   "\"kwargsrepr\":\"{}\",\"ignore_result\":false}");
}

static void put_properties(struct buffer *out, const struct message *message)
{
	put(out, ",\"properties\":{\"correlation_id\":", message->id);
	put(out, ",\"delivery_tag\":", message->id);
	put(out, ",\"delivery_info\":{\"exchange\":\"\",\"routing_key\":", message->queue);
	buffer_string(out, "},\"delivery_mode\":2,\"priority\":0,\"body_encoding\":\"base64\"}");
}

size_t message_make(const struct message *message, char buffer[MESSAGE_BYTES_MAX])
{
	/* args, kwargs, embed */
	static const char body[] = "[[],{},{\"callbacks\":null,\"errbacks\":null,\"chain\":null,\"chord\":null}]";
	char base64[2 * sizeof(body)];
	struct buffer out;
	sodium_bin2base64(base64, sizeof(base64), (const unsigned char *)body, sizeof(body) - 1,
			  sodium_base64_VARIANT_ORIGINAL);
	buffer_init(&out, /* head */ 0, MESSAGE_BYTES_MAX);
	put(&out, "{\"body\":", base64);
	buffer_string(&out, ",\"content-encoding\":\"utf-8\",\"content-type\":\"application/json\",");
	put_headers(&out, message);
	put_properties(&out, message);
	buffer_bytes(&out, "}", 2);
	size_t length = out.failed ? 0 : out.length - 1;
	if (length)
		memcpy(buffer, buffer_text(&out), out.length);
	buffer_release(&out);
	return length;
}
