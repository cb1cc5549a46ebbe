/* SPDX-License-Identifier: Apache-2.0 */
/* Room in the cache: before a restore, when a commit finds none, and the cache's own limit. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "hooks/engine/evict.h"
#include "hooks/keeper_hold.h"

/* Beside the files: record, index, packs on their way. */
#define SLACK (UINT64_C(16) << 20)
/* Without that much not even marks and notes can be written. */
#define LEAST (UINT64_C(1) << 20)
/* As evict.c counts. */
#define FILE_OVERHEAD 4096

static uint64_t size_of(const struct head *head)
{
	return head->stats.bytes + head->stats.files * FILE_OVERHEAD + SLACK;
}

static bool is_cached(const struct hold_volume *hv, const struct head *head)
{
	struct cache_mark clean;

	return cache_read_clean(&hv->v.cache, &clean) == 0 && clean.seq == head->commit.seq &&
	       strcmp(clean.record_sha256, head->commit.seq > 0 ? head->commit.sha256 : "") == 0;
}

void hold_make_room(struct hold *h, const struct hold_volume *hv, const struct head *head)
{
	if (head->commit.seq > 0 && !is_cached(hv, head))
		cache_make_room(h->cache_fd, size_of(head));
}

void hold_make_least_room(struct hold *h)
{
	cache_make_room(h->cache_fd, LEAST);
}

bool hold_evict_more(struct hold *h)
{
	return cache_evict_more(h->cache_fd) > 0;
}

bool hold_make_more_room(struct hold *h, const struct head *head)
{
	return cache_make_room(h->cache_fd, size_of(head)) > 0;
}

int hold_explain_full(const struct hold *h, int r, const struct head *head, struct error *err)
{
	static const char full[] = "is full and nothing more in it can be evicted";
	char what[ERROR_MSG_MAX / 2];

	if (r != -ENOSPC || strstr(err->msg, full))
		return r;
	snprintf(what, sizeof(what), "%.500s", err->msg);
	if (head && head->stats.bytes > 0)
		snprintf(what, sizeof(what), "the volume needs about %" PRIu64 " bytes", size_of(head) - SLACK);
	return error_set(err, ENOSPC, "the disk of the cache %s %s (%s): make room there", h->config->cache.path, full,
			 what);
}

void hold_note_usage(const struct hold_volume *hv, const struct head *head)
{
	cache_note_usage(&hv->v.cache, head->stats.files, head->stats.bytes);
}

void hold_evict(struct hold *h)
{
	struct evict_report report;

	cache_evict(h->cache_fd, h->config->cache.max_bytes, &report);
}
