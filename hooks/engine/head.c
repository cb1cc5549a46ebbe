/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/head.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "base/path.h"

#define RECORD_MAX_SIZE (UINT64_C(1) << 30)
/* A ttl outside of these is not a lease that anybody made on purpose; a waiter must not hang on it. */
#define TTL_MIN_MS 100
#define TTL_MAX_MS (24 * 3600 * 1000)

static const char *const state_names[] = {"free", "held", NULL};

static const struct json_field holder_fields[] = {
    JSON_FIELD(struct head_holder, node, "node", JSON_STR, .required = true),
    JSON_FIELD(struct head_holder, node_name, "node_name", JSON_STR),
    JSON_FIELD(struct head_holder, boot_id, "boot_id", JSON_STR, .required = true),
    JSON_FIELD(struct head_holder, keeper, "keeper", JSON_STR),
    JSON_FIELD(struct head_holder, container, "container", JSON_STR),
    JSON_FIELD(struct head_holder, since, "since", JSON_STR),
    {NULL},
};
static const struct json_table holder_table = {"holder", sizeof(struct head_holder), holder_fields, JSON_STRICT};

static const struct json_field commit_fields[] = {
    JSON_FIELD(struct head_commit, seq, "seq", JSON_U64, .required = true),
    JSON_FIELD(struct head_commit, epoch, "epoch", JSON_U64),
    JSON_FIELD(struct head_commit, object, "object", JSON_STR),
    JSON_FIELD(struct head_commit, offset, "offset", JSON_U64),
    JSON_FIELD(struct head_commit, length, "length", JSON_U64),
    JSON_FIELD(struct head_commit, sha256, "sha256", JSON_STR),
    JSON_FIELD(struct head_commit, unquiet, "unquiet", JSON_BOOL),
    JSON_FIELD(struct head_commit, running, "running", JSON_BOOL),
    {NULL},
};
const struct json_table head_commit_table = {"commit", sizeof(struct head_commit), commit_fields, JSON_STRICT};

static const struct json_field stats_fields[] = {
    JSON_FIELD(struct head_stats, files, "files", JSON_U64, .write_empty = true),
    JSON_FIELD(struct head_stats, bytes, "bytes", JSON_U64, .write_empty = true),
    {NULL},
};
static const struct json_table stats_table = {"stats", sizeof(struct head_stats), stats_fields, JSON_STRICT};

static const struct json_field head_fields[] = {
    JSON_FIELD(struct head, format, "format", JSON_U32, .required = true),
    JSON_FIELD(struct head, epoch, "epoch", JSON_U64, .required = true),
    JSON_FIELD(struct head, state, "state", JSON_ENUM, .names = state_names, .required = true),
    JSON_FIELD(struct head, ttl_ms, "ttl_ms", JSON_U64, .required = true),
    JSON_FIELD(struct head, holder, "holder", JSON_OBJ, .table = &holder_table, .required = true),
    JSON_FIELD(struct head, nonce, "nonce", JSON_STR, .required = true),
    JSON_FIELD(struct head, commit, "commit", JSON_OBJ, .table = &head_commit_table, .required = true),
    JSON_FIELD(struct head, finished, "finished", JSON_OBJ_PTR, .table = &head_commit_table),
    JSON_FIELD(struct head, applied_seq, "applied_seq", JSON_U64, .required = true),
    JSON_FIELD(struct head, settled_seq, "settled_seq", JSON_U64),
    JSON_FIELD(struct head, collected, "collected", JSON_U64),
    JSON_FIELD(struct head, stats, "stats", JSON_OBJ, .table = &stats_table, .required = true),
    JSON_FIELD(struct head, removed, "removed", JSON_STR),
    JSON_FIELD(struct head, hints, "hints", JSON_RAW),
    {NULL},
};
const struct json_table head_table = {"register", sizeof(struct head), head_fields, JSON_STRICT};

/* What may be lost: who doesn't know it leaves it out (volumes.md §3, "Formats"). */
struct hint_applied {
	uint64_t seq;
	const char *table;
};
struct hints {
	struct hint_applied *applied;
};

static const struct json_field hint_applied_fields[] = {
    JSON_FIELD(struct hint_applied, seq, "seq", JSON_U64, .required = true),
    JSON_FIELD(struct hint_applied, table, "table", JSON_STR, .required = true),
    {NULL},
};
static const struct json_table hint_applied_table = {"applied", sizeof(struct hint_applied), hint_applied_fields, 0};

static const struct json_field hints_fields[] = {
    JSON_FIELD(struct hints, applied, "applied", JSON_OBJ_PTR, .table = &hint_applied_table),
    {NULL},
};
/* Not strict: a newer version may have more of them. */
static const struct json_table hints_table = {"hints", sizeof(struct hints), hints_fields, 0};

static bool is_hex(const char *s, size_t digits)
{
	unsigned char raw[SHA256_LEN];

	return s && strlen(s) == digits && hex_decode(s, raw, digits / 2) == 0;
}

int head_check_commit(const struct head_commit *c, uint64_t epoch, const char *what, struct error *err)
{
	char prefix[48];

	if (c->epoch == 0 || c->epoch > epoch)
		return error_set(err, EINVAL, "%s: commit of an epoch that never was", what);
	if (!is_hex(c->sha256, SHA256_HEX_MAX - 1))
		return error_set(err, EINVAL, "%s: commit without a valid sha256", what);
	snprintf(prefix, sizeof(prefix), "%" PRIu64 "-%" PRIu64 "/", c->epoch, c->seq);
	if (!c->object || strncmp(c->object, prefix, strlen(prefix)) != 0 ||
	    !path_is_safe_relative(c->object, strlen(c->object)) || strlen(c->object) > 255)
		return error_set(err, EINVAL, "%s: commit %" PRIu64 " names an object that is not its own", what,
				 c->seq);
	if (c->length == 0 || c->length > RECORD_MAX_SIZE || c->offset > INT64_MAX - c->length)
		return error_set(err, EINVAL, "%s: commit %" PRIu64 " has a record out of bounds", what, c->seq);
	return 0;
}

static int check_commit(const struct head *h, struct error *err)
{
	const struct head_commit *c = &h->commit;

	if (h->applied_seq > c->seq)
		return error_set(err, EINVAL, "register: applied_seq is past the commit");
	if (h->settled_seq > h->applied_seq)
		return error_set(err, EINVAL, "register: settled_seq is past applied_seq");
	if (h->finished && (h->finished->seq == 0 || h->finished->seq >= c->seq))
		return error_set(err, EINVAL, "register: the finished commit is not before the last one");
	if (h->finished && head_check_commit(h->finished, h->epoch, "register", err) < 0)
		return -err->code;
	if (c->seq > 0)
		return head_check_commit(c, h->epoch, "register", err);
	if (c->object || c->sha256 || c->length)
		return error_set(err, EINVAL, "register: commit 0 can't have a record");
	return 0;
}

/* Only what is of the last commit, and looks as head_write makes it. */
static void take_hints(struct head *h, struct arena *arena)
{
	struct error ignored = ERROR_INIT;
	struct hints hints;

	if (h->hints && json_parse(h->hints, strlen(h->hints), "hints", &hints_table, arena, &hints, &ignored) == 0 &&
	    hints.applied && hints.applied->table[0] && hints.applied->seq == h->commit.seq &&
	    hints.applied->seq == h->applied_seq + 1) {
		h->carried = hints.applied->table;
		h->applied_seq = hints.applied->seq;
	}
	h->hints = NULL;
}

int head_parse(const char *text, size_t len, struct arena *arena, struct head *ret, struct error *err)
{
	struct head h;
	int r;

	if (len > HEAD_MAX_SIZE)
		return error_set(err, EINVAL, "register: longer than %d bytes", HEAD_MAX_SIZE);
	r = format_parse(text, len, "register", &head_table, arena, &h, err);
	if (r < 0)
		return r;
	if (h.format != HEAD_FORMAT)
		return error_set(err, EINVAL, "register: format %u is not known to this version", h.format);
	if (h.epoch == 0)
		return error_set(err, EINVAL, "register: epoch 0");
	if (h.ttl_ms < TTL_MIN_MS || h.ttl_ms > TTL_MAX_MS)
		return error_set(err, EINVAL, "register: ttl of %" PRIu64 " ms", h.ttl_ms);
	if (!is_hex(h.nonce, NONCE_MAX - 1))
		return error_set(err, EINVAL, "register: nonce is not 128 bits in hex");
	r = check_commit(&h, err);
	if (r < 0)
		return r;
	take_hints(&h, arena);
	*ret = h;
	return 0;
}

int head_write(struct strbuf *out, const struct head *h)
{
	_cleanup_strbuf_ struct strbuf hints = STRBUF_INIT;
	struct head written = *h;

	if (h->carried) {
		struct hint_applied applied = {h->applied_seq, h->carried};

		json_write(&hints, &hints_table, &(struct hints){&applied}, 0);
		written.hints = strbuf_str(&hints);
		written.applied_seq--;
		if (written.settled_seq > written.applied_seq)
			written.settled_seq = written.applied_seq;
	}
	json_write(out, &head_table, &written, 0);
	strbuf_addc(out, '\n');
	return out->failed || hints.failed ? -ENOMEM : 0;
}
