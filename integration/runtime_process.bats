#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What a process is given: CPUs, memory nodes, network devices, groups,
# descriptors, and what is said when it can't be given.

load lib/common
setup() { common_setup; }
teardown() {
	for device in vrt0 vrt1 vrtx; do ip link del "$device" 2>/dev/null || :; done
	common_teardown
}

# exec_json JQ-FILTER: $T/process.json from the container's own process.
exec_json() { jq ".process | $1" "$T/c1/config.json" >"$T/process.json"; }

# --- CPUs and memory ------------------------------------------------------------------

@test "execCPUAffinity: exec runs on the final CPUs, from the file, the container's config, or flags" {
	(($(nproc --all) > 1)) || skip "one CPU: there is no choice"
	bundle c1 'sleep 30 & wait' '.process.execCPUAffinity = {initial: "0", final: "1"}'
	try volrun run --detach --bundle "$T/c1" c1
	ok
	# init itself has all; so had the one who called, or not.
	local all
	all=$(grep ^Cpus_allowed_list /proc/1/status | cut -f 2)
	is "$(grep ^Cpus_allowed_list "/proc/$(pid_of c1)/status" | cut -f 2)" "$all"
	is "$(volrun exec c1 grep ^Cpus_allowed_list /proc/self/status | cut -f 2)" 1
	exec_json '.execCPUAffinity = {final: "0"} | .args = ["grep", "^Cpus_allowed_list", "/proc/self/status"]'
	is "$(volrun exec --process "$T/process.json" c1 | cut -f 2)" 0
	# Initial alone: the kernel decides after that, and here nothing makes it change.
	exec_json '.execCPUAffinity = {initial: "0"} | .args = ["grep", "^Cpus_allowed_list", "/proc/self/status"]'
	is "$(volrun exec --process "$T/process.json" c1 | cut -f 2)" 0
	exec_json '.execCPUAffinity = {final: "8000"} | .args = ["true"]'
	try volrun exec --process "$T/process.json" c1
	is "$status" 255
	like "$stderr" 'execCPUAffinity.final to the CPUs 8000'
	volrun delete --force c1
}

@test "a container does not inherit the affinity of who starts it" {
	(($(nproc --all) > 1)) || skip "one CPU: there is no choice"
	bundle c1 'grep ^Cpus_allowed_list /proc/self/status | cut -f 2'
	try timeout 60 taskset -c 0 "$BIN/volrun" --root "$ROOT" run --bundle "$T/c1" c1
	ok
	is "$output" "$(grep ^Cpus_allowed_list /proc/1/status | cut -f 2)"
}

@test "memoryPolicy is that of the process, for create and exec" {
	[[ -e /proc/self/numa_maps ]] || skip "this kernel knows no memory nodes"
	container c1 'cut -d " " -f 2 /proc/self/numa_maps | sort -u' '.linux.memoryPolicy = {mode: "MPOL_BIND", nodes: "0", flags: ["MPOL_F_STATIC_NODES"]}'
	ok
	like "$output" '^bind=static:0'
	container c1 'cut -d " " -f 2 /proc/self/numa_maps | sort -u' '.linux.memoryPolicy = {mode: "MPOL_INTERLEAVE", nodes: "0-0"}'
	like "$output" '^interleave:0'
	container c1 'true' '.linux.memoryPolicy = {mode: "MPOL_BIND", nodes: "1000"}'
	not_ok 'linux.memoryPolicy to MPOL_BIND of the nodes 1000'
	container c1 'echo none' '.linux.memoryPolicy = {mode: "MPOL_PREFERRED", nodes: ""}'
	ok
	container c1 'true' '.linux.memoryPolicy = {mode: "MPOL_DEFAULT", nodes: "0-7"}'
	not_ok 'mode requires 0 nodes but got 8'
	bundle c1 'sleep 30 & wait' '.linux.memoryPolicy = {mode: "MPOL_BIND", nodes: "0"}'
	try volrun run --detach --bundle "$T/c1" c1
	ok
	like "$(volrun exec c1 cut -d ' ' -f 2 /proc/self/numa_maps | sort -u)" '^bind:0'
	volrun delete --force c1
}

@test "personality: flags are refused, exec has the domain too" {
	[[ $(uname -m) == x86_64 ]] || skip "only x86-64 machines say i686"
	container c1 true '.linux.personality = {domain: "LINUX32", flags: ["ADDR_NO_RANDOMIZE"]}'
	not_ok 'personality.flags'
	bundle c1 'sleep 30 & wait' '.linux.personality = {domain: "LINUX32"}'
	try volrun run --detach --bundle "$T/c1" c1
	ok
	is "$(volrun exec c1 uname -m)" i686
	volrun delete --force c1
}

@test "scheduler: each policy with its parameters, for create and exec" {
	local policy
	bundle c1 'cut -d " " -f 18,19,40,41 /proc/1/stat'
	for policy in '{policy: "SCHED_OTHER", nice: -5}= 15 -5 0 0' '{policy: "SCHED_FIFO", priority: 7}= -8 0 7 1' \
		'{policy: "SCHED_RR", priority: 3, flags: ["SCHED_FLAG_RESET_ON_FORK"]}= -4 0 3 2' '{policy: "SCHED_IDLE"}= 20 0 0 5'; do
		config c1 ".process.scheduler = ${policy%%=*}"
		try volrun run --bundle "$T/c1" c1
		if [[ $stderr =~ [Nn]ot\ permitted ]]; then
			# Real time needs a share of the cgroup (v1: cpu.rt_runtime_us), which a container has not.
			[[ $policy == *FIFO* || $policy == *RR* ]] || fail "$stderr"
			continue
		fi
		ok
		is " $output" "${policy#*=}" "$policy"
	done
	config c1 '.process.scheduler = {policy: "SCHED_BATCH", priority: 7}'
	try volrun run --bundle "$T/c1" c1
	not_ok 'scheduler.priority'
	config c1 '.process.args = ["sleep", "30"] | .process.scheduler = {policy: "SCHED_BATCH", nice: 3}'
	try volrun run --detach --bundle "$T/c1" c1
	ok
	exec_json '.args = ["cut", "-d", " ", "-f", "19,41", "/proc/self/stat"]'
	is "$(volrun exec --process "$T/process.json" c1)" "3 3"
	exec_json 'del(.scheduler) | .args = ["cut", "-d", " ", "-f", "19,41", "/proc/self/stat"]'
	is "$(volrun exec --process "$T/process.json" c1)" "3 3"
	volrun delete --force c1
}

@test "the scheduler is set in the cgroup's limits: a share of real time, and not for a part of the CPUs" {
	local cpu=/sys/fs/cgroup/cpu/$CG shown=''
	bundle c1 'cut -d " " -f 40,41 /proc/1/stat'
	if [[ -e /sys/fs/cgroup/cpu/cpu.rt_runtime_us ]]; then
		mkdir -p "$cpu"
		echo 50000 >"$cpu/cpu.rt_runtime_us"
		config c1 '.process.scheduler = {policy: "SCHED_FIFO", priority: 7} | .linux.resources.cpu = {realtimePeriod: 1000000, realtimeRuntime: 20000}'
		try volrun run --bundle "$T/c1" c1
		ok
		is "$output" "7 1"
		shown=1
	fi
	if (($(nproc) == 1)) || [[ ! -d /sys/fs/cgroup/cpuset && $(</sys/fs/cgroup/cgroup.controllers) != *cpuset* ]]; then
		[[ $shown ]] || skip "needs real-time groups (v1), or cpuset and two processors: run natively on v1, or in the virtual machine"
		return 0
	fi
	config c1 '.process.scheduler = {policy: "SCHED_DEADLINE", runtime: 42000, deadline: 1000000, period: 1000000} | .linux.resources.cpu = {cpus: "0"}'
	try volrun run --bundle "$T/c1" c1
	not_ok "process scheduler can't be used together with AllowedCPUs"
}

@test "lo is up in a new network namespace, whoever brings it up" {
	bundle c1 'ip link show lo' '.linux.namespaces |= (map(select(.type != "network")) + [{type: "network"}])'
	try volrun run --bundle "$T/c1" c1
	like "$output" 'LOOPBACK,UP'
	# In init, which a hook could look at.
	config c1 '.hooks = {createContainer: [{path: "/bin/true"}]}'
	try volrun run --bundle "$T/c1" c1
	like "$output" 'LOOPBACK,UP'
	config c1 'del(.hooks)'
	in_userns c1
	try volrun run --bundle "$T/c1" c1
	like "$output" 'LOOPBACK,UP'
}

# --- network devices ------------------------------------------------------------------

# veth VAR...: a pair vrt0, vrt1 on the host.
veth() {
	ip link add vrt0 type veth peer name vrt1 2>/dev/null || skip "this kernel has no veth"
	# Where udev runs it gives them an address, a moment later.
	udevadm settle --timeout=10 2>/dev/null || :
}

@test "a network device moves into the container with its permanent global addresses, and is up" {
	veth
	ip link set vrt0 mtu 1434 address 02:11:22:33:44:55 up
	ip addr add 10.99.0.1/24 brd + dev vrt0
	[[ ! -e /proc/net/if_inet6 ]] || ip addr add fd99::1/64 dev vrt0 nodad
	ip addr add 169.254.7.7/16 scope link dev vrt0
	container c1 'ip addr show dev vrt0; ip link show dev lo' '.linux.netDevices = {vrt0: {}}'
	ok
	like "$output" 'mtu 1434'
	like "$output" '02:11:22:33:44:55'
	like "$output" 'vrt0.*<[A-Z,_-]*UP'
	like "$output" 'inet 10.99.0.1/24 brd 10.99.0.255'
	[[ ! -e /proc/net/if_inet6 ]] || like "$output" 'inet6 fd99::1/64'
	unlike "$output" '169.254.7.7'
	# It went with the namespace.
	until_true 5 eval '! ip link show vrt0 2>/dev/null'
}

@test "a network device moves into the namespace of a user namespace" {
	veth
	ip addr add 10.99.0.1/24 dev vrt0
	bundle c1 'ip -o addr show dev inner' '.linux.netDevices = {vrt0: {name: "inner"}}'
	in_userns c1
	try volrun run --bundle "$T/c1" c1
	ok
	like "$output" '10.99.0.1/24'
}

@test "a network device can be renamed, also by a template" {
	veth
	ip addr add 10.99.0.1/24 dev vrt0
	container c1 'ip -o addr show | grep 10.99' '.linux.netDevices = {vrt0: {name: "inner"}, vrt1: {name: "eth%d"}}'
	ok
	like "$output" 'inner.*10.99.0.1/24'
	until_true 5 eval '! ip link show vrt1 2>/dev/null'
	veth
	container c1 'ls /sys/class/net | tr "\n" " "' '.linux.netDevices = {vrt0: {name: "eth%d"}, vrt1: {name: "eth%d"}}'
	is "$output" "eth0 eth1 lo "
}

@test "a network device moves into a joined namespace; a name that is taken there is an error" {
	veth
	unshare --net sleep 60 3>&- 4>&- &
	local holder=$!
	until_true 5 eval '[[ $(readlink /proc/'$holder'/ns/net) != $(readlink /proc/self/ns/net) ]]'
	container c1 'ip -o link show dev vrt0' ".linux.netDevices = {vrt0: {}} | (.linux.namespaces[] | select(.type == \"network\")).path = \"/proc/$holder/ns/net\""
	ok
	like "$output" vrt0
	container c1 true ".linux.netDevices = {vrt1: {name: \"vrt0\"}} | (.linux.namespaces[] | select(.type == \"network\")).path = \"/proc/$holder/ns/net\""
	kill "$holder"
	not_ok 'linux.netDevices: vrt1: .*vrt0.*exists'
	container c1 true '.linux.netDevices = {nosuch0: {}}'
	not_ok 'linux.netDevices: nosuch0'
}

# --- sysctl --------------------------------------------------------------------------

@test "a sysctl may be written as a path, and names may hold dots" {
	container c1 'cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/lo/rp_filter' '
		.linux.sysctl = {"net/ipv4/ip_forward": "1", "net/ipv4/conf/lo/rp_filter": "2"}'
	ok
	is "$output" $'1\n2'
	ip link add vrt0 type veth peer name vrt1 2>/dev/null || skip "this kernel has no veth"
	container c1 'cat /proc/sys/net/ipv4/conf/vrt.7/rp_filter; cat /proc/sys/net/ipv4/conf/vrt.8/rp_filter' '
		.linux.netDevices = {vrt0: {name: "vrt.7"}, vrt1: {name: "vrt.8"}}
		| .linux.sysctl = {"net/ipv4/conf/vrt.7/rp_filter": "2", "net.ipv4.conf.vrt/8.rp_filter": "1"}'
	ok
	is "$output" $'2\n1'
}

@test "a sysctl of the host's namespace is refused, also when that is joined by its path" {
	local before
	before=$(cat /proc/sys/net/ipv4/ip_forward)
	bundle c1 true ".linux.sysctl = {\"net.ipv4.ip_forward\": \"$((1 - before))\"} | (.linux.namespaces[] | select(.type == \"network\")).path = \"/proc/$$/ns/net\""
	try volrun run --bundle "$T/c1" c1
	not_ok 'net.ipv4.ip_forward.*host'
	is "$(cat /proc/sys/net/ipv4/ip_forward)" "$before"
}

# --- users, descriptors -----------------------------------------------------------------

@test "run.oci.keep_original_groups keeps the caller's groups" {
	bundle c1 'grep ^Groups /proc/self/status | cut -f 2'
	try setpriv --groups 1,2,3 timeout 60 "$BIN/volrun" --root "$ROOT" run --bundle "$T/c1" c1
	is "${output// /}" ""
	config c1 '.annotations["run.oci.keep_original_groups"] = "1"'
	try setpriv --groups 1,2,3 timeout 60 "$BIN/volrun" --root "$ROOT" run --bundle "$T/c1" c1
	ok
	is "${output% }" "1 2 3"
}

@test "run.oci.keep_original_groups in a user namespace: what the caller's groups are there" {
	bundle c1 'grep ^Groups /proc/self/status | cut -f 2'
	in_userns c1
	config c1 '.annotations["run.oci.keep_original_groups"] = "1"'
	try setpriv --groups 1,200007 timeout 60 "$BIN/volrun" --root "$ROOT" run --bundle "$T/c1" c1
	ok
	is "${output% }" "65534 7"
	bundle c2 'sleep 100'
	in_userns c2
	config c2 '.annotations["run.oci.keep_original_groups"] = "1"'
	volrun run --detach --bundle "$T/c2" c2
	try setpriv --groups 1,200007 timeout 60 "$BIN/volrun" --root "$ROOT" exec c2 grep ^Groups /proc/self/status
	ok
	like "$output" '65534 7'
	volrun delete --force c2
}

@test "signals that the caller ignores or blocks are not ignored or blocked in the container, nor in an exec" {
	ignoring() { python3 -c 'import os, signal, sys
for s in signal.SIGPIPE, signal.SIGQUIT, signal.SIGRTMAX: signal.signal(s, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
os.execv(sys.argv[1], sys.argv[1:])' "$BIN/volrun" --root "$ROOT" "$@"; }
	# Without a shell, which has signals of its own to ignore.
	local none=$'SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000'
	bundle c1 '' '.process.args = ["grep", "-E", "^Sig(Ign|Blk)", "/proc/self/status"]'
	try ignoring run --bundle "$T/c1" c1
	ok
	is "$output" "$none"
	bundle c2 'sleep 100'
	volrun run --detach --bundle "$T/c2" c2
	try ignoring exec c2 grep -E '^Sig(Ign|Blk)' /proc/self/status
	ok
	is "$output" "$none"
	volrun delete --force c2
}

@test "activated descriptors come first, then the preserved ones, and the names go with them" {
	bundle c1 'cat /proc/self/fd/3 /proc/self/fd/4; env | grep ^LISTEN_ | sort'
	echo one >"$T/one"
	echo two >"$T/two"
	LISTEN_FDS=1 LISTEN_FDNAMES=first try volrun_fds run --preserve-fds 1 --bundle "$T/c1" c1
	ok
	is "$output" $'one\ntwo\nLISTEN_FDNAMES=first\nLISTEN_FDS=1\nLISTEN_PID=1'
	# More than there are.
	LISTEN_FDS=3 try volrun_fds run --bundle "$T/c1" c1
	like "$output" 'LISTEN_FDS=2'
	LISTEN_FDS=3 try volrun_fds run --preserve-fds 1 --bundle "$T/c1" c1
	not_ok 'LISTEN_FDS=3: descriptor 5'
	# Meant for another process.
	LISTEN_FDS=1 LISTEN_PID=1 try volrun_fds run --bundle "$T/c1" c1
	unlike "$output" LISTEN
}
# As volrun, with the descriptors 3 and 4 on the two files.
volrun_fds() { timeout -k 5 60 "$BIN/volrun" --root "$ROOT" "$@" 3<"$T/one" 4<"$T/two"; }

@test "run.oci.pidfd_receiver gets a pidfd of init" {
	python3 -c 'import array, os, socket, sys
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(1)
c = s.accept()[0]; anc = c.recvmsg(100, 1000)[1]; fd = array.array("i", anc[0][2])[0]
print([l.split()[1] for l in open("/proc/self/fdinfo/%d" % fd) if l.startswith("Pid:")][0])' "$T/s.sock" >"$T/out" 3>&- 4>&- &
	local receiver=$!
	until_true 5 test -S "$T/s.sock"
	bundle c1 'sleep 30 & wait' ".annotations[\"run.oci.pidfd_receiver\"] = \"$T/s.sock\""
	try volrun run --detach --bundle "$T/c1" c1
	ok
	wait "$receiver"
	is "$(<"$T/out")" "$(pid_of c1)"
	volrun delete --force c1
}

@test "exec joins the session keyring of the container" {
	[[ -e /proc/keys ]] || skip "this kernel shows no keys"
	# Keys live longer than their containers: a name of its own.
	local id=keys$BASHPID
	bundle "$id" "grep -c _ses.$id /proc/keys; sleep 30" '.linux.maskedPaths = []'
	volrun_bg run --bundle "$T/$id" "$id" >"$T/out"
	until_true 10 test -s "$T/out"
	is "$(<"$T/out")" 1
	is "$(volrun exec "$id" grep -c "_ses.$id" /proc/keys)" 1
	volrun delete --force "$id"
	ended $!
}

@test "a terminal that the runtime serves ends lines with LF alone" {
	bundle c1 'echo one; echo two' '.process.terminal = true'
	try volrun run --bundle "$T/c1" c1
	ok
	is "$(<"$T/stdout" od -An -c | tr -d ' \n')" 'one\ntwo\n'
}

# --- what could not be had ---------------------------------------------------------------

@test "an unknown capability is one warning in a text log, none in JSON; on stderr where there is no log" {
	bundle c1 'true' '.process.capabilities.bounding += ["CAP_FROB"]'
	try volrun --log "$T/log" run --bundle "$T/c1" c1
	ok
	is "$stderr" ""
	is "$(grep -c 'level=warning.*CAP_FROB' "$T/log")" 1
	try volrun --log "$T/json" --log-format json run --bundle "$T/c1" c1
	is "$stderr$(<"$T/json")" ""
	try volrun --log "$T/json" --log-format json --log-level warning run --bundle "$T/c1" c1
	is "$(jq -r .level "$T/json")" warning
	like "$(jq -r .msg "$T/json")" CAP_FROB
	try volrun create --bundle "$T/c1" c1
	ok
	is "$stderr" "volrun: warning: process.capabilities: ignoring unknown or unavailable capabilities: [CAP_FROB]"
	volrun delete --force c1
	# Still: the error and nothing else.
	config c1 '.process.args = ["/nothing"]'
	rm "$T/json"
	try volrun --log "$T/json" --log-format json run --bundle "$T/c1" c1
	is "$(jq -r .level "$T/json")" error
	bundle c1 'sleep 30 & wait'
	try volrun run --detach --bundle "$T/c1" c1
	exec_json '.args = ["true"] | .capabilities.bounding += ["CAP_FROB"]'
	try volrun --log "$T/exec" exec --process "$T/process.json" c1
	ok
	is "$(grep -c 'level=warning.*CAP_FROB' "$T/exec")" 1
	# Typed: a mistake.
	try volrun exec --cap CAP_FROB c1 true
	is "$status" 255
	like "$stderr" 'CAP_FROB'
	volrun delete --force c1
}

# --- features ------------------------------------------------------------------------------

@test "what features announces is taken by create, one by one" {
	local f=$T/features value
	try "$BIN/volrun" features
	ok
	is "$stderr" ""
	printf '%s\n' "$output" >"$f"
	# The shape of runtime-spec's features.md.
	jq -e '(.ociVersionMin, .ociVersionMax | type == "string") and ([.hooks, .mountOptions, .linux.namespaces, .linux.capabilities,
		.linux.seccomp.actions, .linux.seccomp.operators, .linux.seccomp.archs, .linux.seccomp.knownFlags, .linux.seccomp.supportedFlags,
		.linux.memoryPolicy.modes, .linux.memoryPolicy.flags, .potentiallyUnsafeConfigAnnotations] | map(type == "array" and (map(type == "string") | all)) | all)
		and ([.linux.cgroup[], .linux.seccomp.enabled, .linux.apparmor.enabled, .linux.selinux.enabled, .linux.intelRdt.enabled,
		.linux.netDevices.enabled, .linux.mountExtensions.idmap.enabled] | map(type == "boolean") | all)
		and (.annotations | map_values(type == "string") | all)' "$f"
	jq -e '(.linux.seccomp.supportedFlags - .linux.seccomp.knownFlags) == []' "$f"
	jq -e '.potentiallyUnsafeConfigAnnotations | index("dev.volrun.") and index("run.oci.seccomp_bpf_data")' "$f"
	for value in $(jq -r '.linux.seccomp.actions[]' "$f"); do
		[[ $value != SCMP_ACT_NOTIFY ]] || continue # it needs a receiver, see runtime_seccomp.bats
		container c1 true ".linux.seccomp = {defaultAction: \"SCMP_ACT_ALLOW\", syscalls: [{names: [\"sethostname\"], action: \"$value\"}]}"
		ok
	done
	for value in $(jq -r '.linux.seccomp.operators[]' "$f"); do
		container c1 true ".linux.seccomp = {defaultAction: \"SCMP_ACT_ALLOW\", syscalls: [{names: [\"sethostname\"], action: \"SCMP_ACT_KILL\", args: [{index: 1, value: 1, op: \"$value\"}]}]}"
		ok
	done
	container c1 true ".linux.seccomp = {defaultAction: \"SCMP_ACT_ALLOW\", flags: $(jq -c .linux.seccomp.supportedFlags "$f"), architectures: $(jq -c '.linux.seccomp.archs | map(select(test("X86|X32|AARCH64|ARM$")))' "$f")}"
	ok
	container c1 true ".process.capabilities.bounding = $(jq -c .linux.capabilities "$f")"
	ok
	for value in MPOL_DEFAULT MPOL_LOCAL MPOL_PREFERRED; do
		jq -e ".linux.memoryPolicy.modes | index(\"$value\")" "$f"
		[[ ! -e /proc/self/numa_maps ]] || { container c1 true ".linux.memoryPolicy = {mode: \"$value\"}" && ok; }
	done
}
