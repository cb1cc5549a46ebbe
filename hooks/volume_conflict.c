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

struct fetch {
	struct volume *v;
	const char *id;
	int root_fd;
};

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
	fchmod(fd, c->mode & 01777);
	futimens(fd, times);
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
	if (strcmp(c->type, "dir") == 0)
		r = mkdirat(dir, name, 0755) < 0 && errno != EEXIST ? -errno : 0;
	else if (strcmp(c->type, "symlink") == 0)
		r = symlinkat(c->link, dir, name) < 0 ? -errno : 0;
	return r < 0 ? tree_error(err, r, "\"%s\" can't be made", name) : 0;
}

int volume_conflict_fetch(struct volume *v, const char *id, const char *dir, struct error *err)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_close_ int root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct fetch f = {v, id, root};
	struct conflict_note note;

	if (root < 0)
		return tree_error(err, errno, "%s: can't be opened", dir);
	return volume_conflict_read(v, id, &a, &note, fetch_one, &f, err);
}

int volume_conflict_delete(struct volume *v, const char *id, size_t *ret_n, struct error *err)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;

	return volume_delete_below(v, key_of(v, &a, id, ""), NULL, ret_n, err);
}
