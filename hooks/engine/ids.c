/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/ids.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/strbuf.h"
#include "hooks/store/sign.h"

#define NOTE_MAX 65536

int id_map_parse(const char *text, struct id_map *ret)
{
	ret->n = 0;
	while (*text) {
		struct id_range *r = &ret->ranges[ret->n];
		int len = 0;

		if (ret->n == IDS_MAX ||
		    sscanf(text, "%10" SCNu32 " %10" SCNu32 " %10" SCNu32 "%n", &r->container, &r->host, &r->count,
			   &len) != 3 ||
		    (text[len] != '\n' && text[len] != '\0'))
			return -EINVAL;
		text += len;
		text += strspn(text, " \n");
		ret->n++;
	}
	return 0;
}

static uint32_t map(const struct id_map *m, uint32_t id, bool to_disk)
{
	if (m->n == 0)
		return id;
	for (size_t i = 0; i < m->n; i++) {
		const struct id_range *r = &m->ranges[i];
		uint32_t from = to_disk ? r->container : r->host, to = to_disk ? r->host : r->container;

		if (id >= from && id - from < r->count)
			return to + (id - from);
	}
	return IDS_NONE;
}

bool id_map_has(const struct id_map *m, uint32_t container)
{
	return m->n == 0 || map(m, container, true) != IDS_NONE;
}

uint32_t ids_uid_to_disk(const struct ids *ids, uint32_t uid)
{
	return ids && ids->on_disk ? map(&ids->uid, uid, true) : uid;
}

uint32_t ids_gid_to_disk(const struct ids *ids, uint32_t gid)
{
	return ids && ids->on_disk ? map(&ids->gid, gid, true) : gid;
}

uint32_t ids_uid_from_disk(const struct ids *ids, uint32_t uid)
{
	return ids && ids->on_disk ? map(&ids->uid, uid, false) : uid;
}

uint32_t ids_gid_from_disk(const struct ids *ids, uint32_t gid)
{
	return ids && ids->on_disk ? map(&ids->gid, gid, false) : gid;
}

/* --- the note ------------------------------------------------------------------------ */

static int note_name(int root_fd, char ret[48])
{
	struct stat st;

	if (fstat(root_fd, &st) < 0)
		return -errno;
	snprintf(ret, 48, "ids-%ju", (uintmax_t)st.st_ino);
	return 0;
}

static void add_map(struct strbuf *text, const struct id_map *m, bool on_disk)
{
	/* The host's ids are in the tree only then; else the same tree serves any of them. */
	for (size_t i = 0; i < m->n; i++)
		strbuf_addf(text, "%" PRIu32 " %" PRIu32 " %" PRIu32 "\n", m->ranges[i].container,
			    on_disk ? m->ranges[i].host : 0, m->ranges[i].count);
}

static void write_text(struct strbuf *text, const struct ids *ids)
{
	strbuf_adds(text, ids->on_disk ? "disk\n" : "mount\n");
	add_map(text, &ids->uid, ids->on_disk);
	strbuf_adds(text, "gid\n");
	add_map(text, &ids->gid, ids->on_disk);
}

static int parse(char *text, struct ids *ids)
{
	char *gid = strstr(text, "gid\n"), *uid = strchr(text, '\n');
	int r;

	if (!gid || !uid || (strncmp(text, "disk\n", 5) != 0 && strncmp(text, "mount\n", 6) != 0))
		return -EINVAL;
	*gid = '\0';
	ids->on_disk = text[0] == 'd';
	r = id_map_parse(uid + 1, &ids->uid);
	return r < 0 ? r : id_map_parse(gid + 4, &ids->gid);
}

const char *ids_name(const struct ids *ids, char buf[18])
{
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
	char hex[SHA256_HEX_MAX];

	buf[0] = '\0';
	if (!ids || !ids->on_disk)
		return buf;
	write_text(&text, ids);
	sha256_hex(strbuf_str(&text), text.len, hex);
	snprintf(buf, 18, "-%.16s", hex);
	return buf;
}

int ids_load(int dir_fd, int root_fd, struct ids **ret)
{
	_cleanup_free_ struct ids *ids = NULL;
	_cleanup_free_ char *text = NULL;
	char name[48];
	int r = note_name(root_fd, name);

	if (r == 0)
		r = read_file_at(dir_fd, name, NOTE_MAX, &text, NULL);
	if (r == -ENOENT) {
		*ret = NULL;
		return 0;
	}
	ids = calloc(1, sizeof(*ids));
	if (r == 0)
		r = ids ? parse(text, ids) : -ENOMEM;
	if (r == 0)
		*ret = TAKE_PTR(ids);
	return r;
}

int ids_note(int dir_fd, int root_fd, const struct ids *ids)
{
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
	char name[48];
	int r = note_name(root_fd, name);

	if (r < 0)
		return r;
	if (!ids)
		return unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT ? 0 : -errno;
	write_text(&text, ids);
	return text.failed ? -ENOMEM : write_file_atomic_at(dir_fd, name, text.data, text.len, 0600, true);
}

bool ids_noted(int dir_fd, int root_fd, const struct ids *ids)
{
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
	_cleanup_free_ char *noted = NULL;
	char name[48];
	int r = note_name(root_fd, name);

	if (r == 0)
		r = read_file_at(dir_fd, name, NOTE_MAX, &noted, NULL);
	if (!ids || r < 0)
		return !ids && r == -ENOENT;
	write_text(&text, ids);
	return !text.failed && !strcmp(noted, text.data);
}
