/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine_box.h - nodes with caches of their own around one store in memory:
 * what the tests of restore, commit and publish stand on. The requests of a
 * node go through a spy that counts them and can cut the node off.
 */
#ifndef VOLRUN_TESTS_ENGINE_BOX_H
#define VOLRUN_TESTS_ENGINE_BOX_H

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "hooks/engine/commit.h"
#include "hooks/engine/restore.h"
#include "tests/fake_store.h"

struct box {
	char dir[64];
	struct fake_store *fake;
	int64_t ttl_ns; /* of leases; 0: a minute */
};

struct node {
	struct box *box;
	struct store_config config;
	struct volume v;
	struct lease *lease;
	struct head head;
	struct arena arena;
	struct transfer_report report;
	struct error err;
	unsigned requests;	/* of all kinds, listings too; besides the lease's */
	unsigned data_requests; /* GETs and HEADs of anything but the register */
	uint64_t copied;	/* size that the last COPY named */
	bool no_range_tags;	/* the store says of a range not what it is of */
	int cut_off_at;		/* the request from which on nothing reaches the store; -1: none */
	bool cut_off_after;	/* that request itself still does, only its answer is lost */
};

int box_setup(void **state);
int box_teardown(void **state);

/* A node with the cache "name", made when new. */
struct node *node_open(struct box *b, const char *name);
void node_close(struct node *n);
/* As if its keeper got SIGKILL: the lease stays held in the store. */
void node_kill(struct node *n);

void node_acquire(struct node *n);
/* The text of a plain object, or NULL; the caller frees it. */
char *plain_text(struct box *b, const char *path);
/* Puts a plain object as another tool would (NULL: removes it). */
void plain_put(struct box *b, const char *path, const char *text);
/* The key of the object that has the last commit's record, and its pack where they are small. The caller frees it. */
char *store_commit_key(struct box *b);
/* Replaces the first `from` in an object that is text. */
void store_spoil(struct box *b, const char *key, const char *from, const char *to);
/* Acquires, finishes what the last holder left, restores. */
int node_start(struct node *n);
/* Commits and releases. */
int node_end(struct node *n);
/* Puts the table that the register carries to the store, as a keeper does when its container runs; and releases. */
void node_settle(struct node *n);
/* node_start, and the tree is marked dirty as a keeper does. */
void node_begin(struct node *n);

/* --- trees ------------------------------------------------------------------- */
int node_root(struct node *n);
void put_file(struct node *n, const char *path, const char *text, mode_t mode, int64_t mtime);
void put_big(struct node *n, const char *path, size_t size, unsigned seed);
void put_dir(struct node *n, const char *path, mode_t mode);
void put_link(struct node *n, const char *path, const char *target);
void drop(struct node *n, const char *path);
/* Everything there is to see of a tree below the node's cache, a line an entry; the caller frees it. */
char *dump_tree(struct node *n, const char *name);
/* Fails the test with both trees when they differ. */
void assert_same_tree(const char *expected, struct node *n);
char *file_text(struct node *n, const char *path);
/* text NULL: there is none. */
void assert_file(struct node *n, const char *path, const char *text);

#endif
