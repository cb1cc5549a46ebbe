#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Corners of the specification, and what runc and crun have beyond it.

load lib/common

setup() { common_setup; }
teardown() { common_teardown; }

# --- sources that the container's own mounts make ------------------------------

# mount_tree NAME OPTION...: mounts of the host's directories, and then of what they make within the root.
mount_tree() {
	local name=$1 dir options
	shift
	options=$(printf '%s\n' rbind rprivate "$@" | jq -Rn '[inputs]')
	for dir in a/x b/y c/z; do
		mkdir -p "$T/src/$dir" "$T/$name/rootfs/final"
		echo "$dir" >"$T/src/$dir/file"
		ln -sfn "${dir%/*}" "$T/src/sym-${dir%/*}"
	done
	# Only host root may go there.
	chmod 700 "$T/src"
	config "$name" --arg src "$T/src" --arg root "$T/$name/rootfs" --argjson o "$options" '
		def bind($source; $destination; $options): {type: "bind", $source, $destination, $options};
		.mounts += [bind($src + "/a"; "/mnt"; ["rbind", "rprivate"]), bind($src + "/sym-b"; "/mnt/x"; ["rbind", "rprivate"]),
			bind($src + "/c"; "/mnt/x/y"; ["rbind", "rprivate"]), bind($src + "/sym-a"; "/mnt/x/y/z"; ["rbind", "rprivate"]),
			bind($root + "/mnt/x"; $root + "/mnt/x/y/z/x"; $o), bind($root + "/mnt/x/y"; $root + "/mnt/x/y/z"; $o),
			bind($root + "/mnt"; $root + "/final"; $o)]'
}

SHOW='cat /final/x/y/z/z/x/y/z/x/file; stat -c "%u %g" /final/x'

@test "a mount whose source the mounts before it make" {
	bundle c1 "$SHOW"
	mount_tree c1
	try volrun run --bundle "$T/c1" c1
	ok
	is "$output" $'a/x\n0 0'
}

@test "a mount whose source the mounts before it make, in a user namespace" {
	bundle c1 "$SHOW"
	in_userns c1
	mount_tree c1
	try volrun run --bundle "$T/c1" c1
	ok
	is "$output" $'a/x\n65534 65534'
}

@test "a mount with mapped ids whose source the mounts before it make" {
	bundle c1 'cat /final/x/y/z/z/x/y/z/x/file; stat -c "%u %g" /final /final/x'
	mount_tree c1 idmap
	config c1 '.mounts |= map(if .options[-1] == "idmap" then .uidMappings = [{containerID: 0, hostID: 100000, size: 65536}]
		| .gidMappings = [{containerID: 0, hostID: 200000, size: 65536}] else . end)'
	try volrun run --bundle "$T/c1" c1
	ok
	is "$output" $'a/x\n100000 200000\n0 0'
}

@test "a mount with mapped ids whose source the mounts before it make, in a user namespace" {
	bundle c1 'cat /final/x/y/z/z/x/y/z/x/file; stat -c "%u %g" /final /final/x'
	in_userns c1
	mount_tree c1 idmap
	try volrun run --bundle "$T/c1" c1
	ok
	is "$output" $'a/x\n0 0\n65534 65534'
}

@test "a source within the root is found as the container would find it: no link of the image leads out" {
	bundle c1 'cat /final/secret' '.mounts += [{type: "tmpfs", destination: "/mnt", options: ["tmpcopyup"]},
		{type: "bind", source: ($ENV.T + "/c1/rootfs/mnt/link"), destination: "/final", options: ["bind"]}]'
	mkdir -p "$T/out/side" "$T/c1/rootfs/mnt"
	echo host >"$T/out/side/secret"
	ln -s "$T/out/side" "$T/c1/rootfs/mnt/link"
	try volrun run --bundle "$T/c1" c1
	not_ok 'source: No such file or directory'
	mkdir -p "$T/c1/rootfs$T/out/side"
	echo image >"$T/c1/rootfs$T/out/side/secret"
	try volrun run --bundle "$T/c1" c1
	ok
	is "$output" image
}
export T

# --- no mount namespace --------------------------------------------------------

HOST_MOUNTS='.linux.namespaces |= map(select(.type != "mount")) | .linux.maskedPaths = [] | .linux.readonlyPaths = []'

@test "without a mount namespace nothing is mounted on the host, and there are the devices" {
	container c1 'ls /dev/null /dev/zero /dev/tty; echo x >/dev/null; ls /proc | wc -l; cat /marker' "$HOST_MOUNTS"
	[[ -c $T/c1/rootfs/dev/null ]]
	is "${lines[0]}" /dev/null
	is "${lines[3]}" 0
	is "$(left_mounts)" ""
}

@test "without a mount namespace there is a terminal, and the host's /dev/console is left alone" {
	local before
	bundle c1 'test -t 0 && test -t 1 && echo terminal' "$HOST_MOUNTS | .process.terminal = true"
	before=$(stat -c '%i %d' /dev/console)
	try script -qec "$BIN/volrun --root $ROOT run --bundle $T/c1 c1" /dev/null
	ok
	like "$output" terminal
	is "$(stat -c '%i %d' /dev/console)" "$before"
	is "$(left_mounts)" ""
}

@test "exec in a container without a mount namespace is in its root file system" {
	bundle c1 'sleep 60' "$HOST_MOUNTS"
	echo here >"$T/c1/rootfs/marker"
	try volrun run --detach --bundle "$T/c1" c1
	ok
	try volrun exec c1 cat /marker
	ok
	is "$output" here
	try script -qec "$BIN/volrun --root $ROOT exec -t c1 sh -c 'test -t 0 && cat /marker'" /dev/null
	ok
	like "$output" here
	volrun delete --force c1
}

# --- capabilities -----------------------------------------------------------------

AMBIENT='.process.capabilities.inheritable = ["CAP_KILL"] | .process.capabilities.ambient = ["CAP_KILL", "CAP_CHOWN"]'

@test "a foreground run warns in runc's words of an ambient capability that can't be raised" {
	container c1 'grep CapAmb /proc/self/status' "$AMBIENT"
	ok
	is "$output" $'CapAmb:\t0000000000000020'
	is "$stderr" "volrun: warning: can't raise ambient capability CAP_CHOWN: operation not permitted"
	try volrun --log "$T/log" run --detach --bundle "$T/c1" c1
	ok
	is "$stderr" ""
	like "$(<"$T/log")" "level=warning msg=\"can't raise ambient capability CAP_CHOWN: operation not permitted\""
	volrun delete --force c1
}

# --- cgroups within the container's own ----------------------------------------------

@test "run.oci.delegate-cgroup: the container's init is in a cgroup within its own" {
	local filter='.annotations["run.oci.delegate-cgroup"] = "own/part"'
	bundle c1 'cat /proc/self/cgroup; sleep 60' "$filter"
	if [[ $(stat -fc %T /sys/fs/cgroup) != cgroup2fs ]]; then
		try volrun run --bundle "$T/c1" c1
		not_ok 'delegate-cgroup.*only for cgroup v2'
		return
	fi
	volrun run --detach --bundle "$T/c1" c1 >"$T/out"
	like "$(cat "/proc/$(pid_of c1)/cgroup")" "/$CG/c1/own/part"
	volrun exec c1 true
	is "$(volrun ps --format json c1 | jq .[0])" "$(pid_of c1)"
	volrun delete --force c1
}

# --- Intel RDT ------------------------------------------------------------------------

@test "intelRdt without a mounted resctrl is an error, of create and of update" {
	! grep -q ' - resctrl ' /proc/self/mountinfo || skip "resctrl is mounted here"
	container c1 true '.linux.intelRdt = {closID: "gold", l3CacheSchema: "L3:0=f"}'
	not_ok 'linux.intelRdt: Intel RDT is not enabled: no resctrl file system is mounted'
	bundle c2 'sleep 60'
	volrun run --detach --bundle "$T/c2" c2 >"$T/out"
	try volrun update --l3-cache-schema 'L3:0=f' c2
	not_ok 'Intel RDT is not enabled'
	volrun delete --force c2
}

# --- hooks that fail ------------------------------------------------------------------

@test "when a hook fails the container is destroyed, and the poststop hooks are run" {
	local kind
	bundle c1 true
	cp "$T/c1/config.json" "$T/plain"
	for kind in prestart createRuntime createContainer startContainer poststart; do
		jq --arg kind "$kind" --arg out "$T/poststop" '.hooks = {($kind): [{path: "/bin/false"}],
			poststop: [{path: "/bin/sh", args: ["sh", "-c", "jq -r .status >>" + $out]}]}' "$T/plain" >"$T/c1/config.json"
		: >"$T/poststop"
		try volrun run --bundle "$T/c1" c1
		not_ok "error running $kind hook #0: /bin/false: exit status 1"
		is "$(<"$T/poststop")" stopped "$kind, run"
		: >"$T/poststop"
		try volrun create --bundle "$T/c1" c1
		if [[ $kind == start* || $kind == poststart ]]; then
			ok
			try volrun start c1
		fi
		not_ok "error running $kind hook #0: /bin/false: exit status 1"
		is "$(<"$T/poststop")" stopped "$kind, create and start"
		try volrun state c1
		not_ok 'container does not exist'
	done
}

# --- devices -----------------------------------------------------------------------------

@test "a file in the place of a device is an error, unless it is that device or was mounted there" {
	local device='.linux.devices = [{path: "/opt/zero", type: "c", major: 1, minor: 5}]'
	bundle c1 'stat -c %t:%T /opt/zero' "$device"
	mkdir -p "$T/c1/rootfs/opt"
	echo text >"$T/c1/rootfs/opt/zero"
	try volrun run --bundle "$T/c1" c1
	not_ok 'device "/opt/zero": the root file system has something else there'
	is "$(<"$T/c1/rootfs/opt/zero")" text
	config c1 '.mounts += [{destination: "/opt/zero", type: "bind", source: "/dev/zero", options: ["bind"]}]'
	try volrun run --bundle "$T/c1" c1
	ok
	rm "$T/c1/rootfs/opt/zero"
	mknod "$T/c1/rootfs/opt/zero" c 1 5
	config c1 'del(.mounts[-1])'
	try volrun run --bundle "$T/c1" c1
	ok
	is "$output" 1:5
}

# --- SELinux ----------------------------------------------------------------------------

@test "run.oci.mount_context_type is one of mount's words for a context" {
	container c1 'echo here' '.linux.mountLabel = "system_u:object_r:container_file_t:s0" | .annotations["run.oci.mount_context_type"] = "label"'
	not_ok 'annotation run.oci.mount_context_type: unknown type "label"'
	[[ ! -d /sys/fs/selinux ]] || skip "with SELinux the label would have to be a real one"
	config c1 '.annotations["run.oci.mount_context_type"] = "rootcontext"'
	try volrun run --bundle "$T/c1" c1
	ok
	is "$output" here
}
