# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2016 # for eval
# lib.bash - pods and containers by the container runtime interface, as a kubelet asks for them; after lib/common.bash and
# lib/volume.bash. Node A's volrun is containerd's; other nodes are `vrun NODE`, with the same store.

IMAGE=docker.io/library/busybox:latest

# In setup_file and teardown_file.
cri_start() {
	"$HERE/cri/server" install >"$BATS_FILE_TMPDIR/cri.tool" 2>&1 3>&- || {
		touch "$BATS_FILE_TMPDIR/cri.absent"
		return 0
	}
	"$HERE/cri/server" start "$BATS_FILE_TMPDIR/cri" "$BIN/volrun" >"$BATS_FILE_TMPDIR/cri.log" 2>&1 </dev/null 3>&- 4>&- || {
		cat "$BATS_FILE_TMPDIR/cri.log" >&2
		return 1
	}
}
cri_end() { [[ ! -d $BATS_FILE_TMPDIR/cri ]] || "$HERE/cri/server" stop "$BATS_FILE_TMPDIR/cri"; }

# In setup, after common_setup: what node A is, is containerd's volrun from here on.
cri_setup() {
	CRI=$BATS_FILE_TMPDIR/cri
	tool_need cri
	# shellcheck disable=SC1091
	. "$CRI/env"
	node A ".identity.engine = \"containerd-cri\" | ${1:-.}"
	node B "${1:-.}"
	ln -sfn "$T/A.json" "$CRI/volrun.json"
}

cri() { timeout -k 5 150 "$CRI_CLIENT" --runtime-endpoint "unix://$CRI_SOCKET" "$@" 3>&- 4>&-; }
# As a kubelet whose patience is over after so many seconds.
cri_for() { timeout -k 5 150 "$CRI_CLIENT" --runtime-endpoint "unix://$CRI_SOCKET" --timeout "$1s" "${@:2}" 3>&- 4>&-; }

# pod NAME [JQ-FILTER]: $T/NAME.pod.json, in the namespace "team-a"; its id is in $T/NAME.pod.
pod() {
	local parent=/$CG/$1
	[[ ! -d /run/systemd/system ]] || parent=volruntests.slice
	jq -n --arg n "$1" --arg logs "$T/logs" --arg cg "$parent" --arg u "$BATS_TEST_NUMBER-$1" '{
		metadata: {name: $n, namespace: "team-a", uid: $u, attempt: 0},
		log_directory: $logs,
		linux: {cgroup_parent: $cg, security_context: {namespace_options: {network: 2, pid: 1}}}}' |
		jq "${2:-.}" >"$T/$1.pod.json"
	cri runp --runtime "${HANDLER:-volrun}" "$T/$1.pod.json" >"$T/$1.pod"
}
# with ANNOTATION...: a filter for pod. Annotations are KEY=VALUE; without a key it is dev.volrun.volume's.
with() {
	local text filter='.' key
	for text; do
		key=dev.volrun.volume
		if [[ $text =~ ^[A-Za-z0-9./-]+= ]]; then key=${text%%=*} text=${text#*=}; fi
		filter+=" | .annotations += {\"$key\": $(jq -cn --arg t "$text" '$t')}"
	done
	echo "$filter"
}
pod_id() { cat "$T/$1.pod"; }

# made POD NAME SCRIPT [JQ-FILTER]: a container that is made, not started; its id is in $T/NAME.id. NAME may be name.attempt.
made() {
	jq -n --arg n "${2%.*}" --arg file "$2" --arg s "$3" --arg i "$IMAGE" --argjson a "$(($(sed -n 's/.*\.\([0-9]*\)$/\1/p' <<<"$2") + 0))" '{
		metadata: {name: $n, attempt: $a}, image: {image: $i}, command: ["sh", "-c", $s], log_path: ($file + ".log"),
		linux: {security_context: {namespace_options: {network: 2, pid: 1}}}}' |
		jq "${4:-.}" >"$T/$2.json"
	cri create "$(pod_id "$1")" "$T/$2.json" "$T/$1.pod.json" >"$T/$2.id"
}
id_of() { cat "$T/$1.id"; }
# started POD NAME SCRIPT [JQ-FILTER]
started() {
	made "$@"
	cri start "$(id_of "$2")" >/dev/null
}
state_of() { cri inspect "$(id_of "$1")" | jq -r .status.state; }
ended_with() { # NAME CODE
	until_true 30 eval '[[ $(state_of '"$1"') == CONTAINER_EXITED ]]'
	is "$(cri inspect "$(id_of "$1")" | jq -r '.status | .exitCode // .exit_code // 0')" "$2" "exit code of $1"
}
# ran POD NAME SCRIPT: to its end; the log is in $output.
# shellcheck disable=SC2034
ran() {
	started "$@"
	ended_with "$2" 0
	output=$(cri logs "$(id_of "$2")" 2>&1)
}
gone() { # POD...
	local name
	# More than once, as kubelets do.
	for name; do until_true 30 cri rmp -f "$(pod_id "$name")"; done
}

# The register of the pods' volume "state", where the store is a directory.
head_of() { cat "$T/store/volumes/team-a/.volrun/state/head"; }
keepers_ended() { until_true "${1:-30}" eval '[[ -z $(keepers) ]]'; }

# Everything that engines leave: pods of a test that failed, too.
cri_teardown() {
	local rc=0 id
	if [[ -n ${CRI_CLIENT:-} ]]; then
		for id in $(cri pods -q); do cri rmp -f "$id" >/dev/null 2>&1 || :; done
		is "$(cri pods -q)" "" "pods" || rc=1
		is "$(cri ps -a -q)" "" "containers" || rc=1
		local list
		list=$(ls "$CRI/state/io.containerd.runtime.v2.task/k8s.io" 2>/dev/null)
		is "$list" "" "bundles" || rc=1
		# What containerd's shim has told volrun to use.
		for id in /run/containerd/runc/k8s.io/*/state.json; do
			[[ -e $id && $(jq -r .bundle "$id") == "$CRI"/* ]] || continue
			rc=1
			fail "state is left: $id" || :
			"$BIN/volrun" --root /run/containerd/runc/k8s.io delete --force "$(basename "$(dirname "$id")")" >/dev/null 2>&1 || :
		done
	fi
	# A pod's own cgroup is the kubelet's to take away.
	find /sys/fs/cgroup -depth -mindepth 2 -type d -path "*/$CG/*" -not -path "*/$CG/*/*" -exec rmdir {} + 2>/dev/null || :
	common_teardown || rc=1
	return $rc
}

# Dead processes whom nobody asked for their status: below containerd's shims.
zombies() {
	local stat pid
	for stat in /proc/[0-9]*/stat; do
		[[ $({ cat "$stat"; } 2>/dev/null) == *") Z "* ]] || continue
		pid=${stat#/proc/} pid=${pid%/stat}
		[[ $({ tr '\0' ' ' <"/proc/$(sed 's/.*) Z \([0-9]*\).*/\1/' "$stat")/cmdline"; } 2>/dev/null) != *"-address $CRI/"* ]] || echo "$pid"
	done
}
