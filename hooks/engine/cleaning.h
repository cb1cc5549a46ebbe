/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cleaning.h - the tree is what the manifest says: its index, and the mark "clean" (cache.h). That waits for the disk,
 * as publishing does for the store: a thread does it meanwhile.
 */
#ifndef VOLRUN_HOOKS_CLEANING_H
#define VOLRUN_HOOKS_CLEANING_H

#include <pthread.h>

#include "hooks/engine/manifest.h"
#include "hooks/engine/volume.h"

struct cleaning {
	const struct volume *v;
	const struct manifest *m;
	struct error err;
	pthread_t thread;
	bool threaded;
	int result;
};

/* m is the index of its commit (index.h); it is not changed until cleaning_end, which comes in any case. */
void cleaning_begin(struct cleaning *c, const struct volume *v, const struct manifest *m);
/* Waits. Where it failed, the tree is still marked dirty. */
int cleaning_end(struct cleaning *c, struct error *err);

#endif
