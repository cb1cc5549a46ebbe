/* SPDX-License-Identifier: Apache-2.0 */
/* seccomp_internal.h - the spec's names as libseccomp's and the kernel's values (seccomp_tables.c). */
#ifndef VOLRUN_RUNTIME_SECCOMP_INTERNAL_H
#define VOLRUN_RUNTIME_SECCOMP_INTERNAL_H

#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdint.h>

/* Linux 5.19; not in Debian 12's headers. */
#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

/* Each returns false for an unknown name. */
bool seccomp_arch_value(const char *name, uint32_t *ret);
bool seccomp_operator_value(const char *name, enum scmp_compare *ret);
/* SECCOMP_FILTER_FLAG_*. */
bool seccomp_flag_value(const char *name, unsigned *ret);

/* SCMP_ACT_*, with the errno in it where the action takes one (*ret_takes_errno). */
bool seccomp_action_value(const char *name, uint32_t errno_ret, uint32_t *ret, bool *ret_takes_errno);

#endif
