/* SPDX-License-Identifier: Apache-2.0 */
/* checkpoint.h - a running container into files, by criu. */
#ifndef VOLRUN_RUNTIME_CHECKPOINT_H
#define VOLRUN_RUNTIME_CHECKPOINT_H

#include "runtime/criu_options.h"
#include "runtime/state_dir.h"

struct checkpoint {
	struct criu_options criu;
	const char *parent_path; /* of an earlier pre-dump, relative to the images' directory; NULL: none */
	bool pre_dump;		 /* the memory alone */
	struct strbuf *notes;	 /* gets what is no failure, a line each */
};

/*
 * Its volumes are committed, and the commits noted beside the images, while nothing of it moves.
 * Without leave_running and pre_dump the container's processes are gone afterwards. Adds to o.
 */
int container_checkpoint(const struct container *c, struct checkpoint *o, struct arena *arena, struct error *err);

#endif
