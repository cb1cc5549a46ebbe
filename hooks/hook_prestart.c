/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/path.h"
#include "base/sys.h"
#include "hooks/config.h"
#include "hooks/hook.h"
#include "hooks/identity.h"
#include "hooks/keeper_proto.h"
#include "hooks/keeper_scope.h"
#include "hooks/keeper_socket.h"
#include "hooks/pod_note.h"
#include "oci/volume.h"

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

/* --- what is asked of the keeper ------------------------------------------------------ */

/* Bundle mounts beneath the volume: the runtime makes their mount points in its tree. */
static int add_mountpoints(const struct spec *spec, struct arena *a, struct keeper_request_volume *v, struct error *err)
{
	size_t i, len = strlen(v->destination);

	v->mountpoints = arena_calloc(a, spec->n_mounts + 1, sizeof(*v->mountpoints));
	if (!v->mountpoints)
		return error_set(err, ENOMEM, "out of memory");
	for (i = 0; i < spec->n_mounts; i++) {
		const char *path = path_normalize(a, spec->mounts[i].destination);

		if (!path)
			return error_set(err, ENOMEM, "out of memory");
		if (strcmp(path, v->destination) != 0 && path_is_beneath(path, v->destination))
			v->mountpoints[v->n_mountpoints++] = path + len + 1;
	}
	return 0;
}

static int add_volume(const struct config *config, const struct spec *spec, const struct identity *id,
		      const struct volume_request *q, struct arena *a, struct keeper_request_volume *v,
		      struct error *err)
{
	const struct store_config *store = config_store(config, q->store);

	if (!store)
		return error_set(err, EINVAL, "annotation %s: the configuration has no store \"%s\"", q->annotation,
				 q->store);
	*v = (struct keeper_request_volume){.name = q->name,
					    .destination = q->mount_path,
					    .store = store->name,
					    .ro = q->ro,
					    .wait_ns = q->wait_ns >= 0 ? q->wait_ns : id->wait_ns,
					    .sync_ns = q->sync_ns};
	if (q->has_owner) {
		v->owner_uid = q->owner_uid;
		v->owner_gid = q->owner_gid;
	} else if (spec->process) {
		v->owner_uid = spec->process->user.uid;
		v->owner_gid = spec->process->user.gid;
	}
	return add_mountpoints(spec, a, v, err);
}

/* n_volumes 0: nothing to do. */
static int make_request(const char *config_path, const struct oci_state *state, struct arena *a,
			struct keeper_request *ret, struct error *err)
{
	struct error ignored = ERROR_INIT;
	struct config config;
	struct identity id;
	struct spec spec;
	struct volume_set set;
	size_t i;
	int r;

	*ret =
	    (struct keeper_request){.id = state->id, .bundle = state->bundle, .pid = state->pid, .config = config_path};
	r = spec_load(state->bundle, a, &spec, err);
	if (r < 0 || !volume_declared(&spec))
		return r;
	r = config_load(config_path, a, &config, err);
	if (r == 0)
		r = identity_resolve(&config, &spec, identity_kubelet_host(), a, &id, err);
	/* Who can't be noted has a lease that ends with its last container. */
	if (r == 0 && id.sandbox)
		pod_note(config.run_dir, id.pod ? id.pod : state->id, state->pid, &ignored);
	if (r < 0 || id.sandbox)
		return r;
	r = volume_parse(&spec,
			 &(struct volume_context){.workspace = id.workspace,
						  .mount_prefixes = (const char *const *)config.mount_prefixes,
						  .container_name = id.container_name},
			 a, &set, err);
	if (r < 0)
		return r;
	ret->workspace = id.workspace;
	ret->user = id.user;
	ret->pod = id.pod;
	ret->groups = id.groups;
	ret->n_groups = id.n_groups;
	ret->volumes = arena_calloc(a, set.n_volumes, sizeof(*ret->volumes));
	if (!ret->volumes && set.n_volumes)
		return error_set(err, ENOMEM, "out of memory");
	for (i = 0; i < set.n_volumes && r == 0; i++)
		r = add_volume(&config, &spec, &id, &set.volumes[i], a, &ret->volumes[i], err);
	ret->n_volumes = set.n_volumes;
	return r;
}

/* --- keeper and runtime ----------------------------------------------------------------- */

static int send_request(int keeper, const struct keeper_request *request, struct error *err)
{
	_cleanup_close_ int pidfd = sys_pidfd_open(request->pid, 0);

	if (pidfd < 0)
		return error_set(err, errno, "the container's init (pid %d) is gone", (int)request->pid);
	return keeper_send(keeper, &keeper_request_table, request, &pidfd, 1, err);
}

/* A runtime that is gone waits for nothing: the hook ends, and with it the keeper's waiting. */
static int wait_answer(int keeper, int runtime, struct error *err)
{
	struct pollfd p[] = {{.fd = keeper, .events = POLLIN}, {.fd = runtime, .events = POLLRDHUP}};

	while (poll(p, 2, -1) < 0)
		if (errno != EINTR)
			return error_set(err, errno, "can't wait for the keeper (error %d)", errno);
	if (p[1].revents && !p[0].revents)
		return error_set(err, ECANCELED, "the runtime is gone");
	return 0;
}

static int receive_trees(int keeper, int runtime, struct arena *a, struct keeper_answer *ret, int fds[IO_MAX_FDS],
			 size_t *n, struct error *err)
{
	int r = wait_answer(keeper, runtime, err);

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

static int send_mount(int runtime, int user_ns, const struct keeper_request_volume *v, int tree_fd, struct error *err)
{
	struct mount_message message = {.destination = v->destination, .ro = v->ro};
	_cleanup_close_ int fd = -1;
	int r = hook_mount_tree(tree_fd, v->ro, user_ns, &fd, err);

	if (r < 0)
		return error_wrap(err, "volume %s", v->name);
	message.directory = r == 1;
	return keeper_send(runtime, &mount_table, &message, r == 1 ? &tree_fd : &fd, 1, err);
}

static int hand_over(int keeper, int runtime, const struct keeper_request *request, struct arena *a,
		     struct keeper_answer *answer, struct error *err)
{
	_cleanup_close_ int user_ns = -1;
	int fds[IO_MAX_FDS];
	size_t n, i;
	int r;

	r = receive_trees(keeper, runtime, a, answer, fds, &n, err);
	if (r == 0 && n != request->n_volumes)
		r = error_set(err, EPROTO, "the keeper sent %zu trees for %zu volumes", n, request->n_volumes);
	if (r == 0)
		r = answer->chowned ? 0 : hook_user_ns(request->pid, &user_ns, err);
	for (i = 0; i < n; i++) {
		if (r == 0)
			r = send_mount(runtime, user_ns, &request->volumes[i], fds[i], err);
		close(fds[i]);
	}
	return r;
}

/* A keeper that was killed can't remove its socket, and for a create that failed nobody calls poststop. */
static void clear_up(const char *config, const struct oci_state *state, struct arena *a)
{
	_cleanup_free_ char *log = NULL;
	struct error ignored = ERROR_INIT;
	struct config c;

	if (config_load(config, a, &c, &ignored) == 0)
		keeper_socket_wait(c.run_dir, state->id, state->bundle, NSEC_PER_SEC, &log);
}

int hook_prestart(const char *config, const struct oci_state *state, int sock, int keeper, pid_t keeper_pid,
		  struct error *err)
{
	static const struct keeper_answer done;
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct keeper_request request;
	struct keeper_answer answer;
	size_t i;
	int r;

	r = make_request(config, state, &arena, &request, err);
	if (r < 0 || request.n_volumes == 0)
		return r;
	r = send_request(keeper, &request, err);
	if (r == 0)
		r = hand_over(keeper, sock, &request, &arena, &answer, err);
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
