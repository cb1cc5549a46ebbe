/* SPDX-License-Identifier: Apache-2.0 */
/* seccomp_internal.h - between the files of seccomp: the spec's names as libseccomp's and the kernel's values
 * (seccomp_tables.c). */
#ifndef VOLRUN_RUNTIME_SECCOMP_INTERNAL_H
#define VOLRUN_RUNTIME_SECCOMP_INTERNAL_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/strbuf.h"
#include "oci/spec.h"
#include "runtime/seccomp.h"

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

/* seccomp_enosys.c: the instructions that go before the filter. archs: of the filter, each once. Returns their number.
 */
#define SECCOMP_ARCH_MAX 32
#define SECCOMP_STUB_MAX (1 + 7 * SECCOMP_ARCH_MAX)
size_t seccomp_enosys_stub(const struct spec_seccomp *spec, uint32_t default_action, const uint32_t *archs, size_t n,
			   struct sock_filter code[SECCOMP_STUB_MAX]);

/*
 * seccomp_cache.c: does the text of a cache's file, aligned as malloc's, hold the program for this key? Then *ret has
 * it, where it lies in data.
 */
bool seccomp_cache_parse(const char *data, size_t size, const struct strbuf *key, struct seccomp_program *ret);

/* seccomp_eval.c: SECCOMP_RET_*, with its data; SECCOMP_RET_KILL_PROCESS for an instruction that libseccomp doesn't
 * use. */
uint32_t seccomp_run(const struct seccomp_program *p, const struct seccomp_data *data);

#endif
