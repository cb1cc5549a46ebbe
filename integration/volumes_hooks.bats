#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Volumes without the runtime: volrun-hook as an OCI hook of Debian's runc (on cgroup v1) or crun (on v2).

load lib/common
load lib/volume
setup() {
	common_setup
	node A
	if [[ -e /sys/fs/cgroup/cgroup.controllers ]]; then ENGINE=crun; else ENGINE=runc; fi
	command -v $ENGINE >/dev/null || skip "no $ENGINE here"
}
teardown() {
	local id
	for id in $(oci list -q 2>/dev/null); do oci delete --force "$id"; done
	common_teardown
}

# oci ARG...: the engine, with a state directory of its own.
oci() { timeout -k 5 60 $ENGINE --root "$T/state-oci" "$@" 3>&- 4>&-; }

# hbundle NODE NAME ANNOTATION SCRIPT [JQ-FILTER]: a bundle with a volume and the hooks that get it.
hbundle() {
	local node=$1
	shift
	vbundle "$@"
	# crun shows nobody what a hook has to say.
	config "$1" --arg f "$T/hook.err" '.annotations["run.oci.hooks.stderr"] = $f'
	# An engine that has no right to all controllers needs a bundle without limits.
	config "$1" --arg hook "$BIN/volrun-hook" --arg c "--config=$T/$node.json" 'del(.linux.resources) | .hooks = {
		createRuntime: [{path: $hook, args: ["volrun-hook", $c, "createRuntime"], timeout: 60}],
		poststop: [{path: $hook, args: ["volrun-hook", $c, "poststop"], timeout: 60}]}'
}

# refused PATTERN: the last try failed, the container did not run, and somebody says why.
refused() {
	((status != 0)) || fail "expected a failure" "$(show_last)"
	unlike "$output" "must not run"
	like "$stderr$(cat "$T/hook.err" 2>/dev/null)" "$1"
}

# hrun NODE NAME ANNOTATION SCRIPT [JQ-FILTER]: the same, run to its end.
hrun() {
	hbundle "$@"
	try oci run --bundle "$T/$2" "$2"
	until_true 30 eval '[[ -z $(keepers) ]]'
}

# hstart NODE NAME ANNOTATION SCRIPT [JQ-FILTER]: left running.
hstart() {
	hbundle "$@"
	oci run --detach --bundle "$T/$2" "$2" </dev/null >"$T/$2.log" 2>&1 || fail "$2: $(cat "$T/$2.log")"
}

@test "the annotation works with the engine and two hooks: the tree is there again in the next run, and on another node" {
	hrun A c1 "state /data" "D=/data; $MAKE_TREE; $FINGERPRINT"
	ok
	local first=$output
	is "$(find "$T/c1/rootfs/data" -mindepth 1)" "" "files beside the volume"
	hrun A c2 "state /data" "D=/data; $FINGERPRINT"
	ok
	is "$output" "$first"
	node B
	hrun B c3 "state /data" "D=/data; $FINGERPRINT; grep ' /data ' /proc/self/mountinfo >&2"
	ok
	is "$output" "$first"
	like "$stderr" "nosuid,nodev"
	# The runtime finds the same.
	vrun B c4 "state /data" "D=/data; $FINGERPRINT"
	is "$output" "$first"
}

@test "a user namespace: files belong in the volume to whom they belong in the container" {
	chmod 755 "$T"
	hbundle A c1 "state /data" 'mkdir /data/d; echo x >/data/f; chown 7:8 /data/f; stat -c "%n %u:%g" /data /data/d /data/f'
	in_userns c1
	try oci run --bundle "$T/c1" c1
	ok
	is "$output" $'/data 0:0\n/data/d 0:0\n/data/f 7:8'
	is "$(stat -c %u:%g "$T/c1/rootfs/data")" 100000:200000 "the mount point's owner"
	until_true 30 eval '[[ -z $(keepers) ]]'
	hrun A c2 "state /data" 'stat -c "%n %u:%g" /data/d /data/f'
	is "$output" $'/data/d 0:0\n/data/f 7:8'
}

@test "links of the image lead a volume nowhere outside of the rootfs" {
	local outside=$T/outside
	mkdir "$outside"
	hbundle A c1 "state /data/sub" 'echo in >/data/sub/f; ls /data/sub'
	rm -rf "$T/c1/rootfs/data"
	ln -s "../../../../../../../..$outside" "$T/c1/rootfs/data"
	try oci run --bundle "$T/c1" c1
	ok
	is "$output" f
	is "$(ls -A "$outside")" "" "what is outside"
	until_true 30 eval '[[ -z $(keepers) ]]'
	hbundle A c2 "state /data" 'cat /data/f'
	rm -rf "$T/c2/rootfs/data"
	ln -s "$outside" "$T/c2/rootfs/data"
	try oci run --bundle "$T/c2" c2
	is "$output" in
	is "$(ls -A "$outside")" "" "what is outside"
	hbundle A c3 "state /data" 'true'
	rm -rf "$T/c3/rootfs/data"
	echo file >"$T/c3/rootfs/data"
	try oci run --bundle "$T/c3" c3
	refused "volume state: it can't be mounted on /data in the container"
	until_true 30 eval '[[ -z $(keepers) ]]'
}

@test "mounts of the bundle beneath a volume lie on it, and are no part of it" {
	mkdir -p "$T/host/deep"
	echo host >"$T/host/f"
	echo one >"$T/file"
	local filter='.mounts += [{destination: "/data/in", type: "bind", source: "'$T/host'", options: ["rbind"]},
		{destination: "/data/in/deep", type: "tmpfs", source: "tmpfs"},
		{destination: "/data/one", type: "bind", source: "'$T/file'", options: ["bind"]}]'
	hrun A c1 "state /data" 'echo own >/data/own; cat /data/in/f /data/one; touch /data/in/deep/t; stat -f -c %T /data/in/deep' "$filter"
	ok
	is "$output" $'host\none\ntmpfs'
	is "$(ls -A "$T/host/deep")" ""
	is "$(on A volrun volume files --json state | jq -r '.. | .path? // empty')" own
}

@test "a volume that is held: create fails with the line that says by whom; with wait= it comes when it is free" {
	hstart A c1 "state /data" 'echo one >/data/f; touch /workspace/up; sleep 100'
	until_true 10 test -e "$T/c1/rootfs/workspace/up"
	node B
	hrun_refused() { hbundle B "$@"; try oci run --bundle "$T/$1" "$1"; }
	hrun_refused c2 "state /data wait=500ms" 'echo must not run'
	refused "volume state: lease held by node-A \(container c1, since .*\), waited"
	hbundle B c3 "state /data wait=20s" 'cat /data/f'
	oci run --bundle "$T/c3" c3 >"$T/c3.out" 2>&1 </dev/null &
	local waiter=$!
	sleep 1
	[[ ! -s $T/c3.out ]]
	oci kill c1 KILL
	wait "$waiter"
	is "$(cat "$T/c3.out")" one
	oci delete --force c1
}

@test "nobody calls poststop, and the container is killed: committed and released all the same" {
	hstart A c1 "state /data" 'echo kept >/data/f; touch /workspace/up; sleep 100'
	until_true 10 test -e "$T/c1/rootfs/workspace/up"
	config c1 'del(.hooks.poststop)'
	is "$(on A volrun volume status --json | jq -r '.volumes[0] | "\(.state) \(.container)"')" "in use c1"
	oci kill c1 KILL
	until_true 10 eval '[[ -z $(keepers) ]]'
	is "$(left_leases)" ""
	on A volrun volume files state | grep -q ' f$' || fail "$(on A volrun volume files state)"
	oci delete --force c1
	hrun A c2 "state /data" 'cat /data/f'
	is "$output" kept
}

@test "delete waits for the commit, and says what went wrong with it" {
	hstart A c1 "state /data" 'echo 1 >/data/f; touch /workspace/up; sleep 100'
	until_true 10 test -e "$T/c1/rootfs/workspace/up"
	oci kill c1 KILL
	oci delete --force c1
	is "$(keepers)" ""
	on A volrun volume files state | grep -q ' f$'
}

@test "a hook that is killed while it restores: create fails, nothing stays, the next one finds all" {
	hrun A c1 "state /data" 'for i in 1 2 3 4 5 6 7 8; do head -c 20000000 /dev/urandom >/data/$i; done; cat /data/* | sha256sum'
	ok
	local sum=$output hook
	node B
	hbundle B c2 "state /data" 'echo must not run'
	oci run --bundle "$T/c2" c2 >"$T/c2.out" 2>&1 </dev/null &
	local runner=$! keeper
	until_true 10 eval 'keeper=$(keepers); [[ -n $keeper ]]'
	# Step by step, until it has begun.
	while kill -STOP "$keeper" && [[ -z $(find "$T/cache-B" -path "*/rw/*") ]]; do
		kill -CONT "$keeper"
		sleep 0.01
	done
	for hook in $(pids_of volrun-hook); do kill -9 "$hook"; done
	status=0
	wait "$runner" || status=$?
	kill -CONT "$keeper"
	((status != 0))
	unlike "$(cat "$T/c2.out")" "must not run"
	oci delete --force c2 2>/dev/null || :
	until_true 30 eval '[[ -z $(keepers) ]]'
	is "$(left_leases)" ""
	hrun B c3 "state /data" 'cat /data/* | sha256sum'
	ok
	is "$output" "$sum"
}

@test "a read-only volume, and two volumes at once" {
	hrun A c1 "state /data" 'echo s >/data/f'
	hrun A c2 "state /data ro" 'cat /data/f; touch /data/g 2>&1; echo two >/mnt/more/f' \
		'.annotations["dev.volrun.volume.2"] = "other /mnt/more"'
	ok
	like "$output" "^s"
	like "$output" "Read-only"
	hrun A c3 "other /data" 'cat /data/f'
	is "$output" two
}

@test "the hook's timeout is the engine's: create fails, nothing stays" {
	hstart A c1 "state /data" 'touch /workspace/up; sleep 100'
	until_true 10 test -e "$T/c1/rootfs/workspace/up"
	node B
	hbundle B c2 "state /data" 'echo must not run' '.'
	config c2 '.hooks.createRuntime[0].timeout = 1'
	try oci run --bundle "$T/c2" c2
	((status != 0)) || fail "$(show_last)"
	unlike "$output" "must not run"
	oci delete --force c1
	until_true 10 eval '[[ -z $(keepers) ]]'
}

@test "the runtime volrun with these hooks, too: its volumes are taken once" {
	hbundle A c1 "state /data" 'echo x >/data/f; grep -c " /data " /proc/self/mountinfo'
	try on A volrun run --bundle "$T/c1" c1
	ok
	is "$output" 1
	until_true 10 eval '[[ -z $(keepers) ]]'
}

@test "no annotation: the hooks do nothing; a bad one is refused with its name" {
	hrun A c1 "state /data" 'echo ran' '.annotations = {}'
	ok
	is "$output" ran
	is "$(find "$T/cache-A" -name rw)" ""
	hbundle A c2 "state /etc" 'echo must not run'
	try oci run --bundle "$T/c2" c2
	refused 'annotation dev.volrun.volume: mount path .*/etc.* is not under an allowed prefix'
}

# --- before there is a container: precreate --------------------------------------------

# precreate NODE NAME: the hook, of an engine that ends with it.
precreate() { sh -c '"$@"; exit $?' engine "$BIN/volrun-hook" --config="$T/$1.json" precreate <"$T/$2/config.json"; }

# prepared NODE NAME ANNOTATION SCRIPT [JQ-FILTER]: a bundle whose config.json a precreate hook made, as Podman has it do.
prepared() {
	local node=$1
	hbundle "$@"
	shift
	config "$1" --arg c "$T/$node.json" '.hooks.createRuntime = []'
	try precreate "$node" "$1"
	[[ $status != 0 ]] || printf '%s\n' "$output" >"$T/$1/config.json"
}

@test "precreate: the config.json comes back with the mounts in it, and nothing else is another" {
	local before filter='.mounts += [{destination: "/data/in", type: "tmpfs", source: "tmpfs"}] | .annotations["x\"y\\"] = "[{,"
		| .process.env += ["A={\"mounts\": [1]}"] | .unknown = {mounts: [1.50, {}]}'
	hbundle A c1 "state /data" 'echo one >/data/f; touch /data/in/not; ls /data' "$filter"
	config c1 '.hooks.createRuntime = []'
	before=$(jq -S . "$T/c1/config.json")
	try precreate A c1
	ok
	is "$(jq -S 'del(.annotations["dev.volrun.prepared"]) | .mounts |= map(select(.destination != "/data"))' <<<"$output")" "$before"
	is "$(jq -c '[.mounts[].destination] | (index("/data") + 1 == index("/data/in"))' <<<"$output")" true
	printf '%s\n' "$output" >"$T/c1/config.json"
	try oci run --bundle "$T/c1" c1
	ok
	is "$output" $'f\nin'
	oci delete --force c1 2>/dev/null || :
	is "$(keepers)" "" "keepers after poststop"
	is "$(on A volrun volume files --json state | jq -r '.. | .path? // empty')" f
	prepared A c2 "state /data ro" 'cat /data/f; touch /data/g 2>/dev/null || echo ro' 'del(.mounts[] | select(.destination == "/tmp"))'
	try oci run --bundle "$T/c2" c2
	is "$output" $'one\nro'
	until_true 15 eval '[[ -z $(keepers) ]]'
}

@test "precreate: a bundle's own mount at the same path (an image's VOLUME) lies beneath the volume" {
	local filter='.mounts += [{destination: "/data/", type: "tmpfs", source: "tmpfs"}, {destination: "/data/in", type: "tmpfs", source: "tmpfs"}]'
	prepared A c1 "state /data" 'echo one >/data/f; touch /data/in/not' "$filter"
	ok
	is "$(jq -c '[.mounts[].destination | select(startswith("/data"))]' <<<"$output")" '["/data/","/data","/data/in"]'
	try oci run --bundle "$T/c1" c1
	ok
	oci delete --force c1 2>/dev/null || :
	until_true 15 eval '[[ -z $(keepers) ]]'
	is "$(on A volrun volume files --json state | jq -r '.. | .path? // empty')" f
}

# The engine makes that mount: its own resolution is the one that counts, and stays beneath the root file system.
@test "precreate: links of the image in the path lead nowhere else than into the root file system" {
	local to n=0
	mkdir "$T/outside"
	for to in "$T/outside" "../../../../../../../..$T/outside" /etc ..; do
		n=$((n + 1))
		hbundle A "c$n" "state$n /workspace/in" 'echo one >/workspace/in/f; cat "$(readlink -f /workspace/in)/f"'
		rm -rf "$T/c$n/rootfs/workspace"
		ln -s "$to" "$T/c$n/rootfs/workspace"
		mkdir -p "$T/c$n/rootfs$T/outside"
		config "c$n" '.hooks.createRuntime = []'
		try precreate A "c$n"
		ok
		printf '%s\n' "$output" >"$T/c$n/config.json"
		try oci run --bundle "$T/c$n" "c$n"
		ok
		is "$output" one
		until_true 15 eval '[[ -z $(keepers) ]]'
		is "$(on A volrun volume files --json "state$n" | jq -r .path)" f
		is "$(find "$T/outside" -mindepth 1)" ""
	done
	# One that leads to itself: the engine says so, and nothing stays.
	prepared A c9 "state /workspace/in" 'echo must not run'
	rm -rf "$T/c9/rootfs/workspace"
	ln -s workspace "$T/c9/rootfs/workspace"
	try oci run --bundle "$T/c9" c9
	refused 'workspace'
	until_true 15 eval '[[ -z $(keepers) ]]'
}

@test "precreate: a remount of what is above the volume does not put the volume on top of what lies beneath it" {
	prepared A c1 "state /data" true '.mounts += [{destination: "/data/in", type: "tmpfs", source: "tmpfs"},
		{destination: "/", type: "none", source: "none", options: ["remount", "bind", "ro"]}]'
	ok
	is "$(jq -c '[.mounts[].destination | select(startswith("/data") or . == "/")]' <<<"$output")" '["/data","/data/in","/"]'
	until_true 20 eval '[[ -z $(keepers) ]]'
}

@test "a hook whose keeper could not be forked says so" {
	try "$BIN/volrun-hook" --config="$T/A.json" --socket=8 --keeper=9,-1 prestart <<<'{}' 8</dev/null 9</dev/null
	not_ok "can't start the keeper: no more processes can be made"
}

@test "precreate: without poststop, and with the runtime volrun, the volume is committed when the container has ended" {
	prepared A c1 "state /data" 'echo one >>/data/f; touch /workspace/up; sleep 100'
	config c1 'del(.hooks)'
	oci run --detach --bundle "$T/c1" c1 </dev/null >"$T/c1.log" 2>&1 || fail "$(cat "$T/c1.log")"
	until_true 10 test -e "$T/c1/rootfs/workspace/up"
	# Longer than it waits for a container that never comes.
	sleep 7
	like "$(keepers)" '^[0-9]+$'
	oci delete --force c1
	until_true 15 eval '[[ -z $(keepers) ]]'
	prepared A c2 "state /data" 'cat /data/f; echo two >>/data/f'
	try on A volrun run --bundle "$T/c2" c2
	ok
	is "$output" one
	until_true 15 eval '[[ -z $(keepers) ]]'
	hrun A c3 "state /data" 'cat /data/f'
	is "$output" $'one\ntwo'
}

@test "precreate: no container comes of it, or a user namespace is asked for: nothing stays" {
	prepared A c1 "state /data" 'true'
	ok
	until_true 15 eval '[[ -z $(keepers) ]]'
	is "$(left_leases)" ""
	prepared A c2 "state /data" 'true' '.linux.namespaces += [{type: "user"}] | .linux.uidMappings = [{containerID: 0, hostID: 100000, size: 65536}]
		| .linux.gidMappings = .linux.uidMappings'
	not_ok 'a container with a user namespace gets its volumes in the stage createRuntime'
	prepared A c3 "state /data" 'true' '.annotations = {}'
	ok
	is "$(jq -S . <<<"$output")" "$(jq -S . "$T/c3/config.json")"
	try "$BIN/volrun-hook" --config="$T/A.json" precreate <<<'{"ociVersion":'
	not_ok 'config.json'
}

@test "precreate: a config.json that can't be written lets go of all, though the engine lives on" {
	local engine
	hbundle A c1 "state /data" 'true'
	config c1 '.hooks.createRuntime = []'
	sh -c '"$@" >/dev/full; echo $? >"$0"; exec sleep 100' "$T/rc" "$BIN/volrun-hook" --config="$T/A.json" precreate <"$T/c1/config.json" 2>"$T/err" 3>&- 4>&- &
	engine=$!
	until_true 10 test -s "$T/rc"
	is "$(<"$T/rc") $(<"$T/err")" "1 config.json can't be written to stdout"
	until_true 3 eval '[[ -z $(keepers) ]]' || { kill "$engine"; fail "the keeper stays"; }
	kill "$engine"
	is "$(left_leases)" ""
}

@test "precreate: the engine's own cgroup is not taken for the container's" {
	local engine dir=/sys/fs/cgroup
	[[ -e $dir/cgroup.procs ]] || dir=$dir/unified
	mkdir -p "$dir/$CG/engine" "$dir/$CG/hook"
	hbundle A c1 "state /data" 'true'
	config c1 '.hooks.createRuntime = []'
	sh -c 'echo $$ >"$2/engine/cgroup.procs"
		sh -c "echo \$\$ >\"$2/hook/cgroup.procs\"; exec \"\$@\"" - "$3" "--config=$1/A.json" precreate >"$1/out"
		echo $? >"$1/rc"; exec sleep 100' - "$T" "$dir/$CG" "$BIN/volrun-hook" <"$T/c1/config.json" 2>"$T/err" 3>&- 4>&- &
	engine=$!
	until_true 10 test -s "$T/rc"
	is "$(<"$T/rc") $(<"$T/err")" "0 "
	sleep 0.3
	is "$(jq -c '[.container, .cgroup]' "$T/cache-A/main/default/state/keeper")" '["c1",null]'
	kill "$engine"
	until_true 15 eval '[[ -z $(keepers) ]]'
	rmdir "$dir/$CG/engine" "$dir/$CG/hook"
}

# engine NODE NAME: the precreate hook, of an engine that lives on; its pid is in $engine. Its config.json replaces the bundle's.
engine() {
	hbundle "$1" "$2" "state /data" "${3:-true}"
	config "$2" '.hooks = {}'
	sh -c '"$@"; echo $? >"$0"; exec sleep 1000' "$T/rc" "$BIN/volrun-hook" --config="$T/$1.json" precreate <"$T/$2/config.json" >"$T/out" 2>"$T/err" 3>&- 4>&- &
	engine=$!
	until_true 10 test -s "$T/rc"
	is "$(<"$T/rc") $(<"$T/err")" "0 "
	cp "$T/out" "$T/$2/config.json"
}

@test "precreate: no container comes of it, and the engine lives on: given back after lease.mount_timeout" {
	node A '.lease.mount_timeout = "2s"'
	engine A c1
	sleep 1
	like "$(keepers)" '^[0-9]+$'
	until_true 30 eval '[[ -z $(keepers) ]]' || { kill "$engine"; fail "the keeper stays"; }
	is "$(left_leases)" ""
	kill "$engine"
}

@test "precreate: a container that runs for longer than lease.mount_timeout keeps its volume; when it has ended, the engine counts no more" {
	node A '.lease.mount_timeout = "2s"'
	engine A c1 'echo one >/data/f; sleep 5; echo two >>/data/f'
	try oci run --bundle "$T/c1" c1
	ok
	until_true 30 eval '[[ -z $(keepers) ]]' || { kill "$engine"; fail "the keeper stays"; }
	kill "$engine"
	node B
	vrun B c2 "state /data" 'cat /data/f'
	is "$output" $'one\ntwo'
}

@test "precreate: a keeper that was killed is replaced; with the container's end the volume is free, though the engine lives on" {
	node A '.lease += {ttl: "3s", mount_timeout: "2s"}'
	engine A c1 'echo one >/data/f; sleep 3; echo two >>/data/f'
	oci run --bundle "$T/c1" c1 </dev/null >/dev/null 2>&1 3>&- 4>&- &
	local container=$!
	until_true 10 test -s "$T/cache-A/main/default/state/rw/f"
	kill -9 "$(keepers)"
	until_true 10 eval '[[ -z $(keepers) ]]'
	try on A volrun volume recover
	like "$output" 'state: adopted'
	wait "$container"
	until_true 30 eval '[[ -z $(keepers) ]]' || { kill "$engine"; fail "the keeper stays"; }
	kill "$engine"
	node B
	vrun B c2 "state /data" 'cat /data/f'
	is "$output" $'one\ntwo'
}

# poststop NODE NAME: the hook, of an engine whose container has ended.
poststop() {
	try timeout 20 "$BIN/volrun-hook" --config="$T/$1.json" poststop <<<"{\"ociVersion\": \"1.0.2\", \"id\": \"$2\", \"status\": \"stopped\", \"bundle\": \"$T/$2\"}"
}

@test "poststop after precreate: a keeper that is busy is waited for as long as is set, or with delete=wait as the caller may" {
	local keeper
	node A '.lease.delete_wait = "500ms"'
	prepared A c1 "state /data" 'true'
	ok
	keeper=$(keepers)
	kill -STOP "$keeper"
	poststop A c1
	kill -CONT "$keeper"
	ok
	like "$stderr" 'the volumes of c1 are still being synced back'
	until_true 15 eval '[[ -z $(keepers) ]]'
	prepared A c2 "state /data delete=wait" 'true'
	ok
	keeper=$(keepers)
	kill -STOP "$keeper"
	(sleep 1.5; kill -CONT "$keeper") 3>&- 4>&- &
	poststop A c2
	wait $!
	ok
	is "$stderr" ""
	is "$(keepers)" ""
}

@test "poststop: a bundle that says it was prepared with another container's place for a token waits for nobody" {
	hstart A c1 "state /data" 'sleep 100'
	hbundle A c2 "other /data" 'true'
	config c2 --arg p "c1 $T/c1" '.annotations["dev.volrun.prepared"] = $p'
	poststop A c2
	ok
	is "$stderr" ""
	oci delete --force c1
	until_true 15 eval '[[ -z $(keepers) ]]'
}

@test "contrib/hooks says what the program knows: stages, and annotations that run it" {
	local f stage arg
	for f in "$HERE"/../contrib/hooks/*/*.json; do
		stage=$(jq -r '.stages | join(" ")' "$f") arg=$(jq -r '.hook.args[1]' "$f")
		is "$stage" "$arg" "$f"
		"$BIN/volrun-hook" --help | grep -q "$arg" || fail "$f: no stage $arg"
		is "$(jq -r '.when.annotations | keys[0] as $k | ["dev.volrun.volume", "dev.volrun.volume.a-1", "dev.volrun.volumes"] | map(test($k)) | tostring' "$f")" "[true,true,false]"
	done
	is "$(jq -r '.hooks | to_entries[] | .key == .value[0].args[1]' "$HERE/../contrib/hooks/bundle.json" | sort -u)" true
}
