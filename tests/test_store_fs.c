/* SPDX-License-Identifier: Apache-2.0 */
/* What only the filesystem store has; the rest is tests/store_conformance.c. */
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "hooks/store/store.h"

static char dir[64];
static int dir_fd;
static struct store_config config = {.name = "test", .type = "filesystem"};
static struct store *store;

static int set_up(void **state)
{
	struct error err = ERROR_INIT;

	(void)state;
	strcpy(dir, "/tmp/volrun-store-fs-XXXXXX");
	assert_non_null(mkdtemp(dir));
	config.path = dir;
	if (store_open(&config, &store, &err) < 0)
		fail_msg("%s", err.msg);
	dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	store_close(store);
	close(dir_fd);
	return remove_tree_at(AT_FDCWD, dir);
}

static struct store_op put_op(const char *key, const char *text)
{
	struct store_op op;

	store_op_init(&op, STORE_PUT, key);
	op.data = text;
	op.size = strlen(text);
	return op;
}

static void put_text(const char *key, const char *text)
{
	struct store_op op = put_op(key, text);

	if (store_do(store, &op) != STORE_OK)
		fail_msg("%s", op.err.msg);
}

static struct store_op head(const char *key)
{
	struct store_op op;

	store_op_init(&op, STORE_HEAD, key);
	store_do(store, &op);
	return op;
}

static enum store_result get(const char *key)
{
	struct store_op op;

	store_op_init(&op, STORE_GET, key);
	op.max_body = 1000;
	store_do(store, &op);
	strbuf_free(&op.body);
	return op.result;
}

static enum store_result delete (const char *key) {
	struct store_op op;

	store_op_init(&op, STORE_DELETE, key);
	return store_do(store, &op);
}

static int add_key(void *ctx, const struct store_list_item *item, struct error *err)
{
	(void)err;
	strbuf_addf(ctx, "%s|", item->key);
	return 0;
}

/* The keys, each followed by '|'. */
static void expect_listed(const char *prefix, const char *keys)
{
	_cleanup_strbuf_ struct strbuf got = STRBUF_INIT;
	struct error err = ERROR_INIT;

	if (store_list(store, prefix, add_key, &got, &err) < 0)
		fail_msg("%s", err.msg);
	assert_string_equal(strbuf_str(&got), keys);
}

static bool exists(const char *path)
{
	return faccessat(dir_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void append(const char *path, const char *text)
{
	int fd = openat(dir_fd, path, O_WRONLY | O_APPEND | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write_all(fd, text, strlen(text)), 0);
	close(fd);
}

static void planted_links_and_pipes_are_no_objects_and_lead_nowhere(void **state)
{
	struct store_op op;

	(void)state;
	put_text("volumes/w/v/real", "x");
	assert_int_equal(symlinkat("/etc", dir_fd, "volumes/w/v/etc"), 0);
	assert_int_equal(symlinkat("../../../../../../../../etc/passwd", dir_fd, "volumes/w/v/passwd"), 0);
	assert_int_equal(mkfifoat(dir_fd, "volumes/w/v/pipe", 0666), 0);
	expect_listed("volumes/", "volumes/w/v/real|");
	expect_listed("volumes/w/v/etc/", "");
	assert_int_equal(get("volumes/w/v/passwd"), STORE_ABSENT);
	assert_int_equal(get("volumes/w/v/etc/passwd"), STORE_ABSENT);
	assert_int_equal(get("volumes/w/v/pipe"), STORE_ABSENT);
	assert_int_equal(delete ("volumes/w/v/etc/volrun-test"), STORE_OK);
	op = put_op("volumes/w/v/etc/volrun-test", "x");
	assert_int_equal(store_do(store, &op), STORE_INVALID);
	assert_int_equal(access("/etc/volrun-test", F_OK), -1);
}

static void the_private_directory_is_no_key_and_not_listed(void **state)
{
	struct store_op op = put_op(".volrun-store/tmp/x", "x");

	(void)state;
	put_text("a", "x");
	assert_true(exists(".volrun-store/locks"));
	assert_int_equal(store_do(store, &op), STORE_INVALID);
	assert_int_equal(get(".volrun-store"), STORE_INVALID);
	expect_listed("", "a|");
	put_text(".volrun-stores", "x");
	expect_listed("", ".volrun-stores|a|");
}

static void names_over_255_bytes_are_refused(void **state)
{
	char key[300];
	struct store_op op;

	(void)state;
	memset(key, 'n', sizeof(key));
	key[255] = '\0';
	put_text(key, "fits");
	key[255] = 'n';
	key[256] = '\0';
	op = put_op(key, "x");
	assert_int_equal(store_do(store, &op), STORE_INVALID);
}

static void directories_go_with_their_last_file_but_the_volume_stays(void **state)
{
	(void)state;
	put_text("volumes/w/v/a/b/c", "x");
	put_text("volumes/w/v/a/d", "x");
	assert_int_equal(delete ("volumes/w/v/a/b/c"), STORE_OK);
	assert_false(exists("volumes/w/v/a/b"));
	assert_true(exists("volumes/w/v/a"));
	assert_int_equal(delete ("volumes/w/v/a/d"), STORE_OK);
	assert_false(exists("volumes/w/v/a"));
	assert_true(exists("volumes/w/v"));
	put_text("top/file", "x");
	assert_int_equal(delete ("top/file"), STORE_OK);
	assert_false(exists("top"));
	assert_true(exists("."));
}

static void a_file_in_the_way_of_a_directory_is_an_error_and_stays(void **state)
{
	struct store_op op = put_op("a/b", "x");

	(void)state;
	put_text("a", "file");
	assert_int_equal(store_do(store, &op), STORE_INVALID);
	assert_int_equal(get("a"), STORE_OK);
	put_text("d/e", "file");
	op = put_op("d", "x");
	assert_int_equal(store_do(store, &op), STORE_INVALID);
	op.condition = STORE_IF_ABSENT;
	assert_int_equal(store_do(store, &op), STORE_INVALID);
	assert_int_equal(get("d/e"), STORE_OK);
}

static void a_mark_is_not_believed_after_another_tool_wrote(void **state)
{
	struct store_op op = put_op("f", "ours"), before;

	(void)state;
	op.mark = "3/abc/def";
	store_do(store, &op);
	before = head("f");
	assert_string_equal(before.got_mark, "3/abc/def");
	append("f", " and theirs");
	op = head("f");
	assert_int_equal(op.result, STORE_OK);
	assert_string_equal(op.got_mark, "");
	assert_string_not_equal(op.tag, before.tag);
}

static void the_same_bytes_written_again_have_another_tag(void **state)
{
	struct store_op first = put_op("f", "same"), second;

	(void)state;
	store_do(store, &first);
	put_text("f", "else");
	second = put_op("f", "same");
	store_do(store, &second);
	assert_string_not_equal(first.tag, second.tag);
	assert_string_equal(head("f").tag, second.tag);
}

static void a_tag_survives_closing_and_opening_the_store(void **state)
{
	struct store_op op = put_op("f", "text");
	struct error err = ERROR_INIT;

	(void)state;
	store_do(store, &op);
	store_close(store);
	assert_int_equal(store_open(&config, &store, &err), 0);
	assert_string_equal(head("f").tag, op.tag);
}

static void write_register(const char *key, const char *text)
{
	put_text(key, text);
	assert_int_equal(get(key), STORE_OK);
}

static void the_fence_stops_changes_of_plain_files_once_the_epoch_moved_on(void **state)
{
	struct store_op op = put_op("volumes/w/v/file", "x");

	(void)state;
	write_register("volumes/w/.volrun/v/head",
		       "{\"format\":1,\"commit\":{\"epoch\":3,\"seq\":9},\"epoch\":7,\"state\":1}");
	store->fence_key = "volumes/w/.volrun/v/head";
	store->fence_epoch = 7;
	assert_int_equal(store_do(store, &op), STORE_OK);
	store->fence_epoch = 3;
	assert_int_equal(store_do(store, &op), STORE_CANCELLED);
	assert_int_equal(delete ("volumes/w/v/file"), STORE_CANCELLED);
	assert_int_equal(get("volumes/w/v/file"), STORE_OK);
	/* What lies beneath .volrun is not fenced: conflicts of a holder that lost are kept there. */
	put_text("volumes/w/.volrun/v/conflicts/3/file", "x");
	/* But a directory of that name within a volume is. */
	op = put_op("volumes/w/v/.volrun/file", "x");
	assert_int_equal(store_do(store, &op), STORE_CANCELLED);
}

static void a_fence_that_can_not_be_read_lets_nothing_pass(void **state)
{
	struct store_op op = put_op("volumes/w/v/file", "x");

	(void)state;
	store->fence_key = "volumes/w/.volrun/v/head";
	store->fence_epoch = 1;
	assert_int_equal(store_do(store, &op), STORE_CANCELLED);
	assert_non_null(strstr(op.err.msg, "the volume's register is gone"));
	write_register("volumes/w/.volrun/v/head", "{\"epoch\":");
	assert_int_equal(store_do(store, &op), STORE_FAILED);
	assert_false(exists("volumes/w/v/file"));
}

static bool moves_the_register(void *ctx)
{
	int fd = openat(dir_fd, "volumes/w/.volrun/v/head", O_WRONLY | O_TRUNC | O_CLOEXEC);

	(void)ctx;
	assert_int_equal(write_all(fd, "{\"epoch\":2}", 11), 0);
	close(fd);
	return true;
}

static void the_fence_is_asked_after_the_lease_and_just_before_the_change(void **state)
{
	struct store_op op = put_op("volumes/w/v/file", "x");

	(void)state;
	write_register("volumes/w/.volrun/v/head", "{\"epoch\":1}");
	store->fence_key = "volumes/w/.volrun/v/head";
	store->fence_epoch = 1;
	store->valid = moves_the_register;
	assert_int_equal(store_do(store, &op), STORE_CANCELLED);
	assert_false(exists("volumes/w/v/file"));
}

static void nothing_is_left_of_a_write_that_did_not_happen(void **state)
{
	struct store_op op = put_op("f", "x");
	char path[128];

	(void)state;
	put_text("f", "there");
	op.condition = STORE_IF_ABSENT;
	assert_int_equal(store_do(store, &op), STORE_FALSE);
	op.condition = STORE_ANY;
	op.sha256 = "not this";
	assert_int_equal(store_do(store, &op), STORE_CORRUPT);
	snprintf(path, sizeof(path), "%s/.volrun-store/tmp", dir);
	assert_int_equal(rmdir(path), 0);
}

/* In a mount namespace of its own: ramfs has no user.* attributes. 77: no right to mount. */
static int marks_on_ramfs(void)
{
	struct store_op op = put_op("f", "ours");
	struct error err = ERROR_INIT;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", dir, "ramfs", 0, NULL) < 0)
		return 77;
	store_close(store);
	if (store_open(&config, &store, &err) < 0)
		return 1;
	dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	op.mark = "3/abc/def";
	if (store_do(store, &op) != STORE_OK || strcmp(head("f").got_mark, "3/abc/def") != 0)
		return 2;
	if (strcmp(head("f").tag, op.tag) != 0)
		return 3;
	append("f", " and theirs");
	if (head("f").got_mark[0])
		return 4;
	if (delete ("f") != STORE_OK)
		return 5;
	put_text("f", "ours");
	return head("f").got_mark[0] ? 6 : 0;
}

static void marks_are_kept_beside_where_there_are_no_attributes(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		_exit(marks_on_ramfs());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(status, 0);
}

static void an_empty_directory_made_by_another_tool_is_listed_as_one(void **state)
{
	(void)state;
	assert_int_equal(mkdirat(dir_fd, "d", 0755), 0);
	assert_int_equal(mkdirat(dir_fd, "d/empty", 0755), 0);
	expect_listed("d/", "d/empty/|");
	assert_int_equal(get("d/empty/"), STORE_OK);
	assert_int_equal(get("d/"), STORE_ABSENT);
	assert_int_equal(delete ("d/empty/"), STORE_OK);
	assert_false(exists("d"));
}

static void the_order_is_that_of_the_keys_not_of_the_names(void **state)
{
	(void)state;
	/* As bytes: "a-b" < "a/c" < "ab", though the directory "a" sorts before "a-b". */
	put_text("a/c", "1");
	put_text("a-b", "2");
	put_text("ab", "3");
	expect_listed("a", "a-b|a/c|ab|");
	expect_listed("a/", "a/c|");
	expect_listed("a-", "a-b|");
}

static void errors_name_store_directory_and_key_on_one_line(void **state)
{
	struct store_op op;

	(void)state;
	store_op_init(&op, STORE_GET, "volumes/w/v/\n\x1b[31m");
	store_do(store, &op);
	assert_int_equal(op.result, STORE_ABSENT);
	assert_non_null(strstr(op.err.msg, "store \"test\" (directory /tmp/volrun-store-fs-"));
	assert_non_null(strstr(op.err.msg, "for GET volumes/w/v/"));
	assert_null(strchr(op.err.msg, '\n'));
	assert_null(strchr(op.err.msg, '\x1b'));
}

static void a_path_that_is_a_file_is_refused_at_opening(void **state)
{
	struct store_config bad = {.name = "bad", .type = "filesystem", .path = "/etc/passwd"};
	struct error err = ERROR_INIT;
	struct store *s = NULL;

	(void)state;
	assert_true(store_open(&bad, &s, &err) < 0);
	assert_null(s);
	assert_null(strstr(err.msg, "not a directory"));
	bad.path = "relative";
	assert_true(store_open(&bad, &s, &err) < 0);
	bad.path = NULL;
	assert_true(store_open(&bad, &s, &err) < 0);
	bad.type = "tape";
	assert_true(store_open(&bad, &s, &err) < 0);
	assert_non_null(strstr(err.msg, "unknown type \"tape\""));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(planted_links_and_pipes_are_no_objects_and_lead_nowhere),
	    TEST(the_private_directory_is_no_key_and_not_listed),
	    TEST(names_over_255_bytes_are_refused),
	    TEST(directories_go_with_their_last_file_but_the_volume_stays),
	    TEST(a_file_in_the_way_of_a_directory_is_an_error_and_stays),
	    TEST(a_mark_is_not_believed_after_another_tool_wrote),
	    TEST(the_same_bytes_written_again_have_another_tag),
	    TEST(a_tag_survives_closing_and_opening_the_store),
	    TEST(the_fence_stops_changes_of_plain_files_once_the_epoch_moved_on),
	    TEST(a_fence_that_can_not_be_read_lets_nothing_pass),
	    TEST(the_fence_is_asked_after_the_lease_and_just_before_the_change),
	    TEST(nothing_is_left_of_a_write_that_did_not_happen),
	    TEST(marks_are_kept_beside_where_there_are_no_attributes),
	    TEST(an_empty_directory_made_by_another_tool_is_listed_as_one),
	    TEST(the_order_is_that_of_the_keys_not_of_the_names),
	    TEST(errors_name_store_directory_and_key_on_one_line),
	    TEST(a_path_that_is_a_file_is_refused_at_opening),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
