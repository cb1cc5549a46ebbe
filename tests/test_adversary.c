/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Somebody who still writes to the tree while it is scanned, read and published
 * (volumes.md §5): he swaps what stands at a path, again and again, for what
 * leads out of the volume. He gains nothing: no byte from outside gets into the
 * store. And what he leaves is committed when he is gone.
 */
#include "tests/engine_box.h"

#include <linux/fs.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"

#define SECRET "what nobody in the volume may read"
#define ATTACK_NS (2 * NSEC_PER_SEC)

/* Outside of the tree, with the names that the tree has. */
static void make_outside(struct box *b, char path[128])
{
	static const char *const names[] = {"f", "g", "large", "sub/f", "sub/deeper/f"};
	char text[4096], full[256];
	int fd;

	snprintf(path, 128, "%s/outside", b->dir);
	assert_int_equal(mkdir(path, 0755), 0);
	snprintf(full, sizeof(full), "%s/sub", path);
	assert_int_equal(mkdir(full, 0755), 0);
	snprintf(full, sizeof(full), "%s/sub/deeper", path);
	assert_int_equal(mkdir(full, 0755), 0);
	memset(text, '.', sizeof(text));
	memcpy(text, SECRET, strlen(SECRET));
	for (size_t i = 0; i < 5; i++) {
		snprintf(full, sizeof(full), "%s/%s", path, names[i]);
		fd = open(full, O_WRONLY | O_CREAT | O_EXCL, 0644);
		for (int k = 0; k < (i == 2 ? 2560 : 1); k++)
			assert_int_equal(write_all(fd, text, sizeof(text)), 0);
		close(fd);
	}
}

/* The tree, and beside each thing in it what it will be swapped for. */
static void make_tree(struct node *n, const char *outside)
{
	char target[256];

	put_dir(n, "dir", 0755);
	put_file(n, "dir/f", "inside", 0644, 1);
	put_file(n, "dir/g", "inside", 0644, 1);
	put_big(n, "dir/large", 2560 * 4096, 1);
	put_dir(n, "dir/sub", 0755);
	put_file(n, "dir/sub/f", "inside", 0644, 1);
	put_dir(n, "dir/sub/deeper", 0755);
	put_file(n, "dir/sub/deeper/f", "inside", 0644, 1);
	put_link(n, "dir.swap", outside);
	snprintf(target, sizeof(target), "%s/sub", outside);
	put_link(n, "sub.swap", target);
	snprintf(target, sizeof(target), "%s/f", outside);
	put_link(n, "f.swap", target);
	snprintf(target, sizeof(target), "%s/large", outside);
	put_link(n, "large.swap", target);
	put_link(n, "up.swap", "../../../../../outside");
}

static void try_link(int root, const char *from, const char *to)
{
	if (linkat(root, from, root, to, 0) < 0)
		return; /* another time */
}

/* Never ends. What fails, because something is elsewhere for the moment, is tried again later. */
static void attack(int root, atomic_uint *rounds)
{
	static const char *const pairs[][2] = {{"dir", "dir.swap"},	      {"dir/sub", "sub.swap"},
					       {"dir/f", "f.swap"},	      {"dir/large", "large.swap"},
					       {"dir/sub/deeper", "up.swap"}, {"dir/sub/deeper/f", "f.swap"}};

	/* As in a container: his own paths end at the tree. */
	if ((geteuid() != 0 && unshare(CLONE_NEWUSER) < 0) || fchdir(root) < 0 || chroot(".") < 0)
		_exit(1);
	for (unsigned i = 0;; i++) {
		const char *const *p = pairs[i * 2654435761u % 6];
		int fd;

		renameat2(root, p[0], root, p[1], RENAME_EXCHANGE);
		/* Other names of one file, one of them replaced by a link out. */
		if (i % 7 == 0 && linkat(root, "dir/g", root, "h", 0) == 0) {
			unlinkat(root, "dir/g", 0);
			try_link(root, "f.swap", "dir/g");
		} else if (i % 7 == 3 && unlinkat(root, "dir/g", 0) == 0) {
			try_link(root, "h", "dir/g");
			unlinkat(root, "h", 0);
		}
		/* So that there is something to read each time. */
		fd = openat(root, "dir/f", O_WRONLY | O_NOFOLLOW | O_NONBLOCK);
		if (fd >= 0) {
			dprintf(fd, "%u", i);
			close(fd);
		}
		/* Pauses, in which a scan comes to its end. */
		if (atomic_fetch_add(rounds, 1) % 64 == 0)
			clock_sleep_ns((i / 64 % 8) * 12 * NSEC_PER_MSEC);
	}
}

static pid_t begin_attack(struct node *n, atomic_uint *rounds)
{
	int root = node_root(n);
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		attack(root, rounds);
	}
	close(root);
	return pid;
}

static void who_swaps_paths_during_the_commit_gets_nothing_from_outside_into_it(void **state)
{
	struct box *box = *state;
	struct node *a = node_open(box, "a"), *b = node_open(box, "b");
	_cleanup_free_ char *tree = NULL;
	unsigned committed = 0, refused = 0;
	atomic_uint *rounds;
	char outside[128];
	int64_t end;
	pid_t pid;

	rounds = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(rounds != MAP_FAILED);
	make_outside(box, outside);
	node_begin(a);
	make_tree(a, outside);
	pid = begin_attack(a, rounds);
	for (end = clock_boottime_ns() + ATTACK_NS; clock_boottime_ns() < end;) {
		uint64_t applied;

		a->report = (struct transfer_report){0};
		if (commit_run(&a->v, a->lease, &a->report, &applied, &a->err) == 0)
			committed++;
		else
			refused++;
	}
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	if (fake_store_holds(box->fake, SECRET))
		fail_msg("the store has it, after %u commits and %u that failed", committed, refused);
	print_message("%u swaps, %u commits, %u refused\n", atomic_load(rounds), committed, refused);
	assert_true(atomic_load(rounds) > 100 && committed + refused > 5);
	/* What he left is a tree like any other. */
	tree = dump_tree(a, "rw");
	if (node_end(a) < 0)
		fail_msg("%s", a->err.msg);
	node_begin(b);
	assert_same_tree(tree, b);
	assert_false(fake_store_holds(box->fake, SECRET));
	assert_int_equal(node_end(b), 0);
	munmap(rounds, 4096);
	node_close(a);
	node_close(b);
}

/* The same who makes and removes while directories are listed: what was seen twice, or half, fails or is right. */
static void who_renames_directories_into_each_other_leaves_no_record_that_cannot_be_read(void **state)
{
	struct node *a = node_open(*state, "a"), *b = node_open(*state, "b");
	char name[32], other[32];
	int64_t end;
	int root;
	pid_t pid;

	node_begin(a);
	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "d%d", i);
		put_dir(a, name, 0755);
		snprintf(name, sizeof(name), "d%d/f", i);
		put_file(a, name, "text", 0644, 1);
	}
	root = node_root(a);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (unsigned i = 0;; i++) {
			unsigned x = i * 2654435761u % 40, y = (i * 40503u + 7) % 40;

			snprintf(name, sizeof(name), "d%u", x);
			snprintf(other, sizeof(other), "d%u/in", y);
			renameat2(root, name, root, other, RENAME_NOREPLACE);
			renameat2(root, other, root, name, RENAME_NOREPLACE);
			renameat2(root, name, root, "x", RENAME_EXCHANGE);
			snprintf(name, sizeof(name), "d%u/f", x);
			snprintf(other, sizeof(other), "d%u/g", y);
			try_link(root, name, other);
			if (i % 3 == 0)
				unlinkat(root, other, 0);
		}
	}
	for (end = clock_boottime_ns() + ATTACK_NS / 2; clock_boottime_ns() < end;) {
		uint64_t applied;

		a->report = (struct transfer_report){0};
		if (commit_run(&a->v, a->lease, &a->report, &applied, &a->err) < 0)
			continue;
		/* Another node reads what was committed. */
		lease_head(a->lease, &a->arena, &a->head);
		if (restore_read_only(&b->v, &a->head, &b->arena, &(const char *){NULL}, &b->report, &b->err) < 0)
			fail_msg("%s", b->err.msg);
	}
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(root);
	if (node_end(a) < 0)
		fail_msg("%s", a->err.msg);
	node_close(a);
	node_close(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(who_swaps_paths_during_the_commit_gets_nothing_from_outside_into_it,
					    box_setup, box_teardown),
	    cmocka_unit_test_setup_teardown(
		who_renames_directories_into_each_other_leaves_no_record_that_cannot_be_read, box_setup, box_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
