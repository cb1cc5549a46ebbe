/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/keeper_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"

#define LOG_MAX_SIZE (64 * 1024)
#define WAIT_MAX_NS (3600 * NSEC_PER_SEC) /* one poll(2) */

/* By the directory's descriptor: run_dir may be longer than a socket's address. */
static struct sockaddr_un address(int dir_fd, const char *key)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	char dir[FD_PATH_MAX];

	snprintf(a.sun_path, sizeof(a.sun_path), "%s/%s.sock", fd_path(dir_fd, dir), key);
	return a;
}

static int listen_at(struct keeper_socket *s)
{
	struct sockaddr_un a = address(s->dir_fd, s->key);
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct stat st;

	if (fd < 0)
		return -errno;
	unlink(a.sun_path);
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 64) < 0 || stat(a.sun_path, &st) < 0)
		return -errno;
	s->inode = st.st_ino;
	s->listen_fd = TAKE_FD(fd);
	return 0;
}

int keeper_socket_open(struct keeper_socket *s, const char *run_dir, const char *id, const char *bundle,
		       struct error *err)
{
	int r = mkdir_p_at(AT_FDCWD, run_dir, 0700);
	struct stat st;

	if (r == 0) {
		s->dir_fd = open(run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		r = s->dir_fd < 0 || fstat(s->dir_fd, &st) < 0 ? -errno : 0;
	}
	/* Who may write to it could take a socket's place. */
	if (r == 0 && (st.st_uid != geteuid() || (st.st_mode & 022)))
		return error_set(err, EINVAL, "run_dir %s: must belong to uid %u and be writable by nobody else",
				 run_dir, (unsigned)geteuid());
	keeper_key(id, bundle, s->key);
	if (r == 0)
		r = listen_at(s);
	return r < 0 ? error_set(err, r, "run_dir %s: can't make the keeper's socket (error %d)", run_dir, -r) : 0;
}

/* By its mode a delete that gives up tells the keeper that nobody comes for its lines any more. */
#define GIVEN_UP S_ISVTX

static bool look(int dir_fd, const char *key, struct stat *ret)
{
	char name[KEEPER_KEY_MAX + 8];

	snprintf(name, sizeof(name), "%s.sock", key);
	return fstatat(dir_fd, name, ret, AT_SYMLINK_NOFOLLOW) == 0 && S_ISSOCK(ret->st_mode);
}

/* It is not, when a later keeper of that container has come. */
static bool is_there(const struct keeper_socket *s, struct stat *ret)
{
	return s->listen_fd >= 0 && look(s->dir_fd, s->key, ret) && ret->st_ino == s->inode;
}

static bool is_awaited(const struct keeper_socket *s)
{
	struct stat st;

	return is_there(s, &st) && !(st.st_mode & GIVEN_UP);
}

void keeper_socket_log(const struct keeper_socket *s, const struct strbuf *lines)
{
	char name[KEEPER_KEY_MAX + 8];

	if (!is_awaited(s))
		return;
	snprintf(name, sizeof(name), "%s.log", s->key);
	if (lines->len)
		write_file_atomic_at(s->dir_fd, name, lines->data, lines->len, 0600, false);
	/* Who gave up meanwhile may have looked for it before it was written. */
	if (!lines->len || !is_awaited(s))
		unlinkat(s->dir_fd, name, 0);
}

void keeper_socket_close(struct keeper_socket *s)
{
	char name[KEEPER_KEY_MAX + 8];
	struct stat st;

	snprintf(name, sizeof(name), "%s.sock", s->key);
	if (is_there(s, &st))
		unlinkat(s->dir_fd, name, 0);
	cleanup_close(&s->listen_fd);
	cleanup_close(&s->dir_fd);
	*s = KEEPER_SOCKET_INIT;
}

bool keeper_socket_answers(int fd, int64_t timeout_ns)
{
	int64_t now = clock_boottime_ns(), until = timeout_ns > INT64_MAX - now ? INT64_MAX : now + timeout_ns;

	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN | POLLRDHUP};
		int64_t left = until - clock_boottime_ns();

		if (left <= 0)
			return false;
		if (poll(&p, 1,
			 left > WAIT_MAX_NS ? (int)(WAIT_MAX_NS / NSEC_PER_MSEC) : (int)(left / NSEC_PER_MSEC) + 1) > 0)
			return true;
	}
}

/* Nobody accepts: the connection ends when the keeper closes its socket, or dies. */
static int wait_end(int dir_fd, const char *key, int64_t timeout_ns)
{
	struct sockaddr_un a = address(dir_fd, key);
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return errno == ENOENT || errno == ECONNREFUSED ? 0 : -errno;
	return keeper_socket_answers(fd, timeout_ns) ? 0 : -ETIMEDOUT;
}

int keeper_socket_connect(const char *run_dir, const char *key)
{
	_cleanup_close_ int dir_fd = open(run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct sockaddr_un a;

	if (dir_fd < 0 || fd < 0)
		return -errno;
	if (strlen(key) != KEEPER_KEY_MAX - 1 || strchr(key, '/'))
		return -EINVAL;
	a = address(dir_fd, key);
	return connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ? -errno : TAKE_FD(fd);
}

/* A keeper that was killed leaves its socket: whose end refuses to be called is removed, a later keeper's is not. */
static void remove_dead(int dir_fd, const char *key)
{
	struct sockaddr_un a = address(dir_fd, key);
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct stat before, after;

	if (fd < 0 || stat(a.sun_path, &before) < 0)
		return;
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0 || errno != ECONNREFUSED)
		return;
	if (stat(a.sun_path, &after) == 0 && after.st_ino == before.st_ino)
		unlink(a.sun_path);
}

void keeper_socket_forget(const char *run_dir, const char *id, const char *bundle)
{
	_cleanup_close_ int dir_fd = open(run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char key[KEEPER_KEY_MAX];

	keeper_key(id, bundle, key);
	if (dir_fd >= 0)
		remove_dead(dir_fd, key);
}

/* The socket stays: it may be the holder of a pod's volume, whom others ask things. */
static void give_up(int dir_fd, const char *key, const struct stat *waited)
{
	char name[KEEPER_KEY_MAX + 8];
	struct stat st;

	snprintf(name, sizeof(name), "%s.sock", key);
	if (look(dir_fd, key, &st) && st.st_ino == waited->st_ino)
		(void)!fchmodat(dir_fd, name, (st.st_mode & 07777) | GIVEN_UP, 0);
}

int keeper_socket_wait(const char *run_dir, const char *id, const char *bundle, int64_t timeout_ns, bool last,
		       char **ret_log)
{
	_cleanup_close_ int dir_fd = open(run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char key[KEEPER_KEY_MAX], name[KEEPER_KEY_MAX + 8];
	struct stat waited = {0};
	char *log = NULL;
	int r;

	*ret_log = NULL;
	if (dir_fd < 0)
		return 0;
	keeper_key(id, bundle, key);
	look(dir_fd, key, &waited);
	r = wait_end(dir_fd, key, timeout_ns);
	if (r == 0)
		remove_dead(dir_fd, key);
	if (r == -ETIMEDOUT && last)
		give_up(dir_fd, key, &waited);
	snprintf(name, sizeof(name), "%s.log", key);
	if (read_file_at(dir_fd, name, LOG_MAX_SIZE, &log, NULL) == 0) {
		unlinkat(dir_fd, name, 0);
		*ret_log = log;
	}
	return r;
}
