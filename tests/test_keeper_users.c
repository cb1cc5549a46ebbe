/* SPDX-License-Identifier: Apache-2.0 */
/* Joining the holder of a volume in the same pod. */
#include "hooks/keeper_users.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "hooks/engine/keeper_name.h"

#define EPOCH 5

/* The holder, when it is to die: with the first thing that is brought to the disk. */
static pid_t victim;
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
	if (victim > 0) {
		kill(victim, SIGKILL);
		waitpid(victim, NULL, 0);
		victim = 0;
	}
	return __real_fsync(fd);
}

struct box {
	char dir[32];
	int cache_fd;
	pid_t holder;
	struct keeper_request_volume volume;
	struct keeper_request request;
	struct hold hold;
	struct hold_volume hv;
};

/* A volume at rest, whose keeper is a process that does nothing. */
static void note_holder(struct box *b)
{
	static const struct container_cgroup none = {.fd = -1};
	struct error err = ERROR_INIT;
	struct arena a = ARENA_INIT;
	struct keeper_note n = {.pid = b->holder,
				.container = "c1",
				.keeper = keeper_name(b->holder, &a),
				.joinable = true,
				.resting = EPOCH,
				.request = b->request};

	assert_int_equal(cache_mark_clean(&b->hv.v.cache, EPOCH, 1, "", &err), 0);
	assert_int_equal(keeper_note_write_at(b->hv.v.cache.dir_fd, "keeper", &n, &none), 0);
	arena_free(&a);
}

static int setup(void **state)
{
	static struct box b;
	struct error err = ERROR_INIT;

	b = (struct box){.dir = "/tmp/volrun-users.XXXXXX"};
	if (!mkdtemp(b.dir) || cache_open(b.dir, &b.cache_fd, &err) < 0 ||
	    cache_volume_open(b.cache_fd, "main", "default", "state", &b.hv.v.cache, &err) < 0 ||
	    mkdirat(b.hv.v.cache.dir_fd, "rw", 0700) < 0)
		return -1;
	b.holder = fork();
	if (b.holder == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	b.volume = (struct keeper_request_volume){.name = "state", .destination = "/data", .store = "main"};
	b.request = (struct keeper_request){.id = "c2",
					    .bundle = "/b",
					    .pid = getpid(),
					    .workspace = "default",
					    .pod = "p1",
					    .volumes = &b.volume,
					    .n_volumes = 1};
	b.hold = (struct hold){.request = &b.request};
	b.hv.request = &b.volume;
	b.hv.tree_fd = -1;
	note_holder(&b);
	*state = &b;
	return 0;
}

static int teardown(void **state)
{
	struct box *b = *state;

	kill(b->holder, SIGKILL);
	waitpid(b->holder, NULL, 0);
	close(b->hv.tree_fd);
	cache_volume_close(&b->hv.v.cache);
	close(b->cache_fd);
	return remove_tree_at(AT_FDCWD, b->dir);
}

static void a_volume_at_rest_is_joined_and_dirty_then(void **state)
{
	struct error err = ERROR_INIT;
	struct box *b = *state;
	struct cache_mark mark;

	assert_int_equal(hold_join(&b->hold, &b->hv, &err), 1);
	assert_int_equal(b->hv.joined, EPOCH);
	assert_true(b->hv.tree_fd >= 0);
	assert_int_equal(cache_read_dirty(&b->hv.v.cache, &mark), 0);
	assert_int_equal(mark.epoch, EPOCH);
}

static void a_holder_that_dies_meanwhile_is_not_joined(void **state)
{
	struct error err = ERROR_INIT;
	struct box *b = *state;

	victim = b->holder;
	assert_int_equal(hold_join(&b->hold, &b->hv, &err), 0);
	assert_int_equal(victim, 0);
	assert_int_equal(b->hv.joined, 0);
	assert_int_equal(b->hv.tree_fd, -1);
	assert_false(users_unquiet(&b->hv.v.cache, EPOCH));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(a_volume_at_rest_is_joined_and_dirty_then, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_holder_that_dies_meanwhile_is_not_joined, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
