/* SPDX-License-Identifier: Apache-2.0 */
/*
 * applied_kept.h - an applied table as the cache keeps it: whole, in a form that
 * 100,000 entries are read and written in milliseconds, and with a hash at its
 * end instead of an fsync. Broken, it costs requests.
 */
#ifndef VOLRUN_HOOKS_APPLIED_KEPT_H
#define VOLRUN_HOOKS_APPLIED_KEPT_H

#include "hooks/engine/applied.h"
#include "hooks/engine/manifest.h"
#include "hooks/store/store.h"

/* Writing; failures show at the end. The head's chain has the table's own link last. */
void kept_write_head(struct stream_out *out, const struct applied_head *h);
void kept_write_entry(struct stream_out *out, const struct applied_entry *e);
int kept_write_end(struct stream_out *out);

struct kept_in {
	struct stream_in in;
	struct applied_head head;
	char path[MANIFEST_PATH_MAX + 1], tag[STORE_TAG_MAX];
};
/* fd stays the caller's. -EINVAL, -ENOMEM. */
int kept_open(struct kept_in *k, int fd, uint64_t size, struct error *err);
/* 1; 0 at the end, and then all of it was right; -EINVAL. The entry lives until the next call. */
int kept_next(struct kept_in *k, struct applied_entry *ret, struct error *err);
void kept_close(struct kept_in *k);

#endif
