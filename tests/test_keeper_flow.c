/* SPDX-License-Identifier: Apache-2.0 */
/* volrun-hook and volrun-keeper as the runtime uses them, over a filesystem store. Needs root (detached mounts). */
#include "tests/keeper_box.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"

#define MS NSEC_PER_MSEC
#define RW "\"dev.volrun.volume\":\"state /data\""
#define RO "\"dev.volrun.volume\":\"state /data ro\""

static void a_container_without_a_declaration_gets_nothing(void **state)
{
	struct nodes *x = *state;
	struct run r;

	must_create(&r, &x->a, "c1", "\"other\":\"x\"");
	assert_int_equal(r.n_mounts, 0);
	assert_int_equal(count_entries(x->a.cache), -1);
	run_close(&r);
}

static void what_one_run_writes_the_next_finds_on_this_node_and_on_another(void **state)
{
	struct nodes *x = *state;
	struct run r;
	char buf[64];

	must_create(&r, &x->a, "c1", RW);
	assert_int_equal(r.n_mounts, 1);
	assert_string_equal(r.destinations[0], "/data");
	assert_int_equal(mount_write(&r, 0, "note", "from a"), 0);
	run_end(&r);
	must_create(&r, &x->a, "c2", RW);
	assert_string_equal(mount_read(&r, 0, "note", buf, sizeof(buf)), "from a");
	run_end(&r);
	must_create(&r, &x->b, "c3", RW);
	assert_string_equal(mount_read(&r, 0, "note", buf, sizeof(buf)), "from a");
	assert_int_equal(unlinkat(r.mounts[0], "note", 0), 0);
	run_end(&r);
	must_create(&r, &x->a, "c4", RW);
	assert_null(mount_read(&r, 0, "note", buf, sizeof(buf)));
	run_end(&r);
}

static void nothing_is_left_of_a_finished_run(void **state)
{
	struct nodes *x = *state;
	struct run r;

	must_create(&r, &x->a, "c1", RW);
	assert_int_equal(count_entries(x->a.run_dir), 1);
	run_end(&r);
	assert_int_equal(count_entries(x->a.run_dir), 0);
	assert_int_equal(box_keeper(&x->a, "state"), 0);
}

static int64_t handed_over_in(struct nodes *x)
{
	struct run first, second;
	int64_t start, taken;

	must_create(&first, &x->a, "c1", RW);
	run_start(&second, &x->a, "c2", RW);
	clock_sleep_ns(300 * MS);
	assert_int_equal(waitpid(second.hook, NULL, WNOHANG), 0);
	start = clock_boottime_ns();
	run_end(&first);
	run_wait(&second);
	taken = clock_boottime_ns() - start;
	assert_int_equal(second.status, 0);
	run_end(&second);
	return taken;
}

static void a_waiter_on_this_node_starts_within_a_second_of_the_release(void **state)
{
	int tries = 1;

	/* Others may keep the machine busy. */
	while (handed_over_in(*state) > NSEC_PER_SEC)
		assert_true(++tries <= 3);
}

static void a_waiter_on_another_node_polls(void **state)
{
	struct nodes *x = *state;
	struct run first, second;

	must_create(&first, &x->a, "c1", RW);
	run_start(&second, &x->b, "c2", RW);
	clock_sleep_ns(3000 * MS); /* longer than ttl: the first one renews */
	assert_int_equal(waitpid(second.hook, NULL, WNOHANG), 0);
	run_end(&first);
	run_wait(&second);
	assert_int_equal(second.status, 0);
	run_end(&second);
}

static void wait_names_the_holder_and_leaves_nothing(void **state)
{
	struct nodes *x = *state;
	const struct box *boxes[] = {&x->a, &x->b};
	struct run first, second;
	int i;

	must_create(&first, &x->a, "c1", RW);
	for (i = 0; i < 2; i++) {
		int64_t start = clock_boottime_ns(), took;
		bool ok = run_create(&second, boxes[i], "c2", "\"dev.volrun.volume\":\"state /data wait=1s\"");

		took = clock_boottime_ns() - start;
		assert_false(ok);
		assert_int_equal(second.status, 1);
		assert_ptr_equal(strstr(second.output, "volume state: lease held by node-a (container c1, since 20"),
				 second.output);
		assert_non_null(strstr(second.output, "), waited 1s\n"));
		assert_int_equal(strcspn(second.output, "\n"), strlen(second.output) - 1);
		assert_true(took >= 1000 * MS && took < 2000 * MS);
		assert_int_equal(second.n_mounts, 0);
		run_close(&second);
	}
	assert_int_equal(count_entries(x->b.run_dir), 0);
	assert_int_equal(count_entries(x->a.run_dir), 1);
	run_end(&first);
}

/* Each name has a lock of its own in the cache: that one is free proves nothing about the other's holder. */
static void a_second_name_of_the_store_takes_no_lease_from_a_living_holder(void **state)
{
	struct nodes *x = *state;
	struct run first, second;
	struct box alias;
	char text[4096] = "";
	_cleanup_free_ char *config = NULL;
	char *at;

	must_create(&first, &x->a, "c1", RW);
	alias = x->a;
	snprintf(alias.config, sizeof(alias.config), "%s/alias.json", x->root);
	assert_int_equal(read_file_at(AT_FDCWD, x->a.config, 4000, &config, NULL), 0);
	at = strstr(config, "\"default\"");
	assert_non_null(at);
	snprintf(text, sizeof(text), "%.*s\"alias\"%s", (int)(at - config), config, at + strlen("\"default\""));
	at = strrchr(text, '}');
	strcpy(at, ",\"default_store\":\"alias\"}");
	assert_int_equal(write_file_atomic_at(AT_FDCWD, alias.config, text, strlen(text), 0600, false), 0);
	assert_false(run_create(&second, &alias, "c2", "\"dev.volrun.volume\":\"state /data wait=1s\""));
	assert_non_null(strstr(second.output, "lease held by node-a (container c1"));
	run_close(&second);
	run_end(&first);
}

static void ro_needs_an_existing_volume_and_is_read_only(void **state)
{
	struct nodes *x = *state;
	struct run r, ro;
	char buf[64];

	assert_false(run_create(&r, &x->a, "c1", RO));
	assert_string_equal(r.output, "volume state: not there yet: ro needs an existing volume\n");
	run_close(&r);
	must_create(&r, &x->a, "c2", RW);
	assert_int_equal(mount_write(&r, 0, "note", "one"), 0);
	run_end(&r);
	must_create(&r, &x->a, "c3", RW);
	/* While a holder writes: readers see the commit, at once, any number. */
	must_create(&ro, &x->b, "c4", RO);
	assert_string_equal(mount_read(&ro, 0, "note", buf, sizeof(buf)), "one");
	errno = 0;
	assert_int_equal(mount_write(&ro, 0, "note", "two"), -1);
	assert_int_equal(errno, EROFS);
	run_end(&ro);
	must_create(&ro, &x->a, "c5", RO);
	assert_string_equal(mount_read(&ro, 0, "note", buf, sizeof(buf)), "one");
	run_end(&ro);
	run_end(&r);
}

static void the_keeper_is_out_of_everybodys_way(void **state)
{
	struct nodes *x = *state;
	struct run r;
	char path[64], target[256];
	ssize_t n;
	pid_t keeper;
	int i;

	must_create(&r, &x->a, "c1", RW);
	keeper = box_keeper(&x->a, "state");
	assert_true(keeper > 0);
	assert_int_equal(getsid(keeper), keeper);
	for (i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)keeper, i);
		n = readlink(path, target, sizeof(target) - 1);
		assert_true(n > 0);
		target[n] = '\0';
		assert_string_equal(target, "/dev/null");
	}
	snprintf(path, sizeof(path), "/proc/%d/cwd", (int)keeper);
	n = readlink(path, target, sizeof(target) - 1);
	assert_int_equal(n, 1);
	/* It stays as long as the container runs, whoever asks it to go. */
	kill(keeper, SIGTERM);
	clock_sleep_ns(200 * MS);
	assert_int_equal(kill(keeper, 0), 0);
	assert_false(wait_gone(keeper, 10));
	run_end(&r);
	assert_true(wait_gone(keeper, 1000));
}

static void several_volumes_come_in_the_order_of_their_paths(void **state)
{
	struct nodes *x = *state;
	struct run r;

	must_create(&r, &x->a, "c1",
		    "\"dev.volrun.volume.1\":\"zz /data/a\",\"dev.volrun.volume.2\":\"mm /data/c\","
		    "\"dev.volrun.volume.3\":\"aa /data/b\"");
	assert_int_equal(r.n_mounts, 3);
	assert_string_equal(r.destinations[0], "/data/a");
	assert_string_equal(r.destinations[1], "/data/b");
	assert_string_equal(r.destinations[2], "/data/c");
	assert_int_equal(mount_write(&r, 1, "x", "b"), 0);
	run_end(&r);
	must_create(&r, &x->b, "c2", "\"dev.volrun.volume\":\"aa /data\"");
	{
		char buf[8];

		assert_string_equal(mount_read(&r, 0, "x", buf, sizeof(buf)), "b");
	}
	run_end(&r);
}

static void a_failure_of_one_volume_gives_the_others_back(void **state)
{
	struct nodes *x = *state;
	struct run r;

	assert_false(run_create(&r, &x->a, "c1",
				"\"dev.volrun.volume.1\":\"aa /data/a\",\"dev.volrun.volume.2\":\"bb /data/b ro\""));
	assert_ptr_equal(strstr(r.output, "volume bb: not there yet"), r.output);
	assert_int_equal(r.n_mounts, 0);
	run_close(&r);
	assert_int_equal(count_entries(x->a.run_dir), 0);
	must_create(&r, &x->b, "c2", "\"dev.volrun.volume\":\"aa /data wait=0s\"");
	run_end(&r);
}

static void a_bad_declaration_or_configuration_is_one_line(void **state)
{
	static const char *const bad[][2] = {
	    {"\"dev.volrun.volume\":\"state /etc\"", "annotation dev.volrun.volume"},
	    {"\"dev.volrun.volume\":\"state /data store=nowhere\"",
	     "annotation dev.volrun.volume: the configuration has no store \"nowhere\""},
	    {"\"dev.volrun.volume\":\"state /data\",\"dev.volrun.workspace\":\"../x\"", "workspace"},
	};
	struct nodes *x = *state;
	struct run r;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_false(run_create(&r, &x->a, "c1", bad[i][0]));
		assert_int_equal(r.status, 1);
		assert_ptr_equal(strstr(r.output, bad[i][1]), r.output);
		assert_int_equal(strcspn(r.output, "\n"), strlen(r.output) - 1);
		run_close(&r);
	}
	box_open(&x->b, x->root, "node-b", ",\"surprise\":1");
	assert_false(run_create(&r, &x->b, "c1", RW));
	assert_non_null(strstr(r.output, "surprise"));
	run_close(&r);
}

static void poststop_waits_no_longer_than_delete_wait(void **state)
{
	struct nodes *x = *state;
	struct run r;
	int64_t start;

	box_open(&x->a, x->root, "node-a", "");
	must_create(&r, &x->a, "c1", RW);
	/* The container still runs: the keeper isn't done. */
	{
		char text[2048], *config = NULL, *lease;

		assert_int_equal(read_file_at(AT_FDCWD, x->a.config, 2000, &config, NULL), 0);
		lease = strstr(config, "\"lease\":{");
		snprintf(text, sizeof(text), "%.*s\"lease\":{\"delete_wait\":\"300ms\",%s", (int)(lease - config),
			 config, lease + strlen("\"lease\":{"));
		assert_int_equal(write_file_atomic_at(AT_FDCWD, x->a.config, text, strlen(text), 0600, false), 0);
		free(config);
	}
	start = clock_boottime_ns();
	assert_int_equal(run_poststop(&r), 0);
	assert_true(clock_boottime_ns() - start >= 300 * MS);
	assert_true(clock_boottime_ns() - start < 1000 * MS);
	assert_string_equal(r.output, "warning: the volumes of c1 are still being synced back\n");
	run_end(&r);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, nodes_setup, nodes_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_container_without_a_declaration_gets_nothing),
	    TEST(what_one_run_writes_the_next_finds_on_this_node_and_on_another),
	    TEST(nothing_is_left_of_a_finished_run),
	    TEST(a_waiter_on_this_node_starts_within_a_second_of_the_release),
	    TEST(a_waiter_on_another_node_polls),
	    TEST(wait_names_the_holder_and_leaves_nothing),
	    TEST(a_second_name_of_the_store_takes_no_lease_from_a_living_holder),
	    TEST(ro_needs_an_existing_volume_and_is_read_only),
	    TEST(the_keeper_is_out_of_everybodys_way),
	    TEST(several_volumes_come_in_the_order_of_their_paths),
	    TEST(a_failure_of_one_volume_gives_the_others_back),
	    TEST(a_bad_declaration_or_configuration_is_one_line),
	    TEST(poststop_waits_no_longer_than_delete_wait),
	};

	int skipped = nodes_main("test_keeper_flow");

	if (skipped)
		return skipped;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
