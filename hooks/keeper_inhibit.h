/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keeper_inhibit.h - while something is not synced yet, a machine that is told to go down is asked to wait a moment.
 *
 * logind's lock of the kind "delay": who goes down is held up for a few seconds (InhibitDelayMaxSec=), with all
 * services still there. Not "block": a node whose provider has asked it to go down would do nothing, and be switched
 * off. What takes longer than the delay is the scope's matter (keeper_scope.h).
 */
#ifndef VOLRUN_HOOKS_KEEPER_INHIBIT_H
#define VOLRUN_HOOKS_KEEPER_INHIBIT_H

#include <sys/types.h>

/*
 * A child that has the lock until inhibit_end, or until this process ends; it loads libsystemd, which the keeper then
 * need not. 0: there is none (no logind, no libsystemd); its failures are nobody's.
 */
pid_t inhibit_begin(const char *container);
void inhibit_end(pid_t child);

#endif
