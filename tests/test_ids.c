/* SPDX-License-Identifier: Apache-2.0 */
/* Owners translated between a container with a user namespace and the disk (volumes.md §6). */
#include "tests/engine_box.h"

#include <stdio.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "hooks/engine/ids.h"

static struct ids *make_ids(uint32_t host, bool on_disk)
{
	struct ids *ids = calloc(1, sizeof(*ids));

	ids->uid = ids->gid = (struct id_map){.ranges = {{0, host, 1000}, {5000, 7, 1}}, .n = 2};
	ids->on_disk = on_disk;
	return ids;
}

static void maps_are_read_as_the_kernel_writes_them(void **state)
{
	static const char *const broken[] = {"0 0\n", "a 0 1\n", "0 0 1 2\n", "0 0 1,"};
	_cleanup_free_ struct id_map *m = calloc(1, sizeof(*m));
	char text[(IDS_MAX + 1) * 8 + 1] = "";

	(void)state;
	assert_int_equal(id_map_parse("         0     100000      65536\n     65536          5          1\n", m), 0);
	assert_int_equal(m->n, 2);
	assert_true(id_map_has(m, 65535) && id_map_has(m, 65536) && !id_map_has(m, 65537));
	assert_int_equal(id_map_parse("0 0 4294967295\n", m), 0);
	assert_true(id_map_has(m, UINT32_MAX - 1) && !id_map_has(m, UINT32_MAX));
	assert_int_equal(id_map_parse("", m), 0);
	assert_true(id_map_has(m, UINT32_MAX));
	for (size_t i = 0; i < ARRAY_SIZE(broken); i++)
		assert_int_equal(id_map_parse(broken[i], m), -EINVAL);
	for (int i = 0; i < IDS_MAX; i++)
		strcat(text, "1 1 1\n");
	assert_int_equal(id_map_parse(text, m), 0);
	strcat(text, "1 1 1\n");
	assert_int_equal(id_map_parse(text, m), -EINVAL);
}

static void an_id_goes_to_the_disk_and_back_and_a_strange_one_is_nobodys(void **state)
{
	_cleanup_free_ struct ids *disk = make_ids(100000, true), *mount = make_ids(100000, false);

	(void)state;
	assert_int_equal(ids_uid_to_disk(disk, 999), 100999);
	assert_int_equal(ids_gid_to_disk(disk, 5000), 7);
	assert_int_equal(ids_uid_to_disk(disk, 1000), IDS_NONE);
	assert_int_equal(ids_uid_from_disk(disk, 100000), 0);
	assert_int_equal(ids_gid_from_disk(disk, 7), 5000);
	assert_int_equal(ids_uid_from_disk(disk, 0), IDS_NONE);
	assert_int_equal(ids_uid_to_disk(mount, 1000), 1000);
	assert_int_equal(ids_uid_from_disk(NULL, 3), 3);
}

static void what_a_tree_was_made_with_is_noted_beside_it(void **state)
{
	_cleanup_free_ struct ids *one = make_ids(100000, true), *two = make_ids(200000, true);
	_cleanup_free_ struct ids *mount = make_ids(1, false), *other_mount = make_ids(2, false), *got = NULL;
	struct box *b = *state;
	_cleanup_close_ int dir = open(b->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int root = -1;
	char name[48];
	struct stat st;

	assert_int_equal(mkdirat(dir, "rw", 0700), 0);
	root = openat(dir, "rw", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(ids_noted(dir, root, NULL));
	assert_false(ids_noted(dir, root, one));
	assert_int_equal(ids_note(dir, root, one), 0);
	assert_true(ids_noted(dir, root, one));
	assert_false(ids_noted(dir, root, two));
	assert_false(ids_noted(dir, root, NULL));
	/* The tree is known by itself, whatever it is called. */
	assert_int_equal(renameat(dir, "rw", dir, "aside"), 0);
	assert_int_equal(ids_load(dir, root, &got), 0);
	assert_int_equal(ids_uid_from_disk(got, 100001), 1);
	/* By a mount, it is the same tree for any ids of the host. */
	assert_int_equal(ids_note(dir, root, mount), 0);
	assert_true(ids_noted(dir, root, other_mount));
	assert_false(ids_noted(dir, root, two));
	assert_int_equal(fstat(root, &st), 0);
	snprintf(name, sizeof(name), "ids-%ju", (uintmax_t)st.st_ino);
	free(got);
	got = NULL;
	assert_int_equal(write_file_atomic_at(dir, name, "disk\n0 1", 8, 0600, false), 0);
	assert_int_equal(ids_load(dir, root, &got), -EINVAL);
	assert_false(ids_noted(dir, root, one));
	assert_int_equal(ids_note(dir, root, NULL), 0);
	assert_int_equal(ids_load(dir, root, &got), 0);
	assert_null(got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(maps_are_read_as_the_kernel_writes_them),
	    cmocka_unit_test(an_id_goes_to_the_disk_and_back_and_a_strange_one_is_nobodys),
	    cmocka_unit_test_setup_teardown(what_a_tree_was_made_with_is_noted_beside_it, box_setup, box_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
