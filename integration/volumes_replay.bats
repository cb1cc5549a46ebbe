#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What the model of lease and commit found in designs with a mistake (docs/volumes.md, section 10), replayed against the
# program: requests of node A that land late, or whose answers are lost. None of it does harm.

load lib/common
load lib/volume

# The first write of all takes the server longer than these nodes wait for an answer.
setup_file() {
	s3_start
	s3 mkbucket warm
	s3 put warm up
}
setup() {
	common_setup
	BUCKET=bats-$BATS_TEST_NUMBER-$RANDOM
	s3 mkbucket "$BUCKET"
	"$HERE/faults/proxy" start "$T/proxy" "$SUITE/rgw/env" --life 300 </dev/null >/dev/null 2>&1 3>&- 4>&-
	local endpoint
	endpoint=$(sed -n 's/^S3_ENDPOINT=//p' "$T/proxy/env")
	node A '.lease += {ttl: "2s", renew: "400ms", poll: "200ms"}
		| .stores.main += {endpoint: "'"$endpoint"'", low_speed_seconds: 1, connect_timeout_ms: 1000}'
	node B '.lease += {ttl: "2s", renew: "400ms", poll: "200ms"}'
}
teardown() {
	"$HERE/faults/proxy" stop "$T/proxy"
	common_teardown
}

V="state /data"
P=volumes/default/state
M=volumes/default/.volrun/state
proxy() { "$HERE/faults/proxy" tell "$T/proxy" "$@"; }
head_of() { s3 get "$BUCKET" "$M/head" | jq -r "$1"; }
plain() { s3 get "$BUCKET" "$P/$1"; }
keys() { s3 ls "$BUCKET" "$1" | cut -d ' ' -f 2- | jq -r . | sort; }
keeper_of() { find /proc -maxdepth 2 -path '/proc/[0-9]*/exe' -lname "$BIN/volrun-keeper" 2>/dev/null | cut -d / -f 3 | while read -r pid; do
	grep -qzx "VOLRUN_CONFIG=$T/$1.json" "/proc/$pid/environ" && echo "$pid"; done; }
no_keeper() { [[ -z $(keeper_of "$1") ]]; }
sound() {
	try on B volrun volume inspect --check state
	ok
	like "$output" "0 problems, 0 notes"
}

# held COUNT: so many requests are kept by now.
held() { is "$(proxy held)" "$1" "kept requests"; }

@test "the end of a run with one changed file is four requests, and the next run puts the table of what they published" {
	local before
	# No renewals between.
	jq '.lease += {ttl: "40s", renew: "20s"}' "$T/A.json" >"$T/A.new"
	mv "$T/A.new" "$T/A.json"
	vrun A c1 "$V" 'cd /data; for i in $(seq 60); do echo $i >$i; done'
	ok
	before=$(proxy log | wc -l)
	vrun A c2 "$V" 'echo two >/data/2'
	ok
	# The first one takes the lease.
	is "$(proxy log | tail -n +$((before + 1)) | sed -n 's/pack-0-[0-9a-f]*/pack/; s/^[0-9]* PUT //p')" \
		"$(printf '%s 200\n' "$M/head" "$M/commits/2-2/pack" "$M/head" "$P/2" "$M/head")"
	is "$(head_of '"\(.state) \(.commit.seq) \(.applied_seq) \(.hints.applied.seq)"')" "free 2 1 2"
	unlike "$(keys "$M/")" "2\.applied"
	before=$(proxy log | wc -l)
	vrun A c3 "$V" 'cat /data/2'
	is "$output" two
	like "$(proxy log | tail -n +$((before + 1)))" "PUT $M/2.applied 200"
	is "$(head_of '"\(.state) \(.commit.seq) \(.applied_seq) \(.hints)"')" "free 2 2 null"
	sound
}

@test "a PUT of an earlier run lands when its condition holds again (A, B, A): the start reads the commit" {
	vrun A c1 "$V" 'echo one >/data/f'
	ok
	proxy hold PUT "^$P/f\$"
	vrun A c2 "$V" 'echo two >/data/f'
	ok
	held 1
	# The same bytes have the same tag again.
	vrun B c3 "$V" 'echo one >/data/f'
	ok
	like "$(proxy release)" " 200"
	is "$(plain f)" two "the plain copy"
	vrun A c4 "$V" 'cat /data/f; echo x >/data/g'
	is "$output" one
	vrun B c5 "$V" 'cat /data/f'
	is "$output" one
	is "$(plain f)" one "the plain copy, mended"
	sound
}

@test "a PUT of a new file lands after the next run deleted it: it does not come back" {
	vrun A c1 "$V" 'echo one >/data/f'
	ok
	proxy hold PUT "^$P/new\$"
	vrun A c2 "$V" 'echo two >/data/new'
	ok
	held 1
	vrun B c3 "$V" 'rm /data/new'
	ok
	like "$(proxy release)" " 200"
	is "$(plain new)" two "the plain copy"
	vrun A c4 "$V" 'ls /data; echo x >/data/g'
	is "$output" f
	vrun B c5 "$V" 'ls /data'
	is "$output" $'f\ng'
	is "$(keys "$P/")" "$P/f"$'\n'"$P/g" "the plain copy, mended"
	sound
}

@test "a DELETE of an earlier run lands after the next one wrote the file anew: it is still there" {
	vrun A c1 "$V" 'echo one >/data/f; echo x >/data/x'
	ok
	proxy hold DELETE "^$P/f\$"
	vrun A c2 "$V" 'rm /data/f'
	ok
	held 1
	vrun B c3 "$V" 'echo three >/data/f'
	ok
	like "$(proxy release)" " 20"
	unlike "$(keys "$P/")" "/f\$"
	rm -rf "$T/cache-A"
	vrun A c4 "$V" 'cat /data/f; echo y >/data/x'
	is "$output" three
	is "$(plain f)" three "the plain copy, mended"
	vrun B c5 "$V" 'cat /data/f'
	is "$output" three
	sound
}

@test "a DELETE that lands late, and nobody looks for a day: it is no person's deletion; a later one, of what was shown, is" {
	vrun A c1 "$V" 'echo one >/data/f; echo x >/data/x'
	ok
	proxy hold DELETE "^$P/f\$"
	vrun A c2 "$V" 'rm /data/f'
	ok
	held 1
	vrun B c3 "$V" 'echo three >/data/f'
	ok
	proxy release
	unlike "$(keys "$P/")" "/f\$"
	proxy age 90000 "^$P/"
	proxy age 90000 "^$M/[0-9]*.applied\$"
	vrun A c4 "$V" 'cat /data/f'
	ok
	is "$output" three
	is "$(plain f)" three "the plain copy, mended"
	vrun A c5 "$V" 'cat /data/f; echo y >/data/x'
	is "$output" three
	# It was shown when it was a day old.
	vrun A c6 "$V" 'cat /data/f; echo z >/data/x'
	is "$output" three
	s3 rm "$BUCKET" "$P/f"
	vrun A c7 "$V" 'ls /data; echo y >/data/x'
	is "$output" x
	vrun B c8 "$V" 'ls /data'
	is "$output" x
	sound
}

@test "a copy of a large file, which has no condition, lands after the next commit: the start reads the commit" {
	vrun A c1 "$V" 'yes 1 | head -c 9000000 >/data/big'
	ok
	proxy hold PUT "^$P/big\$"
	vrun A c2 "$V" 'yes 2 | head -c 9000000 >/data/big'
	ok
	held 1
	vrun B c3 "$V" 'yes 3 | head -c 9000000 >/data/big'
	ok
	like "$(proxy release)" " 200"
	is "$(plain big | head -n 1)" 2 "the plain copy"
	vrun A c4 "$V" 'head -n 1 /data/big; echo x >/data/g'
	is "$output" 3
	is "$(plain big | head -n 1)" 3 "the plain copy, mended"
	sound
}

@test "a commit that lands after another holder took the lease and committed does not count; what it had is kept" {
	vrun A c1 "$V" 'echo one >/data/f'
	ok
	proxy pass PUT "^$M/head\$" 1 # the lease itself
	proxy hold PUT "^$M/head\$" 1000
	vstart A c2 "$V" 'echo two >/data/f'
	vrun_b() { vbundle c3 "$V" 'cat /data/f; echo three >/data/f; echo x >/data/of-b'; try on B volrun run --bundle "$T/c3" c3; }
	vrun_b
	ok
	is "$output" one
	until_true 10 eval '[[ $(head_of .state) == free ]]'
	local before
	before=$(s3 get "$BUCKET" "$M/head")
	(($(proxy held) >= 1)) || fail "nothing was kept"
	unlike "$(proxy release)" " 200"
	is "$(s3 get "$BUCKET" "$M/head")" "$before" "the register"
	proxy clear
	until_true 20 no_keeper A
	is "$(proxy release)" ""
	on A volrun delete --force c2
	is "$(s3 get "$BUCKET" "$M/head")" "$before" "the register"
	is "$(cat "$T"/cache-A/main/default/state/conflict-2/f)" two "what A had"
	vrun A c4 "$V" 'cat /data/f; ls /data'
	is "$output" $'three\nf\nof-b'
	sound
}

@test "an acquisition that lands late, of a keeper that is dead, takes nothing from the holder" {
	vrun A c1 "$V" 'echo one >/data/f'
	ok
	proxy hold PUT "^$M/head\$" 1000
	vbundle c2 "$V" 'echo must not run'
	ROOT=$T/state-A VOLRUN_CONFIG=$T/A.json volrun_bg run --bundle "$T/c2" c2 >"$T/c2.out" 2>&1
	local run=$!
	until_true 10 eval '(($(proxy held) > 0))'
	kill -9 "$(keeper_of A)"
	ended "$run"
	on A volrun delete --force c2
	vstart B c3 "$V" 'cat /data/f; echo b >/data/g; sleep 2'
	unlike "$(proxy release)" " 200"
	proxy clear
	is "$(head_of '.holder.node_name + .state')" node-Bheld
	until_true 10 no_keeper B
	on B volrun delete --force c3
	vrun A c4 "$V" 'cat /data/g'
	is "$output" b
	sound
}

@test "two first uses at once, one creation of the register lands late: one epoch 1, one owner" {
	proxy hold PUT "^$M/" 1000
	vbundle c1 "$V" 'echo must not run'
	ROOT=$T/state-A VOLRUN_CONFIG=$T/A.json volrun_bg run --bundle "$T/c1" c1 >"$T/c1.out" 2>&1
	local run=$!
	until_true 10 eval '(($(proxy held) > 0))'
	keeper_of A | xargs -r kill -9
	ended "$run"
	on A volrun delete --force c1
	vrun_b() { vbundle c2 "$V" 'echo b >/data/g'; try on B volrun run --bundle "$T/c2" c2; }
	vrun_b
	ok
	unlike "$(proxy release)" " 200"
	proxy clear
	is "$(head_of '"\(.epoch) \(.commit.seq)"')" "1 1"
	vrun A c3 "$V" 'cat /data/g'
	is "$output" b
	sound
}

@test "a release that lands late, after the next holder took the lease, frees nothing" {
	vrun A c1 "$V" 'echo one >/data/f'
	ok
	local n
	n=$(proxy log | wc -l)
	# Of a run that changes nothing the last register write is the release: acquire, release.
	proxy pass PUT "^$M/head\$" 1
	proxy hold PUT "^$M/head\$" 1
	vrun A c2 "$V" 'cat /data/f'
	ok
	held 1
	is "$(head_of .state)" free "released by the second try"
	vstart B c3 "$V" 'echo b >/data/g; sleep 3'
	like "$(proxy release)" " (412|500)"
	is "$(head_of '.holder.node_name + .state')" node-Bheld
	until_true 10 no_keeper B
	on B volrun delete --force c3
	vrun A c4 "$V" 'cat /data/g'
	is "$output" b
	sound
}

@test "answers to register writes are lost, each in turn: no epoch is skipped, no commit is made twice" {
	local i before after
	vrun A c0 "$V" 'echo 0 >/data/f'
	ok
	for i in 1 2 3; do # acquire, commit, what follows
		before=$(head_of '"\(.epoch) \(.commit.seq)"')
		proxy pass PUT "^$M/head\$" $((i - 1))
		proxy lose PUT "^$M/head\$" 1
		vrun A "c$i" "$V" "cat /data/f; echo $i >/data/f"
		ok
		is "$output" $((i - 1))
		proxy clear
		after=$(head_of '"\(.epoch) \(.commit.seq)"')
		is "$after" "$((${before% *} + 1)) $((${before#* } + 1))" "register write $i"
	done
	proxy log | grep -c "PUT $M/head"
	sound
}

@test "validity counts from the write that the register shows, not from the latest attempt: past it nothing is written" {
	vrun A c1 "$V" 'echo one >/data/f'
	ok
	proxy pass PUT "^$M/head\$" 1
	proxy hold PUT "^$M/head\$" 1
	proxy refuse PUT "^$M/head\$" 1000
	vstart A c2 "$V" 'sleep 3; echo two >/data/f'
	until_true 5 eval '[[ $(proxy held) == 1 ]]'
	# The first renewal lands while later ones fail: it was sent long ago.
	sleep 1.2
	local landed n
	landed=$(proxy release)
	n=$(proxy log | wc -l)
	like "$landed" " 200"
	sleep 0.8
	local end=$((SECONDS + 3))
	while ((SECONDS < end)); do
		! proxy log | tail -n +$((n + 1)) | grep -E ' (PUT|POST|DELETE) ' | grep -v "PUT $M/head 0" | grep . || fail "written past the validity"
		sleep 0.2
	done
	proxy clear
	# Nobody took it: the holder resumes, and commits.
	until_true 20 no_keeper A
	on A volrun delete --force c2
	vrun B c3 "$V" 'cat /data/f'
	is "$output" two
	sound
}

@test "a restore that takes longer than the lease, which another one took: the container does not start" {
	vrun B c1 "$V" 'echo one >/data/f'
	ok
	proxy pass PUT "^$M/head\$" 1
	proxy refuse PUT "^$M/head\$" 1000
	# As long as the client waits for an answer, again and again.
	proxy stall 1 GET "^$M/commits/" 100
	node A "$(printf '.lease += {ttl: "2s", renew: "400ms", poll: "200ms"} | .stores.main += {endpoint: "%s", low_speed_seconds: 10}' \
		"$(sed -n 's/^S3_ENDPOINT=//p' "$T/proxy/env")")"
	proxy clear
	proxy pass PUT "^$M/head\$" 1
	proxy refuse PUT "^$M/head\$" 1000
	proxy stall 5 GET "^$M/commits/" 1
	vbundle c2 "state /data wait=1s" 'cat /data/f'
	ROOT=$T/state-A VOLRUN_CONFIG=$T/A.json volrun_bg run --bundle "$T/c2" c2 >"$T/c2.out" 2>&1
	local run=$!
	until_true 10 eval '[[ $(head_of ".holder.node_name + .state") == node-Aheld ]]'
	vbundle c3 "$V" 'cat /data/f; echo three >/data/f'
	try on B volrun run --bundle "$T/c3" c3
	ok
	is "$output" one
	ended "$run"
	((status != 0)) || fail "started: $(cat "$T/c2.out")"
	like "$(cat "$T/c2.out")" "lease"
	proxy clear
	on A volrun delete --force c2
	until_true 20 no_keeper A
	vrun A c4 "$V" 'cat /data/f'
	is "$output" three
	sound
}

@test "an upload beneath commits/ lands after the next holder made the commit of that number: its bytes stay" {
	vrun A c1 "$V" 'echo one >/data/f'
	ok
	proxy hold PUT "^$M/commits/" 1000
	vstart A c2 "$V" 'echo two >/data/f'
	until_true 10 eval '(($(proxy held) > 0))'
	kill -9 "$(keeper_of A)"
	vrun B c3 "$V" 'echo three >/data/f'
	ok
	is "$(head_of .commit.seq)" 2
	local before
	before=$(keys "$M/commits/")
	like "$(proxy release)" "commits/2-2/.* 200"
	proxy clear
	[[ $(keys "$M/commits/") != "$before" ]] || fail "it did not land"
	on A volrun delete --force c2
	sound
	rm -rf "$T/cache-B"
	vrun B c4 "$V" 'cat /data/f'
	is "$output" three
	vrun A c5 "$V" 'cat /data/f'
	is "$output" three
}

@test "a holder that went on after its lease was taken publishes nothing: its late plain files don't count" {
	vrun A c1 "$V" 'echo one >/data/f; echo one >/data/g'
	ok
	# Commits, and then all that it publishes is kept, until its lease is another's.
	proxy hold PUT "^$P/" 1000
	proxy pass PUT "^$M/head\$" 2 # lease and commit
	proxy hold PUT "^$M/head\$" 1000
	vstart A c2 "$V" 'echo two >/data/f; rm /data/g; echo new >/data/new'
	vbundle c3 "$V" 'cat /data/f; ls /data; echo three >/data/f; rm /data/new; echo again >/data/g'
	try on B volrun run --bundle "$T/c3" c3
	ok
	# A's commit counts, though its plain files were another's work.
	is "$output" $'two\nf\nnew'
	until_true 10 no_keeper B
	proxy release >"$T/released"
	proxy clear
	until_true 30 no_keeper A
	on A volrun delete --force c2
	vrun A c4 "$V" 'cat /data/f /data/g; ls /data; echo x >/data/x'
	is "$output" $'three\nagain\nf\ng'
	vrun B c5 "$V" 'ls /data'
	is "$output" $'f\ng\nx'
	is "$(plain f)" three
	sound
}

# As if the last collection, and what it noted, were of two days ago.
long_ago() {
	head_of . | jq -c '.collected = 1' | s3 put "$BUCKET" "$M/head" -
	proxy age 172800 "^$M/garbage\$"
}

@test "deletions of a collection land when the next holder has the same bytes again: it has objects of its own" {
	vrun A c1 "$V" 'yes x | head -c 2000000 >/data/dead; echo 1 >/data/f'
	ok
	long_ago
	vrun A c2 "$V" 'rm /data/dead; echo 2 >/data/f'
	ok
	long_ago
	vrun A c3 "$V" 'echo 3 >/data/f'
	ok
	long_ago
	proxy hold DELETE "^$M/commits/" 1000
	vrun A c4 "$V" 'echo 4 >/data/f'
	ok
	(($(proxy held) > 0)) || fail "nothing was collected: $(proxy log | tail -n 30)"
	vrun B c5 "$V" 'cat /data/f; yes x | head -c 2000000 >/data/dead; echo 5 >/data/f'
	ok
	is "$output" 4
	like "$(proxy release)" "DELETE .*/commits/.* 20"
	proxy clear
	rm -rf "$T/cache-A"
	vrun A c6 "$V" 'cat /data/f; wc -c </data/dead'
	ok
	is "$output" $'5\n2000000'
	sound
}

# Here because of the proxy: answers take 800 ms; a third one at the start, or a second one at the end, would
# show in any case. On a busy machine one of a few tries shows that there is none.
@test "the start of a clean volume waits for two answers of the store, its end for one" {
	local start all first times=() n
	vrun A c1 "$V" 'echo one >/data/f'
	ok
	for n in 2 3 4 5; do
		vbundle "c$n" "$V" true
		proxy stall 0.8 GET '.*' 1000
		proxy stall 0.8 PUT '.*' 1000
		start=${EPOCHREALTIME/./}
		on A volrun create --bundle "$T/c$n" "c$n" </dev/null >"$T/log" 2>&1 || fail "$(<"$T/log")"
		first=$(((${EPOCHREALTIME/./} - start) / 1000))
		on A volrun start "c$n"
		until_true 10 no_keeper A
		all=$(((${EPOCHREALTIME/./} - start) / 1000))
		proxy clear
		on A volrun delete "c$n"
		((first >= 1600 && all >= 2400)) || fail "$first ms, $all ms" "$(proxy log)"
		((first >= 2400 || all >= 3200)) || break
		times+=("$first ms, $all ms")
	done
	echo "# create: $first ms, all: $all ms, with answers after 800 ms" >&3
	((first < 2400 && all < 3200)) || fail "${times[@]}" "$(proxy log)"
}
