/* SPDX-License-Identifier: MIT
 *
 * See loader.h. Three steps, each may refuse: the file (file_check: who may write it, is it whole, is it for this
 * machine), the object (dlopen, the symbol, the ABI), the descriptor (descriptor.c). What passed is kept in a list for
 * good: a plugin is never unloaded, because threads and tables point into it.
 *
 * The ELF headers are looked at before dlopen, since mapping a file that was cut short ends in SIGBUS, not in an error.
 */
#include "loader.h"

#include "descriptor.h"
#include "problems.h"

#include <dirent.h>
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

const char *const role_names[] = {"source", "lookup", "output", "notifier", "frontend", NULL};

static const char *const default_directories[] = {CALLWATCH_PLUGIN_DIR, "/usr/local/lib/callwatch",
						  "/usr/lib/callwatch", NULL};

/* All under the lock. `loaded` only grows. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char **directories;
static struct plugin **loaded;
static size_t loaded_count;

static void refuse(char error[LOADER_ERROR_MAX], const char *format, ...) CW_PRINTF(2, 3);
static void refuse(char error[LOADER_ERROR_MAX], const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(error, LOADER_ERROR_MAX, format, args);
	va_end(args);
}

static const char *const *search_path(void)
{
	if (directories)
		return (const char *const *)directories;
	bool twice = strcmp(default_directories[0], default_directories[1]) == 0;
	return default_directories + twice;
}

void loader_set_directories(const char *const *list)
{
	size_t count = 0;
	while (list && list[count])
		count++;
	char **copy = list ? calloc(count + 1, sizeof *copy) : NULL;
	for (size_t i = 0; copy && i < count; i++)
		copy[i] = strdup(list[i]);

	pthread_mutex_lock(&lock);
	char **old = directories;
	directories = copy;
	pthread_mutex_unlock(&lock);
	for (size_t i = 0; old && old[i]; i++)
		free(old[i]);
	free(old);
}

/* ---- the file ---- */

static bool others_may_write(const struct stat *status)
{
	return (status->st_uid != 0 && status->st_uid != geteuid()) || (status->st_mode & (S_IWGRP | S_IWOTH));
}

/* One sentence part per way in which `what` is not ours alone. */
static int owner_check(const char *path, const char *what, const struct stat *status, char error[LOADER_ERROR_MAX])
{
	if (!others_may_write(status))
		return 0;
	if (status->st_uid != 0 && status->st_uid != geteuid())
		refuse(error, "%s: refused, its %s belongs to user %u: make it root's (chown root)", path, what,
		       (unsigned)status->st_uid);
	else
		refuse(error, "%s: refused, its %s has mode %04o and can be written by others: chmod go-w", path, what,
		       (unsigned)status->st_mode & 07777u);
	return -EPERM;
}

static int directory_check(const char *path, char error[LOADER_ERROR_MAX])
{
	char directory[PATH_MAX];
	const char *slash = strrchr(path, '/');
	size_t length = slash == path ? 1 : (size_t)(slash - path);
	memcpy(directory, path, length);
	directory[length] = '\0';
	struct stat status;
	if (stat(directory, &status) < 0) {
		refuse(error, "%s: %s", directory, strerror(errno));
		return -errno;
	}
	return owner_check(path, "directory", &status, error);
}

/* The machine of this very program, so that no list of machines has to be kept. */
static uint16_t own_machine(void)
{
	ElfW(Ehdr) header = {.e_machine = EM_NONE};
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		if (pread(fd, &header, sizeof header, 0) != (ssize_t)sizeof header)
			header.e_machine = EM_NONE;
		close(fd);
	}
	return header.e_machine;
}

static bool within(uint64_t offset, uint64_t length, uint64_t size)
{
	return offset <= size && length <= size - offset;
}

/* Every segment the loader will map, and the section table at the end of the file, lie within the file. */
static bool is_whole(int fd, const ElfW(Ehdr) * header, uint64_t size)
{
	if (header->e_phentsize != sizeof(ElfW(Phdr)) || header->e_phnum == 0 ||
	    !within(header->e_phoff, (uint64_t)header->e_phnum * sizeof(ElfW(Phdr)), size) ||
	    !within(header->e_shoff, (uint64_t)header->e_shnum * header->e_shentsize, size))
		return false;
	for (unsigned i = 0; i < header->e_phnum; i++) {
		ElfW(Phdr) segment;
		off_t at = (off_t)(header->e_phoff + i * sizeof segment);
		if (pread(fd, &segment, sizeof segment, at) != (ssize_t)sizeof segment ||
		    !within(segment.p_offset, segment.p_filesz, size))
			return false;
	}
	return true;
}

static int elf_check(int fd, const char *path, uint64_t size, char error[LOADER_ERROR_MAX])
{
	ElfW(Ehdr) header;
	if (pread(fd, &header, sizeof header, 0) != (ssize_t)sizeof header ||
	    memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) {
		refuse(error, "%s: not a shared object: build it with gcc -shared -fPIC", path);
		return -ENOEXEC;
	}
	if (header.e_ident[EI_CLASS] != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32) ||
	    header.e_machine != own_machine()) {
		refuse(error,
		       "%s: built for another machine (%s, machine %u): build it for this one (%zu-bit, machine %u)",
		       path, header.e_ident[EI_CLASS] == ELFCLASS32 ? "32-bit" : "64-bit", header.e_machine,
		       sizeof(void *) * 8, own_machine());
		return -ENOEXEC;
	}
	if (header.e_type != ET_DYN) {
		refuse(error, "%s: an ELF file, but no shared object: build it with gcc -shared -fPIC", path);
		return -ENOEXEC;
	}
	if (!is_whole(fd, &header, size)) {
		refuse(error, "%s: the file is cut short (%llu bytes): copy it again", path, (unsigned long long)size);
		return -ENOEXEC;
	}
	return 0;
}

static int file_check(const char *path, struct stat *ret_status, char error[LOADER_ERROR_MAX])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	if (fd < 0) {
		int code = -errno;
		refuse(error, "%s: %s", path, strerror(errno));
		return code;
	}
	int rc = 0;
	if (fstat(fd, ret_status) < 0) {
		rc = -errno;
		refuse(error, "%s: %s", path, strerror(-rc));
	} else if (!S_ISREG(ret_status->st_mode)) {
		refuse(error, "%s: not a regular file", path);
		rc = -EINVAL;
	} else if ((rc = owner_check(path, "file", ret_status, error)) == 0 && (rc = directory_check(path, error)) == 0)
		rc = elf_check(fd, path, (uint64_t)ret_status->st_size, error);
	close(fd);
	return rc;
}

/* The path without links. A link is followed only within its folder (x.so → x.so.1): else what is loaded would be
 * written where nobody looked. */
static int resolve_path(const char *path, char ret_path[PATH_MAX], char error[LOADER_ERROR_MAX])
{
	char folder[PATH_MAX], real_folder[PATH_MAX];
	const char *slash = strrchr(path, '/');
	size_t length = slash ? (size_t)(slash - path) : 0;
	if (!slash || length + 1 >= sizeof folder || !realpath(path, ret_path)) {
		refuse(error, "%s: %s", path, slash ? strerror(errno) : "not a path");
		return -ENOENT;
	}
	memcpy(folder, path, length);
	if (length == 0)
		folder[length++] = '/';
	folder[length] = '\0';
	const char *real_slash = strrchr(ret_path, '/');
	if (!realpath(folder, real_folder) || strncmp(real_folder, ret_path, (size_t)(real_slash - ret_path)) != 0 ||
	    strlen(real_folder) != (size_t)(real_slash - ret_path) + (real_slash == ret_path)) {
		refuse(error, "%s: refused, it is a link that leaves its folder (to %s): name the file itself", path,
		       ret_path);
		return -EPERM;
	}
	return 0;
}

/* ---- the object ---- */

static int abi_check(const char *path, const struct cw_plugin *found, char error[LOADER_ERROR_MAX])
{
	if (found->abi_major == CW_ABI_MAJOR && found->abi_minor <= CW_ABI_MINOR)
		return 0;
	const char *what = found->abi_major > CW_ABI_MAJOR || (found->abi_major == CW_ABI_MAJOR)
				   ? "update callwatch, or build the plugin against its headers"
				   : "build it again with the headers of this callwatch";
	refuse(error, "%s: made for plugin ABI %u.%u, this callwatch has %u.%u: %s", path, found->abi_major,
	       found->abi_minor, CW_ABI_MAJOR, CW_ABI_MINOR, what);
	return -EPROTO;
}

static struct plugin *object_load(const char *path, char error[LOADER_ERROR_MAX])
{
	void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!object) {
		const char *why = dlerror();
		size_t prefix = strlen(path);
		if (why && strncmp(why, path, prefix) == 0 && why[prefix] == ':')
			why += prefix + 1 + (why[prefix + 1] == ' ');
		refuse(error, "%s: cannot be loaded: %s", path, why ? why : "unknown reason");
		return NULL;
	}
	const struct cw_plugin *found = dlsym(object, "cw_plugin");
	struct plugin *plugin = NULL;
	if (!found)
		refuse(error,
		       "%s: has no symbol cw_plugin, so it is no callwatch plugin: export `const struct cw_plugin "
		       "cw_plugin` (see docs/plugin-guide.md)",
		       path);
	else if (abi_check(path, found, error) == 0)
		plugin = descriptor_copy(path, found, error);
	/* Only an object that was refused is closed: nothing points into it. */
	if (!plugin)
		dlclose(object);
	return plugin;
}

static struct plugin *known(const struct stat *status)
{
	for (size_t i = 0; i < loaded_count; i++)
		if (loaded[i]->device == status->st_dev && loaded[i]->inode == status->st_ino)
			return loaded[i];
	return NULL;
}

static int64_t modified_ns(const struct stat *status)
{
	return (int64_t)status->st_mtim.tv_sec * CW_SECOND + status->st_mtim.tv_nsec;
}

static int remember(struct plugin *plugin, const struct stat *status)
{
	struct plugin **list = realloc(loaded, (loaded_count + 1) * sizeof *list);
	if (!list)
		return -ENOMEM;
	loaded = list;
	plugin->device = status->st_dev;
	plugin->inode = status->st_ino;
	plugin->modified = modified_ns(status);
	loaded[loaded_count++] = plugin;
	return 0;
}

/* A file that was replaced at the same path is another inode: the old one stays in use until the process ends, because
 * dlopen() would give it again anyway. */
static struct plugin *known_path(const char *path)
{
	for (size_t i = 0; i < loaded_count; i++)
		if (strcmp(loaded[i]->path, path) == 0)
			return loaded[i];
	return NULL;
}

static const struct plugin *load_path(const char *path, char error[LOADER_ERROR_MAX])
{
	char real[PATH_MAX];
	struct stat status = {0};
	if (resolve_path(path, real, error) < 0)
		return NULL;
	struct plugin *plugin = known_path(real);
	if (plugin)
		return plugin;
	if (file_check(real, &status, error) < 0)
		return NULL;
	if ((plugin = known(&status)))
		return plugin;
	plugin = object_load(real, error);
	if (plugin && remember(plugin, &status) < 0) {
		refuse(error, "%s: out of memory", real);
		return NULL;
	}
	return plugin;
}

/* ---- by name ---- */

static bool file_exists(const char *path)
{
	struct stat status;
	return lstat(path, &status) == 0;
}

static const struct plugin *load_name(const char *name, char error[LOADER_ERROR_MAX])
{
	for (const char *const *directory = search_path(); *directory; directory++) {
		char path[PATH_MAX];
		if ((size_t)snprintf(path, sizeof path, "%s/%s.so", *directory, name) >= sizeof path ||
		    !file_exists(path))
			continue;
		const struct plugin *plugin = load_path(path, error);
		if (plugin && strcmp(plugin->decl.name, name) != 0) {
			refuse(error, "%s: the plugin in it calls itself `%s`: rename the file to %s.so", path,
			       plugin->decl.name, plugin->decl.name);
			return NULL;
		}
		return plugin;
	}
	size_t length = (size_t)snprintf(error, LOADER_ERROR_MAX, "no plugin `%s` in", name);
	for (const char *const *directory = search_path(); *directory && length < LOADER_ERROR_MAX; directory++)
		length += (size_t)snprintf(error + length, LOADER_ERROR_MAX - length, " %s%s", *directory,
					   directory[1] ? "," : "");
	return NULL;
}

const struct plugin *loader_find(const char *name, char error[LOADER_ERROR_MAX])
{
	pthread_mutex_lock(&lock);
	const struct plugin *plugin = strchr(name, '/') ? load_path(name, error) : load_name(name, error);
	pthread_mutex_unlock(&lock);
	return plugin;
}

bool loader_changed_on_disk(const struct plugin *plugin)
{
	struct stat status;
	return stat(plugin->path, &status) < 0 || status.st_dev != plugin->device || status.st_ino != plugin->inode ||
	       modified_ns(&status) != plugin->modified;
}

static int is_object(const struct dirent *entry)
{
	size_t length = strlen(entry->d_name);
	return length > 3 && entry->d_name[0] != '.' && strcmp(entry->d_name + length - 3, ".so") == 0;
}

/* Calls visit() with each name (without .so) in the directories, in order; a name that an earlier directory has is left
 * out. The lock must be held. */
static void each_name(void (*visit)(void *arg, const char *directory, const char *name), void *arg)
{
	for (const char *const *directory = search_path(); *directory; directory++) {
		struct dirent **entries;
		int count = scandir(*directory, &entries, is_object, alphasort);
		for (int i = 0; i < count; i++) {
			bool hidden = false;
			for (const char *const *before = search_path(); before != directory && !hidden; before++) {
				char path[PATH_MAX];
				hidden = (size_t)snprintf(path, sizeof path, "%s/%s", *before, entries[i]->d_name) <
						 sizeof path &&
					 file_exists(path);
			}
			entries[i]->d_name[strlen(entries[i]->d_name) - 3] = '\0';
			if (!hidden)
				visit(arg, *directory, entries[i]->d_name);
			free(entries[i]);
		}
		if (count >= 0)
			free(entries);
	}
}

struct listing {
	void (*seen)(void *arg, const struct plugin *plugin, const char *error);
	void *arg;
};

static void list_one(void *arg, const char *directory, const char *name)
{
	(void)directory;
	const struct listing *listing = arg;
	char error[LOADER_ERROR_MAX];
	const struct plugin *plugin = load_name(name, error);
	listing->seen(listing->arg, plugin, plugin ? NULL : error);
}

void loader_list(void (*seen)(void *arg, const struct plugin *plugin, const char *error), void *arg)
{
	struct listing listing = {seen, arg};
	pthread_mutex_lock(&lock);
	each_name(list_one, &listing);
	pthread_mutex_unlock(&lock);
}

enum { NAMES_MAX = 512 };

struct names {
	char *list[NAMES_MAX];
	size_t count;
};

static void collect_name(void *arg, const char *directory, const char *name)
{
	(void)directory;
	struct names *names = arg;
	if (names->count < NAMES_MAX && (names->list[names->count] = strdup(name)))
		names->count++;
}

const char *loader_nearest(const char *name)
{
	static _Thread_local char nearest[NAME_MAX + 1];
	struct names names = {.count = 0};
	pthread_mutex_lock(&lock);
	each_name(collect_name, &names);
	pthread_mutex_unlock(&lock);
	const char *found = nearest_name(name, (const char *const *)names.list, names.count);
	if (found)
		snprintf(nearest, sizeof nearest, "%s", found);
	for (size_t i = 0; i < names.count; i++)
		free(names.list[i]);
	return found ? nearest : NULL;
}
