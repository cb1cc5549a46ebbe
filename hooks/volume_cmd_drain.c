/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `volrun volume drain`: until the keepers of this node have done their work. At a shutdown (--force) also the
 * containers that nobody ends: those of containerd's own client, or of pods whose cgroups are none of systemd's. They
 * would be killed together with their keepers, and what they wrote would not be committed.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "hooks/confine.h"
#include "hooks/engine/keeper_name.h"
#include "hooks/keeper_note.h"
#include "hooks/volume_cmd.h"

#define DRAIN_TICK_NS (100 * NSEC_PER_MSEC)
/* From TERM to KILL. */
#define DRAIN_PATIENCE_NS (30 * NSEC_PER_SEC)

struct drain {
	const struct config *config;
	int signal; /* for the containers: 0, SIGTERM, SIGKILL */
	unsigned busy;
	char names[512];
};

/* Best effort: who has not ended is told by the next look. */
static void end_container(int dir_fd, const char *name, int signal)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct container_cgroup cgroup = {.fd = -1};
	struct keeper_note n;

	/* By mounts: that is no container's init, but the engine that asked for them. */
	if (keeper_note_read_at(dir_fd, name, &a, &n) < 0 || n.request.by_mounts)
		return;
	/* "pid start-time", and checked to be that process. */
	if (signal == SIGTERM && keeper_alive(n.init)) {
		_cleanup_right_ struct right right = right_raise(CAP_KILL); /* of whatever user it is */

		kill((pid_t)strtol(n.init, NULL, 10), SIGTERM);
	}
	if (signal == SIGKILL && keeper_note_cgroup(&n, &cgroup) == 0)
		container_cgroup_kill(&cgroup);
	container_cgroup_close(&cgroup);
}

/* The containers that joined the holder of the volume in dir_fd (keeper_users.h). */
static void end_users(int dir_fd, const char *name, int signal)
{
	_cleanup_closedir_ DIR *dir = NULL;
	struct dirent *d;
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	dir = fd >= 0 ? fdopendir(fd) : NULL;
	while (dir && (d = readdir(dir)))
		if (d->d_name[0] != '.')
			end_container(dirfd(dir), d->d_name, signal);
}

static void end_containers(const char *path, int signal)
{
	_cleanup_closedir_ DIR *dir = opendir(path);
	struct dirent *d;

	if (dir)
		end_container(dirfd(dir), "keeper", signal);
	while (dir && (d = readdir(dir)))
		if (strncmp(d->d_name, "users-", strlen("users-")) == 0)
			end_users(dirfd(dir), d->d_name, signal);
}

static int is_busy(void *ctx, const char *store, const char *workspace, const char *name)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct drain *d = ctx;
	struct volume_local l;
	size_t len = strlen(d->names);
	const char *path = arena_printf(&a, "%s/%s/%s/%s", d->config->cache.path, store, workspace, name);

	if (volume_local_read(d->config, store, workspace, name, &a, &l) < 0 || strcmp(l.state, "in use") != 0 ||
	    l.resting)
		return 0;
	if (d->signal != 0 && path)
		end_containers(path, d->signal);
	d->busy++;
	snprintf(d->names + len, sizeof(d->names) - len, "%s%s (container %s)", len ? ", " : "", name,
		 l.container ? l.container : "?");
	return 0;
}

int volume_cmd_drain(const struct volume_cmd *c, struct arena *a, struct error *err)
{
	int64_t start = clock_boottime_ns(), now = start;
	int64_t until = c->has_wait && c->wait_ns < INT64_MAX - now ? now + c->wait_ns : INT64_MAX;

	(void)a;
	for (;; now = clock_boottime_ns()) {
		_cleanup_arena_ struct arena walk = ARENA_INIT;
		struct drain d = {.config = c->config};

		if (c->force)
			d.signal = now == start ? SIGTERM : now - start >= DRAIN_PATIENCE_NS ? SIGKILL : 0;
		volume_local_each(c->config, &walk, is_busy, &d);
		if (d.busy == 0)
			return 0;
		if (now >= until)
			return error_set(err, ETIMEDOUT, "still in use: %s", d.names);
		clock_sleep_ns(DRAIN_TICK_NS);
	}
}
