/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/criu_descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "runtime/criu_names.h"

#define FILE_NAME "descriptors.json"
#define FILE_MAX 65536
#define MOUNTINFO_MAX (16u << 20)

/* --- checkpoint ---------------------------------------------------------------------- */

/* Is there a mount of that number in the container's mount namespace? */
static bool has_mount(const char *mountinfo, int id)
{
	for (const char *p = mountinfo; *p; p += strcspn(p, "\n"), p += *p == '\n')
		if (atoi(p) == id)
			return true;
	return false;
}

static int mount_of(pid_t pid, int fd)
{
	_cleanup_free_ char *text = NULL;
	const char *line;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", pid, fd);
	if (read_file_at(AT_FDCWD, path, FILE_MAX, &text, NULL) < 0)
		return -1;
	line = strstr(text, "mnt_id:");
	return line ? atoi(line + strlen("mnt_id:")) : -1;
}

/* What criu opens by its path: files, and /dev/null and its like (of a terminal it knows more). */
static bool is_plain(const struct stat *st)
{
	return S_ISREG(st->st_mode) || (S_ISCHR(st->st_mode) && major(st->st_rdev) == 1);
}

/* NULL: out of memory. */
static const char *name_of(pid_t pid, int fd, const char *mountinfo, struct criu_request *r, struct arena *arena)
{
	char path[64], link[PATH_MAX];
	const char *external;
	struct stat st;
	ssize_t n;
	int mount;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
	n = readlink(path, link, sizeof(link) - 1);
	/* Closed: the place in the list counts. */
	if (n < 0)
		return "";
	link[n] = '\0';
	mount = mount_of(pid, fd);
	if (link[0] != '/' || mount < 0 || has_mount(mountinfo, mount) || stat(path, &st) < 0 || !is_plain(&st))
		return arena_strdup(arena, link);
	external = arena_printf(arena, "file[%x:%llx]", (unsigned)mount, (unsigned long long)st.st_ino);
	return criu_list_add(&r->external, arena, external, NULL, -1) < 0 ? NULL : external;
}

int criu_descriptors_save(pid_t pid, int images_fd, struct criu_request *r, struct arena *arena, struct error *err)
{
	_cleanup_free_ char *mountinfo = NULL;
	const char *names[3];
	char path[32];
	int e;

	snprintf(path, sizeof(path), "/proc/%d/mountinfo", pid);
	e = read_file_at(AT_FDCWD, path, MOUNTINFO_MAX, &mountinfo, NULL);
	if (e < 0)
		return error_errno(err, e, "read %s", path);
	for (int fd = 0; fd <= 2; fd++) {
		names[fd] = name_of(pid, fd, mountinfo, r, arena);
		if (!names[fd])
			return error_set(err, ENOMEM, "out of memory");
	}
	return criu_names_save(images_fd, FILE_NAME, names, ARRAY_SIZE(names), err);
}

/* --- restore --------------------------------------------------------------------------- */

int criu_descriptors_inherit(const char *const *names, size_t n, struct criu_request *r, struct arena *arena)
{
	int e = 0;

	for (size_t i = 0; e == 0 && i < n && i <= 2; i++)
		if (strncmp(names[i], "pipe:", 5) == 0 || strncmp(names[i], "file[", 5) == 0)
			e = criu_list_add(&r->inherit, arena, names[i], NULL, (int)i);
	return e;
}

int criu_descriptors_load(int images_fd, struct criu_request *r, struct arena *arena, struct error *err)
{
	const char **names;
	size_t n;
	int e = criu_names_load(images_fd, FILE_NAME, arena, &names, &n, err);

	if (e == 0)
		e = criu_descriptors_inherit(names, n, r, arena);
	return e == -ENOMEM ? error_set(err, ENOMEM, "out of memory") : e;
}
