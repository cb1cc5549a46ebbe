/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spec.h - config.json as structs: OCI runtime-spec 1.3.0 (config.md and
 * config-linux.md, whose field names the members carry). Strings and arrays
 * live in the arena that spec_load was given. Optional numbers are pointers.
 */
#ifndef VOLRUN_OCI_SPEC_H
#define VOLRUN_OCI_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "oci/json.h"

#define OCI_VERSION "1.3.0"

/* --- process ------------------------------------------------------------- */

struct spec_user {
	uint32_t uid, gid;
	uint32_t *umask;
	uint32_t *additional_gids;
	size_t n_additional_gids;
	const char *username; /* Windows only; kept for messages */
};

struct spec_caps {
	const char **bounding, **effective, **inheritable, **permitted, **ambient;
	size_t n_bounding, n_effective, n_inheritable, n_permitted, n_ambient;
};

struct spec_rlimit {
	const char *type; /* "RLIMIT_NOFILE" */
	uint64_t soft, hard;
};

struct spec_console_size {
	uint32_t height, width;
};

struct spec_scheduler {
	const char *policy; /* "SCHED_OTHER" ... */
	int32_t nice, priority;
	const char **flags;
	size_t n_flags;
	uint64_t *runtime;
	uint64_t deadline, period;
};

struct spec_io_priority {
	const char *class;
	int32_t priority;
};

struct spec_exec_cpu_affinity {
	const char *initial, *final;
};

struct spec_process {
	bool terminal;
	struct spec_console_size *console_size;
	struct spec_user user;
	const char **args;
	size_t n_args;
	const char *command_line; /* Windows; refused */
	const char **env;
	size_t n_env;
	const char *cwd;
	struct spec_caps *capabilities;
	struct spec_rlimit *rlimits;
	size_t n_rlimits;
	bool no_new_privileges;
	const char *apparmor_profile;
	int32_t *oom_score_adj;
	struct spec_scheduler *scheduler;
	struct spec_io_priority *io_priority;
	struct spec_exec_cpu_affinity *exec_cpu_affinity;
	const char *selinux_label;
};

/* --- root, mounts, hooks ------------------------------------------------- */

struct spec_root {
	const char *path;
	bool readonly;
};

struct spec_id_mapping {
	uint32_t container_id, host_id, size;
};

struct spec_mount {
	const char *destination;
	const char *type;
	const char *source;
	const char **options;
	size_t n_options;
	struct spec_id_mapping *uid_mappings, *gid_mappings;
	size_t n_uid_mappings, n_gid_mappings;
};

struct spec_hook {
	const char *path;
	const char **args; /* argv, argv[0] included; NULL-terminated; may be empty */
	size_t n_args;
	const char **env;
	size_t n_env;
	int32_t *timeout; /* seconds, > 0 */
};

struct spec_hooks {
	struct spec_hook *prestart, *create_runtime, *create_container, *start_container, *poststart, *poststop;
	size_t n_prestart, n_create_runtime, n_create_container, n_start_container, n_poststart, n_poststop;
};

/* --- linux --------------------------------------------------------------- */

enum spec_ns {
	SPEC_NS_PID,
	SPEC_NS_NETWORK,
	SPEC_NS_MOUNT,
	SPEC_NS_IPC,
	SPEC_NS_UTS,
	SPEC_NS_USER,
	SPEC_NS_CGROUP,
	SPEC_NS_TIME,
	SPEC_NS_COUNT
};
extern const char *const spec_ns_names[]; /* "pid", "network", ... NULL */

struct spec_namespace {
	int type;	  /* enum spec_ns */
	const char *path; /* NULL: a new one */
};

struct spec_time_offset {
	const char *clock; /* "monotonic", "boottime" */
	int64_t secs;
	uint32_t nanosecs;
};

struct spec_device {
	const char *path;
	const char *type; /* "c", "b", "u", "p" */
	int64_t major, minor;
	uint32_t *file_mode;
	uint32_t *uid, *gid;
};

struct spec_net_device {
	const char *host_name; /* the key */
	const char *name;
};

struct spec_device_rule {
	bool allow;
	const char *type; /* "a", "c", "b"; NULL: a */
	int64_t *major, *minor;
	const char *access; /* of "rwm"; NULL: all */
};

struct spec_memory {
	int64_t *limit, *reservation, *swap, *kernel, *kernel_tcp;
	uint64_t *swappiness;
	bool *disable_oom_killer, *use_hierarchy, *check_before_update;
};

struct spec_cpu {
	uint64_t *shares;
	int64_t *quota;
	uint64_t *burst, *period;
	int64_t *realtime_runtime;
	uint64_t *realtime_period;
	const char *cpus, *mems;
	int64_t *idle;
};

struct spec_pids {
	int64_t *limit;
};

struct spec_weight_device {
	int64_t major, minor;
	uint16_t *weight, *leaf_weight;
};

struct spec_throttle_device {
	int64_t major, minor;
	uint64_t rate;
};

struct spec_block_io {
	uint16_t *weight, *leaf_weight;
	struct spec_weight_device *weight_device;
	struct spec_throttle_device *throttle_read_bps, *throttle_write_bps, *throttle_read_iops, *throttle_write_iops;
	size_t n_weight_device, n_throttle_read_bps, n_throttle_write_bps, n_throttle_read_iops, n_throttle_write_iops;
};

struct spec_hugepage_limit {
	const char *page_size;
	uint64_t limit;
};

struct spec_interface_priority {
	const char *name;
	uint32_t priority;
};

struct spec_network {
	uint32_t *class_id;
	struct spec_interface_priority *priorities;
	size_t n_priorities;
};

struct spec_rdma {
	const char *device; /* the key */
	uint32_t *hca_handles, *hca_objects;
};

struct spec_resources {
	struct spec_device_rule *devices;
	size_t n_devices;
	struct spec_memory *memory;
	struct spec_cpu *cpu;
	struct spec_pids *pids;
	struct spec_block_io *block_io;
	struct spec_hugepage_limit *hugepage_limits;
	size_t n_hugepage_limits;
	struct spec_network *network;
	struct spec_rdma *rdma;
	size_t n_rdma;
	struct json_pair *unified;
	size_t n_unified;
};

struct spec_seccomp_arg {
	uint32_t index;
	uint64_t value, value_two;
	const char *op; /* "SCMP_CMP_EQ" */
};

struct spec_seccomp_syscall {
	const char **names;
	size_t n_names;
	const char *action;
	uint32_t *errno_ret;
	struct spec_seccomp_arg *args;
	size_t n_args;
};

struct spec_seccomp {
	const char *default_action;
	uint32_t *default_errno_ret;
	const char **architectures;
	size_t n_architectures;
	const char **flags;
	size_t n_flags;
	const char *listener_path, *listener_metadata;
	struct spec_seccomp_syscall *syscalls;
	size_t n_syscalls;
};

struct spec_intel_rdt {
	const char *clos_id, *l3_cache_schema, *mem_bw_schema;
	const char **schemata;
	size_t n_schemata;
	bool enable_monitoring;
};

struct spec_memory_policy {
	const char *mode, *nodes;
	const char **flags;
	size_t n_flags;
};

struct spec_personality {
	const char *domain; /* "LINUX", "LINUX32" */
	const char **flags;
	size_t n_flags;
};

struct spec_linux {
	struct spec_namespace *namespaces;
	size_t n_namespaces;
	struct spec_id_mapping *uid_mappings, *gid_mappings;
	size_t n_uid_mappings, n_gid_mappings;
	struct spec_time_offset *time_offsets; /* a map by clock */
	size_t n_time_offsets;
	struct spec_device *devices;
	size_t n_devices;
	struct spec_net_device *net_devices;
	size_t n_net_devices;
	const char *cgroups_path;
	struct spec_resources *resources;
	const char *rootfs_propagation;
	struct spec_seccomp *seccomp;
	struct json_pair *sysctl;
	size_t n_sysctl;
	const char **masked_paths, **readonly_paths;
	size_t n_masked_paths, n_readonly_paths;
	const char *mount_label;
	struct spec_intel_rdt *intel_rdt;
	struct spec_memory_policy *memory_policy;
	struct spec_personality *personality;
};

/* --- the whole ----------------------------------------------------------- */

struct spec {
	const char *oci_version;
	struct spec_root *root;
	struct spec_mount *mounts;
	size_t n_mounts;
	struct spec_process *process;
	const char *hostname, *domainname;
	struct spec_hooks *hooks;
	struct json_pair *annotations;
	size_t n_annotations;
	struct spec_linux *linux_; /* "linux"; never NULL after spec_load */
};

extern const struct json_table spec_table, spec_process_table, spec_resources_table;

/*
 * Reads and checks <bundle>/config.json (spec_check included). linux_ and
 * hooks are never NULL afterwards. Errors: -ENOENT, -EINVAL with the place.
 */
int spec_load(const char *bundle, struct arena *arena, struct spec *ret, struct error *err);

/* The same from a file of any name. */
int spec_load_file(const char *path, struct arena *arena, struct spec *ret, struct error *err);
/* The same from text; source names it in messages. */
int spec_parse(const char *text, size_t len, const char *source, struct arena *arena, struct spec *ret,
	       struct error *err);

/* process.json, for exec. */
int spec_load_process(const char *path, struct arena *arena, struct spec_process *ret, struct error *err);

/* oci/spec_mounts.c: mounts alone, as an array or as {"mounts": [...]}; checked. */
int spec_load_mounts(const char *path, struct arena *arena, struct spec_mount **ret, size_t *ret_n, struct error *err);
/* text is NUL-terminated. */
int spec_parse_mounts(const char *text, size_t len, const char *source, struct arena *arena, struct spec_mount **ret,
		      size_t *ret_n, struct error *err);

/* oci/check.c: what the tables can't say: ociVersion, required members, duplicates, ranges, combinations. */
int spec_check(const struct spec *spec, struct error *err);
/* The part about a process; place is where it stands ("$.process"). */
int spec_check_process(const struct spec_process *process, const char *place, struct error *err);

/* The example that `volrun spec` writes (as runc's; rootless: with a user namespace mapping uid/gid to 0). */
int spec_example(struct strbuf *out, bool rootless, uint32_t uid, uint32_t gid);

/* The namespace entry of a type, or NULL. */
const struct spec_namespace *spec_find_namespace(const struct spec *spec, enum spec_ns type);

/* The enum spec_ns that a sysctl belongs to, -1: none. */
int spec_sysctl_namespace(const char *key);

/* As crun has it: the option that linux.mountLabel is given to a mount with (mount(8): context, fscontext, ...). */
#define SPEC_MOUNT_CONTEXT_TYPE "run.oci.mount_context_type"

/* An annotation's value, or NULL. */
const char *spec_annotation(const struct spec *spec, const char *key);

#endif
