/* SPDX-License-Identifier: Apache-2.0 */
/* The program of a container: found by $PATH, with the texts of runc that callers match. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "runtime/process.h"

/* What the kernel reads of a script's first line (BINPRM_BUF_SIZE), and how deep interpreters nest. */
#define SCRIPT_HEAD 256
#define SCRIPT_DEPTH 5

char *program_error(int code, char text[PROGRAM_ERROR_MAX])
{
	snprintf(text, PROGRAM_ERROR_MAX, "%s", strerror(code));
	if (text[0] >= 'A' && text[0] <= 'Z')
		text[0] = (char)(text[0] - 'A' + 'a');
	return text;
}

static const char *env_get(const char *const *env, const char *name)
{
	size_t len = strlen(name);

	for (; *env; env++)
		if (strncmp(*env, name, len) == 0 && (*env)[len] == '=')
			return *env + len + 1;
	return NULL;
}

/* The path of the interpreter in a script's head, cut out in place; NULL: no script. */
static char *script_interpreter(char *head)
{
	char *p;

	if (strncmp(head, "#!", 2) != 0)
		return NULL;
	p = head + 2 + strspn(head + 2, " \t");
	p[strcspn(p, " \t\n")] = '\0';
	return *p ? p : NULL;
}

/*
 * A program, or the interpreter of a script, that is our own executable (by
 * /proc/self/exe) would run as the container's process with the host's binary open.
 */
static int refuse_self(const char *path, dev_t self_dev, ino_t self_ino, struct error *err)
{
	char head[SCRIPT_HEAD], file[SCRIPT_HEAD];

	for (int depth = 0; depth < SCRIPT_DEPTH; depth++) {
		_cleanup_close_ int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		struct stat st;
		ssize_t n;

		/* What can't be read is not ours: our own is readable to root. */
		if (fd < 0 || fstat(fd, &st) < 0)
			return 0;
		if (st.st_dev == self_dev && st.st_ino == self_ino)
			return error_set(err, EACCES,
					 "exec: \"%s\" leads to the container runtime itself: permission denied", path);
		n = S_ISREG(st.st_mode) ? pread(fd, head, sizeof(head) - 1, 0) : 0;
		if (n <= 0)
			return 0;
		head[n] = '\0';
		path = script_interpreter(head);
		if (!path)
			return 0;
		memcpy(file, path, strlen(path) + 1);
		path = file;
	}
	return 0;
}

/* 0: can be executed by somebody; else a negative errno. */
static int check_executable(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	return (st.st_mode & 0111) ? 0 : -EACCES;
}

static int find_in_path(const char *name, const char *search, struct arena *arena, const char **ret, struct error *err)
{
	while (search && *search) {
		size_t len = strcspn(search, ":");

		/* An empty or relative element would find programs in the working directory. */
		if (len && search[0] == '/') {
			const char *path = arena_printf(arena, "%.*s/%s", (int)len, search, name);

			if (!path)
				return error_set(err, ENOMEM, "out of memory");
			if (check_executable(path) == 0) {
				*ret = path;
				return 0;
			}
		}
		search += len + (search[len] == ':');
	}
	return error_set(err, ENOENT, "exec: \"%s\": executable file not found in $PATH: no such file or directory",
			 name);
}

int program_find(const char *name, const char *const *env, dev_t self_dev, ino_t self_ino, struct arena *arena,
		 const char **ret, struct error *err)
{
	char text[PROGRAM_ERROR_MAX];
	const char *path = name;
	int r;

	if (!*name)
		return error_set(err, ENOENT,
				 "exec: \"\": executable file not found in $PATH: no such file or directory");
	if (strchr(name, '/')) {
		r = check_executable(name);
		if (r == -ENOENT || r == -ENOTDIR)
			return error_set(err, -r, "exec: \"%s\": stat %s: %s", name, name, program_error(-r, text));
		if (r < 0)
			return error_set(err, -r, "exec: \"%s\": %s", name, program_error(-r, text));
	} else {
		r = find_in_path(name, env_get(env, "PATH"), arena, &path, err);
		if (r < 0)
			return r;
	}
	r = refuse_self(path, self_dev, self_ino, err);
	if (r < 0)
		return r;
	*ret = path;
	return 0;
}
