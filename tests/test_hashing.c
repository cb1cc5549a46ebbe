/* SPDX-License-Identifier: Apache-2.0 */
/* Files that are hashed while they grow. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "hooks/engine/hashing.h"
#include "hooks/engine/manifest.h"

#define SIZE (5u << 20)

static int new_file(void)
{
	char name[] = "/tmp/volrun-test-hashing-XXXXXX";
	int fd = mkstemp(name);

	assert_true(fd >= 0);
	unlink(name);
	return fd;
}

static char *some_bytes(void)
{
	char *data = malloc(SIZE);

	assert_non_null(data);
	for (size_t i = 0; i < SIZE; i++)
		data[i] = (char)(i * 2654435761u >> 13);
	return data;
}

static void a_file_is_hashed_as_far_as_it_is_there(void **state)
{
	struct hashing *h = hashing_new();
	unsigned char want[SHA256_LEN], got[SHA256_LEN];
	char *data = some_bytes();
	int fds[3] = {new_file(), new_file(), new_file()};
	struct hashed *files[3];

	(void)state;
	entry_hash_data(data, SIZE, want);
	for (int i = 0; i < 3; i++)
		files[i] = hashing_begin(h, fds[i], 0);
	for (size_t at = 0; at < SIZE; at += SIZE / 5)
		for (int i = 0; i < 3; i++) {
			assert_int_equal(pwrite_all(fds[i], data + at, SIZE / 5, (off_t)at), 0);
			hashing_reach(h, files[i], at + SIZE / 5);
		}
	for (int i = 2; i > 0; i--) {
		assert_int_equal(hashing_end(h, files[i], got), 0);
		assert_memory_equal(got, want, SHA256_LEN);
	}
	/* The first is given up, whatever is read of it now. */
	assert_int_equal(hashing_end(h, files[0], NULL), 0);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	hashing_free(h);
	free(data);
}

static void a_file_that_is_shorter_than_was_said_has_no_hash(void **state)
{
	struct hashing *h = hashing_new();
	unsigned char got[SHA256_LEN];
	int fd = new_file();
	struct hashed *f = hashing_begin(h, fd, 0);

	(void)state;
	hashing_reach(h, f, 100);
	assert_true(hashing_end(h, f, got) < 0);
	close(fd);
	hashing_free(h);
}

static void the_pieces_of_a_part_of_a_file_are_hashed_in_the_same_reading(void **state)
{
	enum { FROM = 4097, PIECE = 300000, PIECES = (SIZE - FROM + PIECE - 1) / PIECE };
	struct hashing *h = hashing_new();
	unsigned char want[SHA256_LEN], got[SHA256_LEN], pieces[PIECES][SHA256_LEN];
	char *data = some_bytes();
	int fd = new_file();
	struct hashed *f;

	(void)state;
	/* With a hole in it. */
	memset(data + (1u << 20), 0, 1u << 20);
	assert_int_equal(pwrite_all(fd, data, 1u << 20, 0), 0);
	assert_int_equal(pwrite_all(fd, data + (2u << 20), SIZE - (2u << 20), 2u << 20), 0);
	f = hashing_begin(h, fd, FROM);
	assert_int_equal(hashing_pieces(f, PIECE, pieces), 0);
	hashing_reach(h, f, SIZE - FROM);
	assert_int_equal(hashing_end(h, f, got), 0);
	entry_hash_data(data + FROM, SIZE - FROM, want);
	assert_memory_equal(got, want, SHA256_LEN);
	for (size_t i = 0, at = FROM; i < PIECES; i++, at += PIECE) {
		entry_hash_data(data + at, SIZE - at < PIECE ? SIZE - at : PIECE, want);
		assert_memory_equal(pieces[i], want, SHA256_LEN);
	}
	close(fd);
	hashing_free(h);
	free(data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_file_is_hashed_as_far_as_it_is_there),
	    cmocka_unit_test(the_pieces_of_a_part_of_a_file_are_hashed_in_the_same_reading),
	    cmocka_unit_test(a_file_that_is_shorter_than_was_said_has_no_hash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
