/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a profile says about system calls that are younger than itself. A C library
 * tries a new call and falls back on ENOSYS, never on EPERM: under an allow list that
 * was written before clone3 or fchmodat2 existed, programs would break with every
 * update of the image. So, as runc does it and as Docker's profile counts on it, a
 * call with a greater number than every call that the profile names (per
 * architecture) fails with ENOSYS instead of the default action. Nothing is allowed
 * that way. Not for a default that lets calls pass, nor for a tracer's.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "runtime/seccomp_internal.h"

#define X32_BIT 0x40000000u

#define RETURN_ENOSYS BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS)

struct stub {
	struct sock_filter *code;
	size_t n;
	size_t leave[SECCOMP_ARCH_MAX]; /* jumps to the filter, to be given their distance */
	size_t n_leave;
};

static void add(struct stub *s, struct sock_filter insn)
{
	s->code[s->n++] = insn;
}

/* The greatest number that the profile names; 0: none. Pseudo calls are negative. */
static uint32_t last_call(const struct spec_seccomp *s, uint32_t arch)
{
	int last = 0;

	for (size_t i = 0; i < s->n_syscalls; i++)
		for (size_t k = 0; k < s->syscalls[i].n_names; k++) {
			int number = seccomp_syscall_resolve_name_arch(arch, s->syscalls[i].names[k]);

			if (number > last)
				last = number;
		}
	return (uint32_t)last;
}

static void end_block(struct stub *s, size_t test)
{
	add(s, (struct sock_filter)RETURN_ENOSYS);
	s->leave[s->n_leave++] = s->n;
	add(s, (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, 0));
	s->code[test].jf = (unsigned char)(s->n - test - 1);
}

static size_t begin_block(struct stub *s, uint32_t audit_arch)
{
	add(s, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, audit_arch, 0, 0));
	add(s, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)));
	return s->n - 2;
}

/* One architecture for the kernel, told apart by a bit of the number. last 0: that one is left to the filter. */
static void add_x86_64(struct stub *s, uint32_t last, uint32_t last_x32)
{
	size_t test = begin_block(s, AUDIT_ARCH_X86_64);

	add(s, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, X32_BIT, 1, 0));
	add(s, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, last ? last : ~0u, 1, 2));
	add(s, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, last_x32 ? last_x32 : ~0u, 0, 1));
	end_block(s, test);
}

static void add_arch(struct stub *s, uint32_t arch, uint32_t last)
{
	size_t test = begin_block(s, arch);

	/* There the kernel turns a number that it doesn't know into 0, a call (setup) that is gone for long. */
	if (arch == SCMP_ARCH_S390 || arch == SCMP_ARCH_S390X)
		add(s, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0));
	add(s, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, last, 0, 1));
	end_block(s, test);
}

size_t seccomp_enosys_stub(const struct spec_seccomp *spec, uint32_t default_action, const uint32_t *archs, size_t n,
			   struct sock_filter code[SECCOMP_STUB_MAX])
{
	struct stub s = {.code = code};
	uint32_t x86_64 = 0, x32 = 0;

	if (default_action == SCMP_ACT_ALLOW || default_action == SCMP_ACT_LOG ||
	    default_action == SCMP_ACT_ERRNO(ENOSYS) || (default_action & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_TRACE)
		return 0;
	add(&s, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)));
	for (size_t i = 0; i < n; i++) {
		uint32_t last = last_call(spec, archs[i]);

		if (archs[i] == SCMP_ARCH_X86_64)
			x86_64 = last;
		else if (archs[i] == SCMP_ARCH_X32)
			x32 = last;
		else if (last)
			add_arch(&s, archs[i], last);
	}
	if (x86_64 || x32)
		add_x86_64(&s, x86_64, x32);
	for (size_t i = 0; i < s.n_leave; i++)
		code[s.leave[i]].k = (uint32_t)(s.n - s.leave[i] - 1);
	return s.n_leave ? s.n : 0;
}
