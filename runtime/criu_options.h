/* SPDX-License-Identifier: Apache-2.0 */
/* criu_options.h - the options that `checkpoint` and `restore` share. */
#ifndef VOLRUN_RUNTIME_CRIU_OPTIONS_H
#define VOLRUN_RUNTIME_CRIU_OPTIONS_H

#include "oci/spec.h"
#include "runtime/args.h"
#include "runtime/criu_message.h"

/* What joined namespaces are called in the images. */
#define CRIU_NETWORK_KEY "extRootNetNS"
#define CRIU_PID_KEY "extRootPidNS"

/* Beside the images: places of mounts that config.json does not know of. */
#define CRIU_MOUNTS_FILE "volrun-mounts.json"
/* Beside them, too: what volumes_checkpoint notes. */
#define CRIU_VOLUMES_FILE "volrun-volumes.json"

struct criu_options {
	const char *image_path, *work_path, *page_server, *cgroups_mode, *network_lock, *status_fd;
	struct arg_list empty_ns;
	struct criu_request request; /* its flags are options, too */
};

#define CRIU_OPTIONS_INIT                                                                                              \
	{                                                                                                              \
		.request = CRIU_REQUEST_INIT                                                                           \
	}

/* For a table of args.h; o is the struct criu_options in the struct `type`. */
#define CRIU_FLAG(type, o, name, member, help)                                                                         \
	{                                                                                                              \
		name, 0, ARG_BOOL, offsetof(type, o.request.member), NULL, help                                        \
	}
#define CRIU_VALUE(type, o, name, member, value, help)                                                                 \
	{                                                                                                              \
		name, 0, ARG_STR, offsetof(type, o.member), value, help                                                \
	}
#define CRIU_OPTIONS(type, o)                                                                                          \
	CRIU_VALUE(type, o, "image-path", image_path, "DIR", "the images' directory (./checkpoint)"),                  \
	    CRIU_VALUE(type, o, "work-path", work_path, "DIR", "criu's log and work files (the images' directory)"),   \
	    CRIU_VALUE(type, o, "manage-cgroups-mode", cgroups_mode, "MODE", "soft, full, strict or ignore (soft)"),   \
	    CRIU_VALUE(type, o, "network-lock", network_lock, "METHOD", "iptables, nftables or skip"),                 \
	    CRIU_VALUE(type, o, "page-server", page_server, "ADDRESS:PORT", "memory pages go to, or come from, it"),   \
	    CRIU_VALUE(type, o, "status-fd", status_fd, "N", "criu writes a zero byte to it once pages are served"),   \
	    CRIU_FLAG(type, o, "tcp-established", tcp_established, "keep open TCP connections"),                       \
	    CRIU_FLAG(type, o, "tcp-close", tcp_close, "close open TCP connections"),                                  \
	    CRIU_FLAG(type, o, "tcp-skip-in-flight", tcp_skip_in_flight, "skip TCP connections not yet accepted"),     \
	    CRIU_FLAG(type, o, "ext-unix-sk", ext_unix_sk, "allow unix sockets that lead outside"),                    \
	    CRIU_FLAG(type, o, "shell-job", shell_job, "allow a terminal that is the caller's"),                       \
	    CRIU_FLAG(type, o, "file-locks", file_locks, "keep file locks"),                                           \
	    CRIU_FLAG(type, o, "link-remap", link_remap, "link files without a name back where possible"),             \
	    CRIU_FLAG(type, o, "lazy-pages", lazy_pages, "memory pages follow when they are needed"),                  \
	    CRIU_FLAG(type, o, "auto-dedup", auto_dedup, "memory pages are kept once only"),                           \
	{                                                                                                              \
		"empty-ns", 0, ARG_LIST, offsetof(type, o.empty_ns), "NS",                                             \
		    "don't keep that namespace's settings (network; always so)"                                        \
	}

/* An opened checkpoint. */
struct criu_place {
	int images_fd, status_fd; /* status_fd: -1: none */
	const char *log_dir;	  /* the work path, or the image path */
};

#define CRIU_PLACE_INIT                                                                                                \
	{                                                                                                              \
		-1, -1, NULL                                                                                           \
	}

void criu_place_close(struct criu_place *p);

/*
 * Checks the options, makes the directories (the images' only with `make`), fills o->request. -EINVAL names the
 * option.
 */
int criu_options_apply(struct criu_options *o, bool make, struct criu_place *ret, struct arena *arena,
		       struct error *err);

/* The path of CRIU_VOLUMES_FILE. In the arena. */
int criu_volumes_file(const struct criu_options *o, struct arena *arena, const char **ret, struct error *err);

/* "10.0.0.1:9000", "[::1]:9000". */
int criu_parse_page_server(const char *text, struct arena *arena, struct criu_request *r, struct error *err);

/* criu's own configuration file for containers, which wins over what we ask: as runc has it. NULL: none. */
const char *criu_config_file(const struct spec *spec);

#endif
