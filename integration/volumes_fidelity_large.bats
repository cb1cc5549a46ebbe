#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A file that is larger than one request may be. It has holes, so that it fits anywhere.

load lib/common
load lib/volume
load lib/rich
setup() { common_setup; }
teardown() { common_teardown; }

# Nothing of it is ever in memory or on the disk as a whole: it has holes.
@test "a file of 5.1 GiB goes round, and its holes stay holes, in the store too" {
	two_nodes
	KEEPER_PATIENCE=150 # its bytes, zeros included, are hashed several times
	rich A c1 'cd /data; truncate -s 5476083302 big; for at in 0 1000000 5000000000 5476083289; do printf "at $at" | dd of=big bs=1M seek=$at oflag=seek_bytes conv=notrunc status=none; done; du -k big | cut -f 1'
	ok
	(("$output" < 100)) || fail "$output KiB"
	rich B c2 'cd /data; stat -c %s big; du -k big | cut -f 1; for at in 0 1000000 5000000000 5476083289; do dd if=big bs=1M skip=$at count=13 iflag=skip_bytes,count_bytes status=none | tr "\0" .; echo; done'
	ok
	is "${lines[0]}" 5476083302
	((lines[1] < 100)) || fail "${lines[1]} KiB"
	is "${lines[2]} ${lines[3]} ${lines[4]} ${lines[5]}" "at 0......... at 1000000... at 5000000000 at 5476083289"
	is "$(stat -c %s "$T/store/$P/big")" 5476083302
	(($(du -sk "$T/store" | cut -f 1) < 2000)) || fail "$(du -ak "$T/store")"
}
