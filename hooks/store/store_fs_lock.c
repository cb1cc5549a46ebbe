/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/num.h"
#include "hooks/store/store_fs.h"
#include "oci/json.h"

#define LOCK_WAIT_NS (30 * NSEC_PER_SEC)
#define REGISTER_MAX 65536

/* Plain files of a volume stand behind the fence: volumes/<ws>/<name>/..., but not volumes/<ws>/.volrun/... */
static bool is_fenced(const struct store_fs *fs, const char *key)
{
	const char *p = strchr(key, '/');

	if (!fs->base.fence_key || strncmp(key, "volumes/", 8) != 0)
		return false;
	p = strchr(p + 1, '/');
	return !p || strncmp(p, "/.volrun/", 9) != 0;
}

static unsigned slot_of(const char *key)
{
	return hash64(HASH64_START, key, strlen(key)) & 0xff;
}

/* Not a blocking flock: a holder that was stopped must not stop us for ever. */
static int lock_slot(struct store_fs *fs, unsigned slot, int *ret_fd)
{
	int64_t deadline = clock_boottime_ns() + LOCK_WAIT_NS, pause = NSEC_PER_MSEC / 4;
	_cleanup_close_ int fd = -1;
	char path[16];

	snprintf(path, sizeof(path), "locks/%02x", slot);
	fd = fs_open_at(fs->private_fd, path, O_RDWR | O_CREAT, 0600);
	if (fd < 0)
		return fd;
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EINTR)
			continue;
		if (errno != EWOULDBLOCK)
			return -errno;
		if (clock_boottime_ns() > deadline)
			return -ETIMEDOUT;
		clock_sleep_ns(pause);
		pause = pause < 8 * NSEC_PER_MSEC ? pause * 2 : pause;
	}
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int fs_lock(struct store_fs *fs, const char *key, struct fs_locks *ret)
{
	unsigned first = slot_of(key), second = first;
	int r;

	ret->fds[0] = ret->fds[1] = -1;
	if (is_fenced(fs, key))
		second = slot_of(fs->base.fence_key);
	if (second < first) {
		unsigned swap = first;

		first = second;
		second = swap;
	}
	r = lock_slot(fs, first, &ret->fds[0]);
	if (r == 0 && second != first)
		r = lock_slot(fs, second, &ret->fds[1]);
	return r;
}

void fs_unlock(struct fs_locks *l)
{
	cleanup_close(&l->fds[1]);
	cleanup_close(&l->fds[0]);
}

struct register_epoch {
	uint64_t epoch;
};

static const struct json_field register_fields[] = {
    JSON_FIELD(struct register_epoch, epoch, "epoch", JSON_U64, .required = true),
    {NULL},
};
static const struct json_table register_table = {"register", sizeof(struct register_epoch), register_fields, 0};

int fs_fence_check(struct store_fs *fs, const char *key)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_free_ char *text = NULL;
	_cleanup_close_ int fd = -1;
	struct register_epoch reg;
	struct error err = ERROR_INIT;
	size_t len;
	int r;

	if (!is_fenced(fs, key))
		return 0;
	fd = fs_open_at(fs->root_fd, fs->base.fence_key, O_RDONLY | O_NONBLOCK, 0);
	if (fd < 0)
		return fd == -ENOENT ? -ESRCH : fd;
	r = read_fd(fd, REGISTER_MAX, &text, &len);
	if (r < 0)
		return r;
	r = json_parse(text, len, "register", &register_table, &arena, &reg, &err);
	if (r < 0)
		return r;
	return reg.epoch == fs->base.fence_epoch ? 0 : -ESTALE;
}
