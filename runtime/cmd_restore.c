/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "base/log.h"
#include "runtime/console.h"
#include "runtime/delete.h"
#include "runtime/restore.h"

struct options {
	const char *bundle, *console_socket, *pid_file, *pidfd_socket;
	bool detach;
	struct criu_options criu;
};

static const struct arg_option restore_options[] = {
    {"bundle", 'b', ARG_STR, offsetof(struct options, bundle), "DIR", "the bundle's directory (.)"},
    {"detach", 'd', ARG_BOOL, offsetof(struct options, detach), NULL, "leave the container running in the background"},
    {"console-socket", 0, ARG_STR, offsetof(struct options, console_socket), "PATH",
     "unix socket that receives the terminal"},
    {"pid-file", 0, ARG_STR, offsetof(struct options, pid_file), "FILE", "write the container's pid to it"},
    {"pidfd-socket", 0, ARG_STR, offsetof(struct options, pidfd_socket), "PATH",
     "unix socket that receives a pidfd of the container"},
    CRIU_OPTIONS(struct options, criu),
    CRIU_VALUE(struct options, criu, "lsm-profile", request.lsm_profile, "TYPE:NAME",
	       "this AppArmor profile or SELinux label"),
    CRIU_VALUE(struct options, criu, "lsm-mount-context", request.lsm_mount_context, "LABEL",
	       "this SELinux label for the mounts"),
    {"no-pivot", 0, ARG_IGNORE, 0, NULL, NULL},
    {"no-subreaper", 0, ARG_IGNORE, 0, NULL, NULL},
    {"parent-path", 0, ARG_IGNORE_VALUE, 0, NULL, NULL}, /* the images name it themselves */
    {NULL},
};

/* As of `run`: the status counts, not what the clean-up says. */
static int wait_and_delete(const struct globals *g, struct created *made, struct error *err)
{
	_cleanup_strbuf_ struct strbuf notes = STRBUF_INIT;
	struct error delete_err = ERROR_INIT;
	int status = foreground_wait(made->pid, made->pidfd, made->master, -1, err);

	if (status >= 0)
		made->container.status = OCI_STOPPED;
	if (container_delete(g->root, &made->container, status < 0, &notes, &delete_err) < 0)
		log_warning("delete %s: %s", made->container.state.id, delete_err.msg);
	command_log_notes(&notes, NOTES_OF_USER);
	return status;
}

static int run_restore(const struct globals *g, int argc, char **argv, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct options o = {.criu = CRIU_OPTIONS_INIT};
	struct created made = {.pidfd = -1, .master = -1, .notify = -1, .container = CONTAINER_INIT};
	struct restore_request request;
	struct arg_list args;
	int r = command_parse(&command_restore, argc, argv, 1, 1, &o, &arena, &args, err);

	if (r <= 0)
		return r;
	request = (struct restore_request){.create = {.globals = g,
						      .id = args.items[0],
						      .bundle = o.bundle && *o.bundle ? o.bundle : ".",
						      .console_socket = o.console_socket,
						      .pid_file = o.pid_file,
						      .pidfd_socket = o.pidfd_socket,
						      .no_new_keyring = true,
						      .start = true,
						      .foreground = !o.detach},
					   .criu = o.criu};
	r = container_restore(&request, &made, err);
	command_log_notes(&made.notes, NOTES_OF_CONTAINER);
	if (r == 0)
		r = container_poststart(g->root, &made.container, err);
	if (r == 0 && !o.detach)
		r = wait_and_delete(g, &made, err);
	if (r < 0)
		error_wrap(err, "restore %s", args.items[0]);
	created_free(&made);
	return r;
}

const struct command command_restore = {
    "restore", "[options] ID", "make a container out of what `checkpoint` has saved", restore_options, 0, run_restore,
    1,
};
