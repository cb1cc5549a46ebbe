#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What people do with docker, beyond engine.bats. RUNTIME names the runtime (volrun).

# shellcheck disable=SC2034 # for common.bash
ENGINE=docker
load common

start() { engine run "${RT[@]}" --network none -d "$@" >/dev/null; }
inside() { engine exec main "$@"; }

setup_file() {
	engine rm -f main >/dev/null 2>&1 || :
	start --name main --memory 128m --pids-limit 60 $IMAGE sh -c 'trap "exit 0" TERM; echo out; echo err >&2; while :; do sleep 0.3; done'
}
teardown_file() { engine rm -f main >/dev/null; }
teardown() {
	local rest
	rest=$(engine ps -a --format '{{.ID}} {{.Names}}' | grep -v ' main$' | cut -d ' ' -f 1 || :)
	# shellcheck disable=SC2086 # ids
	[[ -z $rest ]] || engine rm -f $rest >/dev/null
}

# bats test_tags=core
@test "exec: exit codes, user, directory, environment; a terminal, its size, its keys" {
	run --separate-stderr inside sh -c 'echo a; exit 5'
	is "$status $output" "5 a"
	# Docker 26 ends with 126 for both, later ones with 127 for what isn't there.
	run --separate-stderr inside nosuch
	like "$status" '^12[67]$'
	run --separate-stderr inside /etc/passwd
	is "$status" 126
	run --separate-stderr engine exec --user 5:6 --workdir /etc --env A=b main sh -c 'echo "$(id -u):$(id -g) $PWD $A"'
	is "$output" "5:6 /etc b"
	# Docker's client listens for a new size only a while after the start.
	status=0
	output=$(terminal exec -it main sh -c 'test -t 0 && echo terminal; until [ "$(stty size)" = "40 100" ]; do sleep 0.1; done
		sleep 4; echo READY; until [ "$(stty size)" = "50 120" ]; do sleep 0.1; done; echo RESIZED; read x; echo "got $x"; exit 3' \
		-- wait:READY size:50x120 wait:RESIZED 'send:typed\n') || status=$?
	is "$status" 3
	like "$(inside grep CapEff /proc/self/status)" '00000000a80425fb$'
	unlike "$(engine exec --privileged main grep CapEff /proc/self/status)" '00000000a80425fb$'
	like "$output" 'terminal'
	like "$output" 'got typed'
}

# bats test_tags=core
@test "pause, unpause, top, stats, update" {
	engine pause main
	is "$(engine inspect -f '{{.State.Status}}' main)" paused
	run --separate-stderr inside true
	((status != 0))
	engine unpause main
	like "$(engine top main)" 'sh -c trap'
	like "$(engine stats --no-stream --format '{{.Name}} {{.MemUsage}} {{.PIDs}}' main)" '^main [1-9][0-9.]*[KM]iB / 128MiB [1-9]'
	engine update --memory 100m --memory-swap 150m --cpus 0.5 --pids-limit 33 --cpuset-cpus 0 main
	is "$(inside sh -c 'cd /sys/fs/cgroup; cat memory.max memory.swap.max cpu.max pids.max cpuset.cpus')" $'104857600\n52428800\n50000 100000\n33\n0'
}

@test "cp in and out, logs, a health check" {
	mkdir "$BATS_TEST_TMPDIR/d"
	echo hello >"$BATS_TEST_TMPDIR/d/f"
	engine cp "$BATS_TEST_TMPDIR/d" main:/tmp/
	is "$(inside cat /tmp/d/f)" hello
	engine cp main:/tmp/d/f "$BATS_TEST_TMPDIR/g"
	is "$(<"$BATS_TEST_TMPDIR/g")" hello
	is "$(engine logs main 2>/dev/null)" out
	is "$(engine logs main 2>&1 >/dev/null)" err
	start --name health --health-cmd 'test ! -e /bad' --health-interval 1s --health-retries 1 $IMAGE sleep 1000
	until_true 60 eval '[[ $(engine inspect -f "{{.State.Health.Status}}" health) == healthy ]]'
	engine exec health touch /bad
	until_true 60 eval '[[ $(engine inspect -f "{{.State.Health.Status}}" health) == unhealthy ]]'
}

@test "--read-only, --tmpfs, --init, capabilities, --privileged, --security-opt, --ulimit, --sysctl, --user, --device" {
	erun --rm --read-only --tmpfs /t:size=1m,mode=1750 $IMAGE sh -c 'touch /f 2>/dev/null || echo ro; touch /t/f; stat -c %a /t'
	is "$output" $'ro\n1750'
	erun --rm --init $IMAGE sh -c 'tr "\0" " " </proc/1/cmdline; kill -9 $$'
	is "$status" 137
	like "$output" 'init'
	erun --rm --cap-drop ALL --cap-add NET_BIND_SERVICE --security-opt no-new-privileges $IMAGE grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status
	is "$output" $'CapEff:\t0000000000000400\nNoNewPrivs:\t1\nSeccomp:\t2'
	erun --rm --privileged $IMAGE sh -c 'grep Seccomp: /proc/self/status; mount -t tmpfs t /tmp && echo mounts'
	is "$output" $'Seccomp:\t0\nmounts'
	echo '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO"}]}' >"$BATS_TEST_TMPDIR/p.json"
	erun --rm --security-opt seccomp="$BATS_TEST_TMPDIR/p.json" --ulimit nofile=100:200 --sysctl kernel.shmmax=123456 --user 7:8 --group-add 9 \
		--device /dev/null:/dev/mynull --oom-score-adj 300 $IMAGE \
		sh -c 'mkdir /tmp/d 2>/dev/null || echo refused; ulimit -n; cat /proc/sys/kernel/shmmax /proc/self/oom_score_adj; id -u; id -G; test -c /dev/mynull && echo dev'
	is "$output" $'refused\n100\n123456\n300\n7\n8 9\ndev'
}

@test "namespaces of the host and of a container, kill -s, wait, restart policy, rename, a network" {
	erun --rm --pid host --ipc host --uts host $IMAGE sh -c 'readlink /proc/self/ns/uts; readlink /proc/self/ns/ipc; test -d /proc/'$$' && echo host'
	is "$output" "$(readlink /proc/self/ns/uts)"$'\n'"$(readlink /proc/self/ns/ipc)"$'\nhost'
	run --separate-stderr engine run --rm "${RT[@]}" --network container:main --pid container:main $IMAGE readlink /proc/self/ns/net
	is "$output" "$(inside readlink /proc/self/ns/net)"
	start --name k1 $IMAGE sh -c 'trap "exit 6" USR1; echo up; while :; do sleep 0.2; done'
	until_true 30 eval '[[ $(engine logs k1) == *up* ]]'
	engine rename k1 k2
	engine kill -s USR1 k2 >/dev/null
	is "$(engine wait k2)" 6
	start --name r1 --restart on-failure:2 $IMAGE sh -c 'echo run; exit 3'
	until_true 60 eval '[[ $(engine logs r1 | grep -c run) == 3 && $(engine inspect -f "{{.RestartCount}}" r1) == 2 ]]'
	run --separate-stderr engine run --rm "${RT[@]}" $IMAGE sh -c 'ip -4 addr show eth0 | grep -c inet'
	is "$output" 1
}
