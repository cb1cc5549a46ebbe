/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "hooks/store/store_fs.h"
#include "hooks/store/store_impl.h"

/*
 * One listing: depth first, in the byte order of the keys, as S3 has it. Only
 * names are held, of the directories on the way down; no descriptor stays open
 * below one that is being listed, however deep the tree is.
 */
struct listing {
	struct store_fs *fs;
	const char *prefix;
	store_list_fn fn;
	void *ctx;
	struct error *err;
	struct strbuf path; /* the directory being listed, with its '/' at the end; "" the root */
};

struct names {
	char **items; /* directories end in '/' */
	size_t n, room;
};

static void names_free(struct names *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->items[i]);
	free(l->items);
}

static int names_add(struct names *l, const char *name, bool dir)
{
	size_t len = strlen(name);
	char *copy;

	if (l->n == l->room) {
		size_t room = l->room ? l->room * 2 : 64;
		char **items = reallocarray(l->items, room, sizeof(*items));

		if (!items)
			return -ENOMEM;
		l->items = items;
		l->room = room;
	}
	copy = malloc(len + 2);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, name, len);
	strcpy(copy + len, dir ? "/" : "");
	l->items[l->n++] = copy;
	return 0;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Does a key that begins with path (a directory's when it ends in '/') have a chance to be asked for? */
static bool wanted(const char *prefix, const char *path)
{
	size_t n = strlen(path), p = strlen(prefix);

	if (n >= p)
		return !strncmp(path, prefix, p);
	return path[n - 1] == '/' && !strncmp(path, prefix, n);
}

/* Files and directories; a link, a socket or a device is no object. The type is not known everywhere from readdir. */
static int entry_type(int dir_fd, const struct dirent *e)
{
	struct stat st;

	if (e->d_type != DT_UNKNOWN)
		return e->d_type;
	if (fstatat(dir_fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return DT_UNKNOWN;
	return S_ISDIR(st.st_mode) ? DT_DIR : S_ISREG(st.st_mode) ? DT_REG : DT_UNKNOWN;
}

static int read_names(DIR *dir, struct names *ret)
{
	for (;;) {
		struct dirent *e;
		int type, r;

		errno = 0;
		e = readdir(dir);
		if (!e)
			return -errno;
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		type = entry_type(dirfd(dir), e);
		if (type != DT_REG && type != DT_DIR)
			continue;
		r = names_add(ret, e->d_name, type == DT_DIR);
		if (r < 0)
			return r;
	}
}

static int fail(struct listing *l, int code)
{
	const struct store *s = &l->fs->base;

	return error_set(l->err, code, "store \"%s\" (%s): listing %s failed (errno %d)", s->name, s->place,
			 strbuf_str(&l->path), code < 0 ? -code : code);
}

/* An entry that vanished since its directory was read is skipped. */
static int report(struct listing *l, int fd, const struct stat *st)
{
	char tag[STORE_TAG_MAX];
	struct fs_meta meta;
	struct store_list_item item = {.key = strbuf_str(&l->path), .tag = tag, .mtime = st->st_mtim.tv_sec};
	int r;

	fs_meta_read(l->fs, fd, item.key, st, &meta);
	fs_tag(st, &meta, tag);
	item.size = S_ISREG(st->st_mode) ? (uint64_t)st->st_size : 0;
	r = l->fn(l->ctx, &item, l->err);
	return r < 0 ? r : 0;
}

static int list_file(struct listing *l)
{
	_cleanup_close_ int fd = fs_open_at(l->fs->root_fd, strbuf_str(&l->path), O_RDONLY | O_NONBLOCK, 0);
	struct stat st;

	if (fd == -ENOENT || fd == -ELOOP || fd == -ENOTDIR)
		return 0;
	if (fd < 0)
		return fail(l, fd);
	if (fstat(fd, &st) < 0)
		return fail(l, errno);
	return S_ISREG(st.st_mode) ? report(l, fd, &st) : 0;
}

static int list_directory(struct listing *l);

static int list_names(struct listing *l, struct names *names)
{
	size_t base = l->path.len;
	int r = 0;

	if (names->n > 0)
		qsort(names->items, names->n, sizeof(char *), compare);
	for (size_t i = 0; i < names->n && r == 0; i++) {
		const char *name = names->items[i];

		if (base == 0 && !strcmp(name, FS_PRIVATE "/"))
			continue;
		strbuf_adds(&l->path, name);
		if (l->path.failed)
			return fail(l, ENOMEM);
		/* Longer ones can't be asked for by any request. */
		if (l->path.len <= STORE_KEY_MAX && wanted(l->prefix, l->path.data))
			r = name[strlen(name) - 1] == '/' ? list_directory(l) : list_file(l);
		l->path.len = base;
		l->path.data[base] = '\0';
	}
	return r;
}

/* The directory itself is listed where it is empty or was stored as such. */
static int list_marker(struct listing *l, int fd, bool empty)
{
	struct fs_meta meta;
	struct stat st;

	if (l->path.len == 0 || l->path.len < strlen(l->prefix))
		return 0;
	if (fstat(fd, &st) < 0)
		return fail(l, errno);
	fs_meta_read(l->fs, fd, l->path.data, &st, &meta);
	return empty || meta.stamped ? report(l, fd, &st) : 0;
}

/* l->path is the directory, with its '/'. */
static int list_directory(struct listing *l)
{
	_cleanup_(names_free) struct names names = {0};
	_cleanup_closedir_ DIR *dir = NULL;
	int fd = fs_open_at(l->fs->root_fd, l->path.len > 0 ? l->path.data : ".", O_RDONLY | O_DIRECTORY, 0);
	int r;

	if (fd == -ENOENT || fd == -ELOOP || fd == -ENOTDIR)
		return 0;
	if (fd < 0)
		return fail(l, fd);
	dir = fdopendir(fd);
	if (!dir) {
		r = fail(l, errno);
		close(fd);
		return r;
	}
	r = read_names(dir, &names);
	if (r < 0)
		return fail(l, r);
	r = list_marker(l, fd, names.n == 0);
	if (r < 0)
		return r;
	closedir(TAKE_PTR(dir));
	return list_names(l, &names);
}

int fs_list(struct store *s, const char *prefix, store_list_fn fn, void *ctx, struct error *err)
{
	struct listing l = {.fs = (struct store_fs *)s, .prefix = prefix, .fn = fn, .ctx = ctx, .err = err};
	const char *slash = strrchr(prefix, '/');
	int r;

	/* Start at the deepest directory that holds all of them. */
	strbuf_add(&l.path, prefix, slash ? (size_t)(slash - prefix) + 1 : 0);
	if (slash && (l.path.failed || !store_key_valid(l.path.data)))
		r = error_set(err, EINVAL, "store \"%s\" (%s): a prefix that can't be listed: %.400s", s->name,
			      s->place, prefix);
	else
		r = list_directory(&l);
	strbuf_free(&l.path);
	return r;
}
