/* SPDX-License-Identifier: MIT
 *
 * YAML as a tree with places; what is refused, and where.
 */
#include "yamltree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct yaml *read_text(const char *text, struct problems *problems)
{
	problems_init(problems);
	return yaml_read_text(text, strlen(text), "a.yaml", problems);
}

static void tree__has_kinds_texts_and_places(void **state)
{
	(void)state;
	struct problems problems;
	struct yaml *yaml = read_text("# x\na: 5\nlist:\n  - \"5\"\n  - {k: ü, l: ~}\n", &problems);
	assert_non_null(yaml);
	assert_int_equal(problems.count, 0);
	const struct node *root = yaml_root(yaml), *a = node_get(root, "a"), *list = node_get(root, "list");
	assert_int_equal(root->kind, NODE_MAP);
	assert_string_equal(a->text, "5");
	assert_true(a->plain);
	assert_int_equal(a->place.line, 2);
	assert_int_equal(a->place.column, 4);
	assert_int_equal(a->key_place.column, 1);
	assert_string_equal(a->place.file, "a.yaml");
	assert_int_equal(list->count, 2);
	assert_false(list->children[0]->plain);
	const struct node *l = node_get(list->children[1], "l");
	assert_true(node_is_null(l));
	assert_int_equal(l->place.line, 5);
	assert_int_equal(l->place.column, 15);
	assert_null(node_get(list, "k"));
	assert_null(node_get(NULL, "k"));
	yaml_free(yaml);
	problems_release(&problems);
}

static void empty__is_an_empty_map(void **state)
{
	(void)state;
	static const char *const texts[] = {"", "# nothing\n", "---\n", "\xEF\xBB\xBF", "~\n"};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct problems problems;
		struct yaml *yaml = read_text(texts[i], &problems);
		assert_non_null(yaml);
		assert_int_equal(yaml_root(yaml)->kind, NODE_MAP);
		assert_int_equal(yaml_root(yaml)->count, 0);
		yaml_free(yaml);
		problems_release(&problems);
	}
}

static const struct {
	const char *text;
	uint32_t line, column;
	const char *sentence;
} refused[] = {
	{"a: 1\n\tb: 2\n", 2, 1, "tab used for indentation; use spaces"},
	{"a:\n  \tb: 2\n  c: [\n", 2, 3, "tab used for indentation"},
	{"a: 1\nb: \xff\n", 2, 4, "UTF-8"},
	{"a: \"ü\x01\"\n", 1, 6, "control characters"},
	{"a: \"\\0\"\n", 1, 4, "control character"},
	{"a: \"\\e[31m\"\n", 1, 4, "control character"},
	{"a: 1\nb: 2\na: 3\n", 3, 1, "already set in this map, at line 1, column 1"},
	{"a: &x 1\n", 1, 4, "anchors"},
	{"a: *x\n", 1, 4, "aliases"},
	{"a: !!str 1\n", 1, 4, "tags"},
	{"a: !x {b: 1}\n", 1, 4, "tags"},
	{"a: 1\n---\nb: 2\n", 2, 1, "second document"},
	{"[a]: 1\n", 1, 1, "a key must be a word"},
	{"? {a: 1}\n: 2\n", 1, 3, "a key must be a word"},
	{"\"\": 1\n", 1, 1, "a key must be a word"},
	{"a: [1\n", 2, 1, "did not find expected ',' or ']'"},
	{"\xff\xfe\x61", 1, 1, "UTF-8"},
};

static void what_is_refused__has_a_place(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct problems problems;
		struct yaml *yaml = read_text(refused[i].text, &problems);
		if (problems.errors == 0)
			fail_msg("case %zu was taken", i);
		const struct problem *p = &problems.list[0];
		if (p->line != refused[i].line || p->column != refused[i].column ||
		    !strstr(p->message, refused[i].sentence))
			fail_msg("case %zu: %u:%u: %s", i, p->line, p->column, p->message);
		assert_string_equal(p->file, "a.yaml");
		yaml_free(yaml);
		problems_release(&problems);
	}
}

static void several_errors__are_all_told(void **state)
{
	(void)state;
	struct problems problems;
	struct yaml *yaml = read_text("a: &x 1\nb: *x\nc: !t 1\nc: 2\n", &problems);
	assert_non_null(yaml);
	assert_int_equal(problems.errors, 4);
	yaml_free(yaml);
	problems_release(&problems);
}

/* `count` times `piece`. */
static void refuses_flood(const char *piece, size_t count, const char *sentence)
{
	size_t length = strlen(piece);
	char *text = malloc(length * count);
	struct problems problems;
	problems_init(&problems);
	for (size_t i = 0; i < count; i++)
		memcpy(text + i * length, piece, length);
	struct yaml *yaml = yaml_read_text(text, length * count, "a.yaml", &problems);
	assert_null(yaml);
	if (!strstr(problems.list[0].message, sentence))
		fail_msg("%s", problems.list[0].message);
	assert_int_equal(problems.list[0].line > 0, 1);
	problems_release(&problems);
	free(text);
}

static void hostile_sizes__are_refused(void **state)
{
	(void)state;
	refuses_flood("[", 200000, "nest too deep");
	refuses_flood("{a: ", 200000, "nest too deep");
	refuses_flood("- ", 200000, "nest too deep");
	refuses_flood("- 1\n", 200000, "too many values");
	refuses_flood("# xx\n", 2000000, "too large: at most 1 MiB");
}

static void files__that_cannot_be_read__say_why(void **state)
{
	(void)state;
	struct problems problems;
	problems_init(&problems);
	assert_null(yaml_read_file("/nonexistent/x.yaml", &problems));
	assert_null(yaml_read_file("/", &problems));
	char path[] = "/tmp/test_yaml.XXXXXX";
	int fd = mkstemp(path);
	assert_int_equal(ftruncate(fd, 10000000), 0);
	assert_null(yaml_read_file(path, &problems));
	close(fd);
	unlink(path);
	assert_int_equal(problems.errors, 3);
	assert_string_equal(problems.list[0].message, "cannot be read: No such file or directory");
	assert_string_equal(problems.list[1].message, "cannot be read: Is a directory");
	assert_string_equal(problems.list[2].message, "too large: at most 1 MiB are allowed");
	problems_release(&problems);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tree__has_kinds_texts_and_places),
		cmocka_unit_test(empty__is_an_empty_map),
		cmocka_unit_test(what_is_refused__has_a_place),
		cmocka_unit_test(several_errors__are_all_told),
		cmocka_unit_test(hostile_sizes__are_refused),
		cmocka_unit_test(files__that_cannot_be_read__say_why),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
