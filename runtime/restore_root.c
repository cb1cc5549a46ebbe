/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "runtime/mount_fs.h"
#include "runtime/mount_trees.h"
#include "runtime/restore_internal.h"

int restore_root_path(struct restore *r, struct error *err)
{
	char link[FD_PATH_MAX], path[PATH_MAX];
	ssize_t n = readlink(fd_path(r->create.dir_fd, link), path, sizeof(path) - 1);

	if (n < 0 || mkdirat(r->create.dir_fd, RESTORE_ROOT, 0755) < 0)
		return error_errno(err, errno, "make a place for the root file system");
	r->root = arena_printf(r->create.arena, "%.*s/" RESTORE_ROOT, (int)n, path);
	r->request->criu.request.root = r->root;
	return r->root ? 0 : error_set(err, ENOMEM, "out of memory");
}

/*
 * In a new user namespace the processes read the images as its root, who may not: they are of the host's root alone,
 * since they hold the memory. Where the file system can't map ids, criu says what it could not open.
 */
static void map_images(const struct restore *r)
{
	const char *path = r->request->criu.image_path;
	_cleanup_close_ int place = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int tree = place < 0 ? -1 : mount_clone(place, "", false, false);
	struct error ignored = ERROR_INIT;

	if (tree >= 0 && mount_tree_map_own(tree, r->create.spec.linux_, &ignored) == 0)
		mount_attach(tree, place);
}

int restore_mount_root(void *arg, struct error *err)
{
	const struct restore *r = arg;
	_cleanup_close_ int place = -1, tree = -1;
	int e;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL) < 0)
		return error_errno(err, errno, "make a mount namespace for criu");
	if (r->create.ns.new_flags & CLONE_NEWUSER)
		map_images(r);
	place = open(r->root, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (place < 0)
		return error_errno(err, errno, "open %s", r->root);
	tree = mount_clone(AT_FDCWD, r->create.state.rootfs, true, false);
	e = tree < 0 ? tree : mount_attach(tree, place);
	return e < 0 ? error_errno(err, e, "root.path \"%s\": bind mount", r->create.state.rootfs) : 0;
}
