/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a volume's tree is still mounted in another mount namespace. */
#include "hooks/engine/tree_mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "base/sys.h"
#include "hooks/engine/mount_numbers.h"

struct box {
	char dir[32];
	int fd; /* of dir/tree */
};

static int setup(void **state)
{
	static struct box b;
	char path[64];

	strcpy(b.dir, "/tmp/volrun-mounts.XXXXXX");
	if (!mkdtemp(b.dir))
		return -1;
	snprintf(path, sizeof(path), "%s/tree", b.dir);
	mkdir(path, 0700);
	b.fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(path, sizeof(path), "%s/other", b.dir);
	mkdir(path, 0700);
	*state = &b;
	return b.fd < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	struct box *b = *state;

	close(b->fd);
	return remove_tree_at(AT_FDCWD, b->dir);
}

/* Ends before its mounts can be read. */
static pid_t victim;
int __real_open(const char *path, int flags, mode_t mode);
int __wrap_open(const char *path, int flags, mode_t mode);
int __wrap_open(const char *path, int flags, mode_t mode)
{
	char mounts[64];

	snprintf(mounts, sizeof(mounts), "/proc/%d/mountinfo", (int)victim);
	if (victim > 0 && strcmp(path, mounts) == 0) {
		kill(victim, SIGKILL);
		waitpid(victim, NULL, 0);
		victim = 0;
	}
	return __real_open(path, flags, mode);
}

/* Else the look at the mounts finds a FIFO where libmount looks for what "/dev/root" is. */
static bool hide_root(const struct box *b)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/other", b->dir);
	return mount("/dev/root", path, "tmpfs", 0, NULL) == 0 && mount("none", "/proc", "tmpfs", 0, NULL) == 0 &&
	       mkfifo("/proc/cmdline", 0600) == 0;
}

/* A process whose mount namespace has dir/name mounted on itself. Returns when it is. */
static pid_t mount_in_box(const struct box *b, const char *name, bool (*more)(const struct box *))
{
	int ready[2];
	char c = 0;
	pid_t pid;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		char path[64];

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		snprintf(path, sizeof(path), "%s/%s", b->dir, name);
		if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		    mount(path, path, NULL, MS_BIND, NULL) < 0 || (more && !more(b)))
			_exit(1);
		(void)!write(ready[1], &c, 1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	return pid;
}

static pid_t mount_elsewhere(const struct box *b, const char *name)
{
	return mount_in_box(b, name, NULL);
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void a_tree_is_held_as_long_as_a_namespace_has_it_mounted(void **state)
{
	struct box *b = *state;
	pid_t pid;

	assert_false(tree_is_mounted_elsewhere(b->fd, NULL));
	pid = mount_elsewhere(b, "tree");
	assert_true(tree_is_mounted_elsewhere(b->fd, NULL));
	assert_true(tree_is_mounted_elsewhere(b->fd, "/nowhere"));
	assert_false(tree_is_mounted_here(b->fd));
	end(pid);
	assert_false(tree_is_mounted_elsewhere(b->fd, NULL));
}

static void a_mount_of_another_directory_is_not_the_tree(void **state)
{
	struct box *b = *state;
	pid_t pid = mount_elsewhere(b, "other");

	assert_false(tree_is_mounted_elsewhere(b->fd, NULL));
	end(pid);
}

static void a_tree_that_was_renamed_is_still_found(void **state)
{
	struct box *b = *state;
	pid_t pid = mount_elsewhere(b, "tree");
	int dir = open(b->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_int_equal(renameat(dir, "tree", dir, "with space"), 0);
	assert_true(tree_is_mounted_elsewhere(b->fd, NULL));
	end(pid);
	close(dir);
}

/* root: its root directory there; NULL: that of the namespace. */
static pid_t fork_in_namespace_of(pid_t pid, const char *root)
{
	char path[64];
	int ns, ready[2];
	pid_t child;
	char c = 0;

	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)pid);
	ns = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (setns(ns, CLONE_NEWNS) < 0 || (root && chroot(root) < 0))
			_exit(1);
		(void)!write(ready[1], &c, 1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	close(ns);
	return child;
}

static void a_process_that_ends_meanwhile_hides_nothing_of_its_namespace(void **state)
{
	struct box *b = *state;
	pid_t first = mount_elsewhere(b, "tree"), other = fork_in_namespace_of(first, NULL);

	victim = first;
	assert_true(tree_is_mounted_elsewhere(b->fd, NULL));
	assert_int_equal(victim, 0);
	end(other);
}

static void a_process_with_a_root_of_its_own_hides_nothing_of_its_namespace(void **state)
{
	struct box *b = *state;
	pid_t first = mount_elsewhere(b, "tree"), chrooted, other;
	char root[64];

	snprintf(root, sizeof(root), "%s/other", b->dir);
	chrooted = fork_in_namespace_of(first, root);
	other = fork_in_namespace_of(first, NULL);
	end(first);
	assert_true(tree_is_mounted_elsewhere(b->fd, NULL));
	assert_int_equal(tree_make_quiet(b->fd), 1);
	end(other);
	assert_false(tree_is_mounted_elsewhere(b->fd, NULL));
	end(chrooted);
}

static void the_look_into_a_namespace_opens_nothing_of_its_own(void **state)
{
	struct box *b = *state;
	pid_t pid = mount_in_box(b, "tree", hide_root);
	char path[64];
	int ns;

	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)pid);
	ns = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(ns >= 0);
	assert_true(tree_is_mounted_elsewhere(b->fd, NULL));
	/* 0 if it had to be killed. */
	assert_int_equal(tree_make_quiet_in(b->fd, ns), 1);
	close(ns);
	end(pid);
}

/* -errno of a file being made in dir/tree, in the namespace. */
static int write_in(const struct box *b, int ns)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		char path[64];

		snprintf(path, sizeof(path), "%s/tree/file", b->dir);
		if (setns(ns, CLONE_NEWNS) < 0)
			_exit(0);
		_exit(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) < 0 ? errno : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return -WEXITSTATUS(status);
}

static bool mount_part(const struct box *b)
{
	char from[64], to[64];

	snprintf(from, sizeof(from), "%s/tree/part", b->dir);
	snprintf(to, sizeof(to), "%s/other", b->dir);
	return mkdir(from, 0700) == 0 && mount(from, to, NULL, MS_BIND, NULL) == 0;
}

static bool numbers_work;

/* By what the kernel says of all namespaces, or -1 where it is too old. */
static int elsewhere(const struct box *b)
{
	struct mount_numbers m;
	char path[PATH_MAX];

	if (!numbers_work)
		return -1;
	assert_int_equal(mount_numbers_of(b->fd, &m), 0);
	assert_true(strlen(mount_numbers_root(&m)) + strlen(b->dir) < sizeof(path) - 8);
	snprintf(path, sizeof(path), "%s%s/tree", strcmp(mount_numbers_root(&m), "/") ? mount_numbers_root(&m) : "",
		 b->dir + (strcmp(mount_numbers_point(&m), "/") ? strlen(mount_numbers_point(&m)) : 0));
	return mount_numbers_elsewhere(makedev(m.s.sb_dev_major, m.s.sb_dev_minor), path);
}

static void a_namespace_that_only_a_descriptor_keeps_is_made_quiet(void **state)
{
	struct box *b = *state;
	pid_t pid = mount_elsewhere(b, "tree");
	char path[64];
	int ns;

	assert_int_not_equal(elsewhere(b), 0);
	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)pid);
	ns = open(path, O_RDONLY | O_CLOEXEC);
	end(pid);
	assert_int_not_equal(elsewhere(b), 0);
	assert_int_equal(write_in(b, ns), 0);
	if (numbers_work) {
		assert_int_equal(tree_make_quiet(b->fd), 1);
		assert_int_equal(write_in(b, ns), -EROFS);
	}
	close(ns);
	/* Another process of the machine that looks at all namespaces may have it at hand for a moment. */
	for (int i = 0; i < 100 && elsewhere(b) > 0; i++)
		usleep(10000);
	assert_true(elsewhere(b) <= 0);
}

static void a_mount_of_a_part_of_the_tree_is_made_quiet(void **state)
{
	struct box *b = *state;
	pid_t pid = mount_in_box(b, "other", mount_part);

	assert_int_not_equal(elsewhere(b), 0);
	assert_int_equal(tree_make_quiet(b->fd), 1);
	end(pid);
}

/* As on a kernel that has neither statmount(2) nor listmount(2). For this process, for good. */
static bool make_old(void)
{
	struct sock_filter code[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_statmount, 1, 0),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_listmount, 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(code) / sizeof(*code), code};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* Is there a kernel that numbers mounts, and lists namespaces (Linux 6.12)? */
static bool are_numbered(void)
{
	return mount_numbers_elsewhere(0, "/") == 0;
}

int main(void)
{
	int failed;
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(a_tree_is_held_as_long_as_a_namespace_has_it_mounted, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_mount_of_another_directory_is_not_the_tree, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_tree_that_was_renamed_is_still_found, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_process_that_ends_meanwhile_hides_nothing_of_its_namespace, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(a_process_with_a_root_of_its_own_hides_nothing_of_its_namespace, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(the_look_into_a_namespace_opens_nothing_of_its_own, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_namespace_that_only_a_descriptor_keeps_is_made_quiet, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_mount_of_a_part_of_the_tree_is_made_quiet, setup, teardown),
	};

	if (geteuid() != 0)
		return 77; /* mounts need root */
	numbers_work = are_numbered();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	if (!numbers_work || !make_old())
		return failed;
	numbers_work = are_numbered();
	return failed + cmocka_run_group_tests_name("an older kernel", tests, NULL, NULL);
}
