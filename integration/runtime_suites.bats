#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What other runtimes' own suites (youki's, runc's, crun's) expect of a runtime
# beyond the letter of the specification.

load lib/common
setup() { common_setup; }
teardown() { common_teardown; }

@test "an error on stderr has the word for it" {
	try volrun delete nobody
	not_ok '^volrun: error: container does not exist$'
	try volrun kill "" KILL
	not_ok '^volrun: error: '
}

@test "masked and read-only paths that are relative count from the container's root" {
	bundle c1 'touch /etc/here; cat /etc/secret; grep -c " /proc/bus " /proc/self/mountinfo; echo end' '
		.linux.readonlyPaths = ["etc", "not/there", "proc/bus"] | .linux.maskedPaths = ["etc/secret", "nor/here"]'
	mkdir -p "$T/c1/rootfs/etc"
	echo no >"$T/c1/rootfs/etc/secret"
	try volrun run --bundle "$T/c1" c1
	ok
	is "$output" $'1\nend'
	like "$stderr" 'Read-only file system'
}
