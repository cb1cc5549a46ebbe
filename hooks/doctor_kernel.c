/* SPDX-License-Identifier: Apache-2.0 */
/* `volrun doctor`: what the kernel has of what volrun uses. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/statfs.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/sys.h"
#include "hooks/doctor.h"

#define PROC_FILE_MAX (64 * 1024)
#define CGROUP_V1_MAGIC 0x27e0eb
#define CGROUP_V2_MAGIC 0x63677270

static bool is_there(int result)
{
	return result >= 0 || errno != ENOSYS;
}

/* Each with arguments that can do nothing: what the kernel has not got says ENOSYS before it looks at them. */
static bool has_openat2(void)
{
	return is_there(sys_openat2(-1, "", O_PATH, 0, 0));
}
static bool has_pidfd_open(void)
{
	return is_there(sys_pidfd_open(-1, 0));
}
static bool has_open_tree(void)
{
	return is_there(sys_open_tree(-1, "", 0));
}
static bool has_fsopen(void)
{
	int fd = sys_fsopen("no-such-file-system", 0);

	return is_there(fd);
}
static bool has_mount_setattr(void)
{
	struct mount_attr attr = {0};

	return is_there(sys_mount_setattr(-1, "", 0, &attr));
}

static const struct {
	const char *name, *since, *without;
	bool (*has)(void);
	enum doctor_result result;
} calls[] = {
    {"pidfd_open(2)", "5.3", "containers can't be watched", has_pidfd_open, DOCTOR_PROBLEM},
    {"open_tree(2)", "5.2", "volumes can't be mounted", has_open_tree, DOCTOR_PROBLEM},
    {"fsopen(2)", "5.2", "file systems can't be mounted by descriptor", has_fsopen, DOCTOR_PROBLEM},
    {"openat2(2)", "5.6", "paths in a root file system can't be resolved safely", has_openat2, DOCTOR_PROBLEM},
    {"mount_setattr(2)", "5.12", "containers and volumes can't be mounted", has_mount_setattr, DOCTOR_PROBLEM},
};

static void look_at_calls(struct doctor *d)
{
	struct utsname u;
	bool all = true;

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		if (calls[i].has())
			continue;
		all = false;
		doctor_say(d, calls[i].result, calls[i].name,
			   arena_printf(d->arena,
					"use Linux %s or newer, or allow the call where a filter of system "
					"calls (a container's) hides it",
					calls[i].since),
			   "the kernel has not got it: %s", calls[i].without);
	}
	if (all && uname(&u) == 0)
		doctor_say(d, DOCTOR_OK, "kernel", NULL,
			   "%s has openat2, pidfd_open, open_tree, fsopen and mount_setattr", u.release);
}

/* --- cgroups ---------------------------------------------------------------------------- */

static bool is_fs(const char *path, unsigned long magic)
{
	struct statfs s;

	return statfs(path, &s) == 0 && (unsigned long)s.f_type == magic;
}

/* Is it one of the words of a line? */
static bool has_word(const char *text, const char *word)
{
	size_t len = strlen(word), n;

	for (; *text; text += n + (text[n] != '\0')) {
		n = strcspn(text, " \n");
		if (n == len && strncmp(text, word, len) == 0)
			return true;
	}
	return false;
}

static const char *const controllers[] = {"cpu", "cpuset", "io", "memory", "pids", NULL};

/* Of v2: what can be handed down from the root; of v1: hierarchies where distributions mount them. */
static bool has_controller(const char *v2, const char *name)
{
	char path[64];

	if (v2)
		return has_word(v2, name);
	snprintf(path, sizeof(path), "/sys/fs/cgroup/%s", strcmp(name, "io") == 0 ? "blkio" : name);
	return is_fs(path, CGROUP_V1_MAGIC);
}

static void say_missing(struct doctor *d, const char *v2)
{
	_cleanup_strbuf_ struct strbuf missing = STRBUF_INIT;

	for (size_t i = 0; controllers[i]; i++)
		if (!has_controller(v2, controllers[i]))
			strbuf_addf(&missing, "%s%s", missing.len ? ", " : "", controllers[i]);
	if (missing.len)
		doctor_say(d, DOCTOR_WARNING, "cgroup controllers",
			   "enable them (kernel command line, or cgroup.subtree_control of the cgroups above)",
			   "not there: %s; a container that asks for such a limit is refused", strbuf_str(&missing));
}

static void look_at_cgroups(struct doctor *d)
{
	_cleanup_free_ char *v2 = NULL;
	bool unified = is_fs("/sys/fs/cgroup", CGROUP_V2_MAGIC);

	if (unified && read_file_at(AT_FDCWD, "/sys/fs/cgroup/cgroup.controllers", PROC_FILE_MAX, &v2, NULL) == 0) {
		v2[strcspn(v2, "\n")] = '\0';
		doctor_say(d, DOCTOR_OK, "cgroups", NULL, "version 2, with %s; the freezer is part of it", v2);
		say_missing(d, v2);
		return;
	}
	if (!has_controller(NULL, "memory") && !has_controller(NULL, "pids") && !has_controller(NULL, "freezer")) {
		doctor_say(d, DOCTOR_PROBLEM, "cgroups", "mount -t cgroup2 none /sys/fs/cgroup",
			   "nothing is mounted on /sys/fs/cgroup: containers can't be limited, nor found again");
		return;
	}
	doctor_say(d, DOCTOR_OK, "cgroups", NULL, "version 1%s",
		   is_fs("/sys/fs/cgroup/unified", CGROUP_V2_MAGIC) ? ", and 2 beside it" : "");
	say_missing(d, NULL);
	if (!has_controller(NULL, "freezer"))
		doctor_say(d, DOCTOR_WARNING, "freezer", "mount the freezer's hierarchy, or use cgroup version 2",
			   "not there: no `pause`, and no commits while a container runs (sync=)");
}

/* --- user namespaces -------------------------------------------------------------------- */

/* In the child: says 0 or an errno, and waits until nobody is there any more. */
static void be_namespace(int sock)
{
	int code = unshare(CLONE_NEWUSER) < 0 ? errno : 0;
	char c;

	if (write(sock, &code, sizeof(code)) == (ssize_t)sizeof(code))
		while (read(sock, &c, 1) < 0 && errno == EINTR)
			;
	_exit(0);
}

/* The maps are another user's where we may write such, else our own id only. */
static int open_namespace(pid_t pid)
{
	static const char *const names[] = {"uid_map", "gid_map"};
	char path[64], own[64];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, names[i]);
		snprintf(own, sizeof(own), "0 %u 1", (unsigned)(i ? getegid() : geteuid()));
		if (write_file_at(AT_FDCWD, path, "0 100000 65536") < 0)
			write_file_at(AT_FDCWD, path, own);
	}
	snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* 0, or an errno. */
static int make_namespace(int *ret_fd)
{
	_cleanup_close_ int ours = -1;
	int pair[2], code = EIO;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return errno;
	ours = pair[0];
	pid = fork();
	if (pid == 0) {
		close(pair[0]);
		be_namespace(pair[1]);
	}
	close(pair[1]);
	if (pid < 0)
		return errno;
	if (read_full(ours, &code, sizeof(code)) == 0 && code == 0)
		*ret_fd = open_namespace(pid);
	close(TAKE_FD(ours)); /* lets it go */
	waitpid(pid, NULL, 0);
	return code;
}

static void look_at_user_namespaces(struct doctor *d)
{
	int code = make_namespace(&d->userns_fd);

	if (code == 0)
		doctor_say(d, DOCTOR_OK, "user namespaces", NULL, "they can be made");
	else
		doctor_say(d, geteuid() == 0 ? DOCTOR_WARNING : DOCTOR_PROBLEM, "user namespaces",
			   "sysctl -w user.max_user_namespaces=65536, and (Debian, Ubuntu) "
			   "kernel.unprivileged_userns_clone=1 or kernel.apparmor_restrict_unprivileged_userns=0",
			   "none can be made (%s): no containers of ordinary users, none with ids of their own",
			   strerror(code));
}

/* --- the rest ---------------------------------------------------------------------------- */

static void look_at_seccomp(struct doctor *d)
{
	_cleanup_free_ char *actions = NULL;

	if (read_file_at(AT_FDCWD, "/proc/sys/kernel/seccomp/actions_avail", PROC_FILE_MAX, &actions, NULL) < 0) {
		doctor_say(d, DOCTOR_PROBLEM, "seccomp", "use a kernel with CONFIG_SECCOMP_FILTER",
			   "the kernel has none: a container with a filter (each of Docker's) is refused");
		return;
	}
	actions[strcspn(actions, "\n")] = '\0';
	doctor_say(d, DOCTOR_OK, "seccomp", NULL, "%s", actions);
}

static void look_at_overlay(struct doctor *d)
{
	_cleanup_free_ char *text = NULL;

	if (read_file_at(AT_FDCWD, "/proc/filesystems", PROC_FILE_MAX, &text, NULL) == 0 && strstr(text, "\toverlay\n"))
		doctor_say(d, DOCTOR_OK, "overlay", NULL, "the kernel has it");
	else
		doctor_say(d, DOCTOR_WARNING, "overlay", "modprobe overlay (and a line in /etc/modules-load.d)",
			   "not loaded; engines make the root file systems of containers of it");
}

void doctor_kernel(struct doctor *d)
{
	look_at_calls(d);
	look_at_cgroups(d);
	look_at_user_namespaces(d);
	look_at_seccomp(d);
	look_at_overlay(d);
}
