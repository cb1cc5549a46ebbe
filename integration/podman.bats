#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What people do with podman on this machine, whatever cgroups it has: by root and by an ordinary
# user. (The virtual machine has a newer podman, docker, containerd, systemd and criu: engines/.)

bats_require_minimum_version 1.5.0
load lib/common
load lib/volume

PTY=$BATS_TEST_DIRNAME/engines/pty
IMAGE=busybox

# --- podman, apart from the machine's own ---------------------------------------

# On v1, podman 4.3 makes plain directories in /sys/fs/cgroup for controllers that aren't mounted. So it has a
# tmpfs of its own there, with the machine's hierarchies, in a mount namespace that lives as long as process $1.
# shellcheck disable=SC2016 # the inner shell's
VIEW='cg=/sys/fs/cgroup
if [ "$(stat -fc %T $cg)" = tmpfs ]; then
	mount -t tmpfs cgroup "$1"
	for d in $cg/*; do
		if [ -L "$d" ]; then cp -P "$d" "$1/"; fi
		if mountpoint -q "$d"; then mkdir "$1/${d##*/}"; mount --rbind "$d" "$1/${d##*/}"; fi
	done
	umount -l $cg
	mount --move "$1" $cg
fi
echo $$ >"$1.pid"
exec sleep infinity'

# home DIR: the configuration, storage and runtime of one user in DIR.
home() {
	mkdir -p "$1"/{run,state}
	printf '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n' >"$1/containers.conf"
	printf '[storage]\ndriver = "vfs"\nrunroot = "%s/runroot"\ngraphroot = "%s/root"\n' "$1" "$1" >"$1/storage.conf"
	# By a name of its own: podman's `cleanup`, which conmon starts, has to find the same state.
	printf '#!/bin/sh\nexec "%s/volrun" --root "%s/state" "$@"\n' "$BIN" "$1" >"$1/runtime"
	chmod 755 "$1/runtime"
}

# podman ARG...: root's; u_podman ARG...: that of the user. P and UP are the commands.
podman() { timeout 100 "${P[@]}" "$@" 3>&- 4>&-; }
u_podman() { timeout 100 "${UP[@]}" "$@" 3>&- 4>&-; }

commands() {
	H=$BATS_FILE_TMPDIR
	local in=(nsenter --mount --target "$(<"$H/cg.pid")") own=(podman --root "$H/h/root" --runroot "$H/h/runroot" --tmpdir "$H/h/tmp" --runtime "$H/h/runtime")
	P=("${in[@]}" env CONTAINERS_CONF="$H/h/containers.conf" CONTAINERS_STORAGE_CONF="$H/h/storage.conf" "${own[@]}")
	UP=("${in[@]}" --wd="$H/u" setpriv --reuid "$U_ID" --regid nogroup --clear-groups env -i HOME="$H/u" PATH="$PATH" XDG_RUNTIME_DIR="$H/u/run"
		CONTAINERS_CONF="$H/u/containers.conf" CONTAINERS_STORAGE_CONF="$H/u/storage.conf" "${own[@]//$H\/h/$H/u}")
}

setup_file() {
	export U_NAME=vrp$$ U_ID=$((400000 + $$ % 100000))
	useradd --no-create-home --no-user-group --gid nogroup --uid "$U_ID" --shell /bin/sh "$U_NAME" 2>/dev/null
	sed -i "/^$U_NAME:/d" /etc/subuid /etc/subgid
	echo "$U_NAME:$((1500000000 + $$ % 5000 * 65536)):65536" | tee -a /etc/subuid >>/etc/subgid
	H=$BATS_FILE_TMPDIR
	# Two at once would have the same cgroups.
	exec {PODMAN_LOCK}</run/lock
	flock "$PODMAN_LOCK"
	mkdir "$H/cg"
	unshare --mount --propagation private sh -euc "$VIEW" podman-view "$H/cg" </dev/null >/dev/null 2>&1 3>&- 4>&- &
	until_true 10 test -s "$H/cg.pid"
	commands
	local dir=$H
	while [[ $dir != / ]]; do chmod a+rx "$dir"; dir=$(dirname "$dir"); done
	chmod a+rx "$SUITE" "$BIN"
	home "$H/h"
	home "$H/u"
	chown -R "$U_ID:nogroup" "$H/u"
	tar -C "$SUITE/rootfs" -cf "$H/image.tar" .
	podman import -q --change 'ENV PATH=/bin' "$H/image.tar" $IMAGE >/dev/null
	u_podman import -q --change 'ENV PATH=/bin' "$H/image.tar" $IMAGE >/dev/null 2>&1
	podman run -d --name main --network none $IMAGE sh -c 'trap "exit 0" TERM; echo out; echo err >&2; while :; do sleep 0.2; done' >/dev/null
}

teardown_file() {
	commands
	podman pod rm -fa -t 0 >/dev/null 2>&1 || :
	podman rm -fa -t 0 >/dev/null
	u_podman rm -fa -t 0 >/dev/null 2>&1
	local dir pid
	# The process that keeps an ordinary user's namespace.
	for pid in $(pgrep -U "$U_ID"); do kill "$pid"; done
	until_true 10 eval '! pgrep -U "$U_ID"'
	userdel "$U_NAME"
	sed -i "/^$U_NAME:/d" /etc/subuid /etc/subgid
	# Podman 4.3 forgets the parents of its cgroups.
	for dir in /sys/fs/cgroup/*/libpod_parent /sys/fs/cgroup/libpod_parent; do
		[[ ! -d $dir ]] || find "$dir" -depth -type d -exec rmdir {} + 2>/dev/null || :
	done
	kill "$(<"$H/cg.pid")"
}

setup() {
	common_setup
	commands
}
teardown() {
	local rest
	podman pod rm -fa -t 0 >/dev/null 2>&1 || :
	rest=$(podman ps -a --noheading --format '{{.ID}} {{.Names}}' | grep -v ' main$' | cut -d ' ' -f 1 || :)
	# shellcheck disable=SC2086 # ids
	[[ -z $rest ]] || podman rm -f -t 0 $rest >/dev/null
	# The shared container's state is its own.
	is "$(find "$H/h/state" -mindepth 1 -maxdepth 1 -type d -not -name '@*' | wc -l)" 1 "containers with a state"
	! compgen -G "$SUITE/reports/*" >/dev/null || { cat "$SUITE"/reports/*; rm -f "$SUITE"/reports/*; return 1; }
}

once() { try podman run --rm --network none "$@"; }
u_once() { try u_podman run --rm --network none "$@"; }
# shows STATUS OUTPUT: of the last try.
shows() { [[ $status == "$1" && $output == "$2" ]] || fail "expected status $1 and: $2" "$(show_last)"; }
inspected() { podman inspect -f "$2" "$1"; }
logs_have() { [[ $(podman logs "$1" 2>&1) == *"$2"* ]]; }

# A limit by the name of its file on v1 or on v2, as the container sees it.
limit() { if [[ -e /sys/fs/cgroup/cgroup.controllers ]]; then echo "/sys/fs/cgroup/$2"; else echo "/sys/fs/cgroup/$1"; fi; }

# --- root ---------------------------------------------------------------------

@test "podman run: exit codes are the process's, 126, 127, and 128 + signal" {
	once $IMAGE sh -c 'echo out; echo err >&2; exit 7'
	shows 7 out
	is "$stderr" err
	once $IMAGE /etc/passwd
	is "$status" 126
	once $IMAGE nosuch
	is "$status" 127
	once --init $IMAGE sh -c 'tr "\0" " " </proc/1/cmdline; kill -9 $$'
	is "$status" 137
	like "$output" init
}

@test "podman exec: exit codes, user, directory, environment, stdin; a terminal, its size, its keys" {
	try podman exec main sh -c 'echo a; exit 5'
	shows 5 a
	try podman exec main nosuch
	is "$status" 127
	try podman exec --user 5:6 --workdir /etc --env A=b main sh -c 'echo "$(id -u):$(id -g) $PWD $A"'
	shows 0 "5:6 /etc b"
	is "$(echo typed | podman exec -i main cat)" typed
	try "$PTY" "${P[@]}" exec -it main sh -c 'test -t 0 && tty; until [ "$(stty size)" = "40 100" ]; do sleep 0.1; done
		echo READY; until [ "$(stty size)" = "50 120" ]; do sleep 0.1; done; echo RESIZED; read x; echo "got $x"; exit 3' \
		-- wait:READY size:50x120 wait:RESIZED 'send:typed\n'
	is "$status" 3
	like "$output" '/dev/pts/[0-9]+'
	like "$output" 'got typed'
}

@test "podman run -it, attach, the keys that detach" {
	podman run -d --network none -it --name t $IMAGE sh -c 'while read x; do echo "got $x"; done' >/dev/null
	try "$PTY" "${P[@]}" attach t -- 'send:one\n' 'wait:got one' 'send:\x10\x11'
	is "$(inspected t '{{.State.Status}}')" running
	try "$PTY" "${P[@]}" attach t -- 'send:two\n' 'wait:got two' 'send:\x04'
	until_true 20 eval '[[ $(inspected t "{{.State.Status}}") == exited ]]'
}

@test "podman pause, unpause, top, stats, logs, cp, diff" {
	podman pause main >/dev/null
	is "$(inspected main '{{.State.Status}}')" paused
	try podman exec main true
	((status != 0))
	podman unpause main >/dev/null
	is "$(inspected main '{{.State.Status}}')" running
	like "$(podman top main)" 'sh -c trap'
	like "$(podman stats --no-stream --format '{{.Name}} {{.MemUsage}} {{.PIDs}}' main)" '^main [0-9.]+[kM]B / .* [1-9]'
	is "$(podman logs main 2>/dev/null)" out
	is "$(podman logs main 2>&1 >/dev/null)" err
	mkdir "$T/d"
	echo hello >"$T/d/f"
	podman cp "$T/d" main:/tmp/
	is "$(podman exec main cat /tmp/d/f)" hello
	podman cp main:/tmp/d/f "$T/g"
	is "$(<"$T/g")" hello
	like "$(podman diff main)" /tmp/d/f
}

@test "podman's limits, and update of a running container" {
	once --memory 50m --memory-swap 70m --pids-limit 33 --cpus 0.5 --ulimit nofile=100:200 $IMAGE \
		sh -c "cat $(limit memory/memory.limit_in_bytes memory.max) $(limit pids/pids.max pids.max); ulimit -n; ulimit -Hn"
	shows 0 $'52428800\n33\n100\n200'
	podman run -d --name up --network none $IMAGE sleep 1000 >/dev/null
	podman update --memory 100m --memory-swap 150m --cpus 0.5 --cpuset-cpus 0 up >/dev/null
	try podman exec up cat "$(limit memory/memory.limit_in_bytes memory.max)" "$(limit cpuset/cpuset.cpus cpuset.cpus)"
	shows 0 $'104857600\n0'
}

@test "podman healthcheck: passes, and then fails" {
	podman run -d --name h --network none --health-cmd 'test ! -e /bad' --health-interval disable --health-retries 1 $IMAGE sleep 1000 >/dev/null
	podman healthcheck run h
	podman exec h touch /bad
	try podman healthcheck run h
	is "$status" 1
	is "$(inspected h '{{.State.Health.Status}}')" unhealthy
}

@test "podman kill, wait, stop, restart, and a volume that is copied up" {
	podman run -d --name s --network none $IMAGE sh -c 'trap "exit 6" USR1; trap "exit 8" TERM; echo up; while :; do sleep 0.1; done' >/dev/null
	until_true 20 logs_have s up
	podman restart -t 5 s >/dev/null
	until_true 20 eval '[[ $(podman logs s) == *up*up* ]]'
	podman stop -t 10 s >/dev/null
	is "$(inspected s '{{.State.ExitCode}}')" 8
	podman start s >/dev/null
	until_true 20 eval '[[ $(podman logs s) == *up*up*up* ]]'
	podman kill -s USR1 s >/dev/null
	is "$(podman wait s)" 6
	podman volume create v1 >/dev/null
	once -v v1:/etc $IMAGE sh -c 'test -s /etc/passwd && echo kept >/etc/new'
	once -v v1:/m:ro $IMAGE sh -c 'cat /m/new; touch /m/f 2>/dev/null || echo ro'
	podman volume rm v1 >/dev/null
	shows 0 $'kept\nro'
}

@test "podman's confinement: --read-only, --tmpfs, capabilities, --security-opt, --privileged, --sysctl, --device, --user, masks" {
	once --read-only --tmpfs /mnt:size=1m,mode=1750 $IMAGE sh -c 'touch /f 2>/dev/null || echo ro; touch /mnt/f; stat -c %a /mnt'
	shows 0 $'ro\n1750'
	once --cap-drop all --cap-add net_bind_service --security-opt no-new-privileges $IMAGE grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status
	shows 0 $'CapEff:\t0000000000000400\nNoNewPrivs:\t1\nSeccomp:\t2'
	once --privileged $IMAGE sh -c 'grep Seccomp: /proc/self/status; mount -t tmpfs t /mnt && echo mounts'
	shows 0 $'Seccomp:\t0\nmounts'
	echo '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":13}]}' >"$T/p.json"
	once --security-opt seccomp="$T/p.json" --security-opt mask=/etc/passwd --sysctl kernel.shmmax=123456 --user 7:8 --group-add 9 --umask 027 \
		--device /dev/null:/dev/mynull --oom-score-adj 300 --hostname h1 $IMAGE sh -c 'mkdir /tmp/d 2>/dev/null || echo refused; cat /etc/passwd
		cat /proc/sys/kernel/shmmax /proc/self/oom_score_adj; id -u; id -G; umask; hostname; test -c /dev/mynull && echo dev'
	shows 0 $'refused\n123456\n300\n7\n8 9\n0027\nh1\ndev'
}

@test "podman's namespaces: of the host, of a container, users with maps" {
	once --pid host --uts host --ipc host $IMAGE sh -c 'readlink /proc/self/ns/uts; readlink /proc/self/ns/ipc; test -d /proc/'$$' && echo host'
	shows 0 "$(readlink /proc/self/ns/uts)"$'\n'"$(readlink /proc/self/ns/ipc)"$'\nhost'
	try podman run --rm --network container:main --pid container:main $IMAGE sh -c 'readlink /proc/self/ns/net; readlink /proc/self/ns/pid'
	shows 0 "$(podman exec main readlink /proc/self/ns/net)"$'\n'"$(podman exec main readlink /proc/self/ns/pid)"
	once --uidmap 0:100000:5000 --gidmap 0:200000:6000 $IMAGE sh -c 'awk "{ print \$2 \":\" \$3 }" /proc/self/uid_map /proc/self/gid_map; touch /f; stat -c %u:%g /f'
	shows 0 $'100000:5000\n200000:6000\n0:0'
}

@test "podman's pods share what they say and go as one; kube generate, play, down" {
	podman pod create --name p1 --network none --share net,ipc,uts,pid --hostname podhost >/dev/null
	podman run -d --pod p1 --name p1a --read-only --memory 90m $IMAGE sh -c 'echo shared >/dev/shm/f; sleep 1000' >/dev/null
	until_true 20 podman exec p1a test -e /dev/shm/f
	try podman run --rm --pod p1 $IMAGE sh -c 'hostname; cat /dev/shm/f'
	shows 0 $'podhost\nshared'
	podman pod pause p1 >/dev/null
	is "$(inspected p1a '{{.State.Status}}')" paused
	podman pod unpause p1 >/dev/null
	podman kube generate p1 2>/dev/null >"$T/k.yaml"
	# On v1, podman 4.3 fails to remove the cgroup of a pod, with every runtime.
	podman pod rm -f -t 0 p1 >/dev/null 2>&1 || :
	try podman container exists p1a
	is "$status" 1
	podman kube play --network none "$T/k.yaml" >/dev/null
	try podman exec p1-p1a sh -c "touch /f 2>/dev/null || echo ro; cat $(limit memory/memory.limit_in_bytes memory.max)"
	shows 0 $'ro\n94371840'
	podman kube down "$T/k.yaml" >/dev/null 2>&1 || :
	try podman container exists p1-p1a
	is "$status" 1
}

@test "podman build --isolation oci: RUN, its user, its failure, its mounts" {
	mkdir "$T/ctx"
	echo data >"$T/ctx/file"
	cat >"$T/ctx/Containerfile" <<-E
		FROM $IMAGE
		RUN id -u >/uid && mkdir -m 777 /open
		USER 5:6
		RUN echo "\$(id -u):\$(id -g)" >/open/ids
		USER root
		RUN --mount=type=bind,source=file,target=/f --mount=type=tmpfs,target=/mnt cp /f /copied && touch /mnt/x
	E
	podman build -q --isolation oci --network none -t localhost/built "$T/ctx" >/dev/null
	once localhost/built sh -c 'cat /uid /open/ids /copied'
	shows 0 $'0\n5:6\ndata'
	printf 'FROM %s\nRUN exit 9\n' $IMAGE >"$T/ctx/Containerfile"
	try podman build -q --isolation oci --network none "$T/ctx"
	((status != 0))
	like "$stderr" 'status 9'
}

# --- an ordinary user ---------------------------------------------------------

@test "podman, rootless: exit codes, ids, keep-id, a terminal, exec, stop" {
	u_once $IMAGE sh -c 'id -u; wc -l </proc/self/uid_map; exit 7'
	shows 7 $'0\n2'
	u_once $IMAGE nosuch
	is "$status" 127
	u_once --userns keep-id $IMAGE sh -c 'id -u; touch /dev/shm/f; stat -c %u /dev/shm/f'
	shows 0 "$U_ID"$'\n'"$U_ID"
	u_once --read-only --cap-drop all --security-opt no-new-privileges --init $IMAGE sh -c 'touch /f 2>/dev/null || echo ro; grep -E "^(CapEff|NoNewPrivs|Seccomp):" /proc/self/status'
	shows 0 $'ro\nCapEff:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2'
	u_podman run -d --name um --network none $IMAGE sh -c 'trap "exit 6" TERM; echo up; while :; do sleep 0.1; done' >/dev/null
	try u_podman exec um sh -c 'echo inside; exit 5'
	shows 5 inside
	try "$PTY" "${UP[@]}" exec -it um sh -c 'test -t 0 && tty; echo READY; read x; echo "got $x"; exit 3' -- wait:READY 'send:typed\n'
	is "$status" 3
	like "$output" 'got typed'
	u_podman cp "$H/u/storage.conf" um:/tmp/c
	is "$(u_podman exec um cat /tmp/c)" "$(<"$H/u/storage.conf")"
	until_true 20 eval '[[ $(u_podman logs um) == *up* ]]'
	u_podman stop -t 10 um >/dev/null
	is "$(u_podman inspect -f '{{.State.ExitCode}}' um)" 6
	u_podman rm um >/dev/null
}

# --- other runtimes, with volrun-hook -------------------------------------------

# A store of the test's own; hooks_dir KIND: contrib's hooks.d of that kind, for the programs and configuration under test.
hooks_dir() {
	local f
	mkdir -p "$T/hooks-$1"
	node A
	for f in "$BATS_TEST_DIRNAME/../contrib/hooks/$1"/*.json; do
		jq --arg hook "$BIN/volrun-hook" --arg c "--config=$T/A.json" '.hook.path = $hook | .hook.args |= [.[0], $c, .[1]]' "$f" >"$T/hooks-$1/$(basename "$f")"
	done
}

@test "plain runc or crun with contrib's hooks.d: the annotation works, in both ways that Podman has" {
	# Without CAP_SYS_RESOURCE nobody sets the limits that podman asks for by itself.
	local kind plain=runc limits=(--ulimit "nofile=$(ulimit -n):$(ulimit -Hn)" --ulimit nproc=4096:4096)
	[[ ! -e /sys/fs/cgroup/cgroup.controllers ]] || plain=crun
	command -v $plain >/dev/null || skip "no $plain here"
	for kind in podman precreate; do
		hooks_dir $kind
		once --runtime $plain --hooks-dir "$T/hooks-$kind" "${limits[@]}" --annotation dev.volrun.volume="state-$kind /data" $IMAGE sh -c 'echo one >>/data/f; cat /data/f'
		shows 0 one
		until_true 15 eval '[[ -z $(keepers) ]]'
		podman run -d --name two --network none --runtime $plain --hooks-dir "$T/hooks-$kind" "${limits[@]}" --annotation dev.volrun.volume="state-$kind /data" $IMAGE sh -c 'echo two >>/data/f; sleep 100'
		until_true 10 eval "podman exec two grep two /data/f"
		podman rm -f -t 0 two
		until_true 15 eval '[[ -z $(keepers) ]]'
		is "$(cat "$T/store/volumes/default/state-$kind/f")" $'one\ntwo'
		once --runtime $plain --hooks-dir "$T/hooks-$kind" "${limits[@]}" --annotation dev.volrun.volume="state-$kind /etc" $IMAGE echo must not run
		((status == 126 || status == 127 || status == 125))
		# Of a precreate hook's words podman says nothing: they are in the journal.
		[[ $kind == precreate ]] || like "$stderr" 'mount path .*/etc.* is not under an allowed prefix'
	done
	is "$(left_leases)" ""
}
