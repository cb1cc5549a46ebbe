/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/store/store_check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/num.h"
#include "hooks/store/store_impl.h"

#define RACERS 16
#define ROUNDS 3
#define BULK ((size_t)8 << 20)
#define CLOCK_SKEW_SECONDS 300

struct check {
	struct store *store;
	char prefix[48];
	store_check_fn fn;
	void *ctx;
	struct error *err;
	int failed;	  /* the first failure */
	bool wrote;	  /* perhaps: there is something to remove */
	char detail[600]; /* of the step that is going on */
};

struct step {
	const char *what;
	enum store_check_result (*run)(struct check *c);
	bool needed; /* what comes after makes no sense without it */
};

static void key_of(const struct check *c, const char *name, char out[STORE_KEY_MAX])
{
	snprintf(out, STORE_KEY_MAX, "%s%s", c->prefix, name);
}

static enum store_check_result say(struct check *c, enum store_check_result r, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static enum store_check_result say(struct check *c, enum store_check_result r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c->detail, sizeof(c->detail), fmt, ap);
	va_end(ap);
	return r;
}

static enum store_check_result unexpected(struct check *c, const struct store_op *op, const char *instead)
{
	if (op->result == STORE_OK)
		return say(c, STORE_CHECK_FAILS, "%s", instead);
	if (c->failed == 0)
		*c->err = op->err;
	return say(c, STORE_CHECK_FAILS, "%s", op->err.msg);
}

static enum store_result put(struct check *c, const char *name, const char *text, struct store_op *op)
{
	static char key[STORE_KEY_MAX];

	key_of(c, name, key);
	store_op_init(op, STORE_PUT, key);
	op->data = text;
	op->size = strlen(text);
	op->mark = "1/check/volrun";
	store_do(c->store, op);
	c->wrote |= op->result == STORE_OK || op->result == STORE_UNKNOWN;
	return op->result;
}

static enum store_result simple(struct check *c, enum store_op_kind kind, const char *name, struct store_op *op)
{
	static char key[STORE_KEY_MAX];

	key_of(c, name, key);
	store_op_init(op, kind, key);
	op->max_body = 4096;
	return store_do(c->store, op);
}

static bool reads(struct check *c, const char *name, const char *text, struct store_op *op)
{
	bool same = simple(c, STORE_GET, name, op) == STORE_OK && !strcmp(strbuf_str(&op->body), text);

	strbuf_free(&op->body);
	return same;
}

/* --- the steps ---------------------------------------------------------------------- */

static enum store_check_result has_credentials(struct check *c)
{
	struct error err = ERROR_INIT;

	if (store_credentials(c->store, c->detail, sizeof(c->detail), &err) == 0)
		return c->detail[0] ? STORE_CHECK_HOLDS : say(c, STORE_CHECK_HOLDS, "none are needed");
	if (c->failed == 0)
		*c->err = err;
	return say(c, STORE_CHECK_FAILS, "%s", err.msg);
}

static enum store_check_result writes_and_reads(struct check *c)
{
	struct store_op op;
	char tag[STORE_TAG_MAX];

	if (put(c, "object", "hello", &op) != STORE_OK)
		return unexpected(c, &op, "");
	strcpy(tag, op.tag);
	if (!reads(c, "object", "hello", &op))
		return unexpected(c, &op, "other bytes come back than were written");
	if (strcmp(op.tag, tag) != 0)
		return say(c, STORE_CHECK_FAILS, "the tag read is not the one that the write gave");
	return STORE_CHECK_HOLDS;
}

static enum store_check_result keeps_metadata(struct check *c)
{
	struct store_op op;

	if (simple(c, STORE_HEAD, "object", &op) != STORE_OK)
		return unexpected(c, &op, "");
	if (strcmp(op.got_mark, "1/check/volrun") != 0 || op.got_size != 5)
		return say(c, STORE_CHECK_FAILS, "metadata or size of an object are not what was written");
	return STORE_CHECK_HOLDS;
}

/* Who replaces a file of volrun's by another tool writes no mark: one that stays says that it is still volrun's. */
static enum store_check_result drops_metadata(struct check *c)
{
	char key[STORE_KEY_MAX];
	struct store_op op;

	key_of(c, "object", key);
	store_op_init(&op, STORE_PUT, key);
	op.data = "hello";
	op.size = 5;
	if (store_do(c->store, &op) != STORE_OK || simple(c, STORE_HEAD, "object", &op) != STORE_OK)
		return unexpected(c, &op, "");
	return op.got_mark[0] ? say(c, STORE_CHECK_LACKS,
				    "it keeps the old: what other tools replace is taken for volrun's own, and undone")
			      : STORE_CHECK_HOLDS;
}

/* Nothing depends on it but signatures, some tokens, and how times look to people. */
static enum store_check_result has_our_time(struct check *c)
{
	struct store_op op;
	int64_t skew;

	if (simple(c, STORE_HEAD, "object", &op) != STORE_OK)
		return unexpected(c, &op, "");
	skew = op.mtime - (int64_t)time(NULL);
	if (op.mtime == 0)
		return say(c, STORE_CHECK_LACKS, "it does not say when an object was written");
	if (llabs((long long)skew) > CLOCK_SKEW_SECONDS)
		return say(c, STORE_CHECK_LACKS,
			   "its clock is %" PRId64 " s off this machine's: signatures may be refused", skew);
	return STORE_CHECK_HOLDS;
}

static enum store_check_result gives_ranges(struct check *c)
{
	char key[STORE_KEY_MAX];
	struct store_op op;
	bool right;

	key_of(c, "object", key);
	store_op_init(&op, STORE_GET, key);
	op.offset = 1;
	op.length = 3;
	op.max_body = 16;
	right = store_do(c->store, &op) == STORE_OK && !strcmp(strbuf_str(&op.body), "ell");
	strbuf_free(&op.body);
	return right ? STORE_CHECK_HOLDS : unexpected(c, &op, "a range is not what was asked for");
}

static enum store_check_result enforces_conditions(struct check *c)
{
	struct error err = ERROR_INIT;

	if (store_probe(c->store, &err) == 0)
		return store_quirks(c->store) & STORE_QUIRK_BARE_TAG
			   ? say(c, STORE_CHECK_HOLDS, "with the tag unquoted")
			   : STORE_CHECK_HOLDS;
	if (c->failed == 0)
		*c->err = err;
	return say(c, STORE_CHECK_FAILS, "%s", err.msg);
}

struct race {
	struct store_op ops[RACERS];
	char texts[RACERS][8];
	unsigned begun, won, unknown;
};

static struct store_op *next_racer(void *ctx)
{
	struct race *r = ctx;

	return r->begun < RACERS ? &r->ops[r->begun++] : NULL;
}

static void racer_done(void *ctx, struct store_op *op)
{
	struct race *r = ctx;

	r->won += op->result == STORE_OK;
	r->unknown += op->result == STORE_UNKNOWN || op->result == STORE_THROTTLED;
}

/* Who is not sure whether it won (5xx, 429) looks. */
static enum store_check_result one_wins(struct check *c)
{
	_cleanup_free_ struct race *r = malloc(sizeof(*r));
	char key[STORE_KEY_MAX], name[16];

	for (unsigned round = 0; r && round < ROUNDS; round++) {
		memset(r, 0, sizeof(*r));
		snprintf(name, sizeof(name), "race-%u", round);
		key_of(c, name, key);
		for (unsigned i = 0; i < RACERS; i++) {
			store_op_init(&r->ops[i], STORE_PUT, key);
			snprintf(r->texts[i], sizeof(r->texts[i]), "%u", i);
			r->ops[i].data = r->texts[i];
			r->ops[i].size = strlen(r->texts[i]);
			r->ops[i].condition = STORE_IF_ABSENT;
		}
		store_run(c->store, next_racer, racer_done, r);
		for (unsigned i = 0; i < RACERS && r->unknown > 0; i++) {
			struct store_op op;

			if (r->ops[i].result == STORE_UNKNOWN || r->ops[i].result == STORE_THROTTLED)
				r->won += reads(c, name, r->texts[i], &op);
		}
		if (r->won != 1)
			return say(c, STORE_CHECK_FAILS, "%u of %u creations of one object at once succeeded", r->won,
				   RACERS);
	}
	return r ? STORE_CHECK_HOLDS : say(c, STORE_CHECK_FAILS, "out of memory");
}

static enum store_check_result has_cap(const struct check *c, unsigned cap)
{
	return c->store->caps & cap ? STORE_CHECK_HOLDS : STORE_CHECK_LACKS;
}

static enum store_check_result copies(struct check *c)
{
	char key[STORE_KEY_MAX], source[STORE_KEY_MAX];
	struct store_op op;

	if (has_cap(c, STORE_CAP_COPY) != STORE_CHECK_HOLDS)
		return STORE_CHECK_LACKS;
	key_of(c, "copy", key);
	key_of(c, "object", source);
	store_op_init(&op, STORE_COPY, key);
	op.source = source;
	op.size = 5;
	op.mark = "2/check/volrun";
	if (store_do(c->store, &op) != STORE_OK || !reads(c, "copy", "hello", &op))
		return unexpected(c, &op, "a copy has other bytes than its source");
	return STORE_CHECK_HOLDS;
}

static enum store_check_result copies_if(struct check *c)
{
	return has_cap(c, STORE_CAP_COPY_IF);
}

static enum store_check_result deletes_if(struct check *c)
{
	return has_cap(c, STORE_CAP_DELETE_IF);
}

static const char *const odd_names[] = {"a b",	  "per%20cent",		  "plus+", "q?x=1&y#z",
					"<&>\"'", "\xc3\xbc\xe2\x98\x83", "dir/",  "dir/file"};

struct seen {
	const struct check *c;
	unsigned names, others;
};

static int note_name(void *ctx, const struct store_list_item *item, struct error *err)
{
	struct seen *s = ctx;
	size_t n = strlen(s->c->prefix);

	(void)err;
	if (strncmp(item->key, s->c->prefix, n) != 0 || strncmp(item->key + n, "odd/", 4) != 0) {
		s->others++;
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(odd_names); i++)
		if (!strcmp(item->key + n + 4, odd_names[i])) {
			s->names++;
			return 0;
		}
	s->others++;
	return 0;
}

static enum store_check_result lists_odd_names(struct check *c)
{
	struct seen seen = {.c = c};
	struct error err = ERROR_INIT;
	char prefix[STORE_KEY_MAX], name[64];
	struct store_op op;

	for (size_t i = 0; i < ARRAY_SIZE(odd_names); i++) {
		snprintf(name, sizeof(name), "odd/%s", odd_names[i]);
		if (put(c, name, name[strlen(name) - 1] == '/' ? "" : "x", &op) != STORE_OK)
			return unexpected(c, &op, "");
	}
	key_of(c, "odd/", prefix);
	if (store_list(c->store, prefix, note_name, &seen, &err) < 0) {
		if (c->failed == 0)
			*c->err = err;
		return say(c, STORE_CHECK_FAILS, "%s", err.msg);
	}
	if (seen.names != ARRAY_SIZE(odd_names) || seen.others > 0)
		return say(c, STORE_CHECK_FAILS, "of %zu objects just written, a listing shows %u, and %u others",
			   ARRAY_SIZE(odd_names), seen.names, seen.others);
	return STORE_CHECK_HOLDS;
}

static enum store_check_result forgets(struct check *c)
{
	struct store_op op;

	if (simple(c, STORE_DELETE, "object", &op) != STORE_OK)
		return unexpected(c, &op, "");
	if (simple(c, STORE_HEAD, "object", &op) != STORE_ABSENT)
		return unexpected(c, &op, "an object that was deleted is still there");
	return STORE_CHECK_HOLDS;
}

/* What a start waits for at least: two of these. */
static enum store_check_result answers(struct check *c)
{
	int64_t best = INT64_MAX, began, took;
	struct store_op op;

	for (int i = 0; i < 5; i++) {
		began = clock_boottime_ns();
		if (simple(c, STORE_HEAD, "nothing", &op) != STORE_ABSENT)
			return unexpected(c, &op, "an object that nobody wrote is there");
		took = clock_boottime_ns() - began;
		best = took < best ? took : best;
	}
	return say(c, STORE_CHECK_HOLDS, "in %.1f ms", (double)best / (double)NSEC_PER_MSEC);
}

static double mib_per_s(int64_t ns)
{
	return (double)BULK / (1 << 20) * (double)NSEC_PER_SEC / (double)(ns > 0 ? ns : 1);
}

/* Of one connection, and of bytes that nobody can make smaller on the way. */
static enum store_check_result moves_much(struct check *c)
{
	_cleanup_free_ char *data = malloc(BULK);
	int64_t began, written, done;
	char key[STORE_KEY_MAX];
	struct store_op op;
	bool same;

	if (!data)
		return say(c, STORE_CHECK_FAILS, "out of memory");
	random_bytes(data, BULK);
	key_of(c, "bulk", key);
	store_op_init(&op, STORE_PUT, key);
	op.data = data;
	op.size = BULK;
	began = clock_boottime_ns();
	if (store_do(c->store, &op) != STORE_OK)
		return unexpected(c, &op, "");
	written = clock_boottime_ns();
	store_op_init(&op, STORE_GET, key);
	op.max_body = BULK;
	store_do(c->store, &op);
	done = clock_boottime_ns();
	same = op.result == STORE_OK && op.body.len == BULK && !memcmp(op.body.data, data, BULK);
	strbuf_free(&op.body);
	if (!same)
		return unexpected(c, &op, "other bytes come back than were written");
	return say(c, STORE_CHECK_HOLDS, "%.0f MiB/s up, %.0f MiB/s down", mib_per_s(written - began),
		   mib_per_s(done - written));
}

static const struct step steps[] = {
    {"there are credentials", has_credentials, true},
    {"objects can be written and read", writes_and_reads, true},
    {"it answers", answers, true},
    {"objects keep their metadata", keeps_metadata, false},
    {"a write without metadata takes the old off", drops_metadata, false},
    {"parts of an object can be read", gives_ranges, false},
    {"conditions on writes are enforced (leases)", enforces_conditions, true},
    {"of 16 creations at once, one wins", one_wins, false},
    {"8 MiB go up and come down", moves_much, false},
    {"names with odd characters are kept and listed at once", lists_odd_names, false},
    {"objects are copied by the store", copies, false},
    {"conditions on copies are enforced", copies_if, false},
    {"conditions on deletions are enforced", deletes_if, false},
    {"its clock is as this machine's", has_our_time, false},
    {"deleted objects are gone", forgets, false},
};

static void clean_up(struct check *c)
{
	static const char *const names[] = {"object", "bulk", "copy", "race-0", "race-1", "race-2"};
	char name[64];
	struct store_op op;

	for (size_t i = 0; c->wrote && i < ARRAY_SIZE(names); i++)
		simple(c, STORE_DELETE, names[i], &op);
	for (size_t i = ARRAY_SIZE(odd_names); c->wrote && i > 0; i--) {
		snprintf(name, sizeof(name), "odd/%s", odd_names[i - 1]);
		simple(c, STORE_DELETE, name, &op);
	}
}

int store_check(struct store *s, store_check_fn fn, void *ctx, struct error *err)
{
	struct check c = {.store = s, .fn = fn, .ctx = ctx, .err = err};
	unsigned char raw[8];
	char hex[2 * sizeof(raw) + 1];
	bool go_on = true;

	random_bytes(raw, sizeof(raw));
	hex_encode(raw, sizeof(raw), hex);
	snprintf(c.prefix, sizeof(c.prefix), ".volrun-probe/%s/", hex);
	for (size_t i = 0; i < ARRAY_SIZE(steps) && go_on; i++) {
		enum store_check_result r;

		c.detail[0] = '\0';
		r = steps[i].run(&c);
		fn(ctx, r, steps[i].what, c.detail);
		if (r != STORE_CHECK_FAILS)
			continue;
		if (c.failed == 0 && err->code == 0)
			error_set(err, ENOTSUP, "store \"%s\" (%s): %s", s->name, s->place, c.detail);
		if (c.failed == 0)
			c.failed = -err->code;
		go_on = !steps[i].needed;
	}
	clean_up(&c);
	return c.failed;
}
