#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What a newer version wrote: refused with a line that says so, and left as it is.

load lib/common
load lib/volume
setup() { common_setup; node A; node B; }
teardown() { common_teardown; }

V="state /data"
meta_of() { echo "$T/store/volumes/default/.volrun/state/$1"; }

# change DOCUMENT JQ-FILTER: as another client of the store does it (a file is its object; its tag goes with the file).
change() {
	jq -c "$2" "$(meta_of "$1")" >"$T/changed"
	cp "$T/changed" "$(meta_of "$1").new"
	mv "$(meta_of "$1").new" "$(meta_of "$1")"
}

contents() { (cd "$T/store/volumes" && find . -type f -print0 | sort -z | xargs -0 sha256sum); }

# refused PATTERN COMMAND...: one line, and nothing in the store is other than before.
refused() {
	local pattern=$1 before
	shift
	before=$(contents)
	try "$@"
	not_ok "$pattern"
	unlike "${stderr,,}" "permission denied|operation not permitted|no such file|is a directory|not a directory|executable file not found|does not exist"
	until_true 10 eval '[[ -z $(keepers) ]]'
	is "$(contents)" "$before" "the store"
}

NEWER='format 2 is of a newer volrun.*upgrade'

@test "a register of a newer format is refused by every command that would change the volume, warm or cold, and stays as it is" {
	vrun A c1 "$V" 'echo one >/data/one'
	ok
	change head '.format = 2 | .inline = {"one": "tag"}'
	vbundle c2 "$V" 'echo two >/data/two'
	vbundle c3 "state /data ro" 'cat /data/one'
	refused "$NEWER" on A volrun run --bundle "$T/c2" c2
	refused "$NEWER" on B volrun run --bundle "$T/c2" c2
	refused "$NEWER" on B volrun run --bundle "$T/c3" c3
	for command in "lease state" "break-lease state" "prefetch state" "rm state" "rm --force state" "files state" "cp state:one /tmp/never"; do
		# shellcheck disable=SC2086
		refused "$NEWER" on A volrun volume $command
	done
	# The local tree is the last one's, for whoever upgrades.
	is "$(cat "$T/cache-A/main/default/state/rw/one")" one
}

@test "one that was written while a container ran has taken the lease: its tree is set aside, nothing is written" {
	node A '.lease += {ttl: "3s", renew: "300ms"}'
	vstart A c1 "$V" 'echo one >/data/one; while ! [ -e /data/go ]; do sleep 0.1; done; echo two >/data/two'
	until_true 10 test -e "$T/cache-A/main/default/state/rw/one"
	change head '.format = 2 | .epoch += 1 | .inline = {"one": "tag"} | .nonce = "ffffffffffffffffffffffffffffffff"'
	local before
	before=$(cat "$(meta_of head)")
	until_true 10 test -d "$T/cache-A/main/default/state/conflict-1"
	: >"$T/cache-A/main/default/state/conflict-1/go"
	until_true 20 eval '[[ -z $(keepers) ]]'
	is "$(cat "$T/cache-A/main/default/state/conflict-1/two")" two
	is "$(cat "$(meta_of head)")" "$before"
	change head '.state = "free"'
	on A volrun delete --force c1
}

@test "permissions of a newer format are nobody's to skip, nor to rewrite" {
	vrun A c1 "$V" 'echo one >/data/one'
	ok
	change meta '.format = 2 | .deny = {"u/mallory": true}'
	vbundle c2 "$V" true
	refused "meta: $NEWER" on A volrun run --bundle "$T/c2" c2
	refused "meta: $NEWER" on A volrun volume share state u/eve rw
	change meta '.format = 1 | del(.deny)'
	vrun A c3 "$V" 'cat /data/one'
	ok
	is "$output" one
}

@test "the table that a register carries to the next holder may be left out by one that does not know it" {
	vrun A c1 "$V" 'echo one >/data/one; echo two >/data/two'
	ok
	is "$(jq -c '[.applied_seq, .hints.applied.seq]' "$(meta_of head)")" '[0,1]'
	[[ ! -e $(meta_of 1.applied) ]]
	change head 'del(.hints)'
	vrun B c2 "$V" 'cat /data/*; echo three >/data/one'
	ok
	is "$output" $'one\ntwo'
	[[ -e $(meta_of 1.applied) ]]
	try on A volrun volume inspect --check state
	ok
	like "$output" "0 problems, 0 notes"
	# One that is of nothing counts for nothing.
	change head '.hints.applied.seq += 1'
	vrun A c3 "$V" 'cat /data/*'
	ok
	is "$output" $'three\ntwo'
	is "$(jq -c '[.commit.seq, .applied_seq, .hints]' "$(meta_of head)")" '[2,2,null]'
}

@test "an unknown key of the same format is refused, hints of a newer version are read over" {
	vrun A c1 "$V" 'echo one >/data/one'
	ok
	change head '.inline = true'
	vbundle c2 "$V" 'cat /data/one'
	refused 'register: .*inline' on B volrun run --bundle "$T/c2" c2
	change head 'del(.inline) | .hints = {"inline": {"one": "tag"}}'
	try on B volrun run --bundle "$T/c2" c2
	ok
	is "$output" one
	until_true 10 eval '[[ -z $(keepers) ]]'
	is "$(jq -c '[.format, .commit.seq, .hints]' "$(meta_of head)")" '[1,1,null]'
}
