/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "runtime/cgroup_plan.h"

static struct arena arena = ARENA_INIT;
static struct cgroup_plan plan;
static struct error err;

static int release(void **state)
{
	(void)state;
	arena_free(&arena);
	memset(&plan, 0, sizeof(plan));
	memset(&err, 0, sizeof(err));
	return 0;
}

static void make_v2(const struct spec_resources *r)
{
	if (cgroup_plan_v2(r, &arena, &plan, &err) < 0)
		fail_msg("%s", err.msg);
}

static void make_v1(const struct spec_resources *r)
{
	if (cgroup_plan_v1(r, &arena, &plan, &err) < 0)
		fail_msg("%s", err.msg);
}

static const struct cgroup_write *find(const char *file)
{
	for (size_t i = 0; i < plan.n; i++) {
		if (strcmp(plan.writes[i].file, file) == 0)
			return &plan.writes[i];
	}
	return NULL;
}

static void assert_write(const char *file, const char *value)
{
	const struct cgroup_write *w = find(file);

	if (!w)
		fail_msg("%s is not written", file);
	else
		assert_string_equal(w->value, value);
}

static int64_t *i64(int64_t n)
{
	int64_t *p = arena_alloc(&arena, sizeof(*p));

	*p = n;
	return p;
}

static uint64_t *u64(uint64_t n)
{
	return (uint64_t *)i64((int64_t)n);
}

static uint16_t *u16(uint16_t n)
{
	uint16_t *p = arena_alloc(&arena, sizeof(*p));

	*p = n;
	return p;
}

static uint32_t *u32(uint32_t n)
{
	uint32_t *p = arena_alloc(&arena, sizeof(*p));

	*p = n;
	return p;
}

/* --- tests ----------------------------------------------------------------------- */

static void shares_become_the_weights_that_runc_and_crun_make_of_them(void **state)
{
	static const uint64_t pairs[][2] = {
	    {0, 1},	 {1, 1},       {2, 1},		{3, 2},		 {512, 59},	     {1024, 100},
	    {2048, 174}, {10240, 639}, {262143, 10000}, {262144, 10000}, {UINT64_MAX, 10000}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
		assert_int_equal(cgroup_cpu_weight(pairs[i][0]), pairs[i][1]);
	for (uint64_t s = 3; s < 262144; s++)
		assert_true(cgroup_cpu_weight(s) >= cgroup_cpu_weight(s - 1));
	assert_int_equal(cgroup_io_weight(10), 1);
	assert_int_equal(cgroup_io_weight(500), 4950);
	assert_int_equal(cgroup_io_weight(1000), 10000);
	assert_int_equal(cgroup_io_weight(5000), 10000);
}

static void nothing_asked_is_nothing_written(void **state)
{
	struct spec_memory memory = {.limit = i64(0), .swap = i64(0)};
	struct spec_cpu cpu = {.shares = u64(0), .quota = i64(0), .period = u64(0), .cpus = ""};
	struct spec_resources res = {.memory = &memory, .cpu = &cpu};

	(void)state;
	make_v2(NULL);
	assert_int_equal(plan.n, 0);
	make_v2(&res);
	assert_int_equal(plan.n, 0);
	make_v1(&res);
	assert_int_equal(plan.n, 0);
	assert_int_equal(plan.memory_must_fit, -1);
}

static void swap_is_counted_without_memory_on_v2_and_with_it_on_v1(void **state)
{
	struct spec_memory memory = {.limit = i64(1000), .swap = i64(1500), .reservation = i64(500)};
	struct spec_resources res = {.memory = &memory};

	(void)state;
	make_v2(&res);
	assert_write("memory.max", "1000");
	assert_write("memory.swap.max", "500");
	assert_write("memory.low", "500");
	make_v1(&res);
	assert_write("memory.limit_in_bytes", "1000");
	assert_write("memory.memsw.limit_in_bytes", "1500");
	assert_write("memory.soft_limit_in_bytes", "500");
	/* The two of v1 depend on each other in both directions. */
	assert_true(find("memory.limit_in_bytes")->flags & CGROUP_WRITE_RETRY);
}

static void equal_memory_and_swap_forbid_swap_even_where_it_is_not_accounted(void **state)
{
	struct spec_memory memory = {.limit = i64(1000), .swap = i64(1000)};
	struct spec_resources res = {.memory = &memory};

	(void)state;
	make_v2(&res);
	assert_write("memory.swap.max", "0");
	assert_true(find("memory.swap.max")->flags & CGROUP_WRITE_OPTIONAL);
}

static void swap_of_zero_alone_forbids_it_on_v2(void **state)
{
	struct spec_memory memory = {.swap = i64(0)};
	struct spec_resources res = {.memory = &memory};

	(void)state;
	make_v2(&res);
	assert_write("memory.swap.max", "0");
	memory.limit = i64(1000);
	make_v2(&res);
	assert_null(find("memory.swap.max"));
}

/* runtime-spec 1.3: zero is a limit. */
static void no_pids_is_one(void **state)
{
	struct spec_pids pids = {.limit = i64(0)};
	struct spec_resources res = {.pids = &pids};

	(void)state;
	make_v2(&res);
	assert_write("pids.max", "1");
	assert_true(find("pids.max")->flags & CGROUP_WRITE_OPTIONAL);
}

static void minus_one_is_no_limit(void **state)
{
	struct spec_memory memory = {.limit = i64(-1)};
	struct spec_cpu cpu = {.quota = i64(-1), .period = u64(50000)};
	struct spec_pids pids = {.limit = i64(-1)};
	struct spec_resources res = {.memory = &memory, .cpu = &cpu, .pids = &pids};

	(void)state;
	make_v2(&res);
	assert_write("memory.max", "max");
	assert_write("memory.swap.max", "max");
	assert_write("cpu.max", "max 50000");
	assert_write("pids.max", "max");
	make_v1(&res);
	assert_write("memory.limit_in_bytes", "-1");
	assert_write("memory.memsw.limit_in_bytes", "-1");
	assert_write("cpu.cfs_quota_us", "-1");
	assert_write("pids.max", "max");
}

static void contradictory_memory_is_refused(void **state)
{
	const struct {
		int64_t limit, swap;
		const char *text;
	} cases[] = {{-1, 100, "needs memory.limit"},
		     {100, 99, "is less than memory.limit"},
		     {-2, 0, "below -1"},
		     {100, -3, "below -1"},
		     {0, 100, "needs memory.limit"}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct spec_memory memory = {.limit = i64(cases[i].limit), .swap = i64(cases[i].swap)};
		struct spec_resources res = {.memory = &memory};

		assert_int_equal(cgroup_plan_v2(&res, &arena, &plan, &err), -EINVAL);
		assert_non_null(strstr(err.msg, cases[i].text));
		/* v1 has a file for the sum alone. */
		assert_int_equal(cgroup_plan_v1(&res, &arena, &plan, &err), cases[i].limit ? -EINVAL : 0);
	}
	assert_write("memory.memsw.limit_in_bytes", "100");
}

static void a_check_before_the_update_needs_a_limit(void **state)
{
	bool yes = true;
	struct spec_memory memory = {.limit = i64(4096), .check_before_update = &yes};
	struct spec_resources res = {.memory = &memory};

	(void)state;
	make_v2(&res);
	assert_int_equal(plan.memory_must_fit, 4096);
	*memory.limit = -1;
	make_v2(&res);
	assert_int_equal(plan.memory_must_fit, -1);
}

static void cpu_limits_map_to_the_files_of_each_version(void **state)
{
	struct spec_cpu cpu = {
	    .shares = u64(1024), .quota = i64(20000), .burst = u64(5000), .idle = i64(0), .cpus = "0-1", .mems = "0"};
	struct spec_resources res = {.cpu = &cpu};

	(void)state;
	make_v2(&res);
	assert_write("cpu.weight", "100");
	assert_write("cpu.max", "20000 100000");
	assert_write("cpu.max.burst", "5000");
	assert_write("cpu.idle", "0");
	assert_write("cpuset.cpus", "0-1");
	assert_write("cpuset.mems", "0");
	assert_true(find("cpu.max.burst")->flags & CGROUP_WRITE_RETRY);
	assert_true(find("cpu.max.burst") < find("cpu.max"));
	make_v1(&res);
	assert_write("cpu.shares", "1024");
	assert_write("cpu.cfs_quota_us", "20000");
	assert_write("cpu.cfs_burst_us", "5000");
	assert_null(find("cpu.cfs_period_us"));
	/* Idle: the kernel takes no weight then. */
	*cpu.idle = 1;
	make_v2(&res);
	assert_write("cpu.idle", "1");
	assert_null(find("cpu.weight"));
}

static void realtime_is_for_v1_only(void **state)
{
	struct spec_cpu cpu = {.realtime_runtime = i64(950000), .realtime_period = u64(1000000)};
	struct spec_resources res = {.cpu = &cpu};

	(void)state;
	make_v1(&res);
	assert_write("cpu.rt_runtime_us", "950000");
	assert_write("cpu.rt_period_us", "1000000");
	assert_int_equal(cgroup_plan_v2(&res, &arena, &plan, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "cannot be set on cgroup v2"));
}

static void io_weights_have_a_fallback_and_throttles_one_line_each(void **state)
{
	struct spec_weight_device weights[] = {{8, 0, u16(100), NULL}};
	struct spec_throttle_device reads[] = {{8, 0, 1000}, {8, 16, 0}}, writes[] = {{8, 0, 7}};
	struct spec_block_io io = {.weight = u16(1000),
				   .weight_device = weights,
				   .n_weight_device = 1,
				   .throttle_read_bps = reads,
				   .n_throttle_read_bps = 2,
				   .throttle_write_iops = writes,
				   .n_throttle_write_iops = 1};
	struct spec_resources res = {.block_io = &io};

	(void)state;
	make_v2(&res);
	assert_int_equal(plan.n, 7);
	assert_string_equal(plan.writes[0].file, "io.bfq.weight");
	assert_string_equal(plan.writes[0].value, "1000");
	assert_int_equal(plan.writes[0].flags, CGROUP_WRITE_ELSE_NEXT);
	assert_string_equal(plan.writes[1].file, "io.weight");
	assert_string_equal(plan.writes[1].value, "10000");
	assert_string_equal(plan.writes[2].value, "8:0 100");
	assert_string_equal(plan.writes[3].value, "8:0 910");
	assert_string_equal(plan.writes[4].value, "8:0 rbps=1000");
	assert_string_equal(plan.writes[5].value, "8:16 rbps=max");
	assert_string_equal(plan.writes[6].value, "8:0 wiops=7");
	make_v1(&res);
	assert_write("blkio.throttle.read_bps_device", "8:0 1000");
	assert_write("blkio.throttle.write_iops_device", "8:0 7");
	assert_write("blkio.weight_device", "8:0 100");
	io.leaf_weight = u16(10);
	make_v1(&res);
	assert_write("blkio.leaf_weight", "10");
	assert_int_equal(cgroup_plan_v2(&res, &arena, &plan, &err), -EINVAL);
}

static void hugepage_sizes_are_checked_before_they_become_file_names(void **state)
{
	static const char *const bad[] = {"", "MB", "2M", "2mB", "2MB/..", "../2MB", "2 MB", "12345678MB"};
	struct spec_hugepage_limit limit = {"2MB", 4194304};
	struct spec_resources res = {.hugepage_limits = &limit, .n_hugepage_limits = 1};

	(void)state;
	make_v2(&res);
	assert_write("hugetlb.2MB.max", "4194304");
	assert_write("hugetlb.2MB.rsvd.max", "4194304");
	make_v1(&res);
	assert_write("hugetlb.2MB.limit_in_bytes", "4194304");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		limit.page_size = bad[i];
		assert_int_equal(cgroup_plan_v2(&res, &arena, &plan, &err), -EINVAL);
	}
}

static void rdma_writes_what_is_given(void **state)
{
	struct spec_rdma devices[] = {{"mlx5_1", u32(3), u32(10000)}, {"rxe3", NULL, u32(5)}};
	struct spec_resources res = {.rdma = devices, .n_rdma = 2};

	(void)state;
	make_v2(&res);
	assert_int_equal(plan.n, 2);
	assert_string_equal(plan.writes[0].value, "mlx5_1 hca_handle=3 hca_object=10000");
	assert_string_equal(plan.writes[1].value, "rxe3 hca_object=5");
	devices[1].hca_objects = NULL;
	assert_int_equal(cgroup_plan_v2(&res, &arena, &plan, &err), -EINVAL);
}

static void network_classes_are_for_v1_only(void **state)
{
	struct spec_interface_priority priority = {"eth0", 5};
	struct spec_network net = {.class_id = u32(1048577), .priorities = &priority, .n_priorities = 1};
	struct spec_resources res = {.network = &net};

	(void)state;
	make_v1(&res);
	assert_write("net_cls.classid", "1048577");
	assert_write("net_prio.ifpriomap", "eth0 5");
	assert_int_equal(cgroup_plan_v2(&res, &arena, &plan, &err), -EINVAL);
}

static void unified_keys_are_file_names_and_values_go_line_by_line(void **state)
{
	static const char *const bad[] = {"../x.y",	  "memory/x.max", "memory",	   ".max",
					  "cgroup.procs", "cgroup.kill",  "cgroup.freeze", ""};
	struct json_pair pairs[] = {{"io.max", "259:0 rbps=2\n253:0 wiops=1\n"}, {"memory.high", "5"}};
	struct spec_resources res = {.unified = pairs, .n_unified = 2};

	(void)state;
	make_v2(&res);
	assert_int_equal(plan.n, 3);
	assert_string_equal(plan.writes[0].value, "259:0 rbps=2");
	assert_string_equal(plan.writes[1].value, "253:0 wiops=1");
	assert_string_equal(plan.writes[1].controller, "io");
	assert_string_equal(plan.writes[2].file, "memory.high");
	assert_int_equal(cgroup_plan_v1(&res, &arena, &plan, &err), -EINVAL);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		pairs[0].key = bad[i];
		assert_int_equal(cgroup_plan_v2(&res, &arena, &plan, &err), -EINVAL);
		assert_non_null(strstr(err.msg, "unified: "));
	}
}

static void running_out_of_memory_is_an_error_not_a_crash(void **state)
{
	struct spec_pids pids = {.limit = i64(5)};
	struct spec_resources res = {.pids = &pids};

	(void)state;
	for (size_t limit = 1; limit < 4096; limit += 64) {
		struct arena small = {.limit = limit};
		int r = cgroup_plan_v2(&res, &small, &plan, &err);

		assert_true(r == 0 || r == -ENOMEM);
		arena_free(&small);
	}
}

#define CASE(test) cmocka_unit_test_teardown(test, release)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(shares_become_the_weights_that_runc_and_crun_make_of_them),
	    CASE(nothing_asked_is_nothing_written),
	    CASE(swap_is_counted_without_memory_on_v2_and_with_it_on_v1),
	    CASE(equal_memory_and_swap_forbid_swap_even_where_it_is_not_accounted),
	    CASE(swap_of_zero_alone_forbids_it_on_v2),
	    CASE(no_pids_is_one),
	    CASE(minus_one_is_no_limit),
	    CASE(contradictory_memory_is_refused),
	    CASE(a_check_before_the_update_needs_a_limit),
	    CASE(cpu_limits_map_to_the_files_of_each_version),
	    CASE(realtime_is_for_v1_only),
	    CASE(io_weights_have_a_fallback_and_throttles_one_line_each),
	    CASE(hugepage_sizes_are_checked_before_they_become_file_names),
	    CASE(rdma_writes_what_is_given),
	    CASE(network_classes_are_for_v1_only),
	    CASE(unified_keys_are_file_names_and_values_go_line_by_line),
	    CASE(running_out_of_memory_is_an_error_not_a_crash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
