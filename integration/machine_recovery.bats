#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# In the virtual machine: volrun-recover.service, and what the journal says of runs.
load lib/common
load lib/volume

setup() {
	common_setup
	node A '.lease += {ttl: "5s", renew: "1s", poll: "500ms"}'
	sed "s|@sbindir@|$BIN|" "$HERE/../contrib/systemd/volrun-recover.service.in" >/run/systemd/system/volrun-recover.service
	mkdir -p /run/systemd/system/volrun-recover.service.d
	printf '[Service]\nEnvironment=VOLRUN_CONFIG=%s\n' "$T/A.json" >/run/systemd/system/volrun-recover.service.d/test.conf
	systemctl daemon-reload
}
teardown() {
	local rc=0
	common_teardown || rc=1
	systemctl stop volrun-recover.service
	rm -r /run/systemd/system/volrun-recover.service*
	systemctl daemon-reload
	return $rc
}

V="state /data"
head_of() { cat "$T/store/volumes/default/.volrun/state/head"; }

@test "the unit commits what was left, and its stop waits for the keepers that are at work" {
	vstart A c1 "$V" 'echo first >/data/f; touch /workspace/up; sleep 1000'
	until_true 30 test -e "$T/c1/rootfs/workspace/up"
	kill -9 "$(keepers)"
	on A volrun delete --force c1
	systemctl start volrun-recover.service
	is "$(head_of | jq -r '"\(.state) \(.commit.seq)"')" "free 1"
	like "$(journalctl -u volrun-recover.service -o cat)" 'main/default/state: committed, commit 1'
	vstart A c2 "$V" 'sleep 3; echo more >/data/g'
	systemctl stop volrun-recover.service
	is "$(keepers)" ""
	is "$(head_of | jq -r '"\(.state) \(.commit.seq)"')" "free 2"
	on A volrun delete c2
}

@test "the journal has a line of each run" {
	vrun A journal1 "$V" 'echo first >/data/f'
	ok
	until_true 10 eval 'journalctl -t volrun-keeper -o cat | grep -q "volume state: committed, commit 1 .container journal1.: 1 files added"'
}
