#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# In the virtual machine: the keeper's own scope, its place among those that the kernel kills for memory, and logind's
# lock while a commit is on its way.
load lib/common
load lib/volume

setup() {
	common_setup
	ENGINE=volrun-engine$BATS_TEST_NUMBER-$$
	node A '.lease += {ttl: "5s", renew: "1s", poll: "500ms"}'
}
teardown() {
	local rc=0
	systemctl stop "$ENGINE.service" 2>/dev/null || :
	common_teardown || rc=1
	return $rc
}

V="state /data"
head_of() { jq -r '"\(.state) \(.commit.seq)"' "$T/store/volumes/default/.volrun/state/head"; }
scope_of() { sed -n 's|^0::||p' "/proc/$1/cgroup"; }
in_scope() { [[ $(scope_of "$1") == "/system.slice/volrun-keeper-$1.scope" ]]; }
inhibitors() { systemd-inhibit --list --no-legend | grep -c 'volrun.*container c1 are being synced back.*delay'; }

# by_engine NAME SCRIPT: started by a service, as an engine does.
by_engine() {
	vbundle "$1" "$V" "$2"
	systemd-run --quiet --unit="$ENGINE" --setenv=VOLRUN_CONFIG="$T/A.json" \
		sh -c "'$BIN/volrun' --root '$T/state-A' run --detach --bundle '$T/$1' '$1' </dev/null >/dev/null 2>&1; exec sleep 1000"
	until_true 20 test -e "$T/$1/rootfs/workspace/up"
	KEEPER=$(keepers)
	until_true 20 in_scope "$KEEPER"
}

@test "a keeper is in a scope of its own, is killed last for memory, and outlives the unit of the engine" {
	by_engine c1 'echo first >/data/f; touch /workspace/up; sleep 1000'
	is "$(cat "/proc/$KEEPER/oom_score_adj")" -999
	like "$(systemctl show --property Description --value "volrun-keeper-$KEEPER.scope")" 'volumes of container c1'
	systemctl stop "$ENGINE.service"
	is "$(keepers)" "$KEEPER"
	on A volrun kill c1 KILL
	until_true 20 eval '[[ -z $(keepers) ]]'
	is "$(head_of)" "free 1"
	until_true 20 eval '[[ -z $(systemctl list-units --all --no-legend "volrun-keeper-*") ]]'
	on A volrun delete c1
}

@test "who adopts a container whose keeper died gets a scope, too" {
	by_engine c1 'echo first >/data/f; touch /workspace/up; sleep 1000'
	kill -9 "$KEEPER"
	on A env VOLRUN_CONFIG="$T/A.json" "$BIN/volrun-volume" recover
	KEEPER=$(keepers)
	until_true 20 in_scope "$KEEPER"
	on A volrun delete --force c1
	is "$(head_of)" "free 1"
}

@test "a commit that is on its way holds up who shuts down, and the stop of its scope waits for it" {
	local where=$T/store/volumes/default/.volrun/state
	node A # with a time to live that is long enough
	by_engine c1 'echo first >/data/f; touch /workspace/up; sleep 1000'
	is "$(inhibitors)" 0
	mount --bind "$where" "$where"
	mount -o remount,bind,ro "$where"
	on A volrun kill c1 KILL
	until_true 20 eval '(($(inhibitors) == 1))'
	# What a shutdown does.
	systemctl stop --no-block "volrun-keeper-$KEEPER.scope"
	sleep 2
	kill -0 "$KEEPER"
	is "$(systemctl show --property ActiveState --value "volrun-keeper-$KEEPER.scope")" deactivating
	umount "$where"
	until_true 40 eval '[[ -z $(keepers) ]]'
	is "$(head_of)" "free 1"
	until_true 20 eval '(($(inhibitors) == 0))'
	on A volrun delete c1
}
