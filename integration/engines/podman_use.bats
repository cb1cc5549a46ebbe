#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What people do with podman, by root and by the ordinary user u. A test that crun passes, volrun
# has to pass (RUNTIME=crun). Of the tag "core" are those that show what ../podman.bats can't: cgroup v2
# with all controllers, a newer podman; "user" are those that the ordinary user repeats in any case.

# shellcheck disable=SC2034 # for common.bash
ENGINE=podman
load common
# The whole of podman takes it, unlike docker.
# shellcheck disable=SC2034
GLOBAL=(--runtime "$RUNTIME") RT=()

rootless() { ((EUID != 0)); }
podman() { engine "$@"; }
once() { erun --rm "$@"; }

# A container that most tests share.
setup_file() {
	# What podman knows of crun by its name, see README.md.
	export CONTAINERS_CONF_OVERRIDE=$BATS_FILE_TMPDIR/containers.conf
	printf '[engine]\nruntime_supports_json = ["crun", "runc", "volrun"]\nruntime_supports_nocgroup = ["crun", "volrun"]\n' >"$CONTAINERS_CONF_OVERRIDE"
	# Of whom the ids of --userns=auto are.
	rootless || grep -q ^containers: /etc/subuid || echo containers:2147483647:2147483648 | tee -a /etc/subgid >>/etc/subuid
	podman rm -fa -t 0 >/dev/null
	podman run -d --name main --network none --stop-timeout 1 $IMAGE sh -c 'trap "exit 0" TERM; echo out; echo err >&2; while :; do sleep 0.3; done'
}
teardown_file() { podman rm -fa -t 0 >/dev/null; }
teardown() {
	local rest
	[[ -z $(podman pod ps -q) ]] || podman pod rm -fa -t 0 >/dev/null
	rest=$(podman ps -a --noheading --format '{{.ID}} {{.Names}}' | grep -v ' main$' | cut -d ' ' -f 1 || :)
	# shellcheck disable=SC2086 # ids
	[[ -z $rest ]] || podman rm -f -t 0 $rest >/dev/null
	podman volume rm -fa >/dev/null
	[[ -z $(podman ps -aq --filter status=paused) ]]
}

# --- run, exec, terminals -----------------------------------------------------

@test "run: exit codes are the process's, 125, 126, 127, and 128 + signal" {
	once $IMAGE sh -c 'exit 7'
	is "$status" 7
	once $IMAGE /etc/passwd
	is "$status" 126
	like "$stderr" "[Pp]ermission denied"
	once $IMAGE /etc
	is "$status" 126
	once $IMAGE nosuch
	is "$status" 127
	like "$stderr" "nosuch.*not found"
	once --workdir /etc/passwd $IMAGE true
	((status == 126 || status == 127)) || fail "status $status"
	once --user nosuch $IMAGE true
	((status != 0))
	once --init $IMAGE sh -c 'kill -9 $$'
	is "$status" 137
	once --nosuchoption $IMAGE true
	is "$status" 125
}

@test "exec: exit codes, user, directory, environment, descriptors, detached" {
	try exec main sh -c 'echo a; echo b >&2; exit 5'
	shows 5 a
	is "$stderr" b
	try exec main nosuch
	is "$status" 127
	try exec main /etc/passwd
	is "$status" 126
	try exec --user 5:6 --workdir /etc --env A=b main sh -c 'echo "$(id -u):$(id -g) $PWD $A"'
	shows 0 "5:6 /etc b"
	try exec --workdir /nosuch main true
	((status == 126 || status == 127)) || fail "status $status"
	try exec --privileged main grep CapEff /proc/self/status
	[[ $(podman exec main grep CapEff /proc/self/status) != "$output" ]]
	exec 7<<<"through 7"
	status=0
	output=$(timeout 60 podman "${GLOBAL[@]}" exec --preserve-fds 5 main cat /proc/self/fd/7 3<&7 4<&7 5<&7 6<&7) || status=$?
	exec 7<&-
	shows 0 "through 7"
	try exec -d main sh -c 'echo done >/tmp/detached; sleep 100'
	is "$status" 0
	until_true 20 podman exec main grep -q done /tmp/detached
	echo typed | podman exec -i main cat >"$BATS_TEST_TMPDIR/cat"
	is "$(<"$BATS_TEST_TMPDIR/cat")" typed
}

# bats test_tags=core,user
@test "exec -it: a terminal, its size, its keys, its exit code" {
	status=0
	output=$(terminal exec -it main sh -c 'test -t 0 && test -t 1 && tty; until [ "$(stty size)" = "40 100" ]; do sleep 0.1; done
		echo READY; until [ "$(stty size)" = "50 120" ]; do sleep 0.1; done; echo RESIZED; read x; echo "got $x"; cat; exit 3' \
		-- wait:READY size:50x120 wait:RESIZED 'send:typed\n' 'wait:got typed' 'send:more\n\x04') || status=$?
	is "$status" 3
	like "$output" '/dev/pts/[0-9]+'
	like "$output" 'got typed'
	like "$output" 'more'
	status=0
	output=$(terminal exec -it main sh -c 'echo READY; sleep 100' -- wait:READY 'send:\x03') || status=$?
	is "$status" 130
}

@test "run -it: a resized terminal, attach, and the keys that detach" {
	status=0
	output=$(terminal run --rm --network none -it --name t1 $IMAGE sh -c 'trap "stty size; exit 4" WINCH; echo READY; while :; do sleep 0.2; done' -- wait:READY size:33x77) || status=$?
	is "$status" 4
	like "$output" '33 77'
	podman run -d --network none -it --name t2 $IMAGE sh -c 'while read x; do echo "got $x"; done'
	output=$(terminal attach t2 -- 'send:one\n' 'wait:got one' 'send:\x10\x11')
	is "$(state t2 '{{.State.Status}}')" running
	output=$(terminal attach t2 -- 'send:two\n' 'wait:got two' 'send:\x04')
	until_true 20 eval '[[ $(state t2 "{{.State.Status}}") == exited ]]'
}

# --- a running container ------------------------------------------------------

# bats test_tags=core
@test "pause, what a paused one refuses, unpause; top; stats" {
	podman pause main
	is "$(state main '{{.State.Status}}')" paused
	try exec main true
	((status != 0))
	podman unpause main
	is "$(state main '{{.State.Status}}')" running
	try top main pid,user,comm
	is "$status" 0
	like "$output" '1 +root +sh'
	try stats --no-stream --format '{{.Name}} {{.MemUsage}} {{.PIDs}} {{.CPUNano}}' main
	is "$status" 0
	like "$output" '^main [0-9.]+[kM]B / .* [1-9][0-9]* [0-9]+$'
}

# bats test_tags=core,user
@test "update: memory, cpu, pids, in the cgroup of a running container" {
	podman update --memory 100m --memory-swap 150m --memory-reservation 50m --cpus 0.5 --cpu-shares 512 --cpuset-cpus 0 --pids-limit 33 main
	try exec main sh -c 'cd /sys/fs/cgroup; cat memory.max memory.swap.max memory.low cpu.max pids.max cpuset.cpus; test "$(cat cpu.weight)" -lt 100 && echo less'
	shows 0 $'104857600\n52428800\n52428800\n50000 100000\n33\n0\nless'
	podman update --cpu-quota 20000 --cpu-period 50000 --pids-limit -1 main
	try exec main sh -c 'cd /sys/fs/cgroup; cat cpu.max pids.max memory.max'
	shows 0 $'20000 50000\nmax\n104857600'
}

@test "cp in and out, while it runs and paused; diff; commit; export" {
	mkdir -p "$BATS_TEST_TMPDIR/d/e"
	echo hello >"$BATS_TEST_TMPDIR/d/e/f"
	podman cp "$BATS_TEST_TMPDIR/d" main:/tmp/
	is "$(podman exec main cat /tmp/d/e/f)" hello
	podman exec main sh -c 'echo back >/tmp/d/g'
	podman pause main
	podman cp main:/tmp/d/g "$BATS_TEST_TMPDIR/g"
	podman unpause main
	is "$(<"$BATS_TEST_TMPDIR/g")" back
	like "$(podman diff main)" '/tmp/d/e/f'
	podman commit -q main localhost/committed >/dev/null
	once localhost/committed cat /tmp/d/e/f
	shows 0 hello
	podman rmi -f localhost/committed >/dev/null
}

@test "logs, and a health check that passes and then fails" {
	like "$(podman logs main 2>/dev/null)" out
	like "$(podman logs main 2>&1 >/dev/null)" err
	podman run -d --name h --network none --health-cmd 'test ! -e /bad' --health-interval disable --health-retries 1 $IMAGE sleep 1000
	podman healthcheck run h
	is "$(state h '{{.State.Health.Status}}')" healthy
	podman exec h touch /bad
	try healthcheck run h
	is "$status" 1
	is "$(state h '{{.State.Health.Status}}')" unhealthy
	podman run --name k --network none --log-driver k8s-file $IMAGE sh -c 'echo one; echo two >&2'
	is "$(podman logs k 2>&1 | sort)" $'one\ntwo'
}

@test "kill -s, wait, stop with a timeout and a signal, restart, rename" {
	podman run -d --name s1 --network none $IMAGE sh -c 'trap "echo usr1" USR1; trap "exit 6" INT; echo up; while :; do sleep 0.2; done'
	until_true 20 logs_have s1 up
	podman kill -s USR1 s1
	until_true 20 logs_have s1 usr1
	podman restart -t 0 s1
	podman rename s1 s2
	until_true 20 eval '[[ $(podman logs s2) == *up*up* ]]'
	podman kill -s INT s2
	is "$(podman wait s2)" 6
	podman run -d --name s3 --network none --stop-timeout 2 --stop-signal USR2 $IMAGE sh -c 'trap "exit 8" USR2; echo up; while :; do sleep 0.2; done'
	until_true 20 logs_have s3 up
	podman stop s3
	is "$(state s3 '{{.State.ExitCode}}')" 8
	podman run -d --name s4 --network none $IMAGE sh -c 'trap "" TERM; echo up; while :; do sleep 0.2; done'
	until_true 20 logs_have s4 up
	podman stop -t 1 s4
	is "$(state s4 '{{.State.ExitCode}}')" 137
	is "$(state s4 '{{.OCIRuntime}}')" "$RUNTIME"
}

@test "--restart, --timeout, --rm, --cidfile, --pidfile" {
	podman run -d --name r --network none --restart on-failure:2 $IMAGE sh -c 'echo run; exit 3'
	until_true 60 eval '[[ $(podman logs r | grep -c run) == 3 ]]'
	until_true 20 eval '[[ $(state r "{{.State.ExitCode}} {{.RestartCount}}") == "3 2" ]]'
	once --timeout 2 --name to $IMAGE sleep 100
	((status != 0))
	podman run -d --rm --name pf --network none --pidfile "$BATS_TEST_TMPDIR/pid" --cidfile "$BATS_TEST_TMPDIR/cid" $IMAGE sleep 1000
	is "$(<"$BATS_TEST_TMPDIR/pid")" "$(state pf '{{.State.Pid}}')"
	is "$(<"$BATS_TEST_TMPDIR/cid")" "$(state pf '{{.Id}}')"
	podman kill pf
	until_true 20 eval '! podman container exists pf'
}

# --- pods ---------------------------------------------------------------------

@test "a pod shares what it says, has limits of its own, and goes as one" {
	podman pod create --name p1 --network none --share net,ipc,uts,pid --hostname podhost >/dev/null
	podman run -d --pod p1 --name p1a $IMAGE sh -c 'echo shared >/dev/shm/f; sleep 1000'
	until_true 20 podman exec p1a test -e /dev/shm/f
	try run --rm --pod p1 $IMAGE sh -c 'hostname; cat /dev/shm/f; ps | grep -c "sleep 1000" | grep -v 0'
	is "$status" 0
	is "${lines[0]} ${lines[1]}" "podhost shared"
	podman pod pause p1
	podman pod unpause p1
	try pod stats --no-stream --format '{{.Name}}' p1
	is "$status" 0
	podman pod stop -t 0 p1
	podman pod start p1
	is "$(state p1a '{{.State.Status}}')" running
	podman pod rm -f -t 0 p1
	try container exists p1a
	is "$status" 1
}

@test "pods: nothing shared, a user namespace, limits" {
	podman pod create --name p2 --infra=false >/dev/null
	try run --rm --pod p2 --network none --hostname own $IMAGE hostname
	shows 0 own
	podman pod rm -f -t 0 p2
	podman pod create --name p3 --network none --userns=auto:size=2000 --memory 200m >/dev/null
	try run --rm --pod p3 $IMAGE sh -c 'awk "{ print \$3 }" /proc/self/uid_map | tail -n 1'
	is "$status" 0
	unlike "$output" '^4294967295$'
	podman pod rm -f -t 0 p3
}

# --- users --------------------------------------------------------------------

# bats test_tags=core,user
@test "user namespaces: keep-id, auto, maps, nomap" {
	if rootless; then
		once --userns keep-id $IMAGE sh -c 'id -u; touch /dev/shm/f; stat -c %u /dev/shm/f'
		shows 0 $'1000\n1000'
		once --userns keep-id:uid=33,gid=34 $IMAGE sh -c 'echo "$(id -u):$(id -g)"'
		shows 0 33:34
		once --userns nomap $IMAGE cat /proc/self/uid_map
		is "$status" 0
		once --group-add keep-groups $IMAGE id -u
		shows 0 0
	else
		once --uidmap 0:100000:5000 --gidmap 0:200000:6000 $IMAGE sh -c 'awk "{ print \$2 \":\" \$3 }" /proc/self/uid_map /proc/self/gid_map; touch /f; stat -c %u:%g /f'
		shows 0 $'100000:5000\n200000:6000\n0:0'
	fi
	once --uidmap 0:1:1000 --uidmap 1000:0:1 --gidmap 0:0:1000 $IMAGE sh -c 'wc -l </proc/self/uid_map; ls -ld /root >/dev/null'
	shows 0 2
	once --userns auto:size=3000 $IMAGE sh -c 'awk "{ s += \$3 } END { print s }" /proc/self/uid_map; touch /f'
	shows 0 3000
	once --userns keep-id $IMAGE true
	is "$status" 0
	once --userns host $IMAGE id -u
	shows 0 0
}

@test "--user, --group-add, --umask, --hostuser, passwd entries" {
	once --user 12:34 --group-add 99 --umask 027 $IMAGE sh -c 'id -u; id -g; id -G; umask'
	shows 0 $'12\n34\n34 99\n0027'
	once --user 0:0 --annotation run.oci.keep_original_groups=1 $IMAGE id -u
	shows 0 0
}

# --- confinement --------------------------------------------------------------

@test "--read-only, with and without its tmpfs; --tmpfs and its options; --shm-size" {
	once --read-only $IMAGE sh -c 'touch /f 2>/dev/null || echo ro; touch /tmp/f /run/f /dev/shm/f && echo rw'
	shows 0 $'ro\nrw'
	once --read-only --read-only-tmpfs=false $IMAGE sh -c 'for d in / /tmp /run /dev/shm; do touch $d/f 2>/dev/null && echo $d; done; touch /dev/f 2>/dev/null || echo none'
	shows 0 none
	once --tmpfs /t:rw,size=1m,mode=1750,noexec --shm-size 2m $IMAGE sh -c 'stat -c %a /t; grep " /t " /proc/mounts; df -k /dev/shm | tail -n 1'
	is "${lines[0]}" 1750
	like "${lines[1]}" 'noexec.*size=1024k'
	like "${lines[2]}" ' 2048 '
}

# bats test_tags=core
@test "--security-opt: seccomp, no-new-privileges, mask, unmask, proc-opts" {
	once $IMAGE grep -E '^(Seccomp|NoNewPrivs):' /proc/self/status
	shows 0 $'NoNewPrivs:\t0\nSeccomp:\t2'
	once --security-opt seccomp=unconfined --security-opt no-new-privileges $IMAGE grep -E '^(Seccomp|NoNewPrivs):' /proc/self/status
	shows 0 $'NoNewPrivs:\t1\nSeccomp:\t0'
	echo '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":13}]}' >"$BATS_TEST_TMPDIR/p.json"
	once --security-opt seccomp="$BATS_TEST_TMPDIR/p.json" $IMAGE sh -c 'mkdir /d 2>&1 || echo refused'
	shows 0 $'mkdir: can\'t create directory \'/d\': Permission denied\nrefused'
	once --security-opt mask=/etc/passwd:/bin --security-opt unmask=/proc/kcore:/sys/firmware $IMAGE /proc/self/exe true
	((status != 0))
	once --security-opt mask=/etc/passwd:/root $IMAGE sh -c 'cat /etc/passwd; ls -A /root; touch /root/x 2>/dev/null || echo masked'
	shows 0 masked
	once --security-opt unmask=ALL $IMAGE sh -c 'grep -c " /proc/[a-z]" /proc/self/mountinfo'
	is "$output" 0
	once --security-opt proc-opts=hidepid=2 $IMAGE grep ' /proc proc' /proc/mounts
	like "$output" 'hidepid=(2|invisible)'
	once --security-opt label=disable $IMAGE true
	is "$status" 0
	once --security-opt apparmor=unconfined $IMAGE true
	is "$status" 0
}

@test "--cap-add, --cap-drop, --privileged, --init" {
	once --cap-drop all --cap-add net_bind_service $IMAGE grep -E '^Cap(Eff|Bnd|Amb)' /proc/self/status
	shows 0 $'CapEff:\t0000000000000400\nCapBnd:\t0000000000000400\nCapAmb:\t0000000000000000'
	once --user 5 --cap-add net_raw $IMAGE grep -E '^Cap(Eff|Amb)' /proc/self/status
	shows 0 $'CapEff:\t0000000000002000\nCapAmb:\t0000000000002000'
	once --privileged $IMAGE sh -c 'grep Seccomp: /proc/self/status; mount -t tmpfs t /mnt 2>/dev/null || mkdir /mnt && mount -t tmpfs t /mnt && echo mounts; test -w /sys/fs/cgroup/cgroup.procs && echo w'
	shows 0 $'Seccomp:\t0\nmounts\nw'
	once --init $IMAGE sh -c 'tr "\0" " " </proc/1/cmdline; echo; kill -9 $$ & sleep 5'
	like "$output" 'init'
	is "$status" 137
}

@test "--device, --device-cgroup-rule, --sysctl, --ulimit, --oom-score-adj, --personality" {
	once --device /dev/null:/dev/mynull:rw $IMAGE sh -c 'echo x >/dev/mynull && test -c /dev/mynull && echo dev'
	shows 0 dev
	once --sysctl net.ipv4.ping_group_range='0 5' --sysctl kernel.shmmax=123456 $IMAGE sh -c 'cat /proc/sys/net/ipv4/ping_group_range /proc/sys/kernel/shmmax'
	shows 0 $'0\t5\n123456'
	once --ulimit nofile=100:200 --ulimit core=0 $IMAGE sh -c 'ulimit -n; ulimit -Hn; ulimit -c'
	shows 0 $'100\n200\n0'
	once --oom-score-adj 500 --personality LINUX32 $IMAGE sh -c 'cat /proc/self/oom_score_adj; uname -m'
	is "$status" 0
	is "${lines[0]}" 500
	like "${lines[1]}" '^i.86$'
	if ! rootless; then
		once --device-cgroup-rule 'c 10:229 rwm' --device /dev/fuse $IMAGE sh -c 'exec 3<>/dev/fuse && echo fuse'
		shows 0 fuse
	fi
}

# --- mounts -------------------------------------------------------------------

@test "mounts: bind, ro, propagation, U, glob of options, devpts, image, ramfs" {
	local d=$BATS_TEST_TMPDIR/b
	mkdir -p "$d/sub"
	echo x >"$d/f"
	once --mount type=bind,src="$d",dst=/b,ro $IMAGE sh -c 'cat /b/f; touch /b/g 2>/dev/null || echo ro'
	shows 0 $'x\nro'
	once --mount type=bind,src="$d",dst=/b,bind-propagation=rprivate,relabel=private $IMAGE sh -c 'touch /b/g && echo rw; grep " /b " /proc/self/mountinfo | grep -c -e shared -e master'
	is "${lines[*]}" "rw 0"
	once -v "$d:/b:rslave,noexec,nosuid,nodev" $IMAGE grep ' /b ' /proc/self/mountinfo
	like "$output" 'nosuid,nodev,noexec.* master:'
	once -v "$d:/b:U" --user 77:78 $IMAGE sh -c 'stat -c %u:%g /b /b/f'
	shows 0 $'77:78\n77:78'
	podman unshare true 2>/dev/null && podman unshare chown -R 0:0 "$d" || chown -R 0:0 "$d"
	once -v "$d:/b:O" $IMAGE sh -c 'echo y >/b/f; cat /b/f'
	shows 0 y
	is "$(<"$d/f")" x
	once --mount type=devpts,dst=/pts --mount type=tmpfs,dst=/t,tmpfs-size=1m,tmpcopyup --mount type=ramfs,dst=/r $IMAGE sh -c 'test -e /pts/ptmx && touch /t/f /r/f && echo all'
	shows 0 all
	once --mount type=image,src=$IMAGE,dst=/img $IMAGE sh -c 'test -e /img/bin/busybox && echo img'
	shows 0 img
}

@test "--rootfs: a directory, and one under an overlay" {
	cp -a /opt/vm/rootfs "$BATS_TEST_TMPDIR/r"
	chmod 755 "$BATS_RUN_TMPDIR" "$BATS_FILE_TMPDIR" "$BATS_TEST_TMPDIR" 2>/dev/null || :
	try run --rm --network none --rootfs "$BATS_TEST_TMPDIR/r:O" sh -c 'echo x >/root/f; cat /root/f; exit 7'
	shows 7 x
	[[ ! -e $BATS_TEST_TMPDIR/r/root/f ]]
	try run --rm --network none --rootfs "$BATS_TEST_TMPDIR/r" sh -c 'echo x >/root/f; cat /proc/self/cgroup'
	shows 0 0::/
	is "$(<"$BATS_TEST_TMPDIR/r/root/f")" x
	try run --rm --network none --read-only --rootfs "$BATS_TEST_TMPDIR/r" sh -c 'touch /g 2>/dev/null || echo ro'
	shows 0 ro
}

@test "volumes: named, copied up, read-only, overlay, idmapped" {
	podman volume create v1 >/dev/null
	once -v v1:/etc $IMAGE sh -c 'test -s /etc/passwd && echo kept >/etc/new'
	is "$status" 0
	once -v v1:/m:ro $IMAGE sh -c 'cat /m/new; touch /m/f 2>/dev/null || echo ro'
	shows 0 $'kept\nro'
	once -v v1:/m:O $IMAGE sh -c 'echo gone >/m/new; cat /m/new'
	shows 0 gone
	once -v v1:/m $IMAGE cat /m/new
	shows 0 kept
	once -v v1:/m:U --user 9:9 $IMAGE stat -c %u:%g /m/new
	shows 0 9:9
	once --volume v1:/m:nocopy,nosuid $IMAGE cat /m/new
	shows 0 kept
	podman volume rm v1 >/dev/null
	if ! rootless; then
		mkdir "$BATS_TEST_TMPDIR/i"
		echo x >"$BATS_TEST_TMPDIR/i/f"
		once --uidmap 0:100000:5000 -v "$BATS_TEST_TMPDIR/i:/i:idmap" $IMAGE sh -c 'stat -c %u /i/f; touch /i/g'
		shows 0 0
		is "$(stat -c %u "$BATS_TEST_TMPDIR/i/g")" 0
		once --uidmap 0:100000:5000 --mount type=bind,src="$BATS_TEST_TMPDIR/i",dst=/i,idmap="uids=0-7-1;gids=0-7-1" $IMAGE stat -c %u:%g /i/f
		is "$status" 0
	fi
}

# --- cgroups, namespaces ------------------------------------------------------

# bats test_tags=core,user
@test "cgroups: manager, disabled, split, no-conmon, parent, namespace, raw settings" {
	once --cgroupns private $IMAGE cat /proc/self/cgroup
	shows 0 '0::/'
	once --cgroupns host $IMAGE cat /proc/self/cgroup
	like "$output" '0::/.*libpod-'
	once --cgroups disabled --cgroupns host $IMAGE cat /proc/self/cgroup
	is "$status" 0
	unlike "$output" 'libpod-[0-9a-f]{64}.scope'
	once --cgroups no-conmon $IMAGE true
	is "$status" 0
	try --cgroup-manager cgroupfs run --rm --network none --memory 60m --pids-limit 44 $IMAGE cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max
	if rootless; then is "$status" 0; else shows 0 $'62914560\n44'; fi
	once --cgroup-conf memory.high=50000000 --memory 64m --cpus 0.5 --cpuset-cpus 0 --memory-swap 64m $IMAGE sh -c \
		'cd /sys/fs/cgroup; cat memory.high memory.max memory.swap.max cpu.max cpuset.cpus'
	shows 0 $'49999872\n67108864\n0\n50000 100000\n0'
	once --cgroup-parent user.slice --cgroupns host $IMAGE cat /proc/self/cgroup
	like "$output" 'user.slice/libpod-'
}

@test "cgroups: split, in a unit of systemd's" {
	local user=()
	if rootless; then user=(--user); fi
	status=0
	output=$(systemd-run "${user[@]}" --quiet --pipe --wait --collect --property Delegate=yes --unit "split-$$" \
		podman "${GLOBAL[@]}" run --rm --network none --cgroups split --cgroupns host $IMAGE cat /proc/self/cgroup </dev/null) || status=$?
	is "$status" 0
	like "$output" "split-$$.service/libpod-payload"
}

@test "namespaces: network, pid, ipc, uts of the host, of a container, by path" {
	once --pid host --uts host --ipc host $IMAGE sh -c 'readlink /proc/self/ns/uts; readlink /proc/self/ns/ipc; test -d /proc/'$$' && echo host'
	shows 0 "$(readlink /proc/self/ns/uts)"$'\n'"$(readlink /proc/self/ns/ipc)"$'\nhost'
	try run --rm --network host $IMAGE readlink /proc/self/ns/net
	shows 0 "$(readlink /proc/self/ns/net)"
	try run --rm --network container:main --pid container:main $IMAGE sh -c 'readlink /proc/self/ns/net; readlink /proc/self/ns/pid'
	shows 0 "$(podman exec main readlink /proc/self/ns/net)"$'\n'"$(podman exec main readlink /proc/self/ns/pid)"
	podman run -d --name sh1 --network none --ipc shareable $IMAGE sh -c 'echo here >/dev/shm/f; sleep 1000'
	until_true 20 podman exec sh1 test -e /dev/shm/f
	once --ipc container:sh1 $IMAGE cat /dev/shm/f
	shows 0 here
	once --pid "ns:/proc/$(state sh1 '{{.State.Pid}}')/ns/pid" $IMAGE readlink /proc/self/ns/pid
	shows 0 "$(podman exec sh1 readlink /proc/self/ns/pid)"
	once --hostname h1 --tz UTC $IMAGE hostname
	shows 0 h1
	once --ipc none $IMAGE sh -c 'test -e /dev/shm || echo none'
	is "$status" 0
}

# --- systemd ------------------------------------------------------------------

# The machine's own programs, over the image's.
PROGRAMS=(-v /usr:/usr:ro -v /usr/lib:/lib:ro -v /usr/lib64:/lib64:ro -v /usr/bin:/bin:ro -v /usr/sbin:/sbin:ro)

@test "--systemd=always: systemd as process 1, with its cgroup, and its end" {
	podman run -d --name sd --network none --systemd always --stop-timeout 30 "${PROGRAMS[@]}" $IMAGE /sbin/init systemd.unit=basic.target
	until_true 100 eval 'podman exec sd systemctl is-active basic.target'
	like "$(podman exec sd cat /proc/1/cgroup)" 'init.scope'
	podman stop -t 60 sd
	is "$(state sd '{{.State.Status}}')" exited
}

@test "--sdnotify=container: the service is ready when the container says so" {
	local sock=$BATS_TEST_TMPDIR/n got
	python3 - "$sock" >"$BATS_TEST_TMPDIR/got" <<-'P' &
		import socket, sys, os
		s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind(sys.argv[1]); os.chmod(sys.argv[1], 0o777); s.settimeout(90)
		while True:
		    print(s.recv(4096).decode(), flush=True)
	P
	got=$!
	until_true 10 test -S "$sock"
	cat >"$BATS_TEST_TMPDIR/notify" <<-'S'
		#!/usr/bin/python3
		import socket, os, time
		s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"]); time.sleep(2)
	S
	chmod 755 "$BATS_TEST_TMPDIR/notify"
	NOTIFY_SOCKET=$sock podman run --rm --network none --sdnotify container -v "$BATS_TEST_TMPDIR:/n" "${PROGRAMS[@]}" $IMAGE /usr/bin/python3 /n/notify
	like "$(<"$BATS_TEST_TMPDIR/got")" 'MAINPID='
	like "$(<"$BATS_TEST_TMPDIR/got")" 'READY=1'
	NOTIFY_SOCKET=$sock podman run -d --name nc --network none --sdnotify conmon $IMAGE sleep 1000
	like "$(tail -n 2 "$BATS_TEST_TMPDIR/got")" 'READY=1'
	kill "$got"
}

@test "a unit of quadlet" {
	local dir=/run/containers/systemd user=()
	if rootless; then dir=$XDG_RUNTIME_DIR/containers/systemd user=(--user); fi
	mkdir -p "$dir"
	printf '[Container]\nImage=%s\nContainerName=quad\nNetwork=none\nNotify=false\nReadOnly=true\nPodmanArgs=--memory 77m\nGlobalArgs=--runtime %s\nExec=sleep 1000\n' $IMAGE "$RUNTIME" >"$dir/quad.container"
	systemctl "${user[@]}" daemon-reload
	systemctl "${user[@]}" start quad.service
	is "$(systemctl "${user[@]}" is-active quad.service)" active
	is "$(podman exec quad cat /sys/fs/cgroup/memory.max)" 80740352
	systemctl "${user[@]}" stop quad.service
	rm "$dir/quad.container"
	systemctl "${user[@]}" daemon-reload
	try container exists quad
	is "$status" 1
}

# --- kube, build, hooks -------------------------------------------------------

@test "kube generate, kube play, kube down" {
	podman pod create --name kp --network none >/dev/null
	podman run -d --pod kp --name kpa --cap-add net_admin --memory 90m --read-only $IMAGE sleep 1000
	podman kube generate kp >"$BATS_TEST_TMPDIR/k.yaml"
	podman pod rm -f -t 0 kp >/dev/null
	podman kube play --network none "$BATS_TEST_TMPDIR/k.yaml"
	is "$(state kp-kpa '{{.State.Status}}')" running
	try exec kp-kpa sh -c 'touch /f 2>/dev/null || echo ro; cat /sys/fs/cgroup/memory.max'
	shows 0 $'ro\n94371840'
	podman kube down "$BATS_TEST_TMPDIR/k.yaml"
	try pod exists kp
	is "$status" 1
}

@test "build --isolation oci: RUN, its failure, its user, mounts and caches" {
	local d=$BATS_TEST_TMPDIR/ctx
	mkdir "$d"
	echo data >"$d/file"
	cat >"$d/Containerfile" <<-E
		FROM $IMAGE
		RUN id -u >/uid && mkdir -m 777 /open
		USER 5:6
		RUN echo "\$(id -u):\$(id -g)" >/open/ids
		USER root
		RUN --mount=type=bind,source=file,target=/f --mount=type=tmpfs,target=/t --mount=type=cache,target=/c cp /f /copied && touch /t/x /c/x
	E
	try build -q --isolation oci --network none -t localhost/built "$d"
	is "$status" 0
	once localhost/built sh -c 'cat /uid /open/ids /copied'
	shows 0 $'0\n5:6\ndata'
	printf 'FROM %s\nRUN exit 9\n' $IMAGE >"$d/Containerfile"
	try build -q --isolation oci --network none "$d"
	is "$status" 9
	podman rmi -f localhost/built >/dev/null
}

@test "hooks of --hooks-dir; secrets; --preserve-fds; log drivers" {
	local d=$BATS_TEST_TMPDIR/hooks
	mkdir "$d"
	printf '#!/bin/sh\ncat >%s/state\n' "$d" >"$d/hook"
	chmod 755 "$d/hook"
	printf '{"version":"1.0.0","hook":{"path":"%s/hook"},"when":{"always":true},"stages":["prestart"]}' "$d" >"$d/h.json"
	try --hooks-dir "$d" run --rm --network none $IMAGE true
	is "$status" 0
	like "$(<"$d/state")" '"status": ?"creat'
	echo hush | podman secret create sec1 - >/dev/null
	once --secret sec1,mode=0400,uid=5 --user 5 $IMAGE cat /run/secrets/sec1
	podman secret rm sec1 >/dev/null
	shows 0 hush
	exec 7<<<"through 3"
	status=0
	output=$(timeout 60 podman "${GLOBAL[@]}" run --rm --network none --preserve-fds 1 $IMAGE cat /proc/self/fd/3 3<&7 4>&-) || status=$?
	exec 7<&-
	shows 0 "through 3"
	once --log-driver none $IMAGE echo quiet
	shows 0 quiet
	once --log-driver passthrough $IMAGE echo passed
	shows 0 passed
}
