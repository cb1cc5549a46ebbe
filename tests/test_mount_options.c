/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mount.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/sys.h"
#include "runtime/mount_options.h"

static struct arena arena = ARENA_INIT;

static struct mount_options parse(const char *const *options, size_t n)
{
	struct mount_options o;
	struct error err = ERROR_INIT;

	assert_int_equal(mount_options_parse(options, n, &arena, &o, &err), 0);
	return o;
}

#define PARSE(...)                                                                                                     \
	parse((const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static int release(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

static void flags_become_attributes(void **state)
{
	struct mount_options o = PARSE("ro", "nosuid", "nodev", "noexec", "nosymfollow", "nodiratime");

	(void)state;
	assert_int_equal(o.attr_set, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC |
					 MOUNT_ATTR_NOSYMFOLLOW | MOUNT_ATTR_NODIRATIME);
	assert_int_equal(o.attr_clr, 0);
	assert_int_equal(o.rec_set | o.rec_clr, 0);
	assert_int_equal(o.n_data, 0);
}

static void the_later_of_two_opposites_wins(void **state)
{
	struct mount_options a = PARSE("ro", "rw"), b = PARSE("rw", "ro"), c = PARSE("sync", "async");

	(void)state;
	assert_int_equal(a.attr_set, 0);
	assert_int_equal(a.attr_clr, MOUNT_ATTR_RDONLY);
	assert_int_equal(b.attr_set, MOUNT_ATTR_RDONLY);
	assert_int_equal(b.attr_clr, 0);
	assert_int_equal(c.sb_set, 0);
}

static void an_access_time_clears_the_whole_enumeration(void **state)
{
	struct mount_options o = PARSE("noatime");

	(void)state;
	assert_int_equal(o.attr_set, MOUNT_ATTR_NOATIME);
	assert_int_equal(o.attr_clr, MOUNT_ATTR__ATIME);
	o = PARSE("noatime", "strictatime");
	assert_int_equal(o.attr_set, MOUNT_ATTR_STRICTATIME);
	o = PARSE("relatime");
	assert_int_equal(o.attr_set, 0);
	assert_int_equal(o.attr_clr, MOUNT_ATTR__ATIME);
}

static void taking_back_an_access_time_that_is_not_in_force_changes_nothing(void **state)
{
	struct mount_options o = PARSE("noatime", "nostrictatime", "norelatime");

	(void)state;
	assert_int_equal(o.attr_set, MOUNT_ATTR_NOATIME);
	o = PARSE("nostrictatime", "norelatime");
	assert_int_equal(o.attr_set | o.attr_clr, 0);
	o = PARSE("noatime", "atime");
	assert_int_equal(o.attr_set, MOUNT_ATTR_RELATIME);
	assert_int_equal(o.attr_clr, MOUNT_ATTR__ATIME);
}

static void recursive_names_go_to_the_recursive_attributes(void **state)
{
	struct mount_options o = PARSE("rro", "rnosuid", "rdev", "rnosymfollow", "rnoatime");

	(void)state;
	assert_int_equal(o.attr_set | o.attr_clr, 0);
	assert_int_equal(o.rec_set,
			 MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOSYMFOLLOW | MOUNT_ATTR_NOATIME);
	assert_int_equal(o.rec_clr, MOUNT_ATTR_NODEV | MOUNT_ATTR__ATIME);
}

static void propagations_keep_their_order(void **state)
{
	struct mount_options o = PARSE("rbind", "rslave", "shared");

	(void)state;
	assert_true(o.bind && o.recursive);
	assert_int_equal(o.n_propagation, 2);
	assert_int_equal(o.propagation[0], MS_SLAVE | MS_REC);
	assert_int_equal(o.propagation[1], MS_SHARED);
}

static void too_many_propagations_are_refused(void **state)
{
	const char *const names[] = {"shared", "slave", "private", "shared", "slave"};
	struct mount_options o;
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(mount_options_parse(names, 5, &arena, &o, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "propagation"));
}

static void what_is_no_flag_is_data(void **state)
{
	struct mount_options o = PARSE("nosuid", "size=64k,mode=755", "newinstance", "Ro");

	(void)state;
	assert_int_equal(o.attr_set, MOUNT_ATTR_NOSUID);
	assert_int_equal(o.n_data, 4);
	assert_string_equal(o.data[0], "size=64k");
	assert_string_equal(o.data[1], "mode=755");
	assert_string_equal(o.data[2], "newinstance");
	assert_string_equal(o.data[3], "Ro");
}

static void an_escaped_comma_stays_within_its_value(void **state)
{
	struct mount_options o = PARSE("lowerdir=/a\\,b:/c,,upperdir=/u,");

	(void)state;
	assert_int_equal(o.n_data, 2);
	assert_string_equal(o.data[0], "lowerdir=/a\\,b:/c");
	assert_string_equal(o.data[1], "upperdir=/u");
}

static void extensions_are_known(void **state)
{
	struct mount_options o =
	    PARSE("tmpcopyup", "copy-symlink", "src-nofollow", "dest-nofollow", "ridmap", "remount");

	(void)state;
	assert_true(o.copyup && o.copy_symlink && o.src_nofollow && o.dest_nofollow && o.idmap && o.remount);
	o = PARSE("idmap=uids=0-1-10;gids=0-1-10");
	assert_true(o.idmap);
	assert_int_equal(o.n_data, 0);
}

static void mount_2_gets_the_same_flags(void **state)
{
	struct mount_options o = PARSE("ro", "nosuid", "noexec", "nodev", "strictatime", "iversion", "size=1");

	(void)state;
	assert_int_equal(mount_options_ms(&o),
			 MS_RDONLY | MS_NOSUID | MS_NOEXEC | MS_NODEV | MS_STRICTATIME | MS_I_VERSION);
	o = PARSE("rw");
	assert_int_equal(mount_options_ms(&o), 0);
}

static void every_name_of_the_specification_is_listed_once_and_sorted(void **state)
{
	static const char *const wanted[] = {
	    "async",	     "atime",	     "bind",
	    "defaults",	     "dev",	     "diratime",
	    "dirsync",	     "exec",	     "idmap",
	    "iversion",	     "lazytime",     "loud",
	    "mand",	     "noatime",	     "nodev",
	    "nodiratime",    "noexec",	     "noiversion",
	    "nolazytime",    "nomand",	     "norelatime",
	    "nostrictatime", "nosuid",	     "nosymfollow",
	    "private",	     "ratime",	     "rbind",
	    "rdev",	     "rdiratime",    "relatime",
	    "remount",	     "rexec",	     "ridmap",
	    "rnoatime",	     "rnodev",	     "rnodiratime",
	    "rnoexec",	     "rnorelatime",  "rnostrictatime",
	    "rnosuid",	     "rnosymfollow", "ro",
	    "rprivate",	     "rrelatime",    "rro",
	    "rrw",	     "rshared",	     "rslave",
	    "rstrictatime",  "rsuid",	     "rsymfollow",
	    "runbindable",   "rw",	     "shared",
	    "silent",	     "slave",	     "strictatime",
	    "suid",	     "symfollow",    "sync",
	    "tmpcopyup",     "unbindable",
	};
	const char **names;
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(mount_option_names(&arena, &names, &err), 0);
	for (size_t i = 1; names[i]; i++)
		assert_true(strcmp(names[i - 1], names[i]) < 0);
	for (size_t w = 0; w < ARRAY_SIZE(wanted); w++) {
		bool there = false;

		for (size_t i = 0; names[i]; i++)
			there = there || strcmp(names[i], wanted[w]) == 0;
		if (!there)
			fail_msg("%s is not known", wanted[w]);
	}
}

static void a_propagation_is_found_by_its_name_only(void **state)
{
	(void)state;
	assert_int_equal(mount_propagation("rslave"), MS_SLAVE | MS_REC);
	assert_int_equal(mount_propagation("ro"), 0);
	assert_int_equal(mount_propagation("nonsense"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(flags_become_attributes, release),
	    cmocka_unit_test_teardown(the_later_of_two_opposites_wins, release),
	    cmocka_unit_test_teardown(an_access_time_clears_the_whole_enumeration, release),
	    cmocka_unit_test_teardown(taking_back_an_access_time_that_is_not_in_force_changes_nothing, release),
	    cmocka_unit_test_teardown(recursive_names_go_to_the_recursive_attributes, release),
	    cmocka_unit_test_teardown(propagations_keep_their_order, release),
	    cmocka_unit_test_teardown(too_many_propagations_are_refused, release),
	    cmocka_unit_test_teardown(what_is_no_flag_is_data, release),
	    cmocka_unit_test_teardown(an_escaped_comma_stays_within_its_value, release),
	    cmocka_unit_test_teardown(extensions_are_known, release),
	    cmocka_unit_test_teardown(mount_2_gets_the_same_flags, release),
	    cmocka_unit_test_teardown(every_name_of_the_specification_is_listed_once_and_sorted, release),
	    cmocka_unit_test_teardown(a_propagation_is_found_by_its_name_only, release),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
