/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/state_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/num.h"
#include "base/strbuf.h"
#include "base/sys.h"

#define STATE_FILE "state.json"

static const struct json_field state_fields[] = {
    JSON_FIELD(struct container_state, oci_version, "ociVersion", JSON_STR, .required = true),
    JSON_FIELD(struct container_state, id, "id", JSON_STR, .required = true),
    JSON_FIELD(struct container_state, bundle, "bundle", JSON_STR, .required = true),
    JSON_FIELD(struct container_state, rootfs, "rootfs", JSON_STR),
    JSON_FIELD(struct container_state, created, "created", JSON_STR),
    JSON_FIELD(struct container_state, owner, "owner", JSON_STR),
    JSON_FIELD(struct container_state, pid, "pid", JSON_I32),
    JSON_FIELD(struct container_state, pid_start, "pidStart", JSON_U64),
    JSON_FIELD(struct container_state, cgroup_mode, "cgroupMode", JSON_I32),
    JSON_FIELD(struct container_state, cgroup_path, "cgroupPath", JSON_STR),
    JSON_FIELD(struct container_state, systemd_scope, "systemdScope", JSON_STR),
    JSON_FIELD(struct container_state, volume_config, "volumeConfig", JSON_STR),
    JSON_FIELD(struct container_state, rootless, "rootless", JSON_BOOL),
    JSON_FIELD(struct container_state, new_keyring, "newKeyring", JSON_BOOL),
    JSON_FIELD(struct container_state, restored, "restored", JSON_BOOL),
    JSON_FIELD(struct container_state, rdt.name, "intelRdtGroup", JSON_STR),
    JSON_FIELD(struct container_state, rdt.made, "intelRdtMade", JSON_BOOL),
    JSON_FIELD(struct container_state, rdt.monitored, "intelRdtMonitored", JSON_BOOL),
    JSON_FIELD(struct container_state, shared_pid_ns, "sharedPidNamespace", JSON_BOOL),
    JSON_FIELD(struct container_state, has_volumes, "volumes", JSON_BOOL),
    JSON_FIELD(struct container_state, has_poststart, "poststart", JSON_BOOL),
    JSON_FIELD(struct container_state, has_poststop, "poststop", JSON_BOOL),
    JSON_LIST(struct container_state, annotations, "annotations", JSON_MAP_STR),
    {NULL},
};
const struct json_table container_state_table = {"state", sizeof(struct container_state), state_fields, 0};

void container_close(struct container *c)
{
	cleanup_close(&c->dir_fd);
	c->dir_fd = -1;
}

/* --- the directory ---------------------------------------------------------- */

int state_dir_create(const char *root, const char *id, int *ret_dir_fd, struct error *err)
{
	_cleanup_close_ int root_fd = -1, dir_fd = -1;
	int r;

	r = oci_id_check(id, err);
	if (r < 0)
		return r;
	root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root_fd < 0 && errno == ENOENT) {
		r = mkdir_p_at(AT_FDCWD, root, 0700);
		if (r < 0)
			return error_errno(err, r, "make the state directory %s", root);
		root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	}
	if (root_fd < 0)
		return error_errno(err, errno, "open the state directory %s", root);
	if (mkdirat(root_fd, id, 0700) < 0) {
		if (errno == EEXIST)
			return error_set(err, EEXIST, "container with given ID already exists");
		return error_errno(err, errno, "make the container's directory %s/%s", root, id);
	}
	dir_fd = openat(root_fd, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir_fd < 0) {
		r = error_errno(err, errno, "open the container's directory %s/%s", root, id);
		unlinkat(root_fd, id, AT_REMOVEDIR);
		return r;
	}
	r = state_dir_lock(dir_fd, err);
	if (r < 0) {
		unlinkat(root_fd, id, AT_REMOVEDIR);
		return r;
	}
	*ret_dir_fd = TAKE_FD(dir_fd);
	return 0;
}

int state_dir_open(const char *root, const char *id, int *ret_dir_fd, struct error *err)
{
	_cleanup_close_ int root_fd = -1;
	int fd, r = oci_id_check(id, err);

	if (r < 0)
		return r;
	root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	fd = root_fd < 0 ? -1 : openat(root_fd, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return error_set(err, ENOENT, "container does not exist");
	if (fd < 0)
		return error_errno(err, errno, "open the container's directory %s/%s", root, id);
	*ret_dir_fd = fd;
	return 0;
}

int state_dir_remove(const char *root, const char *id, struct error *err)
{
	static const char *const usual[] = {STATE_FILE, "config.json"};
	_cleanup_close_ int root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC), dir_fd = -1;
	int r;

	if (root_fd < 0)
		return errno == ENOENT ? 0 : error_errno(err, errno, "open the state directory %s", root);
	/* Most have nothing else: the search costs more than the removal. */
	dir_fd = openat(root_fd, id, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	for (size_t i = 0; dir_fd >= 0 && i < ARRAY_SIZE(usual); i++)
		unlinkat(dir_fd, usual[i], 0);
	r = remove_tree_at(root_fd, id);
	return r < 0 ? error_errno(err, r, "remove the container's directory %s/%s", root, id) : 0;
}

int state_dir_lock(int dir_fd, struct error *err)
{
	int r;

	do
		r = flock(dir_fd, LOCK_EX);
	while (r < 0 && errno == EINTR);
	return r < 0 ? error_errno(err, errno, "lock the container's directory") : 0;
}

int state_dir_finish(int dir_fd, struct error *err)
{
	if (fchmod(dir_fd, 0700 | S_ISVTX) < 0)
		return error_errno(err, errno, "mark the container's directory as finished");
	flock(dir_fd, LOCK_UN);
	return 0;
}

/* --- state.json ---------------------------------------------------------------- */

int state_save(int dir_fd, const struct container_state *s, struct error *err)
{
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
	int r;

	json_write(&text, &container_state_table, s, 0);
	if (text.failed)
		return error_set(err, ENOMEM, "out of memory");
	r = write_file_atomic_at(dir_fd, STATE_FILE, text.data, text.len, 0600, false);
	return r < 0 ? error_errno(err, r, "write the container's state") : 0;
}

int state_load(int dir_fd, struct arena *arena, struct container_state *ret, struct error *err)
{
	return json_parse_file(dir_fd, STATE_FILE, "state.json", &container_state_table, arena, ret, err);
}

/* --- status --------------------------------------------------------------------- */

int process_start_time(pid_t pid, uint64_t *ret, bool *ret_zombie)
{
	char path[32], buf[1024], state;
	unsigned long long start;
	_cleanup_close_ int fd = -1;
	ssize_t n;
	char *p;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);
	if (n < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	buf[n] = '\0';
	/* The name stands in parentheses and may hold anything: count from the last one. */
	p = strrchr(buf, ')');
	if (!p || sscanf(p + 1, " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
			 &state, &start) != 2)
		return -EPROTO;
	*ret = start;
	if (ret_zombie)
		*ret_zombie = state == 'Z' || state == 'X';
	return 0;
}

/* 1, 0, or an error: what can't be looked at has not ended, or `delete` would take its state away. */
static int init_lives(const struct container_state *s, struct error *err)
{
	uint64_t start;
	bool zombie;
	int r = s->pid > 0 ? process_start_time(s->pid, &start, &zombie) : -ESRCH;

	if (r < 0 && r != -ESRCH)
		return error_errno(err, r, "look at the container's init, process %d", s->pid);
	return r == 0 && start == s->pid_start && !zombie;
}

/* Somebody else creates (or deletes) this container just now. */
static bool is_locked(int dir_fd)
{
	if (flock(dir_fd, LOCK_SH | LOCK_NB) < 0)
		return errno == EWOULDBLOCK;
	flock(dir_fd, LOCK_UN);
	return false;
}

int container_status(int dir_fd, const struct container_state *s, enum oci_status *ret, struct error *err)
{
	struct cgroup cg = CGROUP_INIT;
	bool frozen = false;
	struct stat st;
	int r;

	if (s->pid == 0) {
		*ret = is_locked(dir_fd) ? OCI_CREATING : OCI_STOPPED;
		return 0;
	}
	r = init_lives(s, err);
	if (r < 0)
		return r;
	if (r == 0) {
		*ret = OCI_STOPPED;
		return 0;
	}
	r = container_cgroup(s, &cg, err);
	if (r == 0 && cg.mode != CGROUP_NONE)
		r = cgroup_is_frozen(&cg, &frozen, err);
	cgroup_close(&cg);
	if (r < 0)
		return r;
	if (frozen)
		*ret = OCI_PAUSED;
	else if (faccessat(dir_fd, STATE_START_SOCKET, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		*ret = OCI_CREATED;
	else if (fstat(dir_fd, &st) < 0)
		return error_errno(err, errno, "look at the container's directory");
	else
		*ret = (st.st_mode & S_ISVTX) ? OCI_RUNNING : OCI_CREATING;
	return 0;
}

int container_look(const char *root, const char *id, struct arena *arena, struct container *ret, struct error *err)
{
	_cleanup_container_ struct container c = CONTAINER_INIT;
	enum oci_status status;
	int r = state_dir_open(root, id, &c.dir_fd, err);

	if (r < 0)
		return r;
	r = state_load(c.dir_fd, arena, &c.state, err);
	/* A directory without a state is one whose creator hasn't come far, or died: delete --force removes it. */
	if (r == -ENOENT)
		return error_set(
		    err, ENOENT,
		    "container does not exist (its creation did not finish; delete --force removes what is left)");
	if (r < 0)
		return r;
	r = container_status(c.dir_fd, &c.state, &status, err);
	if (r < 0)
		return r;
	c.status = (int)status;
	*ret = c;
	c.dir_fd = -1;
	return 0;
}

int container_open(const char *root, const char *id, struct arena *arena, struct container *ret, struct error *err)
{
	_cleanup_container_ struct container c = CONTAINER_INIT;
	struct stat st;
	int r = container_look(root, id, arena, &c, err);

	if (r < 0)
		return r;
	if (fstat(c.dir_fd, &st) < 0)
		return error_errno(err, errno, "look at the container's directory");
	if (st.st_uid != geteuid())
		return error_set(err, EPERM, "the container belongs to another user (uid %u)", st.st_uid);
	*ret = c;
	c.dir_fd = -1;
	return 0;
}

int container_pidfd(const struct container_state *s, int *ret, struct error *err)
{
	_cleanup_close_ int fd = s->pid > 0 ? sys_pidfd_open(s->pid, 0) : -1;
	int r = 0;

	if (s->pid > 0 && fd < 0 && errno != ESRCH)
		return error_errno(err, errno, "open a pidfd of the container's init, process %d", s->pid);
	/* The pidfd first, the check after it: what is checked is then what the pidfd stands for. */
	if (fd >= 0)
		r = init_lives(s, err);
	if (r < 0)
		return r;
	if (r == 0)
		return error_set(err, ESRCH, "container not running: no such process");
	*ret = TAKE_FD(fd);
	return 0;
}

struct oci_state container_oci_state(const struct container_state *s, enum oci_status status)
{
	return (struct oci_state){
	    .oci_version = s->oci_version,
	    .id = s->id,
	    .status = (int)status,
	    .pid = status == OCI_STOPPED ? 0 : s->pid,
	    .bundle = s->bundle,
	    .rootfs = s->rootfs,
	    .created = s->created,
	    .systemd_scope = s->systemd_scope,
	    .owner = s->owner ? s->owner : "",
	    .annotations = s->annotations,
	    .n_annotations = s->n_annotations,
	};
}

int container_cgroup(const struct container_state *s, struct cgroup *ret, struct error *err)
{
	if (!s->cgroup_path)
		return 0;
	return cgroup_open(ret, (enum cgroup_mode)s->cgroup_mode, s->cgroup_path, s->rootless, err);
}
