/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of config.md#process, for config.json and for exec's process.json. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "oci/check.h"

static const char *const rlimit_names[] = {
    "RLIMIT_CPU",      "RLIMIT_FSIZE",	"RLIMIT_DATA",	  "RLIMIT_STACK",  "RLIMIT_CORE",  "RLIMIT_RSS",
    "RLIMIT_NPROC",    "RLIMIT_NOFILE", "RLIMIT_MEMLOCK", "RLIMIT_AS",	   "RLIMIT_LOCKS", "RLIMIT_SIGPENDING",
    "RLIMIT_MSGQUEUE", "RLIMIT_NICE",	"RLIMIT_RTPRIO",  "RLIMIT_RTTIME", NULL,
};

static int check_user(const struct spec_process *p, const char *place, struct error *err)
{
	/* setuid(-1) means "leave it": never what is wanted. */
	if (p->user.uid == UINT32_MAX)
		return error_set(err, EINVAL, "%s.user.uid: %u is no user id", place, p->user.uid);
	if (p->user.gid == UINT32_MAX)
		return error_set(err, EINVAL, "%s.user.gid: %u is no group id", place, p->user.gid);
	for (size_t i = 0; i < p->user.n_additional_gids; i++)
		if (p->user.additional_gids[i] == UINT32_MAX)
			return error_set(err, EINVAL, "%s.user.additionalGids[%zu]: %u is no group id", place, i,
					 UINT32_MAX);
	return 0;
}

static int check_command(const struct spec_process *p, const char *place, struct error *err)
{
	char cwd[64];

	snprintf(cwd, sizeof(cwd), "%s.cwd", place);
	if (p->command_line)
		return error_set(err, EINVAL, "%s.commandLine: is for Windows; use args", place);
	if (p->n_args == 0)
		return error_set(err, EINVAL, "%s.args: must not be empty", place);
	for (size_t i = 0; i < p->n_env; i++) {
		const char *eq = strchr(p->env[i], '=');

		/* Without the value: it may be a secret that slipped out of its name. */
		if (!eq || eq == p->env[i])
			return error_set(err, EINVAL, "%s.env[%zu]: must have the form NAME=VALUE", place, i);
	}
	return check_absolute(cwd, p->cwd, err);
}

static int check_rlimits(const struct spec_process *p, const char *place, struct error *err)
{
	for (size_t i = 0; i < p->n_rlimits; i++) {
		const struct spec_rlimit *l = &p->rlimits[i];

		if (!check_one_of(l->type, rlimit_names))
			return error_set(err, EINVAL, "%s.rlimits[%zu].type: unknown limit \"%s\"", place, i, l->type);
		if (l->soft > l->hard)
			return error_set(err, EINVAL, "%s.rlimits[%zu]: soft is greater than hard", place, i);
		/* Known names without duplicates are few, so this loop ends soon. */
		for (size_t k = 0; k < i; k++)
			if (strcmp(p->rlimits[k].type, l->type) == 0)
				return error_set(err, EINVAL, "%s.rlimits[%zu].type: %s stands there twice", place, i,
						 l->type);
	}
	return 0;
}

/* sched(7): what the kernel would refuse with a bare EINVAL. The words are crun's. */
static int check_deadline(const struct spec_scheduler *s, const char *place, struct error *err)
{
	const struct {
		const char *name;
		uint64_t value;
	} times[] = {{"runtime", s->runtime ? *s->runtime : 0},
		     {"deadline", s->deadline},
		     {"period", s->period ? s->period : s->deadline}};

	if (s->runtime && *s->runtime == 0)
		return error_set(err, EINVAL,
				 "%s.scheduler: sched_setattr: `SCHED_DEADLINE` runtime must be greater than 0", place);
	for (size_t i = 0; i < 2; i++)
		if (times[i].value == 0)
			return error_set(err, EINVAL, "%s.scheduler: sched_setattr: `SCHED_DEADLINE` requires `%s`",
					 place, times[i].name);
	for (size_t i = 0; i < ARRAY_SIZE(times); i++)
		if (times[i].value < 1024 || times[i].value > INT64_MAX)
			return error_set(
			    err, EINVAL,
			    "%s.scheduler: sched_setattr: `SCHED_DEADLINE` %s (%llu) must be between 1024 and %lld",
			    place, times[i].name, (unsigned long long)times[i].value, (long long)INT64_MAX);
	for (size_t i = 1; i < ARRAY_SIZE(times); i++)
		if (times[i - 1].value > times[i].value)
			return error_set(err, EINVAL,
					 "%s.scheduler: sched_setattr: `SCHED_DEADLINE` %s (%llu) must be <= %s (%llu)",
					 place, times[i - 1].name, (unsigned long long)times[i - 1].value,
					 times[i].name, (unsigned long long)times[i].value);
	return 0;
}

/* sched_setattr(2); the rules are runc's. */
static int check_scheduler(const struct spec_process *p, const char *place, struct error *err)
{
	static const char *const policies[] = {"SCHED_OTHER", "SCHED_FIFO", "SCHED_RR",	      "SCHED_BATCH",
					       "SCHED_ISO",   "SCHED_IDLE", "SCHED_DEADLINE", NULL};
	static const char *const nice_policies[] = {"SCHED_OTHER", "SCHED_BATCH", NULL};
	static const char *const rt_policies[] = {"SCHED_FIFO", "SCHED_RR", NULL};
	static const char *const flags[] = {"SCHED_FLAG_RESET_ON_FORK",	 "SCHED_FLAG_RECLAIM",
					    "SCHED_FLAG_DL_OVERRUN",	 "SCHED_FLAG_KEEP_POLICY",
					    "SCHED_FLAG_KEEP_PARAMS",	 "SCHED_FLAG_UTIL_CLAMP_MIN",
					    "SCHED_FLAG_UTIL_CLAMP_MAX", NULL};
	const struct spec_scheduler *s = p->scheduler;
	uint64_t runtime = s && s->runtime ? *s->runtime : 0;

	if (!s)
		return 0;
	if (!check_one_of(s->policy, policies))
		return error_set(err, EINVAL, "%s.scheduler.policy: unknown policy \"%s\"", place, s->policy);
	if (check_one_of(s->policy, nice_policies) && (s->nice < -20 || s->nice > 19))
		return error_set(err, EINVAL, "%s.scheduler.nice: %d is not within -20 to 19", place, s->nice);
	if (s->priority != 0 && !check_one_of(s->policy, rt_policies))
		return error_set(err, EINVAL, "%s.scheduler.priority: only for SCHED_FIFO and SCHED_RR", place);
	if ((runtime || s->deadline || s->period) && strcmp(s->policy, "SCHED_DEADLINE") != 0)
		return error_set(err, EINVAL, "%s.scheduler: runtime, deadline and period are only for SCHED_DEADLINE",
				 place);
	for (size_t i = 0; i < s->n_flags; i++)
		if (!check_one_of(s->flags[i], flags))
			return error_set(err, EINVAL, "%s.scheduler.flags[%zu]: unknown flag \"%s\"", place, i,
					 s->flags[i]);
	return strcmp(s->policy, "SCHED_DEADLINE") == 0 ? check_deadline(s, place, err) : 0;
}

static int check_priorities(const struct spec_process *p, const char *place, struct error *err)
{
	static const char *const classes[] = {"IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE", NULL};
	const struct spec_io_priority *io = p->io_priority;
	const struct spec_exec_cpu_affinity *cpu = p->exec_cpu_affinity;

	if (p->oom_score_adj && (*p->oom_score_adj < -1000 || *p->oom_score_adj > 1000))
		return error_set(err, EINVAL, "%s.oomScoreAdj: %d is not within -1000 to 1000", place,
				 *p->oom_score_adj);
	if (io && !check_one_of(io->class, classes))
		return error_set(err, EINVAL, "%s.ioPriority.class: unknown class \"%s\"", place, io->class);
	if (io && (io->priority < 0 || io->priority > 7))
		return error_set(err, EINVAL, "%s.ioPriority.priority: %d is not within 0 to 7", place, io->priority);
	if (cpu && cpu->initial && !check_number_list(cpu->initial))
		return error_set(err, EINVAL, "%s.execCPUAffinity.initial: \"%s\" is no list of CPUs (0-3,7)", place,
				 cpu->initial);
	if (cpu && cpu->final && !check_number_list(cpu->final))
		return error_set(err, EINVAL, "%s.execCPUAffinity.final: \"%s\" is no list of CPUs (0-3,7)", place,
				 cpu->final);
	return 0;
}

/* struct winsize has 16 bits; without a terminal the member is ignored (config.md). */
static int check_console(const struct spec_process *p, const char *place, struct error *err)
{
	const struct spec_console_size *c = p->console_size;

	if (p->terminal && c && (c->height > UINT16_MAX || c->width > UINT16_MAX))
		return error_set(err, EINVAL, "%s.consoleSize: %ux%u is more than %ux%u", place, c->width, c->height,
				 UINT16_MAX, UINT16_MAX);
	return 0;
}

int spec_check_process(const struct spec_process *process, const char *place, struct error *err)
{
	static int (*const checks[])(const struct spec_process *, const char *, struct error *) = {
	    check_command, check_user, check_rlimits, check_scheduler, check_priorities, check_console,
	};

	for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
		int r = checks[i](process, place, err);

		if (r < 0)
			return r;
	}
	return 0;
}
