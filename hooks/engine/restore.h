/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restore.h - store -> cache: makes <vol>/rw exactly the tree of the register's
 * commit plus foreign files (volumes.md §3, §6). Reads the truth (record,
 * packs), never the published copy, but for foreign files.
 */
#ifndef VOLRUN_HOOKS_RESTORE_H
#define VOLRUN_HOOKS_RESTORE_H

#include "hooks/engine/head.h"
#include "hooks/engine/manifest.h"
#include "hooks/engine/volume.h"

struct transfer_report {
	uint64_t files_added, files_changed, files_deleted, files_skipped;
	uint64_t bytes_in, bytes_out;
	uint64_t data_requests; /* besides the register's */
	int64_t list_ns, data_ns, scan_ns, publish_ns;
	uint64_t collected, collected_bytes; /* objects that nothing needed any more, deleted */
	uint64_t settled_seq;		     /* for the register (head.h), when a listing showed more than it knows */
	uint64_t conflicts;		     /* plain objects that another tool changed: theirs was left alone */
	/* What was left out or looked odd: how often, and the first one in words ("" none). One line. */
	uint64_t n_warnings;
	char warning[512];
	bool warm; /* the cache was the commit already; nothing was read but the register (and the listing) */
};

/*
 * Brings rw/ to the commit of `head`. The cached tree is used when its `clean`
 * mark names the record and this boot (else it is compared with the manifest);
 * a dirty tree of another run is set aside first, never overwritten (its
 * recovery is another module's). Only what differs is fetched. Foreign files
 * are added, foreign deletions honoured (foreign.h). Symlinks last.
 * Nothing in the store is changed. Marks the cache clean.
 * `still_valid` (NULL: always) is asked between requests; false: -ESTALE.
 * Idempotent: killed, it goes on from what is there.
 * The tree's root directory may be opened by cache_volume.dir_fd, "rw".
 */
int restore_run(struct volume *v, const struct head *head, bool (*still_valid)(void *), void *valid_ctx,
		struct transfer_report *report, struct error *err);

/*
 * For ro: a tree ro-<seq>-<record> of the register's commit, made of the truth and
 * complete; an existing one is used as it is. The caller has lock-ro. *ret_name (arena): "ro-7-0f3a...".
 */
int restore_read_only(struct volume *v, const struct head *head, struct arena *a, const char **ret_name,
		      struct transfer_report *report, struct error *err);

/* Reads and checks the record of a commit. seq 0: an empty manifest. */
int restore_manifest(struct volume *v, const struct head_commit *commit, struct manifest *ret, struct error *err);

#endif
