#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Mounts in detail: every option, propagation, destinations, roots of all kinds,
# pivot_root and --no-pivot, masked and read-only paths, devices.

load lib/common
setup() { common_setup; }
teardown() {
	local dir
	for dir in "${mounted[@]}"; do umount -R "$dir" 2>/dev/null || umount -lR "$dir"; done
	common_teardown
}
mounted=()

# source_tree: $T/src on a tmpfs of its own, with another one on sub.
source_tree() {
	mkdir -p "$T/src"
	mount -t tmpfs tmpfs "$T/src"
	mounted=("$T/src" "${mounted[@]}")
	mount --make-private "$T/src"
	mkdir "$T/src/sub"
	mount -t tmpfs tmpfs "$T/src/sub"
	mount --make-private "$T/src/sub"
	echo top >"$T/src/f"
	echo below >"$T/src/sub/f"
}

# fields: of the container's mountinfo in $output: "MOUNTPOINT OPTIONS PROPAGATION", below the place in $1.
fields() { awk -v at="$1" 'index($5, at) == 1 { t = ""; for (i = 7; $i != "-"; i++) { sub(/:.*/, "", $i); t = t " " $i }; print $5, $6 t }' <<<"$output"; }

# one TYPE SOURCE OPTION...: the fields of that mount on /mnt, in a new container.
one() {
	local type=$1 source=$2 list
	shift 2
	list=$(jq -cn '$ARGS.positional' --args "$@")
	container c1 'cat /proc/self/mountinfo' ".mounts += [{destination: \"/mnt\", type: \"$type\", source: \"$source\", options: $list}]"
	ok
	got=$(fields /mnt)
}

# --- options --------------------------------------------------------------------------

@test "every flag of a new file system" {
	local line
	while IFS='|' read -r line expected; do
		# shellcheck disable=SC2086 # several options
		one tmpfs tmpfs $line
		is "$got" "/mnt $expected" "$line"
	done <<-'E'
		|rw,relatime
		defaults|rw,relatime
		ro|ro,relatime
		ro rw|rw,relatime
		nosuid nodev noexec nosymfollow|rw,nosuid,nodev,noexec,relatime,nosymfollow
		nosuid suid nodev dev noexec exec nosymfollow symfollow|rw,relatime
		noatime|rw,noatime
		noatime atime|rw,relatime
		strictatime|rw
		strictatime nostrictatime|rw,relatime
		noatime strictatime|rw
		strictatime relatime|rw,relatime
		norelatime|rw,relatime
		nodiratime|rw,nodiratime,relatime
		nodiratime diratime|rw,relatime
		rro rnosuid rnodev rnoexec rnoatime|ro,nosuid,nodev,noexec,noatime
		async loud silent nomand nolazytime noiversion|rw,relatime
	E
}

@test "flags of the file system itself, and its own data" {
	container c1 'grep " /mnt " /proc/self/mountinfo; stat -c "%a %u %g" /mnt' '
		.mounts += [{destination: "/mnt", type: "tmpfs", source: "abc", options: ["sync", "dirsync", "lazytime", "mand", "size=64k", "nr_inodes=10", "mode=0711", "uid=5", "gid=6"]}]'
	ok
	like "${lines[0]}" ' - tmpfs abc rw,sync,dirsync,(mand,)?lazytime,size=64k,nr_inodes=10,mode=711,uid=5,gid=6'
	is "${lines[1]}" "711 5 6"
	container c1 true '.mounts += [{destination: "/mnt", type: "tmpfs", source: "abc", options: ["size=64k", "nonsense"]}]'
	not_ok 'nonsense'
	container c1 true '.mounts += [{destination: "/mnt", type: "nofs", source: "abc"}]'
	not_ok 'nofs'
}

@test "every flag of a bind mount; what is not named is off, as soon as one is named" {
	local line
	mkdir "$T/src"
	mount -t tmpfs -o nosuid,nodev,noexec,noatime tmpfs "$T/src"
	mounted=("$T/src")
	mount --make-private "$T/src"
	while IFS='|' read -r line expected; do
		# shellcheck disable=SC2086 # several options
		one none "$T/src" bind $line
		is "$got" "/mnt $expected" "$line"
	done <<-'E'
		|rw,nosuid,nodev,noexec,noatime
		ro|ro,noatime
		nosuid|rw,nosuid,noatime
		exec|rw,noatime
		relatime|rw,relatime
		strictatime nodiratime|rw,nodiratime
		ro nosuid nodev noexec|ro,nosuid,nodev,noexec,noatime
		sync lazytime|rw,nosuid,nodev,noexec,noatime
	E
}

@test "recursive flags and their negations reach what is mounted beneath" {
	local line
	source_tree
	while IFS='|' read -r line expected; do
		# shellcheck disable=SC2086 # several options
		one none "$T/src" rbind $line
		is "$got" "/mnt ${expected%;*}"$'\n'"/mnt/sub ${expected#*;}" "$line"
	done <<-'E'
		|rw,relatime;rw,relatime
		ro|ro,relatime;rw,relatime
		rro|ro,relatime;ro,relatime
		rro rrw|rw,relatime;rw,relatime
		rnosuid rnodev rnoexec rnosymfollow|rw,nosuid,nodev,noexec,relatime,nosymfollow;rw,nosuid,nodev,noexec,relatime,nosymfollow
		rnosuid rsuid rnodev rdev rnoexec rexec rnosymfollow rsymfollow|rw,relatime;rw,relatime
		rnoatime|rw,noatime;rw,noatime
		rnoatime ratime|rw,relatime;rw,relatime
		rstrictatime|rw;rw
		rstrictatime rnostrictatime|rw,relatime;rw,relatime
		rnoatime rrelatime|rw,relatime;rw,relatime
		rnodiratime|rw,nodiratime,relatime;rw,nodiratime,relatime
		rnodiratime rdiratime|rw,relatime;rw,relatime
	E
}

@test "bind takes the mount alone, rbind what is beneath it too" {
	source_tree
	container c1 'cat /mnt/f /mnt/sub/f' ".mounts += [{destination: \"/mnt\", source: \"$T/src\", options: [\"bind\"]}]"
	like "$stderr" 'sub/f'
	is "${lines[*]}" top
	container c1 'cat /mnt/f /mnt/sub/f' ".mounts += [{destination: \"/mnt\", source: \"$T/src\", options: [\"rbind\"]}]"
	ok
	is "${lines[*]}" "top below"
}

@test "remount changes what is there, with bind as well" {
	container c1 'grep " /mnt " /proc/self/mountinfo' '.mounts += [{destination: "/mnt", type: "tmpfs", source: "tmpfs", options: ["noexec"]},
		{destination: "/mnt", type: "none", source: "none", options: ["bind", "remount", "ro"]}]'
	ok
	is "$(fields /mnt)" "/mnt ro,noexec,relatime"
	container c1 'grep " /mnt " /proc/self/mountinfo' '.mounts += [{destination: "/mnt", type: "tmpfs", source: "tmpfs"},
		{destination: "/mnt", type: "tmpfs", options: ["remount", "nosuid", "size=128k"]}]'
	ok
	is "$(fields /mnt)" "/mnt rw,nosuid,relatime"
	like "$output" 'size=128k'
	container c1 true '.mounts += [{destination: "/mnt", type: "tmpfs", options: ["remount", "ro"]}]'
	not_ok
}

@test "overlay, with its directories as options" {
	mkdir "$T/lower" "$T/upper" "$T/work" "$T/ov"
	mount -t tmpfs tmpfs "$T/ov" && mounted=("$T/ov")
	mkdir "$T/ov/lower" "$T/ov/upper" "$T/ov/work"
	echo low >"$T/ov/lower/a"
	container c1 'cat /mnt/a; echo new >/mnt/b; grep -o " - overlay" /proc/self/mountinfo' "
		.mounts += [{destination: \"/mnt\", type: \"overlay\", source: \"overlay\", options: [\"lowerdir=$T/ov/lower:$SUITE/rootfs/etc\", \"upperdir=$T/ov/upper\", \"workdir=$T/ov/work\"]}]"
	ok
	is "${lines[*]}" "low  - overlay"
	is "$(<"$T/ov/upper/b")" new
}

@test "tmpcopyup copies what the image has, with its owners and modes" {
	bundle c1 'cd /data; stat -c "%a %u %g %F" . d d/f l; cat d/f; readlink l; touch x; grep -c " /data " /proc/self/mountinfo' '
		.mounts += [{destination: "/data", type: "tmpfs", source: "tmpfs", options: ["tmpcopyup", "size=1m"]}]'
	local data=$T/c1/rootfs/data
	mkdir "$data/d" && echo hello >"$data/d/f" && ln -s d/f "$data/l"
	chown 7:8 "$data/d/f" && chmod 4711 "$data/d/f" && chmod 1750 "$data"
	try volrun run --bundle "$T/c1" c1
	ok
	is "${lines[0]}" "1750 0 0 directory"
	is "${lines[1]}" "755 0 0 directory"
	is "${lines[2]}" "4711 7 8 regular file"
	like "${lines[3]}" "symbolic link"
	is "${lines[*]:4}" "hello d/f 1"
	[[ ! -e $data/x ]]
	config c1 '.mounts[-1].options += ["mode=0700", "ro"] | .process.args[2] = "stat -c %a /data; cat /data/l; touch /data/x"'
	try volrun run --bundle "$T/c1" c1
	is "${lines[*]}" "700 hello"
	like "$stderr" 'Read-only'
}

# --- propagation --------------------------------------------------------------------------

@test "the eight propagation options, on a shared source" {
	local line
	source_tree
	mount --make-rshared "$T/src"
	while IFS='|' read -r line expected; do
		one none "$T/src" rbind $line
		is "$got" "/mnt rw,relatime${expected%;*}"$'\n'"/mnt/sub rw,relatime${expected#*;}" "$line"
	done <<-'E'
		| master; master
		private|; master
		rprivate|;
		slave| master; master
		rslave| master; master
		shared| shared master; master
		rshared| shared master; shared master
		unbindable| unbindable; master
		runbindable| unbindable; unbindable
	E
	mount --make-rprivate "$T/src"
}

@test "rootfsPropagation: the root, and with r what is beneath" {
	local line
	while IFS='|' read -r line root below; do
		bundle c1 'cat /proc/self/mountinfo' ".linux.rootfsPropagation = \"$line\""
		# Where nothing is shared, else a slave has a master.
		try unshare --mount --propagation private "$BIN/volrun" --root "$ROOT" run --bundle "$T/c1" c1 3>&- 4>&-
		ok
		is "$(fields / | sed -n 's#^/ [^ ]*##p')" "$root" "$line"
		is "$(fields /dev/pts)" "/dev/pts rw,nosuid,noexec,relatime$below" "$line"
	done <<-'E'
		private||
		rprivate||
		slave||
		rslave||
		shared| shared|
		rshared| shared| shared
		unbindable| unbindable|
		runbindable| unbindable| unbindable
	E
	container c1 true '.linux.rootfsPropagation = "somehow"'
	not_ok 'somehow'
}

@test "a mount on the host beneath a slave appears in the container, and none of the container's on the host" {
	source_tree
	mount --make-shared "$T/src"
	bundle c1 'until [ -e /mnt/sub/late ]; do sleep 0.05; done; mkdir /mnt/own; mount -t tmpfs tmpfs /mnt/own; touch /mnt/own/x; grep -c " /mnt/own " /proc/self/mountinfo' "
		.mounts += [{destination: \"/mnt\", source: \"$T/src\", options: [\"rbind\", \"rslave\"]}]
		| .process.capabilities[] += [\"CAP_SYS_ADMIN\"]"
	umount "$T/src/sub"
	volrun_bg run --bundle "$T/c1" c1 >"$T/out"
	local pid=$!
	until_true 5 eval '[[ $(status_of c1) == running ]]'
	mount -t tmpfs tmpfs "$T/src/sub"
	touch "$T/src/sub/late"
	ended "$pid"
	is "$status" 0
	is "$(<"$T/out")" 1
	[[ -d $T/src/own && ! -e $T/src/own/x ]]
	mount --make-private "$T/src"
}

# --- sources and destinations ----------------------------------------------------------------

@test "relative, dotted and linked destinations stay within the root" {
	local dest place
	bundle c1 'cat /proc/self/mountinfo' '.mounts += [{destination: "", type: "tmpfs", source: "here"}]'
	ln -s ../../../data "$T/c1/rootfs/up"
	ln -s /nowhere/yet "$T/c1/rootfs/dangling"
	while read -r dest place; do
		config c1 --arg dest "$dest" '.mounts[-1].destination = $dest'
		try volrun run --bundle "$T/c1" c1
		ok
		is "$(awk '$(NF - 1) == "here" { print $5 }' <<<"$output")" "$place" "$dest"
	done <<-'E'
		data /data
		data/a/b /data/a/b
		/data/../mnt /mnt
		../../mnt/c /mnt/c
		/up/x /data/x
		/dangling /nowhere/yet
		//opt//./d/ /opt/d
	E
	[[ -d $T/c1/rootfs/nowhere/yet && ! -e /nowhere ]]
}

@test "missing parents are made; a file is put where a file is mounted" {
	echo content >"$T/file"
	container c1 'cat /a/b/file; stat -c "%F %a" /a/b /x/y/z' "
		.mounts += [{destination: \"/a/b/file\", source: \"$T/file\", options: [\"bind\"]}, {destination: \"/x/y/z\", type: \"tmpfs\", source: \"tmpfs\"}]"
	ok
	is "${lines[0]}" content
	is "${lines[1]}" "directory 755"
	is "${lines[2]}" "directory 1777"
}

@test "a directory on a file and a file on a directory are refused in words" {
	echo x >"$T/file"
	container c1 true ".mounts += [{destination: \"/mnt\", source: \"$T/file\", options: [\"bind\"]}]"
	not_ok 'not a directory'
	container c1 true ".mounts += [{destination: \"/etc/passwd\", source: \"$T\", options: [\"bind\"]}]"
	not_ok 'not a directory'
	container c1 true '.mounts += [{destination: "/etc/passwd", type: "tmpfs", source: "tmpfs"}]'
	not_ok 'not a directory'
	container c1 true '.mounts += [{destination: "/mnt", source: "/nonexistent", options: ["bind"]}]'
	not_ok '/nonexistent.*No such file'
	container c1 true '.mounts += [{destination: "/mnt", source: "x"}]'
	not_ok 'no type'
}

@test "a relative source counts from the bundle; a source that is a link is followed, or not" {
	bundle c1 'cat /mnt/f' '.mounts += [{destination: "/mnt", source: "here", options: ["bind"]}]'
	mkdir "$T/c1/here" && echo found >"$T/c1/here/f"
	ln -s here "$T/c1/link"
	try volrun run --bundle "$T/c1" c1
	is "$output" found
	config c1 '.mounts[-1].source = "link"'
	try volrun run --bundle "$T/c1" c1
	is "$output" found
	config c1 '.mounts[-1] += {destination: "/opt/l", options: ["bind", "src-nofollow"]} | .process.args[2] = "readlink /opt/l"'
	try volrun run --bundle "$T/c1" c1
	is "$output" here
	rm "$T/c1/rootfs/opt/l"
	config c1 '.mounts[-1].options = ["bind", "copy-symlink"] | .process.args[2] = "readlink /opt/l; grep -c /opt/l /proc/self/mountinfo"'
	try volrun run --bundle "$T/c1" c1
	is "${lines[*]}" "here 0"
}

@test "dest-nofollow mounts on the link itself" {
	bundle c1 'cat /l' ".mounts += [{destination: \"/l\", source: \"$T/file\", options: [\"bind\", \"dest-nofollow\"]}]"
	ln -s /etc/passwd "$T/c1/rootfs/l"
	echo mine >"$T/file"
	try volrun run --bundle "$T/c1" c1
	ok
	is "$output" mine
}

@test "the same destination twice: the later is on top" {
	container c1 'ls /mnt; grep -c " /mnt " /proc/self/mountinfo; umount /mnt; grep " /mnt " /proc/self/mountinfo' '
		.mounts += [{destination: "/mnt", type: "tmpfs", source: "first"}, {destination: "/mnt", type: "tmpfs", source: "second", options: ["ro"]}]
		| .process.capabilities[] += ["CAP_SYS_ADMIN"]'
	ok
	is "${lines[0]}" 2
	like "${lines[1]}" 'tmpfs first'
}

@test "mounts over what the list itself has put into /dev" {
	mkdir "$T/shm" && touch "$T/shm/mine"
	container c1 'ls /dev/shm; grep -c " /dev/mqueue " /proc/self/mountinfo; stat -c %t:%T /dev/zero; touch /dev/pts/x 2>/dev/null || echo no' "
		.mounts += [{destination: \"/dev/shm\", source: \"$T/shm\", options: [\"rbind\"]}, {destination: \"/dev/mqueue\", type: \"tmpfs\", source: \"tmpfs\"},
			{destination: \"/dev/zero\", source: \"/dev/full\", options: [\"bind\"]}]"
	ok
	is "${lines[*]}" "mine 2 1:7 no"
}

@test "the host's /dev as a bind mount is left as it is" {
	local before
	before=$(find /dev -maxdepth 1 | sort)
	container c1 'stat -c %t:%T /dev/null; grep " /dev " /proc/self/mountinfo' '
		.mounts |= map(select(.destination | startswith("/dev") | not)) | .mounts += [{destination: "/dev", source: "/dev", options: ["rbind", "rslave"]}]'
	ok
	is "${lines[0]}" 1:3
	is "$(find /dev -maxdepth 1 | sort)" "$before"
}

@test "proc elsewhere, sysfs elsewhere, the files of proc that may be covered" {
	echo emulated >"$T/file"
	container c1 'cat /mnt/self/comm; ls /opt/class/net; cat /proc/cpuinfo' "
		.mounts += [{destination: \"/mnt\", type: \"proc\", source: \"proc\"}, {destination: \"/opt\", type: \"sysfs\", source: \"sysfs\"},
			{destination: \"/proc/cpuinfo\", source: \"$T/file\", options: [\"bind\"]}]"
	ok
	is "${lines[*]}" "cat lo emulated"
	container c1 true ".mounts += [{destination: \"/proc/version\", source: \"$T/file\", options: [\"bind\"]}]"
	not_ok 'inside /proc'
	container c1 true '.mounts += [{destination: "/proc", type: "tmpfs", source: "tmpfs"}]'
	not_ok '/proc'
}

@test "cgroup, read-only and writable, with and without a cgroup namespace" {
	local options ns root
	for options in '"ro"' '"rw"'; do
		for ns in '' '+ [{type: "cgroup"}]'; do
			container c1 'cat /proc/self/mountinfo; cat /proc/self/cgroup; mkdir /sys/fs/cgroup/pids/x /sys/fs/cgroup/x 2>&1; rmdir /sys/fs/cgroup/pids/x /sys/fs/cgroup/x 2>/dev/null; ls /sys/fs/cgroup' "
				.linux.namespaces |= . $ns
				| .mounts += [{destination: \"/sys/fs/cgroup\", type: \"cgroup\", source: \"cgroup\", options: [\"nosuid\", \"noexec\", \"nodev\", \"relatime\", $options]}]"
			ok
			root=$(fields /sys/fs/cgroup | head -1)
			like "$root" "^/sys/fs/cgroup ${options:1:1}[ow],nosuid,nodev,noexec"
			if [[ $options == '"ro"' ]]; then like "$output" 'Read-only'; fi
			if [[ -n $ns ]]; then
				unlike "$output" "/$CG/c1"
			fi
		done
	done
}

# --- roots ------------------------------------------------------------------------------------

# roots OPTION...: a container on roots of every kind.
roots() {
	local kind
	for kind in plain bind shared tmpfs ramfs; do
		bundle "$kind" 'echo works; grep -c "^\([^ ]* \)\{4\}/ " /proc/self/mountinfo; ls -d /proc/self /opt/below; touch /new; cat /proc/self/mountinfo' "${filter:-.}"
		case $kind in
		bind | shared) mount --bind "$T/$kind/rootfs" "$T/$kind/rootfs" ;;
		tmpfs | ramfs) mount -t $kind $kind "$T/$kind/rootfs" && cp -a "$SUITE/rootfs/." "$T/$kind/rootfs" ;;
		esac
		[[ $kind == plain ]] || mounted=("$T/$kind/rootfs" "${mounted[@]}")
		[[ $kind != shared ]] || mount --make-shared "$T/$kind/rootfs"
		mkdir -p "$T/$kind/rootfs/opt/below"
		mount -t tmpfs tmpfs "$T/$kind/rootfs/opt"
		mkdir "$T/$kind/rootfs/opt/below"
		mounted=("$T/$kind/rootfs/opt" "${mounted[@]}")
		try volrun run "$@" --bundle "$T/$kind" "$kind"
		is "${lines[*]:0:4}" "works 1 /opt/below /proc/self" "$kind: $stderr"
		is "$(fields "$T")" ""
	done
}

@test "pivot_root, on a directory, a mount point, a shared one, tmpfs and ramfs" {
	roots
	[[ -e $T/plain/rootfs/new && -e $T/shared/rootfs/new && -e $T/ramfs/rootfs/new ]]
}

@test "--no-pivot, on a directory, a mount point, a shared one, tmpfs and ramfs" {
	roots --no-pivot
	[[ -e $T/plain/rootfs/new && -e $T/shared/rootfs/new && -e $T/ramfs/rootfs/new ]]
}

@test "a read-only root leaves what is mounted beneath it writable, and on the host everything" {
	filter='.root.readonly = true | .mounts += [{destination: "/tmp", type: "tmpfs", source: "tmpfs"}]'
	roots
	local kind
	for kind in plain bind shared tmpfs ramfs; do
		[[ ! -e $T/$kind/rootfs/new ]]
		touch "$T/$kind/rootfs/host"
	done
	container c1 'touch /x 2>/dev/null || echo ro; touch /tmp/x /opt/x && echo rw' "
		$filter | .mounts += [{destination: \"/opt\", source: \"$T\", options: [\"bind\"]}]"
	ok
	is "${lines[*]}" "ro rw"
}

@test "a root by a link and by a path with dots" {
	bundle c1 'echo works' '.root.path = "link"'
	ln -s rootfs "$T/c1/link"
	try volrun run --bundle "$T/c1" c1
	is "$output" works
	mkdir "$T/c1/a"
	config c1 '.root.path = "a/../rootfs"'
	try volrun run --bundle "$T/c1" c1
	is "$output" works
	config c1 '.root.path = "nowhere"'
	try volrun run --bundle "$T/c1" c1
	not_ok 'nowhere'
}

# --- masked and read-only paths ------------------------------------------------------------------

@test "masked: files, directories, links, what is not there" {
	bundle c1 'cat /etc/passwd | wc -c; ls /data | wc -l; touch /data/x 2>&1; cat /l/f; cat /proc/cpuinfo | wc -c' '
		.linux.maskedPaths += ["/etc/passwd", "/data", "/nowhere", "/etc/passwd/below", "/l", "/proc/cpuinfo"]'
	mkdir "$T/c1/rootfs/data/sub" "$T/c1/rootfs/mnt/m"
	touch "$T/c1/rootfs/mnt/m/f"
	ln -s mnt/m "$T/c1/rootfs/l"
	try volrun run --bundle "$T/c1" c1
	is "${lines[0]}" 0
	is "${lines[1]}" 0
	like "${lines[2]}" 'Read-only'
	like "$stderr" '/l/f'
	is "${lines[3]}" 0
	[[ ! -e $T/c1/rootfs/nowhere ]]
}

@test "a mask is not taken for one when the image's null device is none" {
	container c1 true '.mounts += [{destination: "/dev/null", source: "/dev/zero", options: ["bind"]}]'
	not_ok 'not the null device'
}

@test "read-only: files, directories with mounts beneath, what is not there; flags are kept" {
	container c1 'for p in /etc/x /mnt/x /mnt/sub/x; do touch $p 2>/dev/null && echo "$p"; done; echo a >>/etc/passwd; cat /proc/self/mountinfo' '
		.mounts += [{destination: "/mnt", type: "tmpfs", source: "tmpfs", options: ["nosuid", "noexec"]}, {destination: "/mnt/sub", type: "tmpfs", source: "tmpfs"}]
		| .linux.readonlyPaths += ["/etc/passwd", "/mnt", "/nowhere"]'
	is "${lines[0]}" /etc/x
	is "${lines[1]}" /mnt/sub/x
	like "$stderr" 'etc/passwd: Read-only'
	is "$(fields /mnt | sort -u | head -2 | tail -1)" "/mnt rw,nosuid,noexec,relatime"
	is "$(fields /mnt | sort -u | head -1)" "/mnt ro,nosuid,noexec,relatime"
}

# --- devices -----------------------------------------------------------------------------------------

@test "devices of every type, at every place, with links resolved within the root" {
	bundle c1 'stat -c "%F %t:%T %a %u %g" /dev/c /dev/b /dev/p /dev/sub/u /data/x /run/y' '
		.linux.devices = [{type: "c", path: "/dev/c", major: 1, minor: 3, fileMode: 384, uid: 5, gid: 6}, {type: "b", path: "/dev/b", major: 7, minor: 300},
			{type: "p", path: "/dev/p", fileMode: 420}, {type: "u", path: "/dev/sub/u", major: 1, minor: 5},
			{type: "c", path: "/data/x", major: 1, minor: 5}, {type: "c", path: "/l/y", major: 1, minor: 7}]'
	ln -s ../../run "$T/c1/rootfs/l"
	try volrun run --bundle "$T/c1" c1
	ok
	is "${lines[0]}" "character special file 1:3 600 5 6"
	is "${lines[1]}" "block special file 7:12c 666 0 0"
	is "${lines[2]}" "fifo 0:0 644 0 0"
	is "${lines[3]}" "character special file 1:5 666 0 0"
	is "${lines[4]}" "character special file 1:5 666 0 0"
	is "${lines[5]}" "character special file 1:7 666 0 0"
}

@test "without a mount on /dev the image's own is filled; what it has stays" {
	bundle c1 'stat -c "%n %F" /dev/null /dev/zero /dev/ptmx /dev/fd /dev/stdin; stat -c %t:%T:%a /dev/full' '
		.mounts |= map(select(.destination | startswith("/dev") | not))'
	mkdir -p "$T/c1/rootfs/dev"
	mknod --mode 640 "$T/c1/rootfs/dev/full" c 1 7
	touch "$T/c1/rootfs/dev/ptmx"
	try volrun run --bundle "$T/c1" c1
	ok
	is "${lines[0]}" "/dev/null character special file"
	is "${lines[2]}" "/dev/ptmx symbolic link"
	is "${lines[5]}" 1:7:640
}

@test "/dev/console is the terminal" {
	bundle c1 'stat -c "%t" /dev/console; tty; echo >/dev/console; grep -c " /dev/console " /proc/self/mountinfo' '.process.terminal = true'
	try script -qec "$BIN/volrun --root $ROOT run --bundle $T/c1 c1 3>&- 4>&-" /dev/null
	ok
	like "$output" '88[[:space:]]'
	like "$output" '/dev/(pts/0|console)'
}
