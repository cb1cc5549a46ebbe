/* SPDX-License-Identifier: Apache-2.0 */
/* create and run: the same options, the same steps. */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/sys.h"
#include "runtime/console.h"
#include "runtime/create.h"
#include "runtime/delete.h"
#include "runtime/notify_socket.h"
#include "runtime/oci_hooks.h"
#include "runtime/process.h"

struct options {
	const char *bundle, *config, *console_socket, *pid_file, *pidfd_socket, *preserve_fds;
	bool no_pivot, no_new_keyring, detach, keep;
};

#define CREATE_OPTIONS                                                                                                 \
	{"bundle", 'b', ARG_STR, offsetof(struct options, bundle), "DIR", "the bundle's directory (.)"},               \
	    {"config", 'f',                                                                                            \
	     ARG_STR,  offsetof(struct options, config),                                                               \
	     "FILE",   "this file instead of the bundle's config.json"},                                               \
	    {"console-socket", 0,                                                                                      \
	     ARG_STR,	       offsetof(struct options, console_socket),                                               \
	     "PATH",	       "unix socket that receives the terminal"},                                              \
	    {"pid-file", 0, ARG_STR, offsetof(struct options, pid_file), "FILE", "write the container's pid to it"},   \
	    {"pidfd-socket", 0,                                                                                        \
	     ARG_STR,	     offsetof(struct options, pidfd_socket),                                                   \
	     "PATH",	     "unix socket that receives a pidfd of the container"},                                    \
	    {"preserve-fds",                                                                                           \
	     0,                                                                                                        \
	     ARG_STR,                                                                                                  \
	     offsetof(struct options, preserve_fds),                                                                   \
	     "N",                                                                                                      \
	     "pass descriptors 3 to 3+N-1 on to the container"},                                                       \
	    {"no-pivot", 0,                                                                                            \
	     ARG_BOOL,	 offsetof(struct options, no_pivot),                                                           \
	     NULL,	 "no pivot_root (for a root file system on the initial ramdisk)"},                             \
	    {"no-new-keyring",                                                                                         \
	     0,                                                                                                        \
	     ARG_BOOL,                                                                                                 \
	     offsetof(struct options, no_new_keyring),                                                                 \
	     NULL,                                                                                                     \
	     "keep the caller's session keyring"},                                                                     \
	{                                                                                                              \
		"no-subreaper", 0, ARG_IGNORE, 0, NULL, NULL                                                           \
	}

static const struct arg_option create_options[] = {CREATE_OPTIONS, {NULL}};
static const struct arg_option run_options[] = {
    CREATE_OPTIONS,
    {"detach", 'd', ARG_BOOL, offsetof(struct options, detach), NULL, "leave the container running in the background"},
    {"keep", 0, ARG_BOOL, offsetof(struct options, keep), NULL, "don't delete the container at its end"},
    {NULL},
};

static int make_request(const struct globals *g, const struct options *o, const char *id, struct create_request *ret,
			struct error *err)
{
	int r;

	*ret = (struct create_request){
	    .globals = g,
	    .id = id,
	    .bundle = o->bundle ? o->bundle : ".",
	    .config = o->config,
	    .console_socket = o->console_socket,
	    .pid_file = o->pid_file,
	    .pidfd_socket = o->pidfd_socket,
	    .no_pivot = o->no_pivot,
	    .no_new_keyring = o->no_new_keyring,
	};
	r = command_parse_number("--preserve-fds", o->preserve_fds, 1024, &ret->preserve_fds, err);
	return r == 0 ? process_hold_gaps(ret->preserve_fds, err) : r;
}

static void tell(const struct created *made)
{
	const struct container_state *s = &made->container.state;

	log_debug("container %s: init is process %d, its bundle %s, its cgroup %s", s->id, s->pid, s->bundle,
		  s->cgroup_path ? s->cgroup_path : "that of the caller");
}

static int run_create(const struct globals *g, int argc, char **argv, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct options o = {.bundle = NULL};
	struct created made = {.pidfd = -1, .master = -1, .notify = -1, .container = CONTAINER_INIT};
	struct create_request request;
	struct arg_list args;
	int r = command_parse(&command_create, argc, argv, 1, 1, &o, &arena, &args, err);

	if (r <= 0)
		return r;
	r = make_request(g, &o, args.items[0], &request, err);
	if (r < 0)
		return r;
	r = container_create(&request, &made, err);
	if (r < 0)
		error_wrap(err, "create %s", args.items[0]);
	else
		tell(&made);
	command_log_notes(&made.notes, NOTES_FOREGROUND); /* engines give a log file */
	created_free(&made);
	return r;
}

/* The end of a container in the foreground: its status counts, not what the clean-up says. */
static int wait_and_delete(const struct globals *g, const struct options *o, struct created *made, struct error *err)
{
	_cleanup_strbuf_ struct strbuf notes = STRBUF_INIT;
	struct error delete_err = ERROR_INIT;
	int status = foreground_wait(made->pid, made->pidfd, made->master, made->notify, err);
	bool lost = status < 0; /* whom nobody waits for must not run on */

	if (!lost)
		made->container.status = OCI_STOPPED;
	if ((lost || !o->keep) && container_delete(g->root, &made->container, lost, &notes, &delete_err) < 0)
		log_warning("delete %s: %s", made->container.state.id, delete_err.msg);
	command_log_notes(&notes, NOTES_OF_USER);
	return status;
}

static int run_run(const struct globals *g, int argc, char **argv, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct options o = {.bundle = NULL};
	struct created made = {.pidfd = -1, .master = -1, .notify = -1, .container = CONTAINER_INIT};
	struct create_request request;
	struct arg_list args;
	int r = command_parse(&command_run, argc, argv, 1, 1, &o, &arena, &args, err);

	if (r <= 0)
		return r;
	r = make_request(g, &o, args.items[0], &request, err);
	if (r < 0)
		return r;
	request.start = true;
	request.foreground = !o.detach;
	r = container_create(&request, &made, err);
	command_log_notes(&made.notes, o.detach ? NOTES_OF_CONTAINER : NOTES_FOREGROUND);
	if (r == 0)
		tell(&made);
	if (r == 0)
		r = container_poststart(g->root, &made.container, err);
	if (r == 0 && o.detach)
		r = notify_socket_serve(made.notify, made.pidfd, made.pid, err);
	if (r == 0 && !o.detach)
		r = wait_and_delete(g, &o, &made, err);
	if (r < 0)
		error_wrap(err, "run %s", args.items[0]);
	created_free(&made);
	return r;
}

const struct command command_create = {
    "create", "[options] ID", "make a container, to be started by `start`", create_options, 0, run_create, 1,
};
const struct command command_run = {
    "run", "[options] ID", "create and start a container", run_options, 0, run_run, 1,
};
