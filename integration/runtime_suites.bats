#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What other runtimes' own suites (youki's, runc's, crun's) expect of a runtime
# beyond the letter of the specification.

load lib/common
setup() { common_setup; }
teardown() { common_teardown; }

@test "an error on stderr has the word for it" {
	try volrun delete nobody
	not_ok '^volrun: error: container does not exist$'
	try volrun kill "" KILL
	not_ok '^volrun: error: '
}

@test "masked and read-only paths that are relative count from the container's root" {
	bundle c1 'touch /etc/here; cat /etc/secret; grep -c " /proc/bus " /proc/self/mountinfo; echo end' '
		.linux.readonlyPaths = ["etc", "not/there", "proc/bus"] | .linux.maskedPaths = ["etc/secret", "nor/here"]'
	mkdir -p "$T/c1/rootfs/etc"
	echo no >"$T/c1/rootfs/etc/secret"
	try volrun run --bundle "$T/c1" c1
	ok
	is "$output" $'1\nend'
	like "$stderr" 'Read-only file system'
}

# flags_of_bind HOST-FLAGS OPTIONS [user]: the flags of /mnt, a bind mount of a tmpfs with HOST-FLAGS, to $output.
flags_of_bind() {
	local dir=$T/source
	mkdir -p "$dir"
	mountpoint -q "$dir" || mount -t tmpfs -o rw,strictatime volrun-test "$dir"
	mount --bind -o remount,diratime,atime,strictatime "$dir"
	mount --bind -o "remount,$1" "$dir"
	bundle c1 'grep " /mnt " /proc/self/mounts | cut -d " " -f 4'
	config c1 --arg dir "$dir" --arg options "$2" \
		'.mounts += [{source: $dir, destination: "/mnt", type: "bind", options: ($options | split(","))}]'
	[[ -z ${3:-} ]] || in_userns c1
	try volrun run --bundle "$T/c1" c1
}

@test "a bind mount with any flag has those alone, but for the access times of its source" {
	flags_of_bind ro,noexec,nosymfollow,nodiratime bind,dev
	ok
	like ",$output," ',rw,.*nodiratime,'
	[[ $output != *noexec* && $output != *nosymfollow* ]]
	flags_of_bind noatime bind,nodiratime
	like ",$output," ',nodiratime,relatime,'
	[[ $output != *noatime* ]]
	flags_of_bind nodiratime bind,strictatime
	[[ $output != *nodiratime* && $output != *relatime* ]]
	umount "$T/source"
}

@test "in a user namespace a bind mount keeps the flags of its source, and one that is to go is refused" {
	flags_of_bind ro,noexec,nodiratime bind,dev user
	ok
	like ",$output," ',ro,.*noexec,.*nodiratime,'
	flags_of_bind nosuid,nodev,noexec bind,ro user
	ok
	like ",$output," ',ro,nosuid,nodev,noexec,'
	flags_of_bind ro bind user
	like ",$output," ',ro,'
	flags_of_bind ro bind,rw,nosuid user
	not_ok 'locked.*operation not permitted'
	flags_of_bind nodev,nosuid bind,dev,suid,exec user
	not_ok 'locked.*operation not permitted'
	umount "$T/source"
}

@test "delete of what ends in this moment waits for it" {
	bundle c1 'sleep 0.03'
	try volrun create --bundle "$T/c1" c1
	volrun start c1
	try volrun delete c1
	ok
	bundle c2 'sleep 30'
	try volrun run --detach --bundle "$T/c2" c2
	try volrun delete c2
	not_ok 'not stopped: running'
	volrun delete --force c2
}

@test "exec --cgroup of one that is not there says what could not be added where" {
	bundle c1 'sleep 30'
	volrun run --detach --bundle "$T/c1" c1
	try volrun exec --cgroup not-there c1 true
	is "$status" 255
	like "$stderr" 'exec failed: adding pid to the cgroup not-there beneath .*: No such file or directory$'
	try volrun exec --cgroup whaaat:/ c1 true
	is "$status" 255
	like "$stderr" 'unknown controller "whaaat"'
	volrun delete --force c1
}

@test "--debug of an exec tells the CPUs that it began on" {
	bundle c1 'sleep 30'
	volrun run --detach --bundle "$T/c1" c1
	jq '.process | .args = ["true"] | .execCPUAffinity = {initial: "0-1"}' "$T/c1/config.json" >"$T/process.json"
	try volrun --debug exec --process "$T/process.json" c1
	ok
	like "$stderr" 'affinity: 0x3"'
	volrun delete --force c1
}

@test "a limit of no tasks needs no pids controller: callers of before runtime-spec 1.3 mean none by it" {
	bundle c1 'echo alone' '.linux.resources.pids.limit = 0'
	try volrun run --bundle "$T/c1" c1
	ok
	is "$output" alone
}

@test "a container that has ended is said to be so, whatever is left of its config.json" {
	bundle c1 true
	volrun run --keep --bundle "$T/c1" c1
	rm "$ROOT/c1/config.json"
	try volrun exec c1 true
	not_ok 'exec failed: cannot exec in a stopped container: container not running$'
	try volrun mounts add c1 /dev/null
	not_ok 'container not running: no such process$'
	volrun delete --force c1
}

@test "a unified key that the kernel does not know is no such file, one without its controller is not" {
	local controllers=/sys/fs/cgroup/cgroup.controllers some
	[[ -e $controllers ]] || skip "needs a pure cgroup v2 view"
	read -r some _ <"$controllers"
	[[ -n $some ]] || skip "this cgroup v2 has no controller"
	bundle c1 'echo hi' '.linux.resources.unified = {"'"$some"'.DOESNTEXIST": "baz"}'
	try volrun run --bundle "$T/c1" c1
	not_ok "$some.DOESNTEXIST: cannot write \"baz\" to /sys/fs/cgroup/.*: No such file or directory\$"
	bundle c2 'echo hi' '.linux.resources.unified = {"foo.DOESNTEXIST": "baz"}'
	try volrun run --bundle "$T/c2" c2
	not_ok 'the requested cgroup controller `foo` is not available'
	unlike "$stderr" '[Nn]o such file'
}

@test "a device rule's access may have an \"a\" among its letters, which says nothing" {
	container c1 'cat /dev/null; echo here' '.linux.resources.devices = [{allow: false, access: "rwm"},
		{allow: false, type: "c", major: 1, minor: 11, access: "rwa"}]'
	ok
	is "$output" here
	container c2 true '.linux.resources.devices = [{allow: false, access: "a"}]'
	not_ok '\$.linux.resources.devices\[0\].access: "a" is not of r, w, m'
}
