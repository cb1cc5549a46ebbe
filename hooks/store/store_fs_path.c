/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/sys.h"
#include "hooks/store/store_fs.h"

#define RESOLVE_STRICT (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)
#define STALE_SECONDS (24 * 3600)

int fs_open_at(int dir_fd, const char *path, int flags, mode_t mode)
{
	int fd;

	/* EAGAIN: a rename elsewhere in the file system ran at the same time (openat2(2)). */
	do {
		fd = sys_openat2(dir_fd, path, (uint64_t)flags | O_CLOEXEC | O_NOCTTY, flags & O_CREAT ? mode : 0,
				 RESOLVE_STRICT);
	} while (fd < 0 && (errno == EINTR || errno == EAGAIN));
	return fd < 0 ? -errno : fd;
}

bool fs_key_fits(const char *key)
{
	size_t n = strlen(FS_PRIVATE);

	if (!strncmp(key, FS_PRIVATE, n) && (key[n] == '\0' || key[n] == '/'))
		return false;
	while (*key) {
		n = strcspn(key, "/");
		if (n > NAME_MAX)
			return false;
		key += n;
		key += *key == '/';
	}
	return true;
}

/* Opens the directory of the first len bytes of key, and makes what is missing. */
static int directory(struct store_fs *fs, const char *key, size_t len, bool make)
{
	char path[STORE_KEY_MAX + 1];
	_cleanup_close_ int fd = -1;
	size_t n;
	int r;

	memcpy(path, key, len);
	path[len] = '\0';
	r = fs_open_at(fs->root_fd, len > 0 ? path : ".", O_RDONLY | O_DIRECTORY, 0);
	if (r != -ENOENT || !make)
		return r;
	fd = fs_open_at(fs->root_fd, ".", O_RDONLY | O_DIRECTORY, 0);
	for (char *p = path; fd >= 0 && *p; p += n) {
		bool last;

		n = strcspn(p, "/");
		last = p[n] == '\0';
		p[n] = '\0';
		if (mkdirat(fd, p, 0755) == 0) {
			if (fsync(fd) < 0)
				return -errno;
		} else if (errno != EEXIST) {
			return -errno;
		}
		r = fs_open_at(fd, p, O_RDONLY | O_DIRECTORY, 0);
		close(fd);
		fd = r;
		n += !last;
	}
	return TAKE_FD(fd);
}

int fs_parent(struct store_fs *fs, const char *key, bool make, const char **ret_name)
{
	const char *slash = strrchr(key, '/');
	int fd = directory(fs, key, slash ? (size_t)(slash - key) : 0, make);

	if (fd >= 0)
		*ret_name = slash ? slash + 1 : key;
	return fd;
}

int fs_directory(struct store_fs *fs, const char *key, bool make)
{
	return directory(fs, key, strlen(key) - 1, make);
}

/* How many bytes of the key stay whatever happens: "volumes/<ws>/<vol>", else nothing. */
static size_t kept_prefix(const char *key)
{
	const char *p = key;

	if (strncmp(key, "volumes/", 8))
		return 0;
	for (int i = 0; i < 3 && p; i++) {
		p = strchr(p, '/');
		p = p ? p + 1 : NULL;
	}
	return p ? (size_t)(p - key) : strlen(key);
}

void fs_prune(struct store_fs *fs, const char *key)
{
	char path[STORE_KEY_MAX + 1];
	size_t kept = kept_prefix(key);
	char *slash;

	strcpy(path, key);
	while ((slash = strrchr(path, '/')) && (size_t)(slash - path) >= kept) {
		_cleanup_close_ int parent = -1, fd = -1;
		const char *name;
		struct fs_meta meta;
		struct stat st;

		*slash = '\0';
		fd = fs_open_at(fs->root_fd, path, O_RDONLY | O_DIRECTORY, 0);
		parent = fs_parent(fs, path, false, &name);
		if (fd < 0 || parent < 0 || fstat(fd, &st) < 0)
			return;
		fs_meta_read(fs, fd, path, &st, &meta);
		if (meta.stamped || unlinkat(parent, name, AT_REMOVEDIR) < 0)
			return;
	}
}

/* What a killed writer left. Two writers may sweep at once; a file that is gone is fine. */
static void sweep(int private_fd)
{
	_cleanup_closedir_ DIR *dir = NULL;
	_cleanup_close_ int fd = fs_open_at(private_fd, "tmp", O_RDONLY | O_DIRECTORY, 0);
	time_t now = time(NULL);
	struct dirent *e;
	struct stat st;

	if (fd < 0)
		return;
	dir = fdopendir(fd);
	if (!dir)
		return;
	TAKE_FD(fd);
	while ((e = readdir(dir)))
		if (fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(st.st_mode) &&
		    st.st_mtime < now - STALE_SECONDS)
			unlinkat(dirfd(dir), e->d_name, 0);
}

int fs_private_open(struct store_fs *fs)
{
	static const char *const names[] = {"locks", "tmp", "meta"};
	_cleanup_close_ int fd = -1;

	if (fs->private_fd >= 0)
		return 0;
	if (mkdirat(fs->root_fd, FS_PRIVATE, 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = fs_open_at(fs->root_fd, FS_PRIVATE, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		return fd;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (mkdirat(fd, names[i], 0700) < 0 && errno != EEXIST)
			return -errno;
	sweep(fd);
	fs->private_fd = TAKE_FD(fd);
	return 0;
}
