/* SPDX-License-Identifier: Apache-2.0 */
/*
 * criu_descriptors.h - stdin, stdout and stderr of a container that is checkpointed: what they are is kept
 * beside criu's images, in descriptors.json, an array of strings, as runc and crun do it. At the restore the
 * caller's descriptors take their place.
 *
 *   "pipe:[123]"   known to criu by that name
 *   "file[1a:5f]"  a file that the container can't reach by a path (a log, the host's /dev/null): named to criu
 *                  as external, by mount and inode; runc and crun skip it. In the place of a log criu takes only
 *                  one of the same size
 *   anything else  part of the container, or nothing that could be replaced
 */
#ifndef VOLRUN_RUNTIME_CRIU_DESCRIPTORS_H
#define VOLRUN_RUNTIME_CRIU_DESCRIPTORS_H

#include <sys/types.h>

#include "base/error.h"
#include "runtime/criu_message.h"

/* Reads those of the process; what is external goes into r->external. */
int criu_descriptors_save(pid_t pid, int images_fd, struct criu_request *r, struct arena *arena, struct error *err);
/* Fills r->inherit, with the descriptors 0 to 2. */
int criu_descriptors_load(int images_fd, struct criu_request *r, struct arena *arena, struct error *err);

/* The same from the names. 0 or -ENOMEM. */
int criu_descriptors_inherit(const char *const *names, size_t n, struct criu_request *r, struct arena *arena);

#endif
