/* SPDX-License-Identifier: Apache-2.0 */
/* Resource limits, OOM score, scheduler and I/O priority of a process: by its parent, resource limits by itself, too.
 */
#include <errno.h>
#include <linux/ioprio.h>
#include <linux/sched/types.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/sys.h"
#include "runtime/process.h"

struct name_value {
	const char *name;
	uint64_t value;
};

static const struct name_value rlimit_names[] = {
    {"RLIMIT_AS", RLIMIT_AS},
    {"RLIMIT_CORE", RLIMIT_CORE},
    {"RLIMIT_CPU", RLIMIT_CPU},
    {"RLIMIT_DATA", RLIMIT_DATA},
    {"RLIMIT_FSIZE", RLIMIT_FSIZE},
    {"RLIMIT_LOCKS", RLIMIT_LOCKS},
    {"RLIMIT_MEMLOCK", RLIMIT_MEMLOCK},
    {"RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE},
    {"RLIMIT_NICE", RLIMIT_NICE},
    {"RLIMIT_NOFILE", RLIMIT_NOFILE},
    {"RLIMIT_NPROC", RLIMIT_NPROC},
    {"RLIMIT_RSS", RLIMIT_RSS},
    {"RLIMIT_RTPRIO", RLIMIT_RTPRIO},
    {"RLIMIT_RTTIME", RLIMIT_RTTIME},
    {"RLIMIT_SIGPENDING", RLIMIT_SIGPENDING},
    {"RLIMIT_STACK", RLIMIT_STACK},
    {NULL, 0},
};

/* include/uapi/linux/sched.h */
static const struct name_value policy_names[] = {
    {"SCHED_OTHER", SCHED_NORMAL},
    {"SCHED_BATCH", SCHED_BATCH},
    {"SCHED_IDLE", SCHED_IDLE},
    {"SCHED_FIFO", SCHED_FIFO},
    {"SCHED_RR", SCHED_RR},
    {"SCHED_DEADLINE", SCHED_DEADLINE},
    {"SCHED_ISO", 4},
    {NULL, 0},
};

static const struct name_value policy_flag_names[] = {
    {"SCHED_FLAG_RESET_ON_FORK", SCHED_FLAG_RESET_ON_FORK},   {"SCHED_FLAG_RECLAIM", SCHED_FLAG_RECLAIM},
    {"SCHED_FLAG_DL_OVERRUN", SCHED_FLAG_DL_OVERRUN},	      {"SCHED_FLAG_KEEP_POLICY", SCHED_FLAG_KEEP_POLICY},
    {"SCHED_FLAG_KEEP_PARAMS", SCHED_FLAG_KEEP_PARAMS},	      {"SCHED_FLAG_UTIL_CLAMP_MIN", SCHED_FLAG_UTIL_CLAMP_MIN},
    {"SCHED_FLAG_UTIL_CLAMP_MAX", SCHED_FLAG_UTIL_CLAMP_MAX}, {NULL, 0},
};

static const struct name_value ioprio_names[] = {
    {"IOPRIO_CLASS_RT", IOPRIO_CLASS_RT},
    {"IOPRIO_CLASS_BE", IOPRIO_CLASS_BE},
    {"IOPRIO_CLASS_IDLE", IOPRIO_CLASS_IDLE},
    {NULL, 0},
};

static int name_find(const struct name_value *table, const char *name, const char *where, uint64_t *ret,
		     struct error *err)
{
	for (; name && table->name; table++)
		if (strcmp(table->name, name) == 0) {
			*ret = table->value;
			return 0;
		}
	return error_set(err, EINVAL, "%s: unknown name \"%s\"", where, name ? name : "");
}

/* The hard limit, where it has to be raised. Without CAP_SYS_RESOURCE it can't be: as much as there is, and a note. */
static int raise_rlimit(pid_t pid, const struct spec_rlimit *l, struct strbuf *notes, struct error *err)
{
	struct rlimit have;
	uint64_t which = 0;
	rlim_t max;
	int r = name_find(rlimit_names, l->type, "process.rlimits", &which, err);

	if (r < 0)
		return r;
	if (l->soft > l->hard)
		return error_set(err, EINVAL, "process.rlimits: the soft %s is above the hard one", l->type);
	if (prlimit(pid, (enum __rlimit_resource)which, NULL, &have) < 0)
		return error_errno(err, errno, "read %s", l->type);
	max = have.rlim_max;
	if (l->hard <= max)
		return 0;
	have.rlim_max = l->hard;
	if (prlimit(pid, (enum __rlimit_resource)which, &have, NULL) == 0)
		return 0;
	if (errno != EPERM)
		return error_errno(err, errno, "set %s to %llu:%llu", l->type, (unsigned long long)l->soft,
				   (unsigned long long)l->hard);
	strbuf_addf(notes, "%s: may not be raised above %llu without CAP_SYS_RESOURCE; that is used\n", l->type,
		    (unsigned long long)max);
	return 0;
}

int limits_settle(const struct spec_process *process, struct error *err)
{
	for (size_t i = 0; i < process->n_rlimits; i++) {
		const struct spec_rlimit *l = &process->rlimits[i];
		struct rlimit have;
		uint64_t which = 0;
		int r = name_find(rlimit_names, l->type, "process.rlimits", &which, err);

		if (r < 0)
			return r;
		if (getrlimit((enum __rlimit_resource)which, &have) < 0)
			return error_errno(err, errno, "read %s", l->type);
		if (l->hard < have.rlim_max)
			have.rlim_max = l->hard;
		have.rlim_cur = l->soft < have.rlim_max ? l->soft : have.rlim_max;
		if (setrlimit((enum __rlimit_resource)which, &have) < 0)
			return error_errno(err, errno, "set %s", l->type);
	}
	return 0;
}

static int apply_oom_score(pid_t pid, int32_t adj, struct strbuf *notes, struct error *err)
{
	char path[48], value[16];
	int r;

	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", pid);
	snprintf(value, sizeof(value), "%d", adj);
	r = write_file_at(AT_FDCWD, path, value);
	if (r == -EACCES || r == -EPERM)
		strbuf_addf(notes, "process.oomScoreAdj: may not be lowered to %d without CAP_SYS_RESOURCE\n", adj);
	else if (r < 0)
		return error_errno(err, r, "set process.oomScoreAdj to %d", adj);
	return 0;
}

static int apply_io_priority(pid_t pid, const struct spec_io_priority *p, struct error *err)
{
	uint64_t class = 0;
	int r = name_find(ioprio_names, p->class, "process.ioPriority.class", &class, err);

	if (r < 0)
		return r;
	if (syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, pid, IOPRIO_PRIO_VALUE((int)class, p->priority)) < 0)
		return error_errno(err, errno, "set process.ioPriority");
	return 0;
}

int limits_apply(pid_t pid, const struct spec_process *process, struct strbuf *notes, struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < process->n_rlimits && r == 0; i++)
		r = raise_rlimit(pid, &process->rlimits[i], notes, err);
	if (r == 0 && process->oom_score_adj)
		r = apply_oom_score(pid, *process->oom_score_adj, notes, err);
	if (r == 0 && process->io_priority)
		r = apply_io_priority(pid, process->io_priority, err);
	return r;
}

int limits_apply_scheduler(pid_t pid, const struct spec_process *process, const struct spec_resources *resources,
			   struct error *err)
{
	const struct spec_scheduler *s = process->scheduler;
	bool few_cpus = resources && resources->cpu && resources->cpu->cpus && *resources->cpu->cpus;
	struct sched_attr attr = {.size = sizeof(attr)};
	uint64_t value = 0;
	int r;

	if (!s)
		return 0;
	attr.sched_nice = s->nice;
	attr.sched_priority = (uint32_t)s->priority;
	attr.sched_runtime = s->runtime ? *s->runtime : 0;
	attr.sched_deadline = s->deadline;
	attr.sched_period = s->period;
	r = name_find(policy_names, s->policy, "process.scheduler.policy", &value, err);
	if (r < 0)
		return r;
	attr.sched_policy = (uint32_t)value;
	for (size_t i = 0; i < s->n_flags; i++) {
		r = name_find(policy_flag_names, s->flags[i], "process.scheduler.flags", &value, err);
		if (r < 0)
			return r;
		attr.sched_flags |= value;
	}
	if (syscall(SYS_sched_setattr, pid, &attr, 0) == 0)
		return 0;
	if (errno == EPERM && few_cpus)
		return error_set(err, EPERM,
				 "set process.scheduler %s: process scheduler can't be used together with AllowedCPUs",
				 s->policy);
	return error_errno(err, errno, "set process.scheduler %s", s->policy);
}
