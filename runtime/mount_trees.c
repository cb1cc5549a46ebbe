/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/mount_trees.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/sys.h"
#include "runtime/id_maps.h"
#include "runtime/mount_fs.h"
#include "runtime/mount_options.h"

#define IDMAP_RANGES_MAX 32

static int open_user_namespace(pid_t pid, int *ret, struct error *err)
{
	char path[40];

	snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
	*ret = open(path, O_RDONLY | O_CLOEXEC);
	return *ret < 0 ? error_errno(err, errno, "open the user namespace of the id mapping") : 0;
}

/* A user namespace that nobody lives in, for its mapping alone: a process holds it until it is opened. */
static int make_user_namespace(const struct spec_mount *m, int *ret, struct error *err)
{
	const struct spec_linux mapping = {
	    .uid_mappings = m->uid_mappings,
	    .n_uid_mappings = m->n_uid_mappings,
	    .gid_mappings = m->gid_mappings,
	    .n_gid_mappings = m->n_gid_mappings,
	};
	struct clone_args args = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
	_cleanup_close_ int fd = -1, hold = -1, wait = -1;
	int pair[2], r;
	pid_t pid;

	if (pipe2(pair, O_CLOEXEC) < 0)
		return error_errno(err, errno, "pipe");
	wait = pair[0];
	hold = pair[1];
	pid = sys_clone3(&args);
	if (pid < 0)
		return error_errno(err, errno, "make a user namespace for the id mapping");
	if (pid == 0) {
		char byte;

		close(hold);
		_exit(read(wait, &byte, 1) != 0);
	}
	r = id_maps_write(pid, &mapping, err);
	if (r == 0)
		r = open_user_namespace(pid, &fd, err);
	close(TAKE_FD(hold));
	waitpid(pid, NULL, 0);
	if (r == 0)
		*ret = TAKE_FD(fd);
	return r;
}

static int map_ids(const struct mount_trees *t, const struct spec_mount *m, bool recursive, int tree, struct error *err)
{
	_cleanup_close_ int user = -1;
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP};
	bool own = m->n_uid_mappings || m->n_gid_mappings;
	int r = own ? make_user_namespace(m, &user, err) : open_user_namespace(t->pid, &user, err);

	if (r < 0)
		return r;
	attr.userns_fd = (uint64_t)user;
	if (sys_mount_setattr(tree, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &attr) == 0)
		return 0;
	if (errno == EINVAL)
		return error_set(err, EINVAL,
				 "its file system can't have mapped ids (or the kernel is older than 5.12)");
	return error_errno(err, errno, "map its ids");
}

static int make(const struct mount_trees *t, const struct spec_mount *m, const struct mount_options *o, bool mapped,
		int *ret_fd, struct error *err)
{
	_cleanup_close_ int bundle = open(t->bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int tree = -1;
	int r;

	if (bundle < 0)
		return error_errno(err, errno, "the bundle %s", t->bundle);
	tree = mount_clone(bundle, m->source, o->recursive, o->src_nofollow);
	/* Without CAP_SYS_ADMIN it is init's, which has it in its user namespace and is the same user. */
	if (tree == -EPERM && !mapped)
		return 0;
	if (tree == -EPERM)
		return error_set(err, EPERM, "its ids can be mapped only with CAP_SYS_ADMIN");
	if (tree < 0)
		return error_errno(err, tree, "source");
	r = mapped ? map_ids(t, m, o->recursive, tree, err) : 0;
	if (r == 0)
		*ret_fd = TAKE_FD(tree);
	return r;
}

/* "0-1000-10#10-2000-5": container's id, host's id, how many. Returns what follows, NULL: malformed. */
static const char *parse_ranges(const char *text, struct spec_id_mapping *ret, size_t max, size_t *ret_n)
{
	size_t n = 0;

	do {
		int used = 0;

		if (n == max ||
		    sscanf(text, "%9" SCNu32 "-%9" SCNu32 "-%9" SCNu32 "%n", &ret[n].container_id, &ret[n].host_id,
			   &ret[n].size, &used) != 3 ||
		    ret[n].size == 0)
			return NULL;
		text += used;
		n++;
	} while (*text == '#' && text++);
	*ret_n = n;
	return *text == '\0' || *text == ';' ? text : NULL;
}

/* crun's "idmap=uids=0-1-10;gids=0-1-10": mounts[].uidMappings and gidMappings in one word. */
static int parse_idmap(const char *value, struct arena *arena, struct spec_mount *m)
{
	while (value && *value) {
		struct spec_id_mapping *ranges = arena_calloc(arena, IDMAP_RANGES_MAX, sizeof(*ranges));
		bool uids = strncmp(value, "uids=", 5) == 0;
		size_t n = 0;

		if (!ranges)
			return -ENOMEM;
		if (!uids && strncmp(value, "gids=", 5) != 0)
			return -EINVAL;
		value = parse_ranges(value + 5, ranges, IDMAP_RANGES_MAX, &n);
		*(uids ? &m->uid_mappings : &m->gid_mappings) = ranges;
		*(uids ? &m->n_uid_mappings : &m->n_gid_mappings) = n;
		if (value && *value == ';')
			value++;
	}
	return value && m->n_uid_mappings && m->n_gid_mappings ? 0 : -EINVAL;
}

static int wants_idmap(struct spec_mount *m, struct arena *arena, bool *ret, struct error *err)
{
	*ret = m->n_uid_mappings || m->n_gid_mappings;
	for (size_t i = 0; i < m->n_options; i++) {
		const char *o = m->options[i], *name = *o == 'r' ? o + 1 : o;

		if (strcmp(name, "idmap") == 0)
			*ret = true;
		if (strncmp(name, "idmap=", 6) != 0)
			continue;
		*ret = true;
		if (parse_idmap(name + 6, arena, m) < 0)
			return error_set(
			    err, EINVAL,
			    "option \"%s\": not of the form idmap=uids=ID-HOSTID-COUNT;gids=ID-HOSTID-COUNT", o);
	}
	return 0;
}

static int tree_make(const struct mount_trees *t, const struct spec_mount *from, struct arena *arena, int *ret_fd,
		     struct error *err)
{
	struct spec_mount copy = *from, *m = &copy;
	bool user = spec_find_namespace(t->spec, SPEC_NS_USER), mapped;
	struct mount_options o;
	int r = wants_idmap(m, arena, &mapped, err);

	if (r < 0 || (!user && !mapped && !t->all))
		return r;
	r = mount_options_parse(m->options, m->n_options, arena, &o, err);
	if (r < 0 || !m->source || o.copy_symlink || o.remount ||
	    !(o.bind || (m->type && strcmp(m->type, "bind") == 0)))
		return r;
	return make(t, m, &o, mapped, ret_fd, err);
}

int mount_tree_make(const struct mount_trees *t, size_t index, struct arena *arena, int *ret_fd, struct error *err)
{
	const struct spec_mount *m = &t->spec->mounts[index];
	int r;

	*ret_fd = -1;
	r = tree_make(t, m, arena, ret_fd, err);
	return r < 0 ? error_wrap(err, "mount \"%s\" on \"%s\"", m->source ? m->source : "", m->destination) : 0;
}
