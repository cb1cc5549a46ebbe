#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# In the virtual machine: checkpoint and restore with a criu that works with its kernel.
load lib/common
load lib/criu

setup() { common_setup; criu_setup; }
teardown() { common_teardown; }

COUNT='i=0; while :; do i=$((i+1)); echo $i >>/data/log; sleep 0.1; done'

# detached NAME [OPTION...]: runs the bundle in the background, with nothing of ours open.
detached() {
	local name=$1
	shift
	volrun "$@" run --detach --bundle "$T/$name" "$name" </dev/null >/dev/null 2>"$T/stderr" || { cat "$T/stderr"; return 1; }
}

# counter NAME [JQ-FILTER]: a running container that counts in /data/log.
counter() {
	bundle "$1" "$COUNT" "${2:-}"
	detached "$1"
	until_true 10 counted "$1" 3
}

counted() { [[ -s $T/$1/rootfs/data/log && $(wc -l <"$T/$1/rootfs/data/log") -ge $2 ]]; }
lines_of() { wc -l <"$T/$1/rootfs/data/log"; }
# Whoever starts again begins at 1.
consecutive() { awk '$1 != NR { exit 1 }' "$T/$1/rootfs/data/log" || fail "it did not go on counting: $(tr '\n' ' ' <"$T/$1/rootfs/data/log")"; }

# checkpoint NAME [OPTION...]
checkpoint() {
	local name=$1
	shift
	try volrun checkpoint --image-path "$CK" --work-path "$T/work" "$@" "$name"
	ok || { grep -n Error "$T/work/dump.log"; return 1; }
}

# restore NAME [OPTION...]: in the background, out of the bundle of that name.
restore() {
	local name=$1
	shift
	volrun ${GLOBAL:-} restore --detach --image-path "$CK" --work-path "$T/work" --bundle "${BUNDLE:-$T/$name}" "$@" "$name" \
		</dev/null >/dev/null 2>"$T/stderr" || { cat "$T/stderr"; grep -n Error "$T/work/restore.log"; return 1; }
}

goes_on() {
	local n
	n=$(lines_of "$1")
	until_true 10 counted "$1" $((n + 3))
	consecutive "$1"
}

@test "a counter goes on from where it was; after the checkpoint the container does not exist" {
	counter c
	checkpoint c
	is "$(volrun list -q)" ""
	try volrun state c
	not_ok 'container does not exist'
	nothing_left
	restore c --pid-file "$T/pid"
	is "$(status_of c)" running
	is "$(pid_of c)" "$(cat "$T/pid")"
	goes_on c
	try volrun exec c sh -c 'cat /proc/1/comm; cat /proc/kcore; ls /sys/firmware; hostname; cat /sys/class/net/lo/operstate'
	is "$output" $'sh\nsandbox\nunknown'
	volrun delete --force c
}

@test "what the container's clocks say goes on, for exec, too" {
	counter c
	checkpoint c
	restore c
	try volrun exec c readlink /proc/self/ns/time /proc/1/ns/time
	is "${lines[0]}" "${lines[1]}"
	volrun delete --force c
}

@test "--leave-running: it runs on, and the images make a second one, under another id and of another bundle" {
	counter c
	checkpoint c --leave-running
	is "$(status_of c)" running
	goes_on c
	volrun delete --force c
	bundle d "$COUNT"
	cp "$T/c/rootfs/data/log" "$T/d/rootfs/data/log"
	restore d
	is "$(status_of d)" running
	is "$(volrun state d | jq -r .bundle)" "$T/d"
	until_true 10 counted d $(($(lines_of c) + 2))
	volrun delete --force d
}

@test "pre-dumps: the memory first, the rest after it, by a relative path" {
	counter c
	CK=$T/pre checkpoint c --pre-dump
	is "$(status_of c)" running
	try volrun checkpoint --image-path "$CK" --parent-path "$T/pre" c
	not_ok 'parent-path must be relative'
	try volrun checkpoint --image-path "$CK" --parent-path ../nothing c
	not_ok 'parent-path ../nothing: No such file'
	checkpoint c --parent-path ../pre
	[[ $(readlink "$CK/parent") == ../pre ]]
	restore c
	goes_on c
	volrun delete --force c
}

@test "a listening socket and an open connection are there again" {
	bundle c 'nc -ll -p 7000 -e cat & sleep 1; tail -f /dev/null | nc 127.0.0.1 7000 & sleep 1; touch /data/up; wait'
	detached c
	until_true 10 test -e "$T/c/rootfs/data/up"
	try volrun checkpoint --image-path "$CK" c
	not_ok 'criu failed: .*(tcp|TCP).*log: .*/dump.log'
	is "$(status_of c)" running
	checkpoint c --tcp-established
	restore c --tcp-established
	try volrun exec c sh -c 'echo hello | nc -w 2 127.0.0.1 7000'
	is "$output" hello
	like "$(volrun exec c netstat -tn)" '127.0.0.1:7000.*ESTABLISHED'
	volrun delete --force c
}

@test "bind mounts have their sources, a tmpfs its content, and links in the root file system lead where they did" {
	mkdir -p "$T/a" "$T/b"
	echo one >"$T/a/f"
	echo file >"$T/single"
	bundle c 'echo kept >/mnt/k; exec 5</bound/f 6>>/mnt/k; while :; do sleep 1; done' '.mounts += [
		{destination: "/mnt", type: "tmpfs", source: "tmpfs", options: ["size=1m"]},
		{destination: "/bound", type: "bind", source: "'"$T/a"'", options: ["rbind", "ro"]},
		{destination: "/bound/sub", type: "bind", source: "'"$T/b"'", options: ["bind"]},
		{destination: "/link/x", type: "bind", source: "'"$T/b"'", options: ["bind"]},
		{destination: "/etc/single", type: "bind", source: "'"$T/single"'", options: ["bind", "nosuid"]}]'
	mkdir "$T/c/rootfs/real" "$T/a/sub"
	ln -s real "$T/c/rootfs/link"
	detached c
	until_true 10 volrun exec c test -e /mnt/k
	checkpoint c
	restore c
	try volrun exec c sh -c 'cat /mnt/k /bound/f /etc/single; touch /real/x/made /bound/sub/too; touch /bound/no; ls -l /proc/1/fd/5'
	like "$output" $'^kept\none\nfile\n.*/bound/f$'
	like "$stderr" 'Read-only'
	[[ -e $T/b/made && -e $T/b/too ]]
	volrun delete --force c
}

@test "mount points that the new root file system lacks are made" {
	mkdir "$T/src"
	counter c '.mounts += [{destination: "/x/y", type: "bind", source: "'"$T/src"'", options: ["bind"]}]'
	checkpoint c
	bundle d "$COUNT" '.mounts += [{destination: "/x/y", type: "bind", source: "'"$T/src"'", options: ["bind"]}]'
	cp "$T/c/rootfs/data/log" "$T/d/rootfs/data/log"
	restore d
	volrun exec d touch /x/y/z
	[[ -e $T/src/z ]]
	volrun delete --force d
}

@test "the cgroup is made anew, with the limits of config.json, where config.json has it" {
	counter c '.linux.resources = {memory: {limit: 67108864}, pids: {limit: 50}}'
	checkpoint c
	is "$(left_cgroups)" ""
	config c '.linux.cgroupsPath += "-other" | .linux.resources.memory.limit = 134217728'
	restore c
	is "$(cut -d : -f 3 "/proc/$(pid_of c)/cgroup")" "/$CG/c-other"
	is "$(cat "/sys/fs/cgroup/$CG/c-other/memory.max" "/sys/fs/cgroup/$CG/c-other/pids.max")" $'134217728\n50'
	is "$(cat "/sys/fs/cgroup/$CG/c-other/cgroup.procs" | sort -n | head -1)" "$(pid_of c)"
	volrun pause c
	is "$(status_of c)" paused
	volrun resume c
	volrun delete --force c
}

@test "with --systemd-cgroup it is in a scope again" {
	local unit=volrun$BATS_TEST_NUMBER-$$
	bundle c "$COUNT" '.linux.cgroupsPath = "system.slice:'"${unit%-*}:${unit#*-}"'" | .linux.resources = {pids: {limit: 50}}'
	detached c --systemd-cgroup
	until_true 10 counted c 3
	checkpoint c
	[[ $(systemctl show --property ActiveState --value "$unit.scope") == inactive ]]
	GLOBAL=--systemd-cgroup restore c
	is "$(systemctl show --property ActiveState,TasksMax --value "$unit.scope" | sort)" $'50\nactive'
	is "$(cut -d : -f 3 "/proc/$(pid_of c)/cgroup")" "/system.slice/$unit.scope"
	goes_on c
	volrun delete --force c
	[[ $(systemctl show --property ActiveState --value "$unit.scope") == inactive ]]
}

@test "in the foreground: the exit status is the container's, and it is deleted" {
	bundle c 'trap "echo end; exit 7" TERM; touch /data/log; while :; do sleep 0.1; done'
	detached c
	until_true 10 test -e "$T/c/rootfs/data/log"
	checkpoint c
	volrun_bg restore --image-path "$CK" --bundle "$T/c" c
	local pid=$!
	until_true 20 eval '[[ $(status_of c) == running ]]'
	volrun kill c TERM
	ended "$pid"
	is "$status" 7
	is "$(volrun list -q)" ""
}

@test "the caller's pipes and /dev/null take the place of those that were stdin, stdout and stderr; a file goes on" {
	bundle c 'i=0; while :; do i=$((i+1)); echo $i; echo e$i >&2; echo $i >>/data/log; sleep 0.1; done'
	local first second
	volrun run -d --bundle "$T/c" c </dev/null 2>>"$T/err" | cat >"$T/out1" &
	first=$!
	until_true 10 counted c 3
	checkpoint c
	is "$(jq -r '.[1]' "$CK/descriptors.json" | cut -d : -f 1)" pipe
	volrun restore -d --image-path "$CK" --work-path "$T/work" --bundle "$T/c" c </dev/null 2>>"$T/err" | cat >"$T/out2" &
	second=$!
	until_true 20 test -s "$T/out2"
	sleep 0.5
	volrun delete --force c
	wait "$first" "$second"
	is "$(head -1 "$T/out2")" $(($(tail -1 "$T/out1") + 1))
	awk '$1 != "e" NR { exit 1 }' "$T/err" || fail "$(cat "$T/err")"
}

@test "a terminal: the console socket of the restore gets a new master" {
	bundle c 'stty -echo; echo ready; while read -r x; do echo "got $x"; done' '.process.terminal = true'
	local first second
	python3 "$LIB/recvtty" "$T/sock1" "$T/tty1" 3>&- &
	first=$!
	until_true 5 test -S "$T/sock1"
	volrun run -d --console-socket "$T/sock1" --bundle "$T/c" c </dev/null >/dev/null
	until_true 10 grep -q ready "$T/tty1"
	checkpoint c
	python3 "$LIB/recvtty" "$T/sock2" "$T/tty2" $'hello\n' 3>&- &
	second=$!
	until_true 5 test -S "$T/sock2"
	restore c --console-socket "$T/sock2"
	until_true 10 grep -q 'got hello' "$T/tty2"
	volrun delete --force c
	wait "$first" "$second"
}

@test "hooks: prestart and createRuntime when the namespaces are there, poststart when it runs, poststop at its end" {
	bundle c "$COUNT" '.hooks = ([["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"][] as $k
		| {($k): [{path: "/bin/sh", args: ["sh", "-c", "cat >>'"$T"'/\($k); echo >>'"$T"'/\($k); echo \($k) >>'"$T"'/order"]}]}] | add)
		| del(.hooks.startContainer)'
	detached c
	until_true 10 counted c 3
	is "$(tr '\n' ' ' <"$T/order")" "prestart createRuntime createContainer poststart "
	checkpoint c
	is "$(tail -1 "$T/order")" poststop
	rm "$T/order" "$T/prestart" "$T/poststop"
	restore c
	is "$(tr '\n' ' ' <"$T/order")" "prestart createRuntime poststart "
	is "$(jq -r .pid "$T/prestart")" "$(pid_of c)"
	volrun delete --force c
	is "$(tail -1 "$T/order")" poststop
}

@test "namespaces by path are joined again: network, ipc and uts" {
	ip netns add "volrun-$$"
	unshare --ipc --uts sleep 1000 3>&- &
	local holder=$!
	until_true 5 eval '[[ $(readlink /proc/'$holder'/ns/ipc) != $(readlink /proc/self/ns/ipc) ]]'
	counter c '.linux.namespaces |= map(if .type == "network" then .path = "/run/netns/volrun-'$$'"
		elif .type == "ipc" then .path = "/proc/'$holder'/ns/ipc" elif .type == "uts" then .path = "/proc/'$holder'/ns/uts" else . end) | del(.hostname)'
	checkpoint c
	restore c
	is "$(readlink "/proc/$(pid_of c)/ns/ipc")" "$(readlink "/proc/$holder/ns/ipc")"
	is "$(stat -Lc %i "/proc/$(pid_of c)/ns/net")" "$(stat -Lc %i "/run/netns/volrun-$$")"
	goes_on c
	volrun delete --force c
	kill "$holder"
	ip netns delete "volrun-$$"
}

@test "a container in a user namespace" {
	bundle c "$COUNT"
	in_userns c
	detached c
	until_true 10 counted c 3
	checkpoint c
	# criu's own, now and then, where the machine is busy: it looks for an image while its task changes to the new ids.
	restore c || { grep -q 'timens-0.img: Permission denied' "$T/stderr" && restore c; }
	goes_on c
	is "$(volrun exec c id -u)" 0
	is "$(stat -c %u "/proc/$(pid_of c)")" 100000
	volrun delete --force c
}

@test "a container that is paused can be saved, one that waits for its start can't" {
	counter c
	volrun pause c
	checkpoint c
	restore c
	is "$(status_of c)" running
	volrun delete --force c
	volrun create --bundle "$T/c" c </dev/null >/dev/null 2>&1
	try volrun checkpoint --image-path "$T/ck2" c
	not_ok 'checkpoint c: container cannot be checkpointed in created state'
	volrun delete --force c
}

@test "a mount that came while it ran is saved, and a restore that can't have it says so" {
	counter c
	mkdir "$T/late"
	printf '[{"destination": "/mnt/late", "type": "bind", "source": "%s", "options": ["bind"]}]' "$T/late" >"$T/mounts.json"
	volrun mounts add c "$T/mounts.json"
	checkpoint c
	try volrun restore -d --image-path "$CK" --bundle "$T/c" c
	not_ok 'criu failed: .*No mapping for .*log: '
	nothing_left
	config c --slurpfile m "$T/mounts.json" '.mounts += $m[0]'
	restore c
	goes_on c
	volrun delete --force c
}

@test "a restore that fails leaves nothing: images that are torn, a source that is gone, a hook that fails, an id that is taken" {
	mkdir "$T/src"
	counter c '.mounts += [{destination: "/x", type: "bind", source: "'"$T/src"'", options: ["bind"]}]'
	checkpoint c --leave-running
	try volrun restore -d --image-path "$CK" --bundle "$T/c" c
	not_ok 'restore c: container with given ID already exists'
	volrun delete --force c
	mv "$T/src" "$T/gone"
	try volrun restore -d --image-path "$CK" --bundle "$T/c" c
	not_ok 'mount ".*/src" on "/x": No such file'
	nothing_left
	mv "$T/gone" "$T/src"
	config c '.hooks.prestart = [{path: "/bin/false"}]'
	try volrun restore -d --image-path "$CK" --bundle "$T/c" c
	not_ok 'restore c: error running prestart hook #0: /bin/false: exit status 1'
	nothing_left
	config c 'del(.hooks)'
	truncate -s 20 "$CK/pstree.img"
	try volrun restore -d --image-path "$CK" --bundle "$T/c" c
	not_ok 'restore c: criu failed: .*log: .*/restore.log'
	nothing_left
}

@test "killed while it is restored, and while its runtime is: delete --force takes all away" {
	counter c '.hooks.prestart = [{path: "/bin/sleep", args: ["sleep", "2"]}]'
	checkpoint c
	volrun_bg restore --image-path "$CK" --bundle "$T/c" c 2>/dev/null
	local pid=$!
	until_true 10 eval '[[ $(cat "$ROOT/c/state.json") == *\"pid\"* ]]'
	kill -9 "$pid"
	ended "$pid"
	volrun delete --force c
	nothing_left
	config c 'del(.hooks)'
	volrun_bg restore --image-path "$CK" --bundle "$T/c" c
	pid=$!
	until_true 10 eval '[[ $(cat "$ROOT/c/state.json") == *\"pid\"* ]]'
	volrun delete --force c
	ended "$pid"
	((status != 0))
}

# other NAME RUNTIME: runc or crun runs the bundle and saves it.
other() {
	timeout 60 "$2" --root "$T/other" run --detach --bundle "$T/$1" "$1" </dev/null >/dev/null 2>&1 3>&- 4>&-
	until_true 10 counted "$1" 3
	timeout 60 "$2" --root "$T/other" checkpoint --image-path "$CK" --work-path "$T/work" "$1" 3>&- 4>&-
}

@test "what runc and crun have saved is restored" {
	local runtime filter
	mkdir "$T/src"
	filter='.mounts += [{destination: "/mnt/x", type: "bind", source: "'"$T/src"'", options: ["bind"]}]'
	for runtime in runc crun; do
		bundle "$runtime" "$COUNT" "$filter"
		CK=$T/$runtime-images
		other "$runtime" "$runtime"
		restore "$runtime"
		goes_on "$runtime"
		volrun exec "$runtime" touch "/mnt/x/$runtime"
		[[ -e $T/src/$runtime ]]
		volrun delete --force "$runtime"
	done
}
