#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A slow store behind containerd's CRI, and callers who have no time: kubelet gives a start 2 minutes, containerd the
# handling of an exit 10 s and a clean-up 5 s. Nothing is lost, no zombie stays, and the next try succeeds.

load lib/common
load lib/volume
load lib/tools
load cri/lib

setup_file() {
	cri_start
	[[ -e $BATS_FILE_TMPDIR/cri.absent ]] || s3_start
}
teardown_file() { cri_end; }
setup() {
	common_setup
	BUCKET=bats-$BATS_TEST_NUMBER-$RANDOM
	cri_setup '.lease = {ttl: "4s", renew: "500ms", poll: "200ms"}'
	s3 mkbucket "$BUCKET"
	"$HERE/faults/proxy" start "$T/proxy" "$SUITE/rgw/env" --life 300 </dev/null >/dev/null 2>&1 3>&- 4>&-
	config_of A --arg e "$(sed -n 's/^S3_ENDPOINT=//p' "$T/proxy/env")" '.stores.main.endpoint = $e'
	vrun B b1 "state /data" 'head -c 3000000 /dev/urandom >/data/a; sha256sum /data/a >/data/sum; echo seed >/data/f' '.annotations["dev.volrun.workspace"] = "team-a"'
	ok
}
teardown() {
	cri_teardown
	local rc=$?
	[[ ! -d $T/proxy ]] || "$HERE/faults/proxy" stop "$T/proxy"
	return $rc
}
config_of() { # NODE JQ-OPTION...
	local node=$1
	shift
	jq "$@" "$T/$node.json" >"$T/$node.new"
	# In its place: containerd's configuration is a link to it.
	cat "$T/$node.new" >"$T/$node.json"
}

M=volumes/team-a/.volrun/state
proxy() { "$HERE/faults/proxy" tell "$T/proxy" "$@"; }
head_of() { s3 get "$BUCKET" "$M/head" | jq -r "$1"; }
whole() { # NAME: what the container NAME says of the files
	is "$(cri logs "$(id_of "$1")" 2>&1)" $'/data/a: OK\nseed'
}
CHECK='cd / && sha256sum -c /data/sum; cat /data/f'
sound() {
	try on B volrun volume --workspace=team-a inspect --check state
	ok
	like "$output" "0 problems"
	is "$(zombies)" "" "zombies"
}

@test "a start that takes longer than kubelet waits: it is given up, the download goes on, the next try finds it done" {
	proxy stall 6 GET "$M/commits/"
	pod p1 "$(with 'state /data')"
	made p1 c.0 "$CHECK"
	try cri_for 3 start "$(id_of c.0)"
	((status != 0))
	like "$stderr" 'DeadlineExceeded|deadline exceeded'
	# Nobody holds the lease meanwhile: another node may have the volume.
	until_true 5 eval '[[ $(head_of .state) == free ]]'
	until_true 20 cri rm -f "$(id_of c.0)"
	until_true 30 eval '[[ -z $(keepers) ]]'
	proxy clear
	proxy status 503 GET "$M/commits/.*pack" 100
	started p1 c.1 "$CHECK"
	ended_with c.1 0
	whole c.1
	proxy clear
	gone p1
	keepers_ended
	is "$(head_of '"\(.state) \(.commit.seq)"')" "free 1"
	sound
}

@test "kubelet tries again and again while the download goes on: one of them finds it" {
	local i=0
	proxy stall 7 GET "$M/commits/"
	pod p1 "$(with 'state /data')"
	while :; do
		made p1 "c.$i" "$CHECK"
		try cri_for 3 start "$(id_of "c.$i")"
		((status != 0)) || break
		until_true 20 cri rm -f "$(id_of "c.$i")"
		((++i < 6)) || fail "still not: $stderr"
		sleep 0.5
	done
	((i >= 1)) || fail "the store was not slow"
	ended_with "c.$i" 0
	whole "c.$i"
	gone p1
	keepers_ended
	sound
}

@test "a pod that is deleted in mid-download goes, holds no lease, and the next one has the files" {
	local pid
	proxy stall 6 GET "$M/commits/"
	pod p1 "$(with 'state /data')"
	made p1 c1 "$CHECK"
	cri start "$(id_of c1)" >/dev/null 2>"$T/start" &
	pid=$!
	until_true 10 eval '[[ $(head_of .state) == held ]]'
	# kubelet's StopPodSandbox and RemovePodSandbox, until they succeed.
	gone p1
	# containerd may have had to wait for the start's end first.
	wait "$pid" || :
	is "$(cri ps -a -q)" ""
	until_true 30 eval '[[ $(head_of .state) == free && -z $(keepers) ]]'
	is "$(zombies)" "" "zombies"
	proxy clear
	pod p2 "$(with 'state /data')"
	started p2 c2 "$CHECK"
	ended_with c2 0
	whole c2
	gone p2
	keepers_ended
	is "$(head_of .commit.seq)" 1
	sound
}

@test "a slow upload: the container's end is told within containerd's 10 s, the pod goes, and the next one waits for its files" {
	local began
	pod p1 "$(with 'state /data')"
	started p1 c1 'echo late >/data/late; exec sleep 1000'
	until_true 20 cri exec -s "$(id_of c1)" test -s /data/late
	proxy stall 20 PUT "$M/commits/"
	began=$SECONDS
	cri stop --timeout 0 "$(id_of c1)" >/dev/null
	ended_with c1 137
	gone p1
	((SECONDS - began < 20)) || fail "the end took $((SECONDS - began)) s"
	[[ -n $(keepers) ]] || fail "nothing is left to upload"
	is "$(head_of '"\(.state) \(.commit.seq)"')" "held 1"
	is "$(zombies)" "" "zombies"
	pod p2 "$(with 'state /data')"
	ran p2 c2 'cat /data/late'
	is "$output" late
	gone p2
	keepers_ended
	is "$(head_of .state)" free
	sound
}

@test "a start that fails after the volume was mounted, with a slow store: told at once, cleared up, and tried again" {
	local began i
	pod p1 "$(with 'state /data')"
	proxy stall 2 PUT "$M/"
	for i in 0 1; do
		made p1 "c.$i" true '.command = ["/nosuch"]'
		began=$SECONDS
		try cri start "$(id_of "c.$i")"
		((status != 0))
		like "$stderr" 'nosuch'
		((SECONDS - began < 60)) || fail "it took $((SECONDS - began)) s"
		until_true 20 cri rm -f "$(id_of "c.$i")"
	done
	proxy clear
	started p1 c.2 "$CHECK"
	ended_with c.2 0
	whole c.2
	gone p1
	keepers_ended
	sound
}
