# SPDX-License-Identifier: Apache-2.0
# common.bash - what the tests of all engines share: the engine's command line, assertions. $ENGINE is docker or
# podman, $RUNTIME the runtime (volrun; with another one a test shows what that does). The image "busybox" is in both.

bats_require_minimum_version 1.5.0
# shellcheck disable=SC2034 # used by the tests
IMAGE=busybox
RUNTIME=${RUNTIME:-volrun}
# Before the engine's command, and after `run` or `create`.
GLOBAL=()
RT=(--runtime "$RUNTIME")

fail() { printf '%s\n' "$@" >&2; return 1; }
is() { [[ $1 == "$2" ]] || fail "${3:-value}: expected '$2', got '$1'" "status: ${status:-}" "stderr: ${stderr:-}"; }
like() { [[ $1 =~ $2 ]] || fail "expected something like: $2" "got: $1" "status: ${status:-}" "stderr: ${stderr:-}"; }
unlike() { [[ ! $1 =~ $2 ]] || fail "expected nothing like: $2" "got: $1"; }

# $PATIENCE: of a command that takes longer than others, emulated.
engine() { timeout "${PATIENCE:-120}" "$ENGINE" "${GLOBAL[@]}" "$@" 3>&- 4>&-; }

# try ARG...: engine ARG...; $status, $output (stdout), $stderr, $lines.
# shellcheck disable=SC2034
try() {
	status=0
	engine "$@" >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" || status=$?
	output=$(<"$BATS_TEST_TMPDIR/out") stderr=$(<"$BATS_TEST_TMPDIR/err") lines=()
	[[ -z $output ]] || mapfile -t lines <<<"$output"
}
# erun ARG...: ENGINE run with the runtime, no network (the machine has none).
erun() { try run "${RT[@]}" --network none "$@"; }
# shows STATUS OUTPUT: of the last try.
shows() { is "$status" "$1" "exit code"; is "$output" "$2" "output"; }
# terminal ARG... -- STEP...: engine ARG... on a terminal; see pty.
terminal() { timeout 110 "$BATS_TEST_DIRNAME/pty" "$ENGINE" "${GLOBAL[@]}" "$@" 3>&- 4>&-; }
# state NAME FORMAT
state() { engine inspect -f "$2" "$1"; }
logs_have() { [[ $(engine logs "$1" 2>&1) == *"$2"* ]]; }

# The start failed, and the engine does not take it for the command's fault
# ("permission denied", 126; "not found", 127). Podman ends with 126 for every
# error of a runtime, and says in words which it is.
not_the_command() {
	((status != 0 && status != 127)) || fail "status $status"
	if [[ $ENGINE == podman ]]; then like "$stderr" "OCI runtime error"; else ((status != 126)) || fail "status $status"; fi
}

UNTIL_PAUSE=0.5
# shellcheck source=integration/lib/until.bash
source "$(dirname "${BASH_SOURCE[0]}")/../lib/until.bash"

keepers() { find /proc -maxdepth 2 -path '/proc/[0-9]*/exe' -lname '*/volrun-keeper' 2>/dev/null; }

common_teardown() {
	local id list
	for id in $(engine ps -aq); do engine rm -f "$id" >/dev/null 2>&1 || :; done
	until_true 30 eval '[[ -z $(keepers) ]]'
	list=$(find /run/volrun /run/volrun-volumes -mindepth 1 \( -type s -o -name state.json \) 2>/dev/null || :)
	[[ -z $list ]] || fail "left behind: $list"
	! grep -rlE '"state": ?"held"' /var/lib/volrun/store --include=head 2>/dev/null || fail "a lease is still held"
}
