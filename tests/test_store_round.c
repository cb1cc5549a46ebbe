/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Restore and commit over the real filesystem store, between two nodes, with
 * many files and with one large one: within little memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "hooks/engine/commit.h"

#define PEAK_MAX_KB (64 * 1024)

static char dir[64];

static int make_dir(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/volrun-test-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	(void)state;
	return remove_tree_at(AT_FDCWD, dir);
}

static void check(int r, const struct error *err, const char *what)
{
	if (r >= 0)
		return;
	fprintf(stderr, "%s: %s\n", what, err->msg);
	_exit(1);
}

static void expect(bool ok, const char *what)
{
	struct error err = ERROR_INIT;

	error_set(&err, EINVAL, "does not hold");
	check(ok ? 0 : -1, &err, what);
}

/* A run on a node: restore, work, commit, release. */
static void run_on(const char *node, void (*work)(int root, int arg), int arg)
{
	static const struct lease_config config = {
	    .ttl_ns = 60 * NSEC_PER_SEC, .renew_ns = 10 * NSEC_PER_SEC, .poll_ns = NSEC_PER_SEC};
	const struct lease_identity id = {node, node, "boot", "1 1", "c"};
	struct store_config store = {.name = "s", .type = "filesystem"};
	struct transfer_report report = {0};
	struct arena arena = ARENA_INIT;
	struct error err = ERROR_INIT;
	char store_path[96], cache_path[96];
	struct lease *lease;
	uint64_t applied;
	struct volume v;
	struct head head;
	int cache, root;

	snprintf(store_path, sizeof(store_path), "%s/store", dir);
	snprintf(cache_path, sizeof(cache_path), "%s/%s", dir, node);
	store.path = store_path;
	mkdir(store_path, 0700);
	check(cache_open(cache_path, &cache, &err), &err, "cache");
	check(volume_open(&v, &store, cache, "ws", "vol", false, &err), &err, "open");
	check(lease_acquire(&v, &config, &id, INT64_MAX, -1, &lease, &err), &err, "acquire");
	lease_head(lease, &arena, &head);
	check(restore_run(&v, &head, lease_valid, lease, &report, &err), &err, "restore");
	check(cache_mark_dirty(&v.cache, head.epoch, head.commit.seq, &err), &err, "dirty");
	root = openat(v.cache.dir_fd, "rw", O_RDONLY | O_DIRECTORY);
	work(root, arg);
	close(root);
	check(commit_run(&v, lease, &report, &applied, &err), &err, "commit");
	expect(report.n_warnings == 0, report.warning);
	check(lease_release(lease, applied, &err), &err, "release");
	expect(applied == head.commit.seq || applied == head.commit.seq + 1, "published");
	lease_free(lease);
	volume_close(&v);
	arena_free(&arena);
	close(cache);
}

static void fill(char *text, size_t len, int seed)
{
	uint32_t x = (uint32_t)seed * 2654435761u + 1;

	for (size_t i = 0; i < len; i++)
		text[i] = (char)((x = x * 1664525u + 1013904223u) >> 24);
}

static void many_name(int i, char name[32])
{
	snprintf(name, 32, "d%02d/file-%d", i % 50, i);
}

static void write_many(int root, int n)
{
	char name[32], text[4096];

	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "d%02d", i);
		mkdirat(root, name, 0755);
	}
	for (int i = 0; i < n; i++) {
		many_name(i, name);
		fill(text, sizeof(text), i);
		expect(write_file_atomic_at(root, name, text, (size_t)i % sizeof(text), 0640, false) == 0, name);
	}
}

static void check_many(int root, int n)
{
	char name[32], text[4096];

	for (int i = 0; i < n; i++) {
		_cleanup_free_ char *got = NULL;
		size_t len;

		many_name(i, name);
		fill(text, sizeof(text), i);
		expect(read_file_at(root, name, sizeof(text), &got, &len) == 0, name);
		expect(len == (size_t)i % sizeof(text) && !memcmp(got, text, len), name);
	}
}

static void remove_many(int root, int n)
{
	(void)n;
	for (int i = 0; i < 50; i++) {
		char name[32];

		snprintf(name, sizeof(name), "d%02d", i);
		expect(remove_tree_at(root, name) == 0, name);
	}
	expect(symlinkat("target", root, "d07") == 0 && mkdirat(root, "empty", 0700) == 0, "d07");
}

static void check_removed(int root, int n)
{
	char target[16];
	struct stat st;

	(void)n;
	expect(fstatat(root, "d08", &st, 0) < 0 && readlinkat(root, "d07", target, sizeof(target)) == 6, "removed");
	expect(fstatat(root, "empty", &st, 0) == 0 && (st.st_mode & 07777) == 0700, "empty");
}

static void write_large(int root, int mib)
{
	_cleanup_free_ char *piece = malloc(1 << 20);
	_cleanup_close_ int fd = openat(root, "large", O_WRONLY | O_CREAT | O_TRUNC, 0600);

	for (int i = 0; i < mib; i++) {
		fill(piece, 1 << 20, i);
		expect(write_all(fd, piece, 1 << 20) == 0, "large");
	}
}

static void check_large(int root, int mib)
{
	_cleanup_free_ char *piece = malloc(1 << 20), *got = malloc(1 << 20);
	_cleanup_close_ int fd = openat(root, "large", O_RDONLY);

	for (int i = 0; i < mib; i++) {
		fill(piece, 1 << 20, i);
		expect(read_full(fd, got, 1 << 20) == 0 && !memcmp(piece, got, 1 << 20), "large");
	}
	expect(read_full(fd, got, 1) == -ENODATA, "large");
}

/* In a process of its own, whose peak is looked at. */
static void in_child(const char *node, void (*work)(int root, int arg), int arg)
{
	struct rusage usage;
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		run_on(node, work, arg);
		_exit(0);
	}
	assert_int_equal(wait4(pid, &status, 0, &usage), pid);
	assert_int_equal(status, 0);
	if (getenv("VOLRUN_TEST_VERBOSE"))
		print_message("%s: peak %ld KiB\n", node, usage.ru_maxrss);
#ifndef __SANITIZE_ADDRESS__
	assert_true(usage.ru_maxrss < PEAK_MAX_KB);
#endif
}

static void two_thousand_files_go_round_within_little_memory(void **state)
{
	const char *n = getenv("VOLRUN_TEST_FILES");
	int files = n ? atoi(n) : 2000;

	(void)state;
	in_child("a", write_many, files);
	in_child("b", check_many, files);
	in_child("b", remove_many, files);
	in_child("a", check_removed, files);
}

static void a_large_file_goes_round_within_little_memory(void **state)
{
	(void)state;
	in_child("a", write_large, 200);
	in_child("b", check_large, 200);
	in_child("b", write_large, 9);
	in_child("a", check_large, 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(two_thousand_files_go_round_within_little_memory, make_dir, remove_dir),
	    cmocka_unit_test_setup_teardown(a_large_file_goes_round_within_little_memory, make_dir, remove_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
