/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/seccomp.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "runtime/seccomp_internal.h"

#define ARGS_MAX 6 /* a system call's */

static void cleanup_filter(scmp_filter_ctx *ctx)
{
	if (*ctx)
		seccomp_release(*ctx);
}

/* libseccomp up to 2.5.4 makes a broken tree of no rules; below this number it would not help anyway. Runc's bound. */
#define TREE_MIN 32

struct compile {
	scmp_filter_ctx ctx;
	uint32_t default_action;
	uint32_t archs[SECCOMP_ARCH_MAX];
	size_t n_archs;
	size_t n_rules;
	bool strict; /* a system call with an unknown name is an error */
	bool notify;
};

static int action_parse(const char *name, const uint32_t *errno_ret, const char *what, uint32_t *ret, struct error *err)
{
	bool takes_errno;

	if (!name)
		return error_set(err, EINVAL, "seccomp: %s: missing", what);
	if (errno_ret && *errno_ret > UINT16_MAX)
		return error_set(err, EINVAL, "seccomp: %s: errno %u is out of range", what, *errno_ret);
	if (!seccomp_action_value(name, errno_ret ? *errno_ret : EPERM, ret, &takes_errno))
		return error_set(err, EINVAL, "seccomp: %s: unknown action \"%s\"", what, name);
	if (errno_ret && !takes_errno)
		return error_set(err, EINVAL, "seccomp: %s: action %s takes no errno", what, name);
	return 0;
}

int seccomp_flags_parse(const struct spec_seccomp *s, unsigned *ret, struct error *err)
{
	unsigned flags = 0;

	for (size_t i = 0; i < s->n_flags; i++) {
		unsigned flag;

		if (!seccomp_flag_value(s->flags[i], &flag))
			return error_set(err, EINVAL, "seccomp: unknown flag \"%s\"", s->flags[i]);
		flags |= flag;
	}
	/* As runc: without a word from the spec, don't slow the container down with the SSB mitigation. */
	if (s->n_flags == 0)
		flags = SECCOMP_FILTER_FLAG_SPEC_ALLOW;
	*ret = flags;
	return 0;
}

static int archs_add(struct compile *c, const struct spec_seccomp *s, struct error *err)
{
	/* A filter has it from the start. */
	c->archs[c->n_archs++] = seccomp_arch_native();
	for (size_t i = 0; i < s->n_architectures; i++) {
		uint32_t arch;
		int r;

		if (!seccomp_arch_value(s->architectures[i], &arch))
			return error_set(err, EINVAL, "seccomp: unknown architecture \"%s\"", s->architectures[i]);
		r = seccomp_arch_add(c->ctx, arch);
		if (r < 0 && r != -EEXIST)
			return error_errno(err, r, "seccomp: cannot add architecture %s", s->architectures[i]);
		if (r == 0 && c->n_archs < SECCOMP_ARCH_MAX)
			c->archs[c->n_archs++] = arch;
	}
	return 0;
}

static int rule_add(struct compile *c, uint32_t action, const char *name, const struct scmp_arg_cmp *args, unsigned n,
		    struct error *err)
{
	int number = seccomp_syscall_resolve_name(name);
	int r;

	if (number == __NR_SCMP_ERROR && c->strict)
		return error_set(err, EINVAL, "seccomp: unknown system call \"%s\"", name);
	if (number == __NR_SCMP_ERROR) /* another kernel's or library's: the spec wants it skipped */
		return 0;
	c->n_rules++;
	r = seccomp_rule_add_array(c->ctx, action, number, n, args);
	/* -EDOM: one that this set of architectures can't express. -EEXIST: the same rule twice. */
	if (r < 0 && r != -EDOM && r != -EEXIST)
		return error_errno(err, r, "seccomp: cannot add a rule for %s", name);
	return 0;
}

static int args_parse(const struct spec_seccomp_syscall *call, struct scmp_arg_cmp *args, bool *ret_repeated,
		      struct error *err)
{
	unsigned seen = 0;
	bool repeated = false;

	for (size_t i = 0; i < call->n_args; i++) {
		const struct spec_seccomp_arg *a = &call->args[i];
		enum scmp_compare op;

		if (a->index >= ARGS_MAX)
			return error_set(err, EINVAL, "seccomp: argument index %u is out of range (0 to 5)", a->index);
		if (!a->op || !seccomp_operator_value(a->op, &op))
			return error_set(err, EINVAL, "seccomp: unknown operator \"%s\"", a->op ? a->op : "");
		repeated |= seen & (1u << a->index);
		seen |= 1u << a->index;
		args[i] = (struct scmp_arg_cmp){a->index, op, a->value, a->value_two};
	}
	*ret_repeated = repeated;
	return 0;
}

/* All comparisons of one rule must hold; as in runc, several of one argument are rules of their own. */
static int call_add(struct compile *c, const struct spec_seccomp_syscall *call, struct arena *arena, struct error *err)
{
	struct scmp_arg_cmp *args = arena_calloc(arena, call->n_args + 1, sizeof(*args));
	bool repeated = false;
	uint32_t action;
	int r;

	if (!args)
		return error_set(err, ENOMEM, "seccomp: out of memory");
	r = action_parse(call->action, call->errno_ret, "syscalls[].action", &action, err);
	if (r == 0)
		r = args_parse(call, args, &repeated, err);
	if (r < 0)
		return r;
	if (action == c->default_action) /* libseccomp refuses a rule that changes nothing */
		return 0;
	c->notify |= action == SCMP_ACT_NOTIFY;
	for (size_t i = 0; i < call->n_names; i++) {
		size_t rules = repeated ? call->n_args : 1;

		for (size_t k = 0; k < rules; k++) {
			r = rule_add(c, action, call->names[i], repeated ? args + k : args,
				     repeated ? 1 : (unsigned)call->n_args, err);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

/* libseccomp writes the program to a descriptor. */
static int export_program(const struct compile *c, const struct spec_seccomp *s, struct arena *arena,
			  struct sock_fprog *ret, struct error *err)
{
	struct sock_filter stub[SECCOMP_STUB_MAX];
	size_t n_stub = seccomp_enosys_stub(s, c->default_action, c->archs, c->n_archs, stub);
	_cleanup_close_ int fd = memfd_create("seccomp", MFD_CLOEXEC);
	struct sock_filter *filter;
	struct stat st;
	size_t n;
	int r;

	if (fd < 0)
		return error_errno(err, errno, "seccomp: cannot make a memory file");
	r = seccomp_export_bpf(c->ctx, fd);
	if (r < 0)
		return error_errno(err, r, "seccomp: cannot compile the filter");
	if (fstat(fd, &st) < 0)
		return error_errno(err, errno, "seccomp: cannot read the compiled filter");
	n = (size_t)st.st_size / sizeof(*filter);
	if (n == 0 || n_stub + n > BPF_MAXINSNS)
		return error_set(err, E2BIG, "seccomp: the compiled filter has %zu instructions, the kernel takes %d",
				 n_stub + n, BPF_MAXINSNS);
	filter = arena_calloc(arena, n_stub + n, sizeof(*filter));
	if (!filter)
		return error_set(err, ENOMEM, "seccomp: out of memory");
	memcpy(filter, stub, n_stub * sizeof(*filter));
	r = pread_full(fd, filter + n_stub, n * sizeof(*filter), 0);
	if (r < 0)
		return error_errno(err, r, "seccomp: cannot read the compiled filter");
	*ret = (struct sock_fprog){.len = (unsigned short)(n_stub + n), .filter = filter};
	return 0;
}

int seccomp_compile(const struct spec_seccomp *s, bool strict, struct arena *arena, struct seccomp_program *ret,
		    struct error *err)
{
	_cleanup_(cleanup_filter) scmp_filter_ctx ctx = NULL;
	struct seccomp_program p = {0};
	struct compile c = {.strict = strict};
	int r;

	r = action_parse(s->default_action, s->default_errno_ret, "defaultAction", &c.default_action, err);
	if (r == 0)
		r = seccomp_flags_parse(s, &p.flags, err);
	if (r < 0)
		return r;
	if (c.default_action == SCMP_ACT_NOTIFY)
		return error_set(
		    err, EINVAL,
		    "seccomp: defaultAction: SCMP_ACT_NOTIFY would stop the container's start; use it for single system calls");
	c.ctx = ctx = seccomp_init(c.default_action);
	if (!ctx)
		return error_set(err, ENOMEM, "seccomp: cannot start a filter");
	r = archs_add(&c, s, err);
	for (size_t i = 0; r == 0 && i < s->n_syscalls; i++)
		r = call_add(&c, &s->syscalls[i], arena, err);
	if (r < 0)
		return r;
	/*
	 * Since Linux 5.11 calls that are always allowed don't run the filter at all; a tree is for those with
	 * conditions and for denied ones. A library before 2.5 has none, then the filter is a list.
	 */
	if (c.n_rules > TREE_MIN)
		seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	r = export_program(&c, s, arena, &p.prog, err);
	if (r < 0)
		return r;
	p.notify = c.notify;
	/* The kernel refuses this one without a listener. */
	if (!p.notify)
		p.flags &= ~SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
	*ret = p;
	return 0;
}

int seccomp_install(const struct seccomp_program *p, int *ret_listener, struct error *err)
{
	unsigned flags = p->flags;
	long r;

	if (p->prog.len == 0) {
		*ret_listener = -1;
		return 0;
	}
	if (p->notify) {
		flags |= SECCOMP_FILTER_FLAG_NEW_LISTENER;
		/* The one other thread is that which sends the listener (seccomp_notify.h). */
		flags &= ~(unsigned)(SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH);
	}
	r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &p->prog);
	if (r < 0)
		return error_errno(err, errno, "cannot load the seccomp filter");
	if (r > 0 && !p->notify) /* TSYNC: the thread that could not follow */
		return error_set(err, ESRCH, "cannot load the seccomp filter: thread %ld has another one", r);
	*ret_listener = p->notify ? (int)r : -1;
	return 0;
}

void seccomp_supported_flags(const char **ret)
{
	for (size_t i = 0; seccomp_flags[i]; i++) {
		unsigned flag = 0;

		seccomp_flag_value(seccomp_flags[i], &flag);
		if (flag == SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV) /* not without */
			flag |= SECCOMP_FILTER_FLAG_NEW_LISTENER;
		/* The flags come first: EFAULT is about the filter that isn't there, EINVAL about a flag. */
		if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flag, NULL) < 0 && errno == EFAULT)
			*ret++ = seccomp_flags[i];
	}
	*ret = NULL;
}

const char *seccomp_library_version(char buf[SECCOMP_VERSION_MAX])
{
	const struct scmp_version *v = seccomp_version();

	snprintf(buf, SECCOMP_VERSION_MAX, "%u.%u.%u", v->major, v->minor, v->micro);
	return buf;
}
