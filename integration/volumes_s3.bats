#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Volumes on a real S3 server (Ceph's), and two nodes that share a bucket.

load lib/common
load lib/volume

setup_file() { s3_start; }
setup() {
	common_setup
	BUCKET=bats-$BATS_TEST_NUMBER-$RANDOM
	s3 mkbucket "$BUCKET"
	node A
	node B
}
teardown() { common_teardown; }

V="state /data"
P=volumes/default/state
M=volumes/default/.volrun/state
head_of() { s3 get "$BUCKET" "$M/head"; }
keys() { s3 ls "$BUCKET" "$1" | cut -d ' ' -f 2- | jq -r . | sort; }
fast() { node "$1" '.lease += {ttl: "3s", renew: "500ms", poll: "1s"}'; }

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

@test "the plain files carry the mark and the bytes" {
	vrun A c1 "$V" 'mkdir /data/d; printf hello >"/data/d/a b+c%20ü"; ln -s d /data/l'
	ok
	is "$(s3 get "$BUCKET" "$P/d/a b+c%20ü")" hello
	like "$(s3 head "$BUCKET" "$P/d/a b+c%20ü")" "x-amz-meta-volrun: 1/$(printf hello | sha256sum | cut -c 1-64)/[0-9a-f]{64}"
	is "$(s3 get "$BUCKET" "$P/_symlinks.json" | jq -c .)" '{"l":"d"}'
	is "$(head_of | jq -r '"\(.state) \(.epoch) \(.commit.seq) \(.hints.applied.seq // .applied_seq)"')" "free 1 1 1"
}

@test "a large file goes in parts and comes back whole" {
	vrun A c1 "$V" 'head -c 40000000 /dev/urandom >/data/big; sha256sum </data/big'
	ok
	local sum=$output
	vrun B c2 "$V" 'sha256sum </data/big'
	ok
	is "$output" "$sum"
	is "$(s3 get "$BUCKET" "$P/big" | sha256sum)" "$sum"
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

@test "on the same node the second container starts within 1 s after the release" {
	vstart A c1 "$V" 'echo first >/data/f; sleep 3; touch /workspace/end'
	vbundle c2 "$V" 'touch /workspace/start; cat /data/f'
	try on A volrun run --bundle "$T/c2" c2
	ok
	is "$output" first
	local ms=$((($(stat -c %.9Y "$T/c2/rootfs/workspace/start" | tr -d .) - $(stat -c %.9Y "$T/c1/rootfs/workspace/end" | tr -d .)) / 1000000))
	echo "started $ms ms after the first one's end" >&2
	((ms >= 0 && ms <= ${VOLRUN_SANITIZED:+2}000 + 1000)) || fail "$ms ms"
	on A volrun delete c1
}

@test "with wait=2s it fails after 2 s with one line that names the holder" {
	vstart A c1 "$V" 'sleep 60'
	vbundle c2 "state /data wait=2s" 'echo must not run'
	local t0 ms
	t0=$(now_ms)
	try on B volrun run --bundle "$T/c2" c2
	ms=$(($(now_ms) - t0))
	not_ok "lease held by node-A .*c1.*waited 2"
	((ms >= 1900 && ms <= 4500)) || fail "after $ms ms"
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
	after=$(s3_contents)
	sleep 1
	on A volrun delete --force c1
	sleep 2
	is "$(s3_contents)" "$after"
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
	after=$(s3_contents)
	kill -CONT "$keeper"
	sleep 1
	on A volrun delete --force c1
	until_true 30 eval '[[ -z $(keepers) ]]'
	is "$(s3_contents | grep -v /conflicts/)" "$after"
	vrun A c3 "$V" 'ls /data'
	is "$output" from-B
}

@test "a start reads the truth: a late write of ours over a plain file is ignored and mended" {
	vrun A c1 "$V" 'echo one >/data/f'
	local mark
	mark=$(s3 head "$BUCKET" "$P/f" | sed -n 's/^x-amz-meta-volrun: //p' | tr -d '\r')
	vrun A c2 "$V" 'echo two >/data/f; echo x >/data/g'
	# The first run's PUT lands now.
	echo one >"$T/late"
	s3 put "$BUCKET" "$P/f" "$T/late" "volrun=$mark"
	vrun B c3 "$V" 'cat /data/f; echo y >/data/g'
	ok
	is "$output" two
}

@test "a file that somebody puts into the bucket is there in the next run" {
	vrun A c1 "$V" 'echo mine >/data/mine'
	echo theirs >"$T/theirs"
	s3 put "$BUCKET" "$P/sub/theirs" "$T/theirs"
	vrun B c2 "$V" 'cat /data/mine /data/sub/theirs; stat -c %a /data/sub/theirs'
	ok
	is "$output" $'mine\ntheirs\n644'
}

@test "a warm start reads nothing but the register and the listing" {
	vrun A c1 "$V" 'echo hello >/data/f'
	local key
	keys "$M/commits/" | while read -r key; do s3 rm "$BUCKET" "$key"; done
	vrun A c2 "$V" 'cat /data/f'
	ok
	is "$output" hello
	vrun B c3 "$V" 'cat /data/f'
	not_ok
}

@test "credentials from the environment work, wrong ones say so without the secret" {
	node A 'del(.stores.main.access_key_id, .stores.main.secret_access_key_file)'
	# shellcheck disable=SC1091
	. "$SUITE/rgw/env"
	export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
	vrun A c1 "$V" 'echo x >/data/f; env'
	ok
	unlike "$output" AWS_
	export AWS_SECRET_ACCESS_KEY=wrongwrongwrong
	vrun A c2 "$V" 'echo must not run'
	not_ok "rejected|refused"
	unlike "$stderr" "wrongwrong"
	unlike "${stderr,,}" "permission denied|operation not permitted"
}

@test "a bucket that is not there, an endpoint that does not answer: one line, soon" {
	node A '.stores.main.bucket = "no-such-bucket"'
	vrun A c1 "$V" 'true'
	not_ok "bucket"
	node A '.stores.main.endpoint = "http://127.0.0.1:1"'
	vrun A c2 "$V" 'true'
	not_ok "unreachable"
	unlike "${stderr,,}" "no such file|does not exist|permission denied"
}

@test "TLS: the server's certificate is checked" {
	"$HERE/s3/rgw" start "$T/rgw" --tls --life 300 >"$T/rgw.log" 2>&1 </dev/null 3>&- 4>&- || fail "$(cat "$T/rgw.log")"
	local endpoint key secret ca
	# shellcheck disable=SC1091
	. "$T/rgw/env"
	endpoint=$S3_ENDPOINT key=$AWS_ACCESS_KEY_ID secret=$AWS_SECRET_ACCESS_KEY ca=$S3_CA_FILE
	"$HERE/s3/s3tool" --env "$T/rgw/env" mkbucket tls
	printf '%s' "$secret" >"$T/secret2"
	chmod 600 "$T/secret2"
	node A ".stores.main += {bucket: \"tls\", endpoint: \"$endpoint\", access_key_id: \"$key\", secret_access_key_file: \"$T/secret2\", ca_file: \"$ca\"}"
	vrun A c1 "$V" 'echo x >/data/f'
	local good=$status message=$stderr
	node A ".stores.main += {bucket: \"tls\", endpoint: \"$endpoint\", access_key_id: \"$key\", secret_access_key_file: \"$T/secret2\"} | del(.stores.main.ca_file)"
	vrun A c2 "$V" 'echo must not run'
	"$HERE/s3/rgw" stop "$T/rgw"
	is "$good" 0 "with the CA ($message)"
	not_ok "certificate|unreachable|TLS|SSL"
}

@test "check-store says in words what holds of a store, and leaves nothing in it" {
	try on A volrun volume check-store main
	ok
	like "$output" "conditions on writes are enforced \(leases\): yes: with the tag unquoted"
	like "$output" "store \"main\" \(s3, bucket $BUCKET\) can hold volumes"
	is "$(s3 ls "$BUCKET")" ""
}

# --- hostile contents -----------------------------------------------------------

# Nothing that is called evil is outside the volume's own tree, in the cache or elsewhere.
nothing_outside() {
	[[ ! -e /tmp/volrun-evil && ! -e /etc/evil && ! -e /evil && -z $(ls -A "$T/outside") ]] || fail "written outside"
	! find "$T/cache-B" -name '*evil*' | grep -v '/state/\(rw\|ro-[0-9a-f-]*\|conflict-[0-9]*\|tmp\)/' || fail "outside the tree"
	! find "$T" -maxdepth 1 -name '*evil*' -not -path "$T/evil" | grep . || fail "outside the cache"
}

@test "hostile keys that lead out of the volume: one line, status not 0, nothing written outside" {
	mkdir "$T/outside"
	vrun A c1 "$V" 'echo good >/data/good'
	ok
	echo evil >"$T/evil"
	local key before tried=0
	for key in ../evil ../../evil ../../../../../../../../../../tmp/volrun-evil a/../../evil ./evil a/./evil /evil //evil a//evil \
		/etc/evil a/.. .. .; do
		s3 put "$BUCKET" "$P/$key" "$T/evil" 2>/dev/null || continue
		# Some of them the server itself turns into other keys.
		keys "$P/" | grep -qxF "$P/$key" || { s3 rm "$BUCKET" "$P/$key" || :; continue; }
		tried=$((tried + 1))
		before=$(s3_contents)
		vrun B c2 "$V" 'echo must not run'
		not_ok "leads out of the volume|no path" || fail "$key"
		is "$output" "" "$key"
		is "$(s3_contents)" "$before" "$key"
		nothing_outside || fail "$key"
		s3 rm "$BUCKET" "$P/$key"
	done
	((tried >= 8)) || fail "the server took only $tried hostile keys"
	vrun B c3 "$V" 'cat /data/good'
	ok
	is "$output" good
}

@test "keys that are odd but harmless are left out, with the rest of the volume there" {
	vrun A c1 "$V" 'echo good >/data/good'
	ok
	echo odd >"$T/odd"
	local key
	for key in 'new
line' "$(printf 'x%.0s' {1..300})" 'back\slash'; do s3 put "$BUCKET" "$P/$key" "$T/odd" 2>/dev/null || :; done
	vrun B c2 "$V" 'cat /data/good; ls -A /data | wc -l'
	is "$status" 0
	is "${lines[0]}" good
	((lines[1] <= 4))
}

@test "a _symlinks.json that leads out: one line, status not 0, nothing written outside" {
	mkdir "$T/outside"
	vrun A c1 "$V" 'echo good >/data/good'
	ok
	local name before
	for name in ../../x /abs a/../../b '' . .. e//f; do
		jq -n --arg n "$name" '{($n): "y", ok: "good"}' >"$T/links"
		s3 put "$BUCKET" "$P/_symlinks.json" "$T/links"
		before=$(s3_contents)
		vrun B c2 "$V" 'echo must not run'
		not_ok "_symlinks.json" || fail "name '$name'"
		is "$(s3_contents)" "$before"
		! find "$T/cache-B" \( -name x -o -name b -o -name abs \) | grep . || fail "name '$name': made"
	done
}

@test "a symlink and a file below it: the link is not followed" {
	mkdir "$T/outside"
	vrun A c1 "$V" 'echo good >/data/good'
	ok
	jq -n --arg o "$T/outside" '{d: $o, up: "../../../../../outside", ok: "good"}' >"$T/links"
	echo evil >"$T/evil"
	s3 put "$BUCKET" "$P/_symlinks.json" "$T/links"
	s3 put "$BUCKET" "$P/d/evil" "$T/evil"
	s3 put "$BUCKET" "$P/up/evil" "$T/evil"
	vrun B c2 "$V" 'cat /data/good'
	# A file and a link of one name can't both be: refused with one line, or one of them left out.
	if ((status == 0)); then is "$output" good; else not_ok ""; fi
	nothing_outside
}

@test "a _symlinks.json that is no JSON, an array, or huge does not stop the start" {
	vrun A c1 "$V" 'echo good >/data/good; ln -s good /data/link'
	ok
	local body
	for body in '{"a":' '[1,2]' '{"a": 5}' "$(printf '[%.0s' {1..50000})"; do
		printf '%s' "$body" >"$T/links"
		s3 put "$BUCKET" "$P/_symlinks.json" "$T/links"
		rm -rf "$T/cache-B"
		vrun B c2 "state /data wait=2s" 'cat /data/good'
		# Refused with one line, or ignored with a warning: never half a tree.
		if ((status == 0)); then is "$output" good; else not_ok "_symlinks.json"; fi
	done
}

@test "a register cut short at every 64th byte is refused with one line, and nothing is written" {
	vrun A c1 "$V" 'echo good >/data/good'
	ok
	head_of >"$T/head"
	local size at before
	size=$(stat -c %s "$T/head")
	for ((at = 0; at < size - 1; at += 64)); do
		head -c "$at" "$T/head" >"$T/cut"
		s3 put "$BUCKET" "$M/head" "$T/cut"
		before=$(s3_contents)
		vrun B c2 "state /data wait=1s" 'echo must not run'
		not_ok "register" || fail "cut at $at"
		is "$(s3 get "$BUCKET" "$M/head" | sha256sum)" "$(sha256sum <"$T/cut")" "the register"
		is "$(s3_contents)" "$before"
	done
	s3 put "$BUCKET" "$M/head" "$T/head"
	vrun B c3 "$V" 'cat /data/good'
	is "$output" good
}

@test "a hostile register or record is refused, and nothing is written" {
	vrun A c1 "$V" 'echo good >/data/good'
	ok
	head_of >"$T/head"
	local filter before
	for filter in '.commit.object = "../../../other/.volrun/x/commits/1-1/pack"' '.commit.object = "/etc/passwd"' '.commit.sha256 = ("0" * 64)' \
		'.commit.length = 1099511627776' '.commit.offset = 18446744073709551615' '.commit.length -= 1' '.epoch = -1' '.epoch = 1e30' '.nonce = ""' \
		'.format = 99' '.state = "frob"' '.commit.seq = 7' '.commit.epoch = 9'; do
		jq -c "$filter" "$T/head" >"$T/bad"
		s3 put "$BUCKET" "$M/head" "$T/bad"
		before=$(s3_contents)
		rm -rf "$T/cache-B"
		vrun B c2 "state /data wait=1s" 'echo must not run'
		not_ok || fail "$filter"
		is "$output" "" "$filter"
		is "$(s3_contents)" "$before" "$filter"
	done
	s3 put "$BUCKET" "$M/head" "$T/head"
	# The record itself, changed in one byte.
	local key
	key=$M/commits/$(jq -r .commit.object "$T/head")
	s3 get "$BUCKET" "$key" | sed 's/good/evil/' >"$T/record"
	s3 get "$BUCKET" "$key" >"$T/record.was"
	s3 put "$BUCKET" "$key" "$T/record"
	rm -rf "$T/cache-B"
	vrun B c2 "$V" 'echo must not run'
	not_ok
	s3 put "$BUCKET" "$key" "$T/record.was"
	vrun B c3 "$V" 'cat /data/good'
	is "$output" good
}

@test "an object of a commit that is missing or cut short fails the start, and nothing is deleted" {
	vrun A c1 "$V" 'head -c 20000000 /dev/urandom >/data/big; echo small >/data/small'
	ok
	local key before
	for key in $(keys "$M/commits/"); do
		s3 get "$BUCKET" "$key" >"$T/was"
		head -c $(($(stat -c %s "$T/was") / 2)) "$T/was" >"$T/half"
		s3 put "$BUCKET" "$key" "$T/half"
		before=$(s3_contents)
		rm -rf "$T/cache-B"
		vrun B c2 "$V" 'echo must not run'
		not_ok || fail "$key"
		is "$(s3_contents)" "$before"
		s3 put "$BUCKET" "$key" "$T/was"
	done
	vrun B c3 "$V" 'cat /data/small'
	is "$output" small
}

# due: the next commit looks for garbage.
due() {
	head_of | jq -c '.collected = 1' >"$T/head"
	s3 put "$BUCKET" "$M/head" "$T/head"
}
uploads() { s3 uploads "$BUCKET" | jq -r . | sort; }

@test "uploads that a holder before left unfinished are given up with the next collection; others are not" {
	vrun A c1 "$V" 'echo 1 >/data/f'
	ok
	s3 begin "$BUCKET" "$M/commits/1-2/large-0-dead"
	s3 begin "$BUCKET" "$M/commits/1-2/large-0-dead"
	s3 begin "$BUCKET" "$M/commits/2-2/a&b <c>"
	# Of who comes after us; of nobody's lease, and young; of another volume; another tool's.
	s3 begin "$BUCKET" "$M/commits/9-2/large"
	s3 begin "$BUCKET" "$M/conflicts/1/tree/f"
	s3 begin "$BUCKET" "${M}2/commits/1-2/large"
	s3 begin "$BUCKET" "$P/by-hand"
	is "$(uploads | wc -l)" 7
	vrun B c2 "$V" 'echo 2 >/data/f'
	ok
	is "$(uploads | wc -l)" 7 "not due yet"
	due
	vrun B c3 "$V" 'echo 3 >/data/f'
	ok
	is "$(uploads)" "$(printf '%s\n' "$M/commits/9-2/large" "$M/conflicts/1/tree/f" "${M}2/commits/1-2/large" "$P/by-hand" | sort)"
}
