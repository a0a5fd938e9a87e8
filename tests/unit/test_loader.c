/* SPDX-License-Identifier: MIT
 *
 * The loader against files that are right, wrong, cut, foreign and badly owned; each refusal is one sentence that names
 * the file and says what to do (fault 55).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "loader.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define PLUGINS BUILD_DIR "/tests/plugins"

static char folder[PATH_MAX], error[LOADER_ERROR_MAX];

static const char *in_folder(const char *name)
{
	static char path[PATH_MAX + 64];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	return path;
}

/* Copies a plugin, at most `limit` bytes of it, into the test's folder. */
static const char *copy(const char *from, const char *name, long limit)
{
	static char bytes[1 << 20];
	char path[PATH_MAX];
	snprintf(path, sizeof path, PLUGINS "/%s.so", from);
	FILE *in = fopen(path, "rb");
	assert_non_null(in);
	size_t length = fread(bytes, 1, sizeof bytes, in);
	fclose(in);
	if (limit >= 0 && (size_t)limit < length)
		length = (size_t)limit;
	FILE *out = fopen(in_folder(name), "wb");
	assert_non_null(out);
	assert_int_equal(fwrite(bytes, 1, length, out), length);
	fclose(out);
	chmod(in_folder(name), 0644);
	return in_folder(name);
}

static void poke(const char *path, off_t at, unsigned char byte)
{
	int fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	close(fd);
}

static void assert_refused(const char *path, const char *part)
{
	char asked[PATH_MAX];
	snprintf(asked, sizeof asked, "%s", path);
	error[0] = '\0';
	assert_null(loader_find(asked, error));
	if (!strstr(error, part))
		fail_msg("`%s` not in: %s", part, error);
	const char *file = strrchr(asked, '/');
	if (file && !strstr(error, file + 1) && !strstr(part, "folder"))
		fail_msg("the file is not named: %s", error);
}

static int make_folder(void **state)
{
	(void)state;
	snprintf(folder, sizeof folder, "/tmp/test_loader.XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	(void)state;
	char command[PATH_MAX + 16];
	snprintf(command, sizeof command, "rm -rf '%s'", folder);
	return system(command);
}

static void good_plugin__is_loaded_once(void **state)
{
	(void)state;
	const struct plugin *plugin = loader_find(PLUGINS "/steady.so", error);
	if (!plugin)
		fail_msg("%s", error);
	assert_string_equal(plugin->decl.name, "steady");
	assert_int_equal(plugin->decl.tables.count, 1);
	assert_int_equal(plugin->decl.metrics.count, 3);
	assert_ptr_equal(plugin, loader_find(PLUGINS "/steady.so", error));
	assert_false(loader_changed_on_disk(plugin));
}

static void good_plugin__is_found_by_name(void **state)
{
	(void)state;
	static const char *const directories[] = {"/nonexistent", PLUGINS, NULL};
	loader_set_directories(directories);
	const struct plugin *plugin = loader_find("steady", error);
	assert_non_null(plugin);
	assert_string_equal(loader_nearest("staedy"), "steady");
	assert_null(loader_find("staedy", error));
	assert_non_null(strstr(error, "/nonexistent"));
	loader_set_directories(NULL);
}

static void changed_file__is_noticed_and_the_loaded_one_stays(void **state)
{
	(void)state;
	char path[PATH_MAX];
	snprintf(path, sizeof path, "%s", copy("steady", "changed.so", -1));
	const struct plugin *plugin = loader_find(path, error);
	assert_non_null(plugin);
	unlink(path);
	assert_true(loader_changed_on_disk(plugin));
	copy("steady", "changed.so", -1);
	assert_true(loader_changed_on_disk(plugin));
	assert_ptr_equal(loader_find(path, error), plugin);
}

static void fault_55_bad_objects__are_refused_with_a_sentence(void **state)
{
	(void)state;
	assert_refused(PLUGINS "/wrong-abi.so", "made for plugin ABI 2.0, this callwatch has 1.3");
	assert_refused(PLUGINS "/newer-minor.so", "made for plugin ABI 1.4, this callwatch has 1.3");
	assert_refused(PLUGINS "/no-symbol.so", "no symbol cw_plugin");
	assert_refused(PLUGINS "/undefined.so", "nobody_has_this_function");
	assert_refused(PLUGINS "/bad-table.so", "table `things` has 0 key columns");
	assert_refused(PLUGINS "/bad-metrics.so",
		       "`wait_seconds_count` and `wait_seconds`: one is called like a part of the other, a histogram");
	assert_refused(PLUGINS "/core-metric.so", "the metric `instance_up` is the core's");
	assert_refused("/nonexistent/x.so", "No such file");
	assert_refused("/etc/../etc/passwd", "not a shared object");
	assert_refused("/dev/null", "not a regular file");
}

static void fault_55_truncated_at_any_length__is_refused(void **state)
{
	(void)state;
	struct stat status;
	assert_int_equal(stat(PLUGINS "/steady.so", &status), 0);
	for (long length = 0; length < status.st_size; length += length < 4096 ? 61 : 997) {
		copy("steady", "cut.so", length);
		assert_refused(in_folder("cut.so"), length < 64 ? "not a shared object" : "cut short");
	}
}

static void fault_55_other_machine__is_refused(void **state)
{
	(void)state;
	poke(copy("steady", "bits.so", -1), 4, sizeof(void *) == 8 ? 1 : 2); /* EI_CLASS */
	assert_refused(in_folder("bits.so"), "built for another machine");
	poke(copy("steady", "machine.so", -1), 18, 0x2a); /* e_machine: SuperH */
	assert_refused(in_folder("machine.so"), "built for another machine");
	poke(copy("steady", "type.so", -1), 16, 1); /* e_type: relocatable */
	assert_refused(in_folder("type.so"), "no shared object");
}

static void fault_55_writable_by_others__is_refused(void **state)
{
	(void)state;
	copy("steady", "open.so", -1);
	chmod(in_folder("open.so"), 0666);
	assert_refused(in_folder("open.so"), "chmod go-w");
	chmod(in_folder("open.so"), 0664);
	assert_refused(in_folder("open.so"), "chmod go-w");
	chmod(in_folder("open.so"), 0644);
	chmod(folder, 0777);
	assert_refused(in_folder("open.so"), "its directory has mode 0777");
	chmod(folder, 0700);
	assert_non_null(loader_find(in_folder("open.so"), error));
}

static void fault_55_foreign_owner__is_refused(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	copy("steady", "foreign.so", -1);
	assert_int_equal(chown(in_folder("foreign.so"), 12345, 12345), 0);
	assert_refused(in_folder("foreign.so"), "belongs to user 12345");
}

static void fault_55_link_that_leaves_its_folder__is_refused(void **state)
{
	(void)state;
	assert_int_equal(symlink(PLUGINS "/steady.so", in_folder("out.so")), 0);
	assert_refused(in_folder("out.so"), "leaves its folder");
	copy("steady", "real.so.1", -1);
	assert_int_equal(symlink("real.so.1", in_folder("link.so")), 0);
	assert_non_null(loader_find(in_folder("link.so"), error));
}

static void name_unlike_the_file__is_refused(void **state)
{
	(void)state;
	copy("steady", "other.so", -1);
	const char *const directories[] = {folder, NULL};
	loader_set_directories(directories);
	assert_null(loader_find("other", error));
	assert_non_null(strstr(error, "calls itself `steady`"));
	loader_set_directories(NULL);
}

static void count_listed(void *arg, const struct plugin *plugin, const char *message)
{
	unsigned *counts = arg;
	assert_true((plugin != NULL) != (message != NULL));
	counts[plugin != NULL]++;
}

static void list__has_good_and_bad(void **state)
{
	(void)state;
	static const char *const directories[] = {PLUGINS, NULL};
	unsigned counts[2] = {0};
	loader_set_directories(directories);
	loader_list(count_listed, counts);
	loader_set_directories(NULL);
	assert_true(counts[0] >= 5);
	assert_true(counts[1] >= 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_plugin__is_loaded_once),
		cmocka_unit_test(good_plugin__is_found_by_name),
		cmocka_unit_test(changed_file__is_noticed_and_the_loaded_one_stays),
		cmocka_unit_test(fault_55_bad_objects__are_refused_with_a_sentence),
		cmocka_unit_test(fault_55_truncated_at_any_length__is_refused),
		cmocka_unit_test(fault_55_other_machine__is_refused),
		cmocka_unit_test(fault_55_writable_by_others__is_refused),
		cmocka_unit_test(fault_55_foreign_owner__is_refused),
		cmocka_unit_test(fault_55_link_that_leaves_its_folder__is_refused),
		cmocka_unit_test(name_unlike_the_file__is_refused),
		cmocka_unit_test(list__has_good_and_bad),
	};
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
