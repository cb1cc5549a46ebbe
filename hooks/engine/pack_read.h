/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pack_read.h - staging reads a file (pack.h): what one reading found, between two looks that were the same, is the
 * entry's. Who fails tells the transfer why.
 */
#ifndef VOLRUN_HOOKS_PACK_READ_H
#define VOLRUN_HOOKS_PACK_READ_H

#include <sys/stat.h>

#include "hooks/engine/hashing.h"
#include "hooks/engine/ids.h"
#include "hooks/engine/manifest.h"
#include "hooks/engine/snapshot.h"
#include "hooks/engine/transfer.h"
#include "hooks/engine/xattrs.h"

#define READ_ATTEMPTS 3

struct reader {
	struct transfer *x;
	int root_fd;
	const struct snapshot *snapshot; /* NULL: files are read from the tree */
	struct manifest *m;		 /* whose entries they are */
	struct ids *ids;		 /* of the tree */
	/* --- its own */
	struct xattrs_lost warned;
	struct sha256 *hash;
	char *buffer;
	struct hashing *hashing; /* from the first large file on */
};

void reader_free(struct reader *r);

/* Reads a file that goes into a pack: copies it to `out` at offset. */
int reader_copy(struct reader *r, struct entry *e, int out, uint64_t offset);

/* A large file that threads hash, with its pieces where the store sends it in such. */
struct reading {
	struct entry *e;
	int fd;
	off_t offset; /* of its bytes in fd */
	unsigned char (*pieces)[SHA256_LEN];
	/* --- its own */
	struct stat before;
	struct hashed *hashed;
};

/* Begins; the entry has the file's size then. */
int reader_begin(struct reader *r, struct entry *e, struct reading *ret);
bool reader_is_done(struct reader *r, struct reading *g);
/* Waits for the hash. */
int reader_end(struct reader *r, struct reading *g);
/* What is left of it, ended or not. */
void reading_free(struct reader *r, struct reading *g);

/* For who found that the file changed, whenever he looked. */
void reader_unsteady(struct reader *r, const struct entry *e);

#endif
