/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/store/store_fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/num.h"
#include "hooks/store/sign.h"
#include "hooks/store/store_impl.h"

#define RENAME_TRIES 16

/* Not strerror: engines match some of its words in what a runtime says. */
static enum store_result fail(struct store_fs *fs, struct store_op *op, int code)
{
	struct store *s = &fs->base;
	int e = code < 0 ? -code : code;

	switch (e) {
	case EACCES:
	case EPERM:
	case EROFS:
		return store_end(s, op, STORE_REFUSED, "the store's directory can't be changed or read by this user");
	case ENOENT:
		return store_end(s, op, STORE_FAILED, "the store's directory was removed");
	case ENOTDIR:
	case EISDIR:
	case ELOOP:
	case ENOTEMPTY:
		return store_end(s, op, STORE_INVALID, "a file, directory or link of that name is in the way");
	case ENAMETOOLONG:
		return store_end(s, op, STORE_INVALID, "a name in the key is too long for the file system");
	case ENOSPC:
	case EDQUOT:
		store_end(s, op, STORE_FAILED, "no space left");
		op->err.code = ENOSPC;
		return op->result;
	case EXDEV:
		return store_end(s, op, STORE_FAILED, "the store's directory holds a mount; one file system is needed");
	case ETIMEDOUT:
		return store_end(s, op, STORE_UNREACHABLE, "its lock was held by another process for 30s");
	case ESTALE:
		return store_end(s, op, STORE_CANCELLED, "the lease was taken over by another holder");
	case ESRCH: /* fs_fence_check: nobody took it over, the store is not what it was */
		return store_end(s, op, STORE_CANCELLED, "the volume's register is gone");
	default:
		return store_end(s, op, STORE_FAILED, "input/output failed (errno %d)", e);
	}
}

/* What the key names now, under its lock. */
struct current {
	bool exists;
	int fd;
	struct stat st;
	struct fs_meta meta;
	char tag[STORE_TAG_MAX];
};

static bool is_marker(const char *key)
{
	return key[strlen(key) - 1] == '/';
}

/* Is the directory empty? A marker that was never stored counts only then. */
static bool directory_empty(int fd)
{
	_cleanup_closedir_ DIR *dir = NULL;
	int copy = fs_open_at(fd, ".", O_RDONLY | O_DIRECTORY, 0);
	int n = 0;

	if (copy < 0)
		return false;
	dir = fdopendir(copy);
	if (!dir) {
		close(copy);
		return false;
	}
	while (n < 3 && readdir(dir))
		n++;
	return n < 3;
}

/* 0, exists or not; a negative errno. ret->fd is the caller's. */
static int look(struct store_fs *fs, const char *key, struct current *ret)
{
	bool marker = is_marker(key);

	memset(ret, 0, sizeof(*ret));
	ret->fd = fs_open_at(fs->root_fd, key, O_RDONLY | O_NONBLOCK | (marker ? O_DIRECTORY : 0), 0);
	if (ret->fd == -ENOENT || ret->fd == -ENOTDIR || ret->fd == -ELOOP || ret->fd == -ENXIO)
		return 0;
	if (ret->fd < 0)
		return ret->fd;
	if (fstat(ret->fd, &ret->st) < 0)
		return -errno;
	if (!marker && !S_ISREG(ret->st.st_mode))
		return 0;
	fs_meta_read(fs, ret->fd, key, &ret->st, &ret->meta);
	ret->exists = !marker || ret->meta.stamped || directory_empty(ret->fd);
	fs_tag(&ret->st, &ret->meta, ret->tag);
	return 0;
}

static void current_close(struct current *c)
{
	cleanup_close(&c->fd);
}
#define _cleanup_current_ _cleanup_(current_close)

static bool condition_holds(const struct store_op *op, const struct current *now)
{
	switch (op->condition) {
	case STORE_IF_ABSENT:
		return !now->exists;
	case STORE_IF_TAG:
		return now->exists && !strcmp(now->tag, op->if_tag);
	case STORE_ANY:
		break;
	}
	return true;
}

/* --- reading -------------------------------------------------------------------- */

static enum store_result read_body(struct store_fs *fs, struct store_op *op, const struct current *now)
{
	uint64_t size = (uint64_t)now->st.st_size, len;
	int64_t n;
	int r;

	if (op->offset > size || (op->length > 0 && op->length > size - op->offset))
		return store_end(&fs->base, op, STORE_CORRUPT, "the object has only %ju bytes", (uintmax_t)size);
	len = op->length > 0 ? op->length : size - op->offset;
	if (op->out_fd >= 0) {
		n = fs_copy_range(now->fd, (off_t)op->offset, op->out_fd, op->out_offset, len);
	} else {
		if (len > op->max_body) {
			store_end(&fs->base, op, STORE_FAILED, "the object has more than %zu bytes", op->max_body);
			op->err.code = EFBIG;
			return op->result;
		}
		strbuf_reserve(&op->body, (size_t)len);
		r = op->body.failed ? -ENOMEM : pread_full(now->fd, op->body.data, (size_t)len, (off_t)op->offset);
		n = r == -ENODATA ? 0 : r < 0 ? r : (int64_t)len;
		op->body.len = n > 0 ? (size_t)n : 0;
		if (!op->body.failed)
			op->body.data[op->body.len] = '\0';
	}
	if (n < 0)
		return fail(fs, op, (int)n);
	op->got_size = (uint64_t)n;
	if ((uint64_t)n != len)
		return store_end(&fs->base, op, STORE_CORRUPT, "the object became shorter while it was read");
	return STORE_OK;
}

/* Ours are replaced by rename, whole; another tool may write in place. */
static bool moved(int fd, const struct stat *before)
{
	struct stat st;

	return fstat(fd, &st) < 0 || st.st_size != before->st_size || st.st_mtim.tv_sec != before->st_mtim.tv_sec ||
	       st.st_mtim.tv_nsec != before->st_mtim.tv_nsec;
}

static enum store_result do_read(struct store_fs *fs, struct store_op *op)
{
	_cleanup_current_ struct current now = {.fd = -1};
	enum store_result result;
	int r = look(fs, op->key, &now);

	if (r < 0)
		return fail(fs, op, r);
	if (!now.exists)
		return store_end(&fs->base, op, STORE_ABSENT, "no such object");
	strcpy(op->tag, now.tag);
	strcpy(op->got_mark, now.meta.mark);
	op->mtime = now.st.st_mtim.tv_sec;
	if (op->kind == STORE_HEAD) {
		op->got_size = is_marker(op->key) ? 0 : (uint64_t)now.st.st_size;
		return store_end(&fs->base, op, STORE_OK, NULL);
	}
	if (is_marker(op->key)) {
		if (op->offset > 0 || op->length > 0)
			return store_end(&fs->base, op, STORE_CORRUPT, "the object has only 0 bytes");
		return store_end(&fs->base, op, STORE_OK, NULL);
	}
	result = read_body(fs, op, &now);
	if (result != STORE_OK)
		return result;
	if (moved(now.fd, &now.st))
		return store_end(&fs->base, op, STORE_CORRUPT, "the object was changed in place while it was read");
	return store_end(&fs->base, op, STORE_OK, NULL);
}

/* --- changing ------------------------------------------------------------------- */

/* A file on its way in: written, synced, with its marks, under a name of its own in tmp/. */
struct incoming {
	struct store_fs *fs;
	char name[48]; /* below the private directory; "": renamed or removed */
	int fd;
	struct fs_meta meta;
	bool sidecar;
};

static void incoming_close(struct incoming *in)
{
	if (in->name[0])
		unlinkat(in->fs->private_fd, in->name, 0);
	cleanup_close(&in->fd);
}

static enum store_result fill(struct store_op *op, struct incoming *in, int source_fd, const struct current *source)
{
	struct store_fs *fs = in->fs;
	uint64_t size = source ? (uint64_t)source->st.st_size : op->size;
	char hex[SHA256_HEX_MAX];
	int64_t n = (int64_t)size;
	int r = 0;

	if (op->data && !source)
		r = write_all(in->fd, op->data, (size_t)size);
	else if (size > 0)
		n = fs_copy_range(source_fd, source ? 0 : op->in_offset, in->fd, 0, size);
	if (r < 0 || n < 0)
		return fail(fs, op, r < 0 ? r : (int)n);
	if ((uint64_t)n != size || (source && moved(source_fd, &source->st)))
		return store_end(&fs->base, op, STORE_CORRUPT, "the data changed while it was sent");
	if (op->kind == STORE_PUT && op->sha256) {
		r = sha256_fd(in->fd, 0, UINT64_MAX, hex, NULL);
		if (r < 0)
			return fail(fs, op, r);
		if (strcmp(hex, op->sha256) != 0)
			return store_end(&fs->base, op, STORE_CORRUPT, "the data sent does not fit its sha256");
	}
	return STORE_OK;
}

static enum store_result receive(struct store_fs *fs, struct store_op *op, int source_fd, const struct current *source,
				 struct incoming *in)
{
	unsigned char raw[12];
	char hex[2 * sizeof(raw) + 1];
	enum store_result result;
	int r;

	random_bytes(raw, sizeof(raw));
	hex_encode(raw, sizeof(raw), hex);
	snprintf(in->name, sizeof(in->name), "tmp/%s", hex);
	in->fd = fs_open_at(fs->private_fd, in->name, O_RDWR | O_CREAT | O_EXCL, 0644);
	if (in->fd < 0) {
		in->name[0] = '\0';
		return fail(fs, op, in->fd);
	}
	result = fill(op, in, source_fd, source);
	if (result != STORE_OK)
		return result;
	r = fs_meta_write(in->fd, op->mark, &in->meta, &in->sidecar);
	if (r == 0 && fsync(in->fd) < 0)
		r = -errno;
	return r < 0 ? fail(fs, op, r) : STORE_OK;
}

/* The last questions before a change, under the locks: the lease, the fence, the condition. */
static enum store_result admit(struct store_fs *fs, struct store_op *op, struct current *now)
{
	int r;

	op->attempts = 1;
	if (!store_may_send(&fs->base))
		return store_end(&fs->base, op, STORE_CANCELLED, "the lease is no longer valid");
	r = fs_fence_check(fs, op->key);
	if (r == 0)
		r = look(fs, op->key, now);
	if (r < 0)
		return fail(fs, op, r);
	if (!condition_holds(op, now))
		return store_end(&fs->base, op, STORE_FALSE, "the object is not what the condition expects");
	op->sent_ns = clock_boottime_ns();
	return STORE_OK;
}

static int rename_in(struct store_fs *fs, struct store_op *op, struct incoming *in)
{
	for (int i = 0; i < RENAME_TRIES; i++) {
		unsigned flags = op->condition == STORE_IF_ABSENT ? RENAME_NOREPLACE : 0;
		_cleanup_close_ int parent = -1;
		const char *name;
		int r;

		parent = fs_parent(fs, op->key, true, &name);
		if (parent == -ENOENT) /* removed by a deleter, as empty, on the way down */
			continue;
		if (parent < 0)
			return parent;
		r = renameat2(fs->private_fd, in->name, parent, name, flags);
		if (r < 0 && errno == EINVAL && flags)
			r = renameat(fs->private_fd, in->name, parent, name);
		if (r < 0 && errno == ENOENT)
			continue;
		if (r < 0)
			return -errno;
		in->name[0] = '\0';
		return fsync(parent) < 0 ? -EINPROGRESS : 0;
	}
	return -EIO;
}

/* Another tool, which takes no lock, was quicker; or what is there is no object. */
static enum store_result name_taken(struct store_fs *fs, struct store_op *op)
{
	_cleanup_current_ struct current now = {.fd = -1};

	if (look(fs, op->key, &now) < 0 || !now.exists)
		return fail(fs, op, EISDIR);
	return store_end(&fs->base, op, STORE_FALSE, "the object is there already");
}

static enum store_result put_locked(struct store_fs *fs, struct store_op *op, struct incoming *in)
{
	_cleanup_current_ struct current now = {.fd = -1};
	enum store_result result = admit(fs, op, &now);
	struct stat st;
	int r;

	if (result != STORE_OK)
		return result;
	if (in->sidecar) {
		r = fs_meta_write_sidecar(fs, in->fd, op->key, &in->meta);
		if (r < 0)
			return fail(fs, op, r);
	}
	r = rename_in(fs, op, in);
	if (r == -EEXIST)
		return name_taken(fs, op);
	if (r == -EINPROGRESS)
		return store_end(&fs->base, op, STORE_UNKNOWN, "written, but the directory could not be synced");
	if (r < 0)
		return fail(fs, op, r);
	if (fstat(in->fd, &st) == 0)
		fs_tag(&st, &in->meta, op->tag);
	return store_end(&fs->base, op, STORE_OK, NULL);
}

static enum store_result put_marker(struct store_fs *fs, struct store_op *op)
{
	_cleanup_current_ struct current now = {.fd = -1};
	enum store_result result = admit(fs, op, &now);
	_cleanup_close_ int fd = -1;
	struct fs_meta meta;
	struct stat st;
	bool sidecar;
	int r;

	if (result != STORE_OK)
		return result;
	fd = fs_directory(fs, op->key, true);
	if (fd < 0)
		return fail(fs, op, fd);
	r = fs_meta_write(fd, op->mark, &meta, &sidecar);
	if (r == 0 && sidecar)
		r = fs_meta_write_sidecar(fs, fd, op->key, &meta);
	if (r == 0 && (fsync(fd) < 0 || fstat(fd, &st) < 0))
		r = -errno;
	if (r < 0)
		return fail(fs, op, r);
	fs_tag(&st, &meta, op->tag);
	return store_end(&fs->base, op, STORE_OK, NULL);
}

static enum store_result delete_locked(struct store_fs *fs, struct store_op *op)
{
	_cleanup_current_ struct current now = {.fd = -1};
	enum store_result result = admit(fs, op, &now);
	bool marker = is_marker(op->key);
	_cleanup_close_ int parent = -1;
	const char *name;

	if (result != STORE_OK)
		return result;
	if (!now.exists)
		return store_end(&fs->base, op, STORE_OK, NULL);
	if (!marker) {
		parent = fs_parent(fs, op->key, false, &name);
		if (parent < 0 || unlinkat(parent, name, 0) < 0)
			return fail(fs, op, parent < 0 ? parent : errno);
		if (fsync(parent) < 0)
			return store_end(&fs->base, op, STORE_UNKNOWN,
					 "removed, but the directory could not be synced");
	}
	/* Not before: a file that lost its mark, but not yet itself, would count as another tool's. */
	fs_meta_drop(fs, now.fd, op->key);
	fs_prune(fs, op->key);
	return store_end(&fs->base, op, STORE_OK, NULL);
}

static enum store_result do_change(struct store_fs *fs, struct store_op *op)
{
	_cleanup_(incoming_close) struct incoming in = {.fs = fs, .fd = -1};
	_cleanup_(fs_unlock) struct fs_locks locks = {{-1, -1}};
	_cleanup_current_ struct current source = {.fd = -1};
	enum store_result result = STORE_OK;
	int r;

	r = fs_private_open(fs);
	if (r < 0)
		return fail(fs, op, r);
	if (op->kind == STORE_COPY) {
		r = look(fs, op->source, &source);
		if (r < 0)
			return fail(fs, op, r);
		if (!source.exists || is_marker(op->source))
			return store_end(&fs->base, op, STORE_ABSENT, "no such object to copy: %.300s", op->source);
		result = receive(fs, op, source.fd, &source, &in);
	} else if (op->kind == STORE_PUT && !is_marker(op->key)) {
		result = receive(fs, op, op->in_fd, NULL, &in);
	}
	if (result != STORE_OK)
		return result;
	r = fs_lock(fs, op->key, &locks);
	if (r < 0)
		return fail(fs, op, r);
	if (op->kind == STORE_DELETE)
		return delete_locked(fs, op);
	return op->kind == STORE_PUT && is_marker(op->key) ? put_marker(fs, op) : put_locked(fs, op, &in);
}

static void fs_run(struct store *s, struct store_op *(*next)(void *), void (*done)(void *, struct store_op *),
		   void *ctx, unsigned parallel)
{
	struct store_fs *fs = (struct store_fs *)s;
	struct store_op *op;

	(void)parallel;
	while ((op = next(ctx))) {
		if (!store_begin(s, op))
			;
		else if (!fs_key_fits(op->key) || (op->kind == STORE_COPY && !fs_key_fits(op->source)))
			store_end(s, op, STORE_INVALID, "a name in the key can't be a file's");
		else if (store_op_changes(op))
			do_change(fs, op);
		else
			do_read(fs, op);
		done(ctx, op);
	}
}

static void fs_close(struct store *s)
{
	struct store_fs *fs = (struct store_fs *)s;

	cleanup_close(&fs->root_fd);
	cleanup_close(&fs->private_fd);
	free(s->place);
	free(fs);
}

static const struct store_vtable fs_vtable = {"filesystem", fs_close, fs_run, fs_list};

static int open_root(const struct store_config *config, struct error *err)
{
	int r, fd;

	r = mkdir_p_at(AT_FDCWD, config->path, 0700);
	fd = r < 0 ? r : open(config->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r == 0 && fd < 0)
		fd = -errno;
	if (fd >= 0)
		return fd;
	if (fd == -EACCES || fd == -EPERM || fd == -EROFS)
		return error_set(err, fd, "store \"%s\": its directory %s can't be made or opened by this user",
				 config->name, config->path);
	if (fd == -ENOTDIR || fd == -EEXIST || fd == -ELOOP)
		return error_set(err, EINVAL, "store \"%s\": its path %s is no directory", config->name, config->path);
	return error_set(err, fd, "store \"%s\": its directory %s can't be opened (errno %d)", config->name,
			 config->path, -fd);
}

int store_fs_open(const struct store_config *config, struct store **ret, struct error *err)
{
	struct store_fs *fs;
	int fd;

	if (!config->path || config->path[0] != '/')
		return error_set(err, EINVAL, "store \"%s\": path must be absolute", config->name);
	fd = open_root(config, err);
	if (fd < 0)
		return fd;
	fs = calloc(1, sizeof(*fs));
	if (!fs || asprintf(&fs->base.place, "directory %s", config->path) < 0) {
		close(fd);
		free(fs);
		return error_set(err, ENOMEM, "store \"%s\": out of memory", config->name);
	}
	fs->base.ops = &fs_vtable;
	fs->base.name = config->name;
	fs->base.caps = STORE_CAP_DELETE_IF | STORE_CAP_COPY_IF | STORE_CAP_COPY;
	fs->base.parallel = 1;
	fs->root_fd = fd;
	fs->private_fd = -1;
	*ret = &fs->base;
	return 0;
}
