/* SPDX-License-Identifier: Apache-2.0 */
/* How the owners of a volume's files get into a container with a user namespace of its own. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "hooks/confine.h"
#include "hooks/engine/ids.h"
#include "hooks/hook.h"
#include "hooks/keeper_hold.h"

/* IDS_MAX lines of three numbers. */
#define MAP_TEXT_MAX (IDS_MAX * 40)

static int read_map(int pid, const char *name, struct id_map *ret, struct error *err)
{
	_cleanup_right_ struct right right = right_raise(CAP_SYS_PTRACE); /* of a /proc that hides processes */
	_cleanup_free_ char *text = NULL;
	char path[64];
	int r;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	r = read_file_at(AT_FDCWD, path, MAP_TEXT_MAX, &text, NULL);
	if (r == 0)
		r = id_map_parse(text, ret);
	if (r == 0 && ret->n == 0)
		r = -EINVAL;
	return r < 0 ? error_set(err, r, "%s of the container's init (pid %d) can't be read (error %d)", name, pid, -r)
		     : 0;
}

int hold_find_ids(struct hold *h, struct error *err)
{
	_cleanup_close_ int user_ns = -1, mount = -1;
	struct error why = ERROR_INIT;
	int r;

	r = hook_user_ns(h->request->pid, &user_ns, err);
	if (r < 0 || user_ns < 0)
		return r;
	/* The same that the hook will do with the trees, which lie on the same file system. */
	r = hook_mount_tree(h->cache_fd, false, user_ns, &mount, &why);
	if (r == 1)
		return 0;
	h->ids = calloc(1, sizeof(*h->ids));
	if (!h->ids)
		return error_set(err, ENOMEM, "out of memory");
	h->ids->on_disk = r < 0;
	r = read_map(h->request->pid, "uid_map", &h->ids->uid, err);
	return r < 0 ? r : read_map(h->request->pid, "gid_map", &h->ids->gid, err);
}
