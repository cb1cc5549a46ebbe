/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/mount_late.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/target.h"
#include "runtime/handshake.h"
#include "runtime/mount_fs.h"
#include "runtime/mount_idmap.h"
#include "runtime/mount_plan.h"

const char *mount_late_source(const struct spec *spec, const char *rootfs, const char *bundle, size_t index,
			      struct arena *arena)
{
	const struct spec_mount *m = &spec->mounts[index];
	const char *path = m->source, *root;

	if (!path || !rootfs || !bundle)
		return NULL;
	/* Most sources are told apart here. */
	if (path[0] == '/' && strncmp(path, bundle, strlen(bundle)) != 0 && strncmp(path, rootfs, strlen(rootfs)) != 0)
		return NULL;
	path = path[0] == '/' ? path : arena_printf(arena, "%s/%s", bundle, path);
	path = path ? path_normalize(arena, path) : NULL;
	root = path ? path_normalize(arena, rootfs) : NULL;
	if (!root || strcmp(root, "/") == 0 || !path_is_beneath(path, root))
		return NULL;
	path += strlen(root);
	path = *path ? path : "/";
	for (size_t i = 0; i < index; i++) {
		const char *at = spec->mounts[i].destination;

		at = at ? mount_destination(rootfs, at, arena) : NULL;
		if (at && (path_is_beneath(path, at) || path_is_beneath(at, path)))
			return path;
	}
	return NULL;
}

static int ask_parent(struct rootfs *r, int index, int *tree, struct error *err)
{
	_cleanup_close_ int mapped = -1;
	struct handshake_message m;
	int e = handshake_send(r->parent, HS_MOUNT, index, NULL, *tree, err);

	if (e == 0)
		e = handshake_recv(r->parent, &m, &mapped, err);
	if (e < 0)
		return e;
	if (e == 0 || m.type != HS_MOUNT || m.value != index || mapped < 0)
		return error_set(err, EPROTO, "handshake: no mount with mapped ids came back");
	close(*tree);
	*tree = TAKE_FD(mapped);
	return 0;
}

int mount_late_clone(struct rootfs *r, const char *source, const struct mount_options *o, int index, int *ret_fd,
		     struct error *err)
{
	const struct spec_mount *m = &r->spec->mounts[index];
	struct target t = {.path = source, .make = TARGET_EXISTING, .final_nofollow = o->src_nofollow};
	_cleanup_close_ int place = -1, tree = -1;
	int e = target_open(r->root_fd, &t, r->arena, &place, NULL);

	if (e >= 0)
		tree = e = mount_clone(place, "", o->recursive, false);
	if (e < 0)
		return error_errno(err, e, "source");
	e = o->idmap || m->n_uid_mappings || m->n_gid_mappings ? ask_parent(r, index, &tree, err) : 0;
	if (e == 0)
		*ret_fd = TAKE_FD(tree);
	return e;
}

/* 1: served, or there was nothing to do. */
static int serve(const struct mount_trees *t, size_t index, int sock, struct arena *arena, struct strbuf *notes,
		 struct error *err)
{
	_cleanup_close_ int tree = -1;
	struct handshake_message m;
	int r;

	if (!mount_tree_is_late(t, index, arena))
		return 1;
	r = handshake_recv_notes(sock, &m, &tree, notes, err);
	if (r <= 0)
		return r;
	if (m.type != HS_MOUNT || m.value != (int)index || tree < 0)
		return error_set(err, EPROTO, "handshake: message %d where mount %zu was due", m.type, index);
	r = mount_tree_map(t, index, arena, tree, err);
	if (r == 0)
		r = handshake_send(sock, HS_MOUNT, (int)index, NULL, tree, err);
	return r < 0 ? r : 1;
}

int mount_late_serve(const struct mount_trees *t, int sock, struct arena *arena, struct strbuf *notes,
		     struct error *err)
{
	int r = 1;

	for (size_t i = 0; r > 0 && i < t->spec->n_mounts; i++)
		r = serve(t, i, sock, arena, notes, err);
	return r;
}
