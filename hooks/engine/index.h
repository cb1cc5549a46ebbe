/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index.h - what the tree looked like when it was clean: the manifest with the
 * stat of each entry on this node, in <cache>/.../index. A file whose stat is
 * the index's has the index's bytes, so that a scan reads only what changed.
 *
 * Binary, of this machine, with a checksum at its end; a broken index is no
 * error but costs hashing.
 */
#ifndef VOLRUN_HOOKS_INDEX_H
#define VOLRUN_HOOKS_INDEX_H

#include "hooks/engine/manifest.h"
#include "hooks/engine/volume.h"

/* -ENOENT: none, or broken. */
int index_load(const struct volume *v, struct manifest *ret);
/* The same of another name: of a tree that was set aside. */
int index_load_file(const struct volume *v, const char *name, struct manifest *ret);
/* Replaces it. m->time_ns, record_sha256 and differs are set. */
int index_write(const struct volume *v, const struct manifest *m, struct error *err);
/* Of tmp/'s file system: what its clock says now, for manifest.time_ns. */
int index_now(const struct volume *v, int64_t *ret_ns, struct error *err);
/*
 * Is the file described by st the one that the entry of the index m tells of,
 * and was it last changed so long before the index was made that a later change
 * shows in its times?
 */
bool index_same(const struct manifest *m, const struct entry *e, const struct stat *st);
/* Notes the stat in the entry. */
void index_set_stat(struct entry *e, const struct stat *st);

#endif
