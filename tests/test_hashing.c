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
		files[i] = hashing_begin(h, fds[i]);
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
	struct hashed *f = hashing_begin(h, fd);

	(void)state;
	hashing_reach(h, f, 100);
	assert_true(hashing_end(h, f, got) < 0);
	close(fd);
	hashing_free(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_file_is_hashed_as_far_as_it_is_there),
	    cmocka_unit_test(a_file_that_is_shorter_than_was_said_has_no_hash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
