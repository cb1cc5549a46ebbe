/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/listing.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "hooks/engine/plain.h"

/* More are not kept in memory: a listing that long takes its time anyway. */
#define KEPT_MAX 20000

struct listing {
	struct store *store;
	struct plain plain;
	struct arena arena; /* of the items' strings */
	struct store_list_item *items;
	size_t n, room;
	int result;
	pthread_t thread;
};

static int keep(void *ctx, const struct store_list_item *item, struct error *err)
{
	struct listing *l = ctx;
	struct store_list_item *i;

	if (l->n == KEPT_MAX)
		return error_set(err, E2BIG, "too many to be kept");
	if (l->n == l->room) {
		size_t room = l->room ? l->room * 2 : 256;

		i = reallocarray(l->items, room, sizeof(*i));
		if (!i)
			return error_set(err, ENOMEM, "out of memory");
		l->items = i;
		l->room = room;
	}
	i = &l->items[l->n++];
	*i = *item;
	i->key = arena_strdup(&l->arena, item->key);
	i->tag = arena_strdup(&l->arena, item->tag);
	return i->key && i->tag ? 0 : error_set(err, ENOMEM, "out of memory");
}

static void *run(void *arg)
{
	struct listing *l = arg;
	struct error ignored = ERROR_INIT; /* the caller lists again, and gets its own */

	l->result = store_list(l->store, l->plain.prefix, keep, l, &ignored);
	return NULL;
}

struct listing *listing_begin(struct volume *v)
{
	struct listing *l = calloc(1, sizeof(*l));
	struct error ignored = ERROR_INIT;

	if (!l)
		return NULL;
	l->store = v->store;
	if (plain_init(&l->plain, v, &ignored) == 0 && pthread_create(&l->thread, NULL, run, l) == 0)
		return l;
	listing_free(l);
	return NULL;
}

struct listing *listing_wait(struct listing *l)
{
	if (!l)
		return NULL;
	pthread_join(l->thread, NULL);
	if (l->result == 0)
		return l;
	listing_free(l);
	return NULL;
}

int listing_tell(const struct listing *l, store_list_fn fn, void *ctx, struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < l->n && r >= 0; i++)
		r = fn(ctx, &l->items[i], err);
	return r < 0 ? r : 0;
}

void listing_free(struct listing *l)
{
	if (!l)
		return;
	free(l->items);
	arena_free(&l->arena);
	free(l);
}
