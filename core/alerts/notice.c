/* SPDX-License-Identifier: MIT
 *
 * See notice.h. A notice is packed twice by the same walk: the first only measures, the second writes into the block.
 * What is written is what was made fit to be shown, so packing a packed notice gives the same again.
 */
#include "notice.h"

#include "text.h"

#include <math.h>
#include <sodium.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	/* Of all alerts together. JSON doubles at most (quotes, backslashes), the names of its members cost less than
	 * pointers and NULs do here, and the last alert may go over it. */
	ALERTS_BYTES_MAX = 256 * 1024,
	ESCAPE_ROOM = 16 /* more than the longest that text_visible() makes of a character */
};

struct packing {
	char *bytes; /* NULL: it is only measured */
	size_t used;
};

/* Room for `size` bytes, whose place is only a promise while it is measured. */
static size_t reserve(struct packing *packing, size_t size, size_t alignment)
{
	size_t at = (packing->used + alignment - 1) / alignment * alignment;
	packing->used = at + size;
	return at;
}

static const char *pack_bytes(struct packing *packing, const char *text, size_t length)
{
	size_t at = reserve(packing, length + 1, 1);
	if (!packing->bytes)
		return "";
	memcpy(packing->bytes + at, text, length);
	packing->bytes[at + length] = '\0';
	return packing->bytes + at;
}

/* A text of `length` bytes in `buffer` that has room for more than `most`: cut, at a character's border. */
static size_t cut(char *buffer, size_t length, size_t most)
{
	static const char ellipsis[] = "\xe2\x80\xa6";
	if (length <= most)
		return length;
	size_t end = most - strlen(ellipsis);
	while (end > 0 && ((unsigned char)buffer[end] & 0xc0) == 0x80)
		end--;
	memcpy(buffer + end, ellipsis, sizeof ellipsis);
	return end + strlen(ellipsis);
}

/* One line. NULL stays NULL. */
static const char *pack_line(struct packing *packing, const char *text, size_t most)
{
	char buffer[NOTICE_TEXT_MAX + ESCAPE_ROOM];
	if (!text)
		return NULL;
	size_t length = text_visible(buffer, most + ESCAPE_ROOM, text, strlen(text));
	return pack_bytes(packing, buffer, cut(buffer, length, most));
}

static const char *pack_text(struct packing *packing, const char *text, size_t most)
{
	return pack_line(packing, text ? text : "", most);
}

/* An id: [0-9a-f-], whatever it was made of, for it ends up in headers and names. */
static const char *pack_id(struct packing *packing, const char *id)
{
	char buffer[NOTICE_ID_MAX];
	size_t length = id ? strnlen(id, sizeof buffer) : 0;
	for (size_t i = 0; i < length; i++)
		buffer[i] = memchr("0123456789abcdef", id[i], 16) ? id[i] : '-';
	return pack_bytes(packing, buffer, length);
}

/* Several lines. */
static const char *pack_lines(struct packing *packing, const char *text, size_t most)
{
	char buffer[NOTICE_TEXT_MAX + ESCAPE_ROOM];
	size_t size = most + ESCAPE_ROOM, length = 0;
	for (const char *line = text ? text : ""; length < size - 1; line++) {
		size_t bytes = strcspn(line, "\n"), carriage = bytes > 0 && line[bytes - 1] == '\r' ? 1 : 0;
		length += text_visible(buffer + length, size - length, line, bytes - carriage);
		line += bytes;
		if (!*line || length >= size - 1)
			break;
		buffer[length++] = '\n';
	}
	return pack_bytes(packing, buffer, cut(buffer, length, most));
}

/* ---- lists ---- */

static struct cw_array pack_list(struct packing *packing, const struct cw_array *from, uint32_t most, size_t size,
				 void (*one)(struct packing *packing, const void *from, void *to))
{
	uint32_t count = from->count < most ? from->count : most;
	union {
		struct cw_tag tag;
		struct cw_fact fact;
	} element;
	size_t at = reserve(packing, count * size, alignof(max_align_t));
	for (uint32_t i = 0; i < count; i++) {
		one(packing, cw_at(from, i), &element);
		if (packing->bytes)
			memcpy(packing->bytes + at + i * size, &element, size);
	}
	return (struct cw_array){packing->bytes ? packing->bytes + at : NULL, count, (uint32_t)size};
}

static void pack_tag(struct packing *packing, const void *from, void *to)
{
	const struct cw_tag *tag = from;
	*(struct cw_tag *)to = (struct cw_tag){.name = pack_text(packing, tag->name, NOTICE_NAME_MAX),
					       .value = pack_text(packing, tag->value, NOTICE_VALUE_MAX)};
}

static void pack_fact(struct packing *packing, const void *from, void *to)
{
	const struct cw_fact *fact = from;
	*(struct cw_fact *)to = (struct cw_fact){.name = pack_text(packing, fact->name, NOTICE_FACT_MAX),
						 .text = pack_text(packing, fact->text, NOTICE_FACT_MAX)};
}

static struct cw_array pack_tags(struct packing *packing, const struct cw_array *tags)
{
	return pack_list(packing, tags, NOTICE_LABELS_MAX, sizeof(struct cw_tag), pack_tag);
}

static struct cw_array pack_facts(struct packing *packing, const struct cw_array *facts, uint32_t most)
{
	return pack_list(packing, facts, most, sizeof(struct cw_fact), pack_fact);
}

/* ---- the whole ---- */

static struct cw_alert pack_alert(struct packing *packing, const struct cw_alert *from)
{
	struct cw_alert alert = *from;
	alert.fingerprint = pack_id(packing, from->fingerprint);
	alert.instance = pack_text(packing, from->instance, NOTICE_NAME_MAX);
	alert.subject = pack_text(packing, from->subject, NOTICE_VALUE_MAX);
	alert.summary = pack_text(packing, from->summary, NOTICE_VALUE_MAX);
	alert.reason = pack_line(packing, from->reason, NOTICE_NAME_MAX);
	alert.value = isfinite(from->value) ? from->value : (double)NAN;
	alert.url = pack_line(packing, from->url, NOTICE_TEXT_MAX);
	alert.labels = pack_tags(packing, &from->labels);
	alert.facts = pack_facts(packing, &from->facts, NOTICE_FACTS_MAX);
	alert.acked_by = pack_line(packing, from->acked_by, NOTICE_NAME_MAX);
	return alert;
}

/* As many as there is room for. */
static struct cw_array pack_alerts(struct packing *packing, const struct cw_array *from)
{
	uint32_t most = from->count < CW_NOTICE_ALERTS_MAX ? from->count : CW_NOTICE_ALERTS_MAX, count = 0;
	size_t at = reserve(packing, most * sizeof(struct cw_alert), alignof(max_align_t));
	size_t begin = packing->used;
	for (; count < most && packing->used - begin < ALERTS_BYTES_MAX; count++) {
		struct cw_alert alert = pack_alert(packing, cw_at(from, count));
		if (packing->bytes)
			memcpy(packing->bytes + at + count * sizeof alert, &alert, sizeof alert);
	}
	return (struct cw_array){packing->bytes ? packing->bytes + at : NULL, count, sizeof(struct cw_alert)};
}

static struct cw_notice pack_notice(struct packing *packing, const struct cw_notice *from)
{
	struct cw_notice said = {
		.size = sizeof said,
		.id = pack_id(packing, from->id),
		.group = pack_id(packing, from->group),
		.incident = pack_id(packing, from->incident),
		.sequence = from->sequence,
		.kind = from->kind,
		.severity = from->severity,
		.rule = pack_text(packing, from->rule, NOTICE_NAME_MAX),
		.title = pack_text(packing, from->title, NOTICE_TITLE_MAX),
		.description = pack_lines(packing, from->description, NOTICE_TEXT_MAX),
		.common = pack_text(packing, from->common, NOTICE_COMMON_MAX),
		.breakdown = pack_facts(packing, &from->breakdown, NOTICE_BREAKDOWN_MAX),
		.labels = pack_tags(packing, &from->labels),
		.group_labels = pack_tags(packing, &from->group_labels),
		.firing = from->firing,
		.resolved = from->resolved,
		.alerts = pack_alerts(packing, &from->alerts),
		.since = from->since,
		.at = from->at,
		.url = pack_line(packing, from->url, NOTICE_TEXT_MAX),
		.command = pack_text(packing, from->command, NOTICE_TEXT_MAX),
		.host = pack_text(packing, from->host, NOTICE_NAME_MAX),
	};
	said.left_out = from->left_out + (from->alerts.count - said.alerts.count);
	return said;
}

struct notice *notice_new(const struct cw_notice *said)
{
	struct packing packing = {.bytes = NULL};
	pack_notice(&packing, said);
	size_t head = (sizeof(struct notice) + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
	struct notice *notice = malloc(head + packing.used);
	if (!notice)
		return NULL;
	packing = (struct packing){.bytes = (char *)notice + head};
	notice->references = 1;
	notice->said = pack_notice(&packing, said);
	return notice;
}

/* What it says is a part of it: an agent whose journal could not be written and that crashed counts its sequence anew,
 * and a receiver that knows the id would drop what it has never seen. A reminder says what was said before: it is one
 * of its own by its time. */
static void hash_id(unsigned char hash[crypto_generichash_BYTES], const struct cw_notice *said, const char *notifier)
{
	crypto_generichash_state state;
	crypto_generichash_init(&state, NULL, 0, crypto_generichash_BYTES);
	crypto_generichash_update(&state, (const unsigned char *)notifier, strlen(notifier) + 1);
	const uint32_t numbers[] = {(uint32_t)said->kind, said->firing, said->resolved};
	crypto_generichash_update(&state, (const unsigned char *)numbers, sizeof numbers);
	if (said->kind == CW_NOTICE_REPEAT)
		crypto_generichash_update(&state, (const unsigned char *)&said->at, sizeof said->at);
	for (uint32_t i = 0; i < said->alerts.count; i++) {
		const struct cw_alert *alert = cw_at(&said->alerts, i);
		const int64_t times[] = {alert->starts_at, alert->ends_at};
		crypto_generichash_update(&state, (const unsigned char *)alert->fingerprint,
					  strlen(alert->fingerprint) + 1);
		crypto_generichash_update(&state, (const unsigned char *)times, sizeof times);
	}
	crypto_generichash_final(&state, hash, crypto_generichash_BYTES);
}

struct notice *notice_for(const struct notice *notice, const char *notifier)
{
	unsigned char hash[crypto_generichash_BYTES];
	char id[NOTICE_ID_MAX + 1];
	struct cw_notice said = notice->said;
	hash_id(hash, &said, notifier);
	snprintf(id, sizeof id, "%.*s-%02x%02x%02x%02x", NOTICE_ID_MAX - 9, said.id, hash[0], hash[1], hash[2],
		 hash[3]);
	said.id = id;
	return notice_new(&said);
}

struct notice *notice_ref(struct notice *notice)
{
	notice->references++;
	return notice;
}

void notice_unref(struct notice *notice)
{
	if (notice && --notice->references == 0)
		free(notice);
}
