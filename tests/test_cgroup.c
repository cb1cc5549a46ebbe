/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cgroups of a container on the machine's own hierarchies, and again in a
 * private mount namespace where /sys/fs/cgroup is the unified hierarchy alone.
 * Needs root; skipped otherwise.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/sys.h"
#include "runtime/cgroup.h"

static char path[64];

static bool usable(void)
{
	return geteuid() == 0 && cgroup_detect() != CGROUP_NONE && access("/sys/fs/cgroup", W_OK) == 0;
}

#define NEEDS_CGROUPS()                                                                                                \
	do {                                                                                                           \
		if (!usable())                                                                                         \
			skip();                                                                                        \
	} while (0)

#define assert_ok(call)                                                                                                \
	do {                                                                                                           \
		if ((call) < 0)                                                                                        \
			fail_msg("%s: %s", #call, err.msg);                                                            \
	} while (0)

static int new_path(void **state)
{
	static unsigned serial;

	(void)state;
	snprintf(path, sizeof(path), "/volrun-test-%d-%u", (int)getpid(), serial++);
	return 0;
}

/* A process that waits for its end; dies with the test. */
static pid_t start_sleeper(void)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		signal(SIGALRM, SIG_DFL);
		alarm(60);
		for (;;)
			pause();
	}
	return pid;
}

static void reap(pid_t pid, int sig)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), sig);
}

/* Is there any directory of this name in any hierarchy? */
static bool anything_left(const struct cgroup *cg)
{
	for (size_t i = 0; i < cg->n_hierarchies; i++) {
		char full[256];

		snprintf(full, sizeof(full), "%s%s", cg->hierarchies[i].mount, path);
		if (access(full, F_OK) == 0)
			return true;
	}
	return false;
}

static int fd_of(const struct cgroup *cg, const char *controller)
{
	for (size_t i = 0; i < cg->n_hierarchies; i++) {
		if (cg->mode == CGROUP_V2 || strcmp(cg->hierarchies[i].controllers, controller) == 0)
			return cg->hierarchies[i].fd;
	}
	return -1;
}

static void assert_file(int fd, const char *file, const char *expected)
{
	_cleanup_free_ char *text = NULL;

	assert_int_equal(read_file_at(fd, file, 4096, &text, NULL), 0);
	text[strcspn(text, "\n")] = '\0';
	assert_string_equal(text, expected);
}

/* --- tests ----------------------------------------------------------------------- */

static void a_process_lives_in_the_cgroup_and_dies_by_its_kill(void **state)
{
	_cleanup_(cgroup_close) struct cgroup cg = CGROUP_INIT;
	struct error err = ERROR_INIT;
	_cleanup_free_ pid_t *pids = NULL;
	size_t n = 0;
	pid_t pid;

	(void)state;
	NEEDS_CGROUPS();
	assert_ok(cgroup_create(&cg, path, false, &err));
	pid = start_sleeper();
	assert_ok(cgroup_attach(&cg, pid, &err));
	assert_ok(cgroup_pids(&cg, &pids, &n, &err));
	assert_int_equal(n, 1);
	assert_int_equal(pids[0], pid);
	assert_ok(cgroup_kill(&cg, &err));
	reap(pid, SIGKILL);
	assert_ok(cgroup_destroy(&cg, &err));
	assert_false(anything_left(&cg));
	/* Absent: no error. */
	assert_ok(cgroup_destroy(&cg, &err));
}

static void processes_of_descendants_are_listed_killed_and_their_cgroups_removed(void **state)
{
	_cleanup_(cgroup_close) struct cgroup cg = CGROUP_INIT;
	struct error err = ERROR_INIT;
	_cleanup_free_ pid_t *pids = NULL;
	char text[16];
	size_t n = 0;
	pid_t pid;

	(void)state;
	NEEDS_CGROUPS();
	assert_ok(cgroup_create(&cg, path, false, &err));
	pid = start_sleeper();
	assert_ok(cgroup_attach(&cg, pid, &err));
	snprintf(text, sizeof(text), "%d", (int)pid);
	for (size_t i = 0; i < cg.n_hierarchies; i++) {
		int fd = cg.hierarchies[i].fd;

		assert_int_equal(mkdir_p_at(fd, "a/b", 0755), 0);
		assert_int_equal(mkdirat(fd, "c", 0755), 0);
		if (strcmp(cg.hierarchies[i].controllers, "cpuset") != 0)
			assert_int_equal(write_file_at(fd, "a/b/cgroup.procs", text), 0);
	}
	assert_ok(cgroup_pids(&cg, &pids, &n, &err));
	assert_int_equal(n, 1);
	assert_int_equal(pids[0], pid);
	assert_ok(cgroup_kill(&cg, &err));
	reap(pid, SIGKILL);
	assert_ok(cgroup_destroy(&cg, &err));
	assert_false(anything_left(&cg));
}

static void a_signal_reaches_every_process(void **state)
{
	_cleanup_(cgroup_close) struct cgroup cg = CGROUP_INIT;
	struct error err = ERROR_INIT;
	pid_t pids[3];

	(void)state;
	NEEDS_CGROUPS();
	assert_ok(cgroup_create(&cg, path, false, &err));
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
		pids[i] = start_sleeper();
		assert_ok(cgroup_attach(&cg, pids[i], &err));
	}
	assert_ok(cgroup_signal(&cg, SIGTERM, &err));
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++)
		reap(pids[i], SIGTERM);
	assert_ok(cgroup_destroy(&cg, &err));
}

static void a_frozen_container_stands_still_and_can_be_thawed_or_killed(void **state)
{
	_cleanup_(cgroup_close) struct cgroup cg = CGROUP_INIT;
	struct error err = ERROR_INIT;
	bool frozen = true;
	pid_t pid;

	(void)state;
	NEEDS_CGROUPS();
	assert_ok(cgroup_create(&cg, path, false, &err));
	pid = start_sleeper();
	assert_ok(cgroup_attach(&cg, pid, &err));
	assert_ok(cgroup_is_frozen(&cg, &frozen, &err));
	assert_false(frozen);
	/* A keeper's mark; the container may set the second, where its cgroup is its own. A pause is one all the same.
	 */
	for (size_t i = 0; i < cg.n_hierarchies; i++) {
		fsetxattr(cg.hierarchies[i].fd, "trusted.volrun.frozen", "1", 1, 0);
		fsetxattr(cg.hierarchies[i].fd, "user.volrun.frozen", "1", 1, 0);
	}
	assert_ok(cgroup_freeze(&cg, true, &err));
	assert_ok(cgroup_is_frozen(&cg, &frozen, &err));
	assert_true(frozen);
	kill(pid, SIGTERM); /* stays pending */
	clock_sleep_ns(20 * NSEC_PER_MSEC);
	if (cg.mode == CGROUP_V1) /* the v2 freezer lets signals that end a process through */
		assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
	assert_ok(cgroup_freeze(&cg, false, &err));
	reap(pid, SIGTERM);

	pid = start_sleeper();
	assert_ok(cgroup_attach(&cg, pid, &err));
	assert_ok(cgroup_freeze(&cg, true, &err));
	assert_ok(cgroup_kill(&cg, &err));
	reap(pid, SIGKILL);
	assert_ok(cgroup_destroy(&cg, &err));
}

static void a_cgroup_with_processes_is_not_taken_over(void **state)
{
	_cleanup_(cgroup_close) struct cgroup cg = CGROUP_INIT;
	struct cgroup second = CGROUP_INIT;
	struct error err = ERROR_INIT;
	pid_t pid;

	(void)state;
	NEEDS_CGROUPS();
	assert_ok(cgroup_create(&cg, path, false, &err));
	/* An empty one is. */
	assert_ok(cgroup_create(&second, path, false, &err));
	cgroup_close(&second);
	pid = start_sleeper();
	assert_ok(cgroup_attach(&cg, pid, &err));
	assert_int_equal(cgroup_create(&second, path, false, &err), -EBUSY);
	assert_non_null(strstr(err.msg, "container's cgroup is not empty: 1 process(es) found"));
	assert_ptr_equal(second.hierarchies, NULL);
	assert_true(anything_left(&cg));
	assert_ok(cgroup_kill(&cg, &err));
	reap(pid, SIGKILL);
	assert_ok(cgroup_destroy(&cg, &err));
	assert_false(anything_left(&cg));
}

static void a_cgroup_that_was_left_frozen_is_not_taken_over(void **state)
{
	_cleanup_(cgroup_close) struct cgroup cg = CGROUP_INIT;
	struct cgroup second = CGROUP_INIT;
	struct error err = ERROR_INIT;

	(void)state;
	NEEDS_CGROUPS();
	assert_ok(cgroup_create(&cg, path, false, &err));
	assert_ok(cgroup_freeze(&cg, true, &err));
	assert_int_equal(cgroup_create(&second, path, false, &err), -EBUSY);
	assert_non_null(strstr(err.msg, "unexpectedly frozen"));
	assert_true(anything_left(&cg));
	assert_ok(cgroup_destroy(&cg, &err));
}

/* As when an engine moves a process by hand, or an old one knew nothing of the unified hierarchy. */
static void in_hybrid_a_process_outside_the_unified_cgroup_is_killed_too(void **state)
{
	_cleanup_(cgroup_close) struct cgroup cg = CGROUP_INIT;
	struct error err = ERROR_INIT;
	char text[16];
	pid_t pid;
	int fd;

	(void)state;
	NEEDS_CGROUPS();
	assert_ok(cgroup_create(&cg, path, false, &err));
	fd = fd_of(&cg, "freezer");
	if (cg.mode != CGROUP_V1 || fd < 0) {
		assert_ok(cgroup_destroy(&cg, &err));
		cgroup_close(&cg);
		skip();
	}
	pid = start_sleeper();
	snprintf(text, sizeof(text), "%d", (int)pid);
	assert_int_equal(write_file_at(fd, "cgroup.procs", text), 0);
	assert_ok(cgroup_kill(&cg, &err));
	reap(pid, SIGKILL);
	assert_ok(cgroup_destroy(&cg, &err));
}

static void removal_waits_for_processes_that_are_going_away(void **state)
{
	_cleanup_(cgroup_close) struct cgroup cg = CGROUP_INIT;
	struct error err = ERROR_INIT;
	pid_t pid, killer;

	(void)state;
	NEEDS_CGROUPS();
	assert_ok(cgroup_create(&cg, path, false, &err));
	pid = start_sleeper();
	assert_ok(cgroup_attach(&cg, pid, &err));
	killer = fork();
	assert_true(killer >= 0);
	if (killer == 0) {
		clock_sleep_ns(100 * NSEC_PER_MSEC);
		kill(pid, SIGKILL);
		_exit(0);
	}
	assert_ok(cgroup_destroy(&cg, &err));
	assert_false(anything_left(&cg));
	reap(pid, SIGKILL);
	waitpid(killer, NULL, 0);
}

static void later_commands_open_it_by_mode_and_path(void **state)
{
	_cleanup_(cgroup_close) struct cgroup cg = CGROUP_INIT, again = CGROUP_INIT;
	struct error err = ERROR_INIT;
	pid_t *pids = NULL;
	size_t n = 1;
	bool frozen = true;

	(void)state;
	NEEDS_CGROUPS();
	/* Gone, or never there. */
	assert_ok(cgroup_open(&again, cgroup_detect(), path, false, &err));
	assert_int_equal(again.dir_fd, -1);
	assert_ok(cgroup_pids(&again, &pids, &n, &err));
	assert_int_equal(n, 0);
	assert_ok(cgroup_is_frozen(&again, &frozen, &err));
	assert_false(frozen);
	assert_ok(cgroup_kill(&again, &err));
	assert_ok(cgroup_destroy(&again, &err));
	cgroup_close(&again);

	assert_ok(cgroup_create(&cg, path, false, &err));
	assert_ok(cgroup_open(&again, cg.mode, path, false, &err));
	assert_int_equal(again.dir_fd >= 0, cg.mode == CGROUP_V2);
	assert_ok(cgroup_destroy(&again, &err));
	assert_false(anything_left(&cg));
}

static void a_limit_without_its_controller_names_both(void **state)
{
	_cleanup_(cgroup_close) struct cgroup cg = CGROUP_INIT;
	struct error err = ERROR_INIT;
	int64_t limit = 100, bytes = 64 << 20;
	struct spec_pids pids = {.limit = &limit};
	struct spec_memory memory = {.limit = &bytes};
	struct spec_resources res = {.pids = &pids, .memory = &memory};
	int r;

	(void)state;
	NEEDS_CGROUPS();
	assert_ok(cgroup_create(&cg, path, false, &err));
	r = cgroup_apply(&cg, &res, false, &err);
	if (cg.mode == CGROUP_V2 && faccessat(cg.dir_fd, "memory.max", F_OK, 0) < 0) {
		assert_int_equal(r, -EINVAL);
		assert_non_null(
		    strstr(err.msg, "memory limit: the requested cgroup controller `memory` is not available "));
		assert_non_null(strstr(err.msg, "it has no memory.max"));
		/* Words by which an engine takes the command for missing. */
		assert_null(strcasestr(err.msg, "no such file"));
	} else {
		assert_int_equal(r, 0);
		assert_file(fd_of(&cg, "memory"), cg.mode == CGROUP_V2 ? "memory.max" : "memory.limit_in_bytes",
			    "67108864");
		assert_file(fd_of(&cg, "pids"), "pids.max", "100");
	}
	assert_ok(cgroup_destroy(&cg, &err));
}

static void memory_limits_can_be_raised_and_lowered_in_any_order(void **state)
{
	_cleanup_(cgroup_close) struct cgroup cg = CGROUP_INIT;
	struct error err = ERROR_INIT;
	int64_t limit = 64 << 20, swap = 128 << 20;
	bool check = true;
	struct spec_memory memory = {.limit = &limit, .swap = &swap, .check_before_update = &check};
	struct spec_resources res = {.memory = &memory};
	bool v1;
	int fd;

	(void)state;
	NEEDS_CGROUPS();
	assert_ok(cgroup_create(&cg, path, false, &err));
	fd = fd_of(&cg, "memory");
	v1 = cg.mode == CGROUP_V1;
	if (faccessat(fd, v1 ? "memory.memsw.limit_in_bytes" : "memory.swap.max", F_OK, 0) < 0) {
		assert_ok(cgroup_destroy(&cg, &err));
		cgroup_close(&cg); /* skip() is a jump: nothing closes itself */
		skip();
	}
	assert_ok(cgroup_apply(&cg, &res, false, &err));
	limit = 512 << 20;
	swap = 1 << 30;
	assert_ok(cgroup_apply(&cg, &res, true, &err));
	assert_file(fd, v1 ? "memory.limit_in_bytes" : "memory.max", "536870912");
	/* Both kinds together, or swap alone. */
	assert_file(fd, v1 ? "memory.memsw.limit_in_bytes" : "memory.swap.max", v1 ? "1073741824" : "536870912");
	limit = swap = 32 << 20;
	assert_ok(cgroup_apply(&cg, &res, true, &err));
	assert_file(fd, v1 ? "memory.memsw.limit_in_bytes" : "memory.swap.max", v1 ? "33554432" : "0");
	limit = swap = -1;
	assert_ok(cgroup_apply(&cg, &res, true, &err));
	if (!v1)
		assert_file(fd, "memory.max", "max");
	assert_ok(cgroup_destroy(&cg, &err));
}

static void cpu_limits_arrive_in_the_files(void **state)
{
	_cleanup_(cgroup_close) struct cgroup cg = CGROUP_INIT;
	struct error err = ERROR_INIT;
	uint64_t shares = 512, period = 50000, burst = 10000;
	int64_t quota = 25000;
	struct spec_cpu cpu = {.shares = &shares, .quota = &quota, .period = &period, .burst = &burst, .cpus = "0"};
	struct spec_resources res = {.cpu = &cpu};
	bool v1;

	(void)state;
	NEEDS_CGROUPS();
	assert_ok(cgroup_create(&cg, path, false, &err));
	v1 = cg.mode == CGROUP_V1;
	if (faccessat(fd_of(&cg, "cpu"), v1 ? "cpu.shares" : "cpu.weight", F_OK, 0) < 0 ||
	    faccessat(fd_of(&cg, "cpuset"), "cpuset.cpus", F_OK, 0) < 0) {
		assert_ok(cgroup_destroy(&cg, &err));
		cgroup_close(&cg); /* skip() is a jump: nothing closes itself */
		skip();
	}
	assert_ok(cgroup_apply(&cg, &res, false, &err));
	assert_file(fd_of(&cg, "cpu"), v1 ? "cpu.shares" : "cpu.weight", v1 ? "512" : "59");
	assert_file(fd_of(&cg, "cpu"), v1 ? "cpu.cfs_quota_us" : "cpu.max", v1 ? "25000" : "25000 50000");
	if (v1)
		assert_file(fd_of(&cg, "cpu"), "cpu.cfs_period_us", "50000");
	assert_file(fd_of(&cg, "cpu"), v1 ? "cpu.cfs_burst_us" : "cpu.max.burst", "10000");
	assert_file(fd_of(&cg, "cpuset"), "cpuset.cpus", "0");
	assert_ok(cgroup_destroy(&cg, &err));
}

/* In the cgroup: 0 for what may be opened or made, else the errno. */
static int try_device(const struct cgroup *cg, int (*attempt)(void))
{
	int status = -1, pipe_fds[2];
	struct error err = ERROR_INIT;
	char go = 'g';
	pid_t pid;

	assert_int_equal(pipe(pipe_fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(pipe_fds[1]);
		if (read(pipe_fds[0], &go, 1) != 1)
			_exit(99);
		_exit(attempt());
	}
	close(pipe_fds[0]);
	assert_ok(cgroup_attach(cg, pid, &err));
	assert_int_equal(write(pipe_fds[1], &go, 1), 1);
	close(pipe_fds[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int open_null(void)
{
	return open("/dev/null", O_RDWR) < 0 ? errno : 0;
}

static int open_kmsg(void)
{
	return open("/dev/kmsg", O_RDONLY) < 0 ? errno : 0;
}

static void devices_outside_the_rules_are_refused_by_the_kernel(void **state)
{
	_cleanup_(cgroup_close) struct cgroup cg = CGROUP_INIT;
	struct error err = ERROR_INIT;
	int64_t major_mem = 1, minor_kmsg = 11;
	struct spec_device_rule rules[] = {
	    {.allow = false, .access = "rwm"},
	    {.allow = true, .type = "c", .major = &major_mem, .minor = &minor_kmsg, .access = "r"},
	};
	struct spec_resources res = {.devices = rules, .n_devices = 1};

	(void)state;
	NEEDS_CGROUPS();
	if (open_kmsg() != 0)
		skip();
	assert_ok(cgroup_create(&cg, path, false, &err));
	assert_ok(cgroup_apply(&cg, &res, false, &err));
	assert_int_equal(try_device(&cg, open_null), 0);
	assert_int_equal(try_device(&cg, open_kmsg), EPERM);
	/* An update replaces the rules on v2; v1 keeps them. */
	res.n_devices = 2;
	assert_ok(cgroup_apply(&cg, &res, true, &err));
	assert_int_equal(try_device(&cg, open_kmsg), cg.mode == CGROUP_V2 ? 0 : EPERM);
	/* One that names no devices leaves them alone. */
	res.n_devices = 0;
	assert_ok(cgroup_apply(&cg, &res, true, &err));
	assert_int_equal(try_device(&cg, open_kmsg), cg.mode == CGROUP_V2 ? 0 : EPERM);
	assert_ok(cgroup_destroy(&cg, &err));
}

static void unified_keys_are_written_or_refused_with_their_name(void **state)
{
	_cleanup_(cgroup_close) struct cgroup cg = CGROUP_INIT;
	struct error err = ERROR_INIT;
	struct json_pair good[] = {{"cgroup.max.depth", "7"}}, bad[] = {{"nonsense.max", "1"}};
	struct spec_resources res = {.unified = good, .n_unified = 1};

	(void)state;
	NEEDS_CGROUPS();
	assert_ok(cgroup_create(&cg, path, false, &err));
	if (cg.mode == CGROUP_V2) {
		assert_ok(cgroup_apply(&cg, &res, false, &err));
		assert_file(cg.dir_fd, "cgroup.max.depth", "7");
		res.unified = bad;
		assert_int_equal(cgroup_apply(&cg, &res, false, &err), -EINVAL);
		assert_non_null(strstr(err.msg, "controller `nonsense` is not available under"));
	} else {
		assert_int_equal(cgroup_apply(&cg, &res, false, &err), -EINVAL);
		assert_non_null(strstr(err.msg, "cannot be set on cgroup v1"));
	}
	assert_ok(cgroup_destroy(&cg, &err));
}

static void a_failed_create_leaves_nothing_behind(void **state)
{
	struct cgroup cg = CGROUP_INIT;
	struct error err = ERROR_INIT;
	char deep[512], name[300];

	(void)state;
	NEEDS_CGROUPS();
	/* The last name is longer than a file's name may be: the levels above were made already. */
	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	snprintf(deep, sizeof(deep), "%s/b/%.250s\n", path, name);
	assert_true(cgroup_create(&cg, deep, false, &err) < 0);
	assert_non_null(strstr(err.msg, "cannot make cgroup"));
	assert_ok(cgroup_open(&cg, cgroup_detect(), path, false, &err));
	assert_false(anything_left(&cg));
	cgroup_close(&cg);
}

/* Our own /sys/fs/cgroup becomes the unified hierarchy. */
static int enter_unified_view(void **state)
{
	(void)state;
	if (geteuid() != 0 || cgroup_detect() == CGROUP_V2)
		return 0;
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return 0;
	if (umount2("/sys/fs/cgroup", MNT_DETACH) < 0)
		return 0;
	return mount("cgroup2", "/sys/fs/cgroup", "cgroup2", 0, NULL) < 0 ? -1 : 0;
}

#define CASE(test) cmocka_unit_test_setup(test, new_path)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(a_process_lives_in_the_cgroup_and_dies_by_its_kill),
	    CASE(processes_of_descendants_are_listed_killed_and_their_cgroups_removed),
	    CASE(a_signal_reaches_every_process),
	    CASE(a_frozen_container_stands_still_and_can_be_thawed_or_killed),
	    CASE(a_cgroup_with_processes_is_not_taken_over),
	    CASE(a_cgroup_that_was_left_frozen_is_not_taken_over),
	    CASE(in_hybrid_a_process_outside_the_unified_cgroup_is_killed_too),
	    CASE(removal_waits_for_processes_that_are_going_away),
	    CASE(later_commands_open_it_by_mode_and_path),
	    CASE(a_limit_without_its_controller_names_both),
	    CASE(memory_limits_can_be_raised_and_lowered_in_any_order),
	    CASE(cpu_limits_arrive_in_the_files),
	    CASE(devices_outside_the_rules_are_refused_by_the_kernel),
	    CASE(unified_keys_are_written_or_refused_with_their_name),
	    CASE(a_failed_create_leaves_nothing_behind),
	};
	int failed = cmocka_run_group_tests_name("cgroup", tests, NULL, NULL);

	return failed + cmocka_run_group_tests_name("cgroup, unified view", tests, enter_unified_view, NULL);
}
