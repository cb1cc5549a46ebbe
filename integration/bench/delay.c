/* SPDX-License-Identifier: Apache-2.0 */
/*
 * delay PORT MILLISECONDS - a line that is longer than this machine's: listens on a free port of 127.0.0.1,
 * prints it, and passes each connection on to PORT there. Bytes arrive half of MILLISECONDS
 * later, both ways; a new connection needs the whole of it once more, as its handshake would.
 * A way holds as many bytes as a socket of TCP may (WINDOW). Ends with its standard input.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CHUNK (64u << 10)
#define WINDOW (4u << 20)
#define EVENTS 64

struct chunk {
	struct chunk *next;
	int64_t due_ns;
	size_t len, sent; /* len 0: the end */
	char data[];
};

/* One way of a connection. */
struct way {
	int from, to;
	struct chunk *first, **last;
	size_t held;
	bool read_end, done, fresh, blocked;
};

struct pair {
	struct way ways[2];
	bool ready; /* something changed at one of the sockets */
	struct pair *next;
};

static int64_t delay_ns;
static struct pair *pairs;

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int loopback(struct sockaddr_in *a, unsigned port)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	*a = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	a->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0)
		die("socket");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

/* Both sockets tell when something changes, once; who looks at one looks until there is nothing more. */
static void watch(int epoll, int fd, void *who)
{
	struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = who};

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) < 0)
		die("epoll_ctl");
}

static void open_pair(int epoll, int listener, unsigned port)
{
	struct sockaddr_in a;
	int in, out, one = 1;

	while ((in = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct pair *p = calloc(1, sizeof(*p));

		out = loopback(&a, port);
		setsockopt(in, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		if (!p || connect(out, (struct sockaddr *)&a, sizeof(a)) < 0)
			die("connect");
		for (int i = 0; i < 2; i++) {
			p->ways[i] = (struct way){.from = i ? out : in, .to = i ? in : out, .fresh = i == 0};
			p->ways[i].last = &p->ways[i].first;
		}
		p->next = pairs;
		pairs = p;
		p->ready = true;
		watch(epoll, in, p);
		watch(epoll, out, p);
	}
}

static void take(struct way *w)
{
	while (!w->read_end && w->held < WINDOW) {
		struct chunk *c = malloc(sizeof(*c) + CHUNK);
		ssize_t n;

		if (!c)
			die("malloc");
		n = recv(w->from, c->data, CHUNK, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
			free(c);
			return;
		}
		w->read_end = n <= 0;
		c->len = n > 0 ? (size_t)n : 0;
		c->sent = 0;
		c->next = NULL;
		c->due_ns = now() + delay_ns / 2 + (w->fresh ? delay_ns : 0);
		w->fresh = false;
		w->held += c->len;
		*w->last = c;
		w->last = &c->next;
	}
}

/* What is due. Returns when the next will be, INT64_MAX: nothing that waits for its time. */
static int64_t pass(struct way *w)
{
	while (w->first) {
		struct chunk *c = w->first;
		ssize_t n = 0;

		if (c->due_ns > now())
			return c->due_ns;
		if (c->len == 0)
			shutdown(w->to, SHUT_WR);
		else
			n = send(w->to, c->data + c->sent, c->len - c->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
		w->blocked = n < 0 && (errno == EAGAIN || errno == EINTR);
		if (w->blocked)
			return INT64_MAX;
		w->done |= n < 0 || c->len == 0;
		c->sent += n > 0 ? (size_t)n : 0;
		if (n >= 0 && c->sent < c->len)
			continue;
		w->held -= c->len;
		w->first = c->next;
		if (!w->first)
			w->last = &w->first;
		free(c);
	}
	return INT64_MAX;
}

static void drop(struct way *w)
{
	while (w->first) {
		struct chunk *c = w->first;

		w->first = c->next;
		free(c);
	}
}

/* Moves all that can move. Returns when to look again. */
static int64_t move(void)
{
	struct pair **slot = &pairs;
	int64_t soonest = INT64_MAX;

	while (*slot) {
		struct pair *p = *slot;

		for (int i = 0; i < 2; i++) {
			struct way *w = &p->ways[i];
			int64_t at = INT64_MAX;
			bool full;

			if (p->ready)
				take(w);
			full = w->held >= WINDOW;
			if (p->ready || !w->blocked)
				at = pass(w);
			if (full)
				take(w);
			soonest = at < soonest ? at : soonest;
		}
		p->ready = false;
		if (!p->ways[0].done || !p->ways[1].done) {
			slot = &p->next;
			continue;
		}
		*slot = p->next;
		close(p->ways[0].from);
		close(p->ways[0].to);
		drop(&p->ways[0]);
		drop(&p->ways[1]);
		free(p);
	}
	return soonest;
}

int main(int argc, char **argv)
{
	struct epoll_event events[EVENTS];
	struct sockaddr_in a;
	socklen_t len = sizeof(a);
	int listener = loopback(&a, 0), epoll = epoll_create1(EPOLL_CLOEXEC);
	unsigned port = argc == 3 ? (unsigned)atoi(argv[1]) : 0;
	int64_t next = INT64_MAX;

	if (port == 0 || epoll < 0) {
		fprintf(stderr, "usage: delay PORT MILLISECONDS\n");
		return 2;
	}
	delay_ns = atoi(argv[2]) * INT64_C(1000000);
	if (bind(listener, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(listener, 1024) < 0)
		die("listen");
	getsockname(listener, (struct sockaddr *)&a, &len);
	printf("%u\n", ntohs(a.sin_port));
	fflush(stdout);
	fcntl(listener, F_SETFL, O_NONBLOCK);
	watch(epoll, listener, &listener);
	watch(epoll, STDIN_FILENO, NULL);
	for (;;) {
		int64_t wait = next == INT64_MAX ? INT64_MAX : next - now();
		struct timespec t = {wait / 1000000000, wait % 1000000000};
		int n = wait <= 0 ? 0 : epoll_pwait2(epoll, events, EVENTS, wait == INT64_MAX ? NULL : &t, NULL);

		for (int i = 0; i < n; i++) {
			if (!events[i].data.ptr)
				return 0;
			if (events[i].data.ptr == &listener)
				open_pair(epoll, listener, port);
			else
				((struct pair *)events[i].data.ptr)->ready = true;
		}
		next = move();
	}
}
