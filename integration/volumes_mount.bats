#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# `volrun volume mount|unmount`: a volume on this machine, for people and for sandboxes that have no hooks (gVisor).

load lib/common
load lib/volume
setup() {
	common_setup
	node A '.lease += {ttl: "3s", renew: "500ms", poll: "1s"}'
	node B '.lease += {ttl: "3s", renew: "500ms", poll: "1s"}'
	M=$T/mnt
	mkdir "$M"
}
teardown() {
	umount "$M" 2>/dev/null || :
	[[ -z ${SANDBOX:-} ]] || { kill -9 "$SANDBOX" 2>/dev/null || :; }
	umount "$T/host" 2>/dev/null || :
	common_teardown
}

vmount() { try on "$1" volrun volume mount "${@:2}"; }
vunmount() { try on "$1" volrun volume unmount "${@:2}"; }
no_keepers() { until_true 20 eval '[[ -z $(keepers) ]]'; }

@test "mount, write, unmount: committed; a container finds it, and the other way round" {
	vmount A state "$M"
	ok
	is "$output$stderr" ""
	like "$(grep " $M " /proc/self/mountinfo)" "nosuid,nodev"
	echo hello >"$M/f"
	is "$(on A volrun volume status --json | jq -r '.volumes[0] | "\(.state) \(.container)"')" "in use mount $M"
	vunmount A "$M"
	ok
	is "$output$stderr" ""
	is "$(keepers)" ""
	is "$(left_leases)" ""
	is "$(ls -A "$M")" ""
	vrun B c1 "state /data" 'cat /data/f; echo more >/data/g'
	is "$output" hello
	vmount A state "$M" ro
	ok
	is "$(cat "$M/g")" more
	! touch "$M/h" 2>/dev/null
	vunmount A "$M"
	ok
}

@test "the configuration may be named from where one is: by --config and VOLRUN_CONFIG, here and of a hook" {
	cd "$T"
	try "$BIN/volrun" volume --config=A.json mount state "$M"
	ok
	vunmount A "$M"
	ok
	VOLRUN_CONFIG=A.json try "$BIN/volrun" volume mount state "$M"
	ok
	vunmount A "$M"
	ok
	vbundle c1 "state /data" 'true'
	try sh -c '"$@"; exit $?' engine "$BIN/volrun-hook" --config=A.json precreate <"$T/c1/config.json"
	ok
	no_keepers
}

@test "one holder: while it is mounted others are refused, and it is refused while another has it" {
	vmount A state "$M"
	ok
	mkdir "$M.2"
	vmount A state "$M.2"
	not_ok 'volume state: lease held by node-A \(container mount .*/mnt, since .*\)'
	vmount B state "$M.2" --wait 500ms
	not_ok 'volume state: lease held by node-A'
	vmount A other "$M"
	not_ok 'a volume is mounted on .*/mnt already'
	vbundle c1 "state /data wait=300ms" 'echo must not run'
	try on B volrun run --bundle "$T/c1" c1
	not_ok 'lease held by node-A'
	# A lease that waits is had when the other one lets go.
	on B volrun volume mount state "$M.2" --wait 20s >"$T/out" 2>&1 </dev/null &
	local waiter=$!
	sleep 0.5
	echo one >"$M/f"
	vunmount A "$M"
	ok
	wait "$waiter" || fail "$(cat "$T/out")"
	is "$(cat "$M.2/f")" one
	vunmount B "$M.2"
	ok
	# It was longer than its time to live: renewed all the time.
	vmount A state "$M"
	sleep 4
	vmount B state "$M.2"
	not_ok 'lease held by node-A'
	vunmount A "$M"
	ok
}

@test "in use: refused, and nothing has changed; by hand unmounted: committed all the same" {
	vmount A state "$M"
	ok
	exec 9>"$M/open"
	vunmount A "$M"
	not_ok "$M is in use: a process has a file or directory in it open"
	exec 9>&-
	echo x >"$M/f"
	umount "$M"
	no_keepers
	is "$(on A volrun volume status --json | jq -r '.volumes[0].state')" clean
	on A volrun volume files state | grep -q ' f$'
	vunmount A "$M"
	not_ok "no volume is mounted on $M"
	vmount A state "$M"
	is "$(ls "$M")" $'f\nopen'
	vunmount A "$M"
	ok
}

@test "something else on top of it: unmount leaves that alone, for a reader, too" {
	local mode
	for mode in rw ro; do
		vmount A state "$M" "$mode"
		ok
		[[ $mode == ro ]] || echo x >"$M/f"
		mount -t tmpfs tmpfs "$M"
		vunmount A "$M"
		not_ok "something else than the volume is mounted on $M"
		is "$(stat -f -c %T "$M")" tmpfs
		umount "$M"
		is "$(<"$M/f")" x
		vunmount A "$M"
		ok
	done
}

@test "what is wrong is said in one line, and nothing is held then" {
	vmount A state "$T/nowhere"
	not_ok 'nowhere is no directory'
	vmount A state "$M" rx
	not_ok 'mount: "rx" is neither ro nor rw'
	vmount A state "$M" ro
	not_ok 'volume state: not there yet: ro needs an existing volume'
	vmount A 'bad/name' "$M"
	not_ok 'is not a valid name'
	vunmount A "$M"
	not_ok 'no volume is mounted'
	# Whoever may mount nothing holds nothing.
	try setpriv --bounding-set -sys_admin --inh-caps -all env VOLRUN_CONFIG="$T/A.json" "$BIN/volrun" volume mount state "$M"
	not_ok "mount"
	no_keepers
	is "$(left_leases)" ""
}

@test "a keeper that was killed: unmount commits what it held; a later start takes it over while it is mounted" {
	vmount A state "$M"
	ok
	echo one >"$M/f"
	kill -9 "$(keepers)"
	no_keepers
	vunmount A "$M"
	ok
	like "$output" 'state: committed'
	vmount A state "$M"
	ok
	is "$(cat "$M/f")" one
	kill -9 "$(keepers)"
	no_keepers
	echo two >"$M/f"
	# Another one goes on in its place.
	vmount A state "$M.2"
	((status != 0))
	mkdir "$M.2"
	vmount A state "$M.2"
	not_ok 'lease held by node-A'
	echo three >>"$M/f"
	vunmount A "$M"
	ok
	no_keepers
	vrun B c1 "state /data" 'cat /data/f'
	is "$output" $'two\nthree'
}

@test "a machine that went down with it mounted: recover at boot finds what was written" {
	# In a mount namespace that nobody copies: a machine that went down leaves no mount, here others might have one.
	on A unshare --mount --propagation private sh -euc '"$1" volume mount state "$2"; echo one >"$2/f"' - "$BIN/volrun" "$M" 3>&- 4>&-
	kill -9 "$(keepers)"
	no_keepers
	rm "$T"/run-A/*.sock
	sed -i 's/"boot_id": *"[^"]*"/"boot_id":"00000000-0000-0000-0000-000000000000"/' "$T"/cache-A/main/default/state/keeper
	try on A volrun volume recover
	ok
	like "$output" 'state: (committed|set aside)'
}

@test "SIGTERM, as at shutdown: it becomes read-only, is committed and released, when nobody has a file open for writing" {
	vmount A state "$M"
	ok
	exec 9>"$M/f"
	kill -TERM "$(keepers)"
	sleep 1
	like "$(keepers)" '^[0-9]+$'
	echo last >&9
	exec 9>&-
	no_keepers
	is "$(left_leases)" ""
	! touch "$M/g" 2>/dev/null
	vunmount A "$M"
	not_ok 'committed already'
	umount "$M"
	vrun B c1 "state /data" 'cat /data/f'
	is "$output" last
}

@test "a sandbox that has it mounted: unmount is refused; with --force it is committed when that has ended" {
	vmount A state "$M"
	ok
	unshare --mount --propagation private sh -c 'mkdir -p "$1.s" && mount --bind "$1" "$1.s" && touch "$1/in" && exec sleep 1000' sandbox "$M" </dev/null >/dev/null 2>&1 3>&- 4>&- &
	SANDBOX=$!
	until_true 10 test -e "$M/in"
	vunmount A "$M"
	not_ok 'is in use by a container or sandbox'
	mountpoint -q "$M"
	vunmount A --force --wait 1s "$M"
	not_ok 'is unmounted, and not committed yet'
	! mountpoint -q "$M"
	like "$(keepers)" '^[0-9]+$'
	kill -9 "$SANDBOX"
	no_keepers
	on A volrun volume files state | grep -q ' in$'
}

@test "a container that has it at the same path: unmount is refused, too; a copy of the machine's mounts is none" {
	vmount A state "$M"
	ok
	bundle c1 "touch $M/in; sleep 1000"
	config c1 --arg m "$M" '.mounts += [{destination: $m, type: "bind", source: $m, options: ["rbind", "rw"]}]'
	volrun run --detach --bundle "$T/c1" c1 </dev/null >"$T/c1.log" 2>&1 || fail "$(cat "$T/c1.log")"
	until_true 10 test -e "$M/in"
	vunmount A "$M"
	not_ok 'is in use by a container or sandbox'
	mountpoint -q "$M"
	volrun delete --force c1
	unshare --mount --propagation private sleep 1000 </dev/null >/dev/null 2>&1 3>&- 4>&- &
	SANDBOX=$!
	until_true 10 eval '[[ $(readlink "/proc/$SANDBOX/ns/mnt") != $(readlink /proc/self/ns/mnt) ]]'
	vunmount A "$M"
	ok
	on A volrun volume files state | grep -q ' in$'
}

# shared: $T/host, a mount whose own mounts are seen by who follows it, as "/" is where systemd runs; $M in it.
shared() {
	mkdir "$T/host" "$T/seen"
	mount -t tmpfs tmpfs "$T/host"
	mount --make-shared "$T/host"
	M=$T/host/mnt
	mkdir "$M"
}

@test "what sees the machine's mounts at another path (-v /:/host:rslave) is no use of the volume; a bind of the volume itself is one" {
	shared
	vmount A state "$M"
	ok
	unshare --mount --propagation slave sh -c 'mount --rbind "$1/host" "$1/seen" && touch "$1/seen/mnt/in" && exec sleep 1000' sandbox "$T" </dev/null >/dev/null 2>&1 3>&- 4>&- &
	SANDBOX=$!
	until_true 10 test -e "$M/in"
	like "$(</proc/$SANDBOX/mountinfo)" " $T/seen/mnt .*master:"
	vunmount A "$M"
	ok
	unlike "$(</proc/$SANDBOX/mountinfo)" " $T/seen/mnt "
	on A volrun volume files state | grep -q ' in$'
	kill -9 "$SANDBOX"
	vmount A state "$M"
	ok
	unshare --mount --propagation slave sh -c 'mount --bind "$1/host/mnt" "$1/seen" && touch "$1/seen/again" && exec sleep 1000' sandbox "$T" </dev/null >/dev/null 2>&1 3>&- 4>&- &
	SANDBOX=$!
	until_true 10 test -e "$M/again"
	vunmount A "$M"
	not_ok 'is in use by a container or sandbox'
	mountpoint -q "$M"
	kill -9 "$SANDBOX"
	until_true 10 eval '[[ ! -e /proc/$SANDBOX/ns/mnt ]]'
	vunmount A "$M"
	ok
	umount "$T/host"
}

@test "gVisor: a volume in a sandbox of Debian's runsc, and again in the next one" {
	command -v runsc >/dev/null || skip "no runsc here (Debian: runsc)"
	local rs=(runsc --rootless=false --network=none --ignore-cgroups --platform=ptrace --root "$T/state-runsc")
	bundle c0 true
	config c0 'del(.linux.resources)'
	try timeout 60 "${rs[@]}" run --bundle "$T/c0" c0 </dev/null 3>&- 4>&-
	((status == 0)) || skip "runsc does not run on this machine, without a volume either: $(tail -n 1 <<<"$stderr")"
	bundle c1 'cat /data/f 2>/dev/null; echo from the sandbox >>/data/f'
	config c1 --arg m "$M" 'del(.linux.resources) | .mounts += [{destination: "/data", type: "bind", source: $m, options: ["rbind", "rw"]}]'
	local n
	for n in 1 2; do
		vmount A state "$M"
		ok
		try timeout 60 "${rs[@]}" run --bundle "$T/c1" "c$n" </dev/null 3>&- 4>&-
		ok
		vunmount A "$M"
		ok
	done
	is "$output" ""
	vrun B c3 "state /data" 'cat /data/f'
	is "$output" $'from the sandbox\nfrom the sandbox'
}
