/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/scan_look.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/cpus.h"
#include "hooks/engine/scan.h"
#include "hooks/engine/tree.h"

#define WALKERS_MAX 4
#define WALKER_STACK (256 * 1024)
/* Threads are for trees that have more names than this. */
#define ALONE_MAX 2000
/* Names of one directory that are read at once; somebody else may look at them. */
#define BATCH 256

/* Names of a directory, each with its NUL. */
struct batch {
	size_t n;
	char names[BATCH * (NAME_MAX + 1)];
};

/* A directory to be listed, or (listed not NULL) names of one to be looked at. */
struct task {
	struct task *next;
	struct entry *dir;
	struct listed *listed;
	struct batch *batch;
};

#define WARN(w, ...)                                                                                                   \
	do {                                                                                                           \
		pthread_mutex_lock(&(w)->walk->mutex);                                                                 \
		report_warning((w)->s->report, __VA_ARGS__);                                                           \
		pthread_mutex_unlock(&(w)->walk->mutex);                                                               \
	} while (0)

/* --- what is to be done ------------------------------------------------------------------ */

static struct task *new_task(struct walker *w)
{
	struct task *t = calloc(1, sizeof(*t));

	if (!t)
		scan_no_memory(&w->err);
	return t;
}

static void push(struct walk *k, struct task *t)
{
	pthread_mutex_lock(&k->mutex);
	t->next = k->tasks;
	k->tasks = t;
	k->n_tasks++;
	pthread_cond_signal(&k->changed);
	pthread_mutex_unlock(&k->mutex);
}

int scan_push_directory(struct walker *w, struct entry *dir)
{
	struct task *t = new_task(w);

	if (!t)
		return -ENOMEM;
	t->dir = dir;
	push(w->walk, t);
	return 0;
}

/* NULL: there is nothing more, or somebody failed. */
static struct task *pop(struct walk *k)
{
	struct task *t = NULL;

	pthread_mutex_lock(&k->mutex);
	k->busy--;
	while (!k->tasks && k->busy > 0 && k->failed == 0)
		pthread_cond_wait(&k->changed, &k->mutex);
	if (k->tasks && k->failed == 0) {
		t = k->tasks;
		k->tasks = t->next;
		k->n_tasks--;
		k->busy++;
	} else {
		pthread_cond_broadcast(&k->changed);
	}
	pthread_mutex_unlock(&k->mutex);
	return t;
}

static bool somebody_waits(struct walk *k)
{
	bool waits;

	pthread_mutex_lock(&k->mutex);
	waits = k->busy + k->n_tasks < k->n_walkers;
	pthread_mutex_unlock(&k->mutex);
	return waits;
}

static void leave(struct walk *k, struct listed *l)
{
	bool last;

	pthread_mutex_lock(&k->mutex);
	last = --l->users == 0;
	pthread_mutex_unlock(&k->mutex);
	if (last) {
		closedir(l->dir);
		free(l);
	}
}

/* --- one directory ------------------------------------------------------------------------- */

/* Of the entry that was found before the directory was opened; what it is now is what is listed. */
static int read_xattrs(struct walker *w, int fd, struct entry *e)
{
	struct xattrs_lost lost = {0};
	int r = -ESTALE;

	for (int i = 0; i < 3 && r == -ESTALE; i++)
		r = xattrs_read(fd, &w->m.arena, &e->xattrs, &lost);
	pthread_mutex_lock(&w->walk->mutex);
	report_lost(w->s->report, &lost, &w->walk->warned, e->path);
	pthread_mutex_unlock(&w->walk->mutex);
	return r < 0 ? tree_error(&w->err, r, "the attributes of the directory \"%s\" can't be read", e->path) : 0;
}

static int look_at_names(struct walker *w, const struct listed *l, const struct batch *b)
{
	const char *name = b->names;
	int r = 0;

	for (size_t i = 0; i < b->n && r == 0; i++, name += strlen(name) + 1)
		r = scan_look_at(w, l, name);
	return r;
}

/* The next names of a directory; none: the end, or errno. */
static void read_names(DIR *dir, struct batch *b)
{
	struct dirent *de;
	size_t len = 0;

	b->n = 0;
	for (errno = 0; b->n < BATCH && (de = readdir(dir)); errno = 0) {
		size_t n = strlen(de->d_name) + 1;

		if (!strcmp(de->d_name, ".") || !strcmp(de->d_name, ".."))
			continue;
		memcpy(b->names + len, de->d_name, n);
		len += n;
		b->n++;
	}
}

/* Hands the walker's names over to whoever has nothing to do. */
static int share(struct walker *w, struct listed *l)
{
	struct task *t = new_task(w);

	if (!t)
		return -ENOMEM;
	t->listed = l;
	t->batch = TAKE_PTR(w->batch);
	pthread_mutex_lock(&w->walk->mutex);
	l->users++;
	pthread_mutex_unlock(&w->walk->mutex);
	push(w->walk, t);
	return 0;
}

static void *walk(void *arg);

/* The first walker starts the others when there is much to do. Without them it takes longer. */
static void start_others(struct walker *first)
{
	struct walk *k = first->walk;
	struct walker *w;
	pthread_attr_t attr;
	unsigned n;

	if (first != k->walkers || k->others || first->seen <= ALONE_MAX)
		return;
	k->others = true;
	n = cpus_usable();
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, WALKER_STACK);
	for (unsigned i = 1; i < n && i < WALKERS_MAX; i++) {
		w = &k->walkers[i];
		pthread_mutex_lock(&k->mutex);
		k->n_walkers++;
		k->busy++;
		w->running = pthread_create(&w->thread, &attr, walk, w) == 0;
		if (!w->running) {
			k->n_walkers--;
			k->busy--;
		}
		pthread_mutex_unlock(&k->mutex);
	}
	pthread_attr_destroy(&attr);
}

static int list(struct walker *w, struct listed *l)
{
	int r = 0;

	while (r == 0) {
		start_others(w);
		if (!w->batch && !(w->batch = malloc(sizeof(*w->batch))))
			return scan_no_memory(&w->err);
		read_names(l->dir, w->batch);
		if (errno)
			return tree_error(&w->err, errno, "the directory \"%s\" can't be read", l->path);
		if (w->batch->n == 0)
			return 0;
		/* A small directory's are looked at by one. */
		r = w->batch->n == BATCH && somebody_waits(w->walk) ? share(w, l) : look_at_names(w, l, w->batch);
	}
	return r;
}

/* Takes the descriptor. NULL: out of memory. */
static struct listed *open_listed(struct walker *w, const char *path, int fd)
{
	struct listed *l = calloc(1, sizeof(*l));

	if (!l || !(l->dir = fdopendir(fd))) {
		free(l);
		close(fd);
		scan_no_memory(&w->err);
		return NULL;
	}
	l->users = 1;
	l->path = path;
	l->len = strlen(path);
	manifest_beneath(w->s->base, path, &l->lo, &l->hi);
	return l;
}

static int list_directory(struct walker *w, struct entry *dir)
{
	const bool taken = dir->flags & ENTRY_TAKEN;
	int fd = tree_open(w->s->root_fd, dir->path, O_RDONLY | O_DIRECTORY), r = 0;
	const bool open = fd >= 0;
	struct listed *l;

	if (fd == -EXDEV)
		WARN(w, "a mount within the volume is not kept (\"%.200s\")", dir->path);
	else if (fd < 0 && fd != -ENOENT && fd != -ENOTDIR && fd != -ELOOP)
		return tree_error(&w->err, fd, "the directory \"%s\" can't be read", dir->path);
	if (open && !taken && !(dir->flags & ENTRY_CLEAN))
		r = read_xattrs(w, fd, dir);
	if (r == 0 && !taken && dir != &w->s->m->root)
		r = scan_add(w, dir);
	if (r < 0 && open)
		close(fd);
	if (r < 0 || !open)
		return r;
	l = open_listed(w, dir->path, fd);
	if (!l)
		return -ENOMEM;
	r = list(w, l);
	leave(w->walk, l);
	return r;
}

/* --- all of them ----------------------------------------------------------------------------- */

static void end_task(struct walk *k, struct task *t)
{
	if (t->listed)
		leave(k, t->listed);
	free(t->batch);
	free(t);
}

static void fail(struct walker *w, int r)
{
	struct walk *k = w->walk;

	pthread_mutex_lock(&k->mutex);
	if (k->failed == 0) {
		k->failed = r;
		*k->s->err = w->err;
	}
	pthread_mutex_unlock(&k->mutex);
}

static void *walk(void *arg)
{
	struct walker *w = arg;
	struct walk *k = w->walk;
	struct task *t;

	while ((t = pop(k))) {
		int r = t->listed ? look_at_names(w, t->listed, t->batch) : list_directory(w, t->dir);

		end_task(k, t);
		if (r < 0)
			fail(w, r);
	}
	free(w->batch);
	return NULL;
}

/* What a walker has found goes to the scan's. */
static int collect(struct scan *s, struct walker *w)
{
	struct manifest *m = s->m;

	arena_join(&m->arena, &w->m.arena);
	if (m->n + w->m.n > MANIFEST_MAX_ENTRIES)
		return scan_too_many(s->err);
	if (m->n == 0) {
		free(m->entries);
		m->entries = TAKE_PTR(w->m.entries);
		m->room = w->m.room;
	} else if (w->m.n > 0) {
		struct entry *all = reallocarray(m->entries, m->n + w->m.n, sizeof(*all));

		if (!all)
			return scan_no_memory(s->err);
		memcpy(all + m->n, w->m.entries, w->m.n * sizeof(*all));
		m->entries = all;
		m->room = m->n + w->m.n;
	}
	m->n += w->m.n;
	for (size_t i = 0; i < w->names.n; i++)
		if (scan_add_name(&s->names, &w->names.all[i]) < 0)
			return scan_no_memory(s->err);
	manifest_free(&w->m);
	return 0;
}

/* The first directory is the root. */
static int begin(struct walk *k)
{
	struct walker *w = k->walkers;
	struct scan *s = k->s;
	struct stat st;

	if (fstat(s->root_fd, &st) < 0)
		return tree_error(s->err, errno, "the tree can't be read");
	w->path[0] = '\0';
	s->m->root.path = "";
	scan_set_entry(w, &s->m->root, &st, ENTRY_DIR);
	return scan_push_directory(w, &s->m->root) < 0 ? scan_no_memory(s->err) : 0;
}

static void end(struct walk *k)
{
	for (struct task *t = k->tasks, *next; t; t = next) {
		next = t->next;
		end_task(k, t);
	}
	for (unsigned i = 0; i < WALKERS_MAX; i++) {
		manifest_free(&k->walkers[i].m);
		free(k->walkers[i].names.all);
	}
	free(k->walkers);
	pthread_cond_destroy(&k->changed);
	pthread_mutex_destroy(&k->mutex);
}

int scan_walk(struct scan *s)
{
	struct walk k = {.s = s,
			 .walkers = calloc(WALKERS_MAX, sizeof(*k.walkers)),
			 .mutex = PTHREAD_MUTEX_INITIALIZER,
			 .changed = PTHREAD_COND_INITIALIZER,
			 .n_walkers = 1,
			 .busy = 1};
	int r;

	if (!k.walkers)
		return scan_no_memory(s->err);
	for (unsigned i = 0; i < WALKERS_MAX; i++) {
		k.walkers[i].walk = &k;
		k.walkers[i].s = s;
	}
	r = begin(&k);
	if (r == 0) {
		walk(k.walkers);
		for (unsigned i = 1; i < WALKERS_MAX; i++)
			if (k.walkers[i].running)
				pthread_join(k.walkers[i].thread, NULL);
		r = k.failed;
	}
	for (unsigned i = 0; i < WALKERS_MAX && r == 0; i++)
		r = collect(s, &k.walkers[i]);
	end(&k);
	return r;
}
