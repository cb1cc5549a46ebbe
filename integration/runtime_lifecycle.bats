#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The commands of the runtime, as docker, podman and people use them.

load lib/common
setup() { common_setup; }
teardown() { common_teardown; }

@test "run prints what the process prints and ends with its status" {
	container c1 'echo out; echo err >&2; exit 7'
	is "$status" 7
	is "$output" out
	is "$stderr" err
}

@test "run of a process that succeeds ends with 0" {
	container c1 'true'
	ok
	is "$stderr" ""
}

@test "run of a process killed by signal 9 ends with 137" {
	# A pid 1 can't kill itself: its child is killed.
	container c1 'sh -c "kill -9 \$\$"; exit $?'
	is "$status" 137
}

@test "run of a container killed from outside ends with 128 + the signal" {
	bundle c1 'sleep 100'
	volrun_bg run --bundle "$T/c1" c1
	local rt=$!
	until_true 10 eval '[[ $(status_of c1) == running ]]'
	volrun kill c1 KILL
	ended "$rt"
	is "$status" 137
}

@test "stdin reaches the process" {
	bundle c1 'read x; echo "got $x"'
	try volrun run --bundle "$T/c1" c1 <<<"hello"
	is "$output" "got hello"
}

@test "create, start, kill, delete: the state follows" {
	bundle c1 'trap "exit 3" TERM; while :; do sleep 0.1; done'
	volrun create --bundle "$T/c1" --pid-file "$T/pid" c1 </dev/null >"$T/log" 2>&1
	is "$(status_of c1)" created
	is "$(pid_of c1)" "$(cat "$T/pid")"
	volrun start c1
	is "$(status_of c1)" running
	sleep 0.3
	volrun kill c1 TERM
	until_true 10 eval '[[ $(status_of c1) == stopped ]]'
	is "$(pid_of c1)" 0
	volrun delete c1
	try volrun state c1
	not_ok "does not exist"
}

@test "the state has the members that callers read" {
	bundle c1 'sleep 100' '.annotations = {"a.b": "c"}'
	volrun create --bundle "$T/c1" c1 </dev/null >"$T/log" 2>&1
	try volrun state c1
	ok
	is "$(jq -r .id <<<"$output")" c1
	is "$(jq -r .bundle <<<"$output")" "$T/c1"
	is "$(jq -r .rootfs <<<"$output")" "$T/c1/rootfs"
	is "$(jq -r '.annotations["a.b"]' <<<"$output")" c
	like "$(jq -r .ociVersion <<<"$output")" '^1\.'
	like "$(jq -r .created <<<"$output")" '^20[0-9-]+T[0-9:.]+Z$'
	[[ -d /proc/$(jq -r .pid <<<"$output") ]]
	volrun delete --force c1
}

@test "nothing of the bundle's program runs before start" {
	bundle c1 'echo started >/data/mark; sleep 100'
	volrun create --bundle "$T/c1" c1 </dev/null >"$T/log" 2>&1
	sleep 0.3
	[[ ! -e $T/c1/rootfs/data/mark ]]
	volrun start c1
	until_true 5 test -e "$T/c1/rootfs/data/mark"
	volrun delete --force c1
}

@test "the pid file is the pid and nothing else" {
	bundle c1 'sleep 100'
	volrun create --bundle "$T/c1" --pid-file "$T/pid" c1 </dev/null >"$T/log" 2>&1
	is "$(wc -l <"$T/pid")" 0 "newlines"
	like "$(cat "$T/pid")" '^[1-9][0-9]*$'
	is "$(cat "/proc/$(cat "$T/pid")/status" | awk '/^NSpid:/ { print $NF }')" 1
	volrun delete --force c1
}

@test "an id that is in use is refused, and the first container lives on" {
	bundle c1 'sleep 100'
	volrun create --bundle "$T/c1" c1 </dev/null >"$T/log" 2>&1
	try volrun create --bundle "$T/c1" c1
	not_ok "exists|in use"
	is "$(status_of c1)" created
	volrun start c1
	is "$(status_of c1)" running
	volrun delete --force c1
}

@test "of two creates of one id at once, exactly one wins" {
	local i pids=() rc won
	for i in 1 2; do bundle "b$i" 'sleep 100'; done
	for i in 1 2; do
		"$BIN/volrun" --root "$ROOT" create --bundle "$T/b$i" same </dev/null >"$T/log$i" 2>&1 3>&- 4>&- &
		pids+=($!)
	done
	won=0
	for i in "${pids[@]}"; do
		rc=0
		wait "$i" || rc=$?
		((rc == 0)) && won=$((won + 1))
	done
	is "$won" 1 "winners"
	is "$(status_of same)" created
	volrun delete --force same
}

@test "a command on an unknown id says that it does not exist" {
	local c
	for c in state start kill delete; do
		try volrun "$c" nobody
		not_ok "does not exist"
	done
}

@test "delete --force of an unknown id succeeds silently" {
	try volrun delete --force nobody
	ok
	is "$output$stderr" ""
}

@test "a container can't be started twice" {
	bundle c1 'sleep 100'
	volrun create --bundle "$T/c1" c1 </dev/null >"$T/log" 2>&1
	volrun start c1
	try volrun start c1
	not_ok
	is "$(status_of c1)" running
	volrun delete --force c1
}

@test "kill of a stopped container says that it is not running" {
	bundle c1 'true'
	volrun create --bundle "$T/c1" c1 </dev/null >"$T/log" 2>&1
	volrun start c1
	until_true 10 eval '[[ $(status_of c1) == stopped ]]'
	try volrun kill c1 KILL
	not_ok "container not running"
	volrun delete c1
}

@test "kill takes a signal as a name, with SIG or without, in any case, or as a number" {
	local s
	for s in USR1 SIGUSR1 usr1 10; do
		bundle c1 'trap "exit 55" USR1; echo up >/data/up; while :; do sleep 0.05; done'
		rm -f "$T/c1/rootfs/data/up"
		volrun_bg run --bundle "$T/c1" c1
		local rt=$!
		until_true 10 test -e "$T/c1/rootfs/data/up"
		volrun kill c1 "$s"
		ended "$rt"
		is "$status" 55 "after kill $s"
	done
}

@test "kill's default signal is TERM; an unknown signal is refused" {
	bundle c1 'trap "exit 56" TERM; echo up >/data/up; while :; do sleep 0.05; done'
	volrun_bg run --bundle "$T/c1" c1
	local rt=$!
	until_true 10 test -e "$T/c1/rootfs/data/up"
	try volrun kill c1 NOSUCH
	not_ok
	try volrun kill c1 4711
	not_ok
	volrun kill c1
	ended "$rt"
	is "$status" 56
}

@test "kill --all KILL ends every process of a container that shares the pid namespace" {
	bundle c1 'sleep 1000 & sleep 1000 & wait' 'del(.linux.namespaces[] | select(.type == "pid"))'
	volrun run --detach --bundle "$T/c1" c1 </dev/null >"$T/log" 2>&1
	until_true 10 eval '(($(left_processes | grep -c "sleep 1000") >= 2))'
	volrun kill --all c1 KILL
	until_true 10 eval '[[ -z $(left_processes) ]]'
	volrun delete c1
}

@test "delete of a running container needs --force" {
	bundle c1 'sleep 100'
	volrun run -d -b "$T/c1" c1 </dev/null >"$T/log" 2>&1
	try volrun delete c1
	not_ok
	is "$(status_of c1)" running
	try volrun delete -f c1
	ok
}

@test "delete of a created container ends it" {
	bundle c1 'sleep 100'
	volrun create --bundle "$T/c1" c1 </dev/null >"$T/log" 2>&1
	try volrun delete c1
	ok
}

@test "delete ends what the container left running" {
	bundle c1 'sleep 1000 & exit 0' 'del(.linux.namespaces[] | select(.type == "pid"))'
	volrun run --detach --bundle "$T/c1" c1 </dev/null >"$T/log" 2>&1
	until_true 10 eval '[[ $(status_of c1) == stopped ]]'
	volrun delete --force c1
}

@test "list shows containers as a table, as JSON and as ids" {
	local id
	for id in c1 c2; do
		bundle "$id" 'sleep 100'
		volrun create --bundle "$T/$id" "$id" </dev/null >"$T/log" 2>&1
	done
	volrun start c2
	try volrun list
	ok
	like "${lines[0]}" '^ID +PID +STATUS +BUNDLE +CREATED +OWNER'
	is "${#lines[@]}" 3
	try volrun list --format json
	ok
	is "$(jq -r 'sort_by(.id) | map(.id + " " + .status) | join(",")' <<<"$output")" "c1 created,c2 running"
	try volrun list -q
	is "$(sort <<<"$output" | tr '\n' ' ')" "c1 c2 "
	volrun delete --force c1
	volrun delete --force c2
}

@test "list of nothing is empty, and its JSON an empty list" {
	try volrun list -q
	ok
	is "$output" ""
	try volrun list --format=json
	ok
	is "$(jq -c '. // []' <<<"$output")" "[]"
}

@test "what spec writes is a bundle that runs" {
	mkdir "$T/c1"
	cp -a "$SUITE/rootfs" "$T/c1/rootfs"
	volrun spec --bundle "$T/c1"
	is "$(jq -r .process.terminal "$T/c1/config.json")" true
	config c1 --arg cg "/$CG/c1" '.process.terminal = false | .process.args = ["echo", "hello"] | .linux.cgroupsPath = $cg'
	try volrun run --bundle "$T/c1" c1
	ok
	is "$output" hello
}

@test "spec does not overwrite a config.json" {
	bundle c1 true
	try volrun spec --bundle "$T/c1"
	not_ok "exists"
}

@test "the bundle's default is the working directory" {
	bundle c1 'echo here'
	cd "$T/c1"
	try volrun run c1
	ok
	is "$output" here
}

@test "options are taken with =, with a blank, short, and long with one dash" {
	bundle c1 'echo yes'
	local option
	for option in "--bundle=$T/c1" "--bundle $T/c1" "-b $T/c1" "-bundle $T/c1" "-bundle=$T/c1"; do
		# shellcheck disable=SC2086
		try volrun run $option c1
		is "$output" yes "$option"
	done
	try volrun run --no-subreaper --no-new-keyring --keep=false --bundle "$T/c1" c1
	is "$output" yes
}

@test "a flag without its value says: flag needs an argument" {
	try volrun create --bundle
	((status != 0))
	like "$output$stderr" "flag needs an argument|requires an argument"
}

@test "an unknown command, an unknown flag and a missing id are refused" {
	try volrun frobnicate
	((status != 0))
	[[ -n $stderr ]]
	try volrun create --frobnicate c1
	((status != 0))
	[[ -n $stderr ]]
	try volrun start
	((status != 0))
	[[ -n $stderr ]]
	try volrun start a b
	((status != 0))
	[[ -n $stderr ]]
}

@test "--version and --help end with 0 and print on stdout alone" {
	try volrun --version
	ok
	like "${lines[0]}" '^volrun version [0-9]'
	like "$output" 'spec: 1\.'
	like "${lines[3]}" '^\+SYSTEMD .*\+CAP \+SECCOMP \+EBPF '
	is "$stderr" ""
	try volrun --help
	ok
	like "$output" create
	is "$stderr" ""
}

@test "an id that could leave the state directory is refused" {
	bundle c1 'true'
	local id
	for id in . .. a/b /a ../a 'a b' "$(printf 'x%.0s' {1..1000})" ''; do
		try volrun run --bundle "$T/c1" -- "$id"
		not_ok
	done
}

@test "a command that is not there: executable file not found" {
	bundle c1 'true' '.process.args = ["/nosuch"]'
	try volrun run --bundle "$T/c1" c1
	not_ok "no such file|executable file not found"
	bundle c1 'true' '.process.args = ["nosuch"]'
	try volrun create --bundle "$T/c1" c1
	not_ok "executable file not found"
}

@test "a command that is not executable: permission denied" {
	bundle c1 'true' '.process.args = ["/etc/passwd"]'
	try volrun run --bundle "$T/c1" c1
	not_ok "[Pp]ermission denied"
}

@test "with --log and json, a failure is exactly one object in the log and one line on stderr" {
	bundle c1 'true' '.process.args = ["nosuch"]'
	try volrun --log "$T/log.json" --log-format json create --bundle "$T/c1" c1
	not_ok
	is "$(wc -l <"$T/log.json")" 1 "lines in the log"
	is "$(jq -r .level "$T/log.json")" error
	like "$(jq -r .msg "$T/log.json")" "executable file not found"
	jq -r .time "$T/log.json" | grep -E '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})$'
}

@test "with --log and json, success writes nothing to the log" {
	bundle c1 'true'
	try volrun --log "$T/log.json" --log-format=json run --bundle "$T/c1" c1
	ok
	[[ ! -s $T/log.json ]]
	try volrun --log-format xml run --bundle "$T/c1" c1
	not_ok
}

@test "--preserve-fds hands descriptors on, and no other gets in" {
	bundle c1 'ls /proc/self/fd; cat <&3'
	echo precious >"$T/file"
	try bash -c 'exec 3<"$1" 7<"$1"; timeout 60 "$2" --root "$3" run --preserve-fds 1 --bundle "$4" c1' - \
		"$T/file" "$BIN/volrun" "$ROOT" "$T/c1"
	ok
	like "$output" "precious"
	unlike "$output" $'\n7\n'
}

@test "--preserve-fds with a gap: what is open is handed on, and nothing of ours fills the gap, by run and by exec" {
	local look='ls /proc/self/fd | tr "\n" " "; cat <&9; cat <&30'
	bundle c1 "$look"
	echo nine >"$T/nine"
	echo thirty >"$T/thirty"
	with_gap() { timeout 60 "$BIN/volrun" --root "$ROOT" "$@" 3>&- 4>&- 10>&- 9<"$T/nine" 30<"$T/thirty"; }
	try with_gap run --preserve-fds 28 --bundle "$T/c1" c1
	ok
	# 3 is ls' own.
	is "$output" $'0 1 2 3 30 9 nine\nthirty'
	bundle c2 'sleep 100'
	volrun run --detach --bundle "$T/c2" c2
	try with_gap exec --preserve-fds 28 c2 sh -c "$look"
	ok
	is "$output" $'0 1 2 3 30 9 nine\nthirty'
	volrun delete --force c2
}

@test "a detached container does not keep the caller's pipe of the runtime open by itself" {
	bundle c1 'exec >/dev/null 2>&1 </dev/null; sleep 100'
	# Ends when all writers of the pipe have gone: the container closed its own.
	timeout 20 bash -c '"$1" --root "$2" run --detach --bundle "$3" c1 2>&1 </dev/null | cat' - "$BIN/volrun" "$ROOT" "$T/c1" 3>&- 4>&-
	volrun delete --force c1
}

@test "create killed in the middle leaves what delete --force can remove" {
	bundle c1 'sleep 100'
	config c1 --arg t "$T" '.hooks.createRuntime = [{path: "/bin/sh", args: ["sh", "-c", "echo $$ >\($t)/hook; exec sleep 20"]}]'
	volrun_bg create --bundle "$T/c1" c1
	local rt=$!
	until_true 10 test -s "$T/hook"
	kill -9 "$rt"
	wait "$rt" || :
	kill "$(cat "$T/hook")" 2>/dev/null || :
	try volrun delete --force c1
	ok
}

@test "a config.json cut short at every 64th byte is refused with one line, and leaves nothing" {
	bundle c1 'true'
	jq . "$T/c1/config.json" >"$T/whole"
	local size at
	size=$(stat -c %s "$T/whole")
	# The last two bytes are "}\n".
	for ((at = 0; at < size - 2; at += 64)); do
		head -c "$at" "$T/whole" >"$T/c1/config.json"
		try volrun create --bundle "$T/c1" c1
		not_ok "config.json" || fail "cut at $at"
		[[ -z $(left_state) ]] || fail "cut at $at: $(left_state)"
	done
	nothing_left
}

@test "a config.json that makes no sense is refused with one line that names the place" {
	refused() { # FILTER PATTERN
		bundle c1 'true' "$1"
		try volrun create --bundle "$T/c1" c1
		not_ok "$2" || fail "$1"
		[[ -z $(left_state) ]] || fail "$1: $(left_state)"
	}
	refused 'del(.ociVersion)' ociVersion
	refused '.ociVersion = "2.0.0"' ociVersion
	refused 'del(.root)' root
	refused '.root.path = "/nosuch"' '/nosuch|rootfs'
	refused 'del(.process.args)' args
	refused '.process.args = []' args
	refused '.process.cwd = "relative"' cwd
	refused '.process.user.uid = -1' uid
	refused '.process.user.uid = 4294967296' uid
	refused '.process.user.uid = "0"' uid
	refused '.linux.namespaces += [{type: "frob"}]' 'namespaces|frob'
	refused '.linux.namespaces += [{type: "pid"}]' 'namespaces|pid'
	refused '.mounts += [{type: "tmpfs", source: "x"}]' 'destination'
	refused '.mounts += [{destination: "/x", type: "bind", source: "/nosuch/dir", options: ["bind"]}]' '/nosuch/dir'
	refused '.process.rlimits = [{type: "RLIMIT_FROB", soft: 1, hard: 1}]' 'RLIMIT_FROB'
	refused '.process.rlimits = [{type: "RLIMIT_NOFILE", soft: 1024, hard: 512}]' 'rlimits'
	refused '.linux.sysctl = {"kernel.panic": "1"}' 'kernel.panic'
	refused '.linux.seccomp = {defaultAction: "SCMP_ACT_FROB"}' 'SCMP_ACT_FROB|defaultAction'
	refused '.hooks.prestart = [{path: "relative"}]' 'hooks|path'
	nothing_left
}

@test "a config.json that is absent, a directory, or endless is refused with one line" {
	mkdir -p "$T/c1"
	try volrun create --bundle "$T/c1" c1
	not_ok "config.json"
	mkdir "$T/c1/config.json"
	try volrun create --bundle "$T/c1" c1
	not_ok "config.json"
	rmdir "$T/c1/config.json"
	ln -s /dev/zero "$T/c1/config.json"
	try volrun create --bundle "$T/c1" c1
	not_ok
	try volrun create --bundle "$T/nosuch" c1
	not_ok
}

@test "without a cgroupsPath the container gets a cgroup of its own, which goes with it" {
	bundle c1 'cat /proc/self/cgroup' 'del(.linux.cgroupsPath)'
	local before
	before=$(find /sys/fs/cgroup -type d | sort | md5sum)
	try volrun run --bundle "$T/c1" "$CG-own"
	ok
	like "$output" "$CG-own"
	find /sys/fs/cgroup -type d -name "*$CG-own*" | grep . && fail "a cgroup is left"
	:
}

@test "features tells on stdout alone what create takes" {
	"$BIN/volrun" features >"$BATS_TEST_TMPDIR/features" 2>"$BATS_TEST_TMPDIR/err"
	[ ! -s "$BATS_TEST_TMPDIR/err" ]
	jq -e '.linux.namespaces | index("user")' "$BATS_TEST_TMPDIR/features"
	jq -e '.linux.mountExtensions.idmap.enabled' "$BATS_TEST_TMPDIR/features"
	jq -e '.mountOptions | index("rro")' "$BATS_TEST_TMPDIR/features"
	jq -e '.potentiallyUnsafeConfigAnnotations | index("dev.volrun.")' "$BATS_TEST_TMPDIR/features"
}
