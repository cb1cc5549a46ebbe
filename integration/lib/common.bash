# SPDX-License-Identifier: Apache-2.0
# common.bash - what every test file loads: bundles, the runtime's command
# line, assertions, and the search for what a test left behind.
#
#   T      the test's own directory; ROOT the runtime's state directory in it
#   BIN    the programs under test; CG the suite's cgroup

bats_require_minimum_version 1.5.0
HERE=$BATS_TEST_DIRNAME
LIB=$HERE/lib

common_setup() {
	# Without its suite, teardown would look for its processes everywhere.
	: "${BIN:?}" "${SUITE:?}" "${CG:?}"
	T=$BATS_TEST_TMPDIR
	ROOT=$T/state
	mkdir "$ROOT"
}

# volrun ARG...: the runtime, with this test's state directory. 60 s are more
# than any command may need. bats' own descriptors are kept from containers.
volrun() { timeout -k 5 60 "$BIN/volrun" --root "$ROOT" "$@" 3>&- 4>&-; }

# volrun_bg ARG...: the same in the background; its pid is in $!.
volrun_bg() { "$BIN/volrun" --root "$ROOT" "$@" </dev/null 3>&- 4>&- & }

# ended PID: waits for a volrun_bg; its status is in $status.
ended() { status=0; wait "$1" || status=$?; }

# try COMMAND...: as bats' `run --separate-stderr`, but by files: a container
# that stays would hold a pipe open, and the test would wait for it.
# shellcheck disable=SC2034 # for the tests
try() {
	status=0
	"$@" >"$BATS_TEST_TMPDIR/stdout" 2>"$BATS_TEST_TMPDIR/stderr" || status=$?
	output=$(<"$BATS_TEST_TMPDIR/stdout") stderr=$(<"$BATS_TEST_TMPDIR/stderr") lines=()
	[[ -z $output ]] || mapfile -t lines <<<"$output"
}

# --- bundles ------------------------------------------------------------------

# bundle NAME SCRIPT [JQ-FILTER]: $T/NAME with the busybox root, which runs
# SCRIPT by sh; the filter changes config.json further.
bundle() {
	mkdir -p "$T/$1"
	[[ -d $T/$1/rootfs ]] || cp -a "$SUITE/rootfs" "$T/$1/rootfs"
	jq --arg script "$2" --arg cg "/$CG/$1" \
		'.process.args = ["sh", "-c", $script] | .linux.cgroupsPath = $cg' "$LIB/base.json" >"$T/$1/config.json"
	[[ -z ${3:-} ]] || config "$1" "$3"
}

# config NAME [JQ-OPTION...] FILTER: changes a bundle's config.json.
config() {
	local name=$1
	shift
	jq "$@" "$T/$name/config.json" >"$T/$name/config.new" && mv "$T/$name/config.new" "$T/$name/config.json"
}

# container NAME SCRIPT [JQ-FILTER]: bundle and run it to its end:
# the results are in $status, $output (stdout) and $stderr.
container() {
	bundle "$@"
	try volrun run --bundle "$T/$1" "$1"
}

# in_userns NAME: a user namespace of its own for a bundle, whose root file system belongs to its root.
in_userns() {
	config "$1" '.linux.namespaces += [{type: "user"}]
		| .linux.uidMappings = [{containerID: 0, hostID: 100000, size: 65536}]
		| .linux.gidMappings = [{containerID: 0, hostID: 200000, size: 65536}]'
	chown -R 100000:200000 "$T/$1/rootfs"
	chmod 755 "$T" "$SUITE" "$(dirname "$T")" "$(dirname "$(dirname "$T")")"
}

status_of() { volrun state "$1" | jq -r .status; }
pid_of() { volrun state "$1" | jq -r .pid; }

# --- assertions ---------------------------------------------------------------

fail() { printf '%s\n' "$@" >&2; return 1; }

show_last() { printf 'status: %s\nstdout: %s\nstderr: %s\n' "$status" "$output" "${stderr:-}"; }

ok() { ((status == 0)) || fail "expected success" "$(show_last)"; }

# not_ok [PATTERN]: failed, with one line on stderr, that matches the pattern.
not_ok() {
	((status != 0)) || fail "expected a failure" "$(show_last)"
	((status != 124 && status != 137)) || fail "hung" "$(show_last)"
	[[ -n $stderr && $(wc -l <<<"$stderr") == 1 ]] || fail "expected one line on stderr" "$(show_last)"
	[[ -z ${1:-} || $stderr =~ $1 ]] || fail "expected a message like: $1" "$(show_last)"
}

# is ACTUAL EXPECTED [WHAT]
is() { [[ $1 == "$2" ]] || fail "${3:-value}: expected '$2', got '$1'"; }
# like ACTUAL PATTERN
like() { [[ $1 =~ $2 ]] || fail "expected something like: $2" "got: $1"; }
unlike() { [[ ! $1 =~ $2 ]] || fail "expected nothing like: $2" "got: $1"; }

# shellcheck source=integration/lib/until.bash
source "$LIB/until.bash"

now_ms() { echo $((${EPOCHREALTIME/./} / 1000)); }

# --- what is left behind ------------------------------------------------------

# Processes of the programs under test (by their executable), and of the
# suite's containers (by their cgroup): "pid command".
left_processes() {
	local pid
	{
		find /proc -maxdepth 2 -path "/proc/[0-9]*/exe" \( -lname "$BIN/*" -o -lname "$T/*" \) 2>/dev/null
		grep -lsF "/$CG/" /proc/[0-9]*/cgroup
	} | cut -d / -f 3 | sort -un | while read -r pid; do
		# A zombie is gone; only its parent (pid 1) has not asked yet.
		readlink -q "/proc/$pid/exe" >/dev/null || continue
		printf '%s %s\n' "$pid" "$({ tr '\0' ' ' <"/proc/$pid/cmdline"; } 2>/dev/null)"
	done
}

left_mounts() { awk -v t="$T" 'index($5, t) == 1 { print $5 }' /proc/self/mountinfo; }
left_cgroups() { find /sys/fs/cgroup -mindepth 2 -type d -path "*/$CG/*" 2>/dev/null; }
left_state() { find "$T"/state* "$T"/run-* -mindepth 1 -not -path "*/@seccomp*" 2>/dev/null; }
# lib/volume.bash has the real one.
left_leases() { :; }

left_all() {
	local kind list
	for kind in processes mounts cgroups state leases; do
		list=$("left_$kind")
		[[ -z $list ]] || printf 'left behind, %s:\n%s\n' "$kind" "$list"
	done
}

nothing_left() {
	local end=$((SECONDS + 10)) list
	while list=$(left_all) && [[ -n $list ]]; do
		((SECONDS < end)) || { fail "$list"; return 1; }
		sleep 0.2
	done
}

# At a test's end: nothing may be left, and what is left is taken away, so that
# one test's failure does not become the next one's.
common_teardown() {
	local rc=0 id pid dir
	[[ -d ${T:-} ]] || return 0
	nothing_left || rc=1
	if ((rc)); then
		for dir in "$T"/state*/*/; do
			id=$(basename "$dir")
			[[ $id == '*' ]] || ROOT=$(dirname "$dir") volrun delete --force "$id" >/dev/null 2>&1 || :
		done
		for pid in $(left_processes | cut -d ' ' -f 1); do kill -9 "$pid" 2>/dev/null || :; done
		sleep 0.3
		left_mounts | sort -r | while read -r dir; do umount -l "$dir" || :; done
		left_cgroups | sort -r | while read -r dir; do rmdir "$dir" 2>/dev/null || :; done
	fi
	if compgen -G "$SUITE/reports/*" >/dev/null; then
		echo "sanitizer:"
		cat "$SUITE"/reports/*
		rm -f "$SUITE"/reports/*
		rc=1
	fi
	return $rc
}
