/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "runtime/seccomp.h"
#include "tests/seccomp_engine.h"

static struct arena arena = ARENA_INIT;
static struct error err;
static struct seccomp_program program;
static char root[64];
static int dir_fd, cache_fd;
static char name[NAME_MAX + 1]; /* of the entry that was found last */

static void compile(const struct spec_seccomp *s)
{
	program = (struct seccomp_program){0};
	if (seccomp_compile_cached(s, false, dir_fd, &arena, &program, &err) < 0)
		fail_msg("%s", err.msg);
}

static size_t entries(void)
{
	_cleanup_closedir_ DIR *dir = fdopendir(openat(dir_fd, "../@seccomp", O_RDONLY | O_DIRECTORY));
	struct dirent *e;
	size_t n = 0;

	while (dir && (e = readdir(dir)))
		if (e->d_name[0] != '.') {
			snprintf(name, sizeof(name), "%s", e->d_name);
			n++;
		}
	return n;
}

/* A root with a container, and the engine's profile in the cache. */
static int setup(void **state)
{
	struct spec_seccomp s = engine_profile();

	(void)state;
	strcpy(root, "/tmp/volrun-test-XXXXXX");
	if (!mkdtemp(root))
		return -1;
	cache_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(mkdirat(cache_fd, "c1", 0700), 0);
	dir_fd = openat(cache_fd, "c1", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	close(cache_fd);
	compile(&s);
	cache_fd = openat(dir_fd, "../@seccomp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(entries(), 1);
	return dir_fd < 0 || cache_fd < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	(void)state;
	close(dir_fd);
	close(cache_fd);
	remove_tree_at(AT_FDCWD, root);
	arena_free(&arena);
	return 0;
}

/* Makes the entry's program one that a real compilation never gives, so that a hit can be told from a miss. */
static void mark_entry(void)
{
	_cleanup_close_ int fd = openat(cache_fd, name, O_RDWR | O_CLOEXEC);
	struct stat st;
	uint64_t sum = 0xcbf29ce484222325;
	unsigned char *data;

	assert_int_equal(fstat(fd, &st), 0);
	data = arena_alloc(&arena, (size_t)st.st_size);
	assert_int_equal(pread_full(fd, data, (size_t)st.st_size, 0), 0);
	data[32] ^= 1;
	for (off_t i = 32; i < st.st_size; i++)
		sum = (sum ^ data[i]) * 0x100000001b3;
	memcpy(data + 24, &sum, sizeof(sum));
	assert_int_equal(pwrite_all(fd, data, (size_t)st.st_size, 0), 0);
}

static bool is_hit(void)
{
	struct spec_seccomp s = engine_profile();
	struct seccomp_program fresh;

	if (seccomp_compile(&s, false, &arena, &fresh, &err) < 0)
		fail_msg("%s", err.msg);
	compile(&s);
	assert_int_equal(program.prog.len, fresh.prog.len);
	assert_int_equal(program.flags, fresh.flags);
	return memcmp(program.prog.filter, fresh.prog.filter, fresh.prog.len * sizeof(struct sock_filter)) != 0;
}

/* --- tests ----------------------------------------------------------------------- */

static void the_second_time_the_program_comes_from_the_file(void **state)
{
	struct spec_seccomp s = engine_profile();
	struct stat st;
	int64_t start;

	(void)state;
	assert_false(is_hit());
	mark_entry();
	assert_true(is_hit());
	assert_int_equal(fstatat(cache_fd, name, &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0600);
	assert_int_equal(fstat(cache_fd, &st), 0);
	assert_int_equal(st.st_mode, S_IFDIR | 0700);
	start = clock_boottime_ns();
	compile(&s);
	print_message("             a hit takes %.3f ms\n", (double)(clock_boottime_ns() - start) / NSEC_PER_MSEC);
}

static void each_difference_of_the_profile_makes_another_entry(void **state)
{
	struct spec_seccomp_syscall calls[5];
	struct spec_seccomp_arg arg = {0, 40, 0, "SCMP_CMP_EQ"};
	const char *flags[] = {"SECCOMP_FILTER_FLAG_LOG"};
	uint32_t number = EACCES;
	struct spec_seccomp s;
	size_t n = 1;

	(void)state;
	for (int i = 0; i < 6; i++) {
		s = engine_profile();
		memcpy(calls, s.syscalls, sizeof(calls));
		s.syscalls = calls;
		switch (i) {
		case 0:
			s.default_errno_ret = &number;
			break;
		case 1:
			s.n_architectures--;
			break;
		case 2:
			s.flags = flags;
			s.n_flags = 1;
			break;
		case 3:
			calls[0].n_names--;
			break;
		case 4:
			calls[2].args = &arg;
			break;
		case 5:
			calls[4].errno_ret = &number;
		}
		compile(&s);
		assert_int_equal(entries(), ++n);
	}
	s = engine_profile();
	compile(&s);
	assert_int_equal(entries(), n);
	assert_int_equal(seccomp_compile_cached(&s, true, dir_fd, &arena, &program, &err), 0);
	assert_int_equal(entries(), n + 1);
}

/* A hash can be made to collide; the key can't. */
static void another_profiles_entry_under_the_same_name_is_not_taken(void **state)
{
	char ours[NAME_MAX + 1];
	struct spec_seccomp s = engine_profile();

	(void)state;
	strcpy(ours, name);
	assert_int_equal(unlinkat(cache_fd, ours, 0), 0);
	s.n_architectures--;
	compile(&s);
	assert_int_equal(entries(), 1);
	mark_entry();
	assert_int_equal(renameat(cache_fd, name, cache_fd, ours), 0);
	assert_false(is_hit());
}

static void a_torn_or_foreign_file_is_a_miss_and_is_replaced(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(fstatat(cache_fd, name, &st, 0), 0);
	for (off_t len = 0; len < st.st_size; len += len < 64 ? 1 : 997) {
		_cleanup_close_ int fd = openat(cache_fd, name, O_RDWR | O_CLOEXEC);

		mark_entry();
		assert_int_equal(ftruncate(fd, len), 0);
		assert_false(is_hit());
		assert_false(is_hit());
	}
	/* The right size, but the blocks never reached the disk. */
	for (off_t from = 0; from < st.st_size - 8; from += 1001) {
		_cleanup_close_ int fd = openat(cache_fd, name, O_RDWR | O_CLOEXEC);

		mark_entry();
		assert_int_equal(pwrite_all(fd, "\xff\xff\xff\xff\xff\xff\xff\xff", 8, from), 0);
		assert_false(is_hit());
	}
	/* Grown. */
	{
		_cleanup_close_ int fd = openat(cache_fd, name, O_RDWR | O_APPEND | O_CLOEXEC);

		mark_entry();
		assert_int_equal(write_all(fd, "x", 1), 0);
		assert_false(is_hit());
	}
	mark_entry();
	assert_true(is_hit());
}

static void what_others_may_write_is_not_trusted(void **state)
{
	(void)state;
	mark_entry();
	assert_int_equal(fchmodat(cache_fd, name, 0620, 0), 0);
	assert_false(is_hit());
	mark_entry();
	assert_int_equal(fchmodat(cache_fd, name, 0602, 0), 0);
	assert_false(is_hit());
	mark_entry();
	assert_int_equal(fchmod(cache_fd, 0777), 0);
	assert_false(is_hit());
	assert_int_equal(fchmod(cache_fd, 0700), 0);
	assert_true(is_hit());
	if (geteuid() != 0)
		return;
	assert_int_equal(fchownat(cache_fd, name, 1, 1, 0), 0);
	assert_false(is_hit());
	mark_entry();
	assert_int_equal(fchown(cache_fd, 1, 1), 0);
	assert_false(is_hit());
}

static void a_link_in_the_place_of_the_file_or_directory_is_not_followed(void **state)
{
	(void)state;
	mark_entry();
	assert_int_equal(renameat(cache_fd, name, dir_fd, "moved"), 0);
	assert_int_equal(symlinkat("../c1/moved", cache_fd, name), 0);
	assert_false(is_hit());
	mark_entry();
	assert_int_equal(renameat(dir_fd, "../@seccomp", dir_fd, "elsewhere"), 0);
	assert_int_equal(symlinkat("c1/elsewhere", dir_fd, "../@seccomp"), 0);
	assert_false(is_hit());
}

static void the_number_of_entries_is_bounded_and_the_oldest_go(void **state)
{
	struct spec_seccomp s = {.default_action = "SCMP_ACT_ERRNO"};
	char first[NAME_MAX + 1];

	(void)state;
	strcpy(first, name);
	for (uint32_t i = 1; i < 100; i++) {
		s.default_errno_ret = &i;
		compile(&s);
		assert_true(entries() <= 32);
	}
	assert_int_equal(entries(), 32);
	assert_int_equal(faccessat(cache_fd, first, F_OK, 0), -1);
}

static void a_cache_that_cannot_be_is_no_error(void **state)
{
	(void)state;
	remove_tree_at(dir_fd, "../@seccomp");
	close(openat(dir_fd, "../@seccomp", O_CREAT | O_WRONLY, 0600));
	assert_false(is_hit());
	assert_int_equal(program.prog.len > 0, 1);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(the_second_time_the_program_comes_from_the_file),
	    CASE(each_difference_of_the_profile_makes_another_entry),
	    CASE(another_profiles_entry_under_the_same_name_is_not_taken),
	    CASE(a_torn_or_foreign_file_is_a_miss_and_is_replaced),
	    CASE(what_others_may_write_is_not_trusted),
	    CASE(a_link_in_the_place_of_the_file_or_directory_is_not_followed),
	    CASE(the_number_of_entries_is_bounded_and_the_oldest_go),
	    CASE(a_cache_that_cannot_be_is_no_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
