#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Containers of one pod share the lease of a volume, and its tree; the commit comes when all have ended.

load lib/common
load lib/volume
setup() {
	common_setup
	node A '.lease += {ttl: "3s", renew: "500ms", poll: "200ms"}'
	node B '.lease += {ttl: "3s", renew: "500ms", poll: "200ms"}'
}
teardown() { common_teardown; }

V="state /data"
head_of() { cat "$T/store/volumes/default/.volrun/state/head"; }
cached() { echo "$T/cache-A/main/default/state/$1"; }

# The keeper that has the volume.
adopter() { jq -r .pid "$(cached keeper)"; }

# member POD NAME SCRIPT: a container of that pod, started, which has the volume.
member() { vstart A "$2" "$V" "$3" ".annotations[\"io.kubernetes.cri.sandbox-id\"] = \"$1\""; }

# Killed and gone: what it had locked is free. (Whoever is to ask for its status may take its time.)
end_of() {
	kill -9 "$1" 2>/dev/null || : # it may have come to the call that was to be its last
	until_true 10 eval "[[ ! -e /proc/$1 ]] || grep -q '^State:.Z' /proc/$1/status"
}

@test "two containers of a pod see one tree; the commit comes when both have ended" {
	member p1 c1 'echo one >/data/one; sleep 100'
	until_true 10 test -s "$(cached rw/one)"
	member p1 c2 'cat /data/one >/data/two; sleep 100'
	until_true 10 test -s "$(cached rw/two)"
	is "$(cat "$(cached rw/two)")" one
	on A volrun delete --force c1
	# Longer than the lease: it is renewed for the one that is left.
	sleep 4
	is "$(head_of | jq -r '"\(.state) \(.commit.seq)"')" "held 0"
	on A volrun delete --force c2
	until_true 20 eval '[[ -z $(keepers) ]]'
	is "$(head_of | jq -r '"\(.state) \(.commit.seq)"')" "free 1"
	vrun B c3 "$V" 'cat /data/one /data/two'
	is "$output" $'one\none'
	is "$(find "$(cached .)" -name 'users-*')" ""
}

@test "the one that joined may end first" {
	member p1 c1 'echo one >/data/one; sleep 100'
	until_true 10 test -s "$(cached rw/one)"
	member p1 c2 'echo two >/data/two'
	until_true 10 test -s "$(cached rw/two)"
	on A volrun delete --force c2
	is "$(head_of | jq -r '"\(.state) \(.commit.seq)"')" "held 0"
	on A volrun delete --force c1
	until_true 20 eval '[[ -z $(keepers) ]]'
	is "$(head_of | jq -r '"\(.state) \(.stats.files)"')" "free 2"
}

@test "many of a pod that start at once share it; another pod waits" {
	local i pids=()
	for i in 1 2 3 4 5 6; do
		vbundle "c$i" "$V" "echo $i >/data/f$i; sleep 100" '.annotations["io.kubernetes.cri.sandbox-id"] = "p1"'
		on A "$BIN/volrun" --root "$T/state-A" run --detach --bundle "$T/c$i" "c$i" </dev/null >/dev/null 2>&1 3>&- 4>&- &
		pids+=($!)
	done
	wait "${pids[@]}"
	for i in 1 2 3 4 5 6; do until_true 10 test -s "$(cached "rw/f$i")"; done
	vbundle d1 "state /data wait=500ms" true '.annotations["io.kubernetes.cri.sandbox-id"] = "p2"'
	try on A volrun run --bundle "$T/d1" d1
	not_ok 'lease held by node-A'
	vbundle d2 "state /data wait=500ms" true
	try on A volrun run --bundle "$T/d2" d2
	not_ok 'lease held by node-A'
	for i in 1 2 3 4 5 6; do on A volrun delete --force "c$i"; done
	until_true 20 eval '[[ -z $(keepers) ]]'
	is "$(head_of | jq -r '"\(.state) \(.stats.files)"')" "free 6"
}

@test "the holder's keeper is killed while a pod uses the volume: adopted, and committed when the last has ended" {
	local holder
	member p1 c1 'echo one >/data/one; sleep 100'
	until_true 10 test -s "$(cached rw/one)"
	holder=$(keepers)
	member p1 c2 'echo two >/data/two; sleep 100'
	until_true 10 test -s "$(cached rw/two)"
	on A volrun delete --force c1
	end_of "$holder"
	try on A volrun volume recover
	ok
	like "$output" 'state: adopted'
	member p1 c3 'cat /data/one /data/two >/data/three; sleep 100'
	until_true 10 test -s "$(cached rw/three)"
	on A volrun delete --force c2
	sleep 1
	is "$(head_of | jq -r '"\(.state) \(.commit.seq)"')" "held 0"
	on A volrun delete --force c3
	until_true 20 eval '[[ -z $(keepers) ]]'
	vrun B c4 "$V" 'cat /data/three'
	is "$output" $'one\ntwo'
}

# Adopters with a library that kills them at their nth call that changes something (faults/last_call.c).
@test "an adopter that is killed at any moment: the pod goes on, and nothing is committed while one of it runs" {
	[[ -z ${VOLRUN_SANITIZED:-} ]] || skip "the sanitizers' library has to be the first; shown by the usual build"
	local n=0 last='' call
	cc -O2 -shared -fPIC -o "$T/last_call.so" "$HERE/faults/last_call.c"
	mkdir "$T/bin"
	cp "$BIN"/volrun "$BIN"/volrun-* "$T/bin/"
	member p1 c1 'echo one >/data/one; sleep 100'
	until_true 10 test -s "$(cached rw/one)"
	last=$(keepers)
	member p1 c2 'echo two >/data/two; sleep 100'
	until_true 10 test -s "$(cached rw/two)"
	on A volrun delete --force c1
	cp "$(cached keeper)" "$T/note"
	while ((n < 200)); do
		((++n))
		end_of "$last"
		# What the first one noted: the others have no cgroup of the container's any more, and go by the mounts.
		cp "$T/note" "$(cached keeper)"
		printf '#!/bin/sh\nLAST_CALL=%s LAST_CALL_FILE=%s LD_PRELOAD=%s exec %s "$@"\n' "$n" "$T/call" "$T/last_call.so" "$BIN/volrun-keeper" >"$T/bin/volrun-keeper"
		rm -f "$T/call"
		try on A timeout 20 "$T/bin/volrun-volume" --config="$T/A.json" recover
		sleep 0.1
		call=$(cat "$T/call" 2>/dev/null) || :
		[[ -n $call ]] || break
		try on A volrun volume recover
		ok
		like "$output" 'state: adopted'
		is "$(head_of | jq -r '"\(.state) \(.commit.seq)"')" "held 0" "after $call"
		last=$(adopter)
	done
	((n > 5)) || fail "no call was spoiled: $n, $call"
	# The one that was to be killed later than that.
	end_of "$(adopter)"
	try on A volrun volume recover
	like "$output" 'state: adopted'
	on A volrun exec c2 sh -c 'echo three >/data/three'
	on A volrun delete --force c2
	until_true 20 eval '[[ -z $(keepers) ]]'
	vrun B c4 "$V" 'cat /data/one /data/two /data/three'
	is "$output" $'one\ntwo\nthree'
}

# sandbox POD NAME: the pod's "pause" container; the annotations of the pod reach it, too.
sandbox() {
	vstart A "$2" "$V" 'sleep 100' ".annotations += {\"io.kubernetes.cri.sandbox-id\": \"$1\", \"io.kubernetes.cri.container-type\": \"sandbox\"}"
}
resting() { [[ $(head_of | jq -r '"\(.state) \(.commit.seq)"') == "held $1" && -e $(cached clean) ]]; }

@test "between two containers of a pod what was written is committed, and the lease kept until the sandbox ends" {
	local began
	sandbox p1 s1
	member p1 c1 'echo one >/data/one'
	until_true 10 resting 1
	began=$(now_ms)
	on A volrun delete --force c1
	(($(now_ms) - began < 3000)) || fail "delete waited for the pod's end"
	# Longer than the lease.
	sleep 4
	resting 1
	try on A volrun volume sync state
	not_ok 'volume state is not in use on this node'
	# Nothing is left to be synced back.
	try on A volrun volume --wait=2s drain
	ok
	vbundle d1 "state /data wait=500ms" true '.annotations["io.kubernetes.cri.sandbox-id"] = "p2"'
	try on A volrun run --bundle "$T/d1" d1
	not_ok 'lease held by node-A'
	vbundle d2 "state /data wait=500ms" true
	try on B volrun run --bundle "$T/d2" d2
	not_ok 'lease held by node-A'
	member p1 c2 'cat /data/one >/data/two; sleep 100'
	until_true 10 test -s "$(cached rw/two)"
	[[ -e $(cached dirty) ]] || fail "not dirty: $(ls "$(cached .)")"
	is "$(head_of | jq -r '"\(.state) \(.commit.seq)"')" "held 1"
	on A volrun delete --force c2
	until_true 10 resting 2
	# One that ends before anybody looked.
	member p1 c4 'echo four >/data/four'
	until_true 10 resting 3
	on A volrun delete --force c4
	is "$(keepers | wc -l)" 1
	on A volrun delete --force s1
	until_true 10 eval '[[ -z $(keepers) ]]'
	is "$(head_of | jq -r '"\(.state) \(.commit.seq) \(.hints.applied.seq // .applied_seq)"')" "free 3 3"
	vrun B c3 "$V" 'cat /data/one /data/two /data/four'
	is "$output" $'one\none\nfour'
}

@test "of two volumes of a pod one rests while the other is used: what is written to it then is committed, too" {
	local other=".annotations[\"io.kubernetes.cri.sandbox-id\"] = \"p1\"" head=$T/store/volumes/default/.volrun/other/head
	sandbox p1 s1
	member_of_two() { vstart A "$1" "$V" "$2" "$other | .annotations[\"dev.volrun.volume.2\"] = \"other /mnt\""; }
	member_of_two c1 'echo one >/data/one; echo one >/mnt/one'
	until_true 10 resting 1
	on A volrun delete --force c1
	member p1 c2 'sleep 100'
	until_true 10 eval '[[ $(jq .resting "$(cached keeper)") == null ]]'
	vstart A c3 "other /mnt" 'echo two >/mnt/two; sleep 100' "$other"
	until_true 10 test -s "$T/cache-A/main/default/other/rw/two"
	# The pod's end, in an order that leaves no time to rest once more.
	on A volrun delete --force s1
	on A volrun delete --force c2
	on A volrun delete --force c3
	until_true 10 eval '[[ -z $(keepers) ]]'
	is "$(jq -r '"\(.state) \(.commit.seq)"' <"$head")" "free 2"
	is "$(head_of | jq -r '"\(.state) \(.commit.seq)"')" "free 1"
	vrun B c4 "other /mnt" 'cat /mnt/two'
	is "$output" two
}

@test "a pod without a container, whose store is gone for longer than the lease: nobody joins what may be another's" {
	local file pids=()
	sandbox p1 s1
	member p1 c1 'echo one >/data/one'
	until_true 10 resting 1
	on A volrun delete --force c1
	# It answers nobody meanwhile.
	while read -r file; do
		flock "$file" sleep 6 </dev/null >/dev/null 2>&1 3>&- 4>&- &
		pids+=($!)
	done < <(find "$T/store" -path '*/locks/*' -type f)
	until_true 20 eval '[[ -z $(keepers) ]]'
	wait "${pids[@]}"
	vrun B c2 "$V" 'echo two >/data/one'
	ok
	member p1 c3 'cat /data/one >/data/three; sleep 100'
	until_true 10 test -s "$(cached rw/three)"
	is "$(cat "$(cached rw/three)")" two
	on A volrun delete --force s1
	on A volrun delete --force c3
	until_true 10 eval '[[ -z $(keepers) ]]'
}

@test "a keeper that was told to stop while its container ran keeps no lease for the pod" {
	sandbox p1 s1
	member p1 c1 'echo one >/data/one; sleep 100'
	until_true 10 test -s "$(cached rw/one)"
	kill -TERM "$(adopter)"
	sleep 0.5
	is "$(head_of | jq -r .state)" held
	on A volrun delete --force c1
	until_true 10 eval '[[ -z $(keepers) ]]'
	is "$(head_of | jq -r '"\(.state) \(.commit.seq)"')" "free 1"
	on A volrun delete --force s1
}

@test "a pod without a container gives its lease back after lease.pod_timeout" {
	node A '.lease += {ttl: "3s", renew: "500ms", poll: "200ms", pod_timeout: "1s"}'
	sandbox p1 s1
	member p1 c1 'echo one >/data/one'
	until_true 10 eval '[[ -z $(keepers) ]]'
	is "$(head_of | jq -r '"\(.state) \(.commit.seq)"')" "free 1"
	on A volrun delete --force c1
	member p1 c2 'echo two >/data/two'
	until_true 10 resting 2
	on A volrun delete --force c2
	until_true 10 eval '[[ -z $(keepers) ]]'
	on A volrun delete --force s1
	is "$(head_of | jq -r '"\(.state) \(.commit.seq)"')" "free 2"
}

@test "the keeper of a pod without a container is killed: the next one of the pod has the volume at once" {
	local began
	sandbox p1 s1
	member p1 c1 'echo one >/data/one'
	until_true 10 resting 1
	on A volrun delete --force c1
	kill -9 "$(keepers)"
	began=$(now_ms)
	member p1 c2 'cat /data/one >/data/two'
	until_true 10 resting 2
	(($(now_ms) - began < 5000)) || fail "it waited"
	on A volrun delete --force c2
	# And with the sandbox killed, without a delete.
	on A volrun kill s1 KILL
	until_true 10 eval '[[ -z $(keepers) ]]'
	on A volrun delete --force s1
	vrun B c3 "$V" 'cat /data/two'
	is "$output" one
}

@test "a container that joins, and whose holder is killed while it runs, is adopted" {
	sandbox p1 s1
	member p1 c1 'echo one >/data/one'
	until_true 10 resting 1
	on A volrun delete --force c1
	local holder
	holder=$(keepers)
	member p1 c2 'echo two >/data/two; sleep 100'
	until_true 10 test -s "$(cached rw/two)"
	end_of "$holder"
	try on A volrun volume recover
	like "$output" 'state: adopted'
	on A volrun exec c2 sh -c 'echo three >/data/three'
	on A volrun delete --force c2
	on A volrun delete --force s1
	until_true 20 eval '[[ -z $(keepers) ]]'
	vrun B c3 "$V" 'cat /data/two /data/three'
	is "$output" $'two\nthree'
}

@test "a pod whose tree can't be marked clean does not rest, committed again and again" {
	sandbox p1 s1
	member p1 c1 'echo one >/data/one; sleep 1'
	until_true 10 test -s "$(cached rw/one)"
	mkdir -p "$(cached clean)/x"
	until_true 10 eval '[[ -z $(keepers) ]]'
	is "$(head_of | jq -r '"\(.state) \(.commit.seq)"')" "free 1"
	[[ -e $(cached dirty) ]] || fail "not dirty: $(ls "$(cached .)")"
	rm -r "$(cached clean)"
	on A volrun delete --force c1
	on A volrun delete --force s1
	vrun B c2 "$V" 'cat /data/one'
	is "$output" one
}

@test "nobody joins a running holder whose lease has run out; when the store answers again, he does" {
	local file pids=()
	sandbox p1 s1
	member p1 c1 'echo one >/data/one; sleep 100'
	until_true 10 test -s "$(cached rw/one)"
	while read -r file; do
		flock "$file" sleep 9 </dev/null >/dev/null 2>&1 3>&- 4>&- &
		pids+=($!)
	done < <(find "$T/store" -path '*/locks/*' -type f)
	sleep 3
	vbundle c2 "state /data wait=500ms" 'touch /data/two' '.annotations["io.kubernetes.cri.sandbox-id"] = "p1"'
	try on A timeout 8 "$BIN/volrun" --root "$T/state-A" run --bundle "$T/c2" c2
	not_ok 'lease held by node-A'
	[[ ! -e $(cached rw/two) ]] || fail "it joined"
	wait "${pids[@]}"
	member p1 c3 'cat /data/one >/data/three; sleep 100'
	until_true 10 test -s "$(cached rw/three)"
	on A volrun delete --force c3
	on A volrun delete --force c1
	on A volrun delete --force s1
	until_true 20 eval '[[ -z $(keepers) ]]'
	is "$(head_of | jq -r '"\(.state) \(.stats.files)"')" "free 2"
}

# Each pod rests on what the other one asks for next.
crossed() {
	local node=$1 p i annotations pids=()
	in_pod() { annotations=".annotations[\"io.kubernetes.cri.sandbox-id\"] = \"$1\""; }
	for p in "A p1 alpha" "$node p2 beta"; do
		# shellcheck disable=SC2086 # its words
		set -- $p
		in_pod "$2"
		vstart "$1" "sandbox-$2" "$3 /data" 'sleep 100' "$annotations | .annotations[\"io.kubernetes.cri.container-type\"] = \"sandbox\""
		vstart "$1" "$2-first" "$3 /data" "echo $2 >/data/by" "$annotations"
		until_true 10 test -e "$T/cache-$1/main/default/$3/clean"
		on "$1" volrun delete --force "$2-first"
	done
	for p in "A p1 beta" "$node p2 alpha"; do
		# shellcheck disable=SC2086
		set -- $p
		in_pod "$2"
		vbundle "$2-next" "$3 /data" 'cat /data/by' "$annotations"
		on "$1" timeout 40 "$BIN/volrun" --root "$T/state-$1" run --bundle "$T/$2-next" "$2-next" </dev/null >"$T/$2.out" 2>&1 3>&- 4>&- &
		pids+=($!)
	done
	# The one that asked for the later volume has it soon; the other one when that pod has ended, as is said.
	until_true 15 test -s "$T/p1.out"
	is "$(<"$T/p1.out")" p2
	is "$(cat "$T/p2.out")" "" "what is no pod's but p1's"
	wait "${pids[0]}"
	on A volrun delete --force sandbox-p1
	wait "${pids[1]}"
	is "$(<"$T/p2.out")" p1
	on "$node" volrun delete --force sandbox-p2
	until_true 20 eval '[[ -z $(keepers) ]]'
}

@test "two pods that each rest on what the other one asks for do not wait for each other" { crossed A; }

@test "nor do they on two nodes" { crossed B; }

@test "a container that waits is killed: what its pod rested on is given back, and nothing of the wait stays" {
	local waiter
	vstart B other "alpha /data" 'sleep 100'
	sandbox p1 s1
	member p1 c1 'echo one >/data/one'
	until_true 10 resting 1
	on A volrun delete --force c1
	vbundle c2 "alpha /data" true '.annotations["io.kubernetes.cri.sandbox-id"] = "p1"'
	on A volrun_bg run --bundle "$T/c2" c2 >/dev/null 2>&1
	waiter=$!
	until_true 10 eval '[[ $(head_of | jq -r .state) == free ]]'
	kill -9 "$waiter"
	until_true 20 eval '[[ $(keepers | wc -l) == 1 ]]'
	on A volrun delete --force c2 || :
	on B volrun delete --force other
	on A volrun delete --force s1
	until_true 20 eval '[[ -z $(keepers) ]]'
}
