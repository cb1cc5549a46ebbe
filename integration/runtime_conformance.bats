#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What the OCI's validation suite and crun's own tests have shown to be missing.

load lib/common
setup() { common_setup; }
teardown() { common_teardown; }

@test "a container without a process is created, started and stopped; run refuses it" {
	bundle c1 'true' 'del(.process)'
	try volrun create --bundle "$T/c1" c1
	ok
	is "$(status_of c1)" created
	try volrun exec c1 /bin/sh -c 'echo here'
	ok
	is "$output" here
	try volrun start c1
	ok
	for _ in {1..50}; do
		[[ $(status_of c1) != stopped ]] || break
		sleep 0.1
	done
	is "$(status_of c1)" stopped
	try volrun delete c1
	ok
	try volrun run --bundle "$T/c1" c2
	is "$status" 1
	like "$stderr" 'process: missing'
}

@test "a user namespace without mappings has the process's user as the caller's" {
	container c1 'cat /proc/self/uid_map /proc/self/gid_map; id -u' '.linux.namespaces += [{type: "user"}]'
	ok
	is "$(awk 'NR < 3 { print $1, $2, $3 }' <<<"$output")" $'0 0 1\n0 0 1'
	is "${lines[2]}" 0
}

@test "a bundle that only the container's root may enter can be run in a user namespace" {
	bundle c1 'echo in'
	in_userns c1
	chown 100000:200000 "$T/c1"
	chmod 700 "$T/c1"
	for _ in {1..10}; do
		try volrun run --bundle "$T/c1" c1
		ok
		is "$output" in
	done
}

@test "SELinux labels are nothing where there is no SELinux" {
	[[ ! -d /sys/fs/selinux ]] || skip "this machine has SELinux"
	container c1 'echo here' '.process.selinuxLabel = "system_u:system_r:container_t:s0"
		| .linux.mountLabel = "system_u:object_r:container_file_t:s0" | .linux.maskedPaths = ["/proc/acpi", "/proc/scsi"]'
	ok
	is "$output" here
}

@test "prestart hooks are told created, createRuntime hooks creating" {
	bundle c1 true ".hooks.prestart = [{path: \"/bin/sh\", args: [\"sh\", \"-c\", \"cat >$T/prestart\"]}]
		| .hooks.createRuntime = [{path: \"/bin/sh\", args: [\"sh\", \"-c\", \"cat >$T/createRuntime\"]}]"
	try volrun run --bundle "$T/c1" c1
	ok
	is "$(jq -r .status "$T/prestart")" created
	is "$(jq -r .status "$T/createRuntime")" creating
}

@test "devices of a user namespace have the owner, mode and number of the config, and work" {
	bundle c1 'stat -c "%u:%g %a %t:%T %F" /dev/foo; head -c 3 /dev/foo | wc -c; grep -c " /dev/\(null\|foo\) [^ ]*nosuid[^ ]*noexec" /proc/self/mountinfo' \
		'.linux.devices = [{path: "/dev/foo", type: "c", major: 1, minor: 5, uid: 10, gid: 11, fileMode: 432}]'
	in_userns c1
	try volrun run --bundle "$T/c1" c1
	ok
	is "$output" $'10:11 660 1:5 character special file\n3\n2'
}

@test "a bind mount on / takes the place of the root" {
	mkdir "$T/other"
	cp -a "$SUITE/rootfs/." "$T/other/"
	echo other >"$T/other/which"
	container c1 'cat /which; echo more >/made' ".mounts = [{destination: \"/\", type: \"bind\", source: \"$T/other\", options: [\"bind\"]}] + .mounts"
	ok
	is "$output" other
	is "$(cat "$T/other/made")" more
	[[ ! -e $T/c1/rootfs/made ]] || fail "written into root.path"
	container c2 true '.mounts = [{destination: "/", type: "tmpfs", source: "tmpfs", options: ["tmpcopyup"]}] + .mounts'
	is "$status" 1
	like "$stderr" 'tmpcopyup'
}

@test "idmap=uids=...;gids=... maps a mount's ids" {
	mkdir "$T/data"
	echo x >"$T/data/file"
	chown 1000:1000 "$T/data/file"
	container c1 'stat -c %u:%g /data/file' ".mounts += [{destination: \"/data\", type: \"bind\", source: \"$T/data\",
		options: [\"bind\", \"idmap=uids=1000-3000-1#5000-6000-2;gids=1000-4000-1\"]}]"
	[[ $status == 0 ]] || ! grep -q "can't have mapped ids" <<<"$stderr" || skip "the file system of $T has no idmapped mounts"
	ok
	is "$output" 3000:4000
	for bad in uids=0-1 'uids=0-1-1' 'uids=0-1-0;gids=0-1-1' 'uids=0-1-1;gids=x' 'uids=0-1-1-1;gids=0-1-1'; do
		container c2 true ".mounts += [{destination: \"/data\", type: \"bind\", source: \"$T/data\", options: [\"bind\", \"idmap=$bad\"]}]"
		is "$status" 1 "$bad"
		like "$stderr" 'not of the form'
	done
}

@test "an image whose /dev is a link is refused" {
	bundle c1 true 'del(.mounts[] | select(.destination | startswith("/dev")))'
	rmdir "$T/c1/rootfs/dev" 2>/dev/null || rm -rf "$T/c1/rootfs/dev"
	mkdir "$T/c1/rootfs/elsewhere"
	ln -s elsewhere "$T/c1/rootfs/dev"
	try volrun run --bundle "$T/c1" c1
	is "$status" 1
	like "$stderr" '/dev: the image has a symbolic link there'
	is "$(ls "$T/c1/rootfs/elsewhere")" ''
}

@test "without a network namespace the host's /sys is as read-only as asked for" {
	bundle c1 "awk '\$5 ~ \"^/sys(/|\$)\" && \$6 !~ \"^ro\" { print \$5 }' /proc/self/mountinfo" \
		'del(.linux.namespaces[] | select(.type == "network")) | .mounts |= map(select(.destination != "/sys/fs/cgroup"))
		| (.mounts[] | select(.destination == "/sys")).options += ["ro"]'
	in_userns c1
	try volrun run --bundle "$T/c1" c1
	ok
	is "$output" ''
}

@test "delete --force ends a container whose init was moved to another, frozen cgroup of v1" {
	[[ -w /sys/fs/cgroup/freezer/tasks ]] || skip "no freezer of cgroup v1 here (only it keeps a killed process)"
	bundle c1 'sleep 100'
	try volrun run --detach --bundle "$T/c1" c1
	ok
	mkdir "/sys/fs/cgroup/freezer/$CG-frozen"
	pid_of c1 >"/sys/fs/cgroup/freezer/$CG-frozen/tasks"
	echo FROZEN >"/sys/fs/cgroup/freezer/$CG-frozen/freezer.state"
	try volrun delete --force c1
	rmdir "/sys/fs/cgroup/freezer/$CG-frozen"
	ok
}

@test "exec --cgroup without controllers enters the hierarchies that have it" {
	[[ -w /sys/fs/cgroup/pids/tasks ]] || skip "no cgroup v1 here"
	bundle c1 'sleep 100'
	try volrun run --detach --bundle "$T/c1" c1
	ok
	mkdir "/sys/fs/cgroup/pids/$CG/c1/sub"
	try volrun exec --cgroup sub c1 cat /proc/self/cgroup
	ok
	like "$output" ':pids:.*/sub'
	[[ $(grep -c /sub <<<"$output") == 1 ]] || fail "$output"
	try volrun exec --cgroup none c1 true
	is "$status" 255
	try volrun exec --cgroup pids:../x c1 true
	like "$stderr" '`..` components are not allowed'
	try volrun delete --force c1
	ok
}

@test "devices are made while the rules for devices are written, on v1 too" {
	bundle c1 'ls -l /dev/foo /sub/bar | grep -c "^b.* 10, 229"' \
		'.linux.devices = [{path: "/dev/foo", type: "b", major: 10, minor: 229}, {path: "/sub/bar", type: "b", major: 10, minor: 229}]
		| .linux.resources.devices = [{allow: false, access: "rwm"}] + [range(300) | {allow: true, type: "c", major: (. + 100), minor: 1, access: "r"}]'
	for _ in {1..10}; do
		try volrun run --bundle "$T/c1" c1
		ok
		is "$output" 2
	done
}

# --- what runc's own suite asks for ------------------------------------------------

@test "of a variable that stands twice the program sees the last one, and an empty HOME is none" {
	container c1 '' '.process.args = ["env"] | .process.env = ["PATH=/bin", "ONE=a", "HOME=/x", "ONE=b", "HOME=", "ONES=c"]'
	ok
	[[ $(sort <<<"$output") == $'HOME=/root\nONE=b\nONES=c\nPATH=/bin' ]]
}

@test "exec --cap is ambient, too, where config.json has inheritable capabilities" {
	local sets='.process.capabilities |= (.bounding = ["CAP_CHOWN", "CAP_SYSLOG"] | .permitted = .bounding | .effective = []'
	bundle c1 'sleep 100' "$sets"' | .inheritable = ["CAP_SYSLOG"] | .ambient = [])'
	volrun run --detach --bundle "$T/c1" c1
	try volrun exec --cap CAP_SYSLOG c1 grep CapAmb: /proc/self/status
	[[ $output == *0000000400000000 ]]
	volrun delete --force c1
	bundle c2 'sleep 100' "$sets"' | .inheritable = [] | .ambient = [])'
	volrun run --detach --bundle "$T/c2" c2
	try volrun exec --cap CAP_SYSLOG c2 grep CapAmb: /proc/self/status
	[[ $output == *0000000000000000 ]]
	volrun delete --force c2
}

@test "paths that are masked twice are masked once" {
	bundle c1 'grep -c -e " /dir " -e " /file " /proc/self/mountinfo' '.linux.maskedPaths = ["/dir", "/file", "/file", "/dir", "/dir2", "/dir"]'
	mkdir "$T/c1/rootfs/dir" "$T/c1/rootfs/dir2"
	touch "$T/c1/rootfs/file"
	try volrun run --bundle "$T/c1" c1
	ok
	[[ $output == 2 ]]
}

@test "a limit of few descriptors or bytes is the program's, not of the mounts before" {
	bundle c1 'ulimit -n; ls -d /m[0-9]* | wc -l' '.process.rlimits = [{type: "RLIMIT_NOFILE", soft: 12, hard: 12}, {type: "RLIMIT_FSIZE", soft: 200, hard: 200}]
		| .mounts += [range(30) | {destination: "/m\(.)", type: "bind", source: "/tmp", options: ["bind"]}]'
	in_userns c1
	try volrun run --bundle "$T/c1" c1
	ok
	[[ $output == $'12\n30' ]]
}

@test "a destination that names the root as the host sees it is one within it" {
	bundle c1 'cat /data/f; ls -d /tmp/*/rootfs 2>/dev/null | wc -l'
	config c1 --arg d "$T/c1/rootfs/data" --arg s "$T/source" '.mounts += [{destination: $d, source: $s, options: ["bind"]}]'
	mkdir "$T/source"
	echo here >"$T/source/f"
	try volrun run --bundle "$T/c1" c1
	ok
	[[ $output == $'here\n0' ]]
}

@test "list fails for a state directory that was named and is not there" {
	try "$BIN/volrun" --root "$T/nosuch" list
	not_ok "$T/nosuch"
}

@test "--debug says what was done: on stderr, or in the log alone" {
	bundle c1 'true'
	try volrun --debug run --bundle "$T/c1" c1
	ok
	[[ $stderr == *'level=debug msg="container c1: init is process '* ]]
	try volrun --debug --log "$T/log" --log-format json run --bundle "$T/c1" c1
	ok
	[[ -z $stderr ]]
	jq -e 'select(.level == "debug")' "$T/log" >/dev/null
}

@test "kill KILL ends what outlived the init of a container without a pid namespace" {
	local pid
	bundle c1 'sleep 1000 & echo $!; exec sleep 1001' '.linux.namespaces |= map(select(.type != "pid"))'
	volrun run --detach --bundle "$T/c1" c1 >"$T/out"
	until_true 5 test -s "$T/out"
	pid=$(<"$T/out")
	kill -9 "$(pid_of c1)"
	is_stopped() { [[ $(status_of c1) == stopped ]]; }
	until_true 5 is_stopped
	[[ -d /proc/$pid ]]
	volrun kill c1 KILL
	gone() { [[ ! -d /proc/$pid ]] || grep -q '^State:.Z' "/proc/$pid/status"; }
	until_true 5 gone
	try volrun kill c1 KILL
	not_ok "container not running"
	volrun delete c1
}

@test "a created container ends by TERM" {
	bundle c1 'true'
	volrun create --bundle "$T/c1" c1
	volrun kill c1 TERM
	is_stopped() { [[ $(status_of c1) == stopped ]]; }
	until_true 5 is_stopped
	volrun delete c1
}
