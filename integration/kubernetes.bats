#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# contrib/kubernetes without a cluster: the manifests say what belongs together, and the script of the DaemonSets puts
# volrun on a node, a directory here, and takes it away again.

load lib/common
load lib/volume
load lib/tools

K=$BATS_TEST_DIRNAME/../contrib/kubernetes

setup_file() { tool_get schema "$BATS_TEST_DIRNAME/kubernetes/schema" get || :; }
setup() {
	common_setup
	HOST=$T/host
	mkdir -p "$HOST"/{etc/containerd,etc/systemd/system,opt/bin,proc,run,sys,usr,var/lib/kubelet,var/cache,dev,tmp} "$T"/{image/bin,config,secrets}
	cp "$BIN"/volrun* "$T/image/bin/"
	cp "$K/../systemd/volrun-recover.service.in" "$T/image/"
	local dir
	for dir in bin sbin lib lib64; do [[ ! -L /$dir ]] || ln -s "usr/$dir" "$HOST/$dir"; done
	cp /etc/ld.so.cache "$HOST/etc/"
	containerd_is 1.7.24
	printf 'version = 2\n\n[plugins]\n  [plugins."io.containerd.grpc.v1.cri"]\n    sandbox_image = "pause:3.9"\n' >"$HOST/etc/containerd/config.toml"
	cp "$HOST/etc/containerd/config.toml" "$T/before.toml"
	echo 'cgroupDriver: systemd' >"$HOST/var/lib/kubelet/config.yaml"
	echo '{"stores": {"main": {"type": "filesystem", "path": "/var/lib/volrun/store"}}, "default_store": "main"}' >"$T/config/stores.json"
	echo secret >"$T/secrets/key"
	: >"$T/restarts"
}
teardown() { common_teardown; }

containerd_is() {
	printf '#!/bin/sh\necho containerd github.com/containerd/containerd %s deadbeef\n' "$1" >"$HOST/opt/bin/containerd"
	chmod 755 "$HOST/opt/bin/containerd"
}

# The script, in a mount namespace where the node has this machine's programs and libraries.
node_script() {
	# shellcheck disable=SC2016 # for that shell
	try timeout -k 5 120 unshare -m env HOST="$HOST" FROM="$T/image/bin" CONFIG="$T/config" SECRETS="$T/secrets" VOLRUN_ENTER="chroot $HOST" \
		VOLRUN_RESTART="echo restarted >>$T/restarts" sh -c 'mount --make-rprivate / && mount --rbind /usr "$HOST/usr" &&
			mount --rbind /proc "$HOST/proc" && mount --rbind /dev "$HOST/dev" && mount --rbind /sys "$HOST/sys" && exec "$0" "$@"' "$K/node" "$@"
}

toml() { # FILE PYTHON-EXPRESSION of c
	python3 -c 'import sys, tomllib; c = tomllib.load(open(sys.argv[1], "rb")); print(eval(sys.argv[2]))' "$1" "$2"
}
restarts() { wc -l <"$T/restarts"; }

@test "the manifests are YAML, and handlers, labels, images and selectors belong together" {
	python3 - "$K" <<-'EOF'
		import glob, sys, yaml
		docs = {}
		for path in glob.glob(sys.argv[1] + "/*.yaml"):
		    for d in yaml.safe_load_all(open(path)):
		        assert d["apiVersion"] and d["metadata"]["name"], path
		        docs[d["kind"], d["metadata"]["name"]] = d
		rc = docs["RuntimeClass", "volrun"]
		assert rc["handler"] == "volrun"
		assert rc["scheduling"]["nodeSelector"].items() <= docs["DaemonSet", "volrun-install"]["spec"]["template"]["spec"]["nodeSelector"].items()
		images = set()
		for (kind, name), d in docs.items():
		    if kind not in ("DaemonSet", "Deployment", "Job"):
		        continue
		    t = d["spec"]["template"]
		    if kind != "Job":
		        assert d["spec"]["selector"]["matchLabels"].items() <= t["metadata"]["labels"].items(), name
		    if kind == "DaemonSet":
		        images |= {c["image"] for c in t["spec"]["initContainers"] + t["spec"]["containers"]}
		        volumes = {v["name"] for v in t["spec"]["volumes"]}
		        assert {m["name"] for c in t["spec"]["initContainers"] for m in c["volumeMounts"]} == volumes, name
		        assert ("Namespace", d["metadata"]["namespace"]) in docs
		    else:
		        assert t["spec"]["runtimeClassName"] == rc["metadata"]["name"], name
		        assert any(k.startswith("dev.volrun.volume") for k in t["metadata"]["annotations"]), name
		assert len(images) == 1, images
		assert docs["Deployment", "agent"]["spec"]["strategy"] == {"type": "Recreate"} and docs["Deployment", "agent"]["spec"]["replicas"] == 1
		assert docs["Job", "train"]["spec"]["parallelism"] == 1
	EOF
	# The configuration in it is one that volrun takes.
	python3 -c 'import sys, yaml; print([d for d in yaml.safe_load_all(open(sys.argv[1])) if d["kind"] == "ConfigMap"][0]["data"]["stores.json"])' "$K/install.yaml" >"$T/A.json"
	try on A volrun volume status
	ok
}

@test "the manifests are as Kubernetes' published description has it, and so is what install --print prints" {
	tool_need schema
	"$BIN/volrun" install --print k8s >"$T/k8s.yaml"
	try "$HERE/kubernetes/schema" check "$(<"$BATS_FILE_TMPDIR/schema.tool")" "$K"/*.yaml "$T/k8s.yaml"
	ok
	is "$output" "8 documents, 0 problems"
	# It would have been seen.
	sed 's/tolerations:/tolerationz:/; s/cpu: 1m/cpu: 1x/; s/^  selector:/  selektor:/' "$K/remove.yaml" >"$T/bad.yaml"
	try "$HERE/kubernetes/schema" check "$(<"$BATS_FILE_TMPDIR/schema.tool")" "$T/bad.yaml"
	is "$status $(wc -l <<<"$output")" "1 4"
}

@test "the volumes that the manifests declare are ones that volrun takes" {
	node A
	local annotation i=0
	while IFS= read -r annotation; do
		vrun A "c$((++i))" "$annotation" true
		ok
	done < <(python3 -c '
import sys, yaml
for p in sys.argv[1:]:
    for k, v in yaml.safe_load(open(p))["spec"]["template"]["metadata"]["annotations"].items():
        print(v)' "$K/deployment.yaml" "$K/job.yaml")
	is "$i" 2
}

@test "containerd 1: a marked block at the end of config.toml, runc's runtime too, and containerd is restarted once" {
	node_script install
	ok
	local t=$HOST/etc/containerd/config.toml r='c["plugins"]["io.containerd.grpc.v1.cri"]["containerd"]["runtimes"]'
	is "$(toml "$t" "$r['volrun']['options']")" "{'BinaryName': '/opt/volrun/bin/volrun', 'SystemdCgroup': True}"
	is "$(toml "$t" "$r['volrun']['pod_annotations']")" "['dev.volrun.*']"
	is "$(toml "$t" "$r['runc']['runtime_type']")" io.containerd.runc.v2
	is "$(toml "$t" 'c["plugins"]["io.containerd.grpc.v1.cri"]["sandbox_image"]')" pause:3.9
	is "$(restarts)" 1
	is "$(jq -r .identity.engine "$HOST/etc/volrun/conf.d/10-kubernetes.json")" containerd-cri
	is "$(stat -c '%a %n' "$HOST/etc/volrun/conf.d/50-stores.json" "$HOST/etc/volrun/secrets" "$HOST/etc/volrun/secrets/key" | cut -d ' ' -f 1 | xargs)" "600 700 600"
	is "$(readlink -f "$HOST/etc/systemd/system/multi-user.target.wants/volrun-recover.service")" "$(readlink -f "$HOST/etc/systemd/system/volrun-recover.service")"
	like "$(<"$HOST/etc/systemd/system/volrun-recover.service")" 'ExecStart=-/opt/volrun/bin/volrun '
	cmp "$BIN/volrun" "$HOST/opt/volrun/bin/volrun"
	like "$output" "ok: containerd – /etc/containerd/config.toml names /opt/volrun/bin/volrun"
	like "$output" "ok: identity.engine – containerd-cri"
	unlike "$output" "the node has no"
	# Again: nothing changes.
	local before
	before=$(find "$HOST"/{etc,opt} -type f -exec sha256sum {} + | sort)
	node_script install
	ok
	is "$(restarts)" 1
	is "$(find "$HOST"/{etc,opt} -type f -exec sha256sum {} + | sort)" "$before"
	# A pod of it is still there: it stays.
	mkdir -p "$HOST/run/containerd/runc/k8s.io/"{runc-pod,volrun-pod}
	touch "$HOST/run/containerd/runc/k8s.io/"{runc-pod,volrun-pod}/state.json "$HOST/run/containerd/runc/k8s.io/volrun-pod/config.json"
	node_script remove
	not_ok 'containers of volrun are on this node \(volrun-pod, '
	rm "$HOST/run/containerd/runc/k8s.io/volrun-pod/config.json"
	node_script remove
	ok
	cmp "$T/before.toml" "$t"
	is "$(restarts)" 2
	is "$(find "$HOST"/{etc,opt} -path "*volrun*")" ""
	like "$output" "what volumes have cached is left in /var/cache/volrun"
	node_script remove
	ok
	is "$(restarts)" 2
}

@test "containerd 2 that imports conf.d: a file of its own, and config.toml is left alone" {
	containerd_is v2.1.4
	printf 'version = 3\nimports = ["/etc/containerd/conf.d/*.toml"]\n' >"$HOST/etc/containerd/config.toml"
	cp "$HOST/etc/containerd/config.toml" "$T/before.toml"
	echo 'cgroupDriver: cgroupfs' >"$HOST/var/lib/kubelet/config.yaml"
	node_script install
	ok
	cmp "$T/before.toml" "$HOST/etc/containerd/config.toml"
	is "$(toml "$HOST/etc/containerd/conf.d/volrun.toml" 'c["version"], c["plugins"]["io.containerd.cri.v1.runtime"]["containerd"]["runtimes"]["volrun"]["options"]')" \
		"(3, {'BinaryName': '/opt/volrun/bin/volrun', 'SystemdCgroup': False})"
	is "$(restarts)" 1
	node_script remove
	ok
	is "$(restarts)" 2
	[[ ! -e $HOST/etc/containerd/conf.d/volrun.toml ]]
	cmp "$T/before.toml" "$HOST/etc/containerd/config.toml"
}

@test "a node that it does not understand is left as it is" {
	echo '[plugins.cri]' >"$HOST/etc/containerd/config.toml"
	node_script install
	not_ok 'config.toml is of version 1'
	is "$(find "$HOST" -name "*volrun*")" ""
	is "$(<"$HOST/etc/containerd/config.toml")" '[plugins.cri]'
	is "$(restarts)" 0
	mkdir -p "$HOST/var/lib/rancher/k3s/agent/etc/containerd"
	node_script install
	not_ok 'config.toml.tmpl'
	# Programs that can't run there.
	rmdir "$HOST/var/lib/rancher/k3s/agent/etc/containerd"
	cp "$T/before.toml" "$HOST/etc/containerd/config.toml"
	printf '#!/bin/false\n' >"$T/image/bin/volrun-volume"
	node_script install
	not_ok "the node can't run /opt/volrun/bin/volrun-volume"
	is "$(restarts)" 0
}
