#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Docker with volumes, as its own ways of ending, starting again and complaining go with them. Run by ../machine_matrix,
# which has a store behind HTTP.

# shellcheck disable=SC2034,SC2154 # for common.bash, and from it
ENGINE=docker
load nodes
load common

setup_file() {
	cp /etc/docker/daemon.json "$BATS_FILE_TMPDIR/daemon.json"
	node root a
}
teardown_file() {
	cp "$BATS_FILE_TMPDIR/daemon.json" /etc/docker/daemon.json
	systemctl restart docker
}
teardown() { common_teardown; }

V=dev.volrun.volume
restarts() { state "$1" '{{.RestartCount}} {{.State.Status}} {{.State.ExitCode}}'; }

@test "docker: daemon.json as \`volrun install --print docker\` prints it" {
	/usr/local/sbin/volrun install --print docker | grep -v '^#' >/etc/docker/daemon.json
	systemctl restart docker
	like "$(engine info -f '{{json .Runtimes}}')" '"volrun":.*"/usr/local/s?bin/volrun"'
	erun --rm --annotation $V='printed /data' $IMAGE sh -c 'echo one >/data/f'
	shows 0 ''
	erun --rm --annotation $V='printed /data' $IMAGE cat /data/f
	shows 0 one
}

@test "docker: an error of a volume is one line with its reason, exit code 125, and nothing is left of the container" {
	local value what
	while IFS='|' read -r value what; do
		erun --rm --name refused --annotation "$V=$value" $IMAGE true
		is "$status" 125 "$value"
		is "$(grep -c . <<<"$stderr")" 1 "lines of: $stderr"
		like "$stderr" "$what"
		try inspect refused
		((status != 0)) || fail "$value: the container is still there"
	done <<-'E'
		state relative/../..|annotation dev.volrun.volume
		state /data store=nosuch|nosuch
		nosuch-volume /data ro|nosuch-volume
		state /etc|not under an allowed prefix
		state /data colour=blue|colour
	E
}

@test "docker: stop, kill, start again, update, stats, a health check, an exec: with one volume" {
	engine run "${RT[@]}" --network none -d --name c1 --memory 64m --annotation $V='ways /data' --health-cmd 'test -e /data/runs' --health-interval 1s \
		$IMAGE sh -c 'trap "echo term >>/data/runs; exit 0" TERM; echo run >>/data/runs; while :; do sleep 0.2; done'
	until_true 60 eval '[[ $(state c1 "{{.State.Health.Status}}") == healthy ]]'
	engine update --memory 80m --memory-swap 160m c1
	like "$(engine stats --no-stream --format '{{.MemUsage}}' c1)" '/ 80MiB'
	engine exec c1 sh -c 'echo exec >>/data/runs'
	engine stop -t 30 c1
	engine start c1
	until_true 60 eval '[[ $(engine exec c1 sh -c "grep -c run /data/runs") == 2 ]]'
	engine kill c1
	engine wait c1
	engine restart -t 30 c1
	until_true 60 eval '[[ $(engine exec c1 sh -c "grep -c run /data/runs") == 3 ]]'
	engine stop -t 30 c1
	engine rm c1
	erun --rm --annotation $V='ways /data' $IMAGE cat /data/runs
	shows 0 $'run\nexec\nterm\nrun\nrun\nterm'
}

@test "docker: a restart policy with an upload that outlasts the restart: each run finds the one before it" {
	jq -e .s3 "$STORES" >/dev/null || skip "no server of s3 could be had outside of the machine"
	# 64 KiB a second, and 600 kB that don't compress.
	engine run "${RT[@]}" --network none -d --name r1 --restart on-failure:2 --annotation $V="restarted-$$ /data store=s3-slow" $IMAGE \
		sh -c 'n=$(cat /data/n 2>/dev/null || echo 0); echo $((n + 1)) >/data/n; head -c 600000 /dev/urandom >/data/blob; sha256sum </data/blob >/data/sum; exit 3'
	until_true 300 eval '[[ $(restarts r1) == "2 exited 3" ]]'
	# Its last commit may still be on its way.
	erun --rm --annotation $V="restarted-$$ /data store=s3" $IMAGE sh -c 'cat /data/n; sha256sum </data/blob | cmp - /data/sum && echo whole'
	shows 0 $'3\nwhole'
}

@test "docker: both cgroup drivers" {
	local driver
	for driver in cgroupfs systemd; do
		[[ $driver == cgroupfs || -d /run/systemd/system ]] || continue
		jq --arg d "native.cgroupdriver=$driver" '. + {"exec-opts": [$d]}' "$BATS_FILE_TMPDIR/daemon.json" >/etc/docker/daemon.json
		systemctl restart docker
		is "$(engine info -f '{{.CgroupDriver}}')" "$driver"
		erun --rm --memory 64m --annotation $V="driver-$driver /data" $IMAGE sh -c 'echo one >/data/f; cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null'
		is "$output" 67108864
		erun --rm --annotation $V="driver-$driver /data" $IMAGE cat /data/f
		shows 0 one
	done
}
