/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "runtime/command.h"
#include "runtime/delete.h"
#include "runtime/handshake.h"
#include "runtime/notify_socket.h"
#include "runtime/state_dir.h"

static const struct arg_option no_options[] = {{NULL}};

static int not_created(const struct container *c, struct error *err)
{
	switch (c->status) {
	case OCI_STOPPED:
		return error_set(err, ESRCH, "cannot start a container that has stopped");
	case OCI_RUNNING:
		return error_set(err, EBUSY, "cannot start an already running container");
	default:
		return error_set(err, EBUSY, "cannot start a container in the %s state", oci_status_names[c->status]);
	}
}

/* Says HS_START to init and waits for its execve, or its error. */
static int start(const struct container *c, int *ret_notify, struct error *err)
{
	struct handshake_message m;
	_cleanup_close_ int sock = -1;
	int fd, r = start_socket_connect(c->dir_fd, &sock, err);

	if (r < 0)
		return r;
	/* Who removes the socket is the one who starts: of two at once only one can. */
	if (unlinkat(c->dir_fd, STATE_START_SOCKET, 0) < 0)
		return errno == ENOENT ? error_set(err, EBUSY, "cannot start an already running container")
				       : error_errno(err, errno, "remove the start socket");
	r = notify_socket_listen(c->dir_fd, ret_notify, err);
	if (r == 0)
		r = handshake_send(sock, HS_START, 0, NULL, -1, err);
	if (r == 0)
		r = handshake_recv(sock, &m, &fd, err);
	return r;
}

/* Then the container is to be destroyed, with its poststop hooks (runtime-spec, "Lifecycle", step 7). */
static void destroy(const struct globals *g, const struct container *c)
{
	_cleanup_strbuf_ struct strbuf notes = STRBUF_INIT;
	struct error ignored = ERROR_INIT;

	container_delete(g->root, c, true, &notes, &ignored);
	command_log_notes(&notes, NOTES_OF_USER);
}

static int run_start(const struct globals *g, int argc, char **argv, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_container_ struct container c = CONTAINER_INIT;
	_cleanup_close_ int notify = -1, pidfd = -1;
	struct error ended = ERROR_INIT;
	struct arg_list args;
	int r = command_parse(&command_start, argc, argv, 1, 1, NULL, &arena, &args, err);

	if (r <= 0)
		return r;
	r = container_open(g->root, args.items[0], &arena, &c, err);
	if (r == 0)
		r = c.status == OCI_CREATED ? start(&c, &notify, err) : not_created(&c, err);
	if (r == -START_HOOK_FAILED)
		destroy(g, &c);
	if (r == 0)
		r = container_poststart(g->root, &c, err);
	if (r == 0 && notify >= 0) {
		container_pidfd(&c.state, &pidfd, &ended);
		r = notify_socket_serve(notify, pidfd, c.state.pid, err);
	}
	return r < 0 ? error_wrap(err, "start %s", args.items[0]) : 0;
}

const struct command command_start = {
    "start", "ID", "start a container that was made by `create`", no_options, 0, run_start, 1,
};
