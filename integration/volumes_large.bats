#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A volume of 100,000 files, and a file of some GiB: what a keeper takes for the end of a run.

load lib/common
load lib/volume

setup() {
	common_setup
	# A fsync for each of so many files takes its time on a disk.
	mkdir "$T/ram"
	mount -t tmpfs -o mode=755,size=2g,nr_inodes=1m tmpfs "$T/ram"
	node A '.stores.main.path = "'"$T/ram/store"'" | .cache.path = "'"$T/ram/cache"'"'
	mkdir "$T/ram/store"
	MEASURED=$T/bin
	mkdir "$MEASURED"
	cp "$BIN"/* "$MEASURED/"
	mv "$MEASURED/volrun-keeper" "$MEASURED/real-volrun-keeper"
	cp "$LIB/peak" "$MEASURED/volrun-keeper"
}
teardown() {
	umount -l "$T/ram" 2>/dev/null || :
	common_teardown
}

V="state /data"
LAST=ram/cache/main/default/state/last-run.json

real_keeper() { find /proc -maxdepth 2 -path '/proc/[0-9]*/exe' -lname "$MEASURED/real-volrun-keeper" 2>/dev/null | cut -d / -f 3; }
nobody_keeps() { [[ -z $(find /proc -maxdepth 2 -path "/proc/[0-9]*/exe" -lname "$MEASURED/*" 2>/dev/null) && -s $MEASURED/peaks ]]; }

# cpu_ms PID: processor time so far.
cpu_ms() { awk -v hz="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); print int(($12 + $13) * 1000 / hz) }' "/proc/$1/stat"; }

measured_run() { # NAME SCRIPT
	local BIN=$MEASURED
	vbundle "$1" "$V" "$2"
	rm -f "$MEASURED/peaks"
	try on A timeout 120 "$BIN/volrun" --root "$T/state-A" run --bundle "$T/$1" "$1"
	until_true 120 nobody_keeps
}

# check_peak KIB: of the last keeper.
check_peak() {
	local name kib _
	read -r name kib _ <"$MEASURED/peaks"
	echo "$name: peak $kib KiB, the limit is $1" >&2
	[[ -n ${VOLRUN_SANITIZED:-} ]] || ((kib <= $1))
}

@test "the end of a run with one changed file among 100,000 takes little time, and less than 48 MiB" {
	# Paths of 36 characters.
	measured_run c1 'cd /data; for d in $(seq 100 299); do mkdir "directory-$d"; cd "directory-$d"; for f in $(seq 100 599); do echo "a-file-with-a-name-$f"; done | xargs touch; cd ..; done; find . -type f | wc -l'
	ok
	is "$output" 100000
	check_peak 49152

	# Warm; and what the end alone takes.
	local before keeper name kib cpu
	rm -f "$MEASURED/peaks"
	BIN=$MEASURED vbundle c2 "$V" 'echo changed >/data/directory-150/a-file-with-a-name-250; exec sleep 1000'
	on A timeout 60 "$MEASURED/volrun" --root "$T/state-A" run --detach --bundle "$T/c2" c2 </dev/null >"$T/c2.log" 2>&1 3>&- 4>&- || fail "$(cat "$T/c2.log")"
	until_true 10 [ -s "$T/ram/cache/main/default/state/rw/directory-150/a-file-with-a-name-250" ]
	keeper=$(real_keeper)
	sleep 0.5 # it settles
	before=$(cpu_ms "$keeper")
	on A "$MEASURED/volrun" --root "$T/state-A" kill c2 KILL
	until_true 60 nobody_keeps
	on A "$MEASURED/volrun" --root "$T/state-A" delete c2
	is "$(jq -r '"\(.result) \(.files_added) \(.files_changed) \(.files_deleted)"' "$T/$LAST")" "committed 0 1 0"
	check_peak 49152
	read -r name kib cpu <"$MEASURED/peaks"
	echo "$name: $((cpu - before)) ms of processor time; $(jq -c '[.scan_seconds, .commit_seconds]' "$T/$LAST")" >&2
	[[ -n ${VOLRUN_SANITIZED:-} ]] || ((cpu - before < 1000))

	# Another node, which has nothing yet.
	rm -rf "$T/ram/cache"
	measured_run c3 'cat /data/directory-150/a-file-with-a-name-250'
	ok
	is "$output" changed
	check_peak 49152
}

@test "a file of 3 GiB takes no more memory than a small one" {
	measured_run c1 'cd /data; echo begin >large; truncate -s 3221225472 large; echo end >>large'
	ok
	check_peak 32768
	is "$(jq -r .result "$T/$LAST")" committed
	rm -rf "$T/ram/cache"
	measured_run c2 'cd /data; head -c 6 large; tail -c 4 large; stat -c %s large'
	ok
	is "$output" $'begin\nend\n3221225476'
	check_peak 32768
}
