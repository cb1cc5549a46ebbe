/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_check.h - the harmless part of the stores' test suite against a user's own
 * bucket: what holds of what a volume needs. It writes small objects below
 * ".volrun-probe/<random>/" and removes them again; nothing else is read or changed.
 */
#ifndef VOLRUN_HOOKS_STORE_CHECK_H
#define VOLRUN_HOOKS_STORE_CHECK_H

#include "hooks/store/store.h"

enum store_check_result {
	STORE_CHECK_HOLDS,
	STORE_CHECK_LACKS, /* not there, and volumes do without it */
	STORE_CHECK_FAILS, /* not there, and volumes can't do without it; or the check could not be made */
};

/* One line for people: what was tried, and (unless it holds) what came of it; else "" or a figure. */
typedef void (*store_check_fn)(void *ctx, enum store_check_result result, const char *what, const char *detail);

/*
 * All checks, each told as soon as it is done; those that others need end it when they fail. Returns 0, or
 * -ENOTSUP or another errno with the first failure: then the store can't hold volumes for writing.
 */
int store_check(struct store *s, store_check_fn fn, void *ctx, struct error *err);

#endif
