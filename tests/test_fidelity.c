/* SPDX-License-Identifier: Apache-2.0 */
/* What a file is beside its bytes and its stat: other names, extended attributes, holes (volumes.md §3). */
#include "tests/engine_box.h"

#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <stdio.h>
#include <sys/xattr.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "hooks/engine/hardlinks.h"
#include "hooks/engine/publish_plan.h"
#include "hooks/engine/sparse.h"
#include "hooks/engine/xattrs.h"

/* So that what was written is not racy any more. */
static void settle(void)
{
	clock_sleep_ns(50 * NSEC_PER_MSEC);
}

static void hard_link(struct node *n, const char *from, const char *to)
{
	_cleanup_close_ int root = node_root(n);

	assert_int_equal(linkat(root, from, root, to, 0), 0);
}

static ino_t inode_of(struct node *n, const char *path)
{
	_cleanup_close_ int root = node_root(n);
	struct stat st;

	assert_int_equal(fstatat(root, path, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st.st_ino;
}

static void assert_group(struct node *n, const char *a, const char *b, bool same)
{
	assert_int_equal(inode_of(n, a) == inode_of(n, b), same);
}

/* Commits on one node, begins on another, which has to find the same. */
static void hand_over(struct node *from, struct node *to)
{
	_cleanup_free_ char *tree = dump_tree(from, "rw");

	if (node_end(from) < 0)
		fail_msg("%s", from->err.msg);
	assert_string_equal(from->report.warning, "");
	node_begin(to);
	assert_same_tree(tree, to);
}

/* --- hard links ---------------------------------------------------------------------- */

static void names_of_one_file_are_one_file_on_another_node(void **state)
{
	struct node *a = node_open(*state, "a"), *b = node_open(*state, "b");

	node_begin(a);
	put_dir(a, "d", 0755);
	put_file(a, "x", "text", 0640, 5);
	hard_link(a, "x", "d/y");
	hard_link(a, "x", "a");
	put_file(a, "p", "", 0644, 6);
	hard_link(a, "p", "q\xff");
	put_file(a, "alone", "text", 0640, 5);
	hand_over(a, b);
	assert_group(b, "x", "d/y", true);
	assert_group(b, "x", "a", true);
	assert_group(b, "x", "alone", false);
	assert_group(b, "p", "q\xff", true);
	/* Nothing happened: nothing is to be committed. */
	settle();
	assert_int_equal(node_end(b), 0);
	assert_int_equal(b->report.files_changed + b->report.files_added, 0);
	node_close(a);
	node_close(b);
}

static void a_link_made_broken_or_renamed_is_a_change_and_sends_no_bytes(void **state)
{
	struct node *a = node_open(*state, "a"), *b = node_open(*state, "b");

	node_begin(a);
	put_big(a, "m", 3000000, 1);
	put_big(a, "n", 3000000, 2);
	hard_link(a, "n", "n2");
	settle();
	hand_over(a, b);
	settle();
	/* A new name that sorts before, and one that is gone. */
	hard_link(b, "m", "first");
	drop(b, "n");
	hand_over(b, a);
	/* The new name is published. */
	assert_true(b->report.bytes_out < 3100000);
	assert_true(a->report.bytes_in < 100000);
	assert_group(a, "m", "first", true);
	/* The same bytes, but two files. */
	settle();
	drop(a, "first");
	put_big(a, "first", 3000000, 1);
	hand_over(a, b);
	assert_group(b, "m", "first", false);
	/* And one file again. */
	settle();
	drop(b, "m");
	hard_link(b, "first", "m");
	hand_over(b, a);
	assert_group(a, "m", "first", true);
	assert_int_equal(node_end(a), 0);
	node_close(a);
	node_close(b);
}

static void groups_that_exchange_their_names_are_told_apart(void **state)
{
	struct node *a = node_open(*state, "a"), *b = node_open(*state, "b");

	node_begin(a);
	put_file(a, "1", "one", 0644, 5);
	hard_link(a, "1", "3");
	put_file(a, "2", "two", 0600, 6);
	hard_link(a, "2", "4");
	hand_over(a, b);
	settle();
	/* 1 = 4 and 2 = 3 now; each file keeps one name. */
	drop(b, "3");
	hard_link(b, "2", "3");
	drop(b, "4");
	hard_link(b, "1", "4");
	hand_over(b, a);
	assert_group(a, "1", "4", true);
	assert_group(a, "2", "3", true);
	assert_group(a, "1", "2", false);
	/* All one, with another mode. */
	settle();
	drop(a, "2");
	hard_link(a, "1", "2");
	drop(a, "3");
	hard_link(a, "1", "3");
	put_file(a, "1", "one and all", 0400, 9);
	hand_over(a, b);
	assert_group(b, "1", "2", true);
	assert_group(b, "2", "3", true);
	assert_group(b, "3", "4", true);
	assert_int_equal(node_end(b), 0);
	node_close(a);
	node_close(b);
}

static void a_name_that_another_tool_changed_leaves_its_group(void **state)
{
	struct box *box = *state;
	struct node *a = node_open(box, "a"), *b = node_open(box, "b");
	_cleanup_free_ char *one = NULL, *two = NULL, *three = NULL;

	node_begin(a);
	put_file(a, "1", "text", 0600, 5);
	hard_link(a, "1", "2");
	hard_link(a, "1", "3");
	assert_int_equal(node_end(a), 0);
	one = plain_text(box, "1");
	two = plain_text(box, "2");
	assert_string_equal(one, "text");
	assert_string_equal(two, "text");
	plain_put(box, "1", "theirs");
	node_begin(b);
	three = file_text(b, "1");
	assert_string_equal(three, "theirs");
	assert_group(b, "1", "2", false);
	assert_group(b, "2", "3", true);
	hand_over(b, a);
	assert_group(a, "1", "2", false);
	assert_group(a, "2", "3", true);
	assert_int_equal(node_end(a), 0);
	node_close(a);
	node_close(b);
}

static void groups_are_called_by_their_first_name(void **state)
{
	_cleanup_(manifest_free) struct manifest m = {0};
	static const char *const paths[] = {"a", "b", "c", "d", "e"};
	static const char *const links[] = {"gone", "b", "gone", NULL, "b"};

	(void)state;
	for (size_t i = 0; i < 5; i++)
		*manifest_add(&m) = (struct entry){.path = paths[i], .link = links[i]};
	manifest_sort(&m);
	assert_int_equal(hardlinks_settle(&m), 0);
	assert_string_equal(m.entries[0].link, "a");
	assert_string_equal(m.entries[1].link, "b");
	assert_string_equal(m.entries[2].link, "a");
	assert_null(m.entries[3].link);
	m.entries[1].link = NULL;
	m.entries[0].flags = ENTRY_DROP;
	manifest_drop(&m);
	assert_int_equal(hardlinks_settle(&m), 0);
	for (size_t i = 0; i < 4; i++)
		assert_null(m.entries[i].link);
}

/* --- extended attributes --------------------------------------------------------------- */

static void set_attribute(struct node *n, const char *path, const char *name, const void *value, size_t len)
{
	_cleanup_close_ int root = node_root(n);
	char dir[FD_PATH_MAX], full[256];

	snprintf(full, sizeof(full), "%s/%s", fd_path(root, dir), path);
	assert_int_equal(value ? setxattr(full, name, value, len, 0) : removexattr(full, name), 0);
}

static void extended_attributes_go_round_and_their_changes_are_changes(void **state)
{
	struct node *a = node_open(*state, "a"), *b = node_open(*state, "b");

	node_begin(a);
	put_file(a, "f", "text", 0400, 5);
	put_dir(a, "d", 0500);
	put_file(a, "none", "text", 0644, 5);
	set_attribute(a, "f", "user.a", "\0\377", 2);
	set_attribute(a, "f", "user.empty", "", 0);
	set_attribute(a, "f", "user.b\xff,: ", "b", 1);
	set_attribute(a, "d", "user.of.dir", "x", 1);
	set_attribute(a, ".", "user.of.root", "y", 1);
	hand_over(a, b);
	settle();
	/* Changed, removed, made; nothing else of the file does. */
	set_attribute(b, "f", "user.a", "new", 3);
	set_attribute(b, "f", "user.empty", NULL, 0);
	set_attribute(b, "d", "user.of.dir", NULL, 0);
	set_attribute(b, "none", "user.now", "z", 1);
	hand_over(b, a);
	settle();
	set_attribute(a, ".", "user.of.root", "only this", 9);
	hand_over(a, b);
	assert_int_equal(node_end(b), 0);
	assert_int_equal(b->report.files_changed + b->report.files_added, 0);
	node_close(a);
	node_close(b);
}

static void attributes_past_the_bounds_and_acls_are_left_out_with_a_warning(void **state)
{
	struct {
		struct posix_acl_xattr_header h;
		struct posix_acl_xattr_entry e[5];
	} acl = {{POSIX_ACL_XATTR_VERSION},
		 {{ACL_USER_OBJ, 6, 0xffffffff},
		  {ACL_USER, 6, 77},
		  {ACL_GROUP_OBJ, 4, 0xffffffff},
		  {ACL_MASK, 6, 0xffffffff},
		  {ACL_OTHER, 4, 0xffffffff}}};
	struct node *a = node_open(*state, "a"), *b = node_open(*state, "b");
	char name[40];

	node_begin(a);
	put_file(a, "f", "text", 0644, 5);
	put_file(a, "g", "text", 0644, 5);
	put_dir(a, "d", 0755);
	set_attribute(a, "f", "system.posix_acl_access", &acl, sizeof(acl));
	set_attribute(a, "g", "system.posix_acl_access", &acl, sizeof(acl));
	set_attribute(a, "g", "user.kept", "1", 1);
	assert_int_equal(node_end(a), 0);
	assert_int_equal(a->report.n_warnings, 1);
	assert_string_equal(a->report.warning, "ACLs and capabilities of files are not kept (\"f\")");
	node_begin(b);
	settle();
	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "user.%d", i);
		set_attribute(b, "f", name, "x", 1);
	}
	hand_over(b, a);
	assert_int_equal(node_end(a), 0);
	node_close(a);
	node_close(b);
}

static void attributes_as_text_have_bounds(void **state)
{
	_cleanup_free_ char *text = malloc(4 * XATTRS_TEXT_MAX);
	char *end = text;

	(void)state;
	/* One byte of name, all else is value: the most that fits, and one more. */
	end += sprintf(end, "61:");
	memset(end, '0', 2 * (XATTRS_MAX_BYTES - 1));
	strcpy(end + 2 * (XATTRS_MAX_BYTES - 1), ",");
	assert_true(xattrs_valid(text));
	strcpy(end + 2 * (XATTRS_MAX_BYTES - 1), "00,");
	assert_false(xattrs_valid(text));
	end = text;
	for (int i = 0; i <= XATTRS_MAX_COUNT; i++) {
		assert_int_equal(i <= XATTRS_MAX_COUNT - 1 || xattrs_valid(text), 1);
		end += sprintf(end, "%02x%02x:,", 1 + i / 200, 1 + i % 200);
	}
	assert_false(xattrs_valid(text));
	assert_false(xattrs_valid(""));
	assert_true(xattrs_equal(NULL, NULL));
	assert_false(xattrs_equal(NULL, "61:,"));
}

/* --- holes ------------------------------------------------------------------------------- */

static void put_sparse(struct node *n, const char *path, off_t size)
{
	_cleanup_close_ int root = node_root(n);
	_cleanup_close_ int fd = openat(root, path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	assert_int_equal(ftruncate(fd, size), 0);
	assert_int_equal(pwrite_all(fd, "middle", 6, size / 2 + 5000), 0);
	assert_int_equal(pwrite_all(fd, "end", 3, size - 3), 0);
}

static int64_t blocks_of(struct node *n, const char *path)
{
	_cleanup_close_ int root = node_root(n);
	struct stat st;

	assert_int_equal(fstatat(root, path, &st, 0), 0);
	return st.st_blocks;
}

static void holes_are_made_again_and_zeros_stay_zeros(void **state)
{
	struct node *a = node_open(*state, "a"), *b = node_open(*state, "b");
	_cleanup_close_ int root = -1;
	_cleanup_free_ char *zeros = calloc(1, 100000);
	int fd;

	node_begin(a);
	put_sparse(a, "small", 1000001);
	put_sparse(a, "large", 70000001);
	root = node_root(a);
	fd = openat(root, "hole", O_WRONLY | O_CREAT, 0644);
	assert_int_equal(ftruncate(fd, 50000), 0);
	close(fd);
	fd = openat(root, "zeros", O_WRONLY | O_CREAT, 0644);
	assert_int_equal(write_all(fd, zeros, 100000), 0);
	assert_int_equal(fsync(fd), 0);
	close(fd);
	hand_over(a, b);
	assert_int_equal(blocks_of(b, "small"), blocks_of(a, "small"));
	assert_int_equal(blocks_of(b, "large"), blocks_of(a, "large"));
	assert_int_equal(blocks_of(b, "hole"), 0);
	assert_int_equal(blocks_of(b, "zeros"), blocks_of(a, "zeros"));
	assert_int_equal(node_end(b), 0);
	node_close(a);
	node_close(b);
}

static void only_whole_blocks_of_zeros_become_holes(void **state)
{
	_cleanup_close_ int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	char data[20000] = {0}, got[20000];
	struct stat st;

	(void)state;
	assert_true(fd >= 0);
	data[0] = data[8191] = data[19999] = 1;
	assert_int_equal(sparse_write(fd, data, 10000, 0), 0);
	assert_int_equal(sparse_write(fd, data + 10000, 10000, 10000), 0);
	assert_int_equal(pread_full(fd, got, sizeof(got), 0), 0);
	assert_memory_equal(data, got, sizeof(data));
	assert_true(sparse_has_holes(fd, sizeof(data)));
	assert_int_equal(pwrite_all(fd, data, sizeof(data), 0), 0);
	assert_int_equal(fsync(fd), 0);
	assert_false(sparse_has_holes(fd, sizeof(data)));
	assert_int_equal(sparse_punch(fd, 0, sizeof(data)), 0);
	assert_int_equal(pread_full(fd, got, sizeof(got), 0), 0);
	assert_memory_equal(data, got, sizeof(data));
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_blocks, 3 * 8);
	/* The second time there is little to read. */
	assert_int_equal(sparse_punch(fd, 0, sizeof(data)), 0);
}

/* --- more than 5 GiB -------------------------------------------------------------------- */

/* Such a copy has no condition on S3: what stands there is looked at first. */
static void a_copy_of_more_than_5_gib_looks_before_it_writes(void **state)
{
	struct node *a = node_open(*state, "a");
	struct transfer x = {.v = &a->v, .report = &a->report, .err = &a->err};
	_cleanup_(manifest_free) struct manifest m = {.epoch = 1, .seq = 1};
	struct publish_plan plan;

	*manifest_add(&m) =
	    (struct entry){.path = "large", .type = ENTRY_FILE, .size = STORE_COPY_IF_MAX, .object = "1-1/large"};
	*manifest_add(&m) =
	    (struct entry){.path = "larger", .type = ENTRY_FILE, .size = STORE_COPY_IF_MAX + 1, .object = "1-1/larger"};
	manifest_sort(&m);
	a->v.store->caps |= STORE_CAP_COPY | STORE_CAP_COPY_IF;
	assert_int_equal(plan_make(&plan, &x, &m, 0), 0);
	assert_int_equal(plan.n, 2);
	assert_int_equal(plan.items[0].state, STATE_WRITE);
	assert_int_equal(plan.items[1].state, STATE_LOOK);
	plan_free(&plan);
	node_close(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(names_of_one_file_are_one_file_on_another_node, box_setup, box_teardown),
	    cmocka_unit_test_setup_teardown(a_link_made_broken_or_renamed_is_a_change_and_sends_no_bytes, box_setup,
					    box_teardown),
	    cmocka_unit_test_setup_teardown(groups_that_exchange_their_names_are_told_apart, box_setup, box_teardown),
	    cmocka_unit_test_setup_teardown(a_name_that_another_tool_changed_leaves_its_group, box_setup, box_teardown),
	    cmocka_unit_test(groups_are_called_by_their_first_name),
	    cmocka_unit_test_setup_teardown(extended_attributes_go_round_and_their_changes_are_changes, box_setup,
					    box_teardown),
	    cmocka_unit_test_setup_teardown(attributes_past_the_bounds_and_acls_are_left_out_with_a_warning, box_setup,
					    box_teardown),
	    cmocka_unit_test(attributes_as_text_have_bounds),
	    cmocka_unit_test_setup_teardown(holes_are_made_again_and_zeros_stay_zeros, box_setup, box_teardown),
	    cmocka_unit_test_setup_teardown(a_copy_of_more_than_5_gib_looks_before_it_writes, box_setup, box_teardown),
	    cmocka_unit_test(only_whole_blocks_of_zeros_become_holes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
