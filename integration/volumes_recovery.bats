#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What becomes of a run whose keeper, or whose whole node, died: committed, adopted, or set aside; never lost,
# and never over what another one committed.

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
head_of() { cat "$T/store/volumes/default/.volrun/state/head"; }
cached() { echo "$T/cache-A/main/default/state/$1"; }

# writer NODE NAME: a container that wrote, and goes on; its keeper is $KEEPER.
writer() {
	vstart "$1" "$2" "$V" 'echo first >/data/from-A; touch /workspace/up; while :; do date >>/data/log; sleep 0.1; done'
	until_true 10 test -e "$T/$2/rootfs/workspace/up"
	KEEPER=$(keepers)
	like "$KEEPER" '^[0-9]+$'
}

# lost NAME: the same on A, but keeper and container were killed and nobody cleaned up but for the state.
lost() {
	writer A "$1"
	kill -9 "$KEEPER"
	on A volrun delete --force "$1"
}

@test "recover commits what a killed keeper left, and says so" {
	lost c1
	try vol status
	like "$output" ' dirty '
	try vol --json recover
	ok
	is "$(jq -r '.volumes[] | "\(.name) \(.outcome) \(.commit)"' <<<"$output")" "state committed 1"
	try vol --json recover
	is "$(jq -c .volumes <<<"$output")" "[]"
	is "$(head_of | jq -r .state)" free
	vrun B c2 "$V" 'cat /data/from-A; [ -s /data/log ] && echo log'
	is "$output" $'first\nlog'
}

@test "the next create on the node commits what was left before it takes the volume" {
	lost c1
	vrun A c2 "state /data wait=2s" 'cat /data/from-A'
	ok
	is "$output" first
}

@test "nothing of a run that another holder's followed is committed: it is set aside, and its changes are in the store" {
	lost c1
	vrun B c2 "$V" 'ls -A /data; echo B >/data/from-B'
	is "$output" ""
	try vol recover state
	ok
	like "$output" 'state: set aside, conflict 1: another holder had the lease since'
	[[ -s $(cached conflict-1/from-A) && ! -e $(cached dirty) ]]
	is "$(cat "$T/store/volumes/default/.volrun/state/conflicts/1/tree/from-A")" first
	try vol ls
	like "$output" 'kept:conflict-1'
	vrun A c3 "$V" 'ls -A /data'
	is "$output" from-B
}

@test "a container that lives gets a new keeper by recover: it runs on, and its end is the commit" {
	local before
	writer A c1
	kill -9 "$KEEPER"
	until_true 10 eval '[[ -z $(keepers) ]]' # its lock goes with it
	try vol recover
	ok
	like "$output" 'state: adopted'
	is "$(keepers | wc -l)" 1
	# The lease is held beyond what the dead one had, and its holder is named.
	sleep 4
	before=$(wc -l <"$(cached rw/log)")
	is "$(head_of | jq -r '.state + .holder.container')" heldc1
	vbundle c2 "state /data wait=300ms" true
	try on A volrun run --bundle "$T/c2" c2
	not_ok 'lease held by node-A .container c1'
	sleep 0.3
	(($(wc -l <"$(cached rw/log)") > before))
	# Twice is no harm.
	try vol recover
	ok
	is "$(keepers | wc -l)" 1
	on A volrun delete --force c1
	until_true 20 eval '[[ -z $(keepers) ]]'
	vrun B c3 "$V" 'cat /data/from-A'
	is "$output" first
}

@test "a create adopts a live container, waits for its end, and finds what it wrote" {
	writer A c1
	kill -9 "$KEEPER"
	vbundle c2 "$V" 'cat /data/from-A'
	on A volrun run --bundle "$T/c2" c2 </dev/null >"$T/out" 2>&1 3>&- 4>&- &
	local pid=$!
	until_true 10 eval '(($(keepers | wc -l) == 2))'
	sleep 1
	is "$(cat "$T/out")" ""
	on A volrun delete --force c1
	wait "$pid"
	like "$(cat "$T/out")" first
}

@test "a container of the same name and cgroup that came later is not taken for the one that died" {
	lost c1
	vstart A c1 "other /data" 'sleep 100'
	try vol recover state
	ok
	like "$output" 'state: committed'
	on A volrun delete --force c1
}

@test "after a power cut a dirty tree is set aside, unless the configuration asks for its commit" {
	lost c1
	sed -i "s/$(cat /proc/sys/kernel/random/boot_id)/00000000-0000-4000-8000-000000000000/" "$(cached dirty)"
	cp -a "$T/cache-A/main/default/state" "$T/copy"
	vrun A c2 "$V" 'ls -A /data'
	is "$output" ""
	[[ -s $(cached conflict-1/from-A) ]]
	# The same, asked for.
	rm -rf "$T/store/volumes"
	node A '.recover = "commit"'
	rm -rf "$T/cache-A/main/default/state"
	vrun B c4 "$V" true
	vrun B c5 "$V" true
	cp -a "$T/copy" "$T/cache-A/main/default/state"
	vrun A c3 "$V" 'ls -A /data'
	# The register is not that of the mark any more.
	is "$output" ""
	[[ -s $(cached conflict-1/from-A) ]]
}

@test "after a power cut recover gives back the leases too, of all volumes after one wait" {
	local f start
	node A '.lease += {ttl: "8s", renew: "1s", poll: "200ms"}'
	for V in 'state /data' 'other /data' 'clean /data'; do lost "c-${V% *}"; done
	for f in "$T"/cache-A/main/default/*/{dirty,keeper} "$T"/store/volumes/default/.volrun/*/head; do
		sed "s/$(cat /proc/sys/kernel/random/boot_id)/00000000-0000-4000-8000-000000000000/" "$f" >"$T/cut" && cp "$T/cut" "$f"
	done
	# Killed before its container could write.
	rm "$T/cache-A/main/default/clean/dirty"
	start=$SECONDS
	try vol --json recover --wait=60s
	ok
	# Each of them must have stood for ten seconds.
	((SECONDS - start >= 10 && SECONDS - start < 20)) || fail "it took $((SECONDS - start)) s"
	is "$(jq -r '.volumes[] | "\(.name) \(.outcome)"' <<<"$output")" $'clean nothing\nother set aside\nstate set aside'
	is "$(jq -r .state "$T"/store/volumes/default/.volrun/*/head | sort -u)" free
	vrun B c2 'state /data wait=0s' 'ls -A /data'
	ok
	is "$output" ""
	[[ -s $(cached conflict-1/from-A) ]]
	# The doctor tells of it until somebody has seen to it.
	doctor() { on A volrun doctor 2>/dev/null | grep -E '^(error|warning): volume state' || :; }
	like "$(doctor)" 'conflicts .*show state 1'
	vol conflicts drop state 1
	is "$(doctor)" ""
}

@test "a store that can't be reached: recover fails in one line, keeps all, and works later" {
	lost c1
	mv "$T/store" "$T/away"
	: >"$T/store"
	try vol recover
	not_ok 'could not be recovered yet; they are kept'
	[[ -e $(cached dirty) && -s $(cached rw/from-A) ]]
	rm "$T/store"
	mv "$T/away" "$T/store"
	try vol recover
	ok
	vrun B c2 "$V" 'cat /data/from-A'
	is "$output" first
}

@test "changes that could not be sent when they were set aside are sent by recover" {
	lost c1
	vrun B c2 "$V" 'echo B >/data/from-B'
	mkdir -p "$T/store/volumes/default/.volrun/state"
	: >"$T/store/volumes/default/.volrun/state/conflicts"
	try vol recover
	not_ok
	[[ -s $(cached conflict-1/from-A) ]]
	rm "$T/store/volumes/default/.volrun/state/conflicts"
	try vol recover
	ok
	is "$(cat "$T/store/volumes/default/.volrun/state/conflicts/1/tree/from-A")" first
}

@test "an outage longer than the lease, in which nobody took it, costs nothing" {
	local file nonce pids=()
	writer A c1
	# A keeper has the store's directory open: to move that away would be no outage.
	while read -r file; do
		flock "$file" sleep 6 </dev/null >/dev/null 2>&1 3>&- 4>&- &
		pids+=($!)
	done < <(find "$T/store" -path '*/locks/*' -type f)
	sleep 0.5
	nonce=$(head_of | jq -r .nonce)
	sleep 5
	is "$(head_of | jq -r .nonce)" "$nonce" "the register's nonce"
	wait "${pids[@]}"
	on A volrun delete --force c1
	until_true 30 eval '[[ -z $(keepers) ]]'
	vrun B c2 "$V" 'cat /data/from-A'
	is "$output" first
	[[ ! -e $(cached conflict-1) ]]
}

@test "killed while it recovers, at any moment: the next one recovers" {
	local i
	for i in 1 2 3 4 5 6 7 8; do
		lost "c$i"
		"$BIN/volrun-volume" --config="$T/A.json" recover >/dev/null 2>&1 3>&- 4>&- &
		local pid=$!
		sleep "0.0$i"
		kill -9 "$pid" 2>/dev/null || :
		wait "$pid" 2>/dev/null || :
		try vol recover
		ok
		[[ ! -e $(cached conflict-1) ]] || fail "run $i was set aside"
		rm -f "$T/c$i/rootfs/workspace/up"
	done
	vrun B c9 "$V" 'cat /data/from-A'
	is "$output" first
}

@test "a report of each run, and the node's counters for Prometheus" {
	mkdir "$T/prom"
	node A ".metrics.path = \"$T/prom\""
	vrun A c1 "$V" 'echo hello >/data/a; echo world >/data/b'
	is "$(jq -r '"\(.result) \(.commit) \(.files_added) \(.container) \(.node)"' "$(cached last-run.json)")" "committed 1 2 c1 node-A"
	vrun A c2 "$V" 'echo more >>/data/a; rm /data/b'
	is "$(jq -r '"\(.result) \(.commit) \(.files_added) \(.files_changed) \(.files_deleted)"' "$(cached last-run.json)")" "committed 2 0 1 1"
	jq -e '.run_seconds >= 0 and .commit_seconds > 0 and .uploaded_bytes > 0' "$(cached last-run.json)"
	vrun A c3 "$V" true
	is "$(jq -r '"\(.result) \(.commit)"' "$(cached last-run.json)")" "unchanged 2"
	is "$(grep -c '^# TYPE volrun_' "$T/prom/volrun.prom")" 8
	like "$(cat "$T/prom/volrun.prom")" 'volrun_runs_total\{result="committed"\} 2'
	like "$(cat "$T/prom/volrun.prom")" 'volrun_runs_total\{result="unchanged"\} 1'
	like "$(cat "$T/prom/volrun.prom")" 'volrun_committed_files_total\{change="added"\} 2'
	is "$(grep -vcE '^(# (HELP|TYPE) volrun_[a-z_]+ .+|volrun_[a-z_]+(\{[a-z]+="[a-z_]+"\})? [0-9.e+-]+)$' "$T/prom/volrun.prom")" 0
	is "$(stat -c %a "$T/prom/volrun.prom")" 644
}

@test "delete=wait: delete returns when all is synced back, however short delete_wait is" {
	node A '.lease += {delete_wait: "1ms"}'
	vbundle c1 "state /data delete=wait" 'head -c 60000000 /dev/urandom >/data/big'
	try on A volrun run --bundle "$T/c1" c1
	ok
	is "$(head_of | jq -r '"\(.state) \(.commit.seq)"')" "free 1"
	vbundle c2 "state /data delete=later" true
	try on A volrun run --bundle "$T/c2" c2
	not_ok 'delete=later: must be wait'
	node A '.lease += {delete_wait: "1ms", delete: "wait"}'
	vbundle c3 "$V" 'head -c 60000000 /dev/urandom >/data/big'
	try on A volrun run --bundle "$T/c3" c3
	ok
	is "$(head_of | jq -r '"\(.state) \(.commit.seq)"')" "free 2"
}

@test "a create that is killed while it fetches: the lease is free at once, and what was on its way is there for the next" {
	local keeper pid
	node B '.lease += {ttl: "3s", prepare_timeout: "30s"}'
	vrun A c1 "$V" 'mkdir /data/d; for i in $(seq 2000); do head -c 20000 /dev/urandom >/data/d/$i; done'
	vbundle c2 "$V" 'echo must not run'
	ROOT=$T/state-B VOLRUN_CONFIG=$T/B.json volrun_bg run --bundle "$T/c2" c2 >/dev/null 2>&1
	pid=$!
	until_true 10 eval '[[ -n $(ls "$T/cache-B/main/default/state/tmp" 2>/dev/null) || -e $T/cache-B/main/default/state/rw/d ]]'
	keeper=$(keepers)
	kill -STOP "$keeper"
	[[ ! -e $T/cache-B/main/default/state/clean ]] || skip "this machine had it all before it could be stopped"
	kill -9 "$pid" 2>/dev/null
	find /proc -maxdepth 2 -path '/proc/[0-9]*/exe' -lname "$BIN/volrun-hook" 2>/dev/null | cut -d / -f 3 | xargs -r kill -9
	ended "$pid"
	kill -CONT "$keeper"
	until_true 20 eval '[[ -z $(keepers) ]]'
	[[ -e $T/cache-B/main/default/state/clean ]] || fail "not fetched to the end"
	is "$(ls "$T/cache-B/main/default/state/rw/d" | wc -l)" 2000
	is "$(head_of | jq -r .state)" free
	on B volrun delete --force c2 || :
	vrun B c3 "$V" 'ls /data/d | wc -l'
	is "$output" 2000
	is "$(jq .downloaded_bytes "$T/cache-B/main/default/state/last-run.json")" 0
}

@test "a waiter on the holder's node asks the store nothing while it waits" {
	local pid
	vstart A c1 "$V" 'echo x >/data/x; sleep 100'
	vbundle c2 "$V" 'cat /data/x'
	on A volrun run --bundle "$T/c2" c2 </dev/null >"$T/out" 2>&1 3>&- 4>&- &
	pid=$!
	until_true 10 eval '(($(keepers | wc -l) == 2))'
	sleep 0.5
	# A request would fail, and the waiter with it.
	mv "$T/store" "$T/away"
	: >"$T/store"
	sleep 1.5
	kill -0 "$pid"
	rm "$T/store"
	mv "$T/away" "$T/store"
	on A volrun delete --force c1
	wait "$pid"
	is "$(cat "$T/out")" x
}
