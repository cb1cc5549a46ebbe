/* SPDX-License-Identifier: Apache-2.0 */
/* keeper_memory.h - a keeper does nothing for hours, and there may be hundreds of it. */
#ifndef VOLRUN_HOOKS_KEEPER_MEMORY_H
#define VOLRUN_HOOKS_KEEPER_MEMORY_H

struct hold;

/*
 * Closes the connections to the volumes' stores but the leases' own: there may be 260 of each. Gives back what was
 * needed until now: free memory of the heap, and pages of programs and libraries, which the page cache has as well and
 * which come back by themselves when they are used. Takes about a millisecond.
 */
void keeper_memory_trim(const struct hold *h);

#endif
