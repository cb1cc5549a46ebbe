/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keeper_cgroup.h - is anybody of the container left? Its cgroup knows: in v2
 * cgroup.events, in v1 cgroup.procs of the group and those beneath it.
 */
#ifndef VOLRUN_HOOKS_KEEPER_CGROUP_H
#define VOLRUN_HOOKS_KEEPER_CGROUP_H

#include <stdbool.h>
#include <sys/types.h>

struct error;

struct container_cgroup {
	int fd; /* its directory; -1: none */
	bool v2;
};

/*
 * Which cgroup is this process's, for the look-ups below: the one that it was in first. It may be moved
 * (keeper_scope.h), and a container that is not in a cgroup of its own is then still not alone in that of who started
 * both. A failure shows in the look-ups.
 */
void container_cgroup_remember_self(void);

/*
 * The cgroup that pid is in, by /proc/PID/cgroup: the v2 one, else a v1 one.
 * Only one that is the container's own: not this process's, nor one above that
 * (the runtime may not have moved init yet: then it is the engine's, whose
 * processes are none of ours). -ENOENT: there is none (yet).
 */
int container_cgroup_open(pid_t pid, struct container_cgroup *ret, struct error *err);
/* The same of a hierarchy that can freeze: v1's freezer, else v2 (cgroup.freeze, Linux 5.2). */
int container_freezer_open(pid_t pid, struct container_cgroup *ret, struct error *err);
void container_cgroup_close(struct container_cgroup *c);

/* Nobody in it, or it is gone, or there is none. What can't be looked at counts as somebody. */
bool container_cgroup_empty(const struct container_cgroup *c);
/* Each process in it and beneath it, until fn says true: 1; 0: it never did; negative: some could not be looked at. */
int container_cgroup_each(const struct container_cgroup *c, bool (*fn)(pid_t, void *), void *ctx);
/* SIGKILL to all in it: by cgroup.kill (Linux 5.14), else one by one. */
void container_cgroup_kill(const struct container_cgroup *c);

/* Text parts, for tests. The path of a hierarchy ("" for v2, else a controller) in a /proc/PID/cgroup text: 0, -ENOENT.
 */
int cgroup_text_path(const char *text, const char *hierarchy, char *ret, size_t size);
/* Is `path` a cgroup of another's own: neither `self` nor above it? */
bool cgroup_is_own(const char *path, const char *self);

#endif
