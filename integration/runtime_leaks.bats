#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Each allocation of `create` fails in turn, and each third one (or $VOLRUN_FAULT_STEP) of the other commands: there is
# one line that says so, and nothing is left. And valgrind: no error path leaves memory or descriptors. Both need a
# runtime that is linked dynamically; it is linked here, of the same objects.
#
# valgrind of Debian 12 knows all system calls of volrun but clone3 and those of the container's side: what comes after
# that is shown by the descriptors that alloc.so counts, and by runtime_faults.bats.

load lib/common

setup_file() {
	local build=${VOLRUN_BIN:-$BATS_TEST_DIRNAME/../build}
	export DYNAMIC=$BATS_FILE_TMPDIR/volrun
	[[ -z ${VOLRUN_SANITIZED:-} && -e $build/runtime/main.o ]] || return 0
	cc -o "$DYNAMIC" "$build/runtime/main.o" "$build"/lib{runtime,oci,base}.a -lseccomp -lcap -lyajl -lm
	cc -O2 -shared -fPIC -o "$BATS_FILE_TMPDIR/alloc.so" "$BATS_TEST_DIRNAME/faults/alloc.c"
}
setup() {
	common_setup
	[[ -z ${VOLRUN_SANITIZED:-} ]] || skip "the sanitizers have an allocator of their own, and look for leaks themselves"
	[[ -x $DYNAMIC ]] || skip "the objects are not there: VOLRUN_BIN is no build directory"
}
teardown() { common_teardown; }

# --- allocations ------------------------------------------------------------------

# sweep BEFORE AFTER COMMAND...: for each allocation: BEFORE, the command with the fault, AFTER (both: functions).
sweep() {
	local before=$1 after=$2 n step=${STEP:-${VOLRUN_FAULT_STEP:-3}} where
	shift 2
	for ((n = 1 + RANDOM % step; ; n += step)); do
		"$before"
		rm -f "$T/report"
		status=0
		timeout -k 5 30 env LD_PRELOAD="$BATS_FILE_TMPDIR/alloc.so" VOLRUN_ALLOC_FAIL=$n VOLRUN_ALLOC_REPORT="$T/report" \
			"$DYNAMIC" --root "$ROOT" "$@" </dev/null >"$T/out" 2>"$T/err" 3>&- 4>&- || status=$?
		touch "$T/report"
		where="$* with allocation $n failing: status $status, $(<"$T/err"), $(<"$T/report")"
		((status != 124 && status != 125 && status != 134 && status != 139)) || fail "$where"
		((status == 0)) || (($(wc -l <"$T/err") == 1)) || fail "$where"
		! grep -q open "$T/report" || fail "a descriptor is left open: $where"
		"$after" || fail "$where"
		grep -q failed "$T/report" || break
	done
	echo "$n allocations at most"
}

nothing_before() { :; }
# Of the container: the whole search is done at each test's end.
gone() { [[ -z $(ls -A "$ROOT" | grep -v '^@seccomp$') ]] && ! compgen -G "/sys/fs/cgroup/$CG/c" && ! compgen -G "/sys/fs/cgroup/*/$CG/c"; } >/dev/null
forced() {
	volrun delete --force c || return 1
	gone
}
# The command that failed has removed everything itself.
undone() {
	((status == 0)) || gone || return 1
	((status)) || forced
}
# What failed after the container's end is told as a warning, and delete --force does it.
run_undone() {
	((status == 0)) || [[ $(<"$T/err") == *warning:* ]] || gone || return 1
	[[ ! -e $ROOT/c ]] || forced
}
created() { volrun create --bundle "$T/c" c </dev/null >/dev/null; }
as_before() { [[ $(status_of c) == running ]]; }

rich='.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", architectures: ["SCMP_ARCH_X86_64"], syscalls: [{names: ["kexec_load"], action: "SCMP_ACT_ERRNO"}]}
	| .linux.sysctl = {"net.ipv4.ip_forward": "1"} | .annotations = {a: "b"} | .linux.devices = [{path: "/dev/x", type: "c", major: 1, minor: 3}]
	| .mounts += [{destination: "/tmp/a/b", type: "tmpfs", source: "tmpfs", options: ["tmpcopyup", "size=1m"]},
		{destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup"}]
	| .hooks = {prestart: [{path: "/bin/true"}], createContainer: [{path: "/bin/true"}], poststop: [{path: "/bin/true"}]}
	| .linux.resources = {devices: [{allow: false, access: "rwm"}]}'

@test "create: an allocation that fails" {
	bundle c true "$rich"
	STEP=1 sweep nothing_before undone create --bundle "$T/c" c
}

@test "create that fails anyhow: an allocation that fails in the undoing leaves nothing either" {
	bundle c true '.hooks = {createRuntime: [{path: "/bin/false"}]}'
	STEP=1 sweep nothing_before undone create --bundle "$T/c" c
	((status != 0)) || fail "the hook does not fail: $(show_last)"
}

@test "create in a user namespace: an allocation that fails" {
	bundle c true
	in_userns c
	sweep nothing_before undone create --bundle "$T/c" c
}

@test "run: an allocation that fails" {
	bundle c true
	sweep nothing_before run_undone run --bundle "$T/c" c
}

@test "start, delete, kill: an allocation that fails" {
	bundle c 'exec sleep 1000'
	sweep created forced start c
	sweep created forced delete --force c
	sweep created forced kill c KILL
}

@test "exec, mounts, state, ps, pause, update, events: an allocation that fails does nothing to the container" {
	bundle c 'exec sleep 1000' "$rich | del(.hooks)"
	volrun run --detach --bundle "$T/c" c </dev/null >/dev/null 2>&1
	sweep nothing_before as_before exec c true
	echo '[{"destination":"/tmp/m","type":"tmpfs","source":"tmpfs"}]' >"$T/mounts.json"
	echo '{"devices": [{"allow": false, "access": "rwm"}, {"allow": true, "type": "c", "major": 1, "minor": 3, "access": "rw"}]}' >"$T/update.json"
	sweep nothing_before as_before mounts add c "$T/mounts.json"
	local command
	for command in state ps "update --resources $T/update.json" "events --stats"; do
		# shellcheck disable=SC2086 # words
		sweep nothing_before as_before $command c
	done
	sweep nothing_before true pause c
	volrun resume c || :
	# None of the processes that were to join is left.
	alone() { [[ $(volrun ps --format json c) == "[$(pid_of c)]" ]]; }
	until_true 5 alone
	volrun delete --force c
}

@test "features, spec, list: an allocation that fails" {
	sweep nothing_before true features
	sweep nothing_before true list
	mkdir "$T/new"
	spec_removed() { rm -f "$T/new/config.json"; }
	sweep spec_removed true spec --bundle "$T/new"
}

# --- valgrind ----------------------------------------------------------------------

# no_leaks COMMAND...: whatever its status is. bats' own descriptors are not inherited.
no_leaks() {
	status=0
	valgrind -q --track-fds=yes --leak-check=full --show-leak-kinds=definite,indirect --errors-for-leak-kinds=definite,indirect \
		--error-exitcode=99 --log-file="$T/valgrind" "$DYNAMIC" --root "$ROOT" "$@" </dev/null >"$T/out" 2>"$T/err" 3>&- 4>&- || status=$?
	((status != 99)) || fail "$*: $(<"$T/err")" "$(<"$T/valgrind")"
	# Descriptors that it has not inherited.
	! grep -A1 'Open file descriptor\|Open AF_' "$T/valgrind" | grep -v -e '^--' -e 'Open ' | grep -qv 'inherited' ||
		fail "$*: descriptors: $(<"$T/err")" "$(<"$T/valgrind")"
}

@test "valgrind: create leaves no memory and no descriptor, wherever it fails" {
	command -v valgrind >/dev/null || skip "valgrind is not installed"
	local filter
	# The first one fails at clone3, which valgrind lacks: with everything made that comes before.
	for filter in '.' "$rich" '.linux.seccomp.defaultAction = "x"' '.mounts[0].options = ["bind"]' '.root.path = "/nosuch"' \
		'.linux.namespaces[0].path = "/nosuch"' '.process.args = []' '.linux.maskedPaths = [1]' '.annotations = 5' \
		'.annotations = {"run.oci.pidfd_receiver": "/nosuch"}' '.process.terminal = true' '.linux.cgroupsPath = "../x"' \
		'.linux.resources = {unified: {"a/b": "c"}}' '.linux.sysctl = {"kernel.x": "1"}' '.hooks = {prestart: [{}]}' \
		'.linux.seccomp = {defaultAction: "SCMP_ACT_NOTIFY", listenerPath: "/nosuch"}' '.linux.namespaces += [{type: "user"}]'; do
		bundle c true
		config c "$filter"
		no_leaks create --bundle "$T/c" c
		no_leaks run --bundle "$T/c" c
	done
	bundle c true
	no_leaks create --bundle "$T/c" --console-socket /nosuch c
	no_leaks create --bundle "$T/c" --pid-file /nosuch/x --pidfd-socket /nosuch c
	no_leaks create --bundle "$T/nosuch" c
	no_leaks create --bundle "$T/c" --config /dev/null c
}

@test "valgrind: the other commands leave no memory and no descriptor, in success and in error" {
	command -v valgrind >/dev/null || skip "valgrind is not installed"
	bundle c 'exec sleep 1000' "$rich"
	created
	local command
	for command in "state c" "state nosuch" "exec c true" "list" "ps c" "events --stats c" "start c" "start c" "create --bundle $T/c c" \
		"delete c" "exec c true" "exec --process /nosuch c" "exec --cap x c true" "exec --user x c true" "exec nosuch true" "exec --cwd x c true" \
		"pause c" "exec c true" "resume c" "resume c" "update --memory x c" "update --pids-limit 10 c" "update --resources /nosuch c" \
		"mounts add c /nosuch" "mounts add c $T/c/config.json" "mounts remove c $T/c/config.json" "kill c NOSUCH" "kill c KILL" "kill --regex ( x" \
		"delete --force c" "delete --force c" "delete c" "spec --bundle /nosuch" "nosuch" "create" "--root $T/c/config.json/x create --bundle $T/c c"; do
		# shellcheck disable=SC2086 # words
		no_leaks $command
	done
}
