#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# `volrun volume drain --force`: a machine goes down, and nobody else ends its containers.

load lib/common
load lib/volume

setup() {
	common_setup
	node A
}
teardown() { common_teardown; }

head_of() { cat "$T/store/volumes/default/.volrun/$1/head" | jq -r '"\(.state) \(.commit.seq)"'; }

@test "drain --force ends containers: TERM, which they may heed, then KILL; all that they wrote is committed" {
	vstart A c1 'one /data' 'trap "echo bye >>/data/f; exit 0" TERM; echo hello >/data/f; touch /workspace/up; while :; do sleep 0.1; done'
	vstart A c2 'two /data' 'trap "" TERM; echo hello >/data/f; touch /workspace/up; while :; do sleep 1; done'
	until_true 20 test -e "$T/c1/rootfs/workspace/up" -a -e "$T/c2/rootfs/workspace/up"
	try on A volrun volume --wait=3s drain --force
	not_ok 'still in use: two .container c2'
	is "$(head_of one)" 'free 1'
	is "$(cat "$T/store/volumes/default/one/f")" $'hello\nbye'
	try on A volrun volume --wait=50s drain --force
	ok
	is "$(head_of two)" 'free 1'
	is "$(cat "$T/store/volumes/default/two/f")" hello
	is "$(on A status_of c1) $(on A status_of c2)" 'stopped stopped'
	on A volrun delete c1
	on A volrun delete c2
}

@test "drain --force ends a container that runs as another user" {
	local end
	vbundle c3 'three /data' 'trap "exit 0" TERM; touch /workspace/up; while :; do sleep 0.1; done' '.process.user = {uid: 1000, gid: 1000}'
	chmod 777 "$T/c3/rootfs/workspace"
	on A volrun run --detach --bundle "$T/c3" c3 </dev/null >"$T/c3.log" 2>&1
	until_true 20 test -e "$T/c3/rootfs/workspace/up"
	end=$((SECONDS + 20))
	try on A volrun volume --wait=50s drain --force
	ok
	((SECONDS < end)) || fail "TERM did not reach it"
	is "$(on A status_of c3)" stopped
	on A volrun delete c3
}
