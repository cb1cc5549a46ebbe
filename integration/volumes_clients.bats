#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The clouds' own clients in JavaScript, beside volumes: each reads what a run wrote, and a run takes what they wrote.

load lib/common
load lib/volume
load lib/tools

CLIENTS=$BATS_TEST_DIRNAME/clients
AZURE=$BATS_TEST_DIRNAME/azure

setup_file() {
	if ! tool_get js "$CLIENTS/js" install; then return 0; fi
	s3_start
	if tool_get gcs "$BATS_TEST_DIRNAME/gcs/server" install; then gcs_start; fi
	if tool_get azurite "$AZURE/server" install; then "$AZURE/server" start "$BATS_FILE_TMPDIR/azure" --life 600; fi
}
teardown_file() { [[ ! -d $BATS_FILE_TMPDIR/azure ]] || "$AZURE/server" stop "$BATS_FILE_TMPDIR/azure"; }
setup() {
	tool_need js
	common_setup
	PLACE=bats-$BATS_TEST_NUMBER-$RANDOM
}
teardown() { common_teardown; }

V="state /data"
P=volumes/default/state

# js CLOUD ARG...: the client, with the environment of the server's `env` in $ENV_FILE.
js() (
	set -a
	# shellcheck source=/dev/null # written by the server
	. "$ENV_FILE"
	"$CLIENTS/js" "$CLOUD" "$1" "$PLACE" "${@:2}"
)

# both_ways: on the nodes A and B, with the store that they have.
both_ways() {
	local sum
	vrun A c1 "$V" 'mkdir /data/d; printf hello >"/data/d/a b+c%20ü"; echo old >/data/changed; echo x >/data/gone
		head -c 12000000 /dev/urandom >/data/random; sha256sum </data/random'
	ok
	sum=$output
	is "$(js get "$P/d/a b+c%20ü")" hello
	is "$(js get "$P/random" | sha256sum)" "$sum"
	like "$(js head "$P/d/a b+c%20ü" | jq -r '"\(.size) \(.mark)"')" "5 1/$(printf hello | sha256sum | cut -c 1-64)/[0-9a-f]{64}"
	is "$(js ls "$P/" | jq -r . | sort | tr '\n' ' ')" "$P/changed $P/d/a b+c%20ü $P/gone $P/random "
	head -c 12000000 /dev/urandom >"$T/theirs"
	sum=$(sha256sum <"$T/theirs")
	js put "$P/sub dir/ñ+%41.bin" "$T/theirs"
	js put "$P/changed" "$T/theirs"
	: >"$T/nothing"
	js put "$P/nothing" "$T/nothing"
	vrun B c2 "$V" 'cd /data; for f in sub*/* changed; do sha256sum <$f; done; stat -c "%s %a" nothing; cat d/*; rm changed; ls'
	ok
	is "$output" "$sum"$'\n'"$sum"$'\n'"0 644"$'\n'"hellod"$'\n'"gone"$'\n'"nothing"$'\n'"random"$'\n'"sub dir"
	is "$(js ls "$P/" | jq -r . | grep -c changed)" 0
}

@test "AWS's own client (S3)" {
	CLOUD=s3 BUCKET=$PLACE ENV_FILE=$SUITE/rgw/env
	s3 mkbucket "$BUCKET"
	node A
	node B
	both_ways
}

@test "Google's own client (Cloud Storage)" {
	tool_need gcs
	CLOUD=gcs GCS_BUCKET=$PLACE ENV_FILE=$SUITE/gcs/env
	gcs mkbucket "$GCS_BUCKET"
	node A
	node B
	both_ways
}

@test "Azure's own client (Blob Storage)" {
	tool_need azurite
	CLOUD=azure ENV_FILE=$BATS_FILE_TMPDIR/azure/env
	# shellcheck source=/dev/null # written by the server
	. "$ENV_FILE"
	printf '%s' "$AZURE_STORAGE_KEY" >"$T/secret"
	chmod 600 "$T/secret"
	"$AZURE/aztool" --env "$ENV_FILE" mkcontainer "$PLACE"
	local n
	for n in A B; do
		node "$n" ".stores.main = $(jq -cn --arg c "$PLACE" --arg e "$AZURE_ENDPOINT" --arg a "$AZURE_STORAGE_ACCOUNT" --arg s "$T/secret" \
			'{type: "azure", container: $c, endpoint: $e, account: $a, account_key_file: $s}')"
	done
	both_ways
}
