/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "runtime/command.h"
#include "runtime/state_dir.h"

struct options {
	const char *format;
};

static const struct arg_option ps_options[] = {
    {"format", 'f', ARG_STR, offsetof(struct options, format), "FORMAT", "table (default) or json: an array of pids"},
    {NULL},
};

static bool contains(const pid_t *pids, size_t n, long pid)
{
	for (size_t i = 0; i < n; i++)
		if (pids[i] == pid)
			return true;
	return false;
}

/* The word of a line at a column that counts words; -1: no number. */
static long word_number(const char *line, int column)
{
	for (int i = 0; i < column; i++) {
		line += strspn(line, " \t");
		line += strcspn(line, " \t\n");
	}
	line += strspn(line, " \t");
	return *line >= '0' && *line <= '9' ? strtol(line, NULL, 10) : -1;
}

/* Which column of the head line is PID; -1: none. */
static int pid_column(const char *head)
{
	for (int column = 0; *head; column++) {
		size_t len;

		head += strspn(head, " \t\n");
		len = strcspn(head, " \t\n");
		if (len == 3 && memcmp(head, "PID", 3) == 0)
			return column;
		head += len;
	}
	return -1;
}

/* ps(1) shows all processes of the host; the container's are picked by the PID column. */
static int filter_ps(FILE *in, const pid_t *pids, size_t n, struct error *err)
{
	_cleanup_free_ char *line = NULL;
	size_t room = 0;
	int column = -1;

	while (getline(&line, &room, in) >= 0) {
		if (column < 0) {
			column = pid_column(line);
			if (column < 0)
				return error_set(err, EINVAL, "ps: its output has no column PID");
			fputs(line, stdout);
		} else if (contains(pids, n, word_number(line, column))) {
			fputs(line, stdout);
		}
	}
	return 0;
}

static int print_table(const pid_t *pids, size_t n, const struct arg_list *args, struct error *err)
{
	const char *const usual[] = {"ps", "-ef", NULL};
	_cleanup_fclose_ FILE *in = NULL;
	int pair[2], status, r;
	pid_t pid;

	if (pipe2(pair, O_CLOEXEC) < 0)
		return error_errno(err, errno, "run ps: pipe");
	pid = fork();
	if (pid == 0) {
		if (args->n > 1)
			args->items[0] = "ps";
		dup2(pair[1], STDOUT_FILENO);
		execvp("ps", (char *const *)(args->n > 1 ? args->items : usual));
		_exit(127);
	}
	close(pair[1]);
	in = fdopen(pair[0], "r");
	if (pid < 0 || !in)
		r = error_errno(err, errno, "run ps");
	else
		r = filter_ps(in, pids, n, err);
	/* Before the wait: ps may have more to say than a pipe holds. */
	if (in)
		fclose(TAKE_PTR(in));
	else
		close(pair[0]);
	if (pid > 0 && (waitpid(pid, &status, 0) < 0 || status != 0) && r == 0)
		r = error_set(err, EIO, "ps failed");
	return r;
}

static int run_ps(const struct globals *g, int argc, char **argv, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_container_ struct container c = CONTAINER_INIT;
	_cleanup_free_ pid_t *pids = NULL;
	struct options o = {.format = "table"};
	struct cgroup cg = CGROUP_INIT;
	struct arg_list args;
	size_t n = 0;
	int r = command_parse(&command_ps, argc, argv, 1, SIZE_MAX, &o, &arena, &args, err);

	if (r <= 0)
		return r;
	r = container_open(g->root, args.items[0], &arena, &c, err);
	if (r < 0)
		return r;
	r = container_cgroup(&c.state, &cg, err);
	if (r == 0 && !cgroup_is_there(&cg))
		r = error_set(err, ENOTSUP, "the container has no cgroup: its processes are not known");
	if (r == 0)
		r = cgroup_pids(&cg, &pids, &n, err);
	cgroup_close(&cg);
	if (r < 0)
		return r;
	if (strcmp(o.format, "json") != 0)
		return strcmp(o.format, "table") == 0
			   ? print_table(pids, n, &args, err)
			   : error_set(err, EINVAL, "--format: \"%s\" is neither table nor json", o.format);
	putchar('[');
	for (size_t i = 0; i < n; i++)
		printf("%s%d", i ? "," : "", pids[i]);
	puts("]");
	return 0;
}

const struct command command_ps = {
    "ps",	"[options] ID [PS_OPTION ...]", "show the processes of a container",
    ps_options, ARGS_STOP_AT_POSITIONAL,	run_ps,
    1,
};
