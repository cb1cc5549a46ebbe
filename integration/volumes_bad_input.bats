#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Every rule of a volume's declaration (docs/volumes.md, "Declaration"), broken
# one by one: one clear line, status not 0, nothing written, nothing left.

load lib/common
load lib/volume
setup() { common_setup; node A; }
teardown() { common_teardown; }

KEY=dev.volrun.volume

# create_refused PATTERN: bundle c1 can't be created; the line matches.
create_refused() {
	try on A volrun create --bundle "$T/c1" c1
	not_ok "$1"
	# Words that callers take for something else.
	unlike "${stderr,,}" "permission denied|operation not permitted|no such file|is a directory|not a directory|executable file not found|does not exist"
	[[ -z $(find "$T/store" -name head) ]] || fail "a register was written"
	[[ -z $(left_state) ]] || fail "left: $(left_state)"
}

# refused VALUE PATTERN [JQ-FILTER]: as the annotation's value.
refused() {
	vbundle c1 "$1" true "${3:-.}"
	create_refused "$KEY.*$2" || fail "annotation: $1"
}

# accepted VALUE [JQ-FILTER]
accepted() {
	vbundle c1 "$1" 'true' "${2:-.}"
	try on A volrun run --bundle "$T/c1" c1
	ok || fail "annotation: $1"
	until_true 10 eval '[[ -z $(keepers) ]]'
}

long() { printf "%0$1d" 0; }

@test "the key's suffix has 1 to 40 characters of A-Za-z0-9_-" {
	local suffix
	for suffix in '' a.b 'a b' 'ä' "$(long 41)" 'a/b'; do
		bundle c1 true
		config c1 --arg k "$KEY.$suffix" '.annotations = {($k): "state /data"}'
		create_refused "annotation $KEY.*suffix" || fail "suffix '$suffix'"
	done
	bundle c1 true
	config c1 --arg k "$KEY.$(long 40)" '.annotations = {($k): "state /data"}'
	try on A volrun run --bundle "$T/c1" c1
	ok
}

@test "a value has a name and a path" {
	refused '' '<name>|empty|must be'
	refused 'state' 'mount_path'
	refused '   ' 'mount_path|must be'
}

@test "a name has 2 to 255 characters, alphanumeric ends, no '..'" {
	local name
	for name in a "$(long 256)" .ab ab. -ab ab- _ab 'a..b' 'a/b' '../x' 'a\b' 'nämé' 'a:b' 'a*b' '..' 'a%2e'; do
		refused "$name /data" 'name'
	done
	accepted "ab /data"
	accepted "A.b_c-9 /data"
	accepted "$(long 255) /data"
}

@test "the workspace follows the same grammar" {
	local name
	for name in '../x' a 'a/b' '.ab' 'x..y' ''; do
		vbundle c1 'state /data' true ".annotations[\"dev.volrun.workspace\"] = \"$name\""
		create_refused 'workspace' || fail "workspace '$name'"
	done
}

@test "a placeholder that resolves to nothing or to no scalar is an error" {
	refused 'st-$args[x] /data' 'args'
	refused 'st-$args[x] /data' 'args' '.annotations["dev.volrun.args"] = "{}"'
	refused 'st-$args[x] /data' 'args' '.annotations["dev.volrun.args"] = "{\"x\": null}"'
	refused 'st-$args[x] /data' 'args' '.annotations["dev.volrun.args"] = "{\"x\": \"\"}"'
	refused 'st-$args[x] /data' 'args' '.annotations["dev.volrun.args"] = "{\"x\": {\"y\": 1}}"'
	refused 'st-$args[x] /data' 'args' '.annotations["dev.volrun.args"] = "{\"x\": [1]}"'
	refused 'st-$args[x.y] /data' 'args' '.annotations["dev.volrun.args"] = "{\"x\": 1}"'
	refused 'st-$args[x] /data' 'args' '.annotations["dev.volrun.args"] = "{\"x\": 1"'
	refused 'st-$args[x] /data' 'args' '.annotations["dev.volrun.args"] = "[1]"'
	refused 'st-$args[] /data' 'args'
	refused 'st-$args[x /data' 'args|\]'
	refused 'st-$other /data' '\$'
	refused '$$workspace /data' '\$'
}

@test "a placeholder can't bring in what the rules forbid" {
	refused 'st-$args[x] /data' 'name' '.annotations["dev.volrun.args"] = "{\"x\": \"../../y\"}"'
	refused 'state /data/$args[x]' '\.\.' '.annotations["dev.volrun.args"] = "{\"x\": \"../../etc\"}"'
	refused 'state $args[x]' 'prefix|args' '.annotations["dev.volrun.args"] = "{\"x\": \"/etc\"}"'
	refused 'st-$args[x] /data' '' '.annotations["dev.volrun.args"] = "{\"x\": \"a /etc\"}"'
	refused 'st-$args[x] /data' '' '.annotations["dev.volrun.args"] = "{\"x\": \"a\\nb\"}"'
}

@test "the mount path is under an allowed prefix, without '..'" {
	local path
	for path in /etc /etc/x / /proc /usr/lib /database /datax /var/lib /dev/x /sys; do refused "state $path" 'mount path'; done
	for path in /data/../etc ../x /data/.. a/../../b /data/x/../y; do refused "state $path" '\.\.'; done
	refused "state /data/$(long 300)" 'mount path'
	refused "state $(printf '/data%.0s' {1..900})" ''
}

@test "the admin's prefixes replace the built-in ones" {
	node A '.mount_prefixes = ["/srv"]'
	refused 'state /data' 'prefix'
	mkdir -p "$T/c1/rootfs/srv"
	accepted 'state /srv/x'
}

@test "a relative mount path starts at the working directory, and stays out of the system's" {
	refused 'state x' 'proc|/dev|/sys|mount path' '.process.cwd = "/proc"'
	refused 'state .' 'root|mount path' '.process.cwd = "/"'
}

@test "a mount path through a link of the image stays inside the image" {
	mkdir "$T/outside"
	vbundle c1 'state /data/link/x' 'true'
	ln -s "../../../../../../../../../$T/outside" "$T/c1/rootfs/data/link"
	try on A volrun run --bundle "$T/c1" c1
	until_true 10 eval '[[ -z $(keepers) ]]'
	[[ -z $(ls -A "$T/outside") ]] || fail "made outside: $(ls -A "$T/outside")"
}

@test "at most ten volumes" {
	bundle c1 true
	config c1 --arg k "$KEY" '.annotations = ([range(11) | {key: "\($k).v\(.)", value: "vol-\(.) /data/v\(.)"}] | from_entries)'
	create_refused '10 volumes'
}

@test "no name twice, no path twice, no volume inside another" {
	two() {
		vbundle c1 "$1" true
		config c1 --arg k "$KEY.b" --arg v "$2" '.annotations[$k] = $v'
		create_refused "$KEY.*$3" || fail "$1 and $2"
	}
	two 'state /data/a' 'state /data/b' 'state'
	two 'one /data/a' 'two /data/a' '/data/a'
	two 'one /data/a' 'two /data/a/' '/data/a'
	two 'one /data/a' 'two /data/a/b' 'inside'
	two 'one /data/a/b' 'two /data/a' 'inside'
	two 'one /data/./a' 'two /data//a' '/data/a'
}

@test "unknown options and bad values are refused" {
	local option
	for option in frob=1 frob RO r0 ro,rw store= store=../x store=nosuch wait= wait=abc wait=-1s wait=1 wait=1y wait=99999999999999999999s \
		owner=1 owner=a:b owner=1:2:3 owner=-1:0 owner=4294967296:0 owner=: sync=0 sync=x =x 'wait=1s wait=2s' 'rw ro' 'ro ro' container=; do
		refused "state /data $option" ''
	done
}

@test "control characters and broken UTF-8 in an annotation are refused, and not printed" {
	refused $'state /data/a\x01b' ''
	unlike "$stderr" $'\x01'
	refused $'state /data/a\nb' ''
	refused $'state /data/a\x1b[31m' ''
	unlike "$stderr" $'\x1b'
}

@test "ro of a volume that is not there is refused" {
	refused 'state /data ro' 'state' || vbundle c1 'state /data ro' true
	create_refused "state"
}

@test "on a node that belongs to Kubernetes' engines the identity comes from their keys alone" {
	node A '.identity.engine = "containerd-cri"'
	# Without the engine's namespace there is no workspace to be in.
	vbundle c1 'state /data' true '.annotations["dev.volrun.workspace"] = "other-team" | .annotations["io.kubernetes.pod.namespace"] = "other-team"'
	create_refused 'sandbox-namespace|workspace|namespace'
	vbundle c1 'state /data' 'echo x >/data/f' '.annotations["dev.volrun.workspace"] = "other-team" | .annotations["io.kubernetes.cri.sandbox-namespace"] = "my-team"
		| .annotations["io.kubernetes.cri.container-type"] = "container" | .annotations["io.kubernetes.cri.sandbox-id"] = "pod1"'
	try on A volrun run --bundle "$T/c1" c1
	ok
	until_true 20 eval '[[ -z $(keepers) ]]'
	[[ -f $T/store/volumes/my-team/state/f && ! -e $T/store/volumes/other-team ]]
}

@test "a pod's sandbox container takes no volume" {
	node A '.identity.engine = "containerd-cri"'
	vbundle c1 'state /data' 'grep -c " /data " /proc/self/mountinfo; true' '.annotations += {"io.kubernetes.cri.sandbox-namespace": "my-team",
		"io.kubernetes.cri.container-type": "sandbox", "io.kubernetes.cri.sandbox-id": "pod1"}'
	try on A volrun run --bundle "$T/c1" c1
	ok
	is "$output" 0
}

# --- the configuration ------------------------------------------------------------

@test "a configuration that is wrong is refused with one line that names the place" {
	vbundle c1 'state /data' true
	bad() {
		node A "$1"
		create_refused "$2" || fail "$1"
	}
	bad '.frob = 1' 'frob'
	bad '.stores.main.frob = 1' 'frob'
	bad '.stores.main.type = "frob"' 'frob|type'
	bad 'del(.stores.main.type)' 'type'
	bad 'del(.stores.main.path)' 'path'
	bad '.stores.main = {type: "s3"}' 'bucket'
	bad '.default_store = "nosuch"' 'nosuch'
	bad '.lease.ttl = "abc"' 'ttl'
	bad '.lease.ttl = "0s"' 'ttl'
	bad '.lease.renew = "100s" | .lease.ttl = "10s"' 'renew|ttl'
	bad '.lease.mount_timeout = "0s"' 'lease.mount_timeout: "0s" is under 1s'
	bad '.cache.path = "relative"' 'cache'
	bad '.identity.engine = "frob"' 'engine|frob'
	bad '.identity.workspace = "../x"' 'workspace'
}

@test "a configuration cut short at every 64th byte is refused with one line" {
	vbundle c1 'state /data' true
	cp "$T/A.json" "$T/whole"
	local size at
	size=$(stat -c %s "$T/whole")
	for ((at = 0; at < size - 2; at += 64)); do
		head -c "$at" "$T/whole" >"$T/A.json"
		create_refused '' || fail "cut at $at"
	done
	rm "$T/A.json"
	create_refused 'A.json'
}

@test "a store that can't be used: one line, and the container does not start" {
	node A '.stores.main.path = "/proc/1/nosuch"'
	vbundle c1 'state /data' true
	create_refused 'store'
	node A
	rm -rf "$T/store"
	echo file >"$T/store"
	create_refused 'store'
}

@test "a cache that can't be used: one line" {
	echo file >"$T/notdir"
	node A ".cache.path = \"$T/notdir/cache\""
	vbundle c1 'state /data' true
	create_refused 'cache'
}

@test "a container without volumes does not read the configuration" {
	echo broken >"$T/A.json"
	bundle c1 'echo fine'
	try on A volrun run --bundle "$T/c1" c1
	ok
	is "$output" fine
}

@test "the message reaches the log, as one JSON object" {
	vbundle c1 'state /etc' true
	try on A volrun --log "$T/log.json" --log-format json create --bundle "$T/c1" c1
	not_ok "$KEY"
	is "$(wc -l <"$T/log.json")" 1
	like "$(jq -r .msg "$T/log.json")" "mount path"
}

# --- the filesystem store as an enemy ----------------------------------------------

@test "links in the store lead nowhere: nothing outside it is read or written" {
	mkdir "$T/outside"
	echo secret >"$T/outside/secret"
	vrun A c1 'state /data' 'echo x >/data/f'
	ok
	ln -s "$T/outside" "$T/store/volumes/default/state/link"
	ln -s "$T/outside/secret" "$T/store/volumes/default/state/stolen"
	rm -f "$T/store/volumes/default/state/f"
	ln -s "$T/outside/secret" "$T/store/volumes/default/state/f"
	vrun A c2 'state /data' 'cat /data/stolen /data/link/secret; echo written >/data/f; mkdir -p /data/link; echo w >/data/link/w'
	unlike "$output" secret
	is "$(ls "$T/outside")" secret
	is "$(cat "$T/outside/secret")" secret
}

@test "a foreign _symlinks.json that is none: one line that names the store, the object and what to do" {
	local text
	mkdir -p "$T/store/volumes/default/state"
	for text in '{"a": ' '["a"]' '{"a": 1}' '{"../a": "b"}' '{"a": ""}'; do
		printf '%s' "$text" >"$T/store/volumes/default/state/_symlinks.json"
		vrun A c1 "state /data" 'true'
		not_ok 'store "main" \(directory .*\): object volumes/default/state/_symlinks.json: .*; correct or remove that object, or set foreign=ignore'
	done
}

@test "hostile names that a container makes stay names" {
	vrun A c1 'state /data' 'cd /data; touch -- "-rf" "a
b" "$(printf "\\377\\376")" _symlinks.json; mkdir .volrun; echo own >.volrun/head; ln -s /etc/passwd p; ls -A | wc -l'
	ok
	local n=$output
	rm -rf "$T/cache-A"
	vrun A c2 'state /data' 'ls -A /data | wc -l; cat /data/.volrun/head; readlink /data/p'
	ok
	is "$output" "$n"$'\nown\n/etc/passwd'
}
