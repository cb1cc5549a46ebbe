/* SPDX-License-Identifier: Apache-2.0 */
/* GCS: when "there is no such object" is believed. */
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
#include "tests/fault_store.h"

static struct store_config config = {
    .name = "faulty", .type = "gcs", .bucket = "buck", .connect_timeout_ms = 2000, .low_speed_seconds = 2};

#define HEAD(status) "HTTP/1.1 " status "\r\nConnection: close\r\n"
#define EMPTY HEAD("404 x") "Content-Length: 0\r\n\r\n"
#define PAGE HEAD("404 x") "Content-Type: text/html\r\nContent-Length: 15\r\n\r\n<p>Not here</p>"
#define METADATA HEAD("200 OK") "\r\n{\"generation\":\"17\",\"size\":\"4\",\"crc32c\":\"L1MZ4Q==\"}"
#define BYTES                                                                                                          \
	HEAD("200 OK")                                                                                                 \
	"Content-Length: 4\r\nx-goog-hash: crc32c=L1MZ4Q==\r\nx-goog-generation: 17\r\n\r\ntext"

static int set_up(void **state)
{
	(void)state;
	unsetenv("GOOGLE_APPLICATION_CREDENTIALS");
	fault_store_open(&config);
	return 0;
}

static void answer(int i, const char *reply)
{
	script[i] = (struct step){.reply = reply, .close = true};
}

static void expect(struct store_op *op, enum store_result result, int requests)
{
	expect_op(op, result, requests, NULL);
}

/* The metadata are a document, and go neither into the file nor into its (no) room in memory. */
static void somebody_elses_page_does_not_end_a_download(void **state)
{
	_cleanup_close_ int fd = memfd_create("download", MFD_CLOEXEC);
	struct store_op op;
	char got[8] = "";

	(void)state;
	store_op_init(&op, STORE_GET, "key");
	op.out_fd = fd;
	answer(0, PAGE);
	answer(1, METADATA);
	answer(2, BYTES);
	expect(&op, STORE_OK, 3);
	assert_int_equal(pread(fd, got, sizeof(got), 0), 4);
	assert_string_equal(got, "text");
}

static void no_word_at_all_is_believed_of_what_reads_alone(void **state)
{
	struct store_op op;

	(void)state;
	store_op_init(&op, STORE_HEAD, "key");
	answer(0, EMPTY);
	expect(&op, STORE_ABSENT, 1);
	store_op_init(&op, STORE_DELETE, "key");
	answer(1, EMPTY);
	answer(2, HEAD("204 x") "\r\n");
	expect(&op, STORE_OK, 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, fault_store_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(somebody_elses_page_does_not_end_a_download),
	    TEST(no_word_at_all_is_believed_of_what_reads_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
