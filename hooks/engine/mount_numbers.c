/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/mount_numbers.h"

#include <errno.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "hooks/confine.h"

#define AT_ONCE 128
#define USER_NS_INITIAL 0xEFFFFFFDu /* its inode (PROC_USER_INIT_INO) */

const char *mount_numbers_root(const struct mount_numbers *m)
{
	return m->strings + m->s.mnt_root;
}

const char *mount_numbers_point(const struct mount_numbers *m)
{
	return m->strings + m->s.mnt_point;
}

/* ns 0: ours. */
static int ask(uint64_t id, uint64_t ns, uint64_t what, struct mount_numbers *ret)
{
	struct sys_mnt_id_req req = {.size = sizeof(req), .mnt_id = id, .param = what, .mnt_ns_id = ns};

	if (sys_statmount(&req, ret, sizeof(*ret)) < 0)
		return -errno;
	return (ret->s.mask & what) == what ? 0 : -EOPNOTSUPP;
}

int mount_numbers_of(int fd, struct mount_numbers *ret)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, SYS_STATX_MNT_ID_UNIQUE, &st) < 0)
		return -errno;
	if (!(st.stx_mask & SYS_STATX_MNT_ID_UNIQUE))
		return -EOPNOTSUPP;
	return ask(st.stx_mnt_id, 0, STATMOUNT_SB_BASIC | STATMOUNT_MNT_ROOT | STATMOUNT_MNT_POINT, ret);
}

/* Most are of other file systems: only of the others the strings are wanted. */
static int each_of(const uint64_t *ids, size_t n, uint64_t ns, dev_t dev,
		   int (*fn)(void *ctx, const struct mount_numbers *m), void *ctx)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		struct mount_numbers m;

		r = ask(ids[i], ns, STATMOUNT_SB_BASIC | STATMOUNT_MNT_BASIC, &m);
		if (r == 0 && makedev(m.s.sb_dev_major, m.s.sb_dev_minor) != dev)
			continue;
		if (r == 0)
			r = ask(ids[i], ns, STATMOUNT_MNT_BASIC | STATMOUNT_MNT_ROOT | STATMOUNT_MNT_POINT, &m);
		/* It has been taken away. */
		r = r == -ENOENT ? 0 : r < 0 ? r : fn(ctx, &m);
	}
	return r;
}

static int each(uint64_t ns, dev_t dev, int (*fn)(void *ctx, const struct mount_numbers *m), void *ctx)
{
	struct sys_mnt_id_req req = {.size = sizeof(req), .mnt_id = SYS_LSMT_ROOT, .mnt_ns_id = ns};
	uint64_t ids[AT_ONCE];
	ssize_t n;
	int r = 0;

	while (r == 0 && (n = sys_listmount(&req, ids, AT_ONCE)) != 0) {
		if (n < 0)
			return -errno;
		r = each_of(ids, (size_t)n, ns, dev, fn, ctx);
		req.param = ids[n - 1];
	}
	return r;
}

int mount_numbers_each(dev_t dev, int (*fn)(void *ctx, const struct mount_numbers *m), void *ctx)
{
	return each(0, dev, fn, ctx);
}

static int is_part(void *root, const struct mount_numbers *m)
{
	return path_is_beneath(mount_numbers_root(m), root);
}

static int look_along(unsigned long direction, dev_t dev, const char *root)
{
	_cleanup_close_ int fd = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	struct sys_ns_info info = {.size = sizeof(info)};
	int next, r;

	if (fd < 0)
		return -errno;
	while ((next = ioctl(fd, direction, &info)) >= 0) {
		close(fd);
		fd = next;
		r = each(info.id, dev, is_part, (void *)(uintptr_t)root);
		if (r != 0)
			return r;
	}
	return errno == ENOENT ? 0 : -errno;
}

/* Namespaces that it may not enter would be left out of the list without a word. */
static bool may_enter_all(void)
{
	struct stat st;

	return right_is_held(CAP_SYS_ADMIN) && stat("/proc/self/ns/user", &st) == 0 && st.st_ino == USER_NS_INITIAL;
}

int mount_numbers_elsewhere(dev_t dev, const char *root)
{
	_cleanup_right_ struct right admin = right_raise(CAP_SYS_ADMIN);
	int r;

	if (!may_enter_all())
		return -EPERM;
	r = look_along(NS_MNT_GET_NEXT, dev, root);
	return r == 0 ? look_along(NS_MNT_GET_PREV, dev, root) : r;
}
