/* SPDX-License-Identifier: Apache-2.0 */
/* record_store.h - the manifest of a commit from its records in the store, each checked against the sha256 that names
 * it. */
#ifndef VOLRUN_HOOKS_RECORD_STORE_H
#define VOLRUN_HOOKS_RECORD_STORE_H

#include "hooks/engine/record.h"
#include "hooks/engine/transfer.h"

/*
 * Reads the record that the register names and those that it builds on. seq 0:
 * an empty volume. Returns x->failed.
 */
int record_load(struct transfer *x, const struct head_commit *commit, struct manifest *ret);

#endif
