#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The pages: what finds their faults finds them, and the recorded demo is that of today. (What stands in them to be pasted is pasted in
# the virtual machine: integration/newuser.)

load lib/common
setup() { common_setup; TOP=$HERE/..; }
teardown() { common_teardown; }

@test "the recording of the demo, and its picture, say what the demo says now" {
	"$TOP/integration/demo/record" --check "$BIN"
	! grep -nE '/(tmp|work|home|root/[a-z])' "$TOP"/docs/demo.{cast,svg} || fail "paths of the machine that it was recorded on"
}

@test "dead links, files that ARCHITECTURE.md names and that are not there, and a README that has grown are found" {
	local t=$T/tree
	mkdir "$t"
	cp -r "$TOP"/{*.md,docs,contrib,base,oci,runtime,hooks,tests,integration} "$t/"
	"$TOP/integration/lint/docs" "$t"
	echo 'See [this](docs/nosuch.md) and [that](docs/docker.md#no-such-heading).' >>"$t/SECURITY.md"
	echo 'It is in `runtime/nosuch.c`, and in `hooks/nosuch/`.' >>"$t/docs/ARCHITECTURE.md"
	mkdir "$t/newfolder"
	echo >"$t/newfolder/file"
	seq 100 >>"$t/README.md"
	try "$TOP/integration/lint/docs" "$t"
	is "$status" 1
	like "$output" 'SECURITY.md:[0-9]+: there is no docs/nosuch.md'
	like "$output" 'SECURITY.md:[0-9]+: docs/docker.md has no heading for #no-such-heading'
	like "$output" 'there is no runtime/nosuch.c'
	like "$output" 'there is no hooks/nosuch/'
	like "$output" 'nothing about the folder newfolder/'
	like "$output" 'README.md: [0-9]+ lines, at most 150'
}
