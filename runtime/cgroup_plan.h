/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup_plan.h - linux.resources (runtime-spec config-linux.md) as a list of
 * files to write in the container's cgroup. Pure: no system calls. Device
 * rules are not in it (cgroup_devices.h).
 */
#ifndef VOLRUN_RUNTIME_CGROUP_PLAN_H
#define VOLRUN_RUNTIME_CGROUP_PLAN_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "oci/spec.h"

/* The file may be absent: the value asks for nothing that a kernel without it does not do. */
#define CGROUP_WRITE_OPTIONAL 1u
/* The next write is this one's replacement where the file is absent; where it is there, the next one is skipped. */
#define CGROUP_WRITE_ELSE_NEXT 2u
/* The kernel may refuse it (EINVAL, EBUSY) until a later write is done: then it is tried again after all others. */
#define CGROUP_WRITE_RETRY 4u

struct cgroup_write {
	const char *resource;	/* for messages: "memory limit" */
	const char *controller; /* "memory" */
	const char *file;	/* "memory.max" */
	const char *value;
	unsigned flags;
};

struct cgroup_plan {
	struct cgroup_write *writes;
	size_t n;
	/* memory.checkBeforeUpdate: refuse when more than this is in use. -1: no check. */
	int64_t memory_must_fit;
};

/*
 * Limits that a version cannot express are errors that say so (realtime and
 * network classes on v2, `unified` on v1), but what runc leaves out on v2 is left
 * out: swappiness, disableOOMKiller, kernel, kernelTCP. 0 is "not asked" for memory, cpu
 * and weights; -1 is "no limit"; pids.limit <= 0 is "no limit". r may be NULL. Strings live in the arena.
 */
int cgroup_plan_v2(const struct spec_resources *r, struct arena *a, struct cgroup_plan *ret, struct error *err);
int cgroup_plan_v1(const struct spec_resources *r, struct arena *a, struct cgroup_plan *ret, struct error *err);

/*
 * cpu.shares 2..262144 (default 1024) to cpu.weight 1..10000 (default 100):
 * the quadratic on a log scale through those three points that runc >= 1.3.2
 * and crun >= 1.23 use. Out of range is clamped.
 */
uint64_t cgroup_cpu_weight(uint64_t shares);
/* blkio weight 10..1000 to io.weight 1..10000, linear. */
uint64_t cgroup_io_weight(uint64_t weight);

#endif
