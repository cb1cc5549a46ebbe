/* SPDX-License-Identifier: Apache-2.0 */
/* criu_names.h - a file with a JSON array of strings beside criu's images; from outside, when it is read. */
#ifndef VOLRUN_RUNTIME_CRIU_NAMES_H
#define VOLRUN_RUNTIME_CRIU_NAMES_H

#include <stddef.h>

#include "base/arena.h"
#include "base/error.h"

#define CRIU_NAMES_MAX 64

int criu_names_save(int images_fd, const char *file, const char *const *names, size_t n, struct error *err);
/* At most CRIU_NAMES_MAX. -ENOENT, -EINVAL. */
int criu_names_load(int images_fd, const char *file, struct arena *arena, const char ***ret, size_t *ret_n,
		    struct error *err);
int criu_names_parse(const char *text, size_t len, const char *file, struct arena *arena, const char ***ret,
		     size_t *ret_n, struct error *err);

#endif
