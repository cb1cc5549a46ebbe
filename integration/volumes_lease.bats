#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# One holder at a time, whatever dies: leases on the filesystem store, with a
# time to live of seconds.

load lib/common
load lib/volume
setup() {
	common_setup
	node A '.lease += {ttl: "3s", renew: "500ms", poll: "1s"}'
	node B '.lease += {ttl: "3s", renew: "500ms", poll: "1s"}'
}
teardown() { common_teardown; }

V="state /data"
head_file() { echo "$T/store/volumes/default/.volrun/state/head"; }
# Everything in the store but the register.
contents() { find "$T/store/volumes" -type f ! -name head -exec sha256sum {} + | sort; }

# held NODE NAME: a container that holds the volume and writes to it all the time; its keeper is $KEEPER.
held() {
	vstart "$1" "$2" "$V" 'echo first >/data/from-A; touch /workspace/up; while :; do date >>/data/log; sleep 0.1; done'
	until_true 10 test -e "$T/$2/rootfs/workspace/up"
	KEEPER=$(keepers)
	like "$KEEPER" '^[0-9]+$'
}

@test "a holder that lives keeps its lease longer than the time to live" {
	held A c1
	vbundle c2 "state /data wait=8s" 'echo must not run'
	try on B volrun run --bundle "$T/c2" c2
	not_ok "lease held by node-A .*c1"
	on A volrun delete --force c1
	vrun B c3 "$V" 'cat /data/from-A'
	is "$output" first
}

@test "a keeper killed by SIGKILL: another node has the lease within its time to live and a margin" {
	held A c1
	kill -9 "$KEEPER"
	local t0 ms after
	t0=$(now_ms)
	vrun B c2 "$V" 'ls /data; echo B >/data/from-B'
	ms=$(($(now_ms) - t0))
	ok
	unlike "$output" from-A
	# 1.25 times the time to live, one poll, and the run itself.
	((ms <= 8000)) || fail "after $ms ms"
	after=$(contents)
	# What is left of A changes nothing: the container writes on, ends, is deleted.
	sleep 1
	on A volrun delete --force c1
	sleep 2
	is "$(contents)" "$after"
	vrun A c3 "$V" 'ls /data'
	is "$output" from-B
}

@test "a keeper that was stopped past its time to live can't write when it goes on" {
	held A c1
	kill -STOP "$KEEPER"
	vrun_beside() { try on B volrun run --bundle "$T/c2" c2; }
	vbundle c2 "$V" 'ls /data; echo B >/data/from-B'
	vrun_beside
	ok
	unlike "$output" from-A
	until_true 10 eval '[[ $(jq -r .state "$(head_file)") == free ]]'
	local after
	after=$(contents)
	kill -CONT "$KEEPER"
	sleep 1
	on A volrun delete --force c1
	until_true 30 eval '[[ -z $(keepers) ]]'
	is "$(contents | grep -v /conflicts/)" "$after"
	vrun B c3 "$V" 'ls /data'
	is "$output" from-B
	# What A's run wrote is still on A's disk.
	grep -rlq first "$T/cache-A" || fail "thrown away: $(find "$T/cache-A")"
}

@test "a keeper stopped while another node holds: the holder's commit counts, whatever the order" {
	held A c1
	kill -STOP "$KEEPER"
	local first=$KEEPER
	vstart B c2 "$V" 'echo B >/data/from-B; touch /workspace/up; sleep 4'
	kill -CONT "$first"
	on A volrun delete --force c1
	sleep 5
	until_true 30 eval '[[ -z $(keepers) ]]'
	on B volrun delete --force c2
	vrun A c3 "$V" 'ls /data'
	is "$output" from-B
}

@test "after a keeper's death, a create on the same node takes over at once, and loses nothing" {
	held A c1
	kill -9 "$KEEPER"
	on A volrun delete --force c1
	local t0 ms
	t0=$(now_ms)
	vrun A c2 "state /data wait=2s" 'ls /data; echo again >/data/f'
	ms=$(($(now_ms) - t0))
	ok
	((ms < 2500)) || fail "after $ms ms"
	# Committed or set aside: on this node's disk in any case.
	grep -rlq first "$T/cache-A" || fail "thrown away: $(find "$T/cache-A")"
}

@test "a store that goes away during the run: the container goes on, the commit comes when it is back" {
	held A c1
	mv "$T/store" "$T/away"
	sleep 1
	is "$(on A status_of c1)" running
	mv "$T/away" "$T/store"
	on A volrun delete --force c1
	vrun A c2 "$V" 'cat /data/from-A'
	is "$output" first
}
