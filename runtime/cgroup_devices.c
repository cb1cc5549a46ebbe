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

/* An "a" says nothing here, but is written for "all" by analogy with the type; runc and its suite pass it over. */
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
		else if (*text != 'a')
			return -EINVAL;
	}
	*ret = access;
	return access ? 0 : -EINVAL;
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

/*
 * The kernel's verifier follows each branch, and that takes most of the time of loading: so there are few. A rule is
 * arithmetic without any, and those of one kind (allow, deny) that follow each other are decided at once.
 *
 * r3: accesses not decided yet, r4: the device as one number, r8: what the group's rules name of its accesses.
 */

/* Two for the 64-bit constants. The most for a rule, with a group's begin and end; and for what frames them all. */
#define RULE_MAX 16
#define FRAME_MAX 16

/* dev_t: the kernel's devices have no larger numbers. */
#define MAJOR_MAX 0xfff
#define MINOR_MAX 0xfffff

#define INSN(c, d, s, o, i)                                                                                            \
	((struct bpf_insn){.code = (c), .dst_reg = (d), .src_reg = (s), .off = (int16_t)(o), .imm = (int32_t)(i)})
#define ALU_K(op, d, i) INSN(BPF_ALU64 | (op) | BPF_K, d, 0, 0, i)
#define ALU_X(op, d, s) INSN(BPF_ALU64 | (op) | BPF_X, d, s, 0, 0)
#define LOAD_CTX(d, field) INSN(BPF_LDX | BPF_MEM | BPF_W, d, BPF_REG_1, offsetof(struct bpf_cgroup_dev_ctx, field), 0)

/* type << 32 | major << 20 | minor: fewer than 63 bits. */
static uint64_t device_key(uint64_t type, uint64_t major, uint64_t minor)
{
	return type << 32 | major << 20 | minor;
}

static size_t emit_prologue(struct bpf_insn *p)
{
	size_t n = 0;

	p[n++] = LOAD_CTX(BPF_REG_4, access_type); /* access << 16 | type */
	p[n++] = ALU_X(BPF_MOV, BPF_REG_3, BPF_REG_4);
	p[n++] = ALU_K(BPF_RSH, BPF_REG_3, 16);
	p[n++] = ALU_K(BPF_AND, BPF_REG_4, 0xffff);
	p[n++] = ALU_K(BPF_LSH, BPF_REG_4, 12);
	p[n++] = LOAD_CTX(BPF_REG_5, major);
	p[n++] = ALU_X(BPF_OR, BPF_REG_4, BPF_REG_5);
	p[n++] = ALU_K(BPF_LSH, BPF_REG_4, 20);
	p[n++] = LOAD_CTX(BPF_REG_5, minor);
	p[n++] = ALU_X(BPF_OR, BPF_REG_4, BPF_REG_5);
	return n;
}

static size_t emit_constant(struct bpf_insn *p, uint8_t reg, uint64_t value)
{
	p[0] = INSN(BPF_LD | BPF_DW | BPF_IMM, reg, 0, 0, (uint32_t)value);
	p[1] = INSN(0, 0, 0, 0, value >> 32);
	return 2;
}

static size_t emit_return(struct bpf_insn *p, int value)
{
	p[0] = ALU_K(BPF_MOV, BPF_REG_0, value);
	p[1] = INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	return 2;
}

/* r8 |= the rule's accesses, if it names the device. */
static size_t emit_rule(struct bpf_insn *p, const struct device_rule *rule)
{
	uint64_t type = rule->type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR;
	uint64_t key = device_key(rule->type == 'a' ? 0 : type, rule->major == ANY ? 0 : (uint64_t)rule->major,
				  rule->minor == ANY ? 0 : (uint64_t)rule->minor);
	uint64_t mask = device_key(rule->type == 'a' ? 0 : 0xffff, rule->major == ANY ? 0 : MAJOR_MAX,
				   rule->minor == ANY ? 0 : MINOR_MAX);
	size_t n = 0;

	/* Nothing has such a number. */
	if (rule->major > MAJOR_MAX || rule->minor > MINOR_MAX)
		return 0;
	n += emit_constant(p + n, BPF_REG_6, key);
	p[n++] = ALU_X(BPF_XOR, BPF_REG_6, BPF_REG_4);
	if (rule->type == 'a' || rule->major == ANY || rule->minor == ANY) {
		n += emit_constant(p + n, BPF_REG_7, mask);
		p[n++] = ALU_X(BPF_AND, BPF_REG_6, BPF_REG_7);
	}
	/* 0 becomes 1, everything else 0. Not by a signed shift: the verifier of Linux 6.18 would follow both results.
	 */
	p[n++] = ALU_K(BPF_ADD, BPF_REG_6, -1);
	p[n++] = ALU_K(BPF_RSH, BPF_REG_6, 63);
	p[n++] = ALU_K(BPF_MUL, BPF_REG_6, rule->access);
	p[n++] = ALU_X(BPF_OR, BPF_REG_8, BPF_REG_6);
	return n;
}

/* Denied as soon as one access is, allowed as soon as none is left. */
static size_t emit_group_end(struct bpf_insn *p, bool allow)
{
	size_t n = 0;

	if (allow) {
		p[n++] = ALU_K(BPF_XOR, BPF_REG_8, ACCESS_ALL);
		p[n++] = ALU_X(BPF_AND, BPF_REG_3, BPF_REG_8);
		p[n++] = INSN(BPF_JMP | BPF_JNE | BPF_K, BPF_REG_3, 0, 2, 0);
	} else {
		p[n++] = ALU_X(BPF_AND, BPF_REG_8, BPF_REG_3);
		p[n++] = INSN(BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_8, 0, 2, 0);
	}
	return n + emit_return(p + n, allow);
}

int device_program(const struct device_rules *rules, struct arena *a, struct bpf_insn **ret, size_t *ret_n,
		   struct error *err)
{
	struct bpf_insn *p = arena_calloc(a, RULE_MAX * rules->n + FRAME_MAX, sizeof(*p));
	bool last_word = false;
	size_t n;

	if (!p)
		return error_set(err, ENOMEM, "device rules: out of memory");
	n = emit_prologue(p);
	/* The last rule comes first. Nothing gets past one that names all. */
	for (size_t i = rules->n; i > 0;) {
		bool allow = rules->rules[i - 1].allow;

		if (device_rule_is_all(&rules->rules[i - 1])) {
			last_word = allow;
			break;
		}
		p[n++] = ALU_K(BPF_MOV, BPF_REG_8, 0);
		for (; i > 0 && rules->rules[i - 1].allow == allow && !device_rule_is_all(&rules->rules[i - 1]); i--)
			n += emit_rule(p + n, &rules->rules[i - 1]);
		n += emit_group_end(p + n, allow);
	}
	n += emit_return(p + n, last_word);
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
