/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/masked.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/sys.h"
#include "base/target.h"
#include "runtime/devices.h"
#include "runtime/mount_fs.h"

/* *ret_fd stays -1 for what doesn't exist. */
static int open_if_there(struct rootfs *r, const char *path, int *ret_fd)
{
	struct target t = {.path = path};
	const char *rest = path + strspn(path, "/"); /* a relative one counts from the root */
	int root_fd = r->root_fd, e;

	if (path_has_dotdot(path)) {
		/* From the root, as it stands there. */
	} else if (r->proc_fd >= 0 && strncmp(rest, "proc/", strlen("proc/")) == 0) {
		root_fd = r->proc_fd;
		t.path = rest + strlen("proc");
	} else if (r->sys_fd >= 0 && strncmp(rest, "sys/", strlen("sys/")) == 0) {
		root_fd = r->sys_fd;
		t.path = rest + strlen("sys");
	}
	e = target_open(root_fd, &t, r->arena, ret_fd, NULL);
	return e == -ENOENT || e == -ENOTDIR ? 0 : e;
}

static int make_readonly(struct rootfs *r, const char *path, struct error *err)
{
	_cleanup_close_ int target = -1, tree = -1;
	int e = open_if_there(r, path, &target);

	if (e < 0)
		return error_errno(err, e, "open");
	if (target < 0)
		return 0;
	tree = mount_clone(target, "", true, false);
	if (tree < 0)
		return error_errno(err, tree, "open_tree");
	e = mount_change(tree, false, MOUNT_ATTR_RDONLY, 0, 0);
	if (e == 0)
		e = mount_attach(tree, target);
	return e < 0 ? error_errno(err, e, "mount") : 0;
}

int readonly_paths(struct rootfs *r, struct error *err)
{
	const struct spec_linux *l = r->spec->linux_;

	for (size_t i = 0; i < l->n_readonly_paths; i++) {
		int e = make_readonly(r, l->readonly_paths[i], err);

		if (e < 0)
			return error_wrap(err, "make \"%s\" read-only", l->readonly_paths[i]);
	}
	return 0;
}

/* What covers files and directories, opened when the first one is met. */
struct masks {
	int null_fd;
	int empty_fd;
};

static void masks_close(struct masks *m)
{
	cleanup_close(&m->null_fd);
	cleanup_close(&m->empty_fd);
}

static int mask_file(struct rootfs *r, struct masks *m, int target, struct error *err)
{
	_cleanup_close_ int tree = -1;
	int e;

	if (m->null_fd < 0) {
		struct target t = {.path = "/dev/null", .no_links = true, .final_nofollow = true};

		e = target_open(r->root_fd, &t, r->arena, &m->null_fd, NULL);
		if (e < 0)
			return error_errno(err, e, "the container's /dev/null");
		if (device_check(m->null_fd, S_IFCHR, makedev(1, 3)) < 0)
			return error_set(err, ENODEV, "the container's /dev/null is not the null device");
	}
	/* It is masked already, by another of the paths. */
	if (device_check(target, S_IFCHR, makedev(1, 3)) == 0)
		return 0;
	tree = mount_clone(m->null_fd, "", false, false);
	if (tree < 0)
		return error_errno(err, tree, "open_tree");
	e = mount_attach(tree, target);
	return e < 0 ? error_errno(err, e, "move_mount") : 0;
}

static int mask_directory(struct rootfs *r, struct masks *m, int target, struct error *err)
{
	static const char *data[] = {"nr_blocks=1", "nr_inodes=2"};
	const struct mount_options o = {.attr_set = MOUNT_ATTR_RDONLY, .data = data, .n_data = 2};
	const char *label = r->spec->linux_->mount_label;
	struct mount_fs f = {.type = "tmpfs",
			     .source = "tmpfs",
			     .options = &o,
			     .label = label && *label ? label : NULL,
			     .label_option = "context"};
	_cleanup_close_ int copy = -1;
	int e;

	if (m->empty_fd < 0) {
		e = mount_fs_detached(&f, &m->empty_fd, err);
		if (e < 0)
			return e;
		/* The first place gets the mount itself: a detached one that is closed costs a grace period. */
		e = mount_attach(m->empty_fd, target);
	} else {
		copy = mount_clone(m->empty_fd, "", false, false);
		e = copy < 0 ? copy : mount_attach(copy, target);
	}
	return e < 0 ? error_errno(err, e, "move_mount") : 0;
}

static int mask(struct rootfs *r, struct masks *m, const char *path, struct error *err)
{
	_cleanup_close_ int target = -1;
	struct stat st, empty;
	int e = open_if_there(r, path, &target);

	if (e < 0)
		return error_errno(err, e, "open");
	if (target < 0)
		return 0;
	if (fstat(target, &st) < 0)
		return error_errno(err, errno, "stat");
	if (S_ISDIR(st.st_mode) && m->empty_fd >= 0 && fstat(m->empty_fd, &empty) == 0 && empty.st_dev == st.st_dev)
		return 0;
	return S_ISDIR(st.st_mode) ? mask_directory(r, m, target, err) : mask_file(r, m, target, err);
}

int masked_paths(struct rootfs *r, struct error *err)
{
	_cleanup_(masks_close) struct masks m = {-1, -1};
	const struct spec_linux *l = r->spec->linux_;

	for (size_t i = 0; i < l->n_masked_paths; i++) {
		int e = mask(r, &m, l->masked_paths[i], err);

		if (e < 0)
			return error_wrap(err, "mask \"%s\"", l->masked_paths[i]);
	}
	return 0;
}
