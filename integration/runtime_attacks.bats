#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Public attacks on container runtimes, made from their descriptions: what a program in the container does to the
# runtime that starts it or joins it. What is done with mounts: runtime_attacks_mounts.bats; with state, ids and
# annotations: runtime_attacks_state.bats.
#
# A race is tried for some seconds, with a process that changes things as fast as it can (attacks/*.c).

load lib/common

setup_file() {
	local name
	for name in swap grab; do
		cc -O2 -static -o "$BATS_FILE_TMPDIR/$name" "$BATS_TEST_DIRNAME/attacks/$name.c"
	done
}

# The runtime is a copy: an attack that succeeds changes that one.
setup() {
	common_setup
	mkdir "$T/bin"
	cp "$BIN"/volrun* "$T/bin/"
	RUNTIME=$T/bin/volrun
	SUM=$(sha256sum <"$RUNTIME")
}
teardown() { common_teardown; }

volrun() { timeout -k 5 60 "$RUNTIME" --root "$ROOT" "$@" 3>&- 4>&-; }

unharmed() { is "$(sha256sum <"$RUNTIME")" "$SUM" "the runtime's program"; }

# attacker NAME [JQ-FILTER]: a container that runs, with the programs of the attack in /attack.
attacker() {
	bundle "$1" 'exec sleep 1000' "${2:-.}"
	mkdir "$T/$1/rootfs/attack"
	cp "$BATS_FILE_TMPDIR"/{swap,grab} "$T/$1/rootfs/attack/"
	volrun run --detach --bundle "$T/$1" "$1" </dev/null >/dev/null 2>&1
}

# in_background NAME COMMAND...: in that container; its output is in $T/out.
in_background() {
	local name=$1
	shift
	"$BIN/volrun" --root "$ROOT" exec "$name" "$@" </dev/null >"$T/out" 2>&1 3>&- 4>&- &
	BACKGROUND=$!
	until_true 5 grep -q begin "$T/out"
}

ptrace_too='.process.capabilities |= map_values(. + ["CAP_SYS_PTRACE"])'

# --- CVE-2019-5736 -------------------------------------------------------------
# To take hold of the runtime's program and to write to it are two things: only the second one harms.

@test "CVE-2019-5736: /proc/self/exe is no program to start a container with, nor are links to it" {
	local program
	bundle c true
	ln -s /proc/self/exe "$T/c/rootfs/link"
	printf '#!/proc/self/exe\n' >"$T/c/rootfs/script"
	printf '#!/script --version\n' >"$T/c/rootfs/script2"
	chmod +x "$T"/c/rootfs/script*
	for program in /proc/self/exe /proc/thread-self/exe /proc/1/exe /link /script /script2; do
		config c --arg p "$program" '.process.args = [$p, "--version"]'
		try volrun run --bundle "$T/c" c
		not_ok
		[[ -z $output ]] || fail "the runtime ran in the container: $(show_last)"
		unharmed
	done
}

@test "CVE-2019-5736: exec of /proc/self/exe, of links to it and of scripts by it does not run the runtime" {
	local program
	attacker c
	ln -s /proc/self/exe "$T/c/rootfs/link"
	printf '#!/proc/self/exe --version\n' >"$T/c/rootfs/script"
	chmod +x "$T/c/rootfs/script"
	for program in /proc/self/exe /proc/thread-self/exe /link /script; do
		try volrun exec c "$program" --version
		not_ok
		unlike "$output" volrun
		unharmed
	done
	volrun delete --force c
}

@test "CVE-2019-5736: a program whose ELF interpreter is /proc/self/exe gets no hold of the runtime" {
	attacker c "$ptrace_too"
	cc -O1 -o "$T/c/rootfs/evil" -Wl,--dynamic-linker=/proc/self/exe -x c - <<<'int main(void) { return 0; }'
	in_background c /attack/grab 2 "$(stat -c %i "$T/c/rootfs/evil")"
	for _ in 1 2 3 4 5 6; do
		try volrun exec c /evil --log=/nowhere features
		unlike "$output" "ociVersionMin"
	done
	ended $BACKGROUND
	like "$(<"$T/out")" end
	unlike "$(<"$T/out")" written
	unharmed
	volrun delete --force c
}

@test "CVE-2019-5736: a program of the image that is the runtime itself by a hard link or a bind mount changes nothing" {
	bundle c true
	cp --link "$RUNTIME" "$T/c/rootfs/runtime" 2>/dev/null || skip "no hard links on this file system"
	config c '.process.args = ["/runtime", "--version"]'
	try volrun run --bundle "$T/c" c
	((status == 0)) || not_ok
	unharmed
	rm "$T/c/rootfs/runtime"
	config c --arg p "$RUNTIME" '.mounts += [{destination: "/runtime", source: $p, options: ["bind", "ro"]}]'
	try volrun run --bundle "$T/c" c
	((status == 0)) || not_ok
	unharmed
}

@test "CVE-2019-5736: a program exchanged for a script by /proc/self/exe, between the look and the execve" {
	local end
	attacker c
	# A runtime that runs in the container would wait at the fifo, for everybody to take hold of it.
	mkfifo "$T/c/rootfs/fifo"
	ln "$T/c/rootfs/bin/busybox" "$T/c/rootfs/true"
	printf '#!/proc/self/exe --log=/fifo\n' >"$T/c/rootfs/script"
	chmod +x "$T/c/rootfs/script"
	"$BATS_FILE_TMPDIR/swap" "$T/c/rootfs/true" "$T/c/rootfs/script" 5 3>&- 4>&- &
	local swap=$!
	in_background c /attack/grab 6 "$(stat -c %i "$T/c/rootfs/true")"
	end=$((SECONDS + 5))
	while ((SECONDS < end)); do
		timeout 0.3 "$RUNTIME" --root "$ROOT" exec c /true </dev/null >/dev/null 2>&1 3>&- 4>&- || :
	done
	wait "$swap"
	ended $BACKGROUND
	volrun delete --force c
	unlike "$(<"$T/out")" written
	unharmed
}

@test "CVE-2019-5736: a container that may trace processes finds no program of the runtime that it can write to" {
	local end
	attacker c "$ptrace_too"
	in_background c /attack/grab 4
	end=$((SECONDS + 3))
	while ((SECONDS < end)); do volrun exec c true; done
	ended $BACKGROUND
	volrun delete --force c
	like "$(<"$T/out")" end
	unlike "$(<"$T/out")" written
	unharmed
}

# One that may trace it could take everything of it, as of any process in its pid and user namespace: runc and crun have
# the same. Without that right it gets nothing.
@test "CVE-2019-5736, CVE-2016-9962: a container in the pid namespace of another one shows it nothing while it is created" {
	local end pid
	attacker c
	pid=$(pid_of c)
	bundle d true ".linux.namespaces |= map(if .type == \"pid\" then .path = \"/proc/$pid/ns/pid\" else . end)"
	# It may write to the other one's programs: that is no container's limit, where the user namespace is the same.
	in_background c /attack/grab 4 "$(stat -c %i "$T/d/rootfs/bin/busybox")"
	end=$((SECONDS + 3))
	while ((SECONDS < end)); do volrun run --bundle "$T/d" d; done
	ended $BACKGROUND
	volrun delete --force c
	like "$(<"$T/out")" end
	unlike "$(<"$T/out")" 'written|descriptor'
	unharmed
}

# --- CVE-2016-9962, descriptors of who joins -------------------------------------

@test "CVE-2016-9962: the process that joins a container shows its descriptors to nobody in it" {
	local end
	attacker c
	in_background c /attack/grab 4
	end=$((SECONDS + 3))
	while ((SECONDS < end)); do volrun exec c true; done
	ended $BACKGROUND
	volrun delete --force c
	like "$(<"$T/out")" end
	unlike "$(<"$T/out")" 'written|descriptor'
}

@test "CVE-2016-9962: nor to one that may trace processes: none leads out of the container" {
	local end
	attacker c "$ptrace_too"
	echo '[]' >"$T/mounts.json"
	in_background c /attack/grab 4 "$(stat -c %i "$RUNTIME")"
	end=$((SECONDS + 3))
	while ((SECONDS < end)); do
		volrun exec c true
		volrun mounts add c "$T/mounts.json"
	done
	ended $BACKGROUND
	volrun delete --force c
	like "$(<"$T/out")" end
	unlike "$(<"$T/out")" 'descriptor'
}

# --- CVE-2024-21626 ------------------------------------------------------------

outside='outside of the container|No such file or directory|Not a directory|Permission denied|Too many levels'

@test "CVE-2024-21626: no descriptor of the runtime is a working directory, whichever its number: run" {
	local n
	for n in {3..30}; do
		container c 'pwd; ls -d ../../../../../../../../etc/volrun-host' ".process.cwd = \"/proc/self/fd/$n\""
		not_ok "$outside"
		is "$output" ""
	done
}

@test "CVE-2024-21626: no descriptor of the runtime is a working directory: create and start" {
	local n
	for n in {3..30}; do
		bundle c 'pwd' ".process.cwd = \"/proc/self/fd/$n\""
		try volrun create --bundle "$T/c" c
		not_ok "$outside"
	done
}

@test "CVE-2024-21626: no descriptor of the runtime is a working directory: exec, by flag and by file" {
	local n
	attacker c
	for n in {3..30}; do
		try volrun exec --cwd "/proc/self/fd/$n" c pwd
		not_ok "$outside"
		jq --arg d "/proc/self/fd/$n" '.process | .cwd = $d | .args = ["pwd"]' "$T/c/config.json" >"$T/process.json"
		try volrun exec --process "$T/process.json" c
		not_ok "$outside"
	done
	volrun delete --force c
}

@test "CVE-2024-21626: a working directory of the image that is a link to a descriptor" {
	local n
	bundle c 'pwd' '.process.cwd = "/work"'
	for n in {3..30}; do
		ln -sfn "/proc/self/fd/$n" "$T/c/rootfs/work"
		try volrun run --bundle "$T/c" c
		not_ok "$outside"
		is "$output" ""
	done
	attacker d
	for n in {3..30}; do
		ln -sfn "/proc/self/fd/$n/../.." "$T/d/rootfs/work"
		try volrun exec --cwd /work d pwd
		not_ok "$outside"
	done
	volrun delete --force d
}

@test "CVE-2024-21626: a program named by a descriptor of the runtime" {
	local n
	attacker c
	for n in {3..30}; do
		try volrun exec c "/proc/self/fd/$n/../../../../../../bin/busybox" true
		not_ok
	done
	volrun delete --force c
}

@test "CVE-2024-21626: a directory that the caller hands on is no working directory either" {
	bundle c 'pwd' '.process.cwd = "/proc/self/fd/3"'
	try bash -c 'exec 3</ && exec "$0" "$@"' "$RUNTIME" --root "$ROOT" run --preserve-fds 1 --bundle "$T/c" c
	not_ok 'outside of the container'
	config c '.process.cwd = "/" | .process.args = ["sh", "-c", "ls -d /proc/self/fd/3/etc"]'
	# Who asks for a descriptor gets it.
	try bash -c 'exec 3</ && exec "$0" "$@"' "$RUNTIME" --root "$ROOT" run --preserve-fds 1 --bundle "$T/c" c
	ok
}

@test "CVE-2024-21626: what a range of preserved descriptors leaves out is no place for the runtime's own" {
	local links
	bundle c 'sleep 1000'
	bash -c 'exec 9</dev/zero && exec "$0" "$@"' "$RUNTIME" --root "$ROOT" create --preserve-fds 28 --bundle "$T/c" c </dev/null >/dev/null 2>&1 3>&- 4>&-
	links=$(for fd in /proc/"$(pid_of c)"/fd/*; do readlink "$fd"; done | grep -v -e '^/dev/null$' -e '^/dev/zero$' -e '^socket:' -e '^/memfd:' || :)
	[[ -z $links ]] || fail "open in the container: $links"
	volrun delete --force c
}

@test "CVE-2024-21626: nothing but 0, 1 and 2 is open in a container, also when the caller has them closed" {
	local pid
	bundle c 'exec sleep 1000'
	exec 7</ 8<"$T" 9>"$T/leak"
	volrun run --detach --bundle "$T/c" c </dev/null >/dev/null 2>&1
	exec 7<&- 8<&- 9>&-
	pid=$(pid_of c)
	is "$(ls "/proc/$pid/fd" | xargs)" "0 1 2"
	volrun exec --detach --pid-file "$T/pid" c sleep 1000 </dev/null >/dev/null 2>&1
	is "$(ls "/proc/$(<"$T/pid")/fd" | xargs)" "0 1 2"
	volrun delete --force c
	timeout 20 "$RUNTIME" --root "$ROOT" run --detach --bundle "$T/c" c <&- >&- 2>&- 3>&- 4>&-
	is "$(readlink /proc/"$(pid_of c)"/fd/* | sort | uniq -c | xargs)" "3 /dev/null"
	volrun delete --force c
}

# --- capabilities and users ------------------------------------------------------

@test "CVE-2022-29162, CVE-2022-24769: nothing is inheritable that the config doesn't name" {
	volrun spec --bundle "$T"
	is "$(jq -c '.process.capabilities.inheritable // [] | length' "$T/config.json")" 0
	bundle c 'grep CapInh /proc/self/status; exec sleep 1000'
	volrun run --detach --bundle "$T/c" c </dev/null >"$T/out" 2>&1
	try volrun exec --cap CAP_NET_RAW --cap CAP_NET_ADMIN c grep -E 'Cap(Inh|Amb)' /proc/self/status
	ok
	is "$(grep -c '0000000000000000$' <<<"$output")" 2
	jq '.process | .args = ["grep", "CapInh", "/proc/self/status"]' "$T/c/config.json" >"$T/process.json"
	try volrun exec --process "$T/process.json" c
	like "$output" '0000000000000000$'
	until_true 5 test -s "$T/out"
	like "$(<"$T/out")" '0000000000000000$'
	volrun delete --force c
}

@test "CVE-2016-3697: a user of the image's passwd that is called by a number is not that user" {
	bundle c 'id -u; echo "$HOME"; exec sleep 1000' 'del(.process.env[] | select(startswith("HOME"))) | .process.user.uid = 1000 | .process.user.gid = 1000'
	printf '1000:x:0:0:root:/evil:/bin/sh\nagent:x:1000:1000::/home:/bin/sh\n' >"$T/c/rootfs/etc/passwd"
	volrun run --detach --bundle "$T/c" c </dev/null >"$T/out" 2>&1
	until_true 5 grep -q / "$T/out"
	is "$(<"$T/out")" $'1000\n/home'
	try volrun exec --user 1000 c id -u
	is "$output" 1000
	local user
	for user in root agent -1 4294967295 4294967296 0x0 "" ":" "0:" "1000:-1" "18446744073709551616"; do
		try volrun exec --user "$user" c id -u
		not_ok -- '--user'
	done
	volrun delete --force c
}

@test "an image's passwd that is no file stops nothing" {
	bundle c 'echo "$HOME"' 'del(.process.env[] | select(startswith("HOME")))'
	local make
	for make in "mkfifo" "mkdir" "ln -s /proc/self/exe" "ln -s /dev/zero" "ln -s passwd" "ln -s /proc/kmsg"; do
		rm -rf "$T/c/rootfs/etc/passwd"
		$make "$T/c/rootfs/etc/passwd"
		try volrun run --bundle "$T/c" c
		ok
		is "$output" /
	done
	rm "$T/c/rootfs/etc/passwd"
	yes 'agent:x:1:1::/:/bin/sh' | head -c 3000000 >"$T/c/rootfs/etc/passwd"
	try volrun run --bundle "$T/c" c
	ok
}
