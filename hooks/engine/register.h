/* SPDX-License-Identifier: Apache-2.0 */
/*
 * register.h - reads and writes one volume's register, so that the caller never
 * believes a write that did not happen, or the other way (volumes.md §4).
 *
 * Each write is conditional on the tag last seen and carries a new nonce. When
 * an answer leaves its outcome open, the register is read back and the nonces
 * are compared. The send time of each nonce is kept: an older write may be the
 * one that landed. Not thread-safe; the lease has the mutex.
 */
#ifndef VOLRUN_HOOKS_REGISTER_H
#define VOLRUN_HOOKS_REGISTER_H

#include <stdbool.h>
#include <stdint.h>

#include "hooks/engine/head.h"
#include "hooks/store/store.h"

/* Writes that may still land: each is void as soon as another one landed, so that few are ever open. */
#define REGISTER_SENT_MAX 32

struct register_sent {
	char nonce[NONCE_MAX];
	int64_t ns; /* CLOCK_BOOTTIME before its first request was sent */
};

struct volume_register {
	struct store *store;
	const char *key;	 /* the caller's */
	bool exists;		 /* what is known of it: it is there, and then */
	struct head shown;	 /* its content */
	char tag[STORE_TAG_MAX]; /* and its tag */
	struct arena arena;	 /* of shown's strings; replaced with each change */
	struct register_sent sent[REGISTER_SENT_MAX];
	size_t n_sent; /* all that were sent; the last REGISTER_SENT_MAX are kept */
};

void register_init(struct volume_register *r, struct store *store, const char *key);
void register_free(struct volume_register *r);

/* GET: fills exists, shown, tag. An absent register is success. -EIO, -EINVAL (hostile content), -ENOMEM. */
int register_read(struct volume_register *r, struct error *err);

/*
 * Replaces the register (creates it, when it did not exist) by `next`, whose
 * nonce is ignored. 0: the register shows it.
 * -ESTALE: another one wrote; `shown` is theirs.
 * -EAGAIN: an earlier write of ours landed; `shown` is that one, `next` is to be made anew from it.
 * -ENODATA: it is not there any more, which no holder does: the store is not what it was. `shown` is as before.
 * else: not done, or not known; it may still land, and is recognised then.
 */
int register_write(struct volume_register *r, const struct head *next, struct error *err);

/* When the write that the register shows was sent; -1: it is not one of ours. */
int64_t register_shown_sent_ns(const struct volume_register *r);

#endif
