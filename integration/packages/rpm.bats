#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# contrib/rpm/volrun.spec, with Debian's rpmbuild: what it can't know is what other distributions' macros become.

bats_require_minimum_version 1.5.0

setup_file() {
	local build=${VOLRUN_BIN:-$BATS_TEST_DIRNAME/../../build}
	export SPEC=$BATS_TEST_DIRNAME/../../contrib/rpm/volrun.spec TOPDIR=$BATS_FILE_TMPDIR/rpm SRC
	SRC=volrun-$(sed -n 's/^AC_INIT(\[volrun\], \[\([^]]*\)\].*/\1/p' "$BATS_TEST_DIRNAME/../../configure.ac")
	mkdir -p "$TOPDIR/SOURCES"
	make -s -C "$build" distdir distdir="$TOPDIR/$SRC" >"$TOPDIR/log" 2>&1 3>&- 4>&- || { cat "$TOPDIR/log" >&2; return 1; }
	tar -C "$TOPDIR" -caf "$TOPDIR/SOURCES/$SRC.tar.xz" "$SRC"
}

build() { rpmbuild --define "_topdir $TOPDIR" --nodeps "$@" "$SPEC" 3>&- 4>&-; }

@test "the spec is of this version, and makes a source package" {
	rpmspec -q --srpm --qf '%{name}-%{version}\n' "$SPEC" | grep -x "$SRC"
	build -bs
	rpm -qpl "$TOPDIR"/SRPMS/*.src.rpm | grep -x "$SRC.tar.xz"
}

# bats test_tags=slow
@test "it builds, and the package has programs, pages, units and completions, and asks for what is loaded by name" {
	local f rpm have
	build -bb >"$TOPDIR/log" 2>&1 || { tail -n 50 "$TOPDIR/log"; return 1; }
	rpm=$(echo "$TOPDIR"/RPMS/*/*.rpm)
	have=$(rpm -qpl "$rpm")
	for f in /usr/sbin/volrun /usr/libexec/volrun/volrun-{hook,keeper,systemd,volume} /usr/share/man/man8/volrun-volume.8 \
		/usr/lib/systemd/system/volrun-{recover.service,prune.service,prune.timer} /usr/lib/tmpfiles.d/volrun.conf \
		/etc/volrun/conf.d /usr/share/zsh/site-functions/_volrun; do
		grep -qE "^$f(\.gz)?\$" <<<"$have" || { echo "$f is not there"; return 1; }
	done
	have=$(rpm -qp --requires "$rpm")
	for f in libcurl libcrypto libmount libyajl; do
		grep -q "^$f\.so\." <<<"$have" || { echo "$f is not required"; return 1; }
	done
}
