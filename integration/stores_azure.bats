#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The store suite (tests/store_conformance.c), unchanged, on Azure's API: Azurite, by each way to sign.

load lib/tools
bats_require_minimum_version 1.5.0

AZURE=$BATS_TEST_DIRNAME/azure

setup_file() {
	tool_get azurite "$AZURE/server" install || return 0
	"$AZURE/server" start "$BATS_FILE_TMPDIR/plain" --life 900
	"$AZURE/server" start "$BATS_FILE_TMPDIR/tls" --tls --life 900
}

teardown_file() {
	"$AZURE/server" stop "$BATS_FILE_TMPDIR/plain" || :
	"$AZURE/server" stop "$BATS_FILE_TMPDIR/tls" || :
}

setup() {
	tool_need azurite
	SUITE_PROGRAM=${VOLRUN_BIN:-$BATS_TEST_DIRNAME/../build}/tests/store_conformance
	[[ -x $SUITE_PROGRAM ]] || make -s -C "$(dirname "$SUITE_PROGRAM")/.." tests/store_conformance
	CONTAINER=stores-$BATS_TEST_NUMBER-$RANDOM
}

teardown() {
	[[ ! -d $BATS_TEST_TMPDIR/identity ]] || "$AZURE/identity" stop "$BATS_TEST_TMPDIR/identity"
}

# use NAME: the server's address and key, and a container of this test's.
use() {
	set -a
	# shellcheck source=/dev/null # written by the server
	. "$BATS_FILE_TMPDIR/$1/env"
	set +a
	"$AZURE/aztool" mkcontainer "$CONTAINER"
}

@test "the store suite on Azure's API, with the account's key" {
	use plain
	"$SUITE_PROGRAM" azure "$AZURE_ENDPOINT" "$CONTAINER"
	[[ -z $("$AZURE/aztool" ls "$CONTAINER") ]]
}

@test "the store suite with a shared access signature" {
	use plain
	AZURE_STORAGE_SAS_TOKEN=$("$AZURE/aztool" sas 600)
	export AZURE_STORAGE_SAS_TOKEN
	unset AZURE_STORAGE_KEY
	"$SUITE_PROGRAM" azure "$AZURE_ENDPOINT" "$CONTAINER"
}

@test "the store suite with a connection string that names all" {
	use plain
	AZURE_STORAGE_CONNECTION_STRING="AccountName=$AZURE_STORAGE_ACCOUNT;AccountKey=$AZURE_STORAGE_KEY;BlobEndpoint=$AZURE_ENDPOINT"
	export AZURE_STORAGE_CONNECTION_STRING
	unset AZURE_STORAGE_ACCOUNT AZURE_STORAGE_KEY
	"$SUITE_PROGRAM" azure "" "$CONTAINER"
}

@test "the store suite over TLS with a managed identity's tokens that live four seconds" {
	use tls
	"$AZURE/identity" start "$BATS_TEST_TMPDIR/identity" 4
	. "$BATS_TEST_TMPDIR/identity/env"
	export AZURE_POD_IDENTITY_AUTHORITY_HOST=$IDENTITY_URL
	unset AZURE_STORAGE_KEY
	"$SUITE_PROGRAM" azure "$AZURE_ENDPOINT" "$CONTAINER" "$AZURE_CA_FILE"
	local n
	n=$(grep -c ^200 "$BATS_TEST_TMPDIR/identity/requests")
	echo "$n tokens" >&2
	((n >= 2))
	run ! grep -v ^200 "$BATS_TEST_TMPDIR/identity/requests"
}

@test "a wrong key, and a container that is not there, are named as such" {
	use plain
	AZURE_STORAGE_KEY=bm90LXRoZS1rZXk= STORE_TESTS="*probe*" run ! "$SUITE_PROGRAM" azure "$AZURE_ENDPOINT" "$CONTAINER"
	[[ $output == *"object store rejected the credentials"*"(403 AuthorizationFailure)"* || $output == *"object store rejected the credentials"*"(403 AuthenticationFailed)"* ]]
	[[ $output != *bm90LXRoZS1rZXk* ]]
	STORE_TESTS="*probe*" run ! "$SUITE_PROGRAM" azure "$AZURE_ENDPOINT" no-such-container
	[[ $output == *"the container was not found (404 ContainerNotFound)"* ]]
}

@test "nobody listening, no account, an expired signature: one line each" {
	use plain
	STORE_TESTS="*probe*" run ! "$SUITE_PROGRAM" azure http://127.0.0.1:1/testaccount "$CONTAINER"
	[[ $output == *"object store unreachable: connection refused at http://127.0.0.1:1"* ]]
	AZURE_STORAGE_ACCOUNT='' STORE_TESTS="*probe*" run ! "$SUITE_PROGRAM" azure "" "$CONTAINER"
	[[ $output == *"account is missing"* ]]
	AZURE_STORAGE_SAS_TOKEN=$("$AZURE/aztool" sas -60)
	export AZURE_STORAGE_SAS_TOKEN
	unset AZURE_STORAGE_KEY
	STORE_TESTS="*probe*" run ! "$SUITE_PROGRAM" azure "$AZURE_ENDPOINT" "$CONTAINER"
	[[ $output == *"object store rejected the credentials"* ]]
	[[ $output != *sig=* ]]
}
