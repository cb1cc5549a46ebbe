/* SPDX-License-Identifier: Apache-2.0 */
/* What is in the tree of a container that had root there (volumes.md §5.1). */
#include "tests/engine_box.h"

#include <sched.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/mount.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "hooks/engine/index.h"
#include "hooks/engine/scan.h"
#include "hooks/engine/tree.h"

static int scan(struct node *n, struct manifest *base, struct manifest *ret)
{
	_cleanup_close_ int root = node_root(n);

	n->report = (struct transfer_report){0};
	return scan_tree(&n->v, root, base, true, ret, &n->report, &n->err);
}

static void a_file_is_clean_only_with_its_stat_and_after_a_tick(void **state)
{
	_cleanup_(manifest_free) struct manifest base = {0}, one = {0}, two = {0}, three = {0};
	struct node *a = node_open(*state, "a");

	node_begin(a);
	put_file(a, "f", "text", 0644, 1);
	put_file(a, "g", "text", 0644, 1);
	assert_int_equal(scan(a, &base, &one), 0);
	assert_int_equal(one.entries[0].flags, ENTRY_CHANGED);
	/* Just written: a change within the same tick would not show. */
	assert_int_equal(scan(a, &one, &two), 0);
	assert_int_equal(two.entries[0].flags, ENTRY_CHANGED);
	clock_sleep_ns(50 * NSEC_PER_MSEC);
	manifest_free(&two);
	assert_int_equal(scan(a, &base, &two), 0);
	/* The same size and time again; only its ctime tells. */
	put_file(a, "g", "TEXT", 0644, 1);
	assert_int_equal(scan(a, &two, &three), 0);
	assert_int_equal(three.entries[0].flags, ENTRY_CLEAN | ENTRY_TAKEN);
	assert_int_equal(three.entries[1].flags, ENTRY_CHANGED);
	node_close(a);
}

static void what_can_not_be_kept_is_left_out_with_one_warning(void **state)
{
	_cleanup_(manifest_free) struct manifest base = {0}, m = {0};
	struct node *a = node_open(*state, "a");
	int root;

	node_begin(a);
	root = node_root(a);
	assert_int_equal(mkfifoat(root, "fifo", 0644), 0);
	assert_int_equal(mknodat(root, "sock", S_IFSOCK | 0644, 0), 0);
	put_file(a, "setuid", "x", 06755, 1);
	put_file(a, "setgid", "x", 02755, 1);
	assert_int_equal(scan(a, &base, &m), 0);
	assert_int_equal(m.n, 2);
	assert_int_equal(m.entries[1].mode, 0755);
	assert_int_equal(a->report.files_skipped, 2);
	assert_int_equal(a->report.n_warnings, 3);
	assert_string_not_equal(a->report.warning, "");
	close(root);
	node_close(a);
}

static void a_name_with_control_characters_makes_a_warning_of_one_line(void **state)
{
	struct transfer_report report = {0};

	(void)state;
	report_warning(&report, "a name: %s", "x\n\033[31mred");
	assert_null(strchr(report.warning, '\n'));
	assert_null(strchr(report.warning, '\033'));
}

static void mount_points_that_the_runtime_made_are_left_out(void **state)
{
	static const char *mountpoints[] = {"made/by/runtime", "file", "full", "known"};
	_cleanup_(manifest_free) struct manifest base = {0}, m = {0};
	struct node *a = node_open(*state, "a");
	struct entry *e = manifest_add(&base);

	*e = (struct entry){.path = "known", .type = ENTRY_DIR};
	manifest_sort(&base);
	node_begin(a);
	put_dir(a, "made", 0755);
	put_dir(a, "made/by", 0755);
	put_dir(a, "made/by/runtime", 0755);
	put_file(a, "file", "", 0644, 1);
	put_dir(a, "full", 0755);
	put_file(a, "full/x", "", 0644, 1);
	put_dir(a, "known", 0755);
	put_dir(a, "own", 0755);
	a->v.mountpoints = mountpoints;
	a->v.n_mountpoints = 4;
	assert_int_equal(scan(a, &base, &m), 0);
	assert_null(manifest_find(&m, "made"));
	assert_null(manifest_find(&m, "file"));
	assert_non_null(manifest_find(&m, "full/x"));
	assert_non_null(manifest_find(&m, "known"));
	assert_non_null(manifest_find(&m, "own"));
	node_close(a);
}

static void a_tree_as_deep_as_paths_go_is_scanned_and_a_deeper_one_refused(void **state)
{
	_cleanup_(manifest_free) struct manifest base = {0}, m = {0};
	struct node *a = node_open(*state, "a");
	int dir;

	node_begin(a);
	dir = node_root(a);
	for (int i = 0; i < 2047; i++) {
		int next;

		assert_int_equal(mkdirat(dir, "d", 0755), 0);
		next = openat(dir, "d", O_RDONLY | O_DIRECTORY);
		close(dir);
		dir = next;
	}
	assert_int_equal(symlinkat("x", dir, "l"), 0);
	assert_int_equal(scan(a, &base, &m), 0);
	assert_int_equal(m.n, 2048);
	assert_int_equal(mkdirat(dir, "dd", 0755), 0);
	manifest_free(&m);
	assert_int_equal(scan(a, &base, &m), -EFBIG);
	close(dir);
	node_close(a);
}

static void another_mount_is_not_entered(void **state)
{
	_cleanup_(manifest_free) struct manifest base = {0}, m = {0};
	struct node *a;
	char path[160];

	/* Before anything is opened: a descriptor stays in the mount namespace it came from. */
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		skip();
	a = node_open(*state, "a");
	node_begin(a);
	put_dir(a, "mounted", 0755);
	snprintf(path, sizeof(path), "%s/a/spy/ws/vol/rw/mounted", a->box->dir);
	assert_int_equal(mount("/etc", path, NULL, MS_BIND, NULL), 0);
	assert_int_equal(scan(a, &base, &m), 0);
	assert_int_equal(m.n, 1);
	assert_non_null(strstr(a->report.warning, "a mount within the volume"));
	assert_int_equal(umount2(path, MNT_DETACH), 0);
	node_close(a);
}

static void a_broken_index_is_none(void **state)
{
	_cleanup_(manifest_free) struct manifest m = {0};
	struct node *a = node_open(*state, "a");
	struct stat st;
	char byte;
	int fd;

	node_begin(a);
	put_file(a, "f", "text", 0644, 1);
	assert_int_equal(node_end(a), 0);
	assert_int_equal(index_load(&a->v, &m), 0);
	assert_int_equal(m.n, 1);
	manifest_free(&m);
	fd = openat(a->v.cache.dir_fd, "index", O_RDWR);
	assert_int_equal(fstat(fd, &st), 0);
	for (off_t i = 0; i < st.st_size; i++) {
		assert_int_equal(pread(fd, &byte, 1, i), 1);
		byte ^= 1;
		assert_int_equal(pwrite(fd, &byte, 1, i), 1);
		assert_int_equal(index_load(&a->v, &m), -ENOENT);
		byte ^= 1;
		assert_int_equal(pwrite(fd, &byte, 1, i), 1);
	}
	assert_int_equal(index_load(&a->v, &m), 0);
	assert_int_equal(ftruncate(fd, st.st_size - 1), 0);
	manifest_free(&m);
	assert_int_equal(index_load(&a->v, &m), -ENOENT);
	close(fd);
	node_close(a);
}

/* Opening alone does something to a device: a watchdog's starts it. */
static void what_is_no_file_is_not_even_opened(void **state)
{
	struct node *a = node_open(*state, "a");
	_cleanup_close_ int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	char path[FD_PATH_MAX + 16], events[256], dir[FD_PATH_MAX];
	struct stat st;
	int root;

	node_begin(a);
	root = node_root(a);
	assert_int_equal(mkfifoat(root, "fifo", 0644), 0);
	snprintf(path, sizeof(path), "%s/fifo", fd_path(root, dir));
	assert_true(inotify_add_watch(watch, path, IN_OPEN) >= 0);
	assert_int_equal(tree_open_file(root, "fifo", &st), -ESTALE);
	assert_int_equal(read(watch, events, sizeof(events)), -1);
	close(root);
	node_close(a);
}

static void a_link_takes_the_place_of_a_directory(void **state)
{
	struct node *a = node_open(*state, "a");
	struct entry link = {.path = "d", .target = "elsewhere", .type = ENTRY_SYMLINK, .mode = 0777};
	struct tree t;
	struct stat st;

	link.uid = geteuid();
	link.gid = getegid();
	assert_int_equal(tree_begin(&t, &a->v, "rw", "rw-", &a->err), 0);
	assert_int_equal(tree_mkdir(&t, "d"), 0);
	assert_int_equal(tree_symlink(&t, &link), 0);
	assert_int_equal(tree_stat(&t, "d", &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	tree_end(&t);
	node_close(a);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, box_setup, box_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(a_file_is_clean_only_with_its_stat_and_after_a_tick),
	    TEST(what_can_not_be_kept_is_left_out_with_one_warning),
	    TEST(a_name_with_control_characters_makes_a_warning_of_one_line),
	    TEST(mount_points_that_the_runtime_made_are_left_out),
	    TEST(a_tree_as_deep_as_paths_go_is_scanned_and_a_deeper_one_refused),
	    TEST(a_broken_index_is_none),
	    TEST(another_mount_is_not_entered),
	    TEST(what_is_no_file_is_not_even_opened),
	    TEST(a_link_takes_the_place_of_a_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
