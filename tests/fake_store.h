/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_store.h - an object store in memory whose answers a test can spoil:
 * replies that get lost, writes that land late or never, delays. Any number of
 * clients (struct store) share one; thread-safe.
 */
#ifndef VOLRUN_TESTS_FAKE_STORE_H
#define VOLRUN_TESTS_FAKE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "hooks/store/store.h"

struct fake_store;

/* What becomes of the request whose answer is spoiled. */
enum fake_effect {
	FAKE_NOTHING, /* it never reached the store */
	FAKE_DONE,    /* it was carried out, only its answer is lost */
	FAKE_LATE,    /* writes: it waits on the way until fake_store_land */
	FAKE_BROKEN,  /* a GET that is true has other bytes: half of them, or in a file the first one is another */
};

struct fake_fault {
	enum store_op_kind kind;
	const char *key_part;	  /* requests whose key holds this; NULL: all */
	enum store_result result; /* what the client is told; STORE_OK: the true answer (a mere delay) */
	enum fake_effect effect;
	int64_t delay_ns; /* before it */
	int count;	  /* how many requests; -1: all from now on */
};

struct fake_store *fake_store_new(void);
void fake_store_free(struct fake_store *f);
/* A client; store_close frees it. */
struct store *fake_store_open(struct fake_store *f);

/* Replaces the fault; count 0: none. */
void fake_store_fault(struct fake_store *f, struct fake_fault fault);
/* The late writes arrive now, in the order of sending; their conditions are checked now. Returns how many held. */
int fake_store_land(struct fake_store *f);

/* Requests of a kind since the start. */
unsigned fake_store_count(struct fake_store *f, enum store_op_kind kind);
/* The object's text, or NULL; the caller frees it. */
char *fake_store_text(struct fake_store *f, const char *key);
/* Makes all objects so many seconds older. */
void fake_store_age(struct fake_store *f, int64_t seconds);
/* Has any object these bytes somewhere in it? */
bool fake_store_holds(struct fake_store *f, const char *text);
/* Puts an object as another client would (NULL: removes it). */
void fake_store_put(struct fake_store *f, const char *key, const char *text);

#endif
