#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Public attacks on container runtimes, made from their descriptions: images and other containers that change the paths
# on which the runtime makes its mounts. See runtime_attacks.bats.

load lib/common

setup_file() { cc -O2 -static -o "$BATS_FILE_TMPDIR/swap" "$BATS_TEST_DIRNAME/attacks/swap.c"; }
# "shared": what a container and its attacker have in common; "host": what nobody in a container has.
setup() {
	common_setup
	mkdir -p "$T/shared/dir" "$T/host" "$T/source"
	echo secret >"$T/host/secret"
	echo inside >"$T/source/file"
	# Where a destination on the host would be.
	ESCAPE=volrun-escape-$$
	HOST_MOUNTS=$(mounts_of_host)
}
teardown() {
	# shellcheck disable=SC2086 # pids; they end by themselves
	[[ -z ${SWAPS:-} ]] || wait $SWAPS || :
	umount -l "/$ESCAPE" 2>/dev/null || :
	rm -rf "/${ESCAPE:?}"
	common_teardown
}

# Never a pid that has become somebody else's.
stop_receiver() { ! jobs -p | grep -qx "$RECEIVER" || kill "$RECEIVER" 2>/dev/null || :; }

# Others may be at work in /tmp and with network namespaces; systemd makes mounts for each of its services, whose timers
# come when they come.
mounts_of_host() { awk -v t="$T" '$5 !~ "^/(tmp|run/(credentials|netns))(/|$)" || index($5, t) == 1 { print $3, $4, $5, $6 }' /proc/self/mountinfo | sort; }

# Exchanges two things of the shared directory for so many seconds.
exchange() {
	"$BATS_FILE_TMPDIR/swap" "$T/shared/$1" "$T/shared/$2" "$3" 3>&- 4>&- &
	SWAPS="${SWAPS:-} $!"
}

worked_or_one_line() {
	((status == 0)) || not_ok
	unlike "$stderr" "$SANITIZER"
}
SANITIZER='runtime error|AddressSanitizer'

host_unharmed() {
	is "$(ls -A "$T/host")" secret "the host's directory"
	is "$(<"$T/host/secret")" secret
	[[ ! -e /$ESCAPE ]] || fail "/$ESCAPE is on the host"
	is "$(mounts_of_host)" "$HOST_MOUNTS" "the host's mounts"
}

# for_seconds N BUNDLE: runs it over and over; what it prints must match $expected, where it works.
for_seconds() {
	local end=$((SECONDS + $1)) worked=0 rounds=0
	while ((SECONDS < end)); do
		try volrun run --bundle "$T/$2" "$2"
		worked_or_one_line
		[[ $output != *secret* ]] || fail "the host's file: $(show_last)"
		((status != 0)) || worked=$((worked + 1))
		rounds=$((rounds + 1))
	done
	echo "$worked of $rounds worked"
	host_unharmed
}

# In the shared directory: to the root, and to the host's directory.
links_to_host() {
	ln -s / "$T/shared/link"
	ln -s "../../../../../../../../../..$T/host" "$T/shared/link2"
}

share='.mounts += [{destination: "/vol", source: $shared, options: ["rbind", "rw"]}]'

@test "CVE-2021-30465: a mount beneath a shared volume whose directory becomes a link to /" {
	# By name: through the link there is a /dev/zero, which has no end.
	bundle c 'cat /vol/dir/*/inside /vol/dir/inside /vol/dir/*/secret /vol/dir/secret 2>/dev/null; true'
	config c --arg shared "$T/shared" --arg s "$T/source" --arg e "$ESCAPE" "$share"' | .mounts += [
		{destination: "/vol/dir", source: $s, options: ["rbind", "rw"]},
		{destination: "/vol/dir/\($e)", source: $s, options: ["rbind", "rw"]},
		{destination: "/vol/dir/\($e)/tmp", type: "tmpfs", source: "tmpfs"}]'
	links_to_host
	exchange dir link 4
	for_seconds 4 c
}

@test "CVE-2021-30465: the link leads to a directory of the host by dots, and the mount is a file" {
	bundle c 'cat /vol/dir/secret /vol/dir/new /vol/dir/*/secret 2>/dev/null; true'
	config c --arg shared "$T/shared" --arg s "$T/source" "$share"' | .mounts += [
		{destination: "/vol/dir/new", source: ($s + "/file"), options: ["bind", "ro"]},
		{destination: "/vol/dir/sub/new", source: $s, options: ["bind", "ro"]}]'
	links_to_host
	exchange dir link2 4
	for_seconds 4 c
}

@test "CVE-2024-45310: no empty file or directory is made on the host, however deep the destination" {
	bundle c 'true'
	config c --arg shared "$T/shared" --arg s "$T/source" "$share"' | .mounts += [
		{destination: "/vol/a/b/c/d", source: $s, options: ["bind"]},
		{destination: "/vol/a/b/e/f", source: ($s + "/file"), options: ["bind"]}]'
	mkdir -p "$T/shared/a/b"
	ln -s "$T/host" "$T/shared/link"
	exchange a link 4
	for_seconds 4 c
}

@test "CVE-2024-45310: nor by the links that an image has for a mount's destination, a device's, the working directory's" {
	bundle c 'true'
	config c --arg s "$T/source" '.mounts += [
		{destination: "/out/mount/deep", source: $s, options: ["bind"]},
		{destination: "/out/file", source: ($s + "/file"), options: ["bind"]},
		{destination: "/dots/tmp", type: "tmpfs", source: "tmpfs"}]
		| .linux.devices = [{path: "/out/device", type: "c", major: 1, minor: 3}]
		| .process.cwd = "/out/cwd/deep"'
	ln -s "$T/host" "$T/c/rootfs/out"
	ln -s "../../../../../../../../../..$T/host" "$T/c/rootfs/dots"
	try volrun run --bundle "$T/c" c
	ok
	host_unharmed
}

@test "CVE-2021-30465: what tmpcopyup copies is never the host's" {
	bundle c 'cat /vol/dir/secret /vol/dir/*/secret 2>/dev/null; true'
	config c --arg shared "$T/shared" "$share"' | .mounts += [{destination: "/vol/dir", type: "tmpfs", source: "tmpfs", options: ["tmpcopyup"]}]'
	mkdir "$T/shared/dir/sub"
	echo mine >"$T/shared/dir/sub/file"
	mkfifo "$T/shared/fifo"
	echo file >"$T/shared/dir/file"
	links_to_host
	exchange dir link2 4
	exchange dir/file fifo 4
	for_seconds 4 c
}

@test "masked and read-only paths, a working directory and a device beneath a volume that changes" {
	bundle c 'cat secret /vol/dir/secret 2>/dev/null; true'
	config c --arg shared "$T/shared" "$share"' | .linux.maskedPaths += ["/vol/dir/masked", "/vol/dir"]
		| .linux.readonlyPaths += ["/vol/dir/ro", "/vol/dir"]
		| .linux.devices = [{path: "/vol/dir/sub/device", type: "c", major: 1, minor: 3}]
		| .process.cwd = "/vol/dir/sub/cwd"'
	links_to_host
	exchange dir link2 4
	for_seconds 4 c
}

# --- /proc --------------------------------------------------------------------------

real_proc='grep -q "^self " /proc/mounts; head -c 1 /proc/kcore 2>/dev/null | wc -c
	[ -e /proc/1/stat ] || echo "no proc"; echo 1 >/proc/sys/kernel/domainname 2>/dev/null && echo "proc/sys is writable"; true'

@test "CVE-2019-19921: a volume or a tmpfs on /proc is refused, also by a link or by dots" {
	local d
	for d in /proc /link /dots/../proc /./proc/ /deep/link; do
		bundle c 'true'
		mkdir -p "$T/c/rootfs/deep" "$T/c/rootfs/dots"
		ln -sfn /proc "$T/c/rootfs/link"
		ln -sfn ../link "$T/c/rootfs/deep/link"
		config c --arg s "$T/source" --arg d "$d" '.mounts += [{destination: $d, source: $s, options: ["rbind"]}]'
		try volrun run --bundle "$T/c" c
		not_ok 'on /proc|inside /proc'
		config c '.mounts[-1].type = "tmpfs" | .mounts[-1].source = "tmpfs" | del(.mounts[-1].options)'
		try volrun run --bundle "$T/c" c
		not_ok 'on /proc|inside /proc'
	done
}

@test "CVE-2019-16884: a volume with a false /proc, mounted on the root or first, shows no false /proc to AppArmor and sysctl" {
	mkdir -p "$T/shared/proc/self/attr" "$T/shared/proc/sys/kernel" "$T/shared/proc/sys/net/ipv4"
	touch "$T/shared/proc/self/attr/exec" "$T/shared/proc/sys/net/ipv4/ip_forward"
	cp -a "$SUITE/rootfs/bin" "$T/shared/bin"
	# Everything is mounted again in the new root, or nothing is.
	bundle c "$real_proc"
	config c --arg shared "$T/shared" '.mounts = [{destination: "/", source: $shared, options: ["rbind"]}] + .mounts
		| .linux.sysctl = {"net.ipv4.ip_forward": "1"}'
	try volrun run --bundle "$T/c" c
	worked_or_one_line
	((status)) || is "$output" 0
	is "$(cat "$T"/shared/proc/self/attr/exec "$T/shared/proc/sys/net/ipv4/ip_forward")" "" "the false files"
	config c '.mounts = .mounts[1:] + .mounts[:1]'
	try volrun run --bundle "$T/c" c
	not_ok 'proc'
	is "$(cat "$T"/shared/proc/self/attr/exec "$T/shared/proc/sys/net/ipv4/ip_forward")" "" "the false files"
}

@test "CVE-2023-27561, CVE-2023-28642: an image whose /proc or /sys is a link is refused" {
	local what link
	for what in proc sys; do
		for link in /fake ../../../../../../../../tmp fake/../fake /proc/self/root/fake; do
			bundle c "$real_proc" '.mounts += [{destination: "/fake", type: "tmpfs", source: "tmpfs"}]'
			rm -rf "$T/c/rootfs/${what:?}"
			mkdir -p "$T/c/rootfs/fake"
			ln -s $link "$T/c/rootfs/$what"
			try volrun run --bundle "$T/c" c
			not_ok 'not through a symbolic link'
			rm -rf "$T/c/rootfs"
		done
	done
}

@test "CVE-2023-27561: a /proc that becomes a link while containers start: it is real and masked, or refused" {
	bundle c "$real_proc" '.linux.sysctl = {"net.ipv4.ip_forward": "1"}'
	mkdir -p "$T/c/rootfs/fake/sys/net/ipv4" "$T/c/rootfs/fake/self/attr"
	touch "$T/c/rootfs/fake/sys/net/ipv4/ip_forward"
	ln -s /fake "$T/c/rootfs/link"
	rmdir "$T/shared/dir"
	"$BATS_FILE_TMPDIR/swap" "$T/c/rootfs/proc" "$T/c/rootfs/link" 4 3>&- 4>&- &
	SWAPS=$!
	local end=$((SECONDS + 4)) worked=0
	while ((SECONDS < end)); do
		try volrun run --bundle "$T/c" c
		worked_or_one_line
		((status)) && continue
		worked=$((worked + 1))
		# With the link in its place after that, there is no /proc for anybody.
		[[ $output == 0 || $output == *"no proc"* ]] || fail "$(show_last)"
	done
	wait "$SWAPS" || :
	((worked)) || fail "none worked"
	is "$(cat "$T"/c/rootfs/fake/sys/net/ipv4/ip_forward "$T"/c/rootfs/proc/sys/net/ipv4/ip_forward "$T"/c/rootfs/link/sys/net/ipv4/ip_forward 2>/dev/null)" "" "the false sysctl"
	host_unharmed
}

@test "CVE-2025-52881: nothing can be put over the files of /proc that the runtime writes to" {
	local d
	for d in /proc/sys /proc/sys/kernel /proc/sys/net/ipv4/ip_forward /proc/self/attr/exec /proc/self/attr /proc/version /proc/1 /proc/fs; do
		bundle c true
		config c --arg s "$T/source" --arg d "$d" '.mounts += [{destination: $d, source: "/proc/uptime", options: ["bind"]}]
			| .linux.sysctl = {"net.ipv4.ip_forward": "1"}'
		try volrun run --bundle "$T/c" c
		not_ok 'inside /proc'
	done
}

@test "CVE-2025-52881: a container that covers its own /proc does not take the label of exec for itself" {
	[[ ! -d /sys/fs/selinux/booleans ]] || skip "with SELinux the label would have to be a real one"
	bundle c 'mount -t tmpfs tmpfs /proc && mkdir -p /proc/self/attr /proc/thread-self/attr && touch /proc/self/attr/exec /proc/thread-self/attr/exec && touch /ready; exec sleep 1000' \
		'.process.capabilities |= map_values(. + ["CAP_SYS_ADMIN"])'
	volrun run --detach --bundle "$T/c" c </dev/null >/dev/null 2>&1
	until_true 5 test -e "$T/c/rootfs/ready"
	# The kernel refuses it, since no security module takes labels; a false /proc would have taken it.
	try volrun exec --process-label volrun_t c true
	not_ok 'volrun_t.*`/proc/self/attr/exec`'
	is "$(volrun exec c cat /proc/self/attr/exec)" ""
	volrun delete --force c
}

@test "a link of a running container to /proc or /sys does not let mounts remove, or a remount, take its masks away" {
	bundle c 'ln -s /proc /mnt/p; ln -s /sys /mnt/s; touch /ready; exec sleep 1000'
	volrun run --detach --bundle "$T/c" c </dev/null >/dev/null 2>&1
	until_true 5 test -e "$T/c/rootfs/ready"
	local d before after
	before=$(grep -c . "/proc/$(pid_of c)/mounts")
	for d in /mnt/p/keys /mnt/p/timer_list /mnt/p/sys /mnt/p/sysrq-trigger /mnt/s/firmware /mnt/p; do
		echo '[{"destination":"'"$d"'","type":"none","source":"none","options":["rw"]}]' >"$T/mounts.json"
		try volrun mounts remove c "$T/mounts.json"
		not_ok
		echo '[{"destination":"'"$d"'","type":"none","source":"none","options":["remount","bind","rw"]}]' >"$T/mounts.json"
		[[ $d == /mnt/s* || $d == /mnt/p ]] || { try volrun mounts add c "$T/mounts.json"; not_ok; }
	done
	after=$(grep -c . "/proc/$(pid_of c)/mounts")
	is "$after" "$before" "mounts of the container"
	like "$(grep ' /proc/sys ' "/proc/$(pid_of c)/mounts")" ' ro,'
	volrun delete --force c
}

# --- masks, devices, terminals ----------------------------------------------------------

@test "CVE-2025-31133: a /dev/null that is not the null device masks nothing: refused" {
	local make
	for make in "ln -s /proc/sys/kernel/core_pattern" "ln -s zero" "touch" "mkdir" "mkfifo" "ln -s ../../../../../../../../etc/passwd"; do
		bundle c 'cat /proc/kcore' 'del(.mounts[] | select(.destination | startswith("/dev")))'
		$make "$T/c/rootfs/dev/null"
		try volrun run --bundle "$T/c" c
		not_ok '/dev/null'
		rm -rf "$T/c/rootfs"
	done
}

@test "CVE-2025-31133: a /dev/null exchanged for a link while masks are made" {
	bundle c 'head -c 1 /proc/keys | wc -c; head -c 1 /proc/timer_list | wc -c'
	config c --arg shared "$T/shared" '.mounts |= map(select(.destination | startswith("/dev") | not)) + [{destination: "/dev", source: $shared, options: ["rbind"]}]'
	mknod -m 666 "$T/shared/null" c 1 3
	ln -s /proc/sys/kernel/core_pattern "$T/shared/evil"
	local pattern end=$((SECONDS + 4)) worked=0
	pattern=$(</proc/sys/kernel/core_pattern)
	exchange null evil 4
	while ((SECONDS < end)); do
		try volrun run --bundle "$T/c" c
		worked_or_one_line
		((status)) && continue
		worked=$((worked + 1))
		is "$output" $'0\n0'
	done
	((worked)) || fail "none worked"
	is "$(</proc/sys/kernel/core_pattern)" "$pattern"
	host_unharmed
}

with_terminal() { # BUNDLE
	rm -f "$T/tty.sock" "$T/tty.out"
	"$LIB/recvtty" "$T/tty.sock" "$T/tty.out" 3>&- 4>&- &
	RECEIVER=$!
	until_true 5 test -S "$T/tty.sock"
	try volrun create --bundle "$T/$1" --console-socket "$T/tty.sock" "$1"
}

@test "CVE-2025-52565: a /dev/pts of the image, with links for terminals, is not taken for one" {
	bundle c 'true' '.process.terminal = true | del(.mounts[] | select(.destination == "/dev/pts" or .destination == "/dev"))'
	mkdir -p "$T/c/rootfs/dev/pts"
	mknod -m 666 "$T/c/rootfs/dev/null" c 1 3
	local i make
	for i in {0..9}; do ln -s /proc/sys/kernel/core_pattern "$T/c/rootfs/dev/pts/$i"; done
	for make in "mknod NAME c 5 2" "ln -s /dev/ptmx NAME" "mkfifo NAME" "touch NAME" "mknod NAME c 1 5"; do
		rm -f "$T/c/rootfs/dev/pts/ptmx"
		${make/NAME/$T/c/rootfs/dev/pts/ptmx}
		with_terminal c
		not_ok 'dev/pts'
		stop_receiver
	done
}

@test "CVE-2025-52565: a /dev/console that is a link, or becomes one, is not mounted on" {
	bundle c 'exec sleep 1000' '.process.terminal = true | del(.mounts[] | select(.destination == "/dev"))'
	mknod -m 666 "$T/c/rootfs/dev/null" c 1 3
	mkdir "$T/c/rootfs/dev/pts"
	ln -s /proc/sys/kernel/core_pattern "$T/c/rootfs/dev/console"
	with_terminal c
	not_ok '/dev/console'
	stop_receiver
	rm "$T/c/rootfs/dev/console"
	touch "$T/c/rootfs/dev/console"
	ln -s /proc/sys/kernel/core_pattern "$T/c/rootfs/dev/evil"
	"$BATS_FILE_TMPDIR/swap" "$T/c/rootfs/dev/console" "$T/c/rootfs/dev/evil" 4 3>&- 4>&- &
	SWAPS=$!
	local end=$((SECONDS + 4)) mounts
	while ((SECONDS < end)); do
		with_terminal c
		if ((status)); then
			not_ok
			stop_receiver
			continue
		fi
		mounts=$(cut -d ' ' -f 5 "/proc/$(pid_of c)/mountinfo")
		[[ $mounts != *core_pattern* ]] || fail "mounted on core_pattern"
		volrun delete --force c
		wait "$RECEIVER" || :
	done
	host_unharmed
}

@test "CVE-2025-52565: exec with a terminal believes no /dev/ptmx and no /dev/pts that the container has made" {
	bundle c 'exec sleep 1000' '.process.capabilities |= map_values(. + ["CAP_SYS_ADMIN"])'
	volrun run --detach --bundle "$T/c" c </dev/null >/dev/null 2>&1
	local tty=$T/tty.sock
	volrun exec c sh -c 'rm /dev/ptmx; ln -s /proc/sys/kernel/core_pattern /dev/ptmx'
	"$LIB/recvtty" "$tty" "$T/tty.out" 3>&- 4>&- &
	RECEIVER=$!
	until_true 5 test -S "$tty"
	try volrun exec --tty --console-socket "$tty" c tty
	ok
	ended "$RECEIVER"
	like "$(<"$T/tty.out")" /dev/pts/
	volrun exec c sh -c 'mount -t tmpfs tmpfs /dev/pts; mkfifo /dev/pts/ptmx'
	rm -f "$tty"
	"$LIB/recvtty" "$tty" "$T/tty.out" 3>&- 4>&- &
	RECEIVER=$!
	until_true 5 test -S "$tty"
	try volrun exec --tty --console-socket "$tty" c tty
	not_ok 'dev/pts'
	stop_receiver
	volrun delete --force c
}

# --- cgroups, other ------------------------------------------------------------------

@test "CVE-2023-25809: without a cgroup namespace or a network namespace of its own nobody writes to /sys/fs/cgroup" {
	local cgroup='{destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["nosuid", "noexec", "nodev", "ro"]}'
	local try_all='for d in /sys/fs/cgroup /sys/fs/cgroup/*; do mkdir "$d/volrun-evil" 2>/dev/null && echo "$d is writable"; done; echo done'
	bundle c "$try_all" ".mounts += [$cgroup]"
	in_userns c
	try volrun run --bundle "$T/c" c
	ok
	is "$output" "done"
	# sysfs can't be mounted then: the host's is shown, with all that lies on it.
	bundle d "$try_all" 'del(.linux.namespaces[] | select(.type == "network"))'
	in_userns d
	try volrun run --bundle "$T/d" d
	ok
	is "$output" "done"
}

@test "CVE-2021-43784: very long paths, very many mappings and namespaces are one clear line, or work" {
	local long
	long=$(head -c 70000 /dev/zero | tr '\0' a)
	echo "\"/proc/self/ns/$long\"" >"$T/long.json"
	bundle c true
	local filter
	for filter in '(.linux.namespaces[] | select(.type == "ipc")).path = $l' \
		'.mounts += [{destination: "/x", source: $l, options: ["bind"]}]' \
		'.mounts += [{destination: $l, type: "tmpfs", source: "tmpfs"}]' \
		'.linux.cgroupsPath = $l' '.root.path = $l' '.process.cwd = $l' '.hostname = $l' '.process.args = [$l]' \
		'.linux.maskedPaths = [$l]' '.linux.readonlyPaths = [$l]' '.linux.rootfsPropagation = $l' \
		'.linux.devices = [{path: $l, type: "c", major: 1, minor: 3}]'; do
		bundle c true
		config c --argjson l "$(<"$T/long.json")" "$filter"
		try volrun run --bundle "$T/c" c
		worked_or_one_line
	done
	bundle c 'true' '.linux.namespaces += [{type: "user"}]
		| .linux.uidMappings = [range(0; 20000) | {containerID: ., hostID: (100000 + 2 * .), size: 1}]
		| .linux.gidMappings = .linux.uidMappings'
	try volrun run --bundle "$T/c" c
	# As many as the kernel takes.
	not_ok 'uidMappings.*340'
	bundle c 'true' '.linux.namespaces += [range(0; 5000) | {type: "ipc"}]'
	try volrun run --bundle "$T/c" c
	not_ok 'namespaces'
}
