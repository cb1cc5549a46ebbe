/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "runtime/mount_idmap.h"

static struct spec_id_mapping container_ids[] = {{0, 5000, 1}, {1, 100000, 1000}};
static const struct spec_linux container = {
    .uid_mappings = container_ids, .n_uid_mappings = 2, .gid_mappings = container_ids, .n_gid_mappings = 2};
static struct arena arena = ARENA_INIT;
static struct error err;

static int release(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

static int parse(const char *option, bool in_userns, struct mount_idmap *ret)
{
	const char *options[] = {"rbind", option};
	const struct spec_mount m = {.destination = "/m", .options = options, .n_options = 2};

	err = (struct error)ERROR_INIT;
	return mount_idmap_parse(&m, &container, in_userns, &arena, ret, &err);
}

static void is(const struct spec_id_mapping *m, uint32_t from, uint32_t to, uint32_t size)
{
	assert_int_equal(m->container_id, from);
	assert_int_equal(m->host_id, to);
	assert_int_equal(m->size, size);
}

static void a_mount_without_the_option_is_left_alone(void **state)
{
	struct mount_idmap map;

	(void)state;
	assert_int_equal(parse("ro", true, &map), 0);
	assert_false(map.wanted);
	assert_int_equal(parse("idmapper", true, &map), 0);
	assert_false(map.wanted);
}

static void without_a_value_the_container_has_the_mapping(void **state)
{
	struct mount_idmap map;

	(void)state;
	assert_int_equal(parse("idmap", true, &map), 0);
	assert_true(map.wanted && !map.own && !map.recursive);
	assert_int_equal(parse("ridmap", true, &map), 0);
	assert_true(map.wanted && !map.own && map.recursive);
	assert_int_equal(parse("idmap", false, &map), -EINVAL);
}

static void a_value_has_ranges_of_users_and_groups(void **state)
{
	struct mount_idmap map;

	(void)state;
	assert_int_equal(parse("ridmap=uids=0-1-10#10-11-10;gids=0-100-10", false, &map), 0);
	assert_true(map.wanted && map.own && map.recursive);
	assert_int_equal(map.mapping.n_uid_mappings, 2);
	assert_int_equal(map.mapping.n_gid_mappings, 1);
	is(&map.mapping.uid_mappings[0], 0, 1, 10);
	is(&map.mapping.uid_mappings[1], 10, 11, 10);
	is(&map.mapping.gid_mappings[0], 0, 100, 10);
}

static void a_relative_range_goes_through_the_container(void **state)
{
	struct mount_idmap map;

	(void)state;
	assert_int_equal(parse("idmap=uids=@1-3-10#0-7-1;gids=@9-0-1", true, &map), 0);
	is(&map.mapping.uid_mappings[0], 1, 100002, 10);
	is(&map.mapping.uid_mappings[1], 0, 7, 1);
	is(&map.mapping.gid_mappings[0], 9, 5000, 1);
	/* Not mapped; mapped, but not to its end. */
	assert_int_equal(parse("idmap=uids=@0-1001-1;gids=0-0-1", true, &map), -EINVAL);
	assert_int_equal(parse("idmap=uids=@0-1-1001;gids=0-0-1", true, &map), -EINVAL);
	assert_int_equal(parse("idmap=uids=@0-0-2;gids=0-0-1", true, &map), -EINVAL);
}

static void anything_else_is_refused(void **state)
{
	static const char *const bad[] = {
	    "idmap=",
	    "idmap=uids=",
	    "idmap=uids=0-0-1",
	    "idmap=gids=0-0-1",
	    "idmap=uids=0-0-1;gids=",
	    "idmap=uids=0-0;gids=0-0-1",
	    "idmap=uids=0-0-1-1;gids=0-0-1",
	    "idmap=uids=0-0-0;gids=0-0-1",
	    "idmap=uids=0--1-1;gids=0-0-1",
	    "idmap=uids=0-0-1#;gids=0-0-1",
	    "idmap=uids=#0-0-1;gids=0-0-1",
	    "idmap=uids=0-0-1;gids=0-0-1;pids=0-0-1",
	    "idmap=uids=0-4294967295-1;gids=0-0-1",
	    "idmap=uids=0-99999999999-1;gids=0-0-1",
	    "idmap=uids=@@0-0-1;gids=0-0-1",
	};
	struct mount_idmap map;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (parse(bad[i], true, &map) != -EINVAL)
			fail_msg("accepted: %s", bad[i]);
}

static void the_mappings_of_the_mount_win(void **state)
{
	const char *options[] = {"idmap=uids=0-1-10;gids=0-1-10"};
	struct spec_id_mapping own = {0, 77, 5};
	const struct spec_mount m = {.destination = "/m",
				     .options = options,
				     .n_options = 1,
				     .uid_mappings = &own,
				     .n_uid_mappings = 1,
				     .gid_mappings = &own,
				     .n_gid_mappings = 1};
	struct mount_idmap map;

	(void)state;
	assert_int_equal(mount_idmap_parse(&m, &container, false, &arena, &map, &err), 0);
	assert_true(map.wanted && map.own && !map.recursive);
	is(&map.mapping.uid_mappings[0], 0, 77, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(a_mount_without_the_option_is_left_alone, release),
	    cmocka_unit_test_teardown(without_a_value_the_container_has_the_mapping, release),
	    cmocka_unit_test_teardown(a_value_has_ranges_of_users_and_groups, release),
	    cmocka_unit_test_teardown(a_relative_range_goes_through_the_container, release),
	    cmocka_unit_test_teardown(anything_else_is_refused, release),
	    cmocka_unit_test_teardown(the_mappings_of_the_mount_win, release),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
