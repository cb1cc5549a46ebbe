/* SPDX-License-Identifier: Apache-2.0 */
/*
 * volumes.h - the runtime's side of volumes: it runs volrun-hook, which has the
 * store, the lease and the cache, and receives one detached mount per volume.
 *
 *     volrun-hook [--config=FILE] prestart --socket=FD    state JSON on stdin
 *         one message {"destination": "/data", "ro": false} with a mount for each volume; exit 0
 *         rootless, where the hook may not mount: "directory": true, with the volume's directory
 *         failure: exit 1 and one line on stderr
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

/* config: --config for the hook, or NULL. Fills at most VOLUME_MAX entries; the descriptors are the caller's. */
int volumes_fetch(const char *config, const struct oci_state *state, struct arena *arena,
		  struct rootfs_volume ret[VOLUME_MAX], size_t *ret_n, struct strbuf *notes, struct error *err);
/* After the end, or to undo. Warnings of the hook become a line in notes. */
int volumes_release(const char *config, const struct oci_state *state, struct strbuf *notes, struct error *err);

/* The path of one of our own programs: beside this executable, else in PKGLIBEXECDIR. In the arena. */
int own_program(const char *name, struct arena *arena, const char **ret, struct error *err);

#endif
