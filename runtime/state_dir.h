/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state_dir.h - a container's place on disk, <root>/<id>/, mode 0700:
 *
 *   state.json    what the later commands need; replaced atomically
 *   config.json   the bundle's, as it was at create (exec, poststart and poststop hooks read it)
 *   start.sock    there while the container waits for `start`
 *
 * mkdir(2) of the directory is the lock on the id. The process that creates or
 * deletes a container holds flock(2) on the directory; a creator that dies
 * lets go of it. A creator that has finished sets the directory's sticky bit.
 * No status is stored: it is computed from the process (pid and start time),
 * start.sock, the sticky bit and the freezer, so that it can't be stale.
 */
#ifndef VOLRUN_RUNTIME_STATE_DIR_H
#define VOLRUN_RUNTIME_STATE_DIR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/error.h"
#include "oci/state.h"
#include "runtime/cgroup.h"
#include "runtime/intel_rdt.h"

#define STATE_START_SOCKET "start.sock"

/* state.json */
struct container_state {
	const char *oci_version;
	const char *id;
	const char *bundle;	   /* absolute */
	const char *rootfs;	   /* absolute */
	const char *created;	   /* RFC 3339 */
	const char *owner;	   /* user name or number of the creator */
	int32_t pid;		   /* 0: not cloned yet */
	uint64_t pid_start;	   /* clock ticks since boot, field 22 of /proc/PID/stat: tells a reused pid */
	int32_t cgroup_mode;	   /* enum cgroup_mode */
	const char *cgroup_path;   /* NULL: none */
	const char *systemd_scope; /* its unit's name, with --systemd-cgroup; NULL: none */
	struct intel_rdt_group rdt;
	const char *volume_config; /* $VOLRUN_CONFIG at create; NULL: none */
	bool rootless;
	bool new_keyring;   /* exec joins the keyring that init has made */
	bool restored;	    /* by criu: init is in a time namespace, whatever config.json says */
	bool shared_pid_ns; /* other processes may outlive init: SIGKILL goes to the cgroup */
	bool has_volumes, has_poststart, has_poststop;
	struct json_pair *annotations;
	size_t n_annotations;
};

/* An opened container. */
struct container {
	int dir_fd; /* <root>/<id> */
	struct container_state state;
	int status; /* enum oci_status, when it was loaded */
};

#define CONTAINER_INIT                                                                                                 \
	{                                                                                                              \
		.dir_fd = -1                                                                                           \
	}
void container_close(struct container *c);
#define _cleanup_container_ __attribute__((cleanup(container_close)))

/*
 * Makes <root>/<id> (and root) and locks it. -EEXIST: "container with given ID
 * already exists". The id is checked.
 */
int state_dir_create(const char *root, const char *id, int *ret_dir_fd, struct error *err);
/* -ENOENT: "container does not exist". */
int state_dir_open(const char *root, const char *id, int *ret_dir_fd, struct error *err);
/* Removes it with all that is in it. Absent: 0. */
int state_dir_remove(const char *root, const char *id, struct error *err);

/* Waits for the lock. */
int state_dir_lock(int dir_fd, struct error *err);
/* Sets the mark that creation is done, and unlocks (also what a forked child has inherited of the lock). */
int state_dir_finish(int dir_fd, struct error *err);

int state_save(int dir_fd, const struct container_state *s, struct error *err);
extern const struct json_table container_state_table;
/* -ENOENT without context when there is none. */
int state_load(int dir_fd, struct arena *arena, struct container_state *ret, struct error *err);

/*
 * Opens, loads and computes the status. container_open is for commands that act on it: -EPERM for another user's, whose
 * state could name any process, cgroup and hook.
 */
int container_look(const char *root, const char *id, struct arena *arena, struct container *ret, struct error *err);
int container_open(const char *root, const char *id, struct arena *arena, struct container *ret, struct error *err);
/*
 * container_ids.c: the ids in root of which the pattern (POSIX extended, regex(7)) matches a part. In the arena.
 * A root that is not there has none.
 */
int container_ids_matching(const char *root, const char *pattern, struct arena *arena, const char ***ret, size_t *ret_n,
			   struct error *err);
/* The status now. */
int container_status(int dir_fd, const struct container_state *s, enum oci_status *ret, struct error *err);

/* Start time of a process in clock ticks; *ret_zombie may be NULL. -ESRCH when it is gone. */
int process_start_time(pid_t pid, uint64_t *ret, bool *ret_zombie);
/* A pidfd of init, verified by its start time. -ESRCH: "container not running: no such process". */
int container_pidfd(const struct container_state *s, int *ret, struct error *err);

/* The OCI state of a container, for `state` and for hooks; points into s. */
struct oci_state container_oci_state(const struct container_state *s, enum oci_status status);

/* The container's cgroup; closed by cgroup_close. */
int container_cgroup(const struct container_state *s, struct cgroup *ret, struct error *err);

/*
 * The start socket. A path in a unix address has 108 bytes, so the address goes
 * through /proc/self/fd/<dir_fd>/.
 */
int start_socket_new(int *ret, struct error *err);
int start_socket_listen(int sock, int dir_fd, struct error *err);
/* -ENOENT: nobody waits for a start. */
int start_socket_connect(int dir_fd, int *ret, struct error *err);

#endif
