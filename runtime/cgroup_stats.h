/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup_stats.h - what a container uses, as the object "data" of runc's
 * `events --stats` (its types/events.go): containerd's and people's tools parse it.
 *
 * Units: CPU times in nanoseconds, memory in bytes, PSI totals in microseconds. A limit
 * that is none is 18446744073709551615. What a controller that is missing would tell is left out or 0.
 */
#ifndef VOLRUN_RUNTIME_CGROUP_STATS_H
#define VOLRUN_RUNTIME_CGROUP_STATS_H

#include "base/strbuf.h"
#include "runtime/cgroup.h"

/* cg is open. Appends the JSON object; intel_rdt is a member's value. -ENODEV: the cgroup is gone. */
int cgroup_stats(const struct cgroup *cg, const char *intel_rdt, struct strbuf *out, struct error *err);

/*
 * A descriptor that becomes readable (v1: POLLIN, to be read as an eventfd) or exceptional (v2: POLLPRI, memory.events)
 * when the kernel's OOM killer was at work in the cgroup, and when the cgroup goes away. -ENOTSUP: no memory
 * controller.
 */
int cgroup_oom_open(const struct cgroup *cg, int *ret_fd, struct error *err);
/* How many processes the OOM killer ended so far; -ENODEV when the cgroup is gone. */
int cgroup_oom_count(const struct cgroup *cg, uint64_t *ret);

#endif
