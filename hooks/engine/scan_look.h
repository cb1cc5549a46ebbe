/* SPDX-License-Identifier: Apache-2.0 */
/* scan_look.h - one name of a directory: what it is, and whether the base has it as it is (for scan_walk.c). */
#ifndef VOLRUN_HOOKS_SCAN_LOOK_H
#define VOLRUN_HOOKS_SCAN_LOOK_H

#include <dirent.h>
#include <pthread.h>
#include <sys/stat.h>

#include "hooks/engine/restore.h"
#include "hooks/engine/scan_walk.h"

/* A directory, while it is listed. */
struct listed {
	DIR *dir;
	unsigned users;
	size_t lo, hi; /* where the base has what is beneath it */
	size_t len;
	const char *path;
};

struct walker;

struct walk {
	struct scan *s;
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	uint64_t holes; /* bytes of all files that are not on the disk; atomic */
	/* Under the mutex: */
	struct task *tasks;
	unsigned n_tasks, n_walkers, busy;
	bool set_id; /* was warned about */
	struct xattrs_lost warned;
	int failed;
	/* The first one's: */
	struct walker *walkers;
	bool others; /* have been started */
};

/* A thread that lists directories. */
struct walker {
	struct walk *walk;
	struct scan *s;
	struct manifest m;
	struct scan_names names;
	struct error err;
	struct batch *batch; /* to be used */
	size_t seen;
	pthread_t thread;
	bool running;
	char path[MANIFEST_PATH_MAX + 1];
	char target[MANIFEST_PATH_MAX + 2];
};

/* Looks at it, and notes what the base has not, or not so. */
int scan_look_at(struct walker *w, const struct listed *l, const char *name);
/* To be listed by anybody; dir stays where it is. */
int scan_push_directory(struct walker *w, struct entry *dir);

/* What the stat says. w->path is the entry's. */
void scan_set_entry(struct walker *w, struct entry *e, const struct stat *st, int type);
int scan_add(struct walker *w, const struct entry *e);
int scan_add_name(struct scan_names *names, const struct scan_name *name);

#endif
