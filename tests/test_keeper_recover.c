/* SPDX-License-Identifier: Apache-2.0 */
/* What a keeper's death leaves, and who goes on with it: the programs, over a filesystem store. Needs root. */
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

/* A run that wrote, whose keeper was killed. */
static void lose_keeper(struct run *r, const struct box *b, const char *id)
{
	pid_t keeper;

	must_create(r, b, id, RW);
	assert_int_equal(mount_write(r, 0, "note", id), 0);
	keeper = box_keeper(b, "state");
	assert_true(keeper > 0);
	kill(keeper, SIGKILL);
	assert_true(wait_gone(keeper, 20000));
}

static char *cache_path(const struct box *b, const char *name, char buf[256])
{
	snprintf(buf, 256, "%s/default/default/state/%s", b->cache, name);
	return buf;
}

static char *store_path(struct nodes *x, const char *name, char buf[256])
{
	snprintf(buf, 256, "%s/store/volumes/default/.volrun/state/%s", x->root, name);
	return buf;
}

/* Replaces text in a file of the cache. */
static void edit(const char *path, const char *from, const char *to)
{
	_cleanup_free_ char *text = NULL;
	char out[4096], *at;

	assert_int_equal(read_file_at(AT_FDCWD, path, sizeof(out), &text, NULL), 0);
	at = strstr(text, from);
	assert_non_null(at);
	snprintf(out, sizeof(out), "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
	assert_int_equal(write_file_atomic_at(AT_FDCWD, path, out, strlen(out), 0600, false), 0);
}

/* Another boot: a valid id, but not this one's. */
static void age_mark(const struct box *b)
{
	_cleanup_free_ char *boot = NULL;
	char path[256];

	assert_int_equal(read_file_at(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 64, &boot, NULL), 0);
	boot[strcspn(boot, "\n")] = '\0';
	edit(cache_path(b, "dirty", path), boot, "00000000-0000-4000-8000-000000000000");
}

static void the_next_create_commits_what_a_dead_keeper_left(void **state)
{
	struct nodes *x = *state;
	struct run first, second;
	char buf[64];

	lose_keeper(&first, &x->a, "c1");
	run_close(&first);
	must_create(&second, &x->a, "c2", RW);
	assert_non_null(strstr(second.output, "they are in commit 1 now"));
	assert_string_equal(mount_read(&second, 0, "note", buf, sizeof(buf)), "c1");
	run_end(&second);
	must_create(&second, &x->b, "c3", RW);
	assert_string_equal(mount_read(&second, 0, "note", buf, sizeof(buf)), "c1");
	run_end(&second);
}

static void what_was_left_is_set_aside_when_another_had_the_lease_since(void **state)
{
	struct nodes *x = *state;
	_cleanup_free_ char *text = NULL;
	struct run first, second;
	char buf[256];

	lose_keeper(&first, &x->a, "c1");
	must_create(&second, &x->b, "c2", RW);
	assert_int_equal(mount_write(&second, 0, "note", "theirs"), 0);
	assert_int_equal(mount_write(&second, 0, "more", "theirs"), 0);
	run_end(&second);
	run_close(&first);
	must_create(&second, &x->a, "c3", RW);
	assert_non_null(strstr(second.output, "conflict-1"));
	assert_string_equal(mount_read(&second, 0, "note", buf, sizeof(buf)), "theirs");
	run_end(&second);
	assert_int_equal(access(cache_path(&x->a, "conflict-1/note", buf), F_OK), 0);
	/* And what was different is in the store, with what it is. */
	assert_int_equal(read_file_at(AT_FDCWD, store_path(x, "conflicts/1/tree/note", buf), 100, &text, NULL), 0);
	assert_string_equal(text, "c1");
	free(TAKE_PTR(text));
	assert_int_equal(read_file_at(AT_FDCWD, store_path(x, "conflicts/1/changes.json", buf), 4000, &text, NULL), 0);
	assert_non_null(strstr(text, "\"path\":\"note\",\"change\":\"added\""));
	assert_non_null(strstr(text, "\"files\":1"));
}

static void after_a_power_cut_what_was_left_is_set_aside(void **state)
{
	struct nodes *x = *state;
	struct run first, second;
	char buf[256];

	lose_keeper(&first, &x->a, "c1");
	run_close(&first);
	age_mark(&x->a);
	must_create(&second, &x->a, "c2", RW);
	assert_non_null(strstr(second.output, "power was lost"));
	assert_null(mount_read(&second, 0, "note", buf, sizeof(buf)));
	assert_int_equal(access(cache_path(&x->a, "conflict-1/note", buf), F_OK), 0);
	run_end(&second);
}

static void the_configuration_may_ask_for_the_commit_of_what_a_power_cut_left(void **state)
{
	struct nodes *x = *state;
	struct run first, second;
	char buf[256];

	lose_keeper(&first, &x->a, "c1");
	run_close(&first);
	age_mark(&x->a);
	box_open(&x->a, x->root, "node-a", ",\"recover\":\"commit\"");
	must_create(&second, &x->a, "c2", RW);
	assert_string_equal(mount_read(&second, 0, "note", buf, sizeof(buf)), "c1");
	run_end(&second);
}

static void what_a_power_cut_left_before_it_was_on_the_disk_is_never_committed(void **state)
{
	struct nodes *x = *state;
	struct run first, second;
	char buf[256];

	lose_keeper(&first, &x->a, "c1");
	run_close(&first);
	age_mark(&x->a);
	assert_int_equal(write_file_atomic_at(AT_FDCWD, cache_path(&x->a, "unsettled", buf), "", 0, 0600, false), 0);
	box_open(&x->a, x->root, "node-a", ",\"recover\":\"commit\"");
	must_create(&second, &x->a, "c2", RW);
	assert_non_null(strstr(second.output, "just after its start"));
	assert_null(mount_read(&second, 0, "note", buf, sizeof(buf)));
	assert_int_equal(access(cache_path(&x->a, "conflict-1/note", buf), F_OK), 0);
	run_end(&second);
}

/* A keeper that took the lease to recover, and died before it could say so in the mark. */
static void a_recovery_that_was_killed_itself_is_gone_on_with(void **state)
{
	struct nodes *x = *state;
	_cleanup_free_ char *head = NULL;
	struct run first, second;
	char buf[256], mark[300], *keeper;

	lose_keeper(&first, &x->a, "c1");
	run_close(&first);
	edit(store_path(x, "head", buf), "\"epoch\":1,\"state\"", "\"epoch\":2,\"state\"");
	assert_int_equal(read_file_at(AT_FDCWD, buf, 4000, &head, NULL), 0);
	keeper = strstr(head, "\"keeper\":\"") + strlen("\"keeper\":\"");
	snprintf(mark, sizeof(mark), ",\"heir\":\"%.*s\"}", (int)strcspn(keeper, "\""), keeper);
	edit(cache_path(&x->a, "dirty", buf), "}", mark);
	must_create(&second, &x->a, "c2", RW);
	assert_string_equal(mount_read(&second, 0, "note", buf, sizeof(buf)), "c1");
	run_end(&second);
}

static void the_same_without_the_note_in_the_mark_is_another_holder(void **state)
{
	struct nodes *x = *state;
	struct run first, second;
	char buf[256];

	lose_keeper(&first, &x->a, "c1");
	run_close(&first);
	edit(store_path(x, "head", buf), "\"epoch\":1,\"state\"", "\"epoch\":2,\"state\"");
	must_create(&second, &x->a, "c2", RW);
	assert_null(mount_read(&second, 0, "note", buf, sizeof(buf)));
	assert_int_equal(access(cache_path(&x->a, "conflict-1/note", buf), F_OK), 0);
	run_end(&second);
}

static void a_container_that_lives_gets_a_new_keeper(void **state)
{
	struct nodes *x = *state;
	struct run first, second;
	char buf[64];
	pid_t adopter = 0;
	int i;

	lose_keeper(&first, &x->a, "c1");
	/* The next one for the volume waits for it, as for any holder. */
	run_start(&second, &x->a, "c2", RW);
	for (i = 0; i < 200 && adopter <= 0; i++) {
		clock_sleep_ns(20 * MS);
		adopter = box_keeper(&x->a, "state");
		adopter = adopter > 0 && kill(adopter, 0) == 0 ? adopter : 0;
	}
	assert_true(adopter > 0);
	/* Longer than ttl: it renews. */
	clock_sleep_ns(3000 * MS);
	assert_int_equal(waitpid(second.hook, NULL, WNOHANG), 0);
	assert_int_equal(mount_write(&first, 0, "later", "after its keeper's death"), 0);
	run_kill(&first);
	run_wait(&second);
	assert_int_equal(second.status, 0);
	assert_string_equal(mount_read(&second, 0, "note", buf, sizeof(buf)), "c1");
	assert_string_equal(mount_read(&second, 0, "later", buf, sizeof(buf)), "after its keeper's death");
	run_close(&first);
	run_end(&second);
	assert_int_equal(count_entries(x->a.run_dir), 0);
}

static void an_adopted_tree_whose_lease_was_taken_is_set_aside_at_once(void **state)
{
	struct nodes *x = *state;
	struct run first, second, third;
	char buf[256];

	lose_keeper(&first, &x->a, "c1");
	must_create(&second, &x->b, "c2", RW);
	assert_int_equal(mount_write(&second, 0, "note", "theirs"), 0);
	/* On the first node: the next one does not wait for the container that lost, but for the holder. */
	run_start(&third, &x->a, "c3", RW);
	clock_sleep_ns(1000 * MS);
	assert_int_equal(access(cache_path(&x->a, "conflict-1/note", buf), F_OK), 0);
	assert_int_equal(mount_write(&first, 0, "later", "kept too"), 0);
	run_end(&second);
	run_wait(&third);
	assert_int_equal(third.status, 0);
	assert_string_equal(mount_read(&third, 0, "note", buf, sizeof(buf)), "theirs");
	run_kill(&first);
	assert_int_equal(run_poststop(&first), 0);
	run_close(&first);
	assert_int_equal(access(store_path(x, "conflicts/1/tree/later", buf), F_OK), 0);
	run_end(&third);
}

static void a_loss_during_the_run_sends_the_changes_and_frees_the_place(void **state)
{
	struct nodes *x = *state;
	struct run first, second, third;
	char buf[256];
	pid_t keeper;

	must_create(&first, &x->a, "c1", RW);
	assert_int_equal(mount_write(&first, 0, "note", "c1"), 0);
	keeper = box_keeper(&x->a, "state");
	kill(keeper, SIGSTOP);
	must_create(&second, &x->b, "c2", RW);
	kill(keeper, SIGCONT);
	clock_sleep_ns(1500 * MS);
	run_end(&second);
	/* While the first container still runs in the tree that was set aside. */
	must_create(&third, &x->a, "c3", "\"dev.volrun.volume\":\"state /data wait=2s\"");
	assert_null(mount_read(&third, 0, "note", buf, sizeof(buf)));
	assert_int_equal(access(store_path(x, "conflicts/1", buf), F_OK), -1);
	run_kill(&first);
	assert_int_equal(run_poststop(&first), 0);
	run_close(&first);
	assert_int_equal(access(store_path(x, "conflicts/1/tree/note", buf), F_OK), 0);
	run_end(&third);
}

static void an_outage_longer_than_the_lease_that_nobody_used_costs_nothing(void **state)
{
	struct nodes *x = *state;
	char store[128], away[128], buf[64];
	struct run r;

	snprintf(store, sizeof(store), "%s/store", x->root);
	snprintf(away, sizeof(away), "%s/away", x->root);
	must_create(&r, &x->a, "c1", RW);
	assert_int_equal(mount_write(&r, 0, "note", "kept"), 0);
	assert_int_equal(rename(store, away), 0);
	assert_int_equal(write_file_atomic_at(AT_FDCWD, store, "", 0, 0600, false), 0);
	clock_sleep_ns(3000 * MS);
	assert_int_equal(unlink(store), 0);
	assert_int_equal(rename(away, store), 0);
	run_end(&r);
	must_create(&r, &x->b, "c2", RW);
	assert_string_equal(mount_read(&r, 0, "note", buf, sizeof(buf)), "kept");
	run_end(&r);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, nodes_setup, nodes_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(the_next_create_commits_what_a_dead_keeper_left),
	    TEST(what_was_left_is_set_aside_when_another_had_the_lease_since),
	    TEST(after_a_power_cut_what_was_left_is_set_aside),
	    TEST(the_configuration_may_ask_for_the_commit_of_what_a_power_cut_left),
	    TEST(what_a_power_cut_left_before_it_was_on_the_disk_is_never_committed),
	    TEST(a_recovery_that_was_killed_itself_is_gone_on_with),
	    TEST(the_same_without_the_note_in_the_mark_is_another_holder),
	    TEST(a_container_that_lives_gets_a_new_keeper),
	    TEST(an_adopted_tree_whose_lease_was_taken_is_set_aside_at_once),
	    TEST(a_loss_during_the_run_sends_the_changes_and_frees_the_place),
	    TEST(an_outage_longer_than_the_lease_that_nobody_used_costs_nothing),
	};
	int skipped = nodes_main("test_keeper_recover");

	if (skipped)
		return skipped;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
