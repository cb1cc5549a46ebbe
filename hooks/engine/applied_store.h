/* SPDX-License-Identifier: Apache-2.0 */
/* applied_store.h - applied tables in the store, and the copy of the last one in the cache (the file "applied"). */
#ifndef VOLRUN_HOOKS_APPLIED_STORE_H
#define VOLRUN_HOOKS_APPLIED_STORE_H

#include "hooks/engine/applied_kept.h"
#include "hooks/engine/head.h"
#include "hooks/engine/transfer.h"

#define APPLIED_MAX_SIZE (1u << 30)
/* Of a table that the register carries: even where JSON doubles it the register has room. */
#define APPLIED_CARRIED_MAX 4096

/* The key of a table; NULL: out of memory. */
char *applied_key(struct arena *a, const struct volume *v, uint64_t seq);

/*
 * Opens the table of seq in the form of applied_kept.h: the cache's copy, else
 * from the store (and kept in the cache). *ret_fd -1: there is none (seq 0 too).
 */
int applied_fetch(struct transfer *x, uint64_t seq, int *ret_fd, uint64_t *ret_size);
/* Makes the open file (of tmp/) the cache's copy. Failures cost a request later, nothing else. */
void applied_keep(const struct volume *v, int fd, uint64_t size);
/* Forgets the cache's copy. */
void applied_forget(const struct volume *v);

/* The whole table of the register's applied_seq; empty when there is none. Free with applied_free. */
int applied_load(struct transfer *x, const struct head *head, struct applied *ret);
/* Puts the table that the register carries to the store, and keeps it in the cache. */
int applied_put(struct transfer *x, const struct head *head);

#endif
