/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/init.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/sys.h"
#include "base/target.h"
#include "runtime/console.h"
#include "runtime/handshake.h"
#include "runtime/mount_trees.h"
#include "runtime/oci_hooks.h"

/* The creator died or gave up: nobody is there to be told. */
static void end_if_alone(int r)
{
	if (r == 0)
		_exit(255);
}

/* --- the steps, in their order ------------------------------------------------- */

static int begin(struct init *in, struct error *err)
{
	process_reset_signals();
	(void)in;
	return setsid() < 0 ? error_errno(err, errno, "make a new session") : 0;
}

/* fd -1: it comes later. */
static int take_volume(struct init *in, const char *destination, int kind, int fd, struct error *err)
{
	const char *copy = arena_strdup(in->arena, destination);
	int tree = fd, r;

	if (!copy || in->rootfs.n_volumes >= VOLUME_MAX)
		return error_set(err, ENOMEM, "out of memory");
	if (fd >= 0 && kind != VOLUME_MOUNT) {
		r = mount_tree_of_directory(fd, kind == VOLUME_DIRECTORY_RO, &tree, err);
		if (r < 0)
			return error_wrap(err, "volume on \"%s\"", destination);
		close(fd);
	}
	in->volumes[in->rootfs.n_volumes++] = (struct rootfs_volume){.destination = copy, .tree_fd = tree};
	in->rootfs.volumes = in->volumes;
	return 0;
}

/* Those that were to come later, in the same order. */
static int await_volumes(void *arg, struct error *err)
{
	struct init *in = arg;

	for (size_t i = 0; i < in->rootfs.n_volumes; i++) {
		struct handshake_message m;
		int fd, r = handshake_recv(in->sock, &m, &fd, err);

		end_if_alone(r);
		if (r < 0)
			return r;
		in->volumes[i].tree_fd = fd;
		if (m.type != HS_VOLUME || m.value != VOLUME_MOUNT || fd < 0 ||
		    strcmp(m.text, in->volumes[i].destination) != 0)
			return error_set(err, EPROTO, "handshake: message %d where a volume was due", m.type);
	}
	return 0;
}

/* One of n, in a table that is made with the first of them. */
static int take_tree(struct init *in, int **table, size_t n, int index, int fd, struct error *err)
{
	if (index < 0 || (size_t)index >= n)
		return error_set(err, EPROTO, "handshake: there is no mount or device %d", index);
	if (!*table) {
		*table = arena_calloc(in->arena, n, sizeof(**table));
		if (!*table)
			return error_set(err, ENOMEM, "out of memory");
		for (size_t i = 0; i < n; i++)
			(*table)[i] = -1;
	}
	(*table)[index] = fd;
	in->rootfs.mount_tree_fds = in->trees;
	in->rootfs.device_tree_fds = in->devices;
	return 0;
}

/* What comes before HS_GO. */
static int take(struct init *in, const struct handshake_message *m, int fd, struct error *err)
{
	if (m->type == HS_VOLUME)
		return take_volume(in, m->text, m->value, fd, err);
	if (fd >= 0 && m->type == HS_MOUNT)
		return take_tree(in, &in->trees, in->spec->n_mounts, m->value, fd, err);
	if (fd >= 0 && m->type == HS_DEVICE)
		return take_tree(in, &in->devices, in->spec->linux_->n_devices, m->value, fd, err);
	return error_set(err, EPROTO, "handshake: message %d where the mounts were due", m->type);
}

/* The parent has opened it; here its place alone is wanted, for mounts of type cgroup. */
static int take_scope(struct init *in, const char *path, struct error *err)
{
	in->scope = (struct cgroup){.mode = cgroup_detect(), .path = arena_strdup(in->arena, path), .dir_fd = -1};
	in->rootfs.cgroup = &in->scope;
	return in->scope.path ? 0 : error_set(err, ENOMEM, "out of memory");
}

static int wait_go(struct init *in, struct error *err)
{
	for (;;) {
		struct handshake_message m;
		int fd, r = handshake_recv(in->sock, &m, &fd, err);

		end_if_alone(r);
		if (r < 0)
			return r;
		if (m.type == HS_GO) {
			in->state.pid = m.value;
			return m.text[0] ? take_scope(in, m.text, err) : 0;
		}
		r = take(in, &m, fd, err);
		if (r < 0)
			return r;
	}
}

/*
 * Relative sources of bind mounts count from the bundle. Not before the ids are mapped: a bundle
 * that belongs to the container's root alone can't be entered by one who isn't yet.
 */
static int enter_bundle(struct init *in, struct error *err)
{
	_cleanup_free_ char *cwd = NULL;
	int r = chdir(in->state.bundle) < 0 ? -errno : 0;

	/* The root of a joined user namespace may not go where its caller was already, see namespaces.h. */
	if (r < 0 && (cwd = getcwd(NULL, 0)) && strcmp(cwd, in->state.bundle) == 0)
		return 0;
	return r < 0 ? error_errno(err, r, "enter the bundle %s", in->state.bundle) : 0;
}

static int bring_up_loopback(struct init *in, struct error *err)
{
	_cleanup_close_ int sock = -1;

	if (!(in->ns->new_flags & CLONE_NEWNET))
		return 0;
	sock = namespaces_loopback_socket(err);
	if (sock < 0)
		return sock;
	if (namespaces_loopback_by_creator(in->ns, in->spec))
		return handshake_send(in->sock, HS_LOOPBACK, 0, NULL, sock, err);
	return namespaces_loopback_up(sock, err);
}

static int enter_namespaces(struct init *in, struct error *err)
{
	/* Not before HS_GO: the parent, if it isn't root, could no longer write our id maps. */
	int r = namespaces_enter(in->ns, in->spec, err);

	if (r == 0)
		r = bring_up_loopback(in, err);
	if (r == 0 && in->new_keyring)
		r = process_new_keyring(in->state.id, err);
	return r;
}

static int prepare_rootfs(struct init *in, struct error *err)
{
	in->rootfs.await_volumes = await_volumes;
	in->rootfs.await_arg = in;
	in->rootfs.volumes_may_wait = !in->parent_hooks && in->spec->hooks->n_create_container == 0;
	return rootfs_prepare(&in->rootfs, err);
}

static int wait_parent_hooks(struct init *in, struct error *err)
{
	struct handshake_message m;
	int r;

	if (!in->parent_hooks)
		return 0;
	r = handshake_send(in->sock, HS_ROOTFS, 0, NULL, -1, err);
	if (r == 0)
		r = handshake_expect(in->sock, HS_HOOKS_DONE, &m, err);
	end_if_alone(r == -ECONNRESET ? 0 : 1);
	return r;
}

static int run_create_hooks(struct init *in, struct error *err)
{
	const struct spec_hooks *h = in->spec->hooks;

	/* Where their relative paths count from, as with runc and crun. */
	if (h->n_create_container && fchdir(in->rootfs.root_fd) < 0)
		return error_errno(err, errno, "enter the root file system for the createContainer hooks");
	return oci_hooks_run("createContainer", h->create_container, h->n_create_container, &in->state, NULL, err);
}

static int open_terminal(struct init *in, struct error *err)
{
	char name[64];
	int r;

	if (!in->spec->process->terminal)
		return 0;
	r = rootfs_open_pty(&in->rootfs, &in->master, name, sizeof(name), err);
	if (r == 0)
		r = rootfs_mount_console(&in->rootfs, name, err);
	if (r == 0)
		r = handshake_send(in->sock, HS_CONSOLE, 0, name, in->master, err);
	return r;
}

static int open_lsm(struct init *in, struct error *err)
{
	return process_open_lsm(in->process, err);
}

static int enter_rootfs(struct init *in, struct error *err)
{
	return rootfs_enter(&in->rootfs, err);
}

static int mount_volumes(struct init *in, struct error *err)
{
	return rootfs_mount_volumes(&in->rootfs, err);
}

/* As runc does it. What is in its way, enter_process will say when it can't go there. */
static int make_cwd(struct init *in, struct error *err)
{
	struct target t = {.path = in->spec->process->cwd, .make = TARGET_DIR};
	_cleanup_close_ int fd = -1;

	(void)err;
	if (strcmp(t.path, "/") != 0)
		target_open(in->rootfs.root_fd, &t, in->arena, &fd, NULL);
	return 0;
}

static int finish_rootfs(struct init *in, struct error *err)
{
	return rootfs_finish(&in->rootfs, err);
}

static int set_names(struct init *in, struct error *err)
{
	const char *host = in->spec->hostname, *domain = in->spec->domainname;

	if (host && *host && sethostname(host, strlen(host)) < 0)
		return error_errno(err, errno, "set the hostname");
	if (domain && *domain && setdomainname(domain, strlen(domain)) < 0)
		return error_errno(err, errno, "set the domain name");
	return 0;
}

static int attach_terminal(struct init *in, struct error *err)
{
	int r;

	if (in->master < 0)
		return 0;
	r = console_attach(in->master, in->spec->process->console_size, err);
	cleanup_close(&in->master);
	in->master = -1;
	return r;
}

static int enter_process(struct init *in, struct error *err)
{
	return process_enter(in->process, in->arena, in->sock, in->start_sock, err);
}

/* The connection of a `start` that means it: one that hangs up before HS_START was killed, the next may come. */
static int accept_start(struct init *in, struct error *err)
{
	for (;;) {
		_cleanup_close_ int conn = accept4(in->start_sock, NULL, NULL, SOCK_CLOEXEC);
		struct handshake_message m;

		if (conn < 0 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (conn < 0)
			return error_errno(err, errno, "accept on the start socket");
		if (handshake_expect(conn, HS_START, &m, err) == 0) {
			in->report = TAKE_FD(conn);
			return process_report_to(in->process, in->report, err);
		}
	}
}

static void end_created(int sig)
{
	_exit(128 + sig);
}

/* The first process of a pid namespace does not end by a signal's default action, and a created container is to. */
static void end_by_signals(bool on)
{
	static const int signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};

	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		signal(signals[i], on ? end_created : SIG_DFL);
}

static int wait_start(struct init *in, struct error *err)
{
	struct handshake_message m;
	int fd, r = process_note(in->process, in->sock, err);

	if (r == 0 && !in->start_at_once)
		r = handshake_send(in->sock, HS_READY, 0, NULL, -1, err);
	if (r == 0)
		r = handshake_recv(in->sock, &m, &fd, err);
	end_if_alone(r);
	if (r < 0)
		return r;
	if (m.type == HS_CREATED) {
		close(TAKE_FD(in->sock));
		end_by_signals(true);
		r = accept_start(in, err);
		end_by_signals(false);
		return r;
	}
	return m.type == HS_START ? 0 : error_set(err, EPROTO, "handshake: message %d where the start was due", m.type);
}

static int become(struct init *in, struct error *err)
{
	/* Descriptors that the program is to have stay open; all others are close-on-exec or closed already. */
	sys_close_range(3 + in->process->n_extra_fds, ~0u, CLOSE_RANGE_CLOEXEC);
	in->state.status = OCI_CREATING; /* as runc and crun have it for the receiver of a seccomp listener */
	in->process->state = in->state;
	in->process->pid = in->state.pid;
	in->process->report = in->report;
	return process_become(in->process, err);
}

/* A receiver of a seccomp listener hears of the container while it is created, as with runc and crun. */
static int become_notifying(struct init *in, struct error *err)
{
	return in->process->seccomp.notify ? become(in, err) : 0;
}

static int become_process(struct init *in, struct error *err)
{
	return in->process->seccomp.notify ? 0 : become(in, err);
}

/* They are programs of the image: with no more rights than the process itself. */
static int run_start_hooks(struct init *in, struct error *err)
{
	const struct spec_hooks *h = in->spec->hooks;

	if (h->n_start_container == 0)
		return 0;
	in->state.status = OCI_CREATED;
	if (oci_hooks_run("startContainer", h->start_container, h->n_start_container, &in->state, in->process->env,
			  err) == 0)
		return 0;
	err->code = START_HOOK_FAILED;
	return -START_HOOK_FAILED;
}

static int execute(struct init *in, struct error *err)
{
	return process_execve(in->process, err);
}

static int (*const steps[])(struct init *, struct error *) = {
    begin,   /* new session, no blocked or ignored signals */
    wait_go, /* ids are mapped, the cgroup is entered, it is known where volumes will be */
    enter_bundle,
    enter_namespaces, /* not dumpable; joined ones, cgroup; root of the user namespace; lo; keyring */
    prepare_rootfs,   /* every mount and device; waits for the volumes if one of these, or a hook, needs them */
    wait_parent_hooks,
    run_create_hooks,
    open_terminal,
    open_lsm,
    enter_rootfs,  /* pivot_root */
    mount_volumes, /* that may come this late: they take the longest */
    make_cwd,
    finish_rootfs, /* sysctls, masked and read-only paths, read-only root */
    set_names,
    attach_terminal,
    enter_process, /* descriptors closed, cwd entered, program found */
    become_notifying,
    wait_start,	    /* here the container is "created" */
    become_process, /* user, capabilities, seccomp; unless it was so before */
    run_start_hooks,
    execute,
};

void init_main(struct init *in)
{
	struct error err = ERROR_INIT;

	in->report = in->sock;
	in->master = -1;
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		if (steps[i](in, &err) < 0) {
			handshake_send_error(in->report, &err);
			break;
		}
	}
	_exit(255);
}
