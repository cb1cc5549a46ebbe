/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/path.h"
#include "base/sys.h"
#include "runtime/console.h"
#include "runtime/handshake.h"
#include "runtime/namespaces.h"
#include "runtime/process.h"

/* --- the child: in the container's namespaces from the start ------------------------- */

static int child_terminal(const struct exec_request *request, int sock, struct error *err)
{
	_cleanup_close_ int root = -1, master = -1;
	char name[64];
	int r;

	if (!request->process->terminal)
		return 0;
	root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return error_errno(err, errno, "open the container's root");
	r = console_open(root, &master, name, sizeof(name), err);
	if (r == 0)
		r = handshake_send(sock, HS_CONSOLE, 0, name, master, err);
	return r == 0 ? console_attach(master, request->process->console_size, err) : r;
}

/* Without a mount namespace that would bring it. */
static int child_enter_root(int root_fd, struct error *err)
{
	if (root_fd >= 0 && (fchdir(root_fd) < 0 || chroot(".") < 0))
		return error_errno(err, errno, "enter the container's root");
	return 0;
}

static int child_run(const struct exec_request *request, struct process *process, int root_fd, int sock,
		     struct arena *arena, struct error *err)
{
	const struct container_state *s = &request->container->state;
	struct handshake_message m;
	int r;

	process_reset_signals();
	if (setsid() < 0)
		return error_errno(err, errno, "make a new session");
	r = handshake_expect(sock, HS_GO, &m, err);
	if (r == 0)
		r = process_hide(err);
	if (r == 0 && s->new_keyring)
		r = process_new_keyring(s->id, err);
	if (r == 0)
		r = child_terminal(request, sock, err);
	if (r == 0)
		r = process_open_lsm(process, err);
	if (r == 0)
		r = child_enter_root(root_fd, err);
	if (r == 0)
		r = process_enter(process, arena, sock, -1, err);
	if (r == 0)
		r = process_note(process, sock, err);
	if (r < 0)
		return r;
	sys_close_range(3 + process->n_extra_fds, ~0u, CLOSE_RANGE_CLOEXEC);
	process->state = container_oci_state(s, OCI_RUNNING);
	process->pid = m.value;
	process->report = sock;
	r = process_become(process, err);
	return r < 0 ? r : process_execve(process, err);
}

/* --- the parent ------------------------------------------------------------------------ */

struct exec {
	const struct exec_request *request;
	struct arena *arena;
	struct process process;
	struct namespaces ns;
	struct cgroup cgroup;
	int sock, init_pidfd, console_sock, pidfd_sock;
	int root_fd; /* of a container without a mount namespace */
	struct exec_result result;
};

/* "cpu,memory:sub" or "sub" */
static int enter_sub_cgroup(struct exec *e, const char *text, struct error *err)
{
	const char *colon = strchr(text, ':'), *sub = colon ? colon + 1 : text;
	const char *controllers = colon ? arena_printf(e->arena, "%.*s", (int)(colon - text), text) : NULL;

	if (colon && !controllers)
		return error_set(err, ENOMEM, "out of memory");
	if (path_has_dotdot(sub))
		return error_set(err, EINVAL, "--cgroup: bad sub cgroup path \"%s\": `..` components are not allowed",
				 sub);
	return cgroup_descend(&e->cgroup, controllers, sub, err);
}

static int open_cgroup(struct exec *e, struct error *err)
{
	const struct arg_list *sub = e->request->sub_cgroups;
	int r = container_cgroup(&e->request->container->state, &e->cgroup, err);

	for (size_t i = 0; r == 0 && sub && i < sub->n; i++)
		r = enter_sub_cgroup(e, sub->items[i], err);
	return r;
}

static int open_root(struct exec *e, struct error *err)
{
	char path[40];

	if (spec_find_namespace(e->request->spec, SPEC_NS_MOUNT))
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/root", e->request->container->state.pid);
	e->root_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	/* It was init's if init is there still. */
	if (e->root_fd < 0 || sys_pidfd_send_signal(e->init_pidfd, 0, NULL, 0) < 0)
		return error_set(err, ESRCH, "container not running: no such process");
	return 0;
}

static int prepare(struct exec *e, struct error *err)
{
	const struct exec_request *q = e->request;
	const struct container_state *s = &q->container->state;
	int r = container_pidfd(s, &e->init_pidfd, err);

	if (r == 0)
		r = process_plan(q->process, q->spec, q->container->dir_fd, q->preserve_fds, e->arena, &e->process,
				 err);
	if (r == 0)
		r = open_root(e, err);
	if (r == 0 && q->console_socket)
		r = console_socket_connect(q->console_socket, &e->console_sock, err);
	if (r == 0 && q->pidfd_socket)
		r = console_socket_connect(q->pidfd_socket, &e->pidfd_sock, err);
	return r == 0 && s->cgroup_path ? open_cgroup(e, err) : r;
}

/* The container has split its cgroup (v2) and none but init's part can have processes: as runc does. */
static int open_init_cgroup(struct exec *e, struct error *err)
{
	const struct container_state *s = &e->request->container->state;
	_cleanup_free_ char *text = NULL;
	char file[40], *line = NULL, *path;

	snprintf(file, sizeof(file), "/proc/%d/cgroup", s->pid);
	/* The unified hierarchy's line is the last. */
	if (read_file_at(AT_FDCWD, file, 1 << 16, &text, NULL) == 0)
		line = strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::");
	if (!line)
		return error_set(err, ESRCH, "container not running: no such process");
	line = strchr(line, '/');
	path = line ? arena_printf(e->arena, "%.*s", (int)strcspn(line, "\n"), line) : NULL;
	if (!path)
		return error_set(err, ENOMEM, "out of memory");
	if (!path_is_beneath(path, s->cgroup_path))
		return error_set(err, EBUSY,
				 "the container's cgroup has children with controllers, and its init left it");
	cgroup_close(&e->cgroup);
	return cgroup_open(&e->cgroup, CGROUP_V2, path, s->rootless, err);
}

/* Where it runs before it is in the container's cgroup. */
static const char *initial_cpus(const struct exec *e)
{
	const struct spec_exec_cpu_affinity *a = e->request->process->exec_cpu_affinity;

	return a && a->initial && *a->initial ? a->initial : NULL;
}

static int set_final_cpus(const struct exec *e, struct error *err)
{
	const struct spec_exec_cpu_affinity *a = e->request->process->exec_cpu_affinity;

	if (a && a->final && *a->final)
		return affinity_set(e->result.pid, a->final, "process.execCPUAffinity.final", err);
	if (!initial_cpus(e))
		affinity_reset(e->result.pid);
	return 0;
}

static int clone_here(struct exec *e, struct error *err)
{
	const char *cpus = initial_cpus(e);
	struct affinity own;
	int keep[4], pair[2], r = handshake_pair(pair, err);

	if (r == 0 && cpus)
		r = affinity_change(cpus, "process.execCPUAffinity.initial", &own, err);
	if (r < 0)
		return r;
	keep[0] = pair[1];
	keep[1] = e->process.receiver;
	keep[2] = e->process.proc_fd;
	keep[3] = e->root_fd;
	e->ns.close_from = 3 + e->process.n_extra_fds;
	e->ns.keep_fds = keep;
	e->ns.n_keep_fds = ARRAY_SIZE(keep);
	r = namespaces_clone(&e->ns, e->request->spec, e->cgroup.dir_fd, &e->result.pid, &e->result.pidfd, err);
	if (r == 0) {
		/* Who joined something has closed it. */
		if (!e->ns.join_early)
			close(pair[0]);
		if (child_run(e->request, &e->process, e->root_fd, pair[1], e->arena, err) < 0)
			handshake_send_error(pair[1], err);
		_exit(255);
	}
	if (cpus)
		affinity_restore(&own);
	close(pair[1]);
	if (r < 0)
		close(pair[0]);
	else
		e->sock = pair[0];
	return r < 0 ? r : 0;
}

static int clone_process(struct exec *e, struct error *err)
{
	int r;

	namespaces_plan_exec(e->request->spec, e->init_pidfd, &e->ns);
	/* criu has made one, so that its clocks go on from where they were. */
	if (e->request->container->state.restored && access("/proc/self/ns/time", F_OK) == 0)
		e->ns.target_flags |= namespace_flag(SPEC_NS_TIME);
	r = clone_here(e, err);
	if (r == -EBUSY && e->cgroup.dir_fd >= 0 && !(e->request->sub_cgroups && e->request->sub_cgroups->n)) {
		r = open_init_cgroup(e, err);
		if (r == 0)
			r = clone_here(e, err);
	}
	process_close(&e->process);
	return r;
}

static int receive_console(struct exec *e, struct error *err)
{
	_cleanup_close_ int master = -1;
	struct handshake_message m;
	int r;

	if (!e->request->process->terminal)
		return 0;
	r = handshake_recv(e->sock, &m, &master, err);
	if (r < 0)
		return r;
	if (r == 0 || m.type != HS_CONSOLE || master < 0)
		return error_set(err, ECHILD, "the process ended before it had a terminal");
	if (e->console_sock >= 0)
		return console_socket_send(e->console_sock, master, m.text, err);
	console_clear_onlcr(master);
	e->result.master = TAKE_FD(master);
	return 0;
}

static int enter_rdt(struct exec *e, struct error *err)
{
	const struct container_state *s = &e->request->container->state;
	const char *mount;
	int r = intel_rdt_find(e->arena, &mount, err);

	return r == 0 ? intel_rdt_enter(mount, &s->rdt, s->id, e->result.pid, err) : r;
}

/* From the clone on: what the parent does for the child, and the wait for its execve. */
static int guide(struct exec *e, struct strbuf *notes, struct error *err)
{
	const struct exec_request *q = e->request;
	struct handshake_message m;
	int fd, r = 0;

	if (q->container->state.cgroup_path && e->cgroup.dir_fd < 0)
		r = cgroup_attach(&e->cgroup, e->result.pid, err);
	if (r == 0)
		r = set_final_cpus(e, err);
	if (r == 0)
		r = limits_apply(e->result.pid, q->process, notes, err);
	if (r == 0)
		r = limits_apply_scheduler(e->result.pid, q->process, q->spec->linux_->resources, err);
	if (r == 0 && q->container->state.rdt.name)
		r = enter_rdt(e, err);
	if (r == 0)
		r = handshake_send(e->sock, HS_GO, e->result.pid, NULL, -1, err);
	if (r == 0)
		r = receive_console(e, err);
	/* The end of the stream is the program's start. */
	if (r == 0)
		r = handshake_recv_notes(e->sock, &m, &fd, notes, err);
	return r;
}

static int write_pid(struct exec *e, struct error *err)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", e->result.pid), r = 0;

	if (e->request->pid_file)
		r = write_file_atomic_at(AT_FDCWD, e->request->pid_file, text, (size_t)len, 0644, false);
	if (r < 0)
		return error_errno(err, r, "write the pid file %s", e->request->pid_file);
	if (e->pidfd_sock >= 0)
		r = console_socket_send(e->pidfd_sock, e->result.pidfd, "pidfd", err);
	return r;
}

static void end_process(struct exec *e)
{
	if (e->result.pid <= 0)
		return;
	sys_pidfd_send_signal(e->result.pidfd, SIGKILL, NULL, 0);
	waitpid(e->result.pid, NULL, 0);
	cleanup_close(&e->result.pidfd);
	cleanup_close(&e->result.master);
}

int container_exec(const struct exec_request *request, struct exec_result *ret, struct arena *arena,
		   struct strbuf *notes, struct error *err)
{
	struct exec e = {
	    .request = request,
	    .arena = arena,
	    .process = PROCESS_INIT,
	    .cgroup = CGROUP_INIT,
	    .sock = -1,
	    .init_pidfd = -1,
	    .console_sock = -1,
	    .pidfd_sock = -1,
	    .root_fd = -1,
	    .result = {.pidfd = -1, .master = -1},
	};
	int r = prepare(&e, err);

	if (r == 0)
		r = clone_process(&e, err);
	if (r == 0)
		r = guide(&e, notes, err);
	if (r == 0)
		r = write_pid(&e, err);
	if (r < 0)
		end_process(&e);
	process_close(&e.process);
	cleanup_close(&e.sock);
	cleanup_close(&e.init_pidfd);
	cleanup_close(&e.console_sock);
	cleanup_close(&e.pidfd_sock);
	cleanup_close(&e.root_fd);
	cgroup_close(&e.cgroup);
	if (r == 0)
		*ret = e.result;
	return r;
}
