/* SPDX-License-Identifier: Apache-2.0 */
/* cpus.h - how many threads are of use. (Not in sys.h: <sched.h> and <linux/sched/types.h> exclude each other.) */
#ifndef VOLRUN_BASE_CPUS_H
#define VOLRUN_BASE_CPUS_H

#include <sched.h>

/* How many processors this process may use. */
static inline unsigned cpus_usable(void)
{
	cpu_set_t cpus;

	return sched_getaffinity(0, sizeof(cpus), &cpus) == 0 ? (unsigned)CPU_COUNT(&cpus) : 1;
}

#endif
