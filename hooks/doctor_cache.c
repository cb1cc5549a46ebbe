/* SPDX-License-Identifier: Apache-2.0 */
/* `volrun doctor`: the cache's directory and file system, and what earlier runs left there. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/sys.h"
#include "hooks/confine.h"
#include "hooks/doctor.h"
#include "hooks/volume_cmd.h"

#define LITTLE_ROOM (UINT64_C(1) << 30)
#define CLONE_SIZE (64 * 1024)

/* The directory, or the nearest one above it: where it will be made. */
static char *nearest(struct arena *a, const char *path)
{
	char *p = arena_strdup(a, path), *slash;

	while (p && access(p, F_OK) < 0 && (slash = strrchr(p, '/')) && slash != p)
		*slash = '\0';
	return p && access(p, F_OK) == 0 ? p : arena_strdup(a, "/");
}

/* What is in it belongs to containers, of any user: nobody else looks in. */
static void check_owner(struct doctor *d, const char *what, const char *path, mode_t forbidden)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return;
	if (!S_ISDIR(st.st_mode))
		doctor_say(d, DOCTOR_PROBLEM, what, "remove it, or name another place in the configuration",
			   "%s is no directory", path);
	else if (st.st_uid != geteuid() || (st.st_mode & forbidden))
		doctor_say(d, DOCTOR_PROBLEM, what,
			   arena_printf(d->arena, "chown %u %s && chmod 700 %s", (unsigned)geteuid(), path, path),
			   "%s is open to others (owner %u, mode %04o)", path, (unsigned)st.st_uid,
			   (unsigned)(st.st_mode & 07777));
}

static bool has_reflinks(const char *dir)
{
	_cleanup_close_ int from = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	_cleanup_close_ int to = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	static const char block[CLONE_SIZE];

	return from >= 0 && to >= 0 && write_all(from, block, sizeof(block)) == 0 && ioctl(to, FICLONE, from) == 0;
}

/* 1: it has them, 0: it has not, -1: could not be tried. */
static int has_idmaps(const struct doctor *d, const char *dir)
{
	_cleanup_right_ struct right r = right_raise(CAP_SYS_ADMIN);
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)d->userns_fd};
	_cleanup_close_ int fd =
	    d->userns_fd < 0 ? -1 : sys_open_tree(AT_FDCWD, dir, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (fd < 0)
		return -1;
	if (sys_mount_setattr(fd, "", AT_EMPTY_PATH, &attr) == 0)
		return 1;
	return errno == EINVAL || errno == ENOSYS ? 0 : -1;
}

static void look_at_room(struct doctor *d, const struct config *c, const char *dir)
{
	struct statfs s;
	uint64_t free;

	if (statfs(dir, &s) < 0)
		return;
	free = (uint64_t)s.f_bavail * (uint64_t)s.f_bsize;
	if (free < LITTLE_ROOM || (s.f_files > 0 && s.f_ffree < s.f_files / 100))
		doctor_say(d, DOCTOR_WARNING, "cache's room",
			   "make room: volrun volume prune, or cache.path on another disk",
			   "%" PRIu64 " MiB and %" PRIu64 " inodes are free in %s: volumes may not fit", free >> 20,
			   (uint64_t)s.f_ffree, dir);
	else
		doctor_say(d, DOCTOR_OK, "cache's room", NULL,
			   "%" PRIu64 " GiB are free; whole volumes go when it holds more than %" PRIu64 " GiB",
			   free >> 30, c->cache.max_bytes >> 30);
	if (s.f_type == TMPFS_MAGIC || s.f_type == RAMFS_MAGIC)
		doctor_say(d, DOCTOR_WARNING, "cache", "cache.path on a disk",
			   "%s is in memory: what was not committed when the machine stops is lost", dir);
	else if (s.f_type == NFS_SUPER_MAGIC || s.f_type == FUSE_SUPER_MAGIC)
		doctor_say(d, DOCTOR_WARNING, "cache", "cache.path on a disk of this machine's own",
			   "%s is on a network's file system: locks and syncs may not be what they seem", dir);
}

void doctor_cache(struct doctor *d, const struct config *c)
{
	const char *dir = nearest(d->arena, c->cache.path);
	bool made;
	int idmaps;

	if (!dir)
		return;
	made = strcmp(dir, c->cache.path) == 0;
	check_owner(d, "cache", c->cache.path, 022);
	check_owner(d, "run_dir", c->run_dir, 022);
	if (access(dir, W_OK) < 0) {
		doctor_say(d, DOCTOR_PROBLEM, "cache", "name a place in cache.path that this user can write to",
			   "%s can't be written to", dir);
		return;
	}
	idmaps = has_idmaps(d, dir);
	doctor_say(d, DOCTOR_OK, "cache", NULL, "%s%s, %s; %s", c->cache.path,
		   made ? "" : arena_printf(d->arena, " (to be made in %s)", dir),
		   has_reflinks(dir) ? "with reflinks"
				     : "no reflinks (xfs and btrfs have them): commits during a run copy what changed",
		   idmaps == 1	 ? "with idmapped mounts"
		   : idmaps == 0 ? "no idmapped mounts: owners are translated by chown"
				 : "idmapped mounts could not be tried");
	look_at_room(d, c, dir);
}

/* --- leftovers ----------------------------------------------------------------------------- */

#define MANY 10

struct leftovers {
	struct doctor *d;
	const struct config *c;
	unsigned seen, used, dirty, kept, failed;
};

static int look_at_volume(void *ctx, const char *store, const char *workspace, const char *name)
{
	struct leftovers *l = ctx;
	struct arena *a = l->d->arena;
	const char *what, *options;
	struct volume_local v;

	if (volume_local_read(l->c, store, workspace, name, a, &v) < 0)
		return 0;
	what = arena_printf(a, "volume %s", name);
	options = arena_printf(a, "--store=%s --workspace=%s", store, workspace);
	l->seen++;
	l->used += strcmp(v.state, "in use") == 0;
	if (strcmp(v.state, "dirty") == 0 && l->dirty++ < MANY)
		doctor_say(l->d, DOCTOR_WARNING, what, arena_printf(a, "volrun volume recover %s %s", options, name),
			   "an earlier run here was not committed%s%s", v.last_error ? ": " : "",
			   v.last_error ? v.last_error : "");
	else if (v.n_kept == 0 && v.last_error && l->failed++ < MANY)
		doctor_say(l->d, DOCTOR_WARNING, what, arena_printf(a, "volrun volume inspect %s %s", options, name),
			   "its last run here had trouble: %s", v.last_error);
	for (size_t i = 0; i < v.n_kept; i++)
		if (l->kept++ < MANY)
			doctor_say(l->d, DOCTOR_WARNING, what,
				   arena_printf(a, "volrun volume conflicts %s show %s %s (then restore or drop)",
						options, name, v.kept[i] + strlen("conflict-")),
				   "changes that could not be committed are kept in %s/%s/%s/%s/%s", l->c->cache.path,
				   store, workspace, name, v.kept[i]);
	return 0;
}

void doctor_leftovers(struct doctor *d, const struct config *c)
{
	struct leftovers l = {.d = d, .c = c};

	volume_local_each(c, d->arena, look_at_volume, &l);
	if (l.dirty > MANY || l.kept > MANY || l.failed > MANY)
		doctor_say(d, DOCTOR_WARNING, "volumes", "volrun volume status",
			   "%u not committed, %u set aside, %u with an error in all", l.dirty, l.kept, l.failed);
	if (l.dirty == 0 && l.kept == 0)
		doctor_say(d, DOCTOR_OK, "volumes on this node", NULL,
			   "%u, of them %u in use; nothing is left uncommitted or set aside", l.seen, l.used);
}
