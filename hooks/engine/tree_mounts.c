/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/tree_mounts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libmount.h>
#include <limits.h>
#include <linux/nsfs.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/num.h"
#include "base/path.h"
#include "base/sys.h"
#include "hooks/confine.h"
#include "hooks/engine/mount_numbers.h"
#include "hooks/engine/tree_mounts_table.h"

#define NAMESPACES_SEEN_MAX 1024
#define MOUNTINFO_MAX (16u << 20)

/* A directory as mountinfo names it: the file system, and the path in that. */
struct place {
	dev_t dev;
	bool numbered;	      /* the kernel numbers mounts for us: no mountinfo is read for this, nor libmount loaded */
	const char *but;      /* who has our root: its mounts at this path are not looked for; or NULL */
	unsigned long peers;  /* the peer group of what our mount at `but` lies on; 0: none */
	char under[PATH_MAX]; /* and where it lies on that, in its file system */
	char root[PATH_MAX];
};

/*
 * Most namespaces have nothing of the tree, and are not worth a parser: the last two names of its path, the
 * volume's and our own, stand in the text of a line of its mounts. 1, 0; -1: it can't be looked at.
 */
static int is_named(const char *mountinfo, const struct place *place)
{
	_cleanup_close_ int fd = open(mountinfo, O_RDONLY | O_CLOEXEC);
	_cleanup_free_ char *text = NULL;
	const char *name = strrchr(place->root, '/');
	size_t len;

	while (name && name > place->root && name[-1] != '/')
		name--;
	if (fd < 0)
		return -1;
	/* What mountinfo would escape is left to libmount. */
	return !name || strpbrk(name, " \t\n\\") || read_fd(fd, MOUNTINFO_MAX, &text, &len) < 0 ||
	       memmem(text, len, name, strlen(name));
}

static bool join(char out[PATH_MAX], const char *root, const char *rest)
{
	int n = snprintf(out, PATH_MAX, "%s%s", strcmp(root, "/") ? root : "", rest);

	return n > 0 && n < PATH_MAX;
}

/* Where the path is in the mount's file system; the mount holds it. */
static bool path_from(const char *root, const char *target, const char *path, char out[PATH_MAX])
{
	size_t n = target ? strlen(target) : 0;

	if (!root || !n)
		return false;
	if (n == 1)
		n = 0; /* "/" */
	return strncmp(path, target, n) == 0 && (path[n] == '/' || path[n] == '\0') && join(out, root, path + n);
}

static bool path_in(struct libmnt_fs *fs, const char *path, char out[PATH_MAX])
{
	return path_from(mnt_fs_get_root(fs), mnt_fs_get_target(fs), path, out);
}

static bool find_by_number(int fd, const char *path, struct place *ret)
{
	struct mount_numbers m;

	if (mount_numbers_of(fd, &m) < 0)
		return false;
	ret->dev = makedev(m.s.sb_dev_major, m.s.sb_dev_minor);
	ret->numbered = path_from(mount_numbers_root(&m), mount_numbers_point(&m), path, ret->root);
	return ret->numbered;
}

/* By our own mount that holds the directory: where that mount begins in its file system, and what is beneath. */
static bool find_place(int fd, struct place *ret)
{
	_cleanup_(mount_table_unref) struct libmnt_table *t = NULL;
	_cleanup_(mount_table_iter_free) struct libmnt_iter *iter = NULL;
	char link[FD_PATH_MAX], path[PATH_MAX];
	ssize_t len = readlink(fd_path(fd, link), path, sizeof(path) - 1);
	struct libmnt_fs *fs;
	struct statx st;

	if (len <= 0 || statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &st) < 0)
		return false;
	path[len] = '\0';
	if (find_by_number(fd, path, ret))
		return true;
	iter = mnt_new_iter(MNT_ITER_FORWARD);
	if (!iter)
		return false;
	t = mount_table_read(AT_FDCWD, "/proc/self/mountinfo");
	while (t && mnt_table_next_fs(t, iter, &fs) == 0) {
		if ((uint64_t)mnt_fs_get_id(fs) != st.stx_mnt_id)
			continue;
		ret->dev = mnt_fs_get_devno(fs);
		return path_in(fs, path, ret->root);
	}
	return false;
}

static bool is_tree(struct libmnt_fs *fs, const struct place *place)
{
	return mnt_fs_get_devno(fs) == place->dev && mnt_fs_get_root(fs) && mnt_fs_get_target(fs) &&
	       strcmp(mnt_fs_get_root(fs), place->root) == 0;
}

/* Of the words that say how mounts follow each other: "shared:", "master:". 0: it has none. */
static unsigned long group_of(struct libmnt_fs *fs, const char *kind)
{
	const char *words = mnt_fs_get_optional_fields(fs), *p = words ? strstr(words, kind) : NULL;

	return p ? strtoul(p + strlen(kind), NULL, 10) : 0;
}

/* What a mount lies on. */
static struct libmnt_fs *parent_of(struct libmnt_table *t, struct libmnt_fs *of)
{
	_cleanup_(mount_table_iter_free) struct libmnt_iter *iter = mnt_new_iter(MNT_ITER_FORWARD);
	struct libmnt_fs *fs;

	while (iter && mnt_table_next_fs(t, iter, &fs) == 0)
		if (mnt_fs_get_id(fs) == mnt_fs_get_parent_id(of))
			return fs;
	return NULL;
}

/* Who follows our mount at `but`? */
static void find_peers(struct place *p)
{
	_cleanup_(mount_table_unref) struct libmnt_table *t = mount_table_read(AT_FDCWD, "/proc/self/mountinfo");
	_cleanup_(mount_table_iter_free) struct libmnt_iter *iter = mnt_new_iter(MNT_ITER_FORWARD);
	struct libmnt_fs *fs, *parent;

	while (t && iter && mnt_table_next_fs(t, iter, &fs) == 0) {
		if (!is_tree(fs, p) || strcmp(mnt_fs_get_target(fs), p->but) != 0)
			continue;
		parent = parent_of(t, fs);
		p->peers = parent && path_in(parent, p->but, p->under) ? group_of(parent, "shared:") : 0;
	}
}

static bool goes_with_ours(struct libmnt_table *t, struct libmnt_fs *fs, const struct place *p)
{
	struct libmnt_fs *parent = p->peers ? parent_of(t, fs) : NULL;
	char under[PATH_MAX];

	return parent && (group_of(parent, "shared:") == p->peers || group_of(parent, "master:") == p->peers) &&
	       path_in(parent, mnt_fs_get_target(fs), under) && strcmp(under, p->under) == 0;
}

/* 1, 0; -1: it can't be looked at. Mounts at the path `but` aside. */
static int is_in(const char *mountinfo, const struct place *place, const char *but)
{
	_cleanup_(mount_table_unref) struct libmnt_table *t = mount_table_read(AT_FDCWD, mountinfo);
	_cleanup_(mount_table_iter_free) struct libmnt_iter *iter = mnt_new_iter(MNT_ITER_FORWARD);
	struct libmnt_fs *fs;

	while (t && iter && mnt_table_next_fs(t, iter, &fs) == 0)
		if (is_tree(fs, place) && !(but && strcmp(mnt_fs_get_target(fs), but) == 0) &&
		    !goes_with_ours(t, fs, place))
			return 1;
	return t ? 0 : -1;
}

/* What a process's mountinfo is of: the mounts of its namespace that lie beneath its root. */
struct view {
	ino_t ns;
	uint64_t mount, root;
};

struct seen {
	struct view list[NAMESPACES_SEEN_MAX];
	size_t n;
};

/* By its name, "mnt:[NUMBER]" (namespaces(7)): of all processes that there are, opening each would take twice the time.
 */
static bool namespace_of(const char *pid, ino_t *ret)
{
	static const char before[] = "mnt:[";
	char path[sizeof("/proc//ns/mnt") + NAME_MAX], name[64];
	uint64_t number;
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/%s/ns/mnt", pid);
	len = readlink(path, name, sizeof(name));
	if (len <= 0 || len == sizeof(name) || name[len - 1] != ']' || strncmp(name, before, strlen(before)) != 0)
		return false;
	name[len - 1] = '\0';
	if (num_parse_u64(name + strlen(before), UINT64_MAX, &number) < 0)
		return false;
	*ret = (ino_t)number;
	return true;
}

static struct view view_of(const char *pid, ino_t ns)
{
	char path[sizeof("/proc//root") + NAME_MAX];
	struct statx root;

	snprintf(path, sizeof(path), "/proc/%s/root", pid);
	/* What can't be told is a view of its own. */
	if (statx(AT_FDCWD, path, AT_STATX_DONT_SYNC, STATX_INO | STATX_MNT_ID, &root) < 0)
		root = (struct statx){0};
	return (struct view){ns, root.stx_mnt_id, root.stx_ino};
}

static bool was_seen(const struct seen *seen, const struct view *v)
{
	for (size_t i = 0; i < seen->n; i++)
		if (seen->list[i].ns == v->ns && seen->list[i].mount == v->mount && seen->list[i].root == v->root)
			return true;
	return false;
}

static bool namespace_was_seen(const struct seen *seen, ino_t ns)
{
	for (size_t i = 0; i < seen->n; i++)
		if (seen->list[i].ns == ns)
			return true;
	return false;
}

static void note_seen(struct seen *seen, const struct view *v)
{
	if (seen->n < NAMESPACES_SEEN_MAX && v->root)
		seen->list[seen->n++] = *v;
}

/*
 * fn for a process of each root in each mount namespace but ours, with its number, until it says 1; then true.
 * -1: the process has gone, or can't be looked at; another one of the namespace may do.
 */
static bool each_namespace(int (*fn)(void *ctx, const char *pid), void *ctx, struct seen *seen)
{
	_cleanup_right_ struct right right = right_raise(CAP_SYS_PTRACE);
	_cleanup_closedir_ DIR *proc = opendir("/proc");
	struct dirent *e;
	ino_t ours, ns;

	if (!proc || !namespace_of("self", &ours))
		return false;
	while ((e = readdir(proc))) {
		struct view v;
		uint64_t pid;
		int r;

		if (num_parse_u64(e->d_name, INT_MAX, &pid) < 0 || !namespace_of(e->d_name, &ns) || ns == ours)
			continue;
		v = view_of(e->d_name, ns);
		if (was_seen(seen, &v))
			continue;
		r = fn(ctx, e->d_name);
		if (r > 0)
			return true;
		if (r == 0)
			note_seen(seen, &v);
	}
	return false;
}

/* A namespace that was copied from ours: its paths are ours. */
static bool has_our_root(const char *pid)
{
	char path[sizeof("/proc//root") + NAME_MAX];
	struct statx ours, its;

	snprintf(path, sizeof(path), "/proc/%s/root", pid);
	return statx(AT_FDCWD, "/", AT_STATX_DONT_SYNC, STATX_INO, &ours) == 0 &&
	       statx(AT_FDCWD, path, AT_STATX_DONT_SYNC, STATX_INO, &its) == 0 && ours.stx_ino == its.stx_ino &&
	       ours.stx_dev_major == its.stx_dev_major && ours.stx_dev_minor == its.stx_dev_minor;
}

static int is_in_namespace_of(void *ctx, const char *pid)
{
	char path[sizeof("/proc//mountinfo") + NAME_MAX];
	const struct place *place = ctx;
	int r;

	snprintf(path, sizeof(path), "/proc/%s/mountinfo", pid);
	r = is_named(path, place);
	if (r <= 0)
		return r;
	/* In another root the path is where somebody put it: a container's own mount, not a copy. */
	return is_in(path, place, place->but && has_our_root(pid) ? place->but : NULL);
}

bool tree_is_mounted_elsewhere(int fd, const char *but)
{
	struct seen seen = {.n = 0};
	struct place place = {.but = but};

	if (!find_place(fd, &place))
		return false;
	if (but)
		find_peers(&place);
	return each_namespace(is_in_namespace_of, &place, &seen);
}

bool tree_is_mounted_here(int fd)
{
	struct place place = {.but = NULL};

	return find_place(fd, &place) && is_in("/proc/self/mountinfo", &place, NULL) > 0;
}

/* --- no more writing ---------------------------------------------------------------------- */

/* Of a namespace whose file system may hang: nobody waits longer for the look at it. */
#define LOOK_MAX_MS 5000
/* From here on are the descriptors that it keeps. */
#define LOOK_FDS 500

enum verdict { QUIET = 'q', WRITTEN = 'w', COVERED = 'o', CLOSED = 'c' };

/* In the namespace. A mount that has another one on top of it, or of what is above it, no path leads to. */
static enum verdict make_read_only(const char *target, uint64_t id)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
	_cleanup_close_ int fd = -1;
	struct statx st;

	fd = sys_openat2(AT_FDCWD, target, O_PATH | O_CLOEXEC, 0, RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
	if (fd < 0 || statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID, &st) < 0 || st.stx_mnt_id != id)
		return COVERED;
	return sys_mount_setattr(fd, "", AT_EMPTY_PATH, &attr) == 0 ? QUIET : WRITTEN;
}

static enum verdict worse(enum verdict v, enum verdict one)
{
	return one == WRITTEN || v == QUIET ? one : v;
}

/* The tree's own mount, or one of a part of it. */
static bool is_of(struct libmnt_fs *fs, const struct place *place)
{
	return mnt_fs_get_devno(fs) == place->dev && mnt_fs_get_root(fs) && mnt_fs_get_target(fs) &&
	       path_is_beneath(mnt_fs_get_root(fs), place->root);
}

static enum verdict quiet_here(const struct place *place, int proc_fd)
{
	_cleanup_(mount_table_unref) struct libmnt_table *t = mount_table_read(proc_fd, "self/mountinfo");
	_cleanup_(mount_table_iter_free) struct libmnt_iter *iter = mnt_new_iter(MNT_ITER_FORWARD);
	enum verdict v = t && iter ? QUIET : CLOSED;
	struct libmnt_fs *fs;

	while (v != CLOSED && mnt_table_next_fs(t, iter, &fs) == 0)
		if (is_of(fs, place))
			v = worse(v, make_read_only(mnt_fs_get_target(fs), (uint64_t)mnt_fs_get_id(fs)));
	return v;
}

struct quiet_look {
	const struct place *place;
	enum verdict v;
};

static int quiet_one(void *ctx, const struct mount_numbers *m)
{
	struct quiet_look *q = ctx;

	if (path_is_beneath(mount_numbers_root(m), q->place->root))
		q->v = worse(q->v, make_read_only(mount_numbers_point(m), m->s.mnt_id_old));
	return 0;
}

static enum verdict quiet_here_by_number(const struct place *place)
{
	struct quiet_look q = {place, QUIET};

	return mount_numbers_each(place->dev, quiet_one, &q) < 0 ? WRITTEN : q.v;
}

/* Who is not root enters by the user namespace that the other one belongs to. */
static int enter(int ns_fd)
{
	_cleanup_close_ int user = -1;

	if (setns(ns_fd, CLONE_NEWNS) == 0)
		return 0;
	user = ioctl(ns_fd, NS_GET_USERNS);
	return user >= 0 && setns(user, CLONE_NEWUSER) == 0 && setns(ns_fd, CLONE_NEWNS) == 0 ? 0 : -1;
}

/*
 * A process of its own: a namespace is of all threads. It keeps nothing but what it needs, no lock above all. Nothing
 * is loaded in there, where a path is the container's: find_place has used libmount before, if it is used.
 */
static void look_in(int ns_fd, int answer_fd, const struct place *place)
{
	_cleanup_right_ struct right admin = right_raise(CAP_SYS_ADMIN), root = right_raise(CAP_SYS_CHROOT);
	int proc = fcntl(open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC), F_DUPFD_CLOEXEC, LOOK_FDS);
	int ns = fcntl(ns_fd, F_DUPFD_CLOEXEC, LOOK_FDS), answer = fcntl(answer_fd, F_DUPFD_CLOEXEC, LOOK_FDS);
	char c = CLOSED;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sys_close_range(3, LOOK_FDS - 1, 0);
	if (proc >= 0 && ns >= 0 && enter(ns) == 0)
		c = (char)(place->numbered ? quiet_here_by_number(place) : quiet_here(place, proc));
	(void)!write(answer, &c, 1);
	_exit(0);
}

static enum verdict look(int ns_fd, const struct place *place)
{
	_cleanup_close_ int answer = -1;
	struct pollfd p = {.events = POLLIN};
	int fds[2], n;
	char c = CLOSED;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return CLOSED;
	p.fd = answer = fds[0];
	pid = fork();
	if (pid == 0)
		look_in(ns_fd, fds[1], place);
	close(fds[1]);
	if (pid < 0)
		return CLOSED;
	n = poll(&p, 1, LOOK_MAX_MS);
	/* Whoever has not closed its end of the pipe is alive, and nobody else has its number. */
	if (n == 0)
		kill(pid, SIGKILL);
	if (n <= 0 || read(answer, &c, 1) != 1)
		c = WRITTEN;
	waitpid(pid, NULL, 0);
	return (enum verdict)c;
}

int tree_make_quiet_in(int fd, int ns_fd)
{
	struct place place = {.but = NULL};
	enum verdict v;

	if (!find_place(fd, &place))
		return -ENODATA;
	v = look(ns_fd, &place);
	return v == CLOSED || v == COVERED ? -EPERM : v == QUIET;
}

struct quieting {
	struct place place;
	bool written;
};

/* 1, 0; -1: it can't be looked at. */
static int has_part(const char *mountinfo, const struct place *place)
{
	_cleanup_(mount_table_unref) struct libmnt_table *t = mount_table_read(AT_FDCWD, mountinfo);
	_cleanup_(mount_table_iter_free) struct libmnt_iter *iter = mnt_new_iter(MNT_ITER_FORWARD);
	struct libmnt_fs *fs;

	while (t && iter && mnt_table_next_fs(t, iter, &fs) == 0)
		if (is_of(fs, place))
			return 1;
	return t ? 0 : -1;
}

static int quiet_in_namespace_of(void *ctx, const char *pid)
{
	char path[sizeof("/proc//mountinfo") + NAME_MAX];
	_cleanup_close_ int ns = -1;
	struct quieting *q = ctx;
	int r;

	snprintf(path, sizeof(path), "/proc/%s/mountinfo", pid);
	r = is_named(path, &q->place);
	if (r > 0)
		r = has_part(path, &q->place);
	if (r <= 0)
		return r;
	snprintf(path, sizeof(path), "/proc/%s/ns/mnt", pid);
	ns = open(path, O_RDONLY | O_CLOEXEC);
	if (ns < 0)
		return -1;
	q->written |= look(ns, &q->place) != QUIET;
	return 0;
}

/* Of those that this process may enter. */
static int next_namespace(int fd, unsigned long direction)
{
	_cleanup_right_ struct right admin = right_raise(CAP_SYS_ADMIN);

	return ioctl(fd, direction, NULL);
}

/* A descriptor or a mount (nsfs) may keep a namespace in which there is no process. */
static void quiet_where_nobody_is(struct quieting *q, const struct seen *seen, unsigned long direction)
{
	_cleanup_close_ int fd = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	struct stat ours, st;
	int next;

	/* Which ones have processes is not known. */
	if (fd < 0 || fstat(fd, &ours) < 0 || seen->n == NAMESPACES_SEEN_MAX)
		return;
	for (; (next = next_namespace(fd, direction)) >= 0; fd = next) {
		close(fd);
		if (fstat(next, &st) == 0 && st.st_ino != ours.st_ino && !namespace_was_seen(seen, st.st_ino)) {
			enum verdict v = look(next, &q->place);

			q->written |= v == WRITTEN || v == COVERED;
		}
	}
}

int tree_make_quiet(int fd)
{
	struct seen seen = {.n = 0};
	struct quieting q = {0};

	if (!find_place(fd, &q.place))
		return -ENODATA;
	if (q.place.numbered && mount_numbers_elsewhere(q.place.dev, q.place.root) == 0)
		return 1;
	each_namespace(quiet_in_namespace_of, &q, &seen);
	quiet_where_nobody_is(&q, &seen, NS_MNT_GET_NEXT);
	quiet_where_nobody_is(&q, &seen, NS_MNT_GET_PREV);
	return !q.written;
}
