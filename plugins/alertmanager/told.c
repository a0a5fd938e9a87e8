/* SPDX-License-Identifier: MIT
 *
 * Which alerts that fire were said. The hashes of it are kept in a small file, written when they change and before they
 * are said, so that a restart while one is silenced does not make Alertmanager take it for ended.
 */
#include "alertmanager.h"

#include "keep.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { KEPT_MAX = 60000, FILE_MAX = KEYED_SECRET_SIZE + KEPT_MAX * (int)sizeof(struct keyed_hash) };

static const char name_of_file[] = "said";
static const int64_t earlier_for = 5 * 60 * CW_SECOND; /* by then the agent has read its journal, or cannot */

struct heard {
	uint32_t look; /* the last one that said it; 0: an earlier life did */
	struct keyed_hash hash;
};

static int take_file(struct told *told, const uint8_t *bytes, size_t length)
{
	if (length < KEYED_SECRET_SIZE || (length - KEYED_SECRET_SIZE) % sizeof(struct keyed_hash) != 0)
		return -EBADMSG;
	memcpy(told->secret, bytes, KEYED_SECRET_SIZE);
	for (size_t at = KEYED_SECRET_SIZE; at < length; at += sizeof(struct keyed_hash)) {
		bool is_new;
		struct keyed_hash hash;
		memcpy(&hash, bytes + at, sizeof(hash));
		struct heard *heard = keyed_put(&told->looks, hash, &is_new);
		if (heard)
			heard->hash = hash;
	}
	return 0;
}

int told_init(struct told *told, const char *folder, int64_t now)
{
	uint8_t *bytes = NULL;
	size_t length = 0;
	keyed_init(&told->looks, sizeof(struct heard), KEPT_MAX);
	keyed_secret(told->secret);
	told->folder = folder;
	told->look = 1;
	told->earlier_until = now + earlier_for;
	int status = folder ? keep_read(folder, name_of_file, FILE_MAX, &bytes, &length) : -ENOENT;
	if (status == 0)
		status = take_file(told, bytes, length);
	free(bytes);
	if (status == -EBADMSG)
		keep_set_aside(folder, name_of_file);
	return status == -ENOENT ? 0 : status;
}

void told_release(struct told *told)
{
	keyed_release(&told->looks);
}

bool told_say(struct told *told, struct keyed_hash hash, bool is_muted)
{
	bool is_new = false;
	if (is_muted && !keyed_find(&told->looks, hash))
		return false;
	struct heard *heard = keyed_put(&told->looks, hash, &is_new);
	if (heard)
		*heard = (struct heard){.look = told->look, .hash = hash};
	told->is_changed = told->is_changed || is_new;
	return true;
}

struct sweeping {
	struct told *told;
	bool keeps_earlier;
};

static bool is_over(void *arg, void *value)
{
	struct sweeping *sweeping = arg;
	const struct heard *heard = value;
	bool is_over = heard->look != sweeping->told->look && (heard->look != 0 || !sweeping->keeps_earlier);
	sweeping->told->is_changed = sweeping->told->is_changed || is_over;
	return is_over;
}

struct writing {
	uint8_t *bytes;
	size_t length;
};

/* Takes nothing out: it is the walk over all. */
static bool write_hash(void *arg, void *value)
{
	struct writing *writing = arg;
	memcpy(writing->bytes + writing->length, &((const struct heard *)value)->hash, sizeof(struct keyed_hash));
	writing->length += sizeof(struct keyed_hash);
	return false;
}

static int write_file(struct told *told)
{
	struct writing writing = {.bytes = malloc(KEYED_SECRET_SIZE + told->looks.count * sizeof(struct keyed_hash))};
	if (!writing.bytes)
		return -ENOMEM;
	memcpy(writing.bytes, told->secret, KEYED_SECRET_SIZE);
	writing.length = KEYED_SECRET_SIZE;
	keyed_sweep(&told->looks, write_hash, &writing);
	int status = keep_write(told->folder, name_of_file, writing.bytes, writing.length, /* lasting */ false);
	free(writing.bytes);
	return status;
}

int told_end(struct told *told, int64_t now)
{
	struct sweeping sweeping = {told, .keeps_earlier = now < told->earlier_until};
	keyed_sweep(&told->looks, is_over, &sweeping);
	if (++told->look == 0)
		told->look = 1;
	if (!told->is_changed || !told->folder)
		return 0;
	int status = write_file(told);
	told->is_changed = status < 0;
	return status;
}
