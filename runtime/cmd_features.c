/* SPDX-License-Identifier: Apache-2.0 */
/* features: what this build can do, as runtime-spec 1.3.0 features.md says. Nothing on stderr: CRI-O reads both. */
#include "config.h"

#include <errno.h>
#include <stdio.h>

#include "base/strbuf.h"
#include "oci/spec.h"
#include "runtime/caps.h"
#include "runtime/command.h"
#include "runtime/mount_options.h"
#include "runtime/process.h"
#include "runtime/seccomp.h"
#include "runtime/volumes.h"

static const struct arg_option no_options[] = {{NULL}};

static void add_list(struct strbuf *out, const char *key, const char *const *items)
{
	json_write_string(out, key);
	strbuf_adds(out, ":[");
	for (size_t i = 0; items[i]; i++) {
		if (i)
			strbuf_addc(out, ',');
		json_write_string(out, items[i]);
	}
	strbuf_addc(out, ']');
}

static void add_memory_policy(struct strbuf *out)
{
	strbuf_adds(out, "\"memoryPolicy\":{");
	add_list(out, "modes", memory_policy_modes);
	strbuf_addc(out, ',');
	add_list(out, "flags", memory_policy_flags);
	strbuf_adds(out, "},");
}

static void add_seccomp(struct strbuf *out)
{
	const char *supported[SECCOMP_FLAGS_MAX];

	strbuf_adds(out, "\"seccomp\":{\"enabled\":true,");
	add_list(out, "actions", seccomp_actions);
	strbuf_addc(out, ',');
	add_list(out, "operators", seccomp_operators);
	strbuf_addc(out, ',');
	add_list(out, "archs", seccomp_archs);
	strbuf_addc(out, ',');
	add_list(out, "knownFlags", seccomp_flags);
	strbuf_addc(out, ',');
	seccomp_supported_flags(supported);
	add_list(out, "supportedFlags", supported);
	strbuf_adds(out, "},");
}

/*
 * Annotations that change what the runtime does to the host or to the container's protection: an engine that
 * takes them from a user should look at these. With a dot at the end: all that begin so.
 */
static const char *const unsafe[] = {"dev.volrun.",
				     "org.criu.",
				     "org.systemd.property.",
				     "run.oci.delegate-cgroup",
				     "run.oci.hooks.stderr",
				     "run.oci.hooks.stdout",
				     "run.oci.keep_original_groups",
				     SPEC_MOUNT_CONTEXT_TYPE,
				     "run.oci.pidfd_receiver",
				     "run.oci.seccomp.receiver",
				     "run.oci.seccomp_bpf_data",
				     "run.oci.seccomp_fail_unknown_syscall",
				     "run.oci.systemd.subgroup",
				     NULL};

static int run_features(const struct globals *g, int argc, char **argv, struct error *err)
{
	static const char *const hooks[] = {
	    "prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop", NULL};
	char libseccomp[SECCOMP_VERSION_MAX];
	struct error none = ERROR_INIT;
	const char *path, *systemd;
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
	const char **mount_names, **caps;
	struct arg_list args;
	int r = command_parse(&command_features, argc, argv, 0, 0, NULL, &arena, &args, err);

	(void)g;
	if (r <= 0)
		return r;
	r = mount_option_names(&arena, &mount_names, err);
	if (r == 0)
		r = caps_names(&arena, &caps, err);
	if (r < 0)
		return r;
	strbuf_adds(&out, "{\"ociVersionMin\":\"1.0.0\",\"ociVersionMax\":\"" OCI_VERSION "\",");
	add_list(&out, "hooks", hooks);
	strbuf_addc(&out, ',');
	add_list(&out, "mountOptions", mount_names);
	strbuf_adds(&out, ",\"linux\":{");
	add_list(&out, "namespaces", spec_ns_names);
	strbuf_addc(&out, ',');
	add_list(&out, "capabilities", caps);
	systemd = own_program("volrun-systemd", &arena, &path, &none) == 0 ? "true" : "false";
	strbuf_addf(&out, ",\"cgroup\":{\"v1\":true,\"v2\":true,\"systemd\":%s,\"systemdUser\":%s,\"rdma\":true},",
		    systemd, systemd);
	add_seccomp(&out);
	strbuf_adds(
	    &out,
	    "\"apparmor\":{\"enabled\":true},\"selinux\":{\"enabled\":true},"
	    "\"intelRdt\":{\"enabled\":true,\"schemata\":true,\"monitoring\":true},\"netDevices\":{\"enabled\":true},");
	add_memory_policy(&out);
	strbuf_adds(&out, "\"mountExtensions\":{\"idmap\":{\"enabled\":true}}},");
	strbuf_adds(&out, "\"annotations\":{\"dev.volrun.version\":\"" PACKAGE_VERSION
			  "\",\"dev.volrun.commit\":\"" VOLRUN_COMMIT
			  "\",\"org.opencontainers.runc.checkpoint.enabled\":\"true\",");
	strbuf_addf(&out, "\"io.github.seccomp.libseccomp.version\":\"%s\"},", seccomp_library_version(libseccomp));
	add_list(&out, "potentiallyUnsafeConfigAnnotations", unsafe);
	strbuf_addc(&out, '}');
	if (out.failed)
		return error_set(err, ENOMEM, "out of memory");
	puts(strbuf_str(&out));
	return 0;
}

const struct command command_features = {
    "features", "", "print what this runtime can do, as JSON", no_options, 0, run_features, 1,
};
