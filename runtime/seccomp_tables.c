/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "runtime/seccomp.h"
#include "runtime/seccomp_internal.h"

/* Each list of values stands in the order of its list of names. */
const char *const seccomp_actions[] = {
    "SCMP_ACT_KILL",  "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_TRAP",	  "SCMP_ACT_ERRNO",
    "SCMP_ACT_TRACE", "SCMP_ACT_ALLOW",	       "SCMP_ACT_LOG",	       "SCMP_ACT_NOTIFY", NULL};

const char *const seccomp_operators[] = {"SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_LE",	     "SCMP_CMP_EQ",
					 "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_MASKED_EQ", NULL};
static const enum scmp_compare operator_values[] = {SCMP_CMP_NE, SCMP_CMP_LT, SCMP_CMP_LE,	 SCMP_CMP_EQ,
						    SCMP_CMP_GE, SCMP_CMP_GT, SCMP_CMP_MASKED_EQ};

const char *const seccomp_archs[] = {"SCMP_ARCH_X86",
				     "SCMP_ARCH_X86_64",
				     "SCMP_ARCH_X32",
				     "SCMP_ARCH_ARM",
				     "SCMP_ARCH_AARCH64",
				     "SCMP_ARCH_MIPS",
				     "SCMP_ARCH_MIPS64",
				     "SCMP_ARCH_MIPS64N32",
				     "SCMP_ARCH_MIPSEL",
				     "SCMP_ARCH_MIPSEL64",
				     "SCMP_ARCH_MIPSEL64N32",
				     "SCMP_ARCH_PPC",
				     "SCMP_ARCH_PPC64",
				     "SCMP_ARCH_PPC64LE",
				     "SCMP_ARCH_S390",
				     "SCMP_ARCH_S390X",
				     "SCMP_ARCH_PARISC",
				     "SCMP_ARCH_PARISC64",
				     "SCMP_ARCH_RISCV64",
#ifdef SCMP_ARCH_LOONGARCH64 /* libseccomp 2.6 */
				     "SCMP_ARCH_LOONGARCH64",
				     "SCMP_ARCH_M68K",
				     "SCMP_ARCH_SH",
				     "SCMP_ARCH_SHEB",
#endif
				     NULL};
static const uint32_t arch_values[] = {
    SCMP_ARCH_X86,	   SCMP_ARCH_X86_64, SCMP_ARCH_X32,	  SCMP_ARCH_ARM,     SCMP_ARCH_AARCH64,
    SCMP_ARCH_MIPS,	   SCMP_ARCH_MIPS64, SCMP_ARCH_MIPS64N32, SCMP_ARCH_MIPSEL,  SCMP_ARCH_MIPSEL64,
    SCMP_ARCH_MIPSEL64N32, SCMP_ARCH_PPC,    SCMP_ARCH_PPC64,	  SCMP_ARCH_PPC64LE, SCMP_ARCH_S390,
    SCMP_ARCH_S390X,	   SCMP_ARCH_PARISC, SCMP_ARCH_PARISC64,  SCMP_ARCH_RISCV64,
#ifdef SCMP_ARCH_LOONGARCH64
    SCMP_ARCH_LOONGARCH64, SCMP_ARCH_M68K,   SCMP_ARCH_SH,	  SCMP_ARCH_SHEB,
#endif
};

const char *const seccomp_flags[] = {"SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG",
				     "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", NULL};
static const unsigned flag_values[] = {SECCOMP_FILTER_FLAG_TSYNC, SECCOMP_FILTER_FLAG_LOG,
				       SECCOMP_FILTER_FLAG_SPEC_ALLOW, SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV};

static int find(const char *const *names, const char *name)
{
	for (int i = 0; names[i]; i++) {
		if (strcmp(names[i], name) == 0)
			return i;
	}
	return -1;
}

_Static_assert(ARRAY_SIZE(operator_values) == ARRAY_SIZE(seccomp_operators) - 1, "one value per operator");
_Static_assert(ARRAY_SIZE(arch_values) == ARRAY_SIZE(seccomp_archs) - 1, "one value per architecture");
_Static_assert(ARRAY_SIZE(flag_values) == ARRAY_SIZE(seccomp_flags) - 1, "one value per flag");

bool seccomp_arch_value(const char *name, uint32_t *ret)
{
	int i = find(seccomp_archs, name);

	if (i >= 0)
		*ret = arch_values[i];
	return i >= 0;
}

bool seccomp_operator_value(const char *name, enum scmp_compare *ret)
{
	int i = find(seccomp_operators, name);

	if (i >= 0)
		*ret = operator_values[i];
	return i >= 0;
}

bool seccomp_flag_value(const char *name, unsigned *ret)
{
	int i = find(seccomp_flags, name);

	if (i >= 0)
		*ret = flag_values[i];
	return i >= 0;
}

bool seccomp_action_value(const char *name, uint32_t errno_ret, uint32_t *ret, bool *ret_takes_errno)
{
	const struct {
		const char *name;
		uint32_t value;
		bool takes_errno;
	} table[] = {
	    {"SCMP_ACT_KILL", SCMP_ACT_KILL_THREAD, false},
	    {"SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS, false},
	    {"SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD, false},
	    {"SCMP_ACT_TRAP", SCMP_ACT_TRAP, false},
	    {"SCMP_ACT_ERRNO", SCMP_ACT_ERRNO(errno_ret), true},
	    {"SCMP_ACT_TRACE", SCMP_ACT_TRACE(errno_ret), true},
	    {"SCMP_ACT_ALLOW", SCMP_ACT_ALLOW, false},
	    {"SCMP_ACT_LOG", SCMP_ACT_LOG, false},
	    {"SCMP_ACT_NOTIFY", SCMP_ACT_NOTIFY, false},
	};
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		if (strcmp(table[i].name, name) == 0) {
			*ret = table[i].value;
			*ret_takes_errno = table[i].takes_errno;
			return true;
		}
	}
	return false;
}
