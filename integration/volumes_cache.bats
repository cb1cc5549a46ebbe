#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The node's cache: what goes when it is too large or its disk is full, what
# stays, and what a restore need not fetch again. And the limits of volumes.

load lib/common
load lib/volume
setup() { common_setup; node A; node B; }
teardown() {
	! mountpoint -q "$T/disk" || umount "$T/disk"
	common_teardown
}

cached() { local v; for v; do [[ -d $T/cache-A/main/default/$v/rw ]] || return 1; done; }
gone() { local v; for v; do [[ ! -e $T/cache-A/main/default/$v/rw && ! -e $T/cache-A/main/default/$v/clean ]] || return 1; done; }
head_of() { cat "$T/store/volumes/default/.volrun/${1:-state}/head"; }

# fill NODE VOLUME BYTES: a run that writes a file of that size.
fill() { vrun "$1" "fill-$2" "$2 /data" "head -c $3 /dev/urandom >/data/f; sha256sum </data/f"; ok; }
# wrun NODE NAME ANNOTATION SCRIPT: vrun, while other keepers stay.
wrun() {
	local node=$1 volume=${3%% *}
	shift
	vbundle "$@"
	try on "$node" volrun run --bundle "$T/$1" "$1"
	until_true 20 eval '[[ $(head_of "'"$volume"'" | jq -r .state) == free ]]'
	sleep 0.1
}
small_disk() {
	mkdir -p "$T/disk"
	mount -t tmpfs -o "size=$1,mode=700" none "$T/disk"
	node A ".cache.path = \"$T/disk\""
	rm -rf "$T/cache-A"
	ln -sfn "$T/disk" "$T/cache-A"
}

@test "past its size the cache loses the volumes that were used least recently, whole, and they come back from the store" {
	node A '.cache.max_bytes = 3500000'
	local first
	fill A one 1000000
	first=$output
	fill A two 1000000
	fill A three 1000000
	cached one two three
	vrun A again "one /data" 'true'
	fill A four 1000000
	cached one three four
	gone two
	fill A five 1500000
	gone two three
	cached four five
	vrun A last "two /data" 'wc -c </data/f'
	is "$output" 1000000
	vrun A last2 "one /data" 'sha256sum </data/f'
	is "$output" "$first"
}

@test "a volume that is in use, dirty, in conflict or pinned is never evicted" {
	fill A pinned 1000000
	fill A dirty 1000000
	fill A conflict 1000000
	fill A loose 1000000
	vstart A used "used /data" 'head -c 1000000 /dev/zero >/data/f; exec sleep 1000'
	on A volrun volume pin pinned
	mkdir "$T/cache-A/main/default/conflict/conflict-9"
	cp "$T/cache-A/main/default/dirty/clean" "$T/cache-A/main/default/dirty/dirty"
	node A '.cache.max_bytes = 1'
	wrun A last "last /data" "head -c 1000 /dev/zero >/data/f"
	until_true 5 gone loose last
	cached pinned dirty conflict used
	gone loose last
	like "$(on A volrun volume status | grep pinned)" ' pinned'
	on A volrun volume unpin pinned
	on A volrun kill used KILL
	until_true 20 eval '[[ -z $(keepers) ]]'
	on A volrun delete used
	fill A last2 1000
	gone pinned used
	cached dirty conflict
}

@test "readers share one tree; it stays while it is mounted, and old ones go" {
	local i pids=()
	fill A state 1000000
	for i in 1 2 3 4; do
		vbundle "r$i" "state /data ro" 'sha256sum </data/f; exec sleep 1000'
		(on B volrun run --detach --bundle "$T/r$i" "r$i" </dev/null >"$T/r$i.log" 2>&1) 3>&- 4>&- &
		pids+=($!)
	done
	# Not for bats' own, which ends a test that takes too long.
	wait "${pids[@]}"
	for i in 1 2 3 4; do
		until_true 10 grep -q . "$T/r$i.log"
		is "$(cut -c 1-64 "$T/r$i.log")" "$(sha256sum "$T/cache-A/main/default/state/rw/f" | cut -c 1-64)"
	done
	is "$(ls "$T/cache-B/main/default/state" | grep -c '^ro-')" 1
	wrun A c2 "state /data" 'echo more >/data/g'
	wrun B r5 "state /data ro" 'cat /data/g'
	is "$output" more
	# The old one is mounted by four.
	is "$(ls "$T/cache-B/main/default/state" | grep -c '^ro-')" 2
	node B '.cache.max_bytes = 1'
	wrun B other "other /data" 'true'
	is "$(on B volrun exec r1 cat /data/f | sha256sum | cut -c 1-64)" "$(cut -c 1-64 "$T/r1.log")"
	node B
	for i in 1 2 3 4; do on B volrun kill "r$i" KILL; done
	until_true 20 eval '[[ -z $(keepers) ]]'
	for i in 1 2 3 4; do on B volrun delete "r$i"; done
	wrun A c3 "state /data" 'echo more >/data/h'
	wrun B r6 "state /data ro" 'ls /data'
	is "$(ls "$T/cache-B/main/default/state" | grep -c '^ro-')" 1
}

@test "a reader whose keeper was killed keeps its tree" {
	fill A state 1000000
	vbundle r1 "state /data ro" 'sha256sum </data/f; exec sleep 1000'
	on B volrun run --detach --bundle "$T/r1" r1 </dev/null >"$T/r1.log" 2>&1
	until_true 10 grep -q . "$T/r1.log"
	kill -9 $(keepers)
	wrun A c2 "state /data" 'echo more >/data/g'
	wrun B r2 "state /data ro" 'cat /data/g'
	is "$output" more
	on B volrun volume prune >/dev/null
	is "$(on B volrun exec r1 cat /data/f | sha256sum | cut -c 1-64)" "$(cut -c 1-64 "$T/r1.log")"
	is "$(ls "$T/cache-B/main/default/state" | grep -c '^ro-')" 1
	on B volrun delete --force r1
	wrun A c3 "state /data" 'echo more >/data/h'
	wrun B r3 "state /data ro" 'cat /data/h'
	is "$(ls "$T/cache-B/main/default/state" | grep -c '^ro-')" 1
}

@test "an interrupted restore goes on from what is there" {
	local pid before after n=0
	vrun A c1 "state /data" 'i=0; while [ $i -lt 3000 ]; do head -c 20000 /dev/urandom >/data/$i; i=$((i + 1)); done'
	ok
	vbundle c2 "state /data" 'ls /data | wc -l; cat /data/* | sha256sum'
	ROOT=$T/state-B VOLRUN_CONFIG=$T/B.json volrun_bg run --bundle "$T/c2" c2 >/dev/null 2>&1
	pid=$!
	while (($(ls "$T/cache-B/main/default/state/rw" 2>/dev/null | wc -l) <= 300 && n++ < 5000)); do :; done
	kill -9 $(keepers)
	ended "$pid"
	on B volrun delete --force c2 >/dev/null 2>&1 || :
	before=$(cd "$T/cache-B/main/default/state/rw" && stat -c '%n %i' * | sort)
	if (($(wc -l <<<"$before") >= 3000)); then
		vrun B c3 "state /data" true # the lease that the dead one left
		skip "the restore was faster than the kill"
	fi
	node B '.lease.ttl = "3s"'
	vrun B c3 "state /data" 'ls /data | wc -l; cat /data/* | sha256sum'
	ok
	is "$output" "$(ls "$T/cache-A/main/default/state/rw" | wc -l)
$(cd "$T/cache-A/main/default/state/rw" && cat ./* | sha256sum)"
	after=$(cd "$T/cache-B/main/default/state/rw" && stat -c '%n %i' * | sort)
	is "$(comm -23 <(echo "$before") <(echo "$after") | wc -l)" 0 "files fetched again"
}

@test "where the disk has no room for a restore, others are evicted; where that does not help, it says so" {
	fill B one 20000000
	fill B two 20000000
	fill B big 80000000
	small_disk 50m
	vrun A c1 "one /data" 'wc -c </data/f'
	ok
	vrun A c2 "two /data" 'wc -c </data/f'
	ok
	is "$output" 20000000
	gone one
	vbundle c3 "big /data" true
	try on A volrun run --bundle "$T/c3" c3
	not_ok "volume big: the disk of the cache .*disk is full and nothing more in it can be evicted \(the volume needs about 80[0-9]* bytes\): make room there"
	is "$(head_of big | jq -r .state)" free
	mount -o remount,size=200m "$T/disk"
	vrun A c4 "big /data" 'wc -c </data/f'
	is "$output" 80000000
}

@test "a commit that finds no room in the cache takes that of unused volumes" {
	small_disk 40m
	fill A one 12000000
	vrun A c1 "state /data" 'i=0; while [ $i -lt 18 ]; do head -c 1000000 /dev/urandom >/data/$i; i=$((i + 1)); done; cat /data/* | sha256sum'
	ok
	local sum=$output
	gone one
	vrun B c2 "state /data" 'cat /data/* | sha256sum'
	is "$output" "$sum"
}

@test "a commit that finds no room at all keeps the tree, and the next run commits it" {
	small_disk 30m
	vrun A c0 "state /data" 'echo good >/data/good'
	vbundle c1 "state /data" 'i=0; while [ $i -lt 20 ]; do head -c 1000000 /dev/urandom >/data/$i; i=$((i + 1)); done; cat /data/* | sha256sum'
	try on A volrun run --bundle "$T/c1" c1
	ok
	local sum=$output
	like "$stderr" "volume state: not committed: .*room.*its changes stay in the cache of this node"
	is "$(head_of | jq -r '[.state, .commit.seq] | @csv')" '"free",1'
	[[ -e $T/disk/main/default/state/dirty ]] || fail "not dirty"
	mount -o remount,size=100m "$T/disk"
	vrun A c2 "state /data" 'cat /data/* | sha256sum'
	ok
	is "$output" "$sum"
	vrun B c3 "state /data" 'cat /data/* | sha256sum'
	is "$output" "$sum"
}

fill_disk() { ! dd if=/dev/zero of="$T/disk/junk" bs=4k 2>/dev/null; }

@test "on a disk that others have filled: a clear line, no conflict, and with room the next start goes on" {
	small_disk 16m
	vrun A c0 "state /data" 'echo good >/data/good'
	vstart A c1 "state /data" 'while [ ! -e /data/go ]; do sleep 0.1; done; echo more >/data/more'
	: >"$T/disk/main/default/state/rw/go"
	printf more >"$T/disk/main/default/state/rw/more"
	fill_disk
	until_true 40 eval '[[ -z $(keepers) ]]'
	try on A volrun delete c1
	like "$stderr" 'not committed: the disk of the cache .* is full and nothing more in it can be evicted \(.*\): make room there; its changes stay'
	vrun A c2 "state /data" true
	not_ok 'volume state: .*(make room there|see to its disk, and try again)'
	vrun A c3 "new /data" true
	not_ok 'volume new: the disk of the cache .* is full and nothing more in it can be evicted'
	try on A volrun volume recover
	not_ok ""
	is "$(find "$T/disk" -name 'conflict-*')" ""
	rm "$T/disk/junk"
	vrun A c4 "state /data" 'cat /data/good; ls /data'
	ok
	is "$output" $'good\ngo\ngood\nmore'
	is "$(find "$T/disk" -name 'conflict-*')" ""
	vrun B c5 "state /data" 'ls /data'
	is "$output" $'go\ngood\nmore'
}

@test "on a disk that others have filled a start, an end and a recovery take unused volumes, but no pinned one" {
	small_disk 16m
	fill A pinned 1000000
	on A volrun volume pin pinned
	fill A one 1000000
	vrun A c0 "state /data" 'echo good >/data/good'
	fill_disk
	vrun A c1 "state /data" 'cat /data/good; echo more >/data/more'
	ok
	is "$output" good
	gone one
	rm "$T/disk/junk"
	fill A two 1000000
	vstart A c2 "state /data" 'sleep 1000'
	kill -9 "$(keepers)"
	on A volrun delete --force c2
	fill_disk
	vrun A c3 "state /data" 'ls /data'
	ok
	gone two
	cached pinned
}

# limited LIMIT SCRIPT PATTERN: the run's commit is refused, and everything stays where it was.
limited() {
	vrun A c0 "state /data" 'echo good >/data/good'
	node A ".limits = {$1}"
	vbundle c1 "state /data" "$2"
	try on A volrun run --bundle "$T/c1" c1
	ok
	like "$stderr" "volume state: $3; nothing was committed; its changes are kept in .*/conflict-2"
	is "$(head_of | jq -r '[.state, .commit.seq] | @csv')" '"free",1'
	[[ -e $T/cache-A/main/default/state/conflict-2/new ]] || fail "not kept"
	vrun A c2 "state /data" 'ls /data'
	is "$output" good
}

@test "past limits.bytes_per_file a commit fails, the last one stays, the tree is kept" {
	limited 'bytes_per_file: 1000' 'head -c 1001 /dev/zero >/data/new' 'the file "new" has 1001 bytes, the limit is 1000 \(limits.bytes_per_file\)'
}

# Half of the packs' bytes are dead, which a commit puts together anew; there is no room for that.
@test "packs that there is no room to put together anew stay as they are, and the commit counts" {
	local store=$T/store/volumes/default/.volrun/state used
	mkdir -p "$T/disk"
	mount -t tmpfs -o size=100m tmpfs "$T/disk"
	node A '.cache.path = "'"$T/disk/c"'"'
	vrun A c0 "state /data" 'cd /data; for i in $(seq 30); do head -c 1000000 /dev/urandom >f$i; done'
	vrun A c1 "state /data" 'cd /data; for i in $(seq 16); do rm f$i; done'
	head_of | jq -c '.collected = 1' >"$T/head" && cp "$T/head" "$store/head"
	used=$(df --output=used -k "$T/disk" | tail -1)
	mount -o "remount,size=$((used + 3000))k" "$T/disk"
	vrun A c2 "state /data" 'echo small >/data/small'
	ok
	is "$(head_of | jq -r '"\(.state) \(.commit.seq)"')" "free 3"
	vrun A c3 "state /data" 'cat /data/small; ls /data | wc -l'
	is "$output" $'small\n15'
	# With room they are.
	mount -o remount,size=100m "$T/disk"
	head_of | jq -c '.collected = 1' >"$T/head" && cp "$T/head" "$store/head"
	vrun A c4 "state /data" 'echo small2 >/data/small'
	ok
	like "$(find "$store/commits" -path '*-4/pack-*' -size +10M)" pack-
}

@test "a file of more than 1 TiB, which only a hole can be, fails the commit at once, by default" {
	limited '' 'truncate -s 1099511627777 /data/new' 'the file "new" has 1099511627777 bytes, the limit is 1099511627776 \(limits.bytes_per_file\)'
}

@test "holes of many files are as bad as a large one" {
	limited 'bytes_per_file: 1000000' 'truncate -s 900000 /data/new; truncate -s 900000 /data/new2' 'its files have holes of more than 1000000 bytes in all .limits.bytes_per_file., "new2?" among them'
}

@test "past limits.bytes_per_volume a commit fails, the last one stays, the tree is kept" {
	limited 'bytes_per_volume: 1000' 'head -c 999 /dev/zero >/data/new' 'it has 1004 bytes, the limit is 1000 \(limits.bytes_per_volume\)'
}

@test "past limits.files_per_volume a commit fails, the last one stays, the tree is kept" {
	limited 'files_per_volume: 2' 'echo 1 >/data/new; echo 1 >/data/new2' 'it has 3 files, the limit is 2 \(limits.files_per_volume\)'
}

@test "past limits.volumes_per_workspace no volume is made, and those that are there go on" {
	node A '.limits = {volumes_per_workspace: 2}'
	fill A one 10
	fill A two 10
	vbundle c3 "three /data" true
	try on A volrun run --bundle "$T/c3" c3
	not_ok "volume three: the workspace default has 2 volumes, which is the limit \(limits.volumes_per_workspace\)"
	[[ ! -e $T/store/volumes/default/.volrun/three ]] || fail "made"
	vrun A c4 "one /data" 'wc -c </data/f'
	is "$output" 10
	vbundle c5 "three /data" true '.annotations."dev.volrun.workspace" = "other"'
	try on A volrun run --bundle "$T/c5" c5
	ok
	until_true 20 eval '[[ -z $(keepers) ]]'
}

@test "an idle keeper has at most 2 MiB of memory of its own, also after a commit during the run" {
	[[ -z ${VOLRUN_SANITIZED:-} ]] || skip "a sanitizer's memory is no measure"
	local i pid pss
	for i in 1 2; do vstart A "c$i" "v$i /data" 'i=0; while [ $i -lt 2000 ]; do echo $i >/data/$i; i=$((i + 1)); done; touch /data/ready; exec sleep 1000'; done
	until_true 20 test -e "$T/cache-A/main/default/v1/rw/ready" -a -e "$T/cache-A/main/default/v2/rw/ready"
	on A volrun volume sync v1
	until_true 10 eval '(($(keepers | wc -l) == 2))'
	for pid in $(keepers); do
		pss=$(awk '/^Pss:/ {print $2}' "/proc/$pid/smaps_rollup")
		((pss > 100 && pss <= 2048)) || fail "keeper $pid has $pss KiB"
	done
	for i in 1 2; do on A volrun kill "c$i" KILL; done
	until_true 20 eval '[[ -z $(keepers) ]]'
	for i in 1 2; do on A volrun delete "c$i"; done
}
