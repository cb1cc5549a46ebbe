/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/hardlinks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "hooks/engine/xattrs.h"

bool hardlink_follows(const struct entry *e)
{
	return e->type == ENTRY_FILE && e->link && strcmp(e->link, e->path) != 0;
}

static bool same_file(const struct entry *a, const struct entry *b)
{
	return a->size == b->size && a->mode == b->mode && a->uid == b->uid && a->gid == b->gid &&
	       a->mtime_ns == b->mtime_ns && !memcmp(a->sha256, b->sha256, SHA256_LEN) &&
	       xattrs_equal(a->xattrs, b->xattrs);
}

bool hardlink_ok(const struct manifest *m, const struct entry *e)
{
	const struct entry *first = manifest_find(m, e->link);

	return first && first->type == ENTRY_FILE && first->link && !hardlink_follows(first) &&
	       strcmp(e->link, e->path) <= 0 && same_file(first, e);
}

static int by_group(const void *a, const void *b)
{
	const struct entry *x = *(struct entry *const *)a, *y = *(struct entry *const *)b;
	int cmp = strcmp(x->link, y->link);

	return cmp ? cmp : strcmp(x->path, y->path);
}

int hardlinks_collect(const struct manifest *m, struct hardlinks *ret)
{
	size_t n = 0;

	*ret = (struct hardlinks){0};
	for (size_t i = 0; i < m->n; i++)
		n += m->entries[i].type == ENTRY_FILE && m->entries[i].link;
	if (n == 0)
		return 0;
	ret->entries = calloc(n, sizeof(*ret->entries));
	if (!ret->entries)
		return -ENOMEM;
	for (size_t i = 0; i < m->n; i++)
		if (m->entries[i].type == ENTRY_FILE && m->entries[i].link)
			ret->entries[ret->n++] = &m->entries[i];
	qsort(ret->entries, n, sizeof(*ret->entries), by_group);
	return 0;
}

void hardlinks_free(struct hardlinks *l)
{
	free(l->entries);
	*l = (struct hardlinks){0};
}

size_t hardlinks_end(const struct hardlinks *l, size_t at)
{
	size_t end = at + 1;

	while (end < l->n && !strcmp(l->entries[end]->link, l->entries[at]->link))
		end++;
	return end;
}

size_t hardlinks_find(const struct hardlinks *l, const char *link)
{
	size_t lo = 0, hi = l->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (strcmp(l->entries[mid]->link, link) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < l->n && !strcmp(l->entries[lo]->link, link) ? lo : l->n;
}

int hardlinks_settle(struct manifest *m)
{
	_cleanup_(hardlinks_free) struct hardlinks l = {0};
	size_t end;

	if (hardlinks_collect(m, &l) < 0)
		return -ENOMEM;
	for (size_t at = 0; at < l.n; at = end) {
		const char *name = l.entries[at]->path;

		end = hardlinks_end(&l, at);
		for (size_t i = at; i < end; i++)
			l.entries[i]->link = end - at > 1 ? name : NULL;
	}
	return 0;
}

void hardlinks_spread(struct hardlinks *l)
{
	for (size_t at = 0, end; at < l->n; at = end) {
		const struct entry *first = l->entries[at];

		end = hardlinks_end(l, at);
		for (size_t i = at + 1; i < end; i++) {
			struct entry *e = l->entries[i], own = *e;

			*e = *first;
			e->path = own.path;
			e->tag = own.tag;
			e->flags = (uint8_t)((first->flags & ~ENTRY_REPUBLISH) | (own.flags & ENTRY_REPUBLISH));
		}
	}
}
