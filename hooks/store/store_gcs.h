/* SPDX-License-Identifier: Apache-2.0 */
/* store_gcs.h - what only tests of the GCS store need; the store itself is opened by store_open. */
#ifndef VOLRUN_HOOKS_STORE_GCS_H
#define VOLRUN_HOOKS_STORE_GCS_H

#include "hooks/store/store_impl.h"

/*
 * Bodies above `limit` go up as resumable uploads in pieces of `chunk` bytes, and writes of one object keep
 * pace_ns between them (0: none), in place of the defaults.
 */
void store_gcs_limits(struct store *s, uint64_t limit, uint64_t chunk, int64_t pace_ns);

#endif
