/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/mount_fs.h"

#include <errno.h>
#include <string.h>
#include <sys/mount.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/sys.h"

#define VALUE_MAX_NEW 255 /* fsconfig(2): strings of at most 256 bytes with the NUL */

/* The context's log has lines such as "e tmpfs: Unknown parameter 'x'". */
static int fs_error(int fs_fd, int code, const char *what, struct error *err)
{
	char text[256];
	ssize_t n = read(fs_fd, text, sizeof(text) - 1);

	if (n <= 2)
		return error_errno(err, code, "%s", what);
	while (n > 0 && text[n - 1] == '\n')
		n--;
	text[n] = '\0';
	return error_errno(err, code, "%s", text + 2);
}

static int configure(int fs_fd, const struct mount_fs *f, const char *option, struct error *err)
{
	char key[64];
	size_t n = strcspn(option, "=");
	int r;

	if (n == 0 || n >= sizeof(key))
		return error_set(err, EINVAL, "option \"%.64s\": not a name", option);
	memcpy(key, option, n);
	key[n] = '\0';
	if (f->without_gid && strcmp(key, "gid") == 0)
		return 0;
	if (option[n] == '=')
		r = sys_fsconfig(fs_fd, FSCONFIG_SET_STRING, key, option + n + 1, 0);
	else
		r = sys_fsconfig(fs_fd, FSCONFIG_SET_FLAG, key, NULL, 0);
	return r < 0 ? fs_error(fs_fd, errno, option, err) : 0;
}

static int configure_superblock(int fs_fd, const struct mount_fs *f, struct error *err)
{
	static const struct {
		unsigned long ms;
		const char *name;
	} flags[] = {
	    {MS_SYNCHRONOUS, "sync"},  {MS_DIRSYNC, "dirsync"}, {MS_MANDLOCK, "mand"},
	    {MS_LAZYTIME, "lazytime"}, {MS_RDONLY, "ro"},
	};
	unsigned long ms = f->options->sb_set;

	if (f->superblock_readonly && (f->options->attr_set & MOUNT_ATTR_RDONLY))
		ms |= MS_RDONLY;
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		if ((ms & flags[i].ms) && sys_fsconfig(fs_fd, FSCONFIG_SET_FLAG, flags[i].name, NULL, 0) < 0)
			return fs_error(fs_fd, errno, flags[i].name, err);
	return 0;
}

static int configure_all(int fs_fd, const struct mount_fs *f, struct error *err)
{
	const struct mount_options *o = f->options;
	int r;

	if (f->source && *f->source && sys_fsconfig(fs_fd, FSCONFIG_SET_STRING, "source", f->source, 0) < 0)
		return fs_error(fs_fd, errno, "source", err);
	if (f->label && sys_fsconfig(fs_fd, FSCONFIG_SET_STRING, f->label_option, f->label, 0) < 0)
		return fs_error(fs_fd, errno, "mountLabel", err);
	if (f->default_data) {
		r = configure(fs_fd, f, f->default_data, err);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < o->n_data; i++) {
		r = configure(fs_fd, f, o->data[i], err);
		if (r < 0)
			return r;
	}
	return configure_superblock(fs_fd, f, err);
}

/* A new mount has nothing below: what is for the whole tree is for it. Of two access times, its own. */
static unsigned attributes(const struct mount_options *o)
{
	uint64_t recursive = o->rec_set;

	if (o->attr_clr & MOUNT_ATTR__ATIME)
		recursive &= ~(uint64_t)MOUNT_ATTR__ATIME;
	return (unsigned)(o->attr_set | recursive);
}

int mount_fs_detached(const struct mount_fs *f, int *ret_fd, struct error *err)
{
	_cleanup_close_ int fs_fd = sys_fsopen(f->type, FSOPEN_CLOEXEC);
	int fd, r;

	if (fs_fd < 0 && errno == ENODEV)
		return error_set(err, ENODEV, "the kernel has no file system \"%s\"", f->type);
	if (fs_fd < 0)
		return error_errno(err, errno, "fsopen");
	r = configure_all(fs_fd, f, err);
	if (r < 0)
		return r;
	if (sys_fsconfig(fs_fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return fs_error(fs_fd, errno, "fsconfig", err);
	fd = sys_fsmount(fs_fd, FSMOUNT_CLOEXEC, attributes(f->options));
	if (fd < 0)
		return fs_error(fs_fd, errno, "fsmount", err);
	*ret_fd = fd;
	return 0;
}

bool mount_fs_needs_legacy(const struct mount_options *o)
{
	for (size_t i = 0; i < o->n_data; i++)
		if (strlen(o->data[i]) - strcspn(o->data[i], "=") > VALUE_MAX_NEW)
			return true;
	return o->sb_set & MS_I_VERSION;
}

int mount_fs_legacy(const struct mount_fs *f, int target_fd, struct arena *arena, struct error *err)
{
	const struct mount_options *o = f->options;
	const char *data = f->default_data ? f->default_data : "";
	char path[FD_PATH_MAX];

	for (size_t i = 0; data && i < o->n_data; i++)
		data = arena_printf(arena, "%s%s%s", data, *data ? "," : "", o->data[i]);
	if (data && f->label)
		data = arena_printf(arena, "%s%s%s=\"%s\"", data, *data ? "," : "", f->label_option, f->label);
	if (!data)
		return error_set(err, ENOMEM, "out of memory");
	if (mount(f->source, fd_path(target_fd, path), f->type, mount_options_ms(o), data) < 0)
		return error_errno(err, errno, "mount(2)");
	return 0;
}

int mount_clone(int dirfd, const char *path, bool recursive, bool nofollow)
{
	unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;
	int fd;

	if (!*path)
		flags |= AT_EMPTY_PATH;
	if (recursive)
		flags |= AT_RECURSIVE;
	if (nofollow)
		flags |= AT_SYMLINK_NOFOLLOW;
	fd = sys_open_tree(dirfd, path, flags);
	return fd < 0 ? -errno : fd;
}

int mount_attach(int tree_fd, int target_fd)
{
	if (sys_move_mount(tree_fd, "", target_fd, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return -errno;
	return 0;
}

int mount_change(int fd, bool recursive, uint64_t set, uint64_t clr, unsigned long propagation)
{
	struct mount_attr attr = {
	    .attr_set = set, .attr_clr = clr, .propagation = propagation & ~(unsigned long)MS_REC};

	if (!set && !clr && !propagation)
		return 0;
	return sys_mount_setattr(fd, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &attr) < 0 ? -errno : 0;
}
