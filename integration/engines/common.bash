# SPDX-License-Identifier: Apache-2.0
# common.bash - the same tests for docker and podman: $ENGINE. The image
# "busybox" is in both already.

bats_require_minimum_version 1.5.0
# shellcheck disable=SC2034 # used by the tests
IMAGE=busybox
RT=(--runtime volrun)

fail() { printf '%s\n' "$@" >&2; return 1; }
is() { [[ $1 == "$2" ]] || fail "${3:-value}: expected '$2', got '$1'" "status: ${status:-}" "stderr: ${stderr:-}"; }
like() { [[ $1 =~ $2 ]] || fail "expected something like: $2" "got: $1" "stderr: ${stderr:-}"; }

engine() { timeout 120 "$ENGINE" "$@" 3>&-; }

# erun ARG...: ENGINE run with volrun, no network (the machine has none).
# shellcheck disable=SC2034
erun() {
	status=0
	engine run "${RT[@]}" --network none "$@" >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" || status=$?
	output=$(<"$BATS_TEST_TMPDIR/out") stderr=$(<"$BATS_TEST_TMPDIR/err")
}

# The start failed, and the engine does not take it for the command's fault
# ("permission denied", 126; "not found", 127). Podman ends with 126 for every
# error of a runtime, and says in words which it is.
not_the_command() {
	((status != 0 && status != 127)) || fail "status $status"
	if [[ $ENGINE == podman ]]; then like "$stderr" "OCI runtime error"; else ((status != 126)) || fail "status $status"; fi
}

until_true() {
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		((SECONDS < end)) || { fail "still not so: $*"; return 1; }
		sleep 0.5
	done
}

keepers() { find /proc -maxdepth 2 -path '/proc/[0-9]*/exe' -lname '*/volrun-keeper' 2>/dev/null; }

common_teardown() {
	local id list
	for id in $(engine ps -aq); do engine rm -f "$id" >/dev/null 2>&1 || :; done
	until_true 30 eval '[[ -z $(keepers) ]]'
	list=$(find /run/volrun /run/volrun-volumes -mindepth 1 \( -type s -o -name state.json \) 2>/dev/null || :)
	[[ -z $list ]] || fail "left behind: $list"
	! grep -rlE '"state": ?"held"' /var/lib/volrun/store --include=head 2>/dev/null || fail "a lease is still held"
}
