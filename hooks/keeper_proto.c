/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/keeper_proto.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/num.h"

static const struct json_field checkpoint_fields[] = {
    JSON_FIELD(struct checkpoint_volume, destination, "destination", JSON_STR, .required = true),
    JSON_FIELD(struct checkpoint_volume, epoch, "epoch", JSON_U64, .required = true),
    JSON_FIELD(struct checkpoint_volume, seq, "seq", JSON_U64, .required = true),
    JSON_FIELD(struct checkpoint_volume, record, "record", JSON_STR),
    {NULL},
};
const struct json_table checkpoint_volume_table = {"volume", sizeof(struct checkpoint_volume), checkpoint_fields,
						   JSON_STRICT};

static const struct json_field volume_fields[] = {
    JSON_FIELD(struct keeper_request_volume, name, "name", JSON_STR, .required = true),
    JSON_FIELD(struct keeper_request_volume, destination, "destination", JSON_STR, .required = true),
    JSON_FIELD(struct keeper_request_volume, store, "store", JSON_STR, .required = true),
    JSON_FIELD(struct keeper_request_volume, ro, "ro", JSON_BOOL),
    JSON_FIELD(struct keeper_request_volume, owner_uid, "owner_uid", JSON_U32),
    JSON_FIELD(struct keeper_request_volume, owner_gid, "owner_gid", JSON_U32),
    JSON_FIELD(struct keeper_request_volume, wait_ns, "wait_ns", JSON_I64),
    JSON_FIELD(struct keeper_request_volume, sync_ns, "sync_ns", JSON_I64),
    JSON_LIST(struct keeper_request_volume, mountpoints, "mountpoints", JSON_ARR_STR),
    JSON_FIELD(struct keeper_request_volume, checkpoint, "checkpoint", JSON_OBJ_PTR, .table = &checkpoint_volume_table),
    {NULL},
};
static const struct json_table volume_table = {"volume", sizeof(struct keeper_request_volume), volume_fields,
					       JSON_STRICT};

static const struct json_field request_fields[] = {
    JSON_FIELD(struct keeper_request, id, "id", JSON_STR, .required = true),
    JSON_FIELD(struct keeper_request, bundle, "bundle", JSON_STR, .required = true),
    JSON_FIELD(struct keeper_request, pid, "pid", JSON_I32, .required = true),
    JSON_FIELD(struct keeper_request, config, "config", JSON_STR),
    JSON_FIELD(struct keeper_request, workspace, "workspace", JSON_STR, .required = true),
    JSON_FIELD(struct keeper_request, user, "user", JSON_STR),
    JSON_FIELD(struct keeper_request, pod, "pod", JSON_STR),
    JSON_LIST(struct keeper_request, groups, "groups", JSON_ARR_STR),
    JSON_LIST(struct keeper_request, volumes, "volumes", JSON_ARR_OBJ, .table = &volume_table, .max_count = IO_MAX_FDS),
    JSON_FIELD(struct keeper_request, adopt, "adopt", JSON_BOOL),
    JSON_FIELD(struct keeper_request, administrator, "administrator", JSON_BOOL),
    JSON_FIELD(struct keeper_request, by_mounts, "by_mounts", JSON_BOOL),
    JSON_FIELD(struct keeper_request, directory, "directory", JSON_STR),
    JSON_FIELD(struct keeper_request, grace_ns, "grace_ns", JSON_I64),
    JSON_FIELD(struct keeper_request, checkpoint, "checkpoint", JSON_STR),
    {NULL},
};
const struct json_table keeper_request_table = {"request", sizeof(struct keeper_request), request_fields, JSON_STRICT};

static const struct json_field answer_fields[] = {
    JSON_FIELD(struct keeper_answer, error, "error", JSON_STR),
    JSON_FIELD(struct keeper_answer, chowned, "chowned", JSON_BOOL),
    JSON_LIST(struct keeper_answer, warnings, "warnings", JSON_ARR_STR),
    {NULL},
};
const struct json_table keeper_answer_table = {"answer", sizeof(struct keeper_answer), answer_fields, JSON_STRICT};

static const struct json_field command_fields[] = {
    JSON_FIELD(struct keeper_command, command, "command", JSON_STR, .required = true),
    {NULL},
};
const struct json_table keeper_command_table = {"command", sizeof(struct keeper_command), command_fields, JSON_STRICT};

static const struct json_field result_fields[] = {
    JSON_FIELD(struct keeper_result, name, "name", JSON_STR, .required = true),
    JSON_FIELD(struct keeper_result, error, "error", JSON_STR),
    JSON_FIELD(struct keeper_result, commit, "commit", JSON_U64, .write_empty = true),
    JSON_FIELD(struct keeper_result, changed, "changed", JSON_BOOL, .write_empty = true),
    JSON_FIELD(struct keeper_result, frozen_us, "frozen_us", JSON_U64, .write_empty = true),
    JSON_FIELD(struct keeper_result, copied_bytes, "copied_bytes", JSON_U64, .write_empty = true),
    JSON_FIELD(struct keeper_result, reflinked_bytes, "reflinked_bytes", JSON_U64, .write_empty = true),
    JSON_FIELD(struct keeper_result, checkpoint, "checkpoint", JSON_OBJ_PTR, .table = &checkpoint_volume_table),
    {NULL},
};
static const struct json_table result_table = {"result", sizeof(struct keeper_result), result_fields, JSON_STRICT};

static const struct json_field outcome_fields[] = {
    JSON_FIELD(struct keeper_outcome, error, "error", JSON_STR),
    JSON_LIST(struct keeper_outcome, results, "volumes", JSON_ARR_OBJ, .table = &result_table, .write_empty = true),
    {NULL},
};
const struct json_table keeper_outcome_table = {"outcome", sizeof(struct keeper_outcome), outcome_fields, JSON_STRICT};

int keeper_send(int sock, const struct json_table *table, const void *message, const int *fds, size_t n_fds,
		struct error *err)
{
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
	int r;

	json_write(&text, table, message, 0);
	if (text.failed)
		return error_set(err, ENOMEM, "out of memory");
	if (text.len > KEEPER_MESSAGE_MAX)
		return error_set(err, EMSGSIZE, "more mounts beneath volumes than can be passed on");
	r = send_fds(sock, text.data, text.len, fds, n_fds);
	return r < 0 ? error_set(err, r, "hook and keeper can't talk (error %d)", -r) : 0;
}

int keeper_receive(int sock, const struct json_table *table, struct arena *arena, void *ret, int *fds, size_t *n_fds,
		   struct error *err)
{
	_cleanup_free_ char *text = malloc(KEEPER_MESSAGE_MAX);
	ssize_t n;

	if (!text)
		return error_set(err, ENOMEM, "out of memory");
	n = recv_fds(sock, text, KEEPER_MESSAGE_MAX, fds, n_fds);
	if (n == 0 || n == -ECONNRESET)
		return error_set(err, ENODATA, "the other side is gone");
	if (n < 0)
		return error_set(err, (int)n, "hook and keeper can't talk (error %d)", (int)-n);
	return json_parse(text, (size_t)n, "message", table, arena, ret, err);
}

/* FNV-1a, 128 bits. */
static unsigned __int128 fnv1a(unsigned __int128 h, const char *s, size_t len)
{
	const unsigned __int128 prime = ((unsigned __int128)1 << 88) | 0x13b;

	while (len--)
		h = (h ^ (unsigned char)*s++) * prime;
	return h;
}

void keeper_key(const char *id, const char *bundle, char ret[KEEPER_KEY_MAX])
{
	unsigned __int128 h = ((unsigned __int128)UINT64_C(0x6c62272e07bb0142) << 64) | UINT64_C(0x62b821756295c58d);

	h = fnv1a(h, id, strlen(id) + 1);
	h = fnv1a(h, bundle, strlen(bundle));
	hex_encode(&h, sizeof(h), ret);
}
