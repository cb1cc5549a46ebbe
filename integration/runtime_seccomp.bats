#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# linux.seccomp beyond single rules: the cache of compiled programs, calls that
# the profile does not know, listeners.

load lib/common
setup() { common_setup; }
teardown() { common_teardown; }

# agent ERRNO [N]: a receiver of listeners at $T/agent.sock, its report is $T/agent.
agent() {
	"$LIB/seccomp-agent" "$T/agent.sock" "$T/agent" "$1" "${2:-1}" 3>&- 4>&- &
	AGENT=$!
	until_true 5 test -S "$T/agent.sock"
}
agent_ended() { until_true 10 eval "! kill -0 $AGENT" && wait "$AGENT"; }

# What the container's busybox needs to start and to write, all else is for the test.
allow_list='["execve", "exit", "exit_group", "brk", "arch_prctl", "set_tid_address", "set_robust_list", "rseq", "prlimit64", "mprotect",
	"read", "write", "writev", "open", "openat", "close", "fstat", "stat", "newfstatat", "lstat", "mmap", "munmap", "getuid", "geteuid", "getgid", "getegid",
	"getpid", "getppid", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "ioctl", "fcntl", "dup2", "getcwd", "readlink", "prctl", "getrandom",
	"uname", "fork", "vfork", "clone", "wait4", "umask", "setuid", "setgid", "access", "poll", "futex", "capget", "capset", "fchdir", "chdir"]'

# --- cache ----------------------------------------------------------------------

@test "the same profile is compiled once, and the file is for root alone" {
	local profile='.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", syscalls: [{names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO", errnoRet: 28}]}'
	container c1 'mkdir /data/x' "$profile"
	like "$stderr" "No space left"
	is "$(find "$ROOT/@seccomp" -type f | wc -l)" 1
	is "$(stat -c '%a %u' "$ROOT/@seccomp" "$ROOT"/@seccomp/* | tr '\n' ' ')" "700 0 600 0 "
	local before
	before=$(stat -c '%i %Y %Z' "$ROOT"/@seccomp/*)
	container c2 'mkdir /data/x' "$profile"
	like "$stderr" "No space left"
	is "$(stat -c '%i %Y %Z' "$ROOT"/@seccomp/*)" "$before"
	# It is no container.
	is "$(volrun list -q)" ""
}

@test "a program that somebody else could have planted is not loaded" {
	local profile='.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", syscalls: [{names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO", errnoRet: 28}]}'
	container c1 'mkdir /data/x' "$profile"
	local file
	file=$(find "$ROOT/@seccomp" -type f)
	for spoil in 'truncate -s -8 "$file"' 'chown 1 "$file"' 'chmod 0666 "$file"' ': >"$file"' 'rm "$file"; mkfifo "$file"'; do
		eval "$spoil"
		container c1 'mkdir /data/x' "$profile"
		like "$stderr" "No space left"
		[[ -f $file && $(stat -c '%a %u' "$file") == '600 0' ]] || fail "not replaced after: $spoil"
	done
}

# --- unknown calls ------------------------------------------------------------------

@test "a call that is younger than the profile fails with ENOSYS, an older one with the default" {
	[[ $(uname -m) == x86_64 ]] || skip "counts on the numbers of x86_64"
	# mount is 165.
	container c1 'mount -t tmpfs none /data' "
		.linux.seccomp = {defaultAction: \"SCMP_ACT_ERRNO\", defaultErrnoRet: 13, syscalls: [{action: \"SCMP_ACT_ALLOW\", names: $allow_list}]}"
	like "$stderr" "mount.*[Pp]ermission denied"
	# Now the last one of the list is arch_prctl (158); the C library does without the others.
	container c1 'mount -t tmpfs none /data' "
		.linux.seccomp = {defaultAction: \"SCMP_ACT_ERRNO\", defaultErrnoRet: 13, syscalls: [{action: \"SCMP_ACT_ALLOW\", names: ($allow_list - [
			\"set_tid_address\", \"set_robust_list\", \"rseq\", \"prlimit64\", \"exit_group\", \"openat\", \"newfstatat\", \"getrandom\", \"futex\", \"clone3\"])}]}
		| .process.args = [\"mount\", \"-t\", \"tmpfs\", \"none\", \"/data\"]"
	like "$stderr" "mount.*not implemented"
}

@test "run.oci.seccomp_fail_unknown_syscall makes an unknown name an error" {
	local profile='.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", syscalls: [{names: ["no_such_call"], action: "SCMP_ACT_ERRNO"}]}'
	container c1 true "$profile"
	ok
	container c1 true "$profile | .annotations[\"run.oci.seccomp_fail_unknown_syscall\"] = \"0\""
	ok
	container c1 true "$profile | .annotations[\"run.oci.seccomp_fail_unknown_syscall\"] = \"1\""
	not_ok 'unknown system call "no_such_call"'
}

@test "run.oci.seccomp_bpf_data is loaded as it is, and never instead of a profile" {
	[[ $(uname -m) == x86_64 ]] || skip "the program counts on the numbers of x86_64"
	# ld [0]; jeq mkdir (83): ret ERRNO 28; ret ALLOW
	local data
	data=$(printf '\x20\0\0\0\0\0\0\0\x15\0\0\1\x53\0\0\0\x06\0\0\0\x1c\0\5\0\x06\0\0\0\0\0\xff\x7f' | base64 -w 0)
	container c1 'mkdir /data/x; touch /data/y && echo touched' ".annotations[\"run.oci.seccomp_bpf_data\"] = \"$data\""
	like "$stderr" "No space left"
	is "$output" touched
	container c1 true ".annotations[\"run.oci.seccomp_bpf_data\"] = \"$data\" | .linux.seccomp = {defaultAction: \"SCMP_ACT_ALLOW\"}"
	not_ok 'linux.seccomp'
	for data in 'AAAA' '****' 'AAAAAAAAAA' ''; do
		container c1 true ".annotations[\"run.oci.seccomp_bpf_data\"] = \"$data\""
		not_ok 'base64'
	done
}

# --- listeners ------------------------------------------------------------------------

notify='.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", listenerPath: $agent, listenerMetadata: "some \"data\"",
	syscalls: [{names: ["mkdir", "mkdirat"], action: "SCMP_ACT_NOTIFY"}]}'

@test "a listener goes to its receiver with the container process state, and the receiver decides" {
	local nnp
	for nnp in true false; do
		agent 28
		bundle c1 'mkdir /data/x'
		config c1 --arg agent "$T/agent.sock" "$notify | .process.noNewPrivileges = $nnp | .annotations = {key: \"value\"}"
		try volrun run --bundle "$T/c1" c1
		like "$stderr" "No space left"
		agent_ended
		is "$(jq -c '[.fds, .nFds, .metadata, .calls, .state.status, .state.id, .state.bundle, .state.annotations.key, .pid == .state.pid]' "$T/agent")" \
			"[[\"seccompFd\"],1,\"some \\\"data\\\"\",[83],\"creating\",\"c1\",\"$T/c1\",\"value\",true]"
		like "$(jq -r '.ociVersion + " " + .state.ociVersion' "$T/agent")" '^1\.[0-9.]+ 1\.'
		rm "$T/agent" "$T/agent.sock"
	done
}

@test "a listener of a user namespace: with and without no_new_privs" {
	for nnp in true false; do
		agent 28
		bundle c1 'mkdir /data/x'
		config c1 --arg agent "$T/agent.sock" "$notify | .process.noNewPrivileges = $nnp"
		in_userns c1
		try volrun run --bundle "$T/c1" c1
		like "$stderr" "No space left"
		agent_ended
		is "$(jq -c .calls "$T/agent")" '[83]'
		rm "$T/agent" "$T/agent.sock"
	done
}

@test "the receiver may be asked for every call that comes after the filter" {
	agent 0
	bundle c1 'echo done'
	# All that lies between the filter and the end of a program, exec included; not what the agent's own sending needs.
	config c1 --arg agent "$T/agent.sock" '.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", listenerPath: $agent,
		syscalls: [{names: ["write", "close", "sendmsg", "execve", "wait4", "nanosleep", "clock_nanosleep", "exit_group", "capset", "prctl", "setgroups", "setresuid"], action: "SCMP_ACT_NOTIFY"}]}'
	try volrun run --bundle "$T/c1" c1
	ok
	is "$output" done
	agent_ended
	jq -e '.calls | index(59)' "$T/agent"
}

@test "create and start: the listener comes with the first; exec has one of its own" {
	agent 28 2
	bundle c1 'mkdir /data/x; echo $?; sleep 30 & wait'
	config c1 --arg agent "$T/agent.sock" "$notify | .process.user = {uid: 1000, gid: 1000}"
	volrun create --bundle "$T/c1" c1 </dev/null >"$T/c1.out" 2>&1
	until_true 5 test -s "$T/agent.received"
	is "$(status_of c1)" created
	try volrun start c1
	ok
	until_true 5 grep -qx 1 "$T/c1.out"
	like "$(<"$T/c1.out")" "No space left"
	local pid
	pid=$(pid_of c1)
	volrun kill c1 KILL
	until_true 5 eval '[[ $(status_of c1) == stopped ]]'
	volrun delete c1
	until_true 10 test -s "$T/agent"
	is "$(jq -r .pid "$T/agent")" "$pid"
	bundle c2 'sleep 30 & wait'
	try volrun run --detach --bundle "$T/c2" c2
	ok
	# The second container has none; one process of it would.
	config c2 --arg agent "$T/agent.sock" "$notify"
	cp "$T/c2/config.json" "$ROOT/c2/config.json"
	try volrun exec c2 mkdir /data/x
	like "$stderr" "No space left"
	agent_ended
	is "$(tail -n 1 "$T/agent" | jq -c '[.state.status, .state.pid]')" "[\"running\",$(pid_of c2)]"
	[[ $(tail -n 1 "$T/agent" | jq .pid) != $(pid_of c2) ]]
	volrun delete --force c2
}

@test "what fails at start in a container with a listener is told by start" {
	agent 0
	bundle c1 'true' '.process.args = ["/gone"]'
	config c1 --arg agent "$T/agent.sock" "$notify"
	cp "$T/c1/rootfs/bin/busybox" "$T/c1/rootfs/gone"
	try volrun create --bundle "$T/c1" c1
	ok
	rm "$T/c1/rootfs/gone"
	try volrun start c1
	not_ok 'exec /gone: no such file or directory'
	volrun delete --force c1
	agent_ended
}

@test "the receiver is found by annotation or environment; without one create is refused" {
	local no_path='.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", syscalls: [{names: ["mkdir", "mkdirat"], action: "SCMP_ACT_NOTIFY"}]}'
	agent 28 2
	bundle c1 'mkdir /data/x'
	config c1 --arg agent "$T/agent.sock" "$no_path | .annotations[\"run.oci.seccomp.receiver\"] = \$agent"
	try volrun run --bundle "$T/c1" c1
	like "$stderr" "No space left"
	config c1 "del(.annotations)"
	RUN_OCI_SECCOMP_RECEIVER=$T/agent.sock try volrun run --bundle "$T/c1" c1
	like "$stderr" "No space left"
	agent_ended
	try volrun run --bundle "$T/c1" c1
	not_ok 'listenerPath'
	config c1 '.linux.seccomp.listenerPath = "relative"'
	try volrun run --bundle "$T/c1" c1
	not_ok 'absolute'
	config c1 --arg agent "$T/nobody.sock" '.linux.seccomp.listenerPath = $agent'
	try volrun run --bundle "$T/c1" c1
	not_ok 'nobody.sock'
}

@test "a receiver that hangs up before the listener came fails the create" {
	bundle c1 'echo ran'
	config c1 --arg agent "$T/agent.sock" "$notify"
	# Accepts and closes.
	python3 -c 'import socket, sys; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(1); s.accept()[0].close()' "$T/agent.sock" 3>&- 4>&- &
	local closer=$!
	until_true 5 test -S "$T/agent.sock"
	try volrun create --bundle "$T/c1" c1
	not_ok 'seccomp.*receiver'
	wait "$closer"
	nothing_left
}
