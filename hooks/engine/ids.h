/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ids.h - owners in a tree of a container with a user namespace (volumes.md §6).
 * Entries hold ids as the container sees them, and so does the disk where the
 * tree's mount is idmapped. Where the kernel or the file system can't do that,
 * the files belong to the host's ids, and what reads or sets an owner translates.
 * An id that the container has no place for becomes that of the volume's owner.
 */
#ifndef VOLRUN_HOOKS_IDS_H
#define VOLRUN_HOOKS_IDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* As many lines as the kernel takes (user_namespaces(7)). */
#define IDS_MAX 340
/* What stands for an id on disk that is none of the container's: no file's owner, so that it differs from any. */
#define IDS_NONE UINT32_MAX

struct id_range {
	uint32_t container, host, count;
};

struct id_map {
	struct id_range ranges[IDS_MAX];
	size_t n; /* 0: each id is itself */
};

struct ids {
	struct id_map uid, gid;
	bool on_disk; /* the tree's files have the host's ids */
};

/* The text of /proc/PID/uid_map. -EINVAL. */
int id_map_parse(const char *text, struct id_map *ret);
bool id_map_has(const struct id_map *m, uint32_t container);
/* Of a tree on disk; ids NULL or not on_disk: the same. */
uint32_t ids_uid_to_disk(const struct ids *ids, uint32_t uid);
uint32_t ids_gid_to_disk(const struct ids *ids, uint32_t gid);
uint32_t ids_uid_from_disk(const struct ids *ids, uint32_t uid);
uint32_t ids_gid_from_disk(const struct ids *ids, uint32_t gid);

/*
 * What a tree of the cache was made with is noted beside it (ids-<inode of its root>), so that whoever scans or sets it
 * aside knows, also after a crash.
 * ids_load: *ret is NULL where nothing is noted; free() it. ids_note: ids NULL removes it.
 * ids_noted: is that what is noted?
 */
int ids_load(int dir_fd, int root_fd, struct ids **ret);
int ids_note(int dir_fd, int root_fd, const struct ids *ids);
/* Something to add to the name of a tree that is shared by those of the same ids alone: "-<16 digits>"; "". */
const char *ids_name(const struct ids *ids, char buf[18]);
bool ids_noted(int dir_fd, int root_fd, const struct ids *ids);

#endif
