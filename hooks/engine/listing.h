/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listing.h - a listing of the plain copy that is made by a thread of its own
 * while the lease is being written, so that a start pays one round trip for both.
 * What has changed since it was made differs from the applied table, and is
 * asked about like anything else that does (foreign.h).
 */
#ifndef VOLRUN_HOOKS_LISTING_H
#define VOLRUN_HOOKS_LISTING_H

#include "hooks/engine/volume.h"

struct listing;

/* Begins, by v->store, which is the listing's until listing_wait. NULL: it can't be (the caller lists later). */
struct listing *listing_begin(struct volume *v);
/* Waits for its end. NULL when it failed, or was too long to be kept: it is freed then. */
struct listing *listing_wait(struct listing *l);
/* As store_list; what it tells is good until listing_free. */
int listing_tell(const struct listing *l, store_list_fn fn, void *ctx, struct error *err);
/* NULL is fine. Waited for, or never begun. */
void listing_free(struct listing *l);

#endif
