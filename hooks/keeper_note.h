/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keeper_note.h - what a keeper leaves beside the tree that it holds (the file
 * "keeper" of cache.h), so that after its death another process knows whose the
 * tree is, whether that container still lives, and how to go on.
 */
#ifndef VOLRUN_HOOKS_KEEPER_NOTE_H
#define VOLRUN_HOOKS_KEEPER_NOTE_H

#include "hooks/engine/cache.h"
#include "hooks/keeper_cgroup.h"
#include "hooks/keeper_proto.h"

struct keeper_note {
	int32_t pid; /* of the keeper */
	const char *container;
	const char *socket; /* keeper_key */
	const char *keeper; /* keeper_name.h */
	const char *boot_id;
	const char *init;   /* the same of the container's init */
	const char *cgroup; /* the container's: the directory; NULL: none, or none yet */
	uint64_t cgroup_id; /* its inode, which is not used again: another cgroup may get its name */
	bool cgroup_v2;
	bool joinable;	  /* others of its pod may join (keeper_users.h) */
	uint64_t resting; /* the keeper's epoch, while no container of the pod has the tree, and it is clean; or 0 */
	/* The last commit during the run, and why a later one failed; for people. */
	uint64_t sync_commit, sync_frozen_us, sync_copied_bytes, sync_reflinked_bytes;
	const char *sync_error;
	struct keeper_request request; /* with this volume alone */
};

/* n->cgroup*: from c, when that is open. Best effort; of the other one the caller hears when it failed. */
void keeper_note_write(const struct cache_volume *cache, struct keeper_note *n, const struct container_cgroup *c);
int keeper_note_write_at(int dir_fd, const char *name, struct keeper_note *n, const struct container_cgroup *c);
/* -ENOENT: there is none, it can't be read, or it is of another boot. */
int keeper_note_read(const struct cache_volume *cache, struct arena *a, struct keeper_note *ret);
int keeper_note_read_at(int dir_fd, const char *name, struct arena *a, struct keeper_note *ret);

/*
 * Does somebody of the container live, who may write to the tree? Its init, its
 * cgroup; without one, a mount namespace that has the tree (tree_fd; -1: there is none).
 */
bool keeper_note_lives(const struct keeper_note *n, int tree_fd);

/* A pidfd of the container's init, if it still is the one that the note names; or -1. */
int keeper_note_open_init(const struct keeper_note *n);

/* The container's cgroup, if it is still the same. -ENOENT. */
int keeper_note_cgroup(const struct keeper_note *n, struct container_cgroup *ret);

#endif
