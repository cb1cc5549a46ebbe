/* SPDX-License-Identifier: Apache-2.0 */
/* Publishing what others committed. */
#include <string.h>

#include "base/cleanup.h"
#include "hooks/engine/applied_store.h"
#include "hooks/engine/commit.h"
#include "hooks/engine/fence.h"
#include "hooks/engine/publish.h"
#include "hooks/engine/record.h"

/* Where the table of the commit is, its publishing came to its end. */
static bool is_published(struct transfer *x, const struct head_commit *commit)
{
	_cleanup_(kept_close) struct kept_in table = {.in = {.fd = -1}};
	_cleanup_close_ int fd = -1;
	struct error ignored = ERROR_INIT;
	uint64_t size;

	if (applied_fetch(x, commit->seq, &fd, &size) < 0 || fd < 0)
		return false;
	return kept_open(&table, fd, size, &ignored) == 0 && !strcmp(table.head.record_sha256, commit->sha256);
}

static int redo(struct transfer *x, struct lease *l, const struct head *head)
{
	_cleanup_(manifest_free) struct manifest m = {0};
	_cleanup_(fence_end) struct fence fence = {0};
	int r;

	r = fence_begin(&fence, x->v, l, x->err);
	if (r == 0 && !is_published(x, &head->commit)) {
		if (x->failed == 0)
			r = restore_manifest(x->v, &head->commit, &m, x->err);
		if (r == 0)
			r = publish_run(x, &m, head->applied_seq, NULL);
	}
	return r < 0 ? r : lease_applied(l, head->commit.seq, x->err);
}

/* The register says so with its next write: who comes before that puts the same again. */
static int put_carried(struct transfer *x, struct lease *l, const struct head *head)
{
	_cleanup_(fence_end) struct fence fence = {0};
	int r = fence_begin(&fence, x->v, l, x->err);

	if (r == 0)
		r = applied_put(x, head);
	return r < 0 ? r : lease_published(l, head->applied_seq, NULL);
}

int publish_redo(struct volume *v, struct lease *l, uint64_t *ret_applied_seq, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct transfer_report ignored = {0};
	struct transfer x = {.v = v, .report = &ignored, .err = err};
	struct head head;
	int r = 0;

	lease_head(l, &arena, &head);
	if (head.applied_seq < head.commit.seq)
		r = redo(&x, l, &head);
	else if (head.carried)
		r = put_carried(&x, l, &head);
	if (r == 0)
		*ret_applied_seq = head.commit.seq;
	return r;
}
