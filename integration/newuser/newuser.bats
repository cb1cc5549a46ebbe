#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A new user, in the fresh virtual machine: has the package and the pages, types what stands in them, and nothing else. What is
# pasted is taken from the pages themselves (./paste). The tests build on each other, in this order.
#
# Prepared is what a new user has before: engines as Debian installs them, and, because the machine has no network, an image called
# alpine, which is the machine's busybox.

bats_require_minimum_version 1.5.0

setup_file() {
	export PASTED=$BATS_FILE_TMPDIR/pasted HERE=$BATS_TEST_DIRNAME HOME=/root
	rm -f /etc/docker/daemon.json /etc/containers/containers.conf.d/vm.conf
	systemctl restart docker 3>&- 4>&-
	docker tag busybox alpine
	ctr image tag --force docker.io/library/busybox:latest docker.io/library/alpine:latest >/dev/null
	podman tag docker.io/library/busybox docker.io/library/alpine
	as_u podman tag docker.io/library/busybox docker.io/library/alpine
	# As somebody has them who got the package by itself.
	mkdir -p /root/new
	cp /src/deb/volrun_*.deb /root/new/
	export DEBIAN_FRONTEND=noninteractive TERM=dumb
}

setup() { cd /root/new || return; }

as_u() { systemd-run --quiet --pipe --wait --collect --user --machine u@ --property Delegate=yes -- "$@" </dev/null 3>&- 4>&-; }
fail() { printf '%s\n' "$@" >&2; return 1; }

# pastes FILE [HEADING...]; $output is what the reader sees. FILE is found from the tree's top, by whatever directory the reader is in.
pastes() {
	run "$HERE/paste" "/src/$1" "${@:2}" 3>&- 4>&-
	((status == 0)) || fail "$output"
}
sees() { [[ $output == *"$1"* ]] || fail "not seen: $1" "$output"; }
settled() { # no upload is on its way
	local i
	for i in {1..150}; do
		[[ $(find /proc -maxdepth 2 -path '/proc/[0-9]*/exe' -lname '*/volrun-keeper' 2>/dev/null) ]] || return 0
		sleep 0.2
	done
	fail "a keeper is still there"
}

@test "README: the package is installed, and the doctor finds no problem" {
	pastes README.md Install
	sees "Setting up volrun"
	sees "0 problems"
	systemctl is-enabled volrun-recover.service
}

@test "Podman's page: as root, without root, in a pod" {
	pastes docs/podman.md
	settled
	[[ $(cat /var/lib/volrun/store/volumes/default/podman-state/runs) == $'a run\na run' ]]
	[[ $(cat /var/lib/volrun/store/volumes/default/pod-state/runs) == $'a run\na run' ]]
	[[ $(cat /home/u/.local/share/volrun/store/volumes/default/my-state/runs) == $'a run\na run' ]]
}

@test "containerd's page: ctr" {
	pastes docs/containerd.md
	settled
	[[ $(cat /var/lib/volrun/store/volumes/default/ctr-state/runs) == $'a run\na run' ]]
}

@test "Kubernetes' page: a node by hand, a pod after the other" {
	if [[ ! -x /src/cri/cri-client ]]; then
		"$HERE/paste" --list /src/docs/kubernetes.md >>"$PASTED"
		skip "no crictl: $(tail -n 1 /src/cri/absent 2>/dev/null)"
	fi
	# What a node has: crictl (Debian has none; this one is built by ../cri), and the images, which no registry gives here.
	ln -sf /src/cri/cri-client /usr/local/bin/crictl
	local pause=$BATS_TEST_TMPDIR/pause
	mkdir -p "$pause/bin"
	cp /bin/busybox "$pause/bin/busybox"
	ln -s busybox "$pause/bin/sleep"
	"$HERE/../cri/image" "$pause" "$pause.tar" "$(containerd config dump | sed -n 's/^ *sandbox_image = "\(.*\)"/\1/p')" -- sleep 100000
	ctr -n k8s.io image import "$pause.tar" >/dev/null
	ctr -n k8s.io image import /opt/vm/busybox.tar >/dev/null
	ctr -n k8s.io image tag docker.io/library/busybox:latest docker.io/library/alpine:latest >/dev/null
	cp /etc/containerd/config.toml "$BATS_TEST_TMPDIR/before.toml"
	pastes docs/kubernetes.md
	settled
	[[ $(cat /var/lib/volrun/store/volumes/shop/pod-state/runs) == $'a run\na run' ]]
	cmp "$BATS_TEST_TMPDIR/before.toml" /etc/containerd/config.toml
}

@test "Docker's page: run, several volumes, compose" {
	pastes docs/docker.md
	settled
	[[ $(cat /var/lib/volrun/store/volumes/default/docker-state/runs) == $'a run\na run' ]]
	[[ $(cat /var/lib/volrun/store/volumes/default/compose-state/runs) == $'a run\na run' ]]
	[[ $(wc -l </var/lib/volrun/store/volumes/default/docker-notes/log) == 2 ]]
}

@test "README: tried with Docker, and the files are seen" {
	pastes README.md "Try it"
	sees agent-state
	sees compose-state # `volume ls` has those of before
	settled
}

@test "examples: a coding agent's memory, and models that many read" {
	pastes docs/examples/coding-agent.md
	pastes docs/examples/model-cache.md
	sees "Read-only file system"
	settled
}

@test "examples: a notebook is stopped on one node and goes on on another" {
	pastes docs/examples/notebook.md "A notebook that goes on, on another node" "On the first node"
	settled
	# From here on this is another machine: a cache that is empty, and another name.
	mv /var/cache/volrun /var/cache/one
	echo '{"node_name": "two"}' >/etc/volrun/conf.d/name.json
	pastes docs/examples/notebook.md "On the second node"
	settled
	rm -r /var/cache/one
	rm /etc/volrun/conf.d/*.json
}

@test "README: uninstalled; users' data is left, and it says where; Docker works as before" {
	local v
	pastes README.md Uninstall
	sees "volrun: left as they are: /var/lib/volrun, /var/cache/volrun"
	! command -v volrun || fail "volrun is still there"
	[[ ! -e /usr/libexec/volrun && ! -e /usr/lib/systemd/system/volrun-recover.service ]]
	[[ -z $(systemctl list-units --no-legend 'volrun*') ]] || fail "$(systemctl list-units 'volrun*')"
	for v in agent docker compose podman pod ctr; do
		sees "$v-state"
		[[ $(cat "/var/lib/volrun/store/volumes/default/$v-state/runs") == $'a run\na run' ]]
	done
	[[ -s /home/u/.local/share/volrun/store/volumes/default/my-state/runs ]]
	[[ $(docker run --rm alpine echo as before 3>&- 4>&-) == "as before" ]]
	[[ $(podman run --rm docker.io/library/alpine echo as before 3>&- 4>&-) == "as before" ]]
}

@test "installed again, the volumes are found as they were" {
	pastes README.md Install
	volrun volume files agent-state | grep -w runs
}

@test "everything that these pages have to be pasted was pasted" {
	local page
	for page in README.md docs/{docker,podman,containerd,kubernetes}.md docs/examples/{coding-agent,model-cache,notebook}.md; do
		"$HERE/paste" --list "/src/$page"
	done | sort >"$BATS_TEST_TMPDIR/all"
	(($(wc -l <"$BATS_TEST_TMPDIR/all") >= 15))
	sort -u "$PASTED" | diff "$BATS_TEST_TMPDIR/all" -
	# And no other page has some that nobody pastes.
	! grep -rl '^```sh' --include='*.md' /src/docs | grep -vE '/(docker|podman|containerd|kubernetes|coding-agent|model-cache|notebook)\.md$' || fail "a page with blocks that are not pasted"
}
