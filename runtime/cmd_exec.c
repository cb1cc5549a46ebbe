/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/log.h"
#include "base/num.h"
#include "runtime/caps.h"
#include "runtime/command.h"
#include "runtime/console.h"
#include "runtime/create_defaults.h"
#include "runtime/exec.h"
#include "runtime/process.h"
#include "runtime/sealed_self.h"

struct options {
	const char *process, *pid_file, *console_socket, *pidfd_socket, *user, *cwd, *apparmor, *label, *preserve_fds;
	struct arg_list env, caps, gids, cgroups;
	bool detach, tty, no_new_privs, ignore_paused;
};

#define AT(member) offsetof(struct options, member)
static const struct arg_option exec_options[] = {
    {"process", 'p', ARG_STR, AT(process), "FILE", "JSON of the process, as in config.json"},
    {"detach", 'd', ARG_BOOL, AT(detach), NULL, "don't wait for its end"},
    {"pid-file", 0, ARG_STR, AT(pid_file), "FILE", "write its pid to it"},
    {"console-socket", 0, ARG_STR, AT(console_socket), "PATH", "unix socket that receives the terminal"},
    {"pidfd-socket", 0, ARG_STR, AT(pidfd_socket), "PATH", "unix socket that receives a pidfd of the process"},
    {"tty", 't', ARG_BOOL, AT(tty), NULL, "with a terminal"},
    {"user", 'u', ARG_STR, AT(user), "UID[:GID]", "as this user"},
    {"additional-gids", 'g', ARG_LIST, AT(gids), "GID", "in this group too"},
    {"cwd", 0, ARG_STR, AT(cwd), "DIR", "working directory"},
    {"env", 'e', ARG_LIST, AT(env), "NAME=VALUE", "environment variable"},
    {"cap", 'c', ARG_LIST, AT(caps), "CAP", "with this capability too"},
    {"apparmor", 0, ARG_STR, AT(apparmor), "PROFILE", "AppArmor profile"},
    {"process-label", 0, ARG_STR, AT(label), "LABEL", "SELinux label"},
    {"no-new-privs", 0, ARG_BOOL, AT(no_new_privs), NULL, "set no_new_privs"},
    {"preserve-fds", 0, ARG_STR, AT(preserve_fds), "N", "pass descriptors 3 to 3+N-1 on"},
    {"cgroup", 0, ARG_LIST, AT(cgroups), "[CTRL:]PATH", "in this cgroup beneath the container's (CTRL: on v1)"},
    {"ignore-paused", 0, ARG_BOOL, AT(ignore_paused), NULL, "also in a paused container (it waits until resume)"},
    {NULL},
};

static int parse_user(const char *text, struct spec_user *ret, struct error *err)
{
	char buf[32];
	const char *gid = strchr(text, ':');
	uint64_t uid_n, gid_n = ret->gid;

	snprintf(buf, sizeof(buf), "%.*s", gid ? (int)(gid - text) : (int)strlen(text), text);
	if (num_parse_u64(buf, UINT32_MAX - 1, &uid_n) < 0 ||
	    (gid && num_parse_u64(gid + 1, UINT32_MAX - 1, &gid_n) < 0))
		return error_set(err, EINVAL, "--user: \"%s\" is not of the form UID[:GID]", text);
	ret->uid = (uint32_t)uid_n;
	ret->gid = (uint32_t)gid_n;
	return 0;
}

static int parse_gids(const struct arg_list *list, struct spec_user *ret, struct arena *arena, struct error *err)
{
	uint32_t *gids;

	if (!list->n)
		return 0;
	gids = arena_calloc(arena, list->n, sizeof(*gids));
	if (!gids)
		return error_set(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < list->n; i++) {
		uint64_t n;

		if (num_parse_u64(list->items[i], UINT32_MAX - 1, &n) < 0)
			return error_set(err, EINVAL, "--additional-gids: \"%s\" is not a group id", list->items[i]);
		gids[i] = (uint32_t)n;
	}
	ret->additional_gids = gids;
	ret->n_additional_gids = list->n;
	return 0;
}

/* The two lists one after the other, NULL-terminated. */
static int join_lists(const char **a, size_t n_a, const struct arg_list *b, struct arena *arena, const char ***ret,
		      size_t *ret_n, struct error *err)
{
	const char **all = arena_calloc(arena, n_a + b->n + 1, sizeof(*all));

	if (!all)
		return error_set(err, ENOMEM, "out of memory");
	if (n_a)
		memcpy(all, a, n_a * sizeof(*all));
	if (b->n)
		memcpy(all + n_a, b->items, b->n * sizeof(*all));
	*ret = all;
	*ret_n = n_a + b->n;
	return 0;
}

static bool same_variable(const char *a, const char *b)
{
	size_t n = strcspn(a, "=");

	return strncmp(a, b, n) == 0 && (b[n] == '=' || b[n] == '\0');
}

/* The later one of a name counts, and the earlier one goes: programs read the first. */
static int merge_env(const struct spec_process *base, const struct arg_list *more, struct arena *arena,
		     struct spec_process *ret, struct error *err)
{
	const char **all;
	size_t n_all, n = 0;
	int r = join_lists(base->env, base->n_env, more, arena, &all, &n_all, err);

	for (size_t i = 0; r == 0 && i < n_all; i++) {
		bool again = false;

		for (size_t k = i < base->n_env ? base->n_env : i + 1; k < n_all && !again; k++)
			again = same_variable(all[k], all[i]);
		if (!again)
			all[n++] = all[i];
	}
	if (r < 0)
		return r;
	all[n] = NULL;
	ret->env = all;
	ret->n_env = n;
	return 0;
}

static int add_caps(const struct arg_list *caps, struct spec_process *p, struct arena *arena, struct error *err)
{
	struct spec_caps *c = arena_alloc(arena, sizeof(*c));
	int r;

	if (!caps->n)
		return 0;
	/* What a config.json names may be newer than we are; what somebody types is a mistake. */
	for (size_t i = 0; i < caps->n; i++)
		if (!caps_known(caps->items[i]))
			return error_set(err, EINVAL, "--cap: unknown capability \"%s\"", caps->items[i]);
	if (!c)
		return error_set(err, ENOMEM, "out of memory");
	if (p->capabilities)
		*c = *p->capabilities;
	r = join_lists(c->bounding, c->n_bounding, caps, arena, &c->bounding, &c->n_bounding, err);
	if (r == 0)
		r = join_lists(c->effective, c->n_effective, caps, arena, &c->effective, &c->n_effective, err);
	if (r == 0)
		r = join_lists(c->permitted, c->n_permitted, caps, arena, &c->permitted, &c->n_permitted, err);
	/* As runc: what isn't inheritable can't be ambient, and --cap makes nothing inheritable. */
	if (r == 0 && c->n_inheritable)
		r = join_lists(c->ambient, c->n_ambient, caps, arena, &c->ambient, &c->n_ambient, err);
	p->capabilities = c;
	return r;
}

/* The container's own process with what the command line changes. */
static int process_from_flags(const struct options *o, const struct arg_list *args, const struct spec_process *base,
			      struct arena *arena, struct spec_process *ret, struct error *err)
{
	int r;

	*ret = *base;
	ret->args = args->items + 1;
	ret->n_args = args->n - 1;
	ret->terminal = o->tty;
	ret->console_size = NULL;
	if (args->n < 2)
		return error_set(err, EINVAL, "Incorrect Usage: volrun exec: the command is missing");
	if (o->cwd && o->cwd[0] != '/')
		return error_set(err, EINVAL, "--cwd: \"%s\" is not an absolute path", o->cwd);
	if (o->cwd)
		ret->cwd = o->cwd;
	if (o->apparmor)
		ret->apparmor_profile = o->apparmor;
	if (o->label)
		ret->selinux_label = o->label;
	if (o->no_new_privs)
		ret->no_new_privileges = true;
	r = o->user ? parse_user(o->user, &ret->user, err) : 0;
	if (r == 0)
		r = parse_gids(&o->gids, &ret->user, arena, err);
	if (r == 0)
		r = merge_env(base, &o->env, arena, ret, err);
	return r == 0 ? add_caps(&o->caps, ret, arena, err) : r;
}

/* What a process.json leaves out is as the container's own process has it. */
static int process_from_file(const struct options *o, const struct spec_process *base, struct arena *arena,
			     struct spec_process *ret, struct error *err)
{
	int r = spec_load_process(o->process, arena, ret, err);

	if (r < 0)
		return r;
	if (!ret->capabilities)
		ret->capabilities = base->capabilities;
	if (!ret->n_rlimits) {
		ret->rlimits = base->rlimits;
		ret->n_rlimits = base->n_rlimits;
	}
	if (!ret->apparmor_profile)
		ret->apparmor_profile = base->apparmor_profile;
	if (!ret->selinux_label)
		ret->selinux_label = base->selinux_label;
	if (!ret->oom_score_adj)
		ret->oom_score_adj = base->oom_score_adj;
	if (!ret->scheduler)
		ret->scheduler = base->scheduler;
	if (!ret->io_priority)
		ret->io_priority = base->io_priority;
	if (!ret->exec_cpu_affinity)
		ret->exec_cpu_affinity = base->exec_cpu_affinity;
	if (o->tty)
		ret->terminal = true;
	return 0;
}

/* Before its config.json is read: one that is being created need not have any yet. */
static int check_status(const struct container *c, const struct options *o, struct error *err)
{
	if (c->status == OCI_STOPPED || c->status == OCI_CREATING)
		return error_set(err, ESRCH, "cannot exec in a %s container: container not running",
				 oci_status_names[c->status]);
	if (c->status == OCI_PAUSED && !o->ignore_paused)
		return error_set(err, EBUSY, "cannot exec in a paused container (use --ignore-paused to override)");
	return 0;
}

static void tell(const char *id, const struct spec_process *p, pid_t pid)
{
	const struct spec_exec_cpu_affinity *a = p->exec_cpu_affinity;
	unsigned long mask[AFFINITY_CPUS_MAX / (8 * sizeof(unsigned long))];

	log_debug("container %s: process %d", id, pid);
	if (a && a->initial && num_parse_list(a->initial, AFFINITY_CPUS_MAX, mask) == 0)
		log_debug("process %d began with the CPU affinity: 0x%lx", pid, mask[0]);
}

static int exec_process(const struct globals *g, const struct options *o, const struct arg_list *args,
			struct arena *arena, struct error *err)
{
	_cleanup_container_ struct container c = CONTAINER_INIT;
	_cleanup_strbuf_ struct strbuf notes = STRBUF_INIT;
	_cleanup_close_ int pidfd = -1, master = -1;
	struct exec_request request = {.container = &c,
				       .console_socket = o->console_socket,
				       .pid_file = o->pid_file,
				       .pidfd_socket = o->pidfd_socket,
				       .sub_cgroups = &o->cgroups};
	struct exec_result result;
	const struct spec_process *base;
	struct spec_process process;
	struct spec spec = {.process = NULL};
	char path[FD_PATH_MAX];
	int r = command_parse_number("--preserve-fds", o->preserve_fds, 1024, &request.preserve_fds, err);

	if (r == 0)
		r = process_hold_gaps(request.preserve_fds, err);
	if (r == 0)
		r = container_open(g->root, args->items[0], arena, &c, err);
	if (r == 0)
		r = check_status(&c, o, err);
	if (r == 0)
		r = spec_load(fd_path(c.dir_fd, path), arena, &spec, err);
	if (r < 0)
		return r;
	if (self_is_exposed(&spec))
		self_seal();
	base = spec.process ? spec.process : spec_no_process();
	r = o->process ? process_from_file(o, base, arena, &process, err)
		       : process_from_flags(o, args, base, arena, &process, err);
	if (r == 0 && process.terminal && o->detach && !o->console_socket)
		r = error_set(err, EINVAL, "a detached process with a terminal needs --console-socket");
	if (r < 0)
		return r;
	request.spec = &spec;
	request.process = &process;
	r = container_exec(&request, &result, arena, &notes, err);
	command_log_notes(&notes, o->detach ? NOTES_OF_CONTAINER : NOTES_FOREGROUND);
	if (r < 0)
		return r;
	tell(c.state.id, &process, result.pid);
	pidfd = result.pidfd;
	master = result.master;
	return o->detach ? 0 : foreground_wait(result.pid, pidfd, master, -1, err);
}

static int run_exec(const struct globals *g, int argc, char **argv, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct options o = {.process = NULL};
	struct arg_list args;
	int r = command_parse(&command_exec, argc, argv, 1, SIZE_MAX, &o, &arena, &args, err);

	if (r <= 0)
		return r;
	r = exec_process(g, &o, &args, &arena, err);
	return r < 0 ? error_wrap(err, "exec failed") : r;
}

const struct command command_exec = {
    "exec",	  "[options] ID COMMAND [ARG ...]", "run another process in a container",
    exec_options, ARGS_STOP_AT_POSITIONAL,	    run_exec,
    255,
};
