#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# In the virtual machine: checkpoint and restore of containers with volumes.
load lib/common
load lib/volume
load lib/criu

setup() {
	common_setup
	criu_setup
	node a
}
teardown() { common_teardown; }

COUNT='i=0; while :; do i=$((i+1)); echo $i >>/data/log; sleep 0.1; done'

# start ANNOTATION: c, left running, with nothing of ours open.
start() {
	vbundle c "$1" "$COUNT"
	on a volrun run --detach --bundle "$T/c" c </dev/null >/dev/null 2>&1
	until_true 10 beyond 3
}
restore() { on "${NODE:-a}" volrun restore -d --image-path "$CK" --work-path "$T/work" --bundle "$T/c" c </dev/null >/dev/null 2>"$T/stderr" || { cat "$T/stderr"; return 1; }; }
said() { on "${NODE:-a}" volrun exec c cat /data/log; }
beyond() { (($(said | wc -l) >= $1)); }
consecutive() { awk '$1 != NR { exit 1 }'; }
commit() { jq -c '[.commit.epoch, .commit.seq, .commit.sha256]' "$T/store/volumes/default/.volrun/state/head"; }
noted() { jq -c '.volumes[0] | [.epoch, .seq, .record]' "$CK/volrun-volumes.json"; }

@test "the checkpoint commits the volume; the restore has its lease again, the process goes on in it" {
	start 'state /data'
	try on a volrun checkpoint --image-path "$CK" c
	ok
	until_true 30 eval '[[ -z $(keepers) ]]'
	is "$(jq -c . "$CK/volrun-mounts.json")" '["/data"]'
	# Of the moment of the dump: the end has added nothing.
	is "$(noted)" "$(commit)"
	local n
	n=$(wc -l <"$T/store/volumes/default/state/log")
	((n >= 3))
	restore
	[[ -n $(keepers) ]]
	like "$(grep ' /data ' "/proc/$(on a pid_of c)/mountinfo")" 'nosuid,nodev'
	until_true 10 beyond $((n + 3))
	on a volrun delete --force c
	until_true 30 eval '[[ -z $(keepers) ]]'
	(($(wc -l <"$T/store/volumes/default/state/log") >= n + 3))
	consecutive <"$T/store/volumes/default/state/log"
}

@test "on another node: what the first one committed is there" {
	node b
	start 'state /data'
	try on a volrun checkpoint --image-path "$CK" c
	ok
	until_true 30 eval '[[ -z $(keepers) ]]'
	NODE=b restore
	NODE=b until_true 10 beyond $(($(wc -l <"$T/store/volumes/default/state/log") + 3))
	on b volrun delete --force c
	until_true 30 eval '[[ -z $(keepers) ]]'
	consecutive <"$T/store/volumes/default/state/log"
}

@test "--leave-running: the lease is held on; a restore beside it is refused, and leaves nothing" {
	start 'state /data wait=1s'
	try on a volrun checkpoint --image-path "$CK" --leave-running c
	ok
	[[ -n $(keepers) ]]
	vbundle d 'state /data wait=1s' "$COUNT"
	try on a volrun restore -d --image-path "$CK" --bundle "$T/d" d
	not_ok 'restore d: volume state: lease held by'
	is "$(on a volrun list -q)" c
	is "$(noted)" "$(commit)"
	until_true 10 beyond $(($(said | wc -l) + 3))
	on a volrun delete --force c
	until_true 30 eval '[[ -z $(keepers) ]]'
	# And it wrote on.
	try on a volrun restore -d --image-path "$CK" --bundle "$T/d" d
	not_ok 'restore d: volume state: it is not as the checkpoint left it'
}

@test "a volume that has moved on: refused, and its lease is free; without the note the process goes on in what is there" {
	start 'state /data'
	try on a volrun checkpoint --image-path "$CK" c
	ok
	until_true 30 eval '[[ -z $(keepers) ]]'
	vrun a d 'state /data' 'echo other >/data/other'
	ok
	vbundle c 'state /data' "$COUNT"
	try on a volrun restore -d --image-path "$CK" --work-path "$T/work" --bundle "$T/c" c
	not_ok "^volrun: error: restore c: volume state: it is not as the checkpoint left it: it has commit 2 of lease 2, the checkpoint is of commit 1 of lease 1; to restore nonetheless, with the files as they are now, remove $CK/volrun-volumes.json\$"
	is "$(jq -r .state "$T/store/volumes/default/.volrun/state/head")" free
	is "$(on a volrun list -q)" ""
	rm "$CK/volrun-volumes.json"
	restore
	until_true 10 beyond $(($(wc -l <"$T/store/volumes/default/state/log") + 3))
	is "$(on a volrun exec c cat /data/other)" other
	on a volrun delete --force c
	until_true 30 eval '[[ -z $(keepers) ]]'
	consecutive <"$T/store/volumes/default/state/log"
}

@test "a volume that the checkpoint had and config.json has not, and the other way round: refused" {
	start 'state /data'
	try on a volrun checkpoint --image-path "$CK" c
	ok
	config c '.annotations = {"dev.volrun.volume": "state /mnt"}'
	try on a volrun restore -d --image-path "$CK" --bundle "$T/c" c
	not_ok 'volume on "/mnt": the checkpoint had none there'
	config c 'del(.annotations)'
	try on a volrun restore -d --image-path "$CK" --bundle "$T/c" c
	not_ok 'criu failed: .*No mapping'
	until_true 30 eval '[[ -z $(keepers) ]]'
}
