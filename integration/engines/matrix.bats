#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Every engine with every kind of store: each cell has the same tests, whose names say which engine and store. In the
# virtual machine; ../machine_matrix has the stores made outside of it. $MATRIX_ENGINE: only that one, so that engines can
# run side by side, or ENGINE/STORE. $MATRIX_MUCH=core: each engine and each store once.

# shellcheck disable=SC2154 # status, output and stderr are of try

bats_require_minimum_version 1.11.0
load nodes

ENGINES=()
ENGINE=${MATRIX_ENGINE:-*}
for ENGINE in "$BATS_TEST_DIRNAME"/by/${ENGINE%/*}.bash; do ENGINES+=("$(basename "$ENGINE" .bash)"); done
KINDS=(fs s3 azure gcs)
CORE=" docker/s3 podman/azure podman-rootless/fs ctr/gcs crictl/azure "

for ENGINE in "${ENGINES[@]}"; do
	# shellcheck source=/dev/null
	source "$BATS_TEST_DIRNAME/by/$ENGINE.bash"
done

setup_file() {
	local user
	for ENGINE in "${ENGINES[@]}"; do
		user=$(engine_user)
		node "$user" a
		node "$user" b
		by ready >"$BATS_FILE_TMPDIR/$ENGINE.ready" || mv "$BATS_FILE_TMPDIR/$ENGINE.ready" "$BATS_FILE_TMPDIR/$ENGINE.absent"
	done
}

# A cell's test; what it started is ended, whatever came of it, and nothing may be left.
cell() { # ENGINE STORE TEST
	ENGINE=$1 STORE=$2 VOLUME=$1-$2-$3 C=m$BATS_TEST_NUMBER
	[[ ! -e $BATS_FILE_TMPDIR/$1.absent ]] || skip "$(<"$BATS_FILE_TMPDIR/$1.absent")"
	[[ $2 == fs ]] || jq -e --arg s "$2" 'has($s)' "$STORES" >/dev/null || skip "no server of $2 could be had outside of the machine"
	"cell_$3"
}
teardown() {
	local id
	for id in ${C:+$C-1 $C-2}; do by kill "$id" >/dev/null 2>&1 || :; done
	[[ -z ${VOLUME:-} ]] || until_true 60 eval '[[ $(lease "$VOLUME") == free && -z $(keeper a "$VOLUME")$(keeper b "$VOLUME") ]]'
}

HOLD='trap "exit 0" TERM; while :; do sleep 0.2; done'
run_on() { try by run "$(runtime_of "$1")" "$C-r$((++RUNS))" "$VOLUME /data ${2:+$2 }store=$STORE" "$3"; }
start_on() { by start "$(runtime_of "$1")" "$2" "$VOLUME /data store=$STORE" "$3; $HOLD"; }
shows() { is "$status" 0 "exit code"; is "$output" "$1" "output"; }
in_tree() { volume "$1" files "$VOLUME" "$2"; }

cell_kept() {
	run_on a '' 'ls -A /data; mkdir -m 700 /data/d; echo one >/data/d/f; ln -s d/f /data/l; chown 1000:1000 /data/d/f'
	shows ''
	run_on b '' 'cat /data/l; stat -c "%a %u" /data/d /data/d/f; echo two >>/data/l; rm /data/l; : >/data/empty'
	shows $'one\n700 0\n644 1000'
	# Node a has a tree of its own, of the commit before.
	run_on a '' 'cat /data/d/f; ls -A /data'
	shows $'one\ntwo\nd\nempty'
}

cell_ro() {
	run_on b ro 'echo started'
	((status != 0)) || fail "it started"
	is "$output" ''
	run_on a '' 'echo one >/data/f'
	shows ''
	start_on a "$C-1" 'echo two >/data/f; echo new >/data/g'
	# Beside who holds it: what is committed, and nothing that could be written.
	run_on b ro 'cat /data/f; ls /data; touch /data/x 2>/dev/null || echo read-only; rm /data/f 2>/dev/null || echo read-only'
	shows $'one\nf\nread-only\nread-only'
	by stop "$C-1"
	until_true 30 eval '[[ $(lease "$VOLUME") == free ]]'
	run_on b ro 'cat /data/f /data/g'
	shows $'two\nnew'
}

cell_waits() {
	local waiter
	start_on a "$C-1" 'echo first >/data/f'
	run_on b wait=1s 'echo started'
	((status != 0)) || fail "it started"
	is "$output" ''
	like "$stderr" 'lease held by node-a'
	by run volrun-b "$C-w" "$VOLUME /data wait=100s store=$STORE" 'cat /data/f; echo second >>/data/f' >"$BATS_TEST_TMPDIR/waited" 2>&1 &
	waiter=$!
	sleep 4
	kill -0 "$waiter"
	is "$(<"$BATS_TEST_TMPDIR/waited")" ''
	by stop "$C-1"
	wait "$waiter" || fail "the second writer: $(<"$BATS_TEST_TMPDIR/waited")"
	is "$(<"$BATS_TEST_TMPDIR/waited")" first
	run_on a '' 'cat /data/f'
	shows $'first\nsecond'
}

# The container is killed: that is an end like any other.
cell_killed() {
	start_on a "$C-1" 'echo kept >/data/f; echo $$ >/data/pid'
	until_true 30 eval '[[ -s $(echo "$(cache_of a)"/*/*/"$VOLUME"/rw/pid) ]]'
	by kill "$C-1"
	run_on b '' 'cat /data/f'
	shows kept
}

# Its keeper, too: as when all of the node's processes are killed.
cell_crashed() {
	local id
	start_on a "$C-1" 'echo one >/data/f; echo $$ >/data/pid'
	until_true 30 eval '[[ -s $(echo "$(cache_of a)"/*/*/"$VOLUME"/rw/pid) ]]'
	kill -9 "$(keeper a "$VOLUME")"
	by kill "$C-1"
	# The same node goes on with what was not committed.
	run_on a '' 'cat /data/f'
	shows one
	start_on a "$C-2" 'echo two >>/data/f; echo $$ >/data/pid2'
	until_true 30 eval '[[ -s $(echo "$(cache_of a)"/*/*/"$VOLUME"/rw/pid2) ]]'
	kill -9 "$(keeper a "$VOLUME")"
	by kill "$C-2"
	# Another node waits until the lease has run out, and finds the last commit; what was not in it is set aside.
	run_on b '' 'cat /data/f; echo three >>/data/f'
	shows one
	volume a recover "$VOLUME"
	run_on a '' 'cat /data/f'
	shows $'one\nthree'
	id=$(volume a --json conflicts ls "$VOLUME" | jq -r '.conflicts[0].conflict.id')
	volume a conflicts show "$VOLUME" "$id" | grep -q f
}

for ENGINE in "${ENGINES[@]}"; do
	for STORE in "${KINDS[@]}"; do
		[[ $ENGINE/$STORE == "${MATRIX_ENGINE:-}"* ]] || continue
		[[ ${MATRIX_MUCH:-all} == all || $CORE == *" $ENGINE/$STORE "* ]] || continue
		while IFS=: read -r name text; do
			bats_test_function --description "$ENGINE, $STORE: $text" -- cell "$ENGINE" "$STORE" "$name"
		done <<-'T'
			kept:a file is kept between runs, and between nodes
			ro:a reader has what is committed, also beside a writer, and can't write
			waits:a second writer on another node waits, or fails when it may not
			killed:a holder whose container is killed leaves all that it wrote
			crashed:a holder whose keeper is killed loses nothing, on its node and on another one
		T
	done
done
