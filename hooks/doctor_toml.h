/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doctor_toml.h - as much of TOML as the files of containerd, CRI-O and Podman have, to look for a runtime in them:
 * tables, and keys whose values are strings, bare words, or lists of strings over any number of lines. What is
 * anything else (inline tables, multi-line strings) is passed over, never an error: nothing is decided by it.
 */
#ifndef VOLRUN_HOOKS_DOCTOR_TOML_H
#define VOLRUN_HOOKS_DOCTOR_TOML_H

#include "base/arena.h"

/*
 * table: the names of the header, without quotes, with '/' between them:
 * [plugins."io.containerd.grpc.v1.cri".containerd] is "plugins/io.containerd.grpc.v1.cri/containerd".
 * A list calls it once for each item. The strings are the arena's.
 */
typedef void (*toml_fn)(void *ctx, const char *table, const char *key, const char *value);

/* -ENOMEM. */
int toml_each(const char *text, struct arena *a, toml_fn fn, void *ctx);

#endif
