/* SPDX-License-Identifier: Apache-2.0 */
#include "base/target.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/sys.h"

#define LINKS_MAX 40

/* A walk: `done` is resolved, exists and holds no link; `rest` is still to be resolved. */
struct walk {
	int root_fd;
	struct arena *arena;
	const struct target *target;
	char *done; /* "/a/b"; "" is the root */
	const char *rest;
	unsigned links;
	bool made; /* the last segment was absent */
};

/* An absolute path as openat2 wants it beneath the root's descriptor. */
static const char *relative(const char *path)
{
	path += strspn(path, "/");
	return *path ? path : ".";
}

static int open_canonical(int root_fd, const char *path)
{
	int fd = sys_openat2(root_fd, relative(path), O_PATH | O_CLOEXEC | O_NOFOLLOW, 0,
			     RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);

	return fd < 0 ? -errno : fd;
}

/* 1: made; 0: somebody was faster. */
static int make(int parent_fd, const char *name, enum target_make what)
{
	_cleanup_close_ int fd = -1;

	if (what == TARGET_FILE)
		fd = openat(parent_fd, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_WRONLY, 0644);
	if (what == TARGET_FILE ? fd < 0 : mkdirat(parent_fd, name, 0755) < 0)
		return errno == EEXIST ? 0 : -errno;
	return 1;
}

static int make_segment(struct walk *w, const char *name, bool last)
{
	_cleanup_close_ int parent = open_canonical(w->root_fd, w->done);
	int r;

	if (parent < 0)
		return parent;
	r = make(parent, name, last ? w->target->make : TARGET_DIR);
	w->made = last && r == 1;
	return r;
}

/* The link's text takes the place of its segment. */
static int follow(struct walk *w, int link_fd)
{
	char text[PATH_MAX];
	ssize_t n;

	if (++w->links > LINKS_MAX)
		return -ELOOP;
	n = readlinkat(link_fd, "", text, sizeof(text) - 1);
	if (n < 0)
		return -errno;
	if (n == sizeof(text) - 1)
		return -ENAMETOOLONG;
	text[n] = '\0';
	if (text[0] == '/')
		w->done = arena_strdup(w->arena, "");
	w->rest = arena_printf(w->arena, "%s/%s", text, w->rest);
	return w->done && w->rest ? 0 : -ENOMEM;
}

static int step(struct walk *w, const char *name)
{
	_cleanup_close_ int fd = -1;
	bool last = w->rest[strspn(w->rest, "/")] == '\0';
	char *next = arena_printf(w->arena, "%s/%s", w->done, name);
	struct stat st;
	int r;

	if (!next)
		return -ENOMEM;
	fd = open_canonical(w->root_fd, next);
	if (fd == -ENOENT && w->target->make != TARGET_EXISTING) {
		r = make_segment(w, name, last);
		if (r < 0)
			return r;
		fd = open_canonical(w->root_fd, next);
	}
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISLNK(st.st_mode) && !(last && w->target->final_nofollow))
		return w->target->no_links ? -ELOOP : follow(w, fd);
	if (!last && !S_ISDIR(st.st_mode))
		return -ENOTDIR;
	w->done = next;
	return 0;
}

static int walk(struct walk *w)
{
	for (;;) {
		char name[NAME_MAX + 1];
		size_t n;
		int r;

		w->rest += strspn(w->rest, "/");
		n = strcspn(w->rest, "/");
		if (n == 0)
			return 0;
		if (n > NAME_MAX || strlen(w->done) + n + 2 > PATH_MAX)
			return -ENAMETOOLONG;
		memcpy(name, w->rest, n);
		name[n] = '\0';
		w->rest += n;
		if (strcmp(name, ".") == 0)
			continue;
		if (strcmp(name, "..") == 0) {
			char *slash = strrchr(w->done, '/');

			if (slash)
				*slash = '\0';
			continue;
		}
		r = step(w, name);
		if (r < 0)
			return r;
	}
}

/* Nearly always no link is on the way: one call for what exists. */
static int open_straight(int root_fd, const struct target *t, int *ret_fd)
{
	uint64_t flags = O_PATH | O_CLOEXEC | (t->final_nofollow ? O_NOFOLLOW : 0);
	int fd = sys_openat2(root_fd, relative(t->path), flags, 0, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);

	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

/* Absent, but the directory for it is there; 3 calls. */
static int make_straight(int root_fd, const struct target *t, struct arena *arena, int *ret_fd)
{
	const char *name = path_basename(t->path), *dir = arena_strndup(arena, t->path, (size_t)(name - t->path));
	_cleanup_close_ int parent = dir ? open_canonical(root_fd, dir) : -ENOMEM;
	int fd, r;

	if (parent < 0)
		return parent;
	if (!*name)
		return -ENOENT;
	r = make(parent, name, t->make);
	if (r < 0)
		return r;
	fd = open_canonical(parent, name);
	if (fd < 0)
		return fd;
	*ret_fd = fd;
	return r;
}

static int open_by_walk(int root_fd, const struct target *t, struct arena *arena, int *ret_fd,
			const char **ret_canonical)
{
	struct walk w = {.root_fd = root_fd, .arena = arena, .target = t, .rest = t->path};
	int fd, r;

	w.done = arena_strdup(arena, "");
	if (!w.done)
		return -ENOMEM;
	r = walk(&w);
	if (r < 0)
		return r;
	fd = open_canonical(root_fd, w.done);
	if (fd < 0)
		return fd;
	*ret_fd = fd;
	if (ret_canonical)
		*ret_canonical = *w.done ? w.done : "/";
	return w.made;
}

int target_open(int root_fd, const struct target *t, struct arena *arena, int *ret_fd, const char **ret_canonical)
{
	int r;

	if (path_has_dotdot(t->path))
		return open_by_walk(root_fd, t, arena, ret_fd, ret_canonical);
	r = open_straight(root_fd, t, ret_fd);
	if (r == -ENOENT && t->make != TARGET_EXISTING)
		r = make_straight(root_fd, t, arena, ret_fd);
	/* ENOENT of what may not be made is final: a link on the way would have been ELOOP. */
	if (r == -ELOOP || (r == -ENOENT && t->make != TARGET_EXISTING))
		return open_by_walk(root_fd, t, arena, ret_fd, ret_canonical);
	if (r >= 0 && ret_canonical)
		*ret_canonical = t->path;
	return r;
}

int target_open_parent(int root_fd, const char *path, struct arena *arena, int *ret_fd, const char **ret_name)
{
	const char *name = path_basename(path);
	struct target t = {.make = TARGET_DIR};

	if (!*name)
		return -EINVAL;
	t.path = arena_strndup(arena, path, (size_t)(name - path));
	if (!t.path)
		return -ENOMEM;
	*ret_name = name;
	return target_open(root_fd, &t, arena, ret_fd, NULL);
}
