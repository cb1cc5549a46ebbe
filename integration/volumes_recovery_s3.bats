#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Recovery and the commands that write, on a real S3 server.

load lib/common
load lib/volume

setup_file() { s3_start; }
setup() {
	common_setup
	BUCKET=bats-r$BATS_TEST_NUMBER-$RANDOM
	s3 mkbucket "$BUCKET"
	node A '.lease += {ttl: "3s", renew: "500ms", poll: "200ms"}'
	node B '.lease += {ttl: "3s", renew: "500ms", poll: "200ms"}'
}
teardown() { common_teardown; }

V="state /data"
P=volumes/default/state
M=volumes/default/.volrun/state
head_of() { s3 get "$BUCKET" "$M/head"; }
keys() { s3 ls "$BUCKET" "$1" | cut -d ' ' -f 2- | jq -r . | sort; }
vol() { on A volrun volume "$@"; }

# lost NAME: a container on A that wrote; its keeper and it were killed.
lost() {
	vstart A "$1" "$V" 'echo first >/data/from-A; echo odd >"/data/a
b"; ln -s from-A /data/link; touch /workspace/up; sleep 100'
	until_true 10 test -e "$T/$1/rootfs/workspace/up"
	kill -9 "$(keepers)"
	on A volrun delete --force "$1"
}

@test "a killed keeper's run is committed by recover" {
	lost c1
	try vol recover
	ok
	like "$output" 'state: committed, commit 1'
	vrun B c2 "$V" 'cat /data/from-A /data/link'
	is "$output" $'first\nfirst'
}

@test "what another's run followed is in the bucket as a conflict; shown, fetched and dropped from the other node" {
	lost c1
	vrun B c2 "$V" 'echo B >/data/from-B'
	try vol recover
	ok
	like "$output" 'set aside, conflict 1'
	is "$(s3 get "$BUCKET" "$M/conflicts/1/tree/from-A")" first
	try on B volrun volume conflicts show state 1
	ok
	like "$output" 'added +symlink .* link'
	try on B volrun volume conflicts restore state 1 "$T/out"
	ok
	is "$(cat "$T/out/link" "$T/out/a"$'\n'b)" $'first\nodd'
	try on B volrun volume conflicts drop state 1
	ok
	is "$(keys "$M/conflicts/")" ""
}

@test "cp, share, break-lease and rm" {
	mkdir "$T/in"
	head -c 9000000 /dev/urandom >"$T/in/big"
	echo x >"$T/in/ünï & ö"
	try vol cp "$T/in/" state:
	ok
	try on B volrun volume cp state: "$T/out"
	ok
	diff -r "$T/in" "$T/out"
	try vol share state u/ann rw
	ok
	try vol share state g/team ro
	ok
	is "$(s3 get "$BUCKET" "$M/meta" | jq -c .permissions)" '{"u/ann":"rw","g/team":"ro"}'
	try on B volrun volume rm state
	ok
	is "$(keys "$P/")" ""
	is "$(keys "$M/" | grep -c commits/)" 1
	vrun A c1 "$V" 'ls -A /data; echo new >/data/new; sleep 1'
	is "$output" ""
	vrun B c2 "$V" 'ls -A /data'
	is "$output" new
	try vol inspect --check state
	ok
}
