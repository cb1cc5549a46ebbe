#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Credentials of a real S3 server that are fetched, and fetched again, by keeper and commands as they run.

load lib/common
load lib/volume

setup_file() { s3_start; }
setup() {
	common_setup
	BUCKET=bats-$BATS_TEST_NUMBER-$RANDOM
	s3 mkbucket "$BUCKET"
	# shellcheck source=/dev/null # written by rgw
	. "$SUITE/rgw/env"
}
teardown() { common_teardown; }

V="state /data"
P=volumes/default/state

# keyless NODE JQ-OBJECT: a node whose store has these credentials, and no others.
keyless() {
	node "$1" "del(.stores.main.access_key_id, .stores.main.secret_access_key_file) | .stores.main.credentials = $2
		| .lease += {ttl: \"5s\", renew: \"500ms\"}"
}

# process SECONDS: a program that gives the keys, good for so long, and notes each call in $T/calls.
process() {
	cat >"$T/give" <<-EOF
	#!/bin/sh
	echo call >>$T/calls
	until=\$(date -u -d "+$1 seconds" +%Y-%m-%dT%H:%M:%SZ)
	printf '{"Version": 1, "AccessKeyId": "%s", "SecretAccessKey": "%s", "Expiration": "%s"}\n' '$AWS_ACCESS_KEY_ID' '$AWS_SECRET_ACCESS_KEY' "\$until"
	EOF
	chmod 700 "$T/give"
}

@test "a process gives keys for seconds, again and again while the container runs" {
	process 4
	keyless A "{process: \"$T/give\"}"
	vrun A c1 "$V" 'sleep 10; echo kept >/data/f'
	ok
	is "$stderr" ""
	is "$(s3 get "$BUCKET" "$P/f")" kept
	local n
	n=$(wc -l <"$T/calls")
	echo "$n calls" >&2
	((n >= 4)) || fail "$n calls"
}

@test "the process may be a Python program that starts others, as the clouds' own tools are" {
	cat >"$T/give" <<-EOF
	#!/usr/bin/python3
	import datetime, json, socket, ssl, subprocess, tempfile, threading
	threading.Thread(target=ssl.create_default_context).start()
	socket.getaddrinfo("localhost", 80)
	with tempfile.TemporaryFile() as f:
	    f.write(subprocess.check_output(["/bin/date", "+%s"]))
	until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=5)
	print(json.dumps({"Version": 1, "AccessKeyId": "$AWS_ACCESS_KEY_ID", "SecretAccessKey": "$AWS_SECRET_ACCESS_KEY",
	                  "Expiration": until.strftime("%Y-%m-%dT%H:%M:%SZ")}))
	open("$T/calls", "a").write("call\n")
	EOF
	chmod 700 "$T/give"
	keyless A "{process: \"$T/give\"}"
	vrun A c1 "$V" 'sleep 9; echo kept >/data/f'
	ok
	is "$stderr" ""
	is "$(s3 get "$BUCKET" "$P/f")" kept
	(($(wc -l <"$T/calls") >= 3)) || fail "$(wc -l <"$T/calls") calls"
}

@test "a profile of a file that the configuration names, with an empty environment" {
	printf '[team]\naws_access_key_id = %s\naws_secret_access_key = %s\n' "$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY" >"$T/profiles"
	keyless A "{file: \"$T/profiles\", profile: \"team\"}"
	vbundle c1 "$V" 'echo x >/data/f'
	try env -i PATH="$PATH" VOLRUN_CONFIG="$T/A.json" "$BIN/volrun" --root "$T/state-A" run --bundle "$T/c1" c1
	ok
	until_true 30 eval '[[ -z $(keepers) ]]'
	is "$(s3 get "$BUCKET" "$P/f")" x
}

@test "a process that fails: one line that says so, and nothing of what it wrote" {
	printf '#!/bin/sh\necho s3cr3t; echo s3cr3t >&2; exit 7\n' >"$T/give"
	chmod 700 "$T/give"
	keyless A "{process: \"$T/give\"}"
	vrun A c1 "$V" 'echo must not run'
	not_ok "credential_process ended with status 7"
	unlike "$stderr" s3cr3t
}
