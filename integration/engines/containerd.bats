#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# containerd by its own client, with the shim that Kubernetes uses.

bats_require_minimum_version 1.5.0
IMAGE=docker.io/library/busybox:latest
V=dev.volrun.volume

run_ctr() { # NAME ANNOTATION COMMAND...
	local name=$1 annotation=$2
	shift 2
	ctr run --rm --runtime io.containerd.runc.v2 --runc-binary /usr/local/bin/volrun \
		--annotation "$V=$annotation" "$IMAGE" "$name" "$@"
}

teardown() {
	ctr task kill -s KILL c1 2>/dev/null || :
	ctr task rm -f c1 2>/dev/null || :
	ctr container rm c1 2>/dev/null || :
}

@test "a volume keeps its files from one run to the next" {
	run_ctr c1 'ctr-state /data' sh -c 'echo first >>/data/log'
	run -0 run_ctr c1 'ctr-state /data' sh -c 'echo second >>/data/log; cat /data/log'
	[ "$output" = $'first\nsecond' ]
}

@test "the exit code is the process's, and a detached task lives, is listed, runs a command, and dies" {
	run -7 run_ctr c1 'ctr-state /data' sh -c 'exit 7'
	ctr run -d --runtime io.containerd.runc.v2 --runc-binary /usr/local/bin/volrun "$IMAGE" c1 sleep 300
	run -0 ctr task ls
	[[ $output == *c1*RUNNING* ]]
	run -0 ctr task exec --exec-id e1 c1 echo inside
	[ "$output" = inside ]
	run -0 ctr task ps c1
	ctr task kill -s KILL c1
	local i
	for i in $(seq 100); do ctr task ls | grep -q 'c1.*STOPPED' && break; sleep 0.2; done
	run -0 ctr task ls
	[[ $output == *c1*STOPPED* ]]
}

@test "pause, resume, metrics, limits, and commands in a task with an exit code, a user and a directory" {
	ctr run -d --runtime io.containerd.runc.v2 --runc-binary /usr/local/bin/volrun --memory-limit 67108864 "$IMAGE" c1 sleep 300
	ctr task pause c1
	run -0 ctr task ls
	[[ $output == *c1*PAUSED* ]]
	ctr task resume c1
	run -0 ctr task ls
	[[ $output == *c1*RUNNING* ]]
	run -0 ctr task metrics --format json c1
	[ "$(jq -r '.. | .usage_limit? // empty' <<<"$output" | head -n 1)" = 67108864 ]
	run -5 ctr task exec --exec-id e1 --user 3:4 --cwd /etc c1 sh -c 'echo "$(id -u):$(id -g) $PWD"; exit 5'
	[ "$output" = "3:4 /etc" ]
	run ctr task exec --exec-id e2 c1 nosuch
	[ "$status" -ne 0 ]
	[[ $output == *"not found"* ]]
}

@test "a wrong annotation is refused in one line that names it" {
	run run_ctr c1 'state relative/../..' true
	[ "$status" -ne 0 ]
	[[ $output == *"annotation $V"* ]]
}
