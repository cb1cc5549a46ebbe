/* SPDX-License-Identifier: Apache-2.0 */
/* Keepers that are killed, stopped, cut off from the store; containers that don't end. Needs root. */
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
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/sys.h"

#define MS NSEC_PER_MSEC
#define RW "\"dev.volrun.volume\":\"state /data\""

static void a_killed_create_stops_its_waiting(void **state)
{
	struct nodes *x = *state;
	struct run first, second, third, fourth;

	must_create(&first, &x->a, "c1", RW);
	run_start(&second, &x->b, "c2", RW);
	run_start(&third, &x->b, "c3", RW);
	run_start(&fourth, &x->b, "c4", RW);
	clock_sleep_ns(300 * MS);
	kill(second.hook, SIGKILL); /* the hook dies */
	kill(third.init, SIGKILL);  /* init dies */
	run_wait(&third);
	assert_int_equal(third.status, 1);
	close(fourth.sock); /* the runtime dies */
	run_wait(&fourth);
	fourth.sock = -1;
	assert_int_equal(fourth.status, 1);
	run_close(&second);
	run_close(&third);
	run_close(&fourth);
	clock_sleep_ns(300 * MS);
	assert_int_equal(count_entries(x->b.run_dir), 0);
	run_end(&first);
	must_create(&first, &x->b, "c5", "\"dev.volrun.volume\":\"state /data wait=2s\"");
	run_end(&first);
}

static void a_killed_keepers_lease_expires_and_its_tree_is_kept(void **state)
{
	struct nodes *x = *state;
	struct run first, second;
	char path[256], buf[64];
	int64_t start;

	must_create(&first, &x->a, "c1", RW);
	assert_int_equal(mount_write(&first, 0, "note", "committed"), 0);
	run_end(&first);
	must_create(&first, &x->a, "c2", RW);
	assert_int_equal(mount_write(&first, 0, "note", "not committed"), 0);
	kill(box_keeper(&x->a, "state"), SIGKILL);
	start = clock_boottime_ns();
	must_create(&second, &x->b, "c3", RW); /* ttl 2 s: 2.5 s after it looked first */
	assert_true(clock_boottime_ns() - start < 4 * NSEC_PER_SEC);
	assert_string_equal(mount_read(&second, 0, "note", buf, sizeof(buf)), "committed");
	run_end(&second);
	run_close(&first);
	/* The node it happened on: the next create says where the tree is, and has the commit. */
	must_create(&first, &x->a, "c4", RW);
	assert_non_null(strstr(first.output, "warning: volume state: an earlier run on this node ended"));
	assert_string_equal(mount_read(&first, 0, "note", buf, sizeof(buf)), "committed");
	snprintf(path, sizeof(path), "%s/default/default/state/conflict-2/note", x->a.cache);
	assert_int_equal(access(path, F_OK), 0);
	run_end(&first);
}

static void a_dead_keeper_of_the_same_node_is_replaced_at_once(void **state)
{
	struct nodes *x = *state;
	struct run first, second;
	int64_t start;

	must_create(&first, &x->a, "c1", RW);
	kill(box_keeper(&x->a, "state"), SIGKILL);
	run_kill(&first);
	start = clock_boottime_ns();
	must_create(&second, &x->a, "c2", RW);
	assert_true(clock_boottime_ns() - start < 1500 * MS);
	run_end(&second);
	run_close(&first);
}

static void a_stopped_keeper_that_wakes_after_a_steal_changes_nothing(void **state)
{
	struct nodes *x = *state;
	struct run first, second;
	char path[256], buf[64];
	pid_t keeper;

	must_create(&first, &x->a, "c1", RW);
	assert_int_equal(mount_write(&first, 0, "note", "of the one that slept"), 0);
	keeper = box_keeper(&x->a, "state");
	kill(keeper, SIGSTOP);
	must_create(&second, &x->b, "c2", RW);
	assert_int_equal(mount_write(&second, 0, "note", "of the next"), 0);
	kill(keeper, SIGCONT);
	/* The container ends while the keeper is only finding out. */
	run_kill(&first);
	assert_int_equal(run_poststop(&first), 0);
	assert_non_null(strstr(first.output, "warning: volume state: the lease was lost to another holder"));
	assert_true(wait_gone(keeper, 20000));
	run_close(&first);
	run_end(&second);
	must_create(&second, &x->a, "c3", RW);
	assert_string_equal(mount_read(&second, 0, "note", buf, sizeof(buf)), "of the next");
	run_end(&second);
	snprintf(path, sizeof(path), "%s/default/default/state/conflict-1/note", x->a.cache);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(count_entries(x->a.run_dir), 0);
}

static void a_loss_during_the_run_sets_the_tree_aside_and_the_container_goes_on(void **state)
{
	struct nodes *x = *state;
	struct run first, second;
	char path[256];

	must_create(&first, &x->a, "c1", RW);
	kill(box_keeper(&x->a, "state"), SIGSTOP);
	must_create(&second, &x->b, "c2", RW);
	kill(box_keeper(&x->a, "state"), SIGCONT);
	clock_sleep_ns(1500 * MS);
	/* Before the container's end. */
	snprintf(path, sizeof(path), "%s/default/default/state/conflict-1", x->a.cache);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(mount_write(&first, 0, "later", "still there"), 0);
	snprintf(path, sizeof(path), "%s/default/default/state/conflict-1/later", x->a.cache);
	assert_int_equal(access(path, F_OK), 0);
	run_kill(&first);
	assert_int_equal(run_poststop(&first), 0);
	assert_non_null(strstr(first.output, "conflict-1"));
	run_close(&first);
	run_end(&second);
}

static void a_store_that_comes_back_gets_the_commit(void **state)
{
	struct nodes *x = *state;
	char store[128], away[128], buf[64];
	struct run r;

	snprintf(store, sizeof(store), "%s/store", x->root);
	snprintf(away, sizeof(away), "%s/away", x->root);
	must_create(&r, &x->a, "c1", RW);
	assert_int_equal(mount_write(&r, 0, "note", "kept"), 0);
	assert_int_equal(rename(store, away), 0);
	/* Something that is no directory: it can't be made anew either. */
	assert_int_equal(write_file_atomic_at(AT_FDCWD, store, "", 0, 0600, false), 0);
	run_kill(&r);
	clock_sleep_ns(1000 * MS);
	assert_int_equal(unlink(store), 0);
	assert_int_equal(rename(away, store), 0);
	assert_int_equal(run_poststop(&r), 0);
	assert_string_equal(r.output, "");
	run_close(&r);
	must_create(&r, &x->b, "c2", RW);
	assert_string_equal(mount_read(&r, 0, "note", buf, sizeof(buf)), "kept");
	run_end(&r);
}

static void a_restart_of_the_same_container_meets_its_last_keeper(void **state)
{
	struct nodes *x = *state;
	char buf[64];
	struct run r, again;

	/* Same id and bundle, no poststop between: as engines that restart do. */
	must_create(&r, &x->a, "c1", RW);
	assert_int_equal(mount_write(&r, 0, "note", "one"), 0);
	run_start(&again, &x->a, "c1", RW);
	clock_sleep_ns(200 * MS);
	run_kill(&r);
	run_wait(&again);
	assert_int_equal(again.status, 0);
	assert_string_equal(mount_read(&again, 0, "note", buf, sizeof(buf)), "one");
	assert_int_equal(count_entries(x->a.run_dir), 1);
	run_close(&r);
	run_end(&again);
	assert_int_equal(count_entries(x->a.run_dir), 0);
}

static void a_limit_that_is_passed_keeps_the_tree_and_frees_the_lease(void **state)
{
	struct nodes *x = *state;
	struct run r;
	char path[256], buf[64];

	box_open(&x->a, x->root, "node-a", ",\"limits\":{\"bytes_per_file\":10}");
	must_create(&r, &x->a, "c1", RW);
	assert_int_equal(mount_write(&r, 0, "big", "more than ten bytes"), 0);
	run_kill(&r);
	assert_int_equal(run_poststop(&r), 0);
	assert_non_null(strstr(r.output, "warning: volume state: "));
	assert_non_null(strstr(r.output, "conflict-1"));
	run_close(&r);
	must_create(&r, &x->b, "c2", "\"dev.volrun.volume\":\"state /data wait=0s\"");
	assert_null(mount_read(&r, 0, "big", buf, sizeof(buf)));
	run_end(&r);
	snprintf(path, sizeof(path), "%s/default/default/state/conflict-1/big", x->a.cache);
	assert_int_equal(access(path, F_OK), 0);
}

static void the_commit_waits_for_the_whole_cgroup(void **state)
{
	struct nodes *x = *state;
	char group[128], procs[160], text[32];
	pid_t straggler;
	struct run r;

	snprintf(group, sizeof(group), "/sys/fs/cgroup/pids/volrun-test-%d", (int)getpid());
	if (mkdir(group, 0755) < 0)
		snprintf(group, sizeof(group), "/sys/fs/cgroup/volrun-test-%d", (int)getpid());
	if (mkdir(group, 0755) < 0 && errno != EEXIST) {
		fprintf(stderr, "no cgroup can be made here: skipped\n");
		skip();
	}
	snprintf(procs, sizeof(procs), "%s/cgroup.procs", group);
	straggler = fork();
	if (straggler == 0) {
		/* The mounts of other runs, which would write there after those have ended. */
		sys_close_range(3, ~0u, 0);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	run_start_in(&r, &x->a, "c2", RW, procs);
	run_wait(&r);
	assert_int_equal(r.status, 0);
	snprintf(text, sizeof(text), "%d", (int)straggler);
	assert_int_equal(write_file_at(AT_FDCWD, procs, text), 0);
	run_kill(&r);
	clock_sleep_ns(500 * MS);
	assert_int_not_equal(box_keeper(&x->a, "state"), 0); /* somebody may still write */
	kill(straggler, SIGKILL);
	waitpid(straggler, NULL, 0);
	assert_int_equal(run_poststop(&r), 0);
	assert_int_equal(box_keeper(&x->a, "state"), 0);
	run_close(&r);
	rmdir(group);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, nodes_setup, nodes_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_killed_create_stops_its_waiting),
	    TEST(a_killed_keepers_lease_expires_and_its_tree_is_kept),
	    TEST(a_dead_keeper_of_the_same_node_is_replaced_at_once),
	    TEST(a_stopped_keeper_that_wakes_after_a_steal_changes_nothing),
	    TEST(a_loss_during_the_run_sets_the_tree_aside_and_the_container_goes_on),
	    TEST(a_store_that_comes_back_gets_the_commit),
	    TEST(a_restart_of_the_same_container_meets_its_last_keeper),
	    TEST(a_limit_that_is_passed_keeps_the_tree_and_frees_the_lease),
	    TEST(the_commit_waits_for_the_whole_cgroup),
	};
	int skipped = nodes_main("test_keeper_faults");

	if (skipped)
		return skipped;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
