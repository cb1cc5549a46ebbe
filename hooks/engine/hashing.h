/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hashing.h - the sha256 of large files while they come, or before they go: threads read behind what is there already,
 * so that the one that talks to the store doesn't stand still for it.
 */
#ifndef VOLRUN_HOOKS_HASHING_H
#define VOLRUN_HOOKS_HASHING_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "hooks/store/sign.h"

struct hashing;
struct hashed; /* one file */

/* NULL: out of memory. Where no threads can be had, hashing_end does all of the work. */
struct hashing *hashing_new(void);
/* Files that were not ended are forgotten. */
void hashing_free(struct hashing *h);

/* A file that grows, from an offset on; fd stays the caller's, open until the end. NULL: out of memory. */
struct hashed *hashing_begin(struct hashing *h, int fd, off_t offset);
/* Before anything is reached: each `size` bytes (the last: fewer) get a hash of their own too, in the same reading. The
 * array is the caller's, till the end. -ENOMEM. */
int hashing_pieces(struct hashed *f, uint64_t size, unsigned char (*pieces)[SHA256_LEN]);
/* So many bytes, from its beginning on, are there and change no more. */
void hashing_reach(struct hashing *h, struct hashed *f, uint64_t bytes);
/* Would hashing_end not have to wait? */
bool hashing_is_done(struct hashing *h, struct hashed *f);
/*
 * Waits for the hash of what was reached, and frees the file; no longer than for the piece under way where ret is NULL.
 * 0 or a negative errno of reading (-ENODATA: it is shorter).
 */
int hashing_end(struct hashing *h, struct hashed *f, unsigned char ret[SHA256_LEN]);

#endif
