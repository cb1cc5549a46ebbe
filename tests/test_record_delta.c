/* SPDX-License-Identifier: Apache-2.0 */
/* Records as deltas: a chain gives the same tree as a whole record, and what doesn't fit is refused. */
#include "tests/engine_box.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/num.h"
#include "hooks/engine/record.h"

static struct head_commit own(struct manifest *m, uint64_t seq)
{
	return (struct head_commit){
	    .seq = seq,
	    .epoch = 1,
	    .object = arena_printf(&m->arena, "1-%" PRIu64 "/record", seq),
	    .length = 10,
	    .sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
	};
}

/* A tree that the seed decides: of 30 paths some are there, as a file, a link or a note on a plain object. */
static void make_manifest(struct manifest *m, unsigned seed, uint64_t seq)
{
	*m = (struct manifest){.epoch = 1, .seq = seq};
	m->root = (struct entry){.path = "", .type = ENTRY_DIR, .mode = 0755, .mtime_ns = (int64_t)seed};
	for (unsigned i = 0; i < 30; i++) {
		unsigned x = (seed * 2654435761u + i * 40503u) >> 7;
		struct entry *e;

		if (x % 4 == 0)
			continue;
		e = manifest_add(m);
		e->path = arena_printf(&m->arena, "f%02u", i);
		e->mode = 0644;
		e->uid = x / 4 % 2;
		e->type = (uint8_t)(x % 7 == 1 ? ENTRY_SYMLINK : x % 11 == 1 ? ENTRY_GONE : ENTRY_FILE);
		if (e->type == ENTRY_SYMLINK)
			e->target = x % 3 ? "a" : "b";
		if (e->type == ENTRY_GONE || x % 13 == 0)
			e->tag = "tag";
		if (e->type == ENTRY_FILE) {
			e->size = x % 3;
			e->object = e->size ? "1-1/pack" : NULL;
			memset(e->sha256, (int)(x % 3), SHA256_LEN);
		}
	}
	manifest_sort(m);
}

/* The text of the record, and where it is. */
static char *write_text(const struct manifest *m, const struct manifest *last, size_t *ret_len)
{
	_cleanup_(stream_out_close) struct stream_out out = {.fd = -1};
	_cleanup_close_ int fd = memfd_create("record", MFD_CLOEXEC);
	struct error err = ERROR_INIT;
	char *text;

	assert_int_equal(stream_out_open(&out, fd, 0), 0);
	if (record_write(&out, m, last, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(stream_finish(&out, NULL), 0);
	text = calloc(1, out.written + 1);
	assert_int_equal(pread_full(fd, text, out.written, 0), 0);
	*ret_len = out.written;
	return text;
}

static void read_text(const char *text, struct manifest *ret)
{
	struct error err = ERROR_INIT;
	struct stream_in in;

	stream_in_memory(&in, text, strlen(text));
	if (record_read(&in, ret, &err) < 0)
		fail_msg("%s", err.msg);
}

static void a_delta_on_the_commit_before_gives_the_commit(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed < 300; seed++) {
		_cleanup_(manifest_free) struct manifest before, after, delta = {0}, known;
		_cleanup_free_ char *text = NULL, *whole = NULL, *got = NULL;
		struct error err = ERROR_INIT;
		struct head_commit commit;
		size_t len, whole_len, got_len;

		/* What the writer knows of the commit before has nothing of plain objects; what a reader reads has. */
		make_manifest(&before, seed / 2, 1);
		make_manifest(&known, seed / 2, 1);
		make_manifest(&after, seed, 2);
		record_forget_plain(&known);
		commit = own(&known, 1);
		assert_int_equal(manifest_chain(&known, NULL, &commit), 0);
		text = write_text(&after, &known, &len);
		whole = write_text(&after, NULL, &whole_len);
		read_text(text, &delta);
		assert_true(record_is_delta(&delta));
		assert_string_equal(delta.chain[0].object, "1-1/record");
		if (record_apply(&before, &delta, &err) < 0)
			fail_msg("seed %u: %s", seed, err.msg);
		assert_int_equal(delta.n, 0);
		got = write_text(&before, NULL, &got_len);
		assert_string_equal(got, whole);
	}
}

static void a_delta_of_nothing_is_a_header(void **state)
{
	_cleanup_(manifest_free) struct manifest m;
	_cleanup_free_ char *text = NULL;
	struct head_commit commit;
	size_t len;

	(void)state;
	make_manifest(&m, 5, 1);
	record_forget_plain(&m);
	commit = own(&m, 1);
	assert_int_equal(manifest_chain(&m, NULL, &commit), 0);
	text = write_text(&m, &m, &len);
	assert_ptr_equal(strchr(text, '\n'), text + len - 1);
}

static void what_does_not_fit_is_refused(void **state)
{
	static const char text[] =
	    "{\"format\":1,\"kind\":\"delta\",\"epoch\":1,\"seq\":2,\"entries\":1,\"mode\":0,\"uid\":0,\"gid\":0,\"mtime\":0,"
	    "\"chain\":[{\"seq\":1,\"epoch\":1,\"object\":\"1-1/r\",\"length\":1,\"sha256\":"
	    "\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"}]}\n"
	    "{\"path\":\"not there\",\"type\":\"removed\"}\n";
	_cleanup_(manifest_free) struct manifest m, delta = {0};
	struct error err = ERROR_INIT;

	(void)state;
	make_manifest(&m, 5, 1);
	read_text(text, &delta);
	assert_int_equal(record_apply(&m, &delta, &err), -EINVAL);
	assert_string_equal(err.msg, "record of commit 2: it doesn't fit the one before");
}

/* --- commits -------------------------------------------------------------------------- */

/* A volume whose whole record is long beside a change. */
static struct node *begun(struct box *b)
{
	struct node *a = node_open(b, "a");

	node_begin(a);
	for (int i = 0; i < 300; i++) {
		char name[32];

		snprintf(name, sizeof(name), "file-%03d", i);
		put_file(a, name, name, 0644, i + 1);
	}
	assert_int_equal(node_end(a), 0);
	return a;
}

static void peek(struct node *n, struct head *ret)
{
	assert_int_equal(lease_peek(&n->v, &n->arena, ret, NULL, &n->err), 0);
}

static void small_changes_make_short_records_and_another_node_reads_them(void **state)
{
	struct box *b = *state;
	struct node *a = begun(b), *c = node_open(b, "c");
	uint64_t base, shortest = UINT64_MAX;
	unsigned bases = 0;
	struct head head;

	peek(a, &head);
	base = head.commit.length;
	for (int i = 0; i < 40; i++) {
		_cleanup_free_ char *tree = NULL;
		char name[32];

		node_begin(a);
		snprintf(name, sizeof(name), "file-%03d", i);
		put_file(a, name, "changed", 0600, 1000 + i);
		snprintf(name, sizeof(name), "file-%03d", 200 + i);
		drop(a, name);
		snprintf(name, sizeof(name), "new-%03d", i);
		put_file(a, name, "new", 0600, 1000 + i);
		tree = dump_tree(a, "rw");
		/* Every other time the cache has lost its index: the last commit is read from the store. */
		if (i % 2)
			unlinkat(a->v.cache.dir_fd, "index", 0);
		assert_int_equal(node_end(a), 0);
		peek(a, &head);
		bases += head.commit.length > base / 2;
		if (head.commit.length < shortest)
			shortest = head.commit.length;
		if (i % 5 == 4) {
			node_begin(c);
			assert_same_tree(tree, c);
			assert_int_equal(node_end(c), 0);
		}
	}
	assert_true(shortest < base / 20);
	/* The chain is bounded, and not begun anew each time. */
	assert_in_range(bases, 2, 8);
	node_close(a);
	node_close(c);
}

static void a_record_of_the_chain_that_was_tampered_with_stops_the_start(void **state)
{
	struct box *b = *state;
	struct node *a = begun(b), *c = node_open(b, "c");
	_cleanup_free_ char *key = NULL, *text = NULL;
	struct head first, second;

	peek(a, &first);
	node_begin(a);
	put_file(a, "file-007", "changed", 0644, 1);
	assert_int_equal(node_end(a), 0);
	peek(a, &second);
	assert_true(second.commit.length < first.commit.length / 4);
	assert_true(asprintf(&key, "volumes/ws/.volrun/vol/commits/%s", first.commit.object) > 0);
	text = fake_store_text(b->fake, key);
	text[first.commit.offset + first.commit.length / 2]++;
	fake_store_put(b->fake, key, text);
	assert_true(node_start(c) < 0);
	assert_non_null(strstr(c->err.msg, "sha256 differs"));
	lease_free(c->lease);
	c->lease = NULL;
	fake_store_put(b->fake, key, NULL);
	assert_true(node_start(c) < 0);
	node_close(a);
	node_close(c);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, box_setup, box_teardown)
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_delta_on_the_commit_before_gives_the_commit),
	    cmocka_unit_test(a_delta_of_nothing_is_a_header),
	    cmocka_unit_test(what_does_not_fit_is_refused),
	    TEST(small_changes_make_short_records_and_another_node_reads_them),
	    TEST(a_record_of_the_chain_that_was_tampered_with_stops_the_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
