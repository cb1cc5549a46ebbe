/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/keeper_box.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/sys.h"

void box_make_root(char root[64])
{
	strcpy(root, "/tmp/volrun-test-XXXXXX");
	if (!mkdtemp(root))
		abort();
}

void box_remove_root(const char *root)
{
	remove_tree_at(AT_FDCWD, root);
}

void box_open(struct box *b, const char *root, const char *node, const char *extra)
{
	char text[2048];

	*b = (struct box){.node = node};
	snprintf(b->root, sizeof(b->root), "%s", root);
	snprintf(b->config, sizeof(b->config), "%s/%s.json", root, node);
	snprintf(b->run_dir, sizeof(b->run_dir), "%s/%s.run", root, node);
	snprintf(b->cache, sizeof(b->cache), "%s/%s.cache", root, node);
	snprintf(text, sizeof(text),
		 "{\"stores\":{\"default\":{\"type\":\"filesystem\",\"path\":\"%s/store\"}},\"node_name\":\"%s\","
		 "\"identity\":{\"engine\":\"local\"},\"cache\":{\"path\":\"%s\"},\"run_dir\":\"%s\","
		 "\"lease\":{\"ttl\":\"2s\",\"poll\":\"200ms\"}%s}",
		 root, node, b->cache, b->run_dir, extra);
	write_file_atomic_at(AT_FDCWD, b->config, text, strlen(text), 0600, false);
}

static void write_bundle(const struct run *r, const char *annotations, char bundle[128])
{
	char path[160], text[4096];

	snprintf(bundle, 128, "%s/bundle-%s", r->box->root, r->id);
	mkdir(bundle, 0700);
	snprintf(path, sizeof(path), "%s/config.json", bundle);
	snprintf(text, sizeof(text),
		 "{\"ociVersion\":\"1.0.2\",\"root\":{\"path\":\"rootfs\"},"
		 "\"process\":{\"cwd\":\"/\",\"args\":[\"true\"],\"user\":{\"uid\":0,\"gid\":0}},"
		 "\"linux\":{\"namespaces\":[{\"type\":\"mount\"}]},\"annotations\":{%s}}",
		 annotations);
	write_file_atomic_at(AT_FDCWD, path, text, strlen(text), 0600, false);
}

/* The program of the build directory; its stdin is the state. */
static pid_t start_hook(struct run *r, const char *status, const char *const *argv, int keep_fd)
{
	char state[1024], config[160], bundle[128], path[64];
	int in[2], out[2];
	pid_t pid;

	snprintf(bundle, sizeof(bundle), "%s/bundle-%s", r->box->root, r->id);
	snprintf(state, sizeof(state),
		 "{\"ociVersion\":\"1.0.2\",\"id\":\"%s\",\"status\":\"%s\",\"pid\":%d,\"bundle\":\"%s\"}", r->id,
		 status, (int)r->init, bundle);
	snprintf(config, sizeof(config), "--config=%s", r->box->config);
	snprintf(path, sizeof(path), "./volrun-hook");
	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
		abort();
	pid = fork();
	if (pid == 0) {
		char *args[] = {path, config, (char *)argv[0], (char *)argv[1], (char *)argv[2], NULL};

		dup2(in[0], 0);
		dup2(out[1], 2);
		if (keep_fd >= 0)
			fd_cloexec(keep_fd, false);
		execv(path, args);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	write_all(in[1], state, strlen(state));
	close(in[1]);
	r->err_fd = out[0];
	return pid;
}

void run_start(struct run *r, const struct box *b, const char *id, const char *annotations)
{
	run_start_in(r, b, id, annotations, NULL);
}

void run_start_in(struct run *r, const struct box *b, const char *id, const char *annotations, const char *procs)
{
	char bundle[128], option[32];
	char note[160];
	const char *argv[] = {"prestart", option, b->restored ? note : NULL};
	int pair[2];

	snprintf(note, sizeof(note), "--checkpoint=%s", b->restored ? b->restored : "");
	*r = (struct run){.box = b, .id = id, .hook = -1};
	write_bundle(r, annotations, bundle);
	r->init = fork();
	if (r->init == 0) {
		/* The mounts of other runs, which would write there after those have ended. */
		sys_close_range(3, ~0u, 0);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	if (procs) {
		snprintf(option, sizeof(option), "%d", (int)r->init);
		assert_int_equal(write_file_at(AT_FDCWD, procs, option), 0);
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		abort();
	snprintf(option, sizeof(option), "--socket=%d", pair[1]);
	r->hook = start_hook(r, "creating", argv, pair[1]);
	close(pair[1]);
	r->sock = pair[0];
}

static void finish_hook(struct run *r)
{
	char *text = NULL;
	int status;

	r->output[0] = '\0';
	/* Ends when the hook does: the keeper keeps no copy of the pipe. */
	if (read_fd(r->err_fd, sizeof(r->output) - 1, &text, NULL) == 0)
		snprintf(r->output, sizeof(r->output), "%s", text);
	free(text);
	close(r->err_fd);
	waitpid(r->hook, &status, 0);
	r->hook = -1;
	r->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* What comes first: where they will be. */
static void receive_plan(struct run *r, char text[1024])
{
	size_t n = 1;
	int fd;

	if (recv_fds(r->sock, text, 1023, &fd, &n) > 0)
		assert_int_equal(n, 0);
}

void run_wait(struct run *r)
{
	char plan[1024] = "";

	finish_hook(r);
	receive_plan(r, plan);
	for (;;) {
		char text[512] = "", *start;
		size_t n = 1;
		int fd;
		ssize_t len = recv_fds(r->sock, text, sizeof(text) - 1, &fd, &n);

		if (len <= 0 || n != 1 || r->n_mounts == 10)
			break;
		start = strstr(text, "\"destination\":\"") + strlen("\"destination\":\"");
		snprintf(r->destinations[r->n_mounts], 64, "%.*s", (int)strcspn(start, "\""), start);
		assert_non_null(strstr(plan, r->destinations[r->n_mounts]));
		r->mounts[r->n_mounts++] = fd;
	}
}

bool run_create(struct run *r, const struct box *b, const char *id, const char *annotations)
{
	run_start(r, b, id, annotations);
	run_wait(r);
	return r->status == 0;
}

void must_create(struct run *r, const struct box *b, const char *id, const char *annotations)
{
	if (!run_create(r, b, id, annotations))
		fail_msg("create %s: %s", id, r->output);
}

void run_kill(struct run *r)
{
	size_t i;

	for (i = 0; i < r->n_mounts; i++)
		close(r->mounts[i]);
	r->n_mounts = 0;
	if (r->init > 0) {
		kill(r->init, SIGKILL);
		waitpid(r->init, NULL, 0);
	}
	r->init = 0;
}

int run_checkpoint(struct run *r, const char *file)
{
	char note[160];
	const char *argv[] = {"checkpoint", note, NULL};

	snprintf(note, sizeof(note), "--checkpoint=%s", file);
	r->hook = start_hook(r, "running", argv, -1);
	finish_hook(r);
	return r->status;
}

int run_poststop(struct run *r)
{
	const char *argv[] = {"poststop", NULL, NULL};

	r->hook = start_hook(r, "stopped", argv, -1);
	finish_hook(r);
	return r->status;
}

void run_close(struct run *r)
{
	if (r->hook > 0) {
		kill(r->hook, SIGKILL);
		waitpid(r->hook, NULL, 0);
		close(r->err_fd);
	}
	run_kill(r);
	close(r->sock);
}

void run_end(struct run *r)
{
	run_kill(r);
	assert_int_equal(run_poststop(r), 0);
	assert_string_equal(r->output, "");
	run_close(r);
}

int mount_write(struct run *r, size_t i, const char *path, const char *text)
{
	_cleanup_close_ int fd = openat(r->mounts[i], path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	return fd < 0 ? -1 : write_all(fd, text, strlen(text));
}

char *mount_read(struct run *r, size_t i, const char *path, char *buf, size_t size)
{
	char *text = NULL;

	if (read_file_at(r->mounts[i], path, size - 1, &text, NULL) < 0)
		return NULL;
	snprintf(buf, size, "%s", text);
	free(text);
	return buf;
}

pid_t box_keeper(const struct box *b, const char *volume)
{
	_cleanup_free_ char *text = NULL;
	char path[256];
	int pid = 0;

	snprintf(path, sizeof(path), "%s/default/default/%s/keeper", b->cache, volume);
	if (read_file_at(AT_FDCWD, path, 1024, &text, NULL) == 0)
		sscanf(text, "{\"pid\":%d", &pid);
	return pid;
}

static bool is_gone(pid_t pid)
{
	_cleanup_free_ char *text = NULL;
	char path[64], *p;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (read_file_at(AT_FDCWD, path, 4096, &text, NULL) < 0)
		return true;
	p = strrchr(text, ')');
	return p && p[1] == ' ' && p[2] == 'Z';
}

bool wait_gone(pid_t pid, int ms)
{
	for (; ms > 0; ms -= 10) {
		if (is_gone(pid))
			return true;
		clock_sleep_ns(10 * NSEC_PER_MSEC);
	}
	return false;
}

int count_entries(const char *path)
{
	_cleanup_closedir_ DIR *dir = opendir(path);
	struct dirent *d;
	int n = 0;

	if (!dir)
		return -1;
	while ((d = readdir(dir)))
		n += strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0;
	return n;
}

int nodes_setup(void **state)
{
	struct nodes *x = calloc(1, sizeof(*x));

	box_make_root(x->root);
	box_open(&x->a, x->root, "node-a", "");
	box_open(&x->b, x->root, "node-b", "");
	*state = x;
	return 0;
}

int nodes_teardown(void **state)
{
	struct nodes *x = *state;
	int left = 500;

	while (left > 0 && waitpid(-1, NULL, WNOHANG) >= 0) {
		clock_sleep_ns(10 * NSEC_PER_MSEC);
		left--;
	}
	box_remove_root(x->root);
	free(x);
	return left > 0 ? 0 : -1;
}

int nodes_main(const char *program)
{
	if (geteuid() != 0) {
		fprintf(stderr, "%s: skipped: only root can make detached mounts\n", program);
		return 77;
	}
	/* Keepers become our children when their hook has ended: nodes_teardown waits for them. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	return 0;
}
