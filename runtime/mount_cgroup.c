/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounts of type "cgroup". On v2 a new cgroup2 mount, whose root is that of the
 * container's cgroup namespace (without one: the host's, as runc and crun show it).
 * On v1 and hybrid a tmpfs with the container's own directory of each hierarchy
 * bound into it, and a link for each controller of a joint hierarchy ("cpu" -> "cpu,cpuacct").
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/path.h"
#include "base/sys.h"
#include "runtime/mount_apply.h"
#include "runtime/mount_fs.h"

#define CGROUP_ROOT "/sys/fs/cgroup"
#define MOUNTINFO_MAX (16u << 20)

static bool has_own(const struct rootfs *r)
{
	return r->cgroup && r->cgroup->mode != CGROUP_NONE && r->cgroup->path;
}

static const char *own_path(const struct rootfs *r)
{
	return has_own(r) ? r->cgroup->path : "";
}

/* Without a cgroup of its own the container is in the caller's. NULL: not in that hierarchy, or out of memory. */
static const char *inherited_path(const char *name, struct arena *arena)
{
	const char *controllers = strcmp(name, "unified") == 0	 ? ""
				  : strcmp(name, "systemd") == 0 ? "name=systemd"
								 : name;
	_cleanup_free_ char *text = NULL;
	char *save = NULL;

	if (read_file_at(AT_FDCWD, "/proc/self/cgroup", 65536, &text, NULL) < 0)
		return NULL;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *list = strchr(line, ':'), *path = list ? strchr(list + 1, ':') : NULL;

		if (!path)
			continue;
		*path++ = '\0';
		if (strcmp(list + 1, controllers) == 0)
			return strcmp(path, "/") == 0 ? "" : arena_strdup(arena, path);
	}
	return NULL;
}

static bool has_cgroupns(const struct spec *spec)
{
	for (size_t i = 0; i < spec->linux_->n_namespaces; i++)
		if (spec->linux_->namespaces[i].type == SPEC_NS_CGROUP)
			return true;
	return false;
}

static int bind_on(const char *source, const struct mount_options *o, int target_fd, struct error *err)
{
	_cleanup_close_ int tree = mount_clone(AT_FDCWD, source, false, false);
	int r;

	if (tree < 0)
		return error_errno(err, tree, "%s", source);
	r = mount_set_bind_options(tree, o, err);
	if (r < 0)
		return r;
	r = mount_attach(tree, target_fd);
	return r < 0 ? error_errno(err, r, "%s", source) : 0;
}

static int mount_v2(struct rootfs *r, const struct mount_op *op, int target_fd, struct error *err)
{
	struct mount_fs f = {.type = "cgroup2", .source = op->source, .options = &op->options};
	_cleanup_close_ int fd = -1;
	int e = mount_fs_detached(&f, &fd, err);

	/* A user namespace without a cgroup namespace of its own may not mount it; or it is there already. */
	if (e == -EPERM || e == -EBUSY) {
		const char *source = CGROUP_ROOT;

		if (has_cgroupns(r->spec))
			source = arena_printf(r->arena, CGROUP_ROOT "%s", own_path(r));
		if (!source)
			return error_set(err, ENOMEM, "out of memory");
		return bind_on(source, &op->options, target_fd, err);
	}
	if (e < 0)
		return e;
	for (size_t i = 0; i < op->options.n_propagation; i++) {
		e = mount_change(fd, false, 0, 0, op->options.propagation[i]);
		if (e < 0)
			return error_errno(err, e, "propagation");
	}
	e = mount_attach(fd, target_fd);
	return e < 0 ? error_errno(err, e, "move_mount") : 0;
}

/* Links for the controllers of a hierarchy that carries several: never over something that is there. */
static int link_controllers(int dir_fd, const char *name, struct arena *arena, struct error *err)
{
	for (const char *p = name; strchr(name, ',') && *p;) {
		size_t n = strcspn(p, ",");
		const char *controller = arena_strndup(arena, p, n);

		if (!controller)
			return error_set(err, ENOMEM, "out of memory");
		if (symlinkat(name, dir_fd, controller) < 0 && errno != EEXIST)
			return error_errno(err, errno, "link %s", controller);
		p += n + (p[n] == ',');
	}
	return 0;
}

/* "cpu,cpuacct" as two options; a named hierarchy has none of the controllers. */
static int new_options(const char *name, struct arena *arena, struct mount_options *o, struct error *err)
{
	size_t room = strlen(name) + 2;

	o->n_data = 0;
	o->data = arena_calloc(arena, room, sizeof(*o->data));
	if (!o->data)
		return error_set(err, ENOMEM, "out of memory");
	if (strcmp(name, "unified") == 0)
		return 0;
	if (strcmp(name, "systemd") == 0) {
		o->data[o->n_data++] = "none";
		o->data[o->n_data++] = "name=systemd";
		return 0;
	}
	while (*name) {
		size_t n = strcspn(name, ",");

		o->data[o->n_data] = arena_strndup(arena, name, n);
		if (!o->data[o->n_data++])
			return error_set(err, ENOMEM, "out of memory");
		name += n + (name[n] == ',');
	}
	return 0;
}

/* A new mount of a hierarchy: its root is that of the cgroup namespace. */
static int mount_new(const char *name, const struct mount_options *options, struct arena *arena, int target_fd,
		     struct error *err)
{
	struct mount_options o = *options;
	struct mount_fs f = {
	    .type = strcmp(name, "unified") == 0 ? "cgroup2" : "cgroup", .source = "cgroup", .options = &o};
	_cleanup_close_ int fd = -1;
	int e = new_options(name, arena, &o, err);

	if (e == 0)
		e = mount_fs_detached(&f, &fd, err);
	if (e < 0)
		return e;
	e = mount_attach(fd, target_fd);
	return e < 0 ? error_errno(err, e, "move_mount") : 0;
}

static int add_hierarchy(struct rootfs *r, const struct mount_op *op, int dir_fd, const char *mountpoint,
			 struct error *err)
{
	const char *name = path_basename(mountpoint), *source;
	_cleanup_close_ int target = -1;
	struct mount_options o = op->options;
	int e;

	if (mkdirat(dir_fd, name, 0755) < 0)
		return errno == EEXIST ? 0 : error_errno(err, errno, "%s", name);
	target = openat(dir_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (target < 0)
		return error_errno(err, errno, "%s", name);
	if (!has_own(r) && has_cgroupns(r->spec)) {
		e = mount_new(name, &o, r->arena, target, err);
	} else {
		source = has_own(r) ? own_path(r) : inherited_path(name, r->arena);
		source = source ? arena_printf(r->arena, "%s%s", mountpoint, source) : NULL;
		e = source ? bind_on(source, &o, target, err) : -ENOENT;
	}
	/* A hierarchy in which the container has no cgroup is left out. */
	if (e == -ENOENT) {
		cleanup_close(&target);
		target = -1;
		return unlinkat(dir_fd, name, AT_REMOVEDIR) < 0 ? error_errno(err, errno, "%s", name) : 0;
	}
	return e < 0 ? e : link_controllers(dir_fd, name, r->arena, err);
}

/* One line of mountinfo (proc(5)): "... root mountpoint options [tags] - type source options". NULL: not a hierarchy.
 */
static const char *hierarchy_of(char *line)
{
	char *save = NULL, *field = strtok_r(line, " ", &save), *mountpoint = NULL;

	for (int i = 1; field && strcmp(field, "-") != 0; i++) {
		if (i == 5)
			mountpoint = field;
		field = strtok_r(NULL, " ", &save);
	}
	field = field ? strtok_r(NULL, " ", &save) : NULL;
	if (!field || !mountpoint || (strcmp(field, "cgroup") != 0 && strcmp(field, "cgroup2") != 0))
		return NULL;
	if (strncmp(mountpoint, CGROUP_ROOT "/", strlen(CGROUP_ROOT "/")) != 0)
		return NULL;
	return strchr(mountpoint + strlen(CGROUP_ROOT "/"), '/') ? NULL : mountpoint;
}

static int add_hierarchies(struct rootfs *r, const struct mount_op *op, int dir_fd, struct error *err)
{
	_cleanup_free_ char *text = NULL;
	char *save = NULL;
	int e = read_file_at(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX, &text, NULL);

	if (e < 0)
		return error_errno(err, e, "/proc/self/mountinfo");
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		const char *mountpoint = hierarchy_of(line);

		e = mountpoint ? add_hierarchy(r, op, dir_fd, mountpoint, err) : 0;
		if (e < 0)
			return e;
	}
	return 0;
}

static int mount_v1(struct rootfs *r, const struct mount_op *op, int target_fd, struct error *err)
{
	const char *mode = "mode=755";
	const struct mount_options o = {
	    .attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, .data = &mode, .n_data = 1};
	struct mount_fs f = {.type = "tmpfs", .source = "tmpfs", .options = &o};
	_cleanup_close_ int fd = -1;
	int e = mount_fs_detached(&f, &fd, err);

	if (e < 0)
		return e;
	e = mount_attach(fd, target_fd);
	if (e < 0)
		return error_errno(err, e, "move_mount");
	e = add_hierarchies(r, op, fd, err);
	if (e < 0)
		return e;
	e = mount_change(fd, false, op->options.attr_set & MOUNT_ATTR_RDONLY, 0, 0);
	return e < 0 ? error_errno(err, e, "read-only") : 0;
}

int mount_cgroup(struct rootfs *r, const struct mount_op *op, int target_fd, struct error *err)
{
	if (cgroup_detect() == CGROUP_V2)
		return mount_v2(r, op, target_fd, err);
	return mount_v1(r, op, target_fd, err);
}
