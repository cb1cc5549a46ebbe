/* SPDX-License-Identifier: Apache-2.0 */
/* Freezing for a commit during the run: the lock, the watchdog, and what the frozen processes have mapped. */
#include "hooks/keeper_freeze.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/group_lock.h"
#include "base/io.h"

/* Looks like a cgroup with this process in it. */
static struct container_cgroup fake_group(char path[64])
{
	struct container_cgroup c = {.fd = -1};
	char pid[16];

	snprintf(path, 64, "/tmp/volrun-freeze-XXXXXX");
	assert_non_null(mkdtemp(path));
	c.fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(c.fd >= 0);
	snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
	assert_int_equal(write_file_atomic_at(c.fd, "cgroup.procs", pid, strlen(pid), 0600, false), 0);
	return c;
}

static void forget(struct container_cgroup *c, const char *path)
{
	unlinkat(c->fd, "cgroup.procs", 0);
	container_cgroup_close(c);
	rmdir(path);
}

static void *map_new_file(size_t times, ino_t *ret_ino)
{
	int fd = memfd_create("mapped", MFD_CLOEXEC);
	void *at = NULL;
	struct stat st;

	assert_true(fd >= 0 && ftruncate(fd, 4096) == 0 && fstat(fd, &st) == 0);
	while (times--) {
		at = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
		assert_ptr_not_equal(at, MAP_FAILED);
	}
	close(fd);
	*ret_ino = st.st_ino;
	return at;
}

static bool has(const struct commit_mapped *m, ino_t ino)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->inodes[i] == ino)
			return true;
	return false;
}

static void what_is_mapped_often_counts_once(void **state)
{
	int64_t deadline = clock_boottime_ns() + 60 * NSEC_PER_SEC;
	struct commit_mapped m = {0};
	char path[64];
	struct container_cgroup c = fake_group(path);
	ino_t often, other;

	(void)state;
	map_new_file(20000, &often);
	map_new_file(1, &other);
	freeze_mapped(&c, deadline, &m);
	assert_false(m.all);
	assert_true(has(&m, often) && has(&m, other));
	free(m.inodes);
	forget(&c, path);
}

static void so_many_files_that_looking_takes_long_are_all(void **state)
{
	int64_t deadline = clock_boottime_ns() + 60 * NSEC_PER_SEC;
	struct commit_mapped m = {0};
	char path[64];
	struct container_cgroup c = fake_group(path);
	ino_t ino;

	(void)state;
	for (int i = 0; i < 10000; i++)
		map_new_file(1, &ino);
	freeze_mapped(&c, deadline, &m);
	assert_true(m.all);
	assert_true(m.n <= 10000);
	free(m.inodes);
	forget(&c, path);
}

static void after_the_deadline_all_may_be_mapped(void **state)
{
	struct commit_mapped m = {0};
	char path[64];
	struct container_cgroup c = fake_group(path);

	(void)state;
	freeze_mapped(&c, clock_boottime_ns() - 1, &m);
	assert_true(m.all);
	free(m.inodes);
	forget(&c, path);
}

/* A container may lock the directory of its cgroup: then no pause and no commit during the run would come through. */
static void the_lock_is_out_of_the_containers_reach(void **state)
{
	char path[64];
	struct container_cgroup c = fake_group(path);
	int theirs = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), ours, copy;

	(void)state;
	if (geteuid() != 0) {
		fprintf(stderr, "only root has a place for it: skipped\n");
		skip();
	}
	assert_int_equal(flock(theirs, LOCK_EX | LOCK_NB), 0);
	ours = group_lock(c.fd);
	assert_true(ours >= 0);
	assert_int_equal(group_lock(c.fd), -EWOULDBLOCK);
	copy = dup(ours);
	close(ours);
	assert_int_equal(group_lock(c.fd), -EWOULDBLOCK);
	group_unlock(copy);
	ours = group_lock(c.fd);
	assert_true(ours >= 0);
	close(ours);
	close(copy);
	close(theirs);
	forget(&c, path);
}

/* As many as there are by now. */
static int count_events(int inotify)
{
	char events[4096] __attribute__((aligned(8)));
	ssize_t len = read(inotify, events, sizeof(events));
	int n = 0;

	for (char *e = events; len > 0 && e < events + len; n++)
		e += sizeof(struct inotify_event) + ((struct inotify_event *)e)->len;
	return n;
}

/* A keeper ignores SIGCHLD. A second thaw would be of somebody's pause. */
static void it_is_thawed_once_by_the_watchdog_or_for_it(void **state)
{
	struct error err = ERROR_INIT;
	char path[64];
	struct container_cgroup c = fake_group(path);
	int inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	struct freeze f;
	int64_t ns;

	(void)state;
	assert_int_equal(write_file_atomic_at(c.fd, "freezer.state", "THAWED", 6, 0600, false), 0);
	assert_true(inotify_add_watch(inotify, path, IN_OPEN | IN_CLOSE_WRITE) >= 0);
	for (int i = 0; i < 4; i++) {
		signal(SIGCHLD, i % 2 ? SIG_IGN : SIG_DFL);
		assert_int_equal(freeze_begin(&c, 10 * NSEC_PER_SEC, &f, &err), 0);
		if (i >= 2)
			kill(f.watchdog, SIGKILL);
		assert_int_equal(freeze_end(&f, &ns, &err), 0);
		assert_int_equal(count_events(inotify), 4); /* it was opened and closed twice */
	}
	signal(SIGCHLD, SIG_DFL);
	close(inotify);
	unlinkat(c.fd, "freezer.state", 0);
	forget(&c, path);
}

static void who_wants_the_lock_comes_before_a_keeper(void **state)
{
	struct error err = ERROR_INIT;
	char path[64];
	struct container_cgroup c = fake_group(path);
	struct freeze f;
	int want;

	(void)state;
	if (geteuid() != 0) {
		fprintf(stderr, "only root has a place for it: skipped\n");
		skip();
	}
	want = group_lock_want(c.fd);
	assert_true(want >= 0 && group_lock_wanted(c.fd));
	assert_int_equal(freeze_begin(&c, NSEC_PER_SEC, &f, &err), -EBUSY);
	close(want);
	assert_false(group_lock_wanted(c.fd));
	forget(&c, path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_mapped_often_counts_once),
	    cmocka_unit_test(so_many_files_that_looking_takes_long_are_all),
	    cmocka_unit_test(it_is_thawed_once_by_the_watchdog_or_for_it),
	    cmocka_unit_test(who_wants_the_lock_comes_before_a_keeper),
	    cmocka_unit_test(the_lock_is_out_of_the_containers_reach),
	    cmocka_unit_test(after_the_deadline_all_may_be_mapped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
