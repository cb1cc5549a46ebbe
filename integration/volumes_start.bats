#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The start of a container with a volume: what goes on while the volume is on its way.

load lib/common
load lib/volume

setup() {
	common_setup
	node A
}
teardown() { common_teardown; }

V="state /data"

@test "the container's other mounts are made while its volume is waited for" {
	vstart A c1 "$V" 'echo one >/data/file; sleep 60'
	vbundle c2 "$V wait=20s" 'cat /data/file'
	on A volrun_bg run --bundle "$T/c2" c2 >"$T/c2.out" 2>"$T/c2.err"
	local rt=$! pid places
	until_true 10 eval 'pid=$(jq -r ".pid // 0" "$T/state-A/c2/state.json" 2>/dev/null) && ((pid > 0))'
	# Its root is the container's already: the old one is gone.
	until_true 10 eval 'places=$(cut -d " " -f 5 "/proc/$pid/mountinfo") && grep -qx /dev/shm <<<"$places" && ! grep -q "^$T" <<<"$places"'
	! grep -qx /data <<<"$places" || fail "the volume is there already"
	on A volrun delete --force c1
	wait "$rt" || fail "c2: $(cat "$T/c2.err")"
	is "$(cat "$T/c2.out")" one
}

@test "what init could not mount is the error, not the end of the volume's keeper" {
	vbundle c1 "$V" 'echo must not run' '.mounts += [{destination: "/x", type: "nonsense", source: "x"}]'
	try on A volrun run --bundle "$T/c1" c1
	not_ok 'mount "x" on "/x"'
	is "$output" ""
	until_true 10 eval '[[ -z $(keepers) ]]'
	is "$(left_leases)" ""
	vrun A c2 "$V" 'echo fine'
	ok
	is "$output" fine
}

@test "a start whose volume does not come has no poststop hooks, and leaves nothing" {
	vstart A c1 "$V" 'sleep 60'
	vbundle c2 "$V wait=1s" 'echo must not run' '.hooks.poststop = [{path: "/bin/touch", args: ["touch", "'"$T"'/hook"]}]'
	try on A volrun run --bundle "$T/c2" c2
	not_ok 'lease held by node-A'
	is "$output" ""
	[[ ! -e $T/hook ]] || fail "the hook ran"
	[[ ! -e $T/state-A/c2 ]] || fail "its state is there"
	on A volrun delete --force c1
}

@test "of mounts above, on and beneath volumes each lies where it was meant" {
	mkdir -p "$T/above/v" "$T/beneath"
	echo above >"$T/above/file"
	echo beneath >"$T/beneath/file"
	vrun A c1 "state /mnt/v" 'cat /mnt/file /mnt/v/b/file; echo mine >/mnt/v/own; ls /mnt/v' '.mounts += [
		{destination: "/mnt", type: "bind", source: "'"$T"'/above", options: ["bind"]},
		{destination: "/mnt/v/b", type: "bind", source: "'"$T"'/beneath", options: ["bind"]},
		{destination: "/srv", type: "tmpfs", source: "tmpfs"}]'
	ok
	is "$output" $'above\nbeneath\nb\nown'
	rm -rf "$T/cache-A"
	vrun A c2 "state /mnt/w" 'ls /mnt/w; cat /mnt/w/own'
	ok
	is "$output" $'own\nmine'
}

# Answers when $T/go is there, and then with a refusal.
SLOW_STORE='
import http.server, os, sys, time
class Slow(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        while not os.path.exists(sys.argv[1] + "/go"):
            time.sleep(0.05)
        self.send_error(403)
    do_HEAD = do_PUT = do_DELETE = do_POST = do_GET
s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow)
open(sys.argv[1] + "/port", "w").write(str(s.server_port))
s.serve_forever()'

@test "what init could not mount is told at once, not when a slow store has answered" {
	local begun
	timeout 60 python3 -c "$SLOW_STORE" "$T" </dev/null >/dev/null 2>&1 3>&- 4>&- &
	local slow=$!
	until_true 10 test -s "$T/port"
	node S ".stores.main = {type: \"s3\", bucket: \"buck\", endpoint: \"http://127.0.0.1:$(<"$T/port")\", path_style: true,
		region: \"us-east-1\", access_key_id: \"k\", secret_access_key_file: \"$T/key\"}"
	(umask 077 && echo secret >"$T/key")
	vbundle c1 "$V" 'echo must not run' '.mounts += [{destination: "/x", type: "nonsense", source: "x"}]'
	begun=${EPOCHREALTIME/./}
	try on S volrun run --bundle "$T/c1" c1
	begun=$((${EPOCHREALTIME/./} - begun))
	touch "$T/go"
	not_ok 'mount "x" on "/x"'
	is "$output" ""
	until_true 15 eval '[[ -z $(keepers) ]]'
	kill "$slow"
	((begun < 3000000)) || fail "after $begun us"
}

@test "what is done to the root file system is done with its volume in place" {
	vrun A c1 "$V" 'mkdir /data/hidden; echo one >/data/hidden/file; echo two >/data/file'
	ok
	vrun A c2 "state /opt/made/here" 'pwd; ls; cat ../file; cat ../hidden/file 2>/dev/null || echo hidden; touch /x 2>/dev/null || echo read-only' \
		'.root.readonly = true | .process.cwd = "/opt/made/here/sub" | .linux.maskedPaths += ["/opt/made/here/hidden"]'
	ok
	is "$output" $'/opt/made/here/sub\ntwo\nhidden\nread-only'
}

@test "a hook that looks before pivot_root finds the volume" {
	local stage
	vrun A c0 "$V" 'echo one >/data/file'
	ok
	for stage in prestart createRuntime createContainer; do
		vrun A "c-$stage" "$V" 'echo fine' ".hooks.$stage = [{path: \"/bin/sh\", args: [\"sh\", \"-c\",
			\"nsenter -t \$(jq .pid) -m cat $T/c-$stage/rootfs/data/file >>$T/seen\"], env: [\"PATH=$PATH\"]}]"
		ok
		is "$output" fine
	done
	is "$(cat "$T/seen")" $'one\none\none'
}
