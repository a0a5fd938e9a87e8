/* SPDX-License-Identifier: MIT
 *
 * See options.h. For each option of the tables its node is sought (own key, own file, the connection's, the default)
 * and converted by the one function for its type; what is in the map and in no table is reported afterwards.
 */
#include "options.h"

#include "arena.h"
#include "expr.h"
#include "secretfile.h"

#include <errno.h>
#include <math.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* Values and the memory they live in; the root comes first, so that options_free() finds its way back. */
struct checked {
	struct cw_value root;
	struct arena *arena;
};

struct checker {
	struct arena *arena;
	struct problems *problems;
	const char *subject;
	bool read_files;
};

typedef const struct cw_array *const tables_t[2];

/* Where the value of an option was written. */
struct source {
	const struct node *node;
	bool file; /* the node names a file */
};

static bool convert(struct checker *checker, const struct cw_option *option, const struct node *node, bool hidden,
		    struct cw_value *value);

/* --- the tables --- */

static uint32_t tables_count(tables_t tables)
{
	return (tables[0] ? tables[0]->count : 0) + (tables[1] ? tables[1]->count : 0);
}

static const struct cw_option *tables_at(tables_t tables, uint32_t i)
{
	for (int t = 0; t < 2; t++) {
		uint32_t count = tables[t] ? tables[t]->count : 0;
		if (i < count)
			return cw_at(tables[t], i);
		i -= count;
	}
	abort(); /* i is less than tables_count() */
}

/* -1: none. */
static int64_t option_index(tables_t tables, const char *key, size_t length)
{
	for (uint32_t i = 0; i < tables_count(tables); i++) {
		const char *name = tables_at(tables, i)->key;
		if (strlen(name) == length && memcmp(name, key, length) == 0)
			return i;
	}
	return -1;
}

/* The option a key is for, -1 for none; KEY_file is for KEY, unless it is an option itself. */
static int64_t option_of_key(tables_t tables, const char *key, bool *ret_file)
{
	size_t length = strlen(key);
	int64_t option = option_index(tables, key, length);
	*ret_file = false;
	if (option >= 0 || length <= 5 || strcmp(key + length - 5, "_file") != 0)
		return option;
	*ret_file = true;
	return option_index(tables, key, length - 5);
}

/* --- messages --- */

char *option_expected(char buffer[OPTIONS_ERROR_MAX], const struct cw_option *option)
{
	static const char *const expected[] = {
		[CW_OPTION_STRING] = "a text",
		[CW_OPTION_BOOL] = "true or false",
		[CW_OPTION_INT] = "a whole number",
		[CW_OPTION_NUMBER] = "a number",
		[CW_OPTION_DURATION] = "a duration such as 250ms, 10s, 5m, 4h or 1d",
		[CW_OPTION_SIZE] = "a size such as 64KiB or 10MB",
		[CW_OPTION_RATIO] = "a ratio such as 5% or 0.05",
		[CW_OPTION_CHOICE] = "one of",
		[CW_OPTION_LIST] = "a list of texts",
		[CW_OPTION_MAP] = "a map of texts",
		[CW_OPTION_GROUP] = "a map",
		[CW_OPTION_ITEMS] = "a list of maps",
		[CW_OPTION_WHERE] = "a list of expressions such as COLUMN=VALUE",
		[CW_OPTION_INSTANCE] = "the name of an instance",
	};
	size_t used = (size_t)snprintf(buffer, OPTIONS_ERROR_MAX, "%s", expected[option->type]);
	for (size_t i = 0; option->type == CW_OPTION_CHOICE && option->choices[i] && used < OPTIONS_ERROR_MAX; i++)
		used += (size_t)snprintf(buffer + used, OPTIONS_ERROR_MAX - used, "%s%s", i ? ", " : " ",
					 option->choices[i]);
	return buffer;
}

static void bound_text(char buffer[SCALAR_TEXT_SIZE], enum cw_option_type type, double bound)
{
	if (type == CW_OPTION_DURATION)
		duration_text(buffer, (int64_t)bound);
	else if (type == CW_OPTION_SIZE)
		size_text(buffer, (int64_t)bound);
	else if (type == CW_OPTION_RATIO)
		snprintf(buffer, SCALAR_TEXT_SIZE, "%.10g%%", bound * 100);
	else
		snprintf(buffer, SCALAR_TEXT_SIZE, "%.15g", bound);
}

char *option_range(char buffer[OPTIONS_ERROR_MAX], const struct cw_option *option)
{
	char least[SCALAR_TEXT_SIZE] = "", most[SCALAR_TEXT_SIZE] = "";
	buffer[0] = '\0';
	if (option->min == 0 && option->max == 0)
		return buffer;
	if (isfinite(option->min))
		bound_text(least, option->type, option->min);
	if (isfinite(option->max))
		bound_text(most, option->type, option->max);
	if (isfinite(option->min) && isfinite(option->max))
		snprintf(buffer, OPTIONS_ERROR_MAX, "%s to %s", least, most);
	else
		snprintf(buffer, OPTIONS_ERROR_MAX, "at %s %s", isfinite(option->min) ? "least" : "most",
			 isfinite(option->min) ? least : most);
	return buffer;
}

/* What stands there instead of what is expected. False, so that a caller can return it. */
static bool wrong(struct checker *checker, const struct cw_option *option, const struct node *node, bool hidden)
{
	char expected[OPTIONS_ERROR_MAX], hint[NAME_HINT_SIZE] = "";
	const char *nearest = NULL;
	option_expected(expected, option);
	if (node->kind != NODE_SCALAR || node_is_null(node)) {
		problem_add(checker->problems, PROBLEM_ERROR, &node->place, "%s: expected %s, found %s%s", option->key,
			    expected, node_kind_name(node),
			    node->kind == NODE_SCALAR ? " (the empty text is \"\")" : "");
		return false;
	}
	if (hidden) {
		problem_add(checker->problems, PROBLEM_ERROR, &node->place,
			    "%s: expected %s, found something else (a secret, not shown)", option->key, expected);
		return false;
	}
	if (option->type == CW_OPTION_CHOICE) {
		size_t count = 0;
		while (option->choices[count])
			count++;
		nearest = nearest_name(node->text, option->choices, count);
	}
	if (nearest)
		snprintf(hint, sizeof(hint), "; did you mean `%s`?", nearest);
	problem_add(checker->problems, PROBLEM_ERROR, &node->place, "%s: expected %s, found `%.60s`%s", option->key,
		    expected, node->text, hint);
	return false;
}

static bool in_range(struct checker *checker, const struct cw_option *option, const struct node *node, bool hidden,
		     double value)
{
	char range[OPTIONS_ERROR_MAX];
	if ((option->min == 0 && option->max == 0) || (value >= option->min && value <= option->max))
		return true;
	option_range(range, option);
	problem_add(checker->problems, PROBLEM_ERROR, &node->place, "%s: %s%.60s%s is out of range, allowed is %s",
		    option->key, hidden ? "" : "`", hidden ? "the value" : node->text, hidden ? "" : "`", range);
	return false;
}

/* --- one value --- */

static const char *keep(struct checker *checker, const char *text)
{
	return arena_text(checker->arena, text, strlen(text));
}

static const struct place *keep_place(struct checker *checker, const struct place *place)
{
	struct place *copy = arena_alloc(checker->arena, sizeof(*copy));
	*copy = *place;
	return copy;
}

static struct cw_value *new_children(struct checker *checker, struct cw_value *parent, uint32_t count)
{
	struct cw_value *children = arena_alloc(checker->arena, count * sizeof(*children));
	parent->children = children;
	parent->count = count;
	return children;
}

static bool choose(const struct cw_option *option, const char *text, struct cw_value *value)
{
	for (int64_t i = 0; option->choices[i]; i++)
		if (strcmp(option->choices[i], text) == 0) {
			value->integer = i;
			return true;
		}
	return false;
}

/* -EINVAL or -ERANGE: not of this type, or too large to hold; 0 leaves a number to hold against the range. */
static int convert_number(const struct cw_option *option, const char *text, struct cw_value *value)
{
	int status;
	switch (option->type) {
	case CW_OPTION_INT:
		status = parse_integer(text, &value->integer);
		break;
	case CW_OPTION_DURATION:
		status = parse_duration(text, &value->integer);
		break;
	case CW_OPTION_SIZE:
		status = parse_size(text, &value->integer);
		break;
	case CW_OPTION_RATIO:
		return parse_ratio(text, &value->number);
	default:
		return parse_number(text, &value->number);
	}
	if (status == 0)
		value->number = (double)value->integer;
	return status;
}

static bool convert_scalar(struct checker *checker, const struct cw_option *option, const struct node *node,
			   bool hidden, struct cw_value *value)
{
	if (node->kind != NODE_SCALAR || node_is_null(node))
		return wrong(checker, option, node, hidden);
	bool right;
	switch (option->type) {
	case CW_OPTION_BOOL:
		value->boolean = strcmp(node->text, "true") == 0;
		right = value->boolean || strcmp(node->text, "false") == 0;
		break;
	case CW_OPTION_CHOICE:
		right = choose(option, node->text, value);
		value->string = keep(checker, node->text);
		break;
	case CW_OPTION_STRING:
	case CW_OPTION_INSTANCE:
		right = option->type == CW_OPTION_STRING || node->text[0];
		value->string = keep(checker, node->text);
		break;
	default:
		right = convert_number(option, node->text, value) == 0;
		if (right)
			return in_range(checker, option, node, hidden, value->number);
	}
	return right || wrong(checker, option, node, hidden);
}

/* The children of LIST, MAP and WHERE are texts. */
static bool convert_texts(struct checker *checker, const struct cw_option *option, const struct node *node, bool hidden,
			  struct cw_value *value)
{
	const struct cw_option text = {.key = option->key, .type = CW_OPTION_STRING};
	if (node->kind != (option->type == CW_OPTION_MAP ? NODE_MAP : NODE_LIST))
		return wrong(checker, option, node, hidden);
	struct cw_value *children = new_children(checker, value, node->count);
	bool right = true;
	for (uint32_t i = 0; i < node->count; i++) {
		right = convert(checker, &text, node->children[i], hidden, &children[i]) && right;
		children[i].key = node->children[i]->key ? keep(checker, node->children[i]->key) : NULL;
	}
	return right;
}

static bool convert_where(struct checker *checker, const struct cw_option *option, const struct node *node, bool hidden,
			  struct cw_value *value)
{
	char error[EXPR_ERROR_MAX];
	bool right = convert_texts(checker, option, node, hidden, value);
	for (uint32_t i = 0; right && i < value->count; i++) {
		struct expr *expr = NULL;
		if (expr_parse(value->children[i].string, &expr, error) != 0) {
			problem_add(checker->problems, PROBLEM_ERROR, &node->children[i]->place, "%s: %s", option->key,
				    error);
			right = false;
		}
		expr_free(expr);
	}
	return right;
}

static bool fill_group(struct checker *checker, tables_t tables, const struct node *map, const struct node *connection,
		       const struct place *place, struct cw_value *group);

static bool convert_group(struct checker *checker, const struct cw_option *option, const struct node *node, bool hidden,
			  struct cw_value *value)
{
	tables_t tables = {&option->fields, NULL};
	if (node->kind != NODE_MAP)
		return wrong(checker, option, node, hidden);
	return fill_group(checker, tables, node, NULL, &node->place, value);
}

/* A bare text among ITEMS stands for {first field: text}. */
static bool convert_item(struct checker *checker, const struct cw_option *option, const struct node *node, bool hidden,
			 struct cw_value *value)
{
	const struct cw_option *first = cw_at(&option->fields, 0);
	const struct cw_option item = {.key = option->key, .type = CW_OPTION_GROUP, .fields = option->fields};
	struct node scalar = *node, *child = &scalar;
	struct node map = {.kind = NODE_MAP, .place = node->place, .children = &child, .count = 1};
	scalar.key = first->key;
	scalar.key_place = node->place;
	bool bare = node->kind == NODE_SCALAR && !node_is_null(node);
	return convert(checker, &item, bare ? &map : node, hidden, value);
}

static bool convert_items(struct checker *checker, const struct cw_option *option, const struct node *node, bool hidden,
			  struct cw_value *value)
{
	if (node->kind != NODE_LIST)
		return wrong(checker, option, node, hidden);
	struct cw_value *children = new_children(checker, value, node->count);
	bool right = true;
	for (uint32_t i = 0; i < node->count; i++)
		right = convert_item(checker, option, node->children[i], hidden, &children[i]) && right;
	return right;
}

/* Fills the value but for its key and is_set. `hidden`: no message may show what was found. */
static bool convert(struct checker *checker, const struct cw_option *option, const struct node *node, bool hidden,
		    struct cw_value *value)
{
	value->type = option->type;
	value->place = keep_place(checker, &node->place);
	value->known = true;
	value->is_set = true;
	switch (option->type) {
	case CW_OPTION_LIST:
	case CW_OPTION_MAP:
		return convert_texts(checker, option, node, hidden, value);
	case CW_OPTION_WHERE:
		return convert_where(checker, option, node, hidden, value);
	case CW_OPTION_GROUP:
		return convert_group(checker, option, node, hidden, value);
	case CW_OPTION_ITEMS:
		return convert_items(checker, option, node, hidden, value);
	default:
		return convert_scalar(checker, option, node, hidden, value);
	}
}

/* --- where a value comes from --- */

bool option_takes_one_value(const struct cw_option *option)
{
	return option->type <= CW_OPTION_CHOICE || option->type == CW_OPTION_INSTANCE;
}

static bool from_file(struct checker *checker, const struct cw_option *option, const struct node *node,
		      struct cw_value *value)
{
	char error[SECRET_ERROR_MAX];
	struct node content = {.kind = NODE_SCALAR, .place = node->place};
	value->type = option->type;
	value->place = keep_place(checker, &node->place);
	value->is_set = true;
	if (node->kind != NODE_SCALAR || node_is_null(node) || !option_takes_one_value(option)) {
		problem_add(checker->problems, PROBLEM_ERROR, &node->place, "%s: expected %s, found %s", node->key,
			    option_takes_one_value(option) ? "the path of a file"
							   : "no such key, as its option takes more than one value",
			    node_kind_name(node));
		return false;
	}
	if (!checker->read_files)
		return true;
	if (secret_file_read(node->text, &node->place, (option->flags & CW_OPTION_SECRET) != 0, checker->arena,
			     &content.text, error) != 0) {
		problem_add(checker->problems, PROBLEM_ERROR, &node->place, "%s: %s", node->key, error);
		return false;
	}
	return convert(checker, option, &content, /* hidden */ true, value);
}

/* The tree of a default: not set by the user, and in no file. */
static void mark_default(struct cw_value *value, const struct place *place)
{
	struct cw_value *children = (struct cw_value *)(uintptr_t)value->children; /* made by new_children() */
	value->is_set = false;
	value->place = place;
	for (uint32_t i = 0; i < value->count; i++)
		mark_default(&children[i], place);
}

static bool from_fallback(struct checker *checker, const struct cw_option *option, const struct place *place,
			  struct cw_value *value)
{
	bool right = false;
	if (option_takes_one_value(option)) {
		struct node scalar = {.kind = NODE_SCALAR, .place = *place, .text = option->fallback};
		right = convert(checker, option, &scalar, /* hidden */ false, value);
	} else {
		struct yaml *yaml = yaml_read_text(option->fallback, strlen(option->fallback),
						   place->file ? place->file : "", checker->problems);
		if (yaml)
			right = convert(checker, option, yaml_root(yaml), /* hidden */ false, value);
		yaml_free(yaml);
	}
	mark_default(value, keep_place(checker, place));
	return right;
}

static void report_missing(struct checker *checker, const struct cw_option *option, const struct place *place)
{
	problem_add(checker->problems, PROBLEM_ERROR, place, "%s: `%s` is required (%s)%s", checker->subject,
		    option->key, option->help ? option->help : "no help",
		    option->flags & CW_OPTION_CONNECTION ? "; it may also come from the entry that `connection:` names"
							 : "");
}

/* A group that was not written: its fields with their defaults. */
static void fill_defaults(struct checker *checker, const struct cw_option *option, const struct place *place,
			  struct cw_value *value)
{
	tables_t tables = {&option->fields, NULL};
	if (option->type == CW_OPTION_GROUP)
		fill_group(checker, tables, NULL, NULL, place, value);
}

static bool fill_option(struct checker *checker, const struct cw_option *option, struct source source,
			const struct place *place, bool written, struct cw_value *value)
{
	value->key = option->key;
	value->type = option->type;
	value->place = keep_place(checker, place);
	if (source.node && source.file)
		return from_file(checker, option, source.node, value);
	if (source.node)
		return convert(checker, option, source.node, (option->flags & CW_OPTION_SECRET) != 0, value);
	if (option->fallback)
		return from_fallback(checker, option, place, value);
	if ((option->flags & CW_OPTION_REQUIRED) && written) {
		report_missing(checker, option, place);
		return false;
	}
	fill_defaults(checker, option, place, value);
	return true;
}

/* --- a map --- */

static void report_unknown(struct checker *checker, tables_t tables, const struct node *node)
{
	char hint[NAME_HINT_SIZE] = "";
	uint32_t count = tables_count(tables);
	if (checker->problems->left_out == 0) { /* nobody will read it, and a hostile map has many keys */
		const char **names = arena_alloc(checker->arena, (count ? count : 1) * sizeof(*names));
		for (uint32_t i = 0; i < count; i++)
			names[i] = tables_at(tables, i)->key;
		name_hint(hint, node->key, names, count);
	}
	problem_add(checker->problems, PROBLEM_ERROR, &node->key_place, "%s: unknown option `%.100s`%s",
		    checker->subject, node->key, hint);
}

/* For each option the node that sets it; what is for none, or for one that is set already, is reported. */
static struct source *find_sources(struct checker *checker, tables_t tables, const struct node *map)
{
	struct source *sources = arena_alloc(checker->arena, (tables_count(tables) + 1) * sizeof(*sources));
	for (uint32_t i = 0; map && i < map->count; i++) {
		const struct node *node = map->children[i], *other;
		bool file;
		int64_t option = option_of_key(tables, node->key, &file);
		if (option < 0) {
			report_unknown(checker, tables, node);
			continue;
		}
		other = sources[option].node;
		if (other)
			problem_add(checker->problems, PROBLEM_ERROR, &node->key_place,
				    "`%s` and `%s` (line %u) are the same option: write one of them", node->key,
				    other->key, other->key_place.line);
		else
			sources[option] = (struct source){node, file};
	}
	return sources;
}

/* The connection's keys, where the option may come from there and the instance does not set it itself. */
static void add_connection(struct checker *checker, tables_t tables, const struct node *connection,
			   struct source *sources)
{
	const struct source *theirs = find_sources(checker, tables, connection);
	for (uint32_t i = 0; i < tables_count(tables); i++) {
		const struct cw_option *option = tables_at(tables, i);
		if (theirs[i].node && !(option->flags & CW_OPTION_CONNECTION))
			problem_add(checker->problems, PROBLEM_ERROR, &theirs[i].node->key_place,
				    "%s: `%s` cannot come from a connection, write it at the plugin", checker->subject,
				    theirs[i].node->key);
		else if (!sources[i].node)
			sources[i] = theirs[i];
	}
}

/* `map` NULL: nothing was written, only defaults count. */
static bool fill_group(struct checker *checker, tables_t tables, const struct node *map, const struct node *connection,
		       const struct place *place, struct cw_value *group)
{
	size_t errors = checker->problems->errors;
	uint32_t count = tables_count(tables);
	struct cw_value *children = new_children(checker, group, count);
	struct source *sources = find_sources(checker, tables, map);
	add_connection(checker, tables, connection, sources);
	for (uint32_t i = 0; i < count; i++)
		fill_option(checker, tables_at(tables, i), sources[i], place, map != NULL, &children[i]);
	return checker->problems->errors == errors;
}

/* --- the face --- */

static struct checked *checked_new(void)
{
	struct arena *arena = arena_new();
	struct checked *checked = arena_alloc(arena, sizeof(*checked));
	checked->arena = arena;
	return checked;
}

struct cw_value *options_check(const struct options_context *context, const struct node *map)
{
	struct checked *checked = checked_new();
	struct checker checker = {.arena = checked->arena,
				  .problems = context->problems,
				  .subject = context->subject ? context->subject : "here",
				  .read_files = context->read_files};
	const struct cw_option root = {.key = checker.subject, .type = CW_OPTION_GROUP};
	bool right = map->kind == NODE_MAP || wrong(&checker, &root, map, /* hidden */ false);
	checked->root = (struct cw_value){
		.type = CW_OPTION_GROUP, .known = true, .is_set = true, .place = keep_place(&checker, &map->place)};
	right = right && fill_group(&checker, context->tables, map, context->connection, &map->place, &checked->root);
	if (right)
		return &checked->root;
	options_free(&checked->root);
	return NULL;
}

void options_free(struct cw_value *values)
{
	if (values)
		arena_free(((struct checked *)(void *)values)->arena);
}

bool option_fallback_parses(const struct cw_option *option, struct problems *problems)
{
	struct checked *checked = checked_new();
	struct checker checker = {.arena = checked->arena, .problems = problems, .subject = option->key};
	const struct place place = {"default", 1, 1};
	bool right = from_fallback(&checker, option, &place, &checked->root);
	arena_free(checked->arena);
	return right;
}

/* --- the fingerprint --- */

static void hash_bytes(crypto_generichash_state *hash, const void *bytes, size_t length)
{
	crypto_generichash_update(hash, bytes, length);
}

/* With its length in front, so that "ab" "c" is not "a" "bc"; NULL is not "". */
static void hash_text(crypto_generichash_state *hash, const char *text)
{
	uint64_t length = text ? strlen(text) : UINT64_MAX;
	hash_bytes(hash, &length, sizeof(length));
	if (text)
		hash_bytes(hash, text, length);
}

/* Not is_set: to write a default down changes nothing. Not the place: to move a line changes nothing. */
static void hash_value(crypto_generichash_state *hash, const struct cw_value *value)
{
	const uint8_t head[3] = {(uint8_t)value->type, value->known, value->boolean};
	hash_bytes(hash, head, sizeof(head));
	hash_text(hash, value->key);
	hash_text(hash, value->string);
	hash_bytes(hash, &value->integer, sizeof(value->integer));
	hash_bytes(hash, &value->number, sizeof(value->number));
	hash_bytes(hash, &value->count, sizeof(value->count));
	for (uint32_t i = 0; i < value->count; i++)
		hash_value(hash, &value->children[i]);
}

void options_fingerprint(const struct cw_value *values, uint8_t ret_hash[16])
{
	crypto_generichash_state hash;
	crypto_generichash_init(&hash, NULL, 0, 16);
	hash_value(&hash, values);
	crypto_generichash_final(&hash, ret_hash, 16);
	sodium_memzero(&hash, sizeof(hash));
}
