#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What a user reads when a store can't be used: on each of them, one line that names the store, the bucket and the
# reason. And a secret is nowhere but where the administrator put it.

load lib/common
load lib/volume
load lib/tools

AZURE=$BATS_TEST_DIRNAME/azure

setup_file() {
	s3_start
	if tool_get gcs "$BATS_TEST_DIRNAME/gcs/server" install; then
		gcs_start
		"$HERE/faults/proxy" start "$BATS_FILE_TMPDIR/proxy-gcs" "$SUITE/gcs/env"
	fi
	if tool_get azurite "$AZURE/server" install; then
		"$AZURE/server" start "$BATS_FILE_TMPDIR/azure" --life 900
		"$HERE/faults/proxy" start "$BATS_FILE_TMPDIR/proxy-azure" "$BATS_FILE_TMPDIR/azure/env"
	fi
	"$HERE/faults/proxy" start "$BATS_FILE_TMPDIR/proxy-s3" "$SUITE/rgw/env"
}
teardown_file() {
	local name
	for name in s3 gcs azure; do [[ ! -d $BATS_FILE_TMPDIR/proxy-$name ]] || "$HERE/faults/proxy" stop "$BATS_FILE_TMPDIR/proxy-$name"; done
	"$AZURE/server" stop "$BATS_FILE_TMPDIR/azure" || :
}
setup() {
	common_setup
	export THINGS=things-$BATS_TEST_NUMBER-$RANDOM KEYFILE=$T/config/key
	mkdir "$T/config"
}
teardown() {
	[[ -z ${TLS:-} ]] || kill "$TLS" 2>/dev/null || :
	common_teardown
}

# The stores that are here: "KIND PLACE", where the place is what a message calls the bucket.
stores() {
	echo "s3 bucket"
	[[ -e $BATS_FILE_TMPDIR/gcs.absent ]] || echo "gcs bucket"
	[[ -e $BATS_FILE_TMPDIR/azurite.absent ]] || echo "azure container"
}

# use KIND [FILTER]: a node of that name with the store, through its proxy, and a bucket of this test's. Its secret is in $SECRET, and
# in a file that alone names it.
use() {
	local store
	# shellcheck source=/dev/null # written by the proxy
	. "$BATS_FILE_TMPDIR/proxy-$1/env"
	case $1 in
	s3)
		SECRET=$AWS_SECRET_ACCESS_KEY
		s3 mkbucket "$THINGS" 2>/dev/null || :
		store=$(jq -cn --arg f "$KEYFILE-s3" --arg e "$S3_ENDPOINT" --arg k "$AWS_ACCESS_KEY_ID" '{type: "s3", bucket: env.THINGS, endpoint: $e, path_style: true,
			access_key_id: $k, secret_access_key_file: $f}')
		;;
	gcs)
		SECRET=ya29.never-to-be-seen
		gcs mkbucket "$THINGS" 2>/dev/null || :
		store=$(jq -cn --arg e "$GCS_ENDPOINT" '{type: "gcs", bucket: env.THINGS, endpoint: $e}')
		;;
	azure)
		SECRET=$AZURE_STORAGE_KEY
		"$AZURE/aztool" --env "$BATS_FILE_TMPDIR/azure/env" mkcontainer "$THINGS" 2>/dev/null || :
		store=$(jq -cn --arg f "$KEYFILE-azure" --arg e "$AZURE_ENDPOINT" '{type: "azure", container: env.THINGS, endpoint: $e, account: "testaccount",
			account_key_file: $f}')
		;;
	esac
	printf '%s' "$SECRET" >"$KEYFILE-$1"
	chmod 600 "$KEYFILE-$1"
	node "$1" ".stores.main = $store | .stores.main += {connect_timeout_ms: 2000, low_speed_seconds: 2} | ${2:-.}"
}

# says PLACE REASON: the last start was refused by one line that names all three, and no secret.
# shellcheck disable=SC2154 # try() sets it
says() {
	not_ok "store \"main\" \($1 [A-Za-z0-9-]+\)"
	like "$stderr" "$2"
	unlike "${stderr,,}" "permission denied|operation not permitted|no such file|does not exist|is a directory|not a directory"
	[[ $stderr != *"$SECRET"* && $stderr != *"${SECRET:0:12}"* ]] || fail "it tells the secret"
}

# each FILTER PATTERN [OPTIONS]: so says each store, of a volume with these options. They are asked side by side.
each() {
	local kind place
	while read -r kind place; do
		use "$kind" "$1"
		vbundle "c-$kind" "state /data ${3:-wait=1s}" 'echo must not run'
		(
			try_as "$kind" on "$kind" volrun run --bundle "$T/c-$kind" "c-$kind"
		) 3>&- 4>&- &
	done < <(stores)
	while read -r kind place; do
		until_true 60 test -e "$T/$kind.status"
		status=$(<"$T/$kind.status") output=$(<"$T/$kind.stdout") stderr=$(<"$T/$kind.stderr") SECRET=$(<"$KEYFILE-$kind")
		rm "$T/$kind.status"
		is "$output" ""
		says "$place" "$2"
	done < <(stores)
	until_true 30 eval '[[ -z $(keepers) ]]'
}
# try_as NAME COMMAND...: as try, in files of that name.
try_as() {
	local name=$1 status=0
	shift
	"$@" >"$T/$name.stdout" 2>"$T/$name.stderr" </dev/null || status=$?
	echo "$status" >"$T/$name.new"
	mv "$T/$name.new" "$T/$name.status"
}
# tell_all WORDS...: the proxies of all.
tell_all() {
	local kind place
	while read -r kind place; do "$HERE/faults/proxy" tell "$BATS_FILE_TMPDIR/proxy-$kind" "$@"; done < <(stores)
}

@test "a bucket that is not there" {
	each '.stores.main |= (if .container then .container = "no-such-one" else .bucket = "no-such-one" end)' "(bucket|container) was not found"
}

@test "nobody listens" {
	each '.stores.main.endpoint |= sub(":[0-9]+"; ":1")' "object store unreachable"
}

@test "a host that has no address" {
	each '.stores.main.endpoint |= sub("127.0.0.1:[0-9]+"; "store.invalid")' "object store unreachable"
}

@test "a certificate that nobody here trusts" {
	local port
	openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 -keyout "$T/tls.key" -out "$T/tls.pem" 2>/dev/null
	port=$(/usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
	timeout 120 openssl s_server -quiet -accept "127.0.0.1:$port" -key "$T/tls.key" -cert "$T/tls.pem" </dev/null >/dev/null 2>&1 3>&- 4>&- &
	TLS=$!
	until_true 10 bash -c ": </dev/tcp/127.0.0.1/$port"
	each '.stores.main.endpoint |= sub("http://127.0.0.1:[0-9]+"; "https://127.0.0.1:'"$port"'") | .stores.main.credentials.from =
		(if .stores.main.type == "gcs" then "none" else null end) | del(.stores.main.credentials | select(.from == null))' "certificate"
}

@test "credentials that the store refuses" {
	tell_all status 403 GET . 100000
	each . "object store rejected the credentials"
	tell_all clear
}

@test "a store that asks to slow down, and does not stop asking" {
	local method
	for method in GET PUT POST; do tell_all status 503 $method . 100000; done
	each . "asks to slow down"
	tell_all clear
}

@test "an answer that is no object store's: never an empty volume" {
	local port
	/usr/bin/python3 - "$T/port" >/dev/null 2>&1 3>&- 4>&- <<-'EOF' &
	import http.server, os, sys, threading
	class H(http.server.BaseHTTPRequestHandler):
	    protocol_version = "HTTP/1.1"
	    def do(self):
	        self.rfile.read(int(self.headers.get("Content-Length", 0)))
	        body = b"default backend - 404"
	        self.send_response(404)
	        self.send_header("Content-Length", str(len(body)))
	        self.end_headers()
	        if self.command != "HEAD":
	            self.wfile.write(body)
	    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = do
	s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), H)
	open(sys.argv[1] + ".new", "w").write(str(s.server_port))
	os.rename(sys.argv[1] + ".new", sys.argv[1])
	threading.Timer(120, lambda: os._exit(0)).start()
	s.serve_forever()
	EOF
	TLS=$!
	until_true 10 test -s "$T/port"
	port=$(cat "$T/port")
	each '.stores.main.endpoint |= sub(":[0-9]+"; ":'"$port"'")' "is the endpoint right"
	each '.stores.main.endpoint |= sub(":[0-9]+"; ":'"$port"'")' "is the endpoint right" ro
}

@test "a directory that can't be one" {
	: >"$T/file"
	SECRET=none-at-all
	node A ".stores.main = {type: \"filesystem\", path: \"$T/file/store\"}"
	vrun A c1 "state /data" 'echo must not run'
	not_ok "store \"main\".*$T/file/store"
	unlike "${stderr,,}" "no such file|not a directory|permission denied"
}

@test "a run leaves no secret: in logs, reports, state, caches, and what can be seen of its processes" {
	local kind place pid found n=0
	while read -r kind place; do
		use "$kind"
		n=$((n + 1))
		vbundle "c$n" "state /data" 'echo x >/data/f; env; sleep 1000'
		on "$kind" volrun --debug --log "$T/log-$kind" --log-format json run --detach --bundle "$T/c$n" "c$n" </dev/null >"$T/c$n.log" 2>&1
		for pid in $(keepers) $(on "$kind" volrun state "c$n" | jq -r .pid); do
			found=$(tr '\0' '\n' <"/proc/$pid/cmdline"; tr '\0' '\n' <"/proc/$pid/environ")
			[[ $found != *"$SECRET"* ]] || fail "$kind: process $pid shows the secret"
		done
		found=$(grep -rlF -e "$SECRET" "$T" | grep -v "^$T/config/key-" || :)
		on "$kind" volrun delete --force "c$n"
		until_true 30 eval '[[ -z $(keepers) ]]'
		is "$found" ""
		is "$(grep -rlF -e "$SECRET" "$T" | grep -v "^$T/config/key-" || :)" ""
	done < <(stores)
}
