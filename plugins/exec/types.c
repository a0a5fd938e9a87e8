/* SPDX-License-Identifier: MIT
 *
 * See types.h. A line of types.db is a name, then one or more `name:KIND:min:max`, separated by commas and spaces. The
 * limits are not looked at: whether a value is likely is for whoever draws it.
 *
 * Kept as a list of pointers sorted by name; each type is one block with its texts behind it.
 */
#include "types.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TYPES_MAX = 4096 };

struct types {
	struct type **list;
	uint32_t count, room;
	bool is_stock; /* what is being read is built in */
};

/* In the words of types(5). */
static const char stock[] = "absolute value:ABSOLUTE:0:U\n"
			    "bytes value:GAUGE:0:U\n"
			    "count value:GAUGE:0:U\n"
			    "counter value:COUNTER:U:U\n"
			    "current_connections value:GAUGE:0:U\n"
			    "derive value:DERIVE:0:U\n"
			    "duration value:GAUGE:0:U\n"
			    "errors value:DERIVE:0:U\n"
			    "gauge value:GAUGE:U:U\n"
			    "latency value:GAUGE:0:U\n"
			    "percent value:GAUGE:0:100\n"
			    "queue_length value:GAUGE:0:U\n"
			    "response_time value:GAUGE:0:U\n"
			    "temperature value:GAUGE:U:U\n"
			    "total_bytes value:DERIVE:0:U\n"
			    "total_events value:DERIVE:0:U\n"
			    "total_requests value:DERIVE:0:U\n"
			    "uptime value:GAUGE:0:U\n"
			    "users value:GAUGE:0:U\n"
			    "if_octets rx:DERIVE:0:U, tx:DERIVE:0:U\n"
			    "if_packets rx:DERIVE:0:U, tx:DERIVE:0:U\n"
			    "if_errors rx:DERIVE:0:U, tx:DERIVE:0:U\n"
			    "disk_octets read:DERIVE:0:U, write:DERIVE:0:U\n"
			    "disk_ops read:DERIVE:0:U, write:DERIVE:0:U\n"
			    "load shortterm:GAUGE:0:U, midterm:GAUGE:0:U, longterm:GAUGE:0:U\n";

/* The first place that is not before `name`. */
static uint32_t place_of(const struct types *types, const char *name)
{
	uint32_t low = 0, high = types->count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (strcmp(types->list[middle]->name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct type *types_find(const struct types *types, const char *name)
{
	uint32_t at = place_of(types, name);
	return at < types->count && strcmp(types->list[at]->name, name) == 0 ? types->list[at] : NULL;
}

static int insert(struct types *types, uint32_t at, struct type *type)
{
	if (types->count == types->room) {
		uint32_t room = types->room ? types->room * 2 : 64;
		struct type **list = realloc(types->list, room * sizeof(struct type *));
		if (!list)
			return -ENOMEM;
		types->list = list;
		types->room = room;
	}
	memmove(types->list + at + 1, types->list + at, (types->count - at) * sizeof(struct type *));
	types->list[at] = type;
	types->count++;
	return 0;
}

/* Takes over the type, also when it fails. */
static int add(struct types *types, struct type *type)
{
	uint32_t at = place_of(types, type->name);
	if (at < types->count && strcmp(types->list[at]->name, type->name) == 0) {
		type->is_stock = types->list[at]->is_stock;
		free(types->list[at]);
		types->list[at] = type;
		return 0;
	}
	int status = types->count == TYPES_MAX ? -EINVAL : insert(types, at, type);
	if (status < 0)
		free(type);
	return status;
}

/* ---- a line ---- */

static bool find_kind(const char *word, enum type_kind *ret_kind)
{
	static const char *const names[] = {"GAUGE", "DERIVE", "COUNTER", "ABSOLUTE"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(word, names[i]) == 0) {
			*ret_kind = (enum type_kind)i;
			return true;
		}
	return false;
}

/* `rx:DERIVE:0:U`, cut up in place. */
static bool read_source(char *word, struct type_source *ret_source)
{
	char *rest = word, *name = strsep(&rest, ":"), *kind = strsep(&rest, ":");
	ret_source->name = name;
	return *name && strlen(name) <= TYPE_NAME_MAX && kind && rest && find_kind(kind, &ret_source->kind);
}

/* One block: the type, then its texts, which the words point to so far. */
static struct type *type_new(const char *name, const struct type_source *sources, uint32_t count)
{
	size_t texts = strlen(name) + 1;
	for (uint32_t i = 0; i < count; i++)
		texts += strlen(sources[i].name) + 1;
	struct type *type = malloc(sizeof(*type) + count * sizeof(type->sources[0]) + texts);
	if (!type)
		return NULL;
	char *end = (char *)&type->sources[count];
	type->name = end;
	end = stpcpy(end, name) + 1;
	for (uint32_t i = 0; i < count; i++) {
		type->sources[i] = (struct type_source){.name = end, .kind = sources[i].kind};
		end = stpcpy(end, sources[i].name) + 1;
	}
	type->count = count;
	return type;
}

/* 0, -EINVAL not understood, -ENOMEM. */
static int read_line(struct types *types, char *line)
{
	struct type_source sources[TYPE_SOURCES_MAX];
	uint32_t count = 0;
	char *rest = line + strspn(line, " \t\r"), *name, *word;
	if (!*rest || *rest == '#')
		return 0;
	name = strsep(&rest, " \t");
	while ((word = strsep(&rest, ", \t\r"))) {
		if (!*word)
			continue;
		if (count == TYPE_SOURCES_MAX || !read_source(word, &sources[count]))
			return -EINVAL;
		count++;
	}
	if (count == 0 || strlen(name) > TYPE_NAME_MAX)
		return -EINVAL;
	struct type *type = type_new(name, sources, count);
	if (!type)
		return -ENOMEM;
	type->is_stock = types->is_stock;
	return add(types, type);
}

int types_read(struct types *types, const char *text, size_t length)
{
	char *copy = strndup(text, length), *rest = copy, *line;
	int wrong = copy ? 0 : -ENOMEM;
	while (wrong >= 0 && (line = strsep(&rest, "\n"))) {
		int status = read_line(types, line);
		if (status == -ENOMEM)
			wrong = -ENOMEM;
		else
			wrong += status < 0;
	}
	free(copy);
	return wrong;
}

/* ---- files ---- */

static int read_all(int fd, char *buffer, size_t size, size_t *ret_length)
{
	size_t length = 0;
	ssize_t n;
	while (length < size && (n = read(fd, buffer + length, size - length)) != 0) {
		if (n < 0)
			return -errno;
		length += (size_t)n;
	}
	*ret_length = length;
	return length == size ? -EFBIG : 0;
}

int types_load(struct types *types, const char *path)
{
	size_t length = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	char *text = malloc(TYPES_FILE_MAX + 1);
	int status = text ? read_all(fd, text, TYPES_FILE_MAX + 1, &length) : -ENOMEM;
	if (status == 0)
		status = types_read(types, text, length);
	free(text);
	close(fd);
	return status;
}

struct types *types_new(void)
{
	struct types *types = calloc(1, sizeof(*types));
	if (!types)
		return NULL;
	types->is_stock = true;
	if (types_read(types, stock, sizeof(stock) - 1) != 0) {
		types_free(types);
		return NULL;
	}
	types->is_stock = false;
	return types;
}

void types_free(struct types *types)
{
	if (!types)
		return;
	for (uint32_t i = 0; i < types->count; i++)
		free(types->list[i]);
	free(types->list);
	free(types);
}
