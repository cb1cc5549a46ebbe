#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Many nodes fight for one volume (integration/faults/fight): nobody writes who does not hold the lease, and every
# increment of a counter is accounted for.
#
# $VOLRUN_FIGHT_SECONDS: how long each (default 20).

load lib/common
load lib/volume

setup_file() {
	PROGRAM=${VOLRUN_BIN:-$BATS_TEST_DIRNAME/../build}/tests/fight
	make -s -C "$(dirname "$PROGRAM")/.." tests/fight 3>&- 4>&- || return 1
	export PROGRAM
}
setup() {
	common_setup
	# The sanitizers take their time and memory.
	[[ -z ${VOLRUN_SANITIZED:-} ]] || NODES=10
}
teardown() { common_teardown; }

fight() {
	timeout -k 5 3000 "$BATS_TEST_DIRNAME/faults/fight" --program "$PROGRAM" --volume "$BIN/volrun-volume" --work "$T/fight" \
		--seconds "${VOLRUN_FIGHT_SECONDS:-20}" "$@" </dev/null 3>&- 4>&-
}

@test "32 nodes on a filesystem store, stopped, killed, with clocks that leap" {
	fight --nodes "${NODES:-32}"
}

@test "32 nodes on S3, stopped, killed, with clocks that leap" {
	s3_start
	fight --nodes "${NODES:-32}" --env "$SUITE/rgw/env"
}
