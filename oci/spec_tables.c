/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of config.md: the whole, root, mounts, hooks, process (config.md#process). */
#include "oci/spec_tables.h"
#include "oci/spec.h"

/* --- process ----------------------------------------------------------------- */

static const struct json_field user_fields[] = {
    JSON_FIELD(struct spec_user, uid, "uid", JSON_U32, .write_empty = true),
    JSON_FIELD(struct spec_user, gid, "gid", JSON_U32, .write_empty = true),
    JSON_FIELD(struct spec_user, umask, "umask", JSON_OPT_U32),
    JSON_LIST(struct spec_user, additional_gids, "additionalGids", JSON_ARR_U32),
    JSON_FIELD(struct spec_user, username, "username", JSON_STR),
    {NULL},
};
static const struct json_table user_table = {"user", sizeof(struct spec_user), user_fields, JSON_EMPTY_ABSENT};

static const struct json_field caps_fields[] = {
    JSON_LIST(struct spec_caps, bounding, "bounding", JSON_ARR_STR),
    JSON_LIST(struct spec_caps, effective, "effective", JSON_ARR_STR),
    JSON_LIST(struct spec_caps, inheritable, "inheritable", JSON_ARR_STR),
    JSON_LIST(struct spec_caps, permitted, "permitted", JSON_ARR_STR),
    JSON_LIST(struct spec_caps, ambient, "ambient", JSON_ARR_STR),
    {NULL},
};
static const struct json_table caps_table = {"capabilities", sizeof(struct spec_caps), caps_fields, JSON_EMPTY_ABSENT};

static const struct json_field rlimit_fields[] = {
    JSON_FIELD(struct spec_rlimit, type, "type", JSON_STR, .required = true),
    JSON_FIELD(struct spec_rlimit, hard, "hard", JSON_U64, .required = true),
    JSON_FIELD(struct spec_rlimit, soft, "soft", JSON_U64, .required = true),
    {NULL},
};
static const struct json_table rlimit_table = {"rlimit", sizeof(struct spec_rlimit), rlimit_fields, JSON_EMPTY_ABSENT};

static const struct json_field console_size_fields[] = {
    JSON_FIELD(struct spec_console_size, height, "height", JSON_U32, .required = true),
    JSON_FIELD(struct spec_console_size, width, "width", JSON_U32, .required = true),
    {NULL},
};
static const struct json_table console_size_table = {"consoleSize", sizeof(struct spec_console_size),
						     console_size_fields, JSON_EMPTY_ABSENT};

static const struct json_field scheduler_fields[] = {
    JSON_FIELD(struct spec_scheduler, policy, "policy", JSON_STR, .required = true),
    JSON_FIELD(struct spec_scheduler, nice, "nice", JSON_I32),
    JSON_FIELD(struct spec_scheduler, priority, "priority", JSON_I32),
    JSON_LIST(struct spec_scheduler, flags, "flags", JSON_ARR_STR),
    JSON_FIELD(struct spec_scheduler, runtime, "runtime", JSON_OPT_U64),
    JSON_FIELD(struct spec_scheduler, deadline, "deadline", JSON_U64),
    JSON_FIELD(struct spec_scheduler, period, "period", JSON_U64),
    {NULL},
};
static const struct json_table scheduler_table = {"scheduler", sizeof(struct spec_scheduler), scheduler_fields,
						  JSON_EMPTY_ABSENT};

static const struct json_field io_priority_fields[] = {
    JSON_FIELD(struct spec_io_priority, class, "class", JSON_STR, .required = true),
    JSON_FIELD(struct spec_io_priority, priority, "priority", JSON_I32, .write_empty = true),
    {NULL},
};
static const struct json_table io_priority_table = {"ioPriority", sizeof(struct spec_io_priority), io_priority_fields,
						    JSON_EMPTY_ABSENT};

static const struct json_field cpu_affinity_fields[] = {
    JSON_FIELD(struct spec_exec_cpu_affinity, initial, "initial", JSON_STR),
    JSON_FIELD(struct spec_exec_cpu_affinity, final, "final", JSON_STR),
    {NULL},
};
static const struct json_table cpu_affinity_table = {"execCPUAffinity", sizeof(struct spec_exec_cpu_affinity),
						     cpu_affinity_fields, JSON_EMPTY_ABSENT};

static const struct json_field process_fields[] = {
    JSON_FIELD(struct spec_process, terminal, "terminal", JSON_BOOL),
    JSON_FIELD(struct spec_process, console_size, "consoleSize", JSON_OBJ_PTR, .table = &console_size_table),
    JSON_FIELD(struct spec_process, user, "user", JSON_OBJ, .table = &user_table, .write_empty = true),
    JSON_LIST(struct spec_process, args, "args", JSON_ARR_STR),
    JSON_FIELD(struct spec_process, command_line, "commandLine", JSON_STR),
    JSON_LIST(struct spec_process, env, "env", JSON_ARR_STR),
    JSON_FIELD(struct spec_process, cwd, "cwd", JSON_STR, .required = true),
    JSON_FIELD(struct spec_process, capabilities, "capabilities", JSON_OBJ_PTR, .table = &caps_table),
    JSON_LIST(struct spec_process, rlimits, "rlimits", JSON_ARR_OBJ, .table = &rlimit_table),
    JSON_FIELD(struct spec_process, no_new_privileges, "noNewPrivileges", JSON_BOOL),
    JSON_FIELD(struct spec_process, apparmor_profile, "apparmorProfile", JSON_STR),
    JSON_FIELD(struct spec_process, oom_score_adj, "oomScoreAdj", JSON_OPT_I32),
    JSON_FIELD(struct spec_process, scheduler, "scheduler", JSON_OBJ_PTR, .table = &scheduler_table),
    JSON_FIELD(struct spec_process, selinux_label, "selinuxLabel", JSON_STR),
    JSON_FIELD(struct spec_process, io_priority, "ioPriority", JSON_OBJ_PTR, .table = &io_priority_table),
    JSON_FIELD(struct spec_process, exec_cpu_affinity, "execCPUAffinity", JSON_OBJ_PTR, .table = &cpu_affinity_table),
    {NULL},
};
const struct json_table spec_process_table = {"process", sizeof(struct spec_process), process_fields,
					      JSON_EMPTY_ABSENT};

/* --- root, mounts, hooks ------------------------------------------------------ */

static const struct json_field root_fields[] = {
    JSON_FIELD(struct spec_root, path, "path", JSON_STR, .required = true),
    JSON_FIELD(struct spec_root, readonly, "readonly", JSON_BOOL),
    {NULL},
};
static const struct json_table root_table = {"root", sizeof(struct spec_root), root_fields, JSON_EMPTY_ABSENT};

static const struct json_field id_mapping_fields[] = {
    JSON_FIELD(struct spec_id_mapping, container_id, "containerID", JSON_U32, .write_empty = true),
    JSON_FIELD(struct spec_id_mapping, host_id, "hostID", JSON_U32, .write_empty = true),
    JSON_FIELD(struct spec_id_mapping, size, "size", JSON_U32, .required = true),
    {NULL},
};
const struct json_table spec_id_mapping_table = {"id mapping", sizeof(struct spec_id_mapping), id_mapping_fields,
						 JSON_EMPTY_ABSENT};

static const struct json_field mount_fields[] = {
    JSON_FIELD(struct spec_mount, destination, "destination", JSON_STR, .required = true),
    JSON_FIELD(struct spec_mount, type, "type", JSON_STR),
    JSON_FIELD(struct spec_mount, source, "source", JSON_STR),
    JSON_LIST(struct spec_mount, options, "options", JSON_ARR_STR),
    JSON_LIST(struct spec_mount, uid_mappings, "uidMappings", JSON_ARR_OBJ, .table = &spec_id_mapping_table,
	      .max_count = SPEC_MAX_ID_MAPPINGS),
    JSON_LIST(struct spec_mount, gid_mappings, "gidMappings", JSON_ARR_OBJ, .table = &spec_id_mapping_table,
	      .max_count = SPEC_MAX_ID_MAPPINGS),
    {NULL},
};
const struct json_table spec_mount_table = {"mount", sizeof(struct spec_mount), mount_fields, JSON_EMPTY_ABSENT};

static const struct json_field hook_fields[] = {
    JSON_FIELD(struct spec_hook, path, "path", JSON_STR, .required = true),
    JSON_LIST(struct spec_hook, args, "args", JSON_ARR_STR),
    JSON_LIST(struct spec_hook, env, "env", JSON_ARR_STR),
    JSON_FIELD(struct spec_hook, timeout, "timeout", JSON_OPT_I32),
    {NULL},
};
static const struct json_table hook_table = {"hook", sizeof(struct spec_hook), hook_fields, JSON_EMPTY_ABSENT};

static const struct json_field hooks_fields[] = {
    JSON_LIST(struct spec_hooks, prestart, "prestart", JSON_ARR_OBJ, .table = &hook_table),
    JSON_LIST(struct spec_hooks, create_runtime, "createRuntime", JSON_ARR_OBJ, .table = &hook_table),
    JSON_LIST(struct spec_hooks, create_container, "createContainer", JSON_ARR_OBJ, .table = &hook_table),
    JSON_LIST(struct spec_hooks, start_container, "startContainer", JSON_ARR_OBJ, .table = &hook_table),
    JSON_LIST(struct spec_hooks, poststart, "poststart", JSON_ARR_OBJ, .table = &hook_table),
    JSON_LIST(struct spec_hooks, poststop, "poststop", JSON_ARR_OBJ, .table = &hook_table),
    {NULL},
};
static const struct json_table hooks_table = {"hooks", sizeof(struct spec_hooks), hooks_fields, JSON_EMPTY_ABSENT};

/* --- the whole ----------------------------------------------------------------- */

/* Sections of other platforms (solaris, windows, vm, zos, freebsd) are unknown keys: skipped. */
static const struct json_field spec_fields[] = {
    JSON_FIELD(struct spec, oci_version, "ociVersion", JSON_STR, .required = true),
    JSON_FIELD(struct spec, process, "process", JSON_OBJ_PTR, .table = &spec_process_table),
    JSON_FIELD(struct spec, root, "root", JSON_OBJ_PTR, .table = &root_table, .required = true),
    JSON_FIELD(struct spec, hostname, "hostname", JSON_STR),
    JSON_FIELD(struct spec, domainname, "domainname", JSON_STR),
    JSON_LIST(struct spec, mounts, "mounts", JSON_ARR_OBJ, .table = &spec_mount_table),
    JSON_FIELD(struct spec, hooks, "hooks", JSON_OBJ_PTR, .table = &hooks_table),
    JSON_LIST(struct spec, annotations, "annotations", JSON_MAP_STR),
    JSON_FIELD(struct spec, linux_, "linux", JSON_OBJ_PTR, .table = &spec_linux_table),
    {NULL},
};
const struct json_table spec_table = {"config.json", sizeof(struct spec), spec_fields, JSON_EMPTY_ABSENT};
