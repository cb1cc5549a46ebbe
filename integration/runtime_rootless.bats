#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Containers of an ordinary user: id maps by newuidmap or of one's own id
# alone, with and without a cgroup; within a user namespace; within a container.

load lib/common
load lib/volume

# A user of this file's own: uid and name are taken from the process id, the ranges from far above.
setup_file() {
	export U_NAME=vrl$$ U_ID=$((200000 + $$ % 100000)) U_SUB=$((700000000 + $$ % 10000 * 65536))
	useradd --no-create-home --no-user-group --gid nogroup --uid "$U_ID" --shell /bin/sh "$U_NAME"
	# Debian's useradd may have given ranges of its own choice.
	sed -i "/^$U_NAME:/d" /etc/subuid /etc/subgid
	echo "$U_NAME:$U_SUB:65536" >>/etc/subuid
	echo "$U_NAME:$U_SUB:65536" >>/etc/subgid
}

teardown_file() {
	userdel "$U_NAME" 2>/dev/null
	sed -i "/^$U_NAME:/d" /etc/subuid /etc/subgid
}

setup() {
	common_setup
	local dir
	for dir in "$T" "$(dirname "$T")" "$SUITE" "$(dirname "$SUITE")"; do chmod a+rx "$dir"; done
	U_GID=$(id -g "$U_NAME")
	chown "$U_ID:$U_GID" "$ROOT"
	mkdir "$T/run"
	chown "$U_ID:$U_GID" "$T/run"
}
teardown() { common_teardown; }

# as_user COMMAND...: without root's groups, environment and descriptors.
as_user() {
	setpriv --reuid "$U_ID" --regid "$U_GID" --clear-groups env -i PATH="$PATH" XDG_RUNTIME_DIR="$T/run" "$@" 3>&- 4>&-
}
user_volrun() { as_user timeout -k 5 60 "$BIN/volrun" --root "$ROOT" "$@"; }

ONE="[{containerID: 0, hostID: \$uid, size: 1}]"
MANY="[{containerID: 0, hostID: \$uid, size: 1}, {containerID: 1, hostID: \$sub, size: 65536}]"
HOST_NET='del(.linux.namespaces[] | select(.type == "network"))'

# user_bundle NAME SCRIPT [JQ-FILTER]: with a user namespace, own id alone; the user's.
user_bundle() {
	bundle "$1" "$2"
	config "$1" --argjson uid "$U_ID" --argjson gid "$U_GID" --argjson sub "$U_SUB" "
		.linux.namespaces += [{type: \"user\"}] | .linux.uidMappings = $ONE
		| .linux.gidMappings = [{containerID: 0, hostID: \$gid, size: 1}] | ${3:-.}"
	chown -hR "$U_ID:$U_GID" "$T/$1"
}
user_container() {
	user_bundle "$@"
	try user_volrun run --bundle "$T/$1" "$1"
}
MAPPED=".linux.uidMappings = $MANY | .linux.gidMappings = ($MANY | .[0].hostID = \$gid)"

# --- id maps ---------------------------------------------------------------------

@test "an ordinary user is root in a container of his own id alone" {
	user_container c1 'id -u; id -g; cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups; echo x >/data/new'
	ok
	is "${lines[0]}" 0
	is "${lines[1]}" 0
	like "${lines[2]}" "^ +0 +$U_ID +1\$"
	like "${lines[3]}" "^ +0 +$U_GID +1\$"
	is "${lines[4]}" deny
	is "$(stat -c '%u %g' "$T/c1/rootfs/data/new")" "$U_ID $U_GID"
}

@test "newuidmap and newgidmap map the user's ranges" {
	user_container c1 'cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups; id -u; id -g; grep Groups: /proc/self/status; echo x >/tmp/new' "
		$MAPPED | .process.user = {uid: 1000, gid: 1001, additionalGids: [5, 6]}"
	ok
	like "${lines[0]}" "^ +0 +$U_ID +1\$"
	like "${lines[1]}" "^ +1 +$U_SUB +65536\$"
	like "${lines[3]}" "^ +1 +$U_SUB +65536\$"
	is "${lines[4]}" allow
	is "${lines[5]}" 1000
	is "${lines[6]}" 1001
	like "${lines[7]}" '^Groups:[[:space:]]+5 6'
	is "$(stat -c '%u %g' "$T/c1/rootfs/tmp/new")" "$((U_SUB + 999)) $((U_SUB + 1000))"
}

@test "a range that is not the user's is refused in one line that names the file" {
	user_bundle c1 true "$MAPPED | .linux.uidMappings[1].hostID = 100"
	try user_volrun run --bundle "$T/c1" c1
	not_ok 'uid_map.*/etc/subuid'
	user_bundle c1 true "$MAPPED | .linux.gidMappings[1] += {hostID: 100, size: 10}"
	try user_volrun run --bundle "$T/c1" c1
	not_ok 'gid_map.*/etc/subgid'
}

@test "the whole life of a container: create, start, state, exec, kill, delete" {
	user_bundle c1 'trap "exit 3" TERM; while :; do sleep 0.1; done' "$MAPPED"
	try user_volrun create --bundle "$T/c1" c1
	ok
	is "$(user_volrun state c1 | jq -r '.status + " " + .owner')" "created $U_ID"
	user_volrun start c1
	is "$(user_volrun state c1 | jq -r .status)" running
	is "$(user_volrun list -q)" c1
	try user_volrun exec c1 sh -c 'id -u; cat /proc/1/comm'
	ok
	is "${lines[0]}" 0
	is "${lines[1]}" sh
	try user_volrun exec --user 7:8 c1 sh -c 'id -u; id -g'
	ok
	is "${lines[*]}" "7 8"
	user_volrun kill c1 KILL
	until_true 5 eval '[[ $(user_volrun state c1 | jq -r .status) == stopped ]]'
	user_volrun delete c1
}

# --- what an ordinary user may not do ---------------------------------------------------

@test "additional groups are refused where setgroups is denied, and granted where it is not" {
	user_container c1 true '.process.user.additionalGids = [5]'
	not_ok 'cannot set any additional groups'
	user_container c1 'grep ^Groups: /proc/self/status' "$MAPPED | .process.user.additionalGids = [5]"
	ok
	like "$output" '^Groups:[[:space:]]+5'
}

@test "an id that is not mapped is refused with a hint" {
	user_container c1 true '.process.user = {uid: 5, gid: 0}'
	not_ok 'uid 5 .*mapped'
	user_container c1 true '.process.user = {uid: 0, gid: 5}'
	not_ok 'gid 5 .*mapped'
}

@test "without a user namespace an ordinary user gets no container" {
	user_container c1 true '.linux.namespaces |= map(select(.type != "user")) | del(.linux.uidMappings, .linux.gidMappings)'
	not_ok 'rootless container requires user namespaces'
}

@test "a group of devpts that is not mapped is left out" {
	user_container c1 'grep " /dev/pts " /proc/self/mountinfo' '(.mounts[] | select(.type == "devpts")).options += ["gid=5"]'
	ok
	unlike "$output" 'gid='
	user_container c1 'grep " /dev/pts " /proc/self/mountinfo' "$MAPPED | (.mounts[] | select(.type == \"devpts\")).options += [\"gid=5\"]"
	ok
	like "$output" 'gid='
}

@test "device nodes are bind mounts of the host's, and can be used" {
	user_container c1 'for d in null zero full tty random urandom; do stat -c "%t:%T" /dev/$d; done; head -c 3 /dev/zero | wc -c' '
		.linux.devices = [{type: "c", path: "/dev/fuse", major: 10, minor: 229}, {type: "p", path: "/dev/pipe"}]'
	[[ -e /dev/fuse ]] || { not_ok 'device "/dev/fuse": the host.s node: No such file'; return; }
	ok
	is "${lines[*]}" "1:3 1:5 1:7 5:0 1:8 1:9 3"
	user_container c1 true '.linux.devices = [{type: "c", path: "/dev/fuse", major: 10, minor: 200}]'
	not_ok 'not device 10:200'
}

@test "without a network namespace sysfs is the host's, read-only" {
	user_container c1 'grep " /sys " /proc/self/mountinfo; ls /sys/class/net; touch /sys/x' "$HOST_NET"
	((status != 0))
	like "${lines[0]}" ' /sys ro,nosuid,nodev,noexec'
	[[ ${lines[*]:1} == *lo* ]]
}

@test "a bind mount keeps the locked flags of its source" {
	mkdir -m 777 "$T/src"
	mount -t tmpfs -o nosuid,nodev,noexec,noatime tmpfs "$T/src"
	local option=''
	for option in '"bind"' '"bind", "rw"' '"bind", "ro"' '"rbind", "nosuid"'; do
		user_container c1 'grep " /mnt " /proc/self/mountinfo' ".mounts += [{destination: \"/mnt\", source: \"$T/src\", options: [$option]}]"
		((status == 0)) || break
		[[ $output =~ ' /mnt r'[wo]',nosuid,nodev,noexec,noatime ' ]] || break
		option=
	done
	local exec
	user_container c2 true ".mounts += [{destination: \"/mnt\", source: \"$T/src\", options: [\"bind\", \"exec\"]}]"
	exec=$status
	umount "$T/src"
	is "$option" "" "option"
	((exec != 0)) || fail "noexec was taken away"
	like "$stderr" 'flags are locked'
}

@test "oom_score_adj and limits that may not be had are left as they are" {
	user_container c1 'cat /proc/self/oom_score_adj; ulimit -n' '.process.oomScoreAdj = 500 | .process.rlimits = [{type: "RLIMIT_NOFILE", soft: 512, hard: 512}]'
	ok
	is "${lines[*]}" "500 512"
	user_container c1 'cat /proc/self/oom_score_adj' '.process.oomScoreAdj = -500'
	ok
}

@test "sysctls of the own network, masked and read-only paths, read-only root, time offsets" {
	user_container c1 'cat /proc/sys/net/ipv4/ip_forward; cat /proc/kcore | wc -c; touch /tmp/x; touch /proc/sys/kernel/hostname; cat /proc/self/timens_offsets' '
		.linux.sysctl = {"net.ipv4.ip_forward": "1"} | .root.readonly = true
		| .linux.namespaces += [{type: "time"}] | .linux.timeOffsets = {boottime: {secs: 1000}}'
	like "$stderr" 'touch: /tmp/x: Read-only'
	is "${lines[0]}" 1
	is "${lines[1]}" 0
	like "$output" 'boottime +1000 '
}

@test "a user without an entry in passwd has a container of his own id" {
	U_ID=$((U_ID + 100000)) U_GID=$((U_ID + 1))
	chown "$U_ID" "$ROOT" "$T/run"
	user_container c1 'id -u; cat /proc/self/gid_map'
	ok
	is "${lines[0]}" 0
	like "${lines[1]}" "^ +0 +$U_GID +1\$"
}

@test "hooks, the terminal's absence and a volume-less bundle run as the user" {
	user_bundle c1 'true' '.hooks = {prestart: [{path: "/bin/sh", args: ["sh", "-c", "id -u >$ENV.T/prestart"]}],
		createContainer: [{path: "/bin/sh", args: ["sh", "-c", "id -u >$ENV.T/create"]}]}'
	sed -i "s#\$ENV.T#$T/run#" "$T/c1/config.json"
	try user_volrun run --bundle "$T/c1" c1
	ok
	is "$(<"$T/run/prestart")" "$U_ID"
	is "$(<"$T/run/create")" 0
}

# --- cgroups ---------------------------------------------------------------------------------

@test "without permission there is no cgroup, unless a limit is asked for" {
	user_container c1 'echo ok'
	ok
	user_container c1 true '.linux.resources = {memory: {limit: 50000000}}'
	not_ok 'memory limit asked'
	user_container c1 'echo ok' '.linux.resources = {devices: [{allow: false, access: "rwm"}]}'
	ok
	is "$output" ok
}

@test "without a cgroup a container of a shared pid namespace is killed, too, by kill --all and by KILL; ps says why it can't" {
	local args pid
	for args in "--all c1 TERM" "--all c1 9" "c1 KILL"; do
		# A pid namespace that is not new: the user's own, of the same user namespace.
		user_bundle c1 '' '.process.args = ["sleep", "1000"] | del(.linux.namespaces[] | select(.type == "pid"))
			| .mounts = [{destination: "/proc", type: "bind", source: "/proc", options: ["rbind"]}]'
		try user_volrun run --detach --bundle "$T/c1" c1
		ok
		pid=$(user_volrun state c1 | jq .pid)
		try user_volrun ps c1
		not_ok 'the container has no cgroup'
		# shellcheck disable=SC2086 # words
		user_volrun kill $args
		until_true 10 eval '! [[ -e /proc/$pid/exe ]]'
		user_volrun delete --force c1
	done
}

@test "without a cgroup of its own a container is shown the caller's, and nothing above it" {
	[[ $(stat -f -c %T /sys/fs/cgroup) != cgroup2fs ]] || skip "about cgroup v1"
	local mount='.mounts += [{destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["ro", "nosuid", "noexec", "nodev"]}]' own
	own=$(sed -n 's/^[0-9]*:memory://p' /proc/self/cgroup)
	user_container c1 'cat /proc/self/mountinfo' "$mount"
	ok
	is "$(awk '$5 == "/sys/fs/cgroup/memory" { print $4, $6 }' <<<"$output")" "$own ro,nosuid,nodev,noexec,relatime"
	user_container c1 'cat /proc/self/mountinfo' "$mount | .linux.namespaces += [{type: \"cgroup\"}]"
	ok
	is "$(awk '$5 ~ "^/sys/fs/cgroup/(memory|systemd|cpu.*|unified)$" && $4 != "/" { print $5, $4 }' <<<"$output")" ""
	is "$(awk '$5 == "/sys/fs/cgroup/memory" { print $4, $6 }' <<<"$output")" "/ ro,nosuid,nodev,noexec,relatime"
}

@test "a delegated cgroup is used" {
	[[ $(stat -f -c %T /sys/fs/cgroup) == cgroup2fs ]] || skip "needs a pure cgroup v2: run in lib/v2view or the virtual machine"
	local dir=/sys/fs/cgroup/$CG/user
	mkdir -p "$dir/shell" "$dir/work"
	chown "$U_ID" "$dir" "$dir/cgroup.procs" "$dir/cgroup.subtree_control" "$dir/work" "$dir/work/cgroup.procs" "$dir/shell/cgroup.procs"
	user_bundle c1 'cat /proc/self/cgroup; exec sleep 60' ".linux.cgroupsPath = \"/$CG/user/work/c1\""
	# Who isn't in the delegated tree himself may not start anything there: cgroups(7).
	try sh -c 'echo 0 >"$1/shell/cgroup.procs"; shift; exec "$@"' sh "$dir" \
		setpriv --reuid "$U_ID" --regid "$U_GID" --clear-groups timeout -k 5 60 "$BIN/volrun" --root "$ROOT" run --detach --bundle "$T/c1" c1 3>&- 4>&-
	ok
	until_true 5 grep -q ^0:: "$BATS_TEST_TMPDIR/stdout"
	is "$(grep ^0:: "$BATS_TEST_TMPDIR/stdout")" "0::/$CG/user/work/c1"
	is "$(cat "$dir/work/c1/cgroup.procs" | wc -l)" 1
	is "$(user_volrun ps --format json c1 | jq length)" 1
	user_volrun kill --all c1 KILL
	until_true 5 eval '[[ $(user_volrun state c1 | jq -r .status) == stopped ]]'
	user_volrun delete c1
	[[ ! -e $dir/work/c1 ]]
	rmdir "$dir/work" "$dir/shell" "$dir"
}

@test "a delegated cgroup that the caller is not in is refused with the reason" {
	[[ $(stat -f -c %T /sys/fs/cgroup) == cgroup2fs ]] || skip "needs a pure cgroup v2: run in lib/v2view or the virtual machine"
	local dir=/sys/fs/cgroup/$CG/user
	mkdir -p "$dir"
	chown "$U_ID" "$dir" "$dir/cgroup.procs" "$dir/cgroup.subtree_control"
	user_container c1 true ".linux.cgroupsPath = \"/$CG/user/c1\""
	rmdir "$dir"
	not_ok 'cgroup.*delegated'
}

# --- in a user namespace, in a container -----------------------------------------------------------

@test "root of a user namespace that somebody else made" {
	user_bundle c1 'id -u; cat /proc/self/uid_map' '.linux.uidMappings = [{containerID: 0, hostID: 0, size: 1}] | .linux.gidMappings = .linux.uidMappings'
	try as_user unshare --user --map-root-user timeout -k 5 60 "$BIN/volrun" --root "$ROOT" run --bundle "$T/c1" c1
	ok
	is "${lines[0]}" 0
	like "${lines[1]}" '^ +0 +0 +1$'
	# The same without a user namespace of the container's own.
	config c1 '.linux.namespaces |= map(select(.type != "user")) | del(.linux.uidMappings, .linux.gidMappings)'
	try as_user unshare --user --map-root-user timeout -k 5 60 "$BIN/volrun" --root "$ROOT" run --bundle "$T/c1" c1
	ok
	is "${lines[0]}" 0
	like "${lines[1]}" "^ +0 +$U_ID +1\$"
}

CAPS='["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP", "CAP_NET_ADMIN", "CAP_SYS_CHROOT", "CAP_SYS_ADMIN", "CAP_MKNOD", "CAP_SETFCAP"]'
WITH_ADMIN=".process.capabilities = {bounding: $CAPS, effective: $CAPS, permitted: $CAPS}"
UNMASKED='.linux.maskedPaths = [] | .linux.readonlyPaths = []'
CGROUPS='.linux.namespaces += [{type: "cgroup"}] | .mounts += [{destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["$mode"]}]'

# nested OUTER-FILTER INNER-FILTER SCRIPT: volrun within a container; SCRIPT runs within that.
nested() {
	! readelf -lW "$BIN/volrun" | grep -q INTERP || skip "this build of volrun is dynamic, and the container has no libraries; shown by the usual build"
	bundle inner "$3" "$2 | del(.linux.cgroupsPath)"
	# What runs here goes out of the way first: processes are in leaves alone (cgroups(7)).
	bundle outer 'cg=/sys/fs/cgroup; [ ! -e $cg/cgroup.procs ] || { mkdir $cg/own && echo 0 >$cg/own/cgroup.procs; } 2>/dev/null
			volrun --root /tmp/st create -b /inner in </dev/null >/tmp/out && volrun --root /tmp/st start in || exit
			n=0; while volrun --root /tmp/st state in | grep -q running && [ $n -lt 100 ]; do sleep 0.1; n=$((n + 1)); done
			cat /tmp/out; volrun --root /tmp/st delete in; ls /tmp/st' "
		.process.noNewPrivileges = false | $1 | .mounts += [
			{destination: \"/inner\", source: \"$T/inner\", options: [\"rbind\"]},
			{destination: \"/bin/volrun\", source: \"$BIN/volrun\", options: [\"bind\", \"ro\"]}]"
	[[ -z ${owner:-} ]] || chown -hR "$owner" "$T/inner/rootfs" "$T/outer/rootfs"
	try volrun run --bundle "$T/outer" outer
}

@test "in a container with its own cgroup, which may make children" {
	nested "$WITH_ADMIN | $UNMASKED | ${CGROUPS/\$mode/rw}" . 'id -u; hostname; cat /dev/null && stat -c %t:%T /dev/null'
	ok
	is "${lines[*]}" "0 sandbox 1:3"
}

@test "in a container whose cgroup has processes itself the kernel's refusal is explained" {
	[[ $(stat -f -c %T /sys/fs/cgroup) == cgroup2fs && $(</sys/fs/cgroup/cgroup.controllers) == *pids* ]] || skip "needs cgroup v2 with controllers: run in the virtual machine"
	nested "$WITH_ADMIN | $UNMASKED | ${CGROUPS/\$mode/rw} | .process.args[2] |= sub(\"cg=/sys/fs/cgroup;\"; \"cg=/nowhere;\")" . true
	((status != 0))
	like "$stderr" 'processes in its parent'
}

@test "in a container with read-only cgroups there is no cgroup, unless a limit is asked for" {
	nested "$WITH_ADMIN | $UNMASKED | ${CGROUPS/\$mode/ro}" . 'id -u; hostname'
	ok
	is "${lines[*]}" "0 sandbox"
	nested "$WITH_ADMIN | $UNMASKED | ${CGROUPS/\$mode/ro}" '.linux.resources = {pids: {limit: 5}}' true
	((status != 0))
	like "$stderr" 'limit asked'
}

@test "in a container with a user namespace, with and without another one within" {
	local map='.linux.namespaces += [{type: "user"}] | .linux.gidMappings = .linux.uidMappings'
	local outer=".linux.uidMappings = [{containerID: 0, hostID: 100000, size: 65536}] | $map"
	owner=100000:100000
	nested "$WITH_ADMIN | $UNMASKED | $outer" . 'id -u; cat /proc/self/uid_map; stat -c %t:%T /dev/null'
	ok
	is "$(xargs <<<"$output")" "0 0 100000 65536 1:3"
	nested "$WITH_ADMIN | $UNMASKED | $outer | ${CGROUPS/\$mode/ro}" ".linux.uidMappings = [{containerID: 0, hostID: 0, size: 1000}] | $map" 'id -u; cat /proc/self/uid_map; stat -c %t:%T /dev/null'
	ok
	is "$(xargs <<<"$output")" "0 0 0 1000 1:3"
}

@test "in a container with masked paths the refusal of the kernel is explained" {
	local map='.linux.namespaces += [{type: "user"}] | .linux.gidMappings = .linux.uidMappings'
	owner=100000:100000
	nested "$WITH_ADMIN | .linux.uidMappings = [{containerID: 0, hostID: 100000, size: 65536}] | $map" \
		".linux.uidMappings = [{containerID: 0, hostID: 0, size: 1000}] | $map" true
	((status != 0))
	like "$stderr" 'nothing masked'
	# The outer container's own /proc is good enough for who shares its pid namespace.
	nested "$WITH_ADMIN | .linux.uidMappings = [{containerID: 0, hostID: 100000, size: 65536}] | $map" \
		".linux.uidMappings = [{containerID: 0, hostID: 0, size: 1000}] | $map | .linux.namespaces |= map(select(.type != \"pid\"))
			| .mounts[0] = {destination: \"/proc\", source: \"/proc\", options: [\"rbind\"]} | .linux.maskedPaths = [] | .linux.readonlyPaths = []" 'id -u'
	ok
	is "$output" 0
}

# --- volumes --------------------------------------------------------------------------------------

# user_vrun NAME ANNOTATION SCRIPT [FILTER]: as vrun, by the user, whose store and cache are on node N.
user_vrun() {
	user_bundle "$1" "$3" "${4:-.} | .annotations = {\"dev.volrun.volume\": \"$2\"}"
	chown -hR "$U_ID:$U_GID" "$T/store" "$T/state-N" "$T/cache-N" "$T/run-N" "$T/N.json"
	try as_user VOLRUN_CONFIG="$T/N.json" HOME="$T" timeout -k 5 60 "$BIN/volrun" --root "$T/state-N" run --bundle "$T/$1" "$1"
	until_true 30 eval '[[ -z $(keepers) ]]'
}

@test "a volume of an ordinary user's: the second run finds what the first one wrote" {
	[[ -e $BIN/volrun-hook ]] || skip "the programs for volumes have not been built"
	node N
	user_vrun c1 "state /data" 'echo one >/data/f; mkdir /data/d; grep -o " /data rw,nosuid,nodev" /proc/self/mountinfo'
	ok
	is "${lines[0]}" " /data rw,nosuid,nodev"
	is "$(<"$T/store/volumes/default/state/f")" one
	user_vrun c2 "state /data" 'cat /data/f; stat -c "%u %g" /data/f; ls -d /data/d; echo two >/data/f'
	ok
	is "${lines[*]}" "one 0 0 /data/d"
	rm -rf "$T/cache-N/main"
	user_vrun c3 "state /data ro" 'cat /data/f; echo three >/data/f'
	is "${lines[0]}" two
	like "$stderr" 'Read-only'
	is "$(<"$T/store/volumes/default/state/f")" two
}

@test "a volume in a container with the user's ranges keeps what every id can be read of" {
	[[ -e $BIN/volrun-hook ]] || skip "the programs for volumes have not been built"
	node N
	user_vrun c1 "state /data" 'chmod 777 /data; chown 1000 /data 2>/dev/null; echo root >/data/r' "$MAPPED"
	ok
	user_vrun c2 "state /data" 'cat /data/r' "$MAPPED"
	ok
	is "$output" root
}
