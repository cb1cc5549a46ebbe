/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/sys.h"
#include "runtime/devices.h"
#include "runtime/mount_plan.h"

struct fixture {
	struct arena arena;
	struct spec spec;
	struct spec_linux linux_;
	struct spec_mount mounts[8];
	struct rootfs_volume volumes[4];
	int trees[8];
	struct rootfs r;
	struct mount_plan plan;
	struct error err;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (!f)
		return -1;
	f->spec.linux_ = &f->linux_;
	f->spec.mounts = f->mounts;
	f->r = (struct rootfs){.spec = &f->spec, .arena = &f->arena, .volumes = f->volumes, .console_fd = -1};
	for (size_t i = 0; i < ARRAY_SIZE(f->trees); i++)
		f->trees[i] = -1;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	arena_free(&f->arena);
	free(f);
	return 0;
}

static struct spec_mount *add(struct fixture *f, const char *destination, const char *type, const char *option)
{
	struct spec_mount *m = &f->mounts[f->spec.n_mounts++];

	*m = (struct spec_mount){.destination = destination, .type = type, .source = "src"};
	if (option) {
		m->options = arena_calloc(&f->arena, 2, sizeof(char *));
		m->options[0] = option;
		m->n_options = 1;
	}
	return m;
}

static void add_volume(struct fixture *f, const char *destination)
{
	f->volumes[f->r.n_volumes] =
	    (struct rootfs_volume){.destination = destination, .tree_fd = 100 + (int)f->r.n_volumes};
	f->r.n_volumes++;
}

static void plan(struct fixture *f)
{
	assert_int_equal(mount_plan_make(&f->r, &f->plan, &f->err), 0);
}

static void refused(struct fixture *f, const char *words)
{
	assert_int_equal(mount_plan_make(&f->r, &f->plan, &f->err), -EINVAL);
	if (!strstr(f->err.msg, words))
		fail_msg("expected \"%s\", got \"%s\"", words, f->err.msg);
}

/* The destinations in order, with spaces between. */
static const char *order(struct fixture *f)
{
	const char *s = "";

	plan(f);
	for (size_t i = 0; i < f->plan.n; i++)
		s = arena_printf(&f->arena, "%s%s%s", s, i ? " " : "", f->plan.ops[i].destination);
	return s;
}

static void mounts_keep_the_bundle_s_order(void **state)
{
	struct fixture *f = *state;

	add(f, "/z", "tmpfs", NULL);
	add(f, "/a", "tmpfs", NULL);
	add(f, "/z/b", "tmpfs", NULL);
	assert_string_equal(order(f), "/z /a /z/b");
}

static void a_volume_comes_before_the_first_mount_beneath_it(void **state)
{
	struct fixture *f = *state;

	add(f, "/data", "tmpfs", NULL);
	add(f, "/data/v/x", "tmpfs", NULL);
	add(f, "/data/v/y", "tmpfs", NULL);
	add_volume(f, "/data/v");
	assert_string_equal(order(f), "/data /data/v /data/v/x /data/v/y");
	assert_int_equal(f->plan.ops[1].kind, MOUNT_VOLUME);
	assert_int_equal(f->plan.ops[1].volume->tree_fd, 100);
}

static void a_volume_without_mounts_beneath_comes_last(void **state)
{
	struct fixture *f = *state;

	add(f, "/data", "tmpfs", NULL);
	add(f, "/database", "tmpfs", NULL);
	add_volume(f, "/data");
	assert_string_equal(order(f), "/data /database /data");
	assert_int_equal(f->plan.ops[2].kind, MOUNT_VOLUME);
}

static void a_mount_of_the_bundle_that_would_hide_a_volume_comes_before_it(void **state)
{
	struct fixture *f = *state;

	add(f, "/data/sub", "tmpfs", NULL);
	add(f, "/data/", "tmpfs", NULL);
	add_volume(f, "/data");
	assert_string_equal(order(f), "/data/sub /data /data");
	assert_int_equal(f->plan.ops[2].kind, MOUNT_VOLUME);
	add(f, "/data/late", "tmpfs", NULL);
	assert_string_equal(order(f), "/data/sub /data /data /data/late");
	assert_int_equal(f->plan.ops[2].kind, MOUNT_VOLUME);
}

static void a_remount_hides_nothing(void **state)
{
	static const char *options[] = {"remount", "bind", "ro"};
	struct fixture *f = *state;

	add(f, "/data/cfg", "tmpfs", NULL);
	add(f, "/", NULL, NULL);
	f->spec.mounts[1].options = options;
	f->spec.mounts[1].n_options = 3;
	add_volume(f, "/data");
	assert_string_equal(order(f), "/data /data/cfg /");
	assert_int_equal(f->plan.ops[0].kind, MOUNT_VOLUME);
}

static void a_mount_above_a_volume_comes_before_it_though_one_beneath_came_first(void **state)
{
	struct fixture *f = *state;

	add(f, "/data/v/x", "tmpfs", NULL);
	add(f, "/data", "tmpfs", NULL);
	add(f, "/data/v/y", "tmpfs", NULL);
	add_volume(f, "/data/v");
	add_volume(f, "/data/u");
	assert_string_equal(order(f), "/data/v/x /data /data/v /data/v/y /data/u");
}

static void volumes_are_ordered_by_path(void **state)
{
	struct fixture *f = *state;

	add(f, "/proc", "proc", NULL);
	add_volume(f, "/mnt/b");
	add_volume(f, "/mnt/a");
	add_volume(f, "/data");
	assert_string_equal(order(f), "/proc /data /mnt/a /mnt/b");
}

static void destinations_get_their_normal_form(void **state)
{
	struct fixture *f = *state;

	add(f, "/a//b/./c/../d/", "tmpfs", NULL);
	add(f, "relative/x", "tmpfs", NULL);
	add(f, "/../../up", "tmpfs", NULL);
	assert_string_equal(order(f), "/a/b/d /relative/x /up");
}

static void the_bind_option_wins_over_the_type(void **state)
{
	struct fixture *f = *state;

	add(f, "/a", "proc", "rbind");
	add(f, "/b", NULL, "bind");
	add(f, "/c", "bind", NULL);
	add(f, "/d", "tmpfs", "remount");
	add(f, "/e", "overlay", NULL);
	plan(f);
	assert_int_equal(f->plan.ops[0].kind, MOUNT_BIND);
	assert_int_equal(f->plan.ops[1].kind, MOUNT_BIND);
	assert_int_equal(f->plan.ops[2].kind, MOUNT_BIND);
	assert_int_equal(f->plan.ops[3].kind, MOUNT_REMOUNT);
	assert_int_equal(f->plan.ops[4].kind, MOUNT_OTHER);
}

static void a_tmpfs_and_dev_become_readonly_late(void **state)
{
	struct fixture *f = *state;

	add(f, "/run", "tmpfs", "ro");
	add(f, "/dev", "devtmpfs", "rro");
	add(f, "/other", "ext4", "ro");
	add(f, "/rw", "tmpfs", "rw");
	plan(f);
	assert_true(f->plan.ops[0].late_readonly && f->plan.ops[1].late_readonly);
	assert_int_equal(f->plan.ops[0].options.attr_set | f->plan.ops[1].options.rec_set, 0);
	assert_false(f->plan.ops[2].late_readonly || f->plan.ops[3].late_readonly);
	assert_int_equal(f->plan.ops[2].options.attr_set, MOUNT_ATTR_RDONLY);
}

static void a_bind_of_dev_leaves_the_devices_to_the_host(void **state)
{
	struct fixture *f = *state;

	add(f, "/dev/", "tmpfs", NULL);
	plan(f);
	assert_true(f->plan.setup_dev);
	f->spec.n_mounts = 0;
	add(f, "/dev/", "bind", "rbind");
	plan(f);
	assert_false(f->plan.setup_dev);
}

static void given_trees_are_taken_by_index(void **state)
{
	struct fixture *f = *state;

	add(f, "/a", "tmpfs", NULL);
	add(f, "/b", "bind", "idmap");
	f->trees[1] = 42;
	f->r.mount_tree_fds = f->trees;
	plan(f);
	assert_int_equal(f->plan.ops[0].tree_fd, -1);
	assert_int_equal(f->plan.ops[1].tree_fd, 42);
}

static void an_idmapped_mount_without_its_tree_is_refused(void **state)
{
	struct fixture *f = *state;
	struct spec_id_mapping map = {0, 1000, 1};
	struct spec_mount *m = add(f, "/b", "tmpfs", NULL);

	m->uid_mappings = &map;
	m->n_uid_mappings = 1;
	refused(f, "mount \"src\" on \"/b\": ids can be mapped only for a bind mount");
}

static void mounts_that_cannot_be_are_refused(void **state)
{
	struct fixture *f = *state;

	add(f, "/b", NULL, NULL);
	refused(f, "mount \"src\" on \"/b\": no type");
	f->spec.n_mounts = 0;
	add(f, "/b", "bind", NULL)->source = NULL;
	refused(f, "a bind mount needs a source");
	f->spec.n_mounts = 0;
	add(f, "", "tmpfs", NULL);
	refused(f, "mounts[0]: no destination");
}

static void places_in_proc_are_closed(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(mount_place_check("/", true, &f->err), -EINVAL);
	assert_int_equal(mount_place_check("/proc", false, &f->err), -EINVAL);
	assert_int_equal(mount_place_check("/proc", true, &f->err), 0);
	assert_int_equal(mount_place_check("/proc/sys", true, &f->err), -EINVAL);
	assert_int_equal(mount_place_check("/proc/self/attr/exec", false, &f->err), -EINVAL);
	assert_int_equal(mount_place_check("/proc/meminfo", false, &f->err), 0);
	assert_int_equal(mount_place_check("/proc/meminfo/x", false, &f->err), -EINVAL);
	assert_int_equal(mount_place_check("/process", false, &f->err), 0);
}

static void the_default_devices_are_six(void **state)
{
	struct fixture *f = *state;
	struct device *d;
	size_t n;

	assert_int_equal(devices_plan(&f->spec, &f->arena, &d, &n, &f->err), 0);
	assert_int_equal(n, 6);
	assert_string_equal(d[0].path, "/dev/null");
	assert_int_equal(d[0].mode, S_IFCHR | 0666);
	assert_int_equal(d[0].rdev, makedev(1, 3));
}

static void device_numbers_out_of_range_are_refused(void **state)
{
	struct fixture *f = *state;
	struct spec_device bad[] = {{"/dev/x", "c", -1, 0, NULL, NULL, NULL},
				    {"/dev/x", "b", 1, 1 << 20, NULL, NULL, NULL}};
	struct device *d;
	size_t n;

	f->linux_.n_devices = 1;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		f->linux_.devices = &bad[i];
		assert_int_equal(devices_plan(&f->spec, &f->arena, &d, &n, &f->err), -EINVAL);
		assert_non_null(strstr(f->err.msg, "out of range"));
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(mounts_keep_the_bundle_s_order),
	    T(a_volume_comes_before_the_first_mount_beneath_it),
	    T(a_volume_without_mounts_beneath_comes_last),
	    T(a_mount_of_the_bundle_that_would_hide_a_volume_comes_before_it),
	    T(a_remount_hides_nothing),
	    T(a_mount_above_a_volume_comes_before_it_though_one_beneath_came_first),
	    T(volumes_are_ordered_by_path),
	    T(destinations_get_their_normal_form),
	    T(the_bind_option_wins_over_the_type),
	    T(a_tmpfs_and_dev_become_readonly_late),
	    T(a_bind_of_dev_leaves_the_devices_to_the_host),
	    T(given_trees_are_taken_by_index),
	    T(an_idmapped_mount_without_its_tree_is_refused),
	    T(mounts_that_cannot_be_are_refused),
	    T(places_in_proc_are_closed),
	    T(the_default_devices_are_six),
	    T(device_numbers_out_of_range_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
