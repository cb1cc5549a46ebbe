# SPDX-License-Identifier: Apache-2.0
# tools.bash - what a test needs of others' registries (Go's, npm's, Python's): got once, kept in ~/.cache.

# tool_get NAME COMMAND...: in setup_file; the command that gets it. 1: it can't be had here.
tool_get() {
	local name=$1
	shift
	"$@" >"$BATS_FILE_TMPDIR/$name.tool" 2>&1 3>&- || {
		touch "$BATS_FILE_TMPDIR/$name.absent"
		return 1
	}
}

# tool_need NAME: in a test; skips it where tool_get failed, and says why.
tool_need() { [[ ! -e $BATS_FILE_TMPDIR/$1.absent ]] || skip "$(tail -n 1 "$BATS_FILE_TMPDIR/$1.tool")"; }
