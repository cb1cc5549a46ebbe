#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# `volrun volume inspect --check` reads all that a start could need, and says what of it is wrong.

load lib/common
load lib/volume
setup() {
	common_setup
	node A
	node B
	vrun A c1 "state /data" 'cd /data; mkdir d; echo one >one; : >empty; head -c 9000000 /dev/zero >d/large; ln -s one link'
	ok
	P=$T/store/volumes/default/state M=$T/store/volumes/default/.volrun/state
}
teardown() { common_teardown; }

check() { try on B volrun volume inspect --check state; }

# unsound PATTERN: it is found, named, and the status is not 0.
unsound() {
	check
	((status == 1)) || fail "found nothing" "$(show_last)"
	like "$output" "problem: .*$1"
	like "${stderr:?}" "volume state: [0-9]+ problems"
}

# damage FILE PATTERN COMMAND...: with FILE changed by COMMAND it is unsound; afterwards it is whole again.
damage() {
	local file=$1 pattern=$2
	shift 2
	cp -a "$file" "$T/kept"
	"$@"
	unsound "$pattern" || fail "after $*"
	rm -f "$file"
	cp -a "$T/kept" "$file"
	check
	ok
}

@test "a volume as a run left it has no problem and gives no note; nothing is left in the cache" {
	check
	ok
	like "$output" "commit 1 of epoch 1, 2 files with 9000004 bytes are right; 0 problems, 0 notes"
	is "$(find "$T/cache-B" -name '.check*')" ""
	is "$(on B volrun volume inspect --check --json state | jq -c '[.seq, .files, .problems, .notes]')" '[1,2,[],[]]'
}

flip() { printf X | dd of="$1" bs=1 seek="$2" conv=notrunc status=none; }

@test "bytes that are changed, cut short or gone are found, each with the file they belong to" {
	local pack large
	large=$(find "$M/commits" -size +8M)
	pack=$(find "$M/commits" -type f -not -size +8M)
	damage "$large" '"d/large".*sha256 differs' flip "$large" 5000000
	damage "$large" '"d/large".*gone or cut short' truncate -s 8999999 "$large"
	damage "$large" '"d/large".*gone or cut short' rm "$large"
	damage "$pack" '"one".*sha256 differs' flip "$pack" 0
	damage "$pack" 'sha256 differs' flip "$pack" $(($(stat -c %s "$pack") - 3))
	damage "$pack" '.' truncate -s -1 "$pack"
	damage "$pack" '.' rm "$pack"
}

@test "a register, a table or a meta that is broken or gone is found" {
	damage "$M/head" register truncate -s 20 "$M/head"
	# The register has carried the table until then.
	vrun A c2 "state /data" true
	ok
	damage "$M/1.applied" 'published is missing' rm "$M/1.applied"
	damage "$M/1.applied" . truncate -s -3 "$M/1.applied"
	damage "$M/meta" 'nobody may use it' rm "$M/meta"
	try on B volrun volume inspect --check other
	not_ok "volume other: "
}

@test "what others did to the plain copy is a note" {
	echo theirs >"$P/theirs"
	rm "$P/one"
	check
	ok
	like "$output" 'note: "theirs" in the plain copy: another tool'
	like "$output" 'note: "one" in the plain copy: missing'
	like "$output" "0 problems, 2 notes"
	vrun A c2 "state /data" 'echo two >/data/two'
	check
	ok
	like "$output" "0 problems, 0 notes"
}

@test "a file that another tool put where the volume has a link or a directory: noted, left out, and moved to the conflicts" {
	local id
	vrun A c2 "state /data" 'mkdir /data/hollow'
	ok
	echo theirs >"$P/link"
	echo "theirs too" >"$P/hollow"
	check
	ok
	like "$output" 'note: "link" in the plain copy: .* the volume has something else; the next run moves it'
	like "$output" 'note: "hollow" in the plain copy: .* the volume has something else; the next run moves it'
	vrun A c3 "state /data" 'cd /data; readlink link; cat link; stat -c %F hollow; echo more >hollow/more'
	ok
	is "$output" $'one\none\ndirectory'
	like "$stderr" '"hollow" was left out: .*moved to the volume.s conflicts'
	is "$(cat "$P/hollow/more")" more
	[[ ! -e $P/link ]]
	id=$(on A volrun volume conflicts ls --json state | jq -r '.conflicts[].conflict.id')
	try on A volrun volume conflicts show state "$id"
	like "$output" 'added +file +7 link'
	on A volrun volume conflicts restore state "$id" "$T/restored"
	is "$(cat "$T/restored/link" "$T/restored/hollow")" $'theirs\ntheirs too'
	vrun A c4 "state /data" true
	is "$stderr" ""
	check
	like "$output" '0 problems, 0 notes'
	# Larger than a conflict may be.
	truncate -s 1073741825 "$P/link"
	vrun A c5 "state /data" 'readlink /data/link'
	is "$output" one
	like "$stderr" '"link" was left out: .*too large for the volume.s conflicts \(1 GiB\): move it elsewhere in the store'
	[[ -e $P/link ]]
}
