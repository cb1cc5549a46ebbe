/* SPDX-License-Identifier: Apache-2.0 */
/* The group's rules, in a directory that stands for resctrl: it makes no files in a new group, and rmdir needs an empty
 * one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "runtime/intel_rdt.h"

static char mount[] = "/tmp/test-rdt-XXXXXX";
static struct arena arena;
static struct error err;
static struct intel_rdt_group group;

static const char *path(const char *file)
{
	return arena_printf(&arena, "%s/%s", mount, file);
}

static void put(const char *file, const char *text)
{
	assert_int_equal(write_file_atomic_at(AT_FDCWD, path(file), text, strlen(text), 0644, false), 0);
}

static void has(const char *file, const char *text)
{
	_cleanup_free_ char *there = NULL;

	assert_int_equal(read_file_at(AT_FDCWD, path(file), 4096, &there, NULL), 0);
	assert_string_equal(there, text);
}

static bool is_there(const char *file)
{
	return access(path(file), F_OK) == 0;
}

static int plan(const struct spec_intel_rdt *rdt)
{
	return intel_rdt_plan(mount, rdt, "c1", &group, &err);
}

static int join(const struct spec_intel_rdt *rdt)
{
	int r = plan(rdt);

	return r == 0 ? intel_rdt_join(mount, rdt, &group, "c1", 4711, &arena, &err) : r;
}

static int set_up(void **state)
{
	(void)state;
	memcpy(mount + strlen(mount) - 6, "XXXXXX", 6);
	assert_non_null(mkdtemp(mount));
	mkdir(path("info"), 0755);
	mkdir(path("mon_groups"), 0755);
	put("info/last_cmd_status", "ok\n");
	put("schemata", "    MB:0=100;1=100\n    L3:0=7ff;1=7ff\n");
	err = (struct error)ERROR_INIT;
	return 0;
}

static int tear_down(void **state)
{
	char *command = NULL;

	(void)state;
	if (asprintf(&command, "rm -rf '%s'", mount) < 0 || system(command) != 0)
		return -1;
	free(command);
	arena_free(&arena);
	arena = (struct arena)ARENA_INIT;
	return 0;
}

/* --- tests ----------------------------------------------------------------------- */

static void without_a_clos_id_the_group_is_the_containers_own(void **state)
{
	const struct spec_intel_rdt rdt = {.l3_cache_schema = "L3:0=f;1=f0", .mem_bw_schema = "MB:0=20;1=70"};

	(void)state;
	assert_int_equal(join(&rdt), 0);
	assert_true(group.made);
	has("c1/schemata", "L3:0=f;1=f0\nMB:0=20;1=70\n");
	has("c1/tasks", "4711\n");
	assert_false(is_there("c1/mon_groups"));
	unlink(path("c1/schemata"));
	unlink(path("c1/tasks"));
	assert_int_equal(intel_rdt_remove(mount, &group, "c1", &err), 0);
	assert_false(is_there("c1"));
	assert_int_equal(intel_rdt_remove(mount, &group, "c1", &err), 0);
}

static void schemata_come_last_and_nothing_is_written_when_nothing_is_given(void **state)
{
	const char *lines[] = {"L2:0=f", "L3:0=3"};
	const struct spec_intel_rdt rdt = {.mem_bw_schema = "MB:0=20", .schemata = lines, .n_schemata = 2};
	const struct spec_intel_rdt none = {.clos_id = "/"};

	(void)state;
	assert_int_equal(join(&rdt), 0);
	has("c1/schemata", "MB:0=20\nL2:0=f\nL3:0=3\n");
	assert_int_equal(join(&none), 0);
	assert_false(group.made);
	has("tasks", "4711\n");
	has("schemata", "    MB:0=100;1=100\n    L3:0=7ff;1=7ff\n");
}

static void a_group_with_a_clos_id_stays(void **state)
{
	const struct spec_intel_rdt rdt = {.clos_id = "gold", .l3_cache_schema = "L3:0=f"};

	(void)state;
	assert_int_equal(join(&rdt), 0);
	assert_false(group.made);
	unlink(path("gold/schemata"));
	unlink(path("gold/tasks"));
	assert_int_equal(intel_rdt_remove(mount, &group, "c1", &err), 0);
	assert_true(is_there("gold"));
}

static void a_group_that_was_there_without_a_clos_id_stays(void **state)
{
	const struct spec_intel_rdt rdt = {.enable_monitoring = false};

	(void)state;
	mkdir(path("c1"), 0755);
	assert_int_equal(join(&rdt), 0);
	assert_false(group.made);
	assert_int_equal(intel_rdt_remove(mount, &group, "c1", &err), 0);
	assert_true(is_there("c1"));
}

static void a_clos_id_alone_must_name_a_group_that_is_there(void **state)
{
	const struct spec_intel_rdt rdt = {.clos_id = "gold"};

	(void)state;
	assert_int_equal(plan(&rdt), -ENOENT);
	assert_non_null(strstr(err.msg, "no group \"gold\""));
	mkdir(path("gold"), 0755);
	assert_int_equal(join(&rdt), 0);
	has("gold/tasks", "4711\n");
	assert_false(is_there("gold/schemata"));
}

static void a_group_that_is_there_must_have_the_same_shares(void **state)
{
	struct spec_intel_rdt rdt = {.clos_id = "gold", .l3_cache_schema = "L3:1=0ff;0=f", .mem_bw_schema = "MB:0=20"};

	(void)state;
	mkdir(path("gold"), 0755);
	put("gold/schemata", "    L3:0=00f;1=0ff\n    MB:0= 20;1=100\n");
	assert_int_equal(join(&rdt), 0);
	has("gold/tasks", "4711\n");
	has("gold/schemata", "    L3:0=00f;1=0ff\n    MB:0= 20;1=100\n");
	rdt.l3_cache_schema = "L3:0=ff";
	assert_int_equal(join(&rdt), -EBUSY);
	rdt.l3_cache_schema = NULL;
	rdt.mem_bw_schema = "MB:2=20";
	assert_int_equal(join(&rdt), -EBUSY);
}

static void bandwidth_in_the_schema_of_the_cache_is_left_out(void **state)
{
	const struct spec_intel_rdt rdt = {.l3_cache_schema = "MB:0=20\nL3DATA:0=f\nMB:1=5\nL3CODE:0=f0"};

	(void)state;
	assert_int_equal(join(&rdt), 0);
	has("c1/schemata", "L3DATA:0=f\nL3CODE:0=f0\n");
}

static void monitoring_has_a_group_of_the_container_which_goes_with_it(void **state)
{
	const struct spec_intel_rdt rdt = {.clos_id = "/", .enable_monitoring = true};

	(void)state;
	assert_int_equal(join(&rdt), 0);
	has("mon_groups/c1/tasks", "4711\n");
	unlink(path("mon_groups/c1/tasks"));
	assert_int_equal(intel_rdt_remove(mount, &group, "c1", &err), 0);
	assert_false(is_there("mon_groups/c1"));
	rmdir(path("mon_groups"));
	assert_true(join(&rdt) < 0);
	assert_non_null(strstr(err.msg, "enableMonitoring"));
}

static void an_update_writes_the_new_shares(void **state)
{
	const struct spec_intel_rdt rdt = {.clos_id = "gold", .l3_cache_schema = "L3:0=f"};

	(void)state;
	assert_int_equal(join(&rdt), 0);
	assert_int_equal(intel_rdt_update(mount, &group, "L3:0=ff", NULL, &arena, &err), 0);
	assert_int_equal(intel_rdt_update(mount, &group, NULL, "MB:0=10", &arena, &err), 0);
	has("gold/schemata", "L3:0=f\nL3:0=ff\nMB:0=10\n");
	assert_int_equal(intel_rdt_update(mount, &group, NULL, "L3:0=10", &arena, &err), -EINVAL);
}

static void values_that_are_no_lines_are_refused(void **state)
{
	const char *lines[] = {"L3:0=f\nMB:0=1"};
	const struct spec_intel_rdt bad[] = {
	    {.mem_bw_schema = "L3:0=f"},
	    {.mem_bw_schema = "MB:0=1\nL3:0=f"},
	    {.schemata = lines, .n_schemata = 1},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(plan(&bad[i]), -EINVAL);
}

static void a_name_of_a_forged_state_leaves_nothing_but_the_mount(void **state)
{
	static const char *const names[] = {"..", ".", "../x", "a/b", ""};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		group = (struct intel_rdt_group){.name = names[i], .made = true};
		assert_int_equal(intel_rdt_remove(mount, &group, "c1", &err), -EINVAL);
		assert_true(is_there("info"));
	}
	group = (struct intel_rdt_group){.name = "/", .made = true, .monitored = true};
	assert_int_equal(intel_rdt_remove(mount, &group, "..", &err), 0);
	assert_true(is_there("mon_groups"));
}

static void what_the_kernel_says_of_a_refusal_is_in_the_error(void **state)
{
	const struct spec_intel_rdt rdt = {.l3_cache_schema = "L3:0=f"};

	(void)state;
	mkdir(path("c1"), 0755);
	mkdir(path("c1/tasks"), 0755);
	put("c1/schemata", "L3:0=f\n");
	put("info/last_cmd_status", "Mask too wide\n");
	assert_true(join(&rdt) < 0);
	assert_non_null(strstr(err.msg, "(Mask too wide)"));
}

static void events_tell_the_shares_and_what_was_used(void **state)
{
	const struct spec_intel_rdt rdt = {.l3_cache_schema = "L3:0=f;1=f0", .enable_monitoring = true};
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
	static const char *const directories[] = {"info/L3",
						  "info/L3_MON",
						  "c1",
						  "c1/mon_groups",
						  "c1/mon_groups/c1",
						  "c1/mon_groups/c1/mon_data",
						  "c1/mon_groups/c1/mon_data/mon_L3_01",
						  "c1/mon_groups/c1/mon_data/mon_L3_00"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(directories); i++)
		assert_int_equal(mkdir(path(directories[i]), 0755), 0);
	put("c1/schemata", "    L3:0=f;1=f0\n");
	put("info/L3/cbm_mask", "7ff\n");
	put("info/L3/min_cbm_bits", "1\n");
	put("info/L3/num_closids", "16\n");
	put("info/L3_MON/mon_features", "llc_occupancy\n");
	put("c1/mon_groups/c1/mon_data/mon_L3_00/llc_occupancy", "4096\n");
	put("c1/mon_groups/c1/mon_data/mon_L3_01/llc_occupancy", "Unavailable\n");
	assert_int_equal(join(&rdt), 0);
	assert_int_equal(intel_rdt_stats(mount, &group, "c1", &arena, &out, &err), 0);
	assert_string_equal(strbuf_str(&out),
			    "{\"l3_cache_info\":{\"cbm_mask\":\"7ff\",\"min_cbm_bits\":1,\"num_closids\":16},"
			    "\"mem_bw_schema_root\":\"MB:0=100;1=100\",\"l3_cache_schema_root\":\"L3:0=7ff;1=7ff\","
			    "\"l3_cache_schema\":\"L3:0=f;1=f0\",\"schemata\":[\"L3:0=f;1=f0\"],"
			    "\"cmt_stats\":[{\"llc_occupancy\":4096},{\"llc_occupancy\":0}]}");
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(without_a_clos_id_the_group_is_the_containers_own),
	    TEST(schemata_come_last_and_nothing_is_written_when_nothing_is_given),
	    TEST(a_group_with_a_clos_id_stays),
	    TEST(a_group_that_was_there_without_a_clos_id_stays),
	    TEST(a_clos_id_alone_must_name_a_group_that_is_there),
	    TEST(a_group_that_is_there_must_have_the_same_shares),
	    TEST(bandwidth_in_the_schema_of_the_cache_is_left_out),
	    TEST(monitoring_has_a_group_of_the_container_which_goes_with_it),
	    TEST(an_update_writes_the_new_shares),
	    TEST(values_that_are_no_lines_are_refused),
	    TEST(a_name_of_a_forged_state_leaves_nothing_but_the_mount),
	    TEST(what_the_kernel_says_of_a_refusal_is_in_the_error),
	    TEST(events_tell_the_shares_and_what_was_used),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
