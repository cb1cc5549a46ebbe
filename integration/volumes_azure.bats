#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Volumes on Azure Blob Storage's API (Azurite), and two nodes that share a container.

load lib/common
load lib/volume
load lib/tools

AZURE=$BATS_TEST_DIRNAME/azure

setup_file() {
	tool_get client "$AZURE/server" python || :
	if tool_get azurite "$AZURE/server" install; then "$AZURE/server" start "$BATS_FILE_TMPDIR/azure" --life 900; fi
}
teardown_file() { "$AZURE/server" stop "$BATS_FILE_TMPDIR/azure" || :; }
setup() {
	tool_need azurite
	common_setup
	CONTAINER=bats-$BATS_TEST_NUMBER-$RANDOM
	# shellcheck source=/dev/null # written by the server
	. "$BATS_FILE_TMPDIR/azure/env"
	printf '%s' "$AZURE_STORAGE_KEY" >"$T/secret"
	chmod 600 "$T/secret"
	az mkcontainer "$CONTAINER"
	aznode A
	aznode B
}
teardown() {
	common_teardown
	[[ ! -d $BATS_TEST_TMPDIR/identity ]] || "$AZURE/identity" stop "$BATS_TEST_TMPDIR/identity"
}

az() { "$AZURE/aztool" --env "$BATS_FILE_TMPDIR/azure/env" "$@"; }

# aznode NAME [JQ-FILTER]: a node whose store is the container.
aznode() {
	node "$1" ".stores.main = $(jq -cn --arg c "$CONTAINER" --arg e "$AZURE_ENDPOINT" --arg s "$T/secret" \
		'{type: "azure", container: $c, endpoint: $e, account: "testaccount", account_key_file: $s}') | ${2:-.}"
}

V="state /data"
P=volumes/default/state
M=volumes/default/.volrun/state
head_of() { az get "$CONTAINER" "$M/head"; }
names() { az ls "$CONTAINER" "$1" | cut -d ' ' -f 2- | jq -r . | sort; }

@test "what a run on A wrote, a run on B reads: bytes, modes, owners, times, links, empty directories" {
	vrun A c1 "$V" "D=/data; $MAKE_TREE; $FINGERPRINT"
	ok
	local written=$output
	vrun B c2 "$V" "D=/data; $FINGERPRINT"
	ok
	is "$output" "$written"
	is "$(head_of | jq -r '"\(.state) \(.epoch) \(.commit.seq) \(.hints.applied.seq // .applied_seq)"')" "free 2 1 1"
}

@test "what A deleted is gone for B, in the container too" {
	vrun A c1 "$V" 'cd /data; mkdir -p d/e; echo 1 >f; echo 1 >d/e/g; ln -s f l; echo 1 >stay'
	ok
	vrun B c2 "$V" 'rm -r /data/d /data/f /data/l'
	ok
	vrun A c3 "$V" 'ls -A /data'
	is "$output" stay
	is "$(names "$P/" | grep -v _symlinks.json)" "$P/stay"
}

@test "a directory becomes a file of its name, and a file a directory" {
	vrun A c1 "$V" 'cd /data; mkdir d; echo 1 >f'
	ok
	vrun B c2 "$V" 'cd /data; rmdir d; echo now a file >d; rm f; mkdir f; echo x >f/g'
	ok
	vrun A c3 "$V" 'cd /data; cat d f/g; find . | sort'
	ok
	is "$output" $'now a file\nx\n.\n./d\n./f\n./f/g'
	is "$(az get "$CONTAINER" "$P/d")" "now a file"
}

@test "names that Azure would keep otherwise are in the volume all the same" {
	vrun A c1 "$V" 'cd /data; mkdir "dir."; echo 1 >"dir./f"; echo 2 >"dot."; echo 3 >"back\\slash"; printf 4 >"$(printf "tab\there")"; echo 5 >plain'
	ok
	vrun B c2 "$V" 'cd /data; cat dir./f dot. back*slash tab*; ls | wc -l'
	ok
	is "$output" $'1\n2\n3\n45'
	is "$(names "$P/" | grep -v _symlinks.json)" "$P/plain"
	vrun A c3 "$V" 'cd /data; rm "dot."; rm -r dir.; echo 33 >"back\\slash"'
	ok
	vrun B c4 "$V" 'cd /data; cat back*; ls | wc -l'
	is "$output" $'33\n3'
}

@test "a large file goes in blocks and comes back whole" {
	vrun A c1 "$V" 'head -c 40000000 /dev/urandom >/data/big; sha256sum </data/big'
	ok
	local sum=$output
	vrun B c2 "$V" 'sha256sum </data/big'
	ok
	is "$output" "$sum"
	is "$(az get "$CONTAINER" "$P/big" | sha256sum)" "$sum"
}

@test "with wait=2s it fails after 2 s with one line that names the holder" {
	vstart A c1 "$V" 'sleep 60'
	vbundle c2 "state /data wait=2s" 'echo must not run'
	try on B volrun run --bundle "$T/c2" c2
	not_ok "lease held by node-A .*c1.*waited 2"
	on A volrun delete --force c1
}

@test "a keeper killed by SIGKILL: B has the lease within the time to live and a margin" {
	aznode A '.lease += {ttl: "3s", renew: "500ms", poll: "1s"}'
	aznode B '.lease += {ttl: "3s", renew: "500ms", poll: "1s"}'
	vstart A c1 "$V" 'echo A >/data/from-A; touch /workspace/up; while :; do date >>/data/log; sleep 0.1; done'
	until_true 10 test -e "$T/c1/rootfs/workspace/up"
	kill -9 "$(keepers)"
	local t0 ms
	t0=$(now_ms)
	vrun B c2 "$V" 'ls /data; echo B >/data/from-B'
	ms=$(($(now_ms) - t0))
	ok
	is "$output" ""
	((ms <= 9000)) || fail "after $ms ms"
	on A volrun delete --force c1
	sleep 2
	vrun A c3 "$V" 'ls /data'
	is "$output" from-B
}

@test "the official client reads what a run wrote, and a run reads what it wrote" {
	tool_need client
	local python
	python=$("$AZURE/server" python)
	vrun A c1 "$V" 'mkdir /data/d; printf hello >"/data/d/a b+c%20ü"; head -c 9000000 /dev/zero >/data/zeros'
	ok
	export AZURE_ENDPOINT AZURE_STORAGE_KEY CONTAINER P
	try "$python" - <<-'EOF'
	import hashlib, os
	from azure.storage.blob import ContainerClient
	c = ContainerClient(os.environ["AZURE_ENDPOINT"], os.environ["CONTAINER"], credential={"account_name": "testaccount", "account_key": os.environ["AZURE_STORAGE_KEY"]}, api_version="2021-12-02")
	p = os.environ["P"]
	b = c.get_blob_client(p + "/d/a b+c%20ü")
	assert b.download_blob().readall() == b"hello"
	props = b.get_blob_properties()
	assert props.metadata["volrun"].startswith("1/" + hashlib.sha256(b"hello").hexdigest() + "/"), props.metadata
	assert props.content_settings.content_md5 == hashlib.md5(b"hello").digest()
	assert c.get_blob_client(p + "/zeros").download_blob().readall() == b"\0" * 9000000
	c.upload_blob(p + "/from client/ñ.txt", b"written by the client")
	c.upload_blob(p + "/big", os.urandom(1) * 70000000, max_concurrency=2)
	c.upload_blob(p + "/folder/", b"", metadata={"hdi_isfolder": "true"})
	EOF
	ok
	vrun B c2 "$V" 'cd /data; cat "from client/ñ.txt"; stat -c %s big; stat -c %F folder; cat d/a*'
	ok
	is "$output" $'written by the client70000000\ndirectory\nhello'
}

@test "an empty environment is enough: nothing but the configuration names account and key" {
	aznode A
	vbundle c1 "$V" 'echo x >/data/f; env'
	try env -i PATH="$PATH" VOLRUN_CONFIG="$T/A.json" "$BIN/volrun" --root "$T/state-A" run --bundle "$T/c1" c1
	ok
	unlike "$output" AZURE_
	until_true 30 eval '[[ -z $(keepers) ]]'
	is "$(az get "$CONTAINER" "$P/f")" x
}

@test "a managed identity's tokens expire during the run, and nobody notices" {
	"$AZURE/server" start "$T/tls" --tls --life 120
	"$AZURE/identity" start "$BATS_TEST_TMPDIR/identity" 4
	. "$T/tls/env"
	. "$BATS_TEST_TMPDIR/identity/env"
	"$AZURE/aztool" --env "$T/tls/env" mkcontainer "$CONTAINER"
	node A ".stores.main = {type: \"azure\", container: \"$CONTAINER\", endpoint: \"$AZURE_ENDPOINT\", ca_file: \"$AZURE_CA_FILE\",
		credentials: {metadata_endpoint: \"$IDENTITY_URL\"}} | .lease += {ttl: \"5s\", renew: \"500ms\"}"
	vrun A c1 "$V" 'sleep 12; head -c 20000000 /dev/urandom >/data/f; sha256sum </data/f'
	ok
	local sum=$output n
	n=$(grep -c ^200 "$BATS_TEST_TMPDIR/identity/requests")
	echo "$n tokens" >&2
	((n >= 4)) || fail "$n tokens"
	is "$("$AZURE/aztool" --env "$T/tls/env" get "$CONTAINER" "$P/f" | sha256sum)" "$sum"
	is "$("$AZURE/aztool" --env "$T/tls/env" get "$CONTAINER" "$M/head" | jq -r '"\(.state) \(.epoch) \(.commit.seq)"')" "free 1 1"
	"$AZURE/server" stop "$T/tls"
}

@test "a wrong key, a container that is not there, nobody listening: one line each, without the secret" {
	printf 'd3Jvbmd3cm9uZw==' >"$T/secret"
	vrun A c1 "$V" 'echo must not run'
	not_ok "rejected the credentials"
	unlike "$stderr" d3Jvbmd3cm9uZw
	unlike "${stderr,,}" "permission denied|operation not permitted"
	printf '%s' "$AZURE_STORAGE_KEY" >"$T/secret"
	aznode A '.stores.main.container = "no-such-container"'
	vrun A c2 "$V" 'true'
	not_ok "container"
	aznode A '.stores.main.endpoint = "http://127.0.0.1:1/testaccount"'
	vrun A c3 "$V" 'true'
	not_ok "unreachable"
	unlike "${stderr,,}" "no such file|does not exist|permission denied"
}

@test "a configuration that can't work says which key is wrong" {
	local filter words
	while IFS='|' read -r filter words; do
		aznode A "$filter"
		vrun A c1 "$V" true
		not_ok "$words"
	done <<-'EOF'
	del(.stores.main.container)|stores.main.container: missing
	.stores.main.container = "No_Such"|container is missing or no container's name
	.stores.main.credentials.from = "nowhere"|stores.main.credentials.from: "nowhere" is no source of type azure
	.stores.main.account_key_file = "/nonexistent/key"|the credentials' file /nonexistent/key can't be read
	.stores.main.credentials.nothing = "x"|nothing
	EOF
}
