/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/fence.h"

#include <errno.h>

int fence_begin(struct fence *f, struct volume *v, struct lease *l, struct error *err)
{
	*f = (struct fence){.store = v->store};
	v->store->fence_key = volume_key_meta(&f->arena, v, "head");
	if (!v->store->fence_key)
		return error_set(err, ENOMEM, "out of memory");
	v->store->fence_epoch = lease_epoch(l);
	v->store->valid = lease_valid;
	v->store->valid_ctx = l;
	return 0;
}

void fence_end(struct fence *f)
{
	if (!f->store)
		return;
	f->store->fence_key = NULL;
	f->store->valid = NULL;
	f->store->valid_ctx = NULL;
	arena_free(&f->arena);
}
