/* SPDX-License-Identifier: Apache-2.0 */
/*
 * intel_rdt.h - a share of cache and memory bandwidth: linux.intelRdt (runtime-spec 1.3.0,
 * config-linux.md "IntelRdt"; the kernel's Documentation/filesystems/resctrl.rst).
 *
 * The container is in a group, which is a directory of resctrl: the one that closID names ("/": the default group),
 * else one by the container's id. What is in it later is in the group, too: the kernel's rule for children.
 *
 * `mount` is where resctrl is; a directory like it serves for tests. Names are checked here again, as they come
 * from a state file.
 */
#ifndef VOLRUN_RUNTIME_INTEL_RDT_H
#define VOLRUN_RUNTIME_INTEL_RDT_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "oci/spec.h"

/* What is to be taken away with the container; kept in its state. */
struct intel_rdt_group {
	const char *name; /* NULL: the container has no intelRdt */
	bool made;	  /* by the runtime, and for this container alone: it goes with it */
	bool monitored;	  /* it has a group of its own in mon_groups */
};

/* /sys/fs/resctrl, or where else it is mounted. In the arena. -ENOTSUP: nowhere (no such CPU, or not mounted). */
int intel_rdt_find(struct arena *arena, const char **ret_mount, struct error *err);

/*
 * Before anything is made: which group it will be. -ENOENT: a closID without a schema has to name one that is there.
 * -EINVAL: a value that is no line of its kind. Nothing is allocated: name is closID or id.
 */
int intel_rdt_plan(const char *mount, const struct spec_intel_rdt *rdt, const char *id, struct intel_rdt_group *ret,
		   struct error *err);
/*
 * Makes the group, moves the process, and writes the schemata. One that is there already must have the cache and
 * bandwidth that the spec asks for, else -EBUSY. After an error intel_rdt_remove is to be called.
 */
int intel_rdt_join(const char *mount, const struct spec_intel_rdt *rdt, const struct intel_rdt_group *g, const char *id,
		   pid_t pid, struct arena *arena, struct error *err);
/* A further process of the container's, for exec: it is a child of the runtime. */
int intel_rdt_enter(const char *mount, const struct intel_rdt_group *g, const char *id, pid_t pid, struct error *err);
/* Its directory, or a negative errno. */
int intel_rdt_open(const char *mount, const char *name);
/* intel_rdt_stats.c: appends a JSON object of its shares and, where the CPU counts them, of what was used. */
int intel_rdt_stats(const char *mount, const struct intel_rdt_group *g, const char *id, struct arena *arena,
		    struct strbuf *out, struct error *err);
/* New schemas (each may be NULL) for the group of a container, whoever else is in it. */
int intel_rdt_update(const char *mount, const struct intel_rdt_group *g, const char *l3_cache_schema,
		     const char *mem_bw_schema, struct arena *arena, struct error *err);
/* What was made; absent: 0. */
int intel_rdt_remove(const char *mount, const struct intel_rdt_group *g, const char *id, struct error *err);

#endif
