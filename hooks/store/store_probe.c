/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/num.h"
#include "hooks/store/store.h"
#include "hooks/store/store_impl.h"

/*
 * Each step is a request whose outcome is known beforehand from a store that
 * enforces conditions. A step whose outcome is not known (a time-out, a 5xx)
 * proves nothing: all is tried again with another key, a few times, and then
 * it is an error that is not -ENOTSUP.
 */
#define ATTEMPTS 3
#define ATTEMPTS_NS (5 * NSEC_PER_SEC) /* none is begun after so long */

struct probe {
	struct store *store;
	char key[64], copy[72];
	char tag[STORE_TAG_MAX];
	bool unknown; /* how the request that ended it ended */
	struct error *err;
};

static enum store_result put(struct probe *p, const char *text, enum store_condition condition, const char *tag,
			     struct store_op *op)
{
	store_op_init(op, STORE_PUT, p->key);
	op->data = text;
	op->size = strlen(text);
	op->condition = condition;
	op->if_tag = tag;
	return store_do(p->store, op);
}

static int unexpected(struct probe *p, const struct store_op *op)
{
	*p->err = op->err;
	p->unknown = op->result == STORE_UNKNOWN;
	return error_wrap(p->err, "probing the store");
}

static int not_enforced(struct probe *p, const char *what)
{
	return error_set(
	    p->err, ENOTSUP,
	    "store \"%s\" (%s) accepts conditional writes without enforcing them (%s): it can't hold leases",
	    p->store->name, p->store->place, what);
}

/* Absent: created; there: refused. */
static int probe_create(struct probe *p)
{
	struct store_op op;
	enum store_result r = put(p, "one", STORE_IF_ABSENT, NULL, &op);

	if (r != STORE_OK || !op.tag[0])
		return r == STORE_OK ? not_enforced(p, "it gives no tags") : unexpected(p, &op);
	strcpy(p->tag, op.tag);
	r = put(p, "two", STORE_IF_ABSENT, NULL, &op);
	if (r == STORE_OK)
		return not_enforced(p, "a second create of one key succeeded");
	return r == STORE_FALSE ? 0 : unexpected(p, &op);
}

/* With the tag: replaced (bare, where the endpoint wants it so). With the one before: refused. */
static int probe_replace(struct probe *p)
{
	char stale[STORE_TAG_MAX];
	struct store_op op;
	enum store_result r;

	strcpy(stale, p->tag);
	r = put(p, "three", STORE_IF_TAG, p->tag, &op);
	if (r == STORE_FALSE) {
		store_set_quirks(p->store, store_quirks(p->store) ^ STORE_QUIRK_BARE_TAG);
		r = put(p, "three", STORE_IF_TAG, p->tag, &op);
	}
	if (r == STORE_FALSE)
		return not_enforced(p, "a replace with the right tag is refused");
	if (r != STORE_OK)
		return unexpected(p, &op);
	strcpy(p->tag, op.tag);
	r = put(p, "four", STORE_IF_TAG, stale, &op);
	if (r == STORE_OK)
		return not_enforced(p, "a replace with a stale tag succeeded");
	if (r != STORE_FALSE)
		return unexpected(p, &op);
	r = put(p, "five", STORE_IF_TAG, p->tag, &op);
	if (r != STORE_OK)
		return unexpected(p, &op);
	strcpy(p->tag, op.tag);
	return 0;
}

/*
 * Is a condition on DELETE or COPY enforced? Not needed for a lease, so whatever
 * the answer is but a clear refusal counts as no. Sent as if it were, then the quirk is set or taken back.
 */
static void probe_extra(struct probe *p, enum store_op_kind kind, unsigned cap, unsigned quirk)
{
	struct store_op op;

	if (p->store->caps & cap)
		return;
	p->store->caps |= cap;
	store_op_init(&op, kind, kind == STORE_COPY ? p->copy : p->key);
	op.source = p->key;
	op.condition = STORE_IF_TAG;
	op.if_tag = "00000000000000000000000000000000";
	if (store_do(p->store, &op) == STORE_FALSE)
		store_set_quirks(p->store, store_quirks(p->store) | quirk);
	else
		p->store->caps &= ~cap;
}

static void clean_up(struct probe *p)
{
	struct store_op op;

	store_op_init(&op, STORE_DELETE, p->copy);
	store_do(p->store, &op);
	store_op_init(&op, STORE_DELETE, p->key);
	store_do(p->store, &op);
}

static int probe_once(struct store *s, bool *ret_unknown, struct error *err)
{
	struct probe p = {.store = s, .err = err};
	unsigned char raw[8];
	char hex[2 * sizeof(raw) + 1];
	int r;

	random_bytes(raw, sizeof(raw));
	hex_encode(raw, sizeof(raw), hex);
	snprintf(p.key, sizeof(p.key), ".volrun-probe/%s", hex);
	snprintf(p.copy, sizeof(p.copy), "%s.copy", p.key);
	r = probe_create(&p);
	if (r == 0)
		r = probe_replace(&p);
	if (r == 0) {
		probe_extra(&p, STORE_COPY, STORE_CAP_COPY_IF, STORE_QUIRK_COPY_IF);
		probe_extra(&p, STORE_DELETE, STORE_CAP_DELETE_IF, STORE_QUIRK_DELETE_IF);
	}
	clean_up(&p);
	*ret_unknown = p.unknown;
	return r;
}

int store_probe(struct store *s, struct error *err)
{
	int64_t begin = clock_boottime_ns();
	bool unknown;
	int r;

	for (int attempt = 1;; attempt++) {
		r = probe_once(s, &unknown, err);
		if (r == 0 || !unknown || attempt == ATTEMPTS || clock_boottime_ns() - begin > ATTEMPTS_NS)
			return r;
	}
}
