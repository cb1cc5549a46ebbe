# SPDX-License-Identifier: Apache-2.0
# criu.bash - for tests with a real criu, in the virtual machine: the images are in $CK.

# criu's hardware breakpoints make the kernel patch its own scheduler's code (perf_sched_events), and the emulated
# processors of the machine do not always see both halves of that: it panics. So criu goes without (FI_NO_BREAKPOINTS).
# shellcheck disable=SC2034 # used by the tests
criu_setup() {
	command -v criu >/dev/null || fail "criu is not installed"
	export CRIU_FAULT=130
	CK=$T/ck
}
