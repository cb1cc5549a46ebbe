/* SPDX-License-Identifier: Apache-2.0 */
/* Where keepers are found: a place that is nobody else's. */
#include "hooks/keeper_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"

static void a_run_dir_that_others_may_write_to_is_refused(void **state)
{
	struct keeper_socket s = KEEPER_SOCKET_INIT;
	struct error err = ERROR_INIT;
	char dir[] = "/tmp/volrun-test-XXXXXX";

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chmod(dir, 0777), 0);
	assert_int_equal(keeper_socket_open(&s, dir, "c1", "/b", &err), -EINVAL);
	assert_non_null(strstr(err.msg, "writable by nobody else"));
	keeper_socket_close(&s);
	assert_int_equal(chmod(dir, 0755), 0);
	assert_int_equal(keeper_socket_open(&s, dir, "c1", "/b", &err), 0);
	keeper_socket_close(&s);
	remove_tree_at(AT_FDCWD, dir);
}

static void the_end_of_a_keeper_is_seen_and_its_lines_are_handed_on(void **state)
{
	struct keeper_socket s = KEEPER_SOCKET_INIT;
	struct error err = ERROR_INIT;
	char dir[] = "/tmp/volrun-test-XXXXXX";
	struct strbuf lines = STRBUF_INIT;
	char *log = NULL;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(keeper_socket_open(&s, dir, "c1", "/b", &err), 0);
	assert_int_equal(keeper_socket_wait(dir, "c1", "/b", 1000000, false, &log), -ETIMEDOUT);
	assert_null(log);
	strbuf_adds(&lines, "volume state: a line\n");
	keeper_socket_log(&s, &lines);
	keeper_socket_close(&s);
	assert_int_equal(keeper_socket_wait(dir, "c1", "/b", 1000000, false, &log), 0);
	assert_string_equal(log, "volume state: a line\n");
	free(log);
	strbuf_free(&lines);
	assert_int_equal(rmdir(dir), 0);
}

static void what_nobody_comes_for_is_not_left(void **state)
{
	struct keeper_socket s = KEEPER_SOCKET_INIT;
	struct error err = ERROR_INIT;
	char dir[] = "/tmp/volrun-test-XXXXXX";
	struct strbuf lines = STRBUF_INIT;
	char *log = NULL;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	strbuf_adds(&lines, "volume state: a line\n");
	assert_int_equal(keeper_socket_open(&s, dir, "c1", "/b", &err), 0);
	keeper_socket_log(&s, &lines);
	assert_int_equal(keeper_socket_wait(dir, "c1", "/b", 1000000, true, &log), -ETIMEDOUT);
	assert_string_equal(log, "volume state: a line\n"); /* so far */
	free(log);
	fd = keeper_socket_connect(dir, s.key); /* of its pod */
	assert_true(fd >= 0);
	close(fd);
	keeper_socket_log(&s, &lines);
	keeper_socket_close(&s);
	strbuf_free(&lines);
	assert_int_equal(rmdir(dir), 0);
}

static void a_keeper_that_is_late_leaves_the_next_ones_lines_alone(void **state)
{
	struct keeper_socket s = KEEPER_SOCKET_INIT, next = KEEPER_SOCKET_INIT;
	struct error err = ERROR_INIT;
	char dir[] = "/tmp/volrun-test-XXXXXX";
	struct strbuf lines = STRBUF_INIT, none = STRBUF_INIT;
	char *log = NULL;

	(void)state;
	assert_non_null(mkdtemp(dir));
	strbuf_adds(&lines, "volume state: the next one's\n");
	assert_int_equal(keeper_socket_open(&s, dir, "c1", "/b", &err), 0);
	assert_int_equal(keeper_socket_open(&next, dir, "c1", "/b", &err), 0);
	keeper_socket_log(&next, &lines);
	keeper_socket_log(&s, &none);
	keeper_socket_close(&s);
	keeper_socket_close(&next);
	assert_int_equal(keeper_socket_wait(dir, "c1", "/b", 1000000, true, &log), 0);
	assert_string_equal(log, "volume state: the next one's\n");
	free(log);
	strbuf_free(&lines);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_run_dir_that_others_may_write_to_is_refused),
	    cmocka_unit_test(the_end_of_a_keeper_is_seen_and_its_lines_are_handed_on),
	    cmocka_unit_test(what_nobody_comes_for_is_not_left),
	    cmocka_unit_test(a_keeper_that_is_late_leaves_the_next_ones_lines_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
