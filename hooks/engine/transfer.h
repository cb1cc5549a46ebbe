/* SPDX-License-Identifier: Apache-2.0 */
/* transfer.h - requests of restore, commit and publish: who may stop them, what their failures are called. */
#ifndef VOLRUN_HOOKS_TRANSFER_H
#define VOLRUN_HOOKS_TRANSFER_H

#include <stdbool.h>

#include "hooks/engine/restore.h"
#include "hooks/engine/volume.h"

struct transfer {
	struct volume *v;
	bool (*still_valid)(void *ctx); /* asked before each request; NULL: always */
	void *valid_ctx;
	struct transfer_report *report;
	struct error *err;
	int failed; /* the first failure, a negative errno; err tells it. Nothing more is begun */
};

/* May the next request be begun? false: failed is set, and err. */
bool transfer_go_on(struct transfer *t);
/* Notes the failure when it is the first. */
void transfer_fail_op(struct transfer *t, const struct store_op *op);
void transfer_fail(struct transfer *t, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* What failed in the cache, and why. code: as of errno, or its negative. -ENOSPC is for who can make room. */
void transfer_fail_cache(struct transfer *t, int code, const char *what);
/* The error of an op that did not end well. -ESTALE when the lease is lost. */
int transfer_op_error(const struct store_op *op, struct error *err);

#endif
