/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/hook_attach.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/path.h"
#include "base/sys.h"
#include "base/target.h"
#include "hooks/confine.h"
#include "hooks/hook.h"

/* From outside of the container; what is done in there needs nothing more. */
struct place {
	int mnt_ns, user_ns; /* user_ns -1: ours */
	const char *bundle, *rootfs;
	struct arena *arena;
	int root_fd;
};

static int open_namespaces(int pid, struct place *p, struct error *err)
{
	_cleanup_right_ struct right right = right_raise(CAP_SYS_PTRACE);
	struct stat theirs, ours;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", pid);
	p->mnt_ns = open(path, O_RDONLY | O_CLOEXEC);
	if (p->mnt_ns < 0 || fstat(p->mnt_ns, &theirs) < 0 || stat("/proc/self/ns/mnt", &ours) < 0)
		return error_set(err, errno, "the container's init (pid %d) can't be looked at (error %d)", pid, errno);
	if (theirs.st_ino == ours.st_ino)
		return error_set(err, EINVAL,
				 "the container has no mount namespace of its own: a hook can give it no volume; use "
				 "the hook in the stage precreate, or the runtime volrun");
	return hook_user_ns(pid, &p->user_ns, err);
}

static int open_root(struct place *p)
{
	_cleanup_close_ int bundle = open(p->bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);

	p->root_fd = openat(bundle, p->rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return p->root_fd < 0 ? -errno : 0;
}

/*
 * Who is root here opens the rootfs as such, and is the container's root from then on; an ordinary user has no right to
 * enter but by the user namespace, and is what he may be in there from the beginning.
 */
static int enter(struct place *p)
{
	bool entered = setns(p->mnt_ns, CLONE_NEWNS) == 0;
	int r = entered ? open_root(p) : 0;

	if (r < 0 || (!entered && p->user_ns < 0))
		return r < 0 ? r : -errno;
	if (p->user_ns >= 0 && setns(p->user_ns, CLONE_NEWUSER) < 0)
		return -errno;
	if (!entered && setns(p->mnt_ns, CLONE_NEWNS) < 0)
		return -errno;
	if (p->user_ns >= 0) {
		setfsgid(0);
		setfsuid(0);
	}
	return entered ? 0 : open_root(p);
}

static int target(struct place *p, const char *path, enum target_make make, int *ret_fd)
{
	struct target t = {.path = path, .make = make};
	int r = target_open(p->root_fd, &t, p->arena, ret_fd, NULL);

	return r < 0 ? r : 0;
}

/* --- the bundle's mounts beneath a volume --------------------------------------------- */

/* A copy of each, made before the volume hides them; of one in another, the other's copy has it. */
static int take_up(struct place *p, const struct keeper_request_volume *v, int *copies, struct error *err)
{
	for (size_t i = 0; i < v->n_mountpoints; i++) {
		const char *path = arena_printf(p->arena, "%s/%s", v->destination, v->mountpoints[i]);
		_cleanup_close_ int fd = -1;
		bool inner = false;
		int r;

		copies[i] = -1;
		for (size_t k = 0; k < v->n_mountpoints && !inner; k++)
			inner = strcmp(v->mountpoints[k], v->mountpoints[i]) != 0 &&
				path_is_beneath(v->mountpoints[i], v->mountpoints[k]);
		if (inner)
			continue;
		r = path ? target(p, path, TARGET_EXISTING, &fd) : -ENOMEM;
		if (r == 0) {
			copies[i] =
			    sys_open_tree(fd, "", AT_EMPTY_PATH | AT_RECURSIVE | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
			r = copies[i] < 0 ? -errno : 0;
		}
		if (r < 0)
			return error_set(err, r, "the bundle's mount %s beneath it can't be kept (error %d)", path, -r);
	}
	return 0;
}

static int put_down(struct place *p, const struct keeper_request_volume *v, const int *copies, struct error *err)
{
	for (size_t i = 0; i < v->n_mountpoints; i++) {
		const char *path = arena_printf(p->arena, "%s/%s", v->destination, v->mountpoints[i]);
		_cleanup_close_ int fd = -1;
		struct stat st;
		int r;

		if (copies[i] < 0)
			continue;
		r = path && fstat(copies[i], &st) == 0 ? 0 : -ENOMEM;
		if (r == 0)
			r = target(p, path, S_ISDIR(st.st_mode) ? TARGET_DIR : TARGET_FILE, &fd);
		if (r == 0 &&
		    sys_move_mount(copies[i], "", fd, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
			r = -errno;
		if (r < 0)
			return error_set(err, r, "the bundle's mount %s can't be made on it (error %d)", path, -r);
	}
	return 0;
}

/* --- one volume ------------------------------------------------------------------------- */

/* The directory, as this mount namespace has it. */
static int mount_of_directory(int dir_fd, bool ro, int *ret_fd, struct error *err)
{
	char link[FD_PATH_MAX], path[PATH_MAX];
	ssize_t n = readlink(fd_path(dir_fd, link), path, sizeof(path) - 1);
	_cleanup_close_ int here = -1;
	struct stat st, wanted;
	int r;

	path[n > 0 ? n : 0] = '\0';
	here = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (here < 0 || fstat(here, &st) < 0 || fstat(dir_fd, &wanted) < 0 || st.st_dev != wanted.st_dev ||
	    st.st_ino != wanted.st_ino)
		return error_set(err, ESTALE, "its tree can't be reached from the container's mount namespace");
	r = hook_mount_tree(here, ro, -1, ret_fd, err);
	return r > 0 ? error_set(err, EPERM, "its tree can't be mounted") : r;
}

static int attach(struct place *p, const struct attach_volume *v, struct error *err)
{
	int *copies = arena_calloc(p->arena, v->request->n_mountpoints + 1, sizeof(*copies));
	_cleanup_close_ int made = -1, at = -1;
	int r = copies ? 0 : error_set(err, ENOMEM, "out of memory");

	if (r == 0 && v->directory)
		r = mount_of_directory(v->fd, v->request->ro, &made, err);
	if (r == 0)
		r = take_up(p, v->request, copies, err);
	if (r < 0)
		return r;
	r = target(p, v->request->destination, TARGET_DIR, &at);
	if (r == 0 && sys_move_mount(v->directory ? made : v->fd, "", at, "",
				     MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		r = -errno;
	if (r < 0)
		return error_set(err, r, "it can't be mounted on %s in the container (error %d)",
				 v->request->destination, -r);
	return put_down(p, v->request, copies, err);
}

/* In the child: the process that is in there ends with it. */
static int attach_all(struct place *p, const struct attach_volume *volumes, size_t n, struct error *err)
{
	_cleanup_right_ struct right admin = right_raise(CAP_SYS_ADMIN), root = right_raise(CAP_SYS_CHROOT);
	int r;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	umask(022);
	r = enter(p);
	if (r < 0)
		return error_set(err, r, "the container's namespaces and rootfs can't be entered (error %d)", -r);
	for (size_t i = 0; i < n && r == 0; i++) {
		r = attach(p, &volumes[i], err);
		if (r < 0)
			error_wrap(err, "volume %s", volumes[i].request->name);
	}
	return r;
}

int hook_attach(int pid, const char *bundle, const char *rootfs, const struct attach_volume *volumes, size_t n,
		struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct place p = {.mnt_ns = -1, .user_ns = -1, .bundle = bundle, .rootfs = rootfs, .arena = &arena};
	_cleanup_close_ int ours = -1, theirs = -1, mnt_ns = -1, user_ns = -1;
	int fds[2], r = open_namespaces(pid, &p, err);
	struct error *said = err;
	pid_t child;

	mnt_ns = p.mnt_ns;
	user_ns = p.user_ns;
	if (r < 0)
		return r;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return error_set(err, errno, "can't make a pipe (error %d)", errno);
	ours = fds[0];
	theirs = fds[1];
	child = fork();
	if (child < 0)
		return error_set(err, errno, "can't start a process (error %d)", errno);
	if (child == 0) {
		r = attach_all(&p, volumes, n, err);
		_exit(r < 0 && write(theirs, err, sizeof(*err)) < 0 ? 2 : r < 0);
	}
	close(TAKE_FD(theirs));
	/* A line, or the end without one. */
	r = read(ours, said, sizeof(*said)) == (ssize_t)sizeof(*said) ? -1 : 0;
	if (waitpid(child, &fds[0], 0) != child || (r == 0 && fds[0] != 0))
		return error_set(err, EIO, "the process that was to mount the volumes was killed");
	return r < 0 ? -(err->code ? err->code : EIO) : 0;
}
