#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# In the virtual machine: the ordinary user u (uid 1000, with ranges in /etc/subuid) in a session of
# systemd's, whose manager has delegated cgroups to him.
load lib/common

setup_file() {
	loginctl enable-linger u
	until_true 30 systemctl --quiet is-active user@1000.service
}

setup() {
	common_setup
	local dir
	for dir in "$T" "$(dirname "$T")" "$SUITE" "$(dirname "$SUITE")"; do chmod a+rx "$dir"; done
	chown 1000 "$ROOT"
}
teardown() { common_teardown; }

# as_u COMMAND...: in a cgroup of his own, beside which he may make others.
as_u() {
	systemd-run --quiet --pipe --wait --collect --user --machine u@ --property Delegate=yes \
		--setenv XDG_RUNTIME_DIR=/run/user/1000 -- "$@" </dev/null
}
u_volrun() { as_u timeout -k 5 60 "$BIN/volrun" --root "$ROOT" "$@"; }

MAPPED='.linux.namespaces += [{type: "user"}, {type: "cgroup"}] | del(.linux.cgroupsPath)
	| .linux.uidMappings = [{containerID: 0, hostID: 1000, size: 1}, {containerID: 1, hostID: 100000, size: 65536}]
	| .linux.gidMappings = .linux.uidMappings
	| .mounts += [{destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["ro", "nosuid", "noexec", "nodev"]}]'

u_bundle() {
	bundle "$1" "$2" "$MAPPED | ${3:-.}"
	chown -hR 1000:1000 "$T/$1"
}

@test "a container of u's has a cgroup, with the controllers that are delegated to him" {
	u_bundle c1 'id -u; cat /proc/self/cgroup; cat /sys/fs/cgroup/cgroup.controllers; cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max' '
		.linux.resources = {memory: {limit: 67108864}, pids: {limit: 30}}'
	try u_volrun run --bundle "$T/c1" c1
	ok
	is "${lines[0]}" 0
	is "${lines[1]}" "0::/"
	like "${lines[2]}" 'memory.*pids'
	is "${lines[3]}" 67108864
	is "${lines[4]}" 30
}

@test "pause, update, ps, exec and delete of a running one" {
	u_bundle c1 'sleep 1000' '.process.user = {uid: 5, gid: 5}'
	try u_volrun run --detach --bundle "$T/c1" c1
	ok
	local pid cg
	pid=$(u_volrun state c1 | jq .pid)
	cg=/sys/fs/cgroup$(cut -d : -f 3 "/proc/$pid/cgroup")
	like "$cg" '/user@1000.service/'
	is "$(stat -c %u "/proc/$pid")" 100004
	u_volrun pause c1
	is "$(<"$cg/cgroup.freeze")" 1
	u_volrun resume c1
	u_volrun update --pids-limit 77 c1
	is "$(<"$cg/pids.max")" 77
	is "$(u_volrun ps --format json c1 | jq -c .)" "[$pid]"
	try u_volrun exec c1 cat /proc/self/cgroup
	ok
	is "$output" "0::/"
	u_volrun delete --force c1
	[[ ! -e $cg ]]
}

@test "outside of his session u has a container without a cgroup, and no limit" {
	u_bundle c1 'echo works'
	try setpriv --reuid 1000 --regid 1000 --clear-groups env -i PATH="$PATH" "$BIN/volrun" --root "$ROOT" run --bundle "$T/c1" c1 3>&- 4>&-
	ok
	is "$output" works
	config c1 '.linux.resources = {pids: {limit: 5}}'
	try setpriv --reuid 1000 --regid 1000 --clear-groups env -i PATH="$PATH" "$BIN/volrun" --root "$ROOT" run --bundle "$T/c1" c1 3>&- 4>&-
	not_ok 'pids limit asked'
}

@test "with --systemd-cgroup a container of u's is in a scope of his own systemd" {
	local unit=vu-$$ pid
	u_bundle c1 'sleep 1000' '.linux.cgroupsPath = "user.slice:vu:'$$'" | .linux.resources = {pids: {limit: 40}}'
	try u_volrun --systemd-cgroup run --detach --bundle "$T/c1" c1
	ok
	pid=$(u_volrun state c1 | jq .pid)
	like "$(cut -d : -f 3 "/proc/$pid/cgroup")" "/user@1000.service/user.slice/$unit.scope"
	is "$(as_u systemctl --user show --property TasksMax --value "$unit.scope")" 40
	u_volrun update --pids-limit 50 c1
	is "$(as_u systemctl --user show --property TasksMax --value "$unit.scope")" 50
	try u_volrun exec c1 true
	ok
	u_volrun delete --force c1
	is "$(as_u systemctl --user show --property ActiveState --value "$unit.scope")" inactive
}
