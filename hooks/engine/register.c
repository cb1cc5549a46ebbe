/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/register.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/num.h"
#include "hooks/engine/object_read.h"

/* How often identical bytes are sent for one write before the caller hears of it, and the pause between. */
#define WRITE_ATTEMPTS 3
#define WRITE_PAUSE_NS (100 * NSEC_PER_MSEC)

#define NOBODYS_NONCE "00000000000000000000000000000000"

void register_init(struct volume_register *r, struct store *store, const char *key)
{
	*r = (struct volume_register){.store = store, .key = key};
}

void register_free(struct volume_register *r)
{
	arena_free(&r->arena);
}

static const struct register_sent *find_sent(const struct volume_register *r, const char *nonce)
{
	size_t n = r->n_sent < REGISTER_SENT_MAX ? r->n_sent : REGISTER_SENT_MAX, i;

	for (i = 0; i < n; i++)
		if (strcmp(r->sent[i].nonce, nonce) == 0)
			return &r->sent[i];
	return NULL;
}

int64_t register_shown_sent_ns(const struct volume_register *r)
{
	const struct register_sent *s = r->exists ? find_sent(r, r->shown.nonce) : NULL;

	return s ? s->ns : -1;
}

/* The register is known to hold this text under this tag. */
static int adopt(struct volume_register *r, const char *text, size_t len, const char *tag, struct error *err)
{
	struct arena arena = ARENA_INIT;
	struct head h;
	int res = head_parse(text, len, &arena, &h, err);

	if (res < 0) {
		arena_free(&arena);
		return res;
	}
	arena_free(&r->arena);
	r->arena = arena;
	r->shown = h;
	r->exists = true;
	snprintf(r->tag, sizeof(r->tag), "%s", tag);
	return 0;
}

static int adopt_answer(void *ctx, const struct store_op *op, struct error *err)
{
	if (!op->tag[0])
		return error_set(err, EIO, "the object store gives no tag (ETag)");
	return adopt(ctx, strbuf_str(&op->body), op->body.len, op->tag, err);
}

int register_read(struct volume_register *r, struct error *err)
{
	int res = object_read(r->store, r->key, HEAD_MAX_SIZE, adopt_answer, r, err);

	if (res <= 0)
		return res;
	r->exists = false;
	return 0;
}

static void remember(struct volume_register *r, const char *nonce)
{
	struct register_sent *s;

	/* The one that the register shows stays known, however often writes fail after it. */
	do
		s = &r->sent[r->n_sent++ % REGISTER_SENT_MAX];
	while (r->exists && s->nonce[0] && strcmp(s->nonce, r->shown.nonce) == 0);
	snprintf(s->nonce, sizeof(s->nonce), "%s", nonce);
	s->ns = clock_boottime_ns();
}

/* After an answer that leaves it open: 1: not written, send the same again; else as register_write. */
static int read_back(struct volume_register *r, const char *nonce, struct error *err)
{
	char tag[STORE_TAG_MAX];
	bool existed = r->exists;
	int res;

	memcpy(tag, r->tag, sizeof(tag));
	res = register_read(r, err);
	/* Nobody deletes one: what is known of it stays, for the moment at which the store has it again. */
	if (res == 0 && existed && !r->exists) {
		r->exists = true;
		return error_set(err, ENODATA, "store \"%s\" (%s) has lost the register %s", r->store->name,
				 r->store->place ? r->store->place : "", r->key);
	}
	/* It says no more of what it is, but none of us wrote it. */
	if (res == -ENOTSUP) {
		r->shown.nonce = NOBODYS_NONCE;
		err->code = ESTALE;
		return -ESTALE;
	}
	if (res < 0)
		return res;
	if (r->exists && strcmp(r->shown.nonce, nonce) == 0)
		return 0;
	if (r->exists == existed && (!existed || strcmp(tag, r->tag) == 0))
		return 1;
	if (register_shown_sent_ns(r) >= 0)
		return error_set(err, EAGAIN, "an earlier write of the register landed late");
	return error_set(err, ESTALE, "the register was written by another one");
}

/* One request of a write; the same results as read_back. */
static int send_once(struct volume_register *r, const struct strbuf *text, const char *nonce, struct error *err)
{
	struct store_op op;

	store_op_init(&op, STORE_PUT, r->key);
	op.data = text->data;
	op.size = text->len;
	op.content_type = "application/json";
	op.condition = r->exists ? STORE_IF_TAG : STORE_IF_ABSENT;
	op.if_tag = r->exists ? r->tag : NULL;
	switch (store_do(r->store, &op)) {
	case STORE_OK:
		if (op.tag[0])
			return adopt(r, text->data, text->len, op.tag, err);
		return read_back(r, nonce, err);
	case STORE_REFUSED:
	case STORE_INVALID:
	case STORE_CANCELLED:
	case STORE_UNREACHABLE:
		return object_error(&op, err);
	default:
		*err = op.err;
		return read_back(r, nonce, err);
	}
}

int register_write(struct volume_register *r, const struct head *next, struct error *err)
{
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
	unsigned char raw[(NONCE_MAX - 1) / 2];
	char nonce[NONCE_MAX];
	struct head h = *next;
	int attempt, res;

	random_bytes(raw, sizeof(raw));
	hex_encode(raw, sizeof(raw), nonce);
	h.nonce = nonce;
	if (head_write(&text, &h) < 0)
		return error_set(err, ENOMEM, "out of memory");
	if (text.len > HEAD_MAX_SIZE)
		return error_set(err, EINVAL, "register: would be longer than %d bytes", HEAD_MAX_SIZE);
	/* Before the first request: whichever of identical ones lands, it was sent no earlier. */
	remember(r, nonce);
	for (attempt = 1;; attempt++) {
		res = send_once(r, &text, nonce, err);
		if (res <= 0)
			return res;
		if (attempt == WRITE_ATTEMPTS)
			return error_set(err, EIO, "%s",
					 err->msg[0] ? err->msg : "the object store did not take the register");
		clock_sleep_ns(WRITE_PAUSE_NS * attempt);
	}
}
