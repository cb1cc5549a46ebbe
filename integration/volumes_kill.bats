#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# SIGKILL to the runtime, the hook or the keeper at any moment of a run: what is
# left is removed by delete --force, the next run works, and no commit is lost.

load lib/common
load lib/volume
setup() { common_setup; node A '.lease.ttl = "3s"'; }
teardown() { common_teardown; }

# How many commits there are: each run makes one, and, where the keeper of the run before was killed, that one's is
# made first. Each run adds one to the volume's counter, if it came so far.
commits() { jq '.commit.seq' "$T/store/volumes/default/.volrun/state/head" 2>/dev/null || echo 0; }

counter() { cat "$T/store/volumes/default/state/n" 2>/dev/null || echo 0; }

# kill_at DELAY PROGRAM...: one run of a container that counts, in which PROGRAMs are killed after DELAY s.
kill_at() {
	local delay=$1 pid
	shift
	ROOT=$T/state-A VOLRUN_CONFIG=$T/A.json volrun_bg run --bundle "$T/c1" c1 >/dev/null 2>&1
	pid=$!
	sleep "$delay"
	pids_of "$@" | xargs -r kill -9 2>/dev/null || :
	ended "$pid"
	on A volrun delete --force c1 >/dev/null 2>&1
	until_true 30 eval '[[ -z $(pids_of volrun volrun-hook volrun-keeper) ]]'
	is "$(ls "$T/state-A")" "" "states left"
	is "$(find "$T/run-A" -type s)" "" "sockets left"
}

@test "kill -9 of runtime, hook or keeper at any moment loses no commit and leaves nothing" {
	local i before counter=0
	vbundle c1 "state /data" 'n=$(cat /data/n 2>/dev/null || echo 0); echo $((n + 1)) >/data/n.new; mv /data/n.new /data/n; head -c 1000000 /dev/zero >/data/big'
	for i in $(seq 24); do
		before=$(commits)
		case $((i % 4)) in
		0) kill_at "0.0$((10 + 3 * i))" volrun ;;
		1) kill_at "0.0$((10 + 3 * i))" volrun-keeper ;;
		2) kill_at "0.0$((10 + 3 * i))" volrun-hook volrun ;;
		3) kill_at "0.0$((10 + 3 * i))" volrun volrun-hook volrun-keeper ;;
		esac
		(($(commits) >= before && $(commits) <= before + 2)) || fail "run $i: commit $before became $(commits)"
		(($(counter) >= counter && $(counter) <= counter + 2)) || fail "run $i: counter $counter became $(counter)"
		counter=$(counter)
	done
	((counter > 6)) || fail "only $counter of 24 runs"
	vrun A c2 "state /data" 'cat /data/n'
	ok
	((output >= counter && output <= counter + 1 && output <= $(commits))) || fail "counter $output, commits $(commits)"
}
