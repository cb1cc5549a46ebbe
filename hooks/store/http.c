/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/store/http.h"

#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "hooks/store/http_headers.h"
#include "hooks/store/http_loop.h"
#include "hooks/store/http_rate.h"
#include "hooks/store/http_words.h"
#include "hooks/store/sign.h"

#define CONNECT_TIMEOUT_MS 10000
#define LOW_SPEED_SECONDS 30
#define LOW_SPEED_BYTES 1024 /* a second */
#define BUFFER_SIZE (128 * 1024)
#define HANDLES_KEPT 256
#define UNASKED_BYTES (1024 * 1024)

/* One request under way: a curl handle and what belongs to it. */
struct http_transfer {
	struct http_request *request;
	struct http *pool;
	CURL *easy;
	struct curl_slist *headers;
	uint64_t sent; /* of the body, in this sending */
	bool stopped, sink_refused, source_failed;
	bool paused;	 /* for the rate */
	bool head_whole; /* the empty line after the headers came */
	int64_t not_before_ns;
	struct http_transfer *next; /* in a list of the pool */
};

struct http {
	CURLM *multi;
	struct http_loop *loop;
	CURLSH *share; /* TLS sessions, for all handles */
	char *ca_file;
	const char *ca_directory; /* NULL: libcurl's file of all */
	long connections, connect_timeout_ms, low_speed_seconds;
	char *proxy;
	bool http2;
	atomic_bool stop;
	struct http_rate rate;
	struct http_transfer *waiting; /* for their time */
	struct http_transfer *active;  /* under way; who moved bytes last is at the end */
	CURL *idle[HANDLES_KEPT];
	unsigned n_idle, n_active;
};

/* --- what curl calls ---------------------------------------------------------------- */

/* Before each sending, also before one that curl repeats on a new connection. */
static int on_ready(void *ctx, char *remote_ip, char *local_ip, int remote_port, int local_port)
{
	struct http_transfer *t = ctx;

	(void)remote_ip;
	(void)local_ip;
	(void)remote_port;
	(void)local_port;
	if (t->request->before_send && !t->request->before_send(t->request)) {
		t->stopped = true;
		return CURL_PREREQFUNC_ABORT;
	}
	t->head_whole = false;
	t->request->sendings++;
	return CURL_PREREQFUNC_OK;
}

static uint64_t body_size(const struct http_request *r)
{
	return r->lead.len + r->size + r->tail.len;
}

static ssize_t read_source(const struct http_request *r, char *out, size_t want, uint64_t at)
{
	ssize_t got;

	if (r->data) {
		memcpy(out, (const char *)r->data + at, want);
		return (ssize_t)want;
	}
	do {
		got = pread(r->in_fd, out, want, r->in_offset + (off_t)at);
	} while (got < 0 && errno == EINTR);
	return got;
}

/* Up to `room` of the bytes that come next: of the lead, of the source or of the tail. 0 at the end. */
static ssize_t read_body(const struct http_request *r, uint64_t at, char *out, size_t room)
{
	const uint64_t ends[] = {r->lead.len, r->lead.len + r->size, body_size(r)};
	size_t part = 0, want;

	while (part < 3 && at >= ends[part])
		part++;
	if (part == 3)
		return 0;
	want = ends[part] - at < room ? (size_t)(ends[part] - at) : room;
	if (part == 1)
		return read_source(r, out, want, at - ends[0]);
	memcpy(out, part == 0 ? r->lead.data + at : r->tail.data + (at - ends[1]), want);
	return (ssize_t)want;
}

/* More than may move now? It goes on when resume() says so. */
static bool must_pause(struct http_transfer *t)
{
	t->paused = t->pool->rate.per_second > 0 && http_rate_wait_ns(&t->pool->rate, clock_boottime_ns()) > 0;
	return t->paused;
}

static void moved(struct http_transfer *t, size_t bytes)
{
	if (t->pool->rate.per_second > 0)
		http_rate_take(&t->pool->rate, bytes, clock_boottime_ns());
}

static size_t on_read(char *out, size_t size, size_t n, void *ctx)
{
	struct http_transfer *t = ctx;
	size_t room = size * n, filled = 0;

	if (t->sent < body_size(t->request) && must_pause(t))
		return CURL_READFUNC_PAUSE;

	while (filled < room) {
		ssize_t got = read_body(t->request, t->sent, out + filled, room - filled);

		if (got <= 0) {
			if (t->sent == body_size(t->request))
				break;
			t->source_failed = true;
			return CURL_READFUNC_ABORT;
		}
		t->sent += (uint64_t)got;
		filled += (size_t)got;
	}
	moved(t, filled);
	return filled;
}

static int on_seek(void *ctx, curl_off_t offset, int origin)
{
	struct http_transfer *t = ctx;

	if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > body_size(t->request))
		return CURL_SEEKFUNC_FAIL;
	t->sent = (uint64_t)offset;
	return CURL_SEEKFUNC_OK;
}

static size_t on_header(char *line, size_t size, size_t n, void *ctx)
{
	struct http_transfer *t = ctx;
	struct http_request *r = t->request;
	size_t len = size * n, name_len, value_len;
	const char *value;
	long status = 0, version = 0;

	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(t->easy, CURLINFO_HTTP_VERSION, &version);
	r->status = (int)status;
	r->framed = version >= CURL_HTTP_VERSION_2_0;
	/* Trailers come here too, and nothing ends those. */
	t->head_whole |= status >= 200 && len <= 2;
	value = memchr(line, ':', len);
	if (!value || status < 200 || !r->header)
		return len;
	name_len = (size_t)(value - line);
	value++;
	value_len = len - name_len - 1;
	while (value_len > 0 && isspace((unsigned char)*value)) {
		value++;
		value_len--;
	}
	while (value_len > 0 && isspace((unsigned char)value[value_len - 1]))
		value_len--;
	r->header(r, line, name_len, value, value_len);
	return len;
}

static size_t on_body(char *data, size_t size, size_t n, void *ctx)
{
	struct http_transfer *t = ctx;

	if (must_pause(t))
		return CURL_WRITEFUNC_PAUSE;
	moved(t, size * n);
	if (t->request->sink && !t->request->sink(t->request, data, size * n)) {
		t->sink_refused = true;
		return 0;
	}
	return size * n;
}

static int on_progress(void *ctx, curl_off_t down_all, curl_off_t down, curl_off_t up_all, curl_off_t up)
{
	struct http_transfer *t = ctx;

	(void)down_all, (void)down, (void)up_all, (void)up;
	return t->pool->stop;
}

/* --- handles ------------------------------------------------------------------------ */

/* A whole request can't take longer than its bytes at the lowest speed, the server's work, and two silences. */
static long deadline_ms(const struct http *h, const struct http_request *r)
{
	uint64_t bytes = body_size(r) + r->expected;
	long seconds = 2 * h->low_speed_seconds + (long)r->work_seconds + (long)(bytes / LOW_SPEED_BYTES);

	return h->connect_timeout_ms + 1000 * seconds;
}

static void set_pool_options(struct http *h, CURL *e)
{
	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(e, CURLOPT_HTTP_VERSION,
			 h->http2 ? (long)CURL_HTTP_VERSION_2TLS : (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(e, CURLOPT_TCP_NODELAY, 1L);
	curl_easy_setopt(e, CURLOPT_BUFFERSIZE, (long)BUFFER_SIZE);
	curl_easy_setopt(e, CURLOPT_UPLOAD_BUFFERSIZE, (long)BUFFER_SIZE);
	curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, h->connect_timeout_ms);
	curl_easy_setopt(e, CURLOPT_LOW_SPEED_LIMIT, (long)LOW_SPEED_BYTES);
	curl_easy_setopt(e, CURLOPT_SHARE, h->share);
	curl_easy_setopt(e, CURLOPT_USERAGENT, "volrun");
	if (h->ca_file || h->ca_directory)
		curl_easy_setopt(e, CURLOPT_CAINFO, h->ca_file);
	if (h->ca_directory)
		curl_easy_setopt(e, CURLOPT_CAPATH, h->ca_directory);
	if (h->proxy)
		curl_easy_setopt(e, CURLOPT_PROXY, h->proxy);
}

static void set_request_options(struct http *h, struct http_transfer *t)
{
	struct http_request *r = t->request;
	CURL *e = t->easy;

	curl_easy_setopt(e, CURLOPT_URL, r->url);
	curl_easy_setopt(e, CURLOPT_HTTPHEADER, t->headers);
	curl_easy_setopt(e, CURLOPT_PRIVATE, t);
	curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, deadline_ms(h, r));
	curl_easy_setopt(e, CURLOPT_LOW_SPEED_TIME, h->low_speed_seconds + (long)r->work_seconds);
	curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, on_ready);
	curl_easy_setopt(e, CURLOPT_PREREQDATA, t);
	curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(e, CURLOPT_HEADERDATA, t);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(e, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(e, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(e, CURLOPT_XFERINFODATA, t);
	if (!strcmp(r->method, "HEAD")) {
		curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
	} else if (r->has_body) {
		curl_easy_setopt(e, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(e, CURLOPT_INFILESIZE_LARGE, (curl_off_t)body_size(r));
		curl_easy_setopt(e, CURLOPT_READFUNCTION, on_read);
		curl_easy_setopt(e, CURLOPT_READDATA, t);
		curl_easy_setopt(e, CURLOPT_SEEKFUNCTION, on_seek);
		curl_easy_setopt(e, CURLOPT_SEEKDATA, t);
	}
	if (strcmp(r->method, "HEAD") != 0)
		curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, r->method);
}

static void release(struct http *h, struct http_transfer *t)
{
	if (t->easy && h->n_idle < HANDLES_KEPT) {
		curl_easy_reset(t->easy);
		h->idle[h->n_idle++] = t->easy;
	} else if (t->easy) {
		curl_easy_cleanup(t->easy);
	}
	http_headers_free(t->headers);
	t->request->transfer = NULL;
	free(t);
}

/* A small body goes out with its head: to ask first ("Expect: 100-continue", curl's way) costs a round trip. */
static bool add_no_question(struct http_transfer *t)
{
	struct curl_slist *more;

	if (!t->headers && t->request->headers[0])
		return false;
	if (!t->request->has_body || body_size(t->request) > UNASKED_BYTES)
		return true;
	more = curl_slist_append(t->headers, "Expect:");
	if (more)
		t->headers = more;
	return more;
}

static int launch(struct http *h, struct http_transfer *t)
{
	t->headers = http_headers(t->request->headers);
	t->easy = h->n_idle > 0 ? h->idle[--h->n_idle] : curl_easy_init();
	if (!add_no_question(t) || !t->easy)
		return -ENOMEM;
	set_pool_options(h, t->easy);
	set_request_options(h, t);
	if (curl_multi_add_handle(h->multi, t->easy) != CURLM_OK)
		return -ENOMEM;
	h->n_active++;
	t->next = h->active;
	h->active = t;
	return 0;
}

/* Of the active ones. *ret_slot: where a next one would hang. */
static void unlink_active(struct http *h, const struct http_transfer *t, struct http_transfer ***ret_end)
{
	struct http_transfer **slot = &h->active;

	while (*slot)
		if (*slot == t)
			*slot = t->next;
		else
			slot = &(*slot)->next;
	*ret_end = slot;
}

/* --- outcomes ----------------------------------------------------------------------- */

static void conclude(struct http_transfer *t, CURLcode code)
{
	struct http_request *r = t->request;

	/* A connection that closes within the headers is a success for curl. */
	if (code == CURLE_OK && !t->head_whole)
		code = CURLE_PARTIAL_FILE;
	r->reason = code == CURLE_OK ? "" : t->stopped ? "the connection broke" : http_words(t->easy, code);
	if (code == CURLE_OK)
		r->outcome = HTTP_ANSWERED;
	else if (t->stopped)
		r->outcome = HTTP_STOPPED;
	else if (t->sink_refused)
		r->outcome = HTTP_SINK;
	else if (t->source_failed)
		r->outcome = HTTP_SOURCE;
	else
		r->outcome = r->sendings > 0 ? HTTP_LOST : HTTP_UNSENT;
	r->sent = t->sent;
	r->hopeless = t->pool->stop || (r->outcome == HTTP_UNSENT && http_is_hopeless(code));
}

static struct http_request *take_finished(struct http *h)
{
	int left;
	CURLMsg *m;

	while ((m = curl_multi_info_read(h->multi, &left))) {
		struct http_transfer *t = NULL;
		struct http_transfer **end;
		struct http_request *r;
		CURLcode code = m->data.result;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &t);
		r = t->request;
		conclude(t, code);
		curl_multi_remove_handle(h->multi, t->easy);
		unlink_active(h, t, &end);
		h->n_active--;
		release(h, t);
		return r;
	}
	return NULL;
}

/* --- the pool ----------------------------------------------------------------------- */

int http_start(struct http *h, struct http_request *r, int64_t not_before_ns)
{
	struct http_transfer *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	r->status = 0;
	r->framed = false;
	r->sendings = 0;
	r->sent = 0;
	r->hopeless = false;
	r->reason = "";
	r->transfer = t;
	t->request = r;
	t->pool = h;
	t->not_before_ns = not_before_ns;
	t->next = h->waiting;
	h->waiting = t;
	return 0;
}

/* Starts what is due. *ret_failed: one that could not be. Returns how long until the next is due, at most a minute. */
static int64_t start_due(struct http *h, struct http_request **ret_failed)
{
	int64_t now = clock_boottime_ns(), soonest = 60 * NSEC_PER_SEC;
	struct http_transfer **slot = &h->waiting;

	while (*slot) {
		struct http_transfer *t = *slot;

		if (t->not_before_ns > now && !h->stop) {
			soonest = t->not_before_ns - now < soonest ? t->not_before_ns - now : soonest;
			slot = &t->next;
			continue;
		}
		*slot = t->next;
		if (launch(h, t) == 0)
			continue;
		*ret_failed = t->request;
		t->request->outcome = HTTP_UNSENT;
		t->request->reason = "out of memory";
		t->request->hopeless = true;
		release(h, t);
		return 0;
	}
	return soonest;
}

/* Lets those go on that wait for the rate, in turn, until no more may move. */
static void resume(struct http *h)
{
	for (unsigned n = h->n_active; n > 0 && h->rate.per_second > 0; n--) {
		struct http_transfer *t = h->active, **end;

		if (http_rate_wait_ns(&h->rate, clock_boottime_ns()) > 0)
			return;
		unlink_active(h, t, &end);
		t->next = NULL;
		*end = t;
		if (t->paused) {
			t->paused = false;
			curl_easy_pause(t->easy, CURLPAUSE_CONT);
		}
	}
}

/* How long until somebody who waits for the rate may go on, at most a minute. */
static int64_t held(struct http *h)
{
	for (const struct http_transfer *t = h->active; t; t = t->next)
		if (t->paused)
			return http_rate_wait_ns(&h->rate, clock_boottime_ns());
	return 60 * NSEC_PER_SEC;
}

void http_stop(struct http *h)
{
	h->stop = true;
	http_loop_wake(h->loop);
}

struct http_request *http_wait(struct http *h, int64_t at_most_ns)
{
	int64_t end = at_most_ns > 0 ? clock_boottime_ns() + at_most_ns : INT64_MAX, now;
	struct http_request *r = NULL;

	for (;;) {
		int64_t pause = start_due(h, &r);

		if (!r)
			r = take_finished(h);
		if (r)
			return r;
		now = at_most_ns > 0 ? clock_boottime_ns() : 0;
		if ((h->n_active == 0 && !h->waiting) || now >= end)
			return NULL;
		if (end - now < pause)
			pause = end - now;
		resume(h);
		if (held(h) < pause)
			pause = held(h);
		http_loop_turn(h->loop, pause, h->stop);
	}
}

static bool open_multi(struct http *h)
{
	CURLM *multi = curl_multi_init();
	struct http_loop *loop = multi ? http_loop_open(multi) : NULL;

	if (!loop) {
		if (multi)
			curl_multi_cleanup(multi);
		return false;
	}
	curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, h->connections);
	curl_multi_setopt(multi, CURLMOPT_MAX_HOST_CONNECTIONS, h->connections);
	h->multi = multi;
	h->loop = loop;
	return true;
}

static void close_idle(struct http *h)
{
	while (h->n_idle > 0)
		curl_easy_cleanup(h->idle[--h->n_idle]);
}

/* Connections that are idle belong to the multi handle, and are closed with it alone. */
void http_rest(struct http *h)
{
	CURLM *multi = h->multi;
	struct http_loop *loop = h->loop;

	if (h->n_active > 0 || h->waiting || !open_multi(h))
		return;
	close_idle(h);
	curl_multi_cleanup(multi);
	http_loop_close(loop);
}

void http_close(struct http *h)
{
	if (!h)
		return;
	close_idle(h);
	if (h->multi)
		curl_multi_cleanup(h->multi);
	http_loop_close(h->loop);
	if (h->share)
		curl_share_cleanup(h->share);
	free(h->ca_file);
	free(h->proxy);
	free(h);
}

static CURLcode begun;

/*
 * OpenSSL's library alone first: libcurl brings it, too, but with thirty others, in each of which its parts would be
 * looked for; and its first hash can go beside libcurl's loading then (store_prepare.c).
 */
static void begin(void)
{
	sign_load();
	begun = curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* Never undone: another store may be open. libcurl's own lock, of who comes second, spins. */
bool http_prepare(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, begin);
	return begun == CURLE_OK;
}

int http_open(const struct http_options *options, struct http **ret, struct error *err)
{
	const char *proxy = options->direct ? "" : options->proxy;
	const char *ca_directory = options->ca_file ? NULL : http_ca_directory();
	struct http *h;

	/* Who prepares it already is waited for. */
	if (!http_prepare())
		return error_set(err, ENOMEM, "libcurl can't start");
	h = calloc(1, sizeof(*h));
	if (!h)
		return error_set(err, ENOMEM, "out of memory");
	h->connections = (long)options->connections + 4;
	h->share = curl_share_init();
	h->ca_file = options->ca_file ? strdup(options->ca_file) : NULL;
	h->ca_directory = ca_directory;
	h->proxy = proxy ? strdup(proxy) : NULL;
	if (!open_multi(h) || !h->share || (options->ca_file && !h->ca_file) || (proxy && !h->proxy)) {
		http_close(h);
		return error_set(err, ENOMEM, "out of memory");
	}
	curl_share_setopt(h->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
	h->http2 = options->http2;
	h->rate.per_second = options->max_bytes_per_second;
	h->connect_timeout_ms = options->connect_timeout_ms ? (long)options->connect_timeout_ms : CONNECT_TIMEOUT_MS;
	h->low_speed_seconds = options->low_speed_seconds ? (long)options->low_speed_seconds : LOW_SPEED_SECONDS;
	*ret = h;
	return 0;
}
