/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/sys.h"
#include "runtime/handshake.h"
#include "runtime/launcher.h"
#include "tests/seccomp_engine.h"

static const struct seccomp_program no_filter;
static const char *const env[] = {"WORD=heard", NULL};

/* Executes argv by a launcher; returns its exit status, and in err what was reported (code 0: nothing). */
static int launch(const struct seccomp_program *filter, const char *const *argv, struct error *err)
{
	struct handshake_message m;
	int pair[2], status, fd;
	pid_t pid;

	assert_int_equal(handshake_pair(pair, err), 0);
	pid = fork();
	if (pid == 0) {
		struct launcher l;
		int listener;

		signal(SIGSYS, SIG_DFL); /* cmocka has its own */
		sys_close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
		launcher_open(filter, pair[1], &l);
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		    (filter->prog.len && seccomp_install(filter, &listener, err) < 0))
			_exit(200);
		launcher_execute(&l, argv, env);
		_exit(201);
	}
	close(pair[1]);
	err->code = 0;
	assert_in_range(handshake_recv(pair[0], &m, &fd, err) + 4096, 0, 4096);
	close(pair[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void the_program_has_its_arguments_and_environment_and_no_descriptor_of_ours(void **state)
{
	const char *script = "[ \"$0.$1.$WORD.$#\" = zero.one.heard.1 ] && set -- /proc/self/fd/* && exit $#";
	const char *argv[] = {"/bin/sh", "sh", "-c", script, "zero", "one", NULL};
	struct error err = ERROR_INIT;

	(void)state;
	/* 0, 1, 2 and the one that reads the directory: a shell's glob has closed it again, but has seen it. */
	assert_in_range(launch(&no_filter, argv, &err), 3, 4);
	assert_int_equal(err.code, 0);
}

static void a_program_that_cannot_be_executed_is_reported_with_its_path(void **state)
{
	const char *missing[] = {"/no/such/program", "x", NULL}, *directory[] = {"/", "", "y", NULL};
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(launch(&no_filter, missing, &err), 255);
	assert_int_equal(err.code, ENOENT);
	assert_string_equal(err.msg, "exec /no/such/program: no such file or directory");
	assert_int_equal(launch(&no_filter, directory, &err), 255);
	assert_string_equal(err.msg, "exec /: permission denied");
}

static void a_limit_of_no_bytes_is_no_end(void **state)
{
	const struct rlimit none = {0, RLIM_INFINITY};
	struct rlimit before;
	struct launcher l;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	launcher_open(&no_filter, STDERR_FILENO, &l);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(l.fd, -1);
}

static void nobody_can_write_to_it(void **state)
{
	struct launcher l;
	char path[40], byte = 0;

	(void)state;
	launcher_open(&no_filter, STDERR_FILENO, &l);
	assert_true(l.fd >= 0 && l.report_fd >= 0 && l.report_fd != l.fd);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", l.fd);
	for (int flags = O_WRONLY; flags <= O_RDWR; flags++) {
		_cleanup_close_ int fd = open(path, flags | O_CLOEXEC);

		assert_true(fd < 0 || write(fd, &byte, 1) < 0);
		assert_true(fd < 0 || ftruncate(fd, 0) < 0);
	}
	assert_int_equal(fcntl(l.fd, F_GET_SEALS), F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
	close(l.fd);
	close(l.report_fd);
}

/* --- filters ------------------------------------------------------------------------ */

static struct arena arena = ARENA_INIT;

static int release(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

static struct seccomp_program compiled(const struct spec_seccomp *s)
{
	struct seccomp_program p;
	struct error err = ERROR_INIT;

	if (seccomp_compile(s, false, &arena, &p, &err) < 0)
		fail_msg("%s", err.msg);
	return p;
}

static void an_engines_filter_lets_it_work(void **state)
{
	const struct spec_seccomp s = engine_profile();
	const struct seccomp_program p = compiled(&s);
	const char *argv[] = {"/bin/sh", "sh", "-c", "exit 7", NULL}, *missing[] = {"/no/such", "x", NULL};
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(launch(&p, argv, &err), 7);
	assert_int_equal(launch(&p, missing, &err), 255);
	assert_int_equal(err.code, ENOENT);
}

static struct seccomp_program all_but(const char *name, const char *action)
{
	const char *names[] = {name};
	struct spec_seccomp_syscall rule = {.names = names, .n_names = 1, .action = action};
	const struct spec_seccomp s = {.default_action = "SCMP_ACT_ALLOW", .syscalls = &rule, .n_syscalls = 1};

	return compiled(&s);
}

static void there_is_none_where_the_filter_would_not_let_it(void **state)
{
	static const struct {
		const char *name, *action;
		bool there;
	} cases[] = {
	    {"execveat", "SCMP_ACT_ERRNO", false}, {"execveat", "SCMP_ACT_KILL_PROCESS", false},
	    {"fcntl", "SCMP_ACT_KILL", false},	   {"execveat", "SCMP_ACT_TRAP", false},
	    {"execveat", "SCMP_ACT_LOG", true},	   {"mkdir", "SCMP_ACT_KILL", true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct seccomp_program p = all_but(cases[i].name, cases[i].action);
		struct launcher l;

		launcher_open(&p, STDERR_FILENO, &l);
		assert_int_equal(l.fd >= 0, cases[i].there);
		cleanup_close(&l.fd);
		cleanup_close(&l.report_fd);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_program_has_its_arguments_and_environment_and_no_descriptor_of_ours),
	    cmocka_unit_test(a_program_that_cannot_be_executed_is_reported_with_its_path),
	    cmocka_unit_test(a_limit_of_no_bytes_is_no_end),
	    cmocka_unit_test(nobody_can_write_to_it),
	    cmocka_unit_test_teardown(an_engines_filter_lets_it_work, release),
	    cmocka_unit_test_teardown(there_is_none_where_the_filter_would_not_let_it, release),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
