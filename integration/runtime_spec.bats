#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What config.json asks for, seen from within the container (and, where that
# can't be trusted, from outside).

load lib/common
setup() { common_setup; }
teardown() { common_teardown; }

# --- namespaces ---------------------------------------------------------------

@test "each namespace of the list is new, each other one is the caller's" {
	local type file new
	local all='[{"type":"pid"},{"type":"network"},{"type":"ipc"},{"type":"uts"},{"type":"mount"},{"type":"cgroup"}]'
	for type in network ipc uts cgroup; do
		file=${type/network/net}
		container c1 "readlink /proc/self/ns/$file" ".linux.namespaces = $all"
		ok
		like "$output" "^$file:\["
		[[ $output != "$(readlink "/proc/self/ns/$file")" ]] || fail "$type: not new"
		container c1 "readlink /proc/self/ns/$file" \
			".linux.namespaces = ($all | map(select(.type != \"$type\"))) | del(.hostname) | del(.mounts[] | select(.type == \"mqueue\" or .type == \"sysfs\"))"
		ok
		is "$output" "$(readlink "/proc/self/ns/$file")" "$type"
	done
}

@test "the process is pid 1 of its pid namespace and sees only its own" {
	container c1 'echo $$; ls -d /proc/[0-9]* | wc -l'
	is "${lines[0]}" 1
	((lines[1] <= 3))
}

@test "a namespace with a path is joined" {
	unshare --net --ipc --uts sleep 60 3>&- 4>&- &
	local holder=$! ours theirs
	ours=$(readlink /proc/self/ns/net)
	until_true 5 eval 'theirs=$(readlink /proc/'$holder'/ns/net) && [[ $theirs == net:* && $theirs != "$ours" ]]'
	container c1 'for n in net ipc uts; do readlink /proc/self/ns/$n; done' "
		.linux.namespaces = [{type: \"pid\"}, {type: \"mount\"},
			{type: \"network\", path: \"/proc/$holder/ns/net\"},
			{type: \"ipc\", path: \"/proc/$holder/ns/ipc\"},
			{type: \"uts\", path: \"/proc/$holder/ns/uts\"}] | del(.hostname)"
	local expected
	expected=$(readlink "/proc/$holder/ns/net" "/proc/$holder/ns/ipc" "/proc/$holder/ns/uts")
	kill "$holder"
	ok
	is "$output" "$expected"
}

@test "a pid namespace with a path is joined" {
	unshare --pid --fork --kill-child sleep 60 3>&- 4>&- &
	local holder=$! child
	until_true 5 eval '[[ -n $(cat /proc/'$holder'/task/'$holder'/children) ]]'
	child=$(tr -d ' ' <"/proc/$holder/task/$holder/children")
	container c1 'readlink /proc/self/ns/pid' ".linux.namespaces = [{type: \"mount\"}, {type: \"pid\", path: \"/proc/$child/ns/pid\"}] | del(.hostname) | del(.mounts[] | select(.type == \"mqueue\" or .type == \"sysfs\"))"
	local expected
	expected=$(readlink "/proc/$child/ns/pid")
	kill "$child"
	ok
	is "$output" "$expected"
}

@test "a user namespace: root inside is the mapped id outside" {
	bundle c1 'id -u; cat /proc/self/uid_map /proc/self/gid_map; stat -c "%u %g" /etc/passwd; echo x >/data/new; cat /dev/null' '
		.linux.namespaces += [{type: "user"}]
		| .linux.uidMappings = [{containerID: 0, hostID: 100000, size: 65536}]
		| .linux.gidMappings = [{containerID: 0, hostID: 200000, size: 65536}]'
	chown -R 100000:200000 "$T/c1/rootfs"
	chmod 755 "$T" "$SUITE" "$(dirname "$T")" "$(dirname "$(dirname "$T")")"
	try volrun run --bundle "$T/c1" c1
	ok
	is "${lines[0]}" 0
	like "${lines[1]}" '^ +0 +100000 +65536$'
	like "${lines[2]}" '^ +0 +200000 +65536$'
	is "${lines[3]}" "0 0"
	is "$(stat -c '%u %g' "$T/c1/rootfs/data/new")" "100000 200000"
}

@test "a time namespace has the offsets of the config" {
	[[ -e /proc/self/ns/time ]] || skip "this kernel has no time namespaces"
	container c1 'cat /proc/self/timens_offsets; cut -d . -f 1 /proc/uptime' '
		.linux.namespaces += [{type: "time"}]
		| .linux.timeOffsets = {boottime: {secs: 1000000, nanosecs: 0}}'
	ok
	like "$output" 'boottime +1000000 +0'
	((lines[2] > 1000000))
}

@test "hostname and domainname are set" {
	container c1 'hostname; cat /proc/sys/kernel/domainname' '.hostname = "abc" | .domainname = "example.org"'
	ok
	is "${lines[0]}" abc
	is "${lines[1]}" example.org
}

# --- the process --------------------------------------------------------------

@test "user, groups, umask, working directory and environment" {
	container c1 'id -u; id -g; grep ^Groups: /proc/self/status; umask; pwd; echo "$A-$B"; env | grep -c ^VOLRUN' '
		.process.user = {uid: 1000, gid: 1001, additionalGids: [5, 1002], umask: 63}
		| .process.cwd = "/workspace" | .process.env += ["A=1", "B=two words"]'
	is "${lines[0]}" 1000
	is "${lines[1]}" 1001
	like "${lines[2]}" '^Groups:[[:space:]]+5 1002'
	is "${lines[3]}" 0077
	is "${lines[4]}" /workspace
	is "${lines[5]}" "1-two words"
	is "${lines[6]}" 0
}

@test "capabilities are the sets of the config, no more" {
	container c1 'grep ^Cap /proc/self/status' '
		.process.capabilities = {bounding: ["CAP_CHOWN", "CAP_KILL"], effective: ["CAP_KILL"], permitted: ["CAP_CHOWN", "CAP_KILL"],
			inheritable: [], ambient: []} | .process.args = ["grep", "^Cap", "/proc/self/status"]'
	ok
	# An execve by root gives the bounding set; what is not in it is gone for good.
	like "$output" 'CapBnd:[[:space:]]0000000000000021'
	unlike "$output" 'CapEff:[[:space:]]00000[1-9a-f]'
}

@test "ambient capabilities reach a process that is not root" {
	container c1 x '
		.process.args = ["grep", "^Cap", "/proc/self/status"] | .process.user = {uid: 1000, gid: 1000}
		| .process.capabilities = {bounding: ["CAP_KILL"], effective: ["CAP_KILL"], permitted: ["CAP_KILL"], inheritable: ["CAP_KILL"], ambient: ["CAP_KILL"]}'
	ok
	local set
	for set in CapInh CapPrm CapEff CapBnd CapAmb; do
		like "$output" "$set:[[:space:]]0000000000000020"
	done
}

@test "without capabilities a process has none" {
	container c1 x '.process.args = ["grep", "^Cap", "/proc/self/status"] | del(.process.capabilities) | .process.user = {uid: 1000, gid: 1000}'
	ok
	local set
	for set in CapInh CapPrm CapEff CapAmb; do
		like "$output" "$set:[[:space:]]0000000000000000"
	done
}

@test "an unknown capability is left out, the container runs" {
	container c1 'echo runs' '.process.capabilities.bounding += ["CAP_FROB"]'
	is "$status" 0
	is "$output" runs
}

@test "no_new_privs is set when asked for, and only then" {
	container c1 'grep ^NoNewPrivs /proc/self/status' '.process.noNewPrivileges = true'
	like "$output" '1$'
	container c1 'grep ^NoNewPrivs /proc/self/status' '.process.noNewPrivileges = false'
	like "$output" '0$'
}

@test "rlimits are set, soft and hard" {
	container c1 'ulimit -Sn; ulimit -Hn; ulimit -Sc' '
		.process.rlimits = [{type: "RLIMIT_NOFILE", soft: 111, hard: 222}, {type: "RLIMIT_CORE", soft: 0, hard: 0}]'
	ok
	is "$(tr '\n' ' ' <<<"$output")" "111 222 0 "
}

@test "oomScoreAdj is set" {
	container c1 'cat /proc/self/oom_score_adj' '.process.oomScoreAdj = 500'
	is "$output" 500
}

@test "personality LINUX32 shows as a 32-bit machine" {
	[[ $(uname -m) == x86_64 ]] || skip "only x86-64 machines say i686"
	container c1 'uname -m' '.linux.personality = {domain: "LINUX32"}'
	ok
	is "$output" i686
}

@test "scheduler and I/O priority are set" {
	container c1 'cut -d " " -f 19,41 /proc/1/stat; ionice -p 1' '
		.process.scheduler = {policy: "SCHED_BATCH", nice: 7} | .process.ioPriority = {class: "IOPRIO_CLASS_IDLE", priority: 0}'
	ok
	is "${lines[0]}" "7 3" "nice and policy (SCHED_BATCH)"
	like "${lines[1]}" idle
}

# --- seccomp ------------------------------------------------------------------

@test "seccomp: a filtered call fails with the errno of the rule, others work" {
	container c1 'mkdir /data/x; echo "mkdir $?"; grep ^Seccomp: /proc/self/status; touch /data/y && echo touched' '
		.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
			syscalls: [{names: ["mkdir", "mkdirat", "no_such_call_anywhere"], action: "SCMP_ACT_ERRNO", errnoRet: 28}]}'
	like "$stderr" "No space left"
	like "$output" "mkdir 1"
	like "$output" "Seccomp:[[:space:]]2"
	like "$output" touched
}

@test "seccomp: the default errno is EPERM; arguments are compared; KILL kills" {
	container c1 'kill -0 1 && echo zero; kill -30 1 || echo thirty; hostname x; echo "end $?"' '
		.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", syscalls: [
			{names: ["kill"], action: "SCMP_ACT_ERRNO", args: [{index: 1, value: 30, op: "SCMP_CMP_EQ"}]},
			{names: ["sethostname"], action: "SCMP_ACT_KILL_PROCESS"}]}'
	like "$output" zero
	like "$output" thirty
	like "$stderr" "[Oo]peration not permitted"
	like "$output" "end 159"
}

@test "seccomp: an allow list keeps everything else out" {
	# What a static busybox needs to start and to write.
	container c1 x '.process.args = ["sh", "-c", "echo in; mkdir /data/x || echo kept out"]
		| .linux.seccomp = {defaultAction: "SCMP_ACT_ERRNO", defaultErrnoRet: 38, syscalls: [{action: "SCMP_ACT_ALLOW", names: [
		"execve", "exit", "exit_group", "brk", "arch_prctl", "set_tid_address", "set_robust_list", "rseq", "prlimit64", "mprotect",
		"read", "write", "writev", "open", "openat", "close", "fstat", "stat", "newfstatat", "lstat", "mmap", "munmap", "getuid", "geteuid", "getgid", "getegid",
		"getpid", "getppid", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "ioctl", "fcntl", "dup2", "getcwd", "readlink", "prctl", "getrandom",
		"uname", "fork", "vfork", "clone", "wait4", "umask", "setuid", "setgid", "access", "poll", "futex", "capget", "capset", "fchdir", "chdir", "fstatfs", "statfs", "clone3", "sigaltstack"]}]}'
	is "${lines[0]}" in
	is "${lines[1]}" "kept out"
	like "$stderr" "not implemented"
}

# --- devices ------------------------------------------------------------------

@test "the default devices and links are there" {
	container c1 'for d in null zero full random urandom tty; do stat -c "%F %t:%T %a %n" /dev/$d; done
		for l in fd stdin stdout stderr ptmx; do echo "$l $(readlink /dev/$l)"; done; echo x >/dev/null && head -c 3 /dev/zero | wc -c'
	ok
	is "$output" "$(
		cat <<-'L'
			character special file 1:3 666 /dev/null
			character special file 1:5 666 /dev/zero
			character special file 1:7 666 /dev/full
			character special file 1:8 666 /dev/random
			character special file 1:9 666 /dev/urandom
			character special file 5:0 666 /dev/tty
			fd /proc/self/fd
			stdin /proc/self/fd/0
			stdout /proc/self/fd/1
			stderr /proc/self/fd/2
			ptmx pts/ptmx
			3
		L
	)"
}

@test "devices of the config are made with their mode and owner" {
	container c1 'stat -c "%F %t:%T %a %u:%g" /dev/myfuse /dev/sub/fifo' '
		.linux.devices = [{path: "/dev/myfuse", type: "c", major: 10, minor: 229, fileMode: 384, uid: 5, gid: 6},
			{path: "/dev/sub/fifo", type: "p", fileMode: 420}]'
	ok
	is "${lines[0]}" "character special file a:e5 600 5:6"
	is "${lines[1]}" "fifo 0:0 644 0:0"
}

@test "a device that the rules don't allow can't be opened" {
	container c1 'head -c 1 /dev/zero | wc -c; mknod /dev/kmsg c 1 11 && head -c 1 /dev/kmsg; echo "status $?"' '
		.linux.resources.devices = [{allow: false, access: "rwm"}, {allow: true, type: "c", access: "m"}]'
	is "${lines[0]}" 1
	like "$output" 'status [1-9]'
	like "$stderr" "[Oo]peration not permitted"
}

# --- file systems -------------------------------------------------------------

@test "bind mounts: a directory, a file, read-only, recursive" {
	mkdir -p "$T/dir/sub"
	echo in-dir >"$T/dir/f"
	echo file >"$T/file"
	container c1 'cat /data/f /made/file; echo x >/data/g; echo x >/mnt/g; echo y >>/made/file; ls /mnt' "
		.mounts += [{destination: \"/data\", type: \"bind\", source: \"$T/dir\", options: [\"rbind\", \"rw\"]},
			{destination: \"/mnt\", type: \"bind\", source: \"$T/dir\", options: [\"bind\", \"ro\"]},
			{destination: \"/made/file\", type: \"bind\", source: \"$T/file\", options: [\"bind\"]}]"
	is "${lines[0]}" in-dir
	is "${lines[1]}" file
	like "$stderr" "Read-only file system"
	is "$(cat "$T/file")" $'file\ny'
	is "$(cat "$T/dir/g")" x
}

@test "mount options become flags and file system options" {
	container c1 'grep -E " /(data|mnt) " /proc/self/mountinfo; stat -c %a /data; df -k /data | tail -n 1' '
		.mounts += [{destination: "/data", type: "tmpfs", source: "tmpfs", options: ["nosuid", "nodev", "noexec", "noatime", "size=1m", "mode=1750"]},
			{destination: "/mnt", type: "bind", source: "/etc", options: ["rbind", "nosuid", "nodev", "ro", "noexec"]}]'
	ok
	local flag
	for flag in nosuid nodev noexec noatime; do like "${lines[0]}" "/data [^ ]*$flag"; done
	like "${lines[0]}" 'size=1024k'
	for flag in ro nosuid nodev noexec; do like "${lines[1]}" "/mnt [^ ]*$flag"; done
	is "${lines[2]}" 1750
	like "${lines[3]}" ' 1024 '
}

@test "mounts are made in the order of the list, one inside another" {
	bundle c1 x
	echo deep >"$T/f"
	config c1 --arg t "$T" '.process.args = ["cat", "/data/inner/deep/f"] | .mounts += [{destination: "/data", type: "tmpfs", source: "tmpfs"},
		{destination: "/data/inner", type: "tmpfs", source: "tmpfs"},
		{destination: "/data/inner/deep", type: "bind", source: $t, options: ["bind", "ro"]}]'
	try volrun run --bundle "$T/c1" c1
	ok
	is "$output" deep
}

@test "a read-only bind with rro is read-only all the way down" {
	mkdir -p "$T/dir/sub"
	bundle c1 'touch /data/sub/f || echo kept' "
		.mounts += [{destination: \"/data\", type: \"bind\", source: \"$T/dir\", options: [\"rbind\", \"rro\"]}]"
	try unshare --mount --propagation private bash -c '
		mount -t tmpfs tmpfs "$1/dir/sub"; exec timeout 60 "$2" --root "$3" run --bundle "$1/c1" c1' - "$T" "$BIN/volrun" "$ROOT"
	is "$output" kept
}

@test "tmpcopyup shows what lay below" {
	container c1 'cat /etc/passwd | head -n 1; echo x >/etc/new; ls /etc' '
		.mounts += [{destination: "/etc", type: "tmpfs", source: "tmpfs", options: ["tmpcopyup"]}]'
	ok
	like "${lines[0]}" ^root
	[[ ! -e $T/c1/rootfs/etc/new ]]
}

@test "mount points lead through no link out of the root file system" {
	mkdir "$T/outside"
	bundle c1 'echo data >/dev/null; ls /etc/escape/deep 2>/dev/null; mount | grep -c escape' '
		.mounts += [{destination: "/escape/deep", type: "tmpfs", source: "tmpfs"}, {destination: "/abs/deep2", type: "tmpfs", source: "tmpfs"}]'
	ln -s "../../../../../../../../../../..$T/outside" "$T/c1/rootfs/escape"
	ln -s "$T/outside" "$T/c1/rootfs/abs"
	try volrun run --bundle "$T/c1" c1
	[[ -z $(ls -A "$T/outside") ]] || fail "written outside: $(ls -A "$T/outside")"
}

@test "a root file system that is a link, or has links for proc and dev, does not lead outside" {
	mkdir "$T/outside"
	bundle c1 'echo ran'
	rmdir "$T/c1/rootfs/proc"
	ln -s "$T/outside" "$T/c1/rootfs/proc"
	try volrun run --bundle "$T/c1" c1
	[[ -z $(ls -A "$T/outside") ]]
	awk -v o="$T/outside" '$5 == o { exit 1 }' /proc/self/mountinfo
}

@test "the root is read-only when asked for" {
	container c1 'touch /x || echo kept; touch /dev/shm/y && echo rw' '.root.readonly = true'
	is "$output" $'kept\nrw'
	like "$stderr" "Read-only"
}

@test "masked paths show nothing, read-only paths can't be written" {
	bundle c1 'wc -c </secret; ls /hidden | wc -l; touch /hidden/x || echo kept1; touch /fixed/x || echo kept2; echo x >/proc/sys/kernel/domainname || echo kept3' '
		.linux.maskedPaths += ["/secret", "/hidden", "/no/such"] | .linux.readonlyPaths += ["/fixed", "/no/such/either"]'
	mkdir "$T/c1/rootfs/hidden" "$T/c1/rootfs/fixed"
	echo key >"$T/c1/rootfs/secret"
	echo key >"$T/c1/rootfs/hidden/key"
	try volrun run --bundle "$T/c1" c1
	is "$output" $'0\n0\nkept1\nkept2\nkept3'
}

@test "the host's mounts are not visible in the container" {
	container c1 'cut -d " " -f 5 /proc/self/mountinfo'
	ok
	unlike "$output" "$BATS_SUITE_TMPDIR"
	is "${lines[0]}" /
}

@test "rootfsPropagation is what the config says" {
	container c1 'awk "\$5 == \"/\"" /proc/self/mountinfo' '.linux.rootfsPropagation = "shared"'
	ok
	like "$output" 'shared:'
	container c1 'awk "\$5 == \"/\"" /proc/self/mountinfo' '.linux.rootfsPropagation = "private"'
	ok
	unlike "$output" 'shared:|master:'
}

@test "--no-pivot works too" {
	bundle c1 'ls -d /data; ls /'
	try volrun run --no-pivot --bundle "$T/c1" c1
	ok
	is "${lines[0]}" /data
}

@test "sysctls of the container's own namespaces are set" {
	container c1 'cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shm_rmid_forced' '
		.linux.sysctl = {"net.ipv4.ip_forward": "1", "kernel.shm_rmid_forced": "1"}'
	ok
	is "$output" $'1\n1'
}

@test "a sysctl of a namespace that is the host's is refused" {
	bundle c1 true '.linux.sysctl = {"net.ipv4.ip_forward": "1"} | .linux.namespaces |= map(select(.type != "network")) | del(.mounts[] | select(.type == "sysfs"))'
	local before
	before=$(cat /proc/sys/net/ipv4/ip_forward)
	try volrun create --bundle "$T/c1" c1
	not_ok "net.ipv4.ip_forward"
	is "$(cat /proc/sys/net/ipv4/ip_forward)" "$before"
}

# --- hooks --------------------------------------------------------------------

# hook KIND: a hook that notes its kind and the state it read.
hook() { jq -cn --arg t "$T" --arg k "$1" '{path: "/bin/sh", args: ["sh", "-c", "read -r s; echo \($k) \"$s\" >>\($t)/hooks", $k], env: ["PATH=/usr/bin:/bin"]}'; }

@test "hooks of all kinds run in order, each with the state on stdin" {
	bundle c1 'sleep 100'
	local kind
	for kind in prestart createRuntime createContainer poststart poststop; do
		config c1 --argjson h "$(hook "$kind")" --arg k "$kind" '.hooks[$k] = [$h]'
	done
	# In the container's mount namespace, after the root was entered.
	config c1 '.hooks.startContainer = [{path: "/bin/sh", args: ["sh", "-c", "cat >/data/start"]}] | .annotations = {x: "y"}'
	volrun create --bundle "$T/c1" c1 </dev/null >"$T/log" 2>&1 || fail "$(cat "$T/log")"
	is "$(cut -d ' ' -f 1 "$T/hooks" | tr '\n' ' ')" "prestart createRuntime createContainer "
	[[ ! -e $T/c1/rootfs/data/start ]] || fail "startContainer ran at create"
	local pid
	pid=$(pid_of c1)
	volrun start c1
	is "$(cut -d ' ' -f 1 "$T/hooks" | tr '\n' ' ')" "prestart createRuntime createContainer poststart "
	until_true 5 test -s "$T/c1/rootfs/data/start"
	volrun delete --force c1
	is "$(cut -d ' ' -f 1 "$T/hooks" | tr '\n' ' ')" "prestart createRuntime createContainer poststart poststop "

	local state
	for kind in prestart createRuntime createContainer poststart poststop; do
		state=$(sed -n "s/^$kind //p" "$T/hooks")
		is "$(jq -r '.id, .bundle, .annotations.x' <<<"$state" | tr '\n' ' ')" "c1 $T/c1 y " "$kind"
		like "$(jq -r .ociVersion <<<"$state")" '^1\.'
	done
	for kind in prestart createRuntime; do
		state=$(sed -n "s/^$kind //p" "$T/hooks")
		is "$(jq -r '"\(.status) \(.pid)"' <<<"$state")" "creating $pid" "$kind" || is "$(jq -r '"\(.status) \(.pid)"' <<<"$state")" "created $pid" "$kind"
	done
	is "$(sed -n 's/^poststart //p' "$T/hooks" | jq -r '"\(.status) \(.pid)"')" "running $pid"
	is "$(sed -n 's/^poststop //p' "$T/hooks" | jq -r .status)" stopped
	is "$(jq -r .id "$T/c1/rootfs/data/start")" c1
}

@test "hooks of one kind run in the order of the list, with their own arguments and environment" {
	bundle c1 'true'
	config c1 --arg t "$T" '.hooks.createRuntime = [
		{path: "/bin/sh", args: ["zero", "-c", "echo one $0 $A ${HOME:-nothing} >>\($t)/hooks; cat >/dev/null"], env: ["A=first"]},
		{path: "/bin/sh", args: ["sh", "-c", "echo two >>\($t)/hooks"]}]'
	try volrun run --bundle "$T/c1" c1
	ok
	is "$(cat "$T/hooks")" $'one zero first nothing\ntwo'
}

@test "a hook that fails before start fails the create, and poststop runs" {
	local kind
	for kind in prestart createRuntime createContainer; do
		bundle c1 'sleep 100'
		rm -f "$T/hooks"
		config c1 --arg k "$kind" --argjson p "$(hook poststop)" '.hooks[$k] = [{path: "/bin/sh", args: ["sh", "-c", "echo broken >&2; exit 3"]}] | .hooks.poststop = [$p]'
		try volrun create --bundle "$T/c1" c1
		((status != 0)) || fail "$kind: created"
		like "$stderr" "hook"
		try volrun state c1
		not_ok "does not exist"
	done
}

@test "a hook that takes longer than its timeout is killed and fails the create" {
	bundle c1 'sleep 100' '.hooks.createRuntime = [{path: "/bin/sh", args: ["sh", "-c", "exec sleep 30"], timeout: 1}]'
	local t0
	t0=$(now_ms)
	try volrun create --bundle "$T/c1" c1
	not_ok "time"
	(($(now_ms) - t0 < 5000))
}

@test "a failing poststop hook is a warning, the next ones run all the same" {
	bundle c1 'exit 4' '.hooks.poststop = [{path: "/bin/false"}]'
	config c1 --argjson p "$(hook poststop)" '.hooks.poststop += [$p]'
	try volrun run --bundle "$T/c1" c1
	is "$status" 4
	like "$stderr" 'warning: poststop hook failed with exit code 1'
	like "$(cat "$T/hooks")" '^poststop '
}

@test "a failing poststart hook is an error, and the container is stopped and deleted" {
	bundle c1 'sleep 100' '.hooks.poststart = [{path: "/bin/sh", args: ["sh", "-c", "echo broken >&2; exit 3"]}]'
	config c1 --argjson p "$(hook poststop)" '.hooks.poststop = [$p]'
	try volrun create --bundle "$T/c1" c1
	ok
	local pid
	pid=$(pid_of c1)
	try volrun start c1
	not_ok 'error running poststart hook #0: /bin/sh: exit status 3: broken'
	[[ ! -e /proc/$pid ]] || [[ $(awk '{ print $3 }' "/proc/$pid/stat") == Z ]]
	try volrun state c1
	not_ok 'does not exist'
	like "$(cat "$T/hooks")" '^poststop '
	for detach in '' --detach; do
		try volrun run $detach --bundle "$T/c1" c1
		not_ok 'poststart hook #0'
	done
}

@test "a createRuntime hook can enter the container's namespaces by the pid it reads" {
	bundle c1 'hostname'
	config c1 --arg t "$T" '.hooks.createRuntime = [{path: "/bin/sh", args: ["sh", "-c", "pid=$(jq -r .pid); nsenter -t $pid -u hostname from-hook"], env: ["PATH=/usr/bin:/bin:/usr/sbin:/sbin"]}]'
	try volrun run --bundle "$T/c1" c1
	ok
	like "$output" "from-hook|sandbox"
}

# --- terminal -----------------------------------------------------------------

@test "a terminal is handed over by the console socket and is the process's own" {
	bundle c1 'read -r x; echo "got $x"; stty size; tty; test -t 0 && test -t 1 && test -t 2 && echo terminal; ls -l /dev/console | cut -c 1' '
		.process.terminal = true | .process.consoleSize = {height: 33, width: 99}'
	"$LIB/recvtty" "$T/tty.sock" "$T/tty.out" $'typed\n' 3>&- 4>&- &
	local receiver=$!
	until_true 5 test -S "$T/tty.sock"
	volrun create --bundle "$T/c1" --console-socket "$T/tty.sock" c1 </dev/null >"$T/log" 2>&1 || fail "$(cat "$T/log")"
	volrun start c1
	ended "$receiver"
	ok
	run cat "$T/tty.out"
	like "$output" "got typed"
	like "$output" "33 99"
	like "$output" "/dev/(pts/0|console)"
	like "$output" "terminal"
	like "$output" $'\nc\r'
	volrun delete --force c1
}

@test "a terminal without a console socket, or a socket without a terminal, is refused" {
	bundle c1 'true' '.process.terminal = true'
	try volrun create --bundle "$T/c1" c1
	not_ok "console|terminal"
	bundle c1 'true'
	try volrun create --bundle "$T/c1" --console-socket "$T/tty.sock" c1
	not_ok "console|terminal"
	bundle c1 'true' '.process.terminal = true'
	try volrun create --bundle "$T/c1" --console-socket "$T/nosuch.sock" c1
	not_ok "console|nosuch"
}

# --- cgroups ------------------------------------------------------------------

@test "the process is in the cgroup of the config, in every hierarchy" {
	container c1 'cat /proc/self/cgroup'
	ok
	# cpu, memory ... on v1; the one line on v2, where others would be of hierarchies that nobody sees here.
	[[ $(stat -fc %T /sys/fs/cgroup) != cgroup2fs ]] || output=$(grep '^0::' <<<"$output")
	is "$(grep -vcF "/$CG/c1" <<<"$output")" 0 "hierarchies elsewhere"
}

# cgroup_file V1-CONTROLLER V1-FILE V2-FILE: the file of this test's container; fails if the machine has no such controller.
cgroup_file() {
	if [[ $(stat -fc %T /sys/fs/cgroup) == cgroup2fs ]]; then
		grep -qw "${1/cpuacct/cpu}" /sys/fs/cgroup/cgroup.controllers || return 1
		echo "/sys/fs/cgroup/$CG/c1/$3"
	else
		[[ -d /sys/fs/cgroup/$1 ]] || return 1
		echo "/sys/fs/cgroup/$1/$CG/c1/$2"
	fi
}

@test "limits of memory, cpu and pids are written" {
	local memory pids cpu
	memory=$(cgroup_file memory memory.limit_in_bytes memory.max) && pids=$(cgroup_file pids pids.max pids.max) &&
		cpu=$(cgroup_file cpu cpu.cfs_quota_us cpu.max) || skip "the controllers are on cgroup v1 here; the test without this view has them"
	bundle c1 'sleep 100' '.linux.resources = {memory: {limit: 67108864}, pids: {limit: 33}, cpu: {quota: 50000, period: 100000}}'
	volrun create --bundle "$T/c1" c1 </dev/null >"$T/log" 2>&1 || fail "$(cat "$T/log")"
	is "$(cat "$memory")" 67108864
	is "$(cat "$pids")" 33
	like "$(cat "$cpu")" '^50000'
	volrun delete --force c1
}

@test "the pids limit holds" {
	cgroup_file pids pids.max pids.max >/dev/null || skip "the controller is on cgroup v1 here; the test without this view has it"
	container c1 'for i in 1 2 3 4 5 6 7 8 9 10; do sleep 1 & done; wait; echo end' '.linux.resources = {pids: {limit: 5}}'
	like "$stderr$output" "fork|Resource temporarily"
}

@test "a cgroup that has processes is refused" {
	bundle c1 'sleep 100'
	volrun create --bundle "$T/c1" c1 </dev/null >"$T/log" 2>&1 || fail "$(cat "$T/log")"
	bundle c2 'sleep 100' ".linux.cgroupsPath = \"/$CG/c1\""
	try volrun create --bundle "$T/c2" c2
	not_ok "cgroup"
	is "$(status_of c1)" created
	volrun delete --force c1
}

@test "a mount of type cgroup shows the container's own cgroup, read-only" {
	container c1 'ls /sys/fs/cgroup; mkdir /sys/fs/cgroup/x /sys/fs/cgroup/memory/x || echo kept; cat /proc/self/cgroup' '
		.mounts += [{destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["nosuid", "noexec", "nodev", "relatime", "ro"]}]
		| .linux.namespaces += [{type: "cgroup"}]'
	ok
	like "$output" kept
	like "$output" 'cgroup.procs|memory|pids'
	is "$(grep -cE '^[0-9]+:[^:]*:/$' <<<"$output")" "$(grep -c : <<<"$output")" "hierarchies that show as /"
}
