/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/criu_mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/target.h"
#include "runtime/mount_options.h"

static int out_of_memory(struct error *err)
{
	return error_set(err, ENOMEM, "out of memory");
}

static int add(struct criu_request *r, struct arena *arena, const char *key, const char *value, struct error *err)
{
	return !value || criu_list_add(&r->mounts, arena, key, value, -1) < 0 ? out_of_memory(err) : 0;
}

int criu_mount_is_bind(const struct spec_mount *m, struct arena *arena, bool *ret, struct error *err)
{
	struct mount_options o;
	int r = mount_options_parse(m->options, m->n_options, arena, &o, err);

	if (r == 0)
		*ret = !o.remount && (o.bind || (m->type && strcmp(m->type, "bind") == 0));
	return r;
}

static bool is_cgroup(const struct spec_mount *m)
{
	return m->type && (strcmp(m->type, "cgroup") == 0 || strcmp(m->type, "cgroup2") == 0);
}

const char *criu_mount_place(int root_fd, const char *path, struct arena *arena)
{
	struct target t = {.path = path_normalize(arena, path), .make = TARGET_EXISTING};
	_cleanup_close_ int fd = -1;
	const char *found = NULL;

	if (!t.path)
		return NULL;
	return target_open(root_fd, &t, arena, &fd, &found) < 0 ? t.path : found;
}

/* --- what is the same on both sides ------------------------------------------------------ */

/* v1 without a cgroup namespace: each hierarchy is a bind mount of the container's part of it. */
static int add_cgroup_binds(const struct spec *spec, const struct cgroup *cg, const struct spec_mount *m, bool dump,
			    struct criu_request *r, struct arena *arena, struct error *err)
{
	int e = 0;

	if (cg->mode != CGROUP_V1 || spec_find_namespace(spec, SPEC_NS_CGROUP))
		return 0;
	for (size_t i = 0; e == 0 && i < cg->n_hierarchies; i++) {
		const char *mount = cg->hierarchies[i].mount;
		const char *place = arena_printf(arena, "%s/%s", m->destination, path_basename(mount));

		e = add(r, arena, place, dump ? place : arena_printf(arena, "%s%s", mount, cg->path), err);
	}
	return e;
}

/* In a user namespace nodes are bind mounts of the host's. Names that no mount has do no harm. */
static int add_devices(const struct spec *spec, struct criu_request *r, struct arena *arena, struct error *err)
{
	static const char *const defaults[] = {"/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"};
	int e = 0;

	for (size_t i = 0; e == 0 && i < ARRAY_SIZE(defaults); i++)
		e = add(r, arena, defaults[i], defaults[i], err);
	for (size_t i = 0; e == 0 && i < spec->linux_->n_devices; i++)
		e = add(r, arena, spec->linux_->devices[i].path, spec->linux_->devices[i].path, err);
	return e == 0 ? add(r, arena, "/dev/null", "/dev/null", err) : e;
}

/* --- checkpoint ---------------------------------------------------------------------------- */

/* Masked files have /dev/null on them; masked directories a tmpfs of their own, which criu makes itself. */
static int dump_masked(const struct spec *spec, int root_fd, struct criu_request *r, struct arena *arena,
		       struct error *err)
{
	int e = 0;

	for (size_t i = 0; e == 0 && i < spec->linux_->n_masked_paths; i++) {
		const char *path = criu_mount_place(root_fd, spec->linux_->masked_paths[i], arena);
		struct target t = {.path = path};
		_cleanup_close_ int fd = -1;
		struct stat st;

		if (!path)
			return out_of_memory(err);
		if (target_open(root_fd, &t, arena, &fd, NULL) == 0 && fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode))
			e = add(r, arena, path, "/dev/null", err);
	}
	return e;
}

int criu_mounts_dump(const struct spec *spec, const struct cgroup *cg, int root_fd, struct criu_request *r,
		     struct arena *arena, struct error *err)
{
	int e = 0;

	for (size_t i = 0; e == 0 && i < spec->n_mounts; i++) {
		const struct spec_mount *m = &spec->mounts[i];
		bool bind = false;

		e = criu_mount_is_bind(m, arena, &bind, err);
		if (e == 0 && bind)
			e = add(r, arena, criu_mount_place(root_fd, m->destination, arena),
				path_normalize(arena, m->destination), err);
		else if (e == 0 && is_cgroup(m))
			e = add_cgroup_binds(spec, cg, m, true, r, arena, err);
	}
	if (e == 0)
		e = dump_masked(spec, root_fd, r, arena, err);
	return e == 0 ? add_devices(spec, r, arena, err) : e;
}

/* --- restore --------------------------------------------------------------------------------- */

/* NULL: out of memory. */
static const char *absolute_source(const struct spec_mount *m, const char *bundle, struct arena *arena)
{
	return m->source[0] == '/' ? m->source : arena_printf(arena, "%s/%s", bundle, m->source);
}

/* By the name that we give it, and by that of runc and crun: the mount point, links resolved. */
static int restore_bind(const struct spec_mount *m, const char *source, int root_fd, struct criu_request *r,
			struct arena *arena, struct error *err)
{
	const char *name = path_normalize(arena, m->destination),
		   *place = criu_mount_place(root_fd, m->destination, arena);
	int e;

	if (!name || !place)
		return out_of_memory(err);
	e = add(r, arena, name, source, err);
	return e == 0 && strcmp(name, place) != 0 ? add(r, arena, place, source, err) : e;
}

int criu_mounts_restore(const struct spec *spec, const struct cgroup *cg, int root_fd, const char *bundle,
			struct criu_request *r, struct arena *arena, struct error *err)
{
	int e = 0;

	for (size_t i = 0; e == 0 && i < spec->n_mounts; i++) {
		const struct spec_mount *m = &spec->mounts[i];
		bool bind = false;

		e = criu_mount_is_bind(m, arena, &bind, err);
		if (e == 0 && is_cgroup(m))
			e = add_cgroup_binds(spec, cg, m, false, r, arena, err);
		if (e == 0 && bind && m->source)
			e = restore_bind(m, absolute_source(m, bundle, arena), root_fd, r, arena, err);
	}
	/* crun names a masked file by its own path. */
	for (size_t i = 0; e == 0 && i < spec->linux_->n_masked_paths; i++)
		e = add(r, arena, spec->linux_->masked_paths[i], "/dev/null", err);
	return e == 0 ? add_devices(spec, r, arena, err) : e;
}

/* --- mount points -------------------------------------------------------------------------------- */

/* Which of the mounts before it the destination lies on: the last one; -1: the root. */
static int holder(const struct spec *spec, const char *const *places, size_t index)
{
	int found = -1;

	for (size_t i = 0; i < index; i++)
		if (path_is_beneath(places[index], places[i]))
			found = (int)i;
	(void)spec;
	return found;
}

static int make_point(int dir_fd, const char *place, bool file, struct arena *arena, struct error *err)
{
	struct target t = {.path = place, .make = file ? TARGET_FILE : TARGET_DIR};
	_cleanup_close_ int fd = -1;
	int e = *place ? target_open(dir_fd, &t, arena, &fd, NULL) : 0;

	return e < 0 ? error_errno(err, e, "make the mount point %s", place) : 0;
}

struct points {
	const struct spec *spec;
	const char *bundle;
	const char **places;
	struct arena *arena;
};

static int make_one(const struct points *p, int root_fd, size_t i, struct error *err)
{
	const struct spec_mount *m = &p->spec->mounts[i], *on;
	_cleanup_close_ int dir = -1;
	bool bind = false, on_bind = false;
	struct stat st;
	const char *source;
	int h = holder(p->spec, p->places, i), e;

	if (is_cgroup(m))
		return 0;
	e = criu_mount_is_bind(m, p->arena, &bind, err);
	if (e < 0)
		return e;
	source = bind && m->source ? absolute_source(m, p->bundle, p->arena) : NULL;
	if (source && stat(source, &st) < 0)
		return error_errno(err, errno, "mount \"%s\" on \"%s\"", m->source, m->destination);
	if (h < 0)
		return make_point(root_fd, p->places[i], source && !S_ISDIR(st.st_mode), p->arena, err);
	on = &p->spec->mounts[h];
	e = criu_mount_is_bind(on, p->arena, &on_bind, err);
	/* What is no bind mount comes back with its content (tmpfs), or has its own (proc). */
	if (e < 0 || !on_bind || !on->source || strcmp(p->places[i], p->places[h]) == 0)
		return e;
	source = absolute_source(on, p->bundle, p->arena);
	dir = source ? open(source, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	if (dir < 0)
		return 0;
	return make_point(dir, p->places[i] + strlen(p->places[h]), bind && !S_ISDIR(st.st_mode), p->arena, err);
}

int criu_mounts_make_points(const struct spec *spec, int root_fd, const char *bundle, struct arena *arena,
			    struct error *err)
{
	struct points p = {.spec = spec, .bundle = bundle, .arena = arena};
	mode_t mask = umask(0022);
	int e = 0;

	p.places = arena_calloc(arena, spec->n_mounts + 1, sizeof(*p.places));
	for (size_t i = 0; p.places && e == 0 && i < spec->n_mounts; i++) {
		p.places[i] = path_normalize(arena, spec->mounts[i].destination);
		e = p.places[i] ? make_one(&p, root_fd, i, err) : out_of_memory(err);
	}
	umask(mask);
	return p.places ? e : out_of_memory(err);
}
