#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# `volrun doctor` finds what is wrong, and says what to do; `volrun install --print` prints what engines read.

load lib/common
load lib/volume

setup() {
	common_setup
	node A
}
teardown() {
	common_teardown
	[[ ! -d $BATS_TEST_TMPDIR/lax ]] || "$HERE/s3/lax" stop "$BATS_TEST_TMPDIR/lax"
}

doctor() { try on A volrun doctor "$@"; }

# with_etc DIR COMMAND...: what is in DIR stands in /etc, for the command alone.
with_etc() {
	local dir=$1
	shift
	chmod 755 "$dir"
	# shellcheck disable=SC2016 # for that shell
	try timeout -k 5 60 env VOLRUN_CONFIG="$T/A.json" unshare -m sh -c \
		'mount --make-rprivate / && mount -t overlay -o lowerdir="$0":/etc overlay /etc && exec "$@"' "$dir" "$@"
}

@test "a machine that can hold volumes has no problem: each line says what, and how it is" {
	doctor
	ok
	unlike "$output" '^problem:|'$'\n''problem:'
	like "$output" "ok: kernel – [^ ]+ has openat2"
	like "$output" "ok: cgroups – version [12]"
	like "$output" "ok: user namespaces – "
	like "$output" "ok: configuration – 1 file, 1 store, the default is main"
	like "$output" "ok: programs – $BIN/volrun, volrun-hook, volrun-keeper and volrun-volume"
	like "$output" "ok: cache – $T/cache-A, (with|no) reflinks"
	like "$output" "ok: store main – filesystem, .*can hold volumes"
	like "${lines[-1]}" '^0 problems, [0-9]+ warnings?$'
	is "$(grep -vcE '^(ok|warning|problem): .+ – .+' <<<"$output")" 1 "lines of another form"
	is "$stderr" ""
	# Nothing is left in the store, nor made in the cache.
	is "$(find "$T/store" -path "*/.volrun-store" -prune -o -type f -print; find "$T/cache-A" -mindepth 1)" ""
}

@test "as JSON: the same findings, and their number" {
	chmod 777 "$T/cache-A"
	doctor --json
	is "$status" 1
	is "$(jq -r '"\(.problems) \(.checks | map(select(.result == "problem")) | length)"' <<<"$output")" "1 1"
	is "$(jq -r '.checks[] | select(.result == "problem") | .what, .do' <<<"$output")" "cache
chown 0 $T/cache-A && chmod 700 $T/cache-A"
	is "$(jq -r '[.checks[] | select(.what == "kernel")][0].result' <<<"$output")" ok
	is "$(jq -r '[.checks[] | select(.result != "ok" and (.do == null or .why == null))] | length' <<<"$output")" 0
}

@test "a configuration that is broken: why, and the rest is looked at all the same" {
	echo '{"stores": {"main": {"type": "s4"}}}' >"$T/A.json"
	doctor
	is "$status" 1
	like "$output" 'problem: configuration – .*stores.main.type: "s4" is not one of .* – correct it'
	like "$output" 'ok: programs – '
	unlike "$output" 'store main'
	echo '{"stroes": 1}' >"$T/A.json"
	doctor
	is "$status" 1
	like "$output" 'problem: configuration – .*A.json.*stroes'
}

@test "a configuration that others may write is a problem" {
	chmod 666 "$T/A.json"
	doctor
	is "$status" 1
	like "$output" "problem: $T/A.json – others than root may write it \(owner 0, mode 0666\), .* – chown 0 $T/A.json && chmod go-w $T/A.json"
}

@test "a store that can't be reached: which, why, what to do; in a moment" {
	echo y >"$T/key"
	chmod 600 "$T/key"
	node A ".stores.far = {type: \"s3\", bucket: \"data\", endpoint: \"http://127.0.0.1:1\", access_key_id: \"x\", secret_access_key_file: \"$T/key\"}"
	SECONDS=0
	doctor
	is "$status" 1
	like "$output" "problem: store far – not so: objects can be written and read: .*object store unreachable: connection refused.* – check endpoint"
	like "$output" "ok: store main – "
	like "$output" "ok: stores.far.secret_access_key_file – $T/key, mode 0600"
	like "${lines[-1]}" '^1 problem, '
	((SECONDS < 40)) || fail "it took $SECONDS s"
}

@test "a secret that everybody can read, one of a group, an empty one, and one that is not there" {
	echo secret-value >"$T/key"
	local store='{type: "s3", bucket: "data", endpoint: "http://127.0.0.1:1", access_key_id: "x", secret_access_key_file: $k}'
	node A
	jq --arg k "$T/key" ".stores.far = $store" "$T/A.json" >"$T/B.json"
	mv "$T/B.json" "$T/A.json"
	chmod 644 "$T/key"
	doctor
	is "$status" 1
	like "$output" "problem: stores.far.secret_access_key_file – $T/key is a secret that every user of this machine can read \(mode 0644\) – chmod 600 $T/key"
	unlike "$output$stderr" secret-value
	chmod 640 "$T/key"
	doctor
	like "$output" "warning: stores.far.secret_access_key_file – $T/key is a secret that group 0 can read"
	: >"$T/key"
	doctor
	like "$output" "problem: stores.far.secret_access_key_file – $T/key is empty – "
	rm "$T/key"
	doctor
	is "$status" 1
	like "$output" "problem: stores.far.secret_access_key_file – $T/key can't be read: it is not there – "
}

@test "a store that does not enforce conditions is a problem, and why is said" {
	"$HERE/s3/lax" start "$BATS_TEST_TMPDIR/lax"
	. "$BATS_TEST_TMPDIR/lax/env"
	echo y >"$T/key"
	chmod 600 "$T/key"
	node A ".stores.main = {type: \"s3\", bucket: \"data\", endpoint: \"$S3_ENDPOINT\", access_key_id: \"x\", secret_access_key_file: \"$T/key\"}"
	doctor
	is "$status" 1
	like "$output" "problem: store main – not so: conditions on writes are enforced \(leases\): .* – use another store or a newer version"
}

@test "a clock that is not the store's is a warning" {
	cat >"$T/skew.c" <<-'EOF'
		#include <sys/time.h>
		#include <time.h>
		time_t time(time_t *t)
		{
			struct timeval now;

			gettimeofday(&now, 0);
			if (t)
				*t = now.tv_sec + 600;
			return now.tv_sec + 600;
		}
	EOF
	gcc -shared -fPIC -o "$T/skew.so" "$T/skew.c"
	export ASAN_OPTIONS=${ASAN_OPTIONS:-}:verify_asan_link_order=0
	LD_PRELOAD=$T/skew.so doctor
	ok
	like "$output" "warning: clock – store main: its clock is -(599|600|601) s off this machine's.* – set this machine's clock"
	like "$output" "ok: store main – "
}

@test "where a kubelet runs, whom to believe has to be said" {
	# shellcheck disable=SC2016 # for that shell
	try timeout -k 5 60 env VOLRUN_CONFIG="$T/A.json" unshare -m sh -c \
		'mount --make-rprivate / && mount -t tmpfs none /var/lib && mkdir -p /var/lib/kubelet/pods && exec "$@"' - "$BIN/volrun" doctor
	is "$status" 1
	like "$output" "problem: identity.engine – a kubelet runs on this host, .* – .*containerd-cri"
	jq '.identity = {engine: "containerd-cri"}' "$T/A.json" >"$T/B.json"
	# shellcheck disable=SC2016
	try timeout -k 5 60 env VOLRUN_CONFIG="$T/B.json" unshare -m sh -c \
		'mount --make-rprivate / && mount -t tmpfs none /var/lib && mkdir -p /var/lib/kubelet/pods && exec "$@"' - "$BIN/volrun" doctor
	ok
	like "$output" "ok: identity.engine – containerd-cri"
}

@test "an ordinary user: what is his own is looked at, and needs no rights" {
	mkdir "$T/home"
	chown 65534:65534 "$T/home"
	chmod 755 "$T" "$SUITE" "$BIN" "$(dirname "$T")" "$(dirname "$(dirname "$T")")"
	try timeout -k 5 60 setpriv --reuid 65534 --regid 65534 --clear-groups env -i ASAN_OPTIONS="${ASAN_OPTIONS:-}" HOME="$T/home" XDG_RUNTIME_DIR="$T/home" "$BIN/volrun" doctor
	ok
	like "$output" "ok: cache – $T/home/.cache/volrun \(to be made in $T/home\)"
	like "$output" "ok: store default – filesystem, directory $T/home/.local/share/volrun/store: can hold volumes"
	try timeout -k 5 60 setpriv --reuid 65534 --regid 65534 --clear-groups env -i ASAN_OPTIONS="${ASAN_OPTIONS:-}" HOME="$T/home" XDG_RUNTIME_DIR="$T/home" XDG_CACHE_HOME=/proc "$BIN/volrun" doctor
	is "$status" 1
	like "$output" "problem: cache – /proc can't be written to"
}

@test "credentials of the environment are not the engine's" {
	node A '.stores.far = {type: "s3", bucket: "data", endpoint: "http://127.0.0.1:1"}'
	AWS_ACCESS_KEY_ID=x AWS_SECRET_ACCESS_KEY=not-to-be-shown doctor
	is "$status" 1
	like "$output" "warning: store far – its credentials are from the environment .*engines call volrun with another one – name a file"
	unlike "$output$stderr" not-to-be-shown
}

@test "what earlier runs left is named, with the command that looks after it" {
	local volume=$T/cache-A/main/default/data
	vrun A c1 'data /data' 'echo one >/data/a'
	ok
	doctor
	ok
	like "$output" "ok: volumes on this node – 1, of them 0 in use; nothing is left"
	mkdir "$volume/conflict-3"
	doctor
	ok
	like "$output" "warning: volume data – changes that could not be committed are kept in $volume/conflict-3 – volrun volume conflicts --store=main --workspace=default show data 3"
	rmdir "$volume/conflict-3"
	jq -n '{epoch: 1, seq: 1}' >"$volume/dirty"
	doctor
	like "$output" "warning: volume data – an earlier run here was not committed.* – volrun volume recover --store=main --workspace=default data"
	rm "$volume/dirty"
}

@test "engines: what install prints, put where it says, is found; a wrong path is a problem; nothing is a hint" {
	local etc=$T/etc
	mkdir -p "$etc"/{docker,containers/containers.conf.d,containerd/conf.d,crio/crio.conf.d}
	"$BIN/volrun" install --print docker | grep -v '^#' >"$etc/docker/daemon.json"
	"$BIN/volrun" install --print podman >"$etc/containers/containers.conf.d/volrun.conf"
	"$BIN/volrun" install --print crio >"$etc/crio/crio.conf.d/50-volrun.conf"
	"$BIN/volrun" install --print containerd | sed -n '/^version = 3/,/^$/p' >"$etc/containerd/conf.d/volrun.toml"
	echo 'imports = ["/etc/containerd/conf.d/*.toml"]' >"$etc/containerd/config.toml"
	with_etc "$etc" "$BIN/volrun" doctor
	ok
	like "$output" "ok: docker – /etc/docker/daemon.json names $BIN/volrun"
	like "$output" "ok: podman – /etc/containers/containers.conf.d/volrun.conf names $BIN/volrun"
	like "$output" "ok: containerd – /etc/containerd/conf.d/volrun.toml names $BIN/volrun"
	like "$output" "ok: cri-o – /etc/crio/crio.conf.d/50-volrun.conf names $BIN/volrun"
	unlike "$output" "warning: (docker|podman|containerd|cri-o)"

	"$BIN/volrun" install --print containerd | sed -n '/^version = 2/,/^$/p' | grep -v pod_annotations >"$etc/containerd/conf.d/volrun.toml"
	: >"$etc/containerd/config.toml"
	echo '{"runtimes": {"volrun": {"path": "/nowhere/volrun"}}}' >"$etc/docker/daemon.json"
	cp "$BIN/volrun" "$T/volrun"
	echo "[engine.runtimes]
volrun = [\"$T/volrun\"]" >"$etc/containers/containers.conf.d/volrun.conf"
	with_etc "$etc" "$BIN/volrun" doctor
	is "$status" 1
	like "$output" "problem: docker – /etc/docker/daemon.json names /nowhere/volrun, which can't be executed – volrun install --print docker"
	like "$output" "warning: podman – .* names $T/volrun, which is not this volrun \($BIN/volrun\)"
	like "$output" "warning: containerd – .*no pod_annotations"
	like "$output" "warning: containerd – /etc/containerd/config.toml imports nothing"
}

@test "what install prints is what the engines' parsers take, with this volrun's real path" {
	mkdir "$T/elsewhere"
	ln -s "$BIN/volrun" "$T/elsewhere/volrun"
	"$T/elsewhere/volrun" install --print docker | grep -v '^#' >"$T/docker"
	is "$(jq -r .runtimes.volrun.path "$T/docker")" "$BIN/volrun"
	"$BIN/volrun" install --print containerd >"$T/containerd"
	sed -n '/^version = 2/,/^$/p' "$T/containerd" >"$T/v2"
	sed -n '/^version = 3/,/^$/p' "$T/containerd" >"$T/v3"
	"$BIN/volrun" install --print podman >"$T/podman"
	"$BIN/volrun" install --print crio >"$T/crio"
	"$BIN/volrun" install --print k8s >"$T/k8s"
	python3 - "$T" "$BIN/volrun" <<-'EOF'
		import sys, tomllib, yaml
		t, volrun = sys.argv[1:]
		toml = lambda name: tomllib.load(open(f"{t}/{name}", "rb"))
		for name, plugin, version in (("v2", "io.containerd.grpc.v1.cri", 2), ("v3", "io.containerd.cri.v1.runtime", 3)):
		    c = toml(name)
		    r = c["plugins"][plugin]["containerd"]["runtimes"]["volrun"]
		    assert c["version"] == version and r["runtime_type"] == "io.containerd.runc.v2", c
		    assert r["pod_annotations"] == r["container_annotations"] == ["dev.volrun.*"], r
		    assert r["options"]["BinaryName"] == volrun, r
		    # containerd 1 needs runc's where there is none (this machine may have one).
		    assert version == 3 or "runc" in c["plugins"][plugin]["containerd"]["runtimes"] or "runtimes.runc]" in open("/etc/containerd/config.toml").read(), c
		p = toml("podman")["engine"]
		assert p["runtimes"]["volrun"] == [volrun] and "volrun" in p["runtime_supports_json"] and "volrun" in p["runtime_supports_nocgroup"], p
		c = toml("crio")["crio"]["runtime"]["runtimes"]["volrun"]
		assert c["runtime_path"] == volrun and c["runtime_type"] == "oci" and "allowed_annotations" not in c, c
		k = yaml.safe_load(open(f"{t}/k8s"))
		assert k["kind"] == "RuntimeClass" and k["handler"] == "volrun", k
	EOF
	try "$BIN/volrun" install --print nothing
	not_ok 'must be one of docker, podman, containerd, crio, k8s'
	try "$BIN/volrun" install
	not_ok 'must be one of'
}

@test "the completion scripts know both commands" {
	# shellcheck disable=SC2016 # for that shell
	is "$(bash -c '. <("$0" --completion=bash); COMP_WORDS=(volrun install con) COMP_CWORD=2; _volrun; echo "${COMPREPLY[@]}"' "$BIN/volrun-volume")" containerd
	# shellcheck disable=SC2016
	is "$(bash -c '. <("$0" --completion=bash); COMP_WORDS=(volrun doctor --j) COMP_CWORD=2; _volrun; echo "${COMPREPLY[@]}"' "$BIN/volrun-volume")" --json
	like "$("$BIN/volrun-volume" --completion=zsh)" "compadd -- --print docker"
	like "$("$BIN/volrun-volume" --completion=fish)" "seen_subcommand_from install"
}

@test "who asks for help or in a wrong way is told" {
	doctor --help
	ok
	like "$output" "usage: volrun doctor"
	doctor nonsense
	is "$status" 2
	try "$BIN/volrun" --help
	like "$output" "  doctor     look for what keeps volumes from working"
}
