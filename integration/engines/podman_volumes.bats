#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Volumes by what Podman has beyond `run`: pods, kube play, quadlets, checkpoints; with the configuration that
# `volrun install --print podman` prints. By root, and by the ordinary user u ("user").

# shellcheck disable=SC2034 # for common.bash
ENGINE=podman
load common
# shellcheck disable=SC2034
GLOBAL=(--runtime "$RUNTIME") RT=()

rootless() { ((EUID != 0)); }
podman() { engine "$@"; }
store() { if rootless; then echo "$HOME/.local/share/volrun/store"; else echo /var/lib/volrun/store; fi; }
# What is plain in the store of a volume.
kept() { cat "$(store)/volumes/default/$1"; }
lease() { jq -r .state "$(store)/volumes/default/.volrun/$1/head"; }
# Of the programs under test, and of this user.
my_keepers() {
	local dir
	dir=$(dirname "$(readlink -f "$(command -v volrun)")")
	find /proc -maxdepth 2 -path '/proc/[0-9]*/exe' -uid "$EUID" \( -lname "$dir/volrun-keeper" -o -lname "${dir%/*}/libexec/volrun/volrun-keeper" \) 2>/dev/null
}
no_keepers() { [[ -z $(my_keepers) ]]; }
# For systemd's commands, as those of one user.
units() { if rootless; then systemctl --user "$@"; else systemctl "$@"; fi; }

setup_file() {
	export CONTAINERS_CONF_OVERRIDE=$BATS_FILE_TMPDIR/containers.conf
	volrun install --print podman >"$CONTAINERS_CONF_OVERRIDE"
	# What an earlier run of this file has left.
	rm -rf "$(store)"/volumes/default/{,.volrun/}{conf,pod,kube,quadlet,cp}-*
}
teardown() {
	local rest
	podman pod rm -fa -t 0 >/dev/null 2>&1 || :
	rest=$(podman ps -aq)
	# shellcheck disable=SC2086 # ids
	[[ -z $rest ]] || podman rm -f -t 0 $rest >/dev/null
	until_true 40 no_keepers
}

# bats test_tags=core,user
@test "the printed containers.conf: the runtime by its name, its errors in its own words, no cgroup at all" {
	like "$(podman info -f '{{.Host.OCIRuntime.Path}}')" '/volrun$'
	erun --rm --annotation dev.volrun.volume='conf-state nowhere/../..' $IMAGE true
	not_the_command
	# Not the runtime's line of JSON.
	like "$stderr" 'OCI runtime error: volrun: create .*annotation dev.volrun.volume'
	unlike "$stderr" '"level"'
	erun --rm --cgroups disabled --annotation dev.volrun.volume='conf-state /data' $IMAGE sh -c 'echo kept >/data/f'
	is "$status" 0
	until_true 30 no_keepers
	is "$(kept conf-state/f)" kept
}

# bats test_tags=core,user
@test "the containers of a pod share a volume, and the next pod has what they left" {
	podman pod create --name p1 --network none >/dev/null
	podman run -d --pod p1 --name a --stop-timeout 1 --annotation dev.volrun.volume='pod-state /data' $IMAGE sh -c 'echo one >/data/f; exec sleep 1000' >/dev/null
	until_true 30 podman exec a test -s /data/f
	try run --rm --pod p1 --annotation dev.volrun.volume='pod-state /data' $IMAGE sh -c 'cat /data/f; echo two >>/data/f'
	shows 0 one
	is "$(lease pod-state)" held
	# Who is not in the pod waits.
	erun --rm --annotation dev.volrun.volume='pod-state /data wait=1s' $IMAGE true
	((status != 0))
	like "$stderr" 'lease held by'
	podman pod rm -f -t 1 p1 >/dev/null
	until_true 30 no_keepers
	is "$(lease pod-state)" free
	erun --rm --annotation dev.volrun.volume='pod-state /data' $IMAGE cat /data/f
	shows 0 $'one\ntwo'
}

# bats test_tags=core,user
@test "kube play: the pod's annotation is that of its containers, one lease; down, and played again" {
	local f=$BATS_TEST_TMPDIR/pod.yaml i
	cat >"$f" <<-E
		apiVersion: v1
		kind: Pod
		metadata:
		  name: duo
		  annotations:
		    dev.volrun.volume: kube-state /data
		    dev.volrun.volume.own: kube-own /mnt/own ro
		spec:
		  restartPolicy: Never
		  terminationGracePeriodSeconds: 1
		  containers:
		    - name: one
		      image: $IMAGE
		      imagePullPolicy: Never
		      command: ["sh", "-c", "echo one >>/data/f; exec sleep 1000"]
		    - name: two
		      image: $IMAGE
		      imagePullPolicy: Never
		      command: ["sh", "-c", "until [ -s /data/f ]; do sleep 0.2; done; cat /data/f /mnt/own/f; exec sleep 1000"]
	E
	erun --rm --annotation dev.volrun.volume='kube-own /data' $IMAGE sh -c 'echo own >/data/f'
	for i in 1 2; do
		podman kube play --network none "$f" >/dev/null
		until_true 30 eval '[[ $(podman logs duo-two) == *own ]]'
		is "$(podman logs duo-two | grep -c one)" "$i"
		podman kube down "$f" >/dev/null 2>&1
		until_true 40 no_keepers
	done
	is "$(kept kube-state/f)" $'one\none'
	is "$(lease kube-state)" free
}

# bats test_tags=user
@test "a quadlet: a service with a volume, stopped and started again" {
	local dir=/etc/containers/systemd i
	if rootless; then dir=$HOME/.config/containers/systemd; fi
	mkdir -p "$dir"
	cat >"$dir/agent.container" <<-E
		[Container]
		Image=$IMAGE
		Pull=never
		Network=none
		GlobalArgs=--runtime=$RUNTIME
		Annotation="dev.volrun.volume=quadlet-state /data"
		Exec=sh -c "trap 'exit 0' TERM; echo start >>/data/starts; while :; do sleep 0.2; done"
	E
	units daemon-reload
	for i in 1 2; do
		units start agent.service
		until_true 30 eval '[[ $(podman exec systemd-agent wc -l /data/starts) == "'$i' /data/starts" ]]'
		units stop agent.service
		until_true 40 no_keepers
		is "$(kept quadlet-state/starts | wc -l)" "$i"
	done
	rm "$dir/agent.container"
	units daemon-reload
	is "$(lease quadlet-state)" free
}

# held NAME VOLUME: a container that runs has its lease, whatever else went wrong with it. The register is read first: one
# that is free belongs to a container that has ended by then, which is a failure of another kind, and tells of itself.
held() {
	local was now
	was=$(lease "$2") now=$(state "$1" '{{.State.Status}} {{.State.ExitCode}} {{.State.Error}}')
	[[ $was == held && $now == running* ]] || fail "lease of $2: $was; $1 after that: $now" "keepers: $(my_keepers)" \
		"$(volrun volume lease "$2" 2>&1)" "$(journalctl -n 40 --no-pager 2>/dev/null | cut -c 1-300)"
}

# By test-vm alone: emulated, criu takes a minute and more.
@test "checkpoint and restore: the volume is committed by the one, and there again with its lease after the other" {
	! rootless || skip "criu wants root"
	podman run -d --name cp --network none --annotation dev.volrun.volume='cp-state /data' $IMAGE sh -c \
		'exec 3>/data/log; i=0; while :; do i=$((i + 1)); echo $i >&3; sleep 0.2; done' >/dev/null
	until_true 30 eval '(($(podman exec cp wc -l </dev/null /data/log | cut -d " " -f 1) > 3))'
	PATIENCE=400 podman container checkpoint cp >/dev/null
	until_true 40 no_keepers
	is "$(lease cp-state)" free
	local n id
	n=$(kept cp-state/log | wc -l)
	((n > 3))
	PATIENCE=400 podman container restore cp >/dev/null
	held cp cp-state
	until_true 60 eval '(($(podman exec cp wc -l </dev/null /data/log | cut -d " " -f 1) > '$n'))'
	# Nor does what ends late of the first one, its conmon's clean-up, take anything from it.
	id=$(state cp '{{.Id}}')
	until_true 60 eval '! pgrep -f "container cleanup.*$id"'
	held cp cp-state
	podman rm -f -t 0 cp >/dev/null
	until_true 40 no_keepers
	# It has gone on with the next number.
	is "$(kept cp-state/log | head -n $((n + 1)))" "$(seq $((n + 1)))"
}

# By test-vm alone, as before.
@test "an exported checkpoint is restored while its volume is as it left it, and then no more, but without its note" {
	! rootless || skip "criu wants root"
	local tar=$BATS_TEST_TMPDIR/cp.tar n
	podman run -d --name cp --network none --annotation dev.volrun.volume='cp-export /data' $IMAGE sh -c \
		'i=0; while :; do i=$((i + 1)); echo $i >>/data/log; sleep 0.2; done' >/dev/null
	until_true 30 eval '(($(podman exec cp wc -l </dev/null /data/log | cut -d " " -f 1) > 3))'
	PATIENCE=400 podman container checkpoint --compress none -e "$tar" cp >/dev/null
	until_true 40 no_keepers
	podman rm cp >/dev/null
	n=$(kept cp-export/log | wc -l)
	like "$(tar tf "$tar")" 'checkpoint/volrun-volumes\.json'
	PATIENCE=400 podman container restore -i "$tar" -n cp1 >/dev/null
	until_true 60 eval '(($(podman exec cp1 wc -l </dev/null /data/log | cut -d " " -f 1) > '$n'))'
	podman rm -f -t 0 cp1 >/dev/null
	until_true 40 no_keepers
	is "$(kept cp-export/log | head -n $((n + 1)))" "$(seq $((n + 1)))"
	# What that one wrote is committed.
	PATIENCE=400 try container restore -i "$tar" -n cp2
	((status != 0)) || fail "it was restored"
	like "$stderr" 'volume cp-export: it is not as the checkpoint left it: it has commit 2 of lease 2, the checkpoint is of commit 1 of lease 1; to restore nonetheless, with the files as they are now, remove /[^ ]*/checkpoint/volrun-volumes.json'
	is "$(lease cp-export)" free
	podman rm -f -t 0 -i cp2 >/dev/null
	tar --delete -f "$tar" checkpoint/volrun-volumes.json
	n=$(kept cp-export/log | wc -l)
	PATIENCE=400 podman container restore -i "$tar" -n cp3 >/dev/null
	until_true 60 eval '(($(podman exec cp3 wc -l </dev/null /data/log | cut -d " " -f 1) > '$n'))'
	podman rm -f -t 0 cp3 >/dev/null
	until_true 40 no_keepers
}
