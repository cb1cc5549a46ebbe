/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
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

#include "base/cleanup.h"
#include "base/io.h"
#include "runtime/state_dir.h"

static struct arena arena = ARENA_INIT;
static struct error err;
static char dir[] = "/tmp/volrun-state-XXXXXX", root[PATH_MAX];
static int fd;

static int set_up(void **state)
{
	(void)state;
	err = (struct error)ERROR_INIT;
	fd = -1;
	strcpy(dir, "/tmp/volrun-state-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	/* longer than a unix address can be */
	snprintf(root, sizeof(root), "%s/%0100d/root", dir, 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	cleanup_close(&fd);
	arena_free(&arena);
	return remove_tree_at(AT_FDCWD, dir);
}

/* A process that lives until it is killed. */
static pid_t start_process(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		pause();
		_exit(0);
	}
	return pid;
}

static void end_process(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static struct container_state state_of(pid_t pid)
{
	struct container_state s = {.oci_version = "1.3.0", .id = "c1", .bundle = "/b", .created = "now", .pid = pid};

	if (pid)
		assert_int_equal(process_start_time(pid, &s.pid_start, NULL), 0);
	return s;
}

static enum oci_status status_of(const struct container_state *s)
{
	enum oci_status status;

	assert_int_equal(container_status(fd, s, &status, &err), 0);
	return status;
}

static void an_id_can_be_taken_once(void **state)
{
	int again;
	struct stat st;

	(void)state;
	assert_int_equal(state_dir_create(root, "c1", &fd, &err), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(state_dir_create(root, "c1", &again, &err), -EEXIST);
	assert_string_equal(err.msg, "container with given ID already exists");
	assert_int_equal(state_dir_remove(root, "c1", &err), 0);
	assert_int_equal(state_dir_remove(root, "c1", &err), 0);
}

static void ids_that_are_paths_are_refused(void **state)
{
	(void)state;
	assert_true(state_dir_create(root, "../c1", &fd, &err) < 0);
	assert_true(state_dir_create(root, "..", &fd, &err) < 0);
	assert_true(state_dir_open(root, "a/b", &fd, &err) < 0);
}

static void an_unknown_id_is_said_in_the_words_that_containerd_looks_for(void **state)
{
	(void)state;
	assert_int_equal(state_dir_open(root, "c1", &fd, &err), -ENOENT);
	assert_string_equal(err.msg, "container does not exist");
	assert_int_equal(state_dir_create(root, "c2", &fd, &err), 0);
	assert_int_equal(state_dir_open(root, "c1", &fd, &err), -ENOENT);
}

static void the_state_comes_back_as_it_was_written(void **state)
{
	struct json_pair annotation = {"k", "v"};
	struct container_state s = {.oci_version = "1.3.0",
				    .id = "c1",
				    .bundle = "/b",
				    .pid = 7,
				    .pid_start = UINT64_MAX,
				    .cgroup_mode = CGROUP_V2,
				    .cgroup_path = "/x/y",
				    .volume_config = "/etc/c.json",
				    .has_volumes = true,
				    .annotations = &annotation,
				    .n_annotations = 1};
	struct container_state got;

	(void)state;
	assert_int_equal(state_dir_create(root, "c1", &fd, &err), 0);
	assert_int_equal(state_load(fd, &arena, &got, &err), -ENOENT);
	assert_int_equal(state_save(fd, &s, &err), 0);
	assert_int_equal(state_load(fd, &arena, &got, &err), 0);
	assert_string_equal(got.cgroup_path, "/x/y");
	assert_int_equal(got.cgroup_mode, CGROUP_V2);
	assert_true(got.pid_start == UINT64_MAX);
	assert_true(got.has_volumes && !got.has_poststop);
	assert_string_equal(got.volume_config, "/etc/c.json");
	assert_string_equal(json_pair_get(got.annotations, got.n_annotations, "k"), "v");
	assert_string_equal(container_oci_state(&got, OCI_RUNNING).bundle, "/b");
	assert_int_equal(container_oci_state(&got, OCI_RUNNING).pid, 7);
	assert_int_equal(container_oci_state(&got, OCI_STOPPED).pid, 0);
}

static void the_status_follows_the_process_the_socket_and_the_mark(void **state)
{
	_cleanup_close_ int sock = -1;
	pid_t pid = start_process();
	struct container_state s = state_of(pid);

	(void)state;
	assert_int_equal(state_dir_create(root, "c1", &fd, &err), 0);
	assert_int_equal(status_of(&s), OCI_CREATING);
	assert_int_equal(start_socket_new(&sock, &err), 0);
	assert_int_equal(start_socket_listen(sock, fd, &err), 0);
	assert_int_equal(state_dir_finish(fd, &err), 0);
	assert_int_equal(status_of(&s), OCI_CREATED);
	assert_int_equal(unlinkat(fd, STATE_START_SOCKET, 0), 0);
	assert_int_equal(status_of(&s), OCI_RUNNING);
	end_process(pid);
	assert_int_equal(status_of(&s), OCI_STOPPED);
}

static void a_zombie_and_a_reused_pid_count_as_stopped(void **state)
{
	pid_t pid = start_process();
	struct container_state s = state_of(pid);
	siginfo_t info;
	int pidfd;

	(void)state;
	assert_int_equal(state_dir_create(root, "c1", &fd, &err), 0);
	s.pid_start++;
	assert_int_equal(status_of(&s), OCI_STOPPED);
	assert_int_equal(container_pidfd(&s, &pidfd, &err), -ESRCH);
	assert_string_equal(err.msg, "container not running: no such process");
	s.pid_start--;
	assert_int_equal(container_pidfd(&s, &pidfd, &err), 0);
	close(pidfd);
	kill(pid, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(status_of(&s), OCI_STOPPED);
	end_process(pid);
}

static void a_creator_that_died_before_it_had_a_process_leaves_a_stopped_container(void **state)
{
	struct container_state s = state_of(0);
	_cleanup_close_ int other = -1;

	(void)state;
	assert_int_equal(state_dir_create(root, "c1", &other, &err), 0);
	assert_int_equal(state_dir_open(root, "c1", &fd, &err), 0);
	assert_int_equal(status_of(&s), OCI_CREATING);
	close(other);
	other = -1;
	assert_int_equal(status_of(&s), OCI_STOPPED);
}

static void a_start_reaches_who_listens_however_long_the_path(void **state)
{
	_cleanup_close_ int sock = -1, client = -1, server = -1;

	(void)state;
	assert_int_equal(state_dir_create(root, "c1", &fd, &err), 0);
	assert_int_equal(start_socket_connect(fd, &client, &err), -ENOENT);
	assert_int_equal(start_socket_new(&sock, &err), 0);
	assert_int_equal(start_socket_listen(sock, fd, &err), 0);
	assert_int_equal(start_socket_connect(fd, &client, &err), 0);
	server = accept4(sock, NULL, NULL, SOCK_CLOEXEC);
	assert_true(server >= 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(an_id_can_be_taken_once),
	    TEST(ids_that_are_paths_are_refused),
	    TEST(an_unknown_id_is_said_in_the_words_that_containerd_looks_for),
	    TEST(the_state_comes_back_as_it_was_written),
	    TEST(the_status_follows_the_process_the_socket_and_the_mark),
	    TEST(a_zombie_and_a_reused_pid_count_as_stopped),
	    TEST(a_creator_that_died_before_it_had_a_process_leaves_a_stopped_container),
	    TEST(a_start_reaches_who_listens_however_long_the_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
