/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fake_store.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/io.h"

struct object {
	struct object *next;
	char *key, *data, *mark;
	size_t size;
	unsigned version; /* its tag */
	int64_t mtime;
};

struct late {
	struct late *next;
	struct object object;
	enum store_op_kind kind;
	enum store_condition condition;
	char if_tag[STORE_TAG_MAX];
};

struct fake_store {
	pthread_mutex_t mutex;
	struct object *objects; /* sorted by key */
	struct late *late, **late_end;
	struct fake_fault fault;
	unsigned counts[STORE_COPY + 1], version;
};

struct client {
	struct store store;
	struct fake_store *f;
};

struct fake_store *fake_store_new(void)
{
	struct fake_store *f = calloc(1, sizeof(*f));

	pthread_mutex_init(&f->mutex, NULL);
	f->late_end = &f->late;
	return f;
}

static void free_content(struct object *o)
{
	free(o->key);
	free(o->data);
	free(o->mark);
}

void fake_store_free(struct fake_store *f)
{
	while (f->objects) {
		struct object *o = f->objects;

		f->objects = o->next;
		free_content(o);
		free(o);
	}
	while (f->late) {
		struct late *l = f->late;

		f->late = l->next;
		free_content(&l->object);
		free(l);
	}
	pthread_mutex_destroy(&f->mutex);
	free(f);
}

static struct object **find(struct fake_store *f, const char *key)
{
	struct object **o = &f->objects;

	while (*o && strcmp((*o)->key, key) < 0)
		o = &(*o)->next;
	return o;
}

static bool is_at(struct object **o, const char *key)
{
	return *o && strcmp((*o)->key, key) == 0;
}

static void format_tag(const struct object *o, char tag[STORE_TAG_MAX])
{
	snprintf(tag, STORE_TAG_MAX, "v%u", o->version);
}

static bool holds(struct fake_store *f, const char *key, enum store_condition condition, const char *if_tag)
{
	struct object **o = find(f, key);
	char tag[STORE_TAG_MAX];

	if (condition == STORE_IF_ABSENT)
		return !is_at(o, key);
	if (condition == STORE_IF_TAG) {
		if (!is_at(o, key))
			return false;
		format_tag(*o, tag);
		return strcmp(tag, if_tag) == 0;
	}
	return true;
}

/* Puts the content (owned by the store afterwards); `data` NULL removes. */
static struct object *place(struct fake_store *f, char *key, char *data, size_t size, char *mark)
{
	struct object **at = find(f, key), *o = is_at(at, key) ? *at : NULL;

	if (!data) {
		if (o) {
			*at = o->next;
			free_content(o);
			free(o);
		}
		free(key);
		return NULL;
	}
	if (o) {
		free_content(o);
	} else {
		o = calloc(1, sizeof(*o));
		o->next = *at;
		*at = o;
	}
	o->key = key;
	o->data = data;
	o->size = size;
	o->mark = mark;
	o->version = ++f->version;
	o->mtime = time(NULL);
	return o;
}

static void get(struct fake_store *f, struct store_op *op)
{
	struct object **at = find(f, op->key), *o = *at;
	size_t len;

	if (!is_at(at, op->key)) {
		op->result = STORE_ABSENT;
		return;
	}
	format_tag(o, op->tag);
	snprintf(op->got_mark, sizeof(op->got_mark), "%s", o->mark ? o->mark : "");
	op->mtime = o->mtime;
	op->got_size = o->size;
	if (op->kind == STORE_HEAD)
		return;
	if (op->offset > o->size) {
		op->result = STORE_INVALID;
		return;
	}
	len = o->size - op->offset;
	if (op->length && op->length < len)
		len = op->length;
	op->got_size = len;
	if (op->out_fd >= 0) {
		if (pwrite_all(op->out_fd, o->data + op->offset, len, op->out_offset) < 0)
			op->result = STORE_FAILED;
	} else if (len > op->max_body) {
		op->result = STORE_CORRUPT;
	} else {
		strbuf_add(&op->body, o->data + op->offset, len);
	}
}

/* The bytes that a write would leave; NULL for DELETE and for a COPY of nothing. */
static char *payload(struct fake_store *f, const struct store_op *op, size_t *ret_size)
{
	const char *from = op->data;
	size_t size = op->size;
	char *data;

	if (op->kind == STORE_DELETE)
		return NULL;
	if (op->kind == STORE_COPY) {
		struct object **o = find(f, op->source);

		if (!is_at(o, op->source))
			return NULL;
		from = (*o)->data;
		size = (*o)->size;
	}
	data = calloc(1, size + 1);
	if (op->kind == STORE_PUT && op->in_fd >= 0)
		pread_full(op->in_fd, data, size, op->in_offset);
	else if (size)
		memcpy(data, from, size);
	*ret_size = size;
	return data;
}

static void change(struct fake_store *f, struct store_op *op, bool late)
{
	size_t size = 0;
	char *data = payload(f, op, &size);
	struct object *o;

	if (op->kind == STORE_COPY && !data) {
		op->result = STORE_ABSENT;
		return;
	}
	if (late) {
		struct late *l = calloc(1, sizeof(*l));

		l->object = (struct object){NULL, strdup(op->key), data, op->mark ? strdup(op->mark) : NULL, size};
		l->kind = op->kind;
		l->condition = op->condition;
		snprintf(l->if_tag, sizeof(l->if_tag), "%s", op->if_tag ? op->if_tag : "");
		*f->late_end = l;
		f->late_end = &l->next;
		return;
	}
	if (!holds(f, op->key, op->condition, op->if_tag)) {
		op->result = STORE_FALSE;
		free(data);
		return;
	}
	o = place(f, strdup(op->key), data, size, op->mark ? strdup(op->mark) : NULL);
	if (o)
		format_tag(o, op->tag);
}

static void break_bytes(struct store_op *op)
{
	op->body.len /= 2;
	if (op->out_fd >= 0 && op->got_size > 0)
		pwrite_all(op->out_fd, "\377", 1, op->out_offset);
}

static void answer(struct fake_store *f, struct store_op *op, const struct fake_fault *fault)
{
	op->result = STORE_OK;
	if (!fault || fault->effect != FAKE_NOTHING || fault->result == STORE_OK) {
		if (op->kind == STORE_GET || op->kind == STORE_HEAD)
			get(f, op);
		else
			change(f, op, fault && fault->effect == FAKE_LATE);
	}
	if (fault && fault->effect == FAKE_BROKEN && op->kind == STORE_GET)
		break_bytes(op);
	if (fault && fault->result != STORE_OK) {
		op->result = fault->result;
		op->tag[0] = '\0';
		strbuf_reset(&op->body);
	}
	if (op->result != STORE_OK)
		error_set(&op->err, EIO, "fake store: %s", store_result_name(op->result));
}

static void serve(struct store *s, struct store_op *op)
{
	struct fake_store *f = ((struct client *)s)->f;
	struct fake_fault fault, *hit = NULL;

	op->tag[0] = op->got_mark[0] = '\0';
	op->got_size = 0;
	op->attempts = 1;
	op->sent_ns = clock_boottime_ns();
	if (op->kind != STORE_GET && op->kind != STORE_HEAD && s->valid && !s->valid(s->valid_ctx)) {
		op->result = STORE_CANCELLED;
		error_set(&op->err, EIO, "fake store: cancelled");
		return;
	}
	pthread_mutex_lock(&f->mutex);
	f->counts[op->kind]++;
	fault = f->fault;
	if (fault.count && fault.kind == op->kind && (!fault.key_part || strstr(op->key, fault.key_part))) {
		hit = &fault;
		if (fault.count > 0)
			f->fault.count--;
	}
	pthread_mutex_unlock(&f->mutex);
	if (hit && hit->delay_ns)
		clock_sleep_ns(hit->delay_ns);
	pthread_mutex_lock(&f->mutex);
	answer(f, op, hit);
	pthread_mutex_unlock(&f->mutex);
}

static void run(struct store *s, struct store_op *(*next)(void *), void (*done)(void *, struct store_op *), void *ctx,
		unsigned parallel)
{
	struct store_op *op;

	(void)parallel;
	while ((op = next(ctx))) {
		serve(s, op);
		done(ctx, op);
	}
}

static int list(struct store *s, const char *prefix, store_list_fn fn, void *ctx, struct error *err)
{
	struct fake_store *f = ((struct client *)s)->f;
	struct object *o;
	int r = 0;

	for (o = f->objects; o && r >= 0; o = o->next) {
		char tag[STORE_TAG_MAX];
		struct store_list_item item = {.key = o->key, .size = o->size, .tag = tag, .mtime = o->mtime};

		format_tag(o, tag);
		if (strncmp(o->key, prefix, strlen(prefix)) == 0)
			r = fn(ctx, &item, err);
	}
	return r < 0 ? r : 0;
}

static void close_client(struct store *s)
{
	free(s);
}

struct store *fake_store_open(struct fake_store *f)
{
	static const struct store_vtable ops = {"fake", close_client, run, list};
	struct client *c = calloc(1, sizeof(*c));

	c->store.ops = &ops;
	c->store.name = "fake";
	c->store.caps = STORE_CAP_COPY;
	c->store.parallel = 4;
	c->f = f;
	return &c->store;
}

void fake_store_fault(struct fake_store *f, struct fake_fault fault)
{
	pthread_mutex_lock(&f->mutex);
	f->fault = fault;
	pthread_mutex_unlock(&f->mutex);
}

int fake_store_land(struct fake_store *f)
{
	int landed = 0;

	pthread_mutex_lock(&f->mutex);
	while (f->late) {
		struct late *l = f->late;

		f->late = l->next;
		if (holds(f, l->object.key, l->condition, l->if_tag)) {
			place(f, l->object.key, l->object.data, l->object.size, l->object.mark);
			landed++;
		} else {
			free_content(&l->object);
		}
		free(l);
	}
	f->late_end = &f->late;
	pthread_mutex_unlock(&f->mutex);
	return landed;
}

unsigned fake_store_count(struct fake_store *f, enum store_op_kind kind)
{
	unsigned n;

	pthread_mutex_lock(&f->mutex);
	n = f->counts[kind];
	pthread_mutex_unlock(&f->mutex);
	return n;
}

char *fake_store_text(struct fake_store *f, const char *key)
{
	struct object **o;
	char *text;

	pthread_mutex_lock(&f->mutex);
	o = find(f, key);
	text = is_at(o, key) ? strdup((*o)->data) : NULL;
	pthread_mutex_unlock(&f->mutex);
	return text;
}

void fake_store_age(struct fake_store *f, int64_t seconds)
{
	pthread_mutex_lock(&f->mutex);
	for (struct object *o = f->objects; o; o = o->next)
		o->mtime -= seconds;
	pthread_mutex_unlock(&f->mutex);
}

bool fake_store_holds(struct fake_store *f, const char *text)
{
	bool found = false;

	pthread_mutex_lock(&f->mutex);
	for (const struct object *o = f->objects; o; o = o->next)
		found |= o->size > 0 && memmem(o->data, o->size, text, strlen(text));
	pthread_mutex_unlock(&f->mutex);
	return found;
}

void fake_store_put(struct fake_store *f, const char *key, const char *text)
{
	pthread_mutex_lock(&f->mutex);
	place(f, strdup(key), text ? strdup(text) : NULL, text ? strlen(text) : 0, NULL);
	pthread_mutex_unlock(&f->mutex);
}
