/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/store/credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "hooks/store/credentials_impl.h"

#define SECRET_MAX 65536
#define WAIT_NS (20 * NSEC_PER_SEC)
/* Before they expire: a quarter of their life, at most this. Issuers have the next ones ready 5 minutes before. */
#define EARLY_NS (300 * NSEC_PER_SEC)
/* A request may be under way so long when they expire. */
#define LATE_NS (10 * NSEC_PER_SEC)
#define AGAIN_MIN_NS (NSEC_PER_SEC / 2)
#define AGAIN_MAX_NS (60 * NSEC_PER_SEC)
/* Nobody is asked again sooner after an error, or for what the store has refused. */
#define PAUSE_NS (2 * NSEC_PER_SEC)
#define THREAD_STACK (256 * 1024)

static const struct credential_provider *chain_of(enum credentials_cloud cloud)
{
	static const struct credential_provider *const chains[] = {
	    [CREDENTIALS_S3] = credentials_chain_s3,
	    [CREDENTIALS_GCS] = credentials_chain_gcs,
	    [CREDENTIALS_AZURE] = credentials_chain_azure,
	};

	return chains[cloud];
}

struct credential_source {
	const struct credential_provider *chain;
	const struct store_config *config;
	struct token_client client;
	/* The owner's. */
	struct credentials current;
	bool have;
	int64_t expires_ns; /* CLOCK_BOOTTIME; 0: never */
	int64_t early_ns,
	    late_ns; /* CLOCK_BOOTTIME from which others are fetched, and these no longer used; 0: never */
	int64_t failed_ns, forced_ns; /* when that happened last; 0: never */
	bool threaded;		      /* one was started and not yet joined */
	pthread_t thread;
	/* Of the thread, and guarded. */
	pthread_mutex_t mutex;
	pthread_cond_t ended;
	bool done;
	int result;
	struct credentials fetched;
	int64_t done_ns; /* CLOCK_BOOTTIME; it may be long before somebody asks */
	struct error error;
};

/* --- through the chain ---------------------------------------------------------------- */

/* One that alone is asked, or NULL. */
static const struct credential_provider *chosen(const struct credential_provider *chain,
						const struct store_config *config)
{
	const char *from = config->credentials.from;

	for (const struct credential_provider *p = chain; p->name; p++)
		if (from ? !strcmp(from, p->name) : p->configured && p->configured(config))
			return p;
	return NULL;
}

static int none_found(const struct credential_fetch *f, struct error *err)
{
	return error_set(err, ENOENT, "no credentials: tried %s", strbuf_str(&f->tried));
}

static int try_one(const struct credential_provider *p, struct credential_fetch *f, struct credentials *ret,
		   struct error *err)
{
	struct credentials c = {0};
	int r = p->fetch(f, &c, err);

	if (r == 0) {
		*ret = c;
		return 0;
	}
	credentials_free(&c);
	if (r == -ENETUNREACH)
		err->code = EHOSTUNREACH;
	return r == -ENOMEM ? error_set(err, ENOMEM, "out of memory") : r == -ENETUNREACH ? -EHOSTUNREACH : r;
}

static int go_through(const struct credential_provider *chain, struct credential_fetch *f, struct credentials *ret,
		      struct error *err)
{
	const struct credential_provider *only = chosen(chain, f->config);
	int r;

	if (f->config->credentials.from && !strcmp(f->config->credentials.from, "none")) {
		*ret = (struct credentials){.kind = CREDENTIALS_ANONYMOUS};
		return credentials_from(ret, "none, as the configuration wants");
	}
	if (only) {
		r = try_one(only, f, ret, err);
		return r == -ENOENT ? none_found(f, err) : r;
	}
	for (const struct credential_provider *p = chain; p->name; p++) {
		r = try_one(p, f, ret, err);
		if (r != -ENOENT)
			return r;
	}
	return none_found(f, err);
}

static int fetch(struct credential_source *s, struct token_client *client, struct credentials *ret, struct error *err)
{
	struct credential_fetch f = {.config = s->config, .client = client};
	int r = go_through(s->chain, &f, ret, err);

	strbuf_free(&f.tried);
	return r;
}

/* --- the source ----------------------------------------------------------------------- */

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* Takes c over, whose life began at `now`. The same again are the same, but for their time. */
static void use(struct credential_source *s, struct credentials *c, int64_t now)
{
	int64_t life = c->lifetime_ns;
	uint64_t generation = s->current.generation;

	c->generation = s->have && credentials_equal(c, &s->current) ? generation : generation + 1;
	credentials_free(&s->current);
	s->current = *c;
	s->have = true;
	s->expires_ns = life > 0 ? now + life : 0;
	s->late_ns = life > 0 ? now + life - least(life / 10, LATE_NS) : 0;
	s->early_ns = life > 0 ? now + life - least(life / 4, EARLY_NS) : 0;
	/* An issuer that still gives the old ones (within their last minutes) is asked again, now and then. */
	if (life > 0 && c->generation == generation)
		s->early_ns = now + (life / 10 < AGAIN_MIN_NS	? AGAIN_MIN_NS
				     : life / 10 > AGAIN_MAX_NS ? AGAIN_MAX_NS
								: life / 10);
}

static void *fetch_loop(void *arg)
{
	struct credential_source *s = arg;
	struct error err = ERROR_INIT;
	struct credentials c = {0};
	int r = fetch(s, &s->client, &c, &err);

	pthread_mutex_lock(&s->mutex);
	s->fetched = c;
	s->done_ns = clock_boottime_ns();
	s->error = err;
	s->result = r;
	s->done = true;
	pthread_cond_signal(&s->ended);
	pthread_mutex_unlock(&s->mutex);
	return NULL;
}

static int begin(struct credential_source *s, struct error *err)
{
	pthread_attr_t attr;
	int r;

	if (s->threaded)
		return 0;
	s->done = false;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, THREAD_STACK);
	r = pthread_create(&s->thread, &attr, fetch_loop, s);
	pthread_attr_destroy(&attr);
	if (r != 0)
		return error_set(err, r, "can't start the thread that fetches credentials (error %d)", r);
	s->threaded = true;
	return 0;
}

/* What the thread has brought, once it has ended; waits for that up to wait_ns. */
static void collect(struct credential_source *s, int64_t wait_ns)
{
	struct timespec ts;
	bool done;

	if (!s->threaded)
		return;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_sec += wait_ns / NSEC_PER_SEC;
	pthread_mutex_lock(&s->mutex);
	while (!s->done && wait_ns > 0 && pthread_cond_timedwait(&s->ended, &s->mutex, &ts) == 0)
		;
	done = s->done;
	pthread_mutex_unlock(&s->mutex);
	if (!done)
		return;
	pthread_join(s->thread, NULL);
	s->threaded = false;
	if (s->result == 0) {
		use(s, &s->fetched, s->done_ns);
		s->failed_ns = 0;
	} else {
		s->failed_ns = s->done_ns;
		s->early_ns = s->early_ns ? s->failed_ns + PAUSE_NS : 0;
	}
	memset(&s->fetched, 0, sizeof(s->fetched));
}

static bool valid(const struct credential_source *s, int64_t now)
{
	return s->have && (s->late_ns == 0 || now < s->late_ns);
}

int credentials_get(struct credential_source *s, const struct credentials **ret, struct error *err)
{
	struct error ignored = ERROR_INIT;
	int64_t now = clock_boottime_ns();
	int r;

	collect(s, 0);
	if (valid(s, now)) {
		if (s->early_ns && now >= s->early_ns)
			begin(s, &ignored);
		*ret = &s->current;
		return 0;
	}
	if (!s->threaded && s->failed_ns && now - s->failed_ns < PAUSE_NS) {
		*err = s->error;
		return -err->code;
	}
	r = begin(s, err);
	if (r < 0)
		return r;
	collect(s, WAIT_NS);
	if (s->threaded)
		return error_set(err, EHOSTUNREACH, "credentials did not come within %d s",
				 (int)(WAIT_NS / NSEC_PER_SEC));
	if (!valid(s, clock_boottime_ns())) {
		*err = s->error;
		/* Where there were some, somebody is silent who will speak again. */
		if (s->result == -ENOENT && s->have)
			err->code = EHOSTUNREACH;
		return s->result < 0 ? -err->code
				     : error_set(err, EACCES, "the credentials (%s) have expired", s->current.origin);
	}
	*ret = &s->current;
	return 0;
}

bool credentials_refused(struct credential_source *s, uint64_t generation)
{
	struct error ignored = ERROR_INIT;
	int64_t now = clock_boottime_ns();

	collect(s, 0);
	if (s->current.generation != generation)
		return true;
	if (s->forced_ns && now - s->forced_ns < PAUSE_NS)
		return false;
	if (begin(s, &ignored) == 0)
		collect(s, WAIT_NS);
	s->forced_ns = clock_boottime_ns();
	return s->current.generation != generation;
}

int credentials_describe(struct credential_source *s, char *ret, size_t size, struct error *err)
{
	const struct credentials *c;
	int64_t left;
	int r = credentials_get(s, &c, err);

	if (r < 0)
		return r;
	left = (s->expires_ns - clock_boottime_ns()) / NSEC_PER_SEC;
	if (s->expires_ns == 0)
		snprintf(ret, size, "from %s", c->origin);
	else
		snprintf(ret, size, "from %s, good for %lld h %02lld min %02lld s, then renewed", c->origin,
			 (long long)left / 3600, (long long)left / 60 % 60, (long long)left % 60);
	return 0;
}

static void source_free(struct credential_source *s)
{
	credentials_free(&s->current);
	credentials_free(&s->fetched);
	token_client_free(&s->client);
	pthread_mutex_destroy(&s->mutex);
	pthread_cond_destroy(&s->ended);
	free(s);
}

void credentials_close(struct credential_source *s)
{
	if (!s)
		return;
	token_client_stop(&s->client);
	if (s->threaded)
		pthread_join(s->thread, NULL);
	source_free(s);
}

int credentials_open(const struct store_config *config, enum credentials_cloud cloud, struct credential_source **ret,
		     struct error *err)
{
	struct credential_source *s = calloc(1, sizeof(*s));
	struct credentials c = {0};
	pthread_condattr_t attr;
	int r;

	if (!s)
		return error_set(err, ENOMEM, "store \"%s\": out of memory", config->name);
	s->chain = chain_of(cloud);
	s->config = config;
	token_client_init(&s->client, config->ca_file, config->proxy);
	pthread_mutex_init(&s->mutex, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->ended, &attr);
	pthread_condattr_destroy(&attr);
	r = fetch(s, NULL, &c, err);
	if (r == 0)
		use(s, &c, clock_boottime_ns());
	if (r < 0 && r != -EAGAIN) {
		source_free(s);
		return error_wrap(err, "store \"%s\"", config->name);
	}
	*ret = s;
	return 0;
}

/* --- for the providers ---------------------------------------------------------------- */

int credentials_tried(struct credential_fetch *f, const char *fmt, ...)
{
	char text[300];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	strbuf_addf(&f->tried, "%s%s", f->tried.len > 0 ? ", " : "", text);
	return -ENOENT;
}

int credentials_from(struct credentials *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c->origin, sizeof(c->origin), fmt, ap);
	va_end(ap);
	return 0;
}

bool credentials_usable(const char *s)
{
	if (!s || !s[0])
		return false;
	for (; *s; s++)
		if (*s <= 0x20 || *s >= 0x7f)
			return false;
	return true;
}

const char *credentials_env(const char *name)
{
	const char *v = secure_getenv(name);

	return v && v[0] ? v : NULL;
}

int credentials_copy(const char *text, const char *what, char **ret, struct error *err)
{
	if (!credentials_usable(text))
		return error_set(err, EINVAL, "%s is missing or can't be one", what);
	*ret = strdup(text);
	return *ret ? 0 : error_set(err, ENOMEM, "out of memory");
}

int credentials_read_file(const char *path, const char *what, char **ret, struct error *err)
{
	int r = read_file_at(AT_FDCWD, path, SECRET_MAX, ret, NULL);

	return r >= 0 ? 0
		      : error_set(err, r == -ENOENT ? ENOENT : EINVAL, "%s %s can't be read (%s)", what, path,
				  r == -ENOENT	 ? "it is missing"
				  : r == -EACCES ? "this user may not"
				  : r == -EFBIG	 ? "it is too large"
						 : "input/output failed");
}

int credentials_read_line(const char *path, char **ret, struct error *err)
{
	_cleanup_wipe_ char *text = NULL;
	int r = credentials_read_file(path, "the credentials' file", &text, err);

	if (r < 0)
		return error_set(err, EINVAL, "%s", (const char *)strdupa(err->msg));
	text[strcspn(text, "\r\n \t")] = '\0';
	if (!credentials_usable(text))
		return error_set(err, EINVAL, "the credentials' file %s holds none", path);
	*ret = TAKE_PTR(text);
	return 0;
}

void credentials_wipe(char **s)
{
	if (*s)
		explicit_bzero(*s, strlen(*s));
	free(*s);
	*s = NULL;
}

void credentials_free(struct credentials *c)
{
	credentials_wipe(&c->id);
	credentials_wipe(&c->secret);
	credentials_wipe(&c->token);
}

static bool same(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

bool credentials_equal(const struct credentials *a, const struct credentials *b)
{
	return a->kind == b->kind && same(a->id, b->id) && same(a->secret, b->secret) && same(a->token, b->token);
}
