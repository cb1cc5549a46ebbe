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

static void add_seccomp(struct strbuf *out)
{
	strbuf_adds(out, "\"seccomp\":{\"enabled\":true,");
	add_list(out, "actions", seccomp_actions);
	strbuf_addc(out, ',');
	add_list(out, "operators", seccomp_operators);
	strbuf_addc(out, ',');
	add_list(out, "archs", seccomp_archs);
	strbuf_addc(out, ',');
	add_list(out, "knownFlags", seccomp_flags);
	strbuf_addc(out, ',');
	add_list(out, "supportedFlags", seccomp_flags);
	strbuf_adds(out, "},");
}

static int run_features(const struct globals *g, int argc, char **argv, struct error *err)
{
	static const char *const hooks[] = {
	    "prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop", NULL};
	/* Prefixes of annotations that change what the runtime does. */
	static const char *const unsafe[] = {"dev.volrun.", "org.systemd.property.", NULL};
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
	strbuf_adds(&out, "\"apparmor\":{\"enabled\":true},\"selinux\":{\"enabled\":true},"
			  "\"intelRdt\":{\"enabled\":false},\"memoryPolicy\":{},\"netDevices\":{\"enabled\":false},"
			  "\"mountExtensions\":{\"idmap\":{\"enabled\":true}}},");
	strbuf_adds(&out, "\"annotations\":{\"dev.volrun.version\":\"" PACKAGE_VERSION
			  "\",\"dev.volrun.commit\":\"" VOLRUN_COMMIT
			  "\",\"org.opencontainers.runc.checkpoint.enabled\":\"false\"},");
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
