/* SPDX-License-Identifier: Apache-2.0 */
/* volume_conflict.h - conflicts as they lie in the store (engine/conflict.h). What is read is hostile. */
#ifndef VOLRUN_HOOKS_VOLUME_CONFLICT_H
#define VOLRUN_HOOKS_VOLUME_CONFLICT_H

#include "hooks/engine/conflict.h"

/* Reads changes.json: the note (arena), and fn for each change. -ENOENT: it is not in the store. */
int volume_conflict_read(struct volume *v, const char *id, struct arena *a, struct conflict_note *ret, changes_fn fn,
			 void *ctx, struct error *err);

/* The added and changed files, links and directories into the (empty) directory. */
int volume_conflict_fetch(struct volume *v, const char *id, const char *dir, struct error *err);

/* Deletes its objects; *ret_n: how many there were. */
int volume_conflict_delete(struct volume *v, const char *id, size_t *ret_n, struct error *err);

#endif
