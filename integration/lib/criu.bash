# SPDX-License-Identifier: Apache-2.0
# criu.bash - for tests with a real criu, in the virtual machine, and with one of our own elsewhere: the images are in $CK.

# criu's hardware breakpoints make the kernel patch its own scheduler's code (perf_sched_events), and the emulated
# processors of the machine do not always see both halves of that: it panics. So criu goes without (FI_NO_BREAKPOINTS).
# shellcheck disable=SC2034 # used by the tests
criu_setup() {
	command -v criu >/dev/null || fail "criu is not installed"
	export CRIU_FAULT=130
	CK=$T/ck
}

# --- our own ---------------------------------------------------------------------

fake_criu_setup() {
	mkdir "$T/fake"
	CK=$T/ck
}

# fake_criu WHAT: a criu that writes what it was asked to $T/asked and then does WHAT, in python: `say(type, success, more)`
# sends an answer, `hear()` reads one; `number`, `text` make members of messages.
fake_criu() {
	{
		cat <<-'PYTHON'
			#!/usr/bin/env python3
			import os, socket, sys
			s = socket.socket(fileno=3)
			def varint(n):
			    out = b""
			    while n >= 128:
			        out, n = out + bytes([n & 127 | 128]), n >> 7
			    return out + bytes([n])
			def number(f, n): return varint(f << 3) + varint(n)
			def text(f, t): return varint(f << 3 | 2) + varint(len(t)) + (t if isinstance(t, bytes) else t.encode())
			def say(kind, success, more=b""): s.send(number(1, kind) + number(2, success) + more)
			def hear(): return s.recv(65536)
			asked = hear()
		PYTHON
		echo "T = '$T'"
		echo 'open(T + "/asked", "wb").write(asked)'
		echo 'open(T + "/argv", "w").write(" ".join(sys.argv[1:]))'
		echo "$1"
	} >"$T/fake/criu"
	chmod 755 "$T/fake/criu"
}

# with_fake COMMAND...: volrun finds that criu first.
with_fake() { PATH=$T/fake:$PATH volrun "$@"; }
