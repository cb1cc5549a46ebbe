#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Each request of a run goes wrong in each way, each system call of a keeper that changes something fails or is its
# last: afterwards there is exactly the old or exactly the new tree, for every node, and nothing that was written is
# lost (integration/faults/matrix).
#
# $VOLRUN_MATRIX_STEP: one of so many points, at random (default: some of them; 1: all, in some minutes each).

load lib/common
load lib/volume
load lib/tools

AZURE=$BATS_TEST_DIRNAME/azure

setup_file() {
	tool_get gcs "$BATS_TEST_DIRNAME/gcs/server" install || :
	tool_get azurite "$AZURE/server" install || :
}
teardown_file() { "$AZURE/server" stop "$BATS_FILE_TMPDIR/azure" || :; }
setup() { common_setup; }
teardown() { common_teardown; }

matrix() { # KIND STEP ARGUMENT...
	local kind=$1 step=${VOLRUN_MATRIX_STEP:-$2}
	shift 2
	timeout -k 5 3000 "$BATS_TEST_DIRNAME/faults/matrix" "$kind" --bin "$BIN" --work "$T/matrix" --cgroup "$CG" --step "$step" "$@" \
		</dev/null 3>&- 4>&-
}

@test "S3: a request that is dropped, lost, refused, cut or stalled, or is the last of keeper, hook or runtime" {
	local step=12
	[[ -z ${VOLRUN_SANITIZED:-} ]] || step=40
	s3_start
	matrix s3 "$step" --env "$SUITE/rgw/env" --faults refusals,kills
}

@test "S3: answers that are not so, odd ones, dripping or reset connections; nobody there for longer than the lease, on either side" {
	local step=30
	[[ -z ${VOLRUN_SANITIZED:-} ]] || step=80
	s3_start
	cc -O2 -shared -fPIC -o "$T/clock.so" "$BATS_TEST_DIRNAME/faults/clock.c"
	# A sanitizer's library wants to be the first.
	[[ -n ${VOLRUN_SANITIZED:-} ]] || set -- --clock "$T/clock.so"
	matrix s3 "$step" --env "$SUITE/rgw/env" --faults lies,odd,gaps "$@"
}

# The same program in front of another store's words for it all: fewer points.
@test "Google Cloud Storage: the same of its requests" {
	local step=60
	[[ -z ${VOLRUN_SANITIZED:-} ]] || step=120
	tool_need gcs
	gcs_start
	matrix gcs "$step" --env "$SUITE/gcs/env"
}

@test "Azure Blob: the same of its requests" {
	local step=60
	[[ -z ${VOLRUN_SANITIZED:-} ]] || step=120
	tool_need azurite
	"$AZURE/server" start "$BATS_FILE_TMPDIR/azure" --life 3600
	matrix azure "$step" --env "$BATS_FILE_TMPDIR/azure/env"
}

# A keeper under the tool that makes its system calls fail; the sanitizers' own calls would fail, too, and they abort.
@test "filesystem store: a system call of the keeper that changes something fails, or is its last" {
	[[ -z ${VOLRUN_SANITIZED:-} ]] || skip "the sanitizers' own system calls would fail, and they abort; shown by the usual build"
	cc -O2 -o "$T/inject" "$BATS_TEST_DIRNAME/faults/inject.c"
	matrix fs 16 --inject "$T/inject" --faults 5,28,KILL
}

@test "filesystem store: the cache's disk is full or read-only for a while, or can't be read" {
	[[ -z ${VOLRUN_SANITIZED:-} ]] || skip "the sanitizers' own system calls would fail, and they abort; shown by the usual build"
	cc -O2 -o "$T/inject" "$BATS_TEST_DIRNAME/faults/inject.c"
	matrix fs 48 --inject "$T/inject" --faults full,read-only,unread,unreadable
}
