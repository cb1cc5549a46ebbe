#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The virtual machine is rebooted while containers of docker, containerd and podman run with volumes: in order, and by
# reset. Runs outside of the machine; machine_power.bats has cuts in commits.

load lib/common

BOOT='systemd.unit=basic.target systemd.wants=ssh.service'

setup() {
	T=$BATS_TEST_TMPDIR
	VM=volrun-reboot-$$
	mkdir -p "$T/src/install/usr/local"/{sbin,libexec/volrun}
	cp "$BIN/volrun" "$T/src/install/usr/local/sbin/"
	cp "$BIN"/volrun-* "$T/src/install/usr/local/libexec/volrun/"
	cp -r "$HERE/../contrib" "$LIB/engine-node" "$T/src/"
}
teardown() { "$HERE/vm" stop --name "$VM"; }

machine() { "$HERE/vm" "$1" --name "$VM" "${@:2}" </dev/null 3>&- 4>&-; }
in_machine() { machine exec --timeout 600 -- "$@"; }
node() { in_machine /src/engine-node "$@"; }
volume() { in_machine volrun volume "$@"; }

running() { # RECOVER: all of them, in a new machine
	local v
	machine start --journal --src "$T/src" --life 1800
	node up "$1"
	node start
	for v in docker ctr podman; do node written $v 'start 0'; done
	is "$(volume --json status | jq -r '[.volumes[].state] | unique | join(" ")')" 'in use'
}

# Docker's container runs again; what the others held is free, nothing is left over, and the doctor finds nothing.
clean() {
	local v
	node written docker "$1"
	for v in ctr podman; do is "$(volume --json lease $v | jq -r .state)" free "lease of $v"; done
	# Where all was set aside, and dropped, this node's cache has nothing of the volume.
	is "$(volume --json status | jq -r '[.volumes[] | select(.state != "clean") | "\(.name) \(.state)"] | join(", ")')" "docker in use"
	in_machine volrun doctor >"$T/doctor" || fail "$(cat "$T/doctor")"
	! grep -v '^ok:' "$T/doctor" | grep -v '^0 problems, 0 warnings' || fail "the doctor is not content"
}

@test "rebooted in order: every volume is committed before the machine goes down, docker's goes on after it" {
	local v
	running conflicts
	machine reboot --append "$BOOT"
	# What is in the store, before anybody recovers anything.
	for v in docker ctr podman; do
		is "$(in_machine sh -c "jq -r '\"\(.state) \(.commit.seq)\"' /src/store/volumes/default/.volrun/$v/head")" "free 1" "register of $v"
	done
	node up conflicts
	clean 'start 2'
	is "$(node read ctr)" $'start 0\nbye'
	is "$(node read podman)" $'start 0\nbye'
}

@test "reset, with recover=commit: what was on the disk is committed, leases are free, docker's container goes on" {
	running commit
	machine reset --append "$BOOT"
	node up commit
	clean 'start 1'
	is "$(node read ctr)" 'start 0'
	is "$(node read podman)" 'start 0'
}

@test "reset, as configured by default: what was not committed is set aside, to be had again" {
	local v
	running conflicts
	machine reset --append "$BOOT"
	node up conflicts
	node written docker 'start 0'
	for v in docker ctr podman; do
		id=$(volume --json conflicts ls $v | jq -r '.conflicts[0].conflict.id')
		volume conflicts restore $v "$id" /src/had-$v
		is "$(in_machine cat /src/had-$v/log)" 'start 0'
		volume conflicts drop $v "$id"
	done
	clean 'start 0'
}
