/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/store/http_loop.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"

#define EVENTS 64

struct http_loop {
	CURLM *multi;
	int epoll, wake;
	int64_t timer_ns; /* CLOCK_BOOTTIME; -1: none */
};

static int on_socket(CURL *e, curl_socket_t fd, int what, void *ctx, void *of_socket)
{
	struct http_loop *l = ctx;
	struct epoll_event event = {.data.fd = fd};

	(void)e, (void)of_socket;
	if (what == CURL_POLL_REMOVE) {
		epoll_ctl(l->epoll, EPOLL_CTL_DEL, fd, NULL);
		return 0;
	}
	event.events = (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u);
	if (epoll_ctl(l->epoll, EPOLL_CTL_MOD, fd, &event) < 0 && errno == ENOENT &&
	    epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		return -1;
	return 0;
}

static int on_timer(CURLM *m, long ms, void *ctx)
{
	struct http_loop *l = ctx;

	(void)m;
	l->timer_ns = ms < 0 ? -1 : clock_boottime_ns() + ms * NSEC_PER_MSEC;
	return 0;
}

struct http_loop *http_loop_open(CURLM *multi)
{
	struct http_loop *l = calloc(1, sizeof(*l));
	struct epoll_event event = {.events = EPOLLIN};

	if (!l)
		return NULL;
	l->multi = multi;
	l->timer_ns = -1;
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	l->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	event.data.fd = l->wake;
	if (l->epoll < 0 || l->wake < 0 || epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->wake, &event) < 0) {
		http_loop_close(l);
		return NULL;
	}
	curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, l);
	curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(multi, CURLMOPT_TIMERDATA, l);
	return l;
}

void http_loop_close(struct http_loop *l)
{
	if (!l)
		return;
	cleanup_close(&l->epoll);
	cleanup_close(&l->wake);
	free(l);
}

/* Milliseconds until the pause or libcurl's timer ends, never less than there are. */
static int patience(const struct http_loop *l, int64_t pause_ns)
{
	int64_t left = l->timer_ns < 0 ? pause_ns : l->timer_ns - clock_boottime_ns();

	if (left > pause_ns)
		left = pause_ns;
	return left <= 0 ? 0 : (int)((left + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC);
}

static void pass_on(struct http_loop *l, const struct epoll_event *e)
{
	int bits = 0, running;
	uint64_t count;

	if (e->data.fd == l->wake) {
		while (read(l->wake, &count, sizeof(count)) > 0)
			;
		return;
	}
	bits |= e->events & EPOLLIN ? CURL_CSELECT_IN : 0;
	bits |= e->events & EPOLLOUT ? CURL_CSELECT_OUT : 0;
	bits |= e->events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0;
	curl_multi_socket_action(l->multi, e->data.fd, bits, &running);
}

void http_loop_turn(struct http_loop *l, int64_t pause_ns, bool all)
{
	struct epoll_event events[EVENTS];
	int n, running;

	if (all)
		curl_multi_perform(l->multi, &running);
	n = epoll_wait(l->epoll, events, EVENTS, all ? 10 : patience(l, pause_ns));
	for (int i = 0; i < n; i++)
		pass_on(l, &events[i]);
	if (l->timer_ns >= 0 && l->timer_ns <= clock_boottime_ns()) {
		l->timer_ns = -1;
		curl_multi_socket_action(l->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	}
}

void http_loop_wake(struct http_loop *l)
{
	const uint64_t one = 1;

	if (write(l->wake, &one, sizeof(one)) < 0)
		return; /* it is full of wake-ups already */
}
