/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/devices.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/sys.h"
#include "base/target.h"
#include "runtime/mount_fs.h"

static const struct {
	const char *path;
	unsigned major, minor;
} defaults[] = {
    {"/dev/null", 1, 3}, {"/dev/zero", 1, 5},	{"/dev/full", 1, 7},
    {"/dev/tty", 5, 0},	 {"/dev/random", 1, 8}, {"/dev/urandom", 1, 9},
};

int device_from_spec(const struct spec_device *d, struct device *ret, struct error *err)
{
	static const struct {
		const char *type;
		mode_t kind;
	} kinds[] = {{"c", S_IFCHR}, {"u", S_IFCHR}, {"b", S_IFBLK}, {"p", S_IFIFO}};
	mode_t kind = 0;

	for (size_t i = 0; d->type && i < ARRAY_SIZE(kinds); i++)
		if (strcmp(d->type, kinds[i].type) == 0)
			kind = kinds[i].kind;
	if (!kind)
		return error_set(err, EINVAL, "type \"%s\": not one of c, u, b, p", d->type ? d->type : "");
	if (kind != S_IFIFO && (d->major < 0 || d->major > 0xfff || d->minor < 0 || d->minor > 0xfffff))
		return error_set(err, EINVAL, "number %lld:%lld out of range", (long long)d->major,
				 (long long)d->minor);
	ret->mode = kind | (d->file_mode ? *d->file_mode & 07777 : 0666);
	ret->rdev = kind == S_IFIFO ? 0 : makedev((unsigned)d->major, (unsigned)d->minor);
	ret->uid = d->uid ? *d->uid : 0;
	ret->gid = d->gid ? *d->gid : 0;
	return 0;
}

static struct device *find(struct device *d, size_t n, const char *path)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(d[i].path, path) == 0)
			return &d[i];
	return NULL;
}

int devices_plan(const struct spec *spec, struct arena *arena, struct device **ret, size_t *ret_n, struct error *err)
{
	size_t n = 0;
	struct device *d = arena_calloc(arena, ARRAY_SIZE(defaults) + spec->linux_->n_devices, sizeof(*d));

	if (!d)
		return error_set(err, ENOMEM, "out of memory");
	for (; n < ARRAY_SIZE(defaults); n++)
		d[n] = (struct device){.path = defaults[n].path,
				       .mode = S_IFCHR | 0666,
				       .rdev = makedev(defaults[n].major, defaults[n].minor)};
	for (size_t i = 0; i < spec->linux_->n_devices; i++) {
		const struct spec_device *from = &spec->linux_->devices[i];
		struct device one = {0}, *same;
		int r = device_from_spec(from, &one, err);

		if (r < 0)
			return error_wrap(err, "device \"%s\"", from->path);
		one.made = i + 1;
		one.path = path_normalize(arena, from->path);
		if (!one.path)
			return error_set(err, ENOMEM, "out of memory");
		/* Ours is a link to the container's own pts. */
		if (strcmp(one.path, "/dev/ptmx") == 0)
			continue;
		same = find(d, n, one.path);
		if (!same)
			same = &d[n++];
		*same = one;
	}
	*ret = d;
	*ret_n = n;
	return 0;
}

int device_check(int fd, mode_t kind, dev_t rdev)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	return (st.st_mode & S_IFMT) == kind && st.st_rdev == rdev ? 0 : -ENODEV;
}

/* An empty file to mount on; one that is there is taken, but not a link. */
static int open_file_place(int dir_fd, const char *name)
{
	_cleanup_close_ int made = openat(dir_fd, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_WRONLY, 0666);
	int fd;

	if (made < 0 && errno != EEXIST)
		return -errno;
	fd = sys_openat2(dir_fd, name, O_PATH | O_CLOEXEC, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
	return fd < 0 ? -errno : fd;
}

/* made: the node that the parent has made, or -1 for the host's. */
static int bind_device(const struct device *d, int made, int dir_fd, const char *name, struct error *err)
{
	_cleanup_close_ int own = -1, target = -1;
	int tree = made, r;

	if (tree < 0)
		own = tree = mount_clone(AT_FDCWD, d->path, false, false);
	if (tree < 0)
		return error_errno(err, tree, "the host's node");
	r = device_check(tree, d->mode & S_IFMT, d->rdev);
	if (r < 0)
		return error_set(err, r, "the host's node is not device %u:%u", major(d->rdev), minor(d->rdev));
	/* As far as the kernel allows: of a mount that came from elsewhere flags can be locked. */
	if (made < 0)
		mount_change(tree, false, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, 0, 0);
	target = open_file_place(dir_fd, name);
	if (target < 0)
		return error_errno(err, target, "mount point");
	r = mount_attach(tree, target);
	return r < 0 ? error_errno(err, r, "move_mount") : 0;
}

/*
 * What the image has in the place of a default device stays, as with runc: /dev/null is checked where it is relied on.
 * In the place of one of linux.devices it must be that one (config-linux.md, "Devices"), or what the spec has mounted
 * there.
 */
static int check_existing(const struct device *d, int dir_fd, const char *name, struct error *err)
{
	struct statx st;

	if (!d->made)
		return 0;
	if (statx(dir_fd, name, AT_SYMLINK_NOFOLLOW, STATX_TYPE, &st) < 0)
		return error_errno(err, errno, "what is there already");
	if (st.stx_attributes & STATX_ATTR_MOUNT_ROOT)
		return 0;
	if ((st.stx_mode & S_IFMT) == (d->mode & S_IFMT) &&
	    (S_ISFIFO(d->mode) || makedev(st.stx_rdev_major, st.stx_rdev_minor) == d->rdev))
		return 0;
	return error_set(err, EEXIST, "the root file system has something else there, which is not that device");
}

static int make_node(const struct device *d, int dir_fd, const char *name, struct error *err)
{
	if (mknodat(dir_fd, name, d->mode, d->rdev) < 0) {
		if (errno == EEXIST)
			return check_existing(d, dir_fd, name, err);
		if (errno == EPERM)
			return bind_device(d, -1, dir_fd, name, err);
		return error_errno(err, errno, "mknod");
	}
	if ((d->uid || d->gid) && fchownat(dir_fd, name, d->uid, d->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return error_errno(err, errno, "owner");
	return 0;
}

static int make_device(struct rootfs *r, int dev_fd, const struct device *d, struct error *err)
{
	_cleanup_close_ int parent = -1;
	const char *name = path_basename(d->path);
	int dir = dev_fd, made = -1, e;

	if (strncmp(d->path, "/dev/", 5) != 0 || name != d->path + 5) {
		e = target_open_parent(r->root_fd, d->path, r->arena, &parent, &name);
		if (e < 0)
			return error_errno(err, e, "device \"%s\"", d->path);
		dir = parent;
	}
	if (d->made && r->device_tree_fds)
		made = r->device_tree_fds[d->made - 1];
	e = r->in_userns && !S_ISFIFO(d->mode) ? bind_device(d, made, dir, name, err) : make_node(d, dir, name, err);
	return e < 0 ? error_wrap(err, "device \"%s\"", d->path) : 0;
}

/* The mknod'ed or bound ptmx of the host would open the host's ptys. */
static int link_ptmx(int dev_fd, struct error *err)
{
	if (symlinkat("pts/ptmx", dev_fd, "ptmx") == 0)
		return 0;
	if (errno != EEXIST || unlinkat(dev_fd, "ptmx", 0) < 0 || symlinkat("pts/ptmx", dev_fd, "ptmx") < 0)
		return error_errno(err, errno, "/dev/ptmx");
	return 0;
}

static int make_links(int dev_fd, struct error *err)
{
	static const char *const links[][2] = {
	    {"/proc/self/fd", "fd"},	   {"/proc/self/fd/0", "stdin"}, {"/proc/self/fd/1", "stdout"},
	    {"/proc/self/fd/2", "stderr"}, {"/proc/kcore", "core"},
	};
	size_t n = ARRAY_SIZE(links);

	if (access("/proc/kcore", F_OK) < 0)
		n--;
	for (size_t i = 0; i < n; i++)
		if (symlinkat(links[i][0], dev_fd, links[i][1]) < 0 && errno != EEXIST)
			return error_errno(err, errno, "/dev/%s", links[i][1]);
	return 0;
}

static int open_dev(struct rootfs *r, int *ret_fd, struct error *err)
{
	/* A link in the image leads nowhere outside, but whoever has one there wants the nodes elsewhere than they
	 * seem. */
	struct target t = {.path = "/dev", .make = TARGET_DIR, .no_links = true};
	int e = target_open(r->root_fd, &t, r->arena, ret_fd, NULL);

	if (e == -ELOOP)
		return error_set(err, ELOOP, "/dev: the image has a symbolic link there");
	return e < 0 ? error_errno(err, e, "/dev") : 0;
}

int devices_make(struct rootfs *r, struct error *err)
{
	_cleanup_close_ int dev = -1;
	struct device *devices;
	size_t n;
	int e = devices_plan(r->spec, r->arena, &devices, &n, err);

	if (e == 0)
		e = open_dev(r, &dev, err);
	for (size_t i = 0; e == 0 && i < n; i++)
		e = make_device(r, dev, &devices[i], err);
	if (e == 0)
		e = link_ptmx(dev, err);
	return e < 0 ? e : make_links(dev, err);
}

int console_mount(struct rootfs *r, int slave_fd, struct error *err)
{
	_cleanup_close_ int dev = -1, target = -1, tree = -1;
	int e = open_dev(r, &dev, err);

	if (e < 0)
		return e;
	target = open_file_place(dev, "console");
	if (target < 0)
		return error_errno(err, target, "/dev/console");
	tree = mount_clone(slave_fd, "", false, false);
	if (tree < 0)
		return error_errno(err, tree, "/dev/console: the terminal's mount");
	e = mount_attach(tree, target);
	return e < 0 ? error_errno(err, e, "/dev/console") : 0;
}
