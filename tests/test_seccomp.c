/* SPDX-License-Identifier: Apache-2.0 */
/* Filters are compiled here and loaded in children, which say what the kernel does. */
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "runtime/seccomp.h"
#include "runtime/seccomp_notify.h"
#include "tests/seccomp_engine.h"

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

static struct arena arena = ARENA_INIT;
static struct error err;
static struct seccomp_program program;

static int release(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

static void compile(const struct spec_seccomp *s)
{
	if (seccomp_compile(s, false, &arena, &program, &err) < 0)
		fail_msg("%s", err.msg);
}

/* What a child sees that has loaded the program: its exit status, or 1000 + a signal. */
static int in_child(int (*body)(int listener))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		int listener = -2;

		signal(SIGSYS, SIG_DFL); /* cmocka has its own */
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || seccomp_install(&program, &listener, &err) < 0)
			_exit(200);
		_exit(body(listener));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int errno_of_getppid(int listener)
{
	if (listener != -1)
		return 201;
	return syscall(SYS_getppid) < 0 ? errno : 0;
}

static struct spec_seccomp_syscall call(const char **names, const char *action)
{
	struct spec_seccomp_syscall c = {.names = names, .action = action};

	while (names[c.n_names])
		c.n_names++;
	return c;
}

static const char *getppid_only[] = {"getppid", NULL};

/* --- tests ----------------------------------------------------------------------- */

static void a_rule_returns_its_errno(void **state)
{
	uint32_t number = ENOTUNIQ;
	struct spec_seccomp_syscall calls[] = {call(getppid_only, "SCMP_ACT_ERRNO")};
	struct spec_seccomp s = {.default_action = "SCMP_ACT_ALLOW", .syscalls = calls, .n_syscalls = 1};

	(void)state;
	compile(&s);
	assert_int_equal(in_child(errno_of_getppid), EPERM);
	assert_int_equal(program.flags, SECCOMP_FILTER_FLAG_SPEC_ALLOW);
	calls[0].errno_ret = &number;
	compile(&s);
	assert_int_equal(in_child(errno_of_getppid), ENOTUNIQ);
}

static int errno_of_personality(int listener)
{
	(void)listener;
	return syscall(SYS_personality, 0xffffffff) < 0 ? errno : 0;
}

static void the_default_has_its_own_errno_and_rules_make_exceptions(void **state)
{
	uint32_t number = ENOSYS;
	struct spec_seccomp_syscall calls[] = {call(engine_names, "SCMP_ACT_ALLOW")};
	struct spec_seccomp s = {
	    .default_action = "SCMP_ACT_ERRNO", .default_errno_ret = &number, .syscalls = calls, .n_syscalls = 1};

	(void)state;
	compile(&s);
	assert_int_equal(in_child(errno_of_personality), ENOSYS);
	assert_int_equal(in_child(errno_of_getppid), 0);
}

static void actions_that_kill_or_trap_do(void **state)
{
	static const struct {
		const char *action;
		int expected;
	} cases[] = {{"SCMP_ACT_KILL", 1000 + SIGSYS},
		     {"SCMP_ACT_KILL_PROCESS", 1000 + SIGSYS},
		     {"SCMP_ACT_KILL_THREAD", 1000 + SIGSYS},
		     {"SCMP_ACT_TRAP", 1000 + SIGSYS},
		     {"SCMP_ACT_TRACE", ENOSYS},
		     {"SCMP_ACT_LOG", 0}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct spec_seccomp_syscall calls[] = {call(getppid_only, cases[i].action)};
		struct spec_seccomp s = {.default_action = "SCMP_ACT_ALLOW", .syscalls = calls, .n_syscalls = 1};

		compile(&s);
		assert_int_equal(in_child(errno_of_getppid), cases[i].expected);
	}
}

static int try_prctl(int listener)
{
	(void)listener;
	/* 1: first refused; 2: second; 4: third. */
	return (prctl(PR_GET_DUMPABLE, 7, 0, 0, 0) < 0 && errno == ENOTUNIQ ? 1 : 0) |
	       (prctl(PR_GET_DUMPABLE, 8, 0, 0, 0) < 0 && errno == ENOTUNIQ ? 2 : 0) |
	       (prctl(PR_GET_KEEPCAPS, 7, 0, 0, 0) < 0 && errno == ENOTUNIQ ? 4 : 0);
}

static void arguments_are_compared_together_or_each_when_repeated(void **state)
{
	const char *names[] = {"prctl", NULL};
	uint32_t number = ENOTUNIQ;
	struct spec_seccomp_arg both[] = {{0, PR_GET_DUMPABLE, 0, "SCMP_CMP_EQ"}, {1, 7, 0, "SCMP_CMP_EQ"}};
	struct spec_seccomp_arg either[] = {{1, 7, 0, "SCMP_CMP_EQ"}, {1, 8, 0, "SCMP_CMP_EQ"}};
	struct spec_seccomp_arg masked[] = {{1, 0xf, 8, "SCMP_CMP_MASKED_EQ"}};
	struct spec_seccomp_syscall calls[] = {call(names, "SCMP_ACT_ERRNO")};
	struct spec_seccomp s = {.default_action = "SCMP_ACT_ALLOW", .syscalls = calls, .n_syscalls = 1};

	(void)state;
	calls[0].errno_ret = &number;
	calls[0].args = both;
	calls[0].n_args = 2;
	compile(&s);
	assert_int_equal(in_child(try_prctl), 1);
	calls[0].args = either;
	compile(&s);
	assert_int_equal(in_child(try_prctl), 7);
	calls[0].args = masked;
	calls[0].n_args = 1;
	compile(&s);
	assert_int_equal(in_child(try_prctl), 2);
}

static void unknown_system_calls_are_skipped(void **state)
{
	const char *names[] = {"no_such_call", "getppid", "", NULL};
	struct spec_seccomp_syscall calls[] = {call(names, "SCMP_ACT_ERRNO")};
	struct spec_seccomp s = {.default_action = "SCMP_ACT_ALLOW", .syscalls = calls, .n_syscalls = 1};

	(void)state;
	compile(&s);
	assert_int_equal(in_child(errno_of_getppid), EPERM);
}

static void an_unknown_system_call_is_an_error_when_asked_for(void **state)
{
	const char *names[] = {"getppid", "no_such_call", NULL};
	struct spec_seccomp_syscall calls[] = {call(names, "SCMP_ACT_ERRNO")};
	struct spec_seccomp s = {.default_action = "SCMP_ACT_ALLOW", .syscalls = calls, .n_syscalls = 1};

	(void)state;
	assert_int_equal(seccomp_compile(&s, true, &arena, &program, &err), -EINVAL);
	assert_string_equal(err.msg, "seccomp: unknown system call \"no_such_call\"");
}

static void a_rule_that_repeats_the_default_is_no_error(void **state)
{
	const char *names[] = {"getppid", "read", NULL};
	struct spec_seccomp_syscall calls[] = {call(names, "SCMP_ACT_ALLOW"), call(getppid_only, "SCMP_ACT_ERRNO"),
					       call(getppid_only, "SCMP_ACT_ERRNO")};
	struct spec_seccomp s = {.default_action = "SCMP_ACT_ALLOW", .syscalls = calls, .n_syscalls = 3};

	(void)state;
	compile(&s);
	assert_int_equal(in_child(errno_of_getppid), EPERM);
}

static int has_listener(int listener)
{
	return listener >= 0 ? 42 : 1;
}

static void notify_hands_out_a_listener(void **state)
{
	const char *flags[] = {"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", "SECCOMP_FILTER_FLAG_TSYNC", NULL};
	struct spec_seccomp_syscall calls[] = {call(getppid_only, "SCMP_ACT_NOTIFY")};
	struct spec_seccomp s = {
	    .default_action = "SCMP_ACT_ALLOW", .syscalls = calls, .n_syscalls = 1, .flags = flags, .n_flags = 2};

	(void)state;
	compile(&s);
	assert_true(program.notify);
	assert_true(program.flags & SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);
	assert_int_equal(in_child(has_listener), 42);
	/* The flag is for a listener only; the kernel would refuse it. */
	calls[0].action = "SCMP_ACT_ERRNO";
	compile(&s);
	assert_false(program.notify);
	assert_int_equal(in_child(errno_of_getppid), EPERM);
}

static volatile sig_atomic_t interrupted;

static void on_child(int sig)
{
	(void)sig;
	interrupted = 1;
}

/* With a handler from before the filter, as a shell has it for its children. */
static int is_left_alone(int sock)
{
	const struct sigaction shell = {.sa_handler = on_child};
	struct strbuf text = STRBUF_INIT;
	struct sigaction now;

	strbuf_adds(&text, "state");
	if (sigaction(SIGCHLD, &shell, NULL) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    seccomp_install_notify(&program, sock, &text, -1, &err) < 0)
		return 200;
	usleep(200000);
	if (interrupted || sigaction(SIGCHLD, NULL, &now) < 0 || now.sa_handler != on_child ||
	    (now.sa_flags & SA_NOCLDWAIT))
		return 1;
	return waitpid(-1, NULL, WNOHANG | __WALL) < 0 && errno == ECHILD ? 42 : 2;
}

static void who_sends_the_listener_is_no_child_of_the_program_and_interrupts_nothing(void **state)
{
	struct spec_seccomp_syscall calls[] = {call(getppid_only, "SCMP_ACT_NOTIFY")};
	struct spec_seccomp s = {.default_action = "SCMP_ACT_ALLOW", .syscalls = calls, .n_syscalls = 1};
	int sp[2], fd = -1, status;
	char got[16];
	size_t n = 1;
	pid_t pid;

	(void)state;
	compile(&s);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sp), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(is_left_alone(sp[1]));
	close(sp[1]);
	assert_int_equal(recv_fds(sp[0], got, sizeof(got), &fd, &n), strlen("state"));
	assert_int_equal(n, 1);
	close(fd);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 42);
	close(sp[0]);
}

static void the_spec_flags_reach_the_kernel(void **state)
{
	const char *flags[] = {"SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
			       NULL};
	struct spec_seccomp s = {.default_action = "SCMP_ACT_ALLOW", .flags = flags, .n_flags = 3};

	(void)state;
	compile(&s);
	assert_int_equal(program.flags,
			 SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_SPEC_ALLOW);
	assert_int_equal(in_child(errno_of_getppid), 0);
}

static void what_is_not_known_is_refused_by_name(void **state)
{
	const char *bad[] = {"BAD_WORD", NULL};
	uint32_t number = 1, huge = 70000;
	struct spec_seccomp_arg arg = {.index = 0, .op = "BAD_WORD"}, sixth = {.index = 6, .op = "SCMP_CMP_EQ"};
	struct spec_seccomp_syscall action = call(getppid_only, "BAD_WORD"), op = call(getppid_only, "SCMP_ACT_LOG"),
				    index = op, takes_none = op, range = call(getppid_only, "SCMP_ACT_ERRNO");
	const struct spec_seccomp cases[] = {
	    {.default_action = "BAD_WORD"},
	    {.default_action = NULL},
	    {.default_action = "SCMP_ACT_NOTIFY"},
	    {.default_action = "SCMP_ACT_ALLOW", .default_errno_ret = &number},
	    {.default_action = "SCMP_ACT_ALLOW", .flags = bad, .n_flags = 1},
	    {.default_action = "SCMP_ACT_ALLOW", .architectures = bad, .n_architectures = 1},
	    {.default_action = "SCMP_ACT_ALLOW", .syscalls = &action, .n_syscalls = 1},
	    {.default_action = "SCMP_ACT_ALLOW", .syscalls = &op, .n_syscalls = 1},
	    {.default_action = "SCMP_ACT_ALLOW", .syscalls = &index, .n_syscalls = 1},
	    {.default_action = "SCMP_ACT_ALLOW", .syscalls = &takes_none, .n_syscalls = 1},
	    {.default_action = "SCMP_ACT_ALLOW", .syscalls = &range, .n_syscalls = 1},
	};

	(void)state;
	op.args = &arg;
	index.args = &sixth;
	op.n_args = index.n_args = 1;
	takes_none.errno_ret = &number;
	range.errno_ret = &huge;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(seccomp_compile(&cases[i], false, &arena, &program, &err), -EINVAL);
		assert_int_equal(strncmp(err.msg, "seccomp: ", 9), 0);
	}
}

static int try_engine_profile(int listener)
{
	(void)listener;
	if (syscall(SYS_getppid) < 0)
		return 1;
	if (syscall(SYS_clone3, NULL, 0) != -1 || errno != ENOSYS)
		return 2;
	if (syscall(SYS_mount, NULL, NULL, NULL, 0, NULL) != -1 || errno != EPERM)
		return 3;
	if (syscall(SYS_personality, 0x20000) < 0 && errno == EPERM)
		return 4;
	if (syscall(SYS_personality, 0x1234567) != -1 || errno != EPERM)
		return 5;
	if (syscall(SYS_socket, 40 /* AF_VSOCK */, 1, 0) != -1 || errno != EPERM)
		return 6;
	return 0;
}

static void the_profile_of_the_container_engines_compiles_and_works(void **state)
{
	struct spec_seccomp s = engine_profile();
	int64_t start = clock_boottime_ns();

	(void)state;
	compile(&s);
	print_message("             %d instructions, compiled in %.1f ms\n", program.prog.len,
		      (double)(clock_boottime_ns() - start) / NSEC_PER_MSEC);
	assert_int_equal(in_child(try_engine_profile), 0);
}

#define CASE(test) cmocka_unit_test_teardown(test, release)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(a_rule_returns_its_errno),
	    CASE(the_default_has_its_own_errno_and_rules_make_exceptions),
	    CASE(actions_that_kill_or_trap_do),
	    CASE(arguments_are_compared_together_or_each_when_repeated),
	    CASE(unknown_system_calls_are_skipped),
	    CASE(an_unknown_system_call_is_an_error_when_asked_for),
	    CASE(a_rule_that_repeats_the_default_is_no_error),
	    CASE(notify_hands_out_a_listener),
	    CASE(who_sends_the_listener_is_no_child_of_the_program_and_interrupts_nothing),
	    CASE(the_spec_flags_reach_the_kernel),
	    CASE(what_is_not_known_is_refused_by_name),
	    CASE(the_profile_of_the_container_engines_compiles_and_works),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
