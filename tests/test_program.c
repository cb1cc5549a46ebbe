/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "runtime/process.h"

static struct arena arena = ARENA_INIT;
static struct error err;
static const char *found;
static char dir[] = "/tmp/volrun-program-XXXXXX", path_env[PATH_MAX];

/* A file in the directory. */
static const char *put(const char *name, const char *text, mode_t mode)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(write_file_atomic_at(AT_FDCWD, path, text, strlen(text), mode, false), 0);
	return arena_strdup(&arena, path);
}

static int find_not(const char *name, const char *self)
{
	const char *env[] = {"A=b", path_env, NULL};
	struct stat st = {.st_ino = 0};

	err = (struct error)ERROR_INIT;
	if (self)
		assert_int_equal(stat(self, &st), 0);
	return program_find(name, env, st.st_dev, st.st_ino, &arena, &found, &err);
}

static int set_up(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/volrun-program-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path_env, sizeof(path_env), "PATH=/nonexistent::relative:%s", dir);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	arena_free(&arena);
	return remove_tree_at(AT_FDCWD, dir);
}

static void a_name_is_found_by_path_past_what_is_absent_empty_or_relative(void **state)
{
	const char *path = put("tool", "x", 0755);

	(void)state;
	assert_int_equal(find_not("tool", NULL), 0);
	assert_string_equal(found, path);
}

static void a_name_that_is_nowhere_is_said_in_the_words_that_docker_looks_for(void **state)
{
	(void)state;
	assert_int_equal(find_not("tool", NULL), -ENOENT);
	assert_string_equal(err.msg, "exec: \"tool\": executable file not found in $PATH: no such file or directory");
	assert_int_equal(find_not("", NULL), -ENOENT);
}

static void what_is_not_executable_is_passed_over_in_path(void **state)
{
	(void)state;
	put("tool", "x", 0644);
	assert_int_equal(find_not("tool", NULL), -ENOENT);
}

static void a_path_is_taken_as_it_is(void **state)
{
	const char *path = put("tool", "x", 0755);

	(void)state;
	assert_int_equal(find_not(path, NULL), 0);
	assert_string_equal(found, path);
}

static void a_path_that_cannot_be_executed_says_why_in_lower_case(void **state)
{
	const char *path = put("tool", "x", 0644);

	(void)state;
	assert_int_equal(find_not(path, NULL), -EACCES);
	assert_non_null(strstr(err.msg, ": permission denied"));
	assert_int_equal(find_not(dir, NULL), -EISDIR);
	assert_non_null(strstr(err.msg, ": is a directory"));
	assert_int_equal(find_not("/nonexistent/x", NULL), -ENOENT);
	assert_non_null(strstr(err.msg, ": no such file or directory"));
}

static void our_own_executable_is_refused_by_whatever_name(void **state)
{
	const char *self = put("self", "x", 0755);
	char link[PATH_MAX];

	(void)state;
	snprintf(link, sizeof(link), "%s/other", dir);
	assert_int_equal(symlink(self, link), 0);
	assert_int_equal(find_not("other", self), -EACCES);
	assert_int_equal(find_not(self, self), -EACCES);
}

static void a_script_whose_interpreter_is_our_own_executable_is_refused(void **state)
{
	const char *self = put("self", "x", 0755);
	char script[PATH_MAX];

	(void)state;
	snprintf(script, sizeof(script), "#! \t%s -x\necho", self);
	put("one", script, 0755);
	snprintf(script, sizeof(script), "#!%s/one", dir);
	put("two", script, 0755);
	assert_int_equal(find_not("one", self), -EACCES);
	assert_int_equal(find_not("two", self), -EACCES);
	put("fine", "#!/bin/sh\n", 0755);
	assert_int_equal(find_not("fine", self), 0);
	put("empty", "#!", 0755);
	assert_int_equal(find_not("empty", self), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_name_is_found_by_path_past_what_is_absent_empty_or_relative),
	    TEST(a_name_that_is_nowhere_is_said_in_the_words_that_docker_looks_for),
	    TEST(what_is_not_executable_is_passed_over_in_path),
	    TEST(a_path_is_taken_as_it_is),
	    TEST(a_path_that_cannot_be_executed_says_why_in_lower_case),
	    TEST(our_own_executable_is_refused_by_whatever_name),
	    TEST(a_script_whose_interpreter_is_our_own_executable_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
