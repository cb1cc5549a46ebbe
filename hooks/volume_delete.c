/* SPDX-License-Identifier: Apache-2.0 */
/* Deleting what lies below a prefix of the store. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "hooks/volume_hold.h"

struct keys {
	struct arena arena;
	char **keys;
	size_t n, room, next;
	struct error *err;
	int failed;
};

static int add_key(void *ctx, const struct store_list_item *item, struct error *err)
{
	struct keys *k = ctx;

	if (k->n == k->room) {
		size_t room = k->room ? 2 * k->room : 256;
		char **more = realloc(k->keys, room * sizeof(*more));

		if (!more)
			return error_set(err, ENOMEM, "out of memory");
		k->keys = more;
		k->room = room;
	}
	k->keys[k->n] = arena_strdup(&k->arena, item->key);
	return k->keys[k->n++] ? 0 : error_set(err, ENOMEM, "out of memory");
}

static struct store_op *next(void *ctx)
{
	struct keys *k = ctx;
	struct store_op *op;

	if (k->next == k->n || k->failed < 0 || !(op = calloc(1, sizeof(*op))))
		return NULL;
	store_op_init(op, STORE_DELETE, k->keys[k->next++]);
	return op;
}

static void done(void *ctx, struct store_op *op)
{
	struct keys *k = ctx;

	if (op->result != STORE_OK && op->result != STORE_ABSENT && op->result != STORE_INVALID && k->failed == 0)
		k->failed = error_set(k->err, EIO, "%s", op->err.msg);
	free(op);
}

int volume_delete_below(struct volume *v, const char *prefix, const char *const *keep, size_t *ret_n, struct error *err)
{
	struct keys k = {.err = err};
	size_t i, j, n = 0;
	int r = prefix ? store_list(v->store, prefix, add_key, &k, err) : error_set(err, ENOMEM, "out of memory");

	for (i = 0; r == 0 && i < k.n; i++) {
		for (j = 0; keep && keep[j] && strcmp(keep[j], k.keys[i]) != 0; j++)
			;
		if (!keep || !keep[j])
			k.keys[n++] = k.keys[i];
	}
	k.n = n;
	if (r == 0)
		store_run(v->store, next, done, &k);
	free(k.keys);
	arena_free(&k.arena);
	*ret_n = n;
	return r < 0 ? r : k.failed;
}
