#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Power cuts, at random moments of a run and its commit. The node's disk is an
# ext4 image behind a loop device without a cache, on an XFS that clones files:
# a clone is at once what the disk holds, without what the kernel had not written
# yet. It is mounted as after the power came back (the journal is replayed, the
# boot's id is another one), and what the volume is then is looked at.

load lib/common
load lib/volume

CUTS=${VOLRUN_POWER_CUTS:-6}

setup() {
	common_setup
	LOOP=''
	mkdir "$T/outer" "$T/disk" "$T/cut"
	truncate -s 3G "$T/outer.img"
	mkfs.xfs -q -m reflink=1 "$T/outer.img"
	mount -o loop "$T/outer.img" "$T/outer" || skip "no loop device, or no XFS in this kernel"
	truncate -s 400M "$T/outer/disk.img"
	mkfs.ext4 -q "$T/outer/disk.img"
	LOOP=$(losetup --find --show --direct-io=on "$T/outer/disk.img")
	mount "$LOOP" "$T/disk"
	cat /proc/sys/kernel/random/uuid >"$T/boot-id"
}
teardown() {
	local rc=0
	umount "$T/cut" 2>/dev/null || :
	! mountpoint -q "$T/disk" || umount "$T/disk" || rc=1
	[[ -z $LOOP ]] || losetup --detach "$LOOP" || rc=1
	# A loop device that was let go keeps its file for a moment; for longer where another suite on this machine has made a
	# mount namespace meanwhile, with a copy of these mounts, and keepers that live in it.
	! mountpoint -q "$T/outer" || until_true 60 umount "$T/outer" || rc=1
	common_teardown || rc=1
	return $rc
}

# Generation N of the tree: 40 files that say N, of which some are packed and one is not, and one that comes and goes.
# shellcheck disable=SC2016 # for the container's shell
GENERATION='cd /data; n=$(cat n 2>/dev/null || echo 0); n=$((n + 1))
	for i in 1 2 3 4 5 6 7 8 9 10; do mkdir -p d$i; for k in 1 2 3 4; do echo $n >d$i/f$k; done; done
	rm -f only-$((n - 1)); echo $n >only-$n; (echo $n; head -c 9000000 /dev/zero) >large; echo $n >n'
# All that the tree says, once each: one line is one generation, whole.
# shellcheck disable=SC2016
WHICH='cd /data; { for f in d*/* n; do cat $f; done; head -n 1 large; ls only-* | cut -d - -f 2; } | sort -u; ls d*/* | wc -l; wc -c <large'

# after NODE COMMAND...: on the node whose disk was cut, in another boot.
after() {
	# shellcheck disable=SC2016
	unshare --mount sh -c 'mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"' "$T/boot-id" \
		env VOLRUN_CONFIG="$T/$1.json" "${@:2}"
}

# look WHAT FROM TO: the volume as the node with the cut disk finds it is one of these generations ($FOUND), and sound.
look() {
	local which=()
	vbundle look "state /data" "$WHICH"
	try after cut timeout 60 "$BIN/volrun" --root "$T/state-cut" run --bundle "$T/look" look
	local run=$status
	until_true 30 eval '[[ -z $(keepers) ]]'
	((run == 0)) || fail "$1: $(show_last)"
	mapfile -t which <<<"$output"
	((${#which[@]} == 3)) || fail "$1: a mixture of generations: ${which[*]}"
	((which[0] >= $2 && which[0] <= $3)) || fail "$1: generation ${which[0]}, not $2 to $3"
	FOUND=${which[0]}
	[[ ${which[1]} == 40 ]] || fail "$1: ${which[1]} files"
	try after cut "$BIN/volrun-volume" inspect --check state
	((status == 0)) || fail "$1: $(show_last)"
}

# cut_power RUN: a run in the background, and a clone of the disk at some moment of it or of its commit.
cut_power() {
	local pid
	vbundle "run$1" "state /data" "$GENERATION"
	ROOT=$T/state-live VOLRUN_CONFIG=$T/live.json volrun_bg run --bundle "$T/run$1" "run$1" >"$T/log" 2>&1
	pid=$!
	sleep "0.$(printf '%03d' $((RANDOM % 700)))"
	cp --reflink=always "$T/outer/disk.img" "$T/outer/cut.img"
	ended "$pid"
	((status == 0)) || fail "run $1: $(<"$T/log")"
	until_true 30 eval '[[ -z $(keepers) ]]'
}

# disk_node NODE DISK [JQ-FILTER]: a node whose cache is on that disk.
disk_node() {
	node "$1" ".cache.path = \"$T/$2/cache\" | .lease += {ttl: \"3s\", renew: \"500ms\", poll: \"200ms\"} | ${3:-.}"
}

@test "cache and store on one disk: after each cut the volume is what was committed, whole" {
	local i kept=0
	disk_node live disk ".stores.main.path = \"$T/disk/store\""
	disk_node cut cut ".stores.main.path = \"$T/cut/store\""
	vrun live run0 "state /data" "$GENERATION"
	ok
	for ((i = 1; i <= CUTS; i++)); do
		cut_power "$i"
		mount -o loop "$T/outer/cut.img" "$T/cut"
		look "cut $i" "$i" $((i + 1))
		kept=$((kept + $(find "$T/cut/cache/main/default/state" -maxdepth 1 -name 'conflict-*' -type d | wc -l)))
		umount "$T/cut"
		rm -r "$T/outer/cut.img" "$T/look"
	done
	echo "# cuts: $CUTS, of which $kept left something that was not committed" >&3
}

@test "the store elsewhere: a cut of the node loses nothing that it had committed, and what it had not is kept" {
	local i n=1 kept=0 pid
	disk_node live disk
	disk_node cut cut
	vrun live run0 "state /data" "$GENERATION"
	ok
	for ((i = 1; i <= CUTS; i++)); do
		vbundle "run$i" "state /data" "$GENERATION"
		ROOT=$T/state-live VOLRUN_CONFIG=$T/live.json volrun_bg run --bundle "$T/run$i" "run$i" >"$T/log" 2>&1
		pid=$!
		sleep "0.$(printf '%03d' $((RANDOM % 700)))"
		cp --reflink=always "$T/outer/disk.img" "$T/outer/cut.img"
		# The node is gone: nothing of it goes on.
		pids_of volrun volrun-hook volrun-keeper | xargs -r kill -9 2>/dev/null || :
		ended "$pid"
		on live volrun delete --force "run$i" >/dev/null 2>&1 || :
		until_true 30 eval '[[ -z $(pids_of volrun volrun-hook volrun-keeper) ]]'
		mount -o loop "$T/outer/cut.img" "$T/cut"
		look "cut $i" "$n" $((n + 1))
		kept=$((kept + $(find "$T/cut/cache/main/default/state" -maxdepth 1 -name 'conflict-*' -type d | wc -l)))
		umount "$T/cut"
		rm -r "$T/outer/cut.img" "$T/look"
		# The node goes on, with the disk as it was before: its own tree is another's by now.
		vrun live "again$i" "state /data" "$GENERATION"
		ok
		n=$((FOUND + 1))
	done
	echo "# cuts: $CUTS, of which $kept left something that was not committed" >&3
}
