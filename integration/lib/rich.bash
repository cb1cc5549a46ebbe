# SPDX-License-Identifier: Apache-2.0
# rich.bash - containers with the host's programs (git, python), to make trees as
# programs make them. After common.bash and volume.bash.

# shellcheck disable=SC2034 # for the tests
V="state /data"
P=volumes/default/state

# two_nodes [s3]: A and B, on a filesystem store, or a bucket of the real S3 server.
two_nodes() {
	if [[ ${1:-} == s3 ]]; then
		BUCKET=fidelity-$BATS_TEST_NUMBER-$RANDOM
		s3 mkbucket "$BUCKET"
	fi
	node A
	node B
}

# rich NODE NAME SCRIPT [JQ-FILTER]: a container with the host's programs, read-only, $T/src at /src, fulltree at
# /fulltree, and the volume at /data.
rich() {
	local root=$T/$2/rootfs
	mkdir -p "$root"/{usr,data,dev,etc,proc,root,src,sys,tmp,workspace} "$T/src"
	ln -sfn usr/bin "$root/bin"
	ln -sfn usr/lib "$root/lib"
	ln -sfn usr/lib64 "$root/lib64"
	cp "$SUITE"/rootfs/etc/{passwd,group} "$root/etc/"
	cp "$LIB/fulltree" "$root/fulltree"
	vrun "$1" "$2" "$V" "$3" ".mounts += [{destination: \"/usr\", type: \"bind\", source: \"/usr\", options: [\"rbind\", \"ro\"]},
		{destination: \"/src\", type: \"bind\", source: \"$T/src\", options: [\"rbind\", \"ro\"]}] | ${4:-.}"
}
