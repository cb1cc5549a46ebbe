/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timeit ROUNDS -- NAME [+ STEP COMMAND...]... [-- NAME ...]...
 *
 * Times contenders against each other. In each round every contender runs its
 * steps once, one after the other; who begins moves on with each round, so that nobody
 * always runs after the same one. `{}` in an argument is the round's number.
 * One round before the first is not counted. Prints a line for each contender and step:
 *
 *     NAME <tab> STEP <tab> median <tab> least <tab> 90th percentile <tab> peak
 *
 * in microseconds; peak is the largest resident set (KiB) of the command and what it waited for. To be
 * linked statically: a spawned process begins with the resident set of this one.
 *
 * A step called "parallel" has a number N before its command: N commands run at once, {} is 1 to N, and
 * the time is that until the last has ended, divided by N.
 * A step called "reap" is not timed: its argument is a file with the pid of an
 * orphan (a container's init), which is waited for. A step called "also" runs its command untimed.
 * Commands have /dev/null as stdin and stdout. One that fails ends it all: exit status 1.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CONTENDERS_MAX 8
#define STEPS_MAX 16
#define ARGS_MAX 64
#define ARG_MAX_LEN 4096
#define ROUNDS_MAX 10000
#define PARALLEL_MAX 1024

extern char **environ;

struct step {
	const char *name;
	char **args;
	int n_args;
	int64_t *ns; /* one per round; NULL: not timed */
	long peak;
};

struct contender {
	const char *name;
	struct step steps[STEPS_MAX];
	int n_steps;
};

static struct contender contenders[CONTENDERS_MAX];
static int n_contenders, rounds;
static posix_spawn_file_actions_t quiet;

static void die(const char *what, const char *which)
{
	fprintf(stderr, "timeit: %s: %s\n", which, what);
	exit(1);
}

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* --- the command line ------------------------------------------------------------ */

static int is_separator(const char *arg)
{
	return strcmp(arg, "--") == 0 || strcmp(arg, "+") == 0;
}

static void parse_step(struct contender *c, char **argv, int argc, int *i)
{
	struct step *s = &c->steps[c->n_steps++];

	if (c->n_steps >= STEPS_MAX || *i + 1 >= argc)
		die("too many steps, or one without a command", c->name);
	s->name = argv[(*i)++];
	s->args = &argv[*i];
	while (*i < argc && !is_separator(argv[*i])) {
		s->n_args++;
		(*i)++;
	}
	if (s->n_args == 0 || s->n_args >= ARGS_MAX)
		die("no command, or one that is too long", s->name);
	if (strcmp(s->name, "reap") != 0 && strcmp(s->name, "also") != 0)
		s->ns = calloc((size_t)rounds, sizeof(*s->ns));
}

static void parse(int argc, char **argv)
{
	int i = 2;

	rounds = argc > 1 ? atoi(argv[1]) : 0;
	if (rounds < 1 || rounds > ROUNDS_MAX)
		die("usage: timeit ROUNDS -- NAME [+ STEP COMMAND...]... [-- NAME ...]...", "arguments");
	while (i < argc) {
		struct contender *c = &contenders[n_contenders++];

		if (n_contenders > CONTENDERS_MAX || strcmp(argv[i], "--") != 0 || i + 1 >= argc)
			die("expected -- NAME", argv[i]);
		c->name = argv[i + 1];
		i += 2;
		while (i < argc && strcmp(argv[i], "+") == 0) {
			i++;
			parse_step(c, argv, argc, &i);
		}
	}
}

/* --- running --------------------------------------------------------------------- */

/* {} becomes the round's number. */
static void expand(char out[ARG_MAX_LEN], const char *arg, int round)
{
	const char *hole = strstr(arg, "{}");
	int n = hole ? snprintf(out, ARG_MAX_LEN, "%.*s%d%s", (int)(hole - arg), arg, round, hole + 2)
		     : snprintf(out, ARG_MAX_LEN, "%s", arg);

	if (n < 0 || n >= ARG_MAX_LEN)
		die("is too long", arg);
}

static void reap(const struct contender *c, const char *pid_file)
{
	FILE *f = fopen(pid_file, "re");
	int pid = 0;

	if (!f || fscanf(f, "%d", &pid) != 1 || pid <= 1)
		die("no pid to wait for", pid_file);
	fclose(f);
	/* Orphans come to us. */
	while (waitpid(pid, NULL, 0) < 0) {
		if (errno != EINTR)
			die("is no child of ours", c->name);
	}
}

static pid_t start(const struct step *s, int first, int number)
{
	static char text[ARGS_MAX][ARG_MAX_LEN];
	char *args[ARGS_MAX];
	pid_t pid;
	int r, n = 0;

	for (int i = first; i < s->n_args; i++, n++) {
		expand(text[n], s->args[i], number);
		args[n] = text[n];
	}
	args[n] = NULL;
	r = posix_spawnp(&pid, args[0], &quiet, NULL, args, environ);
	if (r != 0)
		die(strerror(r), args[0]);
	return pid;
}

static void finish(const struct contender *c, struct step *s, int number, pid_t pid)
{
	struct rusage usage;
	int status;

	while (wait4(pid, &status, 0, &usage) < 0)
		;
	if (status != 0) {
		fprintf(stderr, "timeit: %s %s (number %d) ended with status %d\n", c->name, s->name, number,
			WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
		exit(1);
	}
	if (usage.ru_maxrss > s->peak)
		s->peak = usage.ru_maxrss;
}

static void run_parallel(const struct contender *c, struct step *s)
{
	static pid_t pids[PARALLEL_MAX];
	int n = atoi(s->args[0]);

	if (n < 1 || n > PARALLEL_MAX)
		die("is no number of commands", s->args[0]);
	for (int k = 1; k <= n; k++)
		pids[k - 1] = start(s, 1, k);
	for (int k = 1; k <= n; k++)
		finish(c, s, k, pids[k - 1]);
}

static void run_step(const struct contender *c, struct step *s, int round, int counted)
{
	int64_t begin = now();
	char pid_file[ARG_MAX_LEN];

	if (strcmp(s->name, "reap") == 0) {
		expand(pid_file, s->args[0], round);
		reap(c, pid_file);
		return;
	}
	if (strcmp(s->name, "parallel") == 0)
		run_parallel(c, s);
	else
		finish(c, s, round, start(s, 0, round));
	if (s->ns && counted)
		s->ns[round - 1] = (now() - begin) / (strcmp(s->name, "parallel") == 0 ? atoi(s->args[0]) : 1);
}

static void run_round(int round, int counted)
{
	for (int k = 0; k < n_contenders; k++) {
		struct contender *c = &contenders[(k + round) % n_contenders];

		for (int i = 0; i < c->n_steps; i++)
			run_step(c, &c->steps[i], round, counted);
		/* What else it left to us. */
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void print_step(const char *name, const struct step *s)
{
	int low = (rounds - 1) / 2, high = rounds / 2, tenth = (rounds * 9 + 9) / 10 - 1;

	qsort(s->ns, (size_t)rounds, sizeof(*s->ns), compare);
	printf("%s\t%s\t%.0f\t%.0f\t%.0f\t%ld\n", name, s->name, (double)(s->ns[low] + s->ns[high]) / 2000.0,
	       (double)s->ns[0] / 1000.0, (double)s->ns[tenth] / 1000.0, s->peak);
}

static void print_results(void)
{
	for (int k = 0; k < n_contenders; k++) {
		for (int i = 0; i < contenders[k].n_steps; i++) {
			if (contenders[k].steps[i].ns)
				print_step(contenders[k].name, &contenders[k].steps[i]);
		}
	}
}

int main(int argc, char **argv)
{
	parse(argc, argv);
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	posix_spawn_file_actions_init(&quiet);
	posix_spawn_file_actions_addopen(&quiet, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0);
	run_round(0, 0);
	for (int round = 1; round <= rounds; round++)
		run_round(round, 1);
	print_results();
	return 0;
}
