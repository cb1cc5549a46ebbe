/* SPDX-License-Identifier: Apache-2.0 */
/* `volrun volume inspect --check`. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/num.h"
#include "hooks/engine/check.h"
#include "hooks/volume_cmd.h"

static const struct json_field report_fields[] = {
    JSON_FIELD(struct check_report, seq, "seq", JSON_U64, .write_empty = true),
    JSON_FIELD(struct check_report, epoch, "epoch", JSON_U64, .write_empty = true),
    JSON_FIELD(struct check_report, files, "files", JSON_U64, .write_empty = true),
    JSON_FIELD(struct check_report, bytes, "bytes", JSON_U64, .write_empty = true),
    JSON_FIELD(struct check_report, all_problems, "all_problems", JSON_U64, .write_empty = true),
    JSON_LIST(struct check_report, problems, "problems", JSON_ARR_STR, .write_empty = true),
    JSON_FIELD(struct check_report, all_notes, "all_notes", JSON_U64, .write_empty = true),
    JSON_LIST(struct check_report, notes, "notes", JSON_ARR_STR, .write_empty = true),
    {NULL},
};
static const struct json_table report_table = {"check", sizeof(struct check_report), report_fields, 0};

static int print_json(const struct check_report *r, struct error *err)
{
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT;

	json_write(&out, &report_table, r, 2);
	if (out.failed)
		return error_set(err, ENOMEM, "out of memory");
	puts(strbuf_str(&out));
	return 0;
}

static void print_text(struct arena *a, const char *name, const struct check_report *r)
{
	for (size_t i = 0; i < r->n_problems; i++)
		printf("problem: %s\n", volume_text(a, r->problems[i]));
	for (size_t i = 0; i < r->n_notes; i++)
		printf("note: %s\n", volume_text(a, r->notes[i]));
	printf("volume %s: commit %" PRIu64 " of epoch %" PRIu64 ", %" PRIu64 " files with %" PRIu64
	       " bytes are right; %" PRIu64 " problems, %" PRIu64 " notes\n",
	       name, r->seq, r->epoch, r->files, r->bytes, r->all_problems, r->all_notes);
}

/* A directory beside the volumes of the cache, where there is room for what is read; nothing of it stays. */
static int make_room(int cache_fd, char name[64], int *ret_fd, struct error *err)
{
	unsigned char raw[8];
	char hex[2 * sizeof(raw) + 1];

	random_bytes(raw, sizeof(raw));
	hex_encode(raw, sizeof(raw), hex);
	snprintf(name, 64, ".check-%s", hex);
	if (mkdirat(cache_fd, name, 0700) < 0)
		return error_set(err, errno, "cache: can't make a directory (error %d)", errno);
	*ret_fd = openat(cache_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return *ret_fd < 0 ? error_set(err, errno, "cache: can't open a directory (error %d)", errno) : 0;
}

static void cleanup_store(struct store **s)
{
	store_close(*s);
}

int volume_cmd_check(const struct volume_cmd *c, struct arena *a, struct error *err)
{
	_cleanup_(cleanup_store) struct store *store = NULL;
	_cleanup_close_ int cache_fd = -1, room_fd = -1;
	struct check_report report;
	char name[64] = "";
	struct volume v;
	int r;

	r = store_open(c->store, &store, err);
	if (r == 0)
		r = cache_open(c->config->cache.path, &cache_fd, err);
	if (r == 0)
		r = make_room(cache_fd, name, &room_fd, err);
	if (r == 0) {
		v = (struct volume){.workspace = c->workspace,
				    .name = c->name,
				    .config = c->store,
				    .store = store,
				    .cache = {.dir_fd = room_fd, .lock_fd = -1}};
		r = check_volume(&v, a, &report, err);
		arena_free(&v.arena);
	}
	if (name[0])
		remove_tree_at(cache_fd, name);
	if (r < 0)
		return error_wrap(err, "volume %s", c->name);
	if (!c->json)
		print_text(a, c->name, &report);
	else if ((r = print_json(&report, err)) < 0)
		return r;
	if (report.all_problems > 0)
		return error_set(err, EBADMSG, "volume %s: %" PRIu64 " problems", c->name, report.all_problems);
	return 0;
}
