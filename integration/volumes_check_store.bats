#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# `volrun volume check-store`: what it says of stores that do, and of some that don't.

load lib/common
load lib/volume
load lib/tools

setup() {
	common_setup
	node A
}
teardown() {
	common_teardown
	[[ ! -d $BATS_TEST_TMPDIR/lax ]] || "$HERE/s3/lax" stop "$BATS_TEST_TMPDIR/lax"
	[[ ! -d $BATS_TEST_TMPDIR/identity ]] || "$HERE/azure/identity" stop "$BATS_TEST_TMPDIR/identity"
	[[ ! -d $BATS_TEST_TMPDIR/azure ]] || "$HERE/azure/server" stop "$BATS_TEST_TMPDIR/azure"
}

check() { try on A volrun volume check-store "$@"; }

@test "a directory needs no credentials; a figure for speed; nothing is left in it" {
	check
	ok
	like "$output" "there are credentials: yes: none are needed"
	like "$output" "8 MiB go up and come down: yes: [0-9]+ MiB/s up, [0-9]+ MiB/s down"
	unlike "$output" ": NO"
	is "$(find "$T/store" -path "*/.volrun-store" -prune -o -type f -print)" ""
}

@test "of a real S3 server it is said where the keys are from, and never what they are" {
	s3_start
	BUCKET=check-$RANDOM
	s3 mkbucket "$BUCKET"
	node A
	check main
	ok
	like "$output" "there are credentials: yes: from the configuration \(access_key_id\)"
	like "$output" "a write without metadata takes the old off: yes"
	is "$(s3 ls "$BUCKET")" ""
	unlike "$output" "$(. "$SUITE/rgw/env" && echo "$AWS_SECRET_ACCESS_KEY")"
}

@test "Azure's API can hold volumes, as JSON too; how long a token is good is said" {
	tool_get azurite "$HERE/azure/server" install || :
	tool_need azurite
	"$HERE/azure/server" start "$BATS_TEST_TMPDIR/azure" --tls --life 120
	"$HERE/azure/identity" start "$BATS_TEST_TMPDIR/identity" 3600
	. "$BATS_TEST_TMPDIR/azure/env"
	. "$BATS_TEST_TMPDIR/identity/env"
	"$HERE/azure/aztool" --env "$BATS_TEST_TMPDIR/azure/env" mkcontainer data
	echo "AccountName=$AZURE_STORAGE_ACCOUNT;AccountKey=$AZURE_STORAGE_KEY;BlobEndpoint=$AZURE_ENDPOINT" >"$T/connection"
	node A ".stores.main = {type: \"azure\", connection_string_file: \"$T/connection\", container: \"data\", ca_file: \"$AZURE_CA_FILE\"}"
	check --json
	ok
	is "$(jq -r '"\(.store) \(.type) \(.usable)"' <<<"$output")" "main azure true"
	is "$(jq -r '[.checks[] | select(.result != "holds")] | length' <<<"$output")" 0
	is "$(jq -r '.checks[0].detail' <<<"$output")" "from the connection string"
	unlike "$output" "$AZURE_STORAGE_KEY"
	node A ".stores.main = {type: \"azure\", endpoint: \"$AZURE_ENDPOINT\", container: \"data\", ca_file: \"$AZURE_CA_FILE\",
		credentials: {metadata_endpoint: \"$IDENTITY_URL\"}}"
	check
	ok
	like "$output" "there are credentials: yes: from the managed identity at http://127.0.0.1:[0-9]+/metadata/identity/oauth2/token, good for (0 h 59 min|1 h 00 min) [0-9]+ s, then renewed"
	is "$("$HERE/azure/aztool" --env "$BATS_TEST_TMPDIR/azure/env" ls data)" ""
}

@test "a server that takes conditions without enforcing them can't hold volumes, and that is why" {
	"$HERE/s3/lax" start "$BATS_TEST_TMPDIR/lax"
	. "$BATS_TEST_TMPDIR/lax/env"
	node A ".stores.main = {type: \"s3\", bucket: \"data\", endpoint: \"$S3_ENDPOINT\", access_key_id: \"x\", secret_access_key_file: \"$T/key\"}"
	echo y >"$T/key"
	check
	is "$status" 1
	like "$output" "objects can be written and read: yes"
	like "$output" "a write without metadata takes the old off: no \(not needed\): it keeps the old"
	like "$output" "conditions on writes are enforced \(leases\): NO: .*accepts conditional writes without enforcing them \(a second create of one key succeeded\): it can't hold leases"
	like "$stderr" "^volrun volume: store \"main\" .*it can't hold leases$"
}

@test "no credentials: all that was tried is named" {
	node A '.stores.main = {type: "s3", bucket: "data", endpoint: "http://127.0.0.1:1"}'
	unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
	export AWS_EC2_METADATA_SERVICE_ENDPOINT=http://127.0.0.1:1 HOME=$T
	check
	is "$status" 1
	like "$output" "there are credentials: NO: no credentials: tried the configuration .*, the environment .*, web identity .*, profile default .*, the container .*, instance metadata did not answer"
}

@test "a store that is not configured, and one that does not answer" {
	check nowhere
	not_ok 'no store "nowhere"'
	node A ".stores.main = {type: \"s3\", bucket: \"data\", endpoint: \"http://127.0.0.1:1\", access_key_id: \"x\", secret_access_key_file: \"$T/key\"}"
	echo y >"$T/key"
	check
	is "$status" 1
	like "$output" "objects can be written and read: NO: .*object store unreachable: connection refused"
}
