/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keeper_box.h - plays the runtime for volrun-hook: a bundle, a process as
 * init, the socket on which the mounts come. The programs are those of the
 * build directory, which is the current one.
 */
#ifndef VOLRUN_TESTS_KEEPER_BOX_H
#define VOLRUN_TESTS_KEEPER_BOX_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* A node with its own cache; several share the store below `root`. */
struct box {
	char root[64];
	const char *node;
	char config[128], run_dir[128], cache[128];
	const char *restored; /* the note of a checkpoint that what is started from now on is restored with; NULL */
};

struct run {
	const struct box *box;
	const char *id;
	pid_t init, hook;
	int sock;   /* the runtime's end */
	int err_fd; /* hook's stderr */
	int mounts[10];
	char destinations[10][64];
	size_t n_mounts;
	char output[2048]; /* hook's stderr */
	int status;	   /* hook's exit status */
};

/* Both nodes over one store; setup and teardown for cmocka. A keeper that is left fails the teardown. */
struct nodes {
	char root[64];
	struct box a, b;
};
int nodes_setup(void **state);
int nodes_teardown(void **state);
/* In main, before the tests: 0, or the exit status of a run that is skipped (not root: no detached mounts). */
int nodes_main(const char *program);

/* root: made by the first box_open, shared by later ones of the same root. extra: more of the configuration, or "". */
void box_make_root(char root[64]);
void box_remove_root(const char *root);
void box_open(struct box *b, const char *root, const char *node, const char *extra);

/* Writes the bundle with these annotations (JSON members), starts init and the hook; returns at once. */
void run_start(struct run *r, const struct box *b, const char *id, const char *annotations);
/* The same with init in the cgroup of this cgroup.procs. */
void run_start_in(struct run *r, const struct box *b, const char *id, const char *annotations, const char *procs);
/* Waits for the hook's end and takes what it sent. */
void run_wait(struct run *r);
/* The same in one. True: the hook succeeded. */
bool run_create(struct run *r, const struct box *b, const char *id, const char *annotations);
/* run_create that must succeed. */
void must_create(struct run *r, const struct box *b, const char *id, const char *annotations);
/* Ends init; does not wait for the keeper. */
void run_kill(struct run *r);
/* Has its volumes noted in that file: as run_poststop. */
int run_checkpoint(struct run *r, const char *file);
/* Runs poststop: its exit status; output gets its stderr. */
int run_poststop(struct run *r);
/* Closes and reaps what is left. */
void run_close(struct run *r);
/* All three; the keeper must have nothing to tell. */
void run_end(struct run *r);

/* A file on a mount: -1 and errno when it can't be. */
int mount_write(struct run *r, size_t i, const char *path, const char *text);
char *mount_read(struct run *r, size_t i, const char *path, char *buf, size_t size);

/* The pid that the cache's note names; 0: none. */
pid_t box_keeper(const struct box *b, const char *volume);
/* Waits until the process is gone (zombies count as gone). */
bool wait_gone(pid_t pid, int ms);
/* Number of entries of a directory, . and .. aside; -1: no such. */
int count_entries(const char *path);

#endif
