/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/applied_kept.h"

#include <errno.h>
#include <string.h>

#include "base/path.h"
#include "hooks/engine/stream.h"

#define MAGIC "volrun applied2"

struct disk_head {
	char magic[16];
	struct applied_head head;
};

/* The strings follow it, without NULs. path_len 0: the end, and the checksum follows. */
struct disk_entry {
	uint16_t path_len, tag_len;
	uint32_t reserved;
	uint64_t seq;
	unsigned char sha256[SHA256_LEN];
};

void kept_write_head(struct stream_out *out, const struct applied_head *h)
{
	struct disk_head d;

	memset(&d, 0, sizeof(d)); /* padding too */
	memcpy(d.magic, MAGIC, sizeof(d.magic));
	memcpy(&d.head, h, sizeof(d.head));
	stream_add(out, &d, sizeof(d));
}

void kept_write_entry(struct stream_out *out, const struct applied_entry *e)
{
	struct disk_entry d = {
	    .path_len = (uint16_t)strlen(e->path), .tag_len = (uint16_t)strlen(e->tag), .seq = e->seq};

	memcpy(d.sha256, e->sha256, SHA256_LEN);
	stream_add(out, &d, sizeof(d));
	stream_add(out, e->path, d.path_len);
	stream_add(out, e->tag, d.tag_len);
}

int kept_write_end(struct stream_out *out)
{
	const struct disk_entry end = {0};

	stream_add(out, &end, sizeof(end));
	return stream_finish_summed(out);
}

static int broken(struct error *err)
{
	return error_set(err, EINVAL, "cache: the applied table is broken");
}

int kept_open(struct kept_in *k, int fd, uint64_t size, struct error *err)
{
	struct disk_head d;

	if (stream_in_open(&k->in, fd, 0, size, true) < 0)
		return error_set(err, ENOMEM, "out of memory");
	if (stream_read(&k->in, &d, sizeof(d)) == 0 && !memcmp(d.magic, MAGIC, sizeof(d.magic)) &&
	    d.head.n_chain >= 1 && d.head.n_chain <= APPLIED_CHAIN_MAX) {
		k->head = d.head;
		k->head.record_sha256[sizeof(k->head.record_sha256) - 1] = '\0';
		return 0;
	}
	kept_close(k);
	return broken(err);
}

int kept_next(struct kept_in *k, struct applied_entry *ret, struct error *err)
{
	struct disk_entry d;

	if (stream_read(&k->in, &d, sizeof(d)) < 0)
		return broken(err);
	if (d.path_len == 0)
		return stream_in_is_whole(&k->in) ? 0 : broken(err);
	if (d.path_len > MANIFEST_PATH_MAX || d.tag_len == 0 || d.tag_len >= STORE_TAG_MAX ||
	    stream_read(&k->in, k->path, d.path_len) < 0 || stream_read(&k->in, k->tag, d.tag_len) < 0)
		return broken(err);
	k->path[d.path_len] = '\0';
	k->tag[d.tag_len] = '\0';
	if (!path_is_safe_relative(k->path, d.path_len) || strlen(k->tag) != d.tag_len)
		return broken(err);
	*ret = (struct applied_entry){.path = k->path, .tag = k->tag, .seq = d.seq};
	memcpy(ret->sha256, d.sha256, SHA256_LEN);
	return 1;
}

void kept_close(struct kept_in *k)
{
	stream_in_close(&k->in);
}
