#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Attacks by what the runtime is told and what it keeps: ids, its state directory, files that it writes for its caller,
# pids, annotations. See runtime_attacks.bats.

load lib/common

setup() { common_setup; }
teardown() { common_teardown; }

sleeper() {
	bundle "$1" 'exec sleep 1000' "${2:-.}"
	volrun run --detach --bundle "$T/$1" "$1" </dev/null >/dev/null 2>&1
}

# --- ids ----------------------------------------------------------------------------

@test "an id that is a path, too long, empty or not of its letters is refused by every command" {
	local id command long
	bundle c true
	mkdir "$T/victim"
	echo '{}' >"$T/mounts.json"
	long=$(head -c 1025 /dev/zero | tr '\0' a)
	for id in "" . .. ../victim / "/victim" a/b a/../b "a b" $'a\nb' $'a\n' $'a\tb' 'a$b' 'a;b' 'a*' $'\x01' 'ä' '@seccomp' "$long"; do
		for command in "create --bundle $T/c" "run --bundle $T/c" start state "delete" "delete --force" pause resume ps events update kill; do
			# shellcheck disable=SC2086 # words
			try volrun $command -- "$id"
			[[ $command != "delete --force" || $status != 0 ]] || fail "$command '$id' worked"
			not_ok
			unlike "$stderr" $'\x01'
		done
		try volrun exec -- "$id" true
		not_ok
		try volrun mounts add -- "$id" "$T/mounts.json"
		not_ok
	done
	[[ -d $T/victim && -z $(ls -A "$ROOT") ]] || fail "something was made or removed"
}

# --- the state directory ------------------------------------------------------------

@test "a container's directory that is a link is not followed, nor is one that becomes a link" {
	sleeper c
	mkdir "$T/other"
	cp -a "$ROOT/c/." "$T/other/"
	touch "$T/other/victim"
	ln -s "$T/other" "$ROOT/d"
	local command
	for command in state start kill delete "delete --force" ps pause; do
		try volrun $command d
		not_ok
	done
	try volrun exec d true
	not_ok
	bundle d true
	try volrun create --bundle "$T/d" d
	not_ok 'already exists'
	[[ -e $T/other/victim ]] || fail "the link's directory was emptied"
	is "$(status_of c)" running
	rm "$ROOT/d"
	# Links within it are removed, not followed.
	ln -s "$T/other" "$ROOT/c/link"
	ln -s "$T/other/victim" "$ROOT/c/link2"
	volrun delete --force c
	[[ -e $T/other/victim ]] || fail "what a link led to was removed"
}

@test "a state that is a link, a device or a directory: nothing else is read, written or removed" {
	local what pid command
	for what in "ln -s $T/host" "ln -s /dev/zero" "mkdir"; do
		sleeper c
		pid=$(pid_of c)
		printf secret >"$T/host"
		rm "$ROOT/c/state.json"
		$what "$ROOT/c/state.json"
		for command in state kill ps pause "exec"; do
			# shellcheck disable=SC2046 # a word or none
			try volrun $command c $([[ $command != exec ]] || echo true)
			not_ok
			unlike "$stderr" secret
		done
		try volrun delete --force c
		is "$(<"$T/host")" secret
		rm -rf "${ROOT:?}/c"
		kill -9 "$pid" 2>/dev/null || :
		until_true 5 eval '[[ -z $(left_processes) ]]'
		left_cgroups | sort -r | xargs -r rmdir
	done
}

@test "a container of another user is not acted on: its state could name any process and any hook" {
	sleeper c '.hooks.poststop = [{path: "/bin/touch", args: ["touch", "'"$T/hooked"'"]}]'
	local command
	chown -R 4321 "$ROOT/c"
	is "$(status_of c)" running
	for command in kill pause resume "delete --force" delete ps "exec"; do
		# shellcheck disable=SC2046,SC2086 # words
		try volrun $command c $([[ $command != exec ]] || echo true)
		not_ok 'belongs to another user'
	done
	[[ ! -e $T/hooked ]] || fail "its hook was run"
	chown -R 0 "$ROOT/c"
	is "$(status_of c)" running
	volrun delete --force c
	[[ -e $T/hooked ]]
}

@test "two creates of one id at once, 50 times: exactly one wins, and the container works" {
	local round a b won
	bundle c 'exec sleep 1000'
	for ((round = 0; round < 50; round++)); do
		volrun_bg create --bundle "$T/c" c >/dev/null 2>"$T/err-a"
		a=$!
		volrun_bg create --bundle "$T/c" c >/dev/null 2>"$T/err-b"
		b=$!
		won=0
		ended $a
		((status)) || won=$((won + 1))
		ended $b
		((status)) || won=$((won + 1))
		is $won 1 "winners in round $round: $(cat "$T"/err-?)"
		is "$(cat "$T"/err-? | grep -c 'already exists')" 1
		volrun start c
		volrun delete --force c
	done
}

@test "delete --force of a container whose create has not written its state yet ends it when that is done" {
	local pid
	bundle c 'exec sleep 1000'
	volrun create --bundle "$T/c" c </dev/null >/dev/null
	pid=$(pid_of c)
	# As long as create is at work it has the lock, and at first there is no state.
	mv "$ROOT/c/state.json" "$T/saved"
	flock "$ROOT/c" sh -c 'sleep 1; mv "$1" "$2"' - "$T/saved" "$ROOT/c/state.json" 3>&- 4>&- &
	sleep 0.2
	volrun delete --force c
	wait $!
	ended_by_now() { [[ ! -d /proc/$pid ]] || grep -q '^State:.Z' "/proc/$pid/status"; }
	until_true 3 ended_by_now
	nothing_left
}

@test "create and delete --force of one id at once, 30 times: nothing is left between them" {
	local round a b
	bundle c 'exec sleep 1000'
	for ((round = 0; round < 30; round++)); do
		volrun_bg create --bundle "$T/c" c >/dev/null 2>"$T/err-a"
		a=$!
		sleep 0.00$((RANDOM % 9))
		volrun_bg delete --force c >/dev/null 2>"$T/err-b"
		b=$!
		ended $a
		(($(wc -l <"$T/err-a") <= 1)) || fail "$(<"$T/err-a")"
		ended $b
		is $status 0 "delete: $(<"$T/err-b")"
		volrun delete --force c
		nothing_left
	done
}

# --- pids -----------------------------------------------------------------------------

@test "a pid that is another process by now is neither signalled nor killed, nor joined" {
	sleeper c
	# A process that is not ours, in no cgroup of the container; not of the same clock tick, as a recycled pid never is.
	sleep 0.1
	sleep 1000 3>&- 4>&- &
	local other=$! command
	kill -9 "$(pid_of c)"
	until_true 5 eval '[[ $(status_of c) == stopped ]]'
	jq --argjson p $other '.pid = $p' "$ROOT/c/state.json" >"$T/new" && cp "$T/new" "$ROOT/c/state.json"
	is "$(status_of c)" stopped
	is "$(pid_of c)" 0
	for command in kill "kill --all" pause start; do
		try volrun $command c
		[[ $command == "kill --all" ]] || not_ok
	done
	try volrun exec c true
	not_ok 'not running'
	try volrun kill c 9
	not_ok 'not running'
	volrun delete c
	kill -0 $other || fail "the other process was killed"
	kill $other
}

@test "a state with false numbers and paths: one line, and no process of the host is touched" {
	sleeper c
	local pid filter command
	pid=$(pid_of c)
	cp "$ROOT/c/state.json" "$T/good"
	sleep 1000 3>&- 4>&- &
	local other=$!
	for filter in '.pid = -1' '.pid = 1' '.pid = 0' '.pid = 4194305' '.pid = 1e3' '.pidStart = 0' '.pidStart = -1' \
		'.cgroupMode = 77' '.cgroupMode = -1' '.cgroupPath = "../../.."' '.cgroupPath = "/a/../../b"' '.cgroupPath = "x"' \
		'.id = "../other"' '.id = ""' '.bundle = ""' '.ociVersion = null' '.annotations = []' '.systemdScope = "../x"'; do
		jq "$filter" "$T/good" >"$ROOT/c/state.json"
		for command in state ps pause kill "exec" "list"; do
			# shellcheck disable=SC2046 # words
			try volrun $command $([[ $command == list ]] || echo c) $([[ $command != exec ]] || echo true) $([[ $command != kill ]] || echo CONT)
			((status == 0)) || not_ok
			((status < 128 || status == 255)) || fail "$filter, $command: $(show_last)"
		done
		try volrun resume c
	done
	kill -0 $other || fail "another process was killed"
	kill $other
	cp "$T/good" "$ROOT/c/state.json"
	volrun delete --force c
	[[ ! -e /proc/$pid/exe ]] || fail "init is left"
}

# --- files and sockets of the caller -------------------------------------------------------

@test "a pid file that is a link is replaced, a fifo too: nothing is written through, nobody waits" {
	bundle c 'exec sleep 1000'
	echo victim >"$T/victim"
	ln -s "$T/victim" "$T/pid"
	volrun run --detach --bundle "$T/c" --pid-file "$T/pid" c </dev/null >/dev/null 2>&1
	is "$(<"$T/victim")" victim
	[[ ! -L $T/pid ]] || fail "still a link"
	is "$(<"$T/pid")" "$(pid_of c)"
	rm "$T/pid"
	mkfifo "$T/pid"
	try volrun exec --detach --pid-file "$T/pid" c true
	ok
	[[ -f $T/pid ]]
	volrun delete --force c
	try volrun run --detach --bundle "$T/c" --pid-file "$T" c
	not_ok 'pid file'
	try volrun run --detach --bundle "$T/c" --pid-file "$T/nosuch/pid" c
	not_ok 'pid file'
}

@test "a console socket that is a link to nothing, a fifo, a file or a directory is one line at once" {
	bundle c 'exec sleep 1000' '.process.terminal = true'
	local make long
	long=$T/$(head -c 200 /dev/zero | tr '\0' s)
	for make in "ln -s $T/nosuch" mkfifo touch mkdir "ln -s tty"; do
		rm -rf "$T/tty"
		$make "$T/tty"
		try volrun create --bundle "$T/c" --console-socket "$T/tty" c
		not_ok 'console socket'
	done
	try volrun create --bundle "$T/c" --console-socket "$long" c
	not_ok
	try volrun create --bundle "$T/c" --console-socket "" c
	not_ok
}

@test "a config or process file that is a device, a directory, a link to itself or without end is one line" {
	bundle c 'exec sleep 1000'
	sleeper d
	local make
	for make in "ln -s /dev/zero" "ln -s /dev/null" mkdir "ln -s config.json"; do
		rm -rf "$T/c/config.json"
		$make "$T/c/config.json"
		try timeout 10 "$BIN/volrun" --root "$ROOT" run --bundle "$T/c" c
		not_ok
		try timeout 10 "$BIN/volrun" --root "$ROOT" exec --process "$T/c/config.json" d
		not_ok
	done
	volrun delete --force d
}

# --- annotations -----------------------------------------------------------------------

@test "annotations give nothing that an annotation may not give" {
	# What other runtimes have for privileges, paths and helpers, and what nobody has.
	bundle c 'grep CapEff /proc/self/status; id -u; ls /x 2>/dev/null; true'
	local base
	volrun run --bundle "$T/c" c >"$T/base"
	base=$(<"$T/base")
	config c --arg t "$T" '.annotations = {
		"run.oci.handler": "krun", "run.oci.capabilities": "all", "run.oci.privileged": "1",
		"run.oci.mount_context_type": "rootcontext", "run.oci.systemd.subgroup": "../../x",
		"run.oci.systemd.force_cgroup_v1": $t, "run.oci.seccomp.plugins": ($t + "/evil.so"), "org.criu.config": ($t + "/criu"),
		"module.wasm.image/variant": "compat", "dev.volrun.privileged": "1", "dev.volrun.hook": "/bin/touch", "dev.volrun.config": "/x",
		"dev.volrun.cache": "/", "dev.volrun.store": "/", "dev.volrun.endpoint": "http://127.0.0.1:1",
		"io.kubernetes.cri.sandbox-id": "../..", "org.systemd.property.ExecStart": "[\"/bin/touch\"]"}'
	try volrun run --bundle "$T/c" c
	ok
	is "$output" "$base"
	is "$(ls -A "$T" | grep -vE '^(c|state|base|stdout|stderr|shared)$' || :)" ""
}

@test "an annotation leads no container out of its cgroup" {
	bundle c true
	local path
	for path in .. ../.. a/../../b /a ""; do
		config c --arg p "$path" '.annotations["run.oci.delegate-cgroup"] = $p'
		try volrun run --bundle "$T/c" c
		not_ok 'annotation "run.oci.delegate-cgroup"'
	done
}

@test "annotations with paths: a receiver that isn't there, or is a fifo, is one line and nobody waits" {
	local key make
	for key in run.oci.pidfd_receiver run.oci.hooks.stdout run.oci.hooks.stderr; do
		for make in "mkfifo" "mkdir" "ln -s nosuch/nosuch" "ln -s where"; do
			bundle c true
			rm -rf "$T/where"
			$make "$T/where"
			config c --arg k $key --arg p "$T/where" '.annotations[$k] = $p | .hooks.prestart = [{path: "/bin/true"}]'
			try timeout 10 "$BIN/volrun" --root "$ROOT" run --bundle "$T/c" c
			not_ok
		done
	done
}
