/* SPDX-License-Identifier: Apache-2.0 */
/* So many small files that several threads take them out of packs: all of them come, whole, or none is believed. */
#include "tests/engine_box.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/xattr.h>

#include "base/cleanup.h"
#include "base/io.h"

#define DIRS 30
#define FILES 40

static void put_files(struct node *n)
{
	char path[64];

	for (int d = 0; d < DIRS; d++) {
		snprintf(path, sizeof(path), "d%d", d);
		put_dir(n, path, d % 3 ? 0755 : 0555);
		for (int i = 0; i < FILES; i++) {
			snprintf(path, sizeof(path), "d%d/file%d", d, i);
			put_file(n, path, i % 5 ? path : "", i % 7 ? 0644 : 0400, d * FILES + i);
		}
	}
}

/* Longer than what is copied at once; with a hole; with attributes; of two names. */
static void put_special(struct node *n)
{
	_cleanup_close_ int root = node_root(n), sparse = -1, attributes = -1;

	put_big(n, "d1/long", 300000, 1);
	put_big(n, "d2/sparse", 4096, 2);
	put_file(n, "d3/attributes", "has some", 0640, 3);
	put_file(n, "d4/name", "of two", 0644, 4);
	sparse = openat(root, "d2/sparse", O_WRONLY);
	attributes = openat(root, "d3/attributes", O_RDONLY);
	assert_int_equal(ftruncate(sparse, 400000), 0);
	assert_int_equal(linkat(root, "d4/name", root, "d5/other", 0), 0);
	if (fsetxattr(attributes, "user.a", "value", 5, 0) < 0)
		assert_int_equal(errno, EOPNOTSUPP);
}

/* What all nodes shall have. */
static char *committed(struct box *b, bool special)
{
	struct node *a = node_open(b, "a");
	char *tree;

	node_begin(a);
	put_files(a);
	if (special)
		put_special(a);
	tree = dump_tree(a, "rw");
	assert_int_equal(node_end(a), 0);
	node_close(a);
	return tree;
}

/* Nothing of what was made on the way is left. */
static void assert_no_temporary(struct node *n)
{
	_cleanup_close_ int fd = openat(n->v.cache.dir_fd, "tmp", O_RDONLY | O_DIRECTORY);
	_cleanup_closedir_ DIR *d = fdopendir(fd);
	struct dirent *e;

	assert_non_null(d);
	TAKE_FD(fd);
	while ((e = readdir(d)))
		if (e->d_name[0] != '.')
			fail_msg("tmp/%s", e->d_name);
}

static void many_files_come_whole(void **state)
{
	struct box *b = *state;
	_cleanup_free_ char *tree = committed(b, true);
	struct node *c = node_open(b, "c");

	node_begin(c);
	assert_same_tree(tree, c);
	assert_no_temporary(c);
	assert_int_equal(c->report.files_added, DIRS * FILES + 4);
	node_close(c);
}

static void what_stands_in_the_place_of_a_file_is_replaced(void **state)
{
	struct box *b = *state;
	_cleanup_free_ char *tree = committed(b, true);
	struct node *c = node_open(b, "c");
	int root;

	node_begin(c);
	node_kill(c);
	c = node_open(b, "c");
	root = node_root(c);
	/* Scans leave out what is no file, directory or link: that it is there is only seen when the file is put there.
	 */
	for (int d = 0; d < DIRS; d++)
		for (int i = 0; i < FILES; i++) {
			char path[64];

			snprintf(path, sizeof(path), "d%d/file%d", d, i);
			assert_int_equal(unlinkat(root, path, 0), 0);
			if (i % 2)
				assert_int_equal(mkfifoat(root, path, 0600), 0);
		}
	close(root);
	assert_int_equal(unlinkat(c->v.cache.dir_fd, "dirty", 0), 0);
	node_begin(c);
	assert_same_tree(tree, c);
	assert_no_temporary(c);
	node_close(c);
}

static void a_wrong_byte_in_one_of_many_is_found_and_the_file_gets_no_name(void **state)
{
	struct box *b = *state;
	_cleanup_free_ char *key = NULL;
	struct node *c;
	int root;

	free(committed(b, false));
	key = store_commit_key(b);
	c = node_open(b, "c");
	store_spoil(b, key, "d17/file23", "d17/file32");
	assert_int_equal(node_start(c), -EBADMSG);
	if (!strstr(c->err.msg, "has other bytes for \"d17/file23\""))
		fail_msg("%s", c->err.msg);
	root = node_root(c);
	assert_int_equal(faccessat(root, "d17/file23", F_OK, 0), -1);
	close(root);
	assert_no_temporary(c);
	node_close(c);
}

/* user::rw- user:12345:rw- group::r-- mask::rw- other::r-- (acl(5), as the kernel keeps it) */
static const unsigned char acl[] = {2, 0,    0,	   0,	 1,    0,    6,	   0, 0xff, 0xff, 0xff, 0xff, 2,    0,	  6,
				    0, 0x39, 0x30, 0,	 0,    4,    0,	   4, 0,    0xff, 0xff, 0xff, 0xff, 0x10, 0,
				    6, 0,    0xff, 0xff, 0xff, 0xff, 0x20, 0, 4,    0,	  0xff, 0xff, 0xff, 0xff};

static void a_directorys_default_acl_is_not_given_to_what_comes(void **state)
{
	struct box *b = *state;
	_cleanup_free_ char *tree = committed(b, true);
	struct node *c = node_open(b, "c");
	_cleanup_close_ int dir = -1, file = -1;
	int root;

	node_begin(c);
	node_kill(c);
	c = node_open(b, "c");
	root = node_root(c);
	dir = openat(root, "d1", O_RDONLY | O_DIRECTORY);
	assert_int_equal(unlinkat(root, "d1/file1", 0), 0);
	close(root);
	if (fsetxattr(dir, "system.posix_acl_default", acl, sizeof(acl), 0) < 0) {
		assert_int_equal(errno, EOPNOTSUPP);
		node_close(c);
		skip();
	}
	assert_int_equal(unlinkat(c->v.cache.dir_fd, "dirty", 0), 0);
	node_begin(c);
	assert_same_tree(tree, c);
	file = openat(dir, "file1", O_RDONLY);
	assert_true(file >= 0);
	assert_int_equal(fgetxattr(file, "system.posix_acl_access", NULL, 0), -1);
	assert_int_equal(errno, ENODATA);
	node_close(c);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, box_setup, box_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(many_files_come_whole),
	    TEST(what_stands_in_the_place_of_a_file_is_replaced),
	    TEST(a_wrong_byte_in_one_of_many_is_found_and_the_file_gets_no_name),
	    TEST(a_directorys_default_acl_is_not_given_to_what_comes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
