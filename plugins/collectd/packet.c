/* SPDX-License-Identifier: MIT
 *
 * See packet.h.
 */
#include "packet.h"

#include <errno.h>
#include <string.h>

enum {
	PART_HOST = 0x0,
	PART_PLUGIN = 0x2,
	PART_PLUGIN_INSTANCE = 0x3,
	PART_TYPE = 0x4,
	PART_TYPE_INSTANCE = 0x5,
	PART_VALUES = 0x6,
	PART_TIME = 0x8,
	PART_INTERVAL = 0x9,
	HEADER = 4
};

static const char plugin[] = "callwatch";

static void put_u16(unsigned char *to, size_t number)
{
	to[0] = (unsigned char)(number >> 8);
	to[1] = (unsigned char)number;
}

static void put_u64(unsigned char *to, uint64_t number)
{
	for (int i = 0; i < 8; i++)
		to[i] = (unsigned char)(number >> (56 - 8 * i));
}

static void put_double(unsigned char *to, double number)
{
	uint64_t bits;
	memcpy(&bits, &number, sizeof(bits));
	for (int i = 0; i < 8; i++)
		to[i] = (unsigned char)(bits >> (8 * i));
}

/* Room for a part of `size` bytes behind its header; NULL: there is none. */
static unsigned char *part(struct packet *packet, int type, size_t size)
{
	unsigned char *at = packet->bytes + packet->now.length;
	if (HEADER + size > PACKET_MAX - packet->now.length)
		return NULL;
	put_u16(at, (size_t)type);
	put_u16(at + 2, HEADER + size);
	packet->now.length += HEADER + size;
	return at + HEADER;
}

static bool add_number(struct packet *packet, int type, uint64_t number)
{
	unsigned char *at = part(packet, type, sizeof(number));
	if (at)
		put_u64(at, number);
	return at;
}

/* *in_force: where in the packet the last text of this type lies. */
static bool add_text(struct packet *packet, int type, const char *text, size_t length, size_t *in_force)
{
	if (*in_force && strcmp((const char *)packet->bytes + *in_force, text) == 0)
		return true;
	unsigned char *at = part(packet, type, length + 1);
	if (!at)
		return false;
	memcpy(at, text, length + 1);
	*in_force = (size_t)(at - packet->bytes);
	return true;
}

/* Nanoseconds in units of 2^-30 s, to the nearest. */
static uint64_t high_resolution(int64_t ns)
{
	uint64_t seconds = (uint64_t)(ns / CW_SECOND), rest = (uint64_t)(ns % CW_SECOND);
	return (seconds << 30) + ((rest << 30) + CW_SECOND / 2) / CW_SECOND;
}

static bool add_time(struct packet *packet, int type, int64_t ns, int64_t *in_force)
{
	if (*in_force == ns)
		return true;
	*in_force = ns;
	return add_number(packet, type, high_resolution(ns));
}

static bool add_value(struct packet *packet, enum collectd_kind kind, const struct format_point *point)
{
	unsigned char *at = part(packet, PART_VALUES, 2 + 1 + 8);
	if (!at)
		return false;
	put_u16(at, 1); /* so many values */
	at[2] = (unsigned char)kind;
	if (kind == COLLECTD_GAUGE)
		put_double(at + 3, point->is_integer ? (double)point->integer : point->real);
	else
		put_u64(at + 3, (uint64_t)point->integer);
	return true;
}

void packet_begin(struct packet *packet, size_t head)
{
	packet->head = head;
	packet->now = (struct packet_state){.length = head};
}

int packet_add(struct packet *packet, const struct collectd_source *source, const struct collectd_value *value,
	       int64_t time, int64_t interval)
{
	const struct packet_state before = packet->now;
	struct packet_state *now = &packet->now;
	if (add_text(packet, PART_HOST, source->host.text, source->host.length, &now->host) &&
	    add_time(packet, PART_TIME, time, &now->time) &&
	    add_time(packet, PART_INTERVAL, interval, &now->interval) &&
	    add_text(packet, PART_PLUGIN, plugin, sizeof(plugin) - 1, &now->plugin) &&
	    add_text(packet, PART_PLUGIN_INSTANCE, source->instance.text, source->instance.length, &now->instance) &&
	    add_text(packet, PART_TYPE, value->type, strlen(value->type), &now->type) &&
	    add_text(packet, PART_TYPE_INSTANCE, value->name.text, value->name.length, &now->name) &&
	    add_value(packet, value->kind, &value->point))
		return 0;
	packet->now = before;
	return -ENOSPC;
}
