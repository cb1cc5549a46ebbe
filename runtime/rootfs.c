/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/rootfs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/path.h"
#include "base/sys.h"
#include "runtime/devices.h"
#include "runtime/masked.h"
#include "runtime/mount_apply.h"
#include "runtime/mount_fs.h"
#include "runtime/sysctl.h"

static bool has_mount_namespace(const struct spec *spec)
{
	return spec_find_namespace(spec, SPEC_NS_MOUNT);
}

/* linux.rootfsPropagation as MS_*, with MS_REC as runc has it: "rslave" is the default. */
static int wanted_propagation(const struct spec *spec, unsigned long *ret, struct error *err)
{
	const char *name = spec->linux_->rootfs_propagation;
	unsigned long p = MS_SLAVE | MS_REC;

	if (name && *name) {
		p = mount_propagation(name);
		if (!p)
			return error_set(err, EINVAL, "linux.rootfsPropagation: unknown value \"%s\"", name);
	}
	*ret = p;
	return 0;
}

static int open_directory(const char *path, int *ret_fd, struct error *err)
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return error_errno(err, errno, "root.path \"%s\"", path);
	*ret_fd = fd;
	return 0;
}

/*
 * Makes the mount that holds a directory private, or a slave: up from there to the root of that mount.
 * The one that holds the rootfs must not be shared: pivot_root refuses that, and our bind mount would be seen outside.
 */
static int unshare_holder(int dir_fd, unsigned long propagation, struct error *err)
{
	_cleanup_close_ int fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 3);
	unsigned long p = propagation & MS_SLAVE ? MS_SLAVE : MS_PRIVATE;
	int r = fd < 0 ? -errno : 0;

	while (r == 0) {
		int up;

		r = mount_change(fd, false, 0, 0, p);
		if (r != -EINVAL)
			break;
		up = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (up < 0)
			return error_errno(err, errno, "parent directory");
		close(fd);
		fd = up;
		r = 0;
	}
	return r < 0 ? error_errno(err, r, "propagation") : 0;
}

/* Linux 5.12. All that is read-only or without devices is so by it: nothing is to begin that ends halfway. */
static int check_kernel(struct error *err)
{
	struct mount_attr nothing = {0};

	if (sys_mount_setattr(-1, "", AT_EMPTY_PATH, &nothing) < 0 && errno == ENOSYS)
		return error_set(err, ENOSYS,
				 "the kernel has no mount_setattr(2): containers need Linux 5.12 or newer, or a filter "
				 "of system calls that allows it");
	return 0;
}

/* The root becomes a mount of its own, as pivot_root wants it. */
static int make_root_mount(struct rootfs *r, struct error *err)
{
	_cleanup_close_ int place = -1, tree = -1;
	unsigned long propagation = 0;
	int e = wanted_propagation(r->spec, &propagation, err);

	if (e < 0)
		return e;
	/* From what is unbindable no bind mount could be made; rootfs_finish makes the root so. */
	if (propagation & MS_UNBINDABLE)
		propagation = MS_PRIVATE | MS_REC;
	if (mount(NULL, "/", NULL, propagation, NULL) < 0)
		return error_errno(err, errno, "propagation of the mount namespace");
	e = open_directory(r->rootfs_path, &place, err);
	if (e < 0)
		return e;
	/* With rslave and rprivate no mount of this namespace is shared any more. */
	if (!(propagation & MS_REC) || !(propagation & (MS_SLAVE | MS_PRIVATE))) {
		e = unshare_holder(place, propagation, err);
		if (e < 0)
			return error_wrap(err, "the mount that holds \"%s\"", r->rootfs_path);
	}
	tree = mount_clone(place, "", true, false);
	if (tree < 0)
		return error_errno(err, tree, "root.path \"%s\": bind mount", r->rootfs_path);
	e = mount_attach(tree, place);
	if (e < 0)
		return error_errno(err, e, "root.path \"%s\": bind mount", r->rootfs_path);
	r->root_fd = TAKE_FD(tree);
	return 0;
}

static bool is_awaited(const struct mount_op *op)
{
	return op->kind == MOUNT_VOLUME && op->volume->tree_fd < 0;
}

/* Does somebody make nodes in it, as devices_make does when all is mounted? */
static bool holds_devices(const struct rootfs *r, const char *destination)
{
	if (path_is_beneath(destination, "/dev"))
		return true;
	for (size_t i = 0; i < r->spec->linux_->n_devices; i++) {
		const char *path = path_normalize(r->arena, r->spec->linux_->devices[i].path);

		if (!path || path_is_beneath(path, destination))
			return true;
	}
	return false;
}

/* From the op `first` on: what is mounted last, and on which nothing else is put, may as well come after rootfs_enter.
 */
static bool may_wait(const struct rootfs *r, const struct mount_plan *plan, size_t first)
{
	unsigned long propagation = 0;
	struct error ignored = ERROR_INIT;

	/* On a shared root it would not be what it is when the root becomes shared. */
	if (!r->volumes_may_wait || wanted_propagation(r->spec, &propagation, &ignored) < 0 || propagation & MS_SHARED)
		return false;
	for (size_t i = first; i < plan->n; i++)
		if (!is_awaited(&plan->ops[i]) || holds_devices(r, plan->ops[i].destination))
			return false;
	return true;
}

/* From the first volume on they must be here, or the rest waits. */
static int await_volumes(struct rootfs *r, const struct mount_plan *plan, size_t i, struct error *err)
{
	if (!is_awaited(&plan->ops[i]))
		return 0;
	if (!may_wait(r, plan, i))
		return r->await_volumes(r->await_arg, err);
	r->waiting = &plan->ops[i];
	r->n_waiting = plan->n - i;
	return 0;
}

static int mount_all(struct rootfs *r, struct error *err)
{
	struct mount_plan plan;
	int e = mount_plan_make(r, &plan, err);

	for (size_t i = 0; e == 0 && i < plan.n; i++) {
		e = await_volumes(r, &plan, i, err);
		if (r->n_waiting)
			break;
		if (e == 0)
			e = mount_apply(r, &plan.ops[i], err);
	}
	if (e == 0 && r->n_waiting == 0)
		e = mount_check_volumes(r, err);
	if (e == 0 && plan.setup_dev)
		e = devices_make(r, err);
	if (e == 0 && r->console_fd >= 0)
		e = console_mount(r, r->console_fd, err);
	return e;
}

/* The host's own /dev is not ours to fill; in a user namespace nodes would be mounts. */
static int prepare_unmounted(struct rootfs *r, struct error *err)
{
	struct stat host, root;
	mode_t mask;
	int e = open_directory(r->rootfs_path, &r->root_fd, err);

	if (e < 0 || r->in_userns)
		return e;
	if (stat("/", &host) < 0 || fstat(r->root_fd, &root) < 0)
		return error_errno(err, errno, "root.path \"%s\"", r->rootfs_path);
	if (host.st_dev == root.st_dev && host.st_ino == root.st_ino)
		return 0;
	mask = umask(0);
	e = devices_make(r, err);
	umask(mask);
	return e;
}

int rootfs_prepare(struct rootfs *r, struct error *err)
{
	mode_t mask;
	int e;

	r->root_fd = r->proc_fd = r->sys_fd = -1;
	r->late = NULL;
	r->n_waiting = 0;
	if (!has_mount_namespace(r->spec))
		return prepare_unmounted(r, err);
	e = check_kernel(err);
	if (e == 0)
		e = make_root_mount(r, err);
	if (e < 0)
		return e;
	/* Modes of nodes and mount points are meant as given. */
	mask = umask(0);
	e = mount_all(r, err);
	umask(mask);
	return e;
}

static int chroot_here(struct error *err)
{
	if (chroot(".") < 0 || chdir("/") < 0)
		return error_errno(err, errno, "chroot");
	return 0;
}

/*
 * pivot_root(".", "."): the old root ends up on top of the new one and no directory is needed for it
 * (pivot_root(2)). It is made a slave first, so that taking it away is not seen on the host.
 */
static int pivot(struct error *err)
{
	_cleanup_close_ int old = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (old < 0)
		return error_errno(err, errno, "open the old root");
	if (sys_pivot_root(".", ".") < 0)
		return error_errno(err, errno, "pivot_root");
	if (fchdir(old) < 0)
		return error_errno(err, errno, "pivot_root: old root");
	if (mount(NULL, ".", NULL, MS_SLAVE | MS_REC, NULL) < 0)
		return error_errno(err, errno, "pivot_root: propagation of the old root");
	if (umount2(".", MNT_DETACH) < 0)
		return error_errno(err, errno, "pivot_root: detach the old root");
	return chdir("/") < 0 ? error_errno(err, errno, "chdir /") : 0;
}

/* mountinfo writes space, tab, newline and backslash as three octal digits. In place. */
static char *unescape(char *s)
{
	char *out = s;

	for (const char *p = s; *p; p++) {
		if (p[0] == '\\' && p[1] && p[2] && p[3]) {
			*out++ =
			    (char)((unsigned)(p[1] - '0') << 6 | (unsigned)(p[2] - '0') << 3 | (unsigned)(p[3] - '0'));
			p += 3;
		} else {
			*out++ = *p;
		}
	}
	*out = '\0';
	return s;
}

/* Field 5 of a line of mountinfo when it is a whole procfs or sysfs outside the rootfs; cuts the line. */
static const char *whole_pseudo_fs(char *line, const char *rootfs_path)
{
	char *save = NULL, *root = NULL, *mountpoint = NULL, *type = strstr(line, " - ");
	int i = 0;

	if (!type || (strncmp(type, " - proc ", 8) != 0 && strncmp(type, " - sysfs ", 9) != 0))
		return NULL;
	for (char *f = strtok_r(line, " ", &save); f && i < 5; f = strtok_r(NULL, " ", &save)) {
		i++;
		if (i == 4)
			root = f;
		if (i == 5)
			mountpoint = unescape(f);
	}
	if (!mountpoint || strcmp(root, "/") != 0 || path_is_beneath(mountpoint, rootfs_path))
		return NULL;
	return mountpoint;
}

/* An unmount is seen by the peers of the mount that holds it, those of what lies on it by its own. */
static int hide(const char *mountpoint, struct arena *arena, struct error *err)
{
	const char *holder = arena_printf(arena, "%s/..", mountpoint);
	_cleanup_close_ int fd = -1;
	int e;

	if (!holder)
		return error_set(err, ENOMEM, "out of memory");
	fd = open(holder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	/* It lay on one that is gone already. */
	if (fd < 0)
		return errno == ENOENT ? 0 : error_errno(err, errno, "%s", mountpoint);
	e = unshare_holder(fd, MS_SLAVE, err);
	if (e < 0)
		return error_wrap(err, "%s", mountpoint);
	if (mount(NULL, mountpoint, NULL, MS_SLAVE | MS_REC, NULL) < 0)
		return error_errno(err, errno, "propagation of %s", mountpoint);
	if (umount2(mountpoint, MNT_DETACH) == 0)
		return 0;
	if (errno != EINVAL && errno != EPERM)
		return error_errno(err, errno, "unmount %s", mountpoint);
	return mount("tmpfs", mountpoint, "tmpfs", 0, NULL) < 0 ? error_errno(err, errno, "cover %s", mountpoint) : 0;
}

/*
 * Without pivot_root the host's mounts stay in the namespace, beneath. A whole /proc or /sys among them would
 * allow the container to mount a new one without the masks, so they go.
 */
static int hide_host_proc(struct rootfs *r, struct error *err)
{
	_cleanup_free_ char *text = NULL;
	char *save = NULL;
	int e = read_file_at(AT_FDCWD, "/proc/self/mountinfo", 16u << 20, &text, NULL);

	if (e < 0)
		return error_errno(err, e, "/proc/self/mountinfo");
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		const char *mountpoint = whole_pseudo_fs(line, r->rootfs_path);

		e = mountpoint ? hide(mountpoint, r->arena, err) : 0;
		if (e < 0)
			return error_wrap(err, "no-pivot");
	}
	return 0;
}

static int move_root(struct rootfs *r, struct error *err)
{
	int e = hide_host_proc(r, err);

	if (e < 0)
		return e;
	if (sys_move_mount(r->root_fd, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return error_errno(err, errno, "no-pivot: move the rootfs to /");
	return chroot_here(err);
}

int rootfs_enter(struct rootfs *r, struct error *err)
{
	unsigned long propagation = 0;
	int e = wanted_propagation(r->spec, &propagation, err);

	if (e < 0)
		return e;
	if (fchdir(r->root_fd) < 0)
		return error_errno(err, errno, "root.path \"%s\"", r->rootfs_path);
	if (!has_mount_namespace(r->spec))
		return chroot_here(err);
	e = r->no_pivot ? move_root(r, err) : pivot(err);
	/* Slave and private were set before; what is shared must not have been while the host's mounts were there. */
	if (e == 0 && propagation & MS_SHARED && mount(NULL, "/", NULL, propagation, NULL) < 0)
		return error_errno(err, errno, "linux.rootfsPropagation");
	return e;
}

int rootfs_mount_volumes(struct rootfs *r, struct error *err)
{
	mode_t mask;
	int e;

	if (!r->n_waiting)
		return 0;
	e = r->await_volumes(r->await_arg, err);
	mask = umask(0);
	for (size_t i = 0; e == 0 && i < r->n_waiting; i++)
		e = mount_apply(r, &r->waiting[i], err);
	umask(mask);
	return e < 0 ? e : mount_check_volumes(r, err);
}

static int finish_late(struct rootfs *r, struct error *err)
{
	while (r->late) {
		struct rootfs_late *late = r->late;
		int e = mount_change(late->fd, false, MOUNT_ATTR_RDONLY, 0, 0);

		if (e < 0)
			return error_errno(err, e, "make \"%s\" read-only", late->destination);
		close(late->fd);
		r->late = late->next;
	}
	return 0;
}

/* At last: read-only paths are binds. */
static int finish_unbindable(struct rootfs *r, struct error *err)
{
	unsigned long propagation = 0;
	int e = wanted_propagation(r->spec, &propagation, err);

	if (e == 0 && propagation & MS_UNBINDABLE && mount(NULL, "/", NULL, propagation, NULL) < 0)
		return error_errno(err, errno, "linux.rootfsPropagation");
	return e;
}

int rootfs_finish(struct rootfs *r, struct error *err)
{
	int e = sysctl_apply(r->root_fd, r->spec->linux_, r->arena, err);

	if (e < 0 || !has_mount_namespace(r->spec))
		return e;
	e = finish_late(r, err);
	if (e < 0)
		return e;
	if (r->spec->root && r->spec->root->readonly) {
		e = mount_change(r->root_fd, false, MOUNT_ATTR_RDONLY, 0, 0);
		if (e < 0)
			return error_errno(err, e, "make the root file system read-only");
	}
	e = readonly_paths(r, err);
	if (e == 0)
		e = masked_paths(r, err);
	return e == 0 ? finish_unbindable(r, err) : e;
}

int rootfs_add_mounts(struct rootfs *r, struct error *err)
{
	struct mount_plan plan;
	int e;

	r->live = true;
	e = mount_plan_make(r, &plan, err);
	for (size_t i = 0; e == 0 && i < plan.n; i++)
		e = mount_apply(r, &plan.ops[i], err);
	return e < 0 ? e : finish_late(r, err);
}

void rootfs_close(struct rootfs *r)
{
	for (; r->late; r->late = r->late->next)
		close(r->late->fd);
	cleanup_close(&r->root_fd);
	cleanup_close(&r->proc_fd);
	cleanup_close(&r->sys_fd);
	r->root_fd = r->proc_fd = r->sys_fd = -1;
}
