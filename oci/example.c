/* SPDX-License-Identifier: Apache-2.0 */
/* The config.json that `volrun spec` writes: runc's, which people's scripts go on from. */
#include <errno.h>
#include <linux/magic.h>
#include <sys/vfs.h>

#include "base/cleanup.h"
#include "oci/spec.h"

#define INDENT 8

/* A member pointer with its count, of literals in file scope. */
#define STRINGS(member, ...)                                                                                           \
	.member = (const char *[]){__VA_ARGS__, NULL}, .n_##member = ARRAY_SIZE(((const char *[]){__VA_ARGS__}))

#define CAPS "CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"

static struct spec_caps caps = {STRINGS(bounding, CAPS), STRINGS(effective, CAPS), STRINGS(permitted, CAPS)};

static struct spec_rlimit rlimits[] = {{"RLIMIT_NOFILE", 1024, 1024}};

static struct spec_process process = {
    .terminal = true,
    STRINGS(args, "sh"),
    STRINGS(env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"),
    .cwd = "/",
    .capabilities = &caps,
    .rlimits = rlimits,
    .n_rlimits = ARRAY_SIZE(rlimits),
    .no_new_privileges = true,
};

static struct spec_root root = {.path = "rootfs", .readonly = true};

#define MOUNT_PROC                                                                                                     \
	{                                                                                                              \
		"/proc", "proc", "proc"                                                                                \
	}
#define MOUNT_DEV                                                                                                      \
	{                                                                                                              \
		"/dev", "tmpfs", "tmpfs", STRINGS(options, "nosuid", "strictatime", "mode=755", "size=65536k")         \
	}
#define MOUNT_DEVPTS(...)                                                                                              \
	{                                                                                                              \
		"/dev/pts", "devpts", "devpts",                                                                        \
		    STRINGS(options, "nosuid", "noexec", "newinstance", "ptmxmode=0666", __VA_ARGS__)                  \
	}
#define MOUNT_SHM                                                                                                      \
	{                                                                                                              \
		"/dev/shm", "tmpfs", "shm", STRINGS(options, "nosuid", "noexec", "nodev", "mode=1777", "size=65536k")  \
	}
#define MOUNT_MQUEUE                                                                                                   \
	{                                                                                                              \
		"/dev/mqueue", "mqueue", "mqueue", STRINGS(options, "nosuid", "noexec", "nodev")                       \
	}
#define MOUNT_CGROUP                                                                                                   \
	{                                                                                                              \
		"/sys/fs/cgroup", "cgroup", "cgroup", STRINGS(options, "nosuid", "noexec", "nodev", "relatime", "ro")  \
	}

static struct spec_mount mounts[] = {
    MOUNT_PROC,	  MOUNT_DEV,	MOUNT_DEVPTS("mode=0620", "gid=5"),
    MOUNT_SHM,	  MOUNT_MQUEUE, {"/sys", "sysfs", "sysfs", STRINGS(options, "nosuid", "noexec", "nodev", "ro")},
    MOUNT_CGROUP,
};

/* Group 5 is not mapped, and without a network namespace of its own nobody may mount a new sysfs. */
static struct spec_mount rootless_mounts[] = {
    MOUNT_PROC,	  MOUNT_DEV,	MOUNT_DEVPTS("mode=0620"),
    MOUNT_SHM,	  MOUNT_MQUEUE, {"/sys", "none", "/sys", STRINGS(options, "rbind", "nosuid", "noexec", "nodev", "ro")},
    MOUNT_CGROUP,
};

static struct spec_device_rule device_rules[] = {{.allow = false, .access = "rwm"}};
static struct spec_resources resources = {.devices = device_rules, .n_devices = ARRAY_SIZE(device_rules)};

static const struct spec_linux linux_template = {
    STRINGS(masked_paths, "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
	    "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi"),
    STRINGS(readonly_paths, "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"),
};

/* Only a unified hierarchy is worth hiding: in v1 the mount shows the container's part anyway. As runc does. */
static bool cgroups_are_unified(void)
{
	struct statfs st;

	return statfs("/sys/fs/cgroup", &st) == 0 && st.f_type == CGROUP2_SUPER_MAGIC;
}

int spec_example(struct strbuf *out, bool rootless, uint32_t uid, uint32_t gid)
{
	struct spec_id_mapping uid_map = {.container_id = 0, .host_id = uid, .size = 1};
	struct spec_id_mapping gid_map = {.container_id = 0, .host_id = gid, .size = 1};
	struct spec_namespace namespaces[SPEC_NS_COUNT];
	struct spec_linux linux_ = linux_template;
	struct spec spec = {
	    .oci_version = OCI_VERSION,
	    .process = &process,
	    .root = &root,
	    .hostname = "volrun",
	    .mounts = rootless ? rootless_mounts : mounts,
	    .n_mounts = rootless ? ARRAY_SIZE(rootless_mounts) : ARRAY_SIZE(mounts),
	    .linux_ = &linux_,
	};
	size_t n = 0;

	namespaces[n++] = (struct spec_namespace){SPEC_NS_PID, NULL};
	if (!rootless)
		namespaces[n++] = (struct spec_namespace){SPEC_NS_NETWORK, NULL};
	namespaces[n++] = (struct spec_namespace){SPEC_NS_IPC, NULL};
	namespaces[n++] = (struct spec_namespace){SPEC_NS_UTS, NULL};
	namespaces[n++] = (struct spec_namespace){SPEC_NS_MOUNT, NULL};
	if (cgroups_are_unified())
		namespaces[n++] = (struct spec_namespace){SPEC_NS_CGROUP, NULL};
	if (rootless) {
		namespaces[n++] = (struct spec_namespace){SPEC_NS_USER, NULL};
		linux_.uid_mappings = &uid_map;
		linux_.n_uid_mappings = 1;
		linux_.gid_mappings = &gid_map;
		linux_.n_gid_mappings = 1;
	} else {
		linux_.resources = &resources;
	}
	linux_.namespaces = namespaces;
	linux_.n_namespaces = n;
	json_write(out, &spec_table, &spec, INDENT);
	strbuf_addc(out, '\n');
	return out->failed ? -ENOMEM : 0;
}
