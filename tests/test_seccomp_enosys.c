/* SPDX-License-Identifier: Apache-2.0 */
/* Programs are run here by an interpreter, so that each architecture can be asked. */
#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "runtime/seccomp.h"
#include "runtime/seccomp_internal.h"
#include "tests/seccomp_engine.h"

#define ENOSYS_RESULT (SECCOMP_RET_ERRNO | ENOSYS)
#define EPERM_RESULT (SECCOMP_RET_ERRNO | EPERM)
#define X32 0x40000000

static struct arena arena = ARENA_INIT;
static struct error err;
static struct seccomp_program program;

static int release(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

/* What the kernel does with the call: SECCOMP_RET_*. */
static uint32_t ask(uint32_t arch, uint32_t nr, uint64_t arg)
{
	const struct seccomp_data data = {.arch = arch, .nr = (int)nr, .args = {arg}};

	return seccomp_run(&program, &data);
}

static void compile(const struct spec_seccomp *s)
{
	if (seccomp_compile(s, false, &arena, &program, &err) < 0)
		fail_msg("%s", err.msg);
}

/* --- tests ----------------------------------------------------------------------- */

/* The last one in the profile is cachestat (451). */
static void calls_younger_than_the_profile_fail_with_enosys_on_each_architecture(void **state)
{
	struct spec_seccomp s = engine_profile();

	(void)state;
	compile(&s);
	assert_int_equal(ask(AUDIT_ARCH_X86_64, SYS_mount, 0), EPERM_RESULT);
	assert_int_equal(ask(AUDIT_ARCH_X86_64, SYS_read, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(ask(AUDIT_ARCH_X86_64, 460, 0), ENOSYS_RESULT);
	assert_int_equal(ask(AUDIT_ARCH_X86_64, 0x3fffffff, 0), ENOSYS_RESULT);
	assert_int_equal(ask(AUDIT_ARCH_X86_64, X32 | 600, 0), ENOSYS_RESULT);
	assert_int_equal(ask(AUDIT_ARCH_X86_64, X32 | SYS_mount, 0), EPERM_RESULT);
	assert_int_equal(ask(AUDIT_ARCH_X86_64, X32 | SYS_getpid, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(ask(AUDIT_ARCH_I386, 21 /* mount */, 0), EPERM_RESULT);
	assert_int_equal(ask(AUDIT_ARCH_I386, 20 /* getpid */, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(ask(AUDIT_ARCH_I386, 460, 0), ENOSYS_RESULT);
	assert_int_equal(ask(AUDIT_ARCH_AARCH64, 460, 0), SECCOMP_RET_KILL_THREAD);
}

static void an_architecture_that_is_not_listed_is_left_to_the_filter(void **state)
{
	struct spec_seccomp s = engine_profile();

	(void)state;
	s.n_architectures = 1; /* x86_64 */
	compile(&s);
	assert_int_equal(ask(AUDIT_ARCH_X86_64, 460, 0), ENOSYS_RESULT);
	assert_int_equal(ask(AUDIT_ARCH_X86_64, X32 | 600, 0), SECCOMP_RET_KILL_THREAD);
	assert_int_equal(ask(AUDIT_ARCH_I386, 460, 0), SECCOMP_RET_KILL_THREAD);
}

static void a_default_that_lets_calls_pass_has_no_exception(void **state)
{
	static const char *const actions[] = {"SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE"};
	static const uint32_t results[] = {SECCOMP_RET_ALLOW, SECCOMP_RET_LOG, SECCOMP_RET_TRACE | EPERM};
	const char *names[] = {"getppid"};
	struct spec_seccomp_syscall calls[] = {{.names = names, .n_names = 1, .action = "SCMP_ACT_KILL"}};
	struct spec_seccomp s = {.syscalls = calls, .n_syscalls = 1};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
		s.default_action = actions[i];
		compile(&s);
		assert_int_equal(ask(AUDIT_ARCH_X86_64, 460, 0), results[i]);
	}
	s.default_action = "SCMP_ACT_KILL_PROCESS";
	calls[0].action = "SCMP_ACT_ALLOW";
	compile(&s);
	assert_int_equal(ask(AUDIT_ARCH_X86_64, 460, 0), ENOSYS_RESULT);
	assert_int_equal(ask(AUDIT_ARCH_X86_64, 1, 0), SECCOMP_RET_KILL_PROCESS);
}

/* libseccomp makes a tree of many rules and a list of few: each call must end alike. */
static void a_large_profile_decides_as_its_rules_one_by_one(void **state)
{
	struct spec_seccomp s = engine_profile(), one = s;
	struct spec_seccomp_syscall calls[5];
	static uint32_t all[512];

	(void)state;
	compile(&s);
	for (uint32_t nr = 0; nr < ARRAY_SIZE(all); nr++)
		all[nr] = ask(AUDIT_ARCH_X86_64, nr, 40);
	memcpy(calls, s.syscalls, sizeof(calls));
	one.syscalls = calls;
	for (size_t i = 0; i < s.syscalls[0].n_names; i++) {
		calls[0].names = s.syscalls[0].names + i;
		calls[0].n_names = 1;
		compile(&one);
		for (uint32_t nr = 0; nr < ARRAY_SIZE(all); nr++)
			if (ask(AUDIT_ARCH_X86_64, nr, 40) == SECCOMP_RET_ALLOW)
				assert_int_equal(all[nr], SECCOMP_RET_ALLOW);
	}
	assert_int_equal(all[SYS_socket], EPERM_RESULT);
	assert_int_equal(all[SYS_clone3], ENOSYS_RESULT);
	assert_int_equal(all[SYS_bpf], EPERM_RESULT);
	assert_int_equal(all[SYS_ptrace], EPERM_RESULT);
}

#define CASE(test) cmocka_unit_test_teardown(test, release)

int main(void)
{
	const struct CMUnitTest tests[] = {
#ifdef __x86_64__
	    CASE(calls_younger_than_the_profile_fail_with_enosys_on_each_architecture),
	    CASE(an_architecture_that_is_not_listed_is_left_to_the_filter),
	    CASE(a_default_that_lets_calls_pass_has_no_exception),
	    CASE(a_large_profile_decides_as_its_rules_one_by_one),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
