/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/create.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/sys.h"
#include "runtime/console.h"
#include "runtime/create_check.h"
#include "runtime/create_defaults.h"
#include "runtime/create_internal.h"
#include "runtime/device_trees.h"
#include "runtime/handshake.h"
#include "runtime/id_maps.h"
#include "runtime/init.h"
#include "runtime/mount_late.h"
#include "runtime/mount_trees.h"
#include "runtime/net_devices.h"
#include "runtime/notify_socket.h"
#include "runtime/oci_hooks.h"
#include "runtime/sealed_self.h"
#include "runtime/sysctl.h"
#include "runtime/volumes.h"

/* --- before there is a process --------------------------------------------------- */

int create_load_spec(struct create *c, struct error *err)
{
	const struct spec_namespace *pid;
	int r = create_bundle_path(c->request->bundle, c->arena, &c->state.bundle, err);

	if (r == 0)
		r = c->request->config ? spec_load_file(c->request->config, c->arena, &c->spec, err)
				       : spec_load(c->state.bundle, c->arena, &c->spec, err);
	if (r == 0)
		r = create_defaults(&c->spec, c->request->start, c->arena, err);
	if (r == 0)
		r = create_check(&c->spec, c->request, err);
	/* In a pid namespace of its own there is nobody yet. */
	pid = r == 0 ? spec_find_namespace(&c->spec, SPEC_NS_PID) : NULL;
	if (pid && pid->path && self_is_exposed(&c->spec))
		self_seal();
	return r;
}

int create_open_sockets(struct create *c, struct error *err)
{
	const char *receiver = spec_annotation(&c->spec, "run.oci.pidfd_receiver");
	int r = 0;

	if (c->request->console_socket)
		r = console_socket_connect(c->request->console_socket, &c->console_sock, err);
	if (c->request->pidfd_socket)
		receiver = c->request->pidfd_socket;
	if (r == 0 && receiver)
		r = console_socket_connect(receiver, &c->pidfd_sock, err);
	if (r == 0 && !c->request->start)
		r = start_socket_new(&c->start_sock, err);
	return r;
}

int create_reserve(struct create *c, struct error *err)
{
	return state_dir_create(c->request->globals->root, c->request->id, &c->dir_fd, err);
}

static int prepare_notify(struct create *c, struct error *err)
{
	int r = notify_socket_prepare(c->dir_fd, &c->spec, c->arena, err);

	return r == 0 && c->request->start ? notify_socket_listen(c->dir_fd, &c->notify, err) : r;
}

static void undo_notify(struct create *c)
{
	cleanup_close(&c->notify);
	c->notify = -1;
}

void create_undo_reserve(struct create *c)
{
	struct error ignored = ERROR_INIT;

	state_dir_remove(c->request->globals->root, c->request->id, &ignored);
}

static int plan_process(struct create *c, struct error *err)
{
	int r =
	    process_plan(c->spec.process, &c->spec, c->dir_fd, c->request->preserve_fds, c->arena, &c->process, err);

	if (c->spec.n_mounts && !spec_find_namespace(&c->spec, SPEC_NS_MOUNT))
		strbuf_adds(c->notes, "no mount namespace: the mounts are not made, they would stay on the host\n");
	if (r == 0)
		r = namespaces_plan(&c->spec, &c->ns, err);
	return r == 0 ? sysctl_check_namespaces(&c->spec, &c->ns, err) : r;
}

/* Written before anything is made outside of the directory, so that delete --force finds it even if we are killed. */
int create_save_plan(struct create *c, struct error *err)
{
	struct container_state *s = &c->state;
	char now[CLOCK_RFC3339_MAX];
	int r;

	s->oci_version = c->spec.oci_version;
	s->id = c->request->id;
	s->created = arena_strdup(c->arena, clock_rfc3339(NULL, now));
	s->owner = geteuid() == 0 ? "root" : arena_printf(c->arena, "%u", geteuid());
	s->rootless = c->request->globals->is_rootless;
	s->new_keyring = !c->request->no_new_keyring;
	s->shared_pid_ns = !(c->ns.new_flags & CLONE_NEWPID);
	s->has_poststart = c->spec.hooks->n_poststart > 0;
	s->has_poststop = c->spec.hooks->n_poststop > 0;
	s->annotations = c->spec.annotations;
	s->n_annotations = c->spec.n_annotations;
	r = create_rootfs_path(c->state.bundle, c->spec.root->path, c->arena, &s->rootfs, err);
	return r == 0 ? state_save(c->dir_fd, s, err) : r;
}

/* --- the process --------------------------------------------------------------------- */

static void run_init(struct create *c, int sock) __attribute__((noreturn));
static void run_init(struct create *c, int sock)
{
	const struct spec_hooks *h = c->spec.hooks;
	struct init in = {
	    .spec = &c->spec,
	    .ns = &c->ns,
	    .process = &c->process,
	    .rootfs = {.spec = &c->spec,
		       .rootfs_path = c->state.rootfs,
		       .bundle = c->state.bundle,
		       .parent = sock,
		       .no_pivot = c->request->no_pivot,
		       .in_userns = c->state.rootless || spec_find_namespace(&c->spec, SPEC_NS_USER),
		       .cgroup = &c->cgroup,
		       .console_fd = -1,
		       .arena = c->arena,
		       .root_fd = -1},
	    .state = container_oci_state(&c->state, OCI_CREATING),
	    .arena = c->arena,
	    .sock = sock,
	    .start_sock = c->start_sock,
	    .start_at_once = c->request->start,
	    .parent_hooks = h->n_prestart + h->n_create_runtime > 0 || create_delegates(c),
	    .new_keyring = c->state.new_keyring,
	};

	if (c->hook)
		volumes_forget(c->hook);
	init_main(&in);
}

static int clone_init(struct create *c, struct error *err)
{
	/* With a joined user namespace or without CLONE_INTO_CGROUP the cgroup is entered by cgroup_attach. */
	int pair[2], r = handshake_pair(pair, err);
	pid_t pid = 0;

	if (r < 0)
		return r;
	c->ns.start_dir = c->state.bundle;
	r = namespaces_clone(&c->ns, &c->spec, c->cgroup.dir_fd, &pid, &c->pidfd, err);
	if (r == 0) {
		close(pair[0]);
		run_init(c, pair[1]);
	}
	close(pair[1]);
	process_close(&c->process);
	c->sock = pair[0];
	c->state.pid = pid;
	return r < 0 ? r : 0;
}

static void undo_clone(struct create *c)
{
	sys_pidfd_send_signal(c->pidfd, SIGKILL, NULL, 0);
	waitpid(c->state.pid, NULL, 0);
}

static int prepare_init(struct create *c, struct error *err)
{
	pid_t pid = c->state.pid;
	int r = 0;

	if (c->ns.new_flags & CLONE_NEWUSER)
		r = id_maps_write(pid, c->spec.linux_, err);
	if (r == 0 && c->state.systemd_scope)
		r = create_make_scope(c, err);
	if (r == 0 && c->state.cgroup_path && c->cgroup.dir_fd < 0)
		r = cgroup_attach(&c->cgroup, pid, err);
	if (r == 0)
		r = limits_apply(pid, c->spec.process, c->notes, err);
	if (r == 0)
		r = create_join_rdt(c, err);
	affinity_reset(pid);
	if (r == 0 && process_start_time(pid, &c->state.pid_start, NULL) < 0)
		r = error_set(err, ESRCH, "the container's init ended early");
	if (r == 0)
		r = create_copy_config(c->state.bundle, c->request->config, c->dir_fd, err);
	return r == 0 ? state_save(c->dir_fd, &c->state, err) : r;
}

static int apply_scheduler(struct create *c, struct error *err)
{
	return limits_apply_scheduler(c->state.pid, c->spec.process, c->spec.linux_->resources, err);
}

static int move_net_devices(struct create *c, struct error *err)
{
	return net_devices_move(c->spec.linux_, c->ns.join_fds[SPEC_NS_NETWORK], c->state.pid, err);
}

/* --- the dialogue with init ---------------------------------------------------------------- */

/* Why init is gone, when it could not say so itself. */
static int init_gone(struct create *c, struct error *err)
{
	siginfo_t info = {0};

	/* WNOWAIT: undo_clone reaps it. */
	if (waitid(P_PID, (id_t)c->state.pid, &info, WEXITED | WNOWAIT) == 0 && info.si_code != CLD_EXITED)
		return error_set(err, ECHILD, "the container's init was killed by signal %d%s", info.si_status,
				 info.si_status == SIGKILL ? " (is the memory limit too small?)" : "");
	return error_set(err, ECHILD, "the container's init ended early");
}

static int expect(struct create *c, enum handshake_type type, struct error *err)
{
	struct handshake_message m;
	int r = handshake_expect(c->sock, type, &m, err);

	return r == -ECONNRESET ? init_gone(c, err) : r;
}

/* Init is gone; it may have said why before. */
static int last_words(struct create *c, struct error *err)
{
	struct handshake_message m;
	int fd, r;

	/* What it sent before that nobody waits for any more. */
	while ((r = handshake_recv_notes(c->sock, &m, &fd, c->notes, err)) > 0)
		cleanup_close(&fd);
	return r < 0 && r != -ECONNRESET ? r : init_gone(c, err);
}

/* A send fails when init is gone. */
static int tell(struct create *c, enum handshake_type type, int value, const char *text, int fd, struct error *err)
{
	int r = handshake_send(c->sock, type, value, text, fd, err);

	return r == -EPIPE || r == -ECONNRESET ? last_words(c, err) : r;
}

static struct mount_trees mount_trees(const struct create *c)
{
	return (struct mount_trees){
	    .spec = &c->spec, .bundle = c->state.bundle, .rootfs = c->state.rootfs, .pid = c->state.pid};
}

/* Sources and nodes that init could not reach, clone or make itself. */
static int send_tree(struct create *c, enum handshake_type type, size_t i, struct error *err)
{
	const struct mount_trees t = mount_trees(c);
	_cleanup_close_ int fd = -1;
	int r = type == HS_MOUNT ? mount_tree_make(&t, i, c->arena, &fd, err)
				 : device_tree_make(&c->spec, i, c->dir_fd, &fd, err);

	return r == 0 && fd >= 0 ? tell(c, type, (int)i, NULL, fd, err) : r;
}

static int send_trees(struct create *c, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->spec.n_mounts; i++)
		r = send_tree(c, HS_MOUNT, i, err);
	for (size_t i = 0; r == 0 && i < c->spec.linux_->n_devices; i++)
		r = send_tree(c, HS_DEVICE, i, err);
	return r;
}

/* Or, of those that come later, the places. */
static int send_volumes(struct create *c, struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < c->n_volumes && r == 0; i++)
		r = tell(c, HS_VOLUME, c->volumes[i].kind, c->volumes[i].destination, c->volumes[i].tree_fd, err);
	while (r == 0 && c->fetched && c->n_volumes)
		close(c->volumes[--c->n_volumes].tree_fd);
	return r;
}

static int release_init(struct create *c, struct error *err)
{
	int r;

	if (c->released)
		return 0;
	r = send_volumes(c, err);
	if (r == 0)
		r = send_trees(c, err);
	if (r < 0)
		return r;
	c->released = true;
	return tell(c, HS_GO, c->state.pid, c->state.systemd_scope ? c->state.cgroup_path : NULL, -1, err);
}

/*
 * Most containers have nothing that init must wait for before it makes its mounts: it finds the
 * message in its place and never sleeps. What the other steps do to it is done before it is started.
 */
static int release_at_once(struct create *c, struct error *err)
{
	bool mapped = spec_find_namespace(&c->spec, SPEC_NS_USER);
	bool in_cgroup = (!c->state.cgroup_path && !c->state.systemd_scope) || c->cgroup.dir_fd >= 0;

	if (mapped || !in_cgroup || c->state.has_volumes || c->spec.hooks->n_create_container > 0 ||
	    c->spec.linux_->n_net_devices > 0)
		return 0;
	return release_init(c, err);
}

static int fetch_volumes(struct create *c, struct error *err)
{
	struct pollfd init = {.fd = c->pidfd, .events = POLLIN};
	int r = c->hook ? create_fetch_volumes(c, err) : 0;

	/* All that volrun-hook knows is that it was cancelled. */
	if (r < 0 && c->released && poll(&init, 1, 0) > 0)
		return last_words(c, err);
	if (r == 0 && c->n_volumes)
		r = send_volumes(c, err);
	return r == 0 ? create_end_volumes(c, 0, err) : r;
}

/* What init finds only among its own mounts, and may not map the ids of. */
static int map_late_mounts(struct create *c, struct error *err)
{
	const struct mount_trees t = mount_trees(c);
	int r = mount_late_serve(&t, c->sock, c->arena, c->notes, err);

	return r == 0 || r == -EPIPE || r == -ECONNRESET ? init_gone(c, err) : r < 0 ? r : 0;
}

static int run_hooks(struct create *c, struct error *err)
{
	const struct spec_hooks *h = c->spec.hooks;
	struct oci_state state = container_oci_state(&c->state, OCI_CREATING);
	int r;

	if (h->n_prestart + h->n_create_runtime == 0 && !create_delegates(c))
		return 0;
	r = expect(c, HS_ROOTFS, err);
	if (r == 0)
		r = create_delegate_cgroup(c, err);
	state.status = OCI_CREATED; /* so runtime-spec 1.0 had it for these; crun and the OCI's tests have it still */
	if (r == 0)
		r = oci_hooks_run("prestart", h->prestart, h->n_prestart, &state, NULL, err);
	state.status = OCI_CREATING;
	if (r == 0)
		r = oci_hooks_run("createRuntime", h->create_runtime, h->n_create_runtime, &state, NULL, err);
	return r == 0 ? tell(c, HS_HOOKS_DONE, 0, NULL, -1, err) : r;
}

/* A message with a descriptor, which the caller closes also after an error. */
static int receive_fd(struct create *c, enum handshake_type type, struct handshake_message *m, int *fd,
		      struct error *err)
{
	int r = handshake_recv(c->sock, m, fd, err);

	if (r == 0 || r == -ECONNRESET)
		return init_gone(c, err);
	if (r > 0 && (m->type != (int32_t)type || *fd < 0))
		return error_set(err, EPROTO, "handshake: message %d where %d was due", m->type, type);
	return r < 0 ? r : 0;
}

static int bring_up_loopback(struct create *c, struct error *err)
{
	_cleanup_close_ int sock = -1;
	struct handshake_message m;
	int r;

	if (!namespaces_loopback_by_creator(&c->ns, &c->spec))
		return 0;
	r = receive_fd(c, HS_LOOPBACK, &m, &sock, err);
	return r == 0 ? namespaces_loopback_up(sock, err) : r;
}

static int receive_console(struct create *c, struct error *err)
{
	_cleanup_close_ int master = -1;
	struct handshake_message m;
	int r;

	if (!c->spec.process->terminal)
		return 0;
	r = receive_fd(c, HS_CONSOLE, &m, &master, err);
	if (r < 0)
		return r;
	if (c->console_sock >= 0)
		return console_socket_send(c->console_sock, master, m.text, err);
	console_clear_onlcr(master);
	c->master = TAKE_FD(master);
	return 0;
}

/* `run` need not know: it says HS_START, and init goes on when it gets there. */
static int wait_ready(struct create *c, struct error *err)
{
	struct handshake_message m;
	int fd, r;

	if (c->request->start)
		return 0;
	r = handshake_recv_notes(c->sock, &m, &fd, c->notes, err);
	if (r == 0)
		return init_gone(c, err);
	if (r > 0 && m.type != HS_READY)
		return error_set(err, EPROTO, "handshake: message %d where the end of the set-up was due", m.type);
	return r < 0 ? r : 0;
}

int create_write_pid(struct create *c, struct error *err)
{
	char text[16];
	int r = 0;

	if (c->request->pid_file) {
		int len = snprintf(text, sizeof(text), "%d", c->state.pid);

		r = write_file_atomic_at(AT_FDCWD, c->request->pid_file, text, (size_t)len, 0644, false);
		if (r < 0)
			return error_errno(err, r, "write the pid file %s", c->request->pid_file);
	}
	if (c->pidfd_sock >= 0)
		r = console_socket_send(c->pidfd_sock, c->pidfd, "pidfd", err);
	return r;
}

void create_undo_pid(struct create *c)
{
	if (c->request->pid_file)
		unlink(c->request->pid_file);
}

/* From here on the container is there for others: created, or (run) running. */
static int publish(struct create *c, struct error *err)
{
	struct handshake_message m;
	int fd, r;

	if (!c->request->start) {
		r = start_socket_listen(c->start_sock, c->dir_fd, err);
		/* Marked before anybody can start it. */
		if (r == 0)
			r = state_dir_finish(c->dir_fd, err);
		if (r == 0)
			r = tell(c, HS_CREATED, 0, NULL, -1, err);
	} else {
		r = tell(c, HS_START, 0, NULL, -1, err);
		/* The end of the stream is the program's start: init's end is close-on-exec. */
		if (r == 0)
			r = handshake_recv_notes(c->sock, &m, &fd, c->notes, err);
		if (r == -ECONNRESET)
			r = init_gone(c, err);
		if (r == 0)
			r = state_dir_finish(c->dir_fd, err);
	}
	return r;
}

/* --- the list ---------------------------------------------------------------------------------- */

struct step {
	int (*run)(struct create *c, struct error *err);
	void (*undo)(struct create *c);
};

static const struct step steps[] = {
    {create_load_spec, NULL},
    {create_open_sockets, NULL},
    {create_reserve, create_undo_reserve}, /* the id is ours, or somebody else's */
    {prepare_notify, undo_notify},	   /* $NOTIFY_SOCKET */
    {create_find_volumes, NULL},
    {create_begin_volumes, create_cancel_volumes}, /* volrun-hook is started */
    {plan_process, NULL},			   /* seccomp compiled, namespaces opened */
    {create_plan_cgroup, NULL},
    {create_plan_rdt, NULL},
    {create_save_plan, NULL},
    {create_make_cgroup, create_undo_cgroup},
    {clone_init, undo_clone},
    {release_at_once, NULL}, /* HS_GO, if there is nothing to wait for */
    {prepare_init, NULL},    /* id maps, cgroup, limits; the state has its pid, and the config its copy */
    {create_plan_volumes, NULL},
    {create_fetch_volumes_first, create_undo_volumes},
    {move_net_devices, NULL},
    {create_limit_cgroup, NULL}, /* v1 */
    {release_init, NULL},	 /* HS_GO: init makes its mounts */
    {create_limit_cgroup, NULL}, /* v2 */
    {apply_scheduler, NULL},
    {bring_up_loopback, NULL},
    {fetch_volumes, NULL}, /* what came not first */
    {map_late_mounts, NULL},
    {run_hooks, NULL}, /* prestart, createRuntime */
    {receive_console, NULL},
    {wait_ready, NULL},
    {create_write_pid, create_undo_pid},
    {publish, NULL},
};

void create_init(struct create *c, const struct create_request *request, struct created *ret)
{
	*c = (struct create){
	    .request = request,
	    .arena = &ret->arena,
	    .notes = &ret->notes,
	    .process = PROCESS_INIT,
	    .cgroup = CGROUP_INIT,
	    .dir_fd = -1,
	    .sock = -1,
	    .start_sock = -1,
	    .console_sock = -1,
	    .pidfd_sock = -1,
	    .pidfd = -1,
	    .master = -1,
	    .notify = -1,
	};
	for (int i = 0; i < SPEC_NS_COUNT; i++)
		c->ns.join_fds[i] = -1;
}

void create_hand_over(struct create *c, struct created *ret)
{
	cleanup_close(&c->sock);
	cleanup_close(&c->start_sock);
	cleanup_close(&c->console_sock);
	cleanup_close(&c->pidfd_sock);
	process_close(&c->process);
	namespaces_close(&c->ns);
	cgroup_close(&c->cgroup);
	ret->pid = c->state.pid;
	ret->pidfd = c->pidfd;
	ret->master = c->master;
	ret->notify = c->notify;
	ret->container = (struct container){.dir_fd = c->dir_fd, .state = c->state};
}

/* The specification's lifecycle goes on with them (step 13) when it could not get to its end; as runc has it. */
static void run_poststop(struct create *c)
{
	const struct spec_hooks *h = c->spec.hooks;
	struct oci_state state = container_oci_state(&c->state, OCI_STOPPED);

	if (c->released && c->fetched == c->state.has_volumes && h->n_poststop)
		oci_hooks_run_all("poststop", h->poststop, h->n_poststop, &state, c->notes);
}

int container_create(const struct create_request *request, struct created *ret, struct error *err)
{
	struct create c;
	size_t done = 0;
	int r = 0;

	create_init(&c, request, ret);
	while (done < ARRAY_SIZE(steps) && (r = steps[done].run(&c, err)) == 0)
		done++;
	/* The step that failed has made nothing, or undone it itself. */
	for (size_t i = done; r < 0 && i > 0; i--)
		if (steps[i - 1].undo)
			steps[i - 1].undo(&c);
	if (r < 0)
		run_poststop(&c);
	create_hand_over(&c, ret);
	return r;
}

void created_free(struct created *c)
{
	cleanup_close(&c->pidfd);
	cleanup_close(&c->master);
	cleanup_close(&c->notify);
	container_close(&c->container);
	strbuf_free(&c->notes);
	arena_free(&c->arena);
}
