/* SPDX-License-Identifier: MIT
 *
 * See yamltree.h. A recursive descent over libyaml's events, as deep as YAML_DEPTH_MAX. libyaml is told that the text
 * is UTF-8, so that it does not guess at UTF-16; a byte order mark is skipped here.
 */
#include "yamltree.h"

#include "arena.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <yaml.h>

struct yaml {
	struct arena *arena;
	struct node *root;
};

struct reader {
	yaml_parser_t parser;
	struct yaml *yaml;
	struct problems *problems;
	const char *file;
	const char *text; /* what libyaml was given */
	size_t length;
	uint32_t nodes;
	bool failed; /* cannot go on; the reason is in problems */
};

static struct place place_of(const struct reader *reader, yaml_mark_t mark)
{
	return (struct place){reader->file, (uint32_t)mark.line + 1, (uint32_t)mark.column + 1};
}

/* --- libyaml's errors --- */

/* Line and column of a byte, in characters as everywhere. */
static struct place place_of_byte(const struct reader *reader, size_t offset)
{
	struct place place = {reader->file, 1, 1};
	for (size_t i = 0; i < offset && i < reader->length; i++) {
		if (reader->text[i] == '\n') {
			place.line++;
			place.column = 1;
		} else if ((reader->text[i] & 0xC0) != 0x80) {
			place.column++;
		}
	}
	return place;
}

/* The tab in the indentation of the line of the mark; false if there is none. */
static bool find_tab(const struct reader *reader, yaml_mark_t mark, struct place *ret_place)
{
	const char *line = reader->text, *end = reader->text + reader->length;
	for (size_t i = 0; i < mark.line && line; i++) {
		line = memchr(line, '\n', (size_t)(end - line));
		line = line ? line + 1 : NULL;
	}
	uint32_t column = 1;
	while (line && line < end && *line == ' ') {
		line++;
		column++;
	}
	*ret_place = (struct place){reader->file, (uint32_t)mark.line + 1, column};
	return line && line < end && *line == '\t';
}

static void report_libyaml(struct reader *reader)
{
	const yaml_parser_t *parser = &reader->parser;
	struct place place = place_of(reader, parser->problem_mark), tab;
	const char *problem = parser->problem ? parser->problem : "cannot be read";
	if (parser->error == YAML_MEMORY_ERROR) {
		problem_add(reader->problems, PROBLEM_ERROR, &place, "out of memory");
	} else if (parser->error == YAML_READER_ERROR) {
		place = place_of_byte(reader, parser->problem_offset);
		if (parser->problem_value >= 0)
			problem_add(reader->problems, PROBLEM_ERROR, &place, "%s (0x%02X): the file must be UTF-8 text",
				    problem, (unsigned)parser->problem_value);
		else
			problem_add(reader->problems, PROBLEM_ERROR, &place, "%s: the file must be UTF-8 text",
				    problem);
	} else if (find_tab(reader, parser->problem_mark, &tab)) {
		problem_add(reader->problems, PROBLEM_ERROR, &tab, "tab used for indentation; use spaces");
	} else {
		problem_add(reader->problems, PROBLEM_ERROR, &place, "%s%s%s", problem, parser->context ? ", " : "",
			    parser->context ? parser->context : "");
	}
	reader->failed = true;
}

static bool next_event(struct reader *reader, yaml_event_t *event)
{
	if (yaml_parser_parse(&reader->parser, event))
		return true;
	report_libyaml(reader);
	return false;
}

/* --- the tree --- */

static void stop_reading(struct reader *reader, yaml_mark_t mark, const char *what, int limit)
{
	struct place place = place_of(reader, mark);
	problem_add(reader->problems, PROBLEM_ERROR, &place, "%s: at most %d are allowed", what, limit);
	reader->failed = true;
}

static void refuse(struct reader *reader, yaml_mark_t mark, const char *sentence)
{
	struct place place = place_of(reader, mark);
	problem_add(reader->problems, PROBLEM_ERROR, &place, "%s", sentence);
}

static void refuse_anchor_and_tag(struct reader *reader, const yaml_event_t *event, const void *anchor, const void *tag)
{
	if (anchor)
		refuse(reader, event->start_mark, "anchors (`&name`) are not allowed");
	if (tag)
		refuse(reader, event->start_mark, "tags (`!name`) are not allowed");
}

static bool has_control(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (((unsigned char)text[i] < 0x20 && !strchr("\t\n\r", text[i])) || text[i] == 0x7F || text[i] == '\0')
			return true;
	return false;
}

static const char *scalar_text(struct reader *reader, const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	size_t length = event->data.scalar.length;
	refuse_anchor_and_tag(reader, event, event->data.scalar.anchor, event->data.scalar.tag);
	if (has_control(text, length))
		refuse(reader, event->start_mark, "a control character in a text");
	return arena_text(reader->yaml->arena, text, length);
}

static struct node *node_new(struct reader *reader, enum node_kind kind, const yaml_event_t *event)
{
	struct node *node = arena_alloc(reader->yaml->arena, sizeof(*node));
	*node = (struct node){.kind = kind, .place = place_of(reader, event->start_mark)};
	if (++reader->nodes > YAML_NODES_MAX)
		stop_reading(reader, event->start_mark, "too many values", YAML_NODES_MAX);
	return node;
}

static void add_child(struct reader *reader, struct node *parent, struct node *child)
{
	bool full = (parent->count & (parent->count - 1)) == 0; /* room grows at each power of two */
	if (full) {
		size_t room = parent->count ? 2 * (size_t)parent->count : 1;
		struct node **children = arena_alloc(reader->yaml->arena, room * sizeof(struct node *));
		if (parent->count)
			memcpy(children, parent->children, parent->count * sizeof(struct node *));
		parent->children = children;
	}
	parent->children[parent->count++] = child;
}

static struct node *read_node(struct reader *reader, const yaml_event_t *event, int depth);

static void read_list(struct reader *reader, struct node *list, int depth)
{
	yaml_event_t event;
	while (!reader->failed && next_event(reader, &event)) {
		bool end = event.type == YAML_SEQUENCE_END_EVENT;
		if (!end)
			add_child(reader, list, read_node(reader, &event, depth + 1));
		yaml_event_delete(&event);
		if (end)
			return;
	}
}

/* A key that is no word is read to its end, and the pair left out. */
static void read_pair(struct reader *reader, struct node *map, const yaml_event_t *key_event, int depth)
{
	const char *key = NULL;
	struct place key_place = place_of(reader, key_event->start_mark);
	if (key_event->type == YAML_SCALAR_EVENT && key_event->data.scalar.length > 0) {
		key = scalar_text(reader, key_event);
	} else {
		refuse(reader, key_event->start_mark, "a key must be a word");
		read_node(reader, key_event, depth + 1);
	}
	yaml_event_t event;
	if (reader->failed || !next_event(reader, &event))
		return;
	struct node *child = read_node(reader, &event, depth + 1);
	yaml_event_delete(&event);
	child->key = key;
	child->key_place = key_place;
	if (key)
		add_child(reader, map, child);
}

static int by_key_then_place(const void *a, const void *b)
{
	const struct node *x = *(struct node *const *)a, *y = *(struct node *const *)b;
	int order = strcmp(x->key, y->key);
	if (order == 0)
		order = (x->key_place.line > y->key_place.line) - (x->key_place.line < y->key_place.line);
	if (order == 0)
		order = (x->key_place.column > y->key_place.column) - (x->key_place.column < y->key_place.column);
	return order;
}

/* By sorting, because a hostile map has 50,000 keys. */
static void refuse_duplicates(struct reader *reader, const struct node *map)
{
	if (map->count < 2)
		return;
	struct node **sorted = arena_alloc(reader->yaml->arena, map->count * sizeof(struct node *));
	memcpy(sorted, map->children, map->count * sizeof(struct node *));
	qsort(sorted, map->count, sizeof(struct node *), by_key_then_place);
	for (uint32_t i = 1; i < map->count; i++)
		if (strcmp(sorted[i - 1]->key, sorted[i]->key) == 0)
			problem_add(reader->problems, PROBLEM_ERROR, &sorted[i]->key_place,
				    "`%.100s` is already set in this map, at line %u, column %u", sorted[i]->key,
				    sorted[i - 1]->key_place.line, sorted[i - 1]->key_place.column);
}

static void read_map(struct reader *reader, struct node *map, int depth)
{
	yaml_event_t event;
	while (!reader->failed && next_event(reader, &event)) {
		bool end = event.type == YAML_MAPPING_END_EVENT;
		if (!end)
			read_pair(reader, map, &event, depth);
		yaml_event_delete(&event);
		if (end) {
			refuse_duplicates(reader, map);
			return;
		}
	}
}

/* Never NULL; with reader->failed it may be incomplete. */
static struct node *read_node(struct reader *reader, const yaml_event_t *event, int depth)
{
	struct node *node;
	bool container = event->type == YAML_SEQUENCE_START_EVENT || event->type == YAML_MAPPING_START_EVENT;
	if (container && depth > YAML_DEPTH_MAX)
		stop_reading(reader, event->start_mark, "lists and maps nest too deep", YAML_DEPTH_MAX);
	switch (event->type) {
	case YAML_SEQUENCE_START_EVENT:
		node = node_new(reader, NODE_LIST, event);
		refuse_anchor_and_tag(reader, event, event->data.sequence_start.anchor, event->data.sequence_start.tag);
		read_list(reader, node, depth);
		return node;
	case YAML_MAPPING_START_EVENT:
		node = node_new(reader, NODE_MAP, event);
		refuse_anchor_and_tag(reader, event, event->data.mapping_start.anchor, event->data.mapping_start.tag);
		read_map(reader, node, depth);
		return node;
	case YAML_SCALAR_EVENT:
		node = node_new(reader, NODE_SCALAR, event);
		node->text = scalar_text(reader, event);
		node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
		return node;
	default: /* an alias; libyaml gives nothing else here */
		refuse(reader, event->start_mark, "aliases (`*name`) are not allowed");
		node = node_new(reader, NODE_SCALAR, event);
		node->text = "";
		node->plain = true;
		return node;
	}
}

static void read_stream(struct reader *reader)
{
	yaml_event_t event;
	bool ended = false;
	while (!ended && !reader->failed && next_event(reader, &event)) {
		switch (event.type) {
		case YAML_STREAM_END_EVENT:
			ended = true;
			break;
		case YAML_STREAM_START_EVENT:
		case YAML_DOCUMENT_END_EVENT:
			break;
		case YAML_DOCUMENT_START_EVENT:
			if (reader->yaml->root) {
				refuse(reader, event.start_mark, "a second document: one file holds one");
				reader->failed = true;
			}
			break;
		default:
			reader->yaml->root = read_node(reader, &event, 1);
			break;
		}
		yaml_event_delete(&event);
	}
}

/* --- the face --- */

static bool size_is_fine(size_t length, const char *name, struct problems *problems)
{
	struct place place = {name, 1, 1};
	if (length > YAML_BYTES_MAX)
		problem_add(problems, PROBLEM_ERROR, &place, "too large: at most %d MiB are allowed",
			    YAML_BYTES_MAX >> 20);
	return length <= YAML_BYTES_MAX;
}

struct yaml *yaml_read_text(const char *text, size_t length, const char *name, struct problems *problems)
{
	if (!size_is_fine(length, name, problems))
		return NULL;
	bool has_mark = length >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0;
	struct arena *arena = arena_new();
	struct yaml *yaml = arena_alloc(arena, sizeof(*yaml));
	*yaml = (struct yaml){.arena = arena};
	struct reader reader = {.yaml = yaml,
				.problems = problems,
				.file = arena_text(arena, name, strlen(name)),
				.text = text + (has_mark ? 3 : 0),
				.length = length - (has_mark ? 3 : 0)};
	if (!yaml_parser_initialize(&reader.parser)) {
		problem_add(problems, PROBLEM_ERROR, NULL, "out of memory");
		yaml_free(yaml);
		return NULL;
	}
	yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&reader.parser, (const unsigned char *)reader.text, reader.length);
	read_stream(&reader);
	yaml_parser_delete(&reader.parser);
	if (reader.failed) {
		yaml_free(yaml);
		return NULL;
	}
	if (!yaml->root || node_is_null(yaml->root)) {
		yaml->root = arena_alloc(arena, sizeof(struct node));
		*yaml->root = (struct node){.kind = NODE_MAP, .place = {reader.file, 1, 1}};
	}
	return yaml;
}

/* As much of the file as is allowed and one byte more. The length or a negative errno. */
static ssize_t read_some(const char *path, char *buffer, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return -errno;
	size_t length = 0;
	ssize_t n = 0;
	while (length < size) {
		n = read(fd, buffer + length, size - length);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		length += (size_t)n;
	}
	n = n < 0 ? -errno : (ssize_t)length;
	close(fd);
	return n;
}

struct yaml *yaml_read_file(const char *path, struct problems *problems)
{
	struct place place = {path, 1, 1};
	struct stat status;
	if (stat(path, &status) == 0 && S_ISREG(status.st_mode) &&
	    !size_is_fine((size_t)status.st_size, path, problems))
		return NULL;
	char *buffer = malloc(YAML_BYTES_MAX + 1);
	ssize_t length = buffer ? read_some(path, buffer, YAML_BYTES_MAX + 1) : -ENOMEM;
	struct yaml *yaml = NULL;
	if (length < 0)
		problem_add(problems, PROBLEM_ERROR, &place, "cannot be read: %s", strerror((int)-length));
	else
		yaml = yaml_read_text(buffer, (size_t)length, path, problems);
	if (length > 0)
		explicit_bzero(buffer, (size_t)length);
	free(buffer);
	return yaml;
}

struct node *yaml_root(struct yaml *yaml)
{
	return yaml->root;
}

void yaml_free(struct yaml *yaml)
{
	if (yaml)
		arena_free(yaml->arena);
}

const struct node *node_get(const struct node *map, const char *key)
{
	for (uint32_t i = 0; map && map->kind == NODE_MAP && i < map->count; i++)
		if (strcmp(map->children[i]->key, key) == 0)
			return map->children[i];
	return NULL;
}

bool node_is_null(const struct node *node)
{
	return node->kind == NODE_SCALAR && node->plain &&
	       (!node->text[0] || strcmp(node->text, "~") == 0 || strcmp(node->text, "null") == 0);
}

const char *node_kind_name(const struct node *node)
{
	if (node->kind == NODE_LIST)
		return "a list";
	return node->kind == NODE_MAP ? "a map" : node_is_null(node) ? "nothing" : "a value";
}
