#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# `volrun volume check-store`: what it says of stores that do, and of some that don't.

load lib/common
load lib/volume

setup() {
	common_setup
	node A
}
teardown() {
	common_teardown
	[[ ! -d $BATS_TEST_TMPDIR/lax ]] || "$HERE/s3/lax" stop "$BATS_TEST_TMPDIR/lax"
	[[ ! -d $BATS_TEST_TMPDIR/azure ]] || "$HERE/azure/server" stop "$BATS_TEST_TMPDIR/azure"
}

check() { try on A volrun volume check-store "$@"; }

@test "a directory is fit, and nothing is left in it" {
	check
	ok
	like "$output" "^store main: filesystem, directory $T/store"
	like "$output" "good  credentials  none are needed"
	like "$output" "good  race         16 clients at once: 1 won"
	like "$output" "good  speed .* MiB/s up, .* MiB/s down"
	is "${lines[-1]}" "fit for volumes"
	unlike "$output" BAD
	is "$(find "$T/store" -path "*/.volrun-store" -prune -o -type f -print)" ""
}

@test "a real S3 server is fit; that it wants If-Match without quotes is said" {
	s3_start
	BUCKET=check-$RANDOM
	s3 mkbucket "$BUCKET"
	node A
	check main
	ok
	like "$output" "good  credentials  from the configuration \(access_key_id\)"
	like "$output" "enforced when a key is created and replaced \(it wants If-Match without quotes\); not enforced, and not needed when one is deleted"
	is "${lines[-1]}" "fit for volumes"
	is "$(s3 ls "$BUCKET")" ""
	unlike "$output" "$(. "$SUITE/rgw/env" && echo "$AWS_SECRET_ACCESS_KEY")"
}

@test "Azure's API is fit, as JSON too" {
	"$HERE/azure/server" start "$BATS_TEST_TMPDIR/azure" --life 120
	. "$BATS_TEST_TMPDIR/azure/env"
	"$HERE/azure/aztool" --env "$BATS_TEST_TMPDIR/azure/env" mkcontainer data
	node A ".stores.main = {type: \"azure\", connection_string_file: \"$T/connection\", container: \"data\"}"
	echo "AccountName=$AZURE_STORAGE_ACCOUNT;AccountKey=$AZURE_STORAGE_KEY;BlobEndpoint=$AZURE_ENDPOINT" >"$T/connection"
	check --json
	ok
	is "$(jq -r '"\(.store) \(.type) \(.place) \(.fit)"' <<<"$output")" "main azure container data true"
	is "$(jq -r '[.findings[] | select(.result != "good")] | length' <<<"$output")" 0
	is "$(jq -r '.findings[] | select(.what == "conditions").text' <<<"$output")" \
		"enforced when a key is created and replaced; enforced when one is deleted; enforced when one is copied"
	is "$("$HERE/azure/aztool" --env "$BATS_TEST_TMPDIR/azure/env" ls data)" ""
	unlike "$output" "$AZURE_STORAGE_KEY"
}

@test "a server that takes conditions without enforcing them is not fit, and says why" {
	"$HERE/s3/lax" start "$BATS_TEST_TMPDIR/lax"
	. "$BATS_TEST_TMPDIR/lax/env"
	node A ".stores.main = {type: \"s3\", bucket: \"data\", endpoint: \"$S3_ENDPOINT\", access_key_id: \"x\", secret_access_key_file: \"$T/key\"}"
	echo y >"$T/key"
	check
	is "$status" 1
	like "$output" "BAD   conditions .*accepts conditional writes without enforcing them \(a second create of one key succeeded\): it can't hold leases"
	is "${lines[-1]}" "not fit for volumes that are written to"
	is "$stderr" "volrun volume: store main is not fit for volumes"
}

@test "no credentials: all that was tried is named" {
	node A '.stores.main = {type: "s3", bucket: "data", endpoint: "http://127.0.0.1:1"}'
	unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
	export AWS_EC2_METADATA_SERVICE_ENDPOINT=http://127.0.0.1:1 HOME=$T
	check
	is "$status" 1
	like "$output" "BAD   credentials  no credentials: tried the configuration .*, the environment .*, web identity .*, profile default .*, the container .*, instance metadata did not answer"
}

@test "a store that is not configured, and one that does not answer" {
	check nowhere
	not_ok 'no store "nowhere"'
	node A ".stores.main = {type: \"s3\", bucket: \"data\", endpoint: \"http://127.0.0.1:1\", access_key_id: \"x\", secret_access_key_file: \"$T/key\"}"
	echo y >"$T/key"
	check
	is "$status" 1
	like "$output" "BAD   listing .*object store unreachable: connection refused"
}
