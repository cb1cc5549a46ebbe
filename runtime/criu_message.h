/* SPDX-License-Identifier: Apache-2.0 */
/*
 * criu_message.h - what is said to criu and what it answers: the messages of
 * `criu swrk` (criu's images/rpc.proto), one per packet of a unix socket. The
 * command line of criu has no terminal for a restored container and no word at
 * the moment when its namespaces are there; this has both. Pure.
 *
 * The wire format is that of protocol buffers: a number that is field << 3 | kind, then
 * a number (kind 0) or a length and that many bytes (kind 2).
 */
#ifndef VOLRUN_RUNTIME_CRIU_MESSAGE_H
#define VOLRUN_RUNTIME_CRIU_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/strbuf.h"

enum criu_type { CRIU_DUMP = 1, CRIU_RESTORE = 2, CRIU_NOTIFY = 6, CRIU_SINGLE_PRE_DUMP = 13 };

/* criu_cg_mode; without one criu takes "soft". */
enum criu_cgroup_mode { CRIU_CGROUP_IGNORE = 0, CRIU_CGROUP_SOFT = 3, CRIU_CGROUP_FULL = 4, CRIU_CGROUP_STRICT = 5 };

/* Two strings, or a string and a descriptor; grows in the arena of who adds. */
struct criu_item {
	const char *key, *value;
	int fd;
};
struct criu_list {
	struct criu_item *items;
	size_t n, room;
};

/* criu_opts. Zero, false and NULL: not said. */
struct criu_request {
	int type;	   /* enum criu_type */
	int images_dir_fd; /* of the process that has made the socket */
	int work_dir_fd;   /* -1: the images' */
	int pid;
	bool leave_running, ext_unix_sk, tcp_established, evasive_devices, shell_job, file_locks, track_mem, auto_dedup,
	    link_remap, sibling, tcp_skip_in_flight, lazy_pages, orphan_terminal, tcp_close;
	const char *log_file, *root, *parent_images, *freeze_cgroup, *config_file, *lsm_profile, *lsm_mount_context;
	const char *page_server; /* its address */
	int page_server_port;
	int cgroup_mode;	   /* enum criu_cgroup_mode; -1: not said */
	int network_lock;	   /* 1 iptables, 2 nftables, 3 skip */
	uint32_t empty_namespaces; /* CLONE_NEW*; criu knows of the network only */
	const char *cgroup_root;   /* of all hierarchies */
	struct criu_list external; /* key: "net[4026531840]:extRootNetNS" */
	struct criu_list mounts;   /* dump: mount point, name; restore: name, source */
	struct criu_list join;	   /* kind of namespace, its file */
	struct criu_list inherit;  /* key, descriptor in criu */
};

#define CRIU_REQUEST_INIT                                                                                              \
	{                                                                                                              \
		.images_dir_fd = -1, .work_dir_fd = -1, .cgroup_mode = -1                                              \
	}

/* 0 or -ENOMEM. The strings are kept, not copied. */
int criu_list_add(struct criu_list *list, struct arena *arena, const char *key, const char *value, int fd);

/* Appends the request; fails only through out->failed. */
void criu_request_write(struct strbuf *out, const struct criu_request *r);
/* The answer to a notification. */
void criu_reply_write(struct strbuf *out, bool success);

struct criu_response {
	int type; /* enum criu_type */
	bool success;
	int pid;	   /* of the restored init; 0: not said */
	char script[32];   /* which notification; "" in other messages */
	char message[512]; /* criu's first error, one line; "" */
};

/* -EPROTO: that is no such message. */
int criu_response_parse(const void *data, size_t len, struct criu_response *ret);

/* "soft", "full", "strict", "ignore"; -EINVAL. */
int criu_cgroup_mode_parse(const char *name, int *ret);
/* "iptables", "nftables", "skip"; -EINVAL. */
int criu_network_lock_parse(const char *name, int *ret);

#endif
