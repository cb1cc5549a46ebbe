#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# containerd's CRI, asked as a kubelet does (cri/client, in crictl's words), with the configuration that
# `volrun install --print containerd` prints: natively containerd 2, in the virtual machine Debian's 1.7, too (there "core"
# is what containerd 2 repeats when time is short).

load lib/common
load lib/volume
load lib/tools
load cri/lib

setup_file() { cri_start; }
teardown_file() { cri_end; }
setup() {
	common_setup
	cri_setup '.lease += {ttl: "6s", renew: "1s", poll: "200ms"}'
}
teardown() { cri_teardown; }

@test "a pod's container: exit codes, exec by call and by stream, logs, stats, a new limit" {
	pod p1
	started p1 c1 'echo out; echo err >&2; exec sleep 1000' '.linux.resources = {memory_limit_in_bytes: 67108864}'
	try cri exec -s "$(id_of c1)" sh -c 'echo inside; exit 5'
	is "$status $output" "5 inside"
	is "$(echo typed | cri exec -i "$(id_of c1)" sh -c 'read x; echo "got $x"')" "got typed"
	try cri exec "$(id_of c1)" sh -c 'echo a; echo b >&2; exit 7'
	is "$output" a
	like "$stderr" b
	((status != 0))
	try cri exec -s "$(id_of c1)" nosuch
	((status != 0))
	is "$(cri logs "$(id_of c1)" 2>/dev/null)" out
	is "$(cri logs "$(id_of c1)" 2>&1 >/dev/null | tail -n 1)" err
	until_true 20 eval '(($(cri stats -o json "$(id_of c1)" | jq "[.stats[0].memory | .working_set_bytes // .workingSetBytes | .value | tonumber] | first") > 0))'
	cri update --memory 100000000 "$(id_of c1)" >/dev/null
	is "$(cri inspect "$(id_of c1)" | jq -r '.status.resources.linux | .memory_limit_in_bytes // .memoryLimitInBytes')" 100000000
	cri stop --timeout 1 "$(id_of c1)" >/dev/null
	ended_with c1 137
	started p1 c2 'exit 3'
	ended_with c2 3
	gone p1
}

# bats test_tags=core
@test "a pod's volume: of its namespace, there again in the next pod and on another node; the sandbox takes none" {
	pod p1 "$(with 'state /data')"
	ran p1 c1 'echo one >/data/f; chmod 600 /data/f; stat -c %a /data'
	[[ ! -e $(cri inspectp "$(pod_id p1)" | jq -r '.info.info // .info | if type == "string" then fromjson else . end | "/proc/\(.pid)/root/data/f"') ]]
	is "$(head_of | jq -r .state)" held "the lease of a pod that runs"
	gone p1
	keepers_ended
	is "$(head_of | jq -r '"\(.state) \(.commit.seq)"')" "free 1"
	is "$(find "$T/store/volumes" -mindepth 1 -maxdepth 1)" "$T/store/volumes/team-a"
	pod p2 "$(with 'state /data')"
	ran p2 c2 'cat /data/f; stat -c %a /data/f; echo two >>/data/f'
	is "$output" $'one\n600'
	gone p2
	keepers_ended
	vrun B b1 "state /data" 'cat /data/f' '.annotations["dev.volrun.workspace"] = "team-a"'
	is "$output" $'one\ntwo'
}

# bats test_tags=core
@test "two containers of a pod share a volume; container= gives it to one of them" {
	pod p1 "$(with 'state /data' 'dev.volrun.volume.own=own /mnt/own container=c1')"
	started p1 c1 'echo one >/data/f; echo x >/mnt/own/f; exec sleep 1000'
	until_true 20 cri exec -s "$(id_of c1)" test -e /mnt/own/f
	started p1 c2 'cat /data/f; ls /mnt; echo two >>/data/f; exec sleep 1000'
	until_true 20 eval '[[ $(cri exec -s "$(id_of c1)" cat /data/f) == *two ]]'
	is "$(cri logs "$(id_of c2)")" one
	is "$(cri exec -s "$(id_of c2)" ls /mnt)" ""
	# Another pod of the namespace waits.
	pod p2 "$(with 'state /data wait=1s')"
	made p2 d1 true
	try cri start "$(id_of d1)"
	((status != 0))
	like "$stderr" 'volume state: lease held by node-A .*, waited 1s'
	unlike "$stderr" 'permission denied|no such file|not a directory|does not exist'
	cri stop --timeout 0 "$(id_of c1)" >/dev/null
	cri exec -s "$(id_of c2)" sh -c 'echo three >>/data/f'
	is "$(head_of | jq -r '"\(.state) \(.commit.seq // 0)"')" "held 0"
	gone p1
	keepers_ended
	is "$(head_of | jq -r '"\(.state) \(.commit.seq)"')" "free 1"
	ran p2 d2 'cat /data/f'
	is "$output" $'one\ntwo\nthree'
	gone p2
}

@test "init containers, then the pod's own and a sidecar: one lease, each finds what was before it" {
	pod p1 "$(with 'state /data')"
	ran p1 i1 'echo init1 >/data/f'
	ran p1 i2 'echo init2 >>/data/f'
	is "$(head_of | jq -r .state)" held
	started p1 side 'until [ -e /data/main ]; do sleep 0.1; done; cat /data/f; exec sleep 1000'
	ran p1 main 'echo main >>/data/f; touch /data/main'
	until_true 20 eval '[[ $(cri logs "$(id_of side)") == *main ]]'
	is "$(cri logs "$(id_of side)")" $'init1\ninit2\nmain'
	gone p1
	keepers_ended
	is "$(head_of | jq -r .state)" free
	is "$(<"$T/store/volumes/team-a/state/f")" $'init1\ninit2\nmain'
}

@test "CrashLoopBackOff: each end of a container is a commit, each new attempt finds it" {
	local i
	pod p1 "$(with 'state /data')"
	for i in 0 1 2 3; do
		started p1 "c.$i" 'cat /data/n 2>/dev/null; echo x >>/data/n; exit 1'
		ended_with "c.$i" 1
		until_true 20 eval '[[ $(head_of | jq -r .commit.seq) == '$((i + 1))' ]]'
		is "$(head_of | jq -r .state)" held
		((i == 0)) || cri rm "$(id_of "c.$((i - 1))")" >/dev/null
	done
	is "$(cri logs "$(id_of c.3)" | wc -l)" 3
	gone p1
	keepers_ended
	is "$(head_of | jq -r .state)" free
}

@test "a rolling update: the new pod waits for the old one's lease, and goes on when it has ended" {
	local pid
	pod old "$(with 'state /data')"
	started old c1 'trap "echo last >/data/f; exit 0" TERM; touch /data/up; while :; do sleep 0.1; done' 
	until_true 20 cri exec -s "$(id_of c1)" test -e /data/up
	pod new "$(with 'state /data')"
	made new c2 'cat /data/f'
	cri start "$(id_of c2)" >/dev/null 2>"$T/start" &
	pid=$!
	sleep 2
	kill -0 "$pid"
	cri stop --timeout 20 "$(id_of c1)" >/dev/null
	# Only the pod's end frees the lease: a container may come again.
	sleep 1
	kill -0 "$pid"
	gone old
	wait "$pid" || fail "$(<"$T/start")"
	ended_with c2 0
	is "$(cri logs "$(id_of c2)")" last
	gone new
}

# bats test_tags=core
@test "a tenant's annotations: no other namespace's volume, no other pod's lease, whatever they are and however much the handler lets through" {
	local mine handler
	vrun B b1 "state /data" 'echo secret >/data/f' '.annotations["dev.volrun.workspace"] = "team-b"'
	pod victim "$(with 'state /data')"
	started victim c1 'echo held >/data/f; exec sleep 1000'
	until_true 20 cri exec -s "$(id_of c1)" test -e /data/f
	mine=$(pod_id victim)
	for handler in volrun careless; do
		# Who a tenant might claim to be.
		HANDLER=$handler pod "evil-$handler" "$(with 'state /data wait=1s' dev.volrun.workspace=team-b dev.volrun.user=root dev.volrun.groups=root \
			io.kubernetes.pod.namespace=team-b io.kubernetes.cri.sandbox-namespace=team-b io.kubernetes.cri-o.Namespace=team-b \
			"io.kubernetes.cri.sandbox-id=$mine" "io.kubernetes.cri-o.SandboxID=$mine" io.kubernetes.cri.container-type=sandbox \
			io.kubernetes.cri-o.ContainerType=sandbox io.kubernetes.cri.container-name=c1) | .metadata.namespace = \"team-c\""
		started "evil-$handler" "c-$handler" 'ls -A /data; echo mine >/data/mine; exec sleep 1000'
		until_true 20 cri exec -s "$(id_of "c-$handler")" test -e /data/mine
		is "$(cri logs "$(id_of "c-$handler")")" "" "what $handler's pod found"
		is "$(<"$T/store/volumes/team-b/state/f")" secret
		is "$(cri exec -s "$(id_of c1)" ls /data)" f
		gone "evil-$handler"
		keepers_ended_but_one
		rm -r "$T/store/volumes/team-c" "$T/cache-A/main/team-c"
		# Of the victim's namespace, but another pod: it waits for the lease.
		HANDLER=$handler pod "peer-$handler" "$(with 'state /data wait=1s' "io.kubernetes.cri.sandbox-id=$mine" "io.kubernetes.cri-o.SandboxID=$mine")"
		made "peer-$handler" "d-$handler" 'cat /data/f'
		try cri start "$(id_of "d-$handler")"
		((status != 0))
		like "$stderr" 'lease held by'
		gone "peer-$handler"
	done
	is "$(cri exec -s "$(id_of c1)" cat /data/f)" held
	gone victim
	keepers_ended
}
keepers_ended_but_one() { until_true 30 eval '(($(keepers | wc -l) == 1))'; }

@test "containerd is restarted in mid-run: the pod and its volume go on" {
	pod p1 "$(with 'state /data')"
	started p1 c1 'touch /data/up; until [ -e /data/go ]; do sleep 0.1; done; echo after >/data/f; exit 4'
	until_true 20 cri exec -s "$(id_of c1)" test -e /data/up
	"$HERE/cri/server" restart "$CRI" 3>&- 4>&-
	until_true 30 cri exec -s "$(id_of c1)" touch /data/go
	ended_with c1 4
	gone p1
	keepers_ended
	is "$(<"$T/store/volumes/team-a/state/f")" after
}

@test "a pod that is killed from outside, its shim too: containerd clears up, and the next pod finds what was written" {
	local shim
	pod p1 "$(with 'state /data')"
	started p1 c1 'echo kept >/data/f; exec sleep 1000'
	until_true 20 cri exec -s "$(id_of c1)" test -s /data/f
	shim=$(find /proc -maxdepth 2 -path '/proc/[0-9]*/cmdline' -exec grep -lsF "$(pod_id p1)" {} + 2>/dev/null | cut -d / -f 3 | while read -r pid; do
		[[ $(readlink "/proc/$pid/exe") != */containerd-shim-runc-v2 ]] || echo "$pid"
	done)
	like "$shim" '^[0-9]+$'
	# The container's process, too: containerd kills none when the shim alone dies (nor of runc's), and it would run on.
	kill -9 "$shim" "$("$BIN/volrun" --root /run/containerd/runc/k8s.io state "$(id_of c1)" | jq -r .pid)"
	until_true 30 eval '[[ $(state_of c1) == CONTAINER_EXITED ]]'
	gone p1
	keepers_ended
	# containerd deletes the sandbox alone then; of its containers (runc's, too) state and cgroup are left.
	"$BIN/volrun" --root /run/containerd/runc/k8s.io delete --force "$(id_of c1)"
	pod p2 "$(with 'state /data')"
	ran p2 c2 'cat /data/f'
	is "$output" kept
	gone p2
}

@test "a volume that can't be had is one line of the start, and no pod is spoilt by it" {
	pod p1 "$(with 'state relative/../..')"
	made p1 c1 true
	try cri start "$(id_of c1)"
	((status != 0))
	is "$(wc -l <<<"$stderr")" 1
	like "$stderr" 'annotation dev.volrun.volume'
	gone p1
	pod p2
	ran p2 c2 'echo fine'
	is "$output" fine
	gone p2
	# Believed is only who is configured.
	node A '.identity.engine = "cri-o"'
	try pod p3 "$(with 'state /data' io.kubernetes.pod.namespace=team-b)"
	((status != 0))
	like "$stderr" 'it was not started by that engine'
}
