#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Commits during the run of a volume that several containers of a pod share: all of them are held still for it.

load lib/common
load lib/volume
setup() { common_setup; node A; node B; }
teardown() { common_teardown; }

head_of() { cat "$T/store/volumes/default/.volrun/state/head"; }
commit_of() { head_of | jq -r .commit.seq 2>/dev/null || echo 0; }
committed() { (($(commit_of) >= $1)); }
cached() { echo "$T/cache-A/main/default/state/$1"; }
vsync() { try on A volrun volume sync "$@"; }
all_end() {
	local name
	for name; do on A volrun delete --force "$name"; done
	until_true 20 eval '[[ -z $(keepers) ]]'
}
# member NAME VOLUME SCRIPT: a container of the pod.
member() { vstart A "$1" "$2" "$3" '.annotations["io.kubernetes.cri.sandbox-id"] = "p1"'; }

# Numbers that grow, to 40 files in turn: whoever copies them while that goes on finds a later one greater.
WRITER='n=0; while :; do n=$((n + 1)); for f in 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39; do echo $n >$D/m && mv $D/m $D/$f; done; done'
# What another node finds: no file is of a later round than one before it, and none of more than one round before.
reader() {
	on B volrun delete --force reader >/dev/null 2>&1 || :
	vbundle reader "state /data ro" 'cd /data; for d in one two; do echo $d $(cat $d/1? $d/2? $d/3?); done'
	try on B volrun run --bundle "$T/reader" reader
	ok
	awk '{ for (i = 3; i <= NF; i++) if ($i > $(i - 1) || $2 - $i > 1) bad = 1 } NF != 31 { bad = 1 } END { exit bad }' \
		<<<"$output" || fail "torn: $output"
}

@test "a volume that two of a pod write to is committed while both run, each as it was at one moment" {
	local i before
	member c1 "state /data sync=1s" "mkdir /data/one /data/two; D=/data/one; $WRITER"
	until_true 5 test -e "$(cached rw/one/39)"
	member c2 "state /data sync=1s" "D=/data/two; $WRITER"
	until_true 5 test -e "$(cached rw/two/39)"
	until_true 15 committed 2
	for i in 1 2 3; do
		before=$(commit_of)
		vsync state
		ok
		like "$output" 'frozen for'
		(($(commit_of) > before)) || fail "no new commit"
		reader
	done
	is "$(jq -r '.sync_error // "none"' "$(cached keeper)")" none
	is "$(on A volrun state c1 | jq -r .status),$(on A volrun state c2 | jq -r .status)" running,running
	all_end c2 c1
	is "$(head_of | jq -c '[.state, .commit.running]')" '["free",null]'
}

@test "when the first of a pod has ended, the commits of what the others write go on" {
	member c1 "state /data sync=1s" "mkdir /data/one /data/two; D=/data/one; $WRITER"
	until_true 5 test -e "$(cached rw/one/39)"
	member c2 "state /data sync=1s" "D=/data/two; $WRITER"
	until_true 5 test -e "$(cached rw/two/39)"
	on A volrun delete --force c1
	local before
	before=$(commit_of)
	until_true 15 committed $((before + 2))
	reader
	before=$(commit_of)
	vsync state
	ok
	(($(commit_of) > before)) || fail "no new commit"
	reader
	all_end c2
	is "$(head_of | jq -r .state)" free
}

@test "one of the pod that is paused stays paused, and the other runs on" {
	member c1 "state /data" "mkdir /data/one /data/two; D=/data/one; $WRITER"
	until_true 5 test -e "$(cached rw/one/39)"
	member c2 "state /data" "D=/data/two; $WRITER"
	until_true 5 test -e "$(cached rw/two/39)"
	on A volrun pause c2
	vsync c1
	ok
	reader
	is "$(on A volrun state c1 | jq -r .status),$(on A volrun state c2 | jq -r .status)" running,paused
	on A volrun resume c2
	vsync c1
	ok
	reader
	all_end c1 c2
}

@test "a container of the pod that starts in the midst of commits is not lost, and no commit is torn by it" {
	local i
	member c1 "state /data sync=1s" "mkdir /data/one /data/two; D=/data/one; $WRITER"
	until_true 5 test -e "$(cached rw/one/39)"
	for i in 1 2 3; do
		(while :; do on A volrun volume sync state >/dev/null 2>&1 || :; done) 3>&- 4>&- &
		local syncing=$!
		member "d$i" "state /data sync=1s" "D=/data/two; $WRITER"
		until_true 10 test -e "$(cached rw/two/39)"
		sleep 0.3
		kill "$syncing"
		wait "$syncing" || :
		until_true 10 eval 'vsync state && [[ $status == 0 ]]'
		reader
		on A volrun delete --force "d$i"
	done
	all_end c1
	is "$(head_of | jq -r .state)" free
}
