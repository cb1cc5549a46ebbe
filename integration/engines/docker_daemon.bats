#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Docker with another configuration of its daemon: users of their own, a daemon that comes and goes; compose.

# shellcheck disable=SC2034 # for common.bash
ENGINE=docker
load common

setup_file() { cp /etc/docker/daemon.json "$BATS_FILE_TMPDIR/daemon.json"; }
teardown_file() {
	cp "$BATS_FILE_TMPDIR/daemon.json" /etc/docker/daemon.json
	systemctl restart docker
}
teardown() { common_teardown; }

# daemon FILTER: docker with its configuration changed by jq.
daemon() {
	jq "$1" "$BATS_FILE_TMPDIR/daemon.json" >/etc/docker/daemon.json
	systemctl reset-failed docker
	systemctl restart docker
}

up() { # NAME OPTION...
	local name=$1
	shift
	engine run "${RT[@]}" --network none -d --name "$name" "$@" $IMAGE sh -c 'trap "exit 8" TERM; echo up; while :; do sleep 0.3; done' >/dev/null
	until_true 30 logs_have "$name" up
}

@test "userns-remap: ids, files, exec, limits, a volume, and the host's users on demand" {
	daemon '. + {"userns-remap": "u"}'
	engine load -q -i /opt/vm/busybox-docker.tar >/dev/null
	local low
	low=$(awk -F : '$1 == "u" { print $2 }' /etc/subuid)
	erun --rm --memory 64m $IMAGE sh -c 'awk "{ print \$1, \$2, \$3 }" /proc/self/uid_map; touch /f; stat -c %u:%g /f /proc/self/; cat /sys/fs/cgroup/memory.max'
	shows 0 "0 $low 65536"$'\n0:0\n0:0\n67108864'
	erun --rm --userns host $IMAGE awk '{ print $3 }' /proc/self/uid_map
	shows 0 4294967295
	erun --rm --read-only --tmpfs /mnt:uid=5 --user 5:6 --cap-drop all --security-opt no-new-privileges $IMAGE sh -c 'touch /mnt/f; stat -c %u:%g /mnt/f; grep CapEff /proc/self/status'
	shows 0 $'5:6\nCapEff:\t0000000000000000'
	mkdir "$BATS_TEST_TMPDIR/b"
	chown "$low:$low" "$BATS_TEST_TMPDIR/b"
	chmod 755 "$BATS_RUN_TMPDIR" "$BATS_FILE_TMPDIR" "$BATS_TEST_TMPDIR"
	erun --rm -v "$BATS_TEST_TMPDIR/b:/b" $IMAGE sh -c 'touch /b/f && stat -c %u /b /b/f'
	shows 0 $'0\n0'
	is "$(stat -c %u "$BATS_TEST_TMPDIR/b/f")" "$low"
	up c1
	try exec c1 sh -c 'awk "{ print \$2 }" /proc/self/uid_map; touch /g; exit 5'
	shows 5 "$low"
	try exec --user 7 c1 id -u
	shows 0 7
	engine pause c1 >/dev/null
	engine unpause c1 >/dev/null
	engine stop -t 20 c1 >/dev/null
	is "$(state c1 '{{.State.ExitCode}}')" 8
	erun --rm --annotation dev.volrun.volume='remap /data' $IMAGE sh -c 'echo one >/data/f; stat -c %u /data/f'
	shows 0 0
	erun --rm --annotation dev.volrun.volume='remap /data' $IMAGE sh -c 'cat /data/f; stat -c %u /data/f; echo two >>/data/f'
	shows 0 $'one\n0'
}

@test "live-restore: a container lives on without its daemon, and is the next one's" {
	daemon '. + {"live-restore": true}'
	up c1 --annotation dev.volrun.volume='live /data'
	local pid
	pid=$(state c1 '{{.State.Pid}}')
	systemctl kill -s KILL --kill-whom main docker
	systemctl reset-failed docker
	systemctl restart docker
	is "$(state c1 '{{.State.Running}} {{.State.Pid}}')" "true $pid"
	try exec c1 sh -c 'echo kept >/data/f; exit 5'
	is "$status" 5
	systemctl stop docker.socket docker
	kill -0 "$pid"
	systemctl reset-failed docker
	systemctl start docker
	like "$(engine top c1)" 'sh -c trap'
	engine stop -t 20 c1 >/dev/null
	is "$(state c1 '{{.State.ExitCode}}')" 8
	engine rm c1 >/dev/null
	# One that ends while nobody is there.
	up c2
	systemctl stop docker.socket docker
	kill -KILL "$(pgrep -f 'trap "exit 8" TERM; echo up')"
	systemctl reset-failed docker
	systemctl start docker
	until_true 30 eval '[[ $(state c2 "{{.State.Running}} {{.State.ExitCode}}") == "false 137" ]]'
	erun --rm --annotation dev.volrun.volume='live /data' $IMAGE cat /data/f
	shows 0 kept
}

@test "compose: up, ps, exec, logs, scale, down" {
	daemon .
	cat >"$BATS_TEST_TMPDIR/compose.yaml" <<-E
		name: both
		services:
		  one:
		    image: $IMAGE
		    runtime: $RUNTIME
		    network_mode: none
		    stop_grace_period: 20s
		    read_only: true
		    annotations: { dev.volrun.volume: "compose /data" }
		    deploy: { resources: { limits: { memory: 64m, pids: 40 } } }
		    command: sh -c 'trap "echo bye >>/data/log; exit 0" TERM; echo one is up; while :; do sleep 0.2; done'
		    healthcheck: { test: "true", interval: 1s }
		  two:
		    image: $IMAGE
		    runtime: $RUNTIME
		    network_mode: "service:one"
		    depends_on: { one: { condition: service_healthy } }
		    init: true
		    command: sleep 1000
	E
	compose() { engine compose -f "$BATS_TEST_TMPDIR/compose.yaml" "$@"; }
	compose up -d --quiet-pull
	is "$(compose ps --format '{{.Service}} {{.State}}' | sort)" $'one running\ntwo running'
	is "$(compose exec -T one sh -c 'touch /f 2>/dev/null || echo ro; cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max')" $'ro\n67108864\n40'
	is "$(compose exec -T two readlink /proc/1/ns/net)" "$(compose exec -T one readlink /proc/1/ns/net)"
	like "$(compose logs one)" 'one is up'
	compose up -d --scale two=2
	is "$(compose ps -q two | wc -l)" 2
	compose restart two
	compose down
	is "$(engine ps -aq)" ""
	erun --rm --annotation dev.volrun.volume='compose /data' $IMAGE cat /data/log
	shows 0 bye
}
