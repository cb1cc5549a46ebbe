/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many requests may be under way at once: as many as the store bears, and as the way to it is long.
 *
 * Half of them after it asked to slow down (at most once a second: the requests of one moment are told so
 * together), and then one more after so many went well. Beyond the usual number only while that helps: as long as
 * an answer takes hardly longer than the quickest one did, the time is the line's, and more requests fit on it; once
 * they wait for each other at the server, more of them only wait longer.
 */
#include <sys/resource.h>

#include "base/clock.h"
#include "hooks/store/exchange.h"

#define USUAL 24
#define MOST 256
#define RATE_EACH 65536	      /* bytes a second of one request, where there is a limit for all */
#define FEW_BYTES 65536	      /* an answer's time is the line's, not the bytes' */
#define MANY_BYTES 262144     /* who moves so many keeps a connection busy, and buffers */
#define FORGET 512	      /* the quickest answer is less and less telling: by this part with each */
#define SPARE_DESCRIPTORS 128 /* for all but connections and the files that go over them */

void http_window_open(struct http_window *w, uint32_t parallel, uint64_t max_bytes_per_second)
{
	struct rlimit files;
	uint64_t most = parallel ? parallel : MOST;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < 3 * most + SPARE_DESCRIPTORS)
		most = files.rlim_cur > SPARE_DESCRIPTORS + 3 ? (files.rlim_cur - SPARE_DESCRIPTORS) / 3 : 1;
	/* Few enough that each of them still moves. */
	if (max_bytes_per_second > 0 && max_bytes_per_second / RATE_EACH < most)
		most = max_bytes_per_second < RATE_EACH ? 1 : max_bytes_per_second / RATE_EACH;
	w->most = most < MOST ? (unsigned)most : MOST;
	w->usual = parallel == 0 && w->most > USUAL ? USUAL : w->most;
	w->now = w->usual;
}

bool http_window_is_heavy(const struct http_request *r)
{
	return r->size > MANY_BYTES || r->expected > MANY_BYTES;
}

bool http_window_has_room(const struct http_store *s)
{
	return s->under_way < s->window.now && s->heavy < s->window.usual;
}

static void slow_down(struct http_window *w)
{
	int64_t now = clock_boottime_ns();

	w->calm = 0;
	if (now - w->narrowed_ns < NSEC_PER_SEC)
		return;
	w->narrowed_ns = now;
	w->now = w->now > 2 ? w->now / 2 : 1;
	w->asked = true;
}

/* Was all that was allowed under way, and the answer about as quick as any? */
static void widen(struct http_store *s, int64_t took_ns)
{
	struct http_window *w = &s->window;

	if (w->quickest_ns == 0 || took_ns < w->quickest_ns)
		w->quickest_ns = took_ns;
	else
		w->quickest_ns += w->quickest_ns / FORGET;
	if (took_ns > 4 * w->quickest_ns && w->now > w->usual)
		w->now--;
	else if (took_ns < 2 * w->quickest_ns && w->now < w->most && s->under_way + 1 >= w->now)
		w->now++;
}

void http_window_learn(struct http_store *s, const struct exchange *x)
{
	struct http_window *w = &s->window;

	if (x->reply.status == 429 || x->reply.status == 503) {
		slow_down(w);
		return;
	}
	/* Who was asked to slow down goes up to the usual number slowly, and no further. */
	if (w->now < w->usual && ++w->calm >= w->now) {
		w->now++;
		w->calm = 0;
	} else if (w->now >= w->usual && !w->asked && x->http.outcome == HTTP_ANSWERED && x->received <= FEW_BYTES &&
		   x->http.size <= FEW_BYTES) {
		widen(s, clock_boottime_ns() - x->sent_ns);
	}
}
