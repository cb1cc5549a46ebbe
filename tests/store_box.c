/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/store_box.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/num.h"

struct store_config config;
struct store *store;
char prefix[64];
unsigned quirks;
struct error probe_error;

struct store *open_store(void)
{
	struct store *s = NULL;
	struct error err = ERROR_INIT;

	if (store_open(&config, &s, &err) < 0)
		fail_msg("%s", err.msg);
	store_set_quirks(s, quirks);
	return s;
}

/* A key below this run's prefix; good until the 8th call after. */
const char *key(const char *name)
{
	static char keys[8][STORE_KEY_MAX + 64];
	static unsigned turn;
	char *k = keys[turn++ % 8];

	snprintf(k, sizeof(keys[0]), "%s%s", prefix, name);
	return k;
}

void expect(enum store_result expected, const struct store_op *op)
{
	if (op->result != expected)
		fail_msg("expected \"%s\", got \"%s\": %s", store_result_name(expected), store_result_name(op->result),
			 op->err.msg);
	if (expected != STORE_OK && (!op->err.msg[0] || strchr(op->err.msg, '\n')))
		fail_msg("the error is not one line: %s", op->err.msg);
}

struct store_op put_op(const char *k, const char *text)
{
	struct store_op op;

	store_op_init(&op, STORE_PUT, k);
	op.data = text;
	op.size = strlen(text);
	return op;
}

void put_text(const char *k, const char *text)
{
	struct store_op op = put_op(k, text);

	store_do(store, &op);
	expect(STORE_OK, &op);
}

void expect_text(const char *k, const char *text)
{
	struct store_op op;

	store_op_init(&op, STORE_GET, k);
	op.max_body = 65536;
	store_do(store, &op);
	expect(STORE_OK, &op);
	assert_int_equal(op.got_size, strlen(text));
	assert_string_equal(strbuf_str(&op.body), text);
	strbuf_free(&op.body);
}

enum store_result simple(enum store_op_kind kind, const char *k)
{
	struct store_op op;

	store_op_init(&op, kind, k);
	op.max_body = 65536;
	store_do(store, &op);
	strbuf_free(&op.body);
	return op.result;
}

int temp_file(void)
{
	int fd = memfd_create("conformance", MFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

/* Bytes that differ from place to place, so that swapped or shifted parts show. */
void fill_file(int fd, uint64_t size)
{
	uint64_t block[4096];

	for (uint64_t at = 0; at < size; at += sizeof(block)) {
		size_t n = size - at < sizeof(block) ? (size_t)(size - at) : sizeof(block);

		for (size_t i = 0; i < ARRAY_SIZE(block); i++)
			block[i] = (at + i) * UINT64_C(0x9e3779b97f4a7c15);
		assert_int_equal(pwrite_all(fd, block, n, (off_t)at), 0);
	}
}

struct leftovers {
	char keys[2000][200];
	size_t n;
};

static int note_leftover(void *ctx, const struct store_list_item *item, struct error *err)
{
	struct leftovers *l = ctx;

	(void)err;
	if (l->n < ARRAY_SIZE(l->keys) && strlen(item->key) < sizeof(l->keys[0]))
		strcpy(l->keys[l->n++], item->key);
	return 0;
}

int set_up(void **state)
{
	unsigned char raw[6];
	char hex[13];

	(void)state;
	random_bytes(raw, sizeof(raw));
	hex_encode(raw, sizeof(raw), hex);
	snprintf(prefix, sizeof(prefix), "conformance-%s/", hex);
	store = open_store();
	/* Without what it finds out, some stores can't do what is tested; that it succeeds is a test of its own. */
	if (store_probe(store, &probe_error) == 0)
		quirks = store_quirks(store);
	return 0;
}

int tear_down(void **state)
{
	struct leftovers *l = calloc(1, sizeof(*l));
	struct error err = ERROR_INIT;

	(void)state;
	if (store_list(store, prefix, note_leftover, l, &err) < 0)
		print_error("%s\n", err.msg);
	for (size_t i = 0; i < l->n; i++)
		simple(STORE_DELETE, l->keys[i]);
	free(l);
	store_close(store);
	return 0;
}
