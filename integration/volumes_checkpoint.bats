#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What a checkpoint does with volumes, and what a restore wants of them. The criu is our own: it dumps nothing, and what it
# restores is a process of its own. The real one: machine_checkpoint_volumes.bats.
load lib/common
load lib/volume
load lib/criu

setup() {
	common_setup
	fake_criu_setup
	node a
	HEAD=$T/store/volumes/default/.volrun/state/head
}
teardown() { common_teardown; }

# What the real one does when all is saved: it asks, and ends the processes, or lets them go on.
DUMP='
import signal
pid = int(os.environ["INIT"])
os.kill(pid, signal.SIGSTOP)
say(6, 1, text(5, text(1, "post-dump")))
done = number(3, 1) in hear()
if os.environ.get("END") and done: os.kill(pid, signal.SIGKILL)
os.kill(pid, signal.SIGCONT)
say(1, 1 if done else 0)'

# Its child becomes volrun's, writes a file to the volume while that has its place beside criu's root, and ends with 9.
RESTORE='
import ctypes
go, said = os.pipe(), os.pipe()
pid = ctypes.CDLL(None).syscall(56, 0x8000 | 0x40000000 | 17, 0, 0, 0, 0)
if pid == 0:
    s.close()
    os.close(go[1])
    os.read(go[0], 1)
    place = [l.split()[4] for l in open("/proc/self/mountinfo") if l.split()[4].endswith("/volume-0")]
    if not place: os._exit(8)
    if not os.statvfs(place[0]).f_flag & os.ST_RDONLY: open(place[0] + "/restored", "w").write("x")
    os.write(said[1], b"x")
    os.read(go[0], 1)
    os._exit(9)
os.close(said[1])
for name in ("pre-restore", "setup-namespaces", "post-restore", "post-resume"):
    say(6, 1, text(5, text(1, name) + (number(2, pid) if "-restore" in name or "setup" in name else b"")))
    if number(3, 1) not in hear():
        os.kill(pid, 9)
        sys.exit(1)
    if name == "setup-namespaces":
        os.write(go[1], b"x")
        os.read(said[0], 1)
say(2, 1, text(4, number(1, pid)))
os._exit(0)'

# checkpoint [--leave-running]: of c, by node a.
checkpoint() {
	local INIT END=1
	INIT=$(on a pid_of c)
	[[ ${1:-} != --leave-running ]] || END=''
	export INIT END
	fake_criu "$DUMP"
	try on a with_fake checkpoint --image-path "$CK" "$@" c
}
# restore NODE
restore() {
	fake_criu "$RESTORE"
	try on "$1" with_fake restore --image-path "$CK" --bundle "$T/c" c
	until_true 30 eval '[[ -z $(keepers) ]]'
}
restored() { restore "$1"; is "$status" 9 "what the restored process ended with"; }
refused() {
	restore "$1"
	not_ok "^volrun: error: restore c: volume state: it is not as the checkpoint left it: it has commit $2 of lease [0-9]+, the checkpoint is of commit [0-9]+ of lease [0-9]+; to restore nonetheless, with the files as they are now, remove $CK/volrun-volumes.json\$"
	is "$(jq -r .state "$HEAD")" free
	is "$(on "$1" volrun list -q)" ""
}

start() {
	vstart a c 'state /data' 'echo one >/data/f; exec sleep 1000'
	until_true 10 test -e "$T/cache-a/main/default/state/rw/f"
}
commit() { jq -c "[.commit.epoch, .commit.seq, .commit.sha256]" "$HEAD"; }
noted() { jq -c '.volumes[0] | [.epoch, .seq, .record]' "$CK/volrun-volumes.json"; }

@test "a checkpoint commits and notes the commit; nothing comes after it, and a restore finds it, on any node" {
	node b
	start
	checkpoint
	ok
	until_true 30 eval '[[ -z $(keepers) ]]'
	is "$(jq -c 'del(.volumes[].record)' "$CK/volrun-volumes.json")" '{"format":1,"volumes":[{"destination":"/data","epoch":1,"seq":1}]}'
	is "$(stat -c %a "$CK/volrun-volumes.json")" 600
	is "$(commit)" "$(noted)"
	cp -r "$CK" "$T/once"
	restored b
	is "$(cat "$T/store/volumes/default/state/restored")" x
	# It is not the same volume any more.
	refused a 2
}

@test "a volume that has moved on is refused with one line; without the note it is taken as it is" {
	start
	checkpoint
	ok
	until_true 30 eval '[[ -z $(keepers) ]]'
	vrun a d 'state /data' 'echo two >/data/f'
	ok
	refused a 2
	is "$(cat "$T/store/volumes/default/state/f")" two
	rm "$CK/volrun-volumes.json"
	restored a
	is "$(cat "$T/store/volumes/default/state/restored")" x
}

@test "who looked and changed nothing is no reason, nor is a file that came by the store" {
	start
	checkpoint
	ok
	until_true 30 eval '[[ -z $(keepers) ]]'
	vrun a d 'state /data' 'cat /data/f'
	ok
	echo three >"$T/store/volumes/default/state/foreign"
	restored a
}

@test "--leave-running: the commit is that of this moment; what comes after it is a reason to refuse" {
	start
	checkpoint --leave-running
	ok
	is "$(noted)" "$(commit)"
	is "$(jq -r .state "$HEAD")" held
	on a volrun exec c sh -c 'echo two >/data/f'
	on a volrun delete --force c
	until_true 30 eval '[[ -z $(keepers) ]]'
	refused a 2
	# As long as nobody writes, it can be restored.
	on a volrun run -d --bundle "$T/c" c </dev/null >/dev/null 2>&1
	until_true 10 eval '[[ $(cat "$T/cache-a/main/default/state/rw/f") == one ]]'
	checkpoint --leave-running
	ok
	on a volrun delete --force c
	until_true 30 eval '[[ -z $(keepers) ]]'
	restored a
}

@test "what can't be committed makes no checkpoint, and the container goes on" {
	node a '.limits.bytes_per_volume = 1000'
	start
	on a volrun exec c dd if=/dev/zero of=/data/large bs=2000 count=1
	checkpoint
	not_ok '^volrun: error: checkpoint c: volume state: .*1000'
	is "$(on a status_of c)" running
	[[ ! -e $CK/volrun-volumes.json ]]
	on a volrun exec c rm /data/large
	checkpoint
	ok
	until_true 30 eval '[[ -z $(keepers) ]]'
	is "$(noted)" "$(commit)"
	restored a
}

@test "a keeper that is dead is named; a new one takes its place, and the checkpoint is made" {
	start
	kill -9 "$(keepers)"
	until_true 10 eval '[[ -z $(keepers) ]]'
	checkpoint
	not_ok "checkpoint c: the keeper of its volumes can't be reached \(error [0-9]+\): volrun volume recover starts another one"
	is "$(on a status_of c)" running
	try on a volrun volume recover
	until_true 10 eval '[[ -n $(keepers) ]]'
	checkpoint
	ok
	until_true 30 eval '[[ -z $(keepers) ]]'
	is "$(noted)" "$(commit)"
	restored a
}

@test "read-only: another commit than the one that was read is refused, too" {
	vrun a d 'state /data' 'echo zero >/data/f'
	ok
	vstart a c 'state /data ro' 'exec sleep 1000'
	checkpoint
	ok
	until_true 30 eval '[[ -z $(keepers) ]]'
	is "$(noted)" "$(commit)"
	restored a
	vrun a d 'state /data' 'echo two >/data/f'
	ok
	refused a 2
}

@test "a note that is none: refused, with its place" {
	start
	checkpoint
	ok
	until_true 30 eval '[[ -z $(keepers) ]]'
	cp "$CK/volrun-volumes.json" "$T/note"
	jq -c '.volumes[0].seq = "1"' "$T/note" >"$CK/volrun-volumes.json"
	restore a
	not_ok "restore c: $CK/volrun-volumes.json: note: \\$.volumes\[0\].seq: "
	jq -c '.format = 2' "$T/note" >"$CK/volrun-volumes.json"
	restore a
	not_ok "restore c: $CK/volrun-volumes.json: note: it is of a newer format \(2\): upgrade volrun"
	ln -sf "$T/note" "$CK/volrun-volumes.json"
	restore a
	not_ok "restore c: $CK/volrun-volumes.json can't be read"
	is "$(jq -r .state "$HEAD")" free
}

@test "a volume that others of the pod write to is not noted, and said so; a restore does not look at it" {
	local pod='.annotations["io.kubernetes.cri.sandbox-id"] = "p1"'
	node a '.identity.engine = "containerd-cri"'
	pod+=' | .annotations["io.kubernetes.cri.container-type"] = "container" | .annotations["io.kubernetes.cri.sandbox-namespace"] = "default" | .annotations["io.kubernetes.cri.container-name"] = "n"'
	vstart a c 'state /data' 'echo one >/data/f; exec sleep 1000' "$pod"
	until_true 10 test -e "$T/cache-a/main/default/state/rw/f"
	vstart a d 'state /data' 'exec sleep 1000' "$pod"
	checkpoint --leave-running
	ok
	like "$stderr" 'warning.*volume state: other containers of its pod write to it'
	is "$(jq -c . "$CK/volrun-volumes.json")" '{"format":1,"volumes":[]}'
	on a volrun delete --force d
	# It is alone now.
	until_true 10 eval 'checkpoint --leave-running; [[ $(jq ".volumes | length" "$CK/volrun-volumes.json") == 1 ]]'
	on a volrun delete --force c
}
