/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/mount_trees.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/sys.h"
#include "runtime/id_maps.h"
#include "runtime/mount_fs.h"
#include "runtime/mount_idmap.h"
#include "runtime/mount_late.h"
#include "runtime/mount_options.h"

static int open_user_namespace(pid_t pid, int *ret, struct error *err)
{
	char path[40];

	snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
	*ret = open(path, O_RDONLY | O_CLOEXEC);
	return *ret < 0 ? error_errno(err, errno, "open the user namespace of the id mapping") : 0;
}

/* A user namespace that nobody lives in, for its mapping alone: a process holds it until it is opened. */
static int make_user_namespace(const struct spec_linux *mapping, int *ret, struct error *err)
{
	struct clone_args args = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
	_cleanup_close_ int fd = -1, hold = -1, wait = -1;
	int pair[2], r;
	pid_t pid;

	if (pipe2(pair, O_CLOEXEC) < 0)
		return error_errno(err, errno, "pipe");
	wait = pair[0];
	hold = pair[1];
	pid = sys_clone3(&args);
	if (pid < 0)
		return error_errno(err, errno, "make a user namespace for the id mapping");
	if (pid == 0) {
		char byte;

		close(hold);
		_exit(read(wait, &byte, 1) != 0);
	}
	r = id_maps_write(pid, mapping, err);
	if (r == 0)
		r = open_user_namespace(pid, &fd, err);
	close(TAKE_FD(hold));
	waitpid(pid, NULL, 0);
	if (r == 0)
		*ret = TAKE_FD(fd);
	return r;
}

static int map_ids(pid_t pid, const struct mount_idmap *map, int tree, struct error *err)
{
	_cleanup_close_ int user = -1;
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP};
	int r = map->own ? make_user_namespace(&map->mapping, &user, err) : open_user_namespace(pid, &user, err);

	if (r < 0)
		return r;
	attr.userns_fd = (uint64_t)user;
	if (sys_mount_setattr(tree, "", AT_EMPTY_PATH | (map->recursive ? AT_RECURSIVE : 0), &attr) == 0)
		return 0;
	if (errno == EINVAL)
		return error_set(err, EINVAL,
				 "its file system can't have mapped ids (or the kernel is older than 5.12)");
	return error_errno(err, errno, "map its ids");
}

/* linux.rootfsPropagation: then what happens on the host isn't to be seen in the container, either. */
static bool is_private(const struct spec_linux *l)
{
	const char *p = l->rootfs_propagation;

	return p && mount_propagation(p) & MS_PRIVATE;
}

static int make(const struct mount_trees *t, const struct spec_mount *m, const struct mount_options *o,
		const struct mount_idmap *map, int *ret_fd, struct error *err)
{
	_cleanup_close_ int bundle = open(t->bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int tree = -1;
	int r;

	if (bundle < 0)
		return error_errno(err, errno, "the bundle %s", t->bundle);
	tree = mount_clone(bundle, m->source, o->recursive, o->src_nofollow);
	/* Without CAP_SYS_ADMIN it is init's, which has it in its user namespace and is the same user. */
	if (tree == -EPERM && !map->wanted && !t->all)
		return 0;
	if (tree == -EPERM && map->wanted)
		return error_set(err, EPERM, "its ids can be mapped only with CAP_SYS_ADMIN");
	if (tree < 0)
		return error_errno(err, tree, "source");
	/* A clone is a peer of its source: what the container mounts beneath it would be mounted on the host. */
	r = mount_change(tree, true, 0, 0, is_private(t->spec->linux_) ? MS_PRIVATE : MS_SLAVE);
	if (r < 0)
		return error_errno(err, r, "propagation");
	r = map->wanted ? map_ids(t->pid, map, tree, err) : 0;
	if (r == 0)
		*ret_fd = TAKE_FD(tree);
	return r;
}

static int tree_make(const struct mount_trees *t, size_t index, struct arena *arena, int *ret_fd, struct error *err)
{
	const struct spec_mount *m = &t->spec->mounts[index];
	bool user = spec_find_namespace(t->spec, SPEC_NS_USER);
	struct mount_idmap map = {0};
	struct mount_options o;
	int r = mount_idmap_parse(m, t->spec->linux_, user, arena, &map, err);

	if (r < 0 || (!user && !map.wanted && !t->all))
		return r;
	r = mount_options_parse(m->options, m->n_options, arena, &o, err);
	if (r < 0 || !m->source || o.copy_symlink || o.remount ||
	    !(o.bind || (m->type && strcmp(m->type, "bind") == 0)))
		return r;
	if (mount_late_source(t->spec, t->rootfs, t->bundle, index, arena))
		return 0;
	return make(t, m, &o, &map, ret_fd, err);
}

static int wanted_map(const struct mount_trees *t, size_t index, struct arena *arena, struct mount_idmap *ret,
		      struct error *err)
{
	bool user = spec_find_namespace(t->spec, SPEC_NS_USER);

	return mount_idmap_parse(&t->spec->mounts[index], t->spec->linux_, user, arena, ret, err);
}

bool mount_tree_is_late(const struct mount_trees *t, size_t index, struct arena *arena)
{
	struct mount_idmap map;
	struct error ignored = ERROR_INIT;

	return wanted_map(t, index, arena, &map, &ignored) == 0 && map.wanted &&
	       mount_late_source(t->spec, t->rootfs, t->bundle, index, arena);
}

int mount_tree_map(const struct mount_trees *t, size_t index, struct arena *arena, int tree_fd, struct error *err)
{
	const struct spec_mount *m = &t->spec->mounts[index];
	struct mount_idmap map;
	int r = wanted_map(t, index, arena, &map, err);

	if (r == 0)
		r = map_ids(t->pid, &map, tree_fd, err);
	return r < 0 ? error_wrap(err, "mount \"%s\" on \"%s\"", m->source, m->destination) : 0;
}

int mount_tree_map_own(int tree_fd, const struct spec_linux *mapping, struct error *err)
{
	const struct mount_idmap map = {.own = true, .mapping = *mapping};

	return map_ids(0, &map, tree_fd, err);
}

int mount_tree_make(const struct mount_trees *t, size_t index, struct arena *arena, int *ret_fd, struct error *err)
{
	const struct spec_mount *m = &t->spec->mounts[index];
	int r;

	*ret_fd = -1;
	r = tree_make(t, index, arena, ret_fd, err);
	return r < 0 ? error_wrap(err, "mount \"%s\" on \"%s\"", m->source ? m->source : "", m->destination) : 0;
}

int mount_tree_of_directory(int dir_fd, bool ro, int *ret_fd, struct error *err)
{
	_cleanup_close_ int here = -1, tree = -1;
	char link[FD_PATH_MAX], path[PATH_MAX];
	struct stat st, wanted;
	ssize_t n = readlink(fd_path(dir_fd, link), path, sizeof(path) - 1);
	int r;

	if (n < 0)
		return error_set(err, errno, "its directory has no path (error %d)", errno);
	path[n] = '\0';
	here = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (here < 0 || fstat(here, &st) < 0 || fstat(dir_fd, &wanted) < 0)
		return error_set(err, errno, "its directory can't be reached from the container (error %d)", errno);
	if (st.st_dev != wanted.st_dev || st.st_ino != wanted.st_ino)
		return error_set(err, ESTALE, "its directory is another one in the container's mount namespace");
	tree = mount_clone(here, "", false, false);
	r = tree;
	if (r >= 0)
		r = mount_change(tree, false, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | (ro ? MOUNT_ATTR_RDONLY : 0), 0,
				 MS_PRIVATE);
	if (r < 0)
		return error_set(err, -r, "its directory can't be mounted in the user namespace (error %d)", -r);
	*ret_fd = TAKE_FD(tree);
	return 0;
}
