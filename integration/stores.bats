#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The stores themselves: one suite (tests/store_conformance.c), unchanged, on
# the filesystem, on a real S3 server, with and without TLS and through a proxy,
# and on a server of Google's API.

load lib/tools
bats_require_minimum_version 1.5.0

S3=$BATS_TEST_DIRNAME/s3
GCS=$BATS_TEST_DIRNAME/gcs

setup_file() {
	"$S3/rgw" start "$BATS_FILE_TMPDIR/tls" --tls --life 1200
	"$S3/rgw" start "$BATS_FILE_TMPDIR/plain" --life 1200
	if tool_get gcs "$GCS/server" install; then "$GCS/server" start "$BATS_FILE_TMPDIR/gcs" --life 1200; fi
	"$S3/faults" start "$BATS_FILE_TMPDIR/proxy" "$BATS_FILE_TMPDIR/plain/env" --life 1200
}

teardown_file() {
	local server
	"$S3/faults" stop "$BATS_FILE_TMPDIR/proxy" || :
	"$GCS/server" stop "$BATS_FILE_TMPDIR/gcs" || :
	for server in tls plain; do
		"$S3/rgw" stop "$BATS_FILE_TMPDIR/$server" || :
	done
}

setup() {
	SUITE_PROGRAM=${VOLRUN_BIN:-$BATS_TEST_DIRNAME/../build}/tests/store_conformance
	[[ -x $SUITE_PROGRAM ]] || make -s -C "$(dirname "$SUITE_PROGRAM")/.." tests/store_conformance
	BUCKET=stores-$BATS_TEST_NUMBER-$RANDOM
	unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN
}

# use NAME: the server's address and keys, and a bucket of this test's.
use() {
	set -a
	# shellcheck source=/dev/null # written by rgw and faults
	. "$BATS_FILE_TMPDIR/$1/env"
	set +a
	"$S3/s3tool" mkbucket "$BUCKET"
}

@test "the store suite on the filesystem" {
	"$SUITE_PROGRAM"
}

@test "the store suite on a real S3 server" {
	use plain
	"$SUITE_PROGRAM" s3 "$S3_ENDPOINT" "$BUCKET"
	[[ -z $("$S3/s3tool" ls "$BUCKET") ]]
}

@test "the store suite on a server of Google Cloud Storage's API, named in the configuration or by the environment" {
	local address
	tool_need gcs
	# shellcheck source=/dev/null # written by the server
	. "$BATS_FILE_TMPDIR/gcs/env"
	"$GCS/gcstool" --env "$BATS_FILE_TMPDIR/gcs/env" mkbucket "$BUCKET"
	"$SUITE_PROGRAM" gcs "$GCS_ENDPOINT" "$BUCKET"
	address=${GCS_ENDPOINT#http://}
	STORE_TESTS="*probe*" STORAGE_EMULATOR_HOST=$address "$SUITE_PROGRAM" gcs "" "$BUCKET"
	[[ -z $("$GCS/gcstool" --env "$BATS_FILE_TMPDIR/gcs/env" ls "$BUCKET") ]]
}

@test "where a server offers HTTP/2, it is spoken" {
	tool_need gcs
	"$GCS/server" start "$BATS_TEST_TMPDIR/gcs" --tls --life 300
	# shellcheck source=/dev/null # written by the server
	. "$BATS_TEST_TMPDIR/gcs/env"
	"$GCS/gcstool" --env "$BATS_TEST_TMPDIR/gcs/env" mkbucket "$BUCKET"
	: >"$BATS_TEST_TMPDIR/gcs/log"
	run "$SUITE_PROGRAM" gcs "$GCS_ENDPOINT" "$BUCKET" "$GCS_CA_FILE"
	cp "$BATS_TEST_TMPDIR/gcs/log" "$BATS_TEST_TMPDIR/log"
	"$GCS/server" stop "$BATS_TEST_TMPDIR/gcs"
	echo "$output"
	((status == 0))
	grep -q 'HTTP/2.0' "$BATS_TEST_TMPDIR/log"
	run ! grep 'HTTP/1' "$BATS_TEST_TMPDIR/log"
}

@test "the store suite over TLS, with the certificates of ca_file" {
	use tls
	"$SUITE_PROGRAM" s3 "$S3_ENDPOINT" "$BUCKET" "$S3_CA_FILE"
}

@test "a server whose certificate is not trusted gets no request" {
	use tls
	STORE_TESTS="*probe*" run ! "$SUITE_PROGRAM" s3 "$S3_ENDPOINT" "$BUCKET"
	[[ $output == *"object store unreachable: its TLS certificate is not trusted at https://127.0.0.1:"* ]]
	[[ $output != *"$AWS_SECRET_ACCESS_KEY"* ]]
}

# with_system_ca COMMAND...: in a mount namespace whose /etc/ssl/certs is $BATS_TEST_TMPDIR/certs.
with_system_ca() {
	# shellcheck disable=SC2016 # for the inner shell
	unshare --mount --propagation private bash -c 'mount --bind "$1" /etc/ssl/certs && shift && exec "$@"' _ "$BATS_TEST_TMPDIR/certs" "$@"
}

@test "the system's certificates are enough: one by one, or all in a file" {
	use tls
	local certs=$BATS_TEST_TMPDIR/certs n
	mkdir "$certs"
	cp "$S3_CA_FILE" "$certs/ours.pem"
	openssl rehash "$certs"
	# As many as a system has that keeps them one by one.
	for n in {10..39}; do ln -s ours.pem "$certs/000000$n.0"; done
	STORE_TESTS="*probe*" with_system_ca "$SUITE_PROGRAM" s3 "$S3_ENDPOINT" "$BUCKET"
	rm "$certs"/*
	cp "$S3_CA_FILE" "$certs/ca-certificates.crt"
	STORE_TESTS="*probe*" with_system_ca "$SUITE_PROGRAM" s3 "$S3_ENDPOINT" "$BUCKET"
}

@test "wrong keys are named as such, and never shown" {
	use plain
	STORE_TESTS="*probe*" AWS_SECRET_ACCESS_KEY=not-the-secret run ! "$SUITE_PROGRAM" s3 "$S3_ENDPOINT" "$BUCKET"
	[[ $output == *"object store rejected the credentials (403 SignatureDoesNotMatch)"* ]]
	[[ $output != *not-the-secret* ]]
}

@test "a bucket that is not there is named, and no empty store" {
	use plain
	STORE_TESTS="*probe*" run ! "$SUITE_PROGRAM" s3 "$S3_ENDPOINT" no-such-bucket
	[[ $output == *"the bucket was not found (404 NoSuchBucket)"* ]]
}

@test "the proxy lets the suite pass, and counts its requests" {
	use proxy
	"$SUITE_PROGRAM" s3 "$S3_ENDPOINT" "$BUCKET"
	grep -q "^pass PUT /$BUCKET/" "$BATS_FILE_TMPDIR/proxy/requests"
}

@test "a server that only throttles is reported as throttling or unknown, never as success" {
	use proxy
	"$S3/faults" mode "$BATS_FILE_TMPDIR/proxy" throttle
	STORE_TESTS="*probe*" run ! "$SUITE_PROGRAM" s3 "$S3_ENDPOINT" "$BUCKET"
	STORE_TESTS="what_was_put*" run ! "$SUITE_PROGRAM" s3 "$S3_ENDPOINT" "$BUCKET"
	"$S3/faults" mode "$BATS_FILE_TMPDIR/proxy" pass
	[[ $output == *"object store asks to slow down (503 SlowDown)"* ]]
	[[ -z $("$S3/s3tool" ls "$BUCKET") ]]
}

@test "a write that lost its answer is unknown to the client and there on the server" {
	use proxy
	"$S3/faults" mode "$BATS_FILE_TMPDIR/proxy" lose
	STORE_TESTS="what_was_put*" run ! "$SUITE_PROGRAM" s3 "$S3_ENDPOINT" "$BUCKET"
	"$S3/faults" mode "$BATS_FILE_TMPDIR/proxy" pass
	[[ $output == *"object store did not confirm the write: the connection broke at http://127.0.0.1:"* ]]
	[[ -n $("$S3/s3tool" ls "$BUCKET") ]]
}

@test "the proxy delivers late what its client no longer waits for" {
	use proxy
	"$S3/faults" mode "$BATS_FILE_TMPDIR/proxy" late=2
	run timeout 1 "$S3/s3tool" put "$BUCKET" late
	"$S3/faults" mode "$BATS_FILE_TMPDIR/proxy" pass
	[[ -z $("$S3/s3tool" ls "$BUCKET") ]]
	sleep 3
	[[ $("$S3/s3tool" ls "$BUCKET") == '0 "late"' ]]
}

@test "the servers leave neither process nor file" {
	local dir=$BATS_TEST_TMPDIR/server pids
	"$S3/rgw" start "$dir" --life 120
	pids=$(cat "$dir"/run/*.pid)
	[[ -n $pids ]]
	"$S3/rgw" stop "$dir"
	[[ ! -e $dir ]]
	for pid in $pids; do
		[[ ! -d /proc/$pid ]] || grep -q '^State:.Z' "/proc/$pid/status"
	done
	run ! grep -sl -F "$dir" /proc/[0-9]*/cmdline
}
