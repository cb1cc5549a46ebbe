#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Power cuts of a whole node: the virtual machine is killed in a run, in its commit, or just after, and boots again with the disk as
# it was then. Runs outside of the machine. One volume's store is on the node's disk; the other one's, S3, is elsewhere.

load lib/common
load lib/volume

CUTS=${VOLRUN_POWER_CUTS:-3}
GUEST_PORT=7480

setup_file() { s3_start; }
setup() {
	common_setup
	VM=volrun-power-$$
	BUCKET=power-$$
	s3 mkbucket "$BUCKET"
	node S3
	mkdir -p "$T/src/bin"
	cp "$BIN"/volrun* "$T/src/bin/"
	cp -a "$SUITE/rootfs" "$T/src/rootfs"
	mkdir -p "$T/src/rootfs/data"/{here,there}
	cp "$LIB/base.json" "$LIB/power-node" "$T/secret" "$T/src/"
	# The same store as seen from the machine.
	jq --arg url "http://127.0.0.1:$GUEST_PORT" '{stores: {here: {type: "filesystem", path: "/src/store"},
		there: (.stores.main + {endpoint: $url, secret_access_key_file: "/src/secret"})}, default_store: "here",
		node_name: "node", cache: {path: "/src/cache"}, run_dir: "/run/power",
		lease: {ttl: "10s", renew: "1s", poll: "500ms"}}' "$T/S3.json" >"$T/src/node.json"
	mkdir "$T/src/store"
}
teardown() {
	"$HERE/vm" stop --name "$VM"
	common_teardown
}

machine() { "$HERE/vm" "$1" --name "$VM" "${@:2}" </dev/null 3>&- 4>&-; }
in_machine() { machine exec --timeout 120 -- /src/power-node "$@"; }
port() { (. "$SUITE/rgw/env" && echo "${S3_ENDPOINT##*:}"); }
# The last commit of the volume in the store that is elsewhere.
commit_there() { s3 get "$BUCKET" volumes/default/.volrun/there/head | jq .commit.seq; }
said() { grep -qx "$1" "$T/said"; }
# rand N: less than N milliseconds, for sleep.
rand() { printf '%d.%03d' $(((r = RANDOM * 32768 + RANDOM, r %= $1, r / 1000))) $((r % 1000)); }

# cut WHEN MS: kills the machine in a run, at some moment of the MS ms after it said WHEN.
cut_power() {
	local pid
	in_machine run >"$T/said" 2>"$T/said.err" &
	pid=$!
	until_true 60 said "$1" || { cat "$T/said.err" >&2; return 1; }
	sleep "$(rand "$2")"
	COMMITTED=0
	! said committed || COMMITTED=1
	machine reset --append 'systemd.unit=basic.target systemd.wants=ssh.service'
	ended $pid
	machine forward $GUEST_PORT "$(port)"
}

# look WHAT VOLUME FROM: its generation ($FOUND) is that, or the next one, whole.
look() {
	local line
	line=$(grep "^$2 " "$T/look") || fail "$1: $(cat "$T/look" "$T/look.err")"
	read -r _ FOUND files size rest <<<"$line"
	[[ -z $rest && $files == 40 ]] || fail "$1: a mixture of generations: $line"
	((FOUND == $3 || FOUND == $3 + 1)) || fail "$1: generation $FOUND, not $3 or the next"
	((COMMITTED == 0 || FOUND == $3 + 1)) || fail "$1: $2 was committed, and is generation $FOUND"
	((size == 9000000 + ${#FOUND} + 1)) || fail "$1: $line"
}

@test "the machine is cut off in runs and in commits: nothing committed is missing, nothing is torn" {
	local i here=1 there=1 t0 t1 t2 when ms run commit had
	machine start --journal --src "$T/src" --life 1800
	machine forward $GUEST_PORT "$(port)"
	in_machine run >/dev/null
	t0=$(now_ms)
	in_machine run >"$T/said" &
	until_true 60 said in
	t0=$(now_ms)
	until_true 60 said out
	t1=$(now_ms)
	until_true 60 said committed
	t2=$(now_ms)
	wait $!
	here=2 there=2 run=$((t1 - t0)) commit=$((t2 - t1))
	for ((i = 1; i <= CUTS; i++)); do
		case $((i % 3)) in
		1) when=out ms=$commit ;;
		2) when=in ms=$run ;;
		0) when=committed ms=500 ;;
		esac
		cut_power $when $((ms + 1))
		had=$(commit_there)
		in_machine recover >"$T/recovered" 2>&1 || fail "cut $i: $(cat "$T/recovered")"
		in_machine look >"$T/look" 2>"$T/look.err" || fail "cut $i: $(cat "$T/look" "$T/look.err")"
		look "cut $i" here $here
		here=$FOUND
		look "cut $i" there $there
		there=$FOUND
		# What the store elsewhere had accepted is what there is.
		is "$there" "$had" "cut $i: generation"
		echo "# cut $i, after \"$when\": here $here, there $there; set aside so far: $(in_machine kept)" >&3
	done
	echo "# a run takes $run ms in there, its commit $commit ms" >&3
}
