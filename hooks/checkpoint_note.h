/* SPDX-License-Identifier: Apache-2.0 */
/*
 * checkpoint_note.h - what a checkpoint notes of its container's volumes, in a file beside criu's images, so that a
 * restore knows whether they have moved on since (volumes.md §4):
 *
 *     {"format": 1, "volumes": [{"destination": "/data", "epoch": 3, "seq": 7, "record": "<sha256>"}]}
 *
 * The commit that was made while the processes stood still: of a volume without one, epoch and seq are 0. Who reads it
 * has it from outside.
 */
#ifndef VOLRUN_HOOKS_CHECKPOINT_NOTE_H
#define VOLRUN_HOOKS_CHECKPOINT_NOTE_H

#include "hooks/keeper_proto.h"

struct checkpoint_note {
	uint32_t format;
	struct checkpoint_volume *volumes;
	size_t n_volumes;
};

int checkpoint_note_write(const char *path, struct checkpoint_note *note, struct error *err);
int checkpoint_note_parse(const char *text, size_t len, struct arena *a, struct checkpoint_note *ret,
			  struct error *err);
/*
 * Adds to the request what the note in this file says of its volumes. No file, and volumes that it doesn't name:
 * nothing is known of them. Points into the arena, and to path.
 */
int checkpoint_note_apply(const char *path, struct arena *a, struct keeper_request *q, struct error *err);

/* Is this commit (its destination is of no interest) the one that was noted of q's volume v? -ESTALE. */
int checkpoint_check(const struct keeper_request *q, const struct keeper_request_volume *v,
		     const struct checkpoint_volume *now, struct error *err);

#endif
