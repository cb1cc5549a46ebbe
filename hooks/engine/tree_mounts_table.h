/* SPDX-License-Identifier: Apache-2.0 */
/* tree_mounts_table.h - a mount namespace's mounts from its mountinfo (proc(5)), which is as hostile as who mounted
 * there. */
#ifndef VOLRUN_HOOKS_TREE_MOUNTS_TABLE_H
#define VOLRUN_HOOKS_TREE_MOUNTS_TABLE_H

#include <libmount.h>

/* proc_fd, path: the mountinfo's. Without where the mounts' bytes come from. NULL: it can't be read. Free with unref.
 */
struct libmnt_table *mount_table_read(int proc_fd, const char *path);

static inline void mount_table_unref(struct libmnt_table **t)
{
	mnt_unref_table(*t);
}

static inline void mount_table_iter_free(struct libmnt_iter **i)
{
	mnt_free_iter(*i);
}

#endif
