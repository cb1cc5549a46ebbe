/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/sys.h"
#include "hooks/checkpoint_note.h"
#include "hooks/config.h"
#include "hooks/hook.h"
#include "hooks/hook_attach.h"
#include "hooks/keeper_proto.h"
#include "hooks/keeper_scope.h"
#include "hooks/keeper_socket.h"
#include "oci/volume.h"

/* A keeper that has just given its trees may still be busy with what an earlier run left. */
#define IS_GIVEN_NS (30 * NSEC_PER_SEC)

/* What the runtime gets of each volume, with the mount. */
struct mount_message {
	const char *destination;
	bool ro;
	bool directory; /* the descriptor is of the tree itself, which the container's init is to mount */
};

static const struct json_field mount_fields[] = {
    JSON_FIELD(struct mount_message, destination, "destination", JSON_STR, .required = true),
    JSON_FIELD(struct mount_message, ro, "ro", JSON_BOOL, .write_empty = true),
    JSON_FIELD(struct mount_message, directory, "directory", JSON_BOOL),
    {NULL},
};
static const struct json_table mount_table = {"mount", sizeof(struct mount_message), mount_fields, JSON_STRICT};

/* Before them: where they will be, once that is known. */
struct plan_message {
	const char **destinations;
	size_t n_destinations;
};

static const struct json_field plan_fields[] = {
    JSON_LIST(struct plan_message, destinations, "destinations", JSON_ARR_STR, .required = true),
    {NULL},
};
static const struct json_table plan_table = {"plan", sizeof(struct plan_message), plan_fields, JSON_STRICT};

/* n_volumes 0: nothing to do. */
static int make_request(const char *config, const struct oci_state *state, const char *checkpoint, struct arena *a,
			struct keeper_request *ret, const char **ret_rootfs, struct error *err)
{
	struct spec spec;
	int r;

	*ret = (struct keeper_request){.id = state->id, .bundle = state->bundle, .pid = state->pid, .config = config};
	r = spec_load(state->bundle, a, &spec, err);
	if (r < 0 || !volume_declared(&spec))
		return r;
	*ret_rootfs = spec.root ? spec.root->path : "rootfs";
	r = hook_fill_request(&spec, a, ret, err);
	return r == 0 && checkpoint ? checkpoint_note_apply(checkpoint, a, ret, err) : r;
}

/* --- keeper and runtime ----------------------------------------------------------------- */

/* The container's init goes on with what lies beneath them, while the keeper is at work. */
static int tell_plan(int runtime, const struct keeper_request *request, struct arena *a, struct error *err)
{
	struct plan_message plan = {.destinations = arena_calloc(a, request->n_volumes, sizeof(char *))};

	if (!plan.destinations)
		return error_set(err, ENOMEM, "out of memory");
	for (; plan.n_destinations < request->n_volumes; plan.n_destinations++)
		plan.destinations[plan.n_destinations] = request->volumes[plan.n_destinations].destination;
	return keeper_send(runtime, &plan_table, &plan, NULL, 0, err);
}

/*
 * A runtime that is gone waits for nothing: the hook ends, and with it the keeper's waiting. Nor does one whose
 * container's init, which makes its other mounts meanwhile, has failed at one of them.
 */
static int wait_answer(int keeper, int sock, int pidfd, struct error *err)
{
	struct pollfd p[] = {{.fd = keeper, .events = POLLIN},
			     {.fd = sock, .events = POLLIN | POLLRDHUP},
			     {.fd = pidfd, .events = POLLIN}};

	while (poll(p, 3, -1) < 0)
		if (errno != EINTR)
			return error_set(err, errno, "can't wait for the keeper (error %d)", errno);
	if (p[0].revents)
		return 0;
	return error_set(err, ECANCELED, p[1].revents ? "the runtime is gone" : "who waits for it has ended");
}

int hook_receive_trees(int keeper, int sock, int pidfd, struct arena *a, struct keeper_answer *ret, int fds[IO_MAX_FDS],
		       size_t *n, struct error *err)
{
	int r = wait_answer(keeper, sock, pidfd, err);

	*n = 0;
	if (r < 0)
		return r;
	*n = IO_MAX_FDS;
	r = keeper_receive(keeper, &keeper_answer_table, a, ret, fds, n, err);
	if (r < 0)
		*n = 0;
	if (r == -ENODATA)
		return error_set(err, EIO, "the keeper ended without an answer");
	if (r < 0)
		return r;
	return ret->error ? error_set(err, EIO, "%s", ret->error) : 0;
}

/* Whom the mounts are for: the runtime volrun, by its socket; or another one's container. */
struct receiver {
	int sock; /* -1: none, then */
	const char *bundle, *rootfs;
	int pidfd;
};

static int send_mount(int sock, const struct attach_volume *v, struct error *err)
{
	struct mount_message message = {
	    .destination = v->request->destination, .ro = v->request->ro, .directory = v->directory};

	return keeper_send(sock, &mount_table, &message, &v->fd, 1, err);
}

static int deliver(const struct receiver *to, int pid, const struct attach_volume *volumes, size_t n, struct error *err)
{
	int r = 0;

	if (to->sock < 0)
		return hook_attach(pid, to->bundle, to->rootfs, volumes, n, err);
	for (size_t i = 0; i < n && r == 0; i++)
		r = send_mount(to->sock, &volumes[i], err);
	return r;
}

/* The tree's descriptor becomes that of its mount. */
static int make_mount(struct attach_volume *v, int user_ns, struct error *err)
{
	int fd, r = hook_mount_tree(v->fd, v->request->ro, user_ns, &fd, err);

	if (r < 0)
		return error_wrap(err, "volume %s", v->request->name);
	v->directory = r == 1;
	if (r == 0) {
		close(v->fd);
		v->fd = fd;
	}
	return 0;
}

static int hand_over(int keeper, const struct receiver *to, const struct keeper_request *request, struct arena *a,
		     struct keeper_answer *answer, struct error *err)
{
	struct attach_volume volumes[IO_MAX_FDS];
	_cleanup_close_ int user_ns = -1;
	int fds[IO_MAX_FDS];
	size_t n, i;
	int r;

	r = hook_receive_trees(keeper, to->sock, to->pidfd, a, answer, fds, &n, err);
	if (r == 0 && n != request->n_volumes)
		r = error_set(err, EPROTO, "the keeper sent %zu trees for %zu volumes", n, request->n_volumes);
	if (r == 0)
		r = answer->chowned ? 0 : hook_user_ns(request->pid, &user_ns, err);
	for (i = 0; i < n; i++) {
		volumes[i] = (struct attach_volume){.request = &request->volumes[i], .fd = fds[i]};
		if (r == 0)
			r = make_mount(&volumes[i], user_ns, err);
	}
	if (r == 0)
		r = deliver(to, request->pid, volumes, n, err);
	for (i = 0; i < n; i++)
		close(volumes[i].fd);
	return r;
}

/* A keeper that was killed can't remove its socket, and for a create that failed nobody calls poststop. */
static void clear_up(const char *config, const struct oci_state *state, struct arena *a)
{
	_cleanup_free_ char *log = NULL;
	struct error ignored = ERROR_INIT;
	struct config c;

	if (config_load(config, a, &c, &ignored) == 0)
		keeper_socket_wait(c.run_dir, state->id, state->bundle, NSEC_PER_SEC, true, &log);
}

/* The runtime volrun has given the container its volumes, before it runs the hooks of config.json. */
static bool is_given(const char *config, const struct keeper_request *q, struct arena *a)
{
	struct keeper_command command = {arena_printf(a, KEEPER_HAS "%d", (int)q->pid)};
	struct error ignored = ERROR_INIT;
	_cleanup_close_ int fd = -1;
	struct keeper_outcome o;
	char key[KEEPER_KEY_MAX];
	struct config c;
	size_t n = 0;

	if (!command.command || config_load(config, a, &c, &ignored) < 0)
		return false;
	keeper_key(q->id, q->bundle, key);
	fd = keeper_socket_connect(c.run_dir, key);
	return fd >= 0 && keeper_send(fd, &keeper_command_table, &command, NULL, 0, &ignored) == 0 &&
	       keeper_socket_answers(fd, IS_GIVEN_NS) &&
	       keeper_receive(fd, &keeper_outcome_table, a, &o, NULL, &n, &ignored) == 0 && !o.error;
}

int hook_prestart(const char *config, const struct oci_state *state, const char *checkpoint, int sock, int keeper,
		  pid_t keeper_pid, struct error *err)
{
	static const struct keeper_answer done;
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct receiver to = {.sock = sock, .bundle = state->bundle, .pidfd = -1};
	_cleanup_close_ int pidfd = -1;
	struct keeper_request request;
	struct keeper_answer answer;
	size_t i;
	int r;

	r = make_request(config, state, checkpoint, &arena, &request, &to.rootfs, err);
	if (r < 0 || request.n_volumes == 0 || (sock < 0 && is_given(config, &request, &arena)))
		return r;
	pidfd = to.pidfd = sys_pidfd_open(request.pid, 0);
	r = pidfd < 0 ? error_set(err, errno, "the container's init (pid %d) is gone", (int)request.pid)
		      : keeper_send(keeper, &keeper_request_table, &request, &pidfd, 1, err);
	if (r == 0 && sock >= 0)
		r = tell_plan(sock, &request, &arena, err);
	if (r == 0)
		r = hand_over(keeper, &to, &request, &arena, &answer, err);
	if (r == 0)
		r = keeper_send(keeper, &keeper_answer_table, &done, NULL, 0, err);
	if (r == 0)
		keeper_scope_start(keeper_pid, request.id);
	if (r < 0)
		clear_up(config, state, &arena);
	for (i = 0; r == 0 && i < answer.n_warnings; i++)
		fprintf(stderr, "warning: %s\n", answer.warnings[i]);
	return r;
}
