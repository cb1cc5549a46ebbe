/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "runtime/handshake.h"

static struct error err;
static struct handshake_message m;
static int pair[2], fd;

static int open_pair(void **state)
{
	(void)state;
	err = (struct error)ERROR_INIT;
	fd = -1;
	return handshake_pair(pair, &err);
}

static int close_pair(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++)
		cleanup_close(&pair[i]);
	cleanup_close(&fd);
	return 0;
}

static void both_ends_are_close_on_exec(void **state)
{
	(void)state;
	assert_true(fcntl(pair[0], F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(pair[1], F_GETFD) & FD_CLOEXEC);
}

static void a_message_arrives_with_its_value_text_and_descriptor(void **state)
{
	_cleanup_close_ int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(handshake_send(pair[0], HS_VOLUME, 7, "/data", null, &err), 0);
	assert_int_equal(handshake_recv(pair[1], &m, &fd, &err), 1);
	assert_int_equal(m.type, HS_VOLUME);
	assert_int_equal(m.value, 7);
	assert_string_equal(m.text, "/data");
	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

static void messages_keep_their_order_and_their_borders(void **state)
{
	(void)state;
	assert_int_equal(handshake_send(pair[0], HS_GO, 1, NULL, -1, &err), 0);
	assert_int_equal(handshake_send(pair[0], HS_START, 2, "x", -1, &err), 0);
	assert_int_equal(handshake_expect(pair[1], HS_GO, &m, &err), 0);
	assert_int_equal(m.value, 1);
	assert_string_equal(m.text, "");
	assert_int_equal(handshake_expect(pair[1], HS_START, &m, &err), 0);
	assert_string_equal(m.text, "x");
}

static void the_end_of_the_stream_is_no_message(void **state)
{
	(void)state;
	close(pair[0]);
	pair[0] = -1;
	assert_int_equal(handshake_recv(pair[1], &m, &fd, &err), 0);
	assert_int_equal(fd, -1);
	assert_int_equal(handshake_expect(pair[1], HS_GO, &m, &err), -ECONNRESET);
}

static void a_send_to_a_peer_that_is_gone_is_an_error_and_no_signal(void **state)
{
	(void)state;
	close(pair[1]);
	pair[1] = -1;
	assert_int_equal(handshake_send(pair[0], HS_GO, 0, NULL, -1, &err), -EPIPE);
}

/* The kernel reports the reset before what is still in the queue: an error must not become a success. */
static void what_a_peer_said_before_it_went_is_heard_though_it_did_not_listen(void **state)
{
	(void)state;
	assert_int_equal(handshake_send(pair[0], HS_START, 0, NULL, -1, &err), 0);
	assert_int_equal(error_set(&err, ENOENT, "no such thing"), -ENOENT);
	handshake_send_error(pair[1], &err);
	close(TAKE_FD(pair[1]));
	assert_int_equal(handshake_recv(pair[0], &m, &fd, &err), -ENOENT);
	assert_string_equal(err.msg, "no such thing");
}

static void a_peer_that_goes_without_listening_is_no_end_of_the_stream(void **state)
{
	(void)state;
	assert_int_equal(handshake_send(pair[0], HS_START, 0, NULL, -1, &err), 0);
	close(TAKE_FD(pair[1]));
	assert_int_equal(handshake_recv(pair[0], &m, &fd, &err), -ECONNRESET);
}

static void notes_are_lines_of_their_own(void **state)
{
	_cleanup_strbuf_ struct strbuf notes = STRBUF_INIT;

	(void)state;
	assert_int_equal(handshake_send(pair[0], HS_NOTE, 0, "one", -1, &err), 0);
	assert_int_equal(handshake_send(pair[0], HS_NOTE, 0, "two", -1, &err), 0);
	assert_int_equal(handshake_send(pair[0], HS_READY, 0, NULL, -1, &err), 0);
	assert_int_equal(handshake_recv_notes(pair[1], &m, &fd, &notes, &err), 1);
	assert_int_equal(m.type, HS_READY);
	assert_string_equal(strbuf_str(&notes), "one\ntwo\n");
}

static void an_error_of_the_other_side_becomes_ours(void **state)
{
	struct error theirs = ERROR_INIT;

	(void)state;
	error_set(&theirs, EACCES, "mount /data: no");
	handshake_send_error(pair[0], &theirs);
	assert_int_equal(handshake_expect(pair[1], HS_READY, &m, &err), -EACCES);
	assert_string_equal(err.msg, "mount /data: no");
}

static void another_message_than_the_expected_one_is_refused(void **state)
{
	(void)state;
	assert_int_equal(handshake_send(pair[0], HS_READY, 0, NULL, -1, &err), 0);
	assert_int_equal(handshake_expect(pair[1], HS_GO, &m, &err), -EPROTO);
}

static void packets_that_are_no_messages_are_refused(void **state)
{
	static const char unterminated[] = {HS_GO, 0, 0, 0, 0, 0, 0, 0, 'x'};

	(void)state;
	assert_int_equal(send(pair[0], "abc", 3, 0), 3);
	assert_int_equal(handshake_recv(pair[1], &m, &fd, &err), -EPROTO);
	assert_int_equal(send(pair[0], unterminated, sizeof(unterminated), 0), sizeof(unterminated));
	assert_int_equal(handshake_recv(pair[1], &m, &fd, &err), -EPROTO);
}

static void a_text_may_be_as_long_as_a_path_and_no_longer(void **state)
{
	static char text[PATH_MAX + 1];

	(void)state;
	memset(text, 'a', PATH_MAX - 1);
	text[PATH_MAX - 1] = '\0';
	assert_int_equal(handshake_send(pair[0], HS_VOLUME, 0, text, -1, &err), 0);
	assert_int_equal(handshake_recv(pair[1], &m, &fd, &err), 1);
	assert_int_equal(strlen(m.text), PATH_MAX - 1);
	memset(text, 'a', PATH_MAX);
	assert_int_equal(handshake_send(pair[0], HS_VOLUME, 0, text, -1, &err), -E2BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(both_ends_are_close_on_exec, open_pair, close_pair),
	    cmocka_unit_test_setup_teardown(a_message_arrives_with_its_value_text_and_descriptor, open_pair,
					    close_pair),
	    cmocka_unit_test_setup_teardown(messages_keep_their_order_and_their_borders, open_pair, close_pair),
	    cmocka_unit_test_setup_teardown(the_end_of_the_stream_is_no_message, open_pair, close_pair),
	    cmocka_unit_test_setup_teardown(a_send_to_a_peer_that_is_gone_is_an_error_and_no_signal, open_pair,
					    close_pair),
	    cmocka_unit_test_setup_teardown(what_a_peer_said_before_it_went_is_heard_though_it_did_not_listen,
					    open_pair, close_pair),
	    cmocka_unit_test_setup_teardown(a_peer_that_goes_without_listening_is_no_end_of_the_stream, open_pair,
					    close_pair),
	    cmocka_unit_test_setup_teardown(notes_are_lines_of_their_own, open_pair, close_pair),
	    cmocka_unit_test_setup_teardown(an_error_of_the_other_side_becomes_ours, open_pair, close_pair),
	    cmocka_unit_test_setup_teardown(another_message_than_the_expected_one_is_refused, open_pair, close_pair),
	    cmocka_unit_test_setup_teardown(packets_that_are_no_messages_are_refused, open_pair, close_pair),
	    cmocka_unit_test_setup_teardown(a_text_may_be_as_long_as_a_path_and_no_longer, open_pair, close_pair),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
