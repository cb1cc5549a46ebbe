/* SPDX-License-Identifier: Apache-2.0 */
/* install --print ENGINE: what to put where so that an engine knows this volrun. Nothing is changed. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "runtime/command.h"
#include "runtime/sealed_self.h"

struct options {
	const char *print;
};
static const struct arg_option install_options[] = {
    {"print", 0, ARG_STR, offsetof(struct options, print), "ENGINE",
     "the snippet for docker, podman, containerd, crio or k8s; lines with # say where it goes"},
    {NULL},
};

/* In the texts, @ is volrun's path. None of them has another @, or %. */
static const char docker[] =
    "# Docker: into /etc/docker/daemon.json (where that has \"runtimes\" already, add the line of volrun to them;\n"
    "# JSON has no comments: leave out these lines), then: systemctl reload docker\n"
    "# Then: docker run --runtime volrun --annotation dev.volrun.volume='agent-state /data' IMAGE CMD\n"
    "{\n"
    "  \"runtimes\": {\n"
    "    \"volrun\": { \"path\": \"@\" }\n"
    "  }\n"
    "}\n";

static const char podman[] =
    "# Podman: into /etc/containers/containers.conf.d/volrun.conf (Podman 4: into /etc/containers/containers.conf;\n"
    "# for one user: ~/.config/containers/containers.conf). Nothing has to be restarted. The two lists are those\n"
    "# of Podman, and volrun; keep your own where you have some.\n"
    "# Then: podman run --runtime volrun --annotation dev.volrun.volume='agent-state /data' IMAGE CMD\n"
    "[engine]\n"
    "runtime_supports_json = [\"crun\", \"runc\", \"kata\", \"runsc\", \"youki\", \"krun\", \"volrun\"]\n"
    "runtime_supports_nocgroup = [\"crun\", \"krun\", \"volrun\"]\n"
    "\n"
    "[engine.runtimes]\n"
    "volrun = [\"@\"]\n";

/* % is where runc's table belongs. */
static const char containerd[] =
    "# containerd, as Kubernetes and crictl use it (CRI): one of the two, by the line \"version\" of\n"
    "# /etc/containerd/config.toml. Append it to that file, without its own line \"version\" where the file has one; with\n"
    "# containerd 2 it may stand in /etc/containerd/conf.d/volrun.toml, if config.toml says (2.2 does by itself)\n"
    "#     imports = [\"/etc/containerd/conf.d/*.toml\"]\n"
    "# but not with containerd 1, which would drop all else that config.toml says of CRI. Then: systemctl restart\n"
    "# containerd (running containers go on). SystemdCgroup is to be what the kubelet's cgroupDriver says: true for\n"
    "# systemd, false for cgroupfs.\n"
    "# ctr needs nothing of this: ctr run --runc-binary @ --annotation dev.volrun.volume='...' ...\n"
    "\n"
    "# --- a config.toml of version 2: containerd 1.6 and 1.7 (and 2, which takes it, too)\n"
    "version = 2\n"
    "[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.volrun]\n"
    "  runtime_type = \"io.containerd.runc.v2\"\n"
    "  pod_annotations = [\"dev.volrun.*\"]\n"
    "  container_annotations = [\"dev.volrun.*\"]\n"
    "  [plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.volrun.options]\n"
    "    BinaryName = \"@\"\n"
    "    SystemdCgroup = true\n"
    "%"
    "\n"
    "# --- a config.toml of version 3: containerd 2\n"
    "version = 3\n"
    "[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.volrun]\n"
    "  runtime_type = 'io.containerd.runc.v2'\n"
    "  pod_annotations = ['dev.volrun.*']\n"
    "  container_annotations = ['dev.volrun.*']\n"
    "  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.volrun.options]\n"
    "    BinaryName = '@'\n"
    "    SystemdCgroup = true\n"
    "\n"
    "# --- whose annotations to believe: into /etc/volrun/conf.d/engine.json\n"
    "# {\"identity\": {\"engine\": \"containerd-cri\"}}\n";

/* containerd 1 forgets the runc that it knows by itself when its configuration names another runtime. */
static const char containerd_runc[] = "# (config.toml here has no runc, which containerd 1 would miss)\n"
				      "[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc]\n"
				      "  runtime_type = \"io.containerd.runc.v2\"\n"
				      "  [plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc.options]\n"
				      "    SystemdCgroup = true\n";

static const char crio[] =
    "# CRI-O: into /etc/crio/crio.conf.d/50-volrun.conf, then: systemctl restart crio (running containers go on).\n"
    "# No allowed_annotations: that list is of CRI-O's own, it refuses others in it; all of a pod's reach the runtime.\n"
    "[crio.runtime.runtimes.volrun]\n"
    "runtime_path = \"@\"\n"
    "runtime_type = \"oci\"\n"
    "runtime_root = \"/run/volrun\"\n"
    "\n"
    "# --- whose annotations to believe: into /etc/volrun/conf.d/engine.json\n"
    "# {\"identity\": {\"engine\": \"cri-o\"}}\n";

static const char k8s[] =
    "# Kubernetes: kubectl apply -f - . It needs the handler \"volrun\" in the engine of each node (volrun install\n"
    "# --print containerd, or crio), where volrun is @. A pod asks for it with\n"
    "#     metadata: {annotations: {dev.volrun.volume: agent-state /data}}\n"
    "#     spec: {runtimeClassName: volrun}\n"
    "# Nodes that have it carry the label dev.volrun/node: \"true\" (kubectl label node NODE dev.volrun/node=true).\n"
    "apiVersion: node.k8s.io/v1\n"
    "kind: RuntimeClass\n"
    "metadata:\n"
    "  name: volrun\n"
    "handler: volrun\n"
    "scheduling:\n"
    "  nodeSelector:\n"
    "    dev.volrun/node: \"true\"\n";

static const struct {
	const char *name, *text;
} engines[] = {{"docker", docker}, {"podman", podman}, {"containerd", containerd}, {"crio", crio}, {"k8s", k8s}};

/* A path that has to be quoted differently in JSON, TOML and a shell is none to print. */
static bool is_plain(const char *path)
{
	for (; *path; path++)
		if ((unsigned char)*path < ' ' || strchr("\"'\\@", *path))
			return false;
	return true;
}

static bool containerd_has_runc(void)
{
	_cleanup_free_ char *text = NULL;

	return read_file_at(AT_FDCWD, "/etc/containerd/config.toml", 1 << 20, &text, NULL) == 0 &&
	       strstr(text, "containerd.runtimes.runc]") != NULL;
}

static int print(const char *text, struct error *err)
{
	char self[PATH_MAX];

	if (self_path(self, sizeof(self)) <= 0 || !is_plain(self))
		return error_set(err, EINVAL,
				 "install: volrun's own path is not known, or has quotes or control characters in it; "
				 "install it elsewhere");
	for (; *text; text++)
		if (*text == '@')
			fputs(self, stdout);
		else if (*text == '%')
			fputs(containerd_has_runc() ? "" : containerd_runc, stdout);
		else
			putchar(*text);
	return 0;
}

static int run_install(const struct globals *g, int argc, char **argv, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct options o = {NULL};
	struct arg_list args;
	int r = command_parse(&command_install, argc, argv, 0, 0, &o, &arena, &args, err);

	(void)g;
	if (r <= 0)
		return r;
	for (size_t i = 0; o.print && i < sizeof(engines) / sizeof(engines[0]); i++)
		if (strcmp(o.print, engines[i].name) == 0)
			return print(engines[i].text, err);
	return error_set(err, EINVAL,
			 "Incorrect Usage: volrun install: --print must be one of docker, podman, containerd, "
			 "crio, k8s");
}

const struct command command_install = {
    "install", "--print ENGINE", "print what makes an engine know this volrun", install_options, 0, run_install, 1,
};
