/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sys.h - system calls that Debian 12's glibc (2.36) does not wrap, each with
 * the kernel that has it first. They return -1 and errno as a wrapper would.
 */
#ifndef VOLRUN_BASE_SYS_H
#define VOLRUN_BASE_SYS_H

#include <fcntl.h>
#include <linux/mount.h>
#include <linux/nsfs.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#ifndef MOUNT_ATTR_IDMAP
#define MOUNT_ATTR_IDMAP 0x00100000
#endif
#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x00200000
#endif
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif
#ifndef OPEN_TREE_CLONE
#define OPEN_TREE_CLONE 1
#endif
#ifndef OPEN_TREE_CLOEXEC
#define OPEN_TREE_CLOEXEC O_CLOEXEC
#endif
/* Linux 6.12, of a mount namespace: the next one that there is, and the one before (<linux/nsfs.h>). */
struct sys_ns_info {
	uint32_t size, mounts;
	uint64_t id;
};
#ifndef NS_MNT_GET_NEXT
#define NS_MNT_GET_NEXT _IOR(0xb7, 11, struct sys_ns_info)
#define NS_MNT_GET_PREV _IOR(0xb7, 12, struct sys_ns_info)
#endif
#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif
#ifndef SYS_statmount
#define SYS_statmount 457
#define SYS_listmount 458
#endif

/* <linux/mount.h> has these from Linux 6.8 on, the namespace's number from 6.11 on. */
#ifndef STATMOUNT_SB_BASIC
#define STATMOUNT_SB_BASIC 0x01u
#define STATMOUNT_MNT_BASIC 0x02u
#define STATMOUNT_MNT_ROOT 0x08u
#define STATMOUNT_MNT_POINT 0x10u
#endif
#define SYS_LSMT_ROOT UINT64_MAX
#define SYS_STATX_MNT_ID_UNIQUE 0x4000u
struct sys_mnt_id_req {
	uint32_t size, spare;
	uint64_t mnt_id, param, mnt_ns_id;
};
struct sys_statmount {
	uint32_t size, mnt_opts;
	uint64_t mask;
	uint32_t sb_dev_major, sb_dev_minor;
	uint64_t sb_magic;
	uint32_t sb_flags, fs_type;
	uint64_t mnt_id, mnt_parent_id;
	uint32_t mnt_id_old, mnt_parent_id_old;
	uint64_t mnt_attr, mnt_propagation, mnt_peer_group, mnt_master, propagate_from;
	uint32_t mnt_root, mnt_point; /* from the end of the structure */
	uint64_t rest[50];
};
_Static_assert(sizeof(struct sys_statmount) == 512, "as the kernel has it");

/* Linux 5.6 */
static inline int sys_openat2(int dirfd, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve)
{
	struct open_how how = {.flags = flags, .mode = mode, .resolve = resolve};

	return (int)syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
}

/* Linux 5.3; CLONE_INTO_CGROUP 5.7. With no stack it is a fork. */
static inline pid_t sys_clone3(struct clone_args *args)
{
	return (pid_t)syscall(SYS_clone3, args, sizeof(*args));
}

/* Linux 5.3 */
static inline int sys_pidfd_open(pid_t pid, unsigned flags)
{
	return (int)syscall(SYS_pidfd_open, pid, flags);
}

/* Linux 5.1 */
static inline int sys_pidfd_send_signal(int pidfd, int sig, siginfo_t *info, unsigned flags)
{
	return (int)syscall(SYS_pidfd_send_signal, pidfd, sig, info, flags);
}

/* Linux 5.9; CLOSE_RANGE_CLOEXEC 5.11 */
static inline int sys_close_range(unsigned first, unsigned last, unsigned flags)
{
	return (int)syscall(SYS_close_range, first, last, flags);
}

/* Linux 5.2 */
static inline int sys_open_tree(int dirfd, const char *path, unsigned flags)
{
	return (int)syscall(SYS_open_tree, dirfd, path, flags);
}

static inline int sys_move_mount(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
	return (int)syscall(SYS_move_mount, from_fd, from, to_fd, to, flags);
}

static inline int sys_fsopen(const char *type, unsigned flags)
{
	return (int)syscall(SYS_fsopen, type, flags);
}

static inline int sys_fsconfig(int fd, unsigned cmd, const char *key, const void *value, int aux)
{
	return (int)syscall(SYS_fsconfig, fd, cmd, key, value, aux);
}

static inline int sys_fsmount(int fd, unsigned flags, unsigned attr)
{
	return (int)syscall(SYS_fsmount, fd, flags, attr);
}

/* Linux 5.12 */
static inline int sys_mount_setattr(int dirfd, const char *path, unsigned flags, struct mount_attr *attr)
{
	return (int)syscall(SYS_mount_setattr, dirfd, path, flags, attr, sizeof(*attr));
}

/* Linux 6.8; of another namespace 6.11 */
static inline int sys_statmount(const struct sys_mnt_id_req *req, void *buf, size_t size)
{
	return (int)syscall(SYS_statmount, req, buf, size, 0);
}

static inline ssize_t sys_listmount(const struct sys_mnt_id_req *req, uint64_t *ids, size_t n)
{
	return syscall(SYS_listmount, req, ids, n, 0);
}

static inline int sys_pivot_root(const char *new_root, const char *put_old)
{
	return (int)syscall(SYS_pivot_root, new_root, put_old);
}

#endif
