#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# `volrun volume ...`: what a person does with volumes by hand.

load lib/common
load lib/volume
setup() {
	common_setup
	node A '.lease += {ttl: "3s", renew: "500ms", poll: "200ms"}'
	node B '.lease += {ttl: "3s", renew: "500ms", poll: "200ms"}'
}
teardown() { common_teardown; }

V="state /data"
vol() { on A volrun volume "$@"; }
# beside NODE NAME SCRIPT: a run while other keepers live.
beside() {
	vbundle "$2" "$V" "$3"
	try on "$1" volrun run --bundle "$T/$2" "$2"
	ok
	until_true 10 eval '[[ $(head_of state | jq -r .state) == free ]]'
}
head_of() { cat "$T/store/volumes/default/.volrun/$1/head"; }

@test "help names every command; a wrong number of arguments is told of with the command's own usage" {
	local name
	try vol --help
	ok
	for name in ls inspect create rm files cp share unshare lease break-lease prefetch prune recover conflicts drain status; do
		like "$output" "  $name "
	done
	try vol rm
	is "$status" 2
	like "$stderr" 'usage: volrun volume rm NAME'
	try vol nothing
	is "$status" 2
}

@test "create makes an empty volume, once; ro may use it at once" {
	try vol create state
	ok
	try vol create state
	not_ok 'volume state: it is there already'
	vrun A c1 "state /data ro" 'ls -A /data | wc -l'
	ok
	is "$output" 0
	try vol create '../x'
	not_ok 'not a valid name'
	try vol create --owner=ann hers
	ok
	is "$(jq -r .owner "$T/store/volumes/default/.volrun/hers/meta")" u/ann
	try vol create --owner='a/b' other
	not_ok 'no name of a user'
}

@test "cp brings files in as a commit, and out again, whole" {
	mkdir "$T/in"
	D=$T/in sh -c "$MAKE_TREE"
	try vol cp "$T/in/" state:
	ok
	vrun A c1 "$V" "D=/data; $FINGERPRINT"
	ok
	is "$output" "$(D=$T/in sh -c "$FINGERPRINT")"
	try vol cp state: "$T/out"
	ok
	diff -r --no-dereference "$T/in" "$T/out"
	# One file, into a directory and under another name; from a volume into another.
	try vol cp state:notes.txt "$T"
	ok
	is "$(cat "$T/notes.txt")" hello
	try vol cp state:/deep/er other:not/there
	not_ok 'its directory can.t be opened'
	try vol cp state:deep other:
	ok
	try vol files other deep/er
	ok
	like "$output" 'deep/er/est/x'
	try vol cp "$T/notes.txt" state:deep/again
	ok
	try on B volrun volume files state deep/again
	like "$output" ' 6 .* deep/again$'
}

@test "cp follows no link of a volume out of it, and fails on what leads out by name" {
	vrun A c1 "$V" 'ln -s /etc /data/out; mkdir /data/sub'
	echo x >"$T/f"
	try vol cp "$T/f" state:out/evil
	not_ok
	try vol cp "$T/f" state:../../evil
	not_ok 'leads out of its volume'
	[[ ! -e /etc/evil ]]
	try vol cp "$T/f" "$T/g"
	not_ok 'neither side is a volume'
	try vol cp nowhere:f "$T/g"
	not_ok 'volume nowhere: not in store main'
	# A copy that failed is no commit.
	is "$(head_of state | jq .commit.seq)" 1
	vrun A c2 "$V" 'ls /data'
	is "$output" $'out\nsub'
}

@test "files lists the commit with its hashes, as a table and as JSON" {
	vrun A c1 "$V" 'echo hello >/data/f; chmod 640 /data/f; mkdir /data/d; ln -s f /data/l'
	try vol files state
	ok
	like "$output" '-0640 +0 +0 +6 .* f'
	like "$output" 'l0777 .* l -> f'
	try vol --json files state f
	is "$(jq -r .sha256 <<<"$output")" "$(echo hello | sha256sum | cut -c 1-64)"
	try vol files state nothing
	not_ok 'nothing is at "nothing"'
}

@test "rm of a leased volume is refused and names the holder; rm removes every object but the register and a mark" {
	vstart A c1 "$V" 'echo x >/data/x; sleep 100'
	try on B volrun volume rm state
	not_ok 'lease held by node-A .container c1'
	try vol rm state
	not_ok 'lease held by node-A .container c1'
	on A volrun delete --force c1
	vrun A c2 "$V" 'head -c 9000000 /dev/zero >/data/big; echo 1 >/data/one'
	try on B volrun volume rm state
	ok
	is "$(find "$T/store/volumes/default/state" -type f 2>/dev/null)" ""
	[[ $(find "$T/store/volumes/default/.volrun/state" -type f -size +100k) == "" ]] || fail "bytes left"
	try vol ls
	unlike "$output" state
	try vol lease state
	not_ok 'not in store main'
	try vol rm state
	not_ok 'not in store main'
	vrun A c3 "state /data ro" true
	not_ok 'ro needs an existing volume'
}

@test "rm that can't be done to its end leaves the last commit, and nothing commits what it had removed" {
	local commits=$T/store/volumes/default/.volrun/state/commits
	vrun A c1 "$V" 'echo 1 >/data/one'
	vrun B c2 "$V" 'echo 2 >/data/two'
	# What it would commit can't be written.
	mv "$commits" "$commits.away"
	: >"$commits"
	try vol rm state
	not_ok 'volume state: '
	rm "$commits"
	mv "$commits.away" "$commits"
	try vol recover
	ok
	vrun A c3 "$V" 'cat /data/one /data/two'
	is "$output" $'1\n2'
}

@test "after rm a volume begins anew: empty, somebody else's, with a higher epoch; a late write of the old one does no harm" {
	local epoch seq
	vrun A c1 "$V" 'echo old >/data/old' '.annotations["dev.volrun.user"] = "ann"'
	vol share state u/ann rw
	cp -a "$T/store/volumes/default/state/old" "$T/late"
	epoch=$(head_of state | jq .epoch) seq=$(head_of state | jq .commit.seq)
	try vol rm state
	ok
	# What a request of the old holder that was long on its way puts there.
	mkdir -p "$T/store/volumes/default/state"
	cp -a "$T/late" "$T/store/volumes/default/state/old"
	vrun A c2 "$V" 'ls -A /data; echo new >/data/new' '.annotations["dev.volrun.user"] = "bob"'
	ok
	is "$output" ""
	(($(head_of state | jq .epoch) > epoch && $(head_of state | jq .commit.seq) > seq))
	is "$(head_of state | jq .removed)" null
	is "$(jq -r .owner "$T/store/volumes/default/.volrun/state/meta")" u/bob
	vrun B c3 "$V" 'ls -A /data' '.annotations["dev.volrun.user"] = "bob"'
	is "$output" new
}

@test "a volume of many commits can be removed, begun anew, and is sound" {
	local i
	vrun A c1 "$V" 'for i in $(seq 300); do echo $i >/data/f$i; done'
	for i in 1 2 3; do vrun A "d$i" "$V" "echo $i >/data/f1"; done
	try vol rm state
	ok
	vrun B c2 "$V" 'ls -A /data; echo new >/data/new'
	is "$output" ""
	vrun A c3 "$V" 'ls -A /data'
	is "$output" new
	try vol inspect --check state
	ok
}

@test "share and unshare change who may use it; nonsense is refused" {
	vrun A c1 "$V" true '.annotations["dev.volrun.user"] = "ann"'
	try vol share state u/bob ro
	ok
	vrun A c2 "$V" true '.annotations["dev.volrun.user"] = "bob"'
	not_ok 'volume access refused: read-only permission'
	vrun A c3 "$V" true '.annotations["dev.volrun.user"] = "eve"'
	not_ok 'volume access refused: neither owner'
	try vol share state u/bob rw
	ok
	vrun A c2 "$V" true '.annotations["dev.volrun.user"] = "bob"'
	ok
	try vol unshare state u/bob
	ok
	try vol unshare state u/bob
	not_ok 'no permission that could be taken away'
	try vol share state bob ro
	not_ok 'neither u/USER nor g/GROUP'
	try vol share state u/bob rx
	not_ok 'neither ro nor rw'
	try vol share nowhere u/bob ro
	not_ok 'volume nowhere: not there'
}

@test "what another tool put into the store belongs to the first container that takes it in, not to a command" {
	vol create state
	mkdir -p "$T/store/volumes/default/state" "$T/new"
	echo theirs >"$T/store/volumes/default/state/theirs"
	echo ours >"$T/new/ours"
	try vol prefetch state
	ok
	try vol cp "$T/new/" state:
	ok
	vrun A c1 "state /data" 'stat -c "%n %u:%g" /data/theirs; cat /data/*' '.process.user = {uid: 1000, gid: 1001}'
	ok
	is "$output" $'/data/theirs 1000:1001\nours\ntheirs'
}

@test "twenty shares at once all count" {
	local i pids=()
	vol create state
	for i in $(seq 20); do
		"$BIN/volrun" volume --config="$T/A.json" share state "u/user$i" ro 3>&- 4>&- &
		pids+=($!)
	done
	wait "${pids[@]}"
	is "$(jq '.permissions | length' "$T/store/volumes/default/.volrun/state/meta")" 20
}

@test "lease says who holds it; break-lease takes it away, says whose it was, and the holder's changes become a conflict" {
	vstart A c1 "$V" 'echo mine >/data/mine; sleep 100'
	try vol --json lease state
	is "$(jq -r '"\(.state) \(.node) \(.container)"' <<<"$output")" "held node-A c1"
	try on B volrun volume break-lease state
	ok
	like "$output" 'the lease of node-A .container c1'
	try on B volrun volume break-lease state
	not_ok 'nobody holds its lease'
	beside B c2 'ls -A /data'
	is "$output" ""
	on A volrun delete --force c1
	until_true 20 eval '[[ -z $(keepers) ]]'
	try vol conflicts ls state
	like "$output" 'state +1 +yes +yes +c1'
}

@test "prefetch fills the cache, so that the next start needs no data; prune empties it, but not of what is in use" {
	vrun A c1 "$V" 'echo x >/data/x'
	try on B volrun volume prefetch state
	ok
	is "$(cat "$T/cache-B/main/default/state/rw/x")" x
	try on B volrun volume pin state
	try on B volrun volume prune
	like "$output" '^0 volumes removed.* 1 in use, pinned'
	try on B volrun volume --workspace=other prune state
	like "$output" '^0 volumes removed.* 0 in use'
	try on B volrun volume unpin state
	try on B volrun volume --json prune
	ok
	is "$(jq -c '[.volumes[].name, .kept]' <<<"$output")" '["state",0]'
	[[ ! -e $T/cache-B/main/default/state/rw ]]
	vrun B c2 "$V" 'cat /data/x'
	is "$output" x
	vstart B c3 "$V" 'sleep 100'
	try on B volrun volume prune
	like "$output" '^0 volumes removed.* 1 in use'
	try on B volrun volume prefetch state
	not_ok 'in use on this node'
	try on B volrun volume --wait=300ms drain
	not_ok 'still in use: state .container c3'
	on B volrun delete --force c3
	try on B volrun volume --wait=20s drain
	ok
}

@test "conflicts: shown, restored into a directory or as the next commit, dropped" {
	vrun A c0 "$V" 'echo base >/data/base; echo gone >/data/gone'
	vstart A c1 "$V" 'echo mine >/data/mine; echo more >>/data/base; rm /data/gone; ln -s mine /data/link; sleep 100'
	until_true 10 test -L "$T/cache-A/main/default/state/rw/link"
	on B volrun volume break-lease state
	beside B c2 'echo theirs >/data/theirs'
	on A volrun delete --force c1
	until_true 20 eval '[[ -z $(keepers) ]]'
	# From the other node: what is in the store.
	try on B volrun volume conflicts show state 2
	ok
	like "$output" 'added +file +5 mine'
	like "$output" 'changed +file +10 base'
	like "$output" 'deleted +file +0 gone'
	like "$output" 'added +symlink +0? *[0-9]* link'
	try on B volrun volume conflicts restore state 2 "$T/restored"
	ok
	is "$(cat "$T/restored/mine")" mine
	is "$(readlink "$T/restored/link")" mine
	try on B volrun volume conflicts restore state 2
	not_ok 'conflict 2 is not on this node'
	# Nothing was lost by that.
	vrun B c3 "$V" 'cat /data/theirs'
	is "$output" theirs
	# On its own node the whole tree is there.
	try vol conflicts restore state 2 "$T/whole"
	ok
	is "$(cd "$T/whole" && echo *)" "base link mine"
	try vol rm state
	not_ok 'set aside'
	try vol conflicts restore state 2
	ok
	vrun B c4 "$V" 'echo /data/*; cat /data/base'
	is "$output" $'/data/base /data/link /data/mine\nbase\nmore'
	try vol conflicts drop state 2
	ok
	try vol conflicts drop state 2
	not_ok 'there is no conflict 2'
	try vol --json conflicts ls state
	is "$(jq -c .conflicts <<<"$output")" "[]"
	try vol conflicts show state ../../x
	not_ok 'not the number of one'
}

# All that a tree holds, as it looks here.
# shellcheck disable=SC2016
LOOK='cd "$1" && find . -mindepth 1 -printf "%p %y %m %U:%G %n %T@ %l\n" | sort && getfattr -R -h -d . | grep . && sha256sum $(find . -type f | sort)'
look() { bash -c "$LOOK" - "$1"; }

# rich DIRECTORY: fills it with what is lost easily.
rich() {
	mkdir "$1/d" "$1/e"
	echo two >"$1/two"
	ln "$1/two" "$1/d/second"
	ln "$1/two" "$1/a"
	echo mine >"$1/d/f"
	setfattr -n user.note -v 'a b' "$1/d/f"
	setfattr -n user.dir -v x "$1/e"
	ln -s two "$1/l"
	chown -h 12:13 "$1/l"
	chown 7:8 "$1/d" "$1/d/f"
	chmod 750 "$1/d"
	touch -h -d '2001-02-03 04:05:06.789' "$1/l" "$1/d/f" "$1/e" "$1/d"
}

@test "conflicts restore keeps hard links, attributes, owners of links and times of directories, from the node and from the store" {
	local here
	vrun A c0 "$V" 'echo base >/data/base'
	vstart A c1 "$V" 'echo up >/data/up; sleep 100'
	until_true 10 test -e "$T/cache-A/main/default/state/rw/up"
	rich "$T/cache-A/main/default/state/rw"
	on B volrun volume break-lease state
	beside B c2 'echo theirs >/data/theirs'
	on A volrun delete --force c1
	until_true 20 eval '[[ -z $(keepers) ]]'
	here=$(look "$T/cache-A/main/default/state/conflict-2")
	like "$here" 'user.note="a b"'
	try vol conflicts restore state 2 "$T/whole"
	ok
	is "$(look "$T/whole")" "$here"
	rm "$T/cache-A/main/default/state/conflict-2/base"
	here=$(look "$T/cache-A/main/default/state/conflict-2")
	try on B volrun volume conflicts restore state 2 "$T/restored"
	ok
	is "$(look "$T/restored")" "$here"
}

@test "cp keeps hard links, attributes, owners of links, holes and times, in both directions" {
	local here
	mkdir "$T/in"
	rich "$T/in"
	truncate -s 200M "$T/in/holes"
	printf x | dd of="$T/in/holes" bs=1 seek=100000000 conv=notrunc status=none
	here=$(look "$T/in")
	try vol cp "$T/in/." state:
	ok
	try vol cp state: "$T/out"
	ok
	is "$(look "$T/out")" "$here"
	(($(stat -c %b "$T/out/holes") < 100)) || fail "$(stat "$T/out/holes")"
}

@test "a tree of any depth that has names is copied" {
	local d i
	mkdir "$T/in"
	d=$T/in
	for ((i = 0; i < 1000; i++)); do d+=/d; done
	(cd "$T/in" && mkdir -p "${d#"$T/in/"}" && echo deep >"${d#"$T/in/"}/f")
	ulimit -n 256
	try vol cp "$T/in/." state:
	ok
	try vol cp state: "$T/out"
	ok
	is "$(cat "${d/\/in\//\/out\/}/f")" deep
}

@test "a completion script for each shell names the commands" {
	local shell
	for shell in bash zsh fish; do
		try "$BIN/volrun-volume" --completion=$shell
		ok
		like "$output" 'break-lease'
	done
	"$BIN/volrun-volume" --completion=bash | bash -n
	# shellcheck disable=SC1090
	is "$(bash -c '. <("$0" --completion=bash); COMP_WORDS=(volrun volume brea) COMP_CWORD=2; _volrun; echo "${COMPREPLY[@]}"' "$BIN/volrun-volume")" break-lease
}
