#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Commands and options beyond the life of a container: what people and engines
# type, and what runc and crun answer.
load lib/common

setup() { common_setup; }
teardown() { common_teardown; }

# sleeper NAME [JQ-FILTER]: a running container.
sleeper() {
	bundle "$1" 'exec sleep 1000' "${2:-}"
	running "$1"
}

has_status() { [[ $(status_of "$1") == "$2" ]]; }

# running NAME: starts the bundle.
running() {
	volrun run --detach --bundle "$T/$1" "$1" </dev/null >/dev/null 2>"$T/stderr" || { cat "$T/stderr"; return 1; }
}

@test "create and run take another file than config.json" {
	bundle c 'echo from config.json'
	jq '.process.args[2] = "echo from another"' "$T/c/config.json" >"$T/other.json"
	rm "$T/c/config.json"
	try volrun run --bundle "$T/c" --config "$T/other.json" c
	ok
	is "$output" "from another"
	cd "$T/c"
	try volrun run -f ../other.json c
	is "$output" "from another"
	try volrun create --config absent.json c
	not_ok absent.json
}

@test "exec finds the config of a container that was made of another file" {
	bundle c 'exec sleep 1000'
	mv "$T/c/config.json" "$T/other.json"
	volrun run --detach --bundle "$T/c" --config "$T/other.json" c </dev/null >/dev/null 2>&1
	try volrun exec c echo here
	is "$output" here
	volrun delete --force c
}

@test "delete --regex and kill --regex take every container that matches" {
	for id in test-1 test-2 other; do sleeper $id; done
	try volrun kill --regex '^test-' KILL
	ok
	until_true 5 has_status test-1 stopped
	until_true 5 has_status test-2 stopped
	is "$(status_of other)" running
	try volrun delete -r 'test'
	ok
	is "$(volrun list -q)" other
	try volrun delete -f --regex 'no such|oth'
	ok
	is "$(volrun list -q)" ""
	try volrun delete --regex '('
	not_ok 'no regular expression'
	try volrun delete --regex nothing
	ok
}

@test "delete --regex goes on after a container that it can not delete, and tells of it" {
	sleeper a
	bundle b 'exit 0'
	volrun run --detach --bundle "$T/b" b </dev/null >/dev/null 2>&1
	until_true 5 has_status b stopped
	try volrun delete --regex '^[ab]$'
	not_ok 'delete a: cannot delete container a that is not stopped: running'
	is "$(volrun list -q)" a
	volrun delete --force a
}

@test "state says that a container does not exist while it is being made" {
	bundle c true '.hooks.createRuntime = [{path: "/bin/sh", args: ["sh", "-c", "while [ ! -e \"$0\" ]; do sleep 0.05; done", "'"$T/go"'"]}]'
	volrun_bg create --bundle "$T/c" c
	local pid=$!
	until_true 5 test -e "$ROOT/c/state.json"
	try volrun state c
	not_ok 'does not exist'
	touch "$T/go"
	ended $pid
	is "$status" 0
	is "$(status_of c)" created
	volrun delete --force c
}

@test "exec --env replaces a variable of the container, and the last one counts" {
	sleeper c '.process.env = ["PATH=/bin", "A=old", "B=kept"]'
	try volrun exec --env A=new --env C=1 --env C=2 c sh -c 'env | grep ^[ABC]= | sort | tr "\n" " "'
	is "$output" "A=new B=kept C=2 "
	volrun delete --force c
}

@test "exec refuses a user that is no number: it is never uid 0" {
	sleeper c
	for user in root '' : 0x10 -1 '1000:' '1:x' 4294967295 '1000:1000:1000' ' 1'; do
		try volrun exec --user "$user" c id
		is "$status" 255 "status for user '$user'"
		like "$stderr" 'not of the form UID\[:GID\]'
	done
	try volrun exec --user 1000:1001 c sh -c 'id -u; id -g'
	is "$output" $'1000\n1001'
	volrun delete --force c
}

pure_v2() { [[ $(stat -f -c %T /sys/fs/cgroup) == cgroup2fs ]]; }

@test "exec --cgroup goes beneath the container's cgroup, on v1 also by controller" {
	sleeper c
	local base
	if pure_v2; then base=/sys/fs/cgroup/$CG/c; else base=/sys/fs/cgroup/cpu/$CG/c; fi
	mkdir "$base/sub"
	if pure_v2; then
		try volrun exec --cgroup sub c cat /proc/self/cgroup
		ok
		like "$output" '/sub$'
		try volrun exec --cgroup cpu:sub c true
		not_ok 'no hierarchy'
	else
		try volrun exec --cgroup cpu:sub c cat /proc/self/cgroup
		ok
		is "$(grep -c '/sub$' <<<"$output")" 1
		like "$(grep '/sub$' <<<"$output")" ':cpu:'
	fi
	try volrun exec --cgroup ../out c true
	is "$status" 255
	like "$stderr" '`..` components are not allowed'
	try volrun exec --cgroup absent c true
	is "$status" 255
	rmdir "$base/sub"
	volrun delete --force c
}

@test "exec finds a place in a container that has split its cgroup" {
	pure_v2 || skip "only v2 keeps processes out of cgroups with controllers; shown in the pure v2 view and the machine"
	sleeper c
	local base=/sys/fs/cgroup/$CG/c controller
	controller=$(cut -d ' ' -f 1 "$base/cgroup.controllers")
	mkdir "$base/inner"
	pid_of c >"$base/inner/cgroup.procs"
	echo "+$controller" >"$base/cgroup.subtree_control"
	try volrun exec c cat /proc/self/cgroup
	ok
	like "$output" '/inner$'
	volrun delete --force c
}

@test "hooks without env get the runtime's, hooks with env that alone" {
	bundle c true '.hooks.prestart = [
		{path: "/bin/sh", args: ["sh", "-c", "echo \"$A\" >'"$T"'/inherited"]},
		{path: "/bin/sh", args: ["sh", "-c", "echo \"$A\" >'"$T"'/own"], env: ["B=1"]}]'
	A=outer try volrun run --bundle "$T/c" c
	ok
	is "$(<"$T/inherited")" outer
	is "$(<"$T/own")" ""
}

# --- events -------------------------------------------------------------------

@test "events --stats is one object with runc's members" {
	sleeper c
	try volrun events --stats c
	ok
	is "${#lines[@]}" 1
	jq -e '.type == "stats" and .id == "c" and (.data | has("cpu", "memory", "pids", "blkio", "hugetlb", "cpuset", "intel_rdt"))
		and (.data.cpu.usage.total | type == "number") and (.data.memory.usage | has("limit", "usage", "failcnt"))' <<<"$output"
	volrun delete --force c
}

@test "events reports at each interval, until the container ends" {
	sleeper c
	"$BIN/volrun" --root "$ROOT" events --interval 100ms c >"$T/events" 3>&- 4>&- &
	local pid=$!
	until_true 5 bash -c "(( \$(wc -l <'$T/events') >= 2 ))"
	volrun kill c KILL
	ended $pid
	is "$status" 0
	jq -se 'length >= 2 and all(.type == "stats")' <"$T/events"
	volrun delete c
}

@test "events of a stopped or unknown container, and a bad interval, are refused" {
	bundle c true
	volrun run --keep --bundle "$T/c" c
	try volrun events --stats c
	not_ok 'not running'
	try volrun events --stats nobody
	not_ok 'does not exist'
	try volrun events --interval 5 c
	not_ok 'no duration'
	volrun delete c
}

# --- mounts of a running container ------------------------------------------------

@test "mounts add brings a directory and a tmpfs into a running container, mounts remove takes them away" {
	sleeper c '.root.readonly = false'
	mkdir "$T/source"
	echo content >"$T/source/file"
	jq -n --arg s "$T/source" '[{destination: "/a/b", type: "bind", source: $s, options: ["rbind", "ro"]},
		{destination: "/scratch", type: "tmpfs", source: "tmpfs", options: ["nosuid", "size=1m"]}]' >"$T/mounts.json"
	try volrun mounts add c "$T/mounts.json"
	ok
	try volrun exec c sh -c 'cat /a/b/file; echo x >/a/b/file; grep " /scratch " /proc/self/mountinfo'
	like "$output" content
	like "$stderr" 'Read-only'
	like "$output" 'nosuid.*tmpfs.*size=1024k'
	is "$(<"$T/source/file")" content
	try volrun mounts remove c "$T/mounts.json"
	ok
	try volrun exec c sh -c 'ls /a/b /scratch'
	unlike "$output" file
	try volrun mounts remove c "$T/mounts.json"
	not_ok 'mount on "/scratch": it is not a mount point'
	volrun delete --force c
}

@test "mounts add works on a paused container and with a user namespace" {
	bundle c 'exec sleep 1000' '.root.readonly = false | .linux.namespaces += [{type: "user"}]
		| .linux.uidMappings = [{containerID: 0, hostID: 100000, size: 65536}] | .linux.gidMappings = .linux.uidMappings'
	chown -R 100000:100000 "$T/c/rootfs"
	chmod 755 "$T" "$SUITE" "$(dirname "$T")" "$(dirname "$(dirname "$T")")"
	running c
	mkdir "$T/source"
	echo content >"$T/source/file"
	echo '{"mounts":[{"destination":"/tmp/in","type":"bind","source":"'"$T/source"'","options":["bind"]}]}' >"$T/mounts.json"
	volrun exec c sh -c 'exit 0'
	volrun pause c
	try volrun mounts add c "$T/mounts.json"
	ok
	volrun resume c
	try volrun exec c cat /tmp/in/file
	is "$output" content
	volrun delete --force c
}

@test "mounts add does not follow the container's links out of its root, nor mount beneath /proc" {
	sleeper c '.root.readonly = false'
	mkdir "$T/victim" "$T/source"
	touch "$T/source/file"
	volrun exec c ln -s "../../../../../../..$T/victim" /link
	echo '[{"destination":"/link/x","type":"bind","source":"'"$T/source"'","options":["bind"]}]' >"$T/mounts.json"
	try volrun mounts add c "$T/mounts.json"
	is "$(ls -A "$T/victim")" ""
	volrun exec c test -e "/$T/victim/x/file"
	echo '[{"destination":"/proc/sys","type":"tmpfs","source":"tmpfs"}]' >"$T/mounts.json"
	try volrun mounts add c "$T/mounts.json"
	not_ok 'inside /proc'
	volrun delete --force c
}

@test "mounts of a stopped container, a bad file and a bad verb are refused" {
	bundle c true
	volrun run --keep --bundle "$T/c" c
	echo '[{"destination":"/x","type":"tmpfs","source":"tmpfs"}]' >"$T/mounts.json"
	try volrun mounts add c "$T/mounts.json"
	not_ok 'container not running'
	volrun delete c
	sleeper d
	for text in '' '{' '[{"type":"tmpfs"}]' '[1]' '{"mounts":[{"destination":"/x","type":"bind"}]}'; do
		printf '%s' "$text" >"$T/mounts.json"
		try volrun mounts add d "$T/mounts.json"
		not_ok mounts.json
	done
	try volrun mounts change d "$T/mounts.json"
	not_ok 'neither add nor remove'
	volrun delete --force d
}

# listen_and_run PATH COMMAND...: a datagram socket there, on a /run of its own; what arrives goes to $T/datagrams.
listen_and_run() {
	local path=$1
	shift
	unshare --mount --propagation private bash -c '
		mount -t tmpfs tmpfs /run && mkdir -p "$(dirname "$1")"
		python3 -c "import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind(sys.argv[1]); s.settimeout(10)
print(\"bound\", flush=True); open(sys.argv[2], \"wb\").write(s.recv(65536))" "$1" "$2" >"$2.bound" &
		for ((i = 0; i < 100; i++)); do grep -q bound "$2.bound" && break; sleep 0.05; done
		shift 2
		"$@" || :
		wait' - "$path" "$T/datagrams" "$@"
}

@test "--log journald:ID, syslog:ID and file:PATH say it there" {
	listen_and_run /run/systemd/journal/socket "$BIN/volrun" --root "$ROOT" --log journald:box state nosuch 2>/dev/null
	[[ $(<"$T/datagrams") == $'PRIORITY=3\nSYSLOG_IDENTIFIER=box\nMESSAGE='*'does not exist'* ]]
	try volrun --log syslog:box state nosuch
	not_ok
	[[ -S /dev/log ]] || [[ $stderr == *"open log file /dev/log: "* ]]
	try volrun --log "file:$T/log" state nosuch
	[[ $(<"$T/log") == *"does not exist"* ]]
}
