/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "base/sys.h"
#include "runtime/command.h"
#include "runtime/state_dir.h"

struct options {
	bool all, regex;
};

static const struct arg_option kill_options[] = {
    {"all", 'a', ARG_BOOL, offsetof(struct options, all), NULL,
     "signal every process of the container; one that has stopped is no error"},
    {"regex", 'r', ARG_BOOL, offsetof(struct options, regex), NULL, "ID is a regular expression: all that match it"},
    {NULL},
};

/* "9", "KILL", "SIGKILL", "sigkill", "RTMIN+1" */
static int parse_signal(const char *text, int *ret, struct error *err)
{
	const char *name = strncasecmp(text, "SIG", 3) == 0 ? text + 3 : text;
	uint64_t n;

	if (num_parse_u64(text, (uint64_t)SIGRTMAX, &n) == 0) {
		*ret = (int)n;
		return 0;
	}
	for (int sig = 1; sig < NSIG; sig++) {
		const char *abbrev = sigabbrev_np(sig);

		if (abbrev && strcasecmp(abbrev, name) == 0) {
			*ret = sig;
			return 0;
		}
	}
	if (strncasecmp(name, "RTMIN+", 6) == 0 && num_parse_u64(name + 6, (uint64_t)(SIGRTMAX - SIGRTMIN), &n) == 0)
		*ret = SIGRTMIN + (int)n;
	else if (strncasecmp(name, "RTMAX-", 6) == 0 &&
		 num_parse_u64(name + 6, (uint64_t)(SIGRTMAX - SIGRTMIN), &n) == 0)
		*ret = SIGRTMAX - (int)n;
	else
		return error_set(err, EINVAL, "unknown signal \"%s\"", text);
	return 0;
}

static int signal_init(const struct container *c, int sig, struct error *err)
{
	_cleanup_close_ int pidfd = -1;
	int r = container_pidfd(&c->state, &pidfd, err);

	if (r < 0)
		return r;
	if (sys_pidfd_send_signal(pidfd, sig, NULL, 0) == 0)
		return 0;
	if (errno == ESRCH)
		return error_set(err, ESRCH, "container not running: no such process");
	return error_errno(err, errno, "send signal %d to the container's init", sig);
}

static int signal_container(const struct container *c, int sig, bool all, struct error *err)
{
	struct cgroup cg = CGROUP_INIT;
	struct error thaw = ERROR_INIT;
	int r = container_cgroup(&c->state, &cg, err);

	if (r < 0)
		return r;
	/* Without a pid namespace of its own the others would outlive init. */
	if (cgroup_is_there(&cg) && (all || (sig == SIGKILL && c->state.shared_pid_ns)))
		r = sig == SIGKILL ? cgroup_kill(&cg, err) : cgroup_signal(&cg, sig, err);
	else
		r = signal_init(c, sig, err);
	/* A frozen process ends only when it is thawed. */
	if (r == 0 && sig == SIGKILL && c->status == OCI_PAUSED)
		cgroup_freeze(&cg, false, &thaw);
	cgroup_close(&cg);
	return r;
}

/* Are there processes of a container whose init has ended? Only without a pid namespace of its own. */
static bool outlived(const struct container *c)
{
	_cleanup_free_ pid_t *pids = NULL;
	struct cgroup cg = CGROUP_INIT;
	struct error ignored = ERROR_INIT;
	size_t n = 0;

	if (!c->state.shared_pid_ns || container_cgroup(&c->state, &cg, &ignored) < 0)
		return false;
	if (cgroup_is_there(&cg))
		(void)cgroup_pids(&cg, &pids, &n, &ignored);
	cgroup_close(&cg);
	return n > 0;
}

static int kill_one(const struct globals *g, const char *id, int sig, bool all, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_container_ struct container c = CONTAINER_INIT;
	int r = container_open(g->root, id, &arena, &c, err);

	if (r < 0)
		return r;
	if (c.status == OCI_STOPPED && !all && !(sig == SIGKILL && outlived(&c)))
		return error_set(err, ESRCH, "container not running: no such process");
	return signal_container(&c, sig, all, err);
}

/* All are tried; the first failure is told. */
static int kill_matching(const struct globals *g, const char *pattern, int sig, bool all, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	const char **ids;
	size_t n;
	int r = container_ids_matching(g->root, pattern, &arena, &ids, &n, err), first = r;

	for (size_t i = 0; r == 0 && i < n; i++) {
		struct error e = ERROR_INIT;

		if (kill_one(g, ids[i], sig, all, &e) < 0 && first == 0) {
			*err = e;
			first = error_wrap(err, "kill %s", ids[i]);
		}
	}
	return first;
}

static int run_kill(const struct globals *g, int argc, char **argv, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct options o = {.all = false};
	struct arg_list args;
	int sig = SIGTERM, r = command_parse(&command_kill, argc, argv, 1, 3, &o, &arena, &args, err);

	if (r <= 0)
		return r;
	/* Older callers put the flag at the end: kill ID 9 --all */
	if (args.n == 3 && strcmp(args.items[2], "--all") != 0 && strcmp(args.items[2], "-a") != 0)
		return error_set(err, EINVAL, "Incorrect Usage: volrun kill %s", command_kill.usage);
	if (args.n > 1 && (r = parse_signal(args.items[1], &sig, err)) < 0)
		return r;
	o.all = o.all || args.n == 3;
	return o.regex ? kill_matching(g, args.items[0], sig, o.all, err) : kill_one(g, args.items[0], sig, o.all, err);
}

const struct command command_kill = {
    "kill",
    "[options] ID [SIGNAL]",
    "send a signal (TERM) to a container",
    kill_options,
    ARGS_STOP_AT_POSITIONAL,
    run_kill,
    1,
};
