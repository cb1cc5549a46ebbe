/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/checksum.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/io.h"
#include "base/num.h"
#include "base/path.h"
#include "base/spawn.h"
#include "base/strbuf.h"

static int make_tmpdir(void **state)
{
	static char dir[32];

	strcpy(dir, "/tmp/volrun-base.XXXXXX");
	*state = mkdtemp(dir);
	return *state ? 0 : -1;
}

static int remove_tmpdir(void **state)
{
	return remove_tree_at(AT_FDCWD, *state);
}

static void an_error_is_one_line_with_the_outer_layers_in_front(void **state)
{
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(error_set(&err, EINVAL, "bad name \"%s\"", "a\nb\033"), -EINVAL);
	assert_string_equal(err.msg, "bad name \"a?b?\"");
	assert_int_equal(error_wrap(&err, "create %s", "c1"), -EINVAL);
	assert_string_equal(err.msg, "create c1: bad name \"a?b?\"");
	assert_int_equal(error_errno(&err, -ENOENT, "open x"), -ENOENT);
	assert_string_equal(err.msg, "open x: No such file or directory");
}

/* U+009B begins a command as ESC [ does; in the middle of other characters these bytes are harmless. */
static void what_a_terminal_would_obey_is_not_in_an_error(void **state)
{
	struct error err = ERROR_INIT;

	(void)state;
	error_set(&err, EINVAL, "%s",
		  "a\xc2\x9b"
		  "2Jb\xc2\xb5 \xe2\x82\xac \xc3\x9b\x7f");
	assert_string_equal(err.msg, "a??2Jb\xc2\xb5 \xe2\x82\xac \xc3\x9b?");
}

static void wrapping_a_long_error_keeps_it_in_bounds(void **state)
{
	struct error err = ERROR_INIT;
	char big[3000];

	(void)state;
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	error_set(&err, EIO, "%s", big);
	for (int i = 0; i < 5; i++)
		error_wrap(&err, "layer %d %s", i, big);
	assert_int_equal(strlen(err.msg), ERROR_MSG_MAX - 1);
	assert_memory_equal(err.msg, "layer 4 xxx", 11);
}

static void an_arena_gives_zeroed_memory_up_to_its_limit(void **state)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	char *p;

	(void)state;
	for (int i = 0; i < 3000; i++) {
		p = arena_alloc(&a, 100);
		for (int k = 0; k < 100; k++)
			assert_int_equal(p[k], 0);
		memset(p, 0xff, 100);
	}
	p = arena_alloc(&a, 1 << 20);
	assert_non_null(p);
	assert_int_equal(p[(1 << 20) - 1], 0);
	assert_string_equal(arena_printf(&a, "%s-%d", "x", 7), "x-7");
	a.limit = a.used + 64;
	assert_non_null(arena_alloc(&a, 64));
	assert_null(arena_alloc(&a, 1));
	assert_null(arena_calloc(&a, SIZE_MAX / 2, 4));
}

static void a_strbuf_grows_and_is_always_terminated(void **state)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT;

	(void)state;
	assert_string_equal(strbuf_str(&b), "");
	for (int i = 0; i < 1000; i++)
		strbuf_addf(&b, "%03d,", i);
	assert_int_equal(b.len, 4000);
	assert_int_equal(strlen(strbuf_str(&b)), 4000);
	strbuf_reserve(&b, SIZE_MAX - 10);
	assert_true(b.failed);
	assert_null(strbuf_take(&b));
}

static void numbers_are_the_whole_string_or_refused(void **state)
{
	uint64_t u;
	int64_t i;
	unsigned m;

	(void)state;
	assert_int_equal(num_parse_u64("18446744073709551615", UINT64_MAX, &u), 0);
	assert_true(u == UINT64_MAX);
	assert_int_equal(num_parse_u64("18446744073709551616", UINT64_MAX, &u), -ERANGE);
	assert_int_equal(num_parse_u64("11", 10, &u), -ERANGE);
	assert_int_equal(num_parse_u64("", 10, &u), -EINVAL);
	assert_int_equal(num_parse_u64(" 1", 10, &u), -EINVAL);
	assert_int_equal(num_parse_u64("+1", 10, &u), -EINVAL);
	assert_int_equal(num_parse_u64("1x", 10, &u), -EINVAL);
	assert_int_equal(num_parse_i64("-9223372036854775808", INT64_MIN, INT64_MAX, &i), 0);
	assert_true(i == INT64_MIN);
	assert_int_equal(num_parse_i64("-9223372036854775809", INT64_MIN, INT64_MAX, &i), -ERANGE);
	assert_int_equal(num_parse_i64("-5", -4, 4, &i), -ERANGE);
	assert_int_equal(num_parse_mode("0644", &m), 0);
	assert_int_equal(m, 0644);
	assert_int_equal(num_parse_mode("0844", &m), -EINVAL);
}

static void hex_goes_round_and_refuses_a_wrong_length(void **state)
{
	unsigned char data[16], back[16];
	char hex[33];

	(void)state;
	random_bytes(data, sizeof(data));
	hex_encode(data, sizeof(data), hex);
	assert_int_equal(hex_decode(hex, back, sizeof(back)), 0);
	assert_memory_equal(data, back, sizeof(data));
	assert_int_equal(hex_decode(hex, back, 15), -EINVAL);
	hex[3] = 'g';
	assert_int_equal(hex_decode(hex, back, sizeof(back)), -EINVAL);
}

static void durations_are_those_of_go(void **state)
{
	static const struct {
		const char *text;
		int64_t ns;
		int r;
	} cases[] = {
	    {"0", 0, 0},
	    {"2s", 2 * NSEC_PER_SEC, 0},
	    {"1m30s", 90 * NSEC_PER_SEC, 0},
	    {"1.5s", 1500 * NSEC_PER_MSEC, 0},
	    {"10ms", 10 * NSEC_PER_MSEC, 0},
	    {".5h", 1800 * NSEC_PER_SEC, 0},
	    {"2", 0, -EINVAL},
	    {"s", 0, -EINVAL},
	    {"", 0, -EINVAL},
	    {"-1s", 0, -EINVAL},
	    {"1s ", 0, -EINVAL},
	    {"99999999999h", 0, -ERANGE},
	    {"2000000h", 0, -ERANGE},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int64_t ns = 0;

		assert_int_equal(duration_parse(cases[i].text, &ns), cases[i].r);
		assert_true(ns == cases[i].ns);
	}
}

static void paths_are_normalized_without_leaving_the_root(void **state)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;

	(void)state;
	assert_string_equal(path_normalize(&a, "/"), "/");
	assert_string_equal(path_normalize(&a, ""), "/");
	assert_string_equal(path_normalize(&a, "//a/./b//"), "/a/b");
	assert_string_equal(path_normalize(&a, "/a/../../b"), "/b");
	assert_string_equal(path_normalize(&a, "/a/b/.."), "/a");
	assert_true(path_is_beneath("/a/b", "/a"));
	assert_true(path_is_beneath("/a", "/a"));
	assert_true(path_is_beneath("/x", "/"));
	assert_false(path_is_beneath("/ab", "/a"));
	assert_true(path_has_dotdot("a/../b"));
	assert_false(path_has_dotdot("a/..b/c.."));
}

static void a_relative_path_from_outside_has_only_plain_segments(void **state)
{
	static const char *const good[] = {"a", "a/b", "..a/b..", ".git/x"};
	static const char *const bad[] = {"", "/a", "a/", "a//b", ".", "a/.", "..", "../a", "a/../b"};
	char longname[300];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_true(path_is_safe_relative(good[i], strlen(good[i])));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(path_is_safe_relative(bad[i], strlen(bad[i])));
	assert_false(path_is_safe_relative("a\0b", 3));
	memset(longname, 'n', sizeof(longname));
	assert_true(path_is_safe_relative(longname, 255));
	assert_false(path_is_safe_relative(longname, 256));
}

static void a_file_is_replaced_whole_or_not_at_all(void **state)
{
	_cleanup_close_ int dir = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_free_ char *data = NULL;
	struct stat st;
	size_t len;

	assert_int_equal(write_file_atomic_at(dir, "f", "one", 3, 0640, true), 0);
	assert_int_equal(write_file_atomic_at(dir, "f", "second", 6, 0640, false), 0);
	assert_int_equal(fstatat(dir, "f", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(read_file_at(dir, "f", 6, &data, &len), 0);
	assert_string_equal(data, "second");
	assert_int_equal(write_file_atomic_at(dir, "missing/f", "x", 1, 0600, true), -ENOENT);
}

static void reading_is_bounded(void **state)
{
	_cleanup_close_ int dir = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_free_ char *data = NULL;

	assert_int_equal(write_file_atomic_at(dir, "f", "123456789", 9, 0600, false), 0);
	assert_int_equal(read_file_at(dir, "f", 8, &data, NULL), -EFBIG);
	assert_null(data);
	assert_int_equal(read_file_at(dir, "f", 9, &data, NULL), 0);
	assert_int_equal(strlen(data), 9);
	assert_int_equal(read_file_at(AT_FDCWD, "/proc/self/status", 10, &data, NULL), -EFBIG);
}

static void removing_a_tree_does_not_follow_links(void **state)
{
	_cleanup_close_ int dir = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_free_ char *data = NULL;

	assert_int_equal(mkdir_p_at(dir, "keep", 0700), 0);
	assert_int_equal(write_file_atomic_at(dir, "keep/file", "x", 1, 0600, false), 0);
	assert_int_equal(mkdir_p_at(dir, "tree/a/b/c", 0700), 0);
	assert_int_equal(mkdir_p_at(dir, "tree/a/d", 0700), 0);
	assert_int_equal(write_file_atomic_at(dir, "tree/a/b/file", "x", 1, 0400, false), 0);
	assert_int_equal(symlinkat("../../keep", dir, "tree/a/link"), 0);
	assert_int_equal(remove_tree_at(dir, "tree"), 0);
	assert_int_equal(faccessat(dir, "tree", F_OK, 0), -1);
	assert_int_equal(read_file_at(dir, "keep/file", 10, &data, NULL), 0);
	assert_int_equal(remove_tree_at(dir, "absent"), 0);
}

static void two_may_remove_a_tree_at_once(void **state)
{
	_cleanup_close_ int dir = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (int i = 0; i < 300; i++) {
		int status, r;
		pid_t pid;

		assert_int_equal(mkdir_p_at(dir, "tree/a/b/c", 0700), 0);
		assert_int_equal(mkdir_p_at(dir, "tree/d/e", 0700), 0);
		assert_int_equal(write_file_atomic_at(dir, "tree/file", "x", 1, 0400, false), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0)
			_exit(remove_tree_at(dir, "tree") < 0);
		r = remove_tree_at(dir, "tree");
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(r, 0);
		assert_int_equal(status, 0);
		assert_int_equal(faccessat(dir, "tree", F_OK, 0), -1);
	}
}

static void descriptors_cross_a_socket_and_surplus_ones_are_refused(void **state)
{
	int pair[2], fds[2], got[2];
	size_t n = 2;
	char buf[16];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(send_fds(pair[0], "hello", 5, fds, 2), 0);
	assert_int_equal(recv_fds(pair[1], buf, sizeof(buf), got, &n), 5);
	assert_int_equal(n, 2);
	assert_int_equal(write(got[1], "x", 1), 1);
	assert_int_equal(read(fds[0], buf, 1), 1);
	assert_int_equal(send_fds(pair[0], "hello", 5, fds, 2), 0);
	n = 1;
	assert_int_equal(recv_fds(pair[1], buf, sizeof(buf), &(int){-1}, &n), -EPROTO);
	assert_int_equal(send_fds(pair[0], "a longer message", 16, NULL, 0), 0);
	assert_int_equal(recv_fds(pair[1], buf, 4, NULL, NULL), -EPROTO);
	close(pair[0]);
	assert_int_equal(recv_fds(pair[1], buf, sizeof(buf), NULL, NULL), 0);
	close(pair[1]);
	for (int i = 0; i < 2; i++) {
		close(fds[i]);
		close(got[i]);
	}
}

static void a_spawned_program_gets_its_input_and_gives_its_status_and_stderr(void **state)
{
	const char *const argv[] = {"sh", "-c", "read line; echo \"got $line\" >&2; exit 7", NULL};
	char out[64];
	struct spawn s = {.path = "/bin/sh",
			  .argv = argv,
			  .input = "text\n",
			  .input_len = 5,
			  .stderr_buf = out,
			  .stderr_size = sizeof(out)};
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(spawn_run(&s, &err), 7);
	assert_string_equal(out, "got text\n");
	s.argv = (const char *const[]){"sh", "-c", "cat /dev/stdin >&2", NULL};
	assert_int_equal(spawn_run(&s, &err), 0);
	assert_string_equal(out, "text\n");
	s.path = "/nonexistent";
	assert_int_equal(spawn_run(&s, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "/nonexistent"));
}

static void a_spawned_program_past_its_time_is_killed(void **state)
{
	const char *const argv[] = {"sleep", "20", NULL};
	struct spawn s = {.path = "/bin/sleep", .argv = argv, .timeout_ns = 100 * NSEC_PER_MSEC};
	struct error err = ERROR_INIT;
	int64_t begin = clock_boottime_ns();

	(void)state;
	assert_int_equal(spawn_run(&s, &err), -ETIMEDOUT);
	assert_in_range(clock_boottime_ns() - begin, 100 * NSEC_PER_MSEC, 10 * NSEC_PER_SEC);
}

static void a_spawned_program_inherits_only_what_it_is_given(void **state)
{
	int keep = open("/dev/null", O_RDONLY | O_CLOEXEC), leak = open("/dev/null", O_RDONLY);
	char script[128], out[64];
	const char *const argv[] = {"sh", "-c", script, NULL};
	struct spawn s = {.path = "/bin/sh",
			  .argv = argv,
			  .keep_fds = &keep,
			  .n_keep_fds = 1,
			  .stderr_buf = out,
			  .stderr_size = sizeof(out)};
	struct error err = ERROR_INIT;

	(void)state;
	snprintf(script, sizeof(script), "[ -e /proc/self/fd/%d ] && [ ! -e /proc/self/fd/%d ]", keep, leak);
	assert_int_equal(spawn_run(&s, &err), 0);
	close(keep);
	close(leak);
}

static void what_a_program_leaves_running_does_not_hold_its_caller(void **state)
{
	const char *const argv[] = {"sh", "-c", "sleep 3 & exit 0", NULL};
	char out[64];
	struct spawn s = {.path = "/bin/sh", .argv = argv, .stderr_buf = out, .stderr_size = sizeof(out)};
	struct error err = ERROR_INIT;
	int64_t begin = clock_boottime_ns();

	(void)state;
	assert_int_equal(spawn_run(&s, &err), 0);
	assert_in_range(clock_boottime_ns() - begin, 0, 2 * NSEC_PER_SEC);
}

static void lists_of_numbers_become_bits(void **state)
{
	const size_t word = 8 * sizeof(unsigned long);
	unsigned long set[128 / (8 * sizeof(unsigned long))];
	static const char *const bad[] = {"", ",", "1,", ",1", "-1", "1-", "2-1", "1--2", "a", "1 ", "0-0-0", " 1"};

	(void)state;
	assert_int_equal(num_parse_list("0-3,7,127,5-5", 128, set), 0);
	for (size_t i = 0; i < 128; i++)
		assert_int_equal(set[i / word] >> i % word & 1, i <= 3 || i == 5 || i == 7 || i == 127);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(num_parse_list(bad[i], 128, set), -EINVAL);
	assert_int_equal(num_parse_list("128", 128, set), -ERANGE);
	assert_int_equal(num_parse_list("0-99999999999999999999999", 128, set), -ERANGE);
}

static void dates_are_those_of_the_c_library(void **state)
{
	static const int64_t days[] = {-719528, -141428, -25509, -1,	0,     58,    59,
				       10957,	11016,	 11017,	 19782, 19783, 47540, 2932896};
	char buf[CLOCK_RFC3339_MAX], want[64];

	(void)state;
	for (size_t i = 0; i < 20000 + ARRAY_SIZE(days); i++) {
		struct timespec ts = {.tv_nsec = 7};
		struct tm tm;

		ts.tv_sec =
		    i < ARRAY_SIZE(days) ? days[i] * 86400 + 86399 : (time_t)(i * 123456789 % INT64_C(250000000000));
		gmtime_r(&ts.tv_sec, &tm);
		snprintf(want, sizeof(want), "%04d-%02d-%02dT%02d:%02d:%02d.000000007Z", tm.tm_year + 1900,
			 tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
		assert_string_equal(clock_rfc3339(&ts, buf), want);
	}
}

static void a_program_that_runs_gets_its_input_later(void **state)
{
	struct error err = ERROR_INIT;
	const char *argv[] = {"sh", "-c", "read -r line; echo \"$line\" >&2; exit 4", NULL};
	char text[16];
	struct spawn s = {.path = "/bin/sh", .argv = argv, .stderr_buf = text, .stderr_size = sizeof(text)};
	struct spawned run;
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	s.input_fd = pair[1];
	assert_int_equal(spawn_start(&s, &run, &err), 0);
	close(pair[1]);
	assert_int_equal(write(pair[0], "late\n", 5), 5);
	assert_int_equal(spawn_finish(&s, &run, &err), 4);
	assert_string_equal(text, "late\n");
	close(pair[0]);
}

/* The vectors of FNV's authors. */
static void a_hash_is_fnv_1a(void **state)
{
	(void)state;
	assert_true(hash64(HASH64_START, "", 0) == UINT64_C(0xcbf29ce484222325));
	assert_true(hash64(HASH64_START, "a", 1) == UINT64_C(0xaf63dc4c8601ec8c));
	assert_true(hash64(HASH64_START, "foobar", 6) == UINT64_C(0x85944171f73967e8));
	assert_true(hash64(hash64(HASH64_START, "foo", 3), "bar", 3) == UINT64_C(0x85944171f73967e8));
}

static void numbers_are_written_as_printf_writes_them(void **state)
{
	static const int64_t all[] = {0, 1, -1, 9, 10, -10, 1234567890123, INT64_MAX, INT64_MIN};
	struct strbuf b = STRBUF_INIT, expected = STRBUF_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		strbuf_addi(&b, all[i]);
		strbuf_addc(&b, ' ');
		strbuf_addu(&b, (uint64_t)all[i]);
		strbuf_addf(&expected, "%" PRId64 " %" PRIu64, all[i], (uint64_t)all[i]);
	}
	assert_string_equal(strbuf_str(&b), strbuf_str(&expected));
	strbuf_free(&b);
	strbuf_free(&expected);
}

static uint64_t sum_of(const unsigned char *data, size_t len, size_t piece)
{
	struct checksum c;

	checksum_init(&c);
	for (size_t at = 0; at < len; at += piece)
		checksum_update(&c, data + at, len - at < piece ? len - at : piece);
	return checksum_sum(&c);
}

static void a_checksum_tells_of_every_bit_however_the_bytes_are_divided(void **state)
{
	unsigned char data[100];
	uint64_t sum;

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (unsigned char)(i * 7);
	sum = sum_of(data, sizeof(data), sizeof(data));
	for (size_t piece = 1; piece < sizeof(data); piece++)
		assert_true(sum_of(data, sizeof(data), piece) == sum);
	for (size_t bit = 0; bit < 8 * sizeof(data); bit++) {
		data[bit / 8] ^= (unsigned char)(1u << bit % 8);
		assert_true(sum_of(data, sizeof(data), 33) != sum);
		data[bit / 8] ^= (unsigned char)(1u << bit % 8);
	}
	/* Zeros at the end count, and no bytes are no block of zeros. */
	memset(data, 0, sizeof(data));
	assert_true(sum_of(data, 32, 32) != sum_of(data, 31, 32));
	assert_true(sum_of(data, 32, 32) != sum_of(data, 0, 32));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(lists_of_numbers_become_bits),
	    cmocka_unit_test(an_error_is_one_line_with_the_outer_layers_in_front),
	    cmocka_unit_test(what_a_terminal_would_obey_is_not_in_an_error),
	    cmocka_unit_test(wrapping_a_long_error_keeps_it_in_bounds),
	    cmocka_unit_test(an_arena_gives_zeroed_memory_up_to_its_limit),
	    cmocka_unit_test(a_strbuf_grows_and_is_always_terminated),
	    cmocka_unit_test(numbers_are_the_whole_string_or_refused),
	    cmocka_unit_test(hex_goes_round_and_refuses_a_wrong_length),
	    cmocka_unit_test(a_hash_is_fnv_1a),
	    cmocka_unit_test(durations_are_those_of_go),
	    cmocka_unit_test(paths_are_normalized_without_leaving_the_root),
	    cmocka_unit_test(a_relative_path_from_outside_has_only_plain_segments),
	    cmocka_unit_test_setup_teardown(a_file_is_replaced_whole_or_not_at_all, make_tmpdir, remove_tmpdir),
	    cmocka_unit_test_setup_teardown(reading_is_bounded, make_tmpdir, remove_tmpdir),
	    cmocka_unit_test_setup_teardown(removing_a_tree_does_not_follow_links, make_tmpdir, remove_tmpdir),
	    cmocka_unit_test_setup_teardown(two_may_remove_a_tree_at_once, make_tmpdir, remove_tmpdir),
	    cmocka_unit_test(descriptors_cross_a_socket_and_surplus_ones_are_refused),
	    cmocka_unit_test(a_spawned_program_gets_its_input_and_gives_its_status_and_stderr),
	    cmocka_unit_test(a_program_that_runs_gets_its_input_later),
	    cmocka_unit_test(a_spawned_program_past_its_time_is_killed),
	    cmocka_unit_test(a_spawned_program_inherits_only_what_it_is_given),
	    cmocka_unit_test(what_a_program_leaves_running_does_not_hold_its_caller),
	    cmocka_unit_test(dates_are_those_of_the_c_library),
	    cmocka_unit_test(numbers_are_written_as_printf_writes_them),
	    cmocka_unit_test(a_checksum_tells_of_every_bit_however_the_bytes_are_divided),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
