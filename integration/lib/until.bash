# SPDX-License-Identifier: Apache-2.0
# until.bash - waiting, for each kind of test. Who loads it has a fail().

# until_true SECONDS COMMAND...: looks again after $UNTIL_PAUSE.
until_true() {
	local end=$((${EPOCHREALTIME/./} + $1 * 1000000))
	shift
	until "$@" >/dev/null 2>&1; do
		((${EPOCHREALTIME/./} < end)) || { fail "still not so: $*"; return 1; }
		sleep "${UNTIL_PAUSE:-0.05}"
	done
}
