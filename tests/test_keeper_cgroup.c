/* SPDX-License-Identifier: Apache-2.0 */
/* Which cgroup is the container's, and whether anybody is left in it. */
#include "hooks/keeper_cgroup.h"

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
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/io.h"

static void a_path_is_found_by_its_hierarchy(void **state)
{
	static const char text[] = "12:name=systemd:/sys\n8:cpu,cpuacct:/c pu\n4:memory:/docker/1\n0::/two:colons\n";
	char path[64];

	(void)state;
	assert_int_equal(cgroup_text_path(text, "memory", path, sizeof(path)), 0);
	assert_string_equal(path, "/docker/1");
	assert_int_equal(cgroup_text_path(text, "cpuacct", path, sizeof(path)), 0);
	assert_string_equal(path, "/c pu");
	assert_int_equal(cgroup_text_path(text, "name=systemd", path, sizeof(path)), 0);
	assert_string_equal(path, "/sys");
	assert_int_equal(cgroup_text_path(text, "", path, sizeof(path)), 0);
	assert_string_equal(path, "/two:colons");
	assert_int_equal(cgroup_text_path(text, "cp", path, sizeof(path)), -ENOENT);
	assert_int_equal(cgroup_text_path(text, "pids", path, sizeof(path)), -ENOENT);
	assert_int_equal(cgroup_text_path(text, "memory", path, 5), -ENOENT);
	assert_int_equal(cgroup_text_path("nonsense", "memory", path, sizeof(path)), -ENOENT);
	assert_int_equal(cgroup_text_path("", "", path, sizeof(path)), -ENOENT);
}

static void ours_and_what_is_above_us_is_not_the_containers_own(void **state)
{
	(void)state;
	assert_true(cgroup_is_own("/docker/1", "/system.slice/shim"));
	assert_true(cgroup_is_own("/system.slice/shim/c1", "/system.slice/shim"));
	assert_true(cgroup_is_own("/system.slice/shim2", "/system.slice/shim"));
	assert_false(cgroup_is_own("/system.slice/shim", "/system.slice/shim"));
	assert_false(cgroup_is_own("/system.slice", "/system.slice/shim"));
	assert_false(cgroup_is_own("/", "/system.slice/shim"));
	assert_false(cgroup_is_own("/", "/"));
	assert_false(cgroup_is_own("/../other", "/system.slice/shim"));
}

static void a_process_beside_us_has_no_cgroup_of_its_own(void **state)
{
	struct container_cgroup c = {.fd = -1};
	struct error err = ERROR_INIT;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		pause();
		_exit(0);
	}
	assert_int_equal(container_cgroup_open(pid, &c, &err), -ENOENT);
	assert_int_equal(c.fd, -1);
	assert_true(container_cgroup_empty(&c));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* A hierarchy that this machine has and that we may make groups in. */
static const char *own_hierarchy(char path[128])
{
	static const char *const tops[] = {"/sys/fs/cgroup/pids", "/sys/fs/cgroup/memory", "/sys/fs/cgroup"};
	size_t i;

	for (i = 0; i < sizeof(tops) / sizeof(*tops); i++) {
		snprintf(path, 128, "%s/volrun-test-%d", tops[i], (int)getpid());
		if (mkdir(path, 0755) == 0)
			return path;
	}
	return NULL;
}

static pid_t start_in(const char *group)
{
	pid_t pid = fork();

	if (pid == 0) {
		char procs[PATH_MAX];

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		snprintf(procs, sizeof(procs), "%s/cgroup.procs", group);
		write_file_at(AT_FDCWD, procs, "0");
		for (;;)
			pause();
	}
	clock_sleep_ns(50 * NSEC_PER_MSEC);
	return pid;
}

static void stragglers_keep_it_populated_until_they_are_killed(void **state)
{
	struct container_cgroup c = {.fd = -1};
	struct error err = ERROR_INIT;
	char group[128], sub[160];
	pid_t init, straggler;

	(void)state;
	if (!own_hierarchy(group)) {
		fprintf(stderr, "no cgroup can be made here (not root): skipped\n");
		skip();
	}
	snprintf(sub, sizeof(sub), "%s/sub", group);
	assert_int_equal(mkdir(sub, 0755), 0);
	init = start_in(group);
	straggler = start_in(sub);
	assert_int_equal(container_cgroup_open(init, &c, &err), 0);
	assert_false(container_cgroup_empty(&c));
	kill(init, SIGKILL);
	waitpid(init, NULL, 0);
	assert_false(container_cgroup_empty(&c)); /* the one beneath */
	container_cgroup_kill(&c);
	assert_int_equal(waitpid(straggler, NULL, 0), straggler);
	assert_true(container_cgroup_empty(&c));
	rmdir(sub);
	rmdir(group);
	assert_true(container_cgroup_empty(&c)); /* gone is empty */
	container_cgroup_close(&c);
}

/* A directory stands for a group: so many processes nobody starts. */
static void a_list_of_any_length_is_read_and_what_cannot_be_read_is_somebody(void **state)
{
	struct container_cgroup c = {.fd = -1};
	char dir[] = "/tmp/volrun-cgroup.XXXXXX";
	FILE *procs;

	(void)state;
	assert_non_null(mkdtemp(dir));
	c.fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(c.fd >= 0);
	assert_true(container_cgroup_empty(&c)); /* no list: it is gone */
	procs = fdopen(openat(c.fd, "cgroup.procs", O_WRONLY | O_CREAT | O_CLOEXEC, 0600), "w");
	assert_non_null(procs);
	for (int i = 0; i < 200000; i++)
		fprintf(procs, "%d\n", 4000000 + i);
	fclose(procs);
	assert_false(container_cgroup_empty(&c));
	assert_int_equal(unlinkat(c.fd, "cgroup.procs", 0), 0);
	assert_int_equal(mkdirat(c.fd, "cgroup.procs", 0700), 0);
	assert_false(container_cgroup_empty(&c));
	c.v2 = true;
	assert_true(container_cgroup_empty(&c));
	assert_int_equal(mkdirat(c.fd, "cgroup.events", 0700), 0);
	assert_false(container_cgroup_empty(&c));
	container_cgroup_close(&c);
	remove_tree_at(AT_FDCWD, dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_path_is_found_by_its_hierarchy),
	    cmocka_unit_test(ours_and_what_is_above_us_is_not_the_containers_own),
	    cmocka_unit_test(a_process_beside_us_has_no_cgroup_of_its_own),
	    cmocka_unit_test(a_list_of_any_length_is_read_and_what_cannot_be_read_is_somebody),
	    cmocka_unit_test(stragglers_keep_it_populated_until_they_are_killed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
