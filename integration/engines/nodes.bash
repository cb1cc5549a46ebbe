# SPDX-License-Identifier: Apache-2.0
# nodes.bash - each engine that people use, two nodes, each kind of store: what matrix.bats is made of.
#
# A node is a configuration (cache, run directory, name) with a runtime that has it: "volrun" is node a, "volrun-b" is
# node b, whose cache knows nothing of node a's. Both have every store of $STORES, by its name; and by that name with
# "-slow" at its end, at 64 KiB a second.
#
# To add an engine E, write by/E.bash (a "-" of E is a "_" in its functions) with
#   E_ready                        once, before its tests: images, and runtime volrun-b where the engine wants to be told
#                                  of it. A line on stdout and status 1: it can't be had here, its tests are skipped
#   E_run RUNTIME ID VALUE SCRIPT  a container by that runtime, with the annotation dev.volrun.volume=VALUE, that runs
#                                  SCRIPT by sh, to its end, and removed. Its stdout on stdout, the engine's errors on
#                                  stderr; not 0 when it failed
#   E_start RUNTIME ID VALUE SCRIPT   the same, started and left running
#   E_stop ID                      TERM, patience of 30 s; it has ended, and is removed
#   E_kill ID                      KILL to its process; it has ended, and is removed
#   E_user                         (where it isn't root) who runs it
# All of it within the engine's own patience: each call is under timeout(1).

: "${STORES:=/src/stores.json}" # {"s3": {…}, …}: stores of a configuration, but for "fs", which is made here

fail() { printf '%s\n' "$@" >&2; return 1; }
is() { [[ $1 == "$2" ]] || fail "${3:-value}: expected '$2', got '$1'" "status: ${status:-}" "stderr: ${stderr:-}"; }
like() { [[ $1 =~ $2 ]] || fail "expected something like: $2" "got: $1" "status: ${status:-}"; }
UNTIL_PAUSE=0.5
# shellcheck source=integration/lib/until.bash
source "$(dirname "${BASH_SOURCE[0]}")/../lib/until.bash"

# by VERB ARG...: of the engine under test.
by() { "${ENGINE//-/_}_$1" "${@:2}"; }
# try COMMAND...: $status, $output (stdout), $stderr.
# shellcheck disable=SC2034 # for the tests
try() {
	status=0
	"$@" >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" || status=$?
	output=$(<"$BATS_TEST_TMPDIR/out") stderr=$(<"$BATS_TEST_TMPDIR/err")
}

engine_user() { if declare -F "${ENGINE//-/_}_user" >/dev/null; then by user; else echo root; fi; }
home_of() { getent passwd "$1" | cut -d : -f 6; }
# config_dir USER: of node a; node b's has "-b" at its end.
config_dir() { if [[ $1 == root ]]; then echo /etc/volrun; else echo "$(home_of "$1")/.config/volrun"; fi; }
runtime_of() { case $1 in a) echo volrun ;; b) echo volrun-b ;; esac; }
wrapper_of() { if [[ $1 == root ]]; then echo /usr/local/bin/volrun-b; else echo "$(home_of "$1")/volrun-b"; fi; }

# as USER COMMAND...: in a session of that user's, who is in a cgroup of his own; without systemd (native) there is no cgroup.
as() {
	local user=$1
	shift
	if [[ $user == root ]]; then
		"$@" 3>&- 4>&-
	elif [[ ! -d /run/systemd/system ]]; then
		setpriv --reuid "$user" --regid "$user" --init-groups env -C / -i PATH="$PATH" HOME="$(home_of "$user")" \
			XDG_RUNTIME_DIR="/run/user/$(id -u "$user")" PODMAN_IGNORE_CGROUPSV1_WARNING=1 "$@" </dev/null 3>&- 4>&-
	else
		systemd-run --quiet --pipe --wait --collect --user --machine "$user@" --property Delegate=yes --property KillMode=process \
			--working-directory / -- "$@" </dev/null 3>&- 4>&-
	fi
}

# node USER a|b: its configuration; b's runtime, too.
node() {
	local dir home run
	dir=$(config_dir "$1") home=$(home_of "$1") run=/run/volrun-$2
	if [[ $1 == root ]]; then home=/var/lib/volrun-test; else run=/run/user/$(id -u "$1")/volrun-$2; fi
	[[ $2 == a ]] || dir+=-b
	mkdir -p "$dir" "$home/store"
	cp "$(dirname "$STORES")"/*.secret "$dir/" 2>/dev/null || :
	jq --arg n "$2" --arg home "$home" --arg run "$run" --arg dir "$dir" '{
		stores: ((. | map_values(with_entries(if .key | endswith("_file") then .value = "\($dir)/\(.value)" else . end)))
			| . + with_entries(.key += "-slow" | .value.max_bytes_per_second = 65536)
			+ {fs: {type: "filesystem", path: "\($home)/store"}}),
		default_store: "fs", node_name: "node-\($n)", run_dir: $run, cache: {path: "\($home)/cache-\($n)"},
		lease: {ttl: "6s", renew: "1s", poll: "500ms"}}' "$STORES" >"$dir/config.json"
	chmod 600 "$dir"/*
	chown -R "$1:" "$dir" "$home/store"
	[[ $2 == b ]] || return 0
	printf '#!/bin/sh\nVOLRUN_CONFIG=%s/config.json exec /usr/local/sbin/volrun "$@"\n' "$dir" >"$(wrapper_of "$1")"
	chmod 755 "$(wrapper_of "$1")"
}

# volume NODE ARG...: volrun volume, as the engine's user and on that node.
volume() {
	local user dir
	user=$(engine_user) dir=$(config_dir "$user")
	[[ $1 == a ]] || dir+=-b
	as "$user" /usr/local/sbin/volrun volume --config="$dir/config.json" --store="$STORE" "${@:2}"
}
# keeper NODE VOLUME: the process id of who holds it there.
keeper() { volume "$1" --json status | jq -r --arg n "$2" --arg s "$STORE" '.volumes[] | select(.name == $n and .store == $s) | .pid // empty'; }
# lease VOLUME: free or held.
lease() { volume b --json lease "$1" | jq -r .state; }
# cache_of NODE
cache_of() {
	local user home=/var/lib/volrun-test
	user=$(engine_user)
	[[ $user == root ]] || home=$(home_of "$user")
	echo "$home/cache-$1"
}
