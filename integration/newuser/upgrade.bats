#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The package's life under systemd and Docker, in the virtual machine: an upgrade and a removal while containers run, what its
# units and tmpfiles do. (integration/packages has what can be tried without systemd.)

bats_require_minimum_version 1.5.0

setup_file() {
	export DEBIAN_FRONTEND=noninteractive TERM=dumb OLD NEWER=$BATS_FILE_TMPDIR/newer.deb V=dev.volrun.volume
	OLD=$(echo /src/deb/volrun_*.deb)
	apt-get install --yes --allow-downgrades "$OLD" 3>&- 4>&-
	# The same, of a later commit.
	dpkg-deb -R "$OLD" "$BATS_FILE_TMPDIR/x"
	sed -i 's/^Version: .*/&.1/' "$BATS_FILE_TMPDIR/x/DEBIAN/control"
	dpkg-deb -Znone -b "$BATS_FILE_TMPDIR/x" "$NEWER"
	rm -rf "$BATS_FILE_TMPDIR/x"
	# As Docker's page has it.
	volrun install --print docker | grep -v '^#' >/etc/docker/daemon.json
	systemctl reload docker
}
teardown_file() {
	rm -f /etc/docker/daemon.json
	systemctl reload docker
}
teardown() {
	local c
	for c in $(docker ps -aq); do docker rm -f "$c" >/dev/null 2>&1 || :; done
}

fail() { printf '%s\n' "$@" >&2; return 1; }
UNTIL_PAUSE=0.3
load ../lib/until
keepers() { find /proc -maxdepth 2 -path '/proc/[0-9]*/exe' -lname '*/volrun-keeper*' 2>/dev/null | cut -d / -f 3; }
settled() { until_true 60 eval '[[ -z $(keepers) ]]'; }
store() { echo "/var/lib/volrun/store/volumes/default/$1"; }
# begins NAME VOLUME: a container that writes a line, waits for SIGTERM, writes another and ends.
begins() {
	docker run -d --name "$1" --runtime volrun --annotation "$V=$2 /data" busybox sh -c \
		'echo begun >>/data/log; trap "echo ended >>/data/log; exit 0" TERM; while :; do sleep 0.2; done' 3>&- 4>&-
	until_true 30 grep -qs begun /var/cache/volrun/default/default/"$2"/rw/log
}
since() { systemctl show -P ActiveEnterTimestampMonotonic "$1"; }

@test "upgraded in mid-run: the keeper that runs finishes its work, a new one starts, no engine and no unit is restarted" {
	local keeper new unit
	begins one upgraded
	keeper=$(keepers)
	[[ $keeper =~ ^[0-9]+$ ]] || fail "keepers: '$keeper'"
	local before="$(since docker) $(since containerd) $(since volrun-recover)"
	apt-get install --yes "$NEWER" 3>&- 4>&-
	[[ $(dpkg-query -W -f '${Version}' volrun) == *.1 ]]
	[[ "$(since docker) $(since containerd) $(since volrun-recover)" == "$before" ]] || fail "something was restarted"
	[[ $(keepers) == "$keeper" ]] || fail "keepers: $(keepers), before: $keeper"
	[[ $(readlink "/proc/$keeper/exe") == *"(deleted)" ]] || fail "its program was not replaced"
	# What would be asked by needrestart: it belongs to no service.
	unit=$(cut -d : -f 3 "/proc/$keeper/cgroup")
	[[ $unit == *.scope ]] || fail "the keeper is in $unit"
	# The container of before, by the program of after.
	[[ $(docker exec one cat /data/log) == begun ]]
	begins two upgraded-too
	new=$(keepers | grep -vx "$keeper")
	[[ $new =~ ^[0-9]+$ && $(readlink "/proc/$new/exe") == /usr/libexec/volrun/volrun-keeper ]] || fail "the new one: '$new'"
	docker stop one two >/dev/null
	settled
	[[ $(cat "$(store upgraded)/log") == $'begun\nended' && $(cat "$(store upgraded-too)/log") == $'begun\nended' ]]
	[[ $(docker run --rm --runtime volrun --annotation "$V=upgraded /data" busybox cat /data/log) == $'begun\nended' ]]
	volrun volume status --json | jq -e '[.. | .state? // empty] | index("dirty") | not' || fail "$(volrun volume status)"
}

@test "the unit is there before the engines, and is enabled; the timer is not, and prunes what nobody uses when it is" {
	local e
	for e in docker containerd podman; do
		[[ " $(systemctl show -P Before volrun-recover) " == *" $e.service "* ]] || fail "not before $e"
	done
	[[ $(systemctl is-enabled volrun-recover.service) == enabled ]]
	run -1 systemctl is-enabled volrun-prune.timer
	[[ $output == disabled ]]
	systemd-analyze verify --man=no /usr/lib/systemd/system/volrun-*.{service,timer}
	[[ -d /var/cache/volrun/default/default/upgraded/rw ]]
	systemctl enable --now volrun-prune.timer
	[[ $(systemctl list-timers --no-legend volrun-prune.timer) == *volrun-prune.service* ]]
	begins one pruned-not
	systemctl start volrun-prune.service
	[[ ! -d /var/cache/volrun/default/default/upgraded/rw ]] || fail "the cache still has a volume that nobody uses"
	[[ -s /var/cache/volrun/default/default/pruned-not/rw/log ]]
	docker stop one >/dev/null
	settled
	systemctl disable --now volrun-prune.timer
}

@test "tmpfiles: the places of /run are made, closed to others; nothing of the cache or the store goes by age" {
	rm -rf /run/volrun-volumes
	systemd-tmpfiles --create
	[[ $(stat -c %a:%U /run/volrun-volumes) == 700:root && $(stat -c %a:%U /run/volrun) == 700:root ]]
	# Somebody's rule for all of /var/cache.
	mkdir -p /var/cache/{volrun/tree,others}
	echo >/var/cache/volrun/tree/file
	echo >/var/cache/others/file
	echo 'e /var/cache - - - 1s' >/etc/tmpfiles.d/zz-test.conf
	sleep 2
	systemd-tmpfiles --clean
	rm /etc/tmpfiles.d/zz-test.conf
	[[ ! -e /var/cache/others/file ]] || fail "the rule does nothing"
	[[ -e /var/cache/volrun/tree/file ]]
	rm -r /var/cache/volrun/tree
}

@test "removed in mid-run: it waits for the container's end and its commit, and everything is left where it says" {
	local purge out=$BATS_TEST_TMPDIR/purge i
	begins one removed
	apt-get purge --yes volrun >"$out" 2>&1 3>&- 4>&- &
	purge=$!
	for ((i = 0; i < 600; i++)); do
		! grep -q 'volrun: waiting' "$out" || break
		sleep 0.2
	done
	docker stop one >/dev/null
	wait "$purge" || fail "$(<"$out")"
	output=$(<"$out")
	[[ $output == *"volrun: waiting"*"until containers have ended"* && $output == *"left as they are: /var/lib/volrun, /var/cache/volrun"* ]] || fail "$output"
	[[ $(cat "$(store removed)/log") == $'begun\nended' ]]
	settled
	! command -v volrun || fail "volrun is still there"
	! find /etc /usr -xdev -name '*volrun*' | grep . || fail "something was left"
}
