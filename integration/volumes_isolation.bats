#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What keeper, hook and command may do, and what a container can reach of them: nothing that its own rights would not
# give it without volumes.

load lib/common
load lib/volume

setup_file() { cc -O2 -static -o "$BATS_FILE_TMPDIR/reach" "$BATS_TEST_DIRNAME/attacks/reach.c"; }
setup() {
	common_setup
	node A '.lease += {ttl: "3s", renew: "500ms", poll: "200ms"}'
}
teardown() { common_teardown; }
V="state /data"
# CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER; and what is raised for a step: CAP_KILL, CAP_SYS_CHROOT, CAP_SYS_PTRACE, CAP_SYS_ADMIN, in
# who starts a keeper CAP_SYS_RESOURCE.
ALWAYS=$((0xb))
KEEPER_MAY=$((ALWAYS | 1 << 5 | 1 << 18 | 1 << 19 | 1 << 21))
STARTER_MAY=$((KEEPER_MAY | 1 << 24))
# What there is of these here.
OWN=$((16#$(awk '/^CapPrm:/ { print $2 }' /proc/self/status)))

# rights PID: of each of its threads "CapInh CapPrm CapEff NoNewPrivs Seccomp Seccomp_filters", once each.
rights() {
	local f
	for f in /proc/"$1"/task/*/status; do
		awk '/^(CapInh|CapPrm|CapEff|NoNewPrivs|Seccomp|Seccomp_filters):/ { printf "%s ", $2 } END { print "" }' "$f" 2>/dev/null
	done | sort -u
}

# confined PID MAY: all its threads have no_new_privs, a filter, and no right beyond these; none is in effect but for ALWAYS.
confined() {
	local inherited permitted effective nnp seccomp filters n=0
	while read -r inherited permitted effective nnp seccomp filters; do
		((16#$inherited == 0 && 16#$permitted == ($2 & OWN) && 16#$effective == ALWAYS && nnp == 1 && seccomp == 2)) ||
			fail "$(tr '\0' ' ' <"/proc/$1/cmdline"): $(rights "$1")"
		FILTERS=$filters n=$((n + 1))
	done < <(rights "$1")
	((n == 1)) || fail "threads of $1 differ: $(rights "$1")"
}

@test "the keeper has three capabilities, no_new_privs and a filter of system calls, also while it waits; so has its hook" {
	local first second pid run
	vstart A c1 "$V" 'sleep 1000'
	first=$(keepers)
	confined "$first" "$KEEPER_MAY"
	run=$FILTERS
	vbundle c2 "$V wait=20s" 'true'
	ROOT=$T/state-A VOLRUN_CONFIG=$T/A.json volrun_bg run --bundle "$T/c2" c2
	pid=$!
	until_true 10 eval '(($(keepers | wc -l) == 2))'
	second=$(keepers | grep -vx "$first")
	until_true 10 confined "$second" "$KEEPER_MAY"
	# When its trees are made, another filter takes away what only that needs.
	is "$run" $((FILTERS + 1)) "filters of the keeper whose container runs"
	confined "$(pids_of volrun-hook)" "$STARTER_MAY"
	on A volrun delete --force c1
	ended $pid
	is "$status" 0
	until_true 10 eval '[[ -z $(keepers) ]]'
	on A volrun delete --force c2 2>/dev/null || :
}

# A program that was just executed has not given away what it is not to have yet. With the sanitizers' slow start that is seen:
# there it counts from the moment when it has.
@test "from the start to the commit's end, no thread of keeper and hook ever has a right beyond those" {
	local pid bad=0 seen=0 line ok
	local -A confined=()
	vbundle c "$V" 'i=0; while [ $i -lt 400 ]; do echo $i >/data/$i; i=$((i + 1)); done; head -c 20000000 /dev/urandom >/data/large'
	ROOT=$T/state-A VOLRUN_CONFIG=$T/A.json volrun_bg run --bundle "$T/c" c
	pid=$!
	while kill -0 $pid 2>/dev/null || [[ -n $(keepers) ]]; do
		for p in $(keepers); do
			while read -r _ line; do
				# shellcheck disable=SC2086
				set -- $line
				ok=$(($# == 5 && (16#$1 & ~STARTER_MAY) == 0 && (16#$2 & ~STARTER_MAY) == 0 && $3 == 1 && $4 == 2))
				if ((ok)); then
					confined[$p]=1 seen=$((seen + 1))
				elif [[ ${confined[$p]:-} || -z ${VOLRUN_SANITIZED:-} ]]; then
					bad="$p: $line"
				fi
			done < <(rights "$p" | grep .)
		done
	done
	ended $pid
	((seen > 0)) || fail "no keeper was seen"
	is "$bad" 0
}

@test "a command is confined as well" {
	vstart A c1 "$V" 'sleep 1000'
	VOLRUN_CONFIG=$T/A.json "$BIN/volrun-volume" drain 3>&- 4>&- &
	local pid=$!
	until_true 10 confined $pid "$STARTER_MAY"
	on A volrun delete --force c1
	ended $pid
	is "$status" 0
}

@test "the container's root, with the host's processes in sight, reaches nothing of the keeper" {
	local keeper
	bundle c 'sleep 1000'
	config c --arg v "$V" '.annotations = {"dev.volrun.volume": $v} | .linux.namespaces |= map(select(.type != "pid" and .type != "network"))'
	cp "$BATS_FILE_TMPDIR/reach" "$T/c/rootfs/bin/"
	OF_THE_OUTSIDE=secret-of-the-node on A volrun run --detach --bundle "$T/c" c </dev/null >/dev/null 2>&1
	keeper=$(keepers)
	grep -q secret-of-the-node "/proc/$keeper/environ"
	try on A volrun exec c reach "$keeper"
	ok
	is "${#lines[@]}" 13
	unlike "$output" reached
	# The same program, where it may.
	try on A volrun exec c sh -c 'sleep 100 & reach $!; kill $!'
	like "$output" $'mem reached\n.*environ reached\n.*process_vm_readv reached'
	# Neither by the back door of somebody else's environment.
	try on A volrun exec c sh -c 'grep -l secret-of-the-node /proc/[0-9]*/environ 2>/dev/null'
	is "$output" ""
	on A volrun delete --force c
}

@test "a container finds neither the keeper's socket nor the cache of another, nor the credentials" {
	local key
	node B ".cache.path = \"$T/cache-A\""
	vstart A c1 "first /data" 'echo secret-of-first >/data/f; sleep 1000'
	vbundle c2 "second /data" 'sleep 1000'
	# With the host's network, whose abstract sockets are in reach, and as much of /proc as there is.
	config c2 '.linux.namespaces |= map(select(.type != "network" and .type != "pid"))'
	on A volrun run --detach --bundle "$T/c2" c2 </dev/null >/dev/null 2>&1
	key=$(basename "$(find "$T/run-A" -name '*.sock' | head -n 1)" .sock)
	[[ -n $key ]]
	# By no name, and no abstract one is there to be had.
	try on A volrun exec c2 sh -c "find / -xdev -name '$key*'; grep -c '@.*volrun' /proc/net/unix; ls -d '$T/run-A' '$T/cache-A' '$T/A.json'"
	is "$output" 0
	try on A volrun exec c2 sh -c 'grep -rl secret-of-first / --exclude-dir=proc --exclude-dir=sys 2>/dev/null; ls -a /data/..; cat /data/../../first/rw/f'
	unlike "$output" secret-of-first
	# Not by the mounts either: of the cache there is only its own tree.
	try on A volrun exec c2 sh -c "grep -c '$T/cache-A' /proc/self/mountinfo; grep -c first/rw /proc/self/mountinfo"
	unlike "$output" '^[1-9][0-9]*\n'
	on A volrun delete --force c1
	on A volrun delete --force c2
}

@test "credentials, cache and keeper's socket belong to root alone" {
	vstart A c1 "$V" 'sleep 1000'
	is "$(stat -c %a "$T/cache-A/main")" 700
	is "$(find "$T/run-A" -name '*.sock' -perm /077)" ""
	on A volrun delete --force c1
}

# A filter would be that program's too, and it may be anything.
@test "credentials that a program gives: it runs whenever there are none, and then there is no filter" {
	local keeper
	s3_start
	BUCKET=isolation-$$
	s3 mkbucket "$BUCKET"
	node S '.stores.main |= (del(.access_key_id, .secret_access_key_file) + {credentials: {process: "'"$T/creds"'"}})
		| .lease += {ttl: "3s", renew: "500ms", poll: "200ms"}'
	cat >"$T/creds" <<-E
		#!/bin/bash
		# Of what a program does that a keeper does not.
		echo call >>"$T/calls"
		perl -e 'setpriority(0, 0, 19) or die' && . "$SUITE/rgw/env" &&
			jq -cn --arg k "\$AWS_ACCESS_KEY_ID" --arg s "\$AWS_SECRET_ACCESS_KEY" --arg e "\$(date -u -d '+2 seconds' +%FT%TZ)" \
				'{Version: 1, AccessKeyId: \$k, SecretAccessKey: \$s, Expiration: \$e}'
	E
	chmod 700 "$T/creds"
	vstart S c1 "$V" 'echo hello >/data/f; sleep 1000'
	keeper=$(keepers)
	like "$(rights "$keeper")" "^0+ [0-9a-f]+ 0*b 1 0 0 *$"
	rm "$T/calls"
	until_true 20 test -s "$T/calls"
	on S volrun delete --force c1
	is "$(s3 get "$BUCKET" volumes/default/state/f)" hello
	try on S volrun volume ls
	like "$output" state
}
