/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io.h - whole reads and writes, files replaced atomically, descriptors over
 * sockets. All return 0 or a count, or a negative errno; EINTR is retried.
 */
#ifndef VOLRUN_BASE_IO_H
#define VOLRUN_BASE_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Reads a whole file of at most `max` bytes, NUL-terminated. -EFBIG when it is
 * longer; -ENOMEM. The caller frees *ret_data. ret_len may be NULL.
 */
int read_file_at(int dirfd, const char *path, size_t max, char **ret_data, size_t *ret_len);
int read_fd(int fd, size_t max, char **ret_data, size_t *ret_len);

/* Writes all of it. -EPIPE etc. */
int write_all(int fd, const void *data, size_t len);
int pwrite_all(int fd, const void *data, size_t len, off_t offset);
/* Reads exactly len bytes: 0, -ENODATA at an early end of file. */
int read_full(int fd, void *data, size_t len);
int pread_full(int fd, void *data, size_t len, off_t offset);

/* Opens, writes in one write(2), closes. For files of /proc, /sys and cgroups. */
int write_file_at(int dirfd, const char *path, const char *data);

/*
 * Replaces path: temporary name in the same directory, write, (fsync,) rename.
 * A reader sees the old or the new file, whole. The temporary is removed on
 * failure. mode is the file's permission bits, not masked by umask.
 */
int write_file_atomic_at(int dirfd, const char *path, const void *data, size_t len, mode_t mode, bool sync);

/*
 * One message with up to IO_MAX_FDS descriptors over a unix socket.
 * recv_fds: returns the bytes received (0: the peer closed); descriptors are
 * close-on-exec and the caller's; more than expected are closed and -EPROTO is
 * returned. *n_fds is in: room, out: number.
 */
#define IO_MAX_FDS 16
int send_fds(int sock, const void *data, size_t len, const int *fds, size_t n_fds);
ssize_t recv_fds(int sock, void *data, size_t len, int *fds, size_t *n_fds);

/* mkdir -p beneath dirfd; existing directories are fine, their mode is kept. */
int mkdir_p_at(int dirfd, const char *path, mode_t mode);
/*
 * rm -rf of dirfd/name, whose parents the caller trusts; beneath it no link is
 * followed and no mount crossed. 0 when absent.
 */
int remove_tree_at(int dirfd, const char *name);

/*
 * The hole at this place of a file (SEEK_DATA, lseek(2)): its length within the next `left` bytes and the file, or 0
 * where there is data; *ret_data is how much then, at the most. So that zeros need no reading. Moves the position.
 */
uint64_t hole_at(int fd, off_t at, uint64_t left, uint64_t *ret_data);

/* Closes all descriptors from `from` on but these (-1: none), which it sorts. */
void close_fds_but(unsigned from, int *keep, size_t n);

/* A file in memory that may be executed and sealed, close-on-exec; or -errno. */
int memfd_executable(const char *name);
/* From here on nobody changes it (F_SEAL_WRITE and the others). */
int memfd_seal(int fd);

/* Sets or clears FD_CLOEXEC. */
int fd_cloexec(int fd, bool on);

/* Is there something to read, or the end of it, now? -1: no. */
bool fd_readable(int fd);
/* "/proc/self/fd/N" in a buffer of the caller; returns buf. */
#define FD_PATH_MAX 32
char *fd_path(int fd, char buf[FD_PATH_MAX]);

#endif
