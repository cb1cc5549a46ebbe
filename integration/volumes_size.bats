#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Many files and large ones, on a real S3 server, in bounded memory: 64 MiB for
# the hook and for the keeper, whatever the volume's size.

load lib/common
load lib/volume

setup_file() { s3_start; }
setup() {
	common_setup
	BUCKET=size-$BATS_TEST_NUMBER-$RANDOM
	s3 mkbucket "$BUCKET"
	node A
	node B
	# A program's peak is known when it ends: each one gets a parent that
	# waits for it and notes the kernel's account of it.
	MEASURED=$T/bin
	mkdir "$MEASURED"
	cp "$BIN"/* "$MEASURED/"
	local name
	for name in volrun-hook volrun-keeper; do
		mv "$MEASURED/$name" "$MEASURED/real-$name"
		cp "$LIB/peak" "$MEASURED/$name"
	done
	PEAKS=$MEASURED/peaks
}
teardown() { common_teardown; }

V="state /data"

# check_peaks: no program used more than 64 MiB.
check_peaks() {
	local name kib _
	is "$(cut -d ' ' -f 1 "$PEAKS" | sort -u | tr '\n' ' ')" "volrun-hook volrun-keeper " "programs measured"
	while read -r name kib _; do
		echo "$name: peak $kib KiB" >&2
		[[ -n ${VOLRUN_SANITIZED:-} ]] || ((kib < 65536)) || fail "$name: $kib KiB"
	done <"$PEAKS"
}

measured_run() { # NODE NAME ANNOTATION SCRIPT
	local node=$1 BIN=$MEASURED
	shift
	vbundle "$@"
	try on "$node" timeout 280 "$BIN/volrun" --root "$T/state-$node" run --bundle "$T/$1" "$1"
	until_true 200 eval '[[ -z $(find /proc -maxdepth 2 -path "/proc/[0-9]*/exe" -lname "$MEASURED/*" 2>/dev/null) ]]'
}

@test "2,000 files go round" {
	measured_run A c1 "$V" 'cd /data; for d in 0 1 2 3 4 5 6 7 8 9; do mkdir d$d; for i in $(seq 200); do echo "$d $i $(head -c 20 /dev/urandom | base64)" >d$d/f$i; done; done
		find . -type f | sort | xargs sha256sum | sha256sum'
	ok
	local sum=$output
	measured_run B c2 "$V" 'cd /data; find . -type f | wc -l; find . -type f | sort | xargs sha256sum | sha256sum'
	ok
	is "${lines[0]}" 2000
	is "${lines[1]}" "$sum"
	check_peaks
}

@test "200 MiB go round" {
	measured_run A c1 "$V" 'cd /data; head -c 157286400 /dev/urandom >big; mkdir d; for i in 1 2 3 4 5; do head -c 10485760 /dev/urandom >d/$i; done; cat big d/* | sha256sum'
	ok
	local sum=$output
	measured_run B c2 "$V" 'cd /data; cat big d/* | sha256sum'
	ok
	is "$output" "$sum"
	check_peaks
}
