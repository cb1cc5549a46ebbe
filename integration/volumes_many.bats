#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Many containers side by side, each with a volume of its own and its keeper.

load lib/common
load lib/volume

# A keeper with sanitizers is some 30 times as large.
MANY=${VOLRUN_MANY:-500}
[[ -z ${VOLRUN_SANITIZED:-} ]] || MANY=40

setup() {
	common_setup
	node A '.lease += {ttl: "30s", renew: "5s", poll: "1s"}'
}
teardown() { common_teardown; }

heads() { cat "$T"/store/volumes/default/.volrun/v*/head; }
# each_of COMMAND: for each of the containers, some at once.
each_of() {
	seq "$MANY" | VOLRUN_CONFIG=$T/A.json xargs -P 8 -I '{}' sh -c "$1" >"$T/each" 2>&1 3>&- 4>&- || fail "$(head -n 5 "$T/each")"
}

@test "many containers with volumes run at once: every lease is renewed, every keeper is small, every end is committed" {
	local i t0 t1 t2 pss
	bundle c 'echo "$N" >/data/f; touch /data/up; exec sleep 1000' '.root = {path: "'"$SUITE/rootfs"'", readonly: true}'
	for ((i = 1; i <= MANY; i++)); do
		mkdir "$T/b$i"
		jq --arg i "$i" --arg cg "/$CG/c$i" '.annotations = {"dev.volrun.volume": "v\($i) /data"} | .linux.cgroupsPath = $cg
			| .process.env += ["N=\($i)"]' "$T/c/config.json" >"$T/b$i/config.json"
	done
	t0=$(now_ms)
	each_of "'$BIN/volrun' --root '$T/state-A' run --detach --bundle '$T/b{}' c{} </dev/null"
	t1=$(now_ms)
	is "$(keepers | wc -l)" "$MANY" keepers
	is "$(heads | jq -r .state | sort | uniq -c | tr -s ' ')" " $MANY held"
	heads | jq -r .nonce | sort >"$T/nonces"
	is "$(sort -u "$T/nonces" | wc -l)" "$MANY" nonces
	# Of their own memory; the libraries are shared.
	for i in $(keepers); do awk '/^Pss:/ { print $2 }' "/proc/$i/smaps_rollup"; done | sort -n >"$T/pss"
	pss=$(tail -n 1 "$T/pss")
	[[ -n ${VOLRUN_SANITIZED:-} ]] || ((pss <= 2048)) || fail "a keeper has $pss KiB"
	sleep 11
	is "$(heads | jq -r .nonce | sort | comm -12 - "$T/nonces" | wc -l)" 0 "leases that were not renewed"
	is "$(heads | jq -r '"\(.state) \(.epoch)"' | sort | uniq -c | tr -s ' ')" " $MANY held 1"
	t2=$(now_ms)
	each_of "'$BIN/volrun' --root '$T/state-A' kill c{} KILL"
	until_true 120 eval '[[ -z $(keepers) ]]'
	echo "# $MANY: started in $((t1 - t0)) ms, ended and committed in $(($(now_ms) - t2)) ms; PSS of a keeper $(head -n 1 "$T/pss") to $pss KiB" >&3
	is "$(heads | jq -r '"\(.state) \(.epoch) \(.commit.seq)"' | sort | uniq -c | tr -s ' ')" " $MANY free 1 1"
	for ((i = 1; i <= MANY; i++)); do is "$(<"$T/store/volumes/default/v$i/f")" "$i"; done
	each_of "'$BIN/volrun' --root '$T/state-A' delete c{}"
	is "$(cat "$T/each")" ""
}
