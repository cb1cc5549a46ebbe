/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/cgroup_devices.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

#define ACCESS_ALL (BPF_DEVCG_ACC_MKNOD | BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE)
#define ANY (-1)

static const struct device_rule default_rules[] = {
    {true, 'c', ANY, ANY, BPF_DEVCG_ACC_MKNOD},
    {true, 'b', ANY, ANY, BPF_DEVCG_ACC_MKNOD},
    {true, 'c', 1, 3, ACCESS_ALL},     /* null */
    {true, 'c', 1, 5, ACCESS_ALL},     /* zero */
    {true, 'c', 1, 7, ACCESS_ALL},     /* full */
    {true, 'c', 1, 8, ACCESS_ALL},     /* random */
    {true, 'c', 1, 9, ACCESS_ALL},     /* urandom */
    {true, 'c', 5, 0, ACCESS_ALL},     /* tty */
    {true, 'c', 5, 1, ACCESS_ALL},     /* console */
    {true, 'c', 5, 2, ACCESS_ALL},     /* ptmx */
    {true, 'c', 136, ANY, ACCESS_ALL}, /* pts */
};

static int access_parse(const char *text, unsigned *ret)
{
	unsigned access = 0;

	if (!text || !text[0]) {
		*ret = ACCESS_ALL;
		return 0;
	}
	for (; *text; text++) {
		if (*text == 'r')
			access |= BPF_DEVCG_ACC_READ;
		else if (*text == 'w')
			access |= BPF_DEVCG_ACC_WRITE;
		else if (*text == 'm')
			access |= BPF_DEVCG_ACC_MKNOD;
		else
			return -EINVAL;
	}
	*ret = access;
	return 0;
}

/* A device number or "any" (absent or -1). */
static bool number_parse(const int64_t *n, int64_t *ret)
{
	*ret = n ? *n : ANY;
	return *ret >= ANY && *ret <= UINT32_MAX;
}

static int rule_parse(const struct spec_device_rule *in, size_t index, struct device_rule *ret, struct error *err)
{
	const char *type = in->type && in->type[0] ? in->type : "a";
	struct device_rule rule = {.allow = in->allow};

	if (strlen(type) != 1 || !strchr("abcu", type[0]))
		return error_set(err, EINVAL, "resources.devices[%zu].type: \"%s\" is none of a, b, c", index, type);
	rule.type = type[0] == 'u' ? 'c' : type[0]; /* an unbuffered character device */
	if (access_parse(in->access, &rule.access) < 0)
		return error_set(err, EINVAL, "resources.devices[%zu].access: \"%s\" is not of r, w and m", index,
				 in->access);
	if (!number_parse(in->major, &rule.major) || !number_parse(in->minor, &rule.minor))
		return error_set(err, EINVAL, "resources.devices[%zu]: device number out of range", index);
	*ret = rule;
	return 0;
}

int device_rules_make(const struct spec_resources *r, struct arena *a, struct device_rules *ret, struct error *err)
{
	size_t n = r ? r->n_devices : 0;
	struct device_rule *rules = arena_calloc(a, n + ARRAY_SIZE(default_rules), sizeof(*rules));

	if (!rules)
		return error_set(err, ENOMEM, "device rules: out of memory");
	for (size_t i = 0; i < n; i++) {
		int k = rule_parse(&r->devices[i], i, &rules[i], err);

		if (k < 0)
			return k;
	}
	memcpy(rules + n, default_rules, sizeof(default_rules));
	*ret = (struct device_rules){rules, n + ARRAY_SIZE(default_rules)};
	return 0;
}

bool device_rule_is_all(const struct device_rule *rule)
{
	return rule->type == 'a' && rule->major == ANY && rule->minor == ANY && rule->access == ACCESS_ALL;
}

/* --- the program --------------------------------------------------------- */

/* One rule is at most this many instructions. */
#define RULE_MAX 8

#define INSN(c, d, s, o, i)                                                                                            \
	((struct bpf_insn){.code = (c), .dst_reg = (d), .src_reg = (s), .off = (int16_t)(o), .imm = (int32_t)(i)})

/* r2: device type, r3: accesses not decided yet, r4: major, r5: minor. */
static size_t emit_prologue(struct bpf_insn *p)
{
	size_t n = 0;

	/* access_type is access << 16 | type. */
	p[n++] =
	    INSN(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_2, BPF_REG_1, offsetof(struct bpf_cgroup_dev_ctx, access_type), 0);
	p[n++] = INSN(BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_3, BPF_REG_2, 0, 0);
	p[n++] = INSN(BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_2, 0, 0, 0xffff);
	p[n++] = INSN(BPF_ALU64 | BPF_RSH | BPF_K, BPF_REG_3, 0, 0, 16);
	p[n++] = INSN(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_4, BPF_REG_1, offsetof(struct bpf_cgroup_dev_ctx, major), 0);
	p[n++] = INSN(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_5, BPF_REG_1, offsetof(struct bpf_cgroup_dev_ctx, minor), 0);
	return n;
}

static size_t emit_return(struct bpf_insn *p, int value)
{
	p[0] = INSN(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, value);
	p[1] = INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	return 2;
}

/* Comparisons jump to the next rule. *ret_final: nothing can get past this rule. */
static size_t emit_rule(struct bpf_insn *p, const struct device_rule *rule, bool *ret_final)
{
	size_t n = 0;

	/* 32-bit comparisons: an immediate is sign-extended for the 64-bit ones. */
	if (rule->type != 'a')
		p[n++] = INSN(BPF_JMP32 | BPF_JNE | BPF_K, BPF_REG_2, 0, 0,
			      rule->type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR);
	if (rule->major != ANY)
		p[n++] = INSN(BPF_JMP32 | BPF_JNE | BPF_K, BPF_REG_4, 0, 0, rule->major);
	if (rule->minor != ANY)
		p[n++] = INSN(BPF_JMP32 | BPF_JNE | BPF_K, BPF_REG_5, 0, 0, rule->minor);
	*ret_final = device_rule_is_all(rule);
	if (rule->access != ACCESS_ALL && rule->allow) {
		p[n++] = INSN(BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_3, 0, 0, ACCESS_ALL & ~rule->access);
		p[n++] = INSN(BPF_JMP32 | BPF_JNE | BPF_K, BPF_REG_3, 0, 0, 0);
	} else if (rule->access != ACCESS_ALL) {
		p[n++] = INSN(BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_1, BPF_REG_3, 0, 0);
		p[n++] = INSN(BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_1, 0, 0, rule->access);
		p[n++] = INSN(BPF_JMP32 | BPF_JEQ | BPF_K, BPF_REG_1, 0, 0, 0);
	}
	n += emit_return(p + n, rule->allow);
	for (size_t i = 0; i < n; i++) {
		if ((p[i].code & 0x07) == BPF_JMP32)
			p[i].off = (int16_t)(n - i - 1);
	}
	return n;
}

int device_program(const struct device_rules *rules, struct arena *a, struct bpf_insn **ret, size_t *ret_n,
		   struct error *err)
{
	struct bpf_insn *p = arena_calloc(a, RULE_MAX * (rules->n + 2), sizeof(*p));
	bool final = false;
	size_t n;

	if (!p)
		return error_set(err, ENOMEM, "device rules: out of memory");
	n = emit_prologue(p);
	/* The last word first. The kernel refuses a program with instructions that can't be reached: stop at a final
	 * one. */
	for (size_t i = rules->n; i > 0 && !final; i--)
		n += emit_rule(p + n, &rules->rules[i - 1], &final);
	if (!final)
		n += emit_return(p + n, 0);
	*ret = p;
	*ret_n = n;
	return 0;
}

/* --- the kernel ---------------------------------------------------------- */

static int sys_bpf(int cmd, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, cmd, attr, sizeof(*attr));
}

static int program_load(const struct bpf_insn *program, size_t n)
{
	/* Uses no helper that needs a GPL program. */
	union bpf_attr attr = {
	    .prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
	    .insns = (uint64_t)(uintptr_t)program,
	    .insn_cnt = (uint32_t)n,
	    .license = (uint64_t)(uintptr_t) "Apache-2.0",
	};

	return sys_bpf(BPF_PROG_LOAD, &attr);
}

#define OLD_MAX 64

/* The programs that are attached to this very cgroup. */
static int programs_query(int cgroup_fd, uint32_t ids[OLD_MAX], uint32_t *ret_n)
{
	union bpf_attr attr = {
	    .query = {.target_fd = (uint32_t)cgroup_fd,
		      .attach_type = BPF_CGROUP_DEVICE,
		      .prog_ids = (uint64_t)(uintptr_t)ids,
		      .prog_cnt = OLD_MAX},
	};

	if (sys_bpf(BPF_PROG_QUERY, &attr) < 0)
		return -errno;
	*ret_n = attr.query.prog_cnt;
	return 0;
}

static int program_detach(int cgroup_fd, uint32_t id)
{
	union bpf_attr get = {.prog_id = id};
	_cleanup_close_ int fd = sys_bpf(BPF_PROG_GET_FD_BY_ID, &get);
	union bpf_attr attr = {
	    .target_fd = (uint32_t)cgroup_fd,
	    .attach_bpf_fd = (uint32_t)fd,
	    .attach_type = BPF_CGROUP_DEVICE,
	};

	if (fd < 0 || sys_bpf(BPF_PROG_DETACH, &attr) < 0)
		return -errno;
	return 0;
}

int device_program_attach(int cgroup_fd, const struct bpf_insn *program, size_t n, struct error *err)
{
	_cleanup_close_ int fd = program_load(program, n);
	union bpf_attr attr = {
	    .target_fd = (uint32_t)cgroup_fd,
	    .attach_bpf_fd = (uint32_t)fd,
	    .attach_type = BPF_CGROUP_DEVICE,
	    /* The programs of the cgroups above stay in force, those below may add theirs. */
	    .attach_flags = BPF_F_ALLOW_MULTI,
	};
	uint32_t old[OLD_MAX], n_old = 0;
	int r;

	if (fd < 0)
		return error_errno(err, errno, "device rules: cannot load the BPF program");
	r = programs_query(cgroup_fd, old, &n_old);
	if (r < 0)
		return error_errno(err, r, "device rules: cannot list the cgroup's BPF programs");
	/* Until the old ones are gone both must agree: no moment without rules. */
	if (sys_bpf(BPF_PROG_ATTACH, &attr) < 0)
		return error_errno(err, errno, "device rules: cannot attach the BPF program to the cgroup");
	for (uint32_t i = 0; i < n_old; i++) {
		r = program_detach(cgroup_fd, old[i]);
		if (r < 0 && r != -ENOENT)
			return error_errno(err, r, "device rules: cannot detach the cgroup's old BPF program");
	}
	return 0;
}

static const char *number_text(int64_t n, char buf[24])
{
	if (n == ANY)
		return "*";
	snprintf(buf, 24, "%" PRId64, n);
	return buf;
}

char *device_rule_line(const struct device_rule *rule, char buf[DEVICE_LINE_MAX])
{
	char major[24], minor[24];

	snprintf(buf, DEVICE_LINE_MAX, "%c %s:%s %s%s%s", rule->type, number_text(rule->major, major),
		 number_text(rule->minor, minor), rule->access & BPF_DEVCG_ACC_READ ? "r" : "",
		 rule->access & BPF_DEVCG_ACC_WRITE ? "w" : "", rule->access & BPF_DEVCG_ACC_MKNOD ? "m" : "");
	return buf;
}
