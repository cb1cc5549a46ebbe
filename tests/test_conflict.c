/* SPDX-License-Identifier: Apache-2.0 */
/* What was set aside: on the node, and what of it goes to the store. */
#include "hooks/engine/conflict.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "hooks/engine/index.h"
#include "hooks/engine/keeper_name.h"
#include "hooks/engine/scan.h"
#include "hooks/run_report.h"

struct fixture {
	char dir[64], store_dir[80];
	struct store_config config;
	int cache_fd;
	struct volume v;
	struct arena a;
	struct error err;
};

static int setup(void **state)
{
	struct fixture *x = calloc(1, sizeof(*x));
	char path[80];

	strcpy(x->dir, "/tmp/volrun-test-XXXXXX");
	assert_non_null(mkdtemp(x->dir));
	snprintf(path, sizeof(path), "%s/cache", x->dir);
	snprintf(x->store_dir, sizeof(x->store_dir), "%s/store", x->dir);
	x->config = (struct store_config){.name = "st", .type = "filesystem", .path = x->store_dir};
	assert_int_equal(cache_open(path, &x->cache_fd, &x->err), 0);
	assert_int_equal(volume_open(&x->v, &x->config, x->cache_fd, "ws", "vol", false, &x->err), 0);
	assert_int_equal(mkdirat(x->v.cache.dir_fd, "rw", 0755), 0);
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *x = *state;

	volume_close(&x->v);
	close(x->cache_fd);
	remove_tree_at(AT_FDCWD, x->dir);
	arena_free(&x->a);
	free(x);
	return 0;
}

static void write_at(struct fixture *x, const char *path, const char *text)
{
	assert_int_equal(write_file_atomic_at(x->v.cache.dir_fd, path, text, strlen(text), 0644, false), 0);
}

/* The index of the tree as it is, with the hashes of its files. */
static void make_index(struct fixture *x)
{
	_cleanup_close_ int root = openat(x->v.cache.dir_fd, "rw", O_RDONLY | O_DIRECTORY);
	_cleanup_(manifest_free) struct manifest m = {0}, none = {0};
	struct transfer_report report = {0};

	assert_int_equal(scan_tree(&x->v, root, &none, false, &m, &report, &x->err), 0);
	for (size_t i = 0; i < m.n; i++) {
		_cleanup_close_ int fd = openat(root, m.entries[i].path, O_RDONLY);

		if (m.entries[i].type == ENTRY_FILE)
			assert_int_equal(entry_hash_fd(fd, m.entries[i].size, m.entries[i].sha256), 0);
		m.entries[i].flags = 0;
	}
	m.time_ns += INT64_C(10000000000); /* long enough ago to be sure of */
	assert_int_equal(index_write(&x->v, &m, &x->err), 0);
}

static char *stored(struct fixture *x, const char *name)
{
	_cleanup_close_ int dir = open(x->store_dir, O_RDONLY | O_DIRECTORY);
	char path[200], *text = NULL;

	snprintf(path, sizeof(path), "volumes/ws/.volrun/vol/conflicts/%s", name);
	if (dir < 0 || read_file_at(dir, path, 65536, &text, NULL) < 0)
		return NULL;
	return text;
}

static const char *set_aside(struct fixture *x, const char *keeper, bool unsure)
{
	struct conflict_note note = {
	    .epoch = 3, .seq = 2, .why = "a test", .node = "n", .keeper = keeper, .unsure = unsure};
	const char *id = NULL;

	assert_int_equal(cache_mark_dirty(&x->v.cache, 3, 2, &x->err), 0);
	assert_int_equal(conflict_set_aside(&x->v, &note, &x->a, &id, &x->err), 0);
	return id;
}

static void an_id_is_a_number_perhaps_two(void **state)
{
	static const char *const good[] = {"0", "3", "18446744073709551615", "3-1", "12-34"};
	static const char *const bad[] = {"", "-", "3-", "-1", "3-1-2", "../3", "3/4", "a", "3a", "3 ", "3-x"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_true(conflict_id_valid(good[i]));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(conflict_id_valid(bad[i]));
}

static int count(void *ctx, const struct conflict_note *note)
{
	assert_non_null(note->id);
	++*(int *)ctx;
	return 0;
}

static void what_was_set_aside_is_noted_and_listed_also_without_its_note(void **state)
{
	struct fixture *x = *state;
	struct conflict_note n;
	int seen = 0;

	assert_string_equal(set_aside(x, NULL, false), "3");
	assert_int_equal(conflict_read_local(&x->v.cache, "3", &x->a, &n), 0);
	assert_string_equal(n.why, "a test");
	assert_int_equal(n.seq, 2);
	assert_non_null(n.since);
	assert_int_equal(mkdirat(x->v.cache.dir_fd, "rw", 0755), 0);
	assert_string_equal(set_aside(x, NULL, false), "3-1");
	write_at(x, "conflict-3-1.json", "{\"id\":");
	assert_int_equal(conflict_read_local(&x->v.cache, "3-1", &x->a, &n), 0);
	assert_int_equal(n.epoch, 3);
	assert_int_equal(conflict_each_local(&x->v.cache, count, &seen), 0);
	assert_int_equal(seen, 2);
	assert_int_equal(conflict_read_local(&x->v.cache, "4", &x->a, &n), -ENOENT);
	assert_null(set_aside(x, NULL, false)); /* there is no tree any more */
}

static void what_is_different_is_sent_once(void **state)
{
	struct fixture *x = *state;
	_cleanup_free_ char *changes = NULL, *text = NULL, *same = NULL, *again = NULL;

	write_at(x, "rw/same", "same");
	write_at(x, "rw/other", "before");
	write_at(x, "rw/gone", "x");
	make_index(x);
	write_at(x, "rw/other", "after");
	write_at(x, "rw/new\nline", "odd");
	assert_int_equal(unlinkat(x->v.cache.dir_fd, "rw/gone", 0), 0);
	assert_int_equal(symlinkat("same", x->v.cache.dir_fd, "rw/link"), 0);
	set_aside(x, NULL, false);
	assert_int_equal(conflict_upload(&x->v, "3", &x->err), 0);
	text = stored(x, "3/tree/other");
	assert_string_equal(text, "after");
	free(text);
	text = stored(x, "3/odd/0");
	assert_string_equal(text, "odd");
	same = stored(x, "3/tree/same");
	assert_null(same);
	changes = stored(x, "3/changes.json");
	assert_non_null(strstr(changes, "\"why\":\"a test\""));
	assert_non_null(strstr(changes, "\"files\":2,\"bytes\":8"));
	assert_non_null(strstr(changes, "{\"path\":\"gone\",\"change\":\"deleted\""));
	assert_non_null(
	    strstr(changes, "{\"path\":\"link\",\"change\":\"added\",\"type\":\"symlink\",\"target\":\"same\""));
	assert_null(strstr(changes, "\"path\":\"same\""));
	/* It is noted. */
	remove_tree_at(AT_FDCWD, x->store_dir);
	assert_int_equal(conflict_upload_all(&x->v, &x->err), 0);
	again = stored(x, "3/changes.json");
	assert_null(again);
}

static void after_a_power_cut_files_are_read_whatever_their_times_say(void **state)
{
	struct fixture *x = *state;
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *text = NULL, *same = NULL;
	struct timespec times[2];
	struct stat st;

	write_at(x, "rw/same", "same");
	write_at(x, "rw/torn", "whole");
	make_index(x);
	fd = openat(x->v.cache.dir_fd, "rw/torn", O_RDWR);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(pwrite(fd, "\0\0\0\0\0", 5, 0), 5);
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	assert_int_equal(futimens(fd, times), 0);
	set_aside(x, NULL, true);
	assert_int_equal(conflict_upload(&x->v, "3", &x->err), 0);
	text = stored(x, "3/tree/torn");
	assert_non_null(text);
	same = stored(x, "3/tree/same");
	assert_null(same);
}

static void a_tree_that_a_container_still_has_is_sent_when_it_has_ended(void **state)
{
	struct fixture *x = *state;
	_cleanup_free_ char *text = NULL, *later = NULL;

	write_at(x, "rw/f", "x");
	/* Somebody who lives and is not this process. */
	set_aside(x, keeper_name(getppid(), &x->a), false);
	assert_int_equal(conflict_upload(&x->v, "3", &x->err), 0);
	text = stored(x, "3/changes.json");
	assert_null(text);
	conflict_settled(&x->v, "3");
	assert_int_equal(conflict_upload(&x->v, "3", &x->err), 0);
	later = stored(x, "3/changes.json");
	assert_non_null(later);
}

static void the_heir_stands_in_the_dirty_mark_beside_what_it_said(void **state)
{
	struct fixture *x = *state;
	struct cache_mark before, after;

	assert_int_equal(cache_mark_dirty(&x->v.cache, 3, 2, &x->err), 0);
	assert_int_equal(cache_read_dirty(&x->v.cache, &before), 0);
	assert_string_equal(before.heir, "");
	strcpy(before.boot_id, "another");
	assert_int_equal(cache_mark_heir(&x->v.cache, &before, 4, "12 34", &x->err), 0);
	assert_int_equal(cache_read_dirty(&x->v.cache, &after), 0);
	assert_int_equal(after.epoch, 4);
	assert_int_equal(after.seq, 2);
	assert_string_equal(after.heir, "12 34");
	assert_string_equal(after.boot_id, "another");
}

static void counters_add_up_and_survive_a_broken_file(void **state)
{
	struct fixture *x = *state;
	struct run_report r = {.result = "committed", .container = "c", .asked_ns = 1, .leased_ns = 500000001};
	_cleanup_free_ char *text = NULL, *again = NULL;

	r.out.files_added = 2;
	run_report_count(x->cache_fd, x->dir, &r);
	r.result = "set aside";
	run_report_count(x->cache_fd, x->dir, &r);
	assert_int_equal(read_file_at(x->cache_fd, "../volrun.prom", 8192, &text, NULL), 0);
	assert_non_null(strstr(text, "volrun_runs_total{result=\"committed\"} 1\n"));
	assert_non_null(strstr(text, "volrun_runs_total{result=\"set_aside\"} 1\n"));
	assert_non_null(strstr(text, "volrun_committed_files_total{change=\"added\"} 4\n"));
	assert_non_null(strstr(text, "volrun_lease_wait_seconds_total 1\n"));
	assert_int_equal(write_file_atomic_at(x->cache_fd, "metrics.json", "{", 1, 0600, false), 0);
	run_report_count(x->cache_fd, x->dir, &r);
	assert_int_equal(read_file_at(x->cache_fd, "../volrun.prom", 8192, &again, NULL), 0);
	assert_non_null(strstr(again, "volrun_committed_files_total{change=\"added\"} 2\n"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(an_id_is_a_number_perhaps_two),
	    TEST(what_was_set_aside_is_noted_and_listed_also_without_its_note),
	    TEST(what_is_different_is_sent_once),
	    TEST(after_a_power_cut_files_are_read_whatever_their_times_say),
	    TEST(a_tree_that_a_container_still_has_is_sent_when_it_has_ended),
	    TEST(the_heir_stands_in_the_dirty_mark_beside_what_it_said),
	    TEST(counters_add_up_and_survive_a_broken_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
