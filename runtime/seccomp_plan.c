/* SPDX-License-Identifier: Apache-2.0 */
/* Where the filter of a container comes from: the profile, or crun's annotation with a program that is compiled
 * already. */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "runtime/seccomp.h"
#include "runtime/seccomp_internal.h"

#define BPF_DATA "run.oci.seccomp_bpf_data"
#define FAIL_UNKNOWN "run.oci.seccomp_fail_unknown_syscall"

/* RFC 4648, with its padding. Returns the length, or -1. */
static ssize_t base64_decode(const char *text, unsigned char *out)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t len = strlen(text), n = 0, pad = 0;
	uint32_t bits = 0;

	if (len % 4 != 0)
		return -1;
	while (pad < 2 && pad < len && text[len - 1 - pad] == '=')
		pad++;
	for (size_t i = 0; i < len - pad; i++) {
		const char *digit = strchr(digits, text[i]);

		if (!digit)
			return -1;
		bits = bits << 6 | (uint32_t)(digit - digits);
		if (i % 4 != 0)
			out[n++] = (unsigned char)(bits >> (6 - i % 4 * 2));
	}
	return (ssize_t)n;
}

static int plan_data(const struct spec *spec, const char *data, struct arena *arena, struct seccomp_program *ret,
		     struct error *err)
{
	const size_t insn = sizeof(struct sock_filter);
	struct seccomp_program p = {.flags = SECCOMP_FILTER_FLAG_SPEC_ALLOW};
	unsigned char *program;
	ssize_t len;

	/* Engines hand annotations of a user on: they may not take a profile of the engine away. */
	if (spec->linux_->seccomp)
		return error_set(err, EINVAL,
				 "seccomp: " BPF_DATA " would replace linux.seccomp: give only one of both");
	if (strlen(data) > insn * BPF_MAXINSNS * 2)
		return error_set(err, E2BIG, "seccomp: " BPF_DATA ": the kernel takes %d instructions at most",
				 BPF_MAXINSNS);
	program = arena_alloc(arena, strlen(data) + insn);
	if (!program)
		return error_set(err, ENOMEM, "seccomp: out of memory");
	len = base64_decode(data, program);
	if (len <= 0 || (size_t)len % insn != 0 || (size_t)len / insn > BPF_MAXINSNS)
		return error_set(err, EINVAL, "seccomp: " BPF_DATA ": is not the base64 of 1 to %d instructions",
				 BPF_MAXINSNS);
	p.prog = (struct sock_fprog){.len = (unsigned short)((size_t)len / insn), .filter = (void *)program};
	*ret = p;
	return 0;
}

int seccomp_plan(const struct spec *spec, int dir_fd, struct arena *arena, struct seccomp_program *ret,
		 struct error *err)
{
	const char *data = spec_annotation(spec, BPF_DATA), *unknown = spec_annotation(spec, FAIL_UNKNOWN);

	if (data)
		return plan_data(spec, data, arena, ret, err);
	*ret = (struct seccomp_program){0};
	if (!spec->linux_->seccomp)
		return 0;
	return seccomp_compile_cached(spec->linux_->seccomp, unknown && strcmp(unknown, "0") != 0, dir_fd, arena, ret,
				      err);
}
