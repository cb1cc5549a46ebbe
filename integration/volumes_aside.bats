#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What can't be committed, or must not be started from: told at once, and in a way that leads on.

load lib/common
load lib/volume
setup() {
	common_setup
	node A '.lease += {ttl: "3s", renew: "500ms", poll: "200ms"}'
	node B '.lease += {ttl: "3s", renew: "500ms", poll: "200ms"}'
}
teardown() { common_teardown; }

V="state /data"
vol() { on A volrun volume "$@"; }
cached() { echo "$T/cache-A/main/default/state/$1"; }

@test "a path of over 4,095 bytes: the run is set aside at once, and the next one begins with the commit before" {
	vrun A c1 "$V" 'echo first >/data/f'
	ok
	vstart A c2 "$V" 'echo second >/data/f; sleep 100'
	until_true 10 grep -q second "$(cached rw/f)"
	/usr/bin/python3 - "$(cached rw)" <<-'PY'
	import os, sys
	fd = os.open(sys.argv[1], os.O_RDONLY)
	for i in range(25):
	    os.mkdir("d" * 200, dir_fd=fd)
	    fd = os.open("d" * 200, os.O_RDONLY, dir_fd=fd)
	PY
	on A volrun delete --force c2
	until_true 20 eval '[[ -z $(keepers) ]]'
	vrun A c3 "state /data wait=5s" 'cat /data/f'
	ok
	is "$output" first
	try vol conflicts ls
	like "$output" 'it has a path of over 4095 bytes'
	is "$(cat "$(cached conflict-2/f)")" second
	try vol conflicts drop state 2
	ok
	[[ ! -e $(cached conflict-2) ]]
}

@test "a store that has no register of what this node has a commit of: refused, until the node forgets it" {
	vrun A c1 "$V" 'echo first >/data/f'
	ok
	# As a file system that is not mounted.
	mv "$T/store" "$T/away"
	vrun A c2 "$V" 'ls -A /data; echo second >/data/g'
	not_ok 'store "main" \(directory .*\) has no register of it, but this node has its commit 1'
	is "$(cat "$(cached rw/f)")" first
	[[ -z $(find "$T/store" -type f) ]] || fail "written: $(find "$T/store" -type f)"
	rm -rf "$T/store"
	mv "$T/away" "$T/store"
	vrun A c3 "$V" 'ls -A /data'
	is "$output" f
	# It is gone for good.
	rm -rf "$T/store/volumes"
	try vol prune state
	ok
	vrun A c4 "$V" 'ls -A /data'
	ok
	is "$output" ""
}

@test "changes that were not committed, and a store that has no register: they stay as they are until it is back" {
	local f
	vstart A c1 "$V" 'echo first >/data/f; sleep 100'
	until_true 10 test -s "$(cached rw/f)"
	kill -9 "$(keepers)"
	on A volrun delete --force c1
	until_true 20 eval '[[ -z $(keepers) ]]'
	mv "$T/store" "$T/away"
	for f in '' 's/"boot_id": *"[^"]*"/"boot_id":"00000000-0000-4000-8000-000000000000"/'; do
		# The second time as after a power cut.
		cp "$(cached dirty)" "$T/dirty"
		sed -i "$f" "$(cached dirty)"
		try vol recover --wait=10s
		not_ok 'could not be recovered yet'
		like "$output" 'state: failed: .*store "main" \(directory .*\) has no register of it, but this node has changes of its run 1'
		vrun A c2 "$V" 'ls -A /data'
		not_ok 'has no register of it'
		is "$(cat "$(cached rw/f)")" first
		cp "$T/dirty" "$(cached dirty)"
	done
	try vol recover --force
	not_ok 'name it'
	cp -a "$T/cache-A/main/default/state" "$T/copy"
	rm -rf "$T/store"
	mv "$T/away" "$T/store"
	vrun A c3 "$V" 'cat /data/f'
	is "$output" first
	# It is gone for good.
	rm -rf "$T/store/volumes" "$T/cache-A/main/default/state"
	cp -a "$T/copy" "$T/cache-A/main/default/state"
	try vol recover --force state
	ok
	like "$output" 'state: set aside'
	is "$(cat "$(cached conflict-1/f)")" first
	vrun A c4 "$V" 'ls -A /data'
	ok
	is "$output" ""
}

@test "a register that vanishes during a run: nothing is set aside, nothing begins anew, and all is there when it is back" {
	local head=$T/store/volumes/default/.volrun/state/head
	vrun A c1 "$V" 'echo first >/data/f'
	ok
	vstart A c2 "$V" 'echo second >/data/g; sleep 100'
	until_true 10 test -s "$(cached rw/g)"
	mv "$head" "$T/head"
	# Longer than its validity.
	sleep 4
	[[ ! -e $head ]] || fail "a keeper made it anew: $(cat "$head")"
	try vol sync state
	not_ok 'store "main" \(directory .*\) has no register of it, but this node has changes of its run 2'
	on A volrun delete --force c2
	until_true 10 eval 'vol status | grep -q "not committed yet, and tried again: store .*has no register of it.*recover --force"'
	[[ -z $(find "$T/store/volumes/default/.volrun/state/commits" -path '*/2-*') ]] || fail "written: $(find "$T/store")"
	# It is back while that is tried.
	mv "$T/head" "$head"
	until_true 30 eval '[[ -z $(keepers) ]]'
	vrun A c3 "$V" 'cat /data/f /data/g'
	ok
	is "$output" $'first\nsecond'
}

@test "a register that vanished during a run and stays away: the changes wait for it, or for recover --force" {
	local head=$T/store/volumes/default/.volrun/state/head
	vstart A c1 "$V" 'echo first >/data/f; sleep 100'
	until_true 10 test -s "$(cached rw/f)"
	mv "$head" "$T/head"
	on A volrun delete --force c1
	until_true 10 eval 'vol status | grep -q "not committed yet, and tried again: store .*has no register of it"'
	kill -9 "$(keepers)"
	until_true 20 eval '[[ -z $(keepers) ]]'
	vrun A c2 "$V" 'ls -A /data'
	not_ok 'has no register of it, but this node has changes of its run 1 that are not committed: .*recover --force. with its name'
	is "$(cat "$(cached rw/f)")" first
	[[ ! -e $head ]]
	try vol recover --force state
	ok
	is "$(cat "$(cached conflict-1/f)")" first
	vrun A c3 "$V" 'ls -A /data'
	ok
	is "$output" ""
}

@test "a register that vanished during a run and that another node made anew is another holder's" {
	vstart A c1 "$V" 'echo first >/data/f; sleep 100'
	until_true 10 test -s "$(cached rw/f)"
	rm "$T/store/volumes/default/.volrun/state/head"
	vbundle c2 "$V" 'ls -A /data; echo theirs >/data/t'
	try on B volrun run --bundle "$T/c2" c2
	ok
	is "$output" ""
	until_true 10 test -e "$(cached conflict-1/f)"
	try on A volrun delete --force c1
	like "$stderr" 'lost to another holder during the run; its changes are kept in .*conflict-1'
	until_true 30 eval '[[ -z $(keepers) ]]'
	vrun A c3 "$V" 'ls -A /data'
	ok
	is "$output" t
}

@test "a container whose keeper was killed while the register is gone gets one that waits for it" {
	local head=$T/store/volumes/default/.volrun/state/head
	vstart A c1 "$V" 'echo first >/data/f; sleep 100'
	until_true 10 test -s "$(cached rw/f)"
	mv "$head" "$T/head"
	kill -9 "$(keepers)"
	vbundle c2 "$V wait=1s" 'echo must not run'
	try on A volrun run --bundle "$T/c2" c2
	not_ok 'volume state: '
	like "$(keepers)" '^[0-9]+$'
	[[ ! -e $head && ! -e $(cached conflict-1) ]]
	mv "$T/head" "$head"
	on A volrun delete --force c1
	until_true 30 eval '[[ -z $(keepers) ]]'
	rm -f "$T"/run-A/*.log
	vrun A c3 "$V" 'cat /data/f'
	ok
	is "$output" first
	[[ ! -e $(cached conflict-1) ]]
}

@test "recover keeps the note of a lease that it could not wait for, and the next one gives it back" {
	local head=$T/store/volumes/default/.volrun/state/head
	vstart A c1 "$V" 'echo first >/data/f; sleep 100'
	until_true 10 test -s "$(cached rw/f)"
	cp "$(cached keeper)" "$T/keeper"
	on A volrun delete --force c1
	until_true 30 eval '[[ -z $(keepers) ]]'
	# As of a keeper that died between its commit and the release, before the machine was restarted.
	jq -c '.state = "held" | .holder.boot_id = "00000000-0000-4000-8000-000000000000"' "$head" >"$T/head"
	cat "$T/head" >"$head"
	cp "$T/keeper" "$(cached keeper)"
	try vol recover
	ok
	[[ -e $(cached keeper) ]] || fail "the note is gone: $output"
	is "$(jq -r .state "$head")" held
	try vol recover --wait=20s
	ok
	is "$(jq -r .state "$head")" free
	[[ ! -e $(cached keeper) ]]
}

@test "a start says that an earlier run's changes were set aside" {
	vstart A c1 "$V" 'echo A >/data/f; sleep 100'
	until_true 10 test -s "$(cached rw/f)"
	kill -9 "$(keepers)"
	on A volrun delete --force c1
	vrun B c2 "$V" 'echo B >/data/g'
	vrun A c3 "$V" 'ls -A /data'
	ok
	is "$output" g
	like "$stderr" 'warning: volume state: an earlier run on this node .*conflict-1'
}

@test "status says why a commit is still being tried" {
	vstart A c1 "$V" 'echo first >/data/f; sleep 100'
	until_true 10 test -s "$(cached rw/f)"
	: >"$T/store/volumes/default/.volrun/state/commits"
	on A volrun delete --force c1
	until_true 10 eval 'vol status | grep -q "not committed yet, and tried again: "'
	rm "$T/store/volumes/default/.volrun/state/commits"
	until_true 30 eval '[[ -z $(keepers) ]]'
	try vol status
	unlike "$output" 'not committed'
	vrun A c2 "$V" 'cat /data/f'
	is "$output" first
}
