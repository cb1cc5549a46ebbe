/* SPDX-License-Identifier: Apache-2.0 */
/* What all stores behind HTTP share: proxies, the limit of bytes, how many requests at once, how long they take. */
#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "hooks/store/exchange.h"
#include "hooks/store/gcs_store.h"
#include "hooks/store/http_rate.h"
#include "hooks/store/store_gcs.h"
#include "hooks/store/store_s3.h"
#include "tests/fault_server.h"

static const char *address;
static struct store_config config;

#define BODY_SIZE 300000
static char body[BODY_SIZE];
static char big_reply[BODY_SIZE + 200];
#define STORED "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"generation\":\"17\",\"size\":\"300000\",\"done\":true}"

static int set_up(void **state)
{
	static const char *const names[] = {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "no_proxy"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		unsetenv(names[i]);
	address = fault_server_start();
	config = (struct store_config){.name = "s",
				       .type = "gcs",
				       .bucket = "buck",
				       .endpoint = address,
				       .connect_timeout_ms = 2000,
				       .low_speed_seconds = 5};
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fault_server_stop();
	return 0;
}

static struct store *open_store(void)
{
	struct store *s = NULL;
	struct error err = ERROR_INIT;

	if (store_open(&config, &s, &err) < 0)
		fail_msg("%s", err.msg);
	return s;
}

static enum store_result put(struct store *s)
{
	struct store_op op;

	store_op_init(&op, STORE_PUT, "key");
	op.data = body;
	op.size = sizeof(body);
	op.condition = STORE_IF_ABSENT;
	store_do(s, &op);
	return op.result;
}

/* --- proxies ------------------------------------------------------------------------ */

/* Is the store, whose own address nobody can reach, reached by the fault server? */
static bool goes_by_proxy(void)
{
	struct store *s;
	enum store_result r;

	config.endpoint = "http://store.invalid";
	s = open_store();
	script[0] = (struct step){.reply = STORED, .close = true};
	r = put(s);
	store_close(s);
	if (r != STORE_OK)
		assert_int_equal(r, STORE_UNREACHABLE);
	else
		assert_non_null(strstr(seen_requests[0], "POST http://store.invalid/upload/storage/v1/b/buck/o?"));
	return r == STORE_OK;
}

static void the_proxy_of_the_configuration_is_used(void **state)
{
	(void)state;
	config.proxy = address;
	assert_true(goes_by_proxy());
}

static void the_environments_proxy_is_used_where_the_configuration_names_none(void **state)
{
	(void)state;
	setenv("http_proxy", address, 1);
	assert_true(goes_by_proxy());
}

static void no_proxy_and_an_empty_proxy_go_directly(void **state)
{
	(void)state;
	setenv("http_proxy", address, 1);
	config.proxy = "";
	assert_false(goes_by_proxy());
	config.proxy = NULL;
	setenv("no_proxy", ".invalid", 1);
	assert_false(goes_by_proxy());
	assert_int_equal(served, 0);
}

/* --- the limit of bytes ------------------------------------------------------------- */

static void a_bucket_gives_what_has_flowed_into_it(void **state)
{
	const int64_t s = NSEC_PER_SEC;
	struct http_rate r = {.per_second = 1000}, none = {0};

	(void)state;
	assert_int_equal(http_rate_wait_ns(&r, 100 * s), 0);
	http_rate_take(&r, 600, 100 * s); /* 100 were there */
	assert_in_range((uint64_t)http_rate_wait_ns(&r, 100 * s), s / 2, s / 2 + s / 100);
	assert_true(http_rate_wait_ns(&r, 100 * s + s / 4) > s / 5);
	assert_int_equal(http_rate_wait_ns(&r, 100 * s + s * 51 / 100), 0);
	/* A long silence is no store of bytes. */
	http_rate_take(&r, 1100, 200 * s);
	assert_true(http_rate_wait_ns(&r, 200 * s) >= s - s / 100);
	http_rate_take(&none, 1 << 30, s);
	assert_int_equal(http_rate_wait_ns(&none, s), 0);
}

static void uploads_and_downloads_keep_the_limit(void **state)
{
	int64_t began = clock_boottime_ns(), ms;
	struct store_op op;
	struct store *s;
	int n;

	(void)state;
	config.max_bytes_per_second = 200000;
	s = open_store();
	assert_int_equal(s->parallel, 3);
	script[0] = (struct step){.reply = STORED, .close = true};
	assert_int_equal(put(s), STORE_OK);
	ms = (clock_boottime_ns() - began) / NSEC_PER_MSEC;
	if (ms < 700 || ms > 3000)
		fail_msg("300,000 bytes went up in %d ms", (int)ms);
	n = snprintf(big_reply, sizeof(big_reply), "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n",
		     BODY_SIZE);
	memset(big_reply + n, 'x', BODY_SIZE);
	script[1] = (struct step){.reply = big_reply, .close = true};
	began = clock_boottime_ns();
	store_op_init(&op, STORE_GET, "key");
	op.max_body = BODY_SIZE;
	store_do(s, &op);
	assert_int_equal(op.result, STORE_OK);
	assert_int_equal(op.got_size, BODY_SIZE);
	strbuf_free(&op.body);
	ms = (clock_boottime_ns() - began) / NSEC_PER_MSEC;
	if (ms < 700 || ms > 3000)
		fail_msg("300,000 bytes came down in %d ms", (int)ms);
	store_close(s);
}

/* --- certificates ------------------------------------------------------------------- */

static void a_directory_with_one_certificate_is_not_all_that_is_trusted(void **state)
{
	char dir[] = "/tmp/volrun-test-ca-XXXXXX", path[64];

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_false(http_ca_is_whole("/nonexistent"));
	for (unsigned i = 0; i < 20; i++) {
		assert_false(http_ca_is_whole(dir));
		snprintf(path, sizeof(path), "%s/%08x.0", dir, i);
		assert_int_equal(symlink("x.pem", path), 0);
	}
	assert_true(http_ca_is_whole(dir));
	for (unsigned i = 0; i < 20; i++) {
		snprintf(path, sizeof(path), "%s/%08x.0", dir, i);
		unlink(path);
	}
	rmdir(dir);
}

/* --- how many at once --------------------------------------------------------------- */

static void who_is_asked_to_slow_down_sends_fewer_at_once_for_a_while(void **state)
{
	struct store *s = open_store();
	struct http_store *h = (struct http_store *)s;
	const unsigned usual = h->window.usual;

	(void)state;
	assert_int_equal(h->window.now, usual);
	script[0] =
	    (struct step){.reply = "HTTP/1.1 503 x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", .close = true};
	assert_int_equal(put(s), STORE_UNKNOWN);
	assert_int_equal(h->window.now, usual / 2);
	for (int i = 1; i <= (int)usual / 2; i++) {
		script[i % SCRIPT_MAX] = (struct step){.reply = STORED, .close = true};
		assert_int_equal(put(s), STORE_OK);
	}
	assert_int_equal(h->window.now, usual / 2 + 1);
	store_close(s);
}

/* An answer that took so long, while all that was allowed was under way. */
static void learn(struct http_store *h, int64_t ms)
{
	struct exchange x = {.store = h, .http.outcome = HTTP_ANSWERED, .reply.status = 200};

	x.sent_ns = clock_boottime_ns() - ms * NSEC_PER_MSEC;
	h->under_way = h->window.now;
	http_window_learn(h, &x);
	h->under_way = 0;
}

static void more_go_at_once_over_a_long_line_until_they_wait_for_each_other(void **state)
{
	struct store *s = open_store();
	struct http_store *h = (struct http_store *)s;
	const unsigned usual = h->window.usual;

	(void)state;
	for (int i = 0; i < 50; i++)
		learn(h, 1000);
	assert_int_equal(h->window.now, usual + 50);
	h->under_way = usual + 49;
	assert_true(http_window_has_room(h));
	/* Those of many bytes fill the line as they are. */
	h->heavy = usual;
	assert_false(http_window_has_room(h));
	h->heavy = h->under_way = 0;
	for (int i = 0; i < 100; i++)
		learn(h, 10000);
	assert_int_equal(h->window.now, usual);
	store_close(s);
}

/* --- who says yes and shows nothing for it -------------------------------------------- */

static void expect_unknown(struct store *s, enum store_op_kind kind, enum store_condition condition, unsigned attempts)
{
	struct store_op op;

	store_op_init(&op, kind, "key");
	op.source = "from";
	op.data = "text";
	op.size = 4;
	op.condition = condition;
	op.if_tag = "t";
	store_do(s, &op);
	assert_int_equal(op.result, STORE_UNKNOWN);
	assert_int_equal(op.attempts, attempts);
}

/* A proxy that wants a password in the browser, for one. */
static void a_write_that_is_answered_without_a_tag_is_unknown(void **state)
{
	struct store *s;

	(void)state;
	config.type = "s3";
	config.access_key_id = "id";
	config.secret_access_key = "secret";
	s = open_store();
	store_set_quirks(s, STORE_QUIRK_COPY_IF);
	for (int i = 0; i < SCRIPT_MAX; i++)
		script[i] =
		    (struct step){.reply = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n<html/>", .close = true};
	expect_unknown(s, STORE_PUT, STORE_IF_TAG, 1);
	expect_unknown(s, STORE_COPY, STORE_IF_TAG, 1);
	expect_unknown(s, STORE_PUT, STORE_ANY, 5);
	store_close(s);
}

/* --- how long ----------------------------------------------------------------------- */

#define COPIED                                                                                                         \
	"HTTP/1.1 200 OK\r\nContent-Length: 60\r\nConnection: close\r\n\r\n"                                           \
	"<CopyObjectResult><ETag>\"copy\"</ETag></CopyObjectResult>    "

/* Longer than a silence may last, but not for so many bytes. */
static void a_server_has_time_to_copy_many_bytes(void **state)
{
	struct store_op op;
	struct store *s;

	(void)state;
	config.type = "s3";
	config.access_key_id = "id";
	config.secret_access_key = "secret";
	config.low_speed_seconds = 2;
	s = open_store();
	store_set_quirks(s, STORE_QUIRK_COPY_IF);
	store_op_init(&op, STORE_COPY, "to");
	op.source = "from";
	op.size = 64 << 20;
	op.condition = STORE_IF_TAG;
	op.if_tag = "t";
	script[0] = script[1] = (struct step){.reply = COPIED, .delay_ms = 4500, .close = true};
	store_do(s, &op);
	assert_int_equal(op.result, STORE_OK);
	assert_string_equal(op.tag, "copy");
	op.size = 5;
	store_do(s, &op);
	assert_int_equal(op.result, STORE_UNKNOWN);
	store_close(s);
}

static int descriptors(void)
{
	_cleanup_closedir_ DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	return n;
}

static void a_store_at_rest_has_no_connection_and_makes_another_one(void **state)
{
	static const char stored[] = "HTTP/1.1 200 OK\r\nContent-Length: 35\r\n\r\n"
				     "{\"generation\":\"17\",\"size\":\"300000\"}";
	struct store *s = open_store();
	int64_t until = clock_boottime_ns() + 5 * NSEC_PER_SEC;
	int before;

	(void)state;
	store_rest(s);
	before = descriptors();
	for (int i = 0; i < 3; i++)
		script[i].reply = stored;
	assert_int_equal(put(s), STORE_OK);
	assert_true(descriptors() > before);
	store_rest(s);
	/* The server's end of it is of this process, too. */
	while (descriptors() > before && clock_boottime_ns() < until)
		clock_sleep_ns(10 * NSEC_PER_MSEC);
	assert_int_equal(descriptors(), before);
	assert_int_equal(put(s), STORE_OK);
	assert_int_equal(put(s), STORE_OK);
	assert_int_equal(served, 3);
	store_close(s);
}

/* Of the store's dialect, with an eye on what each attempt knows: the time lost before it, and how many are under way.
 */
static struct dialect spying;
static bool (*prepare)(struct exchange *x);
static int64_t lost_ns;
static unsigned most_under_way;

static bool spy(struct exchange *x)
{
	lost_ns = clock_boottime_ns() - x->began_ns;
	if (x->store->under_way > most_under_way)
		most_under_way = x->store->under_way;
	return prepare(x);
}

static void spy_on(struct store *s)
{
	struct http_store *h = (struct http_store *)s;

	spying = *h->dialect;
	prepare = spying.prepare;
	spying.prepare = spy;
	h->dialect = &spying;
	most_under_way = 0;
}

static int64_t lost_before_repetition(const char *first_reply)
{
	static const char whole[] = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntext";
	struct store *s = open_store();
	int first = served;
	struct store_op op;

	script[first] = (struct step){.reply = first_reply, .delay_ms = 700, .close = true};
	script[first + 1] = (struct step){.reply = whole, .close = true};
	spy_on(s);
	store_op_init(&op, STORE_GET, "key");
	op.max_body = BODY_SIZE;
	store_do(s, &op);
	assert_int_equal(op.result, STORE_OK);
	assert_int_equal(served, first + 2);
	strbuf_free(&op.body);
	store_close(s);
	return lost_ns / NSEC_PER_MSEC;
}

static void the_time_in_which_bytes_came_is_not_lost(void **state)
{
	int n = sprintf(big_reply, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", BODY_SIZE);

	(void)state;
	memset(big_reply + n, 'x', BODY_SIZE / 2);
	big_reply[n + BODY_SIZE / 2] = '\0';
	assert_in_range(lost_before_repetition(big_reply), 0, 400);
	assert_in_range(lost_before_repetition("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nte"), 700, 5000);
	assert_in_range(lost_before_repetition(NULL), 700, 5000);
}

static int questions;

/* Lets no question out. */
static bool spy_on_questions(struct exchange *x)
{
	struct gcs_exchange *g = (struct gcs_exchange *)x;

	if (g->call.kind != GCS_CALL_QUERY)
		return prepare(x);
	questions++;
	verdict_set(&x->verdict, STORE_UNREACHABLE, false, "seen");
	return false;
}

/* Retry-After is as long as the budget but for the time that the piece took. */
static void ask_after_a_piece(size_t size)
{
	struct store *s = open_store();
	_cleanup_free_ char *data = calloc(1, size);
	int first = served;
	struct store_op op;

	store_gcs_limits(s, 10, size, 0);
	spy_on(s);
	spying.prepare = spy_on_questions;
	questions = 0;
	script[first] = (struct step){
	    .reply = "HTTP/1.1 200 OK\r\nConnection: close\r\nLocation: /session\r\nContent-Length: 0\r\n\r\n",
	    .close = true};
	script[first + 1] = (struct step){
	    .reply = "HTTP/1.1 503 x\r\nRetry-After: 29\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
	    .close = true,
	    .delay_ms = 1500};
	store_op_init(&op, STORE_PUT, "key");
	op.data = data;
	op.size = size;
	store_do(s, &op);
	assert_int_equal(op.result, STORE_UNKNOWN);
	store_close(s);
}

static void after_a_long_piece_a_server_is_asked_what_it_has(void **state)
{
	(void)state;
	ask_after_a_piece(100);
	assert_int_equal(questions, 0);
	ask_after_a_piece(8 << 20);
	assert_int_equal(questions, 1);
}

#define INITIATED                                                                                                      \
	"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n<InitiateMultipartUploadResult><UploadId>u1</UploadId>"           \
	"</InitiateMultipartUploadResult>"
#define COMPLETED                                                                                                      \
	"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n<CompleteMultipartUploadResult><ETag>\"t\"</ETag>"                \
	"</CompleteMultipartUploadResult>"

static void parts_are_among_those_that_may_be_under_way_at_once(void **state)
{
	struct http_store *h;
	struct store_op op;
	struct store *s;

	(void)state;
	config.type = "s3";
	config.access_key_id = "id";
	config.secret_access_key = "secret";
	s = open_store();
	h = (struct http_store *)s;
	h->window.now = h->window.usual = h->window.most = 2;
	store_s3_part_size(s, 10);
	spy_on(s);
	script[0] = (struct step){.reply = INITIATED, .close = true};
	for (int i = 1; i < 6; i++)
		script[i] = (struct step){.reply = "HTTP/1.1 200 OK\r\nETag: \"p\"\r\nContent-Length: 0\r\n\r\n",
					  .close = true};
	script[6] = (struct step){.reply = COMPLETED, .close = true};
	store_op_init(&op, STORE_PUT, "key");
	op.data = body;
	op.size = 50;
	store_do(s, &op);
	assert_int_equal(op.result, STORE_OK);
	assert_int_equal(served, 7);
	assert_int_equal(most_under_way, 2);
	store_close(s);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(the_proxy_of_the_configuration_is_used),
	    TEST(the_environments_proxy_is_used_where_the_configuration_names_none),
	    TEST(no_proxy_and_an_empty_proxy_go_directly),
	    TEST(a_bucket_gives_what_has_flowed_into_it),
	    TEST(uploads_and_downloads_keep_the_limit),
	    TEST(a_write_that_is_answered_without_a_tag_is_unknown),
	    TEST(a_server_has_time_to_copy_many_bytes),
	    TEST(parts_are_among_those_that_may_be_under_way_at_once),
	    TEST(a_store_at_rest_has_no_connection_and_makes_another_one),
	    TEST(after_a_long_piece_a_server_is_asked_what_it_has),
	    cmocka_unit_test(a_directory_with_one_certificate_is_not_all_that_is_trusted),
	    TEST(the_time_in_which_bytes_came_is_not_lost),
	    TEST(who_is_asked_to_slow_down_sends_fewer_at_once_for_a_while),
	    TEST(more_go_at_once_over_a_long_line_until_they_wait_for_each_other),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
