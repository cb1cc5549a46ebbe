#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# With what a hook runs: rights, environment, descriptors, time.

load lib/common
setup() { common_setup; }
teardown() { common_teardown; }

# sh_hook KIND SCRIPT [JQ-FILTER]: adds a hook of bundle c1.
sh_hook() {
	config c1 --arg k "$1" --arg s "$2" ".hooks[\$k] += [{path: \"/bin/sh\", args: [\"sh\", \"-c\", \$s]} | ${3:-.}]"
}

@test "a hook with env has exactly that, one without the caller's, startContainer that of the process" {
	bundle c1 'true' '.process.env = ["PATH=/bin", "FROM=process"]'
	sh_hook createRuntime "env | grep -v '^\(PWD\|SHLVL\|_\)=' >'$T/given'; cat >/dev/null" '.env = ["FROM=hook"]'
	sh_hook createRuntime "/usr/bin/env | grep -v '^\(PWD\|SHLVL\|_\)=' >'$T/empty' || :" '.env = []'
	sh_hook createRuntime "echo \"\$CALLER\" >'$T/absent'"
	sh_hook startContainer 'echo "$FROM $HOME $CALLER" >/data/start'
	sh_hook poststop "echo \"\$CALLER\" >'$T/poststop'"
	CALLER=me try volrun run --bundle "$T/c1" c1
	ok
	is "$(<"$T/given")" FROM=hook
	is "$(<"$T/empty")" ""
	is "$(<"$T/absent")" me
	is "$(<"$T/c1/rootfs/data/start")" "process /root "
	is "$(<"$T/poststop")" me
}

@test "startContainer hooks have no more rights than the process: user, capabilities, seccomp" {
	bundle c1 'true' '.process.user = {uid: 1000, gid: 1000, umask: 63} | .process.capabilities = {}
		| .linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", syscalls: [{names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO", errnoRet: 28}]}'
	chmod 1777 "$T/c1/rootfs/data"
	sh_hook startContainer 'id -u; grep -E "^(CapPrm|CapBnd|Seccomp|NoNewPrivs):" /proc/self/status; mkdir /data/x 2>&1; exit 3'
	config c1 '.hooks.startContainer[0].args[2] |= "{ \(.) ; } >/data/out"'
	try volrun run --bundle "$T/c1" c1
	not_ok 'error running startContainer hook #0: /bin/sh: exit status 3'
	is "$(tr -s '\t\n' '  ' <"$T/c1/rootfs/data/out")" \
		"1000 CapPrm: 0000000000000000 CapBnd: 0000000000000000 NoNewPrivs: 1 Seccomp: 2 mkdir: can't create directory '/data/x': No space left on device "
	is "$(stat -c %a "$T/c1/rootfs/data/out")" 600
}

@test "a hook that is killed says by which signal" {
	bundle c1 'true' '.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", syscalls: [{names: ["mkdir", "mkdirat"], action: "SCMP_ACT_KILL_PROCESS"}]}'
	sh_hook startContainer 'exec mkdir /data/x'
	try volrun run --bundle "$T/c1" c1
	not_ok 'error running startContainer hook.*signal: bad system call'
}

@test "createContainer hooks see the container's mounts, before the root changes" {
	bundle c1 'true' '.mounts += [{destination: "/data", type: "tmpfs", source: "tmpfs"}]'
	sh_hook createContainer "grep -c ' $T/c1/rootfs/data ' /proc/self/mountinfo >'$T/out'; readlink /proc/self/ns/mnt >>'$T/out'; ls '$T/c1/config.json' >>'$T/out'; pwd >'$T/cwd'"
	try volrun run --bundle "$T/c1" c1
	ok
	is "$(sed -n 1p "$T/out")" 1
	[[ $(sed -n 2p "$T/out") != "$(readlink /proc/self/ns/mnt)" ]]
	is "$(sed -n 3p "$T/out")" "$T/c1/config.json"
	is "$(<"$T/cwd")" "$T/c1/rootfs"
}

@test "a hook past its time is killed with all that it started" {
	bundle c1 'true'
	sh_hook createRuntime "sleep 51 & echo \$! >'$T/pid'; wait" '.timeout = 1'
	local before
	before=$(now_ms)
	try volrun run --bundle "$T/c1" c1
	not_ok 'createRuntime hook #0.*did not end within 1 s'
	(($(now_ms) - before < 5000))
	until_true 5 eval "! kill -0 $(<"$T/pid")"
}

@test "what hooks print goes to the files of the annotations" {
	bundle c1 'true' ".annotations = {\"run.oci.hooks.stdout\": \"$T/out\", \"run.oci.hooks.stderr\": \"$T/err\"}"
	for kind in prestart createRuntime createContainer poststart poststop; do
		sh_hook $kind "echo out $kind; echo err $kind >&2"
	done
	sh_hook startContainer 'echo out start; ls /proc/self/fd >/data/fds'
	try volrun run --bundle "$T/c1" c1
	ok
	is "$output" ""
	is "$(tr '\n' ' ' <"$T/out")" "out prestart out createRuntime out createContainer out poststart out poststop "
	is "$(tr '\n' ' ' <"$T/err")" "err prestart err createRuntime err createContainer err poststart err poststop "
	# Nothing but its stdio (and ls's own directory).
	is "$(wc -l <"$T/c1/rootfs/data/fds")" 4
	config c1 '.annotations["run.oci.hooks.stdout"] = "/nowhere/file"'
	try volrun run --bundle "$T/c1" c1
	not_ok '/nowhere/file'
}

@test "a delete that is killed while a poststop hook takes its time leaves no container, and its hooks find none" {
	local delete
	bundle c1 'true'
	sh_hook poststop "$BIN/volrun --root '$ROOT' state c1 >'$T/out' 2>&1 || :; echo \$\$ >'$T/hook'; exec sleep 60"
	try volrun create --bundle "$T/c1" c1
	ok
	volrun_bg delete --force c1
	delete=$!
	until_true 10 test -s "$T/hook"
	like "$(<"$T/out")" 'container does not exist'
	kill -9 "$delete"
	try volrun list -q
	is "$output" ""
	kill "$(<"$T/hook")"
}
