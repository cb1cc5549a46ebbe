/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/device_trees.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/sys.h"
#include "runtime/devices.h"
#include "runtime/id_maps.h"
#include "runtime/mount_fs.h"

static int make_tree(const struct device *d, const struct spec_linux *l, const char *name, int dir_fd, int *ret_fd)
{
	_cleanup_close_ int tree = -1;
	uint32_t uid, gid;
	mode_t mask;
	int r;

	if (!id_map_to_host(l->uid_mappings, l->n_uid_mappings, d->uid, &uid) ||
	    !id_map_to_host(l->gid_mappings, l->n_gid_mappings, d->gid, &gid))
		return -EPERM;
	mask = umask(0);
	r = mknodat(dir_fd, name, d->mode, d->rdev) < 0 ? -errno : 0;
	umask(mask);
	if (r < 0)
		return r;
	if (fchownat(dir_fd, name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	tree = mount_clone(dir_fd, name, false, true);
	if (tree < 0)
		return tree;
	r = mount_change(tree, false, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, MOUNT_ATTR_NODEV, MS_PRIVATE);
	if (r == 0)
		*ret_fd = TAKE_FD(tree);
	return r;
}

int device_tree_make(const struct spec *spec, size_t index, int dir_fd, int *ret_fd, struct error *err)
{
	const struct spec_namespace *user = spec_find_namespace(spec, SPEC_NS_USER);
	const struct spec_linux *l = spec->linux_;
	struct device d;
	char name[32];
	int r;

	*ret_fd = -1;
	if (!user || user->path || index >= DEVICE_TREES_MAX)
		return 0;
	r = device_from_spec(&l->devices[index], &d, err);
	if (r < 0)
		return error_wrap(err, "device \"%s\"", l->devices[index].path);
	if (S_ISFIFO(d.mode))
		return 0;
	snprintf(name, sizeof(name), "device-%zu", index);
	r = make_tree(&d, l, name, dir_fd, ret_fd);
	if (r == 0 || r == -EPERM || r == -EACCES)
		return 0;
	return error_errno(err, r, "device \"%s\": make its node", l->devices[index].path);
}
