#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A create that waits for a volume is killed by who called it, and nobody says `delete`: containerd does so when kubelet's
# two minutes are over. Nothing of the container stays.

load lib/common
load lib/volume
setup() {
	common_setup
	node A '.lease += {ttl: "3s", renew: "500ms", poll: "200ms"}'
	node B '.lease += {ttl: "3s", renew: "500ms", poll: "200ms"}'
	vstart B b1 "state /data" 'echo B >/data/f; sleep 100'
}
teardown() { common_teardown; }

V="state /data"
# The state directory of node A, and the cgroup of c1.
nothing_of_c1() { [[ ! -e $T/state-A/c1 ]] && ! find /sys/fs/cgroup -type d -path "*/$CG/c1" 2>/dev/null | grep -q .; }

waiting() { # COMMAND: a create or run of c1 that waits for B; its pid is in $creator
	vbundle c1 "$V" 'sleep 100'
	VOLRUN_CONFIG=$T/A.json "$BIN/volrun" --root "$T/state-A" "$1" --bundle "$T/c1" c1 </dev/null >"$T/out" 2>&1 3>&- 4>&- &
	creator=$!
	until_true 10 test -e "$T/state-A/c1/config.json"
	sleep 0.5
}

@test "a create that is killed while it waits for a lease leaves no state, cgroup or process, and the next one has the id" {
	local creator
	waiting create
	kill -9 "$creator"
	wait "$creator" || :
	until_true 10 nothing_of_c1
	# Who waits for the end of its output does not wait for what clears up.
	is "$(<"$T/out")" ""
	on B volrun delete --force b1
	until_true 10 eval '[[ -z $(keepers) ]]'
	vrun A c1 "$V" 'cat /data/f'
	is "$output" B
}

@test "so does a run in the foreground, with its whole process group" {
	local creator
	set -m
	waiting run
	set +m
	kill -9 -- "-$creator"
	wait "$creator" || :
	until_true 10 nothing_of_c1
	on B volrun delete --force b1
}

@test "a create that gives up by itself has taken all away when it ends" {
	vbundle c1 "$V wait=300ms" true
	try on A volrun create --bundle "$T/c1" c1
	not_ok 'lease held by node-B'
	nothing_of_c1
	is "$(pgrep -c -f -- "$T/state-A create" || :)" 0
	on B volrun delete --force b1
}
