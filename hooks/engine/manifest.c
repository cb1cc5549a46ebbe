/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/manifest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/num.h"
#include "hooks/engine/hardlinks.h"

void manifest_free(struct manifest *m)
{
	free(m->entries);
	arena_free(&m->arena);
	*m = (struct manifest){0};
}

struct entry *manifest_add(struct manifest *m)
{
	if (m->n >= MANIFEST_MAX_ENTRIES)
		return NULL;
	if (m->n == m->room) {
		size_t room = m->room ? m->room + m->room / 2 : 64;
		struct entry *entries = reallocarray(m->entries, room, sizeof(*entries));

		if (!entries)
			return NULL;
		m->entries = entries;
		m->room = room;
	}
	m->entries[m->n] = (struct entry){0};
	return &m->entries[m->n++];
}

const char *manifest_object(struct manifest *m, const char *object)
{
	const size_t n = ARRAY_SIZE(m->recent);
	const char *s;

	for (size_t i = 0; i < n; i++)
		if (m->recent[i] && !strcmp(m->recent[i], object))
			return m->recent[i];
	s = arena_strdup(&m->arena, object);
	if (s) {
		memmove(m->recent + 1, m->recent, (n - 1) * sizeof(m->recent[0]));
		m->recent[0] = s;
	}
	return s;
}

int manifest_chain(struct manifest *m, const struct manifest *last, const struct head_commit *own)
{
	size_t n = last ? last->n_chain : 0;
	struct head_commit *chain = arena_calloc(&m->arena, n + 1, sizeof(*chain));

	if (!chain)
		return -ENOMEM;
	for (size_t i = 0; i <= n; i++) {
		chain[i] = i < n ? last->chain[i] : *own;
		chain[i].object = arena_strdup(&m->arena, chain[i].object);
		chain[i].sha256 = arena_strdup(&m->arena, chain[i].sha256);
		if (!chain[i].object || !chain[i].sha256)
			return -ENOMEM;
	}
	m->chain = chain;
	m->n_chain = n + 1;
	return 0;
}

bool entry_in_tree(const struct entry *e)
{
	return e->type <= ENTRY_SYMLINK;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->path, ((const struct entry *)b)->path);
}

void manifest_count(struct manifest *m)
{
	m->files = m->bytes = 0;
	for (size_t i = 0; i < m->n; i++) {
		if (m->entries[i].type == ENTRY_FILE) {
			m->files++;
			m->bytes += m->entries[i].size;
		}
	}
}

void manifest_sort(struct manifest *m)
{
	bool sorted = true;

	for (size_t i = 1; i < m->n && sorted; i++)
		sorted = strcmp(m->entries[i - 1].path, m->entries[i].path) <= 0;
	if (!sorted)
		qsort(m->entries, m->n, sizeof(*m->entries), by_path);
	manifest_count(m);
}

int manifest_merge(struct manifest *m, struct entry *entries, size_t n)
{
	size_t at = m->n + n, old = m->n;

	if (at > MANIFEST_MAX_ENTRIES)
		return -ENOMEM;
	if (m->room < at) {
		struct entry *all = reallocarray(m->entries, at, sizeof(*all));

		if (!all)
			return -ENOMEM;
		m->entries = all;
		m->room = at;
	}
	if (n > 1)
		qsort(entries, n, sizeof(*entries), by_path);
	m->n = at;
	/* From the end: nothing is written over that is still to be moved. */
	while (n > 0) {
		if (old > 0 && by_path(&m->entries[old - 1], &entries[n - 1]) > 0)
			m->entries[--at] = m->entries[--old];
		else
			m->entries[--at] = entries[--n];
	}
	manifest_count(m);
	return 0;
}

/* The first entry whose path is not less than the first len bytes of path followed by the character c. */
static size_t lower_bound(const struct manifest *m, const char *path, size_t len, char c)
{
	size_t lo = 0, hi = m->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const char *p = m->entries[mid].path;
		int cmp = strncmp(p, path, len);

		if (cmp == 0)
			cmp = (int)(unsigned char)p[len] - (int)(unsigned char)c;
		if (cmp < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

void manifest_beneath(const struct manifest *m, const char *path, size_t *ret_lo, size_t *ret_hi)
{
	size_t len = strlen(path);

	*ret_lo = len > 0 ? lower_bound(m, path, len, '/') : 0;
	*ret_hi = len > 0 ? lower_bound(m, path, len, '/' + 1) : m->n;
}

static struct entry *find(const struct manifest *m, const char *path, size_t len)
{
	size_t i = lower_bound(m, path, len, '\0');
	struct entry *e = i < m->n ? &m->entries[i] : NULL;

	return e && !strncmp(e->path, path, len) && e->path[len] == '\0' ? e : NULL;
}

struct entry *manifest_find(const struct manifest *m, const char *path)
{
	return find(m, path, strlen(path));
}

bool manifest_has_children(const struct manifest *m, const char *path)
{
	size_t len = strlen(path);

	for (size_t i = lower_bound(m, path, len, '/'); i < m->n; i++) {
		const struct entry *e = &m->entries[i];

		if (strncmp(e->path, path, len) != 0 || e->path[len] != '/')
			return false;
		if (entry_in_tree(e))
			return true;
	}
	return false;
}

int manifest_check(const struct manifest *m, struct error *err)
{
	const char *parent = "";
	size_t parent_len = 0;

	for (size_t i = 0; i < m->n; i++) {
		const struct entry *e = &m->entries[i], *dir;
		const char *slash = strrchr(e->path, '/');
		size_t len = slash ? (size_t)(slash - e->path) : 0;

		if (i > 0 && strcmp(m->entries[i - 1].path, e->path) >= 0)
			return error_set(err, EINVAL, "the entry \"%s\" is not in its place or there twice", e->path);
		if (e->type == ENTRY_FILE && e->link && !hardlink_ok(m, e))
			return error_set(err, EINVAL,
					 "the entry \"%s\" is a hard link to something that is not the same file",
					 e->path);
		if (!entry_in_tree(e) || len == 0 || (len == parent_len && !strncmp(e->path, parent, len)))
			continue;
		dir = find(m, e->path, len);
		if (!dir || dir->type != ENTRY_DIR)
			return error_set(err, EINVAL, "the entry \"%s\" lies beneath something that is no directory",
					 e->path);
		parent = dir->path;
		parent_len = len;
	}
	return 0;
}

void manifest_drop(struct manifest *m)
{
	size_t n = 0;

	for (size_t i = 0; i < m->n; i++)
		if (!(m->entries[i].flags & ENTRY_DROP))
			m->entries[n++] = m->entries[i];
	m->n = n;
	manifest_sort(m);
}

/* sha256_*_hex give 64 hex digits, so that decoding can't fail. */
void entry_hash_final(struct sha256 *h, unsigned char ret[SHA256_LEN])
{
	char hex[SHA256_HEX_MAX];

	sha256_final_hex(h, hex);
	hex_decode(hex, ret, SHA256_LEN);
}

void entry_hash_data(const void *data, size_t len, unsigned char ret[SHA256_LEN])
{
	char hex[SHA256_HEX_MAX];

	sha256_hex(data, len, hex);
	hex_decode(hex, ret, SHA256_LEN);
}

int entry_hash_fd(int fd, uint64_t size, unsigned char ret[SHA256_LEN])
{
	char hex[SHA256_HEX_MAX];
	uint64_t len;
	int r = sha256_fd(fd, 0, UINT64_MAX, hex, &len);

	if (r < 0)
		return r;
	if (len != size)
		return -ESTALE;
	hex_decode(hex, ret, SHA256_LEN);
	return 0;
}

int64_t entry_time_ns(const struct timespec *t)
{
	const int64_t max = INT64_MAX / NSEC_PER_SEC - 1;

	if (t->tv_sec > max)
		return max * NSEC_PER_SEC;
	if (t->tv_sec < -max)
		return -max * NSEC_PER_SEC;
	return (int64_t)t->tv_sec * NSEC_PER_SEC + t->tv_nsec;
}

struct timespec entry_timespec(int64_t ns)
{
	int64_t sec = ns / NSEC_PER_SEC, rest = ns % NSEC_PER_SEC;

	if (rest < 0) {
		rest += NSEC_PER_SEC;
		sec--;
	}
	return (struct timespec){.tv_sec = sec, .tv_nsec = rest};
}
