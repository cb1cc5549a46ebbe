# SPDX-License-Identifier: Apache-2.0
# crictl.bash - pods of one container by containerd's CRI, as a kubelet makes them; see nodes.bash. Debian's containerd, one
# for these tests alone (cri/server), with crictl's words (cri/client: Debian 13 has no package of crictl).

crictl_ready() {
	local server=/src/integration/cri/server
	[[ -x /src/cri/cri-client ]] || { echo "no client of CRI could be had outside of the machine"; return 1; }
	# shellcheck disable=SC1091
	export VOLRUN_CONTAINERD=/usr/bin VOLRUN_CRICTL=/src/cri/cri-client
	"$server" start /run/cri-matrix /usr/local/bin/volrun --life 14400 --handler volrun-b /usr/local/bin/volrun-b \
		</dev/null >/tmp/cri-matrix.log 2>&1 3>&- 4>&- || { tail -n 1 /tmp/cri-matrix.log; return 1; }
	ln -s "$(config_dir root)/config.json" /run/cri-matrix/volrun.json
	mkdir /run/cri-matrix/pods
}
crictl_c() { timeout 140 /src/cri/cri-client --runtime-endpoint unix:///run/cri-matrix/containerd.sock "$@" 3>&- 4>&-; }
crictl_file() { echo "/run/cri-matrix/pods/$1"; }

crictl_start() { # RUNTIME ID VALUE SCRIPT
	local f parent=volruntests.slice
	# Without systemd it is a path; engines/native removes it.
	[[ -d /run/systemd/system ]] || parent=/${CONTAINERD_NAMESPACE:-volruntests}/cri/$2
	f=$(crictl_file "$2")
	jq -n --arg n "$2" --arg v "$3" --arg parent "$parent" --arg logs /run/cri-matrix/pods '{
		metadata: {name: $n, namespace: "matrix", uid: $n, attempt: 0}, log_directory: $logs,
		annotations: {"dev.volrun.volume": $v},
		linux: {cgroup_parent: $parent, security_context: {namespace_options: {network: 2, pid: 1}}}}' >"$f.pod.json"
	jq -n --arg n "$2" --arg s "$4" '{
		metadata: {name: "main"}, image: {image: "docker.io/library/busybox:latest"}, command: ["sh", "-c", $s], log_path: ($n + ".log"),
		linux: {security_context: {namespace_options: {network: 2, pid: 1}}}}' >"$f.json"
	crictl_c runp --runtime "$1" "$f.pod.json" >"$f.pod" && crictl_c create "$(<"$f.pod")" "$f.json" "$f.pod.json" >"$f.id" &&
		crictl_c start "$(<"$f.id")" >/dev/null && return 0
	crictl_remove "$2" || :
	return 1
}
crictl_ended() { [[ $(crictl_c inspect "$(<"$(crictl_file "$1").id")" | jq -r .status.state) == CONTAINER_EXITED ]]; }
crictl_remove() { [[ -s $(crictl_file "$1").pod ]] && crictl_c rmp -f "$(<"$(crictl_file "$1").pod")" >/dev/null && rm -f "$(crictl_file "$1")".*; }
crictl_run() {
	local code
	crictl_start "$@" || return 1
	until_true 100 crictl_ended "$2"
	crictl_c logs "$(<"$(crictl_file "$2").id")"
	code=$(crictl_c inspect "$(<"$(crictl_file "$2").id")" | jq -r '.status.exit_code // .status.exitCode // 0')
	crictl_remove "$2" && return "$code"
}
crictl_stop() { # by TERM, then KILL
	[[ -s $(crictl_file "$1").id ]] || return 1
	crictl_c stop --timeout "${2:-30}" "$(<"$(crictl_file "$1").id")" >/dev/null && crictl_remove "$1"
}
crictl_kill() { crictl_stop "$1" 0; }
