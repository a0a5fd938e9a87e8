/* SPDX-License-Identifier: MIT
 *
 * See wheel.h.
 */
#include "wheel.h"

#include "callwatch/types.h"

#define NONE    UINT32_MAX
#define IS_LIST 0x80000000u

static struct wheel_link *link_of(const struct wheel *wheel, uint32_t i)
{
	return (struct wheel_link *)((char *)wheel->links + (size_t)i * wheel->stride);
}

void wheel_init(struct wheel *wheel, int64_t now)
{
	*wheel = (struct wheel){.second = now / CW_SECOND};
	for (uint32_t i = 0; i <= WHEEL_BUCKETS; i++)
		wheel->heads[i] = NONE;
}

void wheel_rebase(struct wheel *wheel, void *links, uint32_t stride)
{
	wheel->links = links;
	wheel->stride = stride;
}

void wheel_link_init(struct wheel_link *link)
{
	*link = (struct wheel_link){NONE, NONE};
}

bool wheel_has(const struct wheel *wheel, uint32_t i)
{
	return link_of(wheel, i)->prev != NONE;
}

static void insert(struct wheel *wheel, uint32_t i, uint32_t list)
{
	struct wheel_link *link = link_of(wheel, i);
	*link = (struct wheel_link){.next = wheel->heads[list], .prev = IS_LIST | list};
	if (link->next != NONE)
		link_of(wheel, link->next)->prev = i;
	wheel->heads[list] = i;
}

void wheel_take(struct wheel *wheel, uint32_t i)
{
	struct wheel_link *link = link_of(wheel, i);
	if (link->prev == NONE)
		return;
	if (link->next != NONE)
		link_of(wheel, link->next)->prev = link->prev;
	if (link->prev & IS_LIST)
		wheel->heads[link->prev & ~IS_LIST] = link->next;
	else
		link_of(wheel, link->prev)->next = link->next;
	wheel_link_init(link);
}

void wheel_file(struct wheel *wheel, uint32_t i, int64_t instant)
{
	int64_t second = instant / CW_SECOND + 1; /* not before the instant */
	if (second <= wheel->second)
		second = wheel->second + 1;
	if (second > wheel->second + WHEEL_BUCKETS - 1)
		second = wheel->second + WHEEL_BUCKETS - 1;
	wheel_take(wheel, i);
	insert(wheel, i, (uint32_t)(second % WHEEL_BUCKETS));
}

void wheel_file_due(struct wheel *wheel, uint32_t i)
{
	wheel_take(wheel, i);
	insert(wheel, i, WHEEL_BUCKETS);
}

void wheel_advance(struct wheel *wheel, int64_t now)
{
	int64_t until = now / CW_SECOND;
	if (until > wheel->second + WHEEL_BUCKETS)
		wheel->second = until - WHEEL_BUCKETS; /* slept longer than the wheel: each bucket once */
	while (wheel->second < until) {
		uint32_t list = (uint32_t)(++wheel->second % WHEEL_BUCKETS), i;
		while ((i = wheel->heads[list]) != NONE)
			wheel_file_due(wheel, i);
	}
}

bool wheel_pop(struct wheel *wheel, uint32_t *ret_i)
{
	uint32_t i = wheel->heads[WHEEL_BUCKETS];
	if (i == NONE)
		return false;
	wheel_take(wheel, i);
	*ret_i = i;
	return true;
}
