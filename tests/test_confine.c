/* SPDX-License-Identifier: Apache-2.0 */
/* What is left to a program after confine(); each case in a process of its own, as there is no way back. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/sys.h"
#include "hooks/confine.h"

static void in_child(int (*fn)(void))
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(fn());
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* The number of the first line that was not so. */
#define CHECK(x)                                                                                                       \
	do {                                                                                                           \
		if (!(x))                                                                                              \
			return __LINE__ % 256 ? __LINE__ % 256 : 1;                                                    \
	} while (0)

static bool fails(long r, int error)
{
	return r < 0 && errno == error;
}

static uint64_t in_effect(void)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct d[2];

	return syscall(SYS_capget, &h, d) < 0 ? 0 : d[0].effective | (uint64_t)d[1].effective << 32;
}

static int calls_child(void)
{
	struct error err = ERROR_INIT;

	CHECK(confine(&err) == 0 && confine_refused() == -1);
	CHECK(fails(unshare(CLONE_NEWNS), ENOSYS));
	CHECK(confine_refused() == SYS_unshare);
	CHECK(fails(mount("none", "/", NULL, MS_REMOUNT, NULL), ENOSYS));
#ifndef CONFINE_SANITIZED
	CHECK(fails(ptrace(PTRACE_TRACEME, 0, 0, 0), ENOSYS));
#endif
	CHECK(fails(syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0), ENOSYS));
	CHECK(fails(socket(AF_PACKET, SOCK_RAW, 0), EAFNOSUPPORT));
	CHECK(fails(prctl(PR_SET_MM, 0, 0, 0, 0), EINVAL));
	/* The first one stays. */
	CHECK(confine_refused() == SYS_unshare);
	CHECK(prctl(PR_GET_NAME, (char[16]){0}) == 0);
	return 0;
}

static void what_is_not_on_the_list_fails_and_is_noted(void **state)
{
	(void)state;
	in_child(calls_child);
}

/* clang-format off */
static const int dangers[] = {
	SYS_acct, SYS_add_key, SYS_bpf, SYS_chroot, SYS_delete_module, SYS_fanotify_init, SYS_finit_module, SYS_fsconfig,
	SYS_fsmount, SYS_fsopen, SYS_init_module, SYS_io_uring_setup, SYS_kexec_load, SYS_keyctl, SYS_mknodat, SYS_mount,
	SYS_move_mount, SYS_name_to_handle_at, SYS_open_by_handle_at, SYS_perf_event_open, SYS_personality,
	SYS_pidfd_getfd, SYS_pivot_root, SYS_process_madvise, SYS_process_vm_readv, SYS_process_vm_writev, SYS_quotactl,
	SYS_reboot, SYS_request_key, SYS_setfsuid, SYS_setgid, SYS_setgroups, SYS_sethostname, SYS_setresuid, SYS_setuid,
	SYS_shmget, SYS_swapon, SYS_syslog, SYS_umount2, SYS_unshare, SYS_userfaultfd, SYS_vhangup, 0x3fffffff,
	0x40000000 | SYS_read, INT32_MAX,
};
/* clang-format on */

/* By the filter, and not by a kernel that has no such call: it notes the first that it refuses. */
static int danger;

static int danger_child(void)
{
	struct error err = ERROR_INIT;

	CHECK(confine(&err) == 0);
	CHECK(fails(syscall(danger, -1, -1, -1, -1, -1, -1), ENOSYS) && confine_refused() == danger);
	/* Their neighbours. */
	CHECK(syscall(SYS_getpid) == getpid() && syscall(SYS_gettid) > 0 && syscall(SYS_umask, 077) >= 0);
	CHECK(fails(syscall(SYS_faccessat2, -1, "x", 0, 0), EBADF));
	CHECK(fails(syscall(SYS_mount_setattr, -1, "x", 0, 0, 0), EINVAL));
	return 0;
}

static void what_could_harm_the_host_is_not_on_the_list(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(dangers); i++) {
		danger = dangers[i];
		in_child(danger_child);
	}
}

static int run_child(void)
{
	char *argv[] = {(char *)"true", NULL};
	struct error err = ERROR_INIT;

	CHECK(confine(&err) == 0 && confine_for_run(&err) == 0);
	CHECK(fails(execve("/bin/true", argv, argv + 1), ENOSYS) && confine_refused() == SYS_execve);
	CHECK(fails(sys_open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE), ENOSYS));
	return 0;
}

static void no_program_and_no_mount_after_the_trees_are_made(void **state)
{
	(void)state;
	in_child(run_child);
}

static void *executes(void *ret)
{
	char *argv[] = {(char *)"true", NULL};

	while (confine_refused() < 0) {
		sched_yield();
		execve("/nowhere", argv, argv + 1);
	}
	*(bool *)ret = confine_refused() == SYS_execve;
	return NULL;
}

static int thread_child(void)
{
	struct error err = ERROR_INIT;
	bool refused = false;
	pthread_t thread;

	CHECK(confine(&err) == 0);
	CHECK(pthread_create(&thread, NULL, executes, &refused) == 0);
	CHECK(confine_for_run(&err) == 0);
	CHECK(pthread_join(thread, NULL) == 0 && refused);
	return 0;
}

static void threads_that_run_already_are_held_too(void **state)
{
	(void)state;
	in_child(thread_child);
}

static int rights_child(void)
{
	const uint64_t always = 1u << CAP_DAC_OVERRIDE | 1u << CAP_CHOWN | 1u << CAP_FOWNER, had = in_effect();
	struct error err = ERROR_INIT;

	CHECK(confine(&err) == 0);
	CHECK(in_effect() == (always & had));
	{
		_cleanup_right_ struct right r = right_raise(CAP_KILL);

		CHECK(in_effect() == ((always | 1u << CAP_KILL) & had));
		{
			_cleanup_right_ struct right again = right_raise(CAP_KILL);
		}
		CHECK(in_effect() == ((always | 1u << CAP_KILL) & had));
	}
	CHECK(in_effect() == (always & had));
	confine_drop(CAP_KILL);
	right_raise(CAP_KILL);
	right_raise(CAP_SYS_MODULE);
	CHECK(in_effect() == (always & had));
	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	return 0;
}

static void a_right_is_there_for_its_step_alone(void **state)
{
	(void)state;
	in_child(rights_child);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_not_on_the_list_fails_and_is_noted),
	    cmocka_unit_test(what_could_harm_the_host_is_not_on_the_list),
	    cmocka_unit_test(no_program_and_no_mount_after_the_trees_are_made),
	    cmocka_unit_test(threads_that_run_already_are_held_too),
	    cmocka_unit_test(a_right_is_there_for_its_step_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
