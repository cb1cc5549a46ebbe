/* SPDX-License-Identifier: Apache-2.0 */
/* Much at once: large bodies, many keys, many processes. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "hooks/store/sign.h"
#include "hooks/store/store_s3.h"
#include "tests/store_box.h"

#define RACERS 32
#define ROUNDS 20
#define MANY 1100

/* Up, down again, compared by hash. Returns the time spent; the caller judges memory. */
static void round_trip(const char *k, uint64_t size)
{
	char before[SHA256_HEX_MAX], after[SHA256_HEX_MAX];
	int in = temp_file(), out = temp_file();
	struct store_op op;
	uint64_t len;

	fill_file(in, size);
	assert_int_equal(sha256_fd(in, 0, UINT64_MAX, before, NULL), 0);
	store_op_init(&op, STORE_PUT, k);
	op.in_fd = in;
	op.size = size;
	op.mark = "9/big/mark";
	store_do(store, &op);
	expect(STORE_OK, &op);
	store_op_init(&op, STORE_GET, k);
	op.out_fd = out;
	store_do(store, &op);
	expect(STORE_OK, &op);
	assert_int_equal(op.got_size, size);
	if (op.got_mark[0]) /* not every store tells it along */
		assert_string_equal(op.got_mark, "9/big/mark");
	assert_int_equal(sha256_fd(out, 0, UINT64_MAX, after, &len), 0);
	assert_int_equal(len, size);
	assert_string_equal(before, after);
	close(in);
	close(out);
	assert_int_equal(simple(STORE_DELETE, k), STORE_OK);
}

void a_big_body_goes_up_in_parts_and_comes_back_the_same(void **state)
{
	(void)state;
	if (!strcmp(config.type, "s3"))
		store_s3_part_size(store, 5 * MIB);
	round_trip(key("big"), 16 * MIB + 123);
	round_trip(key("even"), 10 * MIB);
	if (!strcmp(config.type, "s3"))
		store_s3_part_size(store, 0);
}

/* In a process of its own, which opens the store itself: ru_maxrss never goes down. memfds count as nobody's memory. */
void two_hundred_mebibytes_move_in_a_few_of_memory(void **state)
{
	struct rusage usage;
	int status;
	pid_t pid;

	(void)state;
#ifdef __SANITIZE_ADDRESS__
	skip();
#endif
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		store = open_store();
		round_trip(key("huge"), 200 * MIB);
		_exit(0);
	}
	assert_int_equal(wait4(pid, &status, 0, &usage), pid);
	assert_int_equal(status, 0);
	print_message("           peak %ld KiB\n", usage.ru_maxrss);
	assert_true(usage.ru_maxrss < 48 * 1024);
}

struct batch {
	struct store_op *ops;
	size_t n, given, done;
};

static struct store_op *batch_next(void *ctx)
{
	struct batch *b = ctx;

	return b->given < b->n ? &b->ops[b->given++] : NULL;
}

static void batch_done(void *ctx, struct store_op *op)
{
	struct batch *b = ctx;

	expect(STORE_OK, op);
	strbuf_free(&op->body);
	b->done++;
}

static void run_batch(struct store_op *ops, size_t n)
{
	struct batch b = {.ops = ops, .n = n};

	store_run(store, batch_next, batch_done, &b);
	assert_int_equal(b.done, n);
}

struct order {
	char last[STORE_KEY_MAX + 1];
	size_t n, stop_after;
	uint64_t bytes;
};

static int check_order(void *ctx, const struct store_list_item *item, struct error *err)
{
	struct order *o = ctx;

	assert_true(strcmp(o->last, item->key) < 0);
	assert_true(item->tag[0] != '\0');
	snprintf(o->last, sizeof(o->last), "%s", item->key);
	o->bytes += item->size;
	if (++o->n == o->stop_after)
		return error_set(err, ENOBUFS, "enough");
	return 0;
}

void a_listing_of_more_than_a_thousand_keys_is_whole_and_in_order(void **state)
{
	struct store_op *ops = calloc(MANY, sizeof(*ops));
	char(*keys)[96] = calloc(MANY, sizeof(*keys));
	struct order all = {"", 0, 0, 0}, some = {"", 0, 0, 0}, part = {"", 0, 7, 0}, none = {"", 0, 0, 0};
	struct error err = ERROR_INIT;

	(void)state;
	for (int i = 0; i < MANY; i++) {
		snprintf(keys[i], sizeof(keys[i]), "%slist/d%d/f %04d", prefix, i % 3, i);
		ops[i] = put_op(keys[i], "abc");
	}
	run_batch(ops, MANY);
	assert_int_equal(store_list(store, key("list/"), check_order, &all, &err), 0);
	assert_int_equal(all.n, MANY);
	assert_int_equal(all.bytes, 3 * MANY);
	assert_int_equal(store_list(store, key("list/d1/f 00"), check_order, &some, &err), 0);
	assert_int_equal(some.n, 33);
	assert_int_equal(store_list(store, key("list/"), check_order, &part, &err), -ENOBUFS);
	assert_string_equal(err.msg, "enough");
	assert_int_equal(part.n, 7);
	assert_int_equal(store_list(store, key("list/absent/"), check_order, &none, &err), 0);
	assert_int_equal(none.n, 0);
	for (int i = 0; i < MANY; i++) {
		store_op_init(&ops[i], STORE_GET, keys[i]);
		ops[i].max_body = 3;
	}
	run_batch(ops, MANY);
	for (int i = 0; i < MANY; i++)
		store_op_init(&ops[i], STORE_DELETE, keys[i]);
	run_batch(ops, MANY);
	assert_int_equal(store_list(store, key("list/"), check_order, &none, &err), 0);
	assert_int_equal(none.n, 0);
	free(ops);
	free(keys);
}

/* A racer: waits for the start, does one conditional write, says how it ended by its exit status. */
static void race(const char *k, int start_fd, int id, enum store_condition condition, const char *tag)
{
	char text[64], c;
	struct store_op op;

	store = open_store();
	/* Never the same text twice: the same bytes may have the same tag again, and two would rightly win. */
	snprintf(text, sizeof(text), "racer %d of %s, condition %d", id, strrchr(k, '/') + 1, (int)condition);
	op = put_op(k, text);
	op.condition = condition;
	op.if_tag = tag;
	if (read(start_fd, &c, 1) != 0)
		_exit(100);
	store_do(store, &op);
	if (op.result == STORE_UNKNOWN || op.result == STORE_THROTTLED) {
		struct store_op get;

		store_op_init(&get, STORE_GET, k);
		get.max_body = 100;
		store_do(store, &get);
		op.result = get.result == STORE_OK && !strcmp(strbuf_str(&get.body), text) ? STORE_OK : STORE_FALSE;
	}
	_exit((int)op.result);
}

static int winners(const char *k, enum store_condition condition, const char *tag)
{
	int start[2], won = 0, status;
	pid_t pids[RACERS];

	assert_int_equal(pipe2(start, O_CLOEXEC), 0);
	fflush(NULL);
	for (int i = 0; i < RACERS; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0) {
			close(start[1]);
			race(k, start[0], i, condition, tag);
		}
	}
	close(start[0]);
	close(start[1]);
	for (int i = 0; i < RACERS; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_true(WIFEXITED(status));
		if (WEXITSTATUS(status) == STORE_OK)
			won++;
		else
			assert_int_equal(WEXITSTATUS(status), STORE_FALSE);
	}
	return won;
}

void of_thirty_two_processes_exactly_one_wins_each_race(void **state)
{
	char name[32];

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		struct store_op head;

		snprintf(name, sizeof(name), "race/%d", round / 2);
		if (round % 2 == 0) {
			assert_int_equal(winners(key(name), STORE_IF_ABSENT, NULL), 1);
			continue;
		}
		store_op_init(&head, STORE_HEAD, key(name));
		store_do(store, &head);
		expect(STORE_OK, &head);
		assert_int_equal(winners(key(name), STORE_IF_TAG, head.tag), 1);
	}
}
