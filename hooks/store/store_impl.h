/* SPDX-License-Identifier: Apache-2.0 */
/* store_impl.h - what the stores share among themselves; nobody else includes it. */
#ifndef VOLRUN_HOOKS_STORE_IMPL_H
#define VOLRUN_HOOKS_STORE_IMPL_H

#include <stdarg.h>

#include "hooks/store/store.h"

/* One opener per type; the table in store.c names them. */
int store_azure_open(const struct store_config *config, struct store **ret, struct error *err);
int store_fs_open(const struct store_config *config, struct store **ret, struct error *err);
int store_gcs_open(const struct store_config *config, struct store **ret, struct error *err);
int store_s3_open(const struct store_config *config, struct store **ret, struct error *err);

/*
 * Clears the answer and checks the request: key and source (UTF-8, 1 to 1024
 * bytes, no empty, "." or ".." segment; one '/' at the end is a directory
 * marker), tag, mark, ranges. false: the op has ended as STORE_INVALID.
 */
bool store_begin(struct store *s, struct store_op *op);

/*
 * Ends the op. On anything but STORE_OK the reason makes its error:
 *     store "NAME" (PLACE): REASON for PUT KEY
 */
enum store_result store_end(struct store *s, struct store_op *op, enum store_result r, const char *reason, ...)
    __attribute__((format(printf, 4, 5)));

/* The errno that fits a result; 0 for STORE_OK. */
int store_result_errno(enum store_result r);

/* "PUT", "GET", ... for messages. */
const char *store_kind_name(enum store_op_kind kind);
/* Does it change the store (and so need `valid`)? */
bool store_op_changes(const struct store_op *op);
bool store_key_valid(const char *key);
/* May the request be sent now? */
bool store_may_send(const struct store *s);
/* A mark as it may stand in a header: visible ASCII, shorter than STORE_MARK_MAX. */
bool store_mark_valid(const char *mark);

#endif
