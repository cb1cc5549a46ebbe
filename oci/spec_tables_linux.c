/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of config-linux.md. */
#include "oci/spec.h"
#include "oci/spec_tables.h"

const char *const spec_ns_names[] = {
    [SPEC_NS_PID] = "pid",	 [SPEC_NS_NETWORK] = "network", [SPEC_NS_MOUNT] = "mount",
    [SPEC_NS_IPC] = "ipc",	 [SPEC_NS_UTS] = "uts",		[SPEC_NS_USER] = "user",
    [SPEC_NS_CGROUP] = "cgroup", [SPEC_NS_TIME] = "time",	[SPEC_NS_COUNT] = NULL};

static const struct json_field namespace_fields[] = {
    JSON_FIELD(struct spec_namespace, type, "type", JSON_ENUM, .names = spec_ns_names, .required = true),
    JSON_FIELD(struct spec_namespace, path, "path", JSON_STR),
    {NULL},
};
static const struct json_table namespace_table = {"namespace", sizeof(struct spec_namespace), namespace_fields,
						  JSON_EMPTY_ABSENT};

static const struct json_field time_offset_fields[] = {
    JSON_FIELD(struct spec_time_offset, secs, "secs", JSON_I64),
    JSON_FIELD(struct spec_time_offset, nanosecs, "nanosecs", JSON_U32),
    {NULL},
};
static const struct json_table time_offset_table = {"time offset", sizeof(struct spec_time_offset), time_offset_fields,
						    JSON_EMPTY_ABSENT};

static const struct json_field device_fields[] = {
    JSON_FIELD(struct spec_device, path, "path", JSON_STR, .required = true),
    JSON_FIELD(struct spec_device, type, "type", JSON_STR, .required = true),
    JSON_FIELD(struct spec_device, major, "major", JSON_I64, .write_empty = true),
    JSON_FIELD(struct spec_device, minor, "minor", JSON_I64, .write_empty = true),
    JSON_FIELD(struct spec_device, file_mode, "fileMode", JSON_OPT_U32),
    JSON_FIELD(struct spec_device, uid, "uid", JSON_OPT_U32),
    JSON_FIELD(struct spec_device, gid, "gid", JSON_OPT_U32),
    {NULL},
};
static const struct json_table device_table = {"device", sizeof(struct spec_device), device_fields, JSON_EMPTY_ABSENT};

static const struct json_field net_device_fields[] = {
    JSON_FIELD(struct spec_net_device, name, "name", JSON_STR),
    {NULL},
};
static const struct json_table net_device_table = {"net device", sizeof(struct spec_net_device), net_device_fields,
						   JSON_EMPTY_ABSENT};

/* --- resources ------------------------------------------------------------------ */

static const struct json_field device_rule_fields[] = {
    JSON_FIELD(struct spec_device_rule, allow, "allow", JSON_BOOL, .write_empty = true),
    JSON_FIELD(struct spec_device_rule, type, "type", JSON_STR),
    JSON_FIELD(struct spec_device_rule, major, "major", JSON_OPT_I64),
    JSON_FIELD(struct spec_device_rule, minor, "minor", JSON_OPT_I64),
    JSON_FIELD(struct spec_device_rule, access, "access", JSON_STR),
    {NULL},
};
static const struct json_table device_rule_table = {"device rule", sizeof(struct spec_device_rule), device_rule_fields,
						    JSON_EMPTY_ABSENT};

static const struct json_field memory_fields[] = {
    JSON_FIELD(struct spec_memory, limit, "limit", JSON_OPT_I64),
    JSON_FIELD(struct spec_memory, reservation, "reservation", JSON_OPT_I64),
    JSON_FIELD(struct spec_memory, swap, "swap", JSON_OPT_I64),
    JSON_FIELD(struct spec_memory, kernel, "kernel", JSON_OPT_I64),
    JSON_FIELD(struct spec_memory, kernel_tcp, "kernelTCP", JSON_OPT_I64),
    JSON_FIELD(struct spec_memory, swappiness, "swappiness", JSON_OPT_U64),
    JSON_FIELD(struct spec_memory, disable_oom_killer, "disableOOMKiller", JSON_OPT_BOOL),
    JSON_FIELD(struct spec_memory, use_hierarchy, "useHierarchy", JSON_OPT_BOOL),
    JSON_FIELD(struct spec_memory, check_before_update, "checkBeforeUpdate", JSON_OPT_BOOL),
    {NULL},
};
static const struct json_table memory_table = {"memory", sizeof(struct spec_memory), memory_fields, JSON_EMPTY_ABSENT};

static const struct json_field cpu_fields[] = {
    JSON_FIELD(struct spec_cpu, shares, "shares", JSON_OPT_U64),
    JSON_FIELD(struct spec_cpu, quota, "quota", JSON_OPT_I64),
    JSON_FIELD(struct spec_cpu, burst, "burst", JSON_OPT_U64),
    JSON_FIELD(struct spec_cpu, period, "period", JSON_OPT_U64),
    JSON_FIELD(struct spec_cpu, realtime_runtime, "realtimeRuntime", JSON_OPT_I64),
    JSON_FIELD(struct spec_cpu, realtime_period, "realtimePeriod", JSON_OPT_U64),
    JSON_FIELD(struct spec_cpu, cpus, "cpus", JSON_STR),
    JSON_FIELD(struct spec_cpu, mems, "mems", JSON_STR),
    JSON_FIELD(struct spec_cpu, idle, "idle", JSON_OPT_I64),
    {NULL},
};
static const struct json_table cpu_table = {"cpu", sizeof(struct spec_cpu), cpu_fields, JSON_EMPTY_ABSENT};

static const struct json_field pids_fields[] = {
    JSON_FIELD(struct spec_pids, limit, "limit", JSON_OPT_I64),
    {NULL},
};
static const struct json_table pids_table = {"pids", sizeof(struct spec_pids), pids_fields, JSON_EMPTY_ABSENT};

static const struct json_field weight_device_fields[] = {
    JSON_FIELD(struct spec_weight_device, major, "major", JSON_I64, .write_empty = true),
    JSON_FIELD(struct spec_weight_device, minor, "minor", JSON_I64, .write_empty = true),
    JSON_FIELD(struct spec_weight_device, weight, "weight", JSON_OPT_U16),
    JSON_FIELD(struct spec_weight_device, leaf_weight, "leafWeight", JSON_OPT_U16),
    {NULL},
};
static const struct json_table weight_device_table = {"weight device", sizeof(struct spec_weight_device),
						      weight_device_fields, JSON_EMPTY_ABSENT};

static const struct json_field throttle_device_fields[] = {
    JSON_FIELD(struct spec_throttle_device, major, "major", JSON_I64, .write_empty = true),
    JSON_FIELD(struct spec_throttle_device, minor, "minor", JSON_I64, .write_empty = true),
    JSON_FIELD(struct spec_throttle_device, rate, "rate", JSON_U64, .write_empty = true),
    {NULL},
};
static const struct json_table throttle_table = {"throttle device", sizeof(struct spec_throttle_device),
						 throttle_device_fields, JSON_EMPTY_ABSENT};

static const struct json_field block_io_fields[] = {
    JSON_FIELD(struct spec_block_io, weight, "weight", JSON_OPT_U16),
    JSON_FIELD(struct spec_block_io, leaf_weight, "leafWeight", JSON_OPT_U16),
    JSON_LIST(struct spec_block_io, weight_device, "weightDevice", JSON_ARR_OBJ, .table = &weight_device_table),
    JSON_LIST(struct spec_block_io, throttle_read_bps, "throttleReadBpsDevice", JSON_ARR_OBJ, .table = &throttle_table),
    JSON_LIST(struct spec_block_io, throttle_write_bps, "throttleWriteBpsDevice", JSON_ARR_OBJ,
	      .table = &throttle_table),
    JSON_LIST(struct spec_block_io, throttle_read_iops, "throttleReadIOPSDevice", JSON_ARR_OBJ,
	      .table = &throttle_table),
    JSON_LIST(struct spec_block_io, throttle_write_iops, "throttleWriteIOPSDevice", JSON_ARR_OBJ,
	      .table = &throttle_table),
    {NULL},
};
static const struct json_table block_io_table = {"blockIO", sizeof(struct spec_block_io), block_io_fields,
						 JSON_EMPTY_ABSENT};

static const struct json_field hugepage_limit_fields[] = {
    JSON_FIELD(struct spec_hugepage_limit, page_size, "pageSize", JSON_STR, .required = true),
    JSON_FIELD(struct spec_hugepage_limit, limit, "limit", JSON_U64, .write_empty = true),
    {NULL},
};
static const struct json_table hugepage_limit_table = {"hugepage limit", sizeof(struct spec_hugepage_limit),
						       hugepage_limit_fields, JSON_EMPTY_ABSENT};

static const struct json_field priority_fields[] = {
    JSON_FIELD(struct spec_interface_priority, name, "name", JSON_STR, .required = true),
    JSON_FIELD(struct spec_interface_priority, priority, "priority", JSON_U32, .write_empty = true),
    {NULL},
};
static const struct json_table priority_table = {"interface priority", sizeof(struct spec_interface_priority),
						 priority_fields, JSON_EMPTY_ABSENT};

static const struct json_field network_fields[] = {
    JSON_FIELD(struct spec_network, class_id, "classID", JSON_OPT_U32),
    JSON_LIST(struct spec_network, priorities, "priorities", JSON_ARR_OBJ, .table = &priority_table),
    {NULL},
};
static const struct json_table network_table = {"network", sizeof(struct spec_network), network_fields,
						JSON_EMPTY_ABSENT};

static const struct json_field rdma_fields[] = {
    JSON_FIELD(struct spec_rdma, hca_handles, "hcaHandles", JSON_OPT_U32),
    JSON_FIELD(struct spec_rdma, hca_objects, "hcaObjects", JSON_OPT_U32),
    {NULL},
};
static const struct json_table rdma_table = {"rdma", sizeof(struct spec_rdma), rdma_fields, JSON_EMPTY_ABSENT};

static const struct json_field resources_fields[] = {
    JSON_LIST(struct spec_resources, devices, "devices", JSON_ARR_OBJ, .table = &device_rule_table),
    JSON_FIELD(struct spec_resources, memory, "memory", JSON_OBJ_PTR, .table = &memory_table),
    JSON_FIELD(struct spec_resources, cpu, "cpu", JSON_OBJ_PTR, .table = &cpu_table),
    JSON_FIELD(struct spec_resources, pids, "pids", JSON_OBJ_PTR, .table = &pids_table),
    JSON_FIELD(struct spec_resources, block_io, "blockIO", JSON_OBJ_PTR, .table = &block_io_table),
    JSON_LIST(struct spec_resources, hugepage_limits, "hugepageLimits", JSON_ARR_OBJ, .table = &hugepage_limit_table),
    JSON_FIELD(struct spec_resources, network, "network", JSON_OBJ_PTR, .table = &network_table),
    JSON_LIST(struct spec_resources, rdma, "rdma", JSON_MAP_OBJ, .table = &rdma_table,
	      .key_offset = offsetof(struct spec_rdma, device)),
    JSON_LIST(struct spec_resources, unified, "unified", JSON_MAP_STR),
    {NULL},
};
const struct json_table spec_resources_table = {"resources", sizeof(struct spec_resources), resources_fields,
						JSON_EMPTY_ABSENT};

/* --- seccomp --------------------------------------------------------------------- */

static const struct json_field seccomp_arg_fields[] = {
    JSON_FIELD(struct spec_seccomp_arg, index, "index", JSON_U32, .write_empty = true),
    JSON_FIELD(struct spec_seccomp_arg, value, "value", JSON_U64, .write_empty = true),
    JSON_FIELD(struct spec_seccomp_arg, value_two, "valueTwo", JSON_U64),
    JSON_FIELD(struct spec_seccomp_arg, op, "op", JSON_STR, .required = true),
    {NULL},
};
static const struct json_table seccomp_arg_table = {"seccomp argument", sizeof(struct spec_seccomp_arg),
						    seccomp_arg_fields, JSON_EMPTY_ABSENT};

static const struct json_field seccomp_syscall_fields[] = {
    JSON_LIST(struct spec_seccomp_syscall, names, "names", JSON_ARR_STR, .required = true),
    JSON_FIELD(struct spec_seccomp_syscall, action, "action", JSON_STR, .required = true),
    JSON_FIELD(struct spec_seccomp_syscall, errno_ret, "errnoRet", JSON_OPT_U32),
    JSON_LIST(struct spec_seccomp_syscall, args, "args", JSON_ARR_OBJ, .table = &seccomp_arg_table),
    {NULL},
};
static const struct json_table seccomp_syscall_table = {"seccomp syscall", sizeof(struct spec_seccomp_syscall),
							seccomp_syscall_fields, JSON_EMPTY_ABSENT};

static const struct json_field seccomp_fields[] = {
    JSON_FIELD(struct spec_seccomp, default_action, "defaultAction", JSON_STR, .required = true),
    JSON_FIELD(struct spec_seccomp, default_errno_ret, "defaultErrnoRet", JSON_OPT_U32),
    JSON_LIST(struct spec_seccomp, architectures, "architectures", JSON_ARR_STR),
    JSON_LIST(struct spec_seccomp, flags, "flags", JSON_ARR_STR),
    JSON_FIELD(struct spec_seccomp, listener_path, "listenerPath", JSON_STR),
    JSON_FIELD(struct spec_seccomp, listener_metadata, "listenerMetadata", JSON_STR),
    JSON_LIST(struct spec_seccomp, syscalls, "syscalls", JSON_ARR_OBJ, .table = &seccomp_syscall_table),
    {NULL},
};
static const struct json_table seccomp_table = {"seccomp", sizeof(struct spec_seccomp), seccomp_fields,
						JSON_EMPTY_ABSENT};

/* --- the rest ---------------------------------------------------------------------- */

static const struct json_field intel_rdt_fields[] = {
    JSON_FIELD(struct spec_intel_rdt, clos_id, "closID", JSON_STR),
    JSON_LIST(struct spec_intel_rdt, schemata, "schemata", JSON_ARR_STR),
    JSON_FIELD(struct spec_intel_rdt, l3_cache_schema, "l3CacheSchema", JSON_STR),
    JSON_FIELD(struct spec_intel_rdt, mem_bw_schema, "memBwSchema", JSON_STR),
    JSON_FIELD(struct spec_intel_rdt, enable_monitoring, "enableMonitoring", JSON_BOOL),
    {NULL},
};
static const struct json_table intel_rdt_table = {"intelRdt", sizeof(struct spec_intel_rdt), intel_rdt_fields,
						  JSON_EMPTY_ABSENT};

static const struct json_field memory_policy_fields[] = {
    JSON_FIELD(struct spec_memory_policy, mode, "mode", JSON_STR),
    JSON_FIELD(struct spec_memory_policy, nodes, "nodes", JSON_STR),
    JSON_LIST(struct spec_memory_policy, flags, "flags", JSON_ARR_STR),
    {NULL},
};
static const struct json_table memory_policy_table = {"memoryPolicy", sizeof(struct spec_memory_policy),
						      memory_policy_fields, JSON_EMPTY_ABSENT};

static const struct json_field personality_fields[] = {
    JSON_FIELD(struct spec_personality, domain, "domain", JSON_STR, .required = true),
    JSON_LIST(struct spec_personality, flags, "flags", JSON_ARR_STR),
    {NULL},
};
static const struct json_table personality_table = {"personality", sizeof(struct spec_personality), personality_fields,
						    JSON_EMPTY_ABSENT};

static const struct json_field linux_fields[] = {
    JSON_LIST(struct spec_linux, uid_mappings, "uidMappings", JSON_ARR_OBJ, .table = &spec_id_mapping_table,
	      .max_count = SPEC_MAX_ID_MAPPINGS),
    JSON_LIST(struct spec_linux, gid_mappings, "gidMappings", JSON_ARR_OBJ, .table = &spec_id_mapping_table,
	      .max_count = SPEC_MAX_ID_MAPPINGS),
    JSON_LIST(struct spec_linux, sysctl, "sysctl", JSON_MAP_STR),
    JSON_FIELD(struct spec_linux, resources, "resources", JSON_OBJ_PTR, .table = &spec_resources_table),
    JSON_FIELD(struct spec_linux, cgroups_path, "cgroupsPath", JSON_STR),
    JSON_LIST(struct spec_linux, namespaces, "namespaces", JSON_ARR_OBJ, .table = &namespace_table),
    JSON_LIST(struct spec_linux, devices, "devices", JSON_ARR_OBJ, .table = &device_table),
    JSON_LIST(struct spec_linux, net_devices, "netDevices", JSON_MAP_OBJ, .table = &net_device_table,
	      .key_offset = offsetof(struct spec_net_device, host_name)),
    JSON_FIELD(struct spec_linux, seccomp, "seccomp", JSON_OBJ_PTR, .table = &seccomp_table),
    JSON_FIELD(struct spec_linux, rootfs_propagation, "rootfsPropagation", JSON_STR),
    JSON_LIST(struct spec_linux, masked_paths, "maskedPaths", JSON_ARR_STR),
    JSON_LIST(struct spec_linux, readonly_paths, "readonlyPaths", JSON_ARR_STR),
    JSON_FIELD(struct spec_linux, mount_label, "mountLabel", JSON_STR),
    JSON_FIELD(struct spec_linux, intel_rdt, "intelRdt", JSON_OBJ_PTR, .table = &intel_rdt_table),
    JSON_FIELD(struct spec_linux, memory_policy, "memoryPolicy", JSON_OBJ_PTR, .table = &memory_policy_table),
    JSON_FIELD(struct spec_linux, personality, "personality", JSON_OBJ_PTR, .table = &personality_table),
    JSON_LIST(struct spec_linux, time_offsets, "timeOffsets", JSON_MAP_OBJ, .table = &time_offset_table,
	      .key_offset = offsetof(struct spec_time_offset, clock)),
    {NULL},
};
const struct json_table spec_linux_table = {"linux", sizeof(struct spec_linux), linux_fields, JSON_EMPTY_ABSENT};
