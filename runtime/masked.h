/* SPDX-License-Identifier: Apache-2.0 */
/*
 * masked.h - linux.maskedPaths and linux.readonlyPaths, after the change of
 * root. Paths that don't exist are skipped; links are resolved within the root.
 */
#ifndef VOLRUN_RUNTIME_MASKED_H
#define VOLRUN_RUNTIME_MASKED_H

#include "runtime/rootfs.h"

/* Each path bound on itself, read-only. */
int readonly_paths(struct rootfs *r, struct error *err);

/*
 * Files get the container's /dev/null, which must be device 1:3 and no link
 * (CVE-2025-31133); directories an empty read-only tmpfs, one for all.
 */
int masked_paths(struct rootfs *r, struct error *err);

#endif
