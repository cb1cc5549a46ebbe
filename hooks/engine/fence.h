/* SPDX-License-Identifier: Apache-2.0 */
/* fence.h - between the two calls the volume's store changes nothing without the lease (store.h, valid and fence_key).
 */
#ifndef VOLRUN_HOOKS_FENCE_H
#define VOLRUN_HOOKS_FENCE_H

#include "hooks/engine/lease.h"
#include "hooks/engine/volume.h"

struct fence {
	struct store *store; /* NULL: not begun */
	struct arena arena;
};

/* -ENOMEM. */
int fence_begin(struct fence *f, struct volume *v, struct lease *l, struct error *err);
void fence_end(struct fence *f);

#endif
