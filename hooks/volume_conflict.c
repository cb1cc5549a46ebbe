/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/volume_conflict.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/num.h"
#include "base/path.h"
#include "base/sys.h"
#include "hooks/engine/stream.h"
#include "hooks/engine/tree.h"
#include "hooks/engine/xattrs.h"
#include "hooks/volume_hold.h"

#define CHANGES_MAX_SIZE (UINT64_C(1) << 30)

static char *key_of(struct volume *v, struct arena *a, const char *id, const char *name)
{
	const char *below = arena_printf(a, "conflicts/%s/%s", id, name);

	return below ? volume_key_meta(a, v, below) : NULL;
}

static int get(struct volume *v, const char *key, int fd, uint64_t *ret_size, struct error *err)
{
	struct store_op op;

	if (!key || fd < 0)
		return error_set(err, ENOMEM, "out of memory");
	store_op_init(&op, STORE_GET, key);
	op.out_fd = fd;
	switch (store_do(v->store, &op)) {
	case STORE_OK:
		*ret_size = op.got_size;
		return 0;
	case STORE_ABSENT:
		return error_set(err, ENOENT, "not in the store");
	default:
		return error_set(err, EIO, "%s", op.err.msg);
	}
}

int volume_conflict_read(struct volume *v, const char *id, struct arena *a, struct conflict_note *ret, changes_fn fn,
			 void *ctx, struct error *err)
{
	_cleanup_close_ int fd = tree_tmpfile(v);
	struct stream_in in;
	uint64_t size;
	int r;

	r = get(v, key_of(v, a, id, "changes.json"), fd, &size, err);
	if (r == -ENOENT)
		return error_set(err, ENOENT, "volume %s: conflict %s is not in the store", v->name, id);
	if (r == 0 && size > CHANGES_MAX_SIZE)
		r = error_set(err, EFBIG, "its list of changes is damaged");
	if (r < 0)
		return r;
	r = stream_in_open(&in, fd, 0, size, false);
	if (r < 0)
		return error_set(err, ENOMEM, "out of memory");
	r = changes_read(&in, a, ret, fn, ctx, err);
	stream_in_close(&in);
	return r;
}

/* --- fetching ---------------------------------------------------------------------------- */

/* What is done when all is there: a directory gets its times when nothing is made in it any more. */
struct later {
	struct later *next; /* the one that came before */
	char *name, *first, *xattrs;
	char sha256[SHA256_HEX_MAX];
	uint32_t mode, uid, gid;
	int64_t mtime;
};

struct fetch {
	struct volume *v;
	const char *id;
	int root_fd;
	struct arena arena;
	struct later *dirs, *names;
};

static int keep(struct fetch *f, const struct conflict_change *c, struct later **list, struct error *err)
{
	struct later *l = arena_alloc(&f->arena, sizeof(*l));

	if (l)
		*l = (struct later){.next = *list,
				    .name = arena_strdup(&f->arena, c->name),
				    .first = c->first ? arena_strdup(&f->arena, c->first) : NULL,
				    .xattrs = c->xattrs ? arena_strdup(&f->arena, c->xattrs) : NULL,
				    .mode = c->mode,
				    .uid = c->uid,
				    .gid = c->gid,
				    .mtime = c->mtime};
	if (!l || !l->name || (c->first && !l->first) || (c->xattrs && !l->xattrs))
		return error_set(err, ENOMEM, "out of memory");
	if (c->sha256)
		snprintf(l->sha256, sizeof(l->sha256), "%s", c->sha256);
	*list = l;
	return 0;
}

/* The directory of the path, made as needed; no link is followed. */
static int open_parent(int root_fd, char *path, const char **ret_name)
{
	_cleanup_close_ int dir = tree_open(root_fd, "", O_RDONLY | O_DIRECTORY);
	char *slash;

	while (dir >= 0 && (slash = strchr(path, '/'))) {
		int next;

		*slash = '\0';
		if (mkdirat(dir, path, 0755) < 0 && errno != EEXIST)
			return -errno;
		next = openat(dir, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0)
			return -errno;
		close(dir);
		dir = next;
		path = slash + 1;
	}
	*ret_name = path;
	return TAKE_FD(dir);
}

static int fetch_file(struct fetch *f, const struct conflict_change *c, int dir, const char *name, struct error *err)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_close_ int fd = openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, entry_timespec(c->mtime)};
	char sha256[SHA256_HEX_MAX];
	uint64_t size;
	int r;

	if (fd < 0)
		return tree_error(err, errno, "\"%s\" can't be made", name);
	r = get(f->v, key_of(f->v, &a, f->id, c->key), fd, &size, err);
	if (r == 0 && (sha256_fd(fd, 0, size, sha256, NULL) < 0 || strcmp(sha256, c->sha256) != 0))
		r = error_set(err, EBADMSG, "\"%s\": the store has other bytes than its list of changes says", name);
	if (r < 0)
		return r;
	if (fchown(fd, c->uid, c->gid) < 0 && errno != EPERM)
		return tree_error(err, errno, "\"%s\" can't be made as it was", name);
	if (c->xattrs)
		xattrs_write(fd, c->xattrs, true); /* a place that can't hold them gets the file without */
	fchmod(fd, c->mode & 01777);
	futimens(fd, times);
	return c->first ? keep(f, c, &f->names, err) : 0;
}

static int fetch_link(const struct conflict_change *c, int dir, const char *name)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, entry_timespec(c->mtime)};

	if (symlinkat(c->link, dir, name) < 0 ||
	    (fchownat(dir, name, c->uid, c->gid, AT_SYMLINK_NOFOLLOW) < 0 && errno != EPERM))
		return -errno;
	utimensat(dir, name, times, AT_SYMLINK_NOFOLLOW);
	return 0;
}

static int fetch_one(void *ctx, const struct conflict_change *c, struct error *err)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct fetch *f = ctx;
	char *path = arena_strdup(&a, c->name);
	_cleanup_close_ int dir = -1;
	const char *name = "";
	int r = 0;

	if (strcmp(c->change, "deleted") == 0)
		return 0;
	if (!path)
		return error_set(err, ENOMEM, "out of memory");
	dir = open_parent(f->root_fd, path, &name);
	if (dir < 0)
		return tree_error(err, dir, "\"%s\" can't be made", c->name);
	if (strcmp(c->type, "file") == 0)
		return fetch_file(f, c, dir, name, err);
	if (strcmp(c->type, "symlink") == 0)
		r = fetch_link(c, dir, name);
	else if (mkdirat(dir, name, 0755) < 0 && errno != EEXIST)
		r = -errno;
	if (r < 0)
		return tree_error(err, r, "\"%s\" can't be made", name);
	return strcmp(c->type, "dir") == 0 ? keep(f, c, &f->dirs, err) : 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp((*(struct later *const *)a)->name, (*(struct later *const *)b)->name);
}

/* Of files that came each with bytes of its own, those that are one file become one. */
static int join_names(struct fetch *f, struct error *err)
{
	_cleanup_free_ struct later **all = NULL;
	size_t n = 0;

	for (struct later *l = f->names; l; l = l->next)
		n++;
	if (n == 0)
		return 0;
	all = calloc(n, sizeof(*all));
	if (!all)
		return error_set(err, ENOMEM, "out of memory");
	n = 0;
	for (struct later *l = f->names; l; l = l->next)
		all[n++] = l;
	qsort(all, n, sizeof(*all), by_name);
	for (size_t i = 0; i < n; i++) {
		struct later key = {.name = all[i]->first}, *wanted = &key, **first;
		char *first_path = arena_strdup(&f->arena, all[i]->first);
		char *path = arena_strdup(&f->arena, all[i]->name);
		_cleanup_close_ int from = -1, to = -1;
		const char *old, *name;

		if (!first_path || !path)
			return error_set(err, ENOMEM, "out of memory");

		first = bsearch(&wanted, all, n, sizeof(*all), by_name);
		if (!first || *first == all[i] || strcmp((*first)->sha256, all[i]->sha256) != 0 ||
		    strcmp((*first)->first, (*first)->name) != 0)
			continue;
		from = open_parent(f->root_fd, first_path, &old);
		to = open_parent(f->root_fd, path, &name);
		if (from < 0 || to < 0 || unlinkat(to, name, 0) < 0 || linkat(from, old, to, name, 0) < 0)
			return tree_error(err, errno, "\"%s\" can't be made as it was", all[i]->name);
	}
	return 0;
}

static int finish_directories(struct fetch *f, struct error *err)
{
	for (struct later *l = f->dirs; l; l = l->next) {
		struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, entry_timespec(l->mtime)};
		_cleanup_close_ int fd = tree_open(f->root_fd, l->name, O_RDONLY | O_DIRECTORY);

		if (fd < 0 || (fchown(fd, l->uid, l->gid) < 0 && errno != EPERM))
			return tree_error(err, fd < 0 ? fd : errno, "\"%s\" can't be made as it was", l->name);
		if (l->xattrs)
			xattrs_write(fd, l->xattrs, true);
		fchmod(fd, l->mode & 01777);
		futimens(fd, times);
	}
	return 0;
}

int volume_conflict_fetch(struct volume *v, const char *id, const char *dir, struct error *err)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_close_ int root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct fetch f = {.v = v, .id = id, .root_fd = root};
	struct conflict_note note;
	int r;

	if (root < 0)
		return tree_error(err, errno, "%s: can't be opened", dir);
	r = volume_conflict_read(v, id, &a, &note, fetch_one, &f, err);
	if (r == 0)
		r = join_names(&f, err);
	if (r == 0)
		r = finish_directories(&f, err);
	arena_free(&f.arena);
	return r;
}

int volume_conflict_delete(struct volume *v, const char *id, size_t *ret_n, struct error *err)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;

	return volume_delete_below(v, key_of(v, &a, id, ""), NULL, ret_n, err);
}
