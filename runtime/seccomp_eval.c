/* SPDX-License-Identifier: Apache-2.0 */
/* A filter's answer without installing it: the kernel's classic BPF (linux/filter.h), as far as seccomp(2) has it. */
#include <linux/audit.h>
#include <string.h>

#include "runtime/seccomp_internal.h"

#if defined(__x86_64__)
#define OWN_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OWN_ARCH AUDIT_ARCH_AARCH64
#else
#define OWN_ARCH 0
#endif

/* Whether a jump is taken; -1: no jump that we know. */
static int jumps(const struct sock_filter *i, uint32_t a)
{
	switch (i->code) {
	case BPF_JMP | BPF_JEQ | BPF_K:
		return a == i->k;
	case BPF_JMP | BPF_JGT | BPF_K:
		return a > i->k;
	case BPF_JMP | BPF_JGE | BPF_K:
		return a >= i->k;
	case BPF_JMP | BPF_JSET | BPF_K:
		return (a & i->k) != 0;
	default:
		return -1;
	}
}

/* Loads and changes of the accumulator; false: unknown. */
static bool compute(const struct sock_filter *i, const struct seccomp_data *data, uint32_t *a, uint32_t mem[])
{
	switch (i->code) {
	case BPF_LD | BPF_W | BPF_ABS:
		if (i->k > sizeof(*data) - sizeof(*a))
			return false;
		memcpy(a, (const char *)data + i->k, sizeof(*a));
		return true;
	case BPF_LD | BPF_MEM:
		*a = mem[i->k % BPF_MEMWORDS];
		return true;
	case BPF_ST:
		mem[i->k % BPF_MEMWORDS] = *a;
		return true;
	case BPF_ALU | BPF_AND | BPF_K:
		*a &= i->k;
		return true;
	default:
		return false;
	}
}

uint32_t seccomp_run(const struct seccomp_program *p, const struct seccomp_data *data)
{
	uint32_t a = 0, mem[BPF_MEMWORDS] = {0};

	/* Jumps only lead forward. */
	for (size_t pc = 0; pc < p->prog.len; pc++) {
		const struct sock_filter *i = &p->prog.filter[pc];
		int taken = jumps(i, a);

		if (taken >= 0)
			pc += taken ? i->jt : i->jf;
		else if (i->code == (BPF_JMP | BPF_JA))
			pc += i->k;
		else if (!compute(i, data, &a, mem))
			return i->code == (BPF_RET | BPF_K) ? i->k : SECCOMP_RET_KILL_PROCESS;
	}
	return SECCOMP_RET_KILL_PROCESS;
}

bool seccomp_allows(const struct seccomp_program *p, long nr, const uint64_t args[6])
{
	struct seccomp_data data = {.nr = (int)nr, .arch = OWN_ARCH};
	uint32_t action;

	if (p->prog.len == 0)
		return true;
	memcpy(data.args, args, sizeof(data.args));
	action = seccomp_run(p, &data) & SECCOMP_RET_ACTION_FULL;
	return action == SECCOMP_RET_ALLOW || action == SECCOMP_RET_LOG;
}
