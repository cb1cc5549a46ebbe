/* SPDX-License-Identifier: Apache-2.0 */
#include "base/group_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

/* -1: there is none for us. */
static int open_place(void)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (geteuid() != 0)
		return -1;
	fd = open(GROUP_LOCK_PLACE, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == 0 ? TAKE_FD(fd) : -1;
}

enum byte { LOCK, WANT };

static struct flock byte_of(ino_t inode, enum byte b, short type)
{
	return (struct flock){
	    .l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)(inode % (INT64_MAX / 2)) * 2 + b, .l_len = 1};
}

static int lock_byte(int fd, ino_t inode)
{
	struct flock l = byte_of(inode, LOCK, F_WRLCK);

	if (fcntl(fd, F_OFD_SETLK, &l) == 0)
		return 0;
	return errno == EACCES || errno == EAGAIN ? -EWOULDBLOCK : -errno;
}

int group_lock_want(int group_fd)
{
	_cleanup_close_ int fd = open_place();
	struct flock l;
	struct stat st;

	if (fd < 0 || fstat(group_fd, &st) < 0)
		return -1;
	/* Of any number. */
	l = byte_of(st.st_ino, WANT, F_RDLCK);
	return fcntl(fd, F_OFD_SETLK, &l) == 0 ? TAKE_FD(fd) : -1;
}

bool group_lock_wanted(int group_fd)
{
	_cleanup_close_ int fd = open_place();
	struct flock l;
	struct stat st;

	if (fd < 0 || fstat(group_fd, &st) < 0)
		return false;
	l = byte_of(st.st_ino, WANT, F_WRLCK);
	return fcntl(fd, F_OFD_GETLK, &l) == 0 && l.l_type != F_UNLCK;
}

int group_lock(int group_fd)
{
	_cleanup_close_ int fd = open_place();
	struct stat st;
	int r;

	if (fstat(group_fd, &st) < 0)
		return -errno;
	if (fd >= 0) {
		r = lock_byte(fd, st.st_ino);
		return r < 0 ? r : TAKE_FD(fd);
	}
	fd = openat(group_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0 ? -errno : TAKE_FD(fd);
}

void group_unlock(int lock_fd)
{
	struct flock all = {.l_type = F_UNLCK, .l_whence = SEEK_SET};

	/* One of them is it, the other one nothing. */
	fcntl(lock_fd, F_OFD_SETLK, &all);
	flock(lock_fd, LOCK_UN);
}
