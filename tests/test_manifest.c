/* SPDX-License-Identifier: Apache-2.0 */
/* Records, applied tables and _symlinks.json as text: what is written is read, what is hostile is refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "hooks/engine/applied.h"
#include "hooks/engine/plain.h"
#include "hooks/engine/record.h"
#include "hooks/engine/symlinks.h"

#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define HEAD(n)                                                                                                        \
	"{\"format\":1,\"kind\":\"base\",\"epoch\":3,\"seq\":7,\"entries\":" #n                                        \
	",\"mode\":493,\"uid\":0,\"gid\":0,\"mtime\":0}\n"
#define HEAD_OF(kind, rest, n)                                                                                         \
	"{\"format\":1,\"kind\":\"" kind "\",\"epoch\":3,\"seq\":7,\"entries\":" #n                                    \
	",\"mode\":493,\"uid\":0,\"gid\":0,\"mtime\":0" rest "}\n"
#define LINK(epoch, seq)                                                                                               \
	"{\"seq\":" #seq ",\"epoch\":" #epoch ",\"object\":\"" #epoch "-" #seq                                         \
	"/record\",\"length\":9,\"sha256\":\"" SHA "\"}"
#define DIR(path) "{\"path\":\"" path "\",\"type\":\"dir\"}\n"
#define FILE_OF(path, rest) "{\"path\":\"" path "\",\"type\":\"file\",\"sha256\":\"" SHA "\"" rest "}\n"
#define BYTES ",\"size\":5,\"object\":\"3-7/pack-0\",\"offset\":9"

static int parse(const char *text, struct manifest *ret, struct error *err)
{
	struct stream_in in;

	stream_in_memory(&in, text, strlen(text));
	return record_read(&in, ret, err);
}

static struct entry *add(struct manifest *m, const char *path, int type)
{
	struct entry *e = manifest_add(m);

	e->path = path;
	e->type = (uint8_t)type;
	e->mode = 01755;
	e->uid = UINT32_MAX;
	e->gid = 7;
	e->mtime_ns = -1;
	return e;
}

static void what_is_written_is_read(void **state)
{
	_cleanup_(manifest_free) struct manifest m = {.epoch = 4, .seq = 9}, got = {0};
	_cleanup_(stream_out_close) struct stream_out out;
	_cleanup_(stream_in_close) struct stream_in in;
	_cleanup_close_ int fd = memfd_create("record", MFD_CLOEXEC);
	struct error err = ERROR_INIT;
	char one[SHA256_HEX_MAX], two[SHA256_HEX_MAX];
	struct entry *e;

	(void)state;
	m.root = (struct entry){.path = "", .mode = 0700, .uid = 1, .gid = 2, .mtime_ns = INT64_MIN};
	e = add(&m, "dir/\xff\n\"x\"", ENTRY_FILE);
	e->size = INT64_MAX;
	e->object = "4-9/pack-1";
	memset(e->sha256, 0xab, SHA256_LEN);
	e->tag = "\"etag\"";
	e->link = "dir/\xff\n\"x\"";
	e->flags = ENTRY_SPARSE;
	e->xattrs = "61:00,62:,";
	*manifest_add(&m) = *e;
	m.entries[1].path = "other name";
	add(&m, "dir", ENTRY_DIR)->xattrs = "ff:7f,";
	add(&m, "dir-x", ENTRY_FILE);
	add(&m, "link", ENTRY_SYMLINK)->target = "../\xc3";
	add(&m, "nothing", ENTRY_GONE)->tag = "t";
	add(&m, "nowhere/at all", ENTRY_GONE_DIR)->tag = "t";
	manifest_sort(&m);
	assert_int_equal(manifest_check(&m, &err), 0);
	assert_int_equal(stream_out_open(&out, fd, 11), 0);
	assert_int_equal(record_write(&out, &m, NULL, &err), 0);
	assert_int_equal(stream_finish(&out, one), 0);
	assert_int_equal(sha256_fd(fd, 11, out.written, two, NULL), 0);
	assert_string_equal(one, two);
	assert_int_equal(stream_in_open(&in, fd, 11, out.written, true), 0);
	if (record_read(&in, &got, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(got.n, m.n);
	assert_int_equal(got.epoch, 4);
	assert_int_equal(got.seq, 9);
	assert_int_equal(got.root.mtime_ns, INT64_MIN);
	for (size_t i = 0; i < m.n; i++) {
		const struct entry *a = &m.entries[i], *b = &got.entries[i];

		assert_string_equal(a->path, b->path);
		assert_int_equal(a->type, b->type);
		assert_int_equal(a->mode, b->mode);
		assert_int_equal(a->uid, b->uid);
		assert_int_equal(a->mtime_ns, b->mtime_ns);
		assert_int_equal(a->size, b->size);
		assert_memory_equal(a->sha256, b->sha256, SHA256_LEN);
		assert_string_equal(a->object ? a->object : "", b->object ? b->object : "");
		assert_string_equal(a->target ? a->target : "", b->target ? b->target : "");
		assert_string_equal(a->tag ? a->tag : "", b->tag ? b->tag : "");
		assert_string_equal(a->xattrs ? a->xattrs : "", b->xattrs ? b->xattrs : "");
		assert_int_equal(a->flags, b->flags);
	}
}

struct hostile {
	const char *text, *message;
};

static void assert_refused(const struct hostile *h)
{
	struct error err = ERROR_INIT;
	struct manifest m;

	if (parse(h->text, &m, &err) == 0)
		fail_msg("believed: %s", h->text);
	if (!strstr(err.msg, h->message) || strncmp(err.msg, "record", 6) != 0)
		fail_msg("%s: %s", h->text, err.msg);
}

static void hostile_records_are_refused_with_the_line(void **state)
{
	static const struct hostile cases[] = {
	    {"", "no header"},
	    {"x\n", "line 1"},
	    {HEAD(0) "x", "line 2"},
	    {HEAD(1), "ends after 0 of 1"},
	    {HEAD(0) DIR("a"), "more entries"},
	    {HEAD(3000000), "a number that can't be"},
	    {"{\"format\":2,\"kind\":\"base\",\"epoch\":3,\"seq\":7,\"entries\":0,\"mode\":0,\"uid\":0,\"gid\":0,\"mtime\":0}\n",
	     "format 2"},
	    {HEAD(1) DIR("../x"), "line 2: a path"},
	    {HEAD(1) DIR("/x"), "line 2: a path"},
	    {HEAD(1) DIR("a//b"), "line 2: a path"},
	    {HEAD(1) DIR("a/"), "line 2: a path"},
	    {HEAD(1) DIR("."), "line 2: a path"},
	    {HEAD(1) DIR(""), "line 2: a path"},
	    {HEAD(1) "{\"rawpath\":\"2e2e\",\"type\":\"dir\"}\n", "line 2: a path"},
	    {HEAD(1) "{\"rawpath\":\"6100\",\"type\":\"dir\"}\n", "line 2: a path"},
	    {HEAD(1) "{\"rawpath\":\"616\",\"type\":\"dir\"}\n", "line 2: a path"},
	    {HEAD(1) "{\"rawpath\":\"61\",\"path\":\"a\",\"type\":\"dir\"}\n", "line 2: a path"},
	    {HEAD(1) "{\"type\":\"dir\"}\n", "line 2: a path"},
	    {HEAD(2) DIR("b") DIR("a"), "line 3 is not in its place"},
	    {HEAD(2) DIR("a") DIR("a"), "line 3 is not in its place"},
	    {HEAD(1) DIR("a/b"), "beneath something that is no directory"},
	    {HEAD(2) FILE_OF("a", "") DIR("a/b"), "beneath something that is no directory"},
	    {HEAD(2) "{\"path\":\"a\",\"type\":\"symlink\",\"target\":\"/etc\"}\n" FILE_OF("a/b", ""),
	     "beneath something that is no directory"},
	    {HEAD(1) "{\"path\":\"a\",\"type\":\"symlink\"}\n", "line 2: a target"},
	    {HEAD(1) "{\"path\":\"a\",\"type\":\"symlink\",\"target\":\"\"}\n", "line 2: a target"},
	    {HEAD(1) "{\"path\":\"a\",\"type\":\"dir\",\"target\":\"x\"}\n", "a target without a link"},
	    {HEAD(1) "{\"path\":\"a\",\"type\":\"dir\",\"mode\":2541}\n", "a mode that can't be"},
	    {HEAD(1) "{\"path\":\"a\",\"type\":\"fifo\"}\n", "line 2"},
	    {HEAD(1) "{\"path\":\"a\",\"type\":\"file\"}\n", "no sha256"},
	    {HEAD(1) FILE_OF("a", ",\"size\":5"), "no object"},
	    {HEAD(1) FILE_OF("a", ",\"object\":\"x\""), "no object"},
	    {HEAD(1) FILE_OF("a", ",\"size\":5,\"object\":\"../../head\""), "no object"},
	    {HEAD(1) FILE_OF("a", ",\"size\":5,\"object\":\"x\",\"offset\":9223372036854775807"), "a range"},
	    {HEAD(1) FILE_OF("a", ",\"size\":18446744073709551615,\"object\":\"x\""), "a range"},
	    {HEAD(1) FILE_OF("a", ",\"xattrs\":{}"), "line 2"},
	    {HEAD(1) FILE_OF("a", ",\"mode\":-1"), "line 2"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_refused(&cases[i]);
}

static void hostile_deltas_are_refused(void **state)
{
	static const struct hostile cases[] = {
	    {"{\"format\":1,\"kind\":\"epsilon\",\"epoch\":3,\"seq\":7,\"entries\":0,\"mode\":0,\"uid\":0,\"gid\":0,\"mtime\":0}"
	     "\n",
	     "kind \"epsilon\" is none that there is"},
	    {"{\"format\":1,\"kind\":\"delta\",\"epoch\":3,\"seq\":7,\"entries\":0,\"mode\":0,\"uid\":0,\"gid\":0,\"mtime\":0}"
	     "\n",
	     "a delta without one"},
	    {HEAD_OF("base", ",\"chain\":[" LINK(3, 6) "]", 0), "a chain without a delta"},
	    {HEAD_OF("delta", ",\"chain\":[" LINK(3, 7) "]", 0), "not in their order"},
	    {HEAD_OF("delta", ",\"chain\":[" LINK(3, 5) "," LINK(3, 4) "]", 0), "not in their order"},
	    {HEAD_OF("delta", ",\"chain\":[" LINK(4, 6) "]", 0), "of an epoch that never was"},
	    {HEAD_OF("delta",
		     ",\"chain\":[{\"seq\":6,\"epoch\":3,\"object\":\"3-5/record\",\"length\":9,\"sha256\":\"" SHA
		     "\"}]",
		     0),
	     "an object that is not its own"},
	    {HEAD(1) "{\"path\":\"a\",\"type\":\"removed\"}\n", "a removal in a base"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_refused(&cases[i]);
}

static void hostile_links_and_attributes_are_refused(void **state)
{
	static const struct hostile cases[] = {
	    {HEAD(1) FILE_OF("a", ",\"xattrs\":\"\""), "extended attributes that can't be"},
	    {HEAD(1) FILE_OF("a", ",\"xattrs\":\"61:00\""), "extended attributes that can't be"},
	    {HEAD(1) FILE_OF("a", ",\"xattrs\":\":00,\""), "extended attributes that can't be"},
	    {HEAD(1) FILE_OF("a", ",\"xattrs\":\"6:00,\""), "extended attributes that can't be"},
	    {HEAD(1) FILE_OF("a", ",\"xattrs\":\"6G:00,\""), "extended attributes that can't be"},
	    {HEAD(1) FILE_OF("a", ",\"xattrs\":\"61:0,\""), "extended attributes that can't be"},
	    {HEAD(1) FILE_OF("a", ",\"xattrs\":\"610062:00,\""), "extended attributes that can't be"},
	    {HEAD(1) FILE_OF("a", ",\"xattrs\":\"62:,61:,\""), "extended attributes that can't be"},
	    {HEAD(1) FILE_OF("a", ",\"xattrs\":\"61:,61:,\""), "extended attributes that can't be"},
	    {HEAD(1) "{\"path\":\"a\",\"type\":\"symlink\",\"target\":\"x\",\"xattrs\":\"61:,\"}\n",
	     "extended attributes that can't be"},
	    {HEAD(1) FILE_OF("a", ",\"link\":\"../a\""), "hard link to something that is not the same"},
	    {HEAD(1) FILE_OF("a", ",\"link\":\"b\""), "hard link to something that is not the same"},
	    {HEAD(1) FILE_OF("a", ",\"rawlink\":\"6100\""), "a hard link that can't be"},
	    {HEAD(1) FILE_OF("a", ",\"rawlink\":\"61\",\"link\":\"a\""), "a hard link that can't be"},
	    {HEAD(2) FILE_OF("a", "") FILE_OF("b", ",\"link\":\"a\""), "hard link to something that is not the same"},
	    {HEAD(2) FILE_OF("a", ",\"link\":\"b\"") FILE_OF("b", ",\"link\":\"b\""), "hard link to something"},
	    {HEAD(2) FILE_OF("a", ",\"link\":\"a\"") FILE_OF("b", ",\"link\":\"a\",\"mode\":1"),
	     "hard link to something"},
	    {HEAD(2) FILE_OF("a", ",\"link\":\"a\"") FILE_OF("b", ",\"link\":\"a\",\"xattrs\":\"61:,\""),
	     "hard link to something"},
	    {HEAD(2) FILE_OF("a", ",\"link\":\"a\"") FILE_OF("b", ",\"link\":\"a\"" BYTES), "hard link to something"},
	    {HEAD(2) DIR("a") FILE_OF("b", ",\"link\":\"a\""), "hard link to something that is not the same"},
	    {HEAD(1) "{\"path\":\"a\",\"type\":\"dir\",\"link\":\"a\"}\n", "bytes without a file"},
	    {HEAD(1) "{\"path\":\"a\",\"type\":\"dir\",\"sparse\":true}\n", "bytes without a file"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_refused(&cases[i]);
}

static void a_record_cut_short_anywhere_is_refused(void **state)
{
	static const char text[] = HEAD(3) DIR("a") FILE_OF("a/b", BYTES) FILE_OF("c", "");
	_cleanup_free_ char *copy = strdup(text);
	struct error err = ERROR_INIT;
	struct manifest m;

	(void)state;
	if (parse(text, &m, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(manifest_find(&m, "a/b")->offset, 9);
	manifest_free(&m);
	for (size_t n = strlen(text); n-- > 0;) {
		copy[n] = '\0';
		assert_int_equal(parse(copy, &m, &err), -EINVAL);
	}
}

static void lines_of_any_length_come_out_of_a_file_whole(void **state)
{
	_cleanup_(stream_in_close) struct stream_in in;
	_cleanup_close_ int fd = memfd_create("lines", MFD_CLOEXEC);
	_cleanup_free_ char *line = malloc(STREAM_LINE_MAX + 2);
	const char *got;
	size_t len, total = 0;

	(void)state;
	for (size_t i = 0; i < 40; i++) {
		size_t n = i * 4199 % (STREAM_LINE_MAX + 1);

		memset(line, 'a' + (int)(i % 26), n);
		line[n] = '\n';
		assert_int_equal(write_all(fd, line, n + 1), 0);
		total += n + 1;
	}
	assert_int_equal(stream_in_open(&in, fd, 0, total, false), 0);
	for (size_t i = 0; i < 40; i++) {
		assert_int_equal(stream_line(&in, &got, &len), 1);
		assert_int_equal(len, i * 4199 % (STREAM_LINE_MAX + 1));
		assert_true(len == 0 || got[len - 1] == 'a' + (char)(i % 26));
	}
	assert_int_equal(stream_line(&in, &got, &len), 0);
	stream_in_close(&in);
	memset(line, 'x', STREAM_LINE_MAX + 1);
	assert_int_equal(pwrite_all(fd, line, STREAM_LINE_MAX + 1, 0), 0);
	assert_int_equal(pwrite_all(fd, "\n", 1, STREAM_LINE_MAX + 1), 0);
	assert_int_equal(stream_in_open(&in, fd, 0, STREAM_LINE_MAX + 2, false), 0);
	assert_int_equal(stream_line(&in, &got, &len), -EFBIG);
}

static void bytes_come_out_of_a_file_over_the_buffers_edge(void **state)
{
	_cleanup_(stream_out_close) struct stream_out out;
	_cleanup_(stream_in_close) struct stream_in in;
	_cleanup_close_ int fd = memfd_create("bytes", MFD_CLOEXEC);
	char piece[1000], got[1000];

	(void)state;
	assert_int_equal(stream_out_open(&out, fd, 0), 0);
	for (int i = 0; i < 200; i++) {
		memset(piece, i, sizeof(piece));
		stream_add(&out, piece, sizeof(piece));
	}
	assert_int_equal(stream_finish(&out, NULL), 0);
	assert_int_equal(stream_in_open(&in, fd, 0, 200000, false), 0);
	for (int i = 0; i < 200; i++) {
		memset(piece, i, sizeof(piece));
		assert_int_equal(stream_read(&in, got, sizeof(got)), 0);
		assert_memory_equal(got, piece, sizeof(piece));
	}
	assert_int_equal(stream_read(&in, got, 1), -ENODATA);
}

static void keys_are_told_apart(void **state)
{
	static const struct {
		const char *key;
		uint64_t size;
		enum plain_kind kind;
	} cases[] = {
	    {"volumes/w/v/a/b", 1, PLAIN_FILE},
	    {"volumes/w/v/a/", 0, PLAIN_MARKER},
	    {"volumes/w/v/a/", 1, PLAIN_ODD},
	    {"volumes/w/v/", 0, PLAIN_SELF},
	    {"volumes/w/v/_symlinks.json", 5, PLAIN_LINKS},
	    {"volumes/w/v/d/_symlinks.json", 5, PLAIN_FILE},
	    {"volumes/w/v/_symlinks.json/d", 5, PLAIN_ODD},
	    {"volumes/w/v/_symlinks.json.bak", 5, PLAIN_FILE},
	    {"volumes/w/v/a\x01", 1, PLAIN_ODD},
	    {"volumes/w/v/\xff", 1, PLAIN_ODD},
	    {"volumes/w/other", 1, PLAIN_HOSTILE},
	    {"volumes/w/v//", 0, PLAIN_HOSTILE},
	    {"volumes/w/v/..", 0, PLAIN_HOSTILE},
	    {"volumes/w/v/a/../", 0, PLAIN_HOSTILE},
	    {"volumes/w/v/...", 0, PLAIN_FILE},
	    {"volumes/w/v/a//", 0, PLAIN_HOSTILE},
	};
	struct volume v = {.workspace = "w", .name = "v"};
	struct error err = ERROR_INIT;
	char path[STORE_KEY_MAX + 1];
	struct plain p;

	(void)state;
	assert_int_equal(plain_init(&p, &v, &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (plain_classify(&p, cases[i].key, cases[i].size, path) != cases[i].kind)
			fail_msg("%s", cases[i].key);
}

static void a_mark_is_good_for_its_own_key_alone(void **state)
{
	unsigned char sha256[SHA256_LEN], got[SHA256_LEN];
	char mark[STORE_MARK_MAX];
	uint64_t seq;

	(void)state;
	entry_hash_data("x", 1, sha256);
	plain_mark(UINT64_MAX, sha256, "volumes/w/v/a", mark);
	assert_true(plain_mark_parse(mark, "volumes/w/v/a", &seq, got));
	assert_int_equal(seq, UINT64_MAX);
	assert_memory_equal(got, sha256, SHA256_LEN);
	assert_false(plain_mark_parse(mark, "volumes/w/v/b", &seq, got));
	assert_false(plain_mark_parse("", "volumes/w/v/a", &seq, got));
	assert_false(plain_mark_parse("1/2/3", "volumes/w/v/a", &seq, got));
	mark[strlen(mark) - 1] ^= 1;
	assert_false(plain_mark_parse(mark, "volumes/w/v/a", &seq, got));
}

static void an_applied_table_is_read_as_it_was_written(void **state)
{
	_cleanup_(stream_out_close) struct stream_out out;
	_cleanup_(applied_free) struct applied a = {0};
	_cleanup_close_ int fd = memfd_create("applied", MFD_CLOEXEC);
	struct applied_head head = {.epoch = 1, .seq = 2, .record_sha256 = SHA};
	struct applied_entry e = {.path = "a", .tag = "\"1\"", .seq = 1};
	struct error err = ERROR_INIT;
	struct stream_in in;

	(void)state;
	assert_int_equal(stream_out_open(&out, fd, 0), 0);
	applied_write_header(&out, &head);
	applied_write_entry(&out, &e);
	e.path = "b/c";
	applied_write_entry(&out, &e);
	applied_write_end(&out, 2);
	assert_int_equal(stream_finish(&out, NULL), 0);
	assert_int_equal(stream_in_open(&in, fd, 0, out.written, false), 0);
	if (applied_read(in, &a, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(a.n, 2);
	assert_int_equal(applied_find(&a, "b/c"), 1);
	assert_int_equal(applied_find(&a, "b"), SIZE_MAX);
	for (uint64_t n = out.written; n-- > 0;) {
		assert_int_equal(stream_in_open(&in, fd, 0, n, false), 0);
		assert_int_equal(applied_read(in, &a, &err), -EINVAL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_written_is_read),
	    cmocka_unit_test(hostile_records_are_refused_with_the_line),
	    cmocka_unit_test(hostile_deltas_are_refused),
	    cmocka_unit_test(hostile_links_and_attributes_are_refused),
	    cmocka_unit_test(a_record_cut_short_anywhere_is_refused),
	    cmocka_unit_test(lines_of_any_length_come_out_of_a_file_whole),
	    cmocka_unit_test(bytes_come_out_of_a_file_over_the_buffers_edge),
	    cmocka_unit_test(keys_are_told_apart),
	    cmocka_unit_test(a_mark_is_good_for_its_own_key_alone),
	    cmocka_unit_test(an_applied_table_is_read_as_it_was_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
