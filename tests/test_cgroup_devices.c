/* SPDX-License-Identifier: Apache-2.0 */
/* The BPF program is run here by a small interpreter; tests/test_cgroup.c attaches it for real. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "runtime/cgroup_devices.h"

#define M BPF_DEVCG_ACC_MKNOD
#define R BPF_DEVCG_ACC_READ
#define W BPF_DEVCG_ACC_WRITE

static struct arena arena = ARENA_INIT;
static struct error err;

static int release(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

static bool reached[65536];

static uint64_t alu(uint8_t op, uint64_t a, uint64_t b)
{
	switch (op) {
	case BPF_MOV:
		return b;
	case BPF_AND:
		return a & b;
	case BPF_OR:
		return a | b;
	case BPF_XOR:
		return a ^ b;
	case BPF_ADD:
		return a + b;
	case BPF_LSH:
		return a << b;
	case BPF_RSH:
		return a >> b;
	case BPF_MUL:
		return a * b;
	default:
		fail_msg("instruction %#x", op);
		return 0;
	}
}

/* Only what a device program uses; fails on everything else, on a jump out of the program and on an endless one. */
static int run(const struct bpf_insn *p, size_t n, const struct bpf_cgroup_dev_ctx *ctx)
{
	uint64_t reg[11] = {0};
	size_t pc = 0;

	for (size_t steps = 0; steps <= n; steps++) {
		const struct bpf_insn *i = &p[pc];
		uint64_t operand;

		if (pc >= n)
			fail_msg("the program runs past its end");
		reached[pc] = true;
		operand = (i->code & BPF_X) ? reg[i->src_reg] : (uint64_t)(int64_t)i->imm;
		switch (i->code & 7) {
		case BPF_LDX:
			assert_int_equal(i->code, BPF_LDX | BPF_MEM | BPF_W);
			assert_int_equal(i->src_reg, BPF_REG_1);
			reg[i->dst_reg] = *(const uint32_t *)((const char *)ctx + i->off);
			break;
		case BPF_ALU64:
			reg[i->dst_reg] = alu(i->code & 0xf0, reg[i->dst_reg], operand);
			break;
		case BPF_LD:
			assert_int_equal(i->code, BPF_LD | BPF_DW | BPF_IMM);
			reg[i->dst_reg] = (uint32_t)i->imm | (uint64_t)(uint32_t)p[++pc].imm << 32;
			reached[pc] = true;
			break;
		case BPF_JMP:
			if ((i->code & 0xf0) == BPF_EXIT)
				return (int)reg[0];
			if ((reg[i->dst_reg] == operand) == ((i->code & 0xf0) == BPF_JEQ))
				pc += (size_t)i->off;
			break;
		default:
			fail_msg("instruction class %#x", i->code);
		}
		pc++;
	}
	fail_msg("the program does not end");
	return -1;
}

static struct device_rules rules;
static struct bpf_insn *program;
static size_t program_len;

static void make(struct spec_device_rule *list, size_t n)
{
	struct spec_resources res = {.devices = list, .n_devices = n};

	if (device_rules_make(&res, &arena, &rules, &err) < 0 ||
	    device_program(&rules, &arena, &program, &program_len, &err) < 0)
		fail_msg("%s", err.msg);
}

static bool allowed(char type, uint32_t major, uint32_t minor, uint32_t access)
{
	struct bpf_cgroup_dev_ctx ctx = {
	    .access_type = access << 16 | (type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR),
	    .major = major,
	    .minor = minor,
	};

	return run(program, program_len, &ctx) == 1;
}

static int64_t *num(int64_t n)
{
	int64_t *p = arena_alloc(&arena, sizeof(*p));

	*p = n;
	return p;
}

/* --- tests ----------------------------------------------------------------------- */

static void every_container_has_the_standard_devices(void **state)
{
	static const uint32_t standard[][2] = {{1, 3}, {1, 5}, {1, 7}, {1, 8},	 {1, 9},
					       {5, 0}, {5, 1}, {5, 2}, {136, 0}, {136, 4711}};
	struct spec_device_rule deny_all[] = {{.allow = false, .access = "rwm"}};

	(void)state;
	for (size_t n = 0; n < 2; n++) {
		make(deny_all, n);
		for (size_t i = 0; i < ARRAY_SIZE(standard); i++) {
			assert_true(allowed('c', standard[i][0], standard[i][1], R | W | M));
			assert_true(allowed('c', standard[i][0], standard[i][1], W));
			assert_false(allowed('b', standard[i][0], standard[i][1], R));
		}
		/* mknod of any, but not its use. */
		assert_true(allowed('b', 8, 0, M));
		assert_true(allowed('c', 10, 200, M));
		assert_false(allowed('b', 8, 0, R));
		assert_false(allowed('b', 8, 0, R | M));
		assert_false(allowed('c', 1, 1, R));  /* mem */
		assert_false(allowed('c', 1, 11, R)); /* kmsg */
	}
}

static void the_last_rule_that_names_a_device_decides(void **state)
{
	struct spec_device_rule list[] = {
	    {.allow = false},
	    {.allow = true, .type = "b", .major = num(8), .access = "rw"},
	    {.allow = false, .type = "b", .major = num(8), .minor = num(1), .access = "w"},
	};

	(void)state;
	make(list, ARRAY_SIZE(list));
	assert_true(allowed('b', 8, 0, R | W));
	assert_true(allowed('b', 8, 1, R));
	assert_false(allowed('b', 8, 1, W));
	assert_false(allowed('b', 8, 1, R | W));
	assert_false(allowed('c', 8, 0, R));
	assert_false(allowed('b', 9, 0, R));
}

static void each_access_may_come_from_another_rule(void **state)
{
	struct spec_device_rule list[] = {
	    {.allow = true, .type = "c", .major = num(10), .minor = num(200), .access = "r"},
	    {.allow = true, .type = "c", .major = num(10), .minor = num(200), .access = "w"},
	};

	(void)state;
	make(list, ARRAY_SIZE(list));
	/* r, w of the two; m of the default rule. */
	assert_true(allowed('c', 10, 200, R | W | M));
	assert_false(allowed('c', 10, 201, R));
}

static void allowing_everything_makes_a_short_program_without_unreachable_code(void **state)
{
	struct spec_device_rule list[] = {
	    {.allow = false, .type = "c", .major = num(1), .minor = num(1)},
	    {.allow = true, .type = "a"},
	};

	(void)state;
	make(list, ARRAY_SIZE(list));
	assert_true(allowed('c', 1, 1, R | W | M));
	assert_true(allowed('b', 259, 7, R | W | M));
	memset(reached, 0, sizeof(reached));
	for (uint32_t major = 0; major < 140; major++) {
		for (uint32_t minor = 0; minor < 12; minor++) {
			for (uint32_t access = 1; access < 8; access++) {
				allowed('c', major, minor, access);
				allowed('b', major, minor, access);
			}
		}
	}
	for (size_t i = 0; i < program_len; i++)
		assert_true(reached[i]);
}

static void large_numbers_and_all_kinds_of_wildcards_compare_right(void **state)
{
	struct spec_device_rule list[] = {
	    {.allow = true, .type = "c", .major = num(0xfff), .minor = num(0xfffff)},
	    {.allow = true, .type = "b", .major = num(-1), .minor = num(5), .access = "r"},
	    {.allow = true, .type = "a", .major = num(0xfff), .minor = num(-1), .access = "w"},
	    /* No device has them: they allow none that has, and leave nothing in other fields. */
	    {.allow = true, .type = "b", .major = num(0x1000), .minor = num(7)},
	    {.allow = true, .type = "b", .major = num(0), .minor = num(0x100007)},
	    {.allow = true, .type = "b", .major = num(0xffffffff), .minor = num(0xffffffff)},
	};

	(void)state;
	make(list, ARRAY_SIZE(list));
	assert_true(allowed('c', 0xfff, 0xfffff, R | W));
	assert_false(allowed('c', 0xfff, 0x7ffff, R));
	assert_false(allowed('c', 0x7ff, 0xfffff, R));
	assert_true(allowed('b', 77, 5, R));
	assert_true(allowed('b', 0xfff, 5, R));
	assert_false(allowed('b', 77, 6, R));
	assert_true(allowed('b', 0xfff, 9, W));
	assert_true(allowed('c', 0xfff, 9, W));
	assert_false(allowed('c', 0xffe, 9, W));
	assert_false(allowed('b', 0, 7, R));
	assert_false(allowed('b', 1, 7, R));
	assert_false(allowed('c', 0, 7, R));
	assert_false(allowed('b', 0xfff, 0xfffff, R));
}

static void bad_rules_are_refused_with_their_place(void **state)
{
	const struct {
		struct spec_device_rule rule;
		const char *text;
	} cases[] = {
	    {{.type = "x"}, "resources.devices[0].type"},
	    {{.type = "cc"}, "resources.devices[0].type"},
	    {{.type = "c", .access = "rwx"}, "resources.devices[0].access"},
	    {{.type = "c", .major = num(-2)}, "out of range"},
	    {{.type = "c", .minor = num(INT64_C(1) << 32)}, "out of range"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct spec_device_rule rule = cases[i].rule;
		struct spec_resources res = {.devices = &rule, .n_devices = 1};

		assert_int_equal(device_rules_make(&res, &arena, &rules, &err), -EINVAL);
		assert_non_null(strstr(err.msg, cases[i].text));
	}
}

static void v1_lines_are_what_the_kernel_reads(void **state)
{
	struct device_rule all = {true, 'a', -1, -1, R | W | M}, pts = {true, 'c', 136, -1, R | W};
	char line[DEVICE_LINE_MAX];

	(void)state;
	assert_string_equal(device_rule_line(&all, line), "a *:* rwm");
	assert_string_equal(device_rule_line(&pts, line), "c 136:* rw");
	assert_true(device_rule_is_all(&all));
	all.access = M;
	assert_false(device_rule_is_all(&all));
	assert_string_equal(device_rule_line(&all, line), "a *:* m");
}

#define CASE(test) cmocka_unit_test_teardown(test, release)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(every_container_has_the_standard_devices),
	    CASE(the_last_rule_that_names_a_device_decides),
	    CASE(each_access_may_come_from_another_rule),
	    CASE(allowing_everything_makes_a_short_program_without_unreachable_code),
	    CASE(large_numbers_and_all_kinds_of_wildcards_compare_right),
	    CASE(bad_rules_are_refused_with_their_place),
	    CASE(v1_lines_are_what_the_kernel_reads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
