#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# checkpoint and restore as far as they go without a criu that works with this kernel: the real thing is in
# machine_checkpoint.bats. The criu here is our own, for what a real one can't be asked to do.
load lib/common
load lib/criu

setup() {
	common_setup
	fake_criu_setup
}
teardown() { common_teardown; }

running() {
	bundle c 'exec sleep 1000' "${1:-}"
	volrun run --detach --bundle "$T/c" c </dev/null >/dev/null 2>&1
}

asked() { tr -c '[:print:]' '\n' <"$T/asked"; }

@test "checkpoint and restore are there: their help ends with 0, and features says so" {
	local flag
	try volrun checkpoint --help
	ok
	for flag in image-path work-path parent-path leave-running tcp-established tcp-close tcp-skip-in-flight ext-unix-sk shell-job file-locks \
		link-remap pre-dump manage-cgroups-mode empty-ns page-server lazy-pages status-fd auto-dedup network-lock; do
		like "$output" "--$flag"
	done
	try volrun restore --help
	ok
	for flag in image-path work-path bundle detach pid-file console-socket lsm-profile lsm-mount-context tcp-close network-lock manage-cgroups-mode; do
		like "$output" "--$flag"
	done
	# As Podman asks before it restores into a pod.
	try volrun restore --lsm-mount-context
	not_ok 'flag needs an argument'
	is "$(volrun features | jq -r '.annotations."org.opencontainers.runc.checkpoint.enabled"')" true
	is "$(volrun features | jq '.potentiallyUnsafeConfigAnnotations | index("org.criu.") != null')" true
}

@test "without criu: one line that says what to install, and the container runs on" {
	running
	PATH='' try "$BIN/volrun" --root "$ROOT" checkpoint --image-path "$CK" c
	PATH=/nowhere:relative try "$BIN/volrun" --root "$ROOT" checkpoint --image-path "$CK" c
	not_ok '^volrun: error: checkpoint c: criu not found in PATH: install it \(Debian: criu\)$'
	is "$(status_of c)" running
	PATH=/nowhere try "$BIN/volrun" --root "$ROOT" restore --image-path "$CK" --bundle "$T/c" d
	not_ok '^volrun: error: restore d: criu not found in PATH: install it \(Debian: criu\)$'
	volrun delete --force c
}

@test "what can't be saved: nothing of that name, a container that is not running, options that make no sense" {
	try volrun checkpoint nothing
	not_ok 'checkpoint nothing: container does not exist'
	try volrun checkpoint
	not_ok 'an argument is missing'
	fake_criu ''
	running
	try with_fake checkpoint --image-path "$CK" --manage-cgroups-mode maybe c
	not_ok '--manage-cgroups-mode: "maybe" is none of'
	try with_fake checkpoint --image-path "$CK" --network-lock=none c
	not_ok '--network-lock: "none" is none of'
	try with_fake checkpoint --image-path "$CK" --empty-ns ipc c
	not_ok '--empty-ns: namespace "ipc" is not supported'
	try with_fake checkpoint --image-path "$CK" --page-server here c
	not_ok '--page-server: "here" is not ADDRESS:PORT'
	try with_fake checkpoint --image-path "$CK" --parent-path /x c
	not_ok '--parent-path must be relative'
	try with_fake checkpoint --image-path "$CK" --status-fd 0 c </dev/null
	not_ok '--status-fd: 0 is no descriptor that can be written to'
	try with_fake checkpoint --image-path "$T/c/config.json" c
	not_ok "--image-path $T/c/config.json"
	[[ ! -e $T/asked ]]
	volrun kill c KILL
	until_true 5 eval '[[ $(status_of c) == stopped ]]'
	try with_fake checkpoint --image-path "$CK" c
	not_ok 'container cannot be checkpointed in stopped state'
	volrun delete c
}

@test "a checkpoint: what criu is asked, and what becomes of the container" {
	mkdir "$T/src"
	running '.mounts += [{destination: "/data/x", type: "bind", source: "'"$T/src"'", options: ["bind"]}]
		| .linux.maskedPaths += ["/etc/passwd"] | .hooks.poststop = [{path: "/bin/sh", args: ["sh", "-c", "cat >'"$T"'/poststop"]}]'
	fake_criu 'say(6, 1, text(5, text(1, "pre-dump"))); hear(); say(1, 1)'
	try with_fake checkpoint --image-path "$T/deep/ck" --work-path "$T/work" --leave-running --shell-job --file-locks c
	ok
	is "$(cat "$T/argv")" "swrk 3"
	like "$(asked)" '/data/x'
	like "$(asked)" /etc/passwd
	like "$(asked)" 'dump.log'
	is "$(stat -c %a "$T/deep/ck")" 700
	is "$(jq length "$T/deep/ck/descriptors.json")" 3
	is "$(status_of c)" running
	[[ ! -e $T/poststop ]]
	try with_fake checkpoint --image-path "$CK" c
	ok
	is "$(volrun list -q)" ""
	is "$(jq -r .status "$T/poststop")" stopped
}

@test "a pre-dump is of the memory alone, and the container runs on" {
	running
	fake_criu 'say(13, 1)'
	try with_fake checkpoint --image-path "$CK" --pre-dump c
	ok
	unlike "$(asked)" /dev/null
	[[ ! -e $CK/descriptors.json ]]
	is "$(status_of c)" running
	volrun delete --force c
}

@test "a criu that fails: one line with its first error and the log's name, and the container runs on" {
	running
	fake_criu 'say(1, 0, text(9, "Error (criu/x.c:7): it is not to be\n"))'
	try with_fake checkpoint --image-path "$CK" c
	not_ok "^volrun: error: checkpoint c: criu failed: Error \(criu/x.c:7\): it is not to be \(log: $CK/dump.log\)\$"
	# An older one tells it only in its log.
	fake_criu 'open("'"$CK"'/dump.log", "w").write("(0.1) fine\n(0.2) Error (a.c:1): first\n(0.3) Error (b.c:2): last\n"); sys.exit(1)'
	try with_fake checkpoint --image-path "$CK" c
	not_ok 'criu failed: Error \(a.c:1\): first \(log: '
	rm "$CK/dump.log"
	fake_criu 'os.kill(os.getpid(), 9)'
	try with_fake checkpoint --image-path "$CK" c
	not_ok 'criu failed: it ended without saying why'
	fake_criu 's.send(b"\xff\xff\xff\xff"); hear()'
	try with_fake checkpoint --image-path "$CK" c
	not_ok 'criu failed'
	printf '#!/no/such/interpreter\n' >"$T/fake/criu"
	try with_fake checkpoint --image-path "$CK" c
	not_ok 'run .*/fake/criu: No such file'
	is "$(status_of c)" running
	volrun delete --force c
}

@test "--status-fd gets its byte when criu serves the pages" {
	running
	fake_criu 'say(6, 1, text(5, text(1, "status-ready"))); hear(); say(1, 1)'
	PATH=$T/fake:$PATH timeout 60 "$BIN/volrun" --root "$ROOT" checkpoint --image-path "$CK" --leave-running --lazy-pages --status-fd 7 c \
		7>"$T/status" 3>&- 4>&-
	is "$(od -An -tx1 "$T/status" | tr -d ' ')" 00
	volrun delete --force c
}

# restorable [JQ-FILTER]: a bundle and what restore reads of a checkpoint itself.
restorable() {
	bundle c 'exec sleep 1000' "${1:-}"
	mkdir -p "$CK"
	echo '["/dev/null","pipe:[5]","file[1a:5f]"]' >"$CK/descriptors.json"
}

@test "a restore that fails leaves nothing" {
	restorable
	fake_criu 'say(2, 0, text(9, "Error (criu/y.c:1): no memory of that"))'
	try with_fake restore --image-path "$CK" --work-path "$T/work" --bundle "$T/c" c
	not_ok "^volrun: error: restore c: criu failed: Error \(criu/y.c:1\): no memory of that \(log: $T/work/restore.log\)\$"
	nothing_left
	like "$(asked)" 'pipe:\[5\]'
	like "$(asked)" 'file\[1a:5f\]'
	like "$(asked)" 'criu-root'
	fake_criu 'sys.exit(1)'
	try with_fake restore --image-path "$CK" --bundle "$T/c" c
	not_ok 'criu failed'
	nothing_left
	# It says that it is done, and there is no process.
	fake_criu 'say(2, 1)'
	try with_fake restore --image-path "$CK" --bundle "$T/c" c
	not_ok 'criu did not say which process'
	nothing_left
	fake_criu 'say(6, 1, text(5, text(1, "orphan-pts-master"))); hear(); sys.exit(1)'
	try with_fake restore --image-path "$CK" --bundle "$T/c" c
	not_ok 'criu sent no terminal'
}

@test "a restore is refused before anything is made: no images, mad descriptors, no bundle, a taken id, volumes" {
	restorable
	fake_criu ''
	try with_fake restore --image-path "$T/nothing" --bundle "$T/c" c
	not_ok "restore c: --image-path $T/nothing: No such file"
	try with_fake restore --image-path "$CK" --bundle "$T/nothing" c
	not_ok "open the bundle $T/nothing"
	echo '{"a": 1}' >"$CK/descriptors.json"
	try with_fake restore --image-path "$CK" --bundle "$T/c" c
	not_ok 'descriptors.json'
	rm "$CK/descriptors.json"
	try with_fake restore --image-path "$CK" --bundle "$T/c" c
	not_ok 'read descriptors.json of the checkpoint'
	echo '[]' >"$CK/descriptors.json"
	try with_fake restore --image-path "$CK" --bundle "$T/c" -d --console-socket "$T/s" c
	not_ok 'process.terminal is false'
	config c '.mounts += [{destination: "/x", type: "bind", source: "'"$T/nothing"'", options: ["bind"]}]'
	try with_fake restore --image-path "$CK" --bundle "$T/c" c
	not_ok "mount \"$T/nothing\" on \"/x\""
	config c '.mounts |= .[:-1] | .annotations = {"dev.volrun.volume": "state /data"}'
	try with_fake restore --image-path "$CK" --bundle "$T/c" c
	not_ok 'restore c: read volrun-mounts.json of the checkpoint: No such file'
	config c 'del(.annotations)'
	volrun run -d --bundle "$T/c" c </dev/null >/dev/null 2>&1
	try with_fake restore --image-path "$CK" --bundle "$T/c" c
	not_ok 'container with given ID already exists'
	[[ ! -e $T/asked ]]
	volrun delete --force c
}

@test "criu is in the container's cgroup, and in a mount namespace of its own that has the root file system" {
	restorable
	fake_criu '
me = os.readlink("/proc/self/ns/mnt")
root = [l.split()[4] for l in open("/proc/self/mountinfo") if "criu-root" in l]
open(T + "/seen", "w").write("\n".join([open("/proc/self/cgroup").read(), me, os.getcwd()] + root + [str(os.path.exists(root[0] + "/bin/busybox"))]))
sys.exit(1)'
	try with_fake restore --image-path "$CK" --bundle "$T/c" c
	like "$(cat "$T/seen")" "/$CG/c"
	like "$(cat "$T/seen")" "$ROOT/c/criu-root"
	like "$(tail -1 "$T/seen")" True
	unlike "$(cat "$T/seen")" "$(readlink /proc/self/ns/mnt)"
	is "$(left_mounts)" ""
}

@test "killed while criu works: delete --force takes all away, criu too" {
	restorable
	fake_criu 'import time; time.sleep(1000)'
	PATH=$T/fake:$PATH volrun_bg restore --image-path "$CK" --bundle "$T/c" c 2>/dev/null
	local pid=$!
	until_true 10 test -e "$T/asked"
	kill -9 "$pid"
	ended "$pid"
	volrun delete --force c
	nothing_left
	[[ -z $(grep -lF "$T/fake/criu" /proc/[0-9]*/cmdline) ]]
}

@test "the restored process: its pid is in the state and the pid file, its end is the end of the foreground" {
	restorable '.hooks = {prestart: [{path: "/bin/sh", args: ["sh", "-c", "cat >'"$T"'/prestart"]}], poststart: [{path: "/bin/sh", args: ["sh", "-c", "cat >'"$T"'/poststart"]}]}'
	# Its child becomes ours, as criu does it: by a clone with CLONE_PARENT.
	fake_criu '
import ctypes, time
r, w = os.pipe()
pid = ctypes.CDLL(None).syscall(56, 0x8000 | 0x40000000 | 17, 0, 0, 0, 0)
if pid == 0:
    s.close()
    os.close(w)
    os.read(r, 1)
    time.sleep(0.5)
    os._exit(9)
for name in ("pre-restore", "setup-namespaces", "post-restore", "post-resume"):
    say(6, 1, text(5, text(1, name) + (number(2, pid) if "-restore" in name or "setup" in name else b"")))
    hear()
say(2, 1, text(4, number(1, pid)))
os._exit(0)'
	try with_fake restore --image-path "$CK" --bundle "$T/c" --pid-file "$T/pid" c
	is "$status" 9
	is "$(jq -r .pid "$T/prestart")" "$(cat "$T/pid")"
	is "$(jq -r .status "$T/poststart")" running
	is "$(volrun list -q)" ""
}
