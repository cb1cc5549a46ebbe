/* SPDX-License-Identifier: Apache-2.0 */
/* On which CPUs a process runs and from which nodes its memory comes: lists of numbers for the kernel. */
#include <errno.h>
#include <linux/mempolicy.h>
#include <sched.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "base/sys.h"
#include "runtime/process.h"

#define NODES_MAX 1024 /* MAX_NUMNODES */
#define WORD_BITS (8 * sizeof(unsigned long))

/* Linux 5.15 and 6.9 */
#define POLICY_PREFERRED_MANY 5
#define POLICY_WEIGHTED_INTERLEAVE 6

static int list_parse(const char *what, const char *list, size_t n_bits, unsigned long *ret, struct error *err)
{
	int r = num_parse_list(list, n_bits, ret);

	return r < 0 ? error_errno(err, r, "%s \"%s\"", what, list) : 0;
}

int affinity_set(pid_t pid, const char *cpus, const char *what, struct error *err)
{
	struct affinity a;
	int r = list_parse(what, cpus, AFFINITY_CPUS_MAX, a.set, err);

	if (r < 0)
		return r;
	if (sched_setaffinity(pid, sizeof(a.set), (const cpu_set_t *)a.set) < 0)
		return error_errno(err, errno, "set %s to the CPUs %s", what, cpus);
	return 0;
}

int affinity_change(const char *cpus, const char *what, struct affinity *ret_saved, struct error *err)
{
	if (sched_getaffinity(0, sizeof(ret_saved->set), (cpu_set_t *)ret_saved->set) < 0)
		return error_errno(err, errno, "read the CPUs of the runtime");
	return affinity_set(0, cpus, what, err);
}

void affinity_restore(const struct affinity *saved)
{
	(void)sched_setaffinity(0, sizeof(saved->set), (const cpu_set_t *)saved->set);
}

void affinity_reset(pid_t pid)
{
	struct affinity all;

	memset(all.set, 0xff, sizeof(all.set));
	(void)sched_setaffinity(pid, sizeof(all.set), (const cpu_set_t *)all.set);
}

/* Each list of values stands in the order of its list of names. */
const char *const memory_policy_modes[] = {
    "MPOL_DEFAULT",   "MPOL_BIND",	     "MPOL_INTERLEAVE", "MPOL_WEIGHTED_INTERLEAVE",
    "MPOL_PREFERRED", "MPOL_PREFERRED_MANY", "MPOL_LOCAL",	NULL};
static const unsigned mode_values[] = {
    MPOL_DEFAULT,	   MPOL_BIND, MPOL_INTERLEAVE, POLICY_WEIGHTED_INTERLEAVE, MPOL_PREFERRED,
    POLICY_PREFERRED_MANY, MPOL_LOCAL};
const char *const memory_policy_flags[] = {"MPOL_F_NUMA_BALANCING", "MPOL_F_RELATIVE_NODES", "MPOL_F_STATIC_NODES",
					   NULL};
static const unsigned flag_values[] = {MPOL_F_NUMA_BALANCING, MPOL_F_RELATIVE_NODES, MPOL_F_STATIC_NODES};
_Static_assert(ARRAY_SIZE(mode_values) == ARRAY_SIZE(memory_policy_modes) - 1, "one value per mode");
_Static_assert(ARRAY_SIZE(flag_values) == ARRAY_SIZE(memory_policy_flags) - 1, "one value per flag");

/* The names have been checked with the spec. */
static unsigned value_of(const char *const *names, const unsigned *values, const char *name)
{
	size_t i = 0;

	while (names[i] && strcmp(names[i], name) != 0)
		i++;
	return names[i] ? values[i] : 0;
}

int memory_policy_set(const struct spec_memory_policy *p, struct error *err)
{
	const char *list = p->nodes && *p->nodes ? p->nodes : NULL;
	unsigned long nodes[NODES_MAX / WORD_BITS];
	unsigned mode = value_of(memory_policy_modes, mode_values, p->mode);
	int r = 0;

	for (size_t i = 0; i < p->n_flags; i++)
		mode |= value_of(memory_policy_flags, flag_values, p->flags[i]);
	if (list)
		r = list_parse("linux.memoryPolicy: invalid memory policy nodes", list, NODES_MAX, nodes, err);
	if (r < 0)
		return r;
	/* The kernel takes one bit less than it is told. */
	if (syscall(SYS_set_mempolicy, mode, list ? nodes : NULL, list ? NODES_MAX + 1 : 0) < 0)
		return error_errno(err, errno, "set linux.memoryPolicy to %s%s%s", p->mode,
				   list ? " of the nodes " : "", list ? list : "");
	return 0;
}
