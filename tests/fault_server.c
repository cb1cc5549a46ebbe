/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fault_server.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/io.h"

struct step script[SCRIPT_MAX];
atomic_int served;
char last_request[65536];
char seen_requests[SCRIPT_MAX][4096];

static int listener = -1;
static atomic_int stop;
static pthread_t thread;

/* Reads one request: its head, then as much body as it announces. False: the client closed. */
static bool read_request(int fd)
{
	size_t len = 0, body;
	char *end = NULL, *length;

	while (!end) {
		ssize_t n = read(fd, last_request + len, sizeof(last_request) - 1 - len);

		if (n <= 0)
			return false;
		len += (size_t)n;
		last_request[len] = '\0';
		end = strstr(last_request, "\r\n\r\n");
	}
	length = strcasestr(last_request, "\r\nContent-Length: ");
	body = length ? strtoul(length + 18, NULL, 10) : 0;
	body += (size_t)(end + 4 - last_request);
	while (len < body) {
		bool fits = body < sizeof(last_request);
		char buf[4096];
		ssize_t n =
		    read(fd, fits ? last_request + len : buf, fits ? sizeof(last_request) - 1 - len : sizeof(buf));

		if (n <= 0)
			return false;
		len += (size_t)n;
		if (fits)
			last_request[len] = '\0';
	}
	return true;
}

static void serve(int fd)
{
	for (;;) {
		const struct step *s = &script[served % SCRIPT_MAX];

		if (!read_request(fd))
			return;
		snprintf(seen_requests[served % SCRIPT_MAX], sizeof(seen_requests[0]), "%.4095s", last_request);
		served++;
		if (s->delay_ms > 0)
			clock_sleep_ns(s->delay_ms * NSEC_PER_MSEC);
		if (s->reply && write_all(fd, s->reply, strlen(s->reply)) < 0)
			return;
		if (s->close || !s->reply)
			return;
	}
}

static void *server(void *arg)
{
	while (!stop) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			break;
		serve(fd);
		close(fd);
	}
	return arg;
}

const char *fault_server_start(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	static char address[64];
	socklen_t len = sizeof(a);

	memset(script, 0, sizeof(script));
	served = stop = 0;
	last_request[0] = '\0';
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(listener, 16), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&a, &len), 0);
	snprintf(address, sizeof(address), "http://127.0.0.1:%u", ntohs(a.sin_port));
	assert_int_equal(pthread_create(&thread, NULL, server, NULL), 0);
	return address;
}

void fault_server_stop(void)
{
	stop = 1;
	shutdown(listener, SHUT_RDWR);
	pthread_join(thread, NULL);
	close(listener);
}
