/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"

int stream_in_open(struct stream_in *s, int fd, off_t offset, uint64_t len, bool sum)
{
	*s = (struct stream_in){.fd = fd, .offset = offset, .left = len, .data = malloc(STREAM_BUFFER), .summed = sum};
	checksum_init(&s->sum);
	return s->data ? 0 : -ENOMEM;
}

void stream_in_memory(struct stream_in *s, const char *text, size_t len)
{
	*s = (struct stream_in){.fd = -1, .data = (char *)text, .end = len, .borrowed = true};
}

void stream_in_close(struct stream_in *s)
{
	if (!s->borrowed)
		free(s->data);
	*s = (struct stream_in){.fd = -1};
}

static void sum_handed_out(struct stream_in *s)
{
	if (s->summed)
		checksum_update(&s->sum, s->data + s->counted, s->start - s->counted);
	s->counted = s->start;
}

/* Gets more of the file behind what is there. The buffer has room: it is longer than any line. */
static int fill(struct stream_in *s)
{
	size_t n;
	int r;

	if (s->left == 0)
		return 0;
	sum_handed_out(s);
	memmove(s->data, s->data + s->start, s->end - s->start);
	s->end -= s->start;
	s->start = s->counted = 0;
	n = STREAM_BUFFER - s->end;
	if (n > s->left)
		n = (size_t)s->left;
	r = pread_full(s->fd, s->data + s->end, n, s->offset);
	if (r < 0)
		return r;
	s->offset += (off_t)n;
	s->left -= n;
	s->end += n;
	return 0;
}

int stream_line(struct stream_in *s, const char **ret_line, size_t *ret_len)
{
	char *line = s->data + s->start, *end = s->end > s->start ? memchr(line, '\n', s->end - s->start) : NULL;
	size_t len;
	int r;

	if (!end) {
		r = fill(s);
		if (r < 0)
			return r;
		if (s->start == s->end)
			return 0;
		line = s->data + s->start;
		end = memchr(line, '\n', s->end - s->start);
	}
	len = end ? (size_t)(end - line) : s->end - s->start;
	if (len > STREAM_LINE_MAX)
		return -EFBIG;
	if (!end || memchr(line, '\0', len))
		return -EINVAL;
	*ret_line = line;
	*ret_len = len;
	s->start += len + 1;
	return 1;
}

int stream_read(struct stream_in *s, void *data, size_t len)
{
	char *p = data;
	int r;

	while (len > 0) {
		size_t n = s->end - s->start;

		if (n == 0) {
			r = s->left > 0 ? fill(s) : -ENODATA;
			if (r < 0)
				return r;
			continue;
		}
		if (n > len)
			n = len;
		memcpy(p, s->data + s->start, n);
		s->start += n;
		p += n;
		len -= n;
	}
	return 0;
}

bool stream_in_is_whole(struct stream_in *s)
{
	uint64_t want, got;

	sum_handed_out(s);
	got = checksum_sum(&s->sum);
	return stream_read(s, &want, sizeof(want)) == 0 && want == got;
}

int stream_out_open(struct stream_out *s, int fd, off_t offset)
{
	*s = (struct stream_out){.fd = fd, .offset = offset, .data = malloc(STREAM_BUFFER), .hash = sha256_new()};
	if (s->data && s->hash)
		return 0;
	stream_out_close(s);
	return -ENOMEM;
}

int stream_out_open_summed(struct stream_out *s, int fd, off_t offset)
{
	*s = (struct stream_out){.fd = fd, .offset = offset, .data = malloc(STREAM_BUFFER)};
	checksum_init(&s->sum);
	return s->data ? 0 : -ENOMEM;
}

void stream_out_close(struct stream_out *s)
{
	free(s->data);
	sha256_free(s->hash);
	*s = (struct stream_out){.fd = -1};
}

static void flush(struct stream_out *s)
{
	if (s->hash)
		sha256_update(s->hash, s->data, s->used);
	else
		checksum_update(&s->sum, s->data, s->used);
	if (s->failed == 0 && s->used > 0)
		s->failed = pwrite_all(s->fd, s->data, s->used, s->offset);
	s->offset += (off_t)s->used;
	s->used = 0;
}

void stream_add(struct stream_out *s, const void *data, size_t len)
{
	const char *p = data;

	if (s->failed < 0)
		return;
	s->written += len;
	while (len > 0) {
		size_t n = STREAM_BUFFER - s->used;

		if (n > len)
			n = len;
		memcpy(s->data + s->used, p, n);
		s->used += n;
		p += n;
		len -= n;
		if (s->used == STREAM_BUFFER)
			flush(s);
	}
}

int stream_finish(struct stream_out *s, char hash_out[SHA256_HEX_MAX])
{
	flush(s);
	if (hash_out)
		sha256_final_hex(s->hash, hash_out);
	return s->failed;
}

int stream_finish_summed(struct stream_out *s)
{
	uint64_t sum;

	flush(s);
	sum = checksum_sum(&s->sum);
	stream_add(s, &sum, sizeof(sum));
	flush(s);
	return s->failed;
}
