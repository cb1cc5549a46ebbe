/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/unpack.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/cpus.h"
#include "base/io.h"
#include "hooks/engine/sparse.h"
#include "hooks/store/sign.h"

#define THREADS_MAX 4 /* the caller is one of them when it waits */
#define STACK (256 * 1024)
#define ALONE_MAX 256 /* so few files are made sooner than threads */
#define RUN 32	      /* files that one takes at once: in a pack, neighbours are of one directory */
#define RANGES_MAX 8  /* that wait: they take room on the disk */
#define COPY_BUFFER 65536

struct range {
	int fd;
	uint64_t offset;
	struct entry **files;
	size_t n, taken;
	unsigned busy; /* how many work at it */
	struct range *next;
};

/* Each has what making a file takes. */
struct worker {
	struct unpacking *u;
	pthread_t thread;
	struct tree tree;
	struct sha256 *hash;
	char *buffer;
};

struct unpacking {
	const struct tree *tree;
	struct worker workers[THREADS_MAX]; /* the first one is the caller */
	unsigned n_workers;
	bool stop;
	pthread_mutex_t lock;
	pthread_cond_t work, moved;
	struct range *ranges; /* in the order in which they came, until they are done */
	unsigned n_ranges;
	size_t files; /* that were ever added */
	struct unpack_failure failed;
};

/* --- a file -------------------------------------------------------------------------------- */

static int unpack(struct worker *w, const struct range *range, const struct entry *e, bool *ret_wrong)
{
	_cleanup_close_ int out = tree_create(&w->tree, e->path);
	off_t from = (off_t)(e->offset - range->offset);
	unsigned char hash[SHA256_LEN];
	int r = out < 0 ? out : 0;

	for (uint64_t at = 0; at < e->size && r == 0;) {
		size_t n = e->size - at < COPY_BUFFER ? (size_t)(e->size - at) : COPY_BUFFER;

		r = pread_full(range->fd, w->buffer, n, from + (off_t)at);
		if (r == 0)
			r = e->flags & ENTRY_SPARSE ? sparse_write(out, w->buffer, n, (off_t)at)
						    : pwrite_all(out, w->buffer, n, (off_t)at);
		if (r == 0)
			sha256_update(w->hash, w->buffer, n);
		at += n;
	}
	if (r == 0 && (e->flags & ENTRY_SPARSE) && ftruncate(out, (off_t)e->size) < 0)
		r = -errno;
	entry_hash_final(w->hash, hash);
	*ret_wrong = r == 0 && memcmp(hash, e->sha256, SHA256_LEN) != 0;
	if (*ret_wrong)
		return -EBADMSG;
	return r < 0 ? r : tree_install(&w->tree, out, e);
}

/* --- who does it --------------------------------------------------------------------------- */

static void range_free(struct range *range)
{
	if (range->fd >= 0)
		close(range->fd);
	free(range);
}

/* With the lock: the next files of the first range that has some; NULL: there is nothing to begin. */
static struct range *take(struct unpacking *u, size_t *ret_from, size_t *ret_to)
{
	struct range *range = u->failed.r == 0 ? u->ranges : NULL;

	while (range && range->taken == range->n)
		range = range->next;
	if (!range)
		return NULL;
	*ret_from = range->taken;
	*ret_to = range->n - range->taken < RUN ? range->n : range->taken + RUN;
	range->taken = *ret_to;
	range->busy++;
	return range;
}

/* With the lock: one has done its part. The last one removes the range. */
static void give_back(struct unpacking *u, struct range *range)
{
	struct range **slot = &u->ranges;

	if (--range->busy > 0 || range->taken < range->n)
		return;
	while (*slot != range)
		slot = &(*slot)->next;
	*slot = range->next;
	u->n_ranges--;
	range_free(range);
	pthread_cond_signal(&u->moved);
}

/* With the lock, but while it works. False: there was nothing to begin. */
static bool work_once(struct worker *w)
{
	struct unpacking *u = w->u;
	struct unpack_failure f = {0};
	size_t from, to;
	struct range *range = take(u, &from, &to);

	if (!range)
		return false;
	pthread_mutex_unlock(&u->lock);
	for (; from < to && f.r == 0; from++) {
		f.entry = range->files[from];
		f.r = unpack(w, range, f.entry, &f.wrong_bytes);
	}
	pthread_mutex_lock(&u->lock);
	if (f.r < 0 && u->failed.r == 0) {
		u->failed = f;
		pthread_cond_signal(&u->moved);
	}
	give_back(u, range);
	return true;
}

static void *loop(void *arg)
{
	struct worker *w = arg;
	struct unpacking *u = w->u;

	pthread_mutex_lock(&u->lock);
	while (!u->stop)
		if (!work_once(w))
			pthread_cond_wait(&u->work, &u->lock);
	pthread_mutex_unlock(&u->lock);
	return NULL;
}

static bool worker_open(struct unpacking *u, struct worker *w)
{
	w->u = u;
	tree_for_thread(u->tree, &w->tree);
	w->hash = sha256_new();
	w->buffer = malloc(COPY_BUFFER);
	return w->hash && w->buffer;
}

static void worker_close(struct worker *w)
{
	tree_thread_end(&w->tree);
	sha256_free(w->hash);
	free(w->buffer);
}

/* Without them it takes longer. */
static void start_threads(struct unpacking *u)
{
	unsigned n = cpus_usable();
	pthread_attr_t attr;

	if (pthread_attr_init(&attr) != 0)
		return;
	pthread_attr_setstacksize(&attr, STACK);
	while (u->n_workers < n && u->n_workers < THREADS_MAX) {
		struct worker *w = &u->workers[u->n_workers];

		if (!worker_open(u, w) || pthread_create(&w->thread, &attr, loop, w) != 0) {
			worker_close(w);
			break;
		}
		u->n_workers++;
	}
	pthread_attr_destroy(&attr);
}

struct unpacking *unpacking_new(const struct tree *t)
{
	struct unpacking *u = calloc(1, sizeof(*u));

	if (!u)
		return NULL;
	u->tree = t;
	u->n_workers = 1;
	pthread_mutex_init(&u->lock, NULL);
	pthread_cond_init(&u->work, NULL);
	pthread_cond_init(&u->moved, NULL);
	if (worker_open(u, u->workers))
		return u;
	unpacking_free(u);
	return NULL;
}

void unpacking_free(struct unpacking *u)
{
	if (!u)
		return;
	pthread_mutex_lock(&u->lock);
	u->stop = true;
	pthread_cond_broadcast(&u->work);
	pthread_mutex_unlock(&u->lock);
	for (unsigned i = 1; i < u->n_workers; i++)
		pthread_join(u->workers[i].thread, NULL);
	for (unsigned i = 0; i < u->n_workers; i++)
		worker_close(&u->workers[i]);
	while (u->ranges) {
		struct range *range = u->ranges;

		u->ranges = range->next;
		range_free(range);
	}
	pthread_cond_destroy(&u->moved);
	pthread_cond_destroy(&u->work);
	pthread_mutex_destroy(&u->lock);
	free(u);
}

void unpacking_add(struct unpacking *u, int fd, uint64_t offset, struct entry **files, size_t n)
{
	struct range *range = calloc(1, sizeof(*range)), **slot = &u->ranges;

	if (range)
		*range = (struct range){.fd = fd, .offset = offset, .files = files, .n = n};
	else if (fd >= 0)
		close(fd);
	u->files += n;
	if (u->n_workers == 1 && u->files > ALONE_MAX)
		start_threads(u);
	pthread_mutex_lock(&u->lock);
	while (*slot)
		slot = &(*slot)->next;
	*slot = range;
	if (range)
		u->n_ranges++;
	else if (u->failed.r == 0)
		u->failed = (struct unpack_failure){.r = -ENOMEM, .entry = files[0]};
	pthread_cond_broadcast(&u->work);
	while ((u->n_workers == 1 || u->n_ranges > RANGES_MAX) && work_once(u->workers))
		;
	pthread_mutex_unlock(&u->lock);
}

struct unpack_failure unpacking_failed(struct unpacking *u)
{
	struct unpack_failure f;

	pthread_mutex_lock(&u->lock);
	f = u->failed;
	pthread_mutex_unlock(&u->lock);
	return f;
}

struct unpack_failure unpacking_end(struct unpacking *u)
{
	struct unpack_failure f;

	pthread_mutex_lock(&u->lock);
	while (work_once(u->workers))
		;
	while (u->ranges && u->failed.r == 0)
		pthread_cond_wait(&u->moved, &u->lock);
	f = u->failed;
	pthread_mutex_unlock(&u->lock);
	return f;
}
