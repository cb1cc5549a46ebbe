/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/restore.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/sys.h"
#include "runtime/console.h"
#include "runtime/create_check.h"
#include "runtime/criu.h"
#include "runtime/criu_descriptors.h"
#include "runtime/criu_mounts.h"
#include "runtime/id_maps.h"
#include "runtime/mount_idmap.h"
#include "runtime/net_devices.h"
#include "runtime/oci_hooks.h"
#include "runtime/restore_internal.h"

/* --- before there is a process ------------------------------------------------------ */

static int load(struct restore *r, struct error *err)
{
	struct create *c = &r->create;
	const struct spec *spec = &c->spec;
	int e = create_load_spec(c, err);

	if (e < 0)
		return e;
	if (geteuid() != 0 || c->request->globals->is_rootless)
		return error_set(err, EPERM, "only root can do that: criu needs it");
	for (size_t i = 0; e == 0 && i < spec->n_mounts; i++) {
		struct mount_idmap map = {0};

		e = mount_idmap_parse(&spec->mounts[i], spec->linux_, spec_find_namespace(spec, SPEC_NS_USER), c->arena,
				      &map, err);
		if (e == 0 && map.wanted)
			e = error_set(err, ENOTSUP, "mount on \"%s\": ids of a restored mount can't be mapped",
				      spec->mounts[i].destination);
	}
	return e == 0 ? criu_find(c->arena, &r->criu_path, err) : e;
}

static int open_images(struct restore *r, struct error *err)
{
	struct criu_request *q = &r->request->criu.request;
	int e = criu_options_apply(&r->request->criu, false, &r->place, r->create.arena, err);

	q->type = CRIU_RESTORE;
	q->log_file = "restore.log";
	q->sibling = true;
	q->evasive_devices = true;
	q->config_file = criu_config_file(&r->create.spec);
	return e == 0 ? criu_descriptors_load(r->place.images_fd, q, r->create.arena, err) : e;
}

static uint32_t host_id(const struct spec_id_mapping *maps, size_t n, uint32_t id)
{
	/* Without a mapping of its own: what fchown leaves as it is. */
	return id_map_to_host(maps, n, id, &id) || !n ? id : UINT32_MAX;
}

/*
 * As create does it, for a process that isn't root and opens /dev/stdout again; criu, too, opens files again, as the
 * root of the container's user namespace. Best effort.
 */
static int give_stdio(struct restore *r, struct error *err)
{
	const struct spec_linux *l = r->create.spec.linux_;
	const struct spec_user *user = &r->create.spec.process->user;
	uid_t uid = host_id(l->uid_mappings, l->n_uid_mappings, user->uid);
	gid_t gid = host_id(l->gid_mappings, l->n_gid_mappings, user->gid);
	struct stat st;

	(void)err;
	for (int fd = 0; fd <= 2; fd++)
		if (fstat(fd, &st) == 0 && !S_ISCHR(st.st_mode) && st.st_uid != uid && fchown(fd, uid, gid) < 0)
			continue;
	return 0;
}

static int open_sockets(struct restore *r, struct error *err)
{
	return create_open_sockets(&r->create, err);
}

static int reserve(struct restore *r, struct error *err)
{
	return create_reserve(&r->create, err);
}

static void undo_reserve(struct restore *r)
{
	create_undo_reserve(&r->create);
}

/* network and pid are external to the images and inherited by criu; others it joins itself. */
static int plan_namespace(struct restore *r, enum spec_ns type, struct error *err)
{
	const struct spec_namespace *n = spec_find_namespace(&r->create.spec, type);
	struct criu_request *q = &r->request->criu.request;
	struct arena *arena = r->create.arena;
	int fd = r->create.ns.join_fds[type], e;

	if (fd < 0)
		return 0;
	if (type == SPEC_NS_CGROUP)
		return error_set(err, ENOTSUP, "criu can't join a cgroup namespace by its path");
	if (type == SPEC_NS_NETWORK || type == SPEC_NS_PID) {
		e = criu_list_add(&q->inherit, arena, type == SPEC_NS_NETWORK ? CRIU_NETWORK_KEY : CRIU_PID_KEY, NULL,
				  CRIU_FIRST_FD + (int)r->n_fds);
		r->fds[r->n_fds++] = fd;
	} else {
		e = criu_list_add(&q->join, arena, type == SPEC_NS_MOUNT ? "mnt" : spec_ns_names[type], n->path, -1);
	}
	return e < 0 ? error_set(err, ENOMEM, "out of memory") : 0;
}

static int plan_namespaces(struct restore *r, struct error *err)
{
	int e = namespaces_plan(&r->create.spec, &r->create.ns, err);

	for (int type = 0; e == 0 && type < SPEC_NS_COUNT; type++)
		e = plan_namespace(r, (enum spec_ns)type, err);
	return e;
}

static int plan_cgroup(struct restore *r, struct error *err)
{
	int e = create_plan_cgroup(&r->create, err);

	return e == 0 ? create_plan_rdt(&r->create, err) : e;
}

static int save_plan(struct restore *r, struct error *err)
{
	int e;

	r->create.state.restored = true;
	e = create_find_volumes(&r->create, err);
	if (e == 0)
		e = create_save_plan(&r->create, err);
	if (e == 0)
		e = create_copy_config(r->create.state.bundle, NULL, r->create.dir_fd, err);
	return e;
}

static int make_cgroup(struct restore *r, struct error *err)
{
	return create_make_cgroup(&r->create, err);
}

static void undo_cgroup(struct restore *r)
{
	create_undo_cgroup(&r->create);
}

static int plan_mounts(struct restore *r, struct error *err)
{
	struct create *c = &r->create;
	_cleanup_close_ int root = -1;
	int e;

	if (!spec_find_namespace(&c->spec, SPEC_NS_MOUNT))
		return 0;
	root = open(c->state.rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return error_errno(err, errno, "root.path \"%s\"", c->state.rootfs);
	e = criu_mounts_make_points(&c->spec, root, c->state.bundle, c->arena, err);
	if (e == 0)
		e = restore_root_path(r, err);
	if (e == 0)
		e = criu_mounts_restore(&c->spec, &c->cgroup, root, c->state.bundle, &r->request->criu.request,
					c->arena, err);
	return e == 0 ? restore_volumes_plan(r, err) : e;
}

/* --- criu ------------------------------------------------------------------------------- */

static int start_criu(struct restore *r, struct error *err)
{
	const struct criu_start s = {.path = r->criu_path,
				     .images = r->request->criu.image_path,
				     .work = r->place.log_dir,
				     .fds = r->fds,
				     .n_fds = r->n_fds,
				     .prepare = r->root ? restore_mount_root : NULL,
				     .arg = r};

	return criu_start(&r->criu, &s, err);
}

static void undo_criu(struct restore *r)
{
	criu_end(&r->criu);
	/* The end of its init ends a pid namespace; without a cgroup nobody else would end it. */
	if (r->init > 0) {
		kill(r->init, SIGKILL);
		waitpid(r->init, NULL, 0);
	}
	restore_volumes_undo(r);
}

/* What criu clones is where criu is. Limits count for criu, too; with runc they do. */
static int enter_cgroup(struct restore *r, struct error *err)
{
	struct create *c = &r->create;
	int e = 0;

	c->state.pid = r->criu.pid;
	if (process_start_time(c->state.pid, &c->state.pid_start, NULL) < 0)
		return error_set(err, ESRCH, "criu ended early");
	if (c->state.systemd_scope)
		e = create_make_scope(c, err);
	/* v1: systemd has put it in its own hierarchy alone. */
	if (e == 0 && c->state.cgroup_path)
		e = cgroup_attach(&c->cgroup, c->state.pid, err);
	c->released = true;
	/* What criu makes is in its group, too. */
	if (e == 0)
		e = create_join_rdt(c, err);
	if (e == 0)
		e = create_limit_cgroup(c, err);
	r->request->criu.request.cgroup_root = c->state.cgroup_path;
	return e == 0 ? state_save(c->dir_fd, &c->state, err) : e;
}

static int set_up_network(struct restore *r, struct error *err)
{
	struct create *c = &r->create;
	_cleanup_close_ int own = -1, theirs = -1, sock = -1;
	char path[32];
	int e;

	if (!(c->ns.new_flags & CLONE_NEWNET))
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/ns/net", c->state.pid);
	own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	theirs = open(path, O_RDONLY | O_CLOEXEC);
	if (own < 0 || theirs < 0 || setns(theirs, CLONE_NEWNET) < 0)
		return error_errno(err, errno, "enter the new network namespace");
	e = sock = namespaces_loopback_socket(err);
	if (e >= 0)
		e = namespaces_loopback_up(sock, err);
	if (setns(own, CLONE_NEWNET) < 0)
		return error_errno(err, errno, "leave the new network namespace");
	return e;
}

static int run_hooks(struct restore *r, struct error *err)
{
	const struct spec_hooks *h = r->create.spec.hooks;
	struct oci_state state = container_oci_state(&r->create.state, OCI_CREATED); /* as create has it */
	int e = oci_hooks_run("prestart", h->prestart, h->n_prestart, &state, NULL, err);

	state.status = OCI_CREATING;
	return e == 0 ? oci_hooks_run("createRuntime", h->create_runtime, h->n_create_runtime, &state, NULL, err) : e;
}

static int have_namespaces(struct restore *r, struct error *err)
{
	struct create *c = &r->create;
	int e = set_up_network(r, err);

	if (e == 0)
		e = restore_volumes_mount(r, err);
	if (e == 0)
		e = net_devices_move(c->spec.linux_, c->ns.join_fds[SPEC_NS_NETWORK], c->state.pid, err);
	return e == 0 ? run_hooks(r, err) : e;
}

static int have_terminal(struct restore *r, int fd, struct error *err)
{
	struct create *c = &r->create;

	if (fd < 0)
		return error_set(err, EPROTO, "criu sent no terminal");
	if (c->console_sock >= 0)
		return console_socket_send(c->console_sock, fd, "/dev/pts/0", err);
	cleanup_close(&c->master);
	c->master = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return c->master < 0 ? error_errno(err, errno, "keep the terminal") : 0;
}

/* Before the processes go on: who is killed from here on leaves a container that delete finds. */
static int have_processes(struct restore *r, struct error *err)
{
	struct container_state *s = &r->create.state;

	if (process_start_time(s->pid, &s->pid_start, NULL) < 0)
		return error_set(err, ESRCH, "the restored init ended early");
	return state_save(r->create.dir_fd, s, err);
}

static int notified(void *arg, const struct criu_response *m, int fd, struct error *err)
{
	struct restore *r = arg;
	bool namespaces = strcmp(m->script, "setup-namespaces") == 0;
	bool processes = strcmp(m->script, "post-restore") == 0;

	if (strcmp(m->script, "orphan-pts-master") == 0)
		return have_terminal(r, fd, err);
	if (!namespaces && !processes)
		return 0;
	if (m->pid <= 0)
		return error_set(err, EPROTO, "criu did not say which process it has made");
	r->create.state.pid = r->init = m->pid;
	if (r->criu.init_pidfd < 0)
		r->criu.init_pidfd = r->create.pidfd = sys_pidfd_open(r->init, 0);
	if (r->create.pidfd < 0)
		return error_errno(err, errno, "open the restored init");
	return namespaces ? have_namespaces(r, err) : have_processes(r, err);
}

static int talk(struct restore *r, struct error *err)
{
	struct create *c = &r->create;
	int e = criu_talk(&r->criu, &r->request->criu.request, r->place.log_dir, notified, r, NULL, err);

	if (r->root)
		unlinkat(c->dir_fd, RESTORE_ROOT, AT_REMOVEDIR);
	restore_volumes_clean(r);
	if (e == 0 && r->init <= 0)
		e = error_set(err, EPROTO, "criu did not say which process it has made");
	return e;
}

static int write_pid(struct restore *r, struct error *err)
{
	return create_write_pid(&r->create, err);
}

static void undo_pid(struct restore *r)
{
	create_undo_pid(&r->create);
}

static int publish(struct restore *r, struct error *err)
{
	return state_dir_finish(r->create.dir_fd, err);
}

/* --- the list ------------------------------------------------------------------------------ */

struct step {
	int (*run)(struct restore *r, struct error *err);
	void (*undo)(struct restore *r);
};

static const struct step steps[] = {
    {load, NULL},
    {open_images, NULL},
    {open_sockets, NULL},
    {reserve, undo_reserve}, /* the id is ours, or somebody else's */
    {plan_namespaces, NULL},
    {plan_cgroup, NULL},
    {save_plan, NULL},
    {make_cgroup, undo_cgroup},
    {plan_mounts, NULL},
    {give_stdio, NULL},
    {start_criu, undo_criu}, /* in a mount namespace of its own, with the root file system where it wants it */
    {enter_cgroup, NULL},
    {talk, NULL}, /* hooks, terminal; init's pid is in the state before it runs */
    {write_pid, undo_pid},
    {publish, NULL},
};

int container_restore(struct restore_request *request, struct created *ret, struct error *err)
{
	struct restore r = {.request = request, .criu = CRIU_INIT, .place = CRIU_PLACE_INIT};
	size_t done = 0;
	int e = 0;

	create_init(&r.create, &request->create, ret);
	while (done < ARRAY_SIZE(steps) && (e = steps[done].run(&r, err)) == 0)
		done++;
	for (size_t i = done; e < 0 && i > 0; i--)
		if (steps[i - 1].undo)
			steps[i - 1].undo(&r);
	criu_place_close(&r.place);
	create_hand_over(&r.create, ret);
	return e;
}
