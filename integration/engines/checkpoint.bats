#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Checkpoint and restore by $ENGINE (docker or podman), with Debian's criu.

load common
setup() {
	: "${ENGINE:?docker or podman}"
	[[ $ENGINE == podman ]] || docker_experimental
}
teardown() { common_teardown; }

# Docker hides the command behind that.
docker_experimental() {
	[[ $(docker info -f '{{.ExperimentalBuild}}') == true ]] && return
	jq '. + {experimental: true}' /etc/docker/daemon.json >"$BATS_TEST_TMPDIR/daemon.json"
	cp "$BATS_TEST_TMPDIR/daemon.json" /etc/docker/daemon.json
	systemctl restart docker
}

COUNT='trap exit TERM; i=0; while :; do i=$((i+1)); echo $i; sleep 0.2; done'

# As engines have it: checkpoint NAME, restore NAME.
checkpoint() { local PATIENCE=400; if [[ $ENGINE == podman ]]; then engine container checkpoint "$@"; else engine checkpoint create "$1" ck; fi; }
restore() {
	local PATIENCE=400 said
	if [[ $ENGINE == podman ]]; then
		engine container restore "$@"
		return
	fi
	said=$(engine start --checkpoint ck "$1" 2>&1) && return
	# Now and then Docker finds there what it uploads itself (moby's issue 42900).
	[[ $said =~ content\ (sha256:[0-9a-f]+):\ already\ exists ]] || fail "$said"
	ctr --namespace moby content rm "${BASH_REMATCH[1]}"
	engine start --checkpoint ck "$1"
}

last() { engine logs "$1" | tail -1 | tr -d '\r'; }
beyond() { (($(last "$1") > $2)); }

counter() { # NAME OPTION...
	local name=$1
	shift
	engine run "${RT[@]}" --network none -d --name "$name" "$@" $IMAGE sh -c "$COUNT"
	until_true 30 beyond "$name" 3
}

# Nobody began at 1 again.
goes_on() {
	local n
	n=$(last "$1")
	until_true 30 beyond "$1" $((n + 2))
	engine logs "$1" | tr -d '\r' | awk '$1 != NR { exit 1 }' || fail "$(engine logs "$1" | tr '\n' ' ')"
}

@test "a container stops with its checkpoint, and goes on from it" {
	counter c1
	checkpoint c1
	is "$(engine inspect -f '{{.State.Running}}' c1)" false
	restore c1
	is "$(engine inspect -f '{{.State.Running}}' c1)" true
	goes_on c1
	is "$(engine exec c1 cat /proc/1/comm)" sh
	engine stop -t 0 c1
}

@test "a container with a terminal, with limits and a tmpfs" {
	counter c1 -t --memory 64m --pids-limit 50 --tmpfs /mnt --cap-drop all --security-opt no-new-privileges --read-only
	engine exec c1 sh -c 'echo kept >/mnt/f'
	checkpoint c1
	restore c1
	goes_on c1
	is "$(engine exec c1 cat /mnt/f)" kept
	is "$(engine exec c1 cat /sys/fs/cgroup/memory.max)" 67108864
}

@test "podman: exported while it runs on, imported under another name; a checkpoint before the checkpoint" {
	[[ $ENGINE == podman ]] || skip "docker has neither"
	local t=$BATS_TEST_TMPDIR
	counter c1
	engine exec c1 sh -c 'echo changed >/etc/mine'
	checkpoint -P -e "$t/pre.tar" c1
	checkpoint -e "$t/c1.tar" --leave-running c1
	goes_on c1
	engine rm -f -t 0 c1
	restore -i "$t/c1.tar" -n c2
	local n
	n=$(last c2)
	((n > 1))
	until_true 30 beyond c2 $((n + 2))
	is "$(engine exec c2 cat /etc/mine)" changed
}

@test "podman: a container that is in the namespaces of another one joins them again" {
	[[ $ENGINE == podman ]] || skip "docker restores no such container, with runc neither"
	counter c0
	engine run "${RT[@]}" -d --name c1 --network container:c0 --ipc container:c0 --uts container:c0 $IMAGE sh -c "$COUNT"
	until_true 30 beyond c1 3
	checkpoint c1
	restore c1
	goes_on c1
	is "$(engine exec c1 readlink /proc/1/ns/net /proc/1/ns/ipc)" "$(engine exec c0 readlink /proc/1/ns/net /proc/1/ns/ipc)"
}
