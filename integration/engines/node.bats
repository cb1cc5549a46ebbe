#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The machine as a node of Kubernetes: contrib/kubernetes/node puts volrun beside the machine's own containerd, pods run,
# and all of it goes again. (Against a directory in a node's stead, and with other versions: ../kubernetes.bats.)

bats_require_minimum_version 1.5.0
TOML=/etc/containerd/config.toml

fail() { printf '%s\n' "$@" >&2; return 1; }
is() { [[ $1 == "$2" ]] || fail "expected '$2', got '$1'"; }
like() { [[ $1 =~ $2 ]] || fail "expected something like: $2" "got: $1"; }
UNTIL_PAUSE=0.5
load ../lib/until
cri() { timeout 150 /src/cri/cri-client "$@" 3>&- 4>&-; }
# As the DaemonSets run it, but that there is no other root file system to enter from.
node() {
	run --separate-stderr env HOST=/ FROM="$BATS_FILE_TMPDIR/image/bin" CONFIG="$BATS_FILE_TMPDIR/config" SECRETS=/nosuch VOLRUN_ENTER=' ' \
		VOLRUN_RESTART='systemctl restart containerd' /src/contrib/kubernetes/node "$@"
}
pod() { # NAME VALUE SCRIPT: a pod of one container, in namespace "shop"; its ids are in NAME.pod and NAME.id
	local f=$BATS_TEST_TMPDIR/$1 common='{cgroup_parent: "kubepods.slice", security_context: {namespace_options: {network: 2, pid: 1}}}'
	jq -n --arg n "$1" --arg v "$2" --arg logs "$BATS_TEST_TMPDIR" '{metadata: {name: $n, namespace: "shop", uid: $n, attempt: 0},
		log_directory: $logs, annotations: {"dev.volrun.volume": $v}, linux: '"$common}" >"$f.pod.json"
	jq -n --arg n "$1" --arg s "$3" '{metadata: {name: "main"}, image: {image: "docker.io/library/busybox:latest"}, log_path: ($n + ".log"),
		command: ["sh", "-c", $s], linux: '"$common | del(.linux.cgroup_parent)}" >"$f.json"
	cri runp --runtime volrun "$f.pod.json" >"$f.pod"
	cri create "$(<"$f.pod")" "$f.json" "$f.pod.json" >"$f.id"
	cri start "$(<"$f.id")" >/dev/null
}
ended() { [[ $(cri inspect "$(<"$BATS_TEST_TMPDIR/$1.id")" | jq -r .status.state) == CONTAINER_EXITED ]]; }
logged() { cri logs "$(<"$BATS_TEST_TMPDIR/$1.id")"; }
gone() { until_true 60 cri rmp -f "$(<"$BATS_TEST_TMPDIR/$1.pod")"; }

setup_file() {
	local image pause
	mkdir -p "$BATS_FILE_TMPDIR"/{image/bin,config,pause/bin}
	cp /src/bin/volrun* "$BATS_FILE_TMPDIR/image/bin/"
	cp /src/contrib/systemd/volrun-recover.service.in "$BATS_FILE_TMPDIR/image/"
	echo '{"stores": {"team": {"type": "filesystem", "path": "/var/lib/node-store"}}, "default_store": "team"}' >"$BATS_FILE_TMPDIR/config/stores.json"
	# A kubelet's traces, and the pause that containerd asks for, which no registry gives here.
	mkdir -p /var/lib/kubelet/pods
	echo 'cgroupDriver: systemd' >/var/lib/kubelet/config.yaml
	systemctl start containerd
	cp $TOML "$BATS_FILE_TMPDIR/before.toml"
	image=$(containerd config dump | sed -n 's/^ *sandbox_image = "\(.*\)"/\1/p')
	cp /bin/busybox "$BATS_FILE_TMPDIR/pause/bin/busybox"
	ln -s busybox "$BATS_FILE_TMPDIR/pause/bin/sleep"
	/src/integration/cri/image "$BATS_FILE_TMPDIR/pause" "$BATS_FILE_TMPDIR/pause.tar" "$image" -- sleep 100000
	ctr -n k8s.io image import "$BATS_FILE_TMPDIR/pause.tar" >/dev/null
	ctr -n k8s.io image import /opt/vm/busybox.tar >/dev/null
}
teardown_file() { rm -rf /var/lib/kubelet /var/lib/node-store; }

@test "installed, two pods one after the other have one volume, and removed it is as before" {
	node install
	is "$status" 0
	like "$output" 'restarting containerd'
	like "$output" 'ok: identity.engine – containerd-cri'
	like "$output" 'installed$'
	# With the settings that were there, containerd has both runtimes.
	like "$(containerd config dump)" 'runtimes.volrun\.options'
	like "$(containerd config dump)" 'runtimes.runc\.options'
	pod first 'state /data' 'echo one >/data/f; exec sleep 1000'
	until_true 30 cri exec -s "$(<"$BATS_TEST_TMPDIR/first.id")" test -s /data/f
	is "$(readlink "/proc/$(pgrep -n volrun-keeper)/exe")" /opt/volrun/bin/volrun-keeper
	# Not under pods that run; and an upgrade in mid-run leaves them alone.
	node remove
	((status != 0))
	like "$stderr" 'containers of volrun are on this node'
	printf x >>"$BATS_FILE_TMPDIR/image/bin/volrun-keeper"
	node install
	is "$status" 0
	[[ $output != *"restarting containerd"* ]]
	like "$(readlink "/proc/$(pgrep -n volrun-keeper)/exe")" '^/opt/volrun/bin/volrun-keeper \(deleted\)$'
	gone first
	pod second 'state /data' 'cat /data/f'
	until_true 60 ended second
	is "$(logged second)" one
	gone second
	until_true 30 eval '! pgrep volrun-keeper'
	is "$(</var/lib/node-store/volumes/shop/state/f)" one
	node remove
	is "$status" 0
	cmp "$BATS_FILE_TMPDIR/before.toml" $TOML
	[[ ! -e /opt/volrun && ! -e /etc/volrun && ! -e /etc/systemd/system/volrun-recover.service ]]
	until_true 30 ctr version
	[[ $(containerd config dump) != *volrun* ]]
	# What is in the store is left.
	is "$(</var/lib/node-store/volumes/shop/state/f)" one
}
