/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/criu_message.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"

#define KIND_NUMBER 0
#define KIND_FIXED64 1
#define KIND_BYTES 2
#define KIND_FIXED32 5

/* Members of criu_req and criu_opts that have no table. */
#define REQ_TYPE 1
#define REQ_OPTS 2
#define REQ_SUCCESS 3
#define OPT_IMAGES_DIR_FD 1
#define OPT_PAGE_SERVER 11
#define OPT_WORK_DIR_FD 17
#define OPT_EXT_MNT 23
#define OPT_CG_ROOT 25
#define OPT_INHERIT_FD 27
#define OPT_CGROUPS_MODE 34
#define OPT_EXTERNAL 37
#define OPT_JOIN_NS 39

int criu_list_add(struct criu_list *list, struct arena *arena, const char *key, const char *value, int fd)
{
	if (list->n == list->room) {
		size_t room = list->room ? 2 * list->room : 16;
		struct criu_item *items = arena_calloc(arena, room, sizeof(*items));

		if (!items)
			return -ENOMEM;
		if (list->n)
			memcpy(items, list->items, list->n * sizeof(*items));
		list->items = items;
		list->room = room;
	}
	/* What an allocation before has not given. */
	if (!key)
		return -ENOMEM;
	list->items[list->n++] = (struct criu_item){.key = key, .value = value, .fd = fd};
	return 0;
}

/* --- writing ----------------------------------------------------------------------- */

static void put_varint(struct strbuf *out, uint64_t n)
{
	for (; n >= 0x80; n >>= 7)
		strbuf_addc(out, (char)(n | 0x80));
	strbuf_addc(out, (char)n);
}

static void put_number(struct strbuf *out, unsigned field, uint64_t n)
{
	put_varint(out, field << 3 | KIND_NUMBER);
	put_varint(out, n);
}

static void put_bytes(struct strbuf *out, unsigned field, const char *data, size_t len)
{
	put_varint(out, field << 3 | KIND_BYTES);
	put_varint(out, len);
	strbuf_add(out, data, len);
}

static void put_string(struct strbuf *out, unsigned field, const char *s)
{
	if (s)
		put_bytes(out, field, s, strlen(s));
}

static void put_message(struct strbuf *out, unsigned field, struct strbuf *message)
{
	if (message->failed)
		out->failed = true;
	put_bytes(out, field, strbuf_str(message), message->len);
	strbuf_reset(message);
}

/* A message of two strings, or of a string and a number. */
static void put_item(struct strbuf *out, unsigned field, const struct criu_item *item, bool fd)
{
	_cleanup_strbuf_ struct strbuf m = STRBUF_INIT;

	put_string(&m, 1, item->key);
	if (fd)
		put_number(&m, 2, (uint64_t)item->fd);
	else
		put_string(&m, 2, item->value);
	put_message(out, field, &m);
}

static void put_list(struct strbuf *out, unsigned field, const struct criu_list *list, bool fd)
{
	for (size_t i = 0; i < list->n; i++)
		put_item(out, field, &list->items[i], fd);
}

enum kind { BOOL, INT, STR };

static const struct {
	unsigned char field;
	enum kind kind;
	size_t offset;
} options[] = {
#define OPTION(number, k, member)                                                                                      \
	{                                                                                                              \
		number, k, offsetof(struct criu_request, member)                                                       \
	}
    OPTION(2, INT, pid),
    OPTION(3, BOOL, leave_running),
    OPTION(4, BOOL, ext_unix_sk),
    OPTION(5, BOOL, tcp_established),
    OPTION(6, BOOL, evasive_devices),
    OPTION(7, BOOL, shell_job),
    OPTION(8, BOOL, file_locks),
    OPTION(10, STR, log_file),
    OPTION(13, STR, root),
    OPTION(14, STR, parent_images),
    OPTION(15, BOOL, track_mem),
    OPTION(16, BOOL, auto_dedup),
    OPTION(18, BOOL, link_remap),
    OPTION(26, BOOL, sibling),
    OPTION(38, INT, empty_namespaces),
    OPTION(44, STR, freeze_cgroup),
    OPTION(46, BOOL, tcp_skip_in_flight),
    OPTION(48, BOOL, lazy_pages),
    OPTION(50, BOOL, orphan_terminal),
    OPTION(51, STR, config_file),
    OPTION(52, BOOL, tcp_close),
    OPTION(53, STR, lsm_profile),
    OPTION(63, STR, lsm_mount_context),
    OPTION(64, INT, network_lock),
#undef OPTION
};

static void put_options(struct strbuf *out, const struct criu_request *r)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		const char *at = (const char *)r + options[i].offset;
		uint32_t n;

		switch (options[i].kind) {
		case BOOL:
			if (*(const bool *)at)
				put_number(out, options[i].field, 1);
			break;
		case INT:
			memcpy(&n, at, sizeof(n));
			if (n)
				put_number(out, options[i].field, n);
			break;
		case STR:
			put_string(out, options[i].field, *(const char *const *)at);
			break;
		}
	}
}

static void put_page_server(struct strbuf *out, const struct criu_request *r)
{
	_cleanup_strbuf_ struct strbuf m = STRBUF_INIT;

	if (!r->page_server)
		return;
	put_string(&m, 1, r->page_server);
	put_number(&m, 2, (uint64_t)r->page_server_port);
	put_message(out, OPT_PAGE_SERVER, &m);
}

void criu_request_write(struct strbuf *out, const struct criu_request *r)
{
	_cleanup_strbuf_ struct strbuf opts = STRBUF_INIT;

	put_number(&opts, OPT_IMAGES_DIR_FD, (uint64_t)r->images_dir_fd);
	if (r->work_dir_fd >= 0)
		put_number(&opts, OPT_WORK_DIR_FD, (uint64_t)r->work_dir_fd);
	put_number(&opts, 9, 4);  /* log_level, as runc and crun have it */
	put_number(&opts, 12, 1); /* notify_scripts */
	put_number(&opts, 24, 1); /* manage_cgroups: soft */
	put_options(&opts, r);
	put_page_server(&opts, r);
	if (r->cgroup_mode >= 0)
		put_number(&opts, OPT_CGROUPS_MODE, (uint64_t)r->cgroup_mode);
	if (r->cgroup_root)
		put_item(&opts, OPT_CG_ROOT, &(struct criu_item){.value = r->cgroup_root}, false);
	for (size_t i = 0; i < r->external.n; i++)
		put_string(&opts, OPT_EXTERNAL, r->external.items[i].key);
	put_list(&opts, OPT_EXT_MNT, &r->mounts, false);
	put_list(&opts, OPT_JOIN_NS, &r->join, false);
	put_list(&opts, OPT_INHERIT_FD, &r->inherit, true);
	put_number(out, REQ_TYPE, (uint64_t)r->type);
	put_message(out, REQ_OPTS, &opts);
}

void criu_reply_write(struct strbuf *out, bool success)
{
	put_number(out, REQ_TYPE, CRIU_NOTIFY);
	put_number(out, REQ_SUCCESS, success);
}

/* --- reading ------------------------------------------------------------------------ */

struct reader {
	const unsigned char *p, *end;
};

struct field {
	unsigned number, kind;
	uint64_t value; /* of a number */
	struct reader bytes;
};

static int get_varint(struct reader *r, uint64_t *ret)
{
	uint64_t n = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		if (r->p == r->end)
			return -EPROTO;
		n |= (uint64_t)(*r->p & 0x7f) << shift;
		if (!(*r->p++ & 0x80)) {
			*ret = n;
			return 0;
		}
	}
	return -EPROTO;
}

static int skip(struct reader *r, uint64_t n)
{
	if (n > (uint64_t)(r->end - r->p))
		return -EPROTO;
	r->p += n;
	return 0;
}

/* 1: there is one, 0: the end. */
static int get_field(struct reader *r, struct field *ret)
{
	uint64_t n = 0;

	if (r->p == r->end)
		return 0;
	if (get_varint(r, &n) < 0 || n >> 3 > UINT32_MAX)
		return -EPROTO;
	*ret = (struct field){.number = (unsigned)(n >> 3), .kind = n & 7};
	switch (ret->kind) {
	case KIND_NUMBER:
		return get_varint(r, &ret->value) < 0 ? -EPROTO : 1;
	case KIND_FIXED64:
		return skip(r, 8) < 0 ? -EPROTO : 1;
	case KIND_FIXED32:
		return skip(r, 4) < 0 ? -EPROTO : 1;
	case KIND_BYTES:
		if (get_varint(r, &n) < 0)
			return -EPROTO;
		ret->bytes.p = r->p;
		if (skip(r, n) < 0)
			return -EPROTO;
		ret->bytes.end = r->p;
		return 1;
	default:
		return -EPROTO;
	}
}

/* Cut to the room; bytes that are not printable become spaces, and those at the end go. */
static void get_text(const struct reader *bytes, char *out, size_t size)
{
	size_t n = (size_t)(bytes->end - bytes->p), len = n < size - 1 ? n : size - 1;

	for (size_t i = 0; i < len; i++)
		out[i] = bytes->p[i] < ' ' || bytes->p[i] == 0x7f ? ' ' : (char)bytes->p[i];
	while (len && out[len - 1] == ' ')
		len--;
	out[len] = '\0';
}

static int get_int(const struct field *f)
{
	return f->kind == KIND_NUMBER && f->value <= INT32_MAX ? (int)f->value : 0;
}

/* criu_restore_resp {pid = 1} */
static int parse_restored(struct reader r, struct criu_response *out)
{
	struct field f;
	int e;

	while ((e = get_field(&r, &f)) > 0)
		if (f.number == 1)
			out->pid = get_int(&f);
	return e;
}

/* criu_notify {script = 1, pid = 2} */
static int parse_notify(struct reader r, struct criu_response *out)
{
	struct field f;
	int e;

	while ((e = get_field(&r, &f)) > 0) {
		if (f.number == 1 && f.kind == KIND_BYTES)
			get_text(&f.bytes, out->script, sizeof(out->script));
		else if (f.number == 2)
			out->pid = get_int(&f);
	}
	return e;
}

int criu_response_parse(const void *data, size_t len, struct criu_response *ret)
{
	struct reader r = {data, (const unsigned char *)data + len};
	struct criu_response out = {0};
	struct field f;
	int e;

	while ((e = get_field(&r, &f)) > 0) {
		if (f.number == 1)
			out.type = get_int(&f);
		else if (f.number == 2)
			out.success = get_int(&f) == 1;
		else if (f.number == 4 && f.kind == KIND_BYTES)
			e = parse_restored(f.bytes, &out);
		else if (f.number == 5 && f.kind == KIND_BYTES)
			e = parse_notify(f.bytes, &out);
		else if (f.number == 9 && f.kind == KIND_BYTES)
			get_text(&f.bytes, out.message, sizeof(out.message));
		if (e < 0)
			break;
	}
	if (e < 0)
		return e;
	*ret = out;
	return 0;
}

/* --- names ----------------------------------------------------------------------------- */

struct name {
	const char *name;
	int value;
};

static int find(const struct name *names, size_t n, const char *name, int *ret)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(names[i].name, name) == 0) {
			*ret = names[i].value;
			return 0;
		}
	}
	return -EINVAL;
}

int criu_cgroup_mode_parse(const char *name, int *ret)
{
	static const struct name names[] = {{"soft", CRIU_CGROUP_SOFT},
					    {"full", CRIU_CGROUP_FULL},
					    {"strict", CRIU_CGROUP_STRICT},
					    {"ignore", CRIU_CGROUP_IGNORE}};

	return find(names, ARRAY_SIZE(names), name, ret);
}

int criu_network_lock_parse(const char *name, int *ret)
{
	static const struct name names[] = {{"iptables", 1}, {"nftables", 2}, {"skip", 3}};

	return find(names, ARRAY_SIZE(names), name, ret);
}
