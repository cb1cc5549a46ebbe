/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/mount_apply.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/path.h"
#include "base/sys.h"
#include "base/target.h"
#include "runtime/mount_fs.h"
#include "runtime/mount_late.h"

/* What mount(8) and runc do with any flag on a bind mount: those not named are off. */
#define BIND_ATTRS                                                                                                     \
	(MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NOSYMFOLLOW)

#define COVERS_MAX 100 /* mounts on top of each other */

#define LOCKED "the source's mount flags are locked and cannot be changed here: operation not permitted"

static int set_recursive_and_propagation(int fd, const struct mount_options *o, struct error *err)
{
	int r = mount_change(fd, true, o->rec_set, o->rec_clr, 0);

	if (r < 0)
		return error_errno(err, r, "recursive attributes");
	for (size_t i = 0; i < o->n_propagation; i++) {
		r = mount_change(fd, o->propagation[i] & MS_REC, 0, 0, o->propagation[i]);
		if (r < 0)
			return error_errno(err, r, "propagation");
	}
	return 0;
}

int mount_set_options(int fd, const struct mount_options *o, struct error *err)
{
	int r = mount_change(fd, false, o->attr_set, o->attr_clr, 0);

	if (r < 0)
		return error_errno(err, r, "attributes");
	return set_recursive_and_propagation(fd, o, err);
}

/*
 * mount(2), by which other runtimes set them, resets all access time flags when it is given one of them; and nodiratime
 * alone is relatime.
 */
static struct mount_options with_atime_of_mount(const struct mount_options *o)
{
	struct mount_options ret = *o;

	if ((o->attr_clr & MOUNT_ATTR__ATIME) || (o->attr_set & MOUNT_ATTR_NODIRATIME))
		ret.attr_clr |= MOUNT_ATTR__ATIME | (MOUNT_ATTR_NODIRATIME & ~o->attr_set);
	return ret;
}

int mount_set_bind_options(int fd, const struct mount_options *options, struct error *err)
{
	const struct mount_options with_atime = with_atime_of_mount(options), *o = &with_atime;
	int r = 0;

	if (!o->remount && (o->attr_set || o->attr_clr)) {
		r = mount_change(fd, false, o->attr_set, o->attr_clr | (BIND_ATTRS & ~o->attr_set), 0);
		if (r < 0 && r != -EPERM)
			return error_errno(err, r, "attributes");
	}
	/* In a user namespace the source's flags can be locked: then only what was named is changed. */
	if (o->remount || r == -EPERM)
		r = mount_change(fd, false, o->attr_set, o->attr_clr, 0);
	if (r == -EPERM)
		return error_set(err, EPERM, LOCKED);
	if (r < 0)
		return error_errno(err, r, "attributes");
	return set_recursive_and_propagation(fd, o, err);
}

static bool is_procfs(int fd)
{
	struct statfs sfs;

	return fstatfs(fd, &sfs) == 0 && sfs.f_type == PROC_SUPER_MAGIC;
}

/* As runc and crun: what is mounted on "/" by that very name takes the place of root.path. */
static bool covers_root(const struct rootfs *r, const struct mount_op *op)
{
	return !r->live && (op->kind == MOUNT_BIND || op->kind == MOUNT_TMPFS) && strcmp(op->destination, "/") == 0;
}

/* The place for a mount, made where it is absent (then 1); refused where mount_place_check says so. */
static int open_place(struct rootfs *r, const struct mount_op *op, enum target_make make, bool procfs, int *ret_fd,
		      struct error *err)
{
	struct target t = {.path = op->destination,
			   .make = make,
			   .no_links = op->kind == MOUNT_PROC || op->kind == MOUNT_SYSFS,
			   .final_nofollow = op->options.dest_nofollow};
	_cleanup_close_ int fd = -1;
	const char *canonical;
	int e = target_open(r->root_fd, &t, r->arena, &fd, &canonical);

	if (e == -ELOOP && t.no_links)
		return error_set(err, ELOOP,
				 "filesystem \"%s\" must be mounted on ordinary directory, not through a symbolic "
				 "link",
				 op->type);
	if (e < 0)
		return error_errno(err, e, "destination");
	if (!covers_root(r, op) && mount_place_check(canonical, procfs, err) < 0)
		return -err->code;
	*ret_fd = TAKE_FD(fd);
	return e;
}

/* The last one on a place is the one that is seen; all of them are gone beneath a new root. */
static int remember_pseudo(struct rootfs *r, const struct mount_op *op, int tree_fd, struct error *err)
{
	bool root = covers_root(r, op), proc = strcmp(op->destination, "/proc") == 0;
	int *place = proc ? &r->proc_fd : strcmp(op->destination, "/sys") == 0 ? &r->sys_fd : NULL;

	if (r->live || (!root && !place))
		return 0;
	if (root || proc) {
		cleanup_close(&r->proc_fd);
		r->proc_fd = -1;
	}
	if (root || !proc) {
		cleanup_close(&r->sys_fd);
		r->sys_fd = -1;
	}
	if (root)
		return 0;
	*place = fcntl(tree_fd, F_DUPFD_CLOEXEC, 3);
	return *place < 0 ? error_errno(err, errno, "the mount on %s", op->destination) : 0;
}

static int attach(struct rootfs *r, const struct mount_op *op, int tree_fd, int target_fd, struct error *err)
{
	int e = mount_attach(tree_fd, target_fd), root;
	struct stat st;

	if (e == -EINVAL && fstat(target_fd, &st) == 0 && !S_ISDIR(st.st_mode))
		return error_set(err, ENOTDIR, "the destination is not a directory");
	if (e < 0)
		return error_errno(err, e, "move_mount");
	e = remember_pseudo(r, op, tree_fd, err);
	if (e < 0 || !covers_root(r, op))
		return e;
	root = fcntl(tree_fd, F_DUPFD_CLOEXEC, 3);
	if (root < 0)
		return error_errno(err, errno, "the new root");
	close(r->root_fd);
	r->root_fd = root;
	return 0;
}

/* Remembers a mount that rootfs_finish makes read-only; takes the descriptor. */
static int remember_late(struct rootfs *r, const struct mount_op *op, int *fd, struct error *err)
{
	struct rootfs_late *late;

	if (!op->late_readonly)
		return 0;
	late = arena_alloc(r->arena, sizeof(*late));
	if (!late)
		return error_set(err, ENOMEM, "out of memory");
	late->destination = op->destination;
	late->fd = TAKE_FD(*fd);
	late->next = r->late;
	r->late = late;
	return 0;
}

static struct mount_fs fs_of(const struct rootfs *r, const struct mount_op *op)
{
	struct mount_fs f = {.type = op->type, .source = op->source, .options = &op->options};

	f.superblock_readonly = op->kind == MOUNT_OTHER;
	if (op->kind != MOUNT_PROC && op->kind != MOUNT_SYSFS && strcmp(op->type, "mqueue") != 0 &&
	    r->spec->linux_->mount_label && *r->spec->linux_->mount_label) {
		const char *option = spec_annotation(r->spec, SPEC_MOUNT_CONTEXT_TYPE);

		f.label = r->spec->linux_->mount_label;
		f.label_option = option ? option : "context";
	}
	return f;
}

/* By mount(2): the mount is opened again by its place, to be changed further. */
static int apply_legacy(struct rootfs *r, const struct mount_op *op, const struct mount_fs *f, int target_fd,
			struct error *err)
{
	_cleanup_close_ int fd = -1;
	int e = mount_fs_legacy(f, target_fd, r->arena, err);

	if (e < 0)
		return e;
	e = open_place(r, op, TARGET_EXISTING, true, &fd, err);
	if (e >= 0)
		e = set_recursive_and_propagation(fd, &op->options, err);
	return e < 0 ? e : remember_late(r, op, &fd, err);
}

static int apply_fs(struct rootfs *r, const struct mount_op *op, struct mount_fs f, int target_fd, struct error *err)
{
	_cleanup_close_ int fd = -1;
	int e;

	if (mount_fs_needs_legacy(&op->options))
		return apply_legacy(r, op, &f, target_fd, err);
	e = mount_fs_detached(&f, &fd, err);
	/* A gid that the user namespace doesn't map (5, "tty"): as runc and crun, without it. */
	if (e == -EINVAL && op->kind == MOUNT_DEVPTS && r->in_userns) {
		f.without_gid = true;
		e = mount_fs_detached(&f, &fd, err);
	}
	if (e == -ENOSYS)
		return apply_legacy(r, op, &f, target_fd, err);
	if (e < 0)
		return e;
	if (op->options.copyup && covers_root(r, op))
		return error_set(err, EINVAL, "tmpcopyup: the root itself can't be copied");
	if (op->options.copyup) {
		e = mount_copy_up(target_fd, fd, err);
		if (e < 0)
			return error_wrap(err, "tmpcopyup");
	}
	for (size_t i = 0; i < op->options.n_propagation; i++) {
		e = mount_change(fd, false, 0, 0, op->options.propagation[i]);
		if (e < 0)
			return error_errno(err, e, "propagation");
	}
	e = attach(r, op, fd, target_fd, err);
	return e < 0 ? e : remember_late(r, op, &fd, err);
}

static bool has_data(const struct mount_options *o, const char *key)
{
	size_t n = strlen(key);

	for (size_t i = 0; i < o->n_data; i++)
		if (strncmp(o->data[i], key, n) == 0 && o->data[i][n] == '=')
			return true;
	return false;
}

/* A directory that the image has keeps its mode (as runc and crun); a new one gets tmpfs's own, 1777. */
static int apply_tmpfs(struct rootfs *r, const struct mount_op *op, struct error *err)
{
	_cleanup_close_ int fd = -1;
	struct mount_fs f = fs_of(r, op);
	char mode[16];
	struct stat st;
	int e = open_place(r, op, TARGET_DIR, false, &fd, err);

	if (e < 0)
		return e;
	if (e == 0 && !has_data(&op->options, "mode")) {
		if (fstat(fd, &st) < 0)
			return error_errno(err, errno, "destination");
		snprintf(mode, sizeof(mode), "mode=%04o", st.st_mode & 07777);
		f.default_data = mode;
	}
	return apply_fs(r, op, f, fd, err);
}

/* sysfs needs a network namespace of the user namespace's own; without it the host's is shown, as it is. */
static int sysfs_from_host(struct rootfs *r, const struct mount_op *op, int target_fd, struct error *err)
{
	_cleanup_close_ int tree = mount_clone(AT_FDCWD, "/sys", true, false);
	struct mount_options o = op->options;
	int e;

	if (tree < 0)
		return error_errno(err, tree, "the host's /sys");
	/* What lies on it (cgroups, debugfs) has come along. */
	o.rec_set |= o.attr_set & MOUNT_ATTR_RDONLY;
	e = mount_set_bind_options(tree, &o, err);
	return e < 0 ? e : attach(r, op, tree, target_fd, err);
}

static int apply_new(struct rootfs *r, const struct mount_op *op, struct error *err)
{
	_cleanup_close_ int fd = -1;
	struct mount_fs f = fs_of(r, op);
	struct stat st;
	int e = open_place(r, op, TARGET_DIR, op->kind == MOUNT_PROC, &fd, err);

	if (e < 0)
		return e;
	if (op->kind == MOUNT_PROC || op->kind == MOUNT_SYSFS) {
		if (fstat(fd, &st) < 0)
			return error_errno(err, errno, "destination");
		if (!S_ISDIR(st.st_mode))
			return error_set(err, ENOTDIR, "a file system of type %s is mounted only on a directory",
					 op->type);
	}
	if (op->kind == MOUNT_CGROUP)
		return mount_cgroup(r, op, fd, err);
	e = apply_fs(r, op, f, fd, err);
	if (e == -EPERM && op->kind == MOUNT_SYSFS)
		return sysfs_from_host(r, op, fd, err);
	/* The kernel's mount_too_revealing(): no way around what an outer container masks. */
	if (e == -EPERM && op->kind == MOUNT_PROC && r->in_userns)
		return error_set(err, EPERM,
				 "Operation not permitted: the kernel allows a new one only to who has a /proc with "
				 "nothing masked (is this inside of a container?)");
	return e;
}

/* crun's "copy-symlink": a source that is a link is made again in the container. */
static int apply_symlink(struct rootfs *r, const struct mount_op *op, const char *text, struct error *err)
{
	_cleanup_close_ int parent = -1;
	const char *name;
	char there[PATH_MAX];
	ssize_t n;
	int e = target_open_parent(r->root_fd, op->destination, r->arena, &parent, &name);

	if (e < 0)
		return error_errno(err, e, "destination");
	if (symlinkat(text, parent, name) == 0)
		return 0;
	if (errno != EEXIST)
		return error_errno(err, errno, "symlink");
	n = readlinkat(parent, name, there, sizeof(there) - 1);
	if (n >= 0 && (size_t)n == strlen(text) && memcmp(text, there, (size_t)n) == 0)
		return 0;
	return error_set(err, EEXIST, "copy-symlink: the image has something else there");
}

/*
 * The flags of a source that the user namespace's root could not take off: the kernel doesn't keep them on a tree
 * that was made outside, so that they are added here, or refused to go, as where the kernel does.
 */
static int keep_locked(int tree, struct mount_options *o, struct error *err)
{
	static const struct {
		uint64_t attr;
		long flag;
	} locks[] = {
	    {MOUNT_ATTR_RDONLY, ST_RDONLY},
	    {MOUNT_ATTR_NOSUID, ST_NOSUID},
	    {MOUNT_ATTR_NODEV, ST_NODEV},
	    {MOUNT_ATTR_NOEXEC, ST_NOEXEC},
	};
	struct statfs sfs;

	if (!o->attr_set && !o->attr_clr)
		return 0;
	if (fstatfs(tree, &sfs) < 0)
		return error_errno(err, errno, "source");
	for (size_t i = 0; i < ARRAY_SIZE(locks); i++) {
		if (!(sfs.f_flags & locks[i].flag))
			continue;
		if (o->attr_clr & locks[i].attr)
			return error_set(err, EPERM, LOCKED);
		o->attr_set |= locks[i].attr;
	}
	return 0;
}

static int apply_bind(struct rootfs *r, const struct mount_op *op, struct error *err)
{
	_cleanup_close_ int own = -1, target = -1;
	struct mount_options options = op->options;
	const struct mount_options *o = &options;
	char text[PATH_MAX];
	struct stat st, there;
	int tree = op->tree_fd, e;

	if (o->copy_symlink) {
		ssize_t n = readlink(op->source, text, sizeof(text) - 1);

		if (n >= 0) {
			text[n] = '\0';
			return apply_symlink(r, op, text, err);
		}
	}
	if (tree < 0 && op->late) {
		e = mount_late_clone(r, op->late, o, op->index, &own, err);
		if (e < 0)
			return e;
		tree = own;
	} else if (tree < 0) {
		own = tree = mount_clone(AT_FDCWD, op->source, o->recursive, o->src_nofollow);
		if (tree == -EINVAL && !o->recursive && r->in_userns)
			return error_set(err, EINVAL,
					 "source: Invalid argument: mounts beneath it are locked in this user "
					 "namespace (rbind takes them along)");
		if (tree < 0)
			return error_errno(err, tree, "source");
	}
	if (fstat(tree, &st) < 0)
		return error_errno(err, errno, "source");
	e = open_place(r, op, S_ISDIR(st.st_mode) ? TARGET_DIR : TARGET_FILE, is_procfs(tree), &target, err);
	if (e < 0)
		return e;
	if (fstat(target, &there) < 0)
		return error_errno(err, errno, "destination");
	if (S_ISDIR(st.st_mode) != S_ISDIR(there.st_mode))
		return error_set(err, ENOTDIR, "not a directory: the %s is one and the %s is not",
				 S_ISDIR(st.st_mode) ? "source" : "destination",
				 S_ISDIR(st.st_mode) ? "destination" : "source");
	e = r->in_userns && op->tree_fd >= 0 ? keep_locked(tree, &options, err) : 0;
	if (e == 0)
		e = mount_set_bind_options(tree, o, err);
	return e < 0 ? e : attach(r, op, tree, target, err);
}

static int apply_remount(struct rootfs *r, const struct mount_op *op, struct error *err)
{
	_cleanup_close_ int fd = -1;
	struct target t = {.path = op->destination};
	char path[FD_PATH_MAX];
	const char *canonical;
	int e = target_open(r->root_fd, &t, r->arena, &fd, &canonical);

	if (e < 0)
		return error_errno(err, e, "destination");
	/* What a link of the image leads to was not meant. */
	if (strcmp(canonical, op->destination) != 0 && mount_place_check(canonical, true, err) < 0)
		return -err->code;
	/* With "bind" only this mount is meant, not its file system. */
	if (!op->options.bind && (op->options.n_data || op->options.sb_set)) {
		struct mount_fs f = {.options = &op->options};
		const char *data = "";

		for (size_t i = 0; data && i < op->options.n_data; i++)
			data = arena_printf(r->arena, "%s%s%s", data, i ? "," : "", op->options.data[i]);
		if (!data)
			return error_set(err, ENOMEM, "out of memory");
		if (mount(NULL, fd_path(fd, path), NULL, MS_REMOUNT | mount_options_ms(f.options), data) < 0)
			return error_errno(err, errno, "remount");
	}
	return mount_set_options(fd, &op->options, err);
}

/* In own words: callers match the C library's texts to mean that the container's command is missing. */
static int volume_error(const struct mount_op *op, int code, struct error *err)
{
	const char *reason = "the kernel refused the mount";

	switch (code < 0 ? -code : code) {
	case ENOENT:
	case ENOTDIR:
		reason = "the image has a file or a dangling link where the volume's path needs a folder";
		break;
	case ELOOP:
		reason = "too many symbolic links on the way";
		break;
	case EROFS:
		reason = "the place is absent and the root file system is read-only; make the folder in the image";
		break;
	case EACCES:
	case EPERM:
		reason = "volume access refused by the kernel: the place cannot be made or mounted on";
		break;
	case ENOSPC:
		reason = "no space left for the mount point";
		break;
	}
	return error_set(err, code, "volume on \"%s\": %s", op->destination, reason);
}

static int apply_volume(struct rootfs *r, const struct mount_op *op, struct error *err)
{
	_cleanup_close_ int target = -1;
	struct target t = {.path = op->destination, .make = TARGET_DIR};
	const char *canonical;
	struct stat st;
	int e = target_open(r->root_fd, &t, r->arena, &target, &canonical);

	if (e < 0)
		return volume_error(op, e, err);
	e = mount_place_check(canonical, false, err);
	if (e < 0)
		return error_wrap(err, "volume on \"%s\"", op->destination);
	if (fstat(target, &st) < 0 || !S_ISDIR(st.st_mode))
		return volume_error(op, ENOTDIR, err);
	e = mount_attach(op->volume->tree_fd, target);
	return e < 0 ? volume_error(op, e, err) : 0;
}

/* *ret_at: what is at its destination; -1: nothing. */
static bool is_seen(struct rootfs *r, const struct rootfs_volume *v, int *ret_at)
{
	struct target t = {.path = v->destination};
	struct stat there, tree;

	return target_open(r->root_fd, &t, r->arena, ret_at, NULL) == 0 && fstat(*ret_at, &there) == 0 &&
	       fstat(v->tree_fd, &tree) == 0 && there.st_dev == tree.st_dev && there.st_ino == tree.st_ino;
}

/* What lies on a volume keeps the keeper from closing it, as long as this namespace is there. */
static void uncover(struct rootfs *r, const struct rootfs_volume *v)
{
	for (int i = 0; i < COVERS_MAX; i++) {
		_cleanup_close_ int at = -1;
		char path[FD_PATH_MAX];

		if (is_seen(r, v, &at) || at < 0 || umount2(fd_path(at, path), MNT_DETACH) < 0)
			return;
	}
}

int mount_check_volumes(struct rootfs *r, struct error *err)
{
	for (size_t i = 0; i < r->n_volumes; i++) {
		_cleanup_close_ int at = -1;

		if (is_seen(r, &r->volumes[i], &at))
			continue;
		uncover(r, &r->volumes[i]);
		return error_set(err, EINVAL,
				 "volume on \"%s\": another mount hides it; give one of the two another path",
				 r->volumes[i].destination);
	}
	return 0;
}

int mount_apply(struct rootfs *r, const struct mount_op *op, struct error *err)
{
	int e = -EINVAL;

	switch (op->kind) {
	case MOUNT_VOLUME:
		return apply_volume(r, op, err);
	case MOUNT_BIND:
		e = apply_bind(r, op, err);
		break;
	case MOUNT_REMOUNT:
		e = apply_remount(r, op, err);
		break;
	case MOUNT_TMPFS:
		e = apply_tmpfs(r, op, err);
		break;
	case MOUNT_PROC:
	case MOUNT_SYSFS:
	case MOUNT_DEVPTS:
	case MOUNT_CGROUP:
	case MOUNT_OTHER:
		e = apply_new(r, op, err);
		break;
	}
	return e < 0 ? error_wrap(err, "mount \"%s\" on \"%s\"", op->source, op->destination) : 0;
}
