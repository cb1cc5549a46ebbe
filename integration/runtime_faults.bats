#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Every system call of a command fails in turn, and its process is killed at every call in turn: each time
# there is one line that says so, and nothing is left, or nothing that `delete --force` doesn't remove.
#
# $VOLRUN_FAULT_STEP: each how-manieth call (default 9, from a random first one; 1: all, in some minutes).
load lib/common
load lib/volume

setup_file() { cc -O2 -o "$BATS_FILE_TMPDIR/inject" "$BATS_TEST_DIRNAME/faults/inject.c"; }
setup() { common_setup; }
teardown() { common_teardown; }

unsanitized() {
	[[ -z ${VOLRUN_SANITIZED:-} ]] || skip "the sanitizers' own system calls would fail, and they abort; shown by the usual build"
}

# sweep ERRNO|KILL BEFORE AFTER COMMAND...: for each call: BEFORE, the command with the fault, AFTER (both: functions).
sweep() {
	local error=$1 before=$2 after=$3 step=${VOLRUN_FAULT_STEP:-9} n
	shift 3
	# The first is the execve of the command itself.
	n=$((2 + RANDOM % step))
	echo "errno $error, calls $n, $n + $step, ..."
	for (( ; ; n += step)); do
		"$before"
		status=0
		timeout -k 5 30 "$BATS_FILE_TMPDIR/inject" "$n" "$error" "$BIN/volrun" --root "$ROOT" "$@" \
			</dev/null >"$T/out" 2>"$T/err" 3>"$T/call" 4>&- || status=$?
		where="$* with call $(<"$T/call") failing ($error): status $status, $(<"$T/err")"
		((status != 124 && status != 125 && status != 134 && status != 139)) || fail "$where"
		# A failure is told in one line; who was killed can't tell.
		[[ $error == KILL || $status == 0 ]] || (($(wc -l <"$T/err") == 1)) || fail "$where"
		"$after" || fail "$where"
		[[ -s $T/call ]] || break
	done
	echo "$n calls at most"
}

nothing_before() { :; }

# What is there now is removed by delete --force, all of it.
forced() {
	volrun delete --force c || return 1
	nothing_left
}

# The command that failed has removed everything itself.
undone() {
	((status == 0)) || nothing_left || return 1
	forced
}

# As undone, but for what failed after the container's end: that is told as a warning, and delete --force does it.
run_undone() {
	((status == 0)) || [[ $(<"$T/err") == *warning:* ]] || nothing_left || return 1
	forced
}

for_each_fault() { # COMMAND...
	local error
	for error in 12 5 24; do sweep $error "$@"; done
}

@test "run: a system call that fails" {
	unsanitized
	bundle c true
	for_each_fault nothing_before run_undone run --bundle "$T/c" c
}

@test "create: a system call that fails" {
	unsanitized
	bundle c true
	for_each_fault nothing_before undone create --bundle "$T/c" c
}

@test "run and create, killed at any system call" {
	unsanitized
	bundle c true
	sweep KILL nothing_before forced run --bundle "$T/c" c
	sweep KILL nothing_before forced create --bundle "$T/c" c
}

created() { volrun create --bundle "$T/c" c </dev/null >/dev/null; }

@test "start and delete: a system call that fails, or a kill" {
	unsanitized
	bundle c 'exec sleep 1000'
	for error in 12 KILL; do
		sweep $error created forced start c
		sweep $error created forced delete --force c
	done
}

alone() { [[ $(volrun ps --format json c) == "[$(pid_of c)]" ]]; }

# The container is as it was, with nothing but its init in it.
as_before() {
	[[ $(status_of c) == running ]] && until_true 5 alone
}

# Without a cgroup, which would be in the way of its removal.
@test "delete of a container that runs: no system call that fails makes it one that has ended" {
	unsanitized
	bundle c 'exec sleep 1000'
	volrun --cgroup-manager disabled run --detach --bundle "$T/c" c </dev/null >/dev/null 2>&1
	local n
	for ((n = 2; ; n++)); do
		status=0
		"$BATS_FILE_TMPDIR/inject" "$n" 24 "$BIN/volrun" --root "$ROOT" delete c </dev/null >"$T/out" 2>"$T/err" 3>"$T/call" 4>&- || status=$?
		[[ $status != 0 && $(status_of c) == running ]] || fail "call $(<"$T/call") failing: status $status, $(<"$T/err")"
		[[ -s $T/call ]] || break
	done
	((n > 20)) || fail "only $n calls"
	volrun delete --force c
}

@test "exec: a system call that fails, or a kill, does nothing to the container" {
	unsanitized
	bundle c 'exec sleep 1000'
	volrun run --detach --bundle "$T/c" c </dev/null >/dev/null 2>&1
	for error in 12 5; do sweep $error nothing_before as_before exec c true; done
	sweep KILL nothing_before true exec c true
	until_true 5 as_before
	volrun delete --force c
}

no_processes() { [[ -z $(left_processes) ]]; }

# A torn state file is no reason to crash, or to keep anything.
@test "a state file cut short at every 16th byte: no command crashes, delete --force removes all" {
	bundle c 'exec sleep 1000'
	local size cut
	volrun run --detach --bundle "$T/c" c </dev/null >/dev/null 2>&1
	size=$(stat -c %s "$ROOT/c/state.json")
	volrun delete --force c
	for ((cut = 0; cut < size; cut += 16)); do
		volrun run --detach --bundle "$T/c" c </dev/null >/dev/null 2>"$T/run" || fail "cut at $cut, run: $(<"$T/run")"
		pid=$(pid_of c)
		truncate -s $cut "$ROOT/c/state.json"
		for command in state start "kill" pause ps "exec"; do
			# shellcheck disable=SC2046 # a word or none
			try volrun $command c $([[ $command != exec ]] || echo true)
			((status != 0 && status < 128 || status == 255)) || fail "$command with $cut bytes: $(show_last)"
		done
		volrun delete --force c
		[[ ! -e $ROOT/c ]] || fail "the state of a cut at $cut is left"
		# What the state told of is gone with it: the process is the test's to end.
		kill -9 "$pid" 2>/dev/null || :
		until_true 5 no_processes
		until_true 10 eval 'left_cgroups | sort -r | xargs -r rmdir 2>/dev/null'
	done
}

@test "of 16 creates of one id at once, exactly one wins" {
	bundle c 'exec sleep 1000'
	local i pids=() won=0
	for ((i = 0; i < 16; i++)); do
		volrun_bg create --bundle "$T/c" c 2>>"$T/errors"
		pids+=($!)
	done
	for i in "${pids[@]}"; do
		ended "$i"
		((status)) || won=$((won + 1))
	done
	is $won 1
	is "$(grep -c 'already exists' "$T/errors")" 15
	volrun start c
	volrun delete --force c
}

@test "a kernel before 5.12, without mount_setattr(2): one line says so, and nothing is held; doctor calls it a problem" {
	local old=("$T/without_call" 442)
	cc -O2 -o "$T/without_call" "$HERE/faults/without_call.c"
	node A
	bundle c1 'echo must not run'
	try "${old[@]}" "$BIN/volrun" --root "$ROOT" run --bundle "$T/c1" c1
	not_ok 'the kernel has no mount_setattr\(2\): containers need Linux 5.12 or newer'
	vbundle c2 "state /data" 'echo must not run'
	try on A "${old[@]}" "$BIN/volrun" --root "$T/state-A" run --bundle "$T/c2" c2
	not_ok 'the kernel has no mount_setattr\(2\): (containers|volumes) need Linux 5.12 or newer'
	is "$output" ""
	until_true 10 eval '[[ -z $(keepers) ]]'
	try on A "${old[@]}" "$BIN/volrun" doctor
	like "$output" 'problem: mount_setattr\(2\) – the kernel has not got it'
}
