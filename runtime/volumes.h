/* SPDX-License-Identifier: Apache-2.0 */
/*
 * volumes.h - the runtime's side of volumes: it runs volrun-hook, which has the
 * store, the lease and the cache, and receives one detached mount per volume.
 *
 *     volrun-hook [--config=FILE] prestart --socket=FD --keeper=FD,PID [--checkpoint=FILE]
 *         state JSON on stdin, which comes later
 *         first where they will be, {"destinations": ["/data"]}, as soon as the state is read;
 *         then one message {"destination": "/data", "ro": false} with a mount for each volume, in that order; exit 0
 *         a container that is to have none, after all: no message
 *         rootless, where the hook may not mount: "directory": true, with the volume's directory
 *         failure: exit 1 and one line on stderr
 *         The keeper is a child of the hook's: started beside it, and not by it, since nothing takes as long as what
 *         a keeper has to load.
 *     volrun-hook [--config=FILE] checkpoint --checkpoint=FILE    state JSON on stdin; while nothing of it moves: has
 *         the volumes committed, and writes the file, which a restore's prestart gets
 *     volrun-hook [--config=FILE] poststop                state JSON on stdin; warnings on stderr
 */
#ifndef VOLRUN_RUNTIME_VOLUMES_H
#define VOLRUN_RUNTIME_VOLUMES_H

#include "base/arena.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "oci/state.h"
#include "oci/volume.h"
#include "runtime/rootfs.h"

/*
 * The hook of prestart that is running: begun before there is a container, so
 * that what it loads is loaded when its state is known. volumes_end or
 * volumes_cancel ends it. In the arena.
 */
struct volumes_hook;

/* config: --config for the hook, or NULL. checkpoint: volumes_checkpoint's file, of a restore; or NULL. */
int volumes_begin(const char *config, const char *checkpoint, struct arena *arena, struct volumes_hook **ret,
		  struct error *err);
/*
 * Tells the hook of the container, and waits until it knows where the volumes will be: fills at most VOLUME_MAX
 * entries, without descriptors. None where it failed already, which volumes_fetch will say.
 */
int volumes_plan(struct volumes_hook *h, const struct oci_state *state, struct arena *arena,
		 struct rootfs_volume ret[VOLUME_MAX], size_t *ret_n, struct error *err);
/*
 * After it: fills the n entries; their descriptors are the caller's. Then volumes_end, which says whether the hook
 * is content, and, after a failure, why not.
 */
int volumes_fetch(struct volumes_hook *h, struct arena *arena, struct rootfs_volume *volumes, size_t n,
		  struct error *err);
int volumes_end(struct volumes_hook *h, struct strbuf *notes, struct error *err);
void volumes_cancel(struct volumes_hook *h);
/* Closes our descriptors only: for a child that is not to have them. */
void volumes_forget(struct volumes_hook *h);
/* The container stands still: commits its volumes, and notes in that file what a restore has to find. */
int volumes_checkpoint(const char *config, const struct oci_state *state, const char *file, struct strbuf *notes,
		       struct error *err);
/* After the end, or to undo. Warnings of the hook become a line in notes. */
int volumes_release(const char *config, const struct oci_state *state, struct strbuf *notes, struct error *err);

/* The path of one of our own programs: beside this executable, else in PKGLIBEXECDIR. In the arena. */
int own_program(const char *name, struct arena *arena, const char **ret, struct error *err);

#endif
