/* SPDX-License-Identifier: Apache-2.0 */
/* Whose the container's cgroup is: runtime-spec 1.3.0, config-linux.md, "Cgroup ownership". */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "runtime/cgroup.h"
#include "runtime/id_maps.h"

/* What a delegatee may own, one name a line (Linux 4.15). */
#define DELEGATE_LIST "/sys/kernel/cgroup/delegate"

static bool is_writable_cgroup_mount(const struct spec_mount *m)
{
	if (!m->source || strcmp(m->source, "cgroup") != 0 || strcmp(m->destination, "/sys/fs/cgroup") != 0)
		return false;
	for (size_t i = 0; i < m->n_options; i++)
		if (strcmp(m->options[i], "ro") == 0)
			return false;
	return true;
}

bool cgroup_owner(const struct spec *spec, bool new_cgroup_namespace, uid_t *ret)
{
	const struct spec_linux *l = spec->linux_;
	uint32_t uid = spec->process->user.uid;
	bool writable = false;

	for (size_t i = 0; i < spec->n_mounts; i++)
		writable = writable || is_writable_cgroup_mount(&spec->mounts[i]);
	if (!new_cgroup_namespace || !writable)
		return false;
	/* A user namespace that is joined has its own mappings. */
	if (l->n_uid_mappings == 0 && spec_find_namespace(spec, SPEC_NS_USER))
		return false;
	*ret = uid;
	return l->n_uid_mappings == 0 || id_map_to_host(l->uid_mappings, l->n_uid_mappings, uid, ret);
}

static int give(const struct cgroup *cg, int dir_fd, const char *name, uid_t uid, gid_t gid, struct error *err)
{
	if (fchownat(dir_fd, name, uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	/* The kernel's list names what this cgroup need not have; an ordinary user has what he may have. */
	if ((*name && errno == ENOENT) || (cg->rootless && errno == EPERM))
		return 0;
	return error_errno(err, errno, "make uid %u the owner of the cgroup %s", uid, cg->path);
}

int cgroup_give_child(const struct cgroup *cg, int dir_fd, uid_t uid, gid_t gid, struct error *err)
{
	static char fallback[] = "cgroup.procs\ncgroup.subtree_control\ncgroup.threads\n";
	_cleanup_free_ char *list = NULL;
	char *save = NULL;
	int r = give(cg, dir_fd, "", uid, gid, err);

	if (r < 0)
		return r;
	if (read_file_at(AT_FDCWD, DELEGATE_LIST, 4096, &list, NULL) < 0 && !(list = strdup(fallback)))
		return error_set(err, ENOMEM, "out of memory");
	for (char *name = strtok_r(list, "\n", &save); name && r == 0; name = strtok_r(NULL, "\n", &save))
		r = give(cg, dir_fd, name, uid, gid, err);
	return r;
}

int cgroup_give(const struct cgroup *cg, uid_t uid, struct error *err)
{
	if (cg->mode != CGROUP_V2 || cg->dir_fd < 0)
		return 0;
	return cgroup_give_child(cg, cg->dir_fd, uid, (gid_t)-1, err);
}
