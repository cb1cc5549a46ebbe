/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/num.h"
#include "hooks/store/sign.h"
#include "hooks/store/store_fs.h"
#include "hooks/store/store_impl.h"

#define XATTR_MARK "user.volrun"
#define XATTR_STAMP "user.volrun.stamp"
#define STAMP_MAX 96
#define SIDECAR_MAX (STAMP_MAX + STORE_MARK_MAX + 2)

/* "<version> <size> <mtime>": whose the mark is. A directory's mtime changes with its entries, so it counts as 0. */
static void stamp_write(const struct stat *st, const char *version, char out[STAMP_MAX])
{
	bool dir = S_ISDIR(st->st_mode);

	snprintf(out, STAMP_MAX, "%s %" PRIu64 " %" PRId64 ".%09ld", version, dir ? 0 : (uint64_t)st->st_size,
		 dir ? 0 : (int64_t)st->st_mtim.tv_sec, dir ? 0 : st->st_mtim.tv_nsec);
}

/* Takes stamp and mark over when they belong to these bytes. */
static void take(const char *stamp, const char *mark, const struct stat *st, struct fs_meta *ret)
{
	char expected[STAMP_MAX], version[FS_VERSION_MAX];

	if (strlen(stamp) < FS_VERSION_MAX)
		return;
	memcpy(version, stamp, FS_VERSION_MAX - 1);
	version[FS_VERSION_MAX - 1] = '\0';
	stamp_write(st, version, expected);
	if (strcmp(stamp, expected) != 0)
		return;
	ret->stamped = true;
	memcpy(ret->version, version, sizeof(ret->version));
	if (store_mark_valid(mark))
		strcpy(ret->mark, mark);
}

static void sidecar_path(const char *key, char out[SHA256_HEX_MAX + 8])
{
	char hex[SHA256_HEX_MAX];
	size_t len = strlen(key);

	/* A directory is asked for as "a/b/" and as "a/b". */
	sha256_hex(key, len > 0 && key[len - 1] == '/' ? len - 1 : len, hex);
	snprintf(out, SHA256_HEX_MAX + 8, "meta/%.2s/%s", hex, hex + 2);
}

int fs_meta_write(int fd, const char *mark, struct fs_meta *ret, bool *ret_sidecar)
{
	unsigned char raw[(FS_VERSION_MAX - 1) / 2];
	char stamp[STAMP_MAX];
	struct fs_meta m = {.stamped = true};
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	random_bytes(raw, sizeof(raw));
	hex_encode(raw, sizeof(raw), m.version);
	if (mark)
		snprintf(m.mark, sizeof(m.mark), "%s", mark);
	stamp_write(&st, m.version, stamp);
	*ret_sidecar = false;
	if (fsetxattr(fd, XATTR_STAMP, stamp, strlen(stamp), 0) < 0) {
		if (errno != EOPNOTSUPP)
			return -errno;
		*ret_sidecar = true;
	} else if (mark) {
		if (fsetxattr(fd, XATTR_MARK, mark, strlen(mark), 0) < 0)
			return -errno;
	} else if (fremovexattr(fd, XATTR_MARK) < 0 && errno != ENODATA) {
		return -errno;
	}
	*ret = m;
	return 0;
}

int fs_meta_write_sidecar(struct store_fs *fs, int fd, const char *key, const struct fs_meta *meta)
{
	char path[SHA256_HEX_MAX + 8], dir[8], text[SIDECAR_MAX], stamp[STAMP_MAX];
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	sidecar_path(key, path);
	memcpy(dir, path, 7);
	dir[7] = '\0';
	if (mkdirat(fs->private_fd, dir, 0700) < 0 && errno != EEXIST)
		return -errno;
	stamp_write(&st, meta->version, stamp);
	snprintf(text, sizeof(text), "%s\n%s", stamp, meta->mark);
	return write_file_atomic_at(fs->private_fd, path, text, strlen(text), 0600, true);
}

static void read_sidecar(struct store_fs *fs, const char *key, const struct stat *st, struct fs_meta *ret)
{
	char path[SHA256_HEX_MAX + 8], where[sizeof(path) + sizeof(FS_PRIVATE) + 1];
	_cleanup_free_ char *text = NULL;
	_cleanup_close_ int fd = -1;
	char *newline;

	sidecar_path(key, path);
	snprintf(where, sizeof(where), "%s/%s", FS_PRIVATE, path);
	fd = fs_open_at(fs->root_fd, where, O_RDONLY, 0);
	if (fd < 0 || read_fd(fd, SIDECAR_MAX, &text, NULL) < 0)
		return;
	newline = strchr(text, '\n');
	if (!newline)
		return;
	*newline = '\0';
	take(text, newline + 1, st, ret);
}

void fs_meta_read(struct store_fs *fs, int fd, const char *key, const struct stat *st, struct fs_meta *ret)
{
	char stamp[STAMP_MAX], mark[STORE_MARK_MAX];
	ssize_t n;

	memset(ret, 0, sizeof(*ret));
	n = fgetxattr(fd, XATTR_STAMP, stamp, sizeof(stamp) - 1);
	if (n < 0) {
		if (errno == EOPNOTSUPP)
			read_sidecar(fs, key, st, ret);
		return;
	}
	stamp[n] = '\0';
	n = fgetxattr(fd, XATTR_MARK, mark, sizeof(mark) - 1);
	mark[n < 0 ? 0 : n] = '\0';
	take(stamp, mark, st, ret);
}

void fs_meta_drop(struct store_fs *fs, int fd, const char *key)
{
	char path[SHA256_HEX_MAX + 8];

	if (fremovexattr(fd, XATTR_STAMP) == 0 || errno != EOPNOTSUPP) {
		fremovexattr(fd, XATTR_MARK);
		return;
	}
	sidecar_path(key, path);
	unlinkat(fs->private_fd, path, 0);
}

void fs_tag(const struct stat *st, const struct fs_meta *meta, char ret[STORE_TAG_MAX])
{
	uint64_t h[2];
	char text[256];

	if (S_ISDIR(st->st_mode))
		snprintf(text, sizeof(text), "directory %ju %s", (uintmax_t)st->st_ino, meta->version);
	else
		snprintf(text, sizeof(text), "%ju %jd %jd.%09ld %jd.%09ld %s", (uintmax_t)st->st_ino,
			 (intmax_t)st->st_size, (intmax_t)st->st_mtim.tv_sec, st->st_mtim.tv_nsec,
			 (intmax_t)st->st_ctim.tv_sec, st->st_ctim.tv_nsec, meta->version);
	h[0] = hash64(HASH64_START, text, strlen(text));
	h[1] = hash64(~HASH64_START, text, strlen(text));
	snprintf(ret, STORE_TAG_MAX, "%016" PRIx64 "%016" PRIx64, h[0], h[1]);
}
