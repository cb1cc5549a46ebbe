/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_fs.h - the filesystem store, for its own parts only.
 *
 *     <root>/<key>                     an object is a file, whole at any moment (temporary, fsync, rename)
 *     <root>/.volrun-store/locks/XX    256 lock files; a key's is the last byte of its hash64
 *     <root>/.volrun-store/tmp/        files on their way in
 *     <root>/.volrun-store/meta/       marks and stamps, where the file system has no user.* attributes
 *
 * Tag: hash of inode, size, mtime, ctime and a random version written with each
 * PUT. It changes with every write of ours (the version) and with every change by others (ctime),
 * and it never repeats for other bytes: an inode number and a clock tick can come again, a version doesn't.
 * The device number is left out: it changes with a reboot, and tags are remembered.
 *
 * Mark: the attribute user.volrun, believed only while size and mtime are those
 * in the stamp beside it (user.volrun.stamp): an editor keeps a file's attributes and
 * changes its bytes, which in an object store would have taken the mark off.
 *
 * Directories come with the keys in them and go with the last one. "key/" is an explicit
 * directory (PUT; it stays when it empties: it carries a stamp) or any empty one.
 */
#ifndef VOLRUN_HOOKS_STORE_FS_H
#define VOLRUN_HOOKS_STORE_FS_H

#include <sys/stat.h>

#include "hooks/store/store.h"

#define FS_PRIVATE ".volrun-store"
#define FS_VERSION_MAX 17

struct store_fs {
	struct store base;
	int root_fd;
	int private_fd; /* -1 until the first change */
};

struct fs_meta {
	char version[FS_VERSION_MAX]; /* "": none */
	char mark[STORE_MARK_MAX];    /* "": none */
	bool stamped;
};

/* --- store_fs_path.c: keys to files. Never through a symbolic link, never out of the root. 0/fd or a negative errno.
 */
int fs_open_at(int dir_fd, const char *path, int flags, mode_t mode);
/* No segment over 255 bytes, nothing of FS_PRIVATE. */
bool fs_key_fits(const char *key);
/* The directory that holds key; *ret_name points into key. make: with what is missing of it. */
int fs_parent(struct store_fs *fs, const char *key, bool make, const char **ret_name);
/* "a/b/": the directory itself. */
int fs_directory(struct store_fs *fs, const char *key, bool make);
/* Removes directories that are empty, from the key's parent upwards; volumes/<ws>/<vol> and above stay. */
void fs_prune(struct store_fs *fs, const char *key);
/* Makes FS_PRIVATE, opens it, drops temporaries older than a day. */
int fs_private_open(struct store_fs *fs);

/* --- store_fs_meta.c: tags and marks ------------------------------------------------------------------------------ */
/* Gives an open file or directory a new version and the mark. *ret_sidecar: this file system has no attributes. */
int fs_meta_write(int fd, const char *mark, struct fs_meta *ret, bool *ret_sidecar);
/* The same beside it, for such a file system, just before the rename. */
int fs_meta_write_sidecar(struct store_fs *fs, int fd, const char *key, const struct fs_meta *meta);
void fs_meta_read(struct store_fs *fs, int fd, const char *key, const struct stat *st, struct fs_meta *ret);
void fs_meta_drop(struct store_fs *fs, int fd, const char *key);
void fs_tag(const struct stat *st, const struct fs_meta *meta, char ret[STORE_TAG_MAX]);

/* --- store_fs_lock.c ---------------------------------------------------------------------------------------------- */
/* The locks of a changing request: of its key, and of the fence where it stands behind one. In one order, always. */
struct fs_locks {
	int fds[2];
};
/* 0; -ETIMEDOUT after 30 s. Free with fs_unlock. */
int fs_lock(struct store_fs *fs, const char *key, struct fs_locks *ret);
void fs_unlock(struct fs_locks *l);
/* Under the locks: may the key be changed? 0; -ESTALE when the register's epoch has moved on, -ESRCH when it is gone;
 * else why it can't be read. */
int fs_fence_check(struct store_fs *fs, const char *key);

/* --- store_fs_data.c ---------------------------------------------------------------------------------------------- */
/* len bytes; shares blocks (FICLONE, copy_file_range) where it can, and leaves holes behind the end of out. Moves in's
 * position. Returns the bytes copied: fewer at the end of in.
 */
int64_t fs_copy_range(int in, off_t in_offset, int out, off_t out_offset, uint64_t len);

/* --- store_fs_list.c ---------------------------------------------------------------------------------------------- */
int fs_list(struct store *s, const char *prefix, store_list_fn fn, void *ctx, struct error *err);

#endif
