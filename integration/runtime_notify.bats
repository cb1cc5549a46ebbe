#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# NOTIFY_SOCKET: what a service manager hears of a container.

load lib/common
setup() { common_setup; }
teardown() { common_teardown; }

# manager N: listens at $T/manager.sock for N messages, writes each as a line
# of $T/heard, a descriptor as "+fd" (and closes it 0.5 s later).
manager() {
	python3 -c 'import os, socket, sys, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind(sys.argv[1])
with open(sys.argv[2], "w", buffering=1) as out:
    for i in range(int(sys.argv[3])):
        text, fds, flags, address = socket.recv_fds(s, 4096, 4)
        out.write(text.decode() + "+fd" * len(fds) + "\n")
        time.sleep(0.5 if fds else 0)
        for fd in fds: os.close(fd)' "$T/manager.sock" "$T/heard" "$1" 3>&- 4>&- &
	MANAGER=$!
	until_true 5 test -S "$T/manager.sock"
}

# A static program that sends its arguments to $NOTIFY_SOCKET and sleeps.
sender() {
	local cc
	cc=$(command -v gcc || command -v clang) || skip "no C compiler for the program in the container"
	[[ -x $SUITE/notify ]] || "$cc" -static -o "$SUITE/notify" -x c - <<'C'
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	const char *path = getenv("NOTIFY_SOCKET");
	int s = socket(AF_UNIX, SOCK_DGRAM, 0);
	if (!path)
		return 7;
	strncpy(a.sun_path, path, sizeof(a.sun_path) - 1);
	for (int i = 1; i < argc; i++)
		if (sendto(s, argv[i], strlen(argv[i]), 0, (void *)&a, sizeof(a)) < 0)
			return 8;
	return 0;
}
C
	cp "$SUITE/notify" "$T/c1/rootfs/bin/notify"
}

say='notify STATUS=starting READY=0 && notify "X=1
READY=1
STATUS=up" && notify READY=1 && echo said; sleep 30 & wait'

@test "start passes READY=1 on, then MAINPID and BARRIER, and waits for all that" {
	bundle c1 "$say" '.process.user = {uid: 1000, gid: 1000} | .process.env += ["NOTIFY_SOCKET=/of/the/image"]'
	sender
	manager 3
	export NOTIFY_SOCKET=$T/manager.sock
	try volrun create --bundle "$T/c1" c1
	ok
	[[ ! -s $T/heard ]]
	local pid before
	pid=$(pid_of c1)
	before=$(now_ms)
	try volrun start c1
	ok
	(($(now_ms) - before >= 500)) || fail "did not wait for the barrier"
	wait "$MANAGER"
	is "$(<"$T/heard")" $'READY=1\nMAINPID='"$pid"$'\nBARRIER=1+fd'
	# Of the directory it has nothing but the socket, and can't write there.
	is "$(volrun exec c1 sh -c 'ls /run/notify; touch /run/notify/x 2>/dev/null || echo denied')" $'notify.sock\ndenied'
	volrun delete --force c1
}

@test "run passes it on, detached and in the foreground" {
	bundle c1 "$say"
	sender
	manager 3
	NOTIFY_SOCKET=$T/manager.sock try volrun run --detach --bundle "$T/c1" c1
	ok
	wait "$MANAGER"
	is "$(sed -n 2p "$T/heard")" "MAINPID=$(pid_of c1)"
	volrun delete --force c1
	rm "$T/manager.sock"
	manager 2
	NOTIFY_SOCKET=$T/manager.sock volrun_bg run --bundle "$T/c1" c1 >"$T/out"
	local run=$!
	wait "$MANAGER"
	is "$(sed -n 1p "$T/heard")" READY=1
	volrun delete --force c1
	ended $run
}

@test "a container with a user namespace and a read-only root can say it, too" {
	bundle c1 "$say" '.root.readonly = true | .process.user = {uid: 1000, gid: 1000} | .mounts += [{destination: "/run", type: "tmpfs", source: "tmpfs"}]'
	sender
	in_userns c1
	manager 3
	NOTIFY_SOCKET=$T/manager.sock try volrun run --detach --bundle "$T/c1" c1
	ok
	wait "$MANAGER"
	is "$(sed -n 1p "$T/heard")" READY=1
	volrun delete --force c1
}

@test "a container that ends without READY=1 is not waited for" {
	bundle c1 'exit 3'
	export NOTIFY_SOCKET=$T/nobody.sock
	try volrun create --bundle "$T/c1" c1
	ok
	try volrun start c1
	ok
	volrun delete --force c1
	try volrun run --bundle "$T/c1" c1
	is "$status" 3
}

@test "without NOTIFY_SOCKET a container has none" {
	container c1 'echo "${NOTIFY_SOCKET-none}"; ls -d /run/notify 2>/dev/null; echo end'
	is "$output" $'none\nend'
}
