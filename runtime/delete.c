/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/delete.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/log.h"
#include "base/sys.h"
#include "oci/spec.h"
#include "runtime/command.h"
#include "runtime/oci_hooks.h"
#include "runtime/systemd.h"
#include "runtime/volumes.h"

#define KILL_TIMEOUT_MS 10000
/* Then it may be frozen, in a cgroup of v1 that is not the container's. */
#define KILL_PATIENCE_MS 500
#define DELETE_GRACE_MS 100

/* The copy of config.json that create has made. */
static int load_config(int dir_fd, struct arena *arena, struct spec *ret, struct error *err)
{
	char path[FD_PATH_MAX];

	return spec_load(fd_path(dir_fd, path), arena, ret, err);
}

static int kill_init(const struct container_state *s, const struct cgroup *cg, struct error *err)
{
	_cleanup_close_ int pidfd = -1;
	struct pollfd p = {.events = POLLIN};
	int r = container_pidfd(s, &pidfd, err);

	if (r < 0)
		return r == -ESRCH ? 0 : r;
	if (sys_pidfd_send_signal(pidfd, SIGKILL, NULL, 0) < 0 && errno != ESRCH)
		return error_errno(err, errno, "kill the container's init");
	p.fd = pidfd;
	if (poll(&p, 1, KILL_PATIENCE_MS) == 0)
		cgroup_thaw_process(cg, s->pid);
	while (poll(&p, 1, KILL_TIMEOUT_MS) <= 0)
		if (errno != EINTR)
			return error_set(err, ETIMEDOUT, "the container's init (pid %d) does not end after SIGKILL",
					 s->pid);
	return 0;
}

static int end_processes(const struct container_state *s, struct error *err)
{
	struct cgroup cg = CGROUP_INIT;
	struct error thaw = ERROR_INIT;
	bool frozen = false;
	int r = container_cgroup(s, &cg, err);

	if (r < 0)
		return r;
	if (s->cgroup_path) {
		r = cgroup_kill(&cg, err);
		/* A frozen process of v1 dies only when it is thawed. */
		if (cgroup_is_frozen(&cg, &frozen, &thaw) == 0 && frozen)
			cgroup_freeze(&cg, false, &thaw);
	}
	if (r == 0)
		r = kill_init(s, &cg, err);
	cgroup_close(&cg);
	return r;
}

static int remove_cgroup(const struct container_state *s, struct error *err)
{
	struct cgroup cg = CGROUP_INIT;
	int r = s->systemd_scope ? systemd_stop(s->systemd_scope, s->rootless, err) : 0;

	if (r == 0)
		r = container_cgroup(s, &cg, err);
	if (r == 0 && s->cgroup_path)
		r = cgroup_destroy(&cg, err);
	cgroup_close(&cg);
	return r;
}

/* Where resctrl is no longer mounted nothing can be left in it. */
static int remove_rdt(const struct container_state *s, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct error ignored = ERROR_INIT;
	const char *mount;

	if (!s->rdt.name || intel_rdt_find(&arena, &mount, &ignored) < 0)
		return 0;
	return intel_rdt_remove(mount, &s->rdt, s->id, err);
}

/* spec: its config.json; NULL: it has no hooks, or none that could be read. */
static void run_poststop(const struct container_state *s, const struct spec *spec, struct strbuf *notes)
{
	struct oci_state state = container_oci_state(s, OCI_STOPPED);
	struct error err = ERROR_INIT;

	if (s->has_volumes && volumes_release(s->volume_config, &state, notes, &err) < 0)
		strbuf_addf(notes, "volumes: %s\n", err.msg);
	if (spec)
		oci_hooks_run_all("poststop", spec->hooks->poststop, spec->hooks->n_poststop, &state, notes);
}

static bool is_gone(int dir_fd)
{
	struct stat st;

	return fstat(dir_fd, &st) == 0 && st.st_nlink == 0;
}

/*
 * Hooks come after the directory is gone (runtime-spec, "Lifecycle", step 13), as with runc: a caller who has no time
 * kills a delete that takes long (containerd after 5 s), and does not come again for what that left.
 */
static int remove_state(const char *root, int dir_fd, const struct container_state *s, struct strbuf *notes,
			struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct error unread = ERROR_INIT;
	bool has_hooks = s->has_poststop;
	struct spec spec;
	int r;

	if (has_hooks && load_config(dir_fd, &arena, &spec, &unread) < 0) {
		strbuf_addf(notes, "poststop hooks: %s\n", unread.msg);
		has_hooks = false;
	}
	/* By its name another one may be there by now. */
	r = is_gone(dir_fd) ? 0 : state_dir_remove(root, s->id, err);
	if (r == 0)
		run_poststop(s, has_hooks ? &spec : NULL, notes);
	return r;
}

/*
 * `start` and then `delete` of what only runs a moment: other runtimes take so long to begin with the second that it
 * has ended, and callers came to rely on it.
 */
static bool ends_soon(const struct container *c)
{
	struct pollfd p = {.events = POLLIN};
	bool ended;

	if (c->status != OCI_RUNNING)
		return false;
	/* Whatever else fails proves no end, and a process that has got its pid meanwhile does not either. */
	p.fd = sys_pidfd_open(c->state.pid, 0);
	if (p.fd < 0)
		return errno == ESRCH;
	ended = poll(&p, 1, DELETE_GRACE_MS) > 0;
	close(p.fd);
	return ended;
}

int container_delete(const char *root, const struct container *c, bool force, struct strbuf *notes, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	bool processes = force || c->status == OCI_CREATED || c->state.shared_pid_ns;
	struct error gone = ERROR_INIT;
	struct container_state now;
	int r;

	if (!force && c->status != OCI_STOPPED && c->status != OCI_CREATED && !ends_soon(c))
		return error_set(err, EBUSY, "cannot delete container %s that is not stopped: %s", c->state.id,
				 oci_status_names[c->status]);
	/* Before the lock, so that a `create` that is still at work finds its init dead and gives up. */
	if (processes && (r = end_processes(&c->state, err)) < 0)
		return r;
	r = state_dir_lock(c->dir_fd, err);
	if (r < 0)
		return r;
	/* Somebody else has deleted it, or that `create` has undone itself. */
	if (is_gone(c->dir_fd))
		return 0;
	/* What it did until then. A `create` that fails after it has let go of the lock undoes itself meanwhile. */
	r = state_load(c->dir_fd, &arena, &now, &gone);
	if (r == -ENOENT) {
		now = c->state;
		r = 0;
	} else if (r < 0) {
		*err = gone;
	}
	if (r == 0 && processes)
		r = end_processes(&now, err);
	if (r == 0)
		r = remove_cgroup(&now, err);
	if (r == 0)
		r = remove_rdt(&now, err);
	return r < 0 ? r : remove_state(root, c->dir_fd, &now, notes, err);
}

int container_poststart(const char *root, const struct container *c, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_strbuf_ struct strbuf notes = STRBUF_INIT;
	struct oci_state state = container_oci_state(&c->state, OCI_RUNNING);
	struct error ignored = ERROR_INIT;
	struct spec spec;
	int r;

	if (!c->state.has_poststart)
		return 0;
	r = load_config(c->dir_fd, &arena, &spec, err);
	if (r == 0)
		r = oci_hooks_run("poststart", spec.hooks->poststart, spec.hooks->n_poststart, &state, NULL, err);
	if (r < 0)
		container_delete(root, c, true, &notes, &ignored);
	command_log_notes(&notes, NOTES_OF_USER);
	return r;
}
