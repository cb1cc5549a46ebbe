#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Volumes on the filesystem store: what a container writes, the next one finds.

load lib/common
load lib/volume
setup() { common_setup; node A; }
teardown() { common_teardown; }

V=$'state /data'
# What of the volume "state" is published.
plain() { find "$T/store/volumes/default/state" -mindepth 1 -printf '%P\n' 2>/dev/null | sort; }
head_of() { cat "$T/store/volumes/default/.volrun/${1:-state}/head"; }

@test "the second run finds what the first one wrote" {
	vrun A c1 "agent-state .agent" 'cat .agent/notes 2>/dev/null || echo nothing; echo remember >.agent/notes' '.process.cwd = "/root"'
	ok
	is "$output" nothing
	vrun A c2 "agent-state .agent" 'cat /root/.agent/notes' '.process.cwd = "/root"'
	ok
	is "$output" remember
}

# It is created by a sealed copy of volrun (runtime/sealed_self.h), which has to find the hook beside the original.
@test "a container that joins a pid namespace has its volume, too" {
	local holder inside
	unshare --pid --fork --kill-child sleep 100 </dev/null >/dev/null 2>&1 3>&- &
	holder=$!
	has_child() { pgrep -P "$holder" >/dev/null; }
	until_true 5 has_child
	inside=$(pgrep -P "$holder")
	vrun A c1 "$V" 'echo kept >/data/f; readlink /proc/self/ns/pid' \
		".linux.namespaces |= map(if .type == \"pid\" then .path = \"/proc/$inside/ns/pid\" else . end)"
	ok
	is "$output" "$(readlink "/proc/$inside/ns/pid")"
	vrun A c2 "$V" 'cat /data/f'
	ok
	is "$output" kept
	kill -KILL "$inside"
	wait "$holder" || :
}
@test "another node finds the same tree: bytes, modes, owners, times, links, empty directories" {
	node B
	vrun A c1 "$V" "D=/data; $MAKE_TREE; $FINGERPRINT"
	ok
	local written=$output
	like "$written" "ünïcödé-☃"
	vrun B c2 "$V" "D=/data; $FINGERPRINT"
	ok
	is "$output" "$written"
	# And back from the cache.
	vrun A c3 "$V" "D=/data; $FINGERPRINT"
	is "$output" "$written"
}

@test "with the cache gone, the tree comes from the store" {
	vrun A c1 "$V" "D=/data; $MAKE_TREE; $FINGERPRINT"
	ok
	local written=$output
	rm -rf "$T/cache-A"
	vrun A c2 "$V" "D=/data; $FINGERPRINT"
	ok
	is "$output" "$written"
}

@test "what is deleted, changed or replaced by something else is so for the next run" {
	node B
	vrun A c1 "$V" 'cd /data; mkdir d full; echo 1 >gone; echo 1 >changed; echo 1 >todir; echo 1 >d/f; echo 1 >full/x; ln -s a link; echo 1 >tolink; ln -s x tofile'
	ok
	vrun B c2 "$V" 'cd /data; rm gone link tofile todir tolink; rm -r d full; echo 22 >changed; mkdir todir; echo 2 >todir/f; ln -s changed tolink; echo file >tofile; echo d >d'
	ok
	vrun A c3 "$V" 'cd /data; find . | sort | tr "\n" " "; cat changed todir/f tolink tofile d'
	ok
	is "$output" $'. ./changed ./d ./todir ./todir/f ./tofile ./tolink 22\n2\n22\nfile\nd'
}

@test "a change that keeps size and time is not missed" {
	vrun A c1 "$V" 'echo aaaa >/data/f; touch -d "2001-01-01" /data/f'
	vrun A c2 "$V" 'echo bbbb >/data/f; touch -d "2001-01-01" /data/f'
	rm -rf "$T/cache-A"
	vrun A c3 "$V" 'cat /data/f'
	is "$output" bbbb
}

@test "the files are published plain, links in _symlinks.json" {
	vrun A c1 "$V" 'cd /data; mkdir d; echo hello >d/notes.txt; ln -s d/notes.txt link'
	ok
	is "$(cat "$T/store/volumes/default/state/d/notes.txt")" hello
	is "$(jq -c . "$T/store/volumes/default/state/_symlinks.json")" '{"link":"d/notes.txt"}'
	vrun A c2 "$V" 'rm -r /data/d /data/link'
	ok
	[[ -z $(plain | grep -v _symlinks.json) ]] || fail "$(plain)"
}

@test "the register is free afterwards, and its epoch and seq count up" {
	vrun A c1 "$V" 'echo 1 >/data/f'
	is "$(head_of | jq -r '"\(.state) \(.epoch) \(.commit.seq) \(.hints.applied.seq // .applied_seq)"')" "free 1 1 1"
	vrun A c2 "$V" 'echo 2 >/data/f'
	is "$(head_of | jq -r '"\(.state) \(.epoch) \(.commit.seq) \(.hints.applied.seq // .applied_seq)"')" "free 2 2 2"
	# Nothing changed: no commit.
	vrun A c3 "$V" 'cat /data/f'
	is "$(head_of | jq -r '"\(.state) \(.epoch) \(.commit.seq) \(.hints.applied.seq // .applied_seq)"')" "free 3 2 2"
}

@test "a start reads the truth, not its published copy" {
	vrun A c1 "$V" 'echo right >/data/f; echo kept >/data/g'
	ok
	rm -rf "$T/cache-A"
	# What a late write of ours would leave: other bytes under our own mark.
	local plain=$T/store/volumes/default/state/f
	touch -r "$plain" "$T/time"
	echo wrong >"$plain"
	touch -r "$T/time" "$plain"
	vrun A c2 "$V" 'cat /data/f /data/g'
	is "$output" $'right\nkept'
}

@test "a file that somebody puts into the store by hand is there in the next run" {
	vrun A c1 "$V" 'echo mine >/data/mine'
	mkdir -p "$T/store/volumes/default/state/sub"
	echo theirs >"$T/store/volumes/default/state/sub/theirs"
	vrun A c2 "$V" 'cat /data/mine /data/sub/theirs; stat -c %a /data/sub/theirs'
	ok
	is "$output" $'mine\ntheirs\n644'
}

@test "a warm start sends no data request" {
	vrun A c1 "$V" 'head -c 100000 /dev/urandom >/data/f; sha256sum </data/f'
	ok
	local sum=$output
	# Without its commits the store has nothing to give.
	mv "$T/store/volumes/default/.volrun/state/commits" "$T/commits"
	vrun A c2 "$V" 'sha256sum </data/f'
	ok
	is "$output" "$sum"
	rm -rf "$T/cache-A"
	vrun A c3 "$V" 'sha256sum </data/f'
	not_ok
	mv "$T/commits" "$T/store/volumes/default/.volrun/state/commits"
	vrun A c4 "$V" 'sha256sum </data/f'
	is "$output" "$sum"
}

@test "ro is a real read-only mount, and nothing of the run reaches the store" {
	vrun A c1 "$V" 'echo keep >/data/f; mkdir /data/d'
	ok
	local before
	before=$(head_of; plain)
	vrun A c2 "state /data ro" 'cat /data/f; echo x >/data/f || echo kept; touch /data/d/x || echo kept; grep " /data " /proc/self/mountinfo'
	is "$(head -n 3 <<<"$output")" $'keep\nkept\nkept'
	like "$(tail -n 1 <<<"$output")" ' /data ro,'
	like "$stderr" "Read-only file system"
	is "$(head_of; plain)" "$before"
}

@test "readers need no lease: two of them beside a writer, each with the last commit" {
	vrun A c1 "$V" 'echo old >/data/f'
	vstart A w "$V" 'echo new >/data/f; echo up >/workspace/up; sleep 60'
	until_true 10 test -e "$T/w/rootfs/workspace/up"
	vbundle r1 "state /data ro wait=0" 'cat /data/f'
	vbundle r2 "state /data ro wait=0" 'cat /data/f'
	local r
	for r in r1 r2; do
		try on A volrun run --bundle "$T/$r" "$r"
		ok
		is "$output" old
	done
	on A volrun delete --force w
	until_true 10 eval '[[ -z $(keepers) ]]'
	vrun A r3 "state /data ro" 'cat /data/f'
	is "$output" new
}

@test "ro of a volume that is not there is refused" {
	vrun A c1 "state /data ro" 'true'
	not_ok "state"
	[[ -z $(find "$T/store" -name head) ]]
}

@test "the mount is nosuid, nodev and private; set-id bits do not survive" {
	vrun A c1 "$V" 'cp /bin/busybox /data/su; chmod 6755 /data/su; grep " /data " /proc/self/mountinfo'
	is "$status" 0
	like "$output" '/data rw,[^ ]*nosuid'
	like "$output" '/data rw,[^ ]*nodev'
	unlike "$output" 'shared:|master:'
	rm -rf "$T/cache-A"
	vrun A c2 "$V" 'stat -c %a /data/su'
	is "$output" 755
}

@test "sockets, fifos and devices are skipped, the rest is kept" {
	vrun A c1 "$V" 'mkfifo /data/fifo; echo kept >/data/f; nc -l -U /data/sock & sleep 0.2; kill $!; true'
	is "$status" 0
	rm -rf "$T/cache-A"
	vrun A c2 "$V" 'ls /data'
	is "$output" f
}

@test "ten volumes in one container" {
	bundle c1 'for i in 0 1 2 3 4 5 6 7 8 9; do echo $i >/data/v$i/f; done'
	config c1 '.annotations = ([range(10) | {key: "dev.volrun.volume.v\(.)", value: "vol-\(.) /data/v\(.)"}] | from_entries)'
	try on A volrun run --bundle "$T/c1" c1
	ok
	until_true 10 eval '[[ -z $(keepers) ]]'
	rm -rf "$T/cache-A"
	config c1 '.process.args = ["sh", "-c", "cat /data/*/f"]'
	try on A volrun run --bundle "$T/c1" c1
	is "$(tr -d '\n' <<<"$output")" 0123456789
	until_true 10 eval '[[ -z $(keepers) ]]'
}

@test "a mount of the bundle beneath a volume lands on it and does not become part of it" {
	mkdir "$T/extra"
	echo from-bundle >"$T/extra/f"
	vrun A c1 "$V" 'cat /data/deep/mount/f; echo own >/data/own; ls /data' "
		.mounts += [{destination: \"/data/deep/mount\", type: \"bind\", source: \"$T/extra\", options: [\"bind\", \"ro\"]}]"
	ok
	is "$(head -n 1 <<<"$output")" from-bundle
	rm -rf "$T/cache-A"
	vrun A c2 "$V" 'find /data | sort'
	is "$output" $'/data\n/data/own'
}

@test "a mount of the bundle that would hide a volume lies beneath it, whatever comes first" {
	vrun A c1 "$V" 'touch /data/later/not; echo own >/data/own; ls /data; mkdir /data/sub' '
		.mounts += [{destination: "/data/sub", type: "tmpfs", source: "tmpfs"}, {destination: "/data", type: "tmpfs", source: "tmpfs"},
			{destination: "/data/later", type: "tmpfs", source: "tmpfs"}]'
	ok
	is "$output" $'later\nown'
	rm -rf "$T/cache-A"
	vrun A c2 "$V" 'find /data | sort'
	# What the container made is the volume's, though a mount that nobody sees has that path, too.
	is "$output" $'/data\n/data/own\n/data/sub'
}

@test "a link of the image that leads a mount of the bundle onto a volume: refused in one line, nothing is written elsewhere" {
	bundle c1 x
	ln -s data "$T/c1/rootfs/link"
	vbundle c1 "$V" 'echo must not run' '.mounts += [{destination: "/data/in", type: "tmpfs", source: "tmpfs"}, {destination: "/link", type: "tmpfs", source: "tmpfs"}]'
	try on A volrun run --bundle "$T/c1" c1
	not_ok 'volume on "/data": another mount hides it; give one of the two another path'
	until_true 10 eval '[[ -z $(keepers) ]]'
}

@test "a volume hides what the image has at its path, and leaves it alone" {
	bundle c1 x
	echo image >"$T/c1/rootfs/data/image"
	vrun A c1 "$V" 'ls /data; echo x >/data/own'
	is "$output" ""
	is "$(ls "$T/c1/rootfs/data")" image
}

@test "placeholders: workspace and arguments" {
	vrun A c1 'st-$workspace-$args[user.name]-$args[n] /data/$args[user.name]' 'echo x >/data/bob/f' '
		.annotations["dev.volrun.args"] = "{\"user\": {\"name\": \"bob\"}, \"n\": 7}" | .annotations["dev.volrun.workspace"] = "team-a"'
	ok
	[[ -f $T/store/volumes/team-a/st-team-a-bob-7/f ]] || fail "$(find "$T/store" -type f)"
}

@test "workspaces do not see each other's volumes" {
	vrun A c1 "$V" 'echo secret >/data/f' '.annotations["dev.volrun.workspace"] = "team-a"'
	ok
	vrun A c2 "$V" 'ls /data' '.annotations["dev.volrun.workspace"] = "team-b"'
	ok
	is "$output" ""
}

@test "store= chooses the store" {
	node A ".stores.other = {type: \"filesystem\", path: \"$T/other\"}"
	mkdir "$T/other"
	vrun A c1 "state /data store=other" 'echo x >/data/f'
	ok
	[[ -f $T/other/volumes/default/state/f && ! -e $T/store/volumes/default/state/f ]]
}

@test "owner= is the owner of files that carry none" {
	mkdir -p "$T/store/volumes/default/state"
	vrun A c1 "state /data owner=1000:1001" 'true'
	ok
	echo foreign >"$T/store/volumes/default/state/f"
	vrun A c2 "state /data owner=1000:1001" 'stat -c %u:%g /data/f /data'
	ok
	is "${lines[0]}" 1000:1001
}

@test "process.user can write to a new volume" {
	vrun A c1 "$V" 'echo x >/data/f && stat -c %u:%g /data/f' '.process.user = {uid: 1000, gid: 1000}'
	ok
	is "$output" 1000:1000
	rm -rf "$T/cache-A"
	vrun A c2 "$V" 'echo y >>/data/f && stat -c %u:%g /data/f' '.process.user = {uid: 1000, gid: 1000}'
	ok
}

@test "with a user namespace, ids in the volume are the container's" {
	local userns='.linux.namespaces += [{type: "user"}] | .linux.uidMappings = [{containerID: 0, hostID: 100000, size: 65536}]
		| .linux.gidMappings = [{containerID: 0, hostID: 100000, size: 65536}]'
	bundle c1 x
	chown -R 100000:100000 "$T/c1/rootfs"
	chmod 755 "$T" "$SUITE" "$(dirname "$T")" "$(dirname "$(dirname "$T")")"
	vrun A c1 "$V" 'echo x >/data/f; chown 1000:1000 /data/f; stat -c %u:%g /data/f; echo y >/data/g; stat -c %u:%g /data/g' "$userns"
	ok
	is "$output" $'1000:1000\n0:0'
	vrun A c2 "$V" 'stat -c %u:%g /data/f /data/g'
	ok
	is "$output" $'1000:1000\n0:0'
}

@test "a run that fails is kept too, and one that is killed" {
	vrun A c1 "$V" 'echo 1 >/data/one; exit 3'
	is "$status" 3
	vstart A c2 "$V" 'echo 2 >/data/two; echo up >/workspace/up; sleep 60'
	until_true 10 test -e "$T/c2/rootfs/workspace/up"
	on A volrun kill c2 KILL
	until_true 10 eval '[[ -z $(keepers) ]]'
	on A volrun delete c2
	vstart A c3 "$V" 'echo 3 >/data/three; echo up >/workspace/up; sleep 60'
	until_true 10 test -e "$T/c3/rootfs/workspace/up"
	on A volrun delete --force c3
	vrun A c4 "$V" 'ls /data'
	is "$output" $'one\nthree\ntwo'
}

@test "the commit does not wait for delete" {
	vstart A c1 "$V" 'echo 1 >/data/one'
	until_true 10 eval '[[ $(jq -r .state "$T/store/volumes/default/.volrun/state/head") == free ]]'
	is "$(cat "$T/store/volumes/default/state/one")" 1
	on A volrun delete c1
}

@test "what the container leaves running is ended before the commit" {
	vstart A c1 "$V" 'sh -c "while :; do date +%N >>/data/f; done" & until [ -s /data/f ]; do sleep 0.1; done; exit 0' 'del(.linux.namespaces[] | select(.type == "pid"))'
	on A volrun delete --force c1
	until_true 30 eval '[[ -z $(keepers) ]]'
	local was=$output
	vrun A c2 "$V" 'wc -l </data/f'
	ok
	((output > 0))
}

@test "a start that fails takes no lease and leaves none" {
	vrun A c1 "$V" 'true' '.process.args = ["nosuch"]'
	not_ok "executable file not found"
	vrun A c2 "state /data wait=1s" 'echo in'
	ok
	is "$output" in
}

@test "delete of a container that was never started releases the volume" {
	vbundle c1 "$V" 'true'
	on A volrun create --bundle "$T/c1" c1 </dev/null >"$T/log" 2>&1 || fail "$(cat "$T/log")"
	on A volrun delete --force c1
	vrun A c2 "state /data wait=1s" 'echo in'
	is "$output" in
}

@test "on the same node, the second container starts within 1 s after the first one's end" {
	vstart A c1 "$V" 'echo first >/data/f; sleep 3; touch /workspace/end'
	vbundle c2 "$V" 'touch /workspace/start; cat /data/f'
	try on A volrun run --bundle "$T/c2" c2
	ok
	is "$output" first
	local ms=$((($(stat -c %.9Y "$T/c2/rootfs/workspace/start" | tr -d .) - $(stat -c %.9Y "$T/c1/rootfs/workspace/end" | tr -d .)) / 1000000))
	echo "started $ms ms after the first one's end" >&2
	((ms >= 0 && ms <= ${VOLRUN_SANITIZED:+2}000 + 1000)) || fail "$ms ms"
	on A volrun delete c1
}

@test "with wait=2s the second container fails after 2 s with one line that names the holder" {
	node B
	vstart A c1 "$V" 'sleep 60'
	local n t0 ms
	for n in A B; do
		vbundle c2 "state /data wait=2s" 'echo must not run'
		t0=$(now_ms)
		try on "$n" volrun run --bundle "$T/c2" c2
		ms=$(($(now_ms) - t0))
		not_ok "lease held by node-A .*c1.*waited 2"
		is "$output" ""
		((ms >= 1900 && ms <= 4500)) || fail "$n: failed after $ms ms"
	done
	on A volrun delete --force c1
}

@test "a create that is killed while it waits does not keep the volume from others" {
	vstart A c1 "$V" 'sleep 60'
	vbundle c2 "$V" 'true'
	on A volrun_bg create --bundle "$T/c2" c2
	local rt=$!
	sleep 1
	kill -9 "$rt"
	wait "$rt" || :
	on A volrun delete --force c2
	on A volrun delete --force c1
	vrun A c3 "state /data wait=5s" 'echo in'
	ok
	is "$output" in
}

@test "the keeper outlives the create and holds none of the caller's descriptors" {
	vbundle c1 "$V" 'exec >/dev/null 2>&1 </dev/null; sleep 60'
	on A timeout 20 bash -c '"$1" --root "$2" run --detach --bundle "$3" c1 2>&1 </dev/null | cat' - "$BIN/volrun" "$T/state-A" "$T/c1" 3>&- 4>&-
	local pid
	pid=$(keepers)
	like "$pid" '^[0-9]+$'
	is "$(readlink "/proc/$pid/fd/0" "/proc/$pid/fd/1" "/proc/$pid/fd/2" | sort -u)" /dev/null
	is "$(cut -d ' ' -f 6 "/proc/$pid/stat")" "$pid" "session"
	! grep -qF "/$CG/" "/proc/$pid/cgroup" || fail "the keeper is in the container's cgroup"
	on A volrun delete --force c1
}

@test "everything works with an empty environment" {
	vbundle c1 "$V" 'echo x >/data/f'
	try env -i ${ASAN_OPTIONS:+"ASAN_OPTIONS=$ASAN_OPTIONS"} VOLRUN_CONFIG="$T/A.json" timeout 60 "$BIN/volrun" --root "$T/state-A" run --bundle "$T/c1" c1
	ok
	until_true 10 eval '[[ -z $(keepers) ]]'
	is "$(cat "$T/store/volumes/default/state/f")" x
}

@test "delete needs no VOLRUN_CONFIG: the container remembers" {
	vbundle c1 "$V" 'echo x >/data/f; sleep 60'
	on A volrun run --detach --bundle "$T/c1" c1 </dev/null >"$T/log" 2>&1
	ROOT=$T/state-A volrun delete --force c1
	until_true 10 eval '[[ -z $(keepers) ]]'
	is "$(jq -r .state "$T/store/volumes/default/.volrun/state/head")" free
}

@test "the store and the secrets are not visible in the container" {
	vrun A c1 "$V" 'env; cat /proc/self/mountinfo; ls -d /proc/*/fd'
	ok
	unlike "$output" "VOLRUN_CONFIG"
}

@test "a container without a cgroup has ended when its last process has: what that one wrote is committed" {
	vbundle c1 "$V" '(sleep 2; echo late >/data/late) >/dev/null 2>&1 </dev/null & echo early >/data/early' \
		'.linux.namespaces |= map(select(.type != "pid" and .type != "cgroup")) | del(.linux.cgroupsPath, .linux.resources)'
	try on A volrun --cgroup-manager disabled run --bundle "$T/c1" c1
	ok
	until_true 30 eval '[[ -z $(keepers) ]]'
	is "$(plain | tr '\n' ' ')" "early late "
}

@test "with no room in the cache the commit fails with one line, the tree is kept, and the volume is free" {
	mkdir "$T/small"
	mount -t tmpfs -o size=3m small "$T/small"
	node A ".cache.path = \"$T/small/cache\""
	vrun A c1 "$V" 'dd if=/dev/zero of=/data/big bs=64k count=100 2>/dev/null; true'
	ok
	is "$(grep -c . <<<"$stderr")" 1 "lines"
	like "$stderr" '^volrun: warning: volume state: not committed: the disk of the cache .* is full and nothing more in it can be evicted \(no room in the cache to stage "big"'
	unlike "$stderr" 'warning:.*warning:'
	is "$(jq -r .state "$T/store/volumes/default/.volrun/state/head")" free
	local size
	size=$(find "$T/small/cache" -path '*/rw/big' -printf %s)
	((size > 1000000))
	# With room again, the next start commits it.
	mount -o remount,size=64m "$T/small"
	vrun A c2 "$V" 'wc -c </data/big'
	is "$output" "$size"
	umount "$T/small"
}

# libcurl brings 37 libraries, 6 ms of each start.
@test "the keeper of a directory store loads no HTTP" {
	vstart A c1 "$V" 'sleep 100'
	is "$(keepers | wc -l)" 1
	unlike "$(cat "/proc/$(keepers)/maps")" 'libcurl|libssl'
	on A volrun kill c1 KILL
	until_true 20 eval '[[ -z $(keepers) ]]'
	on A volrun delete c1
}
