/* SPDX-License-Identifier: Apache-2.0 */
/* What can be said of an op without a store. */
#include <string.h>

#include "hooks/store/store_impl.h"
#include "oci/json.h"

bool store_op_changes(const struct store_op *op)
{
	return op->kind != STORE_GET && op->kind != STORE_HEAD;
}

void store_op_init(struct store_op *op, enum store_op_kind kind, const char *key)
{
	memset(op, 0, sizeof(*op));
	op->kind = kind;
	op->key = key;
	op->out_fd = op->in_fd = -1;
}

bool store_key_valid(const char *key)
{
	size_t len = key ? strnlen(key, STORE_KEY_MAX + 1) : 0;
	const char *p = key;

	if (len == 0 || len > STORE_KEY_MAX || !json_utf8_valid(key, len))
		return false;
	for (;;) {
		size_t n = strcspn(p, "/");

		if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && !memcmp(p, "..", 2)))
			return false;
		p += n;
		if (!p[0] || !p[1]) /* the end, or one slash before it: a directory marker */
			return true;
		p++;
	}
}

bool store_mark_valid(const char *mark)
{
	size_t len = strlen(mark);

	if (len == 0 || len >= STORE_MARK_MAX)
		return false;
	for (; *mark; mark++)
		if (*mark <= 0x20 || *mark >= 0x7f)
			return false;
	return true;
}
