/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree.h - a volume's tree on this node, by descriptors: every path is resolved
 * beneath the root without following a link or crossing a mount
 * (openat2, Linux 5.6), whatever stands in the tree.
 */
#ifndef VOLRUN_HOOKS_TREE_H
#define VOLRUN_HOOKS_TREE_H

#include <stdarg.h>
#include <stdbool.h>

#include "hooks/engine/manifest.h"
#include "hooks/engine/volume.h"

/* What is wrong, in words that no caller mistakes for its own trouble (volumes.md §9). */
int tree_error(struct error *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* "" is the root itself. A descriptor or a negative errno. */
int tree_open(int root_fd, const char *path, int flags);
/* A regular file for reading, without waiting for anything; -ESTALE when it is none any more. */
int tree_open_file(int root_fd, const char *path, struct stat *ret_st);

/* A tree that is being written. A file gets its name when it is whole. */
struct tree {
	int root_fd, tmp_fd;
	const char *tmp_prefix; /* of names in tmp/ */
	unsigned n_tmp;
	bool made;	       /* by tree_begin: it was not there */
	const struct ids *ids; /* whose its files are made; the caller's */
	/* The directory that was used last. */
	int parent_fd;
	char parent[MANIFEST_PATH_MAX + 1];
	int parent_gives; /* files that are made there get an ACL; -1: nobody looked */
};

/*
 * Opens (makes, 0700 until its entry is set) the directory `name` of the volume's cache as root, and tmp/.
 * tmp_prefix outlives it; temporaries of that prefix which a killed process left are removed.
 */
int tree_begin(struct tree *t, const struct volume *v, const char *name, const char *tmp_prefix, struct error *err);
void tree_end(struct tree *t);
/* The same tree for another thread, which makes files in it: good until t ends, and ends itself with tree_thread_end.
 */
void tree_for_thread(const struct tree *t, struct tree *ret);
void tree_thread_end(struct tree *t);

/* An unnamed file in tmp/; a descriptor or a negative errno. */
int tree_tmpfile(const struct volume *v);

int tree_stat(struct tree *t, const char *path, struct stat *ret);
/* Removes what is there, a whole directory too. 0 when nothing was. */
int tree_remove(struct tree *t, const char *path);
/* A directory, 0700. */
int tree_mkdir(struct tree *t, const char *path);
int tree_symlink(struct tree *t, const struct entry *e);
/*
 * A new file without a name, beside where it is to be (there the file system wants it, and threads are not in each
 * other's way); a descriptor or a negative errno.
 */
int tree_create(struct tree *t, const char *path);
/* Gives the file the entry's owner, mode, attributes and time, and puts it in the place of what is at the entry's path
 * (no directory). */
int tree_install(struct tree *t, int fd, const struct entry *e);
/* Puts another name of the regular file at `source` in the place of what is at `path` (no directory). -ESTALE: it is
 * none.
 */
int tree_link(struct tree *t, const char *source, const char *path);
/* Owner, mode, extended attributes and time of what is there, by its entry. */
int tree_set_meta(struct tree *t, const struct entry *e);

#endif
