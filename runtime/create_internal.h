/* SPDX-License-Identifier: Apache-2.0 */
/* create_internal.h - between create.c, the list of steps, the steps that have a file of their own, and restore.c. */
#ifndef VOLRUN_RUNTIME_CREATE_INTERNAL_H
#define VOLRUN_RUNTIME_CREATE_INTERNAL_H

#include "oci/volume.h"
#include "runtime/create.h"
#include "runtime/namespaces.h"
#include "runtime/process.h"
#include "runtime/rootfs.h"
#include "runtime/systemd.h"

/* See create_guard; pid 0: there is none. */
struct create_guard {
	pid_t pid;
	int fd;
};

/* What the steps make, each from what the earlier ones made. */
struct create {
	const struct create_request *request;
	struct arena *arena;
	struct strbuf *notes;
	struct spec spec;
	struct process process;
	struct namespaces ns;
	struct cgroup cgroup;
	struct systemd_place place; /* with --systemd-cgroup */
	struct container_state state;
	struct rootfs_volume volumes[VOLUME_MAX];
	size_t n_volumes;
	const char *checkpoint;	   /* of a restore: what was noted of its volumes (volumes_checkpoint); or NULL */
	struct volumes_hook *hook; /* begun, and neither ended (create_end_volumes) nor cancelled */
	bool fetched;		   /* the volumes are here */
	struct create_guard guard;
	const char *rdt_mount; /* with linux.intelRdt */
	bool released;	       /* HS_GO was said */
	bool limited;	       /* the cgroup has its limits */
	int dir_fd, sock, start_sock, console_sock, pidfd_sock, pidfd, master, notify;
};

/* create.c: the steps that restore.c takes, too. */
void create_init(struct create *c, const struct create_request *request, struct created *ret);
int create_load_spec(struct create *c, struct error *err);
int create_open_sockets(struct create *c, struct error *err);
int create_reserve(struct create *c, struct error *err);
void create_undo_reserve(struct create *c);
int create_save_plan(struct create *c, struct error *err);
int create_write_pid(struct create *c, struct error *err);
void create_undo_pid(struct create *c);
/* Closes what is ours, gives the rest away; also after a failure. */
void create_hand_over(struct create *c, struct created *ret);

/*
 * create_volumes.c: what is asked for, before the state is saved; the hook is started, gets the container's state and
 * says where the volumes will be; they come. Between the last two init may go on with its mounts, if it may follow.
 */
int create_find_volumes(struct create *c, struct error *err);
int create_begin_volumes(struct create *c, struct error *err);
void create_cancel_volumes(struct create *c);
int create_plan_volumes(struct create *c, struct error *err);
int create_fetch_volumes(struct create *c, struct error *err);
/* To follow, when they are where they belong: the hook's last word, which is the error if there is one; else r. */
int create_end_volumes(struct create *c, int r, struct error *err);
/* Does so, unless they may come after init was released. */
int create_fetch_volumes_first(struct create *c, struct error *err);
void create_undo_volumes(struct create *c);

/* create_guard.c: from here to create_unguard our death takes the container away. c->hook is begun. */
int create_guard(struct create *c, struct create_guard *ret, struct error *err);
/* Nothing without one. */
void create_unguard(struct create_guard *g);

/* create_cgroup.c */
int create_plan_cgroup(struct create *c, struct error *err);
int create_make_cgroup(struct create *c, struct error *err);
/* linux.intelRdt; before the state is saved, and when the process is there. */
int create_plan_rdt(struct create *c, struct error *err);
int create_join_rdt(struct create *c, struct error *err);
/* Of both, when the process has ended. */
void create_undo_cgroup(struct create *c);
/* systemd's, with init in it: once init is there. */
int create_make_scope(struct create *c, struct error *err);
/* run.oci.delegate-cgroup: init goes to a cgroup within the container's own, which its root owns, after its cgroup
 * namespace was made. */
bool create_delegates(const struct create *c);
int create_delegate_cgroup(struct create *c, struct error *err);
/* To be called before and after HS_GO; the version decides which of them counts. */
int create_limit_cgroup(struct create *c, struct error *err);

#endif
