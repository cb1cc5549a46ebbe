/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/keeper_still.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "hooks/engine/keeper_name.h"
#include "hooks/keeper_users.h"

/* "pid start-time" (keeper_name.h). */
#define NAME_MAX_LEN 48

/* A container that is held still. Of one that joined, its own descriptor of the freezer, and its init. */
struct still_one {
	struct freeze freeze;
	struct container_cgroup joined; /* fd -1: the hold's own container */
	pid_t pid;
	char init[NAME_MAX_LEN];
};

/* Of users_each. */
struct gathering {
	struct still *s;
	struct error *err;
};

static int busy(const struct keeper_note *n, struct error *err)
{
	return error_set(err, EBUSY, "container %s of the pod is starting or ending", n->container);
}

static int freeze_one(struct still *s, struct still_one *one, const struct container_cgroup *c, struct error *err)
{
	int64_t left = s->deadline_ns - clock_boottime_ns();

	return freeze_begin(c, left > 0 ? left : 0, &one->freeze, err);
}

static struct still_one *add(struct still *s)
{
	struct still_one *all = reallocarray(s->all, s->n + 1, sizeof(*all));

	if (!all)
		return NULL;
	/* What is frozen knows its cgroup by the address. */
	s->all = all;
	for (size_t i = 0; i < s->n; i++)
		if (all[i].joined.fd >= 0)
			all[i].freeze.cgroup = &all[i].joined;
	all[s->n] = (struct still_one){.joined.fd = -1};
	return &all[s->n];
}

static bool is_same(const struct container_cgroup *a, const struct container_cgroup *b)
{
	struct stat one, two;

	return fstat(a->fd, &one) == 0 && fstat(b->fd, &two) == 0 && one.st_dev == two.st_dev &&
	       one.st_ino == two.st_ino;
}

/* It uses several of the volumes, perhaps. */
static bool is_known(const struct still *s, const struct container_cgroup *c)
{
	for (size_t i = 0; i < s->n; i++)
		if (is_same(s->all[i].freeze.cgroup, c))
			return true;
	return false;
}

/* Before its init has a cgroup of its own, a container that joined is on its way to begin. */
static int add_joined(const struct keeper_note *n, void *ctx)
{
	struct gathering *g = ctx;
	struct container_cgroup c = {.fd = -1};
	struct error ignored = ERROR_INIT;
	struct still_one *one;
	int r;

	if (!n->init || container_freezer_open(n->request.pid, &c, &ignored) < 0 || !keeper_alive(n->init)) {
		container_cgroup_close(&c);
		return busy(n, g->err);
	}
	if (is_known(g->s, &c)) {
		container_cgroup_close(&c);
		return 0;
	}
	one = add(g->s);
	if (!one) {
		container_cgroup_close(&c);
		return error_set(g->err, ENOMEM, "out of memory");
	}
	one->joined = c;
	one->pid = n->request.pid;
	snprintf(one->init, sizeof(one->init), "%s", n->init);
	r = freeze_one(g->s, one, &one->joined, g->err);
	if (r == 0) {
		g->s->n++;
		return 0;
	}
	container_cgroup_close(&one->joined);
	return r == -ENODEV ? busy(n, g->err) : error_wrap(g->err, "container %s of the pod", n->container);
}

static int begin(struct hold *h, struct hold_volume **volumes, size_t n, const struct container_cgroup *own,
		 struct still *s, struct error *err)
{
	struct gathering g = {.s = s, .err = err};
	int r = 0;

	if (own) {
		struct still_one *one = add(s);

		r = one ? freeze_one(s, one, own, err) : error_set(err, ENOMEM, "out of memory");
		s->n = r == 0;
	}
	for (size_t i = 0; i < n && h->request->pod && r == 0; i++)
		r = users_each(&volumes[i]->v.cache, lease_epoch(volumes[i]->lease), add_joined, &g);
	return r;
}

int still_begin(struct hold *h, struct hold_volume **volumes, size_t n, const struct container_cgroup *own,
		int64_t max_ns, struct still *ret, struct error *err)
{
	struct error ignored = ERROR_INIT;
	int64_t ns;
	int r = 0;

	*ret = (struct still){0};
	for (size_t i = 0; i < n && h->request->pod && r == 0; i++) {
		int lock = users_lock(&volumes[i]->v.cache);

		if (lock < 0)
			r = error_set(err, EBUSY, "others of the pod can't be kept from joining");
		else
			ret->locks[ret->n_locks++] = lock;
	}
	ret->since_ns = clock_boottime_ns();
	ret->deadline_ns = ret->since_ns + max_ns;
	if (r == 0)
		r = begin(h, volumes, n, own, ret, err);
	if (r < 0)
		still_end(ret, &ns, &ignored);
	return r;
}

void still_mapped(const struct still *s, struct commit_mapped *m)
{
	for (size_t i = 0; i < s->n; i++)
		freeze_mapped(s->all[i].freeze.cgroup, s->deadline_ns, m);
}

/* One that was being started may have been moved to its own cgroup after another one was frozen in its place. */
static bool has_moved(const struct still_one *one)
{
	struct container_cgroup now = {.fd = -1};
	struct error ignored = ERROR_INIT;
	bool moved;

	if (one->joined.fd < 0)
		return false;
	moved = container_freezer_open(one->pid, &now, &ignored) < 0 || !is_same(&now, &one->joined);
	container_cgroup_close(&now);
	return moved && keeper_alive(one->init);
}

int still_end(struct still *s, int64_t *ret_ns, struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < s->n && r == 0; i++)
		if (has_moved(&s->all[i]))
			r = error_set(err, EBUSY, "a container of the pod is starting");
	for (size_t i = 0; i < s->n; i++) {
		struct error why = ERROR_INIT;
		int64_t ns;
		int ended = freeze_end(&s->all[i].freeze, &ns, &why);

		container_cgroup_close(&s->all[i].joined);
		if (ended < 0 && r == 0) {
			*err = why;
			r = ended;
		}
	}
	*ret_ns = clock_boottime_ns() - s->since_ns;
	while (s->n_locks > 0)
		close(s->locks[--s->n_locks]);
	free(s->all);
	*s = (struct still){0};
	return r;
}
