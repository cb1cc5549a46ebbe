/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/hashing.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "hooks/engine/manifest.h"

#define THREADS 2 /* a line brings more than one processor hashes */
#define BUFFER (128 * 1024)
#define TURN (1024 * 1024) /* of one file: who gives it up waits for no more than that */
#define STACK (256 * 1024)

struct hashed {
	int fd;
	off_t offset;
	uint64_t reached, done;
	struct sha256 *hash, *piece_hash; /* the latter NULL: no pieces */
	uint64_t piece_size;
	unsigned char (*pieces)[SHA256_LEN];
	bool busy; /* the thread reads it now */
	int failed;
	struct hashed *next;
};

struct hashing {
	pthread_t threads[THREADS];
	unsigned n_threads;
	bool stop;
	pthread_mutex_t lock;
	pthread_cond_t work, moved;
	struct hashed *files; /* in the order of their beginning */
};

static void update(struct hashed *f, const char *data, size_t n)
{
	sha256_update(f->hash, data, n);
	f->done += n;
	if (!f->piece_hash)
		return;
	sha256_update(f->piece_hash, data, n);
	if (f->done % f->piece_size == 0)
		entry_hash_final(f->piece_hash, f->pieces[f->done / f->piece_size - 1]);
}

/* How many bytes may be read at once; *ret_hole: none needs to be, they are zeros. */
static size_t next_bytes(const struct hashed *f, uint64_t upto, bool *ret_hole)
{
	uint64_t n, hole, piece = f->piece_hash ? f->piece_size - f->done % f->piece_size : UINT64_MAX;

	hole = hole_at(f->fd, f->offset + (off_t)f->done, upto - f->done, &n);
	*ret_hole = hole > 0;
	n = hole > 0 ? hole : n;
	n = n < BUFFER ? n : BUFFER;
	return (size_t)(n < piece ? n : piece);
}

/* Of one file, up to `upto`. Without the lock. */
static int read_on(struct hashed *f, uint64_t upto)
{
	_cleanup_free_ char *buffer = f->done < upto ? malloc(BUFFER) : NULL;

	if (!buffer && f->done < upto)
		return -ENOMEM;
	while (f->done < upto) {
		bool hole;
		size_t n = next_bytes(f, upto, &hole);
		int r = 0;

		if (hole)
			memset(buffer, 0, n);
		else
			r = pread_full(f->fd, buffer, n, f->offset + (off_t)f->done);
		if (r < 0)
			return r;
		update(f, buffer, n);
	}
	return 0;
}

static bool is_done(const struct hashed *f)
{
	return !f->busy && (f->failed < 0 || f->done == f->reached);
}

static struct hashed *next_file(struct hashing *h)
{
	for (struct hashed *f = h->files; f; f = f->next)
		if (!f->busy && !is_done(f))
			return f;
	return NULL;
}

static void *loop(void *ctx)
{
	struct hashing *h = ctx;

	pthread_mutex_lock(&h->lock);
	while (!h->stop) {
		struct hashed *f = next_file(h);
		uint64_t upto;
		int r;

		if (!f) {
			pthread_cond_wait(&h->work, &h->lock);
			continue;
		}
		upto = f->reached - f->done > TURN ? f->done + TURN : f->reached;
		f->busy = true;
		pthread_mutex_unlock(&h->lock);
		r = read_on(f, upto);
		pthread_mutex_lock(&h->lock);
		f->busy = false;
		f->failed = r;
		pthread_cond_broadcast(&h->moved);
	}
	pthread_mutex_unlock(&h->lock);
	return NULL;
}

struct hashing *hashing_new(void)
{
	struct hashing *h = calloc(1, sizeof(*h));
	pthread_attr_t attr;

	if (!h)
		return NULL;
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->work, NULL);
	pthread_cond_init(&h->moved, NULL);
	if (pthread_attr_init(&attr) == 0) {
		pthread_attr_setstacksize(&attr, STACK);
		while (h->n_threads < THREADS && pthread_create(&h->threads[h->n_threads], &attr, loop, h) == 0)
			h->n_threads++;
		pthread_attr_destroy(&attr);
	}
	return h;
}

static void file_free(struct hashed *f)
{
	sha256_free(f->hash);
	sha256_free(f->piece_hash);
	free(f);
}

void hashing_free(struct hashing *h)
{
	if (!h)
		return;
	pthread_mutex_lock(&h->lock);
	h->stop = true;
	pthread_cond_broadcast(&h->work);
	pthread_mutex_unlock(&h->lock);
	for (unsigned i = 0; i < h->n_threads; i++)
		pthread_join(h->threads[i], NULL);
	while (h->files) {
		struct hashed *f = h->files;

		h->files = f->next;
		file_free(f);
	}
	pthread_cond_destroy(&h->work);
	pthread_cond_destroy(&h->moved);
	pthread_mutex_destroy(&h->lock);
	free(h);
}

struct hashed *hashing_begin(struct hashing *h, int fd, off_t offset)
{
	struct hashed *f = calloc(1, sizeof(*f)), **slot = &h->files;

	if (!f)
		return NULL;
	f->fd = fd;
	f->offset = offset;
	f->hash = sha256_new();
	if (!f->hash) {
		free(f);
		return NULL;
	}
	pthread_mutex_lock(&h->lock);
	while (*slot)
		slot = &(*slot)->next;
	*slot = f;
	pthread_mutex_unlock(&h->lock);
	return f;
}

int hashing_pieces(struct hashed *f, uint64_t size, unsigned char (*pieces)[SHA256_LEN])
{
	f->piece_hash = sha256_new();
	f->piece_size = size;
	f->pieces = pieces;
	return f->piece_hash ? 0 : -ENOMEM;
}

void hashing_reach(struct hashing *h, struct hashed *f, uint64_t bytes)
{
	pthread_mutex_lock(&h->lock);
	f->reached = bytes;
	pthread_cond_broadcast(&h->work);
	pthread_mutex_unlock(&h->lock);
}

bool hashing_is_done(struct hashing *h, struct hashed *f)
{
	bool done;

	pthread_mutex_lock(&h->lock);
	done = is_done(f);
	pthread_mutex_unlock(&h->lock);
	return done;
}

int hashing_end(struct hashing *h, struct hashed *f, unsigned char ret[SHA256_LEN])
{
	struct hashed **slot = &h->files;
	int r;

	pthread_mutex_lock(&h->lock);
	while (f->busy || (ret && h->n_threads > 0 && !is_done(f)))
		pthread_cond_wait(&h->moved, &h->lock);
	while (*slot != f)
		slot = &(*slot)->next;
	*slot = f->next;
	pthread_mutex_unlock(&h->lock);
	r = f->failed;
	/* What the thread did not, where there is none. */
	if (r == 0 && ret)
		r = read_on(f, f->reached);
	if (r == 0 && ret)
		entry_hash_final(f->hash, ret);
	if (r == 0 && ret && f->piece_hash && f->done % f->piece_size != 0)
		entry_hash_final(f->piece_hash, f->pieces[f->done / f->piece_size]);
	file_free(f);
	return r;
}
