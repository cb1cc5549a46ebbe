/* SPDX-License-Identifier: Apache-2.0 */
/* A restored tree reaches the disk while its container runs already: how it is told what a power cut may have taken. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "hooks/engine/cache.h"

#define STACK (256 * 1024)
#define UNSETTLED "unsettled"

struct cache_settling {
	pthread_t thread;
	int dir_fd; /* its own: what could not be written is told to who waits for the disk at the commit, too */
};

int cache_unsettle(const struct cache_volume *c, struct error *err)
{
	_cleanup_close_ int fd = openat(c->dir_fd, UNSETTLED, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	return fd < 0 ? error_set(err, errno, "cache: can't write the mark \"%s\" (error %d)", UNSETTLED, errno) : 0;
}

bool cache_is_unsettled(const struct cache_volume *c)
{
	return faccessat(c->dir_fd, UNSETTLED, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

int cache_settle(int dir_fd)
{
	if (syncfs(dir_fd) < 0)
		return -errno;
	return unlinkat(dir_fd, UNSETTLED, 0) < 0 && errno != ENOENT ? -errno : 0;
}

/* After a failure the mark stays. */
static void *run(void *arg)
{
	struct cache_settling *s = arg;

	cache_settle(s->dir_fd);
	return NULL;
}

static bool start(struct cache_settling *s)
{
	pthread_attr_t attr;
	bool started;

	if (s->dir_fd < 0 || pthread_attr_init(&attr) != 0)
		return false;
	pthread_attr_setstacksize(&attr, STACK);
	started = pthread_create(&s->thread, &attr, run, s) == 0;
	pthread_attr_destroy(&attr);
	return started;
}

void cache_settle_begin(struct cache_volume *c)
{
	struct cache_settling *s = c->settling || !cache_is_unsettled(c) ? NULL : malloc(sizeof(*s));

	if (!s)
		return;
	s->dir_fd = openat(c->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (start(s)) {
		c->settling = s;
		return;
	}
	cleanup_close(&s->dir_fd);
	free(s);
}

void cache_settle_end(struct cache_volume *c)
{
	struct cache_settling *s = c->settling;

	if (!s)
		return;
	pthread_join(s->thread, NULL);
	close(s->dir_fd);
	free(s);
	c->settling = NULL;
}
