/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/transfer.h"

#include <errno.h>
#include <stdio.h>

#include "hooks/engine/tree.h"

static const char lease_lost_text[] =
    "the lease was not renewed in time (the store did not answer, or this machine stood still); nothing more is written "
    "under it";

int transfer_op_error(const struct store_op *op, struct error *err)
{
	switch (op->result) {
	case STORE_CANCELLED:
		return error_set(err, ESTALE, "%s", lease_lost_text);
	case STORE_ABSENT:
		return error_set(err, ENODATA, "%s", op->err.msg);
	case STORE_UNREACHABLE:
	case STORE_THROTTLED:
		return error_set(err, EHOSTUNREACH, "%s", op->err.msg);
	case STORE_REFUSED:
		return error_set(err, EKEYREJECTED, "%s", op->err.msg);
	case STORE_CORRUPT:
		return error_set(err, op->cut ? EHOSTUNREACH : EBADMSG, "%s", op->err.msg);
	default:
		/* Of what is read, the cache is where there is none. */
		if (op->out_fd >= 0 && op->err.code == ENOSPC)
			return error_set(err, ENOSPC, "cache: no space left on its disk for %s", op->key);
		return error_set(err, EIO, "%s", op->err.msg);
	}
}

bool transfer_go_on(struct transfer *t)
{
	if (t->failed < 0)
		return false;
	if (!t->still_valid || t->still_valid(t->valid_ctx))
		return true;
	transfer_fail(t, ESTALE, "%s", lease_lost_text);
	return false;
}

void transfer_fail_op(struct transfer *t, const struct store_op *op)
{
	if (t->failed == 0)
		t->failed = transfer_op_error(op, t->err);
}

void transfer_fail(struct transfer *t, int code, const char *fmt, ...)
{
	char msg[ERROR_MSG_MAX];
	va_list ap;

	if (t->failed < 0)
		return;
	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	t->failed = error_set(t->err, code, "%s", msg);
}

void transfer_fail_cache(struct transfer *t, int code, const char *what)
{
	struct error why = ERROR_INIT;

	tree_error(&why, code, "cache: %s", what);
	transfer_fail(t, why.code, "%s", why.msg);
}
