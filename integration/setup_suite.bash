# SPDX-License-Identifier: Apache-2.0
# Once per run of the suite: the programs under test, copied, so that every
# process of theirs is known by its executable; a root file system; a name for
# the suite's cgroups.

setup_suite() {
	local here name applet
	here=$(dirname "${BASH_SOURCE[0]}")
	[[ $(id -u) == 0 ]] || { echo "the integration tests make containers and need root" >&2; return 1; }
	export SUITE=$BATS_SUITE_TMPDIR BIN=$BATS_SUITE_TMPDIR/bin
	export CG=volrun-bats-$$
	VOLRUN_BIN=${VOLRUN_BIN:-$here/../build}

	mkdir -p "$BIN"
	cp "$VOLRUN_BIN/volrun" "$BIN/"
	for name in volrun-hook volrun-keeper volrun-volume volrun-systemd; do
		[[ ! -e $VOLRUN_BIN/$name ]] || cp "$VOLRUN_BIN/$name" "$BIN/"
	done
	# A sanitizer's report goes to a file, which every test looks for at its end.
	mkdir -m 1777 "$SUITE/reports"
	if [[ -n ${VOLRUN_SANITIZED:-} ]]; then
		export ASAN_OPTIONS=detect_leaks=0:log_path=$SUITE/reports/asan
		export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1:log_path=$SUITE/reports/ubsan
	fi

	mkdir -p "$SUITE"/rootfs/{bin,dev,etc,home,data,mnt,opt,proc,root,sys,tmp,workspace}
	chmod 1777 "$SUITE/rootfs/tmp"
	cp "$(command -v busybox)" "$SUITE/rootfs/bin/busybox"
	for applet in $("$SUITE/rootfs/bin/busybox" --list); do
		[[ $applet == busybox ]] || ln -s busybox "$SUITE/rootfs/bin/$applet"
	done
	printf 'root:x:0:0:root:/root:/bin/sh\nagent:x:1000:1000:agent:/home:/bin/sh\n' >"$SUITE/rootfs/etc/passwd"
	printf 'root:x:0:\nagent:x:1000:\n' >"$SUITE/rootfs/etc/group"
}

teardown_suite() {
	local here
	here=$(dirname "${BASH_SOURCE[0]}")
	[[ ! -d $SUITE/rgw ]] || "$here/s3/rgw" stop "$SUITE/rgw"
	[[ ! -d $SUITE/gcs ]] || "$here/gcs/server" stop "$SUITE/gcs"
	find /sys/fs/cgroup -depth -type d -path "*/$CG*" -exec rmdir {} + 2>/dev/null || :
}
