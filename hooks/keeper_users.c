/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/keeper_users.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "hooks/engine/ids.h"
#include "hooks/engine/keeper_name.h"
#include "hooks/engine/tree.h"

#define USERS_NAME_MAX 40
#define VALID "valid"

static char *users_name(uint64_t epoch, char buf[USERS_NAME_MAX])
{
	snprintf(buf, USERS_NAME_MAX, "users-%" PRIu64, epoch);
	return buf;
}

int users_lock(const struct cache_volume *c)
{
	_cleanup_close_ int fd = openat(c->dir_fd, "users.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	while (fd >= 0 && flock(fd, LOCK_EX) < 0)
		if (errno != EINTR)
			return -1;
	return TAKE_FD(fd);
}

static int open_users(const struct cache_volume *c, uint64_t epoch, bool make)
{
	char name[USERS_NAME_MAX];

	users_name(epoch, name);
	if (make && mkdirat(c->dir_fd, name, 0700) < 0 && errno != EEXIST)
		return -errno;
	return openat(c->dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

int users_each(const struct cache_volume *c, uint64_t epoch, int (*fn)(const struct keeper_note *n, void *ctx),
	       void *ctx)
{
	_cleanup_close_ int fd = open_users(c, epoch, false);
	_cleanup_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *d;
	int r = 0;

	if (!dir)
		return 0;
	TAKE_FD(fd);
	while (r == 0 && (d = readdir(dir))) {
		_cleanup_arena_ struct arena a = ARENA_INIT;
		struct keeper_note n;

		if (d->d_name[0] != '.' && keeper_note_read_at(dirfd(dir), d->d_name, &a, &n) == 0 &&
		    keeper_note_lives(&n, -1))
			r = fn(&n, ctx);
	}
	return r;
}

static int found(const struct keeper_note *n, void *ctx)
{
	(void)n;
	(void)ctx;
	return 1;
}

bool users_live(const struct cache_volume *c, uint64_t epoch)
{
	return users_each(c, epoch, found, NULL) > 0;
}

/* No user's note: those have no dot. */
#define UNQUIET ".unquiet"

void users_note_unquiet(const struct cache_volume *c, uint64_t epoch)
{
	_cleanup_close_ int dir = open_users(c, epoch, false);
	_cleanup_close_ int fd = dir < 0 ? -1 : openat(dir, UNQUIET, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	(void)fd;
}

bool users_unquiet(const struct cache_volume *c, uint64_t epoch)
{
	_cleanup_close_ int fd = open_users(c, epoch, false);
	_cleanup_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *d;

	if (!dir)
		return false;
	TAKE_FD(fd);
	/* A note that is left is of one who has not come to look, or was killed before. */
	while ((d = readdir(dir)))
		if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
			return true;
	return false;
}

void users_move(const struct cache_volume *c, uint64_t from, uint64_t to)
{
	char old[USERS_NAME_MAX], new[USERS_NAME_MAX];

	if (to == 0)
		remove_tree_at(c->dir_fd, users_name(from, old));
	else
		renameat(c->dir_fd, users_name(from, old), c->dir_fd, users_name(to, new));
}

/* --- who joins ---------------------------------------------------------------------------- */

int hold_note_user(struct hold *h, struct hold_volume *hv, const struct container_cgroup *cgroup)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_close_ int dir = open_users(&hv->v.cache, hv->joined, false);
	struct keeper_note n = hold_make_note(h, hv, &a);
	char key[KEEPER_KEY_MAX];

	keeper_key(h->request->id, h->request->bundle, key);
	return dir < 0 ? dir : keeper_note_write_at(dir, key, &n, cgroup);
}

void hold_leave(struct hold *h, struct hold_volume *hv)
{
	_cleanup_close_ int dir = open_users(&hv->v.cache, hv->joined, false);
	char key[KEEPER_KEY_MAX];

	keeper_key(h->request->id, h->request->bundle, key);
	if (dir >= 0)
		unlinkat(dir, key, 0);
	hv->joined = 0;
}

/*
 * Where a mount can't map ids, the owners on disk are those of one user namespace: to another they would be somebody
 * else's, and what it makes would be committed as such.
 */
static int check_ids(const struct hold *h, const struct hold_volume *hv, struct error *err)
{
	_cleanup_free_ struct ids *noted = NULL;
	int dir = hv->v.cache.dir_fd, r = ids_load(dir, hv->tree_fd, &noted);

	if (r < 0)
		return error_set(err, r, "cache: can't read whose ids the tree has (error %d)", -r);
	if (((noted && noted->on_disk) || (h->ids && h->ids->on_disk)) && !ids_noted(dir, hv->tree_fd, h->ids))
		return error_set(err, EINVAL,
				 "another container of the pod has it with other user or group mappings, and the "
				 "cache's file system can't map ids; give them the same, or move the cache to ext4, "
				 "xfs, btrfs or tmpfs");
	return 0;
}

/* Between two containers of the pod the tree is as committed; who joins is the first to write again. */
static int find_mark(const struct cache_volume *c, const struct keeper_note *holder, struct cache_mark *ret)
{
	if (cache_read_dirty(c, ret) == 0)
		return 0;
	if (!holder->resting || cache_read_clean(c, ret) < 0)
		return -ENOENT;
	ret->epoch = holder->resting;
	return 0;
}

bool users_valid(const struct cache_volume *c)
{
	_cleanup_close_ int fd = openat(c->dir_fd, VALID, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	int64_t until;

	/* A holder of an earlier version tells nobody. */
	if (fd < 0)
		return errno == ENOENT;
	return pread_full(fd, &until, sizeof(until), 0) == 0 && clock_boottime_ns() < until;
}

/*
 * A holder that died meanwhile may have been found dead before anybody could be seen here, and the tree with it to be
 * nobody's. Whoever finds him dead from here on sees who joined.
 */
static int confirm(struct hold *h, struct hold_volume *hv, const struct keeper_note *holder)
{
	if (keeper_alive(holder->keeper))
		return 1;
	hold_leave(h, hv);
	cleanup_close(&hv->tree_fd);
	hv->tree_fd = -1;
	return 0;
}

/* With the users' lock. */
static int join(struct hold *h, struct hold_volume *hv, struct error *err)
{
	static const struct container_cgroup not_known = {.fd = -1};
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_close_ int dir = -1;
	struct keeper_note note;
	struct cache_mark mark;
	int r;

	/* Not yet while the holder's trees are made, not any more when it is about to commit. */
	if (keeper_note_read(&hv->v.cache, &a, &note) < 0 || find_mark(&hv->v.cache, &note, &mark) < 0 ||
	    !note.joinable || !users_valid(&hv->v.cache) || !note.request.pod ||
	    strcmp(note.request.pod, h->request->pod) != 0 ||
	    strcmp(note.request.workspace, h->request->workspace) != 0 || !keeper_alive(note.keeper))
		return 0;
	dir = open_users(&hv->v.cache, mark.epoch, true);
	if (dir < 0)
		return error_set(err, errno, "cache: can't note who uses the volume (error %d)", errno);
	hv->tree_fd = tree_open(hv->v.cache.dir_fd, "rw", O_RDONLY | O_DIRECTORY);
	if (hv->tree_fd < 0)
		return tree_error(err, hv->tree_fd, "cache: the tree can't be opened");
	r = check_ids(h, hv, err);
	if (r < 0)
		return r;
	hv->joined = mark.epoch;
	if (note.resting) {
		r = cache_mark_dirty(&hv->v.cache, mark.epoch, mark.seq, err);
		if (r < 0)
			return r;
	}
	/* The holder must know before anything is written, or it commits and gives the tree away meanwhile. */
	r = hold_note_user(h, hv, &not_known);
	if (r == 0)
		return confirm(h, hv, &note);
	hv->joined = 0;
	return error_set(err, r, "cache: can't note who uses the volume (error %d)", -r);
}

int hold_join(struct hold *h, struct hold_volume *hv, struct error *err)
{
	_cleanup_close_ int lock = h->request->pod ? users_lock(&hv->v.cache) : -1;

	return lock < 0 ? 0 : join(h, hv, err);
}

/* --- who holds ---------------------------------------------------------------------------- */

static uint64_t users_epoch(const struct hold_volume *hv)
{
	return hv->orphan ? hv->orphan_epoch : lease_epoch(hv->lease);
}

void users_set_joinable(struct hold *h, struct hold_volume *hv, bool joinable)
{
	static const struct container_cgroup not_known = {.fd = -1};
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct keeper_note n;

	hv->joinable = joinable;
	if (hv->v.cache.lock_fd < 0)
		return;
	n = hold_make_note(h, hv, &a);
	/* Without a note nobody joins either. */
	if (keeper_note_write_at(hv->v.cache.dir_fd, "keeper", &n, h->cgroup ? h->cgroup : &not_known) < 0 && !joinable)
		cache_note_keeper(&hv->v.cache, NULL);
}

void users_begin(struct hold *h)
{
	for (size_t i = 0; i < h->n; i++) {
		struct hold_volume *hv = &h->volumes[i];
		int fd = hv->lease && h->request->pod
			     ? openat(hv->v.cache.dir_fd, VALID, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)
			     : -1;

		hv->joinable = hv->lease != NULL;
		if (fd >= 0)
			lease_show_validity(hv->lease, fd);
	}
}

/* Does nobody else use it? Then nobody joins from here on. */
static bool close_users(struct hold *h, struct hold_volume *hv)
{
	_cleanup_close_ int lock = users_lock(&hv->v.cache);

	/* Who can't be kept from joining may be about to. */
	if (lock < 0 || users_live(&hv->v.cache, users_epoch(hv)))
		return false;
	hv->was_unquiet |= users_unquiet(&hv->v.cache, users_epoch(hv));
	users_move(&hv->v.cache, users_epoch(hv), 0);
	users_set_joinable(h, hv, false);
	return true;
}

static bool is_shared(const struct hold_volume *hv)
{
	return (hv->lease || hv->orphan) && users_live(&hv->v.cache, users_epoch(hv));
}

/* All are closed or none: who has joined one volume and waits for the next is not to be waited for. */
bool hold_is_shared(struct hold *h)
{
	bool was[IO_MAX_FDS] = {false}, shared = false;
	size_t i;

	for (i = 0; i < h->n && h->request->pod; i++)
		if (is_shared(&h->volumes[i]))
			return true;
	for (i = 0; i < h->n && h->request->pod && !shared; i++) {
		struct hold_volume *hv = &h->volumes[i];

		was[i] = hv->joinable;
		if (hv->lease || hv->orphan)
			shared = !close_users(h, hv);
	}
	while (shared && i-- > 0)
		if (was[i] && !h->volumes[i].joinable)
			users_set_joinable(h, &h->volumes[i], true);
	return shared;
}
