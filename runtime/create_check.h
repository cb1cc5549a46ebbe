/* SPDX-License-Identifier: Apache-2.0 */
/* create_check.h - what create decides and reads before it makes anything. */
#ifndef VOLRUN_RUNTIME_CREATE_CHECK_H
#define VOLRUN_RUNTIME_CREATE_CHECK_H

#include "runtime/create.h"

/* What spec_check leaves to the runtime: combinations with the request, and what this runtime can't do. */
int create_check(const struct spec *spec, const struct create_request *request, struct error *err);

/* The bundle's absolute path without links. In the arena, as all paths here. */
int create_bundle_path(const char *bundle, struct arena *arena, const char **ret, struct error *err);
/* root.path, relative to the bundle or absolute. */
int create_rootfs_path(const char *bundle, const char *path, struct arena *arena, const char **ret, struct error *err);
/* Against the working directory. */
int create_absolute_path(const char *path, struct arena *arena, const char **ret, struct error *err);
/* Copies <bundle>/config.json into the container's directory. */
int create_copy_config(const char *bundle, const char *config, int dir_fd, struct error *err);

#endif
