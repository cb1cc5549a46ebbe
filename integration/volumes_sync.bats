#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# sync=: commits while the container runs, consistent, and it runs on; and
# `volrun volume sync`, the same on demand.

load lib/common
load lib/volume
setup() { common_setup; node A; node B; }
teardown() {
	! mountpoint -q "$T/disk" || umount "$T/disk"
	common_teardown
}

head_of() { cat "$T/store/volumes/default/.volrun/${1:-state}/head"; }
commit_of() { head_of "$@" | jq -r .commit.seq 2>/dev/null || echo 0; }
committed() { (($(commit_of) >= $1)); }
vsync() { try on A volrun volume sync "$@"; }
end() { on A volrun kill "$1" KILL; until_true 20 eval '[[ -z $(keepers) ]]'; on A volrun delete "$1"; }

# reader SCRIPT: what another node finds meanwhile.
reader() {
	on B volrun delete --force reader >/dev/null 2>&1 || :
	vbundle reader "state /data ro" "$1"
	try on B volrun run --bundle "$T/reader" reader
	ok
}

# The freezer's directory of container NAME.
freezer() {
	local dir
	for dir in "/sys/fs/cgroup/freezer/$CG/$1" "/sys/fs/cgroup/$CG/$1" "/sys/fs/cgroup/unified/$CG/$1"; do
		[[ ! -d $dir ]] || { echo "$dir"; return; }
	done
}
freeze() {
	local dir
	dir=$(freezer "$1")
	if [[ -e $dir/freezer.state ]]; then echo FROZEN >"$dir/freezer.state"; else echo 1 >"$dir/cgroup.freeze"; fi
}
thawed() { [[ $(cat "$(freezer "$1")/freezer.state" 2>/dev/null || cat "$(freezer "$1")/cgroup.freeze") =~ ^(THAWED|0)$ ]]; }
is_thawed() { until_true 5 thawed "$1"; }

@test "a container with sync= commits while it runs, and another node sees it" {
	vstart A c1 "state /data sync=1s" 'n=0; while :; do n=$((n + 1)); echo $n >/data/m; mv /data/m /data/n; sleep 0.1; done'
	until_true 15 committed 2
	is "$(status_of_on c1)" running
	reader 'cat /data/n'
	((output > 0)) || fail "got '$output'"
	local first=$output before
	before=$(commit_of)
	until_true 15 committed $((before + 1))
	reader 'cat /data/n'
	((output > first)) || fail "$first, then $output"
	end c1
	is "$(head_of | jq -c '[.commit.running, .finished]')" '[null,null]'
}
status_of_on() { on A volrun state "$1" | jq -r .status; }

@test "what the last run left at its end stays beside the commits of a run" {
	local finished
	vrun A c0 "state /data" 'echo end >/data/f'
	finished=$(head_of | jq -c .commit)
	vstart A c1 "state /data" 'n=0; while :; do n=$((n + 1)); echo $n >/data/m; mv /data/m /data/n; sleep 0.02; done'
	vsync state
	ok
	is "$(head_of | jq -c .finished)" "$finished"
	vsync state
	ok
	is "$(head_of | jq -c .finished)" "$finished"
	is "$(head_of | jq -c .commit.running)" true
	end c1
	is "$(head_of | jq -c '[.commit.running, .finished]')" '[null,null]'
}

@test "a run's end that changes nothing more makes its last commit the run's" {
	vstart A c1 "state /data" 'echo 1 >/data/f; exec sleep 1000'
	until_true 5 test -s "$T/cache-A/main/default/state/rw/f"
	vsync state
	ok
	is "$(head_of | jq -c .commit.running)" true
	end c1
	is "$(head_of | jq -c '[.commit.seq, .commit.running, .state]')" '[1,null,"free"]'
}

@test "volume sync waits for the commit and says its number, by the volume's name and by the container's id" {
	vstart A c1 "state /data" 'echo 1 >/data/f; exec sleep 1000'
	until_true 5 test -s "$T/cache-A/main/default/state/rw/f"
	vsync state
	ok
	like "$output" '^state: commit 1, frozen for [0-9.]+ ms, 2 bytes copied'
	vsync c1
	ok
	is "$output" "state: commit 1 (nothing changed since)"
	vsync --json c1
	is "$(jq -c '.volumes[0] | [.name, .commit, .changed]' <<<"$output")" '["state",1,false]'
	on A volrun volume status --json >"$T/status"
	is "$(jq -c '.volumes[0] | [.sync_commit, .sync_frozen_us > 0]' "$T/status")" '[1,true]'
	end c1
	vsync state
	not_ok "not in use on this node"
	vsync nothing
	not_ok "neither a volume in use on this node nor a container"
}

@test "a tree that is ahead of its commits stays dirty: a keeper's death loses nothing of it" {
	vstart A c1 "state /data" 'echo 1 >/data/f; exec sleep 1000' '.hooks = {}'
	until_true 5 test -s "$T/cache-A/main/default/state/rw/f"
	vsync state
	ok
	[[ -e $T/cache-A/main/default/state/dirty && ! -e $T/cache-A/main/default/state/clean ]] || fail "not dirty"
	is "$(jq -c '[.epoch, .seq]' "$T/cache-A/main/default/state/dirty")" '[1,1]'
	end c1
}

# A mapping that was made before is written to without any time stamp's change.
@test "what is written through a mapping after a commit is in the next one" {
	python_bundle c1 "state /data" '
import mmap, os, time
f = os.open("/data/map", os.O_RDWR | os.O_CREAT)
os.write(f, b"0" * 8192)
m = mmap.mmap(f, 8192)
m[0:1] = b"a"
open("/data/ready", "w").close()
while not os.path.exists("/data/go"): time.sleep(0.01)
m[0:1] = b"b"
open("/data/went", "w").close()
time.sleep(1000)'
	on A volrun run --detach --bundle "$T/c1" c1 </dev/null >"$T/c1.log" 2>&1
	local rw=$T/cache-A/main/default/state/rw
	until_true 10 test -e "$rw/ready"
	sleep 2.5
	vsync state
	ok
	reader 'head -c 1 /data/map'
	is "$output" a
	touch "$rw/go"
	until_true 10 test -e "$rw/went"
	vsync state
	ok
	reader 'head -c 1 /data/map'
	is "$output" b
	end c1
}

# python_bundle NAME ANNOTATION PROGRAM [JQ]: with the host's python.
python_bundle() {
	vbundle "$1" "$2" : "${4:-}"
	ln -sfn usr/lib "$T/$1/rootfs/lib"
	[[ ! -e /lib64 ]] || ln -sfn usr/lib64 "$T/$1/rootfs/lib64"
	mkdir -p "$T/$1/rootfs/usr"
	config "$1" --arg p "$3" '.process.args = ["/usr/bin/python3", "-c", $p]
		| .mounts += [{destination: "/usr", type: "bind", source: "/usr", options: ["rbind", "ro"]}]'
}

DATABASE='
import sqlite3
db = sqlite3.connect("/data/db", isolation_level=None)
db.execute("PRAGMA journal_mode=WAL"); db.execute("PRAGMA synchronous=NORMAL"); db.execute("PRAGMA wal_autocheckpoint=50")
db.execute("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, a TEXT, b TEXT)"); db.execute("CREATE INDEX IF NOT EXISTS i ON t (a)")
n = 0
while True:
    n += 1
    with db:
        db.execute("BEGIN")
        for k in range(20): db.execute("INSERT OR REPLACE INTO t VALUES (?, ?, ?)", ((n * 37 + k * 101) % 5000, str(n), "x" * (n * 13 % 900)))
        db.execute("UPDATE t SET b = ? WHERE id = ?", (str(n), n % 5000))'

# Restores the last commit on another node and asks SQLite what it thinks of it.
check_database() {
	local tree
	reader 'test -s /data/db'
	tree=$(find "$T/cache-B/main/default/state" -maxdepth 1 -name "ro-$(on B volrun volume inspect state | jq -r .head.commit.seq)-*" | head -1)
	[[ -n $tree ]] || tree=$(ls -td "$T"/cache-B/main/default/state/ro-* | head -1)
	rm -rf "$T/check"
	cp -a "$tree" "$T/check"
	python3 - "$T/check/db" <<-'END'
		import sqlite3, sys
		db = sqlite3.connect(sys.argv[1])
		print(db.execute("PRAGMA integrity_check").fetchone()[0], db.execute("SELECT count(*) > 0 FROM t").fetchone()[0])
	END
}

databases() {
	local i seq=0
	python_bundle c1 "state /data" "$DATABASE"
	on A volrun run --detach --bundle "$T/c1" c1 </dev/null >"$T/c1.log" 2>&1
	until_true 10 test -s "$T/cache-A/main/default/state/rw/db-wal"
	for i in $(seq "$1"); do
		sleep 0.15
		vsync state
		ok
		like "$output" "commit [0-9]+, frozen for"
		(($(commit_of) > seq)) || fail "no new commit"
		seq=$(commit_of)
		is "$(check_database)" "ok 1" "commit $seq"
	done
	end c1
	is "$(check_database)" "ok 1" "the last one"
}

@test "an SQLite database under constant writes is whole in every commit" {
	databases 12
}

@test "and so it is with reflinks, where nothing but small files is copied" {
	truncate -s 400M "$T/disk.img"
	mkfs.xfs -q -m reflink=1 "$T/disk.img" || skip "no mkfs.xfs"
	mkdir "$T/disk"
	mount -o loop "$T/disk.img" "$T/disk" || skip "no loop device, or no xfs in this kernel"
	node A ".cache.path = \"$T/disk\" | .sync = {max_copy_bytes: 1000000}"
	ln -sfn "$T/disk" "$T/cache-A.new" && rm -rf "$T/cache-A" && mv -T "$T/cache-A.new" "$T/cache-A"
	databases 4
	vstart A c2 "state /data" 'head -c 30000000 /dev/urandom >/data/big; touch /data/ready; exec sleep 1000'
	until_true 10 test -e "$T/disk/main/default/state/rw/ready"
	vsync state
	ok
	like "$output" "commit [0-9]+, frozen for .* [1-9][0-9]{7} reflinked"
	reader 'sha256sum </data/big'
	is "$output" "$(sha256sum <"$T/disk/main/default/state/rw/big")"
	end c2
}

@test "more than may be copied while it is frozen is left to the next commit, and said" {
	node A '.sync = {max_copy_bytes: 100000}'
	vstart A c1 "state /data sync=1s" 'head -c 3000000 /dev/urandom >/data/big; exec sleep 1000'
	until_true 5 test -s "$T/cache-A/main/default/state/rw/big"
	vsync state
	not_ok "volume state: more than 100000 bytes changed.*sync.max_copy_bytes"
	is "$(commit_of)" 0
	on A volrun volume status --json >"$T/status"
	like "$(jq -r '.volumes[0].sync_error' "$T/status")" "more than 100000 bytes"
	on A volrun kill c1 KILL
	until_true 20 eval '[[ -z $(keepers) ]]'
	try on A volrun delete c1
	like "$stderr" "not committed during the run: more than 100000 bytes changed"
	reader 'wc -c </data/big'
	is "$output" 3000000
}

@test "no container is frozen for longer than it may be, and what was read until then counts for nothing" {
	node A '.sync = {max_frozen: "1ms"}'
	vstart A c1 "state /data" 'i=0; while [ $i -lt 2000 ]; do echo $i >/data/$i; i=$((i + 1)); done; touch /data/ready; exec sleep 1000'
	until_true 10 test -e "$T/cache-A/main/default/state/rw/ready"
	vsync state
	not_ok "frozen for longer than it may be \(sync.max_frozen\)|did not stop in time"
	is "$(commit_of)" 0
	is_thawed c1
	is "$(status_of_on c1)" running
	end c1
	reader 'ls /data | wc -l'
	is "$output" 2001
}

@test "a keeper that takes over from a dead one goes on with the commits" {
	node A '.lease.ttl = "3s"'
	vstart A c1 "state /data sync=1s" 'n=0; while :; do n=$((n + 1)); echo $n >/data/m; mv /data/m /data/n; sleep 0.1; done'
	until_true 10 committed 1
	local before
	kill -9 $(keepers)
	before=$(commit_of)
	vbundle c2 "state /data wait=1s" true
	try on A volrun run --bundle "$T/c2" c2
	not_ok "lease held by"
	until_true 20 committed $((before + 2))
	vsync c1
	ok
	end c1
}

@test "a limit of the volume holds for these commits, too, and the run goes on" {
	node A '.limits = {bytes_per_file: 1000}'
	vstart A c1 "state /data" 'echo good >/data/f; head -c 3000 /dev/zero >/data/big; sleep 1000'
	until_true 5 test -s "$T/cache-A/main/default/state/rw/big"
	vsync state
	not_ok "the file \"big\" has 3000 bytes, the limit is 1000"
	is "$(status_of_on c1)" running
	on A volrun exec c1 rm /data/big
	vsync state
	ok
	reader 'ls /data'
	is "$output" f
	end c1
}

@test "a container without a freezer is refused at create" {
	vbundle c1 "state /data sync=5s" 'true' 'del(.linux.cgroupsPath)'
	try on A volrun --cgroup-manager=disabled run --bundle "$T/c1" c1
	not_ok "sync=: the container has no cgroup of its own that can be frozen"
	on A volrun list -q
	vbundle c2 "state /data sync=0" 'true'
	try on A volrun run --bundle "$T/c2" c2
	not_ok "sync=0"
}

@test "a paused container is committed as it is, and stays paused" {
	vstart A c1 "state /data sync=1s" 'n=0; while :; do n=$((n + 1)); echo $n >/data/m; mv /data/m /data/n; sleep 0.05; done'
	until_true 5 test -s "$T/cache-A/main/default/state/rw/n"
	on A volrun pause c1
	local n before
	n=$(<"$T/cache-A/main/default/state/rw/n")
	before=$(commit_of)
	vsync state
	ok
	sleep 1.2
	is "$(status_of_on c1)" paused
	is "$(<"$T/cache-A/main/default/state/rw/n")" "$n"
	(($(commit_of) >= before && $(commit_of) > 0)) || fail "no commit"
	reader 'cat /data/n'
	is "$output" "$n"
	on A volrun resume c1
	until_true 5 eval '[[ $(<"$T/cache-A/main/default/state/rw/n") != '"$n"' ]]'
	end c1
}

@test "pause and resume in the midst of commits give what was asked for last" {
	local i syncs
	vstart A c1 "state /data" 'n=0; while :; do n=$((n + 1)); echo $n >/data/n; done'
	until_true 5 test -s "$T/cache-A/main/default/state/rw/n"
	on A volrun volume sync state >/dev/null
	(while [[ ! -e $T/stop ]]; do on A volrun volume sync state >/dev/null 2>&1 || :; done) 3>&- 4>&- &
	syncs=$!
	for i in $(seq 15); do
		on A volrun pause c1
		is "$(status_of_on c1)" paused
		on A volrun resume c1
		is "$(status_of_on c1)" running
	done
	on A volrun pause c1
	touch "$T/stop"
	wait "$syncs"
	is "$(status_of_on c1)" paused
	on A volrun resume c1
	end c1
}

@test "while it is frozen for a commit a container is not paused for anybody" {
	local i syncs
	vstart A c1 "state /data" 'while :; do echo 1 >/data/n; done'
	until_true 30 test -e "$T/cache-A/main/default/state/rw/n"
	(while [[ ! -e $T/stop ]]; do on A volrun volume sync state >/dev/null 2>&1 || :; done) 3>&- 4>&- &
	syncs=$!
	for i in $(seq 60); do is "$(status_of_on c1)" running; done
	touch "$T/stop"
	wait "$syncs"
	end c1
}

# mark DIR: as a keeper does before it freezes.
mark() { python3 -c 'import os, sys; os.setxattr(sys.argv[1], "trusted.volrun.frozen", b"1")' "$1"; }

@test "a container that a dead keeper left frozen is thawed by whoever looks at it" {
	vstart A c1 "state /data" 'while :; do echo 1 >/data/n; sleep 0.01; done'
	mark "$(freezer c1)"
	freeze c1
	is "$(status_of_on c1)" running
	is_thawed c1
	mark "$(freezer c1)"
	freeze c1
	vsync state
	ok
	is_thawed c1
	end c1
}

@test "a keeper that is killed during such a commit leaves no container frozen" {
	local i syncs
	for i in 1 2 3 4 5 6; do
		vbundle "c$i" "state$i /data" 'i=0; while [ $i -lt 1500 ]; do echo $i >/data/$i; i=$((i + 1)); done; touch /data/ready; while :; do echo 1 >/data/n; done'
		on A volrun run --detach --bundle "$T/c$i" "c$i" </dev/null >"$T/log" 2>&1
		until_true 10 test -e "$T/cache-A/main/default/state$i/rw/ready"
		(on A volrun volume sync "state$i" >/dev/null 2>&1 || :) 3>&- 4>&- &
		syncs=$!
		sleep "0.0$((i * 13))"
		kill -9 $(keepers) || :
		wait "$syncs"
		sleep 0.05
		is "$(status_of_on "c$i")" running
		is_thawed "c$i"
		on A volrun delete --force "c$i"
	done
	rm -rf "$T/store/volumes"
}
