/* SPDX-License-Identifier: Apache-2.0 */
/* object_read.h - small objects that mean something: the register, meta. */
#ifndef VOLRUN_HOOKS_ENGINE_OBJECT_READ_H
#define VOLRUN_HOOKS_ENGINE_OBJECT_READ_H

#include "hooks/store/store.h"

/* A negative errno: it is not what it should be. -ENOTSUP: it says itself that it is more than we know. */
typedef int (*object_parse_fn)(void *ctx, const struct store_op *op, struct error *err);

/*
 * Reads it whole (at most max bytes). What can't be understood may be an answer that broke on the way, or one of
 * somebody on the way: it is read again before that is believed. 1: absent; -EIO: the store's failure; else as parse.
 */
int object_read(struct store *s, const char *key, size_t max, object_parse_fn parse, void *ctx, struct error *err);

/* The failure of a single request. */
int object_error(const struct store_op *op, struct error *err);

#endif
