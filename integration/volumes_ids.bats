#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Owners of a volume's files in containers with a user namespace: as the container
# sees them, whether the kernel can map them in the mount or not.

load lib/common
load lib/volume
setup() {
	common_setup
	node A
	node B
}
teardown() {
	if mountpoint -q "$T/cache-A"; then umount "$T/cache-A"; fi
	common_teardown
}

V="state /data"

# urun NODE NAME ANNOTATION SCRIPT [HOST-ID]: in a user namespace of 65536 ids, from 100000 on, or the one given.
urun() {
	local from=${5:-100000}
	bundle "$2" x
	chown -R "$from:$from" "$T/$2/rootfs"
	chmod 755 "$T" "$SUITE" "$(dirname "$T")" "$(dirname "$(dirname "$T")")"
	vrun "$1" "$2" "$3" "$4" ".linux.namespaces += [{type: \"user\"}]
		| .linux.uidMappings = [{containerID: 0, hostID: $from, size: 65536}] | .linux.gidMappings = [{containerID: 0, hostID: $from, size: 65536}]"
}

# A file system that knows no idmapped mounts.
no_idmap() {
	mkdir -p "$T/cache-A"
	mount -t ramfs ramfs "$T/cache-A"
}

MAKE='cd /data; echo 1 >one; mkdir d; echo 2 >d/two; chown 1000:1001 d d/two; ln -s one l; chown -h 7:8 l; ln one three; stat -c "%n %u:%g" . *'
SHOW='cd /data; stat -c "%n %u:%g" . * d/two'

owners_go_round() {
	urun A c1 "$V" "$MAKE"
	ok
	is "$output" $'. 0:0\nd 1000:1001\nl 7:8\none 0:0\nthree 0:0'
	# Without a user namespace, elsewhere; and back, changed.
	vrun B c2 "$V" "$SHOW; chown 5:6 one; chown 4:4 ."
	ok
	is "$output" $'. 0:0\nd 1000:1001\nl 7:8\none 0:0\nthree 0:0\nd/two 1000:1001'
	urun A c3 "$V" "$SHOW; chown 9:9 d/two"
	ok
	is "$output" $'. 4:4\nd 1000:1001\nl 7:8\none 5:6\nthree 5:6\nd/two 1000:1001'
	# The same cache, by others: none, other host ids, none, the first ones.
	vrun A c4 "$V" "$SHOW"
	is "${lines[5]}" 'd/two 9:9'
	is "${lines[2]}" 'l 7:8'
	urun A c5 "$V" "$SHOW; echo new >new" 300000
	is "${lines[5]}" 'd/two 9:9'
	is "${lines[0]}" '. 4:4'
	urun A c6 "$V" "$SHOW; rm new"
	like "$output" 'three 5:6'
	vrun B c7 "$V" "$SHOW"
	is "$output" $'. 4:4\nd 1000:1001\nl 7:8\none 5:6\nthree 5:6\nd/two 9:9'
}

@test "owners are the container's, by a mount that maps ids" {
	owners_go_round
	is "$(stat -c %u "$T/cache-A/main/default/state/rw/d")" 1000
}

@test "owners are the container's, translated where the file system can't map ids" {
	no_idmap
	owners_go_round
	is "$(stat -c %u "$T/cache-A/main/default/state/rw/d")" 101000
}

@test "a warm start in the same user namespace reads nothing anew where ids are translated" {
	no_idmap
	urun A c1 "$V" 'echo 1 >/data/f; chown 3:3 /data/f'
	ok
	mv "$T/store/volumes/default/.volrun/state/commits" "$T/commits"
	urun A c2 "$V" 'cat /data/f; stat -c %u /data/f'
	ok
	is "$output" $'1\n3'
	mv "$T/commits" "$T/store/volumes/default/.volrun/state/commits"
}

unmapped_becomes_owner() {
	vrun B c1 "$V" 'cd /data; echo 1 >f; echo 2 >g; mkdir d; chown 70000:70001 f d; chown 1000:70001 g'
	ok
	urun A c2 "state /data owner=12:13" 'cd /data; stat -c "%n %u:%g" d f g; echo more >>f && touch d/x; cat f'
	ok
	is "$output" $'d 12:13\nf 12:13\ng 1000:13\n1\nmore'
	# What it wrote to is its owner's now.
	vrun B c3 "$V" 'cd /data; stat -c "%n %u:%g" f; cat f'
	is "$output" $'f 12:13\n1\nmore'
}

@test "an id that the container has no place for becomes the owner's" { unmapped_becomes_owner; }

@test "an id that the container has no place for becomes the owner's, where ids are translated" {
	no_idmap
	unmapped_becomes_owner
}

@test "readers of different user namespaces see the container's owners, each of them" {
	no_idmap
	vrun B c1 "$V" 'cd /data; echo 1 >f; chown 3:4 f'
	urun A c2 "$V ro" 'stat -c %u:%g /data/f'
	is "$output" 3:4
	urun A c3 "$V ro" 'stat -c %u:%g /data/f' 300000
	is "$output" 3:4
	vrun A c4 "$V ro" 'stat -c %u:%g /data/f'
	is "$output" 3:4
}

# ustart NAME HOST-ID SCRIPT: of pod p1, left running, in a user namespace from that id on.
ustart() {
	bundle "$1" x
	chown -R "$2:$2" "$T/$1/rootfs"
	chmod 755 "$T" "$SUITE" "$(dirname "$T")" "$(dirname "$(dirname "$T")")"
	vbundle "$1" "$V" "$3" ".annotations[\"io.kubernetes.cri.sandbox-id\"] = \"p1\" | .linux.namespaces += [{type: \"user\"}]
		| .linux.uidMappings = [{containerID: 0, hostID: $2, size: 65536}] | .linux.gidMappings = [{containerID: 0, hostID: $2, size: 65536}]"
	try on A volrun run --detach --bundle "$T/$1" "$1"
}

@test "in a pod, one with other ids is refused where they can't be mapped in the mount; with the same ids it joins" {
	no_idmap
	ustart c1 100000 'echo one >/data/one; sleep 100'
	ok
	until_true 10 test -s "$T/cache-A/main/default/state/rw/one"
	ustart c2 300000 'echo two >/data/two; sleep 100'
	not_ok 'volume state: another container of the pod has it with other user or group mappings'
	ustart c3 100000 'stat -c %u:%g /data/one >/data/three; sleep 100'
	ok
	until_true 10 test -s "$T/cache-A/main/default/state/rw/three"
	is "$(cat "$T/cache-A/main/default/state/rw/three")" 0:0
	on A volrun delete --force c3
	on A volrun delete --force c1
	until_true 20 eval '[[ -z $(keepers) ]]'
	vrun B c4 "$V" 'stat -c "%n %u:%g" /data/*'
	is "$output" $'/data/one 0:0\n/data/three 0:0'
}

@test "in a pod, one with other ids joins where each mount maps them" {
	ustart c1 100000 'echo one >/data/one; sleep 100'
	ok
	until_true 10 test -s "$T/cache-A/main/default/state/rw/one"
	ustart c2 300000 'stat -c %u:%g /data/one >/data/two; sleep 100'
	ok
	until_true 10 test -s "$T/cache-A/main/default/state/rw/two"
	is "$(cat "$T/cache-A/main/default/state/rw/two")" 0:0
	on A volrun delete --force c2
	on A volrun delete --force c1
	until_true 20 eval '[[ -z $(keepers) ]]'
	vrun B c4 "$V" 'stat -c "%n %u:%g" /data/*'
	is "$output" $'/data/one 0:0\n/data/two 0:0'
}
