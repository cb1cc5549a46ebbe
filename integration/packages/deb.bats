#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The Debian package of this tree: built once ($VOLRUN_DEB names one that is there), looked over, and installed into a
# machine that is this one with a layer over its files, where everything written is gone at the end.

bats_require_minimum_version 1.5.0

setup_file() {
	HERE=$BATS_TEST_DIRNAME/..
	export DEB=${VOLRUN_DEB:-} VERSION
	if [[ -z $DEB ]]; then
		"$HERE/../contrib/debian/build" "${VOLRUN_BIN:-$HERE/../build}" "$BATS_FILE_TMPDIR/deb" 3>&- 4>&- || return 1
		DEB=$(echo "$BATS_FILE_TMPDIR"/deb/volrun_*.deb)
	fi
	VERSION=$(dpkg-deb -f "$DEB" Version)
}

fail() { printf '%s\n' "$@" >&2; return 1; }

# machine SCRIPT: bash, as root of such a machine, with a bundle /b that has a volume, and functions for it.
machine() {
	mkdir -p "$BATS_TEST_TMPDIR/m"
	cp "$DEB" "$BATS_TEST_TMPDIR/volrun.deb"
	cp "$BATS_TEST_DIRNAME/../lib/base.json" "$BATS_TEST_TMPDIR/"
	printf '%s\n' "$1" >"$BATS_TEST_TMPDIR/script"
	timeout -k 5 100 unshare --mount --pid --fork --kill-child bash -euc '
		t=$1
		mount --make-rprivate /
		mount -t tmpfs none "$t/m"
		mkdir "$t"/m/{up,work,root,in}
		cp "$t"/{volrun.deb,base.json,script} "$t/m/in"
		mount -t overlay -o "lowerdir=/,upperdir=$t/m/up,workdir=$t/m/work" none "$t/m/root"
		cd "$t/m/root"
		mkdir -p b/rootfs/{bin,data,proc,sys,dev,tmp,etc}
		cp "$(command -v busybox)" b/rootfs/bin/
		ln -s busybox b/rootfs/bin/sh
		mount -t proc none proc
		mount --rbind /sys sys
		mount --rbind /dev dev
		mount -t tmpfs none run
		mount -t tmpfs none tmp # what is in the layer may be on a file system of few abilities
		rm -rf etc/volrun var/lib/volrun var/cache/volrun
		mkdir var/lib/volrun var/cache/volrun
		mount -t tmpfs -o mode=700 none var/lib/volrun
		mount -t tmpfs -o mode=700 none var/cache/volrun
		mkdir in && mv "$t"/m/in/* in/
		mkdir old
		pivot_root . old # in a chroot, `volrun exec` would find what is around it
		exec chroot . bash -euc "$2"
	' - "$BATS_TEST_TMPDIR" '
		umount -l /old
		export PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive
		unset VOLRUN_CONFIG
		install_it() { dpkg -i /in/volrun.deb; }
		agent() { # ID SCRIPT: a run with the volume at /data
			mkdir -p "/b-$1"
			cp -a /b/rootfs "/b-$1/"
			jq --arg s "$2" ".process.args = [\"/bin/busybox\", \"sh\", \"-c\", \$s] | .annotations += {\"dev.volrun.volume\": \"state /data\"}
				| del(.linux.cgroupsPath, .linux.resources)" /in/base.json >"/b-$1/config.json"
			volrun --cgroup-manager disabled run --bundle "/b-$1" "$1"
		}
		begun() { for _ in {1..100}; do ! test -s /var/cache/volrun/default/default/state/rw/f || return 0; sleep 0.1; done; return 1; }
		. /in/script
	' 3>&- 4>&-
}

@test "lintian has nothing to say, and the package depends on what the programs load by name" {
	local d
	lintian --allow-root --fail-on error,warning "$DEB" || fail "lintian"
	d=$(dpkg-deb -f "$DEB" Depends)
	for p in libcurl4 libssl3 libmount1 libyajl2 libc6; do
		[[ $d == *"$p"* ]] || fail "no dependency on $p: $d"
	done
}

@test "it has programs, pages, completions and units in their places, and nothing of a build" {
	local have f
	have=$(dpkg-deb -c "$DEB" | awk '{ print $6 }')
	for f in usr/sbin/volrun usr/libexec/volrun/volrun-{hook,keeper,systemd,volume} \
		usr/share/man/man8/volrun.8.gz usr/share/man/man8/volrun-volume.8.gz usr/share/man/man5/volrun-config.5.gz \
		usr/share/man/man7/volrun-{annotations,volumes}.7.gz \
		usr/share/bash-completion/completions/volrun usr/share/zsh/vendor-completions/_volrun \
		usr/share/fish/vendor_completions.d/volrun.fish usr/lib/tmpfiles.d/volrun.conf etc/volrun/conf.d/ \
		usr/share/doc/volrun/{README,SECURITY,CHANGELOG,docs/stores,docs/volumes,docs/docker}.md; do
		grep -qx "./$f" <<<"$have" || fail "$f is not there"
	done
	for f in recover.service prune.service prune.timer; do
		grep -qE "^\./(usr/)?lib/systemd/system/volrun-$f\$" <<<"$have" || fail "volrun-$f is not there"
	done
	dpkg-deb -x "$DEB" "$BATS_TEST_TMPDIR/x"
	# The node's script and Kubernetes' page have their own use for /tmp.
	! grep -rlE --exclude-dir=kubernetes --exclude=kubernetes.md "$BATS_FILE_TMPDIR|/tmp/|@sbindir@" "$BATS_TEST_TMPDIR"/x/{lib,usr/lib,usr/share} 2>/dev/null | grep . ||
		fail "a path of the build is in what is above"
}

@test "installed, a container's files are there for the next one; removed and purged, they are left, and it says where" {
	run machine '
		install_it
		volrun --version
		volrun volume --help >/dev/null
		agent a "echo one >/data/f"
		agent b "cat /data/f" | grep -x one
		volrun volume drain
		systemd-analyze verify $(dpkg -L volrun | grep "\.service$") 2>&1 | grep -i volrun || :
		dpkg -r volrun 2>&1 | tee /in/removed
		grep "left as they are: .*/var/lib/volrun" /in/removed
		! test -e /usr/sbin/volrun
		dpkg -P volrun 2>&1 | tee /in/purged
		grep "left as they are" /in/purged
		grep -x one /var/lib/volrun/store/volumes/default/state/f
		! test -e /usr/share/doc/volrun
		! test -e /etc/volrun/conf.d
		echo "all of it"
	'
	((status == 0)) || fail "$output"
	[[ $output == *"volrun version "* && $output == *"all of it"* ]]
	[[ $output != *volrun-*.service:* ]] || fail "systemd does not like a unit: $output"
}

@test "an upgrade while a container runs leaves its keeper at work: what it wrote is committed, and the next one finds it" {
	run machine '
		install_it >/dev/null
		agent a "echo begun >/data/f; until test -e /go; do busybox sleep 0.1; done; echo ended >>/data/f" &
		begun
		keeper=$(pidof volrun-keeper)
		install_it >/dev/null
		readlink "/proc/$keeper/exe"
		[[ $(readlink "/proc/$keeper/exe") == *"(deleted)" ]]
		volrun list
		volrun exec a /bin/busybox cat /data/f
		volrun volume status | grep state
		touch /b-a/rootfs/go
		wait $!
		volrun volume drain --wait=30s
		agent b "cat /data/f"
	'
	((status == 0)) || fail "$output"
	[[ $output == *begun*ended ]] || fail "$output"
}

@test "removing it while a container runs loses nothing: the keeper commits what the container wrote" {
	run machine '
		install_it >/dev/null
		agent a "echo begun >/data/f; until test -e /go; do busybox sleep 0.1; done; echo ended >>/data/f" &
		begun
		dpkg -r volrun
		touch /b-a/rootfs/go
		wait $!
		for _ in {1..100}; do ! grep -qs ended /var/lib/volrun/store/volumes/default/state/f || break; sleep 0.1; done
		cat /var/lib/volrun/store/volumes/default/state/f
	'
	((status == 0)) || fail "$output"
	[[ $output == *begun*ended ]] || fail "$output"
}
