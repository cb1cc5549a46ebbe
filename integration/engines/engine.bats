#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# volrun as the runtime of $ENGINE (docker or podman).

load common
setup() { : "${ENGINE:?docker or podman}"; }
teardown() { common_teardown; }

@test "a volume keeps its files from one run to the next" {
	erun --rm --annotation dev.volrun.volume="state-$ENGINE /data" $IMAGE sh -c 'ls -A /data; mkdir /data/d; echo one >/data/d/f; ln -s d/f /data/l; chmod 700 /data/d'
	is "$status" 0
	is "$output" ""
	erun --rm --annotation dev.volrun.volume="state-$ENGINE /data" $IMAGE sh -c 'cat /data/l; stat -c %a /data/d; echo two >>/data/d/f'
	is "$status" 0
	is "$output" $'one\n700'
	# With the cache gone, from the store.
	until_true 30 eval '[[ -z $(keepers) ]]'
	rm -rf /var/cache/volrun
	erun --rm --annotation dev.volrun.volume="state-$ENGINE /data ro" $IMAGE sh -c 'cat /data/l; touch /data/x || echo read-only'
	is "$output" $'one\ntwo\nread-only'
}

@test "exit codes are those of the process, 126 and 127 for what can't be run" {
	erun --rm $IMAGE true
	is "$status" 0
	erun --rm $IMAGE sh -c 'exit 7'
	is "$status" 7
	erun --rm $IMAGE /etc/passwd
	is "$status" 126
	erun --rm $IMAGE /nosuch
	is "$status" 127
	erun --rm $IMAGE nosuch
	is "$status" 127
	erun --rm $IMAGE sh -c 'sh -c "kill -9 \$\$"; exit $?'
	is "$status" 137
}

@test "start, inspect, logs, stop, start again, rm" {
	engine create "${RT[@]}" --network none --name c1 --annotation dev.volrun.volume="life-$ENGINE /data" $IMAGE \
		sh -c 'trap "exit 9" TERM; echo run >>/data/runs; echo "runs: $(wc -l </data/runs)"; while :; do sleep 0.2; done'
	is "$(engine inspect -f '{{.State.Status}}' c1)" created
	engine start c1
	is "$(engine inspect -f '{{.State.Status}} {{.State.Running}}' c1)" "running true"
	until_true 30 eval '[[ $(engine logs c1) == *"runs: 1"* ]]'
	like "$(engine inspect c1)" volrun
	engine stop -t 20 c1
	is "$(engine inspect -f '{{.State.Running}} {{.State.ExitCode}}' c1)" "false 9"
	engine start c1
	until_true 30 eval '[[ $(engine logs c1) == *"runs: 2"* ]]'
	engine stop -t 20 c1
	engine rm c1
	run --separate-stderr engine inspect c1
	((status != 0))
}

@test "kill ends a container with 137, and what it wrote is kept" {
	engine run "${RT[@]}" --network none --stop-timeout 1 -d --name c2 --annotation dev.volrun.volume="kill-$ENGINE /data" $IMAGE sh -c 'echo x >/data/f; echo up; sleep 1000'
	until_true 30 eval '[[ $(engine logs c2) == *up* ]]'
	engine kill c2
	is "$(engine wait c2)" 137
	is "$(engine inspect -f '{{.State.ExitCode}}' c2)" 137
	engine rm c2
	erun --rm --annotation dev.volrun.volume="kill-$ENGINE /data" $IMAGE cat /data/f
	is "$output" x
}

@test "rm -f of a running container leaves nothing, and the volume is free" {
	engine run "${RT[@]}" --network none --stop-timeout 1 -d --name c3 --annotation dev.volrun.volume="rmf-$ENGINE /data" $IMAGE sh -c 'echo x >/data/f; echo up; sleep 1000'
	until_true 30 eval '[[ $(engine logs c3) == *up* ]]'
	engine rm -f c3
	erun --rm --annotation dev.volrun.volume="rmf-$ENGINE /data wait=10s" $IMAGE cat /data/f
	is "$output" x
}

@test "a second container that wants the volume fails with one line that names the holder" {
	engine run "${RT[@]}" --network none --stop-timeout 1 -d --name holder --annotation dev.volrun.volume="busy-$ENGINE /data" $IMAGE sh -c 'echo up; sleep 1000'
	until_true 30 eval '[[ $(engine logs holder) == *up* ]]'
	erun --rm --annotation dev.volrun.volume="busy-$ENGINE /data wait=2s" $IMAGE true
	((status != 0))
	like "$stderr" "lease held by"
	not_the_command
}

@test "a wrong annotation is refused in the engine's words and volrun's" {
	erun --rm --annotation dev.volrun.volume='state /etc' $IMAGE true
	not_the_command
	like "$stderr" 'mount path ./etc. is not under an allowed prefix'
}

@test "exec and a terminal work" {
	engine run "${RT[@]}" --network none --stop-timeout 1 -d --name c4 $IMAGE sh -c 'echo up; sleep 1000'
	until_true 30 eval '[[ $(engine logs c4) == *up* ]]'
	run --separate-stderr engine exec c4 sh -c 'echo inside; exit 5'
	is "$status" 5
	is "$output" inside
	engine rm -f c4
	engine run "${RT[@]}" --network none --stop-timeout 1 -d -t --name c5 $IMAGE sh -c 'test -t 1 && echo terminal; sleep 1000'
	until_true 30 eval '[[ $(engine logs c5) == *terminal* ]]'
	engine rm -f c5
}

@test "limits reach the cgroup" {
	erun --rm --memory 64m --pids-limit 50 --cpus 0.5 $IMAGE sh -c 'cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max /sys/fs/cgroup/cpu.max'
	is "$status" 0
	is "$output" $'67108864\n50\n50000 100000'
}
