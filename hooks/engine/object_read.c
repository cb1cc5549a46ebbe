/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/object_read.h"

#include <errno.h>

#include "base/clock.h"

#define ATTEMPTS 3
#define PAUSE_NS (100 * NSEC_PER_MSEC)

int object_error(const struct store_op *op, struct error *err)
{
	return error_set(err, EIO, "%s", op->err.msg[0] ? op->err.msg : store_result_name(op->result));
}

static int error_not_it(const struct store *s, const char *key, int r, struct error *err)
{
	const struct error why = *err;

	return error_set(
	    err, r, "%s; so says %.300s of store \"%s\" (%s): it was damaged, or who answers there is not the store",
	    why.msg, key, s->name ? s->name : "", s->place ? s->place : "");
}

int object_read(struct store *s, const char *key, size_t max, object_parse_fn parse, void *ctx, struct error *err)
{
	for (int attempt = 1;; attempt++) {
		enum store_result result;
		struct store_op op;
		int r = 0;

		store_op_init(&op, STORE_GET, key);
		op.max_body = max;
		result = store_do(s, &op);
		if (result == STORE_OK)
			r = parse(ctx, &op, err);
		else if (result != STORE_ABSENT)
			r = object_error(&op, err);
		strbuf_free(&op.body);
		if (result != STORE_OK || r == 0 || r == -ENOTSUP || r == -ENOMEM)
			return result == STORE_ABSENT ? 1 : r;
		if (attempt == ATTEMPTS)
			return error_not_it(s, key, r, err);
		clock_sleep_ns(PAUSE_NS * attempt);
	}
}
