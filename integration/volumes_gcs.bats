#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Volumes in Google Cloud Storage (fake-gcs-server), two nodes that share a
# bucket, and Google's own client beside them.

load lib/common
load lib/volume
load lib/tools

setup_file() {
	tool_get client "$BATS_TEST_DIRNAME/gcs/client" install || :
	if tool_get gcs "$BATS_TEST_DIRNAME/gcs/server" install; then gcs_start; fi
}
setup() {
	tool_need gcs
	tool_need client
	common_setup
	GCS_BUCKET=bats-$BATS_TEST_NUMBER-$RANDOM
	gcs mkbucket "$GCS_BUCKET"
	node A
	node B
}
teardown() {
	[[ -z ${LIMITER:-} ]] || kill "$LIMITER" 2>/dev/null || :
	common_teardown
}

V="state /data"
P=volumes/default/state
M=volumes/default/.volrun/state
head_of() { gcs get "$GCS_BUCKET" "$M/head"; }
keys() { gcs ls "$GCS_BUCKET" "$1" | cut -d ' ' -f 2- | jq -r . | sort; }
fast() { node "$1" '.lease += {ttl: "3s", renew: "500ms", poll: "1s"}'; }
# client COMMAND ...: Google's own.
client() {
	local command=$1
	shift
	(. "$SUITE/gcs/env" && exec "$HERE/gcs/client" "$command" "$GCS_ENDPOINT" "$GCS_BUCKET" "$@")
}

@test "what a run on A wrote, a run on B reads: bytes, modes, owners, times, links, empty directories" {
	vrun A c1 "$V" "D=/data; $MAKE_TREE; $FINGERPRINT"
	ok
	local written=$output
	vrun B c2 "$V" "D=/data; $FINGERPRINT"
	ok
	is "$output" "$written"
}

@test "what A deleted is gone for B, in the bucket too" {
	vrun A c1 "$V" 'cd /data; mkdir -p d/e; echo 1 >f; echo 1 >d/e/g; ln -s f l; echo 1 >stay'
	ok
	vrun B c2 "$V" 'rm -r /data/d /data/f /data/l'
	ok
	vrun A c3 "$V" 'ls -A /data'
	is "$output" stay
	is "$(keys "$P/" | grep -v _symlinks.json)" "$P/stay"
}

@test "Google's own client reads what a run wrote: bytes, checksums and the mark" {
	vrun A c1 "$V" 'mkdir /data/d; printf hello >"/data/d/a b+c%20ü"; ln -s d /data/l; head -c 3000000 /dev/urandom >/data/random; sha256sum </data/random'
	ok
	local sum=$output
	is "$(client get "$P/d/a b+c%20ü")" hello
	is "$(client get "$P/random" | sha256sum)" "$sum"
	like "$(client head "$P/d/a b+c%20ü" | jq -r '"\(.size) \(.md5) \(.metadata.volrun)"')" \
		"5 $(printf hello | openssl md5 -binary | base64) 1/$(printf hello | sha256sum | cut -c 1-64)/[0-9a-f]{64}"
	is "$(client get "$P/_symlinks.json" | jq -c .)" '{"l":"d"}'
	like "$(client ls "$P/" | jq -r .)" "$P/d/a b\+c%20ü"
	is "$(head_of | jq -r '"\(.state) \(.epoch) \(.commit.seq) \(.hints.applied.seq // .applied_seq)"')" "free 1 1 1"
}

@test "a file that Google's own client puts into the bucket is there in the next run, and one that it replaces, too" {
	vrun A c1 "$V" 'echo mine >/data/mine; echo old >/data/changed'
	ok
	echo theirs >"$T/theirs"
	client put "$P/sub/theirs" "$T/theirs"
	client put "$P/changed" "$T/theirs" kind=foreign
	vrun B c2 "$V" 'cat /data/mine /data/sub/theirs /data/changed; stat -c %a /data/sub/theirs'
	ok
	is "$output" $'mine\ntheirs\ntheirs\n644'
}

@test "a large file is a resumable upload and comes back whole" {
	vrun A c1 "$V" 'head -c 40000000 /dev/urandom >/data/big; sha256sum </data/big'
	ok
	local sum=$output
	vrun B c2 "$V" 'sha256sum </data/big'
	ok
	is "$output" "$sum"
	is "$(client get "$P/big" | sha256sum)" "$sum"
}

@test "another node's container starts within 6 s after the first one's end" {
	vstart A c1 "$V" 'echo first >/data/f; sleep 8; touch /workspace/end'
	vbundle c2 "$V" 'touch /workspace/start; cat /data/f'
	try on B volrun run --bundle "$T/c2" c2
	ok
	is "$output" first
	local ms=$((($(stat -c %.9Y "$T/c2/rootfs/workspace/start" | tr -d .) - $(stat -c %.9Y "$T/c1/rootfs/workspace/end" | tr -d .)) / 1000000))
	echo "started $ms ms after the first one's end" >&2
	((ms >= 0 && ms <= 6000)) || fail "$ms ms"
	on A volrun delete c1
}

@test "with wait=2s it fails after 2 s with one line that names the holder" {
	vstart A c1 "$V" 'sleep 60'
	vbundle c2 "state /data wait=2s" 'echo must not run'
	try on B volrun run --bundle "$T/c2" c2
	not_ok "lease held by node-A .*c1.*waited 2"
	on A volrun delete --force c1
}

@test "a keeper killed by SIGKILL: B has the lease within the time to live and a margin, and nothing A still does reaches the store" {
	fast A
	fast B
	vstart A c1 "$V" 'echo A >/data/from-A; touch /workspace/up; while :; do date >>/data/log; sleep 0.1; done'
	until_true 10 test -e "$T/c1/rootfs/workspace/up"
	kill -9 "$(keepers)"
	local t0 ms after
	t0=$(now_ms)
	vrun B c2 "$V" 'ls /data; echo B >/data/from-B'
	ms=$(($(now_ms) - t0))
	ok
	is "$output" ""
	((ms <= 9000)) || fail "after $ms ms"
	after=$(gcs_contents)
	sleep 1
	on A volrun delete --force c1
	sleep 2
	is "$(gcs_contents)" "$after"
	vrun A c3 "$V" 'ls /data'
	is "$output" from-B
}

@test "a keeper stopped past its time to live can't write to the bucket when it goes on" {
	fast A
	fast B
	vstart A c1 "$V" 'echo A >/data/from-A; touch /workspace/up; sleep 100'
	until_true 10 test -e "$T/c1/rootfs/workspace/up"
	local keeper after
	keeper=$(keepers)
	kill -STOP "$keeper"
	vbundle c2 "$V" 'ls /data; echo B >/data/from-B'
	try on B volrun run --bundle "$T/c2" c2
	ok
	is "$output" ""
	until_true 10 eval '[[ $(head_of | jq -r .state) == free ]]'
	after=$(gcs_contents)
	kill -CONT "$keeper"
	sleep 1
	on A volrun delete --force c1
	until_true 30 eval '[[ -z $(keepers) ]]'
	is "$(gcs_contents | grep -v /conflicts/)" "$after"
	vrun A c3 "$V" 'ls /data'
	is "$output" from-B
}

@test "a start reads the truth: a late write of ours over a plain file is ignored and mended" {
	vrun A c1 "$V" 'echo one >/data/f'
	local mark
	mark=$(gcs head "$GCS_BUCKET" "$P/f" | jq -r .metadata.volrun)
	vrun A c2 "$V" 'echo two >/data/f; echo x >/data/g'
	echo one >"$T/late"
	gcs put "$GCS_BUCKET" "$P/f" "$T/late" "volrun=$mark"
	vrun B c3 "$V" 'cat /data/f; echo y >/data/g'
	ok
	is "$output" two
}

@test "odd names are objects that Google's client can name, and come back" {
	# shellcheck disable=SC2016
	vrun A c1 "$V" 'cd /data; for f in "a b" "100%" "q?x=1&y" "#hash" "plus+" "ünï☃" "tab	x" "back\\slash" "*star" "[x]" "two
lines"; do echo "$f" >"$f"; done; ls | sort | sha256sum'
	ok
	local sum=$output
	vrun B c2 "$V" 'cd /data; ls | sort | sha256sum'
	is "$output" "$sum"
	is "$(client get "$P/q?x=1&y")" "q?x=1&y"
	is "$(client get "$P/ünï☃")" "ünï☃"
}

@test "a bucket that is not there, an endpoint that does not answer, wrong settings: one line, soon" {
	node A '.stores.main.bucket = "no-such-bucket"'
	vrun A c1 "$V" 'true'
	not_ok "bucket"
	node A '.stores.main.endpoint = "http://127.0.0.1:1"'
	vrun A c2 "$V" 'true'
	not_ok "unreachable"
	unlike "${stderr,,}" "no such file|does not exist|permission denied"
	node A 'del(.stores.main.bucket)'
	vrun A c3 "$V" 'true'
	not_ok "stores.main.bucket: missing"
	node A '.stores.main.bukket = "x"'
	vrun A c4 "$V" 'true'
	not_ok "bukket"
	node A '.stores.main.credentials = {from: "instance-metadata", metadata_endpoint: "http://127.0.0.1:1"}'
	vrun A c5 "$V" 'true'
	not_ok "metadata server"
}

@test "a register cut short is refused with one line, and nothing is written" {
	vrun A c1 "$V" 'echo good >/data/good'
	ok
	head_of >"$T/head"
	local size at before
	size=$(stat -c %s "$T/head")
	for ((at = 0; at < size - 1; at += 256)); do
		head -c "$at" "$T/head" >"$T/cut"
		gcs put "$GCS_BUCKET" "$M/head" "$T/cut"
		before=$(gcs_contents)
		vrun B c2 "state /data wait=1s" 'echo must not run'
		not_ok "register" || fail "cut at $at"
		is "$(gcs_contents)" "$before"
	done
	gcs put "$GCS_BUCKET" "$M/head" "$T/head"
	vrun B c3 "$V" 'cat /data/good'
	is "$output" good
}

@test "check-store says in words what holds of a store, and leaves nothing in it" {
	try on A volrun volume check-store main
	ok
	like "$output" "objects can be written and read: yes"
	like "$output" "conditions on writes are enforced \(leases\): yes"
	like "$output" "of 16 creations at once, one wins: yes"
	like "$output" "conditions on deletions are enforced: no \(not needed\)"
	like "$output" "store \"main\" \(gcs, bucket $GCS_BUCKET\) can hold volumes"
	is "$(gcs ls "$GCS_BUCKET")" ""
	is "$(on A volrun volume check-store --json main | jq -r '"\(.type) \(.usable) \(.checks | length)"')" "gcs true 15"
	node A '.stores.dir = {type: "filesystem", path: "\(.cache.path)/../store"}'
	try on A volrun volume check-store dir
	ok
	like "$output" "conditions on deletions are enforced: yes"
	is "$(find "$T/store" -path '*probe*' ! -path '*/.volrun-store/*')" ""
	node A '.stores.main.bucket = "none-such"'
	try on A volrun volume check-store
	not_ok "store \"main\" \(bucket none-such\): the bucket was not found"
	like "$output" "objects can be written and read: NO"
	try on A volrun volume check-store other
	not_ok "no store \"other\""
}

# --- one write a second of each object --------------------------------------------

# limiter_start: before the server; its port is in $LIMITER_PORT.
limiter_start() {
	mkdir "$T/limiter"
	# shellcheck disable=SC1091
	"$HERE/gcs/limiter" "$(. "$SUITE/gcs/env" && echo "$GCS_ENDPOINT")" "$T/limiter" 120 >"$T/limiter/log" 2>&1 3>&- 4>&- &
	LIMITER=$!
	until_true 10 test -s "$T/limiter/port"
	LIMITER_PORT=$(cat "$T/limiter/port")
}

@test "at Google's own address a run of no time keeps a second between the writes of its register: nothing is refused" {
	limiter_start
	local n
	for n in A B; do node "$n" '.stores.main += {endpoint: "http://storage.googleapis.com", proxy: "http://127.0.0.1:'"$LIMITER_PORT"'"}'; done
	vrun A c1 "$V" 'echo one >/data/f'
	ok
	vrun A c2 "$V" 'cat /data/f; echo two >/data/f'
	ok
	is "$output" one
	vrun B c3 "$V" 'cat /data/f; rm /data/f'
	ok
	is "$output" two
	is "$(head_of | jq -r '"\(.state) \(.commit.seq) \(.hints.applied.seq // .applied_seq)"')" "free 3 3"
	grep -c '/head$' "$T/limiter/writes" >&2
	is "$(grep ' 429 ' "$T/limiter/writes" || :)" ""
}

@test "who is refused with 429 waits, and the run goes on" {
	limiter_start
	local n
	for n in A B; do node "$n" '.stores.main.endpoint = "http://127.0.0.1:'"$LIMITER_PORT"'"'; done
	vrun A c1 "$V" 'echo one >/data/f'
	ok
	vrun A c2 "$V" 'cat /data/f; echo two >/data/f'
	ok
	is "$output" one
	vrun B c3 "$V" 'cat /data/f'
	ok
	is "$output" two
	is "$(head_of | jq -r '"\(.state) \(.commit.seq) \(.hints.applied.seq // .applied_seq)"')" "free 2 2"
	like "$(cat "$T/limiter/writes")" "POST 429 $M/head"
}
