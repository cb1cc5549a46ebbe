/* SPDX-License-Identifier: Apache-2.0 */
/* The node's cache: locks, marks, what is set aside (volumes.md §6). */
#include "hooks/engine/cache.h"

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

#include "base/clock.h"
#include "base/io.h"

#define MS NSEC_PER_MSEC
#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

struct fixture {
	char dir[64];
	int cache;
	struct cache_volume v;
	struct arena a;
};

static int setup(void **state)
{
	struct fixture *x = calloc(1, sizeof(*x));
	struct error err = ERROR_INIT;

	strcpy(x->dir, "/tmp/volrun-test-XXXXXX");
	assert_non_null(mkdtemp(x->dir));
	assert_int_equal(cache_open(x->dir, &x->cache, &err), 0);
	assert_int_equal(cache_volume_open(x->cache, "st", "ws", "vol", &x->v, &err), 0);
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *x = *state;

	cache_volume_close(&x->v);
	close(x->cache);
	remove_tree_at(AT_FDCWD, x->dir);
	arena_free(&x->a);
	free(x);
	return 0;
}

static bool there(struct fixture *x, const char *name)
{
	return faccessat(x->v.dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void directories_are_the_owners_alone(void **state)
{
	struct fixture *x = *state;
	struct stat st;

	assert_int_equal(fstatat(x->cache, "st/ws/vol", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(fstatat(x->cache, "st", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
}

static void a_cache_that_others_may_write_is_refused(void **state)
{
	struct fixture *x = *state;
	struct error err = ERROR_INIT;
	int fd;

	assert_int_equal(chmod(x->dir, 0777), 0);
	assert_int_equal(cache_open(x->dir, &fd, &err), -EINVAL);
}

static void a_link_in_the_place_of_a_volume_is_not_followed(void **state)
{
	struct fixture *x = *state;
	struct error err = ERROR_INIT;
	struct cache_volume v;

	assert_int_equal(symlinkat("/tmp", x->cache, "st/ws/link"), 0);
	assert_true(cache_volume_open(x->cache, "st", "ws", "link", &v, &err) < 0);
}

static void the_node_keeps_its_id(void **state)
{
	struct fixture *x = *state;
	struct error err = ERROR_INIT;
	const char *one, *two;

	assert_int_equal(cache_node_id(x->cache, &x->a, &one, &err), 0);
	assert_int_equal(cache_node_id(x->cache, &x->a, &two, &err), 0);
	assert_string_equal(one, two);
	assert_int_equal(strcspn(one, ":"), 32);
	assert_int_equal(unlinkat(x->cache, "node", 0), 0);
	assert_int_equal(cache_node_id(x->cache, &x->a, &two, &err), 0);
	assert_string_not_equal(one, two);
}

static void a_lock_has_one_holder_and_waits_until_its_deadline(void **state)
{
	struct fixture *x = *state;
	struct error err = ERROR_INIT;
	struct cache_volume other;
	int64_t start = clock_boottime_ns();
	int p[2];

	assert_int_equal(cache_volume_open(x->cache, "st", "ws", "vol", &other, &err), 0);
	assert_int_equal(cache_lock(&x->v, start, -1, &err), 0);
	assert_int_equal(cache_lock(&other, start + 100 * MS, -1, &err), -ETIMEDOUT);
	assert_true(clock_boottime_ns() - start >= 100 * MS);
	assert_int_equal(pipe(p), 0);
	close(p[1]);
	assert_int_equal(cache_lock(&other, INT64_MAX, p[0], &err), -ECANCELED);
	close(p[0]);
	cache_unlock(&x->v);
	assert_int_equal(cache_lock(&other, start, -1, &err), 0);
	cache_volume_close(&other);
}

static void marks_replace_each_other(void **state)
{
	struct fixture *x = *state;
	struct error err = ERROR_INIT;
	struct cache_mark m;
	char boot[CACHE_CLEAN_BOOT_ID_MAX];

	assert_int_equal(cache_read_dirty(&x->v, &m), -ENOENT);
	assert_int_equal(cache_read_clean(&x->v, &m), -ENOENT);
	assert_int_equal(cache_mark_dirty(&x->v, 5, 9, &err), 0);
	assert_int_equal(cache_read_dirty(&x->v, &m), 0);
	assert_int_equal(m.epoch, 5);
	assert_int_equal(m.seq, 9);
	assert_int_equal(cache_mark_clean(&x->v, 5, 10, SHA, &err), 0);
	assert_int_equal(cache_read_dirty(&x->v, &m), -ENOENT);
	assert_int_equal(cache_read_clean(&x->v, &m), 0);
	assert_int_equal(m.seq, 10);
	assert_string_equal(m.record_sha256, SHA);
	assert_int_equal(cache_boot_id(boot), 0);
	assert_string_equal(m.boot_id, boot);
	assert_int_equal(cache_mark_dirty(&x->v, 6, 10, &err), 0);
	assert_int_equal(cache_read_clean(&x->v, &m), -ENOENT);
}

static void a_restored_tree_is_unsettled_until_it_is_on_the_disk(void **state)
{
	struct fixture *x = *state;
	struct error err = ERROR_INIT;
	struct cache_mark m;

	assert_int_equal(cache_lock(&x->v, 0, -1, &err), 0);
	assert_int_equal(cache_unsettle(&x->v, &err), 0);
	assert_int_equal(cache_mark_restored(&x->v, 5, 9, SHA, &err), 0);
	assert_int_equal(cache_read_clean(&x->v, &m), 0);
	assert_int_equal(cache_mark_dirty(&x->v, 6, 9, &err), 0);
	assert_true(cache_is_unsettled(&x->v));
	cache_settle_begin(&x->v);
	cache_unlock(&x->v);
	assert_false(cache_is_unsettled(&x->v));
	assert_int_equal(cache_read_dirty(&x->v, &m), 0);
	/* A commit waits for the disk itself. */
	assert_int_equal(cache_unsettle(&x->v, &err), 0);
	assert_int_equal(cache_mark_clean(&x->v, 6, 10, SHA, &err), 0);
	assert_false(cache_is_unsettled(&x->v));
}

static void a_dirty_mark_that_can_not_be_read_still_counts(void **state)
{
	struct fixture *x = *state;
	struct cache_mark m;

	assert_int_equal(write_file_atomic_at(x->v.dir_fd, "dirty", "", 0, 0600, false), 0);
	assert_int_equal(cache_read_dirty(&x->v, &m), 0);
	assert_int_equal(write_file_atomic_at(x->v.dir_fd, "clean", "{\"epoch\":1", 10, 0600, false), 0);
	assert_int_equal(cache_read_clean(&x->v, &m), -ENOENT);
	/* Of a directory that tells nothing nobody knows. */
	assert_int_equal(cache_read_dirty(&(struct cache_volume){.dir_fd = -1}, &m), 0);
}

static void what_is_set_aside_is_never_overwritten(void **state)
{
	struct fixture *x = *state;
	struct error err = ERROR_INIT;
	const char *name;
	struct cache_mark m;
	int i;

	for (i = 0; i < 3; i++) {
		static const char *const names[] = {"conflict-4", "conflict-4-1", "conflict-4-2"};

		assert_int_equal(mkdirat(x->v.dir_fd, "rw", 0755), 0);
		assert_int_equal(cache_mark_dirty(&x->v, 4, 1, &err), 0);
		assert_int_equal(cache_set_aside(&x->v, 4, &x->a, &name, &err), 0);
		assert_string_equal(name, names[i]);
		assert_true(there(x, names[i]));
		assert_false(there(x, "rw"));
		assert_int_equal(cache_read_dirty(&x->v, &m), -ENOENT);
	}
	assert_int_equal(cache_set_aside(&x->v, 4, &x->a, &name, &err), 0);
	assert_null(name);
}

/* "0-1" is the name, in the store, of what commit 1 could not publish. */
static void what_is_of_no_known_epoch_has_a_number_of_its_own(void **state)
{
	struct fixture *x = *state;
	struct error err = ERROR_INIT;
	const char *name[3];

	for (int i = 0; i < 3; i++) {
		assert_int_equal(mkdirat(x->v.dir_fd, "rw", 0755), 0);
		assert_int_equal(cache_set_aside(&x->v, 0, &x->a, &name[i], &err), 0);
		assert_memory_equal(name[i], "conflict-0-", strlen("conflict-0-"));
		assert_true(strlen(name[i]) >= strlen("conflict-0-") + 19);
		assert_true(there(x, name[i]));
	}
	assert_string_not_equal(name[0], name[1]);
	assert_string_not_equal(name[1], name[2]);
}

static void a_probe_counts_for_its_endpoint_only(void **state)
{
	struct fixture *x = *state;
	struct error err = ERROR_INIT;
	unsigned quirks = 77;

	assert_int_equal(cache_read_probe(x->cache, "st", "s3 http://a", &quirks), -ENOENT);
	assert_int_equal(cache_write_probe(x->cache, "st", "s3 http://a", 0, &err), 0);
	assert_int_equal(cache_read_probe(x->cache, "st", "s3 http://a", &quirks), 0);
	assert_int_equal(quirks, 0);
	assert_int_equal(cache_write_probe(x->cache, "st", "s3 http://a", 5, &err), 0);
	assert_int_equal(cache_read_probe(x->cache, "st", "s3 http://a", &quirks), 0);
	assert_int_equal(quirks, 5);
	assert_int_equal(cache_read_probe(x->cache, "st", "s3 http://b", &quirks), -ENOENT);
}

static void a_workspace_of_any_name_leaves_room_for_the_probe(void **state)
{
	struct fixture *x = *state;
	struct error err = ERROR_INIT;
	struct cache_volume v;
	unsigned quirks;

	assert_int_equal(cache_volume_open(x->cache, "st", "probe", "vol", &v, &err), 0);
	cache_volume_close(&v);
	assert_int_equal(cache_write_probe(x->cache, "st", "s3 http://a", 0, &err), 0);
	assert_int_equal(cache_read_probe(x->cache, "st", "s3 http://a", &quirks), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(directories_are_the_owners_alone),
	    TEST(a_cache_that_others_may_write_is_refused),
	    TEST(a_link_in_the_place_of_a_volume_is_not_followed),
	    TEST(the_node_keeps_its_id),
	    TEST(a_lock_has_one_holder_and_waits_until_its_deadline),
	    TEST(marks_replace_each_other),
	    TEST(a_restored_tree_is_unsettled_until_it_is_on_the_disk),
	    TEST(a_dirty_mark_that_can_not_be_read_still_counts),
	    TEST(what_is_set_aside_is_never_overwritten),
	    TEST(what_is_of_no_known_epoch_has_a_number_of_its_own),
	    TEST(a_probe_counts_for_its_endpoint_only),
	    TEST(a_workspace_of_any_name_leaves_room_for_the_probe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
