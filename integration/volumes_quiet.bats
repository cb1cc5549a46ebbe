#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Who still has a volume's tree when its container has ended - by its mount namespace, by an open file - writes no
# more, or the commit says that it could, and nothing of what it writes is lost.

load lib/common
load lib/volume
setup() {
	common_setup
	node A ".lease.delete_wait = \"30s\""
	node B
	holders=()
}
teardown() {
	local pid
	for pid in "${holders[@]}"; do kill -9 "$pid" 2>/dev/null || :; done
	common_teardown
}

V="state /data"
head_of() { cat "$T/store/volumes/default/.volrun/state/head"; }
cached() { echo "$T/cache-A/main/default/state/$1"; }
idle() { [[ -z $(keepers) ]]; }

# begin NAME [SCRIPT]: a container of node A that runs; $PID is its init.
begin() {
	vstart A "$1" "$V" "${2:-echo one >/data/one}; sleep 100"
	until_true 10 test -e "$(cached rw/one)"
	PID=$(on A pid_of "$1")
}

# outside COMMAND...: a process that is in none of the container's cgroups.
outside() {
	"$@" </dev/null >/dev/null 2>&1 3>&- 4>&- &
	holders+=($!)
	HOLDER=$!
}

# stranger FILE: one with the file open, who writes when $T/go is there, and says so.
stranger() {
	outside bash -c 'exec 9>>"$1" || exit; : >"$2/ready"; until [[ -e $2/go ]]; do sleep 0.05; done; echo late >&9; : >"$2/done"; sleep 100' - "$1" "$T"
	until_true 10 test -e "$T/ready"
}

let_write() {
	: >"$T/go"
	until_true 10 test -e "$T/done"
}

# The stranger ends.
leave() {
	kill -9 "$HOLDER"
	wait "$HOLDER" || :
}

finish() {
	on A volrun delete --force "$1" >"$T/delete.log" 2>&1 || fail "$(cat "$T/delete.log")"
	until_true 30 idle
}

@test "a shell that somebody opened in the container's mounts can't write there any more when it has ended" {
	begin c1
	outside nsenter --mount --target "$PID" sh -c "cd /data; while ! [ -e $T/go ] && ! [ -e /data/go ]; do sleep 0.1; done"
	local before=$HOLDER
	outside nsenter --mount --target "$PID" sleep 100
	sleep 0.3
	finish c1
	is "$(head_of | jq -r '"\(.state) \(.commit.seq) \(.commit.unquiet)"')" "free 1 null"
	[[ -e $(cached clean) ]] || fail "not clean: $(ls "$(cached .)")"
	kill -0 "$before"
	try nsenter --mount --target "$HOLDER" sh -c 'cat /data/one; echo late >/data/late'
	like "$stderr" 'Read-only'
	is "$output" one
	vrun A c2 "$V" 'ls /data'
	is "$output" one
}

COVERED='.process.capabilities |= map_values(. + ["CAP_SYS_ADMIN"])'
@test "a container that mounted something over its volume, or above it, ends as any other" {
	vrun A c1 "state /workspace/data" 'cd /workspace/data; echo one >one; mount -t tmpfs none /workspace/data; echo not >/workspace/data/not' "$COVERED"
	ok
	is "$(head_of | jq -r '"\(.state) \(.commit.seq) \(.commit.unquiet)"')" "free 1 null"
	vrun A c2 "state /workspace/data" 'echo two >/workspace/data/two; mount -t tmpfs none /workspace; ls /workspace' "$COVERED"
	is "$output" ""
	is "$(head_of | jq -r '"\(.state) \(.commit.seq) \(.commit.unquiet)"')" "free 2 null"
	is "$stderr" ""
	vrun B c3 "$V" 'ls /data'
	is "$output" $'one\ntwo'
}

@test "a volume that its container mounted something over is unquiet while somebody else is in that namespace, or has a file of it open" {
	local how
	for how in namespace file; do
		vstart A "c$how" "$V" 'echo one >/data/one; mount -t tmpfs none /data; sleep 100' "$COVERED"
		PID=$(on A pid_of "c$how")
		until_true 10 eval 'grep -q " /data .* tmpfs" "/proc/$PID/mountinfo"'
		if [[ $how == file ]]; then
			rm -f "$T/ready"
			stranger "$(cached rw/one)"
		else
			outside nsenter --mount --target "$PID" sleep 100
			sleep 0.3
		fi
		on A volrun delete --force "c$how" >"$T/delete.log" 2>&1
		until_true 30 idle
		is "$(head_of | jq -r '"\(.state) \(.commit.unquiet)"')" "free true" "$how"
		leave
		vrun A "next$how" "$V" 'ls /data'
		is "$output" one
		is "$(head_of | jq -r '"\(.state) \(.commit.unquiet)"')" "free null" "$how"
	done
}

@test "somebody outside has a file open for writing: the commit is unquiet, and what is written late is committed by the next start" {
	vrun A c0 "$V" 'echo zero >/data/zero'
	begin c1
	stranger "/proc/$PID/root/data/log"
	finish c1
	is "$(head_of | jq -r '"\(.state) \(.commit.seq) \(.commit.unquiet) \(.finished.seq)"')" "free 2 true 1"
	like "$(cat "$T/delete.log")" "volume state: process $HOLDER \(bash\) outside of the container could still write"
	is "$(jq -r '"\(.result) \(.unquiet)"' "$(cached last-run.json)")" "committed true"
	is "$(on A volrun volume inspect state | jq -r '.. | .unquiet? // empty' | sort -u)" true
	[[ -e $(cached dirty) && ! -e $(cached clean) ]] || fail "$(ls "$(cached .)")"
	let_write
	leave
	vrun A c2 "$V" 'cat /data/log'
	is "$output" late
	is "$(head_of | jq -r '"\(.commit.seq) \(.commit.unquiet) \(.finished)"')" "3 null null"
	vrun B c3 "$V" 'cat /data/log /data/zero'
	is "$output" $'late\nzero'
}

@test "who has it open when the next one starts keeps the tree for himself" {
	begin c1
	stranger "/proc/$PID/root/data/log"
	finish c1
	is "$(head_of | jq -r .commit.unquiet)" true
	vrun A c2 "$V" 'ls /data; echo two >/data/two'
	is "$output" $'log\none'
	let_write
	is "$(cat "$(cached conflict-1/log)")" late
	is "$(cat "$(cached rw/log)")" ''
	try on A volrun volume conflicts ls
	like "$output" 'still wrote to it'
	is "$(head_of | jq -r '"\(.state) \(.commit.unquiet)"')" "free null"
}

@test "volume recover commits what was written late" {
	begin c1
	stranger "/proc/$PID/root/data/log"
	finish c1
	let_write
	leave
	try on A volrun volume recover
	ok
	like "$output" 'state: committed, commit 2'
	vrun B c2 "$V" 'cat /data/log'
	is "$output" late
}

@test "what was written late after another node had the volume is kept as a conflict" {
	begin c1
	stranger "/proc/$PID/root/data/log"
	finish c1
	vrun B c2 "$V" 'echo two >/data/two'
	let_write
	leave
	vrun A c3 "$V" 'ls /data'
	is "$output" $'log\none\ntwo'
	is "$(cat "$(cached conflict-1/log)")" late
}

@test "an unquiet commit takes nothing from the one before, though garbage is due" {
	vrun A c0 "$V" 'echo zero >/data/zero'
	head_of | jq -c '.collected = 1' >"$T/head" && cp "$T/head" "$T/store/volumes/default/.volrun/state/head"
	begin c1 'rm /data/zero; echo one >/data/one'
	stranger "/proc/$PID/root/data/log"
	finish c1
	local object
	object=$(head_of | jq -r .finished.object)
	[[ -f $T/store/volumes/default/.volrun/state/commits/$object ]] || fail "$object is gone"
	unlike "$(cat "$T/store/volumes/default/.volrun/state/garbage")" "$object"
	leave
	vrun A c2 "$V" 'echo two >/data/two'
	is "$(head_of | jq -r '"\(.collected > 1) \(.finished)"')" "true null"
}

@test "in a pod: who has a file open by one that ended first is seen when the last has ended" {
	vstart A c1 "$V" 'echo one >/data/one; sleep 100' '.annotations["io.kubernetes.cri.sandbox-id"] = "p1"'
	until_true 10 test -s "$(cached rw/one)"
	vstart A c2 "$V" 'echo two >/data/two; sleep 100' '.annotations["io.kubernetes.cri.sandbox-id"] = "p1"'
	until_true 10 test -s "$(cached rw/two)"
	stranger "/proc/$(on A pid_of c2)/root/data/log"
	on A volrun delete --force c2
	is "$(head_of | jq -r .state)" held
	# The other one goes on.
	on A volrun exec c1 sh -c 'echo more >/data/more'
	finish c1
	is "$(head_of | jq -r '"\(.state) \(.commit.unquiet) \(.stats.files)"')" "free true 4"
	let_write
	leave
	vrun A c3 "$V" 'cat /data/log'
	is "$output" late
}

@test "the keeper was killed, too: whoever still has a file open is seen by the recovery" {
	begin c1
	stranger "/proc/$PID/root/data/log"
	kill -9 "$(keepers)"
	on A volrun delete --force c1 >/dev/null 2>&1 || :
	try on A volrun volume recover
	ok
	like "$output" 'state: committed, commit 1'
	is "$(head_of | jq -r .commit.unquiet)" true
	let_write
	is "$(cat "$(cached conflict-1/log)")" late
}

# detached MODE: a process outside with a mount of the volume that is in no namespace, taken while the container runs
# (lib/detached). It writes when $T/go is there, and says so.
detached() {
	outside "$LIB/detached" "$1" "$PID" "$T"
	until_true 10 test -e "$T/ready"
}

# recovered MODE: its keeper was killed, and what it left recovered while that process has its mount.
recovered() {
	begin c1
	detached "$1"
	kill -9 "$(keepers)"
	on A volrun delete --force c1 >/dev/null 2>&1 || :
	try on A volrun volume recover
	ok
	like "$output" 'state: committed, commit 1'
}

seen_late() {
	recovered "$1"
	is "$(head_of | jq -r .commit.unquiet)" true
	let_write
	is "$(cat "$(cached conflict-1/late)")" late
}

@test "somebody outside has a mount of the volume that is in no namespace: the recovery sees it, and keeps what is written late" {
	seen_late fd
}

@test "the same, by a thread that has descriptors of its own" { seen_late thread; }

@test "the same, by a working directory alone" { seen_late cwd; }

@test "the same, by a process whose root it is" { seen_late chroot; }

@test "a keeper that lives does not look for such a mount: what is written late by it is in the next commit of this node" {
	begin c1
	detached fd
	finish c1
	let_write
	leave
	vrun A c2 "$V" 'cat /data/late'
	is "$output" late
	vrun B c3 "$V" 'cat /data/late'
	is "$output" late
}

@test "such a mount that is read-only is nobody's to write by" {
	recovered ro
	is "$(head_of | jq -r .commit.unquiet)" null
	[[ -e $(cached clean) ]] || fail "not clean: $(ls "$(cached .)")"
	leave
}

@test "a mount namespace in which nobody is, kept by a descriptor: nobody writes there any more" {
	[[ $(printf '%s\n' 6.12 "$(uname -r)" | sort -V | head -n 1) == 6.12 ]] || skip "Linux 6.12 says which namespaces there are"
	begin c1
	detached ns
	finish c1
	is "$(head_of | jq -r '"\(.state) \(.commit.seq) \(.commit.unquiet)"')" "free 1 null"
	[[ -e $(cached clean) ]] || fail "not clean: $(ls "$(cached .)")"
	let_write
	[[ ! -e $(cached rw/late) ]] || fail "it was written to"
	leave
}
