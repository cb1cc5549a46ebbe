/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plain.h - names in the published copy of a volume (volumes.md §3): paths to
 * keys and back, and the mark that each object of ours carries.
 */
#ifndef VOLRUN_HOOKS_PLAIN_H
#define VOLRUN_HOOKS_PLAIN_H

#include "hooks/engine/volume.h"
#include "hooks/store/sign.h"

#define PLAIN_SYMLINKS "_symlinks.json"

struct plain {
	char prefix[STORE_KEY_MAX + 1]; /* "volumes/<ws>/<vol>/" */
	size_t len;
};

int plain_init(struct plain *p, const struct volume *v, struct error *err);

/*
 * Can the path be a key, so that it is published? Not: invalid UTF-8, control
 * characters, a key over 1,024 bytes, the name of the links' file and what is beneath it.
 */
bool plain_publishable(const struct plain *p, const char *path);
/* The key of a publishable path. */
char *plain_key(const struct plain *p, const char *path, char buf[STORE_KEY_MAX + 1]);

enum plain_kind {
	PLAIN_FILE,
	PLAIN_MARKER,  /* "dir/", empty: a directory */
	PLAIN_LINKS,   /* _symlinks.json */
	PLAIN_SELF,    /* the prefix itself: nothing */
	PLAIN_ODD,     /* can't be a path of a volume; harmless */
	PLAIN_HOSTILE, /* "..", ".", an empty segment, not below the prefix: an attempt to leave the volume */
};
/* What a listed key is. *ret_path: the path of a FILE or MARKER ("dir"), in the buffer. */
enum plain_kind plain_classify(const struct plain *p, const char *key, uint64_t size, char ret_path[STORE_KEY_MAX + 1]);

/*
 * The mark: "<seq>/<sha256 of the bytes>/<sha256 of the key>". The key in it
 * tells our object from a copy of it that somebody made at another place.
 */
void plain_mark(uint64_t seq, const unsigned char sha256[SHA256_LEN], const char *key, char ret[STORE_MARK_MAX]);
/* Is it a mark of ours for this key? */
bool plain_mark_parse(const char *mark, const char *key, uint64_t *ret_seq, unsigned char ret_sha256[SHA256_LEN]);

#endif
