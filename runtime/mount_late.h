/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mount_late.h - bind mounts whose source is a part of the container that its own earlier mounts make.
 *
 * Such a source is not there before they are, so the parent can't clone it as it does others (mount_trees.h): init
 * does, in the root file system by descriptor, so that no link of the image leads out. When its ids are to be mapped
 * init sends the clone to the parent, which may do that, and gets it back:
 *
 *     parent                         init
 *                                <-  HS_MOUNT      value: index in the spec's mounts; with the detached mount
 *     HS_MOUNT                   ->  the same, its ids mapped
 */
#ifndef VOLRUN_RUNTIME_MOUNT_LATE_H
#define VOLRUN_RUNTIME_MOUNT_LATE_H

#include "base/strbuf.h"
#include "runtime/mount_options.h"
#include "runtime/mount_trees.h"
#include "runtime/rootfs.h"

/*
 * The path within the root of mounts[index]'s source, normal form, when an earlier mount lies on, above or beneath it;
 * else, and when memory is short, NULL. rootfs and bundle: absolute. Pure.
 */
const char *mount_late_source(const struct spec *spec, const char *rootfs, const char *bundle, size_t index,
			      struct arena *arena);

/* By init: the detached mount of such a source, its ids mapped by the parent if they are to be. */
int mount_late_clone(struct rootfs *r, const char *source, const struct mount_options *o, int index, int *ret_fd,
		     struct error *err);

/* By the parent, once init makes its mounts: the other side for all of them. As handshake_recv: 0 when init is gone. */
int mount_late_serve(const struct mount_trees *t, int sock, struct arena *arena, struct strbuf *notes,
		     struct error *err);

#endif
