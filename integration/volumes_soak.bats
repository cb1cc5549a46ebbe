#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A keeper's day in seconds, on each store (integration/faults/soak): a lease renewed every 50 ms, commits while its
# container runs, credentials that last 4 s and are revoked meanwhile. Nothing leaks, no renewal is missed.
#
# $VOLRUN_SOAK_SECONDS: for so long on each (default 20; the whole of it is 600, `./dev test-soak`).

load lib/common
load lib/volume
load lib/tools

AZURE=$BATS_TEST_DIRNAME/azure
SECONDS_EACH=${VOLRUN_SOAK_SECONDS:-20}

# All of them at once, before the tests: they wait more than they work.
setup_file() {
	local pids=()
	[[ -n ${VOLRUN_SANITIZED:-} ]] && return
	s3_start
	if tool_get gcs "$BATS_TEST_DIRNAME/gcs/server" install; then gcs_start; fi
	if tool_get azurite "$AZURE/server" install; then
		"$AZURE/server" start "$BATS_FILE_TMPDIR/azure" --life $((SECONDS_EACH + 300))
	fi
	soak fs /dev/null
	soak s3 "$SUITE/rgw/env"
	[[ -e $BATS_FILE_TMPDIR/gcs.absent ]] || { soak gcs "$SUITE/gcs/env"; soak gcs-paced "$SUITE/gcs/env"; }
	[[ -e $BATS_FILE_TMPDIR/azurite.absent ]] || soak azure "$BATS_FILE_TMPDIR/azure/env"
	wait "${pids[@]}" || :
}
teardown_file() { "$AZURE/server" stop "$BATS_FILE_TMPDIR/azure" || :; }
setup() {
	[[ -z ${VOLRUN_SANITIZED:-} ]] || skip "the sanitizers keep memory of their own; shown by the usual build"
	common_setup
}
teardown() { [[ -n ${VOLRUN_SANITIZED:-} ]] || common_teardown; }

soak() { # KIND ENV
	(
		timeout -k 5 $((SECONDS_EACH + 120)) "$BATS_TEST_DIRNAME/faults/soak" "$1" --bin "$BIN" --work "$BATS_FILE_TMPDIR/soak-$1" \
			--cgroup "$CG" --env "$2" --seconds "$SECONDS_EACH" >"$BATS_FILE_TMPDIR/$1.out" 2>&1
		echo "status $?" >>"$BATS_FILE_TMPDIR/$1.out"
	) </dev/null 3>&- 4>&- &
	pids+=($!)
}

ended() { # KIND
	sed 's/^/# /' "$BATS_FILE_TMPDIR/$1.out" >&3
	is "$(tail -n 1 "$BATS_FILE_TMPDIR/$1.out")" "status 0"
}

@test "filesystem store: renewed every 50 ms, no renewal is missed and nothing leaks" { ended fs; }

@test "S3: the same, with keys of a program that last 4 s and are revoked" { ended s3; }

@test "Google Cloud Storage: the same, with tokens of a metadata server" {
	tool_need gcs
	ended gcs
}

@test "Google Cloud Storage at its own address: each object is written once a second, and nothing is refused" {
	tool_need gcs
	ended gcs-paced
}

@test "Azure Blob: the same, with tokens of a managed identity" {
	tool_need azurite
	ended azure
}
