#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Many containers by docker and by containerd, 16 at a time, each with a volume of its own: none fails, nothing leaks;
# and what one takes, beside runc and crun, which have no volumes. VOLRUN_MANY: how many (200).

bats_require_minimum_version 1.5.0
MANY=${VOLRUN_MANY:-200}
BESIDE=${VOLRUN_MANY_BESIDE:-runc crun}
AT_ONCE=16
IMAGE=docker.io/library/busybox:latest
STORE=/var/lib/volrun/store

fail() { printf '%s\n' "$@" >&2; return 1; }
now_ms() { echo $((${EPOCHREALTIME/./} / 1000)); }

# What there is of each kind that a container might leave.
processes() {
	find /proc -maxdepth 2 -path '/proc/[0-9]*/exe' \( -lname '*/volrun*' -o -lname '*/containerd-shim*' -o -lname '*/runc' -o -lname '*/crun' \) 2>/dev/null |
		cut -d / -f 3 | while read -r p; do tr '\0' ' ' <"/proc/$p/cmdline"; echo; done
}
mounts() { cut -d ' ' -f 5 /proc/self/mountinfo | sort; }
# But for those of users' sessions and of systemd's own units.
cgroups() { find /sys/fs/cgroup -type d \( -path '*docker*' -o -path '*/volrun-keeper*' -o -path "*/${CONTAINERD_NAMESPACE:-default}/*" \) | grep -v '\.service' | sort; }
netns() { find /run/docker/netns /run/netns -type f 2>/dev/null | sort; readlink /proc/[0-9]*/ns/net 2>/dev/null | sort -u; }
leases() { grep -rlE '"state": ?"held"' "$STORE" --include=head 2>/dev/null || :; }
state() { find /run/volrun /run/volrun-volumes /run/docker/runtime-* /run/containerd/runc -mindepth 1 \( -type s -o -name state.json \) 2>/dev/null || :; }
KINDS=(processes mounts cgroups netns leases state)

noted() { for kind in "${KINDS[@]}"; do "$kind" >"$BATS_TEST_TMPDIR/$kind.before"; done; }
# dockerd takes its network namespaces' files away once a minute, whatever the runtime.
nothing_new() {
	local kind end=$((SECONDS + 100))
	for kind in "${KINDS[@]}"; do
		until "$kind" >"$BATS_TEST_TMPDIR/$kind.after" && ! comm -13 <(sort "$BATS_TEST_TMPDIR/$kind.before") <(sort "$BATS_TEST_TMPDIR/$kind.after") | grep -q .; do
			((SECONDS < end)) || fail "left behind, $kind:" "$(comm -13 <(sort "$BATS_TEST_TMPDIR/$kind.before") <(sort "$BATS_TEST_TMPDIR/$kind.after"))" || return 1
			sleep 1
		done
	done
}

# What an engine shows of an output is lost now and then, with any runtime (moby's issue 29285): a container judges by
# itself, and its status tells.
# shellcheck disable=SC2016 # for the container's shell
WROTE='mkdir -p /data && echo $1 >/data/f && grep -qx $1 /data/f'
by_docker() { # RUNTIME N
	local options=()
	[[ $1 != volrun ]] || options=(--annotation "dev.volrun.volume=many-docker-$2 /data")
	timeout 300 docker run --rm --runtime "$1" --network none --name "many-$2" "${options[@]}" busybox sh -c "$WROTE" sh "$2"
}
by_containerd() {
	local options=()
	[[ $1 != volrun ]] || options=(--annotation "dev.volrun.volume=many-containerd-$2 /data")
	timeout 300 ctr run --rm --runtime io.containerd.runc.v2 --runc-binary "$(PATH=/usr/local/bin:$PATH command -v "$1")" "${options[@]}" \
		"$IMAGE" "many-$2" sh -c "$WROTE" sh "$2"
}
one() { # BY RUNTIME N DIR
	local rc=0
	"$1" "$2" "$3" >"$4/$3.out" 2>&1 || rc=$?
	((rc == 0)) || echo "container $3: status $rc, $(<"$4/$3.out")" >>"$4/failed"
}
export -f by_docker by_containerd one
export IMAGE WROTE

# lot BY RUNTIME N: in $MS, what one of them took of the time.
lot() {
	local t
	mkdir "$BATS_TEST_TMPDIR/$2"
	t=$(now_ms)
	seq "$3" | xargs -P "$AT_ONCE" -I '{}' bash -c "one $1 $2 '{}' '$BATS_TEST_TMPDIR/$2'" 3>&- 4>&-
	MS=$((($(now_ms) - t) / $3))
	[[ ! -e $BATS_TEST_TMPDIR/$2/failed ]] || fail "$(cat "$BATS_TEST_TMPDIR/$2/failed")"
}

many() { # ENGINE
	local runtime report=''
	# The engine's own first ones, which make directories and cgroups that stay.
	for runtime in volrun $BESIDE; do "by_$1" "$runtime" 0 >/dev/null; done
	for runtime in $BESIDE; do
		lot "by_$1" "$runtime" "$((MANY / 4))"
		report+=", $runtime $MS ms"
	done
	noted
	lot "by_$1" volrun "$MANY"
	nothing_new
	# Each is in the store, committed.
	for ((i = 1; i <= MANY; i++)); do
		[[ $(cat "$STORE/volumes/default/many-$1-$i/f") == "$i" ]] || fail "volume $i"
	done
	echo "# $1, $AT_ONCE at a time, load $(cut -d ' ' -f 1 /proc/loadavg): $MANY by volrun with a volume each, $MS ms a container$report" >&3
}

@test "docker: many containers with volumes, 16 at a time: none fails, nothing is left" { many docker; }
@test "containerd: many containers with volumes, 16 at a time: none fails, nothing is left" { many containerd; }
