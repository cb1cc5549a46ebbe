/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/store/token.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/num.h"
#include "hooks/store/credentials_impl.h"
#include "hooks/store/http.h"
#include "hooks/store/s3_xml.h"
#include "hooks/store/sign_sigv4.h"
#include "oci/json.h"

#define REPLY_MAX (128 * 1024)
#define CONNECT_MS 5000
#define SILENCE_SECONDS 5
#define LOCAL_CONNECT_MS 1000
#define LIFETIME_MAX (10 * 365 * 86400)

void token_client_init(struct token_client *c, const char *ca_file, const char *proxy)
{
	memset(c, 0, sizeof(*c));
	c->ca_file = ca_file;
	c->proxy = proxy;
	c->stop_fd = -1;
	pthread_mutex_init(&c->mutex, NULL);
}

void token_client_free(struct token_client *c)
{
	cleanup_close(&c->stop_fd);
	pthread_mutex_destroy(&c->mutex);
}

void token_client_stop(struct token_client *c)
{
	pthread_mutex_lock(&c->mutex);
	c->stopped = true;
	if (c->http)
		http_stop(c->http);
	if (c->stop_fd >= 0)
		eventfd_write(c->stop_fd, 1);
	pthread_mutex_unlock(&c->mutex);
}

int token_client_stop_fd(struct token_client *c)
{
	int fd;

	pthread_mutex_lock(&c->mutex);
	if (c->stop_fd < 0)
		c->stop_fd = eventfd(c->stopped, EFD_CLOEXEC | EFD_NONBLOCK);
	fd = c->stop_fd;
	pthread_mutex_unlock(&c->mutex);
	return fd;
}

/* --- one request -------------------------------------------------------------------------- */

struct exchange {
	struct http_request http;
	struct token_reply reply;
	int64_t retry_after;
};

static void on_header(struct http_request *r, const char *name, size_t name_len, const char *value, size_t value_len)
{
	struct exchange *x = r->user;
	char text[24];
	uint64_t n;

	if (name_len == 16 && !strncasecmp(name, "www-authenticate", 16) && value_len < sizeof(x->reply.challenge)) {
		memcpy(x->reply.challenge, value, value_len);
		x->reply.challenge[value_len] = '\0';
	}
	if (name_len != 11 || strncasecmp(name, "retry-after", 11) != 0 || value_len >= sizeof(text))
		return;
	memcpy(text, value, value_len);
	text[value_len] = '\0';
	x->retry_after = num_parse_u64(text, 3600, &n) == 0 ? (int64_t)n : -1;
}

static bool on_body(struct http_request *r, const char *data, size_t len)
{
	struct exchange *x = r->user;

	if (len > REPLY_MAX - x->reply.body.len)
		return false;
	strbuf_add(&x->reply.body, data, len);
	return !x->reply.body.failed;
}

static void wipe_buffer(struct strbuf *b)
{
	if (b->data)
		explicit_bzero(b->data, b->cap);
	strbuf_free(b);
}

void token_reply_free(struct token_reply *r)
{
	wipe_buffer(&r->body);
}

/* "https://host/path", without what may be secret in its query. */
static int url_shown(const char *url)
{
	return (int)strcspn(url, "?#");
}

static int unanswered(const struct token_request *r, const char *reason, struct error *err)
{
	return error_set(err, EHOSTUNREACH, "%s did not answer: %s at %.*s", r->who, reason, url_shown(r->url), r->url);
}

/* True: once more, after a pause. */
static bool again(const struct token_request *r, const struct exchange *x, unsigned attempt, int64_t began_ns)
{
	int64_t delay;

	if (x->http.outcome != HTTP_ANSWERED && (x->http.hopeless || x->http.outcome == HTTP_SINK || r->local))
		return false;
	if (x->http.outcome == HTTP_ANSWERED && x->http.status != 429 && x->http.status < 500)
		return false;
	delay = http_retry_delay_ns(attempt + 1, x->retry_after, clock_boottime_ns() - began_ns);
	if (attempt >= 3 || delay < 0 || delay > 5 * NSEC_PER_SEC)
		return false;
	clock_sleep_ns(delay);
	return true;
}

/* Has the client the handle to stop it by; false: it is stopped already. */
static bool show_handle(struct token_client *c, struct http *h)
{
	bool go;

	pthread_mutex_lock(&c->mutex);
	go = !c->stopped;
	c->http = go ? h : NULL;
	pthread_mutex_unlock(&c->mutex);
	return go;
}

static int exchange(struct token_client *c, struct http *h, const struct token_request *r, struct exchange *x,
		    struct error *err)
{
	int64_t began_ns = clock_boottime_ns();

	for (unsigned attempt = 1;; attempt++) {
		token_reply_free(&x->reply);
		memset(&x->reply, 0, sizeof(x->reply));
		x->retry_after = -1;
		if (!show_handle(c, h))
			return unanswered(r, "it was given up", err);
		if (http_start(h, &x->http, 0) < 0)
			return error_set(err, ENOMEM, "out of memory");
		http_wait(h, 0);
		if (again(r, x, attempt, began_ns))
			continue;
		if (x->http.outcome == HTTP_ANSWERED && (x->http.status == 429 || x->http.status >= 500))
			return error_set(err, EHOSTUNREACH, "%s failed with status %d at %.*s", r->who, x->http.status,
					 url_shown(r->url), r->url);
		if (x->http.outcome == HTTP_ANSWERED)
			return 0;
		unanswered(r, x->http.outcome == HTTP_SINK ? "its answer is too long" : x->http.reason, err);
		if (r->local && x->http.outcome == HTTP_UNSENT)
			err->code = ENETUNREACH;
		return -err->code;
	}
}

int token_send(struct token_client *c, const struct token_request *r, struct token_reply *ret, struct error *err)
{
	struct http_options options = {.ca_file = c->ca_file,
				       .connect_timeout_ms = r->local ? LOCAL_CONNECT_MS : CONNECT_MS,
				       .low_speed_seconds = SILENCE_SECONDS,
				       .connections = 1,
				       .direct = r->local,
				       .proxy = c->proxy};
	struct exchange x = {.retry_after = -1};
	struct http *h = NULL;
	int result = http_open(&options, &h, err);

	if (result < 0)
		return result;
	x.http =
	    (struct http_request){.method = r->method ? r->method
					    : r->body ? "POST"
						      : "GET",
				  .url = r->url,
				  .headers = r->headers && r->headers[0] ? r->headers : "accept: application/json\n",
				  .has_body = r->body,
				  .data = r->body,
				  .in_fd = -1,
				  .size = r->body ? strlen(r->body) : 0,
				  .header = on_header,
				  .sink = on_body,
				  .user = &x};
	result = exchange(c, h, r, &x, err);
	show_handle(c, NULL);
	http_close(h);
	if (result == 0) {
		x.reply.status = x.http.status;
		*ret = x.reply;
	} else {
		token_reply_free(&x.reply);
	}
	return result;
}

/* --- what they say ------------------------------------------------------------------------ */

/* A code such as "invalid_grant", never free text: that may quote what was sent. */
static bool is_code(const char *s)
{
	size_t n = s ? strlen(s) : 0;

	return n > 0 && n < 64 && strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == n;
}

struct refusal {
	const char *error;
};
static const struct json_field refusal_fields[] = {JSON_FIELD(struct refusal, error, "error", JSON_RAW), {NULL}};
static const struct json_table refusal_table = {"refusal", sizeof(struct refusal), refusal_fields, 0};
struct google_refusal {
	const char *status;
};
static const struct json_field google_fields[] = {JSON_FIELD(struct google_refusal, status, "status", JSON_STR),
						  {NULL}};
static const struct json_table google_table = {"refusal", sizeof(struct google_refusal), google_fields, 0};

static void find_code(const struct token_reply *reply, struct arena *arena, char ret[64])
{
	struct error ignored = ERROR_INIT;
	_cleanup_strbuf_ struct strbuf xml = STRBUF_INIT;
	struct google_refusal google = {NULL};
	struct refusal refusal = {NULL};
	const char *text = strbuf_str(&reply->body), *found = NULL;
	char *word;

	ret[0] = '\0';
	if (s3_xml_any(text, reply->body.len, "Code", &xml) == 0)
		found = strbuf_str(&xml);
	else if (json_parse(text, reply->body.len, "answer", &refusal_table, arena, &refusal, &ignored) == 0 &&
		 refusal.error)
		found = refusal.error;
	if (found && found[0] == '{')
		found = json_parse(found, strlen(found), "answer", &google_table, arena, &google, &ignored) == 0
			    ? google.status
			    : NULL;
	if (found && found[0] == '"' && (word = arena_strndup(arena, found + 1, strcspn(found + 1, "\""))))
		found = word;
	if (is_code(found))
		strcpy(ret, found);
}

int token_refused(const struct token_request *r, const struct token_reply *reply, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	char code[64];

	find_code(reply, &arena, code);
	return error_set(err, EACCES, "%s at %.*s refused: %d%s%s", r->who, url_shown(r->url), r->url, reply->status,
			 code[0] ? " " : "", code);
}

void token_form(struct strbuf *out, const char *name, const char *value)
{
	strbuf_addf(out, "%s%s=", out->len > 0 ? "&" : "", name);
	sigv4_encode(out, value, false);
}

struct answer {
	const char *access_token;
	/* Numbers, or (Azure) strings of digits. App Service tells the moment alone, in seconds since the epoch. */
	const char *expires_in, *expires_on;
};
static const struct json_field answer_fields[] = {
    JSON_FIELD(struct answer, access_token, "access_token", JSON_STR),
    JSON_FIELD(struct answer, expires_in, "expires_in", JSON_RAW),
    JSON_FIELD(struct answer, expires_on, "expires_on", JSON_RAW),
    {NULL},
};
static const struct json_table answer_table = {"answer", sizeof(struct answer), answer_fields, 0};

static bool read_number(const char *raw, uint64_t max, uint64_t *ret)
{
	char digits[24] = "";

	if (raw && sscanf(raw, "%*1[\"]%20[0-9]", digits) != 1)
		sscanf(raw, "%20[0-9]", digits);
	if (digits[0] && num_parse_u64(digits, max, ret) < 0)
		*ret = max;
	return digits[0];
}

/* A token that says "0 seconds" has just expired; "not said" (0) is another thing. */
static int64_t lifetime_of(const struct answer *a)
{
	uint64_t seconds, until, now = (uint64_t)time(NULL);

	if (!read_number(a->expires_in, LIFETIME_MAX, &seconds)) {
		/* Of what is no such moment (an old kind says a date), nothing is known. */
		if (!read_number(a->expires_on, now + LIFETIME_MAX, &until) || until < 1000000000)
			return 0;
		seconds = until > now ? until - now : 0;
	}
	return seconds ? (int64_t)seconds * NSEC_PER_SEC : 1;
}

int token_read(const struct token_request *r, const struct token_reply *reply, struct token_answer *ret,
	       struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct error why = ERROR_INIT;
	struct answer a;

	if (reply->status != 200)
		return token_refused(r, reply, err);
	if (json_parse(strbuf_str(&reply->body), reply->body.len, "answer", &answer_table, &arena, &a, &why) < 0 ||
	    !credentials_usable(a.access_token))
		return error_set(err, EINVAL, "%s at %.*s answered without a token", r->who, url_shown(r->url), r->url);
	ret->access_token = strdup(a.access_token);
	explicit_bzero((char *)a.access_token, strlen(a.access_token));
	if (!ret->access_token)
		return error_set(err, ENOMEM, "out of memory");
	ret->lifetime_ns = lifetime_of(&a);
	return 0;
}

int token_until(const char *rfc3339, int64_t *ret_ns)
{
	struct tm tm = {0};
	const char *end = rfc3339 ? strptime(rfc3339, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
	int64_t left;

	if (!end)
		return -EINVAL;
	if (*end == '.')
		end += 1 + strspn(end + 1, "0123456789");
	if (strcmp(end, "Z") != 0 && strcmp(end, "+00:00") != 0)
		return -EINVAL;
	left = (int64_t)timegm(&tm) - (int64_t)time(NULL);
	*ret_ns = left <= 0 ? 1 : (left > LIFETIME_MAX ? LIFETIME_MAX : left) * NSEC_PER_SEC;
	return 0;
}
