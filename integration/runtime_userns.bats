#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# User namespaces made by root: mappings, joined ones, what belongs to them, and
# mounts with mapped ids.

load lib/common

setup() {
	common_setup
	local dir
	for dir in "$T" "$(dirname "$T")" "$SUITE" "$(dirname "$SUITE")"; do chmod a+rx "$dir"; done
}
teardown() {
	local pid
	for pid in "${holders[@]}"; do kill "$pid" 2>/dev/null || :; done
	common_teardown
}
holders=()

MAPPED='.linux.namespaces += [{type: "user"}]
	| .linux.uidMappings = [{containerID: 0, hostID: 100000, size: 65536}]
	| .linux.gidMappings = [{containerID: 0, hostID: 200000, size: 65536}]'

# userns_container NAME SCRIPT [FILTER]: whose root is 100000:200000.
userns_bundle() {
	bundle "$1" "$2" "$MAPPED | ${3:-.}"
	chown -hR 100000:200000 "$T/$1/rootfs"
}
userns_container() {
	userns_bundle "$@"
	try volrun run --bundle "$T/$1" "$1"
}

# holder UNSHARE-OPTION...: a process in namespaces of its own; its pid is in $holder. "sleep" is told by its name.
holder() {
	unshare "$@" sleep 60 3>&- 4>&- &
	holder=$!
	holders+=("$holder")
	until_true 5 eval '[[ $(cat /proc/'$holder'/comm) == sleep ]]'
}

# holder_child COMMAND...: a child of such a process, for a namespace that only children are in.
holder_child() {
	local parent
	"$@" --fork --kill-child sleep 60 3>&- 4>&- &
	parent=$!
	holders+=("$parent")
	until_true 5 eval '[[ -n $(cat /proc/'$parent'/task/'$parent'/children) ]]'
	holder=$(tr -d ' ' <"/proc/$parent/task/$parent/children")
	until_true 5 eval '[[ $(cat /proc/'$holder'/comm) == sleep ]]'
}

# mapped_holder UNSHARE-OPTION...: the same in a user namespace as in MAPPED.
mapped_holder() {
	holder --user "$@"
	echo "0 100000 65536" >"/proc/$holder/uid_map"
	echo "0 200000 65536" >"/proc/$holder/gid_map"
}

# --- mappings --------------------------------------------------------------------

@test "several mappings with holes between them" {
	userns_container c1 'cat /proc/self/uid_map /proc/self/gid_map; id -u; id -g; touch /tmp/f' '
		.linux.uidMappings = [{containerID: 0, hostID: 100000, size: 10}, {containerID: 100, hostID: 300000, size: 5}, {containerID: 1000, hostID: 400000, size: 1}]
		| .linux.gidMappings = [{containerID: 0, hostID: 200000, size: 10}, {containerID: 50, hostID: 500000, size: 5}]
		| .process.user = {uid: 1000, gid: 52}'
	ok
	like "${lines[1]}" '^ +100 +300000 +5$'
	like "${lines[2]}" '^ +1000 +400000 +1$'
	is "${lines[5]}" 1000
	is "${lines[6]}" 52
	is "$(stat -c '%u %g' "$T/c1/rootfs/tmp/f")" "400000 500002"
}

@test "a user in a hole is refused" {
	userns_bundle c1 true '.process.user = {uid: 70000, gid: 0}'
	try volrun run --bundle "$T/c1" c1
	not_ok 'uid 70000'
}

@test "a mapping without id 0: the user of the process sets the container up" {
	userns_container c1 'id -u; id -g; cat /proc/self/uid_map; stat -c "%u %g" /dev; ls /proc/self/exe; cat /dev/null' '
		.linux.uidMappings = [{containerID: 1000, hostID: 100000, size: 10}]
		| .linux.gidMappings = [{containerID: 1000, hostID: 200000, size: 10}] | .process.user = {uid: 1000, gid: 1001}'
	ok
	is "${lines[0]}" 1000
	is "${lines[1]}" 1001
	like "${lines[2]}" '^ +1000 +100000 +10$'
	is "${lines[3]}" "1000 1001"
}

@test "exec and mounts add work in a container without id 0" {
	userns_bundle c1 'sleep 60' '
		.linux.uidMappings = [{containerID: 1000, hostID: 100000, size: 10}]
		| .linux.gidMappings = [{containerID: 1000, hostID: 200000, size: 10}] | .process.user = {uid: 1000, gid: 1000}'
	try volrun run --detach --bundle "$T/c1" c1
	ok
	try volrun exec c1 id -u
	ok
	is "$output" 1000
	volrun delete --force c1
}

@test "what a container mounts beneath a shared source does not appear on the host" {
	userns_bundle c1 'grep " /mnt" /proc/self/mountinfo' '.mounts += [{destination: "/mnt", type: "bind", source: ($ENV.T + "/shared"), options: ["rbind"]}]'
	mkdir "$T/shared"
	local option
	for option in '"rbind"' '"bind"' '"rbind", "rshared"' '"bind", "idmap"'; do
		config c1 ".mounts[-1].options = [$option]"
		try unshare --mount --propagation private sh -ec '
			mount -t tmpfs tmpfs "$1/shared"; mount --make-shared "$1/shared"; mkdir "$1/shared/sub"
			grep " $1/shared " /proc/self/mountinfo; shift; exec "$@"' sh "$T" "$BIN/volrun" --root "$ROOT" run --bundle "$T/c1" c1 3>&- 4>&-
		ok
		local group=${lines[0]#*shared:}
		like "${lines[1]}" ' master:[0-9]+'
		unlike "${lines[1]}" "shared:${group%% *} "
	done
}
export T

@test "mqueue, sysctls and the network belong to the container's root" {
	userns_container c1 'stat -c "%u %g" /dev/mqueue; cat /proc/sys/net/ipv4/ping_group_range /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/msgmax; cat /sys/class/net/lo/operstate' '
		.linux.sysctl = {"net.ipv4.ping_group_range": "0 65535", "net.ipv4.ip_unprivileged_port_start": "80", "kernel.msgmax": "4096"}'
	ok
	is "${lines[0]}" "0 0"
	like "${lines[1]}" '^0[[:space:]]65535$'
	is "${lines[2]}" 80
	is "${lines[3]}" 4096
}

@test "devices are bind mounts of the host's nodes, with locked flags kept" {
	userns_container c1 'for d in null zero full tty random urandom; do stat -c "%t:%T" /dev/$d; done; head -c 3 /dev/zero | wc -c; grep -c " /dev/\(null\|zero\) " /proc/self/mountinfo'
	ok
	is "${lines[*]}" "1:3 1:5 1:7 5:0 1:8 1:9 3 2"
}

# --- joined namespaces --------------------------------------------------------------

@test "a joined user namespace, with and without its mappings in the config" {
	mapped_holder
	local with
	for with in . 'del(.linux.uidMappings, .linux.gidMappings)'; do
		userns_container c1 'readlink /proc/self/ns/user; id -u; touch /tmp/f' "
			(.linux.namespaces[] | select(.type == \"user\")).path = \"/proc/$holder/ns/user\" | $with"
		ok
		is "${lines[0]}" "$(readlink "/proc/$holder/ns/user")"
		is "${lines[1]}" 0
		is "$(stat -c '%u %g' "$T/c1/rootfs/tmp/f")" "100000 200000"
	done
}

@test "a bundle that the root of the joined user namespace may not enter" {
	mapped_holder
	userns_bundle c1 'id -u; cat /from' "(.linux.namespaces[] | select(.type == \"user\")).path = \"/proc/$holder/ns/user\"
		| .mounts += [{destination: \"/from\", type: \"bind\", source: \"file\", options: [\"bind\"]}]"
	mv "$T/c1/rootfs" "$T/elsewhere"
	config c1 --arg r "$T/elsewhere" '.root.path = $r'
	echo relative >"$T/c1/file"
	chmod 644 "$T/c1/file"
	chmod 700 "$T/c1"
	try volrun run --bundle "$T/c1" c1
	ok
	is "$output" $'0\nrelative'
	# Nor find the way there.
	mkdir -m 700 "$T/hidden"
	mv "$T/c1" "$T/hidden/"
	try volrun run --bundle "$T/hidden/c1" c1
	ok
	is "$output" $'0\nrelative'
}

@test "every other namespace joined along with a user namespace that owns it" {
	local list='' name expected
	mapped_holder
	holder_child nsenter --user --target "$holder" unshare --net --ipc --uts --cgroup --mount --pid
	for name in network:net ipc:ipc uts:uts pid:pid cgroup:cgroup; do
		list+="{type: \"${name%:*}\", path: \"/proc/$holder/ns/${name#*:}\"},"
	done
	userns_container c1 'for n in net ipc uts pid cgroup user; do readlink /proc/self/ns/$n; done' "
		.linux.namespaces = [$list {type: \"user\", path: \"/proc/$holder/ns/user\"}, {type: \"mount\"}] | del(.hostname)"
	ok
	expected=$(for name in net ipc uts pid cgroup user; do readlink "/proc/$holder/ns/$name"; done)
	is "$output" "$expected"
}

@test "a user namespace and a network namespace of the host's are joined together" {
	mapped_holder
	local user=$holder
	holder --net --ipc --uts
	userns_container c1 'for n in user net ipc uts; do readlink /proc/self/ns/$n; done' "
		.linux.namespaces = [{type: \"user\", path: \"/proc/$user/ns/user\"}, {type: \"network\", path: \"/proc/$holder/ns/net\"},
			{type: \"ipc\", path: \"/proc/$holder/ns/ipc\"}, {type: \"uts\", path: \"/proc/$holder/ns/uts\"}, {type: \"pid\"}, {type: \"mount\"}]
		| del(.hostname) | del(.mounts[] | select(.type == \"mqueue\"))"
	ok
	is "$output" "$(readlink "/proc/$user/ns/user" "/proc/$holder/ns/net" "/proc/$holder/ns/ipc" "/proc/$holder/ns/uts")"
}

@test "a new user namespace with a joined network namespace" {
	holder --net
	userns_container c1 'readlink /proc/self/ns/net; id -u' "
		(.linux.namespaces[] | select(.type == \"network\")).path = \"/proc/$holder/ns/net\""
	ok
	is "${lines[0]}" "$(readlink "/proc/$holder/ns/net")"
	is "${lines[1]}" 0
}

@test "the caller's own user namespace by path is no user namespace at all" {
	container c1 'readlink /proc/self/ns/user; id -u' '.linux.namespaces += [{type: "user", path: "/proc/self/ns/user"}]'
	ok
	is "${lines[0]}" "$(readlink /proc/self/ns/user)"
}

@test "exec enters a container whose namespaces were joined" {
	mapped_holder --net
	userns_bundle c1 'sleep 60' "
		(.linux.namespaces[] | select(.type == \"user\")).path = \"/proc/$holder/ns/user\"
		| (.linux.namespaces[] | select(.type == \"network\")).path = \"/proc/$holder/ns/net\""
	try volrun run --detach --bundle "$T/c1" c1
	ok
	try volrun exec c1 sh -c 'readlink /proc/self/ns/user; readlink /proc/self/ns/net'
	ok
	is "$output" "$(readlink "/proc/$holder/ns/user" "/proc/$holder/ns/net")"
	volrun delete --force c1
}

@test "time offsets with a new and with a joined user namespace" {
	[[ -e /proc/self/ns/time ]] || skip "this kernel has no time namespaces"
	local filter='.linux.namespaces += [{type: "time"}] | .linux.timeOffsets = {boottime: {secs: 1000000, nanosecs: 5}, monotonic: {secs: 7}}'
	userns_container c1 'cat /proc/self/timens_offsets; cut -d . -f 1 /proc/uptime' "$filter"
	ok
	like "$output" 'boottime +1000000 +5'
	like "$output" 'monotonic +7 +0'
	((lines[2] > 1000000))
	mapped_holder
	userns_container c1 'cat /proc/self/timens_offsets; cut -d . -f 1 /proc/uptime' "
		$filter | (.linux.namespaces[] | select(.type == \"user\")).path = \"/proc/$holder/ns/user\""
	ok
	like "$output" 'boottime +1000000 +5'
	((lines[2] > 1000000))
}

@test "a joined time namespace" {
	[[ -e /proc/self/ns/time ]] || skip "this kernel has no time namespaces"
	holder_child unshare --time --boottime 5000000
	container c1 'readlink /proc/self/ns/time; cut -d . -f 1 /proc/uptime' ".linux.namespaces += [{type: \"time\", path: \"/proc/$holder/ns/time\"}]"
	ok
	is "${lines[0]}" "$(readlink "/proc/$holder/ns/time")"
	((lines[1] > 5000000))
}

# --- mounts with mapped ids ------------------------------------------------------------

# idmap_source: files of 0:0 and 5:7; tmpfs would do as well, from Linux 6.3 on.
idmap_source() {
	mkdir -p "$T/src"
	touch "$T/src/a" "$T/src/b"
	chown 5:7 "$T/src/b"
}
# idmapped FILTER OPTION...: a container with the source on /mnt; prints the owners of a and b.
idmapped() {
	idmap_source
	"${in:-userns_container}" c1 'stat -c "%u %g" /mnt/a /mnt/b' ".mounts += [{destination: \"/mnt\", type: \"bind\", source: \"$T/src\"} + $1]"
}

@test "uidMappings and gidMappings of a mount map its files' ids" {
	idmapped '{options: ["bind", "idmap"], uidMappings: [{containerID: 0, hostID: 100001, size: 100}], gidMappings: [{containerID: 0, hostID: 200002, size: 100}]}'
	ok
	is "${lines[*]}" "1 2 6 9"
	in=container idmapped '{options: ["rbind", "ridmap"], uidMappings: [{containerID: 0, hostID: 1000, size: 100}], gidMappings: [{containerID: 0, hostID: 2000, size: 100}]}'
	ok
	is "${lines[*]}" "1000 2000 1005 2007"
}

@test "idmap without mappings takes those of the container's user namespace, also of a joined one" {
	idmapped '{options: ["bind", "idmap"]}'
	ok
	is "${lines[*]}" "0 0 5 7"
	idmapped '{options: ["rbind", "ridmap"]}'
	ok
	is "${lines[*]}" "0 0 5 7"
	mapped_holder
	userns_container c1 'stat -c "%u %g" /mnt/a /mnt/b' "
		(.linux.namespaces[] | select(.type == \"user\")).path = \"/proc/$holder/ns/user\" | del(.linux.uidMappings, .linux.gidMappings)
		| .mounts += [{destination: \"/mnt\", source: \"$T/src\", options: [\"bind\", \"idmap\"]}]"
	ok
	is "${lines[*]}" "0 0 5 7"
}

@test "idmap with a value, absolute and relative to the container's user namespace" {
	idmapped '{options: ["bind", "idmap=uids=0-100000-3#5-100009-1;gids=0-200000-100"]}'
	ok
	is "${lines[*]}" "0 0 9 7"
	idmapped '{options: ["bind", "idmap=uids=@0-3-10;gids=@0-4-10"]}'
	ok
	is "${lines[*]}" "3 4 8 11"
	in=container idmapped '{options: ["bind", "idmap=uids=0-1-100;gids=0-2-100"]}'
	ok
	is "${lines[*]}" "1 2 6 9"
}

@test "idmap maps the mount itself, ridmap those beneath it too" {
	idmap_source
	mkdir "$T/src/sub"
	userns_bundle c1 'stat -c "%u" /mnt/a /mnt/sub/f' ".mounts += [{destination: \"/mnt\", source: \"$T/src\", options: [\"rbind\", \"idmap\"]}]"
	mount -t tmpfs tmpfs "$T/src/sub"
	touch "$T/src/sub/f"
	local one=0 all=0
	try volrun run --bundle "$T/c1" c1
	one="$status ${lines[*]}"
	config c1 '.mounts[-1].options = ["rbind", "ridmap"]'
	try volrun run --bundle "$T/c1" c1
	all="$status ${lines[*]}"
	umount "$T/src/sub"
	is "$one" "0 0 65534"
	is "$all" "0 0 0"
}

@test "an idmap that cannot be is refused in one line that says why" {
	in=container idmapped '{options: ["bind", "idmap"]}'
	not_ok 'neither the mount nor the container has id mappings'
	idmapped '{options: ["bind", "idmap=uids=0-x-1;gids=0-0-1"]}'
	not_ok 'not of the form'
	idmapped '{options: ["bind", "idmap=uids=@0-0-70000;gids=0-0-1"]}'
	not_ok 'does not map the range'
	idmapped '{options: ["idmap"], type: "tmpfs"}'
	not_ok 'only for a bind mount'
	idmapped '{options: ["bind"], uidMappings: [{containerID: 0, hostID: 0, size: 1}]}'
	not_ok 'needs uidMappings and gidMappings'
	userns_bundle c1 true '.mounts += [{destination: "/mnt", source: "/proc/sys", options: ["bind", "idmap"]}]'
	try volrun run --bundle "$T/c1" c1
	not_ok "file system can't have mapped ids"
}

# runtime-spec, config-linux.md, "Cgroup ownership".
OWN_CGROUP='.linux.namespaces += [{type: "cgroup"}]
	| .mounts += [{destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["nosuid", "noexec", "nodev"]}]'

# owners NAME: of the container's cgroup on the host, and of three of its files.
owners() { (cd "/sys/fs/cgroup/$CG/$1" && stat -c %u . cgroup.procs cgroup.subtree_control cgroup.type | xargs); }

@test "the user of the process owns the cgroup that it may write to, and can divide it" {
	[[ $(stat -f -c %T /sys/fs/cgroup) == cgroup2fs ]] || skip "ownership is for cgroup v2, shown in the other view"
	bundle c1 'mkdir /sys/fs/cgroup/sub && echo 0 >/sys/fs/cgroup/sub/cgroup.procs && grep ^0:: /proc/self/cgroup; sleep 100' "$OWN_CGROUP"
	in_userns c1
	volrun run --detach --bundle "$T/c1" c1 >"$T/out"
	until_true 5 grep -q sub "$T/out"
	[[ $(<"$T/out") == 0::/sub ]]
	[[ $(owners c1) == "100000 100000 100000 0" ]]
	volrun delete --force c1
	bundle c2 'sleep 100' "$OWN_CGROUP | .process.user = {uid: 77, gid: 77}"
	volrun run --detach --bundle "$T/c2" c2
	[[ $(owners c2) == "77 77 77 0" ]]
	volrun delete --force c2
}

@test "a cgroup that is mounted read-only, or without a cgroup namespace, stays the runtime's" {
	[[ $(stat -f -c %T /sys/fs/cgroup) == cgroup2fs ]] || skip "ownership is for cgroup v2, shown in the other view"
	bundle c1 'sleep 100' "$OWN_CGROUP | .mounts[-1].options += [\"ro\"] | .process.user = {uid: 77, gid: 77}"
	volrun run --detach --bundle "$T/c1" c1
	[[ $(owners c1) == "0 0 0 0" ]]
	volrun delete --force c1
	bundle c2 'sleep 100' "$OWN_CGROUP | .linux.namespaces |= map(select(.type != \"cgroup\")) | .process.user = {uid: 77, gid: 77}"
	volrun run --detach --bundle "$T/c2" c2
	[[ $(owners c2) == "0 0 0 0" ]]
	volrun delete --force c2
}
