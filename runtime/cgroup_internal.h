/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup_internal.h - between cgroup.c and its parts: what is the same in all
 * hierarchies (cgroup_tree.c), and what v1 and v2 do differently.
 */
#ifndef VOLRUN_RUNTIME_CGROUP_INTERNAL_H
#define VOLRUN_RUNTIME_CGROUP_INTERNAL_H

#include <stdint.h>

#include "runtime/cgroup.h"
#include "runtime/cgroup_devices.h"
#include "runtime/cgroup_plan.h"

#define CGROUP_ROOT "/sys/fs/cgroup"
/* How long this module waits for processes to freeze, to die, or for a cgroup to become removable. */
#define CGROUP_WAIT_NS (10 * INT64_C(1000000000))

/* --- cgroup_tree.c: directories and processes ------------------------------- */

struct cgroup_pid_list {
	pid_t *pids;
	size_t n, room;
};

/* Called for every level after its directory is there. Negative errno: stop. */
typedef int (*cgroup_level_fn)(const struct cgroup_hierarchy *h, int parent_fd, int child_fd);

/*
 * Makes h->mount + path, level by level, and opens h->fd. *ret_made: how many of the lowest
 * levels are new. On failure those made are removed again.
 */
int cgroup_tree_make(struct cgroup_hierarchy *h, const char *path, cgroup_level_fn level, size_t *ret_made);
/* Removes the n lowest levels of h->mount + path; not their children. */
void cgroup_tree_unmake(const struct cgroup_hierarchy *h, const char *path, size_t n);
/* Opens h->fd; -1 stays where it is absent. */
int cgroup_tree_open(struct cgroup_hierarchy *h, const char *path);
/* All processes of the cgroup and its descendants, in no order. */
int cgroup_tree_pids(int fd, struct cgroup_pid_list *list);
/* Removes the cgroup and its descendants, deepest first; waits until deadline_ns (boottime) while they are busy. */
int cgroup_tree_remove(const struct cgroup_hierarchy *h, const char *path, int64_t deadline_ns);

/* The wait between two looks at something: 100 us at first, doubled up to 20 ms. False past the deadline. */
bool cgroup_wait(int64_t *delay_ns, int64_t deadline_ns);

/* Reads a small file: at most 64 KiB. The caller frees *ret. */
int cgroup_read(int fd, const char *file, char **ret);
/* The number after "key " in a flat keyed file such as cgroup.events. */
int cgroup_read_key(int fd, const char *file, const char *key, uint64_t *ret);

/* --- the versions ------------------------------------------------------------ */

struct cgroup_version {
	/* Fills cg->hierarchies, fds -1. */
	int (*find)(struct cgroup *cg, struct error *err);
	cgroup_level_fn level;
	int (*plan)(const struct spec_resources *r, struct arena *a, struct cgroup_plan *ret, struct error *err);
	const char *memory_usage_file;
	int (*devices)(const struct cgroup *cg, const struct device_rules *rules, bool update, struct arena *a,
		       struct error *err);
	/* Asks for the state; does not wait. */
	int (*freeze)(const struct cgroup *cg, bool freeze);
	/* Is everything in the state that was asked for? */
	int (*is_frozen)(const struct cgroup *cg, bool *ret);
};

extern const struct cgroup_version cgroup_version_v1, cgroup_version_v2;
/* By the mode; not for CGROUP_NONE. */
const struct cgroup_version *cgroup_version_of(const struct cgroup *cg);

/* Does the hierarchy have it, as far as its mount tells? The unified one: false. */
bool cgroup_has_controller(const struct cgroup_hierarchy *h, const char *controller);
/* The open v1 hierarchy that has the controller ("devices"), or NULL. */
const struct cgroup_hierarchy *cgroup_find_controller(const struct cgroup *cg, const char *controller);
/* The open unified hierarchy, or NULL. */
const struct cgroup_hierarchy *cgroup_find_unified(const struct cgroup *cg);
/* Appends a hierarchy to cg; takes copies of the strings. */
int cgroup_add_hierarchy(struct cgroup *cg, const char *mount, const char *controllers, bool unified);

/* cgroup_frozen.c: what is frozen is so by a pause from here on, and by no keeper. */
void cgroup_unmark_frozen(const struct cgroup *cg);

#endif
